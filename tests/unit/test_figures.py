"""What the figures show: panels, axes, legends, marks, colours and escaped text; not their pixels."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from lethe.analysis.auc import auc_table
from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.figures import etw_fig2, etw_fig3, heatmap, style, token_text, tradeoff, training
from lethe.tables.correlation import correlation_table

TOFU = Tofu()

METHODS = ["GA", "WGA", "SCN", "ETW", "Mine"]
SPLITS = ["forget01", "forget10"]
WORDS = [
    "The",
    "celebrated",
    "author",
    "Aysha",
    "Al",
    "Hashim",
    "wrote",
    "novels",
    "in",
    "the",
    "genre",
    "of",
]
WORDS += ["Love", "Inspired", "since", "1977"]


@pytest.fixture(scope="module")
def tokens() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for sample in range(30):
        end = 0
        for position in range(length := int(rng.integers(8, 40))):
            text = ("" if position == 0 else " ") + WORDS[int(rng.integers(len(WORDS)))]
            rows.append((f"full-{sample:04d}", position, text, end, end + len(text), False))
            end += len(text)
        rows.append((f"full-{sample:04d}", length, "", end, end, True))
    table = pd.DataFrame(rows, columns=["sample", "position", "text", "start", "end", "eos"])
    informative = table["text"].str.strip().isin(["Aysha", "Al", "Hashim", "Love", "Inspired", "1977"])
    table["token_id"] = range(len(table))
    table["logprob"] = -rng.gamma(1, 0.3 + 0.5 * informative)
    table["entropy_T1.0"] = rng.gamma(2, 0.3 + 0.4 * informative)
    table["informative_gold"] = informative.astype("boolean")
    table["informative_gpt"] = table["informative_gold"].mask(table["sample"] == "full-0001")
    table["weight_GA"] = 1.0
    table["weight_WGA"] = np.exp(table["logprob"])
    table["weight_SCN"] = (informative ^ (rng.random(len(table)) < 0.2)).astype(float)
    entropy = table["entropy_T1.0"].groupby(table["sample"])
    table["weight_ETW"] = table["entropy_T1.0"] / entropy.transform("mean")
    table["weight_Mine"] = rng.random(len(table))
    return table


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for model in ("1B", "3B"):
        for split in SPLITS:
            rows += [
                (model, split, "full", pd.NA, 0.60, 5.0, np.nan),
                (model, split, "retain", pd.NA, 0.59, 0.0, np.nan),
            ]
            for method in METHODS:
                for seed in range(3):
                    utility, quality = 0.5 + 0.1 * rng.random(), 4 * rng.random()
                    if (model, split, method, seed) == ("3B", "forget10", "GA", 2):
                        utility = np.nan
                    rows.append((model, split, method, seed, utility, quality, (60 - 100 * utility) * quality))
    names = ["model", "split", "method", "seed", "model_utility", "neg_log10_fq", "aggregate"]
    return pd.DataFrame(rows, columns=names).assign(
        forget_quality=lambda t: 10 ** -t["neg_log10_fq"], delta_mu=lambda t: 60 - 100 * t["model_utility"]
    )


def logs(seeds: int = 2) -> pd.DataFrame:
    steps = np.arange(20)
    frames = []
    for k, method in enumerate(METHODS):
        for seed in range(seeds):
            frame = pd.DataFrame({"step": steps, "epoch": steps / 5, "loss_forget": -0.1 * steps * (k + 1) - seed})
            frame["loss_retain"], frame["weight_mean"], frame["weight_std"] = 0.2, 1.0, 0.1 * k
            frames.append(frame.assign(method=method, seed=seed))
    return pd.concat(frames)


def panels(figure: Figure) -> list:
    return figure.axes


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def smallest(figure: Figure) -> float:
    return min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible())


def curves(axes) -> dict[str, object]:
    return {line.get_label(): line for line in axes.lines}


@pytest.fixture(scope="module")
def figures(tokens, runs) -> dict[str, Figure]:
    tables = {"1B": tokens, "3B": tokens}
    correlations = pd.concat(
        correlation_table(table, ["gold", "gpt"], [f"weight_{m}" for m in METHODS], 50).assign(model=model)
        for model, table in tables.items()
    )
    return {
        "fig2": etw_fig2.draw(tables, ["gold", "gpt"], METHODS, correlations),
        "fig3": etw_fig3.draw(tokens, METHODS, "gold"),
        "fig4": heatmap.draw(tokens, ["full-0000", "full-0001"], METHODS, "gpt", {"full-0000": "Who is it?"}),
        "fig6": tradeoff.draw(runs, METHODS, benchmark=TOFU),
        "training": training.draw(logs(), METHODS),
    }


# --- style ---


def test_known_methods_are_told_apart_by_colour_and_by_marker_or_line():
    looks = list(style.KNOWN.values())
    assert len({look.colour for look in looks}) == len(looks)
    assert len({(look.marker, look.line) for look in looks}) == len(looks)
    assert not {look.colour for look in looks} & {look.colour for look in style.SPARE}


def test_unknown_methods_get_looks_by_order_not_by_name():
    first = style.looks(["ETW", "mine", "yours"])
    assert first["ETW"] == style.KNOWN["ETW"]
    assert [first["mine"], first["yours"]] == style.SPARE[:2]
    assert style.looks(["a", "GA", "b"])["b"] == style.SPARE[1]
    assert style.colour("mine", ["ETW", "yours", "mine"]) == style.SPARE[1].colour
    assert style.colour("etw") == style.KNOWN["ETW"].colour
    assert len(style.looks(map(str, range(60)))) == 60


def test_save_writes_three_formats_with_the_same_bytes_each_time(tmp_path, tokens):
    for folder in ("a", "b"):
        paths = style.save(etw_fig3.draw(tokens, ["ETW"], "gold"), tmp_path / folder / "fig3_T2.0")
        assert [path.name for path in paths] == ["fig3_T2.0.svg", "fig3_T2.0.pdf", "fig3_T2.0.png"]
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    svg = paths[0].read_text()
    assert "Token weight ω" in svg  # text stays text
    assert "<dc:date>" not in svg
    pdf = paths[1].read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf.replace(b" ", b"")


def test_drawing_leaves_the_callers_matplotlib_alone(tokens):
    before = dict(mpl.rcParams)
    etw_fig3.draw(tokens, ["ETW"], "gold")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "fig6", "training"])
def test_page_width_readable_text_and_nothing_cut_off(figures, name, fits_page):
    fits_page(figures[name])


def test_a_method_has_the_same_colour_in_every_figure(figures):
    for method in METHODS:
        colour = style.colour(method, METHODS)
        roc = {re.split(" ", label)[0]: line for label, line in curves(figures["fig2"].axes[0]).items()}
        assert to_hex(roc[method].get_color()).upper() == colour.upper()
        assert to_hex(curves(figures["fig6"].axes[0])[method].get_color()).upper() == colour.upper()
        assert to_hex(curves(figures["training"].axes[0])[method].get_color()).upper() == colour.upper()


# --- Fig. 2 ---


def test_fig2_has_a_panel_per_model_and_label_with_auc_in_the_legend(figures, tokens):
    axes = panels(figures["fig2"])
    assert [a.get_title() for a in axes] == [
        f"{model}\nlabels: {label}" for model in ("1B", "3B") for label in ("gold", "gpt")
    ]
    auc = auc_table(tokens, ["gold"], [f"weight_{m}" for m in METHODS], 50).set_index("score")
    legend = [text.get_text() for text in axes[0].get_legend().get_texts()]
    row = auc.loc["weight_ETW"]
    assert f"ETW {row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in legend
    assert len(legend) == len(METHODS)
    shown = [float(entry.split()[1]) for entry in legend]
    assert shown == sorted(shown, reverse=True)
    assert axes[0].get_aspect() == 1
    assert axes[0].get_xlabel() == "False-positive rate"
    assert axes[0].get_ylabel() == "True-positive rate"
    chance = curves(axes[0])["_chance"].get_xydata().tolist()
    assert chance == [[0, 0], [1, 1]]


def test_fig2_says_undefined_instead_of_drawing_nothing(tokens):
    table = tokens.assign(informative_gold=False)
    correlations = correlation_table(table, ["gold"], ["weight_ETW"], 10).assign(model="tiny")
    (axes,) = panels(etw_fig2.draw({"tiny": table}, ["gold"], ["ETW"], correlations))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ETW undefined"]


def test_fig2_names_what_the_correlation_table_lacks(tokens):
    correlations = correlation_table(tokens, ["gold"], ["weight_GA"], 0).assign(model="tiny")
    with pytest.raises(InputError, match=r"tiny.*weight_ETW"):
        etw_fig2.draw({"tiny": tokens}, ["gold"], ["ETW"], correlations)


# --- Fig. 3 ---


def test_fig3_has_a_panel_per_method_with_both_means(figures, tokens):
    axes = panels(figures["fig3"])
    assert [a.get_title() for a in axes] == METHODS
    lines = curves(axes[METHODS.index("ETW")])
    informative = tokens["informative_gold"].to_numpy(bool)
    weights = tokens["weight_ETW"]
    assert lines["mean, informative"].get_xdata()[0] == pytest.approx(weights[informative].mean())
    assert lines["mean, structural"].get_xdata()[0] == pytest.approx(weights[~informative].mean())
    assert "Token weight ω" in texts(figures["fig3"])
    assert {"structural", "informative", "mean, structural", "mean, informative", "labels: gold"} <= set(
        texts(figures["fig3"])
    )


def test_fig3_bins_are_common_and_areas_are_one(figures, tokens):
    axes = panels(figures["fig3"])[METHODS.index("ETW")]
    filled = [patch for patch in axes.patches if patch.get_fill()]
    assert len(filled) == 2
    for patch in filled:
        corners = patch.get_xy()
        assert set(np.round(corners[:, 0], 9)) <= set(np.round(etw_fig3.bin_edges(tokens["weight_ETW"]), 9))
        x, y = corners[:, 0], corners[:, 1]
        assert abs(np.sum(x[:-1] * np.diff(y)) - np.sum(y[:-1] * np.diff(x))) / 2 == pytest.approx(1, rel=1e-6)


def test_fig3_bins_of_constant_and_zero_weights_have_width():
    assert etw_fig3.bin_edges(np.ones(5)).tolist() == [0.5, 1.5]
    assert etw_fig3.bin_edges(np.zeros(5)).tolist() == [-0.5, 0.5]
    edges = etw_fig3.bin_edges(np.array([0.0, 1.0]))
    assert (edges[0], edges[-1], len(edges)) == (0, 1, etw_fig3.BINS + 1)


def test_fig3_copes_with_one_class_and_undefined_weights(tokens):
    figure = etw_fig3.draw(tokens.assign(informative_gold=False, weight_lost=np.nan), ["ETW", "lost"], "gold")
    assert "undefined weights" in texts(figure)
    assert "mean, informative" not in curves(figure.axes[0])


# --- Fig. 4 ---


def test_fig4_has_the_annotation_and_a_row_per_method_for_each_line(figures, tokens):
    page = panels(figures["fig4"])[0]
    shown = [text.get_text() for text in page.texts]
    assert shown.count("ETW") == shown.count("gpt") == shown.count("GA") >= 2
    assert "full-0000" in shown
    assert "Who is it?" in shown
    first = tokens[tokens["sample"].isin(["full-0000", "full-0001"])]
    rows = len(METHODS) + 1
    assert shown.count("EOS") == 2 * rows
    boxes = len(first) * rows + 2  # and two of the key
    assert len(page.patches) == boxes
    assert "informative (gpt)" in shown


@pytest.mark.parametrize("label", ["gpt", "keywords_raw", "a_label_source_with_quite_a_long_name"])
def test_fig4_key_says_what_shades_are_relative_to_and_nothing_overlaps(tokens, label):
    table = tokens.rename(columns={"informative_gpt": f"informative_{label}"}) if label != "gpt" else tokens
    figure = heatmap.draw(table, ["full-0000"], ["ETW"], label)
    names = [f"informative ({label})", "no label", "weight / largest weight of the row"]
    boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text() in names]
    assert len(boxes) == 3
    bar = figure.axes[1]
    boxes += [bar.get_window_extent(), *(text.get_window_extent() for text in bar.get_xticklabels())]
    for i, box in enumerate(boxes):
        assert all(not box.overlaps(other) for other in boxes[i + 1 :])
    assert all(box.x1 < figure.bbox.x1 for box in boxes)
    assert boxes[1].x0 - boxes[0].x1 > 10  # "no label" and its square stand apart from the name


def test_fig4_lines_wrap_inside_the_page_and_keep_every_token_once(tokens):
    sample = tokens[tokens["sample"] == tokens["sample"].value_counts().idxmax()]
    lines = token_text.lines(sample, 40, 300)
    assert len(lines) > 2
    assert [i for line in lines for i, _, _ in line] == list(range(len(sample)))
    for line in lines:
        assert line[0][1] == 40
        assert all(x + w <= 300 for _, x, w in line)
        assert all(x + w <= following for (_, x, w), (_, following, _) in pairwise(line))


def test_fig4_breaks_a_word_that_is_wider_than_the_page():
    one_word = pd.DataFrame({"text": ["Donau", *["dampf"] * 20], "eos": False})
    lines = token_text.lines(one_word, 0, 100)
    assert len(lines) > 1
    assert all(x + w <= 100 for line in lines for _, x, w in line)


def test_fig4_shades_are_relative_to_the_sequence_and_labels_may_be_unknown(tokens):
    sample = tokens[tokens["sample"] == "full-0001"].assign(weight_half=0.0, weight_none=0.0, weight_lost=np.nan)
    sample.iloc[3, sample.columns.get_loc("weight_half")] = 7.0
    shades = token_text.shades(sample["weight_half"])
    assert shades[3][0] == to_hex(token_text.SHADES(1.0))
    assert {face for face, _ in token_text.shades(sample["weight_none"])} == {to_hex(token_text.SHADES(0.0))}
    assert {face for face, _ in token_text.shades(sample["weight_lost"])} == {token_text.UNKNOWN}
    assert {face for face, _ in token_text.annotation(sample, "gpt")} == {token_text.UNKNOWN}
    gold = [face == style.INFORMATIVE for face, _ in token_text.annotation(sample, "gold")]
    assert gold == sample["informative_gold"].tolist()


def test_fig4_dollar_signs_are_text_and_white_space_is_seen(tokens):
    odd = tokens[tokens["sample"] == "full-0000"].head(4).assign(text=["$x_1$", "\n", "  ", " $"])
    page = panels(heatmap.draw(odd, ["full-0000"], ["ETW"], "gold"))[0]
    assert {"$x_1$", "↵", "␣", "$"} <= {text.get_text() for text in page.texts}
    assert not any(text.get_parse_math() for text in page.texts)


def test_fig4_names_an_unknown_sample(tokens):
    with pytest.raises(InputError, match="full-9999"):
        heatmap.draw(tokens, ["full-9999"], ["ETW"], "gold")
    with pytest.raises(InputError, match="weight_No"):
        heatmap.html(tokens, ["full-0000"], ["No"], "gold", {})


class Page(HTMLParser):
    """Tags, text and hover texts of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.text, self.titles = [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.titles += [value for key, value in attrs if key == "title"]

    def handle_data(self, data):
        self.text += data


def test_html_escapes_everything_that_comes_from_data(tokens):
    evil = '<script>alert("x")</script>'
    table = tokens[tokens["sample"] == "full-0000"].assign(sample=evil)
    table["text"] = [evil, *table["text"].iloc[1:]]
    table[f"weight_{evil}"] = 1.0
    table[f"informative_{evil}"] = table["informative_gold"]
    html = heatmap.html(table, [evil], [evil], evil, {evil: evil})
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    assert page.text.count(evil) == 7  # heading, question, label and method names, token twice, key
    assert not re.search(r"(?:src|href)=|url\(|@import", html)
    assert any(f"weight {evil}: 1" in title for title in page.titles)


def test_html_hover_gives_weight_log_probability_and_entropy(tokens):
    html = heatmap.html(tokens, ["full-0000"], ["ETW", "GA"], "gold", {"full-0000": "Who is it?"})
    page = Page(html)
    token = tokens[tokens["sample"] == "full-0000"].iloc[0]
    assert page.titles[0] == (
        f"weight ETW: {token['weight_ETW']:.4g}\nweight GA: 1\nlog-probability: {token['logprob']:.4g} nats\n"
        f"entropy at T = 1.0: {token['entropy_T1.0']:.4g} nats"
    )
    n = (tokens["sample"] == "full-0000").sum()
    assert page.tags.count("span") == 3 * n
    assert "Who is it?" in page.text
    answer = "".join(tokens.loc[tokens["sample"] == "full-0000", "text"])
    assert page.text.count(answer + " EOS") == 3
    assert html.startswith("<!DOCTYPE html>")
    assert 'charset="utf-8"' in html


# --- Fig. 6 ---


def test_fig6_has_a_panel_per_model_and_split_and_a_mark_per_defined_run(figures, runs):
    axes = panels(figures["fig6"])
    assert [a.get_title() for a in axes] == [f"{model}, {split}" for model in ("1B", "3B") for split in SPLITS]
    for a, (_, group) in zip(axes, runs.groupby(["model", "split"], sort=False), strict=True):
        marks = [line for line in a.lines if line.get_marker() != "None"]
        assert len(marks) == group["model_utility"].notna().sum()
        got = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in marks)
        want = group.dropna(subset="model_utility")[["model_utility", "neg_log10_fq"]].itertuples(index=False)
        assert got == sorted(map(tuple, want))
    assert "Model utility (higher is better)" in texts(figures["fig6"])
    assert "−log₁₀ forget quality\n(lower is better)" in texts(figures["fig6"])


def test_fig6_counts_undefined_runs_in_their_panel(figures):
    notes = [" ".join(text.get_text() for text in a.texts) for a in panels(figures["fig6"])]
    assert notes[:3] == ["", "", ""]
    assert notes[3] == "1 of 15 runs undefined (GA 1)"


def test_fig6_marks_five_per_cent_and_reference_models(figures):
    axes = panels(figures["fig6"])[0]
    levels = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "None"]
    assert levels == [pytest.approx(1.30103, abs=1e-5)]
    lines = curves(axes)
    assert lines["full"].get_xydata().tolist() == [[0.60, 5.0]]
    assert lines["retain"].get_xydata().tolist() == [[0.59, 0.0]]
    legend = [text.get_text() for text in figures["fig6"].legends[0].get_texts()]
    assert legend == [*METHODS, "full", "retain", "p = 0.05"]


def test_fig6_enlarges_the_run_with_the_lowest_aggregate(figures, runs):
    axes = panels(figures["fig6"])[0]
    group = runs[(runs["model"] == "1B") & (runs["split"] == "forget01")]
    for method in METHODS:
        marks = {line.get_xdata()[0]: line.get_markersize() for line in axes.lines if line.get_label() == method}
        best = group.loc[group[group["method"] == method]["aggregate"].idxmin(), "model_utility"]
        assert max(marks, key=marks.get) == best
        assert sorted(marks.values())[-1] > sorted(marks.values())[-2]


def test_fig6_best_run_is_that_of_the_studys_rule(runs):
    axes = panels(tradeoff.draw(runs, METHODS, rule="lowest_neg_log10_fq", benchmark=TOFU))[0]
    group = runs[(runs["model"] == "1B") & (runs["split"] == "forget01")]
    group = group[group["method"].isin(METHODS)].groupby("method")
    by_rule, by_default = (runs.loc[group[column].idxmin()] for column in ("neg_log10_fq", "aggregate"))
    assert not set(by_rule["model_utility"]) <= set(by_default["model_utility"])  # the two rules differ
    for method in METHODS:
        marks = {line.get_xdata()[0]: line.get_markersize() for line in axes.lines if line.get_label() == method}
        assert max(marks, key=marks.get) == by_rule.set_index("method").loc[method, "model_utility"]


def test_fig6_legend_names_the_rule(figures, runs):
    assert "lowest Agg., unless another loses no utility" in figures["fig6"].legends[0].get_title().get_text()
    other = tradeoff.draw(runs, METHODS, rule="highest_utility_among_forgotten", benchmark=TOFU)
    title = other.legends[0].get_title().get_text()
    assert "highest utility beyond p = 0.05" in title
    assert "Agg." not in title


def test_fig6_forget_quality_over_hundreds_of_decades_stays_legible(runs):
    far = runs.assign(neg_log10_fq=runs["neg_log10_fq"].where(runs["method"] != "GA", 230.0))
    assert {a.get_yscale() for a in panels(tradeoff.draw(far, benchmark=TOFU))} == {"symlog"}
    assert {a.get_yscale() for a in panels(tradeoff.draw(runs, benchmark=TOFU))} == {"linear"}


def test_fig6_draws_even_if_nothing_is_defined(runs):
    figure = tradeoff.draw(runs.assign(neg_log10_fq=np.nan), benchmark=TOFU)
    assert sum("15 of 15 runs undefined" in text for text in texts(figure)) == 4
    lines = curves(panels(figure)[0])
    assert lines["full"].get_xdata()[0] == 0.60  # the utility there was to keep


def test_fig6_does_not_confuse_runs_with_a_repeated_index(runs):
    one = runs[runs["split"] == "forget01"]
    split = pd.concat([group.reset_index(drop=True) for _, group in one.groupby("method", sort=False)])
    sizes = sorted(line.get_markersize() for line in panels(tradeoff.draw(split, METHODS, benchmark=TOFU))[0].lines)
    assert sizes.count(8.5) == len(METHODS)


def searched(runs: pd.DataFrame) -> pd.DataFrame:
    """Four configurations of ETW per panel, the second chosen, the fourth undefined."""
    rows = []
    for model, split in dict.fromkeys(zip(runs["model"], runs["split"], strict=True)):
        for k in range(4):
            quality = np.nan if k == 3 else 3.0 - k
            rows.append((model, split, "ETW", f"temperature={k}", k == 1, 0.5 + k / 64, quality))
    names = ["model", "split", "method", "point", "chosen", "model_utility", "neg_log10_fq"]
    return pd.DataFrame(rows, columns=names)


def test_fig6_draws_configurations_tried_small_and_hollow_with_a_dot_in_the_chosen(figures, runs):
    figure = tradeoff.draw(runs, METHODS, searched(runs), benchmark=TOFU)
    for axes, before in zip(panels(figure), panels(figures["fig6"]), strict=True):
        tried = [line for line in axes.lines if line.get_label() == "_tried ETW"]
        assert [line.get_xydata()[0].tolist() for line in tried] == [[0.5, 3], [0.515625, 2], [0.53125, 1]]
        assert {line.get_markerfacecolor() for line in tried} == {"none"}
        assert {to_hex(line.get_markeredgecolor()).upper() for line in tried} == {style.colour("ETW")}
        smallest_run = min(line.get_markersize() for line in before.lines if line.get_marker() != "None")
        assert all(line.get_markersize() <= smallest_run for line in tried)
        assert curves(axes)["_chosen ETW"].get_xydata().tolist() == [[0.515625, 2]]
        assert len(axes.lines) == len(before.lines) + 4  # the runs are drawn as before
        assert "1 of 4 configurations undefined (ETW 1)" in " ".join(
            " ".join(text.get_text().split()) for text in axes.texts
        )
    title = figure.legends[0].get_title().get_text()
    assert "hollow: configurations tried" in title
    assert "hollow" not in figures["fig6"].legends[0].get_title().get_text()


def test_fig6_without_a_search_may_be_given_an_empty_table(figures, runs):
    empty = searched(runs).iloc[:0]
    assert len(panels(tradeoff.draw(runs, METHODS, empty, benchmark=TOFU))[0].lines) == len(
        panels(figures["fig6"])[0].lines
    )
    with pytest.raises(InputError, match="chosen"):
        tradeoff.draw(runs, METHODS, searched(runs).drop(columns="chosen"), benchmark=TOFU)


def test_fig6_names_only_some_of_many_methods_whose_runs_are_undefined(runs):
    lost = runs[~runs["method"].isin(["full", "retain"])].assign(neg_log10_fq=np.nan)
    note = " ".join(text.get_text() for text in panels(tradeoff.draw(lost, METHODS, benchmark=TOFU))[0].texts)
    assert note.replace("\n", " ") == "15 of 15 runs undefined (GA 3, WGA 3, SCN 3 and 2 other methods)"


def test_fig6_squeezes_the_range_below_which_models_have_collapsed(figures, runs):
    collapsed = runs.assign(model_utility=runs["model_utility"].mask(runs["method"] == "GA", 0.01))
    figure = tradeoff.draw(collapsed, METHODS, benchmark=TOFU)
    axes = panels(figure)[0]
    assert axes.get_xscale() == "function"
    (bend,) = curves(axes)["_bend"].get_xdata()[:1]
    assert 0.4 <= bend < 0.5  # all others are above 0.5
    x = axes.transData.transform([(value, 0) for value in (0, bend, 0.5, 0.6)])[:, 0]
    assert (x[1] - x[0]) / bend < 0.3 * (x[3] - x[2]) / 0.1
    assert min(line.get_xdata()[0] for line in axes.lines if line.get_label() == "GA") == 0.01  # drawn all the same
    assert "Model utility (higher is better); compressed left of the dotted line" in texts(figure)
    assert panels(figures["fig6"])[0].get_xscale() == "linear"


# --- training ---


def test_training_has_four_panels_with_mean_and_band(figures):
    axes = panels(figures["training"])
    assert [a.get_ylabel() for a in axes] == list(training.PANELS.values())
    assert [a.get_xlabel() for a in axes] == ["", "", "Optimiser step", "Optimiser step"]
    line = curves(axes[0])["WGA"]
    np.testing.assert_allclose(line.get_ydata(), -0.2 * np.arange(20) - 0.5)
    assert len(axes[0].collections) == len(METHODS)
    band = axes[0].collections[0].get_paths()[0].get_extents()
    assert band.y1 == pytest.approx(-0.5 + np.sqrt(0.5))  # GA at step 0: −0.5 ± sd of 0 and −1


def test_training_of_one_seed_has_no_band():
    assert not panels(training.draw(logs(seeds=1)))[0].collections


def test_training_marks_where_a_run_stops_being_finite():
    table = logs().reset_index(drop=True)
    table.loc[(table["method"] == "GA") & (table["seed"] == 1) & (table["step"] > 12), "loss_forget"] = np.nan
    table.loc[table["method"] == "ETW", "loss_retain"] = np.nan  # has no retain term: no collapse
    axes = panels(training.draw(table))
    ended = [line for line in axes[0].lines if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ended] == [(12, pytest.approx(-2.2))]
    assert curves(axes[0])["GA"].get_ydata()[13] == pytest.approx(-1.3)  # seed 0 alone
    assert not [line for line in axes[1].lines if line.get_marker() == "x"]


def test_training_shows_a_runaway_loss_without_hiding_the_others():
    table = logs()
    table.loc[table["method"] == "GA", "loss_forget"] *= 200
    axes = panels(training.draw(table))
    assert axes[0].get_yscale() == "symlog"
    assert "log beyond ±1" in axes[0].get_ylabel()
    assert axes[1].get_yscale() == "linear"


def test_training_names_a_missing_column():
    with pytest.raises(InputError, match="weight_mean"):
        training.draw(logs().drop(columns="weight_mean"))
