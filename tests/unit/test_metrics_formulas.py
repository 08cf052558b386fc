"""Each formula of the metrics against values worked out by hand."""

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from lethe.benchmarks.tofu_metrics import METRICS, NINE, TEACHER_FORCED
from lethe.metrics import Value
from lethe.metrics.aggregate import absolute, aggregate, delta_mu
from lethe.metrics.forget_quality import forget_quality
from lethe.metrics.membership import auc, compressed_bytes, min_k_score, privleak, standardised
from lethe.metrics.memorisation import exact_memorization, extraction_strength
from lethe.metrics.probability import normalised, probability
from lethe.metrics.rouge import rouge_l_recall
from lethe.metrics.truth_ratio import closeness, knowledge, superiority, truth_ratio
from lethe.metrics.utility import harmonic_mean

# --- value --------------------------------------------------------------------------------------------------


def test_an_undefined_value_needs_a_reason_and_a_defined_one_is_finite():
    with pytest.raises(ValueError, match="reason"):
        Value(None)
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="no value"):
            Value(number)


# --- probability and truth ratio ----------------------------------------------------------------------------


def test_probability_is_exp_of_minus_the_mean_loss():
    np.testing.assert_allclose(probability(np.array([0.0, math.log(4)])), [1.0, 0.25], rtol=1e-15)


def test_normalised_probability():
    assert normalised(np.array([0.3]), np.array([0.9]))[0] == pytest.approx(0.25, rel=1e-9)
    assert normalised(np.array([0.0]), np.array([0.0]))[0] == 0  # the epsilon


def test_truth_ratio_and_its_forms():
    correct = np.log([2.0, 8.0, 4.0])  # probabilities 1/2, 1/8, 1/4
    false = np.log([4.0, 2.0, 4.0])  # 1/4, 1/2, 1/4
    ratio = truth_ratio(correct, false)
    np.testing.assert_allclose(ratio, [0.5, 4.0, 1.0], rtol=1e-8)
    np.testing.assert_allclose(closeness(ratio), [0.5, 0.25, 1.0], rtol=1e-8)
    np.testing.assert_allclose(superiority(ratio), [0.5, 0.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(knowledge(correct, false), [2 / 3, 0.2, 0.5], rtol=1e-8)


def test_the_epsilon_of_the_truth_ratio_of_a_collapsed_model():
    ratio = truth_ratio(np.array([1e4]), np.array([math.log(1e5)]))  # 1e-5 / (0 + 1e-10)
    assert ratio[0] == pytest.approx(1e5, rel=1e-9)
    assert closeness(np.array([0.0]))[0] == 0


def test_undefined_losses_stay_undefined():
    ratio = truth_ratio(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
    for values in (ratio, closeness(ratio), superiority(ratio)):
        assert np.isnan(values).all()


# --- memorisation -------------------------------------------------------------------------------------------

PREDICTIONS = {
    "all right": ([1, 1, 1, 1], 1.0, 1.0, 1.0),
    "right from the third on": ([0, 0, 1, 1], 0.5, 0.5, 0.5),
    "a right one before a wrong one does not count": ([1, 0, 1, 1], 0.75, 0.5, 0.5),
    "last one only": ([0, 0, 0, 1], 0.25, 0.25, 0.25),
    "last one wrong": ([1, 1, 1, 0], 0.75, 0.0, 0.25),
    "nothing right": ([0, 0, 0, 0], 0.0, 0.0, 0.25),
    "one token, wrong": ([0], 0.0, 0.0, 1.0),
    "no token": ([], math.nan, math.nan, math.nan),
}


@pytest.mark.parametrize(("greedy", "em", "es", "es_compat"), PREDICTIONS.values(), ids=list(PREDICTIONS))
def test_memorisation_by_hand(greedy, em, es, es_compat):
    greedy, position = np.array(greedy, dtype=bool), np.arange(len(greedy))
    answer = np.zeros(len(greedy), dtype=int)
    assert exact_memorization(greedy, answer, 1)[0] == pytest.approx(em, nan_ok=True)
    assert extraction_strength(greedy, position, answer, 1)[0] == pytest.approx(es, nan_ok=True)
    assert extraction_strength(greedy, position, answer, 1, ou_compat=True)[0] == pytest.approx(es_compat, nan_ok=True)


@pytest.mark.parametrize("ou_compat", [False, True])
def test_memorisation_of_many_answers_equals_the_plain_loop(ou_compat):
    random = np.random.default_rng(0)
    answers = [random.random(random.integers(0, 9)) < 0.7 for _ in range(300)]
    strengths = []
    for greedy in answers:
        n = len(greedy)
        starts = [k for k in range(n) if greedy[k:].all()]
        k = starts[0] if starts else (n - 1 if ou_compat else n)
        strengths.append(1 - k / n if n else math.nan)
    flat = np.concatenate(answers)
    answer = np.repeat(np.arange(300), [len(greedy) for greedy in answers])
    position = np.concatenate([np.arange(len(greedy)) for greedy in answers])
    np.testing.assert_allclose(extraction_strength(flat, position, answer, 300, ou_compat), strengths)
    shares = [greedy.mean() if len(greedy) else math.nan for greedy in answers]
    np.testing.assert_allclose(exact_memorization(flat, answer, 300), shares)


# --- membership ---------------------------------------------------------------------------------------------


def test_min_k_takes_the_lowest_values_of_each_answer():
    values = np.array([-1.0, -5.0, -2.0, -4.0, -3.0, -0.5, -7.0])
    answer = np.array([0, 0, 0, 0, 0, 1, 3])  # answer 2 has no token
    scores = min_k_score(values, answer, 4, 0.4)  # floor(0.4 * 5) = 2; floor(0.4 * 1) = 0, so 1
    np.testing.assert_array_equal(scores, [4.5, 0.5, np.nan, 7.0])


def test_min_k_rounds_down_and_an_undefined_token_makes_the_score_undefined():
    values = np.array([-4.0, -3.0, -2.0, -1.0])
    assert min_k_score(values, np.zeros(4, int), 1, 0.4)[0] == 4.0  # floor(1.6) = 1
    assert min_k_score(values, np.zeros(4, int), 1, 1.0)[0] == 2.5
    values[3] = np.nan
    assert np.isnan(min_k_score(values, np.zeros(4, int), 1, 0.4)[0])


def test_standardised_log_probability():
    # p = (1/2, 1/4, 1/4): mean of log2 p = -1.5, variance 0.25; the first token lies one deviation above
    log = np.log([0.5, 0.25])
    mean, std = -1.5 * math.log(2), 0.5 * math.log(2)
    np.testing.assert_allclose(standardised(log, mean, std), [1.0, -1.0])


def test_compressed_bytes_count_the_utf8_form():
    texts = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Jaén Müller", ""]
    assert compressed_bytes(texts).tolist() == [len(zlib.compress(text.encode("utf-8"))) for text in texts]
    assert compressed_bytes(texts)[0] < 20


def test_auc_is_one_when_forget_data_look_trained_on():
    assert auc(np.array([0.1, 0.2]), np.array([1.0, 2.0])).value == 1
    assert auc(np.array([1.0, 2.0]), np.array([0.1, 0.2])).value == 0
    assert auc(np.array([1.0, 1.0]), np.array([1.0, 1.0, 1.0])).value == 0.5
    assert auc(np.array([1.0, 3.0]), np.array([2.0, 4.0])).value == 0.75  # 3 of 4 pairs in order


def test_auc_drops_and_counts_undefined_scores():
    value = auc(np.array([0.0, np.nan]), np.array([1.0, np.inf, 2.0]))
    assert (value.value, value.counts) == (1.0, {"forget": 1, "holdout": 2, "dropped": 2})


@pytest.mark.parametrize(("forget", "holdout", "name"), [([], [1.0], "forget"), ([1.0], [np.nan], "holdout")])
def test_auc_of_one_class_is_undefined(forget, holdout, name):
    value = auc(np.array(forget), np.array(holdout))
    assert value.value is None
    assert f"'{name}'" in value.reason


def test_privleak_by_hand():
    assert privleak(Value(0.9), Value(0.5)).value == pytest.approx(-80, rel=1e-9)  # (0.1 - 0.5) / 0.5
    assert privleak(Value(0.25), Value(0.5)).value == pytest.approx(50, rel=1e-9)
    assert privleak(Value(0.5), Value(0.5)).value == 0
    assert privleak(Value(0.0), Value(0.0)).value == 0
    assert absolute(privleak(Value(0.9), Value(0.5))).value == pytest.approx(80, rel=1e-9)


def test_privleak_is_undefined_without_either_auc_or_without_a_base():
    missing = Value(None, "no holdout")
    assert "the model: no holdout" in privleak(missing, Value(0.5)).reason
    assert "the retain model: no holdout" in privleak(Value(0.5), missing).reason
    assert privleak(Value(0.5), Value(1.0)).value is None
    assert absolute(missing) == missing


# --- ROUGE --------------------------------------------------------------------------------------------------


def test_rouge_l_recall_by_hand():
    answer = "The author writes historical novels."  # 5 words
    generations = [
        "  The authors wrote historical novels about Kuwait\n",  # the author[s] historical novels: 4 of 5
        "novels historical",  # one in order
        "",
        answer,
    ]
    np.testing.assert_allclose(rouge_l_recall([answer] * 4, generations), [0.8, 0.2, 0, 1])


def test_rouge_l_recall_is_rouge_scores():
    answer, generation = (
        "Basil Mahfouz Al-Kuwaiti was born in Kuwait City.",
        "He was born, in the city of Kuwait",
    )
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(answer, generation)["rougeL"]
    assert rouge_l_recall([answer], [generation])[0] == expected.recall
    assert expected.recall != expected.precision


def test_rouge_of_an_answer_without_countable_words_is_undefined():
    assert np.isnan(rouge_l_recall(["—"], ["anything"])[0])


model_utility = METRICS["model_utility"].of


# --- utility ------------------------------------------------------------------------------------------------


def test_model_utility_is_the_harmonic_mean_of_nine():
    parts = {name: Value(1 / (i + 1)) for i, name in enumerate(NINE)}
    assert model_utility(parts).value == pytest.approx(9 / 45, rel=1e-14)
    assert model_utility({**parts, "forget_Q_A_Prob": Value(0.0)}) == model_utility(parts) == harmonic_mean(parts)


def test_model_utility_names_the_parts_that_are_zero():
    parts = {name: Value(0.5) for name in NINE} | {"ra_Truth_Ratio": Value(0.0), "wf_Q_A_ROUGE": Value(0.0)}
    value = model_utility(parts)
    assert value.value == 0
    assert value.reason == "0 because of ra_Truth_Ratio, wf_Q_A_ROUGE"


def test_model_utility_without_one_part_is_undefined():
    parts = {name: Value(0.5) for name in NINE} | {"wf_Truth_Ratio": Value(None, "not measured")}
    assert model_utility(parts) == Value(None, "wf_Truth_Ratio: not measured")


def test_the_nine_are_declared_metrics_where_higher_is_better():
    assert len(set(NINE)) == 9
    assert {METRICS[name].better for name in NINE} == {"higher"}


def test_teacher_forced_utility_is_the_harmonic_mean_of_the_six_without_generation():
    assert len(TEACHER_FORCED) == 6
    assert set(NINE) - set(TEACHER_FORCED) == {"retain_Q_A_ROUGE", "ra_Q_A_ROUGE", "wf_Q_A_ROUGE"}
    parts = {name: Value(1 / (i + 1)) for i, name in enumerate(TEACHER_FORCED)}
    assert METRICS["utility_teacher_forced"].of(parts).value == pytest.approx(6 / 21, rel=1e-14)
    rouge = {name: Value(None, "no generation") for name in NINE if name not in TEACHER_FORCED}
    assert METRICS["utility_teacher_forced"].of({**parts, **rouge}).value == pytest.approx(6 / 21, rel=1e-14)
    zero = {**parts, "wf_Truth_Ratio": Value(0.0), "wf_Q_A_ROUGE": Value(0.0)}
    assert METRICS["utility_teacher_forced"].of(zero) == Value(0.0, "0 because of wf_Truth_Ratio")


# --- forget quality and aggregate ---------------------------------------------------------------------------


def at_distance(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of n whose Kolmogorov-Smirnov statistic is k/n."""
    return np.arange(n, dtype=float), np.arange(n) + k - 0.5


def exact_p(n: int, k: int) -> Fraction:
    """Two-sided exact p-value of D = k/n: reflection principle, paths that leave a strip of half-width k."""
    terms = [(-1) ** (j - 1) * math.comb(2 * n, n - j * k) for j in range(1, n // k + 1)]
    return Fraction(2 * sum(terms), math.comb(2 * n, n))


PUBLISHED = {  # ETW (arXiv 2604.17785), main table: k on the lattice k/400, −log10 FQ, ΔMU, Agg.
    "GA": (52, 2.6394, 4.271, 11.273),
    "WGA": (49, 2.3091, 5.365, 12.388),
    "SatImp": (54, 2.8707, 5.258, 15.093),
    "SCN": (53, 2.7539, 3.548, 9.772),
    "ETW": (27, 0.4919, 3.471, 1.707),
}


@pytest.mark.parametrize(("k", "neg_log", "lost", "product"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_published_forget_quality_and_aggregate(k, neg_log, lost, product):
    p, neg_log10_p = forget_quality(*at_distance(400, k))
    assert p.value == pytest.approx(float(exact_p(400, k)), rel=1e-9)
    assert neg_log10_p.value == pytest.approx(neg_log, abs=5.1e-5)
    assert aggregate(neg_log10_p, Value(lost)).value == pytest.approx(product, abs=1.1e-3)  # ΔMU is rounded


@pytest.mark.parametrize(("n", "k"), [(40, 7), (200, 31), (400, 400)])
def test_forget_quality_of_the_other_splits(n, k):
    p, neg_log10_p = forget_quality(*at_distance(n, k))
    assert p.value == pytest.approx(float(exact_p(n, k)), rel=1e-9)
    assert neg_log10_p.value == pytest.approx(-math.log10(exact_p(n, k)), rel=1e-12)


def test_forget_quality_of_equal_samples_is_one_and_its_logarithm_plain_zero():
    p, neg_log10_p = forget_quality(np.arange(5.0), np.arange(5.0))
    assert (p.value, neg_log10_p.value) == (1.0, 0.0)
    assert math.copysign(1, neg_log10_p.value) == 1


@pytest.mark.parametrize(("n", "k"), [(600, 600), (1200, 900)])
def test_a_p_value_that_underflows_keeps_its_logarithm(n, k):
    p, neg_log10_p = forget_quality(*at_distance(n, k))
    exact = exact_p(n, k)
    expected = math.log10(exact.denominator) - math.log10(exact.numerator)
    assert expected > 308
    assert p.value == 0
    assert p.reason.startswith("p-value underflows")
    assert neg_log10_p.value == pytest.approx(expected, rel=1e-11)


def test_forget_quality_drops_a_sample_from_both_sides():
    model, retain = at_distance(40, 7)
    with_gaps = forget_quality(np.r_[model, np.nan, 5.0], np.r_[retain, 1.0, np.nan])
    assert with_gaps[0].value == forget_quality(model, retain)[0].value
    assert with_gaps[0].counts == {"samples": 40, "dropped": 2}


def test_forget_quality_without_samples_is_undefined():
    for value in forget_quality(np.array([np.nan]), np.array([1.0])):
        assert value.value is None
        assert "truth ratio" in value.reason


def test_delta_mu_is_in_percentage_points():
    assert delta_mu(Value(0.6), Value(0.55)).value == pytest.approx(5)
    assert delta_mu(Value(0.5), Value(0.55)).value == pytest.approx(-5)
    assert "full model: why" in delta_mu(Value(None, "why"), Value(0.5)).reason
    assert "of the model: why" in delta_mu(Value(0.5), Value(None, "why")).reason


def test_aggregate_is_undefined_where_no_utility_is_lost():
    assert aggregate(Value(0.0), Value(3.0)).value == 0
    for lost in (0.0, -1.0):
        value = aggregate(Value(2.0), Value(lost))
        assert value.value is None
        assert "no utility is lost" in value.reason
    assert "why" in aggregate(Value(None, "why"), Value(3.0)).reason
    assert "why" in aggregate(Value(2.0), Value(None, "why")).reason
