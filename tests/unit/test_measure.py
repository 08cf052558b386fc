"""What is measured on which rows, and that the stored numbers are those of the plain way."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GenerationConfig

from lethe.config import EvaluationConfig
from lethe.errors import InputError
from lethe.evaluation.measure import (
    answers_of,
    end_tokens,
    measure,
    measure_generations,
    measure_tokens,
    no_generations,
)
from lethe.evaluation.sets import epoch_sets, evaluation_sets, restrict
from lethe.methods.forms import TopKEntropy, Variance
from lethe.metrics.columns import GENERATION_COLUMNS, TOKEN_COLUMNS
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

SCORES = {"logprob", "greedy", "mean_logprob", "std_logprob"}


def row(i, set="full", splits=(), **fields):
    return Record(f"{set}-{i:04d}", set, "author", f"Question {i}?", f"Answer {i}.", splits=splits, **fields)


@pytest.fixture
def study():
    """Ten rows of `full`: 9 in forget05, 8-9 in forget10, the rest retained; perturbed answers for rows 0-5 and 8."""
    rows = []
    for i in range(10):
        splits = ("forget05" if i == 9 else "retain95", "forget10" if i >= 8 else "retain90")
        rows.append(row(i, splits=splits, perturbed_answers=("No.", "Never.") if i < 6 or i == 8 else ()))
    rows += [row(i, "real_authors", perturbed_answers=("No.",)) for i in range(5)]
    rows += [row(i, "world_facts", perturbed_answers=("No.",)) for i in range(4)]
    rows += [row(i, "holdout", ("forget05", "forget10") if i == 0 else ("forget10",)) for i in range(3)]
    return [*rows, row(0, "world")]


def numbers(sets):
    return {name: [int(r.id[-4:]) for r in rows] for name, rows in sets.items()}


# --- sets -------------------------------------------------------------------------------------------------


def test_sets_of_a_split(study):
    assert numbers(evaluation_sets(study, ["forget10"], ["forget10"], {})) == {
        "forget": [8, 9],
        "retain": [0, 1, 2, 3, 4, 5],
        "real_authors": [0, 1, 2, 3, 4],
        "world_facts": [0, 1, 2, 3],
        "holdout": [0, 1, 2],
    }


def test_retain_rows_are_retained_under_every_split_of_the_study(study):
    """Row 8 has perturbed answers and is retained under forget05, but forgotten under forget10."""
    assert 8 in numbers(evaluation_sets(study, ["forget05"], ["forget05"], {}))["retain"]
    several = evaluation_sets(study, ["forget05"], ["forget05", "forget10"], {})
    assert numbers(several)["retain"] == [0, 1, 2, 3, 4, 5]
    assert several["retain"] == evaluation_sets(study, ["forget10"], ["forget05", "forget10"], {})["retain"]


def test_several_splits_are_joined_without_doubles(study):
    sets = numbers(evaluation_sets(study, ["forget05", "forget10"], ["forget05", "forget10"], {}))
    assert sets["forget"] == [9, 8]
    assert sets["holdout"] == [0, 1, 2]


def test_limits_spread_rows_evenly(study):
    limits = {"forget": 1, "retain": 3, "real_authors": 2, "world_facts": 9, "holdout": 1}
    assert numbers(evaluation_sets(study, ["forget10"], ["forget10"], limits)) == {
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
    both = evaluation_sets(study, splits, splits, limits)
    for split in splits:
        one = evaluation_sets(study, [split], splits, limits)
        for name, rows in one.items():
            assert set(rows) <= set(both[name]), (split, name)


def test_sets_that_a_benchmark_lacks_are_absent(study):
    some = [replace(r, perturbed_answers=()) for r in study if r.set == "full"]
    assert set(evaluation_sets(some, ["forget10"], ["forget10"], {})) == {"forget"}


def test_sets_measured_during_training_are_part_of_the_evaluation_sets(study):
    sets = evaluation_sets(study, ["forget10"], ["forget10"], {"retain": 5})
    fewer = epoch_sets(sets, {"retain": 3, "real_authors": 2, "world_facts": 99, "forget": 1})
    assert numbers(fewer) == {
        "forget": [8],
        "retain": [0, 2, 5],  # evenly spread over what `limits` left: 0, 1, 2, 4, 5
        "real_authors": [0, 4],
        "world_facts": [0, 1, 2, 3],
        "holdout": [0, 1, 2],
    }
    assert list(fewer) == list(sets)
    assert all(set(rows) <= set(sets[name]) for name, rows in fewer.items())
    assert epoch_sets(sets, {}) == sets
    assert "holdout" not in epoch_sets({"forget": sets["forget"]}, {"holdout": 1}), "a limit makes no set"


def test_empty_forget_split_is_an_error(study):
    with pytest.raises(InputError, match=r"forget01.*forget05, forget10, retain90, retain95"):
        evaluation_sets(study, ["forget01"], ["forget01"], {})


def test_sets_of_the_fictional_benchmark(data):
    sets = evaluation_sets(data, ["forget10"], ["forget10"], {})
    assert set(sets) == {"forget", "retain", "real_authors", "world_facts", "holdout"}
    assert len(sets["forget"]) == 4
    assert len(sets["retain"]) == 44
    assert not {r.group for r in sets["forget"]} & {r.group for r in sets["retain"]}


def test_scored_answers():
    record = row(0, perturbed_answers=("No.", "Never."), paraphrased_answer="It is answer 0.")
    everything = [
        ("answer", 0, "Answer 0."),
        ("paraphrase", 0, "It is answer 0."),
        ("perturbed", 0, "No."),
        ("perturbed", 1, "Never."),
    ]
    assert answers_of(record, "forget") == everything
    assert answers_of(replace(record, paraphrased_answer=None), "real_authors") == everything[:1] + everything[2:]
    assert answers_of(record, "holdout") == everything[:1]


# --- measuring --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sets(data):
    return evaluation_sets(
        data,
        ["forget10"],
        ["forget10"],
        {"forget": 3, "retain": 2, "real_authors": 2, "world_facts": 2, "holdout": 2},
    )


@pytest.fixture(scope="module")
def config():
    return EvaluationConfig(max_new_tokens=6, tokens_per_batch=700)


@pytest.fixture(scope="module")
def measured(tiny, encoder, sets, config):
    return measure(tiny[0], encoder, sets, config, None)


@torch.no_grad()
def plain_logprobs(model, prompt, answer):
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.double().log_softmax(-1)[range(len(answer)), answer].numpy()


def test_measuring_is_tokens_and_generations(measured, tiny, encoder, sets, config):
    """Each half by itself gives the same, and what it took."""
    tokens, teacher_forced = measure_tokens(tiny[0], encoder, sets, config.tokens_per_batch, None)
    generations, generation = measure_generations(tiny[0], encoder, sets, config, None)
    pd.testing.assert_frame_equal(tokens, measured[0])
    pd.testing.assert_frame_equal(generations, measured[1])
    for phase, cost in (("teacher_forced", teacher_forced), ("generation", generation)):
        assert cost.real_tokens == measured[2][phase].real_tokens
        assert cost.batches == measured[2][phase].batches
    assert list(tokens.columns) == TOKEN_COLUMNS


def test_no_generations_look_like_generations_without_rows(measured, sets):
    nothing = no_generations()
    assert nothing.empty
    assert list(nothing.columns) == list(measured[1].columns) == GENERATION_COLUMNS
    assert (nothing.dtypes == measured[1].dtypes).all()
    assert restrict(nothing, sets).empty
    stacked = pd.concat([nothing, measured[1]], ignore_index=True)
    pd.testing.assert_frame_equal(stacked, measured[1])


def test_token_table_has_one_row_per_label_token(measured, encoder, sets):
    tokens, _, _ = measured
    assert set(tokens.columns) == {"set", "sample", "kind", "index", "position", "token_id"} | SCORES
    expected = [
        (name, record.id, kind, index, position, token)
        for name, rows in sets.items()
        for record in rows
        for kind, index, text in answers_of(record, name)
        for position, token in enumerate(encoder.answer(text)[0])
    ]
    columns = ["set", "sample", "kind", "index", "position", "token_id"]
    assert list(tokens[columns].itertuples(index=False, name=None)) == expected
    assert set(tokens.loc[tokens["set"] == "holdout", "kind"]) == {"answer"}
    assert not tokens[list(SCORES)].isna().any(axis=None)


def test_logprobs_are_those_of_the_plain_way(measured, tiny, encoder, sets):
    tokens, _, _ = measured
    texts = {
        (name, record.id, kind, index): (encoder.prompt(record.question), encoder.answer(text)[0])
        for name, rows in sets.items()
        for record in rows
        for kind, index, text in answers_of(record, name)
    }
    groups = tokens.groupby(["set", "sample", "kind", "index"], sort=False)
    assert len(groups) == len(texts)
    for key, group in groups:
        np.testing.assert_allclose(group["logprob"], plain_logprobs(tiny[0], *texts[key]), rtol=0, atol=1e-5)


def test_generations_are_greedy_and_without_holdout(measured, tiny, encoder, sets, config):
    _, generations, _ = measured
    rows = [(name, record) for name in sets if name != "holdout" for record in sets[name]]
    assert list(generations.columns) == ["set", "sample", "generation"]
    assert list(zip(generations["set"], generations["sample"], strict=True)) == [(n, r.id) for n, r in rows]
    model, tokenizer = tiny
    for (_, record), found in zip(rows[:3], generations["generation"][:3], strict=True):
        ids = torch.tensor([encoder.prompt(record.question)])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=config.max_new_tokens,
            pad_token_id=0,
        )
        assert found == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_costs_are_counted_by_phase(measured, encoder, sets):
    tokens, _, cost = measured
    prompts = [len(encoder.prompt(r.question)) for rows in sets.values() for r in rows]
    assert set(cost) == {"teacher_forced", "generation"}
    assert cost["teacher_forced"].real_tokens == len(tokens) + sum(prompts) - len(prompts)
    assert cost["generation"].real_tokens > 0
    assert cost["generation"].seconds > 0


def test_too_long_perturbed_answer_is_an_error(tiny, encoder, sets, config):
    record = replace(sets["forget"][0], perturbed_answers=("far " * 300,))
    with pytest.raises(InputError, match=record.id):
        measure(tiny[0], encoder, {"forget": [record]}, config, None)


def test_restrict_keeps_rows_of_the_sets_asked_for(measured, sets):
    tokens, generations, _ = measured
    fewer = {"forget": sets["forget"][:1], "holdout": sets["holdout"]}
    kept = restrict(tokens, fewer)
    assert set(zip(kept["set"], kept["sample"], strict=True)) == {(n, r.id) for n in fewer for r in fewer[n]}
    wanted = (tokens["set"] == "holdout") | (tokens["sample"] == sets["forget"][0].id)
    pd.testing.assert_frame_equal(kept, tokens[wanted].reset_index(drop=True))
    assert restrict(generations, fewer)["sample"].tolist() == [sets["forget"][0].id]


def test_restrict_looks_at_set_and_sample(measured, sets):
    """A sample may be in two sets; asking for it in one does not bring its rows in the other."""
    tokens, _, _ = measured
    assert restrict(tokens, {"retain": sets["forget"]}).empty


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
        prompt, ids = encoder.prompt(record.question), rows["token_id"].tolist()
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
        prompt, ids = encoder.prompt(record.question), rows["token_id"].tolist()
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
