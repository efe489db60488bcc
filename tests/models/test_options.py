import pytest

from bayes_hybrid.errors import OptionError
from bayes_hybrid.models import HybridMixture, HybridModel, Pathway, PathwayModel
from tests.models import zoo


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("kind", "gausian"),
        ("num_units", 0),
        ("depth", 0),
        ("smoothing", "tanh"),
        ("noise", "heavy"),
    ],
)
def test_bad_pathway_is_named(name, bad):
    with pytest.raises(OptionError, match=name) as caught:
        Pathway(**{name: bad})
    assert str(bad) in str(caught.value)


@pytest.mark.parametrize("bad", [0, -1])
def test_bad_number_of_features(bad):
    with pytest.raises(OptionError, match="num_features"):
        HybridMixture(num_features=bad)
    with pytest.raises(OptionError, match="num_features"):
        PathwayModel(num_features=bad)


@pytest.mark.parametrize("experts", [(), (zoo.pathway("relu"),)])
def test_a_mixture_needs_two_experts(experts):
    with pytest.raises(OptionError, match=f"got {len(experts)}.*PathwayModel"):
        HybridMixture(experts=experts)


def test_mistyped_settings_are_refused():
    with pytest.raises(TypeError, match="num_unit"):
        Pathway(num_unit=3)
    with pytest.raises(TypeError, match="gates"):
        HybridMixture(gates=None)


def test_abstract_model_cannot_be_built():
    with pytest.raises(TypeError):
        HybridModel()


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (("gaussian", "relu"), ("gaussian", "relu")),
        (("relu", "relu"), ("relu_1", "relu_2")),
        (("gaussian", "relu", "gaussian"), ("gaussian_1", "relu", "gaussian_2")),
    ],
)
def test_regimes_have_distinct_names(kinds, names):
    model = HybridMixture(experts=tuple(zoo.pathway(kind) for kind in kinds))
    assert model.regime_names == names


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Pathway(likelihood="normal"), "likelihood"),  # type: ignore[arg-type]
        (lambda: HybridMixture(gate="relu"), "gate"),  # type: ignore[arg-type]
        (lambda: HybridMixture(experts=("gaussian", "relu")), "experts"),  # type: ignore[arg-type]
        (lambda: HybridMixture(priors=2.0), "priors"),  # type: ignore[arg-type]
        (lambda: PathwayModel(pathway="relu"), "pathway"),  # type: ignore[arg-type]
    ],
)
def test_settings_of_another_type_are_refused_when_built(make, name):
    with pytest.raises(OptionError, match=f"{name} must be a .*, of type"):
        make()
