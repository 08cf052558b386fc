"""Copy what a reader wants of a finished study into the repository: tables, figures as PNG, provenance.

    python -m lethe.publish results/tofu-smollm2-pocket docs/studies/tofu-smollm2-pocket

Weights, token tables and logs stay behind.
"""

import shutil
import sys
from pathlib import Path

from lethe.errors import InputError

PATTERNS = (
    "etw_*/**/*.csv",
    "etw_*/**/*.md",
    "etw_*/**/*.png",
    "training/**/*.png",
    "check/check.md",
    "provenance/provenance.json",
)


def publish(results: str | Path, target: str | Path) -> list[Path]:
    """Copy the published files of a study; folders are joined into the file name. Returns what was written.

    Raises:
        InputError: if the study is not finished, naming what is missing.
    """
    results, target = Path(results), Path(target)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for pattern in PATTERNS:
        found = sorted(results.glob(pattern))
        if not found:
            raise InputError(f"{results}: nothing matches {pattern}; finish the study first.")
        for path in found:
            folder, *rest = path.relative_to(results).parts
            name = "-".join([folder, *rest]) if folder not in ("check", "provenance") else path.name
            written.append(Path(shutil.copyfile(path, target / name)))
    return written


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for path in publish(*sys.argv[1:]):
        print(path)
