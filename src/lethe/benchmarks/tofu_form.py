"""What benchmarks in the form of TOFU share: names of splits, probe sets, metrics, and how records become data."""

from collections.abc import Iterable, Mapping

from lethe.benchmarks.contract import Benchmark, Data, Probe, Row, Split, check
from lethe.benchmarks.records import Record
from lethe.benchmarks.tofu_metrics import BY_SAMPLE, BY_SEED, HEADLINE, MAIN, METRICS, samples
from lethe.splits import retain_split

LONGEST = 512
"""Tokens of a generation: more than any answer has, so that the config's `max_new_tokens` decides (TOFU: 200)."""


SETS = {"forget": "split", "retain": "study", "real_authors": "study", "world_facts": "study", "holdout": "split"}
"""forget: rows to forget; retain: rows to keep; real_authors, world_facts: what the base model knows already; holdout:
rows that no model was trained on, the non-members of membership attacks."""


class TofuForm(Benchmark):
    """Questions and answers about authors, some of whom are forgotten; see `lethe.benchmarks.tofu_metrics`."""

    split_names = r"^forget(0[1-9]|[1-9]\d)$"
    split_example = "forget10"
    sets = SETS
    metrics = METRICS
    headline = HEADLINE
    main = MAIN
    also = ("delta_mu_relative",)
    by_seed = BY_SEED
    by_sample = BY_SAMPLE

    def retain_name(self, split: str) -> str:
        return retain_split(split)

    def samples(self, tokens, generations, probes, config):
        return samples(tokens, generations, probes, config.min_k, config.ou_compat)

    def data(self, records: list[Record], origin: Mapping | None = None) -> Data:
        """Rows, probes and splits of records.

        Asked of what is kept are the rows with perturbed answers (TOFU's `retain_perturbed`). Where no row that all
        splits keep has any, all rows are asked, without a truth ratio.
        """
        full = [record for record in records if record.set == "full"]
        names = sorted({name for record in full for name in record.splits if name.startswith("forget")})
        forget = {name: [record for record in full if name in record.splits] for name in names}
        retain = {name: [record for record in full if retain_split(name) in record.splits] for name in names}
        kept = [record for record in full if all(retain_split(name) in record.splits for name in names)]
        perturbed = any(record.perturbed_answers for record in kept)
        asked = {
            name: [record for record in rows if record.perturbed_answers or not perturbed]
            for name, rows in retain.items()
        }
        utility = {set: [record for record in records if record.set == set] for set in ("real_authors", "world_facts")}
        holdout = [record for record in records if record.set == "holdout"]
        subjects = {record.group for rows in utility.values() for record in rows}
        world = [record for record in records if record.set == "world"]
        splits = {
            name: Split(
                forget=_ids(forget[name]),
                retain=_ids(retain[name]),
                probes={
                    "forget": _ids(forget[name]),
                    "retain": _ids(asked[name]),
                    **{set: _ids(rows) for set, rows in utility.items()},
                    "holdout": _ids(record for record in holdout if name in record.splits),
                },
            )
            for name in names
        }
        data = Data(
            benchmark=self.name,
            rows=tuple(map(_row, full)),
            probes=(
                *(_probe("forget", record) for record in _once(full, forget)),
                *(_probe("retain", record, false=perturbed) for record in _once(full, asked)),
                *(_probe(set, record) for set, rows in utility.items() for record in rows),
                *(_probe("holdout", record, false=False, generate=0) for record in holdout),
            ),
            splits=splits,
            world=tuple(map(_row, world)),
            rehearsed=tuple(record.id for record in world if record.group in subjects),
            origin=origin or {},
        )
        return check(data, self)


def _ids(records: Iterable[Record]) -> tuple[str, ...]:
    return tuple(record.id for record in records)


def _once(full: list[Record], rows: Mapping[str, list[Record]]) -> list[Record]:
    """Records of any of the lists, in the order of `full`."""
    wanted = {record.id for records in rows.values() for record in records}
    return [record for record in full if record.id in wanted]


def _row(record: Record) -> Row:
    return Row(record.id, record.group, record.answer, record.question, record.spans)


def _probe(set: str, record: Record, false: bool = True, generate: int = LONGEST) -> Probe:
    """The question; scored are the answer and, with `false`, its paraphrase and the perturbed answers."""
    others = []
    if false and record.paraphrased_answer is not None:
        others.append(("paraphrase", record.paraphrased_answer))
    if false:
        others += [("perturbed", text) for text in record.perturbed_answers]
    score = (("answer", record.answer), *others)
    return Probe(set, record.id, record.group, record.question, score, generate, target=record.answer)
