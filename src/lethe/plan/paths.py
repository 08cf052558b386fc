"""Where everything of a study lies, and what its models, methods and runs are called."""

import itertools
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from lethe.config import Study
from lethe.io import read_provenance
from lethe.plan.measurement import measurement


class Paths:
    """Names and paths of a study.

    Paths are relative to the working directory. A *place* is a model and a forget split.

    Args:
        study: the validated config.
    """

    def __init__(self, study: Study):
        self.study = study
        self.root = f"results/{study.study}"
        self.models, self.splits, self.methods = list(study.models), list(study.splits), list(study.methods)
        # Names of what retain models are trained on, by split; none where the benchmark has no retain models.
        self.retain_names = {split: study.task.retain_name(split) for split in self.splits if study.has_retain_models}
        self.retains = list(dict.fromkeys(self.retain_names.values()))
        self.trained = study.trained()
        self.fetched = [name for name in self.models if name not in self.trained]
        self.swept = study.swept()
        self.runs = [f"{method}/seed{seed}" for method in self.methods for seed in study.seeds]
        self.who = [*study.task.references, *self.runs]

    def wildcards(self) -> dict[str, str]:
        """Wildcard -> what it may be."""

        def one_of(names: Iterable[str]) -> str:
            return "|".join(map(re.escape, names))

        return {
            "study": re.escape(self.study.study),
            "model": one_of(self.models),
            "method": one_of(self.methods),
            "split": one_of(self.splits),
            "data": one_of(["full", *self.retains]),
            "seed": r"\d+",
            "run": r"[^/]+(/[^/]+/seed\d+)?",
            "kept": r"forget|retain(-layer\d+)?",
        }

    def places(self, model: str | None = None, split: str | None = None) -> list[tuple[str, str]]:
        """All places, or those of a model or split."""
        models, splits = [model] if model else self.models, [split] if split else self.splits
        return list(itertools.product(models, splits))

    @property
    def needs_network(self) -> bool:
        """Whether models are fetched: such rules run where Snakemake runs, compute nodes are often offline."""
        return any(model.source in ("hub", "checkpoints") for model in self.study.models.values())

    # --- paths

    def data(self) -> str:
        return f"{self.root}/prepare/data.json"

    def stage(self, stage: str, model: str, split: str) -> str:
        """A stage of the token table."""
        return f"{self.root}/{stage}/{model}/{split}.parquet"

    def folder(self, model: str, data: str = "full") -> str:
        """Folder of the model that was trained on `data`: full, or a retain split."""
        return f"{self.root}/{'finetune' if model in self.trained else 'checkpoint'}/{model}/{data}/model"

    def tokenizer_folder(self, model: str) -> str:
        """A tokenizer does not change by fine-tuning, and the token table need not wait for it."""
        return f"{self.root}/base/{model}/model" if model in self.trained else self.folder(model)

    def run_folder(self, model: str, split: str, run: str) -> str:
        return f"{self.root}/unlearn/{model}/{split}/{run}"

    def search_table(self, model: str, split: str, method: str, file: str) -> str:
        return f"{self.root}/search/{model}/{split}/{method}/{file}"

    def measured_model(self, model: str, run: str) -> str:
        """Folder of a measured model: `full`, a retain split, or `<split>/<method>/seed<n>`."""
        if run in ["full", *self.retains]:
            return self.folder(model, run)
        return f"{self.root}/unlearn/{model}/{run}/model"

    def split_of(self, data: str) -> str | None:
        """The split whose retained rows a model is fine-tuned on; None for all rows."""
        return next((split for split, name in self.retain_names.items() if name == data), None)

    def measured_splits(self, run: str) -> list[str]:
        """Forget splits whose rows a measured model is asked about."""
        first = run.split("/")[0]
        return self.splits if run == "full" else [s for s in self.splits if first in (s, self.retain_names.get(s))]

    def measured(self, model: str, split: str, who: str, table: str = "tokens") -> str:
        """Where a table measured on a model lies; `who` is full, retain or a run.

        A run is measured where it is trained. If its model was kept and what is measured has changed since (`measure`
        and `prompt` of the config, the splits, the code), it is measured again by `measure`, and not trained again.
        """
        if who in ("full", "retain"):
            data = "full" if who == "full" else self.retain_names[split]
            return f"{self.root}/measure/{model}/{data}/{table}.parquet"
        own = Path(self.run_folder(model, split, who))
        outdated = self.study.keep_models and (own / "model").is_dir() and not self._is_current(own / "tokens.parquet")
        return f"{self.root}/measure/{model}/{split}/{who}/{table}.parquet" if outdated else f"{own}/{table}.parquet"

    def _is_current(self, path: Path) -> bool:
        return not path.is_file() or read_provenance(path).get("measurement") == self.measurement

    @cached_property
    def measurement(self) -> str:
        return measurement(self.study)
