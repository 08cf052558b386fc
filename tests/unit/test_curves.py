"""Which weightings are followed over fine-tuning, and why the others are not."""

import pytest

from lethe.analysis.curves import Curve, curves, left_out, why_not
from lethe.config import MethodConfig
from lethe.weightings import WEIGHTINGS
from lethe.weightings.entropy import Entropy
from lethe.weightings.satimp import SatImp


def method(weighting, **others) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective=others.pop("objective", "ascent"), retain="nll", **others)


METHODS = {
    "GA": method("uniform"),
    "WGA": method("confidence"),
    "again": method("confidence", objective="npo"),
    "SatImp": method({"satimp": {"beta1": 3.0, "beta2": 0.1}}),
    "ETW": method("entropy", sweep={"weighting.temperature": [1.0, 7.0]}),
    "Raw": method({"raw_entropy": {"temperature": 2.0}}),
    "Raw7": method({"raw_entropy": {"temperature": 7.0}}),
    "TNPO": method("tnpo"),
    "SCN": method("spacy_nouns"),
    "MI": method("mutual_information"),
    "Variance": method({"spread": {"form": "variance"}}, sweep={"weighting.form.temperature": [1.0, 3.0]}),
    "tried": method("satimp", sweep={"weighting.beta1": [5.0, 4.0], "strength": [1.0, 2.0]}),
}


def test_what_is_recorded_is_followed_with_the_studys_own_exponents():
    found = curves(METHODS, [1.0, 2.0])
    assert list(found) == [
        Curve("ETW", 1.0),
        Curve("ETW", 2.0),
        *(Curve(name) for name in ("WGA", "SatImp", "Raw", "tried (beta1=5.0)", "tried (beta1=4.0)")),
    ]
    assert found["ETW", 2.0] == Entropy(temperature=2.0)
    assert found["SatImp", None] == SatImp(beta1=3.0, beta2=0.1)
    assert found["tried (beta1=4.0)", None] == SatImp(beta1=4.0)


def test_the_rest_is_named_with_the_reason():
    text = left_out(METHODS, [1.0, 2.0])
    assert text == (
        "Left out is what does not depend on the model (GA, SCN); what needs the entropy at T = 7, not in "
        "finetune_temperatures (Raw7); what compares the model with itself as long as nothing is unlearned (TNPO); "
        "what is made of what is not recorded while fine-tuning (MI, Variance "
        "(temperature=1.0), Variance (temperature=3.0))."
    )
    assert left_out({"WGA": method("confidence")}, [1.0]) == ""


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_weighting_is_followed_or_has_a_reason(name):
    weighting = WEIGHTINGS[name](**({"form": "variance"} if name.endswith("spread") else {}))
    followed = {"confidence", "importance", "satimp", "entropy", "raw_entropy"}
    assert (why_not(weighting, [1.0]) is None) == (name in followed)
