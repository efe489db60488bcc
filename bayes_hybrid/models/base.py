"""The one abstract model through which ``models`` and ``inference`` meet."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from bayes_hybrid.distributions import RegimeMixture
from bayes_hybrid.likelihoods import Likelihood


class SiteGroup(StrEnum):
    """What a latent site is for; training treats groups differently.

    Every site of a hybrid model carries its group in ``infer={"group": ...}``, where Pyro lets a
    program keep notes; a site without one counts as ``HEADS``.
    """

    FEATURES = "features"
    GATE_FEATURES = "gate_features"
    HEADS = "heads"
    GATE_HEAD = "gate_head"
    SCALES = "scales"
    SCALE_SLOPES = "scale_slopes"

    @property
    def is_feature(self) -> bool:
        """Whether the site shapes hidden features, rather than what is read off them."""
        return self in (SiteGroup.FEATURES, SiteGroup.GATE_FEATURES)


@dataclass(frozen=True)
class Regimes:
    """What the gate and the experts say of N rows; all that a mixture needs to know.

    ===============  ===============  =========================================
    field            shape            meaning
    ===============  ===============  =========================================
    ``log_weights``  ``[..., N, K]``  log p(z = k | x), normalised over k
    ``locations``    ``[..., N, K]``  location of expert k
    ``scales``       ``[..., N, K]``  scale of expert k, positive
    ===============  ===============  =========================================
    """

    log_weights: Tensor
    locations: Tensor
    scales: Tensor


class HybridModel(abc.ABC):
    """A Bayesian model of ``y`` given ``x`` with K latent regimes.

    For rows n = 1..N, with all parameters drawn from their priors first::

        z_n ~ Categorical(pi(x_n))
        y_n | z_n = k ~ F_k(location_k(x_n), scale_k(x_n))

    A concrete model states the parameters' priors and computes pi, location and scale in
    :meth:`regimes`.  The likelihood is written here, once, and read in two ways.
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
    def likelihoods(self) -> tuple[Likelihood, ...]:
        """The K likelihoods, in the regimes' order."""

    @property
    @abc.abstractmethod
    def noise_floor(self) -> float:
        """The smallest scale that any expert can have."""

    @abc.abstractmethod
    def regimes(self, x: Tensor) -> Regimes:
        """Sample every latent parameter (Pyro sites) and apply gate and experts to ``x [N, D]``."""

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

    @property
    def num_regimes(self) -> int:
        """K, the number of regimes."""
        return len(self.regime_names)

    def predictive(self, regimes: Regimes) -> RegimeMixture:
        """The distribution of ``y`` with the regime summed out, batch shape ``[..., N]``."""
        parts = [
            likelihood(regimes.locations[..., k], regimes.scales[..., k])
            for k, likelihood in enumerate(self.likelihoods)
        ]
        return RegimeMixture(regimes.log_weights, parts)

    def marginal(self, x: Tensor, y: Tensor | None = None, num_rows: int | None = None) -> Tensor:
        """Pyro program of the joint density with ``z`` summed out exactly: the fast reading.

        Args:
            x: features ``[B, D]``, standardised.
            y: observed targets ``[B]``, standardised, or ``None`` to draw them.
            num_rows: N when the B rows are a minibatch; their log density is scaled by N / B.

        Returns:
            ``y``, observed or drawn, ``[B]``.
        """
        predictive = self.predictive(self.regimes(x))
        with self._rows(x, num_rows):
            observed: Tensor = pyro.sample("y", predictive, obs=y)
        return observed

    def enumerated(self, x: Tensor, y: Tensor | None = None, num_rows: int | None = None) -> Tensor:
        """The same joint with the explicit latent site ``z``, marked for parallel enumeration.

        Arguments and return value are those of :meth:`marginal`.  Under ``TraceEnum_ELBO``,
        ``infer_discrete`` and ``NUTS`` the site is enumerated; under ``Predictive`` it is drawn.
        """
        regimes = self.regimes(x)
        parts = self.predictive(regimes).components
        with self._rows(x, num_rows):
            weights = dist.Categorical(logits=regimes.log_weights)
            z = pyro.sample("z", weights, infer={"enumerate": "parallel"})
            observed: Tensor = pyro.sample("y", _Selected(z, parts), obs=y)
        return observed

    @staticmethod
    def _rows(x: Tensor, num_rows: int | None) -> pyro.plate:
        size = x.shape[0]
        total = size if num_rows is None else num_rows
        # An explicit index fixes Pyro's N / B scaling without letting it choose the rows.
        return pyro.plate("rows", total, subsample=torch.arange(size, device=x.device), dim=-1)


class _Selected(dist.TorchDistribution):
    """``F_z``: the component that the regime ``z`` points to, possibly enumerated on the left."""

    arg_constraints: dict[str, dist.constraints.Constraint] = {}  # noqa: RUF012 (torch's protocol)
    support = dist.constraints.real

    def __init__(self, z: Tensor, parts: tuple[Distribution, ...]) -> None:
        self.z = z
        self.parts = parts
        shape = torch.broadcast_shapes(z.shape, *(part.batch_shape for part in parts))
        super().__init__(shape, torch.Size(), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "_Selected":
        size = torch.Size(batch_shape)
        return _Selected(self.z.expand(size), tuple(part.expand(size) for part in self.parts))

    def log_prob(self, value: Tensor) -> Tensor:
        stacked = torch.stack([part.log_prob(value) for part in self.parts], dim=-1)
        shape = torch.broadcast_shapes(self.batch_shape, value.shape)
        index = self.z.expand(shape).unsqueeze(-1)
        return stacked.expand(*shape, len(self.parts)).gather(-1, index).squeeze(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = torch.Size(sample_shape)
        draws = [part.expand(self.batch_shape).sample(shape) for part in self.parts]
        stacked = torch.stack(draws, dim=-1)
        index = self.z.expand(stacked.shape[:-1]).unsqueeze(-1)
        return stacked.gather(-1, index).squeeze(-1)
