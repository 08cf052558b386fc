"""Copy what a reader wants of a finished study into the repository: tables, figures as PNG, provenance.

    python -m lethe.publish results/tofu-smollm2-pocket docs/studies/tofu-smollm2-pocket

Weights, token tables and logs stay behind.
"""

import shutil
import sys
from pathlib import Path

from lethe.errors import InputError
from lethe.exhibits import EXHIBITS

SUFFIXES = ("csv", "md", "png")
NEEDED = ("main/main.csv", "check/check.md", "provenance/provenance.json")
"""In every finished study; which of the other exhibits it has depends on its config."""


def publish(results: str | Path, target: str | Path) -> list[Path]:
    """Copy the published files of a study; folders are joined into the file name. Returns what was written.

    Raises:
        InputError: if the study is not finished, naming what is missing.
    """
    results, target = Path(results), Path(target)
    for name in NEEDED:
        if not (results / name).exists():
            raise InputError(f"{results}: there is no {name}; finish the study first.")
    names = {Path(name): Path(name).name for name in ("check/check.md", "provenance/provenance.json")}
    for exhibit in EXHIBITS.values():
        for suffix in SUFFIXES:
            for path in sorted((results / exhibit.name).glob(f"**/*.{suffix}")):
                place = path.relative_to(results)
                # `main/main.csv` is called main.csv, `main/runs.csv` main-runs.csv.
                names[place] = path.name if path.stem == exhibit.name else "-".join(place.parts)
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(results / place, target / name)) for place, name in names.items()]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for path in publish(*sys.argv[1:]):
        print(path)
