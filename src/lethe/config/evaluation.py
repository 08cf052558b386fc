"""What is measured, what is computed from it, and how it is shown: a change of one reruns that and what follows."""

from typing import Annotated, Literal

from pydantic import Field

from lethe.config.section import Name, Precision, Section

Limits = dict[Name, Annotated[int, Field(ge=1)]]


class EmbeddingNoiseConfig(Section):
    """Passes of the starting model under noise, for mutual information; made only if asked for or needed."""

    passes: int = Field(8, ge=2, description="K, passes per answer.")
    scale: float = Field(
        0.1,
        gt=0,
        description="Standard deviation of the Gaussian noise on the input embeddings, as a share of their root mean "
        "square. Noise instead of dropout, because current models have no dropout layers.",
    )


class MeasureConfig(Section):
    """What is measured of a model, on how many rows; a change measures again."""

    precision: Precision = Field("auto", description="As in training.")
    max_new_tokens: int = Field(200, ge=1, description="Longest greedy generation, tokens.")
    limits: Limits = Field(
        {},
        description="At most this many probes of a set, evenly spread; sets not named are used whole. Sets of TOFU and "
        "fictional: forget, retain, real_authors, world_facts, holdout.",
    )
    every: int = Field(
        0, ge=0, description="Measure each run at the end of every n-th epoch as well; 0 = only when it is done."
    )
    suite: Literal["cheap", "full"] = Field(
        "cheap", description="During training: cheap = teacher-forced metrics only, full = generations as well."
    )
    during: Limits = Field(
        {}, description="During training: at most this many of the probes that `limits` leaves of a set."
    )


class EvaluateConfig(Section):
    """How metrics are computed from what was measured; a change runs no model, but searches try all anew."""

    min_k: float = Field(0.4, gt=0, le=1, description="Share of lowest tokens in Min-K and Min-K++.")
    ou_compat: bool = Field(
        False,
        description="Extraction strength as open-unlearning computes it: 1/n instead of 0 when nothing matches.",
    )


class FiguresConfig(Section):
    """Choices of presentation; they rerun figures only."""

    label: str = Field("gold", description="Main label source: a key of `labels`.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the AUC intervals.")
    cluster: Literal["sample", "group"] = Field(
        "sample",
        description="What a resample draws: samples, because tokens of one answer are dependent, or groups (authors), "
        "because answers about one author are, too.",
    )
    eos: Literal["structural", "drop"] = Field(
        "structural",
        description="End tokens in AUCs, correlations, histograms and bounds: structural, as they are part of the "
        "loss, or left out.",
    )
    samples: list[str] = Field(
        [],
        description="Record ids shown in the token heat-map; empty = the first forget sample of two authors.",
    )
