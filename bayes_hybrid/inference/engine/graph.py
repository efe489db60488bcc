"""A hybrid model's log joint, recorded once as a flat tensor graph.

The unconstrained latents of a batch of C restarts live in one matrix ``theta [C, P]``.
``poutine.condition`` and ``poutine.trace`` evaluate the Pyro program on slices of it, and a
:class:`~bayes_hybrid.inference.engine.recorder.Recorder` keeps value and gradient.  Running the
record skips Pyro's Python altogether.  Everything that changes between calls (rows, row weights,
prior weights, weights of regularisers) is an input of the graph.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import Unit
from torch import Tensor

from bayes_hybrid.inference.engine.recorder import Recorder
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models.base import OBSERVED, HybridModel
from bayes_hybrid.models.regularised import Regularised, regularisers
from bayes_hybrid.models.target import Target


@lru_cache(maxsize=16)
def _pieces(count: int, batch: int, device: torch.device) -> tuple[Tensor | slice, ...]:
    """See :meth:`LogJoint.pieces`."""
    # A slice is a view; an index would copy every step's tensors.
    whole = [slice(start, start + batch) for start in range(0, count - batch + 1, batch)]
    if count % batch == 0:
        return tuple(whole)
    index = torch.arange(count - count % batch, count - count % batch + batch, device=device)
    return (*whole, index.clamp_max(count - 1))


@lru_cache(maxsize=16)
def _plain(batch: int, size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Row and feature weights of one, and weights of no regulariser."""
    ones = torch.ones(batch, size, dtype=dtype, device=device)
    return ones, ones.new_ones(batch), ones.new_zeros(0)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


class LogJoint:
    """The batched log joint of a hybrid model and its gradient.

    ``log_joint_c = w_c . log p(y | x, theta_c) + log p(rest_c) + f_c log p(features_c)`` with row
    weights ``w [C, N]`` (a fold mask, N / B for a minibatch, or ones) and feature weights
    ``f [C]``.  Where weights of regularisers are given, their factors are added; that is a record
    of its own, so that fits without them pay nothing.

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
        self.regularisers = regularisers(model)
        self._evaluate = Recorder(self.evaluate)
        self._log_likelihood = Recorder(self._plain_log_likelihood)

    def value_and_grad(
        self,
        theta: Tensor,
        x: Tensor,
        target: Target,
        row_weights: Tensor | None = None,
        feature_weight: Tensor | None = None,
        regularised: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and its gradient ``[C, P]``; row and feature weights are 1 by default.

        Args:
            theta: ``[C, P]``.
            x: features ``[N, D]``.
            target: what is observed of them.
            row_weights: ``[C, N]``.
            feature_weight: ``[C]``.
            regularised: weights of :attr:`regularisers`, in their order; ``None`` for none.
        """
        ones, one, none = _plain(self.batch, x.shape[0], x.dtype, x.device)
        extra = none if regularised is None else regularised
        count, values, gradients = theta.shape[0], [], []
        for piece in self.pieces(theta):
            weights = ones if row_weights is None else row_weights[piece]
            scale = one if feature_weight is None else feature_weight[piece]
            arguments = (theta[piece], weights, scale, extra, x, *target.tensors)
            value, gradient, _ = self._evaluate(*arguments)
            values.append(value)
            gradients.append(gradient)
        return _joined(values)[:count], _joined(gradients)[:count]

    def log_likelihood(
        self, theta: Tensor, x: Tensor, target: Target, *, by_gradient: bool = False
    ) -> Tensor:
        """Row log likelihoods ``[C, N]``.

        With ``by_gradient`` they come from the record of the gradient, which has them anyway: where
        it is there already, and most often compiled, that saves another.
        """
        pieces, data = self.pieces(theta), (x, *target.tensors)
        if by_gradient:
            weights = _plain(self.batch, x.shape[0], x.dtype, x.device)
            parts = [self._evaluate(theta[i], *weights, *data)[2] for i in pieces]
        else:
            parts = [self._log_likelihood(theta[i], *data) for i in pieces]
        return _joined(parts)[: theta.shape[0]]

    def prepare(self, x: Tensor, target: Target, *, regularised: bool = False) -> bool:
        """Record the gradient for rows of this shape, and compile it if asked to.

        Args:
            x: features ``[N, D]``.
            target: what is observed of them.
            regularised: whether to take the record with the regularisers instead.

        Returns:
            Whether the graph is compiled.  Where ``torch.compile`` fails, most often for lack of a
            C++ compiler, one warning says so and the recorded graph stays.
        """
        theta = x.new_zeros(self.batch, self.table.num_parameters)
        *ones, none = _plain(self.batch, x.shape[0], x.dtype, x.device)
        extra = x.new_zeros(len(self.regularisers)) if regularised else none
        arguments = (theta, *ones, extra, x, *target.tensors)
        if self.compiled:
            return self._evaluate.compile(*arguments)
        self._evaluate(*arguments)
        return False

    def pieces(self, theta: Tensor) -> tuple[Tensor | slice, ...]:
        """Which restarts make up pieces of ``batch``, the last one filled up with repeats."""
        return _pieces(theta.shape[0], self.batch, theta.device)

    @torch.enable_grad()
    def evaluate(
        self,
        theta: Tensor,
        row_weights: Tensor,
        feature_weight: Tensor,
        regularised: Tensor,
        *data: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is recorded: value, gradient and row log likelihoods, by Pyro and autograd.

        The ``data`` are x and the target's tensors; weights of regularisers are none, or of all.
        """
        theta = theta.detach().requires_grad_()

        def one(flat: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
            feature, rest, rows = self._terms(flat, regularised, *data)
            return rest + scale * feature + (weights * rows).sum(), rows

        value, rows = torch.func.vmap(one)(theta, row_weights, feature_weight)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient, rows.detach()

    def _terms(
        self, theta: Tensor, regularised: Tensor, x: Tensor, *target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log prior of features, log prior of the rest, row log likelihoods, for one ``theta [P]``.

        The priors include the log Jacobian of the unconstraining maps, the rest also the factors.
        """
        table = self.table
        values = table.constrain(theta)
        weights = dict(zip(self.regularisers, regularised, strict=False))
        program = Regularised(self.model, weights).marginal
        trace = poutine.trace(poutine.condition(program, data=values)).get_trace(x, Target(*target))
        nodes: Mapping[str, Any] = trace.nodes
        # One expression for all fixed Normal priors: site by site they were most of the graph.
        feature, rest = self._normals.log_prob(theta)
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
        for node in nodes.values():
            if isinstance(node.get("fn"), Unit):  # a factor
                rest = rest + node["fn"].log_prob(node["value"])
        data = [
            nodes[name]["fn"].log_prob(nodes[name]["value"]) for name in OBSERVED if name in nodes
        ]
        return feature, rest, data[0] if len(data) == 1 else torch.stack(data).sum(0)

    def _plain_log_likelihood(self, theta: Tensor, *data: Tensor) -> Tensor:
        none = theta.new_zeros(0)
        return torch.func.vmap(lambda flat: self._terms(flat, none, *data)[2])(theta)


@lru_cache(maxsize=16)
def log_joint(
    model: HybridModel, batch: int, dtype: torch.dtype, device: torch.device, *, compiled: bool
) -> LogJoint:
    """The engine of a model; fits of equal models share it, and so what was recorded.

    Compiled engines are apart, so that what one fit compiled does not change another's rounding.
    """
    example = torch.zeros(1, model.num_features, dtype=dtype, device=device)
    return LogJoint(model, example, batch, compiled=compiled)
