"""AUC while memorising: numbers against scikit-learn, then what the figure shows."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score

from lethe.analysis.curves import Curve
from lethe.analysis.memorisation import auc_by_epoch
from lethe.errors import InputError
from lethe.figures import etw_memorisation, style
from lethe.tokens.table import considered
from lethe.weightings.confidence import Confidence
from lethe.weightings.entropy import Entropy
from lethe.weightings.importance import Importance
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.satimp import SatImp

TEMPERATURES = [0.5, 2.0]
CURVES = {Curve("ETW", t): Entropy(temperature=t) for t in TEMPERATURES} | {
    Curve("Imp"): Importance(),
    Curve("WGA"): Confidence(exponent=2.0),
    Curve("SatImp"): SatImp(beta1=2.0, beta2=0.5),
    Curve("Raw"): RawEntropy(temperature=2.0),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def lines(axes) -> dict[str, object]:
    return {line.get_label(): line for line in axes.lines}


@pytest.fixture(scope="module")
def tokens() -> pd.DataFrame:
    """600 tokens of 30 answers of 6 authors; one answer without labels of the second source."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample": np.repeat([f"full-{i:04d}" for i in range(30)], 20),
            "group": np.repeat([f"author {i // 5}" for i in range(30)], 20),
            "position": np.tile(np.arange(20), 30),
            "token_id": rng.integers(300, size=600),
            "eos": np.tile(np.arange(20) == 19, 30),
            "informative_gold": pd.array(rng.random(600) < 0.25, "boolean"),
        }
    )
    return table.assign(informative_gpt=table["informative_gold"].mask(table["sample"] == "full-0003"))


@pytest.fixture(scope="module")
def epochs(tokens) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    informative = tokens["informative_gold"].to_numpy(bool)
    parts = []
    for epoch in (0, 1, 2):
        rows = tokens[["sample", "position", "token_id"]].assign(epoch=np.int32(epoch))
        rows["logprob"] = (-rng.gamma(1, 1 + informative) / 10**epoch).astype("float32")
        for t in TEMPERATURES:
            rows[f"entropy_T{t}"] = rng.gamma(2, 1 + 0.5 * epoch * informative).astype("float32")
        parts.append(rows)
    other = rows.assign(sample=rows["sample"].str.replace("full", "elsewhere"))  # of another split
    return pd.concat([*parts, other]).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def auc(epochs, tokens) -> pd.DataFrame:
    return auc_by_epoch(epochs, tokens, ["gold", "gpt"], CURVES, bootstrap=50)


def one(auc, **values) -> pd.Series:
    for key, value in values.items():
        auc = auc[auc[key].isna() if value is None else auc[key] == value]
    (row,) = auc.to_dict("records")
    return row


def at(epochs, tokens, epoch: int) -> pd.DataFrame:
    return tokens.merge(epochs[epochs["epoch"] == epoch], on=["sample", "position", "token_id"])


@pytest.mark.parametrize("label", ["gold", "gpt"])
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_auc_of_each_curve_equals_scikit_learns(auc, epochs, tokens, label, epoch):
    assert auc.columns.tolist()[:8] == ["label", "epoch", "score", "temperature", "auc", "low", "high", "mean_p"]
    assert len(auc) == 2 * 3 * len(CURVES)
    rows = at(epochs, tokens, epoch)
    mean_p = one(auc, label=label, epoch=epoch, score="Imp")["mean_p"]
    assert mean_p == pytest.approx(np.exp(rows["logprob"].astype(float)).mean(), rel=1e-9)
    rows = rows[rows[f"informative_{label}"].notna()]
    positive = rows[f"informative_{label}"].to_numpy(bool) & ~rows["eos"].to_numpy(bool)
    p = np.exp(rows["logprob"].to_numpy(float))
    # exponents are those of CURVES, not the classes' defaults
    expected = {("Imp", None): 1 - p, ("WGA", None): p, ("SatImp", None): p**2 * (1 - p) ** 0.5}
    expected["Raw", None] = rows["entropy_T2.0"]
    for t in TEMPERATURES:
        expected["ETW", t] = rows[f"entropy_T{t}"] / rows.groupby("sample")[f"entropy_T{t}"].transform("sum")
    for (score, temperature), values in expected.items():
        row = one(auc, label=label, epoch=epoch, score=score, temperature=temperature)
        assert row["auc"] == pytest.approx(roc_auc_score(positive, values), abs=1e-6), (score, epoch)
        assert row["low"] < row["auc"] < row["high"]


def test_imp_is_the_reverse_of_wga_and_etw_is_normalised(auc):
    for epoch in (0, 1, 2):
        imp, wga = (one(auc, label="gold", epoch=epoch, score=score)["auc"] for score in ("Imp", "WGA"))
        assert imp == pytest.approx(1 - wga, abs=1e-12)
    pooled = one(auc, label="gold", epoch=2, score="ETW", temperature=2.0)["auc"]
    assert abs(one(auc, label="gold", epoch=2, score="Raw")["auc"] - pooled) > 1e-4  # invariant 10


def test_end_tokens_that_are_not_looked_at_still_share_in_the_weights(epochs, tokens):
    kept = considered(tokens, "drop")
    found = auc_by_epoch(epochs, kept, ["gold"], {Curve("ETW", 2.0): Entropy(temperature=2.0)}, 0)
    rows = at(epochs, tokens, 1)
    whole = rows["entropy_T2.0"] / rows.groupby("sample")["entropy_T2.0"].transform("sum")
    inner = ~rows["eos"].to_numpy(bool)
    expected = roc_auc_score(rows["informative_gold"].to_numpy(bool)[inner], whole[inner])
    row = one(found, epoch=1)
    assert row["auc"] == pytest.approx(expected, abs=1e-9)
    assert row["mean_p"] == pytest.approx(np.exp(rows["logprob"].astype(float))[inner].mean())


def test_authors_are_drawn_where_they_are_asked_for(epochs, tokens, auc):
    curves = {Curve("Imp"): Importance()}
    by_author = auc_by_epoch(epochs, tokens, ["gold"], curves, 50, cluster="group")
    mine, theirs = one(by_author, epoch=2), one(auc, epoch=2, label="gold", score="Imp")
    assert mine["auc"] == theirs["auc"]
    assert mine["low"] != theirs["low"]


def test_epochs_of_other_tokens_are_refused(epochs, tokens):
    first = epochs[epochs["epoch"] == 0]
    short = first.drop(index=first[first["sample"].str.startswith("full")].index[0])
    with pytest.raises(InputError, match="epoch 0 has 599 of the token table's 600"):
        auc_by_epoch(short, tokens, ["gold"], {})
    with pytest.raises(InputError, match="epoch 1"):
        auc_by_epoch(pd.concat([epochs, epochs[epochs["epoch"] == 1]]), tokens, ["gold"], CURVES, 0)
    with pytest.raises(InputError, match=r"entropy_T3\.0"):
        auc_by_epoch(epochs, tokens, ["gold"], {Curve("ETW", 3.0): Entropy(temperature=3.0)})


def test_undefined_auc_has_a_reason(epochs, tokens):
    found = auc_by_epoch(epochs, tokens.assign(informative_gold=False), ["gold"], CURVES, 0)
    assert found["auc"].isna().all()
    assert found["reason"].str.contains("single class").all()


@pytest.fixture(scope="module")
def both(auc) -> pd.DataFrame:
    return pd.concat([auc.assign(model="1B"), auc.assign(model="3B", auc=auc["auc"] / 2)])


def test_memorisation_figure_has_a_line_per_score_and_one_per_epoch(both):
    figure = etw_memorisation.draw(both, "gpt")
    panels = figure.axes[:4]
    for model, left, right in zip(("1B", "3B"), panels[::2], panels[1::2], strict=True):
        rows = both[(both["model"] == model) & (both["label"] == "gpt")]
        found = lines(left)
        assert set(found) == {"ETW, T = 0.5", "ETW, T = 2", "Imp", "WGA", "SatImp", "Raw", "_chance"}
        want = rows[(rows["score"] == "ETW") & (rows["temperature"] == 2)].sort_values("epoch")["auc"]
        assert found["ETW, T = 2"].get_ydata() == pytest.approx(want.to_numpy())
        assert to_hex(found["Imp"].get_color()).upper() == style.colour("Imp")
        assert left.get_ylabel() == f"{model}\nAUC"
        found = lines(right)
        assert {"epoch 0", "epoch 1", "epoch 2", "Imp, last epoch"} <= set(found)
        assert found["epoch 1"].get_xdata().tolist() == TEMPERATURES
        want = rows[(rows["score"] == "ETW") & (rows["epoch"] == 1)].sort_values("temperature")["auc"]
        assert found["epoch 1"].get_ydata() == pytest.approx(want.to_numpy())
        imp = one(rows, score="Imp", epoch=2)["auc"]
        assert found["Imp, last epoch"].get_ydata()[0] == imp
        assert len({to_hex(found[f"epoch {e}"].get_color()) for e in range(3)}) == 3
    assert {f"{p:.3f}" for p in both["mean_p"]} <= set(texts(figure))
    assert {"Mean p of the answer tokens", "Fine-tuning epoch", "labels: gpt"} <= set(texts(figure))


def test_memorisation_figure_counts_undefined_values_and_knows_its_label(both):
    lost = both[both["model"] == "1B"].copy()
    lost.loc[(lost["epoch"] == 1) & (lost["score"] == "ETW"), ["auc", "low", "high"]] = np.nan
    figure = etw_memorisation.draw(lost, "gold")
    assert "2 of 18 AUCs undefined" in texts(figure)
    assert "2 of 6 AUCs undefined" in texts(figure)
    with pytest.raises(InputError, match="label 'spacy'"):
        etw_memorisation.draw(both, "spacy")


def test_memorisation_figure_labels_few_epochs_and_always_the_last(both):
    base = both[(both["model"] == "1B") & (both["label"] == "gold") & (both["epoch"] == 0)]
    long = pd.concat(base.assign(epoch=e, mean_p=0.1 + 0.03 * e) for e in range(26))
    figure = etw_memorisation.draw(long, "gold")
    (top,) = figure.axes[0].child_axes
    assert len(top.get_xticks()) <= 6
    assert 25 in top.get_xticks()


def test_memorisation_figure_without_imp_has_no_line_for_it(both):
    figure = etw_memorisation.draw(both[~both["score"].isin(["Imp", "WGA"])], "gold")
    left, right = figure.axes[:2]
    assert set(lines(left)) == {"ETW, T = 0.5", "ETW, T = 2", "SatImp", "Raw", "_chance"}
    assert "Imp, last epoch" not in lines(right)


def test_memorisation_figure_fits_the_page(both, fits_page):
    fits_page(etw_memorisation.draw(both, "gpt"))
