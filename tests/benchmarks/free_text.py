"""A benchmark of free text for the tests, in the form of MUSE: sentences, some to be forgotten; no retain model."""

from typing import Literal

from pydantic import Field

from lethe.benchmarks.answers import answer_values
from lethe.benchmarks.contract import Benchmark, Data, Probe, Row, Split, check
from lethe.metrics import Headline, Metric, SampleMetric
from lethe.metrics.aggregate import delta_mu
from lethe.metrics.membership import auc, privleak
from lethe.metrics.summary import against_retain, mean_of
from lethe.section import Section

WORDS = ("river", "lantern", "violin", "garden", "winter", "harbour", "letter", "mirror", "copper", "orchard")
US = "made up for the tests"
SETS = {"verbatim": "split", "kept": "study"}
METRICS = {
    "verbatim": Metric("recall", "lower", "How far texts are said on.", US, mean_of("verbatim", "rouge_l_recall", "–")),
    "kept": Metric("probability", "higher", "Probability of kept texts.", US, mean_of("kept", "prob", "–")),
    "lost": Metric("points", "lower", "Lost utility.", US, lambda case: delta_mu(case.full["kept"], case["kept"])),
    "mia": Metric(
        "AUC", "half", "Attack.", US, lambda c: auc(c.column("verbatim", "min_k"), c.column("kept", "min_k"))
    ),
    "privleak": Metric("%", "zero", "Leak.", US, against_retain(lambda own, kept: privleak(own["mia"], kept["mia"]))),
}


class FreeTextConfig(Section):
    """Made-up sentences."""

    name: Literal["free_text"]
    sentences: int = Field(12, ge=4, description="How many there are; a quarter is forgotten.")


class FreeText(Benchmark):
    name, section = "free_text", FreeTextConfig
    split_names, split_example = r"^(news|books)$", "news"
    sets, metrics, references = SETS, METRICS, ("full",)
    has_gold_spans = has_world = True
    headline = Headline("verbatim", "kept", "lost", known="verbatim", probes="verbatim")
    main = by_seed = ("verbatim", "kept", "lost", "privleak")
    by_sample = {"prob": SampleMetric("probability", lambda rows: rows["prob"])}  # noqa: RUF012

    def load(self, config, seed):
        rows, world = [], []
        for i in range(config.sentences):
            text = f"The {WORDS[i % 10]} of {WORDS[(3 * i + seed) % 10]} was the {WORDS[(7 * i + 1) % 10]} number {i}."
            rows.append(Row(f"text-{i}", f"source-{i % 3}", text, spans=((len(text) - 2, len(text) - 1),)))
            world.append(Row(f"world-{i}", "world", text.replace("number", "No")))
        ids, size = tuple(row.id for row in rows), config.sentences // 4
        probes = []
        for row in rows:
            start, rest = row.answer[:9], row.answer[9:]
            for kind in SETS:
                probes.append(Probe(kind, row.id, row.group, start, (("answer", rest),), 8, ".", "plain", rest))
        splits = {}
        for name, own in (("news", ids[:size]), ("books", ids[size : 2 * size])):
            kept = tuple(id for id in ids if id not in own)
            splits[name] = Split(own, kept, {"verbatim": own, "kept": ids[2 * size :]})
        return check(Data(self.name, tuple(rows), tuple(probes), splits, tuple(world)), self)

    def samples(self, tokens, generations, probes, config):
        return answer_values(tokens, probes, generations, config.min_k).drop(columns=["kind", "index"])
