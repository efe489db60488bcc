"""The parts of an expert whose layers mix pathways, against the layers written out."""

import numpy as np
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models import HybridMixture, Pathway, PathwayModel
from bayes_hybrid.nn import smooth

_MIX = Pathway(kind="linear_mix", num_units=3)


def _posterior(model):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)) * 3.0 + 1.0, rng.normal(size=7) * 10.0
    table = SiteTable.of(model, torch.zeros(1, 2, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(2, 3, table.num_parameters, generator=generator, dtype=torch.float64)
    scaling = Standardizer.fit(x), Standardizer.fit(y)
    return Posterior(model=model, theta=theta, x_scaling=scaling[0], y_scaling=scaling[1]), x


def test_what_silencing_takes_off_is_the_units_part_of_the_mean():
    posterior, x = _posterior(PathwayModel(num_features=2, pathway=_MIX))
    part = {kind: added[1, 2] for (_, kind), added in posterior.by_draw.unit_mean(x).items()}
    at = {name.removeprefix("linear_mix."): v[1, 2] for name, v in posterior.sites.items()}
    z = posterior.x_scaling.transform(x)

    def matrix(name, fan_in):
        return at[f"{name}_scale"] / np.sqrt(fan_in) * at[f"{name}_raw"]

    head = matrix("location.weight", 3)[0]
    hidden = {}
    for kind in ("gaussian", "relu"):
        bias = at[f"0.{kind}.weight_scale"] * at[f"0.{kind}.bias_raw"]
        hidden[kind] = z @ matrix(f"0.{kind}.weight", 2).T + bias
    width = torch.as_tensor(0.01 + at["0.gaussian.width"])
    hidden["gaussian"] = smooth(torch.as_tensor(hidden["gaussian"]), width).numpy()
    hidden["relu"] = np.maximum(hidden["relu"], 0.0)
    for kind, units in hidden.items():
        expected = units @ matrix(f"0.mix_{kind}", 3).T @ head * posterior.y_scaling.scale
        np.testing.assert_allclose(part[kind], expected, rtol=1e-9)


def test_only_experts_that_mix_are_silenced():
    posterior, x = _posterior(
        HybridMixture(num_features=2, experts=(Pathway(num_units=3), _MIX, _MIX))
    )
    silenced = posterior.by_draw.unit_mean(x)
    assert set(silenced) == {
        (regime, kind)
        for regime in ("linear_mix_1", "linear_mix_2")
        for kind in ("gaussian", "relu")
    }
    for k, regime in ((1, "linear_mix_1"), (2, "linear_mix_2")):
        # An expert is its intercept and both parts, so this is the intercept.
        whole = posterior.by_draw.expert_mean(x)[..., k]
        rest = whole - silenced[regime, "gaussian"] - silenced[regime, "relu"]
        # Of the rounding of the whole.
        np.testing.assert_allclose(rest, rest[..., :1] * np.ones(7), rtol=1e-9, atol=1e-9)
    plain, x = _posterior(PathwayModel(num_features=2, pathway=Pathway(num_units=3)))
    assert plain.by_draw.unit_mean(x) == {}


def test_several_outputs_are_silenced_together():
    model = PathwayModel(num_features=2, pathway=_MIX, num_outputs=2)
    posterior, x = _posterior(model)
    wide = Standardizer.fit(np.random.default_rng(1).normal(size=(7, 2)))
    posterior = Posterior(
        model=model, theta=posterior.theta, x_scaling=posterior.x_scaling, y_scaling=wide
    )
    assert posterior.by_draw.unit_mean(x)["linear_mix", "gaussian"].shape == (2, 3, 7, 2)


@pytest.mark.parametrize("kind", ["gaussian", "linear_mix", "gaussian_stabilizes_relu"])
def test_widths_are_told_in_multiples_of_their_floor(kind):
    pathway = Pathway(kind=kind, num_units=3, depth=2)
    posterior, _ = _posterior(PathwayModel(num_features=2, pathway=pathway))
    widths = posterior.widths_over_floor
    assert widths.shape == (2, 3, 6)
    names = [name for name in posterior.sites if name.endswith("width")]
    first = (posterior.sites[names[0]] + 0.01) / 0.01
    np.testing.assert_allclose(widths[..., :3], first)


def test_a_model_without_gaussian_units_has_no_widths():
    posterior, _ = _posterior(PathwayModel(num_features=2, pathway=Pathway(kind="relu")))
    assert posterior.widths_over_floor is None
