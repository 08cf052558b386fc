"""Where TOFU's files come from, and whether they are the known ones.

The same rows reach us in differently serialised files (some copies escape slashes, some end without a
newline) and, from the hub, in no file at all. So content is compared, not bytes: `content_hash` is a SHA-256
over the parsed rows. It differs from a checksum of the file.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from lethe.benchmarks.json_lines import read_json_lines
from lethe.errors import InputError
from lethe.section import Section

# name -> (rows, content hash) of TOFU (Maini et al. 2024, arXiv 2401.06121; hub data set locuslab/TOFU). The
# holdout sets, used as non-members, were added later and are no part of the paper.
KNOWN = {
    "full": (4000, "116a79e7a7e1973997c4c99aa6f1b2573b13ade9c1de1d8a2a79e959cd78cc96"),
    "forget01": (40, "6a1c8e3b7238840b380d29b73f3ecd2486903714d3266d77bcb9940235ce01b5"),
    "forget05": (200, "4b8e1eadc4839cf75194962d89edf83af86adc1d865fbb9860b939e453ac0a72"),
    "forget10": (400, "0c44642426e1b70cf17b6b3bcb3eeea558b5e0ec3415dcb486f62654eed55ae0"),
    "retain99": (3960, "f7c8b9aeeadf51036955f8395509ecbabb6b687cab237a4a436928beb198bbf1"),
    "retain95": (3800, "920da37252a43ecb54faefd1ce8853344994d0c8709c62505d0c0a98ea799aee"),
    "retain90": (3600, "078d0586114a199e7756c6b4061aacbbc1adb1bfed98ab46388ec856e430d8c5"),
    "forget01_perturbed": (40, "977912f8d928bfa68777bcdbab9f19ef45f68d09ebf1a6a42390390352dc9cde"),
    "forget05_perturbed": (200, "2272f3a57251cd15f22033748591345382b947ca3028a815250f0fd24973f288"),
    "forget10_perturbed": (400, "779286704c27007c009a2494b0f3ddd46ba982a350c384ad3f3813cd67314c44"),
    "retain_perturbed": (400, "6e39ea006514ca5f7a32b936be00f0bb42d5cd8cff8f5f0fda8431cf5cf5342e"),
    "real_authors_perturbed": (100, "cd1076671e9a0834adf0e30c922bfc8d934a478789c9ea5beb93c7d70cc7b42a"),
    "world_facts_perturbed": (117, "6e04a56e80847d13a8c2cbb96ea5ba2f536d54b9faa9c0b00e4fd04f7b1494dd"),
    "holdout01": (40, "2c573e459fb78ebe13e2e7d1a5dae113e34704401c0e44cdf530db15aafc5b6f"),
    "holdout05": (200, "90c9e98a63de10a62653cf7d0b7042e7223c04fbfbfb2bf188f8b33ded1473da"),
    "holdout10": (400, "29994bcbc30162cf69bb9d88425a54568b619001ece32eca89b75bb0478c823c"),
}


class TofuConfig(Section):
    """TOFU (Maini et al. 2024, arXiv 2401.06121), from the hub or from a folder of its JSON-lines files."""

    name: Literal["tofu"]
    path: str | None = Field(
        None,
        description="Folder with full.json, forget10.json, …; null loads `repository` through `datasets`.",
    )
    repository: str = Field("locuslab/TOFU", description="Hub data set, used when `path` is null.")
    revision: str = Field("main", description="Hub revision: a commit, tag or branch; the resolved commit is recorded.")
    authors: list[int] | None = Field(
        None,
        description="Keep only these authors (0-199, author = row of `full` // 20); null keeps all. Forget splits keep "
        "their meaning: an author's rows stay in the splits that TOFU puts them in.",
    )
    strict: bool = Field(True, description="Known files with other than the known content are an error; false warns.")


def content_hash(rows: list[dict]) -> str:
    """SHA-256 (hexadecimal) of the rows as JSON: sorted keys, nothing escaped, no blanks, a row a line."""
    lines = (json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TofuFiles:
    """Named tables of rows, from a folder or from the hub.

    Attributes:
        names: tables that exist.
        read: name -> rows.
        where: (name, row index or None) -> what to call the place in a message.
        provenance: where the tables come from; without their contents.
    """

    names: frozenset[str]
    read: Callable[[str], list[dict]]
    where: Callable[[str, int | None], str]
    provenance: dict[str, str]


class Hub:
    """The three questions that are put to the Hugging Face hub; a test passes an object that answers them."""

    def commit(self, repository: str, revision: str) -> str:
        """Full commit hash of a branch, tag or commit."""
        from huggingface_hub import HfApi

        return HfApi().dataset_info(repository, revision=revision).sha

    def configs(self, repository: str, commit: str) -> list[str]:
        """Names of the data set's configurations."""
        import datasets

        return datasets.get_dataset_config_names(repository, revision=commit)

    def rows(self, repository: str, name: str, commit: str) -> list[dict]:
        """All rows of one configuration."""
        import datasets

        return datasets.load_dataset(repository, name=name, revision=commit, split="train").to_list()


def open_files(config: TofuConfig, hub: Hub | None = None) -> TofuFiles:
    """The folder `config.path`, or the hub where it is null.

    Raises:
        InputError: if the folder does not exist or the hub cannot be reached.
    """
    if config.path is not None:
        return _folder(Path(config.path))
    return _hub(config, hub or Hub())


def _folder(path: Path) -> TofuFiles:
    if not path.is_dir():
        raise InputError(
            f"benchmark.path: '{path}' is no folder; name the folder that holds full.json, forget10.json, …, "
            "or set `benchmark.path: null` to load from the hub."
        )
    return TofuFiles(
        names=frozenset(file.stem for file in path.glob("*.json")),
        read=lambda name: read_json_lines(path / f"{name}.json"),
        where=lambda name, row: str(path / f"{name}.json") + ("" if row is None else f", line {row + 1}"),
        provenance={"path": str(path)},
    )


def _hub(config: TofuConfig, hub: Hub) -> TofuFiles:
    with _reachable(config):
        commit = hub.commit(config.repository, config.revision)
        names = frozenset(hub.configs(config.repository, commit))

    def read(name: str) -> list[dict]:
        # The commit, not the branch: all tables come from one state even if somebody pushes meanwhile.
        with _reachable(config):
            return hub.rows(config.repository, name, commit)

    return TofuFiles(
        names=names,
        read=read,
        where=lambda name, row: f"{config.repository}, configuration {name}" + ("" if row is None else f", row {row}"),
        provenance={
            "repository": config.repository,
            "requested_revision": config.revision,
            "resolved_commit": commit,
        },
    )


@contextmanager
def _reachable(config: TofuConfig) -> Iterator[None]:
    """Turn what the hub's clients raise into advice."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (OSError, HTTPError, DatasetsError) as error:
        raise InputError(
            f"benchmark: {config.repository} at revision '{config.revision}' could not be loaded from the "
            "hub "
            f"({type(error).__name__}: {error}). Set `benchmark.path` to a folder with TOFU's JSON-lines "
            "files, or go "
            "online and check `benchmark.repository` and `benchmark.revision`."
        ) from error
