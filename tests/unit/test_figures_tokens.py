"""Next-token distributions and entropy bounds: numbers first, then what the figures show."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.stats import entropy as scipy_entropy
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from lethe.analysis import bounds
from lethe.analysis.next_tokens import next_tokens, token_text
from lethe.analysis.token_choice import choose_positions, choose_row, choose_sample
from lethe.errors import InputError
from lethe.figures import etw_bounds, etw_fig1, style
from lethe.io import write_json

TEMPERATURES = [0.5, 2.0]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def lines(axes) -> dict[str, object]:
    return {line.get_label(): line for line in axes.lines}


# --- bounds ---


def test_bounds_by_hand():
    # p = 1/4, V = 5: three quarters of the mass on one other word, or 3/16 on each of four.
    least = scipy_entropy([0.25, 0.75])
    most = scipy_entropy([0.25, *[0.1875] * 4])
    assert bounds.minimum_entropy(math.log(0.25)) == pytest.approx(least, rel=1e-12)
    assert bounds.maximum_entropy(math.log(0.25), 5) == pytest.approx(most, rel=1e-12)


def test_gap_of_the_bounds_is_that_of_the_specification():
    p = np.array([0.001, 0.3, 0.9, 0.9999])
    gap = bounds.maximum_entropy(np.log(p), 128256) - bounds.minimum_entropy(np.log(p))
    np.testing.assert_allclose(gap, (1 - p) * math.log(128255), rtol=1e-9)
    assert math.log(128255) == pytest.approx(11.76, abs=0.005)


def test_limits_of_the_bounds():
    assert bounds.minimum_entropy(-np.inf) == 0  # p = 0: everything on one other word
    assert bounds.maximum_entropy(-np.inf, 101) == pytest.approx(math.log(100), rel=1e-12)
    assert bounds.minimum_entropy(0.0) == bounds.maximum_entropy(0.0, 101) == 0
    # p → 1: the remaining mass q is all that counts, H_min → q (1 − ln q); 1 − p in fp64 would have lost digits.
    q = 1e-13
    assert bounds.minimum_entropy(-q) == pytest.approx(q * (1 - math.log(q)), rel=1e-9)
    assert bounds.maximum_entropy(-q, 101) == pytest.approx(q * (1 - math.log(q) + math.log(100)), rel=1e-9)
    assert bounds.minimum_entropy(math.log(0.5)) == pytest.approx(math.log(2), rel=1e-12)


def test_two_words_leave_no_room_and_one_word_is_refused():
    logprob = np.log([0.1, 0.5, 0.99])
    np.testing.assert_allclose(bounds.maximum_entropy(logprob, 2), bounds.minimum_entropy(logprob), rtol=1e-12)
    with pytest.raises(ValueError, match="vocabulary of 1"):
        bounds.maximum_entropy(logprob, 1)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 50.0])
def test_every_token_of_random_logits_lies_between_the_bounds(scale):
    """A property of docs/choices.md#properties-of-the-weight."""
    logits = np.random.default_rng(0).normal(scale=scale, size=(200, 50))
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    entropy = scipy_entropy(np.exp(log_p), axis=1)[:, None]
    assert (entropy >= bounds.minimum_entropy(log_p) - 1e-12).all()
    assert (entropy <= bounds.maximum_entropy(log_p, 50) + 1e-12).all()


def test_remaining_entropy_is_that_of_the_other_words():
    p = np.array([0.6, 0.3, 0.08, 0.02])
    expected = scipy_entropy(p[1:] / p[1:].sum())
    assert bounds.remaining_entropy(np.log(0.6), scipy_entropy(p)) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(bounds.remaining_entropy(0.0, 0.0))


def two_kinds(n: int, rest: tuple[float, float], decades=(-1.999, -1.001)) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of all confidences, half of them with each H_rest."""
    logprob = -np.logspace(*decades, n)
    share = np.where(np.arange(n) % 2, *rest)
    return logprob, bounds.minimum_entropy(logprob) - np.expm1(logprob) * share


def test_spread_is_1_where_confidence_fixes_entropy_and_the_possible_one_where_it_does_not():
    vocabulary = 1001
    alike = bounds.spread(*two_kinds(500, (3.0, 3.0)), vocabulary)
    assert len(alike) == 5  # a decade
    assert alike["tokens"].sum() == 500
    np.testing.assert_allclose(alike["ratio"], 1, rtol=1e-9)
    widest = bounds.spread(*two_kinds(500, (0.0, math.log(1000))), vocabulary)
    np.testing.assert_allclose(widest["ratio"], widest["possible"], rtol=1e-9)
    middle = 10**-1.9
    assert widest["surprisal"].iloc[0] == pytest.approx(middle)
    p = math.exp(-middle)
    assert widest["possible"].iloc[0] == pytest.approx(
        1 + (1 - p) * math.log(1000) / scipy_entropy([p, 1 - p]), rel=1e-9
    )


def test_spread_leaves_out_thin_bins_and_unresolved_tokens():
    logprob, entropy = two_kinds(9, (1.0, 2.0), (-2.0, -1.99))
    assert bounds.spread(logprob, entropy, 100).empty
    saturated = np.zeros(50)
    found = bounds.summary(pd.DataFrame({"logprob": saturated, "entropy_T1.0": saturated}), 100)
    assert (found["tokens"], found["unresolved"], found["bins"], found["outside"]) == (50, 50, 0, 0)
    assert math.isnan(found["ratio"])


def test_summary_counts_what_is_undefined_and_what_is_impossible():
    logprob, entropy = two_kinds(500, (1.0, 3.0))
    table = pd.DataFrame({"logprob": logprob, "entropy_T1.0": entropy}).astype("float32")
    good = bounds.summary(table, 1001)
    assert (good["tokens"], good["undefined"], good["outside"], good["tokens_in_bins"]) == (500, 0, 0, 500)
    assert good["ratio"] == pytest.approx(bounds.spread(logprob, entropy, 1001)["ratio"].median(), rel=1e-3)
    assert 1 < good["ratio"] < good["possible"]
    table.loc[0, "entropy_T1.0"] = 5.0  # above H_max
    table.loc[1, "entropy_T1.0"] = 0.0  # below H_min
    table.loc[2, "logprob"] = np.nan
    bad = bounds.summary(table, 1001)
    assert (bad["tokens"], bad["undefined"], bad["outside"]) == (500, 1, 2)


@pytest.fixture(scope="module")
def tokens() -> pd.DataFrame:
    """600 tokens of 30 answers: informative ones less sure and more spread; one answer without labels."""
    rng = np.random.default_rng(0)
    informative = rng.random(600) < 0.25
    surprisal = 10 ** rng.normal(-2 + 0.8 * informative, 0.5)
    rest = rng.uniform(0.5, 4, 600) + 2 * informative
    table = pd.DataFrame(
        {
            "sample": np.repeat([f"full-{i:04d}" for i in range(30)], 20),
            "position": np.tile(np.arange(20), 30),
            "token_id": rng.integers(300, size=600),
            "eos": np.tile(np.arange(20) == 19, 30),
            "logprob": -surprisal,
            "entropy_T1.0": bounds.minimum_entropy(-surprisal) - np.expm1(-surprisal) * rest,
        }
    )
    table["informative_gold"] = pd.array(informative, "boolean")
    table["informative_gpt"] = table["informative_gold"].mask(table["sample"] == "full-0003")
    return table


def numbers(*tables: tuple[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame({"model": model, **bounds.summary(table, 1001)} for model, table in tables)


def test_bounds_figure_has_every_token_between_both_curves(tokens):
    found = numbers(("1B", tokens), ("3B", tokens))
    figure = etw_bounds.draw({"1B": tokens, "3B": tokens}, found, "gpt")
    main = [axes for axes in figure.axes if axes.collections]
    assert len(main) == 4
    for axes, divided in zip(main, (False, True) * 2, strict=True):
        points = np.asarray(axes.collections[0].get_offsets())
        assert len(points) == 600
        curves = lines(axes)
        low, high = (
            np.interp(np.log(points[:, 0]), np.log(curves[name].get_xdata()), curves[name].get_ydata())
            for name in ("H_min", "H_max")
        )
        assert (points[:, 1] > 0.98 * low).all()
        assert (points[:, 1] < 1.02 * high).all()
        scale = -np.expm1(-points[:, 0]) if divided else 1
        assert sorted(points[:, 1] * scale) == pytest.approx(sorted(tokens["entropy_T1.0"]))
        assert axes.get_xscale() == "log"
    assert [axes.get_yscale() for axes in main] == ["log", "linear"] * 2
    right = lines(main[1])
    gap = right["H_max"].get_ydata() - right["H_min"].get_ydata()
    np.testing.assert_allclose(gap, math.log(1000), rtol=1e-6)


def test_bounds_figure_says_its_numbers_and_colours_kinds(tokens):
    found = numbers(("1B", tokens))
    figure = etw_bounds.draw({"1B": tokens}, found, "gpt")
    (title,) = [text for text in texts(figure) if text.startswith("1B")]
    assert "600 tokens" in title
    assert f"median over bins of p: {found['ratio'].iloc[0]:.2f} (possible" in title
    assert "not drawn" not in title
    assert {"informative", "structural", "no label", "labels: gpt"} <= set(texts(figure))
    colours = {to_hex(c).upper() for c in figure.axes[0].collections[0].get_facecolors()}
    assert colours == {style.INFORMATIVE, style.STRUCTURAL, "#999999"}
    unsure = figure.axes[0].collections[0]
    kinds = [to_hex(c).upper() for c in unsure.get_facecolors()]
    blue = sum(kind == style.INFORMATIVE for kind in kinds)
    known = tokens["informative_gpt"].fillna(False).astype(bool) & ~tokens["eos"]  # EOS counts as structural
    assert blue == known.sum()
    assert "no label" not in texts(etw_bounds.draw({"1B": tokens}, found, "gold"))


def test_bounds_figure_counts_what_it_cannot_place(tokens):
    odd = tokens.assign(
        logprob=[0.0, np.nan, -5e-7, *tokens["logprob"].iloc[3:]],
        **{"entropy_T1.0": [*tokens["entropy_T1.0"].iloc[:3], 0.0, -1e-7, *tokens["entropy_T1.0"].iloc[5:]]},
    )
    figure = etw_bounds.draw({"m": odd}, numbers(("m", odd)), "gold")
    (title,) = [t for t in texts(figure) if t.startswith("m:")]
    assert "m: 600 tokens, 5 not drawn (−ln p < 10⁻⁶, H ≤ 0 or undefined)" in title
    for axes in [axes for axes in figure.axes if axes.collections]:
        points = np.asarray(axes.collections[0].get_offsets())
        assert len(points) == 595
        assert (points[:, 0] > bounds.RESOLUTION).all()
        low = np.interp(
            np.log(points[:, 0]), np.log(lines(axes)["H_min"].get_xdata()), lines(axes)["H_min"].get_ydata()
        )
        assert (points[:, 1] > 0.98 * low).all()  # what is at fp32's resolution would lie below
    few = tokens.head(5)
    assert any("undefined (no bin" in text for text in texts(etw_bounds.draw({"m": few}, numbers(("m", few)), "gold")))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("columns", [{"logprob": np.nan}, {"logprob": 0.0}, {"entropy_T1.0": np.nan}])
def test_bounds_figure_without_a_token_to_draw_says_so(tokens, columns):
    lost = tokens.assign(**columns)
    figure = etw_bounds.draw({"1B": tokens, "lost": lost}, numbers(("1B", tokens), ("lost", lost)), "gold")
    assert texts(figure).count("no token to draw") == 2
    assert any("lost: 600 tokens, 600 not drawn" in text for text in texts(figure))


def test_vocabulary_is_that_of_the_language_model(tmp_path):
    write_json(tmp_path / "config.json", {"vocab_size": 300})
    assert bounds.vocabulary_size(tmp_path) == 300
    write_json(tmp_path / "config.json", {"vision_config": {}, "text_config": {"vocab_size": 7}})
    assert bounds.vocabulary_size(str(tmp_path)) == 7
    write_json(tmp_path / "config.json", {"text_config": {}})
    with pytest.raises(InputError, match=r"config\.json: no vocab_size"):
        bounds.vocabulary_size(tmp_path)


# --- next tokens ---


@pytest.fixture(scope="module")
def record(data):
    return data.forget("forget10")[0]


@pytest.fixture(scope="module")
def distribution(sharp, encoder, record) -> pd.DataFrame:
    return next_tokens(sharp, encoder, record, 4)


@torch.no_grad()
def logits_of(model, encoder, record) -> torch.Tensor:
    """[n, V] fp64 log-probabilities by the model's own head."""
    example = encoder.example(record)
    logits = model(torch.tensor([[*example.prompt, *example.answer]])).logits[0]
    return logits[len(example.prompt) - 1 : -1].double().log_softmax(-1)


def test_next_tokens_are_those_of_the_models_own_head(distribution, sharp, encoder, record):
    log_p = logits_of(sharp, encoder, record)
    gold, spans = encoder.answer(record.answer)
    assert distribution["position"].unique().tolist() == list(range(len(gold)))
    for position, rows in distribution.groupby("position"):
        p = log_p[position].exp().numpy()
        order = np.argsort(-p, kind="stable")
        assert rows["token_id"].head(4).tolist() == order[:4].tolist()
        assert rows["rank"].head(4).tolist() == [1, 2, 3, 4]
        np.testing.assert_allclose(rows["probability"], p[rows["token_id"]], rtol=1e-4)
        assert rows["entropy"].unique() == pytest.approx([scipy_entropy(p)], rel=1e-4)
        (chosen,) = rows[rows["gold"]].to_dict("records")  # exactly one
        assert chosen["token_id"] == gold[position]
        assert chosen["rank"] == order.tolist().index(gold[position]) + 1
        assert chosen["gold_text"] == record.answer[slice(*spans[position])]
        assert len(rows) == 4 + (chosen["rank"] > 4)


def test_next_tokens_agree_with_the_token_table(distribution, scored, record):
    table = scored[scored["sample"] == record.id]
    gold = distribution[distribution["gold"]]
    np.testing.assert_allclose(gold["entropy"], table["entropy_T1.0"], rtol=1e-4)
    np.testing.assert_allclose(np.log(gold["probability"]), table["logprob"], rtol=1e-4, atol=1e-5)
    assert gold["gold_text"].tolist() == table["text"].tolist()


def test_next_tokens_of_the_whole_vocabulary_sum_to_one(sharp, encoder, record):
    table = next_tokens(sharp, encoder, record, 10**6)
    assert table.groupby("position")["probability"].sum().to_numpy() == pytest.approx(1, rel=1e-5)
    assert table.groupby("position").size().nunique() == 1  # gold is among them, so none is added


def test_next_tokens_in_chunks_are_the_same(distribution, sharp, encoder, record, monkeypatch):
    monkeypatch.setattr("lethe.analysis.next_tokens.chunk_rows", lambda vocabulary: 3)
    pd.testing.assert_frame_equal(next_tokens(sharp, encoder, record, 4), distribution, rtol=1e-5)


def test_next_tokens_under_autocast(distribution, sharp, encoder, record):
    table = next_tokens(sharp, encoder, record, 4, torch.bfloat16)
    assert table["probability"].dtype == np.float64
    same = table[table["gold"]]["entropy"].to_numpy() / distribution[distribution["gold"]]["entropy"].to_numpy()
    assert same == pytest.approx(1, rel=0.2)
    assert not (same == 1).all()  # the body did run in bf16


def test_token_texts_keep_spaces_and_name_pieces_of_characters(encoder):
    tokenizer = encoder.tokenizer
    space = tokenizer.convert_tokens_to_ids("Ġ")
    assert token_text(tokenizer, space) == " "
    half = tokenizer(" é", add_special_tokens=False)["input_ids"][-1]
    assert token_text(tokenizer, half) == tokenizer.convert_ids_to_tokens(half)
    assert "\ufffd" not in token_text(tokenizer, half)
    assert token_text(tokenizer, tokenizer.eos_token_id) == "<eos>"
    assert token_text(tokenizer, 10**6) == "<1000000>"  # heads may be padded beyond the tokenizer
    sentence_piece = Tokenizer(models.WordLevel({"▁the": 0, "ing": 1}, unk_token="ing"))
    sentence_piece.decoder = decoders.Metaspace()
    other = PreTrainedTokenizerFast(tokenizer_object=sentence_piece)
    assert [token_text(other, 0), token_text(other, 1)] == [" the", "ing"]


def test_sample_is_the_first_wanted_of_the_split_or_the_first_with_both_kinds(tokens):
    assert choose_sample(tokens, ["full-9999", "full-0007", "full-0002"], "gold") == "full-0007"
    assert choose_sample(tokens, [], "gold") == "full-0000"
    plain = tokens["informative_gold"].mask(tokens["sample"] == "full-0000", False)
    assert choose_sample(tokens.assign(informative_gold=plain), [], "gold") == "full-0001"
    with pytest.raises(InputError, match=r"labels 'gold'.*figures\.label"):
        choose_sample(tokens.assign(informative_gold=False), ["full-9999"], "gold")


def answer(entropy, informative, eos=None) -> pd.DataFrame:
    n = len(entropy)
    marks = pd.array(informative, "boolean")
    columns = {"sample": "a", "position": range(n), "entropy_T1.0": entropy, "informative_gold": marks}
    return pd.DataFrame({**columns, "eos": [False] * (n - 1) + [True]})


def test_positions_are_the_extremes_without_first_token_eos_and_unlabelled_ones():
    #               first  +     –     +     NA    –     EOS
    entropies = [0.01, 1.0, 0.30, 2.0, 0.02, 0.2, 0.001]
    labels = [False, True, False, True, None, False, False]
    assert choose_positions(answer(entropies, labels), "a", "gold") == (5, 3)
    shuffled = answer(entropies, labels).sample(frac=1, random_state=1)
    assert choose_positions(pd.concat([shuffled, shuffled.assign(sample="b")]), "a", "gold") == (5, 3)


def test_positions_name_the_fix_if_a_kind_is_missing():
    with pytest.raises(InputError, match=r"sample a: .*no informative token.*figures\.samples"):
        choose_positions(answer([1.0, 1.0, 1.0], [False, False, True]), "a", "gold")  # EOS does not count
    with pytest.raises(InputError, match=r"sample a: .*no structural token.*figures\.label"):
        choose_positions(answer([1.0, 1.0, 1.0], [False, True, False]), "a", "gold")
    with pytest.raises(InputError, match="informative_none"):
        choose_positions(answer([1.0, 1.0], [False, True]), "a", "none")


def test_fig1_draws_both_positions_with_gold_and_entropy(distribution, scored, record):
    positions = choose_positions(scored, record.id, "gold")
    figure = etw_fig1.draw(distribution, positions, record.prompt)
    for axes, position, (kind, colour) in zip(figure.axes, positions, etw_fig1.KINDS.items(), strict=False):
        rows = distribution[distribution["position"] == position]
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(rows["probability"].tolist())
        faces = [to_hex(bar.get_facecolor()).upper() == colour for bar in axes.patches]
        assert faces == rows["gold"].tolist()
        assert axes.get_title().startswith(f"{kind}: ")
        assert f"(position {position})" in axes.get_title()
        assert f"H = {rows['entropy'].iloc[0]:.3g} nats" in axes.get_title()
        assert [text.get_text() for text in axes.get_xticklabels()] == [etw_fig1.visible(t) for t in rows["text"]]
    assert figure.axes[0].get_ylabel() == "Probability"


def test_fig1_sets_a_gold_token_beyond_the_likeliest_apart_with_its_rank(distribution, record):
    far = distribution[distribution["rank"] > 4]
    assert len(far)  # an untrained model guesses badly
    position = int(far["position"].iloc[0])
    figure = etw_fig1.draw(distribution, (position, position), record.prompt)
    centres = [bar.get_x() + bar.get_width() / 2 for bar in figure.axes[0].patches]
    assert centres == pytest.approx([0, 1, 2, 3, 4.6])
    assert any(text.startswith(f"rank {far['rank'].iloc[0]}\n") for text in texts(figure))


def test_fig1_strip_shades_all_tokens_and_frames_two(distribution, scored, record):
    positions = choose_positions(scored, record.id, "gold")
    figure = etw_fig1.draw(distribution, positions, record.prompt)
    page = figure.axes[2]
    entropies = distribution[distribution["gold"]]["entropy"].to_numpy()
    assert len(page.patches) == len(entropies)
    shades = [to_hex(box.get_facecolor()) for box in page.patches]
    assert shades == [to_hex(etw_fig1.SHADES(share)) for share in entropies / entropies.max()]
    framed = {i: to_hex(b.get_edgecolor()).upper() for i, b in enumerate(page.patches) if b.get_edgecolor()[3] > 0}
    assert framed == dict(zip(positions, (style.STRUCTURAL, style.INFORMATIVE), strict=True))
    shown = [text.get_text() for text in page.texts]
    assert shown.count("EOS") == 1
    assert any(text.startswith(f"{record.id}: ") for text in shown)
    assert "entropy (nats)" in texts(figure)


def test_fig1_text_is_text(distribution, record):
    odd = distribution.assign(text="$x_1$ \n\t and very much more")
    figure = etw_fig1.draw(odd, (1, 2), "What is $5?")
    names = figure.axes[0].get_xticklabels()
    assert names[0].get_text() == "$x_1$␣↵⇥␣an…"
    assert not any(name.get_parse_math() for name in names)
    with pytest.raises(InputError, match=r"no position \[999\]"):
        etw_fig1.draw(distribution, (1, 999), "Who?")


# --- all ---


@pytest.mark.parametrize("name", ["fig1", "bounds"])
def test_page_width_readable_text_and_nothing_cut_off(name, distribution, scored, record, tokens, fits_page):
    figure = {
        "fig1": lambda: etw_fig1.draw(distribution, choose_positions(scored, record.id, "gold"), record.prompt * 5),
        "bounds": lambda: etw_bounds.draw({"1B": tokens, "3B": tokens}, numbers(("1B", tokens), ("3B", tokens)), "gpt"),
    }[name]()
    fits_page(figure)


def test_the_row_shown_is_that_of_the_sample_chosen(data, scored):
    row = choose_row(scored, data, [scored["sample"].iloc[-1]], "gold")
    assert row.id == scored["sample"].iloc[-1]
    with pytest.raises(InputError, match="nobody"):
        choose_row(scored, data, ["nobody"], "gold")
