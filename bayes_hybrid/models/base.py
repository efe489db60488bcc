"""The one abstract model through which ``models`` and ``inference`` meet."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, Self, cast

import pyro
import pyro.distributions as dist
import torch
from pyro.poutine.runtime import InferDict
from torch import Tensor
from torch.distributions import Distribution

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.distributions import (
    Assignment,
    Outputs,
    RegimeMixture,
    along_last,
    chosen,
    support_of,
)
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import Boundaries
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models.labels import LabelHead, LabelOfRegime, RegimeLabel
from bayes_hybrid.models.latent import Drawn, Sites
from bayes_hybrid.models.penalties import (
    mean_entropy,
    neighbours,
    roughness,
    usage_variation,
)
from bayes_hybrid.models.target import Target
from bayes_hybrid.priors import Priors

OBSERVED: Final = ("y", "label")
"""The sites that hold data."""
PENALTIES: Final = ("gate_entropy", "load_balance", "relu_smoothness")
"""The regularisers, and the names of their factors."""


class SiteGroup(StrEnum):
    """What a latent site is for; training treats groups differently.

    Every site of a hybrid model carries its group in ``infer={"group": ...}``, where Pyro lets a
    program keep notes; a site without one counts as ``HEADS``.
    """

    FEATURES = "features"
    GATE_FEATURES = "gate_features"
    HEADS = "heads"
    GATE_HEAD = "gate_head"
    THRESHOLDS = "thresholds"  # where the density is nearly a step, so that samplers step singly
    SCALES = "scales"
    SCALE_SLOPES = "scale_slopes"

    @property
    def is_feature(self) -> bool:
        """Whether the site shapes hidden features, rather than what is read off them."""
        return self in (SiteGroup.FEATURES, SiteGroup.GATE_FEATURES)


class SiteRole(StrEnum):
    """What is asked of a latent site elsewhere; most have no role.

    Sites carry it in ``infer={"role": ...}``, so that nobody has to know their names.
    """

    WIDTH = "width"  # of the smoothing of Gaussian units, above the model's floor
    MIXES_GAUSSIAN = "mixes_gaussian"  # how much of the Gaussian units a layer takes that mixes
    MIXES_RELU = "mixes_relu"  # and of the ReLU units
    BY_OUTPUT = "by_output"  # has a row for each of several outputs
    CONFUSION = "confusion"  # of regime labels


class TrainingGroup(StrEnum):
    """What a latent site belongs to when parts of a model are trained one after another.

    Sites carry it in ``infer={"training": ...}``.  A site without one goes by its
    :class:`SiteGroup`, features of an unknown pathway as heads.
    """

    GAUSSIAN = "gaussian"
    RELU = "relu"
    GATE = "gate"
    HEADS = "heads"
    SCALES = "scales"
    NOISE_SLOPES = "noise_slopes"

    @classmethod
    def of(cls, group: SiteGroup) -> "TrainingGroup":
        """Where a site of that group belongs if nothing else is known of it."""
        return {
            SiteGroup.GATE_FEATURES: cls.GATE,
            SiteGroup.GATE_HEAD: cls.GATE,
            SiteGroup.THRESHOLDS: cls.GATE,
            SiteGroup.SCALES: cls.SCALES,
            SiteGroup.SCALE_SLOPES: cls.NOISE_SLOPES,
        }.get(group, cls.HEADS)


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


class HybridModel(abc.ABC):
    """A Bayesian model of ``y`` given ``x`` with K latent regimes.

    For rows n = 1..N, with all parameters drawn from their priors first::

        z_n ~ Categorical(pi(x_n))
        y_n | z_n = k ~ F_k(location_k(x_n), ...)

    A concrete model states the parameters' priors and computes pi and the numbers of each
    likelihood F_k in :meth:`parts`.  The likelihood is written here, once, and read in two ways.

    With Q > 1 outputs a row's outputs share its regime, and are independent given it::

        y_nq | z_n = k ~ F_k(location_kq(x_n), ...)

    A target of NaN is missing and has no factor.  With a label head the rows' regimes are observed
    too, possibly under another name (:class:`~bayes_hybrid.models.labels.LabelHead`)::

        label_n | z_n = k ~ Categorical(confusion_k)
    """

    @property
    @abc.abstractmethod
    def num_features(self) -> int:
        """D, the number of input features."""

    @property
    @abc.abstractmethod
    def regime_names(self) -> tuple[str, ...]:
        """A distinct name for each of the K regimes."""

    @property
    @abc.abstractmethod
    def likelihoods(self) -> Likelihoods:
        """The K likelihoods, in the regimes' order."""

    @property
    @abc.abstractmethod
    def priors(self) -> Priors:
        """Prior settings: those of parameters that are asked for elsewhere are their floors."""

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """The model for targets like ``y`` of rows of these sizes, where likelihoods go by it."""
        del y, size
        return self

    @property
    def num_outputs(self) -> int:
        """Q, the number of targets in a row."""
        return 1

    @property
    def has_thresholds(self) -> bool:
        """Whether the regimes are in an order with thresholds between them."""
        return False

    @property
    def names_regimes(self) -> bool:
        """Whether each regime has its place along a feature, which then names it."""
        return False

    @property
    def label_head(self) -> LabelHead | None:
        """How observed regime labels enter; ``None`` for a model that has none."""
        return None

    @property
    def assignment(self) -> Assignment:
        """How rows get their regimes."""
        return Assignment()

    @property
    def relu_regimes(self) -> tuple[int, ...]:
        """Numbers of the regimes whose expert has ReLU units, which may be asked to be smooth."""
        return ()

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """The regularisers that act on this model: a gate has to choose, ReLU units to be there."""
        acts = (self.num_regimes > 1, self.num_regimes > 1, bool(self.relu_regimes))
        return tuple(name for name, act in zip(PENALTIES, acts, strict=True) if act)

    @abc.abstractmethod
    def parts(self, sites: Sites, like: Tensor) -> Parts:
        """Gate and experts with their parameters.

        Args:
            sites: where parameters come from: :class:`~bayes_hybrid.models.latent.Drawn` samples
                them in Pyro, :func:`~bayes_hybrid.models.latent.given` looks them up.  It may give
                S draws of each, ``[S, *shape]``; then the parts give the results of all draws,
                ``[S, N, ...]``.
            like: a tensor of the dtype and on the device that parameters shall have.
        """

    def regimes(self, x: Tensor) -> Regimes:
        """Sample every latent parameter (Pyro sites) and apply gate and experts to ``x [N, D]``."""
        return self._sampled(Drawn(), x, None, None)

    def exchangeable(self, first: int, second: int) -> bool:
        """Whether two regimes are alike but for their names, so that they may trade places."""
        return first == second

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """Site values with which regime k does what regime ``order[k]`` did.

        Args:
            values: constrained values of all sites, by name.
            order: a permutation of the regimes among exchangeable ones.
        """
        del order  # no two regimes are exchangeable
        return dict(values)

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries | None:
        """Where the regimes change, or ``None`` where no parameter says it.

        Args:
            values: constrained values of all sites, by name, of any number of draws.
        """
        del values
        return None

    @property
    def num_regimes(self) -> int:
        """K, the number of regimes."""
        return len(self.regime_names)

    def predictive(self, regimes: Regimes) -> RegimeMixture:
        """The distribution of ``y`` with the regime summed out, batch shape ``[..., N]``.

        With Q > 1 outputs its event shape is ``(Q,)``.
        """
        densities: list[Distribution] = [expert.density for expert in regimes.experts]
        if self.num_outputs > 1:
            densities = [Outputs(density) for density in densities]
        return RegimeMixture(regimes.log_weights, densities, self.assignment)

    def marginal(
        self,
        x: Tensor,
        y: Tensor | Target | None = None,
        num_rows: int | None = None,
        penalties: Mapping[str, float | Tensor] | None = None,
    ) -> Tensor:
        """Pyro program of the joint density with ``z`` summed out exactly: the fast reading.

        Args:
            x: features ``[B, D]``, standardised.
            y: observed targets, standardised, or ``None`` to draw them: ``[B]``, or ``[B, Q]`` for
                Q > 1 outputs; with regime labels a :class:`Target` of both.
            num_rows: N when the B rows are a minibatch; their log density is scaled by N / B.
            penalties: weights of regularisers, in nats per row, by name
                (:mod:`~bayes_hybrid.models.penalties`); each is a factor of its name, those that
                have nothing to act on left out (:attr:`penalty_names`).  They have no part in the
                stated model.

        Returns:
            ``y``, observed or drawn, ``[B]`` or ``[B, Q]``.

        Raises:
            OptionError: a regulariser of another name, or labels for a model without a label head.
        """
        sites = Drawn()
        predictive = self.predictive(self._sampled(sites, x, num_rows, penalties))
        log_confusion = self._log_confusion(sites, x)
        values, labels = self._observed(y)
        with self._rows(x, num_rows):
            targets: Tensor = pyro.sample("y", predictive, obs=values)
            if self.label_head is not None and labels is not None:
                given_y = predictive.log_responsibilities(targets)
                site = RegimeLabel(given_y, log_confusion, self.label_head, self.assignment)
                pyro.sample("label", site, obs=labels)
        return targets

    def enumerated(
        self,
        x: Tensor,
        y: Tensor | Target | None = None,
        num_rows: int | None = None,
        penalties: Mapping[str, float | Tensor] | None = None,
    ) -> Tensor:
        """The same joint with the explicit latent site ``z``, marked for parallel enumeration.

        Arguments and return value are those of :meth:`marginal`.  Under ``TraceEnum_ELBO``,
        ``infer_discrete`` and ``NUTS`` the site is enumerated; under ``Predictive`` it is drawn.
        """
        sites = Drawn()
        regimes = self._sampled(sites, x, num_rows, penalties)
        log_confusion = self._log_confusion(sites, x)
        if sites.vectorised and log_confusion.dim() > 2:
            raise OptionError(
                "enumerated: label noise is not read by several draws side by side; use marginal, "
                "which is the same joint density, or one particle at a time"
            )
        parts = self.predictive(regimes).components
        values, labels = self._observed(y)
        with self._rows(x, num_rows):
            weights = dist.Categorical(logits=regimes.log_weights)
            z = pyro.sample("z", weights, infer={"enumerate": "parallel"})
            targets: Tensor = pyro.sample("y", _Selected(z, parts), obs=values)
            if self.label_head is not None and labels is not None:
                site = LabelOfRegime(z, log_confusion, self.label_head.weight)
                pyro.sample("label", site, obs=labels)
        return targets

    def _sampled(
        self,
        sites: Drawn,
        x: Tensor,
        num_rows: int | None,
        penalties: Mapping[str, float | Tensor] | None,
    ) -> Regimes:
        """:meth:`regimes`, and a factor for each of the regularisers that act on the model."""
        penalties = penalties or {}
        for name in penalties:
            checks.choice("penalties", name, PENALTIES)
        parts = self.parts(sites, x)
        regimes = parts(x)
        if penalties and sites.vectorised:
            raise OptionError(
                "penalties: a regulariser is one number of all rows, which several draws side by "
                "side do not have; use one particle at a time"
            )
        size = len(x) if num_rows is None else num_rows
        for name in self.penalty_names:
            if name not in penalties:
                continue
            if name == "gate_entropy":
                term = mean_entropy(regimes.log_weights)
            elif name == "load_balance":
                term = -usage_variation(regimes.log_weights)
            else:
                term = -self._roughness(x, regimes, parts)
            pyro.factor(name, size * penalties[name] * term)
        axes = 2 if self.num_outputs > 1 else 1
        experts = (e.map(lambda value: sites.placed(value, axes)) for e in regimes.experts)
        return Regimes(sites.placed(regimes.log_weights, 2), tuple(experts))

    def _roughness(self, x: Tensor, regimes: Regimes, parts: Parts) -> Tensor:
        """:func:`~bayes_hybrid.models.penalties.roughness` of the experts with ReLU units."""
        near = neighbours(x, self.likelihoods.size_column)
        locations = [regimes.experts[k].location for k in self.relu_regimes]
        around = [parts.experts[k](near).location for k in self.relu_regimes]
        return roughness(along_last(locations), along_last(around))

    def _observed(self, y: Tensor | Target | None) -> tuple[Tensor | None, Tensor | None]:
        """Targets and labels, as far as they are there."""
        if not isinstance(y, Target):
            return y, None
        if y.label is not None and self.label_head is None:
            raise OptionError(
                "y: labels came, and the model has no label head; give it "
                "label_head=LabelHead(), or targets alone"
            )
        return y.y, y.label

    def _log_confusion(self, sites: Drawn, x: Tensor) -> Tensor:
        """``log p(label | z)``, ``[K, K]``; nothing is drawn without a label head."""
        if self.label_head is None:
            return x.new_zeros(())
        prior = self.label_head.prior(self.num_regimes, x)
        if prior is None:
            return self.label_head.noise_free(self.num_regimes, x)
        notes = {"group": SiteGroup.HEADS, "training": TrainingGroup.HEADS}
        note = cast(InferDict, notes | {"role": SiteRole.CONFUSION})
        return sites.placed(sites("label_confusion", lambda: prior, note), 2).log()

    @staticmethod
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
