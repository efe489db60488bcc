"""A hybrid model's log joint, recorded once as a flat tensor graph.

The unconstrained latents of a batch of C restarts live in one matrix ``theta [C, P]``.
``poutine.condition`` and ``poutine.trace`` evaluate the Pyro program on slices of it, and a
:class:`~bayes_hybrid.inference.recorder.Recorder` keeps value and gradient.  Running the record
skips Pyro's Python altogether.  Everything that changes between calls (rows, row weights, prior
weights) is an input of the graph.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from bayes_hybrid.inference.recorder import Recorder, quiet_pyro
from bayes_hybrid.inference.sites import FixedNormals, SiteTable
from bayes_hybrid.models.base import HybridModel, Regimes


def _terms(
    model: HybridModel,
    table: SiteTable,
    normals: FixedNormals,
    theta: Tensor,
    x: Tensor,
    y: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log prior of features, log prior of the rest, row log likelihoods, for one ``theta [P]``.

    The priors include the log Jacobian of the unconstraining maps.
    """
    values = table.constrain(theta)
    conditioned = poutine.condition(model.marginal, data=values)
    nodes: Mapping[str, Any] = poutine.trace(conditioned).get_trace(x, y).nodes
    # One expression for all fixed Normal priors: site by site they were most of the graph.
    feature, rest = normals.log_prob(theta)
    for site in table.sites:
        if site.normal is not None:
            continue
        free = theta[site.start : site.stop].reshape(site.free_shape)
        jacobian = site.transform.log_abs_det_jacobian(free, values[site.name]).sum()
        term = nodes[site.name]["fn"].log_prob(values[site.name]).sum() + jacobian
        if site.group.is_feature:
            feature = feature + term
        else:
            rest = rest + term
    return feature, rest, nodes["y"]["fn"].log_prob(y)


class LogJoint:
    """The batched log joint of a hybrid model and its gradient.

    ``log_joint_c = w_c . log p(y | x, theta_c) + log p(rest_c) + f_c log p(features_c)`` with row
    weights ``w [C, N]`` (a fold mask, N / B for a minibatch, or ones) and feature weights
    ``f [C]``.

    Args:
        model: the hybrid model.
        x: example features ``[N, D]``, for device and dtype; a graph is recorded per shape.
        batch: restarts evaluated side by side.  Other numbers are evaluated in pieces of this
            size, so that one graph, recorded and compiled once, serves them all.
        compiled: whether :meth:`prepare` compiles.
    """

    def __init__(
        self, model: HybridModel, x: Tensor, batch: int, *, compiled: bool = False
    ) -> None:
        """Lay out the sites; recording happens at the first call."""
        self.model = model
        self.table = SiteTable.of(model, x)
        self._normals = self.table.fixed_normals(x)
        self.batch = batch
        self.compiled = compiled
        self._value_and_grad = Recorder(self.plain_value_and_grad)
        self._log_likelihood = Recorder(self._plain_log_likelihood)

    def value_and_grad(
        self, theta: Tensor, x: Tensor, y: Tensor, row_weights: Tensor, feature_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and its gradient ``[C, P]``."""
        if theta.shape[0] == self.batch:
            result: tuple[Tensor, Tensor] = self._value_and_grad(
                theta, x, y, row_weights, feature_weight
            )
            return result
        parts = [
            self._value_and_grad(theta[i], x, y, row_weights[i], feature_weight[i])
            for i in self.pieces(theta)
        ]
        count = theta.shape[0]
        values, gradients = zip(*parts, strict=True)
        return torch.cat(values)[:count], torch.cat(gradients)[:count]

    def log_likelihood(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Row log likelihoods ``[C, N]``."""
        parts = [self._log_likelihood(theta[i], x, y) for i in self.pieces(theta)]
        return torch.cat(parts)[: theta.shape[0]]

    def prepare(self, x: Tensor, y: Tensor) -> bool:
        """Record the gradient for rows of this shape, and compile it if asked to.

        Returns:
            Whether the graph is compiled.  Where ``torch.compile`` fails, most often for lack of a
            C++ compiler, one warning says so and the recorded graph stays.
        """
        theta = x.new_zeros(self.batch, self.table.num_parameters)
        weights = x.new_ones(self.batch, x.shape[0])
        arguments = (theta, x, y, weights, x.new_ones(self.batch))
        if self.compiled:
            return self._value_and_grad.compile(*arguments)
        self._value_and_grad(*arguments)
        return False

    def pieces(self, theta: Tensor) -> list[Tensor]:
        """Indices of restarts in pieces of ``batch``, the last one filled up with repeats."""
        count = theta.shape[0]
        starts = range(0, count, self.batch)
        index = torch.arange(self.batch, device=theta.device)
        return [(start + index).clamp_max(count - 1) for start in starts]

    @torch.enable_grad()
    def plain_value_and_grad(
        self, theta: Tensor, x: Tensor, y: Tensor, row_weights: Tensor, feature_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What is recorded: :meth:`value_and_grad` by Pyro and autograd, for any number C."""
        theta = theta.detach().requires_grad_()

        def one(flat: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
            feature, rest, rows = _terms(self.model, self.table, self._normals, flat, x, y)
            return rest + scale * feature + (weights * rows).sum()

        value = torch.func.vmap(one)(theta, row_weights, feature_weight)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient

    def _plain_log_likelihood(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return torch.func.vmap(
            lambda flat: _terms(self.model, self.table, self._normals, flat, x, y)[2]
        )(theta)


@lru_cache(maxsize=8)
def log_joint(
    model: HybridModel, batch: int, dtype: torch.dtype, device: torch.device, *, compiled: bool
) -> LogJoint:
    """The engine of a model; fits of equal models share it, and so what was recorded.

    Compiled engines are apart, so that what one fit compiled does not change another's rounding.
    """
    example = torch.zeros(1, model.num_features, dtype=dtype, device=device)
    return LogJoint(model, example, batch, compiled=compiled)


def evaluate_regimes(model: HybridModel, table: SiteTable, theta: Tensor, x: Tensor) -> Regimes:
    """Gate and experts of draws ``theta [S, P]`` on ``x [N, D]``, fields ``[S, N, K]``."""

    def one(flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = table.constrain(flat)
        regimes = poutine.condition(model.regimes, data=values)(x)
        return regimes.log_weights, regimes.locations, regimes.scales

    with quiet_pyro(), torch.no_grad():
        return Regimes(*torch.func.vmap(one)(theta))
