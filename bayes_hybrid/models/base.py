"""The one abstract model through which ``models`` and ``inference`` meet."""

import abc
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Self, cast

from pyro.poutine.runtime import InferDict
from torch import Tensor
from torch.distributions import Distribution

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.distributions import (
    Assignment,
    Outputs,
    RegimeMixture,
)
from bayes_hybrid.gates import Boundaries
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models.labels import LabelHead
from bayes_hybrid.models.latent import Drawn, Sites
from bayes_hybrid.models.sampled import Parts, Programs, Regimes, Sampled
from bayes_hybrid.priors import Priors

OBSERVED: Final = ("y", "label")
"""The sites that hold data."""


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


class HybridModel(Programs):
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

    def sampled(self, x: Tensor, num_rows: int | None = None) -> Sampled:
        """See :meth:`~bayes_hybrid.models.sampled.Programs.sampled`."""
        del num_rows  # the model has no factors beside its rows
        sites = Drawn()
        parts = self.parts(sites, x)
        axes, regimes = 2 if self.num_outputs > 1 else 1, parts(x)
        experts = (e.map(lambda value: sites.placed(value, axes)) for e in regimes.experts)
        placed = Regimes(sites.placed(regimes.log_weights, 2), tuple(experts))
        return Sampled(
            parts=parts,
            regimes=placed,
            predictive=self.predictive(placed),
            label_head=self.label_head,
            log_confusion=self._log_confusion(sites, x),
            vectorised=sites.vectorised,
        )

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
