"""What is measured on which rows, and that the stored numbers are those of the plain way."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GenerationConfig

from lethe.benchmarks.contract import Probe
from lethe.benchmarks.records import Record
from lethe.benchmarks.tofu import Tofu
from lethe.config import MeasureConfig
from lethe.errors import InputError
from lethe.evaluation.measure import (
    end_tokens,
    measure,
    measure_generations,
    measure_tokens,
    no_generations,
)
from lethe.evaluation.sets import asked, by_set, restrict, thinned
from lethe.methods.forms import TopKEntropy, Variance
from lethe.metrics.columns import GENERATION_COLUMNS, TOKEN_COLUMNS
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

SCORES = {"logprob", "greedy", "mean_logprob", "std_logprob"}


def row(i, set="full", splits=(), **fields):
    return Record(f"{set}-{i:04d}", set, "author", f"Question {i}?", f"Answer {i}.", splits=splits, **fields)


@pytest.fixture
def study():
    return Tofu().data(records())


def records():
    """Ten rows of `full`: 9 in forget05, 8-9 in forget10, the rest retained; perturbed answers for rows 0-5 and 8."""
    rows = []
    for i in range(10):
        splits = ("forget05" if i == 9 else "retain95", "forget10" if i >= 8 else "retain90")
        rows.append(row(i, splits=splits, perturbed_answers=("No.", "Never.") if i < 6 or i == 8 else ()))
    rows += [row(i, "real_authors", perturbed_answers=("No.",)) for i in range(5)]
    rows += [row(i, "world_facts", perturbed_answers=("No.",)) for i in range(4)]
    rows += [row(i, "holdout", ("forget05", "forget10") if i == 0 else ("forget10",)) for i in range(3)]
    return [*rows, row(0, "world")]


def numbers(probes):
    return {name: [int(probe.id[-4:]) for probe in own] for name, own in by_set(probes).items()}


# --- sets -------------------------------------------------------------------------------------------------


def test_sets_of_a_split(study):
    assert numbers(asked(study, ["forget10"], ["forget10"], {})) == {
        "forget": [8, 9],
        "retain": [0, 1, 2, 3, 4, 5],
        "real_authors": [0, 1, 2, 3, 4],
        "world_facts": [0, 1, 2, 3],
        "holdout": [0, 1, 2],
    }


def test_retain_rows_are_retained_under_every_split_of_the_study(study):
    """Row 8 has perturbed answers and is retained under forget05, but forgotten under forget10."""
    assert 8 in numbers(asked(study, ["forget05"], ["forget05"], {}))["retain"]
    several = numbers(asked(study, ["forget05"], ["forget05", "forget10"], {}))
    assert several["retain"] == [0, 1, 2, 3, 4, 5]
    assert several["retain"] == numbers(asked(study, ["forget10"], ["forget05", "forget10"], {}))["retain"]


def test_several_splits_are_joined_without_doubles(study):
    sets = numbers(asked(study, ["forget05", "forget10"], ["forget05", "forget10"], {}))
    assert sets["forget"] == [9, 8]
    assert sets["holdout"] == [0, 1, 2]


def test_limits_spread_rows_evenly(study):
    limits = {"forget": 1, "retain": 3, "real_authors": 2, "world_facts": 9, "holdout": 1}
    assert numbers(asked(study, ["forget10"], ["forget10"], limits)) == {
        "forget": [8],
        "retain": [0, 2, 5],
        "real_authors": [0, 4],
        "world_facts": [0, 1, 2, 3],
        "holdout": [0],
    }


def test_limits_hold_split_by_split_so_that_runs_are_covered(study):
    """What the full model is measured on includes what each split's runs are measured on."""
    limits = {"forget": 1, "holdout": 1}
    splits = ["forget05", "forget10"]
    both = asked(study, splits, splits, limits)
    for split in splits:
        assert set(asked(study, [split], splits, limits)) <= set(both), split


def test_without_perturbed_answers_all_retained_rows_are_asked_for_their_answer():
    """TOFU's form without `retain_perturbed`, utility sets and holdout."""
    some = Tofu().data([replace(r, perturbed_answers=("No.",) * (r.id == "full-0008")) for r in records()[:10]])
    probes = by_set(asked(some, ["forget10"], ["forget10"], {}))
    assert list(probes) == ["forget", "retain"]
    assert numbers(probes["retain"])["retain"] == list(range(8))
    assert {kind for probe in probes["retain"] for kind, _ in probe.score} == {"answer"}
    assert all(probe.generate for probe in probes["retain"])
    assert numbers(asked(some, ["forget05"], ["forget05"], {}))["retain"] == list(range(9))


def test_sets_measured_during_training_are_part_of_the_evaluation_sets(study):
    probes = asked(study, ["forget10"], ["forget10"], {"retain": 5})
    fewer = thinned(probes, {"retain": 3, "real_authors": 2, "world_facts": 99, "forget": 1})
    assert numbers(fewer) == {
        "forget": [8],
        "retain": [0, 2, 5],  # evenly spread over what `limits` left: 0, 1, 2, 4, 5
        "real_authors": [0, 4],
        "world_facts": [0, 1, 2, 3],
        "holdout": [0, 1, 2],
    }
    assert set(fewer) <= set(probes)
    assert thinned(probes, {}) == probes
    assert set(by_set(thinned(by_set(probes)["forget"], {"holdout": 1}))) == {"forget"}, "a limit makes no set"


def test_a_split_that_is_not_there_is_an_error(study):
    with pytest.raises(InputError, match=r"no split 'forget01'; it has forget05, forget10"):
        asked(study, ["forget01"], ["forget01"], {})


def test_sets_of_the_fictional_benchmark(data):
    sets = by_set(asked(data, ["forget10"], ["forget10"], {}))
    assert list(sets) == ["forget", "retain", "real_authors", "world_facts", "holdout"]
    assert len(sets["forget"]) == 4
    assert len(sets["retain"]) == 44
    assert not {probe.group for probe in sets["forget"]} & {probe.group for probe in sets["retain"]}


def test_scored_answers():
    own = row(0, splits=("forget10",), perturbed_answers=("No.", "Never."), paraphrased_answer="It is answer 0.")
    kept = row(1, splits=("retain90",), perturbed_answers=("No.",))
    data = Tofu().data([own, kept, row(0, "holdout", ("forget10",), perturbed_answers=("No.",))])
    probes = {probe.set: probe for probe in data.probes}
    assert probes["forget"].numbered() == [
        ("answer", 0, "Answer 0."),
        ("paraphrase", 0, "It is answer 0."),
        ("perturbed", 0, "No."),
        ("perturbed", 1, "Never."),
    ]
    assert probes["retain"].numbered() == [("answer", 0, "Answer 1."), ("perturbed", 0, "No.")]
    assert probes["holdout"].numbered() == [("answer", 0, "Answer 0.")]
    assert not probes["holdout"].generate


# --- measuring --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probes(data):
    return asked(
        data,
        ["forget10"],
        ["forget10"],
        {"forget": 3, "retain": 2, "real_authors": 2, "world_facts": 2, "holdout": 2},
    )


@pytest.fixture(scope="module")
def config():
    return MeasureConfig(max_new_tokens=6)


@pytest.fixture(scope="module")
def measured(tiny, encoder, probes, config):
    return measure(tiny[0], encoder, probes, config, 700, None)


@torch.no_grad()
def plain_logprobs(model, prompt, answer):
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.double().log_softmax(-1)[range(len(answer)), answer].numpy()


def test_measuring_is_tokens_and_generations(measured, tiny, encoder, probes, config):
    """Each half by itself gives the same, and what it took."""
    tokens, teacher_forced = measure_tokens(tiny[0], encoder, probes, 700, None)
    generations, generation = measure_generations(tiny[0], encoder, probes, config, 700, None)
    pd.testing.assert_frame_equal(tokens, measured[0])
    pd.testing.assert_frame_equal(generations, measured[1])
    for phase, cost in (("teacher_forced", teacher_forced), ("generation", generation)):
        assert cost.real_tokens == measured[2][phase].real_tokens
        assert cost.batches == measured[2][phase].batches
    assert list(tokens.columns) == TOKEN_COLUMNS


def test_no_generations_look_like_generations_without_rows(measured, probes):
    nothing = no_generations()
    assert nothing.empty
    assert list(nothing.columns) == list(measured[1].columns) == GENERATION_COLUMNS
    assert (nothing.dtypes == measured[1].dtypes).all()
    assert restrict(nothing, probes).empty
    stacked = pd.concat([nothing, measured[1]], ignore_index=True)
    pd.testing.assert_frame_equal(stacked, measured[1])


def test_token_table_has_one_row_per_label_token(measured, encoder, probes):
    tokens, _, _ = measured
    assert set(tokens.columns) == {"set", "sample", "kind", "index", "position", "token_id"} | SCORES
    expected = [
        (probe.set, probe.id, kind, index, position, token)
        for probe in probes
        for kind, index, text in probe.numbered()
        for position, token in enumerate(encoder.answer(text)[0])
    ]
    columns = ["set", "sample", "kind", "index", "position", "token_id"]
    assert list(tokens[columns].itertuples(index=False, name=None)) == expected
    assert set(tokens.loc[tokens["set"] == "holdout", "kind"]) == {"answer"}
    assert not tokens[list(SCORES)].isna().any(axis=None)


def test_logprobs_are_those_of_the_plain_way(measured, tiny, encoder, probes):
    tokens, _, _ = measured
    texts = {
        (probe.set, probe.id, kind, index): (encoder.prompt(probe.prompt), encoder.answer(text)[0])
        for probe in probes
        for kind, index, text in probe.numbered()
    }
    groups = tokens.groupby(["set", "sample", "kind", "index"], sort=False)
    assert len(groups) == len(texts)
    for key, group in groups:
        np.testing.assert_allclose(group["logprob"], plain_logprobs(tiny[0], *texts[key]), rtol=0, atol=1e-5)


def test_generations_are_greedy_and_without_holdout(measured, tiny, encoder, probes, config):
    _, generations, _ = measured
    rows = [(probe.set, probe) for probe in probes if probe.set != "holdout"]
    assert list(generations.columns) == ["set", "sample", "generation"]
    assert list(zip(generations["set"], generations["sample"], strict=True)) == [(n, r.id) for n, r in rows]
    model, tokenizer = tiny
    for (_, record), found in zip(rows[:3], generations["generation"][:3], strict=True):
        ids = torch.tensor([encoder.prompt(record.prompt)])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=config.max_new_tokens,
            pad_token_id=0,
        )
        assert found == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_costs_are_counted_by_phase(measured, encoder, probes):
    tokens, _, cost = measured
    prompts = [len(encoder.prompt(probe.prompt)) for probe in probes]
    assert set(cost) == {"teacher_forced", "generation"}
    assert cost["teacher_forced"].real_tokens == len(tokens) + sum(prompts) - len(prompts)
    assert cost["generation"].real_tokens > 0
    assert cost["generation"].seconds > 0


def test_too_long_perturbed_answer_is_an_error(tiny, encoder, probes, config):
    probe = replace(probes[0], score=(*probes[0].score, ("perturbed", "far " * 300)))
    with pytest.raises(InputError, match=probe.id):
        measure(tiny[0], encoder, [probe], config, 700, None)


def test_restrict_keeps_rows_of_the_sets_asked_for(measured, probes):
    tokens, generations, _ = measured
    fewer = [probes[0], *by_set(probes)["holdout"]]
    kept = restrict(tokens, fewer)
    assert set(zip(kept["set"], kept["sample"], strict=True)) == {(probe.set, probe.id) for probe in fewer}
    wanted = (tokens["set"] == "holdout") | (tokens["sample"] == probes[0].id)
    pd.testing.assert_frame_equal(kept, tokens[wanted].reset_index(drop=True))
    assert restrict(generations, fewer)["sample"].tolist() == [probes[0].id]


def test_restrict_looks_at_set_and_sample(measured, probes):
    """A sample may be in two sets; asking for it in one does not bring its rows in the other."""
    tokens, _, _ = measured
    assert restrict(tokens, [replace(probe, set="retain") for probe in by_set(probes)["forget"]]).empty


def test_text_is_asked_as_it_stands(tiny, encoder):
    """Style plain: neither the config's words nor an end token; generations are cut before `stop`."""
    probe = Probe("s", "p", "g", "Once upon", (("option", " a time"), ("option", " the")), 6, style="plain")
    tokens, generations, _ = measure(tiny[0], encoder, [probe], MeasureConfig(max_new_tokens=9), 700, None)
    ids = {text: encoder.tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("Once upon", " a time")}
    own = tokens[tokens["index"] == 0]
    assert own["token_id"].tolist() == ids[" a time"]
    expected = plain_logprobs(tiny[0], ids["Once upon"], ids[" a time"])
    np.testing.assert_allclose(own["logprob"], expected, rtol=0, atol=1e-5)
    (said,) = generations["generation"]
    assert 0 < len(encoder.tokenizer(said)["input_ids"]) <= 6
    stop = said[2:4]
    cut = measure(tiny[0], encoder, [replace(probe, stop=stop)], MeasureConfig(), 700, None)[1]["generation"][0]
    assert cut == said[: said.index(stop)]


def test_text_without_a_prompt_is_scored_from_its_second_token(tiny, encoder):
    """The tokenizer has no start token: nothing predicts the first one."""
    probe = Probe("s", "p", "g", "", (("answer", "Once upon a time"), ("answer", "The end of it")), style="plain")
    tokens, _, _ = measure(tiny[0], encoder, [probe], MeasureConfig(), 700, None)
    for index, (_, text) in enumerate(probe.score):
        first, *rest = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        own = tokens[tokens["index"] == index]
        assert own["token_id"].tolist() == rest
        np.testing.assert_allclose(own["logprob"], plain_logprobs(tiny[0], [first], rest), rtol=0, atol=1e-5)


def test_generations_of_different_lengths_are_in_the_order_of_the_probes(tiny, encoder, probes):
    asked_for = [replace(probe, generate=longest) for probe, longest in zip(probes, (3, 1, 2), strict=False)]
    _, generations, cost = measure(tiny[0], encoder, asked_for, MeasureConfig(max_new_tokens=2), 700, None)
    assert generations["sample"].tolist() == [probe.id for probe in asked_for]
    assert cost["generation"].batches == 2
    lengths = [len(encoder.tokenizer(text)["input_ids"]) for text in generations["generation"]]
    assert max(lengths) <= 2
    assert lengths[1] <= 1


# --- end tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("named", "expected"), [(None, {0}), (5, {0, 5}), ([0, 7, 9], {0, 7, 9})])
def test_end_tokens_are_the_tokenizers_and_the_models(tiny, encoder, named, expected):
    model = copy.deepcopy(tiny[0])
    model.generation_config = GenerationConfig(eos_token_id=named)
    assert encoder.tokenizer.eos_token_id == 0
    assert end_tokens(model, encoder) == expected


# --- the token table's scores -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forget(data):
    return data.forget("forget10")


@pytest.fixture(scope="module")
def table(encoder, forget):
    return token_table(encoder, forget)


def test_score_table_adds_columns_and_nothing_else(tiny, encoder, forget, table):
    scored = score_table(tiny[0], encoder, forget, table, [1.0, 2.0], None)
    assert list(scored.columns) == [*table.columns, "logprob", "entropy_T1.0", "entropy_T2.0"]
    pd.testing.assert_frame_equal(scored[table.columns], table)
    for record in forget:
        rows = scored[scored["sample"] == record.id]
        prompt, ids = encoder.prompt(record.prompt), rows["token_id"].tolist()
        np.testing.assert_allclose(rows["logprob"], plain_logprobs(tiny[0], prompt, ids), rtol=0, atol=1e-5)
        with torch.no_grad():
            logits = tiny[0](torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].double()
        for t in (1.0, 2.0):
            log_p = (logits / t).log_softmax(-1)
            np.testing.assert_allclose(rows[f"entropy_T{t}"], -(log_p.exp() * log_p).sum(-1), rtol=0, atol=1e-5)


def test_score_table_adds_a_column_for_each_form(sharp, encoder, forget, table):
    forms = (Variance(temperature=2.0), TopKEntropy(k=3))
    scored = score_table(sharp, encoder, forget, table, [1.0], None, forms)
    added = ["logprob", "entropy_T1.0", "variance_T2.0", "top_k_entropy_k3_T1.0"]
    assert list(scored.columns) == [*table.columns, *added]
    for record in forget:
        rows = scored[scored["sample"] == record.id]
        prompt, ids = encoder.prompt(record.prompt), rows["token_id"].tolist()
        with torch.no_grad():
            logits = sharp(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].double()
        variance = 1 - (logits / 2).softmax(-1).square().sum(-1)
        np.testing.assert_allclose(rows["variance_T2.0"], variance, rtol=0, atol=1e-5)
        top = logits.softmax(-1).topk(3).values
        top = top / top.sum(-1, keepdim=True)
        entropy = -(top * top.log()).sum(-1)
        np.testing.assert_allclose(rows["top_k_entropy_k3_T1.0"], entropy, rtol=0, atol=1e-5)
    assert scored["variance_T2.0"].nunique() > 10, "of each token its own"


def test_score_table_without_temperatures_has_log_probabilities_alone(sharp, encoder, forget, table):
    """What refusals are scored for."""
    assert list(score_table(sharp, encoder, forget, table, [], None).columns) == [*table.columns, "logprob"]


def test_score_table_finds_rows_of_a_shuffled_table(tiny, encoder, forget, table):
    scored = score_table(tiny[0], encoder, forget, table, [1.0], None)
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = score_table(tiny[0], encoder, forget[::-1], table.iloc[order].reset_index(drop=True), [1.0], None)
    pd.testing.assert_frame_equal(shuffled, scored.iloc[order].reset_index(drop=True), check_exact=False, atol=1e-5)


def test_score_table_refuses_foreign_tables(tiny, encoder, data, forget, table):
    other = token_table(encoder, data.retain("forget10")[:4])
    foreign = {
        "other samples": other,
        "a sample more": pd.concat([table, other]),
        "a sample less": table[table["sample"] != forget[0].id],
        "a token less": table.iloc[:-1],
        "as many tokens of other samples": table.assign(sample=table["sample"].str.replace("full", "other")),
    }
    for wrong in foreign.values():
        with pytest.raises(InputError, match="do not belong together"):
            score_table(tiny[0], encoder, forget, wrong.reset_index(drop=True), [1.0], None)


def test_score_table_refuses_other_tokens_at_the_same_places(tiny, encoder, forget, table):
    with pytest.raises(InputError, match="do not belong together"):
        score_table(tiny[0], encoder, forget, table.assign(token_id=table["token_id"] + 1), [1.0], None)
