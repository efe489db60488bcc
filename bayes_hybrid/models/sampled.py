"""What a hybrid model says of rows: gate and experts, and the two Pyro programs made of them."""

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from bayes_hybrid.cached import cached_property
from bayes_hybrid.distributions import RegimeMixture, chosen, support_of
from bayes_hybrid.errors import OptionError
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models.labels import LabelHead, LabelOfRegime, RegimeLabel
from bayes_hybrid.models.target import Target


@dataclass(frozen=True, eq=False)
class Expert:
    """What one expert says of N rows.

    Args:
        likelihood: the family of its density.
        numbers: those that the family takes, ``[..., N]``, or of Q > 1 outputs ``[..., N, Q]``.
    """

    likelihood: Likelihood
    numbers: tuple[Tensor, ...]

    @property
    def location(self) -> Tensor:
        """What is read off the expert's hidden features: on the scale of the link, if any."""
        return self.numbers[0]

    @cached_property
    def density(self) -> dist.TorchDistribution:
        """The distribution of ``y`` in this regime, batch shape that of the numbers."""
        return self.likelihood(*self.numbers)

    @property
    def scale(self) -> Tensor:
        """The noise that the likelihood takes, of families that have one."""
        return self.numbers[1]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Expert":
        """The same with each of its numbers changed."""
        return replace(self, numbers=tuple(map(change, self.numbers)))


@dataclass(frozen=True, eq=False)
class Regimes:
    """What the gate and the K experts say of N rows; all that a mixture needs to know.

    Args:
        log_weights: ``log p(z = k | x)``, normalised over k, ``[..., N, K]``.
        experts: one for each regime.
    """

    log_weights: Tensor
    experts: tuple[Expert, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Regimes":
        """The same with each of its tensors changed."""
        return Regimes(
            change(self.log_weights), tuple(expert.map(change) for expert in self.experts)
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The log weights, and each expert's numbers."""
        return self.log_weights, *(number for e in self.experts for number in e.numbers)

    def ordered(self, order: Tensor) -> "Regimes":
        """The same of S draws with regime k served by expert ``order[s, k]``, a comparable one.

        Args:
            order: of each draw the number of an expert for each regime, ``[S, K]``.
        """
        num_draws, num_rows, num_regimes = len(order), *self.log_weights.shape[1:]
        weights = self.log_weights.expand(num_draws, num_rows, num_regimes)
        index = order.unsqueeze(1).expand(weights.shape)
        served = (self._serving(k, order[:, k]) for k in range(len(self.experts)))
        return Regimes(weights.gather(-1, index), tuple(served))

    def _serving(self, regime: int, expert: Tensor) -> Expert:
        """Expert ``expert [S]`` of each draw, which all have the regime's family."""
        own = self.experts[regime]
        numbers = own.numbers
        for j, other in enumerate(self.experts):
            if j != regime and other.likelihood == own.likelihood:
                numbers = tuple(
                    torch.where((expert == j).reshape(-1, *[1] * (theirs.dim() - 1)), theirs, ours)
                    for ours, theirs in zip(numbers, other.numbers, strict=True)
                )
        return replace(own, numbers=numbers)


@dataclass(frozen=True, eq=False)
class Parts:
    """Gate and experts with their parameters, as functions of features ``[N, D]``.

    Args:
        gate: gives log weights.
        experts: one for each regime.
    """

    gate: Callable[[Tensor], Tensor]
    experts: tuple[Callable[[Tensor], Expert], ...]

    def beside(self, column: int | None, num_outputs: int) -> "Parts":
        """Parts of rows whose sizes are in ``column``; these are functions of the other columns."""
        if column is None:
            return self

        def others(x: Tensor) -> Tensor:
            return torch.cat([x[..., :column], x[..., column + 1 :]], dim=-1)

        def sized(expert: Callable[[Tensor], Expert], x: Tensor) -> Expert:
            found, size = expert(others(x)), x[..., column]
            size = size if num_outputs == 1 else size.unsqueeze(-1)
            return replace(found, numbers=found.likelihood.sized(found.numbers, size))

        experts = tuple(partial(sized, expert) for expert in self.experts)
        return Parts(lambda x: self.gate(others(x)), experts)

    def __call__(self, x: Tensor) -> Regimes:
        """Gate and experts of ``x``."""
        return Regimes(self.gate(x), tuple(expert(x) for expert in self.experts))


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampled:
    """A model with its parameters drawn in Pyro, before anything is observed.

    Args:
        parts: gate and experts as functions of features.
        regimes: what they say of the rows, under the plates outside.
        predictive: the distribution of ``y``.
        label_head: how observed regime labels enter, if there are any.
        log_confusion: ``log p(label | z)``, ``[K, K]``.
        vectorised: whether there are several draws of each parameter, side by side.
    """

    parts: Parts
    regimes: Regimes
    predictive: RegimeMixture
    label_head: LabelHead | None
    log_confusion: Tensor
    vectorised: bool

    def observed(
        self,
        y: Tensor | Target | None,
        density: dist.TorchDistribution,
        label: Callable[[Tensor, LabelHead], dist.TorchDistribution],
    ) -> Tensor:
        """Sample targets of this density, and labels, given targets and head, where they come."""
        values, labels = (y.y, y.label) if isinstance(y, Target) else (y, None)
        targets: Tensor = pyro.sample("y", density, obs=values)
        if labels is not None:
            if self.label_head is None:
                raise OptionError(
                    "y: labels came, and the model has no label head; give it "
                    "label_head=LabelHead(), or targets alone"
                )
            pyro.sample("label", label(targets, self.label_head), obs=labels)
        return targets


class Programs(abc.ABC):
    """The two Pyro programs of one joint density of targets and parameters."""

    @abc.abstractmethod
    def sampled(self, x: Tensor, num_rows: int | None = None) -> Sampled:
        """Sample every latent parameter (Pyro sites) and apply gate and experts to ``x [B, D]``.

        Args:
            x: features, standardised.
            num_rows: N when the B rows are a minibatch.
        """

    def marginal(
        self, x: Tensor, y: Tensor | Target | None = None, num_rows: int | None = None
    ) -> Tensor:
        """Pyro program of the joint density with ``z`` summed out exactly: the fast reading.

        Args:
            x: features ``[B, D]``, standardised.
            y: observed targets, standardised, or ``None`` to draw them: ``[B]``, or ``[B, Q]`` for
                Q > 1 outputs; with regime labels a :class:`Target` of both.
            num_rows: N when the B rows are a minibatch; their log density is scaled by N / B.

        Returns:
            ``y``, observed or drawn, ``[B]`` or ``[B, Q]``.

        Raises:
            OptionError: labels for a model without a label head.
        """
        sampled = self.sampled(x, num_rows)
        predictive, confusion = sampled.predictive, sampled.log_confusion

        def label(targets: Tensor, head: LabelHead) -> RegimeLabel:
            given_y = predictive.log_responsibilities(targets)
            return RegimeLabel(given_y, confusion, head, predictive.assignment)

        with _rows(x, num_rows):
            return sampled.observed(y, predictive, label)

    def enumerated(
        self, x: Tensor, y: Tensor | Target | None = None, num_rows: int | None = None
    ) -> Tensor:
        """The same joint with the explicit latent site ``z``, marked for parallel enumeration.

        Arguments and return value are those of :meth:`marginal`.  Under ``TraceEnum_ELBO``,
        ``infer_discrete`` and ``NUTS`` the site is enumerated; under ``Predictive`` it is drawn.
        """
        sampled = self.sampled(x, num_rows)
        if sampled.log_confusion.dim() > 2:
            raise OptionError(
                "enumerated: label noise is not read by several draws side by side; use marginal, "
                "which is the same joint density, or one particle at a time"
            )
        with _rows(x, num_rows):
            weights = dist.Categorical(logits=sampled.regimes.log_weights)
            z = pyro.sample("z", weights, infer={"enumerate": "parallel"})
            return sampled.observed(
                y,
                _Selected(z, sampled.predictive.components),
                lambda _, head: LabelOfRegime(z, sampled.log_confusion, head.weight),
            )


def _rows(x: Tensor, num_rows: int | None) -> pyro.plate:
    size = x.shape[0]
    total = size if num_rows is None else num_rows
    # An explicit index fixes Pyro's N / B scaling without letting it choose the rows.
    return pyro.plate("rows", total, subsample=torch.arange(size, device=x.device), dim=-1)


class _Selected(dist.TorchDistribution):
    """``F_z``: the component that the regime ``z`` points to, possibly enumerated on the left."""

    arg_constraints: dict[str, dist.constraints.Constraint] = {}  # noqa: RUF012 (torch's protocol)

    def __init__(self, z: Tensor, parts: tuple[Distribution, ...]) -> None:
        self.z = z
        self.parts = parts
        shape = torch.broadcast_shapes(z.shape, *(part.batch_shape for part in parts))
        super().__init__(shape, parts[0].event_shape, validate_args=False)

    @property
    def support(self) -> dist.constraints.Constraint:
        return support_of(self.parts[0])

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "_Selected":
        size = torch.Size(batch_shape)
        return _Selected(self.z.expand(size), tuple(part.expand(size) for part in self.parts))

    def log_prob(self, value: Tensor) -> Tensor:
        stacked = torch.stack([part.log_prob(value) for part in self.parts], dim=-1)
        batch = value.shape[: value.dim() - len(self.event_shape)]
        shape = torch.broadcast_shapes(self.batch_shape, batch)
        index = self.z.expand(shape).unsqueeze(-1)
        return stacked.expand(*shape, len(self.parts)).gather(-1, index).squeeze(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = torch.Size(sample_shape)
        draws = [part.expand(self.batch_shape).sample(shape) for part in self.parts]
        stacked = torch.stack(draws, dim=-1)
        return chosen(stacked, self.z.expand(shape + self.batch_shape), self.event_shape)
