import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import (
    FEATURE_GATES,
    GATES,
    THRESHOLD_GATES,
    ConstantGate,
    Gate,
    LinearGate,
    MonotoneGate,
    ObliqueGate,
    ReLUGate,
    ThresholdGate,
)
from bayes_hybrid.gates.monotone import unwarped, warped
from bayes_hybrid.models import HybridMixture, Pathway
from bayes_hybrid.priors import LogNormalPrior, Priors

_CASES: dict[str, Gate] = {
    "constant": ConstantGate(),
    "linear": LinearGate(),
    "relu": ReLUGate(num_units=5),
    "threshold": ThresholdGate(feature=1),
    "monotone": MonotoneGate(feature=1, num_units=3),
    "oblique": ObliqueGate(),
}


def _build(name, num_features, num_regimes, seed=0, scale=1.0):
    torch.manual_seed(seed)
    module = _CASES[name].build(num_features, num_regimes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, scale)
    return module


def test_roll_call():
    assert {name: type(gate) for name, gate in _CASES.items()} == dict(GATES)


@pytest.mark.parametrize("num_regimes", [2, 3, 4])
@pytest.mark.parametrize("name", _CASES)
def test_contract(name, num_regimes):
    module = _build(name, 3, num_regimes)
    x = torch.randn(2, 30, 3)
    log_weights = module(x)
    assert log_weights.shape == (2, 30, num_regimes)
    assert module(x[0, 0]).shape == (num_regimes,)
    # A sum of up to four float32 numbers below one.
    torch.testing.assert_close(log_weights.exp().sum(-1), torch.ones(2, 30), rtol=0, atol=1e-6)
    log_weights[..., 0].sum().backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None, path
        assert bool(torch.isfinite(parameter.grad).all()), path
        assert bool(parameter.grad.abs().sum() > 0), path


@given(
    name=st.sampled_from(sorted(_CASES)),
    num_regimes=st.integers(2, 4),
    size=st.sampled_from([1e-30, 1.0, 1e6, 1e15, 1e30]),
    seed=st.integers(0, 100),
)
def test_extreme_inputs_stay_normalised_and_finite(name, num_regimes, size, seed):
    module = _build(name, 2, num_regimes, seed, scale=10.0)
    log_weights = module(size * torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]]))
    assert bool(torch.isfinite(log_weights).all())
    assert bool((log_weights <= 0).all())
    torch.testing.assert_close(log_weights.logsumexp(-1), torch.zeros(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_first_regime_is_the_reference(name):
    module = _build(name, 2, 3)
    x = torch.randn(6, 2)
    log_weights = module(x)
    logits = module.head(module.features(x))
    # log pi_k - log pi_0 is logit k; rounding of logits of size ten.
    torch.testing.assert_close(
        log_weights[:, 1:] - log_weights[:, :1], logits, rtol=1e-5, atol=1e-5
    )


def test_constant_gate_does_not_read_x():
    module = _build("constant", 2, 3)
    rows = module(torch.tensor([[0.0, 0.0], [1e9, -1e9]]))
    assert torch.equal(rows[0], rows[1])


def test_linear_gate_is_logistic_regression():
    module = _build("linear", 2, 2)
    x = torch.randn(6, 2)
    expected = torch.sigmoid(x @ module.head.weight[0] + module.head.bias[0])
    # Two formulas for one float32 number.
    torch.testing.assert_close(module(x)[:, 1].exp(), expected, rtol=1e-5, atol=1e-6)


def test_relu_gate_switches_where_its_unit_starts():
    module = _build("relu", 1, 2)
    with torch.no_grad():
        module.features.weight.fill_(1.0)
        module.features.bias.fill_(-0.3)  # every unit starts at x = 0.3
        module.head.weight.fill_(50.0)
        module.head.bias.fill_(-5.0)
    share = module(torch.tensor([[-2.0], [0.0], [0.3], [0.4], [2.0]])).detach().exp()[:, 1]
    assert share[0] == share[1] == share[2]
    assert float(share[2]) < 0.01
    assert float(share[4]) > 0.99
    assert bool((share.diff() >= 0).all())


@pytest.mark.parametrize("name", _CASES)
def test_options_are_values(name):
    gate = _CASES[name]
    twin = eval(repr(gate), {type(gate).__name__: type(gate), "LogNormalPrior": LogNormalPrior})
    assert twin == gate
    assert hash(twin) == hash(gate)


def test_bad_options():
    with pytest.raises(OptionError, match="num_units"):
        ReLUGate(num_units=0)
    with pytest.raises(TypeError):
        Gate()
    with pytest.raises(TypeError):
        LinearGate(num_units=3)


# -- the threshold gates

_ORDERED: dict[str, ThresholdGate | MonotoneGate | ObliqueGate] = {
    "threshold": ThresholdGate(feature=0),
    "monotone": MonotoneGate(feature=0, num_units=4),
    "oblique": ObliqueGate(),
}


def _ordered_values(name, num_regimes, num_draws=20, seed=0):
    """Draws of a threshold gate's parameters from their priors, ``[num_draws, *shape]``."""
    torch.manual_seed(seed)
    module = _ORDERED[name].build(2, num_regimes)
    like = torch.zeros(1, 2, dtype=torch.float64)
    priors = module.parameter_priors(Priors(), like)
    assert set(priors) == {path for path, _ in module.named_parameters()}
    return module, {path: prior.sample((num_draws,)) for path, prior in priors.items()}


def _log_weights(module, values, draw, x):
    return functional_call(module, {path: v[draw] for path, v in values.items()}, (x,))


def test_roll_call_of_thresholds():
    values = {name: _ordered_values(name, 3)[1] for name in _ORDERED}
    assert tuple(_ORDERED) == THRESHOLD_GATES
    for name, gate in _CASES.items():
        found = gate.boundaries(values.get(name, {}))
        assert (found is None) == (name not in THRESHOLD_GATES)
    assert {name for name, gate in GATES.items() if "feature" in gate.__dataclass_fields__} == set(
        FEATURE_GATES
    )


@pytest.mark.parametrize("num_regimes", [2, 3, 4])
@pytest.mark.parametrize("name", _ORDERED)
def test_odds_are_one_at_a_boundary_and_nine_at_the_ends_of_its_transition(name, num_regimes):
    module, values = _ordered_values(name, num_regimes)
    found = _ORDERED[name].boundaries(values)
    assert found.location.shape == found.width.shape == (20, num_regimes - 1)
    for draw in range(20):
        # One row per boundary, at its location along the feature or the direction.
        along = torch.eye(2).double()[0] if found.direction is None else found.direction[draw]
        log_weights = _log_weights(module, values, draw, found.location[draw, :, None] * along)
        steps = log_weights.diff(dim=-1).diagonal()
        # Locations are found to the rounding of values below 1,000, and sharpnesses are below 500.
        torch.testing.assert_close(steps, torch.zeros_like(steps), rtol=0, atol=1e-9)
        if name == "monotone":
            continue
        for sign in (-0.5, 0.5):
            x = (found.location + sign * found.width)[draw, :, None] * along
            steps = _log_weights(module, values, draw, x).diff(dim=-1).diagonal()
            expected = torch.full_like(steps, math.copysign(math.log(9.0), sign))
            torch.testing.assert_close(steps, expected, rtol=0, atol=1e-9)


def test_transition_of_a_monotone_gate_is_measured_along_its_warp():
    module, values = _ordered_values("monotone", 2)
    width = _ORDERED["monotone"].boundaries(values).width
    for draw in range(20):
        grid = torch.linspace(-40.0, 40.0, 400_001, dtype=torch.float64)[:, None].expand(-1, 2)
        odds = _log_weights(module, values, draw, grid).diff(dim=-1)[:, 0].exp()
        inside = (odds > 1 / 9) & (odds < 9)
        # Steps of the grid are 2e-4, one at either end.
        assert float(inside.sum()) * 2e-4 == pytest.approx(float(width[draw, 0]), abs=4e-4)


@pytest.mark.parametrize("name", _ORDERED)
def test_regimes_follow_each_other_along_the_score(name):
    module, values = _ordered_values(name, 4)
    for draw in range(20):
        along = torch.ones(2, dtype=torch.float64)
        if name == "oblique":
            along = values["direction_raw"][draw]
        grid = torch.linspace(-20.0, 20.0, 2_001, dtype=torch.float64)[:, None] * along
        likeliest = _log_weights(module, values, draw, grid).argmax(-1)
        assert bool((likeliest.diff() >= 0).all())
        assert (int(likeliest[0]), int(likeliest[-1])) == (0, 3)


@pytest.mark.parametrize("name", _ORDERED)
def test_a_sharp_gate_splits_hard(name):
    module, values = _ordered_values(name, 3)
    values["sharpness"] = torch.full_like(values["sharpness"], 1e9)
    x = torch.randn(500, 2, dtype=torch.float64)
    for draw in range(20):
        raw = {path: v[draw] for path, v in values.items()}
        score = x[:, 0]
        if name == "monotone":
            score = warped(score, raw["warp_raw"])
        elif name == "oblique":
            score = x @ (raw["direction_raw"] / raw["direction_raw"].norm())
        regime = torch.searchsorted(raw["location"], score.contiguous())
        # No row is within 1e-7 of a threshold, so that log odds are beyond 100 = -log(4e-44).
        assert float((score[:, None] - raw["location"]).abs().min()) > 1e-7
        expected = torch.nn.functional.one_hot(regime, 3).double()
        log_weights = _log_weights(module, values, draw, x)
        torch.testing.assert_close(log_weights.exp(), expected, rtol=0, atol=1e-40)


def test_a_threshold_gate_of_two_regimes_is_logistic():
    module, values = _ordered_values("threshold", 2)
    x = torch.randn(50, 2, dtype=torch.float64)
    location, sharpness = values["location"][0], values["sharpness"][0]
    expected = torch.special.expit(sharpness * (x[:, 0] - location))
    # Two formulas for one float64 number.
    torch.testing.assert_close(
        _log_weights(module, values, 0, x)[:, 1].exp(), expected, rtol=1e-12, atol=1e-15
    )


def test_an_even_warp_is_next_to_none():
    x = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)
    # Steps as wide as they lie apart ripple by exp(-2 pi**2) = 3e-9.  They end at 2, four widths
    # beyond these values, where a share of Phi(-4) = 3e-5 of a range of 4 is missing.
    even = warped(x, torch.zeros(33, dtype=torch.float64))
    torch.testing.assert_close(even, x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_units", [1, 8])
@given(size=st.floats(0.1, 4.0), seed=st.integers(0, 1_000))
def test_unwarping_undoes_warping(num_units, size, seed):
    generator = torch.Generator().manual_seed(seed)
    raw = size * torch.randn(6, num_units + 1, generator=generator, dtype=torch.float64)
    target = 2.0 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    x = unwarped(target, raw)
    # Within 4 eps of the bracket's ends, 10 / w_0 at most, times a slope of at most 5.
    worst = 5e-14 / torch.softmax(raw, -1)[:, :1]
    assert bool(((warped(x, raw[:, None]) - target).abs() <= worst).all())


@pytest.mark.parametrize("num_regimes", [2, 3])
def test_turning_an_oblique_gate_round_reverses_its_regimes(num_regimes):
    gate = _ORDERED["oblique"]
    module, values = _ordered_values("oblique", num_regimes, num_draws=1)
    order = list(reversed(range(num_regimes)))
    turned = values | gate.relabelled({path: v[0] for path, v in values.items()}, order)
    turned = {path: v.reshape(values[path].shape) for path, v in turned.items()}
    x = torch.randn(30, 2, dtype=torch.float64)
    before, after = (_log_weights(module, v, 0, x) for v in (values, turned))
    # Sums in another order, of logits that may reach a few hundred.
    torch.testing.assert_close(after, before.flip(-1), rtol=1e-12, atol=1e-11)
    assert gate.relabelled(values, range(num_regimes)) == {}


class _OwnGate(Gate):
    """A gate that says nothing of how its parameters follow when regimes trade places."""

    def build(self, num_features, num_regimes):
        return LinearGate().build(num_features, num_regimes)


def test_a_gate_of_ones_own_is_not_relabelled_unless_it_says_how():
    experts = (Pathway(kind="gaussian", num_units=2),) * 2
    own = HybridMixture(num_features=1, experts=experts, gate=_OwnGate())
    assert not own.exchangeable(0, 1)
    assert HybridMixture(num_features=1, experts=experts, gate=LinearGate()).exchangeable(0, 1)


def test_which_regimes_may_trade():
    free = [(k, j) for k in range(3) for j in range(3)]
    same = [(0, 0), (1, 1), (2, 2)]
    for name, gate in _CASES.items():
        found = [pair for pair in free if gate.may_trade(*pair, 3)]
        expected = {"threshold": same, "monotone": same, "oblique": sorted([*same, (0, 2), (2, 0)])}
        assert found == expected.get(name, free)
    four = [(k, j) for k in range(4) for j in range(4) if _ORDERED["oblique"].may_trade(k, j, 4)]
    assert four == [(k, k) for k in range(4)]


@pytest.mark.parametrize("kind", [ThresholdGate, MonotoneGate])
def test_columns_are_found_by_name_or_refused(kind):
    assert kind(feature="age").resolved(2, ["dose", "age"]) == kind(feature=1)
    assert kind().resolved(1, []) == kind(feature=0)
    assert kind(feature=1).resolved(2, ["dose", "age"]) == kind(feature=1)
    with pytest.raises(OptionError, match="did you mean 'age'"):
        kind(feature="aeg").resolved(2, ["dose", "age"])
    with pytest.raises(OptionError, match=r"2 columns, 'dose', 'age'.*feature='dose'.*--gate-feat"):
        kind().resolved(2, ["dose", "age"])
    with pytest.raises(OptionError, match="the columns have no names; expected an index below 2"):
        kind(feature="age").resolved(2, [])
    with pytest.raises(OptionError, match="below 2, the number of columns; got 2"):
        kind(feature=2).build(2, 2)
    with pytest.raises(OptionError, match=r"3 columns; say which.*feature=0\)"):
        kind().build(3, 2)


def test_gates_that_read_no_single_column_resolve_to_themselves():
    for name in set(_CASES) - set(FEATURE_GATES):
        assert _CASES[name].resolved(2, ["a", "b"]) is _CASES[name]


@pytest.mark.parametrize("kind", [ThresholdGate, MonotoneGate, ObliqueGate])
def test_bad_thresholds(kind):
    with pytest.raises(OptionError, match="location_scale"):
        kind(location_scale=0.0)
    with pytest.raises(OptionError, match="sharpness"):
        kind(sharpness=20.0)
    if kind is not ObliqueGate:
        with pytest.raises(OptionError, match="feature must be an integer >= 0"):
            kind(feature=-1)
    with pytest.raises(OptionError, match="num_units"):
        MonotoneGate(num_units=0)
    with pytest.raises(OptionError, match="two features or more"):
        ObliqueGate().build(1, 2)


def test_a_column_by_an_integer_of_numpy():
    gate = ThresholdGate(feature=np.int64(1))
    gate = gate.resolved(2, ())
    draws = {"location": torch.zeros(3, 1), "sharpness": torch.ones(3, 1)}
    assert gate.boundaries(draws).feature == 1
