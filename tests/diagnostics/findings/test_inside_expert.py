"""An abrupt change inside an expert: steps are found, smooth curves and gates that move are not."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics.findings.inside_expert import (
    abrupt,
    even_in_data,
    inside_expert_findings,
)
from tests.diagnostics.fakes import FakePosterior, healthy

ALONG = np.linspace(0.0, 1.0, 41)
STILL = np.ones(41)
QUIET = np.full(41, 1e-3)


def is_abrupt(curve, gate=STILL, scale=QUIET):
    return abrupt(gate, curve, scale).any(axis=-1)


@pytest.mark.parametrize("place", [0.15, 0.3, 0.512, 0.85])
@pytest.mark.parametrize("slope", [-1.0, 0.0, 1.0])
def test_a_step_is_abrupt(place, slope):
    # Beside it the curve may change by less than the step, in a quarter of the way.
    assert is_abrupt(1.0 * (place < ALONG) + slope * ALONG)


def test_only_a_short_ramp_is_abrupt():
    for length, expected in ((0.05, True), (0.09, True), (0.11, False), (0.3, False)):
        assert is_abrupt(np.clip((ALONG - 0.4) / length, 0.0, 1.0)) == expected


def test_smooth_curves_are_not_abrupt():
    periods, phases = np.meshgrid(np.geomspace(0.1, 5.0, 60), np.linspace(0.0, 1.0, 60))
    sines = np.sin(2.0 * np.pi * (ALONG / periods[..., None] + phases[..., None]))
    assert not is_abrupt(sines).any()
    places, slopes = np.meshgrid(np.linspace(0.05, 0.95, 91), [-3.0, -0.5, 0.0, 0.5, 3.0])
    bends = np.maximum(ALONG - places[..., None], 0.0) + slopes[..., None] * ALONG
    assert not is_abrupt(bends).any()
    for rate in (1.0, 5.0, 20.0, 100.0):
        assert not is_abrupt(np.exp(rate * ALONG))
        assert not is_abrupt(np.tanh(0.2 * rate * (ALONG - 0.5)))


def test_units_and_directions_change_nothing():
    curve = 1.0 * (ALONG > 0.4) + 0.3 * np.sin(9.0 * ALONG)
    noise = np.full(41, 0.4)
    found = abrupt(STILL, curve, noise)
    assert found.any()
    np.testing.assert_array_equal(abrupt(STILL, 7.0 - 1e3 * curve, 1e3 * noise), found)
    np.testing.assert_array_equal(abrupt(STILL, curve[::-1], noise), found[::-1])


def test_a_change_within_the_noise_is_none():
    step = 1.0 * (ALONG > 0.4)
    assert is_abrupt(step, scale=np.full(41, 0.49))
    assert not is_abrupt(step, scale=np.full(41, 0.51))


def test_a_change_at_the_gate_or_of_an_unused_expert_is_none():
    step = 1.0 * (ALONG > 0.5)
    assert not is_abrupt(step, gate=1.0 - 0.5 * step)
    assert not is_abrupt(step, gate=np.full(41, 0.05))
    # Far from it the gate may change.
    assert is_abrupt(step, gate=1.0 - 0.5 * (ALONG > 0.7))


@pytest.mark.parametrize("transform", [lambda v: v, np.exp, lambda v: v**3], ids=["v", "exp", "v3"])
def test_points_are_neither_squeezed_in_range_nor_in_rows(transform):
    values = transform(np.random.default_rng(0).standard_normal(500))
    points = even_in_data(values, 41)
    assert points[[0, -1]] == pytest.approx([values.min(), values.max()])
    # The mean of two shares moves by a fortieth, and neither can go back.
    assert (np.diff(points) / np.ptp(values)).max() <= 2.0 / 40.0 + 1e-9
    assert (np.diff(np.searchsorted(np.sort(values), points)) / 500).max() <= 2.0 / 40.0 + 2e-3


def curved(curve, **options):
    """A fake whose first expert has every row, with this curve along the first feature."""

    class Curved(FakePosterior):
        def expert_mean_draws(self, x):
            means = super().expert_mean_draws(x).copy()
            means[..., 0] = curve(x[:, 0], np.arange(self.num_draws)[:, None])
            return means

    fit = healthy(switch=50.0, **options)
    return dataclasses.replace(fit, posterior=Curved(sites=fit.posterior.sites))


def finding_of(fit):
    (found,) = inside_expert_findings(fit, fit.x)
    return found


def test_a_step_in_an_expert_is_said_in_the_units_of_the_data():
    found = finding_of(curved(lambda x, _: 3.0 * (x > 0.5)))
    assert (found.value, found.severity) == (1.0, "warning")
    assert "inside the expert of 'gaussian': its mean goes from 0.0 to 3.0 between dose = " in (
        found.meaning
    )
    low, high = (
        float(part) for part in found.meaning.split("dose = ")[1].split(",")[0].split(" and ")
    )
    assert low < 0.5 < high
    assert high - low == pytest.approx(0.1 * 4.0, rel=0.3)  # a tenth of the way, by rows and range


def test_it_is_found_along_another_feature_too():
    fit = healthy(switch=50.0, num_features=3)

    class Stepped(FakePosterior):
        def expert_mean_draws(self, x):
            return super().expert_mean_draws(x) + 3.0 * (x[:, [2]] > 0.5)

    found = finding_of(dataclasses.replace(fit, posterior=Stepped(sites=fit.posterior.sites)))
    assert found.severity == "warning"
    assert "between other 2 = " in found.meaning


def test_draws_have_to_agree_where_it_is():
    """A step in every draw, in each at another place: no draw's neighbourhood has half of them."""
    scattered = finding_of(curved(lambda x, draw: 3.0 * (x > -1.5 + 0.03 * draw)))
    assert 0.0 < scattered.value < 0.3
    # Over a tenth of the range: more than the twentieth in the middle, and one place.
    near = finding_of(curved(lambda x, draw: 3.0 * (x > 0.5 + 0.004 * draw)))
    assert near.value > 0.8


def test_a_restart_counts_by_its_weight():
    class Weighed(FakePosterior):
        restart_weights = np.array([0.4, 0.2, 0.2, 0.2])

        def expert_mean_draws(self, x):
            means = super().expert_mean_draws(x).copy()
            means[0, ..., 0] += 3.0 * (x[:, 0] > 0.5)
            return means

    fit = healthy(switch=50.0)
    fit = dataclasses.replace(fit, posterior=Weighed(sites=fit.posterior.sites))
    assert finding_of(fit).value == pytest.approx(0.4)


@pytest.mark.parametrize(
    "curve",
    [
        lambda x, _: np.sin(2.0 * x),
        lambda x, _: np.sin(6.0 * x),
        lambda x, _: np.exp(2.0 * x),
        lambda x, _: 5.0 * np.abs(x),
    ],
    ids=["wave", "fast wave", "exponential", "kink"],
)
def test_smooth_experts_pass(curve):
    assert finding_of(curved(curve)).value == 0.0


def test_the_jump_at_the_gate_passes():
    assert finding_of(healthy()).value == 0.0
    assert finding_of(healthy(slope=200.0)).value == 0.0


def test_a_jump_across_a_gap_in_the_data_is_not_judged():
    """Nobody knows how the curve gets over a stretch without rows."""
    fit = curved(lambda x, _: 3.0 * (x > 0.5))
    kept = (fit.x[:, 0] < 0.0) | (fit.x[:, 0] > 1.0)
    assert finding_of(dataclasses.replace(fit, x=fit.x[kept], y=fit.y[kept])).value == 0.0


def test_a_feature_with_few_values_is_not_gone_along():
    fit = curved(lambda x, _: 3.0 * (x > 0.5))
    assert inside_expert_findings(fit, fit.x.round(0)) == []


def test_each_of_several_outputs_is_looked_at():
    class Two(FakePosterior):
        def expert_mean_draws(self, x):
            mean = super().expert_mean_draws(x)
            return np.stack([mean, mean + 3.0 * (x[:, [0]] > 0.5)], axis=-2)

        def expert_scale_draws(self, x):
            scale = super().expert_scale_draws(x)
            return np.stack([scale, scale], axis=-2)

    fit = healthy(switch=50.0)
    fit = dataclasses.replace(
        fit, posterior=Two(sites=fit.posterior.sites), output_names=("calm", "heat")
    )
    found = finding_of(fit)
    assert found.severity == "warning"
    assert "its mean of 'heat' goes" in found.meaning
