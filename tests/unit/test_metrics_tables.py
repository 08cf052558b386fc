"""From token tables to per-sample values and summaries, on tables small enough to work out by hand."""

import json
import math
import subprocess
import sys
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from lethe.benchmarks.answers import ANSWER_ONLY, answer_values
from lethe.benchmarks.contract import Probe
from lethe.benchmarks.tofu_metrics import METRICS, PREFIXES, TEACHER_FORCED
from lethe.benchmarks.tofu_metrics import samples as samples_of
from lethe.errors import InputError
from lethe.io import read_table, write_table
from lethe.metrics import Value
from lethe.metrics.aggregate import delta_mu_relative
from lethe.metrics.columns import TOKEN_COLUMNS
from lethe.metrics.summary import summarise as summarise_all
from lethe.metrics.summary import to_json

LOG2 = math.log(2)
PREFIXED = {prefix: name for name, prefix in PREFIXES.items()}


def answer_rows(set, sample, kind, index, bits, greedy=None, mean=-2.0, std=1.0):
    """Token rows of one answer; `bits` are −log2 p of its labels, the end token last."""
    greedy = [True] * len(bits) if greedy is None else greedy
    return [
        (set, sample, kind, index, position, 100 + position, np.float32(-b * LOG2), bool(hit), mean, std)
        for position, (b, hit) in enumerate(zip(bits, greedy, strict=True))
    ]


def table(*answers) -> pd.DataFrame:
    return pd.DataFrame([row for rows in answers for row in rows], columns=TOKEN_COLUMNS)


def said(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["set", "sample", "generation"])


@dataclass(frozen=True)
class Measured:
    """What was measured on one model, and what was asked."""

    tokens: pd.DataFrame
    generations: pd.DataFrame
    probes: list[Probe]


def samples(measured: Measured) -> pd.DataFrame:
    return samples_of(measured.tokens, measured.generations, measured.probes, 0.4, False)


def summarise(model, retain, full) -> dict[str, Value]:
    return summarise_all(METRICS, {"full": full, "retain": retain, "model": model})["model"]


def probe(id, set="forget", answer="red fox", perturbed=2, paraphrase="a fox, red") -> Probe:
    score = [("answer", answer)]
    if set != "holdout":
        score += [("paraphrase", paraphrase)] * (set in ("forget", "retain"))
        score += [("perturbed", f"false {j}") for j in range(perturbed)]
    return Probe(set, id, "g", f"Question {id}?", tuple(score), target=answer)


def five_sets(shift: float = 0.0, n: int = 6) -> Measured:
    """All five sets, n samples each; `shift` bits make forget answers and their paraphrases less likely."""
    random = np.random.default_rng(7)
    probes, answers, generations = [], [], []
    for set in (*PREFIXES, "holdout"):
        for i in range(n):
            id = f"{set}-{i}"
            probes.append(probe(id, set, f"words of answer {i}"))
            lost = shift if set == "forget" else 1.0 if set == "holdout" else 0.0
            bits = random.uniform(0.2, 1.0, size=(4, 5))
            greedy = random.random(5) < 0.8
            answers.append(answer_rows(set, id, "answer", 0, bits[0] + lost, greedy))
            if set == "holdout":
                continue
            if set in ("forget", "retain"):
                answers.append(answer_rows(set, id, "paraphrase", 0, bits[1] + lost))
            answers += [answer_rows(set, id, "perturbed", j, bits[2 + j] + 1.5) for j in range(2)]
            generations.append((set, id, f"words of answer {random.integers(n)}"))
    return Measured(table(*answers), said(*generations), probes)


@pytest.fixture
def one() -> Measured:
    """One forget sample, every number a small power of two."""
    tokens = table(
        answer_rows("forget", "a", "answer", 0, [1, 3, 2, 4, 1, 1], [1, 0, 1, 1, 1, 0]),
        answer_rows("forget", "a", "paraphrase", 0, [1, 1]),
        answer_rows("forget", "a", "perturbed", 0, [1, 3]),
        answer_rows("forget", "a", "perturbed", 1, [4, 4, 4]),
    )
    return Measured(tokens, said(("forget", "a", " red dog ")), [probe("a")])


# --- answers ------------------------------------------------------------------------------------------------


def test_answer_values_by_hand(one):
    values = answer_values(one.tokens, one.probes, one.generations, 0.4)
    assert list(zip(values["kind"], values["index"], values["n_tokens"], strict=True)) == [
        ("answer", 0, 6),
        ("paraphrase", 0, 2),
        ("perturbed", 0, 2),
        ("perturbed", 1, 3),
    ]
    np.testing.assert_allclose(values["avg_loss"], np.array([2, 1, 2, 4]) * LOG2, rtol=1e-6)
    np.testing.assert_allclose(values["prob"], [1 / 4, 1 / 2, 1 / 4, 1 / 16], rtol=1e-6)
    true = values.iloc[0]
    assert true["exact_memorization"] == pytest.approx(4 / 5)  # the end token, wrong, does not count
    assert true["extraction_strength"] == pytest.approx(3 / 5)
    assert true["min_k"] == pytest.approx(3.5 * LOG2, rel=1e-6)  # floor(0.4 * 5) = 2 lowest: 4 and 3 bits
    assert true["min_k_plus_plus"] == pytest.approx(3.5 * LOG2 - 2, rel=1e-6)  # mean -2, deviation 1
    assert true["zlib"] == pytest.approx(2 * LOG2 / len(zlib.compress(b"red fox")), rel=1e-6)
    assert true["rouge_l_recall"] == 0.5
    assert values.loc[1:, ANSWER_ONLY].isna().all(axis=None)


def test_min_k_plus_plus_ranks_standardised_values_not_log_probabilities():
    # least likely token first, but standardised it is the highest
    rows = answer_rows("forget", "a", "answer", 0, [4, 1, 1, 0], mean=0.0, std=1.0)
    tokens = table(rows)
    tokens["std_logprob"] = [100.0, 1.0, 2.0, 1.0]
    values = answer_values(tokens, [probe("a")], said(), 0.4)
    assert values["min_k_plus_plus"][0] == pytest.approx(LOG2, rel=1e-6)
    assert values["min_k"][0] == pytest.approx(4 * LOG2, rel=1e-6)


def test_the_share_of_min_k_and_ou_compat_reach_the_values(one):
    tokens = table(answer_rows("forget", "a", "answer", 0, [1, 3, 2, 4, 1, 1], [0, 0, 0, 0, 0, 1]))
    plain = answer_values(tokens, one.probes, one.generations, 0.4).iloc[0]
    other = answer_values(tokens, one.probes, one.generations, 1.0, ou_compat=True).iloc[0]
    assert (plain["extraction_strength"], other["extraction_strength"]) == (0, pytest.approx(0.2))
    assert other["min_k"] == pytest.approx(11 / 5 * LOG2, rel=1e-6)


def test_the_order_of_rows_does_not_matter():
    measured = five_sets()
    shuffled = Measured(
        measured.tokens.sample(frac=1, random_state=3),
        measured.generations.sample(frac=1, random_state=4),
        measured.probes[::-1],
    )
    pd.testing.assert_frame_equal(samples(measured), samples(shuffled), check_exact=True)


def test_an_answer_that_is_only_an_end_token_has_a_probability_and_no_memorisation(one):
    tokens = table(answer_rows("forget", "a", "answer", 0, [1]))
    row = answer_values(tokens, one.probes, one.generations).iloc[0]
    assert row["prob"] == pytest.approx(0.5)
    assert row[["extraction_strength", "exact_memorization", "min_k", "min_k_plus_plus"]].isna().all()
    summary = summarise(*[samples(replace(one, tokens=tokens))] * 3)
    assert summary["extraction_strength"].value is None
    assert "before the end token" in summary["extraction_strength"].reason
    assert summary["extraction_strength"].counts == {"samples": 0, "dropped": 1}


def test_an_answer_with_a_nan_log_probability_is_undefined_throughout(one):
    one.tokens.loc[1, "logprob"] = np.nan
    row = answer_values(one.tokens, one.probes, one.generations).iloc[0]
    assert row[["avg_loss", "prob", *ANSWER_ONLY]].isna().all()


def test_a_sample_without_generation_has_no_rouge(one):
    values = answer_values(one.tokens, one.probes, one.generations.iloc[:0])
    assert values["rouge_l_recall"].isna().all()


def test_no_tokens_at_all_give_an_empty_table():
    table_ = samples(Measured(table(), said(), []))
    assert table_.empty
    assert {value.value for value in summarise(table_, table_, table_).values()} == {None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="greedy"), "greedy"),
        (lambda t: t.drop(index=1), "positions"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "positions"),
        (lambda t: t.assign(set="forgotten"), "'a' of set 'forgotten' is no probe"),
        (
            lambda t: t.assign(kind=t["kind"].replace("answer", "answers")),
            "kind 'answers', index 0 is not scored for sample 'a'",
        ),
        (lambda t: t.assign(sample="b"), "'b' of set 'forget' is no probe"),
        (lambda t: t[t["kind"] != "answer"], "no tokens of kind 'answer'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(one, change, message):
    with pytest.raises(InputError, match=message):
        answer_values(change(one.tokens), one.probes, one.generations)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("forget", "a", "x"), ("forget", "a", "y")], "'a' occurs twice"),
        ([("retain", "a", "x")], "'a' of set 'retain' is no probe"),
    ],
)
def test_generations_that_do_not_fit_are_refused(one, rows, message):
    with pytest.raises(InputError, match=message):
        answer_values(one.tokens, one.probes, said(*rows))


# --- samples ------------------------------------------------------------------------------------------------


def test_sample_values_of_a_forget_sample_by_hand(one):
    (row,) = samples(one).to_dict("records")
    assert row["paraphrase_prob"] == pytest.approx(1 / 2, rel=1e-6)
    assert row["perturbed_avg_loss"] == pytest.approx(3 * LOG2, rel=1e-6)
    assert row["perturbed_prob"] == pytest.approx((1 / 4 + 1 / 16) / 2, rel=1e-6)
    # losses are averaged before the exponential: 2^-3 over 2^-1, not (1/4 + 1/16)/2 over 1/2
    assert row["truth_ratio"] == pytest.approx(1 / 4, rel=1e-6)
    assert row["truth_ratio_form"] == pytest.approx(1 / 4, rel=1e-6)
    assert row["knowledge"] == pytest.approx(4 / 5, rel=1e-6)
    assert math.isnan(row["prob_normalised"])


@pytest.mark.parametrize(
    ("set", "ratio", "form"),
    [("retain", 1 / 4, 3 / 4), ("real_authors", 1 / 2, 1 / 2), ("world_facts", 1 / 2, 1 / 2)],
)
def test_the_true_answer_of_the_truth_ratio_depends_on_the_set(one, set, ratio, form):
    probes = [replace(one.probes[0], set=set)]
    (row,) = samples(Measured(one.tokens.assign(set=set), one.generations.assign(set=set), probes)).to_dict("records")
    assert row["truth_ratio"] == pytest.approx(ratio, rel=1e-6)
    assert row["truth_ratio_form"] == pytest.approx(form, rel=1e-6)
    assert math.isnan(row["knowledge"])
    if set == "retain":
        assert math.isnan(row["prob_normalised"])
    else:
        assert row["prob_normalised"] == pytest.approx((1 / 4) / (1 / 4 + 1 / 4 + 1 / 16), rel=1e-6)


def test_a_missing_or_broken_perturbed_answer_makes_the_truth_ratio_undefined(one):
    missing = one.tokens[~((one.tokens["kind"] == "perturbed") & (one.tokens["index"] == 1))]
    broken = one.tokens.copy()
    broken.loc[broken.index[-1], "logprob"] = np.nan
    for tokens in (missing, broken):
        (row,) = samples(replace(one, tokens=tokens)).to_dict("records")
        assert math.isnan(row["truth_ratio"])
        assert math.isnan(row["perturbed_prob"])
        assert row["prob"] == pytest.approx(1 / 4, rel=1e-6)


def test_values_stay_with_their_sample_when_another_is_undefined():
    measured = five_sets()
    before = samples(measured).set_index("sample")["truth_ratio"]
    lost = (measured.tokens["sample"] == "forget-1") & (measured.tokens["kind"] == "paraphrase")
    after = samples(replace(measured, tokens=measured.tokens[~lost])).set_index("sample")["truth_ratio"]
    assert math.isnan(after["forget-1"])
    pd.testing.assert_series_equal(after.drop("forget-1"), before.drop("forget-1"))


def test_samples_survive_parquet(tmp_path):
    values = samples(five_sets())
    write_table(tmp_path / "samples.parquet", values)
    back = read_table(tmp_path / "samples.parquet")
    assert summarise(back, back, back) == summarise(values, values, values)


# --- summary ------------------------------------------------------------------------------------------------


def test_every_declared_metric_is_summarised_and_defined_on_full_data():
    model, retain, full = (samples(five_sets(shift)) for shift in (0.7, 1.0, 0.0))
    full["rouge_l_recall"] = 1.0  # the full model is better, so that utility is lost
    summary = summarise(model, retain, full)
    assert list(summary) == list(METRICS)
    assert [name for name, value in summary.items() if value.value is None] == []
    forget = model[model["set"] == "forget"]
    assert summary["forget_Q_A_Prob"].value == pytest.approx(forget["prob"].mean())
    assert summary["forget_truth_ratio"].value == pytest.approx(
        np.minimum(forget["truth_ratio"], 1 / forget["truth_ratio"]).mean()
    )
    facts = model[model["set"] == "world_facts"]
    assert summary["wf_Truth_Ratio"].value == pytest.approx(np.maximum(0, 1 - facts["truth_ratio"]).mean())
    assert summary["wf_Q_A_Prob_normalised"].value == pytest.approx(facts["prob_normalised"].mean())
    assert summary["aggregate"].value == pytest.approx(summary["neg_log10_fq"].value * summary["delta_mu"].value)
    assert summary["abs_privleak"].value == abs(summary["privleak"].value)
    assert summary["forget_Q_A_Prob"].counts == {"samples": 6, "dropped": 0}


def test_the_loss_of_utility_is_told_in_points_and_relative_to_the_full_model():
    assert delta_mu_relative(Value(0.6), Value(0.45)).value == pytest.approx(25.0)
    assert delta_mu_relative(Value(0.5), Value(0.6)).value == pytest.approx(-20.0)
    assert "nothing to lose" in delta_mu_relative(Value(0.0), Value(0.1)).reason
    assert "full model: no set" in delta_mu_relative(Value(None, "no set"), Value(0.1)).reason
    full, lost = samples(five_sets()), samples(five_sets(0.5))
    lost.loc[lost["set"] == "retain", "prob"] /= 2
    summary = summarise(lost, lost, full)
    points, relative = summary["delta_mu"].value, summary["delta_mu_relative"].value
    utility = summary["model_utility"].value
    assert points > 0
    assert relative == pytest.approx(points / (utility + points / 100))
    assert summary["aggregate"].value == pytest.approx(summary["neg_log10_fq"].value * points)  # the absolute one


def test_utility_during_training_needs_no_generation():
    measured = five_sets(0.5)
    model = samples(measured)
    silent = samples(replace(measured, generations=measured.generations.iloc[:0]))
    whole, cheap = summarise(model, model, model), summarise(silent, silent, silent)
    six = [whole[name].value for name in TEACHER_FORCED]
    assert cheap["utility_teacher_forced"].value == pytest.approx(6 / sum(1 / value for value in six), rel=1e-12)
    assert cheap["utility_teacher_forced"] == whole["utility_teacher_forced"]
    assert whole["utility_teacher_forced"].value != pytest.approx(whole["model_utility"].value, rel=1e-3)
    generated = {"model_utility", "delta_mu", "delta_mu_relative", "aggregate"} | {
        name for name in METRICS if name.endswith("ROUGE")
    }
    assert {name for name in generated if cheap[name].value is not None} == set()
    assert "needs a generation" in cheap["delta_mu"].reason
    for name in METRICS.keys() - generated:
        assert cheap[name] == whole[name], name


def test_a_model_that_remembers_is_found_and_its_privleak_is_negative():
    model, retain = samples(five_sets(0.0)), samples(five_sets(1.0))
    summary = summarise(model, retain, model)
    assert summary["mia_loss"].value == 1  # holdout answers are a bit less likely per token
    assert summary["privleak"].value < 0
    assert summarise(retain, retain, model)["privleak"].value == 0


def test_the_retain_model_against_itself_has_forget_quality_one():
    retain = samples(five_sets(1.0))
    summary = summarise(retain, retain, retain)
    assert (summary["forget_quality"].value, summary["neg_log10_fq"].value) == (1.0, 0.0)
    assert summary["delta_mu"].value == 0
    assert summary["aggregate"].value is None


def test_truth_ratios_are_matched_by_sample():
    model, retain = samples(five_sets(0.7)), samples(five_sets(1.0))
    expected = summarise(model, retain, model)["forget_quality"]
    shuffled = retain.sample(frac=1, random_state=1)
    assert summarise(model, shuffled, model)["forget_quality"] == expected
    # each side lacks another sample: both go, and the sizes stay equal
    less = summarise(model[model["sample"] != "forget-0"], retain[retain["sample"] != "forget-5"], model)[
        "forget_quality"
    ]
    assert less.counts == {"samples": 4, "dropped": 2}


def test_undefined_samples_are_dropped_and_counted():
    model = samples(five_sets())
    first = model.index[model["set"] == "retain"][0]
    model.loc[first, "truth_ratio_form"] = np.nan
    value = summarise(model, model, model)["retain_Truth_Ratio"]
    assert value.counts == {"samples": 5, "dropped": 1}
    rest = model[(model["set"] == "retain") & (model.index != first)]
    assert value.value == pytest.approx(rest["truth_ratio_form"].mean())


@pytest.mark.parametrize("missing", [*PREFIXES, "holdout"])
def test_a_missing_set_leaves_its_metrics_undefined_and_the_others_as_they_are(missing):
    model, retain = samples(five_sets(0.5)), samples(five_sets(1.0))
    whole = summarise(model, retain, model)
    less, retain = (table_[table_["set"] != missing] for table_ in (model, retain))
    summary = summarise(less, retain, less)
    assert all(value.value is not None or value.reason for value in summary.values())
    means = {name: PREFIXED[name.split("_")[0]] for name in METRICS if name.split("_")[0] in PREFIXED}
    means = {name: set for name, set in means.items() if name != "forget_quality"}
    assert len(means) == 21
    for name, set in means.items():
        if set == missing:
            assert summary[name].value is None
            assert f"'{missing}'" in summary[name].reason
        else:
            assert summary[name] == whole[name]
    attacked = missing in ("forget", "holdout")
    assert (summary["mia_zlib"].value is None) == attacked
    assert (summary["abs_privleak"].value is None) == attacked
    assert (summary["forget_quality"].value is None) == (missing == "forget")
    assert (summary["model_utility"].value is None) == (missing not in ("forget", "holdout"))


def test_sets_without_perturbed_answers_say_what_is_missing():
    measured = five_sets()
    bare = measured.tokens[measured.tokens["kind"] == "answer"]
    probes = [replace(probe, score=probe.score[:1]) for probe in measured.probes]
    model = samples(Measured(bare, measured.generations, probes))
    summary = summarise(model, model, model)
    for name in ("forget_truth_ratio", "ra_Truth_Ratio", "ra_Q_A_Prob_normalised", "retain_Q_A_PERT_Prob"):
        assert summary[name].value is None
        assert "perturbed answers" in summary[name].reason
    assert "truth ratio" in summary["forget_quality"].reason
    assert summary["retain_Q_A_Prob"].value is not None
    assert "ra_Truth_Ratio" in summary["model_utility"].reason


def test_json_carries_unit_direction_and_reason():
    model = samples(five_sets())
    out = to_json(METRICS, summarise(model, model, model))
    assert json.loads(json.dumps(out, allow_nan=False)) == out
    assert out["delta_mu"]["unit"] == "percentage points"
    assert out["privleak"]["better"] == "zero"
    assert out["aggregate"]["value"] is None
    assert "no utility is lost" in out["aggregate"]["reason"]
    assert set(out["mia_loss"]) == {"value", "unit", "better", "reason", "counts"}
    assert out["mia_loss"]["counts"] == {"forget": 6, "holdout": 6, "dropped": 0}


def test_metrics_do_not_load_torch():
    code = "import sys, lethe.metrics.summary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_declarations_are_complete():
    for metric in METRICS.values():
        assert metric.unit
        assert metric.source
        assert metric.description.endswith(".")
        assert metric.better in ("higher", "lower", "zero", "half", None)
