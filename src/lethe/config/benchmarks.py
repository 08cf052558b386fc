"""What is learned and what of it is to be forgotten: one section per benchmark."""

from typing import Annotated, Literal

from pydantic import Field

from lethe.config.section import Section


class FictionalConfig(Section):
    """Invented authors, generated from the seed; nothing to download."""

    name: Literal["fictional"]
    authors: int = Field(
        40, ge=10, description="Authors in the full set; forget splits are whole authors from the end."
    )
    facts: int = Field(10, ge=2, le=12, description="Facts, i.e. question/answer rows, per author.")
    holdout_authors: int = Field(
        4, ge=1, description="Authors that no model is trained on: non-members for membership attacks."
    )
    world_authors: int = Field(
        60, ge=1, description="Other invented authors that a `scratch` base model is trained on."
    )


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


BenchmarkConfig = Annotated[FictionalConfig | TofuConfig, Field(discriminator="name")]
