"""Which variants there are, and that each is the base but for one thing."""

from typing import Any, cast

import pytest

from bayes_hybrid import FitOptions, HybridRegressor, Pathway
from bayes_hybrid.ablation import Variant, variants
from bayes_hybrid.ablation.variant import BASE, MITIGATIONS, applied
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import build_model, build_options
from bayes_hybrid.gates import GATES, LinearGate
from bayes_hybrid.likelihoods import LIKELIHOODS, NegativeBinomial, Normal, Poisson
from bayes_hybrid.models import HybridMixture
from bayes_hybrid.nn import COMBINATIONS

OWN = (Pathway(kind="relu", num_units=7), Pathway(kind="linear_mix"))
BASES = [
    HybridRegressor(),
    HybridRegressor(fit_options=FitOptions()),
    HybridRegressor(gate=LinearGate(), experts=OWN),
    HybridRegressor(experts=["relu", OWN[0]], noise="input"),
    HybridRegressor(model="relu", likelihood=Normal()),
    HybridRegressor(model=OWN[0]),
]


def names(base, **options):
    return [variant.name for variant in variants(base, **options)]


def test_likelihoods_keep_the_column_of_the_rows_sizes():
    base = HybridRegressor(likelihood=Poisson(exposure="years"))
    offered = {variant.name: variant.settings for variant in variants(base)}
    of_noise = {name: each for name, each in offered.items() if name.startswith("likelihood")}
    other = NegativeBinomial(exposure="years")
    assert of_noise == {"likelihood_negative_binomial": {"likelihood": other}}


def test_every_registered_part_has_a_variant():
    found = set(names(HybridRegressor()))
    assert found == {
        BASE,
        *COMBINATIONS,
        *(f"gate_{name}" for name in GATES if name != "relu"),
        *(f"likelihood_{n}" for n in {*LIKELIHOODS} - {"normal"} if LIKELIHOODS[n].standardises),
        *(mitigation.name for mitigation in MITIGATIONS),
    }


def test_counts_have_the_likelihoods_of_counts():
    own = tuple(Pathway(likelihood=Poisson()) for _ in range(2))
    for base in (HybridRegressor(likelihood="poisson"), HybridRegressor(experts=own)):
        likelihoods = [name for name in names(base) if name.startswith("likelihood")]
        assert likelihoods == ["likelihood_negative_binomial"]


def test_a_new_gate_and_a_new_likelihood_are_found(monkeypatch):
    class Other(Normal):
        """Stands for a likelihood to come."""

    monkeypatch.setattr("bayes_hybrid.ablation.variant.GATES", GATES | {"new": LinearGate})
    known = LIKELIHOODS | {"other": Other}
    monkeypatch.setattr("bayes_hybrid.ablation.variant.LIKELIHOODS", known)
    found = variants(HybridRegressor(experts=OWN), only=["gate_new", "likelihood_other"])
    assert [variant.name for variant in found] == [BASE, "gate_new", "likelihood_other"]
    assert [expert.likelihood for expert in found[-1].settings["experts"]] == [Other(), Other()]


@pytest.mark.parametrize("base", BASES, ids=range(len(BASES)))
def test_every_variant_can_be_built_and_is_another_model(base):
    for variant in variants(base)[1:]:
        # A linear combination needs two columns; of two, a threshold would have to be told which.
        num_features = 2 if variant.name == "gate_oblique" else 1
        estimator = applied(base, variant)
        same_model = build_model(estimator, num_features) == build_model(base, num_features)
        # One step changes the model or the recipe, never both.
        assert same_model != (build_options(estimator) == build_options(base))


def test_what_would_change_nothing_is_left_out():
    base = HybridRegressor(
        model="relu", noise="constant", fit_options=FitOptions(sampler=None, num_restarts=1)
    )
    idle = {step.name for step in MITIGATIONS if step.name.startswith("minus")}
    assert not {"relu", "gate_linear", "plan_direct", *idle} & set(names(base))
    assert {"minus_restarts", "plan_direct"} <= set(names(HybridRegressor()))
    # Its gate cannot be made even, so it goes by that plan already.
    ordered = names(HybridRegressor(gate="threshold"))
    assert "plan_direct" not in ordered
    assert "minus_restarts" in ordered
    assert "mixture" in names(base)
    assert "gate_linear" not in names(HybridRegressor(gate=LinearGate()))
    never = FitOptions(sampler=None)
    assert "minus_refinement" not in names(HybridRegressor(fit_options=never))


def test_mitigations_reach_fit_options_and_experts():
    base = HybridRegressor(fit_options=FitOptions(batch_size=64), experts=OWN)
    found = {variant.name: applied(base, variant) for variant in variants(base)}
    options = build_options(found["minus_restarts"])
    assert (options.num_restarts, options.batch_size) == (1, 64)
    assert build_options(found["minus_refinement"]).sampler is None
    model = build_model(found["minus_input_noise"], 2)
    assert isinstance(model, HybridMixture)
    assert [(e.kind, e.noise) for e in model.experts] == [
        ("relu", "constant"),
        ("linear_mix", "constant"),
    ]


def test_only_keeps_the_order_and_the_base():
    assert names(HybridRegressor(), only=["minus_restarts", "relu"]) == [
        BASE,
        "relu",
        "minus_restarts",
    ]
    assert names(HybridRegressor(), only=[]) == [BASE]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: variants(HybridRegressor(), only=["rellu"]), "did you mean 'relu'"),
        (
            lambda: variants(HybridRegressor(), only="relu"),
            r"variants must be a list of names, such as \['relu'\]",
        ),
        (lambda: variants(HybridRegressor(gate="rellu")), "gate must be one of"),
        (lambda: variants(cast(Any, "relu")), "base must be a HybridRegressor"),
        (lambda: Variant("a,b", {}), "letters, digits"),
        (lambda: Variant("deep", {"modle": "relu"}), "did you mean 'model'"),
        (lambda: Variant("few", {"num_restarts": 2}), "is a setting of FitOptions now"),
        (lambda: Variant("seed", {"random_state": 1}), "must be one of"),
        (lambda: Variant("deep", cast(Any, 2)), "settings must be a Mapping"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_a_variant_does_not_change_with_what_it_was_made_from():
    settings = {"gate": "linear"}
    variant = Variant("straight", settings)
    settings["gate"] = "relu"
    assert dict(variant.settings) == {"gate": "linear"}
    with pytest.raises(TypeError):
        cast(Any, variant.settings)["gate"] = "constant"
