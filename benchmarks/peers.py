"""The default mixture written by hand, in flat torch, Pyro and NumPyro: peers to measure against.

All compute the log joint that ``HybridMixture`` defines, which ``tests/test_benchmarks.py`` checks,
and know nothing but this one model.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bayes_hybrid.models import HybridMixture

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class HandWritten:
    """``log p(y, theta | x)`` of the default mixture in plain torch, for ``theta [C, P]``.

    What a careful programmer writes for this one model and nothing else: flat parameters, one
    batched matrix product per layer, all Normal priors in one expression.
    """

    def __init__(self, model: HybridMixture) -> None:
        """Lay the sites out in the order in which the Pyro program samples them."""
        self.features = model.num_features
        self.units = model.experts[0].width(self.features)
        self.gate_units = model.gate.num_units  # type: ignore[attr-defined]
        priors, units, features = model.priors, self.units, self.features
        self.floors = priors.width_floor, priors.noise_floor

        def log_normal(prior: Any) -> tuple[float, float]:
            return math.log(prior.median), prior.spread

        standard = (0.0, 1.0)
        layout: list[tuple[int, tuple[float, float]]] = [(1, log_normal(priors.noise))]
        for kind in ("gaussian", "relu"):
            layout += [
                (1, log_normal(priors.feature_scale)),
                (units * features, standard),
                (units, standard),
            ]
            layout += [(units, log_normal(priors.width))] if kind == "gaussian" else []
            layout += [
                (1, log_normal(priors.location_scale)),
                (units, standard),
                (1, standard),
                (1, log_normal(priors.noise_ratio)),
                (1, log_normal(priors.noise_slope)),
                (units, standard),
            ]
        layout += [
            (1, log_normal(priors.feature_scale)),
            (self.gate_units * features, standard),
            (self.gate_units, standard),
            (1, log_normal(priors.gate_scale)),
            (self.gate_units, standard),
            (1, (0.0, priors.gate_bias_scale)),
        ]
        self.sizes = [size for size, _ in layout]
        self.location = torch.cat([torch.full((size,), prior[0]) for size, prior in layout])
        self.scale = torch.cat([torch.full((size,), prior[1]) for size, prior in layout])
        self.constant = float(-self.scale.log().sum() - _HALF_LOG_2PI * sum(self.sizes))

    @property
    def num_parameters(self) -> int:
        """P."""
        return sum(self.sizes)

    def __call__(self, theta: Tensor, x: Tensor, y: Tensor, scale: float) -> Tensor:
        """Log joint ``[C]``; the rows' log density is multiplied by ``scale``."""
        prior = -0.5 * ((theta - self.location) / self.scale).square().sum(-1) + self.constant
        parts = list(theta.split(self.sizes, dim=-1))
        noise, take = parts.pop(0).exp(), parts.pop
        locations, log_scales = [], []
        for kind in ("gaussian", "relu"):
            z = self._affine(x, take(0), take(0), take(0), self.units)
            if kind == "gaussian":
                width = self.floors[0] + take(0).exp()
                hidden = torch.exp(-0.5 * (z / width.unsqueeze(1)).square())
            else:
                hidden = torch.relu(z)
            heads = take(0).exp() / math.sqrt(self.units) * take(0), take(0)
            ratio = take(0).exp()
            slope = take(0).exp() / math.sqrt(self.units) * take(0)
            read = torch.bmm(hidden, torch.stack([heads[0], slope], dim=-1))
            locations.append(read[..., 0] + heads[1])
            exponent = 4.0 * torch.tanh(read[..., 1] / 4.0)
            log_scales.append((self.floors[1] + noise * ratio * exponent.exp()).log())
        hidden = torch.relu(self._affine(x, take(0), take(0), take(0), self.gate_units))
        weight = take(0).exp() / math.sqrt(self.gate_units) * take(0)
        logit = torch.bmm(hidden, weight.unsqueeze(-1))[..., 0] + take(0)
        log_weights = (
            -torch.nn.functional.softplus(logit),
            -torch.nn.functional.softplus(-logit),
        )
        terms = [
            log_weight
            - 0.5 * ((y - location) * (-log_scale).exp()).square()
            - log_scale
            - _HALF_LOG_2PI
            for log_weight, location, log_scale in zip(
                log_weights, locations, log_scales, strict=True
            )
        ]
        return prior + scale * torch.logaddexp(*terms).sum(-1)

    def _affine(
        self, x: Tensor, log_scale: Tensor, weight: Tensor, bias: Tensor, units: int
    ) -> Tensor:
        """``x W^T + b`` for every restart, ``[C, N, units]``."""
        scale, count = log_scale.exp(), weight.shape[0]
        matrix = (scale / math.sqrt(self.features) * weight).reshape(count, units, self.features)
        rows = x.expand(count, -1, -1)
        return torch.baddbmm((scale * bias).unsqueeze(1), rows, matrix.mT)


def hand_written_step(
    log_joint: HandWritten, mean: Tensor, learning_rate: float
) -> Callable[[tuple[Tensor, ...], Tensor, Tensor, Tensor, float], tuple[Tensor, ...]]:
    """One mean-field SVI step with Adam as a pure function of its state, to run or compile whole.

    The state is (mean, log sd, four moments, step number, loss).
    """
    constant = mean.shape[-1] * (0.5 + _HALF_LOG_2PI)

    def loss(mean: Tensor, log_sd: Tensor, noise: Tensor, *rows: Any) -> tuple[Tensor, Tensor]:
        value = log_joint(mean + log_sd.exp() * noise, *rows) + log_sd.sum(-1) + constant
        return -value.sum(), -value

    gradient = torch.func.grad(loss, argnums=(0, 1), has_aux=True)

    def step(
        state: tuple[Tensor, ...], noise: Tensor, x: Tensor, y: Tensor, scale: float
    ) -> tuple[Tensor, ...]:
        number = state[6] + 1.0
        gradients, losses = gradient(state[0], state[1], noise, x, y, scale)
        result, moments = [], []
        for i, g in enumerate(gradients):
            first = 0.9 * state[2 + 2 * i] + 0.1 * g
            second = 0.999 * state[3 + 2 * i] + 0.001 * g.square()
            corrected = (second / (1.0 - 0.999**number)).sqrt() + 1e-8
            update = first / (1.0 - 0.9**number) / corrected
            result.append(state[i] - learning_rate * update)
            moments += [first, second]
        return (*result, *moments, number, losses)

    return step


def pyro_model(model: HybridMixture) -> Callable[..., None]:
    """The same model as a Pyro program written for it alone, of ``x``, ``y`` and the rows' scale.

    Unlike ``model.marginal`` it can be traced by ``torch.jit``, which ``JitTrace_ELBO`` needs.
    """
    import pyro
    import pyro.distributions as dist

    return _program(model, pyro, dist, torch, torch.nn.functional.softplus)


def numpyro_model(model: HybridMixture) -> Callable[..., None]:
    """The same in NumPyro."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    return _program(model, numpyro, dist, jnp, jax.nn.softplus)


def _program(
    model: HybridMixture,
    ppl: Any,
    dist: Any,
    xp: Any,
    softplus: Callable[[Any], Any],
) -> Callable[..., None]:
    features, priors = model.num_features, model.priors
    units = model.experts[0].width(features)
    gate_units = model.gate.num_units  # type: ignore[attr-defined]

    def positive(name: str, prior: Any, shape: tuple[int, ...] = ()) -> Any:
        site = dist.LogNormal(math.log(prior.median), prior.spread)
        return ppl.sample(name, site.expand(shape).to_event(len(shape)))

    def normal(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Any:
        return ppl.sample(name, dist.Normal(0.0, scale).expand(shape).to_event(len(shape)))

    def affine(name: str, x: Any, count: int) -> Any:
        scale = positive(f"{name}.weight_scale", priors.feature_scale)
        weight = scale / math.sqrt(features) * normal(f"{name}.weight_raw", (count, features))
        return x @ weight.T + scale * normal(f"{name}.bias_raw", (count,))

    def program(x: Any, y: Any, scale: float = 1.0) -> None:
        noise = positive("noise", priors.noise)
        parts = []
        for kind in ("gaussian", "relu"):
            z = affine(f"{kind}.0", x, units)
            if kind == "gaussian":
                width = priors.width_floor + positive(f"{kind}.0.width", priors.width, (units,))
                hidden = xp.exp(-0.5 * (z / width) ** 2)
            else:
                hidden = xp.clip(z, 0.0, None)
            size = positive(f"{kind}.location.weight_scale", priors.location_scale)
            weight = size / math.sqrt(units) * normal(f"{kind}.location.weight_raw", (1, units))
            location = hidden @ weight[0] + normal(f"{kind}.location.bias", (1,))
            own = noise * positive(f"{kind}.noise_ratio", priors.noise_ratio)
            size = positive(f"{kind}.noise_slope.weight_scale", priors.noise_slope)
            slope = size / math.sqrt(units) * normal(f"{kind}.noise_slope.weight_raw", (1, units))
            exponent = 4.0 * xp.tanh(hidden @ slope[0] / 4.0)
            sd = priors.noise_floor + own * xp.exp(exponent)
            parts.append(dist.Normal(location, sd).log_prob(y))
        hidden = xp.clip(affine("gate.features", x, gate_units), 0.0, None)
        size = positive("gate.head.weight_scale", priors.gate_scale)
        weight = size / math.sqrt(gate_units) * normal("gate.head.weight_raw", (1, gate_units))
        logit = hidden @ weight[0] + normal("gate.head.bias", (1,), priors.gate_bias_scale)
        terms = parts[0] - softplus(logit), parts[1] - softplus(-logit)
        ppl.factor("y", scale * xp.logaddexp(*terms).sum())

    return program
