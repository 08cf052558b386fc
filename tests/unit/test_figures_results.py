"""Figures of runs, searches and epochs: what they draw and count, and the numbers that they rest on; not pixels."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.evaluation.substitute import by_substitute
from lethe.figures import (
    etw_fig3,
    etw_fig5,
    etw_fig7,
    etw_fig8,
    etw_fig9,
    style,
    token_text,
    tradeoff,
    trajectories,
)

TOFU = Tofu()

METHODS = ["GA", "WGA", "ETW", "Mine"]
MANY = [*METHODS, *(f"ETW-variant{k:02d}" for k in range(13))]
METRICS = ["model_utility", "neg_log10_fq", "delta_mu", "aggregate", "forget_quality"]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def labelled_lines(axes, label: str) -> list:
    return [line for line in axes.lines if line.get_label() == label]


def row(utility: float, quality: float, full: float = 0.6) -> tuple[float, float, float, float, float]:
    """Model utility, −log10 FQ, ΔMU (points), Agg., which is undefined where no utility is lost, and FQ."""
    lost = 100 * (full - utility)
    return utility, quality, lost, quality * lost if lost > 0 else math.nan, 10**-quality


def run_table(methods: list[str], splits: tuple[str, ...] = ("forget01", "forget10"), seeds: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for split in splits:
        rows += [("1B", split, "full", pd.NA, *row(0.6, 5.0), 98.0), ("1B", split, "retain", pd.NA, *row(0.59, 0), 0.0)]
        for method in methods:
            for seed in range(seeds):
                values = row(0.5 + 0.09 * rng.random(), 4 * rng.random())
                rows.append(("1B", split, method, seed, *values, 100 * rng.random()))
    return pd.DataFrame(rows, columns=["model", "split", "method", "seed", *METRICS, "abs_privleak"])


def search_table(method: str = "ETW", strengths: tuple[float, ...] = (0.1, 0.5)) -> pd.DataFrame:
    """T = 1, 2, 4; the best of each temperature is the strength 0.1, of all T = 2."""
    rows = []
    for split in ("forget01", "forget10"):
        for t in (4.0, 1.0, 2.0):
            for strength in strengths:
                parameters = {"weighting.temperature": t, "strength": strength}
                values = row(0.6 - 0.1 * strength, 1 + abs(t - 2))
                point = f"temperature={t},strength={strength}"
                chosen = (t, strength) == (2.0, 0.1)
                rows.append(("1B", split, method, point, json.dumps(parameters), 1000, chosen, *values))
    columns = ["model", "split", "method", "point", "parameters", "seed", "chosen", *METRICS]
    return pd.DataFrame(rows, columns=columns)


def trajectory_table(methods: list[str]) -> pd.DataFrame:
    """Utility falls by 0.02 each epoch, −log10 FQ by 2; the fifth epoch is the last and the lowest."""
    rows = [
        ("1B", "forget10", "full", pd.NA, pd.NA, *row(0.6, 12.0), 0.7),
        ("1B", "forget10", "retain", pd.NA, pd.NA, *row(0.59, 0), 0.69),
    ]
    for k, method in enumerate(methods):
        for seed in (0, 1):
            for epoch in range(6):
                values = row(0.6 - 0.02 * epoch - 0.001 * k * (epoch > 0), 12.0 - 2 * epoch + seed)
                rows.append(("1B", "forget10", method, seed, epoch, *values, 0.7 - 0.01 * epoch))
    columns = ["model", "split", "method", "seed", "epoch", *METRICS, "utility_teacher_forced"]
    return pd.DataFrame(rows, columns=columns).astype({"seed": "Int64", "epoch": "Int64"})


def without_generations(runs: pd.DataFrame) -> pd.DataFrame:
    """A trajectory table as the cheap suite leaves it."""
    return runs.assign(model_utility=np.nan, delta_mu=np.nan, aggregate=np.nan)


def cheap_run(utilities: list[float], qualities: list[float], full: float = 0.7) -> pd.DataFrame:
    """One run of the cheap suite: teacher-forced utility and −log10 FQ of the epochs from 1 on."""
    rows = [("full", pd.NA, pd.NA, full, 12.0), ("retain", pd.NA, pd.NA, 0.69, 0.0), ("ETW", 0, 0, full, 12.0)]
    rows += [("ETW", 0, epoch, *values) for epoch, values in enumerate(zip(utilities, qualities, strict=True), 1)]
    runs = pd.DataFrame(rows, columns=["method", "seed", "epoch", "utility_teacher_forced", "neg_log10_fq"])
    runs["forget_quality"] = 10 ** -runs["neg_log10_fq"]
    return without_generations(runs.assign(model="1B", split="forget10")).astype({"seed": "Int64", "epoch": "Int64"})


def paths(runs: pd.DataFrame, methods: list[str], *choice: str) -> Figure:
    """The figure of trajectories; `choice` is utility and rule."""
    return trajectories.draw(
        runs, trajectories.best_epochs(runs, *choice, benchmark=TOFU), methods, *choice, benchmark=TOFU
    )


@pytest.fixture(scope="module")
def tokens() -> pd.DataFrame:
    """Three answers of 8 tokens and EOS; words 2 and 5 are informative, about the last answer nothing is known."""
    rows = []
    for sample in ("full-0000", "full-0001", "full-0002"):
        for position in range(9):
            eos = position == 8
            text = "" if eos else ("Word" if position == 0 else f" word{position}")
            known = pd.NA if sample == "full-0002" else position in (2, 5)
            rows.append((sample, position, 100 + position, text, eos, known))
    table = pd.DataFrame(rows, columns=["sample", "position", "token_id", "text", "eos", "informative_gold"])
    rng = np.random.default_rng(0)
    for method in MANY:
        table[f"weight_{method}"] = rng.random(len(table))
    return table.astype({"informative_gold": "boolean"}).assign(logprob=np.log(0.9))


def measured(tokens: pd.DataFrame, informative: float, structural: float) -> pd.DataFrame:
    """Measured tokens of a model: p by kind; rows of another set and another answer must not matter."""
    own = tokens[["sample", "position", "token_id"]].copy()
    kind = tokens["informative_gold"].fillna(False).to_numpy(bool)
    own["logprob"] = np.log(np.where(kind, informative, structural)).astype("float32")
    own = own.assign(set="forget", kind="answer")
    return pd.concat([own, own.assign(kind="perturbed", logprob=-9.0), own.assign(set="retain", logprob=-9.0)])


def answers(tokens: pd.DataFrame, informative: float, structural: float) -> pd.DataFrame:
    return etw_fig7.answers(measured(tokens, informative, structural))


@pytest.fixture(scope="module")
def found(tokens) -> pd.DataFrame:
    models = {
        "full": answers(tokens, 0.9, 0.95),
        "retain": answers(tokens, 0.1, 0.6),
        "GA": answers(tokens, 0.5, 0.6),
        "ETW": answers(tokens, 0.2, 0.5),
    }
    return etw_fig7.probabilities(tokens, models, "gold")


def recorded(tokens: pd.DataFrame, epochs: int = 9) -> pd.DataFrame:
    """Weight of informative tokens 2 at the start, falling by 0.25 per epoch; 1 elsewhere."""
    frames = []
    for epoch in range(epochs):
        weight = np.where(tokens["informative_gold"].fillna(False), 2 - 0.25 * epoch, 1.0)
        # probabilities do not order the tokens as the weights do: nothing may be read from them
        logprob = -0.1 - 0.01 * ((7 * np.arange(len(tokens))) % 10)
        frame = tokens[["sample", "position", "token_id"]].assign(epoch=epoch, logprob=logprob, weight=weight)
        frames.append(frame.sample(frac=1, random_state=epoch))
    return pd.concat(frames)


@pytest.fixture(scope="module")
def figures(tokens, found) -> dict[str, Figure]:
    weights = {method: recorded(tokens) for method in METHODS}
    many = pd.concat([found, *(found[found["who"] == "ETW"].assign(who=name) for name in MANY[3:])])
    collapsed = run_table(MANY, ("forget10",))
    lost = collapsed["method"] == "GA"
    collapsed.loc[lost, "model_utility"], collapsed.loc[lost, "neg_log10_fq"] = 0.0, 200.0
    collapsed.loc[lost, "aggregate"] = 12000.0
    collapsed.loc[collapsed["method"] == "Mine", "aggregate"] = np.nan
    return {
        "fig5": etw_fig5.draw(run_table(METHODS), METHODS),
        "fig5 many": etw_fig5.draw(collapsed, MANY),
        "fig6": tradeoff.draw(run_table(METHODS), METHODS, search_table(), benchmark=TOFU),
        "fig6 many": tradeoff.draw(collapsed, MANY, search_table(), benchmark=TOFU),
        "fig7": etw_fig7.draw(found, etw_fig7.distances(found), METHODS, "gold"),
        "fig7 many": etw_fig7.draw(many, etw_fig7.distances(many), MANY, "gold"),
        "fig7 weights": etw_fig7.draw_weights(tokens, MANY, "gold", found),
        "fig7 no weights": etw_fig7.draw_weights(tokens, METHODS, "gold", found),
        "fig8": etw_fig8.draw(search_table(), "ETW", benchmark=TOFU),
        "fig9": etw_fig9.draw(tokens, weights, "gold"),
        "fig9 many": etw_fig9.draw(tokens, {name: recorded(tokens) for name in MANY}, "gold"),
        "fig9 tokens": etw_fig9.draw_tokens(tokens, weights, "full-0001", "gold", "Who is it?"),
        "trajectories": paths(trajectory_table(METHODS), METHODS),
        "trajectories many": paths(trajectory_table(MANY), MANY),
    }


NAMES = [
    "fig5",
    "fig5 many",
    "fig6",
    "fig6 many",
    "fig7",
    "fig7 many",
    "fig7 weights",
    "fig7 no weights",
    "fig8",
    "fig9",
    "fig9 many",
    "fig9 tokens",
    "trajectories",
    "trajectories many",
]


@pytest.mark.parametrize("name", NAMES)
def test_page_width_smallest_text_and_nothing_cut_off(figures, name, fits_page):
    fits_page(figures[name])


# --- Fig. 3 and what Fig. 7 has of it ---


def test_fig3_keeps_the_papers_methods_first_and_eight_at_most():
    assert etw_fig3.core(METHODS) == ["ETW", "WGA", "GA", "Mine"]
    study = ["GA", "NPO", "TNPO", "Imp", "SatImp", "SCE", "SCN", "ETW", "WGA", "RMU"]
    assert etw_fig3.core(study) == ["ETW", "SCN", "SCE", "SatImp", "Imp", "WGA", "TNPO", "GA"]


def test_fig3_and_fig7_share_out_the_methods(figures):
    titles = [axes.get_title() for axes in figures["fig7 weights"].axes]
    assert sorted([*titles, *etw_fig3.core(MANY)]) == sorted(MANY)


def test_fig7_without_methods_left_shows_full_and_retain_model(figures):
    figure = figures["fig7 no weights"]
    assert [axes.get_title() for axes in figure.axes] == ["full model", "retain model"]
    assert any("all methods are in Fig. 3" in text for text in texts(figure))
    means = {line.get_label(): line.get_xdata()[0] for line in figure.axes[1].lines}
    assert means == {"mean, informative": pytest.approx(0.1), "mean, structural": pytest.approx(0.6)}


def test_fig3_legend_does_not_hang_on_the_first_panel(tokens):
    figure = etw_fig3.draw(tokens.assign(weight_GA=np.nan), ["GA", "ETW"], "gold")
    assert {"structural", "informative"} <= {text.get_text() for text in figure.legends[0].get_texts()}


# --- Fig. 5 ---


def test_fig5_bars_are_means_and_every_seed_is_a_point(figures):
    runs = run_table(METHODS)
    axes = figures["fig5"].axes
    assert [a.get_title() for a in axes] == ["1B, forget01"] * 2 + ["1B, forget10"] * 2
    for place, (split, column) in enumerate(
        (split, column) for split in ("forget01", "forget10") for column in ("aggregate", "abs_privleak")
    ):
        assert len(axes[place].patches) == len(METHODS)
        for method, bar in zip(METHODS, axes[place].patches, strict=True):
            values = runs[(runs["split"] == split) & (runs["method"] == method)][column]
            assert bar.get_height() == pytest.approx(values.mean())
            (points,) = labelled_lines(axes[place], f"_{method}")
            assert points.get_ydata().tolist() == pytest.approx(values.tolist())
            assert to_hex(bar.get_facecolor()).upper() == style.colour(method, METHODS).upper()


def test_fig5_draws_the_reference_models_where_they_are_defined(figures):
    agg, priv = figures["fig5"].axes[:2]
    assert [line.get_ydata()[0] for name in ("full", "retain") for line in labelled_lines(priv, name)] == [98.0, 0.0]
    assert not labelled_lines(agg, "full")  # loses no utility: no Agg.
    assert labelled_lines(agg, "retain")[0].get_ydata()[0] == 0


def test_fig5_counts_undefined_runs_and_averages_the_others():
    runs = run_table(["GA", "ETW"], ("forget10",))
    runs.loc[(runs["method"] == "ETW") & (runs["seed"] == 1), "aggregate"] = np.nan
    runs.loc[runs["method"] == "GA", "aggregate"] = np.inf
    axes = etw_fig5.draw(runs, ["GA", "ETW"]).axes[0]
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [("3/3", 0), ("1/3", 1)]
    (bar,) = axes.patches  # none for GA
    assert bar.get_height() == pytest.approx(runs[runs["method"] == "ETW"]["aggregate"].mean())
    assert len(labelled_lines(axes, "_ETW")[0].get_ydata()) == 2


def test_fig5_turns_logarithmic_when_a_method_dwarfs_the_others(figures):
    assert {a.get_yscale() for a in figures["fig5"].axes} == {"linear"}
    agg, priv = figures["fig5 many"].axes[:2]
    assert (agg.get_yscale(), priv.get_yscale()) == ("symlog", "linear")
    assert "log above" in agg.get_ylabel()
    assert agg.get_ylim()[0] == 0  # bars stand on 0 in either case
    assert agg.get_ylim()[1] > 12000


def test_fig5_draws_even_if_nothing_is_defined():
    runs = run_table(["GA"], ("forget10",)).assign(aggregate=np.nan, abs_privleak=np.nan)
    assert [[t.get_text() for t in axes.texts] for axes in etw_fig5.draw(runs).axes] == [["3/3"], ["3/3"]]


# --- Fig. 7: probabilities ---


def test_fig7_reads_the_true_answers_of_the_forget_set(found, tokens):
    labelled = tokens[tokens["informative_gold"].notna()]
    assert found.groupby("who", sort=False).size().to_dict() == dict.fromkeys(
        ["full", "retain", "GA", "ETW"], len(labelled)
    )
    etw = found[found["who"] == "ETW"]
    assert set(etw.loc[etw["informative"], "p"].round(6)) == {0.2}
    assert set(etw.loc[~etw["informative"], "p"].round(6)) == {0.5}
    assert etw["informative"].sum() == 4


def test_fig7_distances_are_wasserstein_and_ordered_by_informative_tokens(found):
    table = etw_fig7.distances(found)
    assert table["method"].tolist() == ["retain", "retain", "ETW", "ETW", "GA", "GA", "full", "full"]
    assert table["kind"].tolist() == ["informative", "structural"] * 4
    # all mass moves by the difference of the two constants
    assert table["distance_to_retain"].tolist() == pytest.approx([0, 0, 0.1, 0.1, 0.4, 0, 0.8, 0.35], abs=1e-6)
    assert table["mean_p"].tolist() == pytest.approx([0.1, 0.6, 0.2, 0.5, 0.5, 0.6, 0.9, 0.95], abs=1e-6)
    assert {"method", "kind", "mean_p", "distance_to_retain"} <= set(table)


def test_fig7_distance_is_of_distributions_not_of_tokens():
    p = {"retain": [0.2, 0.4, 0.9], "swapped": [0.9, 0.2, 0.4], "other": [0.3, 0.4, 0.5]}
    frames = [pd.DataFrame({"who": who, "informative": True, "p": values}) for who, values in p.items()]
    table = etw_fig7.distances(pd.concat(frames)).query("kind == 'informative'").set_index("method")
    assert table.loc["swapped", "distance_to_retain"] == pytest.approx(0)
    assert table.loc["other", "distance_to_retain"] == pytest.approx((0.1 + 0 + 0.4) / 3)


def test_fig7_counts_tokens_without_a_probability(tokens):
    broken = answers(tokens, 0.2, 0.5)
    broken.loc[broken["position"] == 0, "logprob"] = np.nan
    models = {"retain": answers(tokens, 0.1, 0.6), "GA": broken, "ETW": answers(tokens, 0.2, 0.5)}
    found = etw_fig7.probabilities(tokens, models, "gold")
    table = etw_fig7.distances(found).set_index(["method", "kind"])
    assert np.isnan(table.loc[("GA", "structural"), "distance_to_retain"])
    assert table.loc[("GA", "structural"), "undefined"] == 2
    assert table.loc[("GA", "informative"), "distance_to_retain"] == pytest.approx(0.1, abs=1e-6)
    assert "undefined in\n2 of 14" in texts(etw_fig7.draw(found, etw_fig7.distances(found), METHODS, "gold"))


def test_fig7_restricts_to_what_the_retain_model_was_measured_on(tokens):
    few = answers(tokens, 0.1, 0.6)
    few = few[few["sample"] == "full-0000"]
    found = etw_fig7.probabilities(tokens, {"retain": few, "GA": answers(tokens, 0.5, 0.6)}, "gold")
    assert found.groupby("who").size().tolist() == [9, 9]
    with pytest.raises(InputError, match="GA: 9 of 18 tokens"):
        etw_fig7.probabilities(tokens, {"retain": answers(tokens, 0.1, 0.6), "GA": few}, "gold")
    with pytest.raises(InputError, match="no measured token"):
        etw_fig7.probabilities(tokens, {"retain": few.iloc[:0]}, "gold")


def test_fig7_draws_the_area_between_the_curves(figures, found):
    figure = figures["fig7"]
    informative, structural = figure.axes
    assert [a.get_title() for a in figure.axes] == ["informative", "structural"]
    names = [text.get_text() for text in informative.texts if text.get_position()[0] < 0]
    assert names == ["ETW", "GA", "full"]
    printed = [float(text.get_text()) for text in informative.texts if text.get_position()[0] > 1]
    assert printed == [0.1, 0.4, 0.8]
    assert [float(text.get_text()) for text in structural.texts] == [0.1, 0.0, 0.35]
    own = informative.lines[0].get_ydata() / 0.85  # row of ETW, all mass at 0.2
    base = informative.lines[1].get_ydata() / 0.85  # retain model, all mass at 0.1
    assert np.trapezoid(base - own, etw_fig7.GRID) == pytest.approx(0.1, abs=0.005)
    assert to_hex(informative.lines[0].get_color()).upper() == style.colour("ETW").upper()


def test_fig7_draws_the_table_that_is_written(found):
    table = etw_fig7.distances(found)
    figure = etw_fig7.draw(found, table.assign(distance_to_retain=0.123), METHODS, "gold")
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.123"] * 3


@pytest.mark.parametrize("name", ["fig7", "fig9", "fig9 tokens"])
def test_figures_of_one_seed_say_so(figures, name):
    assert any("first seed" in text for text in texts(figures[name]))


def test_fig7_needs_its_columns(tokens):
    with pytest.raises(InputError, match="logprob"):
        etw_fig7.answers(measured(tokens, 0.1, 0.6).drop(columns="logprob"))


# --- Fig. 8 ---


def test_fig8_lines_join_the_best_point_of_each_temperature(figures):
    quality, lost = figures["fig8"].axes
    for split in ("forget01", "forget10"):
        (line,) = labelled_lines(quality, split)
        assert line.get_xdata().tolist() == [1, 2, 4]
        assert line.get_ydata().tolist() == [2, 1, 3]
        assert labelled_lines(lost, split)[0].get_ydata().tolist() == pytest.approx([1, 1, 1])
        assert len(labelled_lines(quality, f"_others {split}")[0].get_xdata()) == 3
        chosen = labelled_lines(quality, f"_chosen {split}")[0]
        assert chosen.get_xydata().tolist() == [[2, 1]]
    assert [text.get_text() for text in lost.get_xticklabels()] == ["1", "2", "4"]
    assert [a.get_title() for a in (quality, lost)] == ["1B", "1B"]
    assert any("faint: the others" in text for text in texts(figures["fig8"]))


def test_fig8_says_nothing_of_others_where_there_are_none():
    figure = etw_fig8.draw(search_table(strengths=(0.1,)), "ETW", benchmark=TOFU)
    assert not any("faint" in text for text in texts(figure))


def test_fig8_best_falls_back_to_forget_quality_and_undefined_points_are_counted():
    points = search_table()
    one = (points["split"] == "forget01") & points["point"].str.startswith("temperature=1.0")
    points.loc[one, "aggregate"] = np.nan
    points.loc[one & points["point"].str.endswith("=0.5"), "neg_log10_fq"] = 0.5
    two = (points["split"] == "forget10") & points["point"].str.startswith("temperature=4.0")
    points.loc[two, ["model_utility", "neg_log10_fq", "delta_mu", "aggregate"]] = np.nan
    best = etw_fig8.best_per_temperature(points, "lowest_aggregate", TOFU).query("best")
    assert best.query("split == 'forget01' and temperature == 1")["neg_log10_fq"].tolist() == [0.5]
    assert len(best.query("split == 'forget10'")) == 2
    titles = {axes.get_title() for axes in etw_fig8.draw(points, "ETW", benchmark=TOFU).axes}
    assert titles == {"1B\n2 of 12 undefined (forget10\N{NO-BREAK SPACE}2)"}


@pytest.mark.filterwarnings("error")
def test_fig8_a_temperature_without_a_defined_point_breaks_the_line():
    points = search_table()
    lost = (points["split"] == "forget10") & points["point"].str.startswith("temperature=2.0")
    points.loc[lost, ["model_utility", "neg_log10_fq", "delta_mu", "aggregate"]] = np.nan
    for axes in etw_fig8.draw(points, "ETW", benchmark=TOFU).axes:
        (broken,), (whole,) = labelled_lines(axes, "forget10"), labelled_lines(axes, "forget01")
        assert broken.get_xdata().tolist() == [1, 2, 4]
        assert np.isnan(broken.get_ydata()).tolist() == [False, True, False]
        assert not np.isnan(whole.get_ydata()).any()


def test_fig8_best_is_by_the_studys_rule():
    points = search_table()  # Agg. and −log10 FQ leave no difference to −log10 FQ; utility is higher at strength 0.1
    points.loc[points["point"].str.endswith("=0.5"), "neg_log10_fq"] = 0.2
    figure = etw_fig8.draw(points, "ETW", "lowest_neg_log10_fq", benchmark=TOFU)
    assert labelled_lines(figure.axes[0], "forget01")[0].get_ydata().tolist() == [0.2] * 3
    title = figure.legends[0].get_title().get_text()
    assert "\nbest: lowest −log₁₀ FQ" in title
    assert "Agg." in etw_fig8.draw(points, "ETW", benchmark=TOFU).legends[0].get_title().get_text()
    passed = points.assign(neg_log10_fq=np.where(points["point"].str.endswith("=0.1"), 1.22, 0.05))
    best = etw_fig8.best_per_temperature(passed, "highest_utility_among_forgotten", TOFU).query("best")
    assert best["point"].str.endswith("=0.1").all()


def test_fig8_needs_a_temperature():
    points = search_table().assign(parameters=json.dumps({"strength": 0.1}))
    with pytest.raises(InputError, match=r"weighting\.temperature"):
        etw_fig8.draw(points, "ETW", benchmark=TOFU)


# --- Fig. 9 ---


def test_fig9_means_and_auc_by_epoch(tokens):
    table = etw_fig9.by_epoch(tokens, {"ETW": recorded(tokens)}, "gold").set_index("epoch")
    assert table["informative"].tolist() == pytest.approx([2 - 0.25 * epoch for epoch in range(9)])
    assert table["structural"].tolist() == pytest.approx([1.0] * 9)
    assert table["auc"].tolist() == [1.0] * 4 + [0.5] + [0.0] * 4  # above, equal, below the structural weight


def test_fig9_undefined_weights_are_named_and_not_averaged_away(tokens):
    weights = recorded(tokens)
    broken = (weights["epoch"] == 8) & (weights["sample"] == "full-0000") & (weights["position"] == 2)
    weights.loc[broken, "weight"] = np.nan
    last = etw_fig9.by_epoch(tokens, {"ETW": weights}, "gold").set_index("epoch").loc[8]
    assert np.isnan(last["informative"])
    assert np.isnan(last["auc"])
    assert last["structural"] == 1
    figure = etw_fig9.draw(tokens, {"ETW": weights}, "gold")
    assert figure.axes[0].get_title() == "ETW\nundefined in 1 of 9 epochs"


def test_fig9_one_class_has_no_auc(tokens):
    table = etw_fig9.by_epoch(tokens.assign(informative_gold=False), {"ETW": recorded(tokens)}, "gold")
    assert table["auc"].isna().all()
    assert table["structural"].notna().all()


def test_fig9_names_a_method_whose_tokens_do_not_fit(tokens):
    weights = recorded(tokens)
    with pytest.raises(InputError, match=r"weights of ETW: epoch 0 has 9 of .* 18"):
        etw_fig9.by_epoch(tokens, {"ETW": weights[weights["sample"] != "full-0000"]}, "gold")


def test_fig9_has_a_panel_per_method_with_solid_dashed_and_auc(figures):
    axes = figures["fig9"].axes
    left, right = axes[: len(METHODS)], axes[len(METHODS) :]
    assert [a.get_title() for a in left] == METHODS
    informative, structural = labelled_lines(left[0], "informative")[0], labelled_lines(left[0], "structural")[0]
    assert (informative.get_linestyle(), structural.get_linestyle()) == ("-", "--")
    assert informative.get_ydata()[-1] == 0
    assert labelled_lines(right[0], "AUC")[0].get_ydata()[0] == 1
    assert [a.get_ylabel() for a in right] == ["", "", "", "AUC"]


def test_fig9_reads_nothing_into_rounding(tokens):
    """TNPO at the starting model: ω = 1 but for two forward passes' rounding, here by chance higher on the labelled."""
    tokens = tokens.assign(weight_TNPO=1.0)
    weights = recorded(tokens, epochs=1)
    labelled = weights.merge(tokens, on=["sample", "position", "token_id"])["informative_gold"].fillna(False)
    weights["weight"] = 1 + 1e-3 * labelled.to_numpy(float)
    assert etw_fig9.by_epoch(tokens, {"TNPO": weights}, "gold")["auc"].tolist() == [0.5]
    # A weighting that tells tokens apart from the start may do so by little: that is no rounding.
    assert etw_fig9.by_epoch(tokens, {"ETW": weights}, "gold")["auc"].tolist() == [1.0]
    with pytest.raises(InputError, match="weight_Other"):
        etw_fig9.by_epoch(tokens, {"Other": weights}, "gold")


def test_fig9_chooses_methods_and_epochs_of_the_heat_map():
    assert etw_fig9.shown(["GA", "SCN", "WGA", "ETW", "Mine"]) == ["ETW", "WGA", "SCN"]
    assert etw_fig9.shown(["a", "b", "c", "d", "e"]) == ["a", "b", "c", "d"]
    assert etw_fig9._spread([0, 1, 2]) == [0, 1, 2]
    chosen = etw_fig9._spread(list(range(31)))
    assert chosen == [0, 6, 12, 18, 24, 30]


def test_fig9_heat_map_has_a_block_per_method_and_a_row_per_epoch(figures):
    page = figures["fig9 tokens"].axes[0]
    shown = [text.get_text() for text in page.texts]
    for title in ("GA  (full-0001, first seed)", "WGA", "ETW", "Mine", "Who is it?"):
        assert shown.count(title) == 1
    assert shown.count("gold") == len(METHODS)
    for epoch in (0, 2, 3, 5, 6, 8):
        assert shown.count(f"epoch {epoch}") == len(METHODS)
    assert len(page.patches) == 9 * 7 * len(METHODS) + 2


def test_fig9_heat_map_joins_weights_by_position_whatever_their_order(tokens):
    page = etw_fig9.draw_tokens(tokens, {"ETW": recorded(tokens)}, "full-0001", "gold").axes[0]
    faces = [to_hex(patch.get_facecolor()) for patch in page.patches[:-2]]
    first = faces[9:18]  # epoch 0, after the annotation
    assert [face == to_hex(token_text.SHADES(1.0)) for face in first] == [i in (2, 5) for i in range(9)]
    with pytest.raises(InputError, match="full-0009"):
        etw_fig9.draw_tokens(tokens, {"ETW": recorded(tokens)}, "full-0009", "gold")


# --- trajectories ---


def test_best_epochs_follow_the_aggregate_and_never_are_the_start():
    runs = trajectory_table(METHODS)
    best = trajectories.best_epochs(runs, benchmark=TOFU)
    assert best[["method", "seed"]].to_numpy().tolist() == [[m, s] for m in METHODS for s in (0, 1)]
    assert list(best)[:5] == ["model", "split", "method", "seed", "epoch"]
    assert {*METRICS, "utility_teacher_forced"} <= set(best)
    for _, found in best.iterrows():
        run = runs[(runs["method"] == found["method"]) & (runs["seed"] == found["seed"])]
        lowest = run.loc[run["aggregate"].idxmin()]
        assert (found["epoch"], found["aggregate"]) == (lowest["epoch"], lowest["aggregate"])
    without = trajectories.best_epochs(runs.assign(aggregate=np.nan), benchmark=TOFU)
    assert set(without["epoch"]) == {5}  # lowest −log₁₀ FQ
    start = runs.assign(aggregate=runs["aggregate"].where(runs["epoch"] != 0, 0.0))
    assert 0 not in set(trajectories.best_epochs(start, benchmark=TOFU)["epoch"])


@pytest.mark.filterwarnings("error")
def test_best_epochs_keep_a_run_without_any_defined_epoch():
    runs = trajectory_table(["ETW"])
    runs.loc[runs["seed"] == 1, "model_utility"] = np.nan
    assert len(labelled_lines(paths(runs, ["ETW"]).axes[0], "_best")) == 1
    best = trajectories.best_epochs(runs, benchmark=TOFU).set_index("seed")
    assert best["epoch"].isna().to_dict() == {0: False, 1: True}
    assert np.isnan(best.loc[1, "aggregate"])


def test_trajectories_draw_every_epoch_of_every_seed(figures):
    (axes,) = figures["trajectories"].axes
    paths = labelled_lines(axes, "ETW")
    assert len(paths) == 2
    runs = trajectory_table(METHODS)
    own = runs[(runs["method"] == "ETW") & (runs["seed"] == 0)]
    assert paths[0].get_xydata() == pytest.approx(own[["model_utility", "neg_log10_fq"]].to_numpy(float))
    assert [line.get_xydata()[0].tolist() for line in labelled_lines(axes, "_start")[:2]] == [[0.6, 12], [0.6, 13]]
    best = trajectories.best_epochs(runs, benchmark=TOFU)
    drawn = [line.get_xydata()[0].tolist() for line in labelled_lines(axes, "_best")]
    assert drawn == best[["model_utility", "neg_log10_fq"]].to_numpy().tolist()
    assert labelled_lines(axes, "retain")[0].get_xydata().tolist() == [[0.59, 0]]


def test_trajectories_of_many_methods_get_a_panel_each(figures):
    assert [axes.get_title() for axes in figures["trajectories many"].axes] == MANY
    for axes, method in zip(figures["trajectories many"].axes, MANY, strict=True):
        assert len(labelled_lines(axes, method)) == 2
        assert len(labelled_lines(axes, "full")) == 1


def test_trajectories_count_undefined_epochs_and_break_the_path():
    runs = trajectory_table(["ETW"])
    runs.loc[(runs["seed"] == 0) & (runs["epoch"] == 3), "neg_log10_fq"] = np.nan
    (axes,) = paths(runs, ["ETW"]).axes
    assert axes.get_title() == "1 of 12 epochs undefined (ETW\N{NO-BREAK SPACE}1)"
    path = labelled_lines(axes, "ETW")[0].get_ydata()
    assert np.isnan(path).tolist() == [False] * 3 + [True] + [False] * 2


def test_trajectories_use_the_utility_that_is_measured_during_training():
    runs = trajectory_table(["ETW"]).assign(model_utility=np.nan)
    figure = paths(runs, ["ETW"], "utility_teacher_forced")
    assert labelled_lines(figure.axes[0], "full")[0].get_xdata()[0] == 0.7
    assert "Teacher-forced utility (higher is better)" in texts(figure)
    with pytest.raises(InputError, match="utility_teacher_forced"):
        paths(runs.drop(columns="utility_teacher_forced"), ["ETW"], "utility_teacher_forced")


def test_trajectories_say_what_really_made_an_epoch_best():
    runs = trajectory_table(["GA", "ETW"])
    undefined = runs.assign(aggregate=np.nan)
    title = paths(undefined, ["GA", "ETW"]).legends[0].get_title().get_text()
    assert title == "one path per seed; best: Agg. undefined everywhere, so lowest −log₁₀ FQ"
    mixed = runs.assign(aggregate=runs["aggregate"].where(runs["method"] == "GA"))
    title = paths(mixed, ["GA", "ETW"]).legends[0].get_title().get_text()
    assert title == "one path per seed; best: lowest Agg., unless another loses no utility and forgets no worse"
    assert trajectories.best_epochs(mixed, benchmark=TOFU).groupby("method")["why"].unique().map(list).to_dict() == {
        "GA": ["lowest Agg."],
        "ETW": ["Agg. undefined everywhere: lowest −log₁₀ FQ"],
    }


def test_best_epochs_are_by_the_studys_rule_and_the_utility_that_is_drawn():
    runs = trajectory_table(["ETW"])
    runs["neg_log10_fq"] = np.where(runs["epoch"].fillna(0) >= 3, 0.7, 2.0)
    runs["utility_teacher_forced"] = np.where(runs["epoch"].fillna(0) == 4, 0.9, runs["utility_teacher_forced"])
    rule = "highest_utility_among_forgotten"
    assert set(trajectories.best_epochs(runs, "model_utility", rule, benchmark=TOFU)["epoch"]) == {3}
    cheap = without_generations(runs)
    assert set(trajectories.best_epochs(cheap, "utility_teacher_forced", rule, benchmark=TOFU)["epoch"]) == {4}
    title = paths(cheap, ["ETW"], "utility_teacher_forced", rule).legends[0].get_title().get_text()
    words = "best: highest teacher-forced utility of those that have forgotten (p = 0.05)"
    assert " ".join(title.split()).endswith(words)


# The cheap suite has no model utility: the rule judges by the one that is drawn, here that of teacher-forced metrics.


def test_a_substitute_utility_has_its_own_delta_and_aggregate():
    runs = cheap_run([0.6, 0.55, 0.8, np.nan, 0.5, 0.5, 0.7], [9.0, 4.0, 2.0, 3.0, np.nan, np.inf, 1.0])
    judged = by_substitute(runs, "utility_teacher_forced", TOFU).query("epoch > 0")
    assert judged["model_utility"].tolist() == pytest.approx([0.6, 0.55, 0.8, np.nan, 0.5, 0.5, 0.7], nan_ok=True)
    # 100 · (0.7 − u), with the full model's 0.7; undefined without a utility
    lost = [10, 15, -10, np.nan, 20, 20, 0]
    assert judged["delta_mu"].tolist() == pytest.approx(lost, nan_ok=True)
    # −log10 FQ · ΔMU; undefined without either, and where no utility is lost
    scores = [90, 60, np.nan, np.nan, np.nan, np.nan, np.nan]
    assert judged["aggregate"].tolist() == pytest.approx(scores, nan_ok=True)


def test_a_substitute_is_judged_as_the_model_utility_would_be():
    runs = trajectory_table(METHODS)
    runs.loc[3, "neg_log10_fq"] = runs.loc[3, "aggregate"] = np.nan
    same = runs.assign(utility_teacher_forced=runs["model_utility"])
    judged = by_substitute(without_generations(same), "utility_teacher_forced", TOFU)
    pd.testing.assert_frame_equal(judged, same, rtol=0, atol=1e-12)


def test_a_substitute_utility_is_counted_against_the_full_model_of_its_split():
    here = cheap_run([0.6], [1.0])
    there = here.assign(split="forget01", utility_teacher_forced=here["utility_teacher_forced"].replace(0.7, 0.9))
    judged = by_substitute(pd.concat([here, there]), "utility_teacher_forced", TOFU)
    assert judged.query("epoch > 0")["delta_mu"].tolist() == pytest.approx([10, 30])
    with pytest.raises(InputError, match=r"'1B', split 'forget10' has no row with method 'full'.*add it"):
        trajectories.best_epochs(here[here["method"] != "full"], "utility_teacher_forced", benchmark=TOFU)


def test_best_epochs_without_generations_weigh_the_utility_that_is_drawn():
    runs = cheap_run([0.68, 0.69, 0.4], [9.0, 4.0, 1.0])  # Agg. 18, 4, 30
    best = trajectories.best_epochs(runs, "utility_teacher_forced", benchmark=TOFU).iloc[0]
    assert (best["epoch"], best["why"]) == (2, "lowest Agg. of teacher-forced utility")  # −log10 FQ alone: 3
    assert (best["utility_teacher_forced"], best["neg_log10_fq"]) == (0.69, 4.0)
    assert best[["model_utility", "delta_mu", "aggregate"]].isna().all()  # of the run, not of the substitute
    free = cheap_run([0.68, 0.69, 0.71, 0.4], [9.0, 4.0, 3.0, 1.0])
    best = trajectories.best_epochs(free, "utility_teacher_forced", benchmark=TOFU).iloc[0]
    assert best["epoch"] == 3
    assert best["why"] == "no utility lost, and forgets no worse than the run of lowest Agg. of teacher-forced utility"


@pytest.mark.parametrize(
    ("utilities", "full", "found"),
    [
        ([0.68, 0.69, np.nan], 0.7, (2, "lowest Agg. of teacher-forced utility")),
        ([0.78, 0.79, 0.9], 0.7, (3, "Agg. of teacher-forced utility undefined everywhere: lowest −log₁₀ FQ")),
        ([0.68, 0.69, 0.4], np.nan, (3, "Agg. of teacher-forced utility undefined everywhere: lowest −log₁₀ FQ")),
    ],
)
def test_undefined_substitutes_never_decide(utilities, full, found):
    runs = cheap_run(utilities, [9.0, 4.0, 1.0], full)
    best = trajectories.best_epochs(runs, "utility_teacher_forced", benchmark=TOFU).iloc[0]
    assert (best["epoch"], best["why"]) == found


def test_a_run_whose_substitute_is_never_defined_has_no_best_epoch():
    best = trajectories.best_epochs(cheap_run([np.nan] * 2, [9.0, 4.0]), "utility_teacher_forced", benchmark=TOFU).iloc[
        0
    ]
    assert best["epoch"] is pd.NA
    assert best["why"] == "nothing defined"


def test_the_legend_says_whose_aggregate_a_substitute_has(fits_page):
    runs = cheap_run([0.68, 0.69, 0.4], [9.0, 4.0, 1.0])
    figure = paths(runs, ["ETW"], "utility_teacher_forced")
    title = figure.legends[0].get_title().get_text()
    assert title == "one path per seed; best: lowest Agg. of teacher-forced utility"
    assert labelled_lines(figure.axes[0], "_best")[0].get_xydata().tolist() == [[0.69, 4]]
    never = runs[runs["method"] == "ETW"].assign(method="GA", utility_teacher_forced=0.8)  # loses no utility
    figure = paths(pd.concat([runs, never]), ["GA", "ETW"], "utility_teacher_forced")
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == (
        "one path per seed; best: lowest Agg. of teacher-forced utility, "
        "unless another loses no utility and forgets no worse"
    )
    fits_page(figure)
    forgetting = paths(runs, ["ETW"], "utility_teacher_forced", "lowest_neg_log10_fq")
    assert forgetting.legends[0].get_title().get_text() == "one path per seed; best: lowest −log₁₀ FQ"


def test_the_model_utility_is_judged_by_the_metrics_of_the_table():
    runs = trajectory_table(["ETW"])
    runs.loc[runs["epoch"] == 3, "aggregate"] = 0.5  # not what utility and forget quality say: it is not made again
    assert set(trajectories.best_epochs(runs[runs["method"] == "ETW"], benchmark=TOFU)["epoch"]) == {3}
    assert set(trajectories.best_epochs(runs, benchmark=TOFU)["why"]) == {"lowest Agg."}


def test_trajectories_draw_the_best_epochs_that_are_written():
    runs = trajectory_table(["ETW"])
    best = trajectories.best_epochs(runs, benchmark=TOFU).assign(model_utility=0.51, neg_log10_fq=7.5)
    (axes,) = trajectories.draw(runs, best, ["ETW"], benchmark=TOFU).axes
    assert [line.get_xydata()[0].tolist() for line in labelled_lines(axes, "_best")] == [[0.51, 7.5]] * 2
