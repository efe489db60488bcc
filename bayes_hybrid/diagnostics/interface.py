"""What the diagnostics and the plots read of a fit.

Shapes: R restarts (the chains of ArviZ), S draws per restart, N rows, K regimes, D features.
Everything with a unit is in the units of the data, except ``sites``, which are the model's own.
With Q > 1 outputs, targets and what is predicted of them have an axis Q behind that of the rows.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayes_hybrid.inference.result import Restarts, Training

__all__ = [
    "FitLike",
    "FloatArray",
    "PosteriorLike",
    "ReadingLike",
    "ThresholdsLike",
    "TrainedLike",
]

FloatArray = NDArray[np.float64]
"""A float64 array; the docstrings give the shapes."""


class ThresholdsLike(Protocol):
    """Draws of where neighbouring regimes have equal odds."""

    @property
    def location(self) -> FloatArray:
        """Of the K - 1 thresholds, ``[R, S, K - 1]``."""

    @property
    def width(self) -> FloatArray:
        """Distance over which the odds go from 1 : 9 to 9 : 1, ``[R, S, K - 1]``."""

    @property
    def feature(self) -> int | None:
        """Index of the feature that they are on; ``None`` for a linear combination."""

    @property
    def coefficients(self) -> FloatArray | None:
        """Of the linear combination, ``[R, S, D]``; ``None`` for one feature."""

    @property
    def origin(self) -> FloatArray:
        """What the linear combination takes off the features first, ``[D]``."""


class ReadingLike(Protocol):
    """Restarts that group the rows alike."""

    @property
    def weight(self) -> float:
        """Its share of the posterior."""

    @property
    def members(self) -> NDArray[np.int64]:
        """Numbers of its restarts."""

    @property
    def responsibilities(self) -> FloatArray:
        """``p(z_n = k | x_n, y_n)`` of the training rows that were read, ``[M, K]``."""

    @property
    def usage(self) -> FloatArray:
        """Share of the rows in each regime, ``[K]``."""

    @property
    def used(self) -> NDArray[np.bool_]:
        """Whether some rows belong to the regime, ``[K]``."""

    @property
    def num_used(self) -> int:
        """Regimes that some rows belong to."""

    @property
    def elpd(self) -> float:
        """Leave-one-out log density in nats."""


class PosteriorLike(Protocol):
    """Posterior draws of R restarts, and what they say of rows."""

    @property
    def num_restarts(self) -> int:
        """R, the restarts that are part of the posterior."""

    @property
    def num_draws(self) -> int:
        """S, the draws of each restart."""

    @property
    def num_regimes(self) -> int:
        """K."""

    @property
    def restart_weights(self) -> FloatArray:
        """What each restart counts, ``[R]``, which add up to one."""

    @property
    def regime_names(self) -> tuple[str, ...]:
        """K distinct names."""

    @property
    def expert_names(self) -> tuple[str, ...]:
        """A name for each of the model's K experts."""

    @property
    def service(self) -> FloatArray:
        """Share of the posterior in which expert j serves regime k, ``[K, K]`` as ``[k, j]``."""

    @property
    def sites(self) -> Mapping[str, FloatArray]:
        """Draws of the model's latent sites, each ``[R, S, *shape]``, in standardised units."""

    @property
    def thresholds(self) -> ThresholdsLike | None:
        """Where the regimes change; ``None`` where the gate has no parameter for it."""

    @property
    def scale_floor(self) -> FloatArray | None:
        """Smallest scale that an expert may take, in y's units; ``None`` where there is none.

        ``[]``, or ``[Q, 1]`` for several outputs.
        """

    def log_likelihood(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """``log p(y_n | x_n, theta_rs)``, summed over the regimes, ``[R, S, N]``."""

    def cdf_draws(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Distribution function at ``y_n`` given ``theta_rs``, ``[R, S, N]``, or with Q behind."""

    def sample_per_draw(self, x: FloatArray, seed: int) -> FloatArray:
        """One draw of ``y_n`` for each posterior draw, ``[R, S, N]``."""

    def sample(self, x: FloatArray, num_draws: int, seed: int) -> FloatArray:
        """Data sets at all rows, each of one posterior draw, chosen by weight, ``[M, N]``."""

    def regime_probability_draws(
        self, x: FloatArray, y: FloatArray | None = None, labels: FloatArray | None = None
    ) -> FloatArray:
        """``p(z_n = k | x_n, theta_rs)``, or given ``y_n`` or labels also, ``[R, S, N, K]``."""

    def regime_probability(self, x: FloatArray, y: FloatArray | None = None) -> FloatArray:
        """``p(z_n = k | x_n)`` of the posterior predictive, or given ``y_n`` also, ``[N, K]``."""

    def expert_mean_draws(self, x: FloatArray) -> FloatArray:
        """Mean of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""

    def expert_scale_draws(self, x: FloatArray) -> FloatArray:
        """Standard deviation of each expert, ``[R, S, N, K]``, or ``[R, S, N, Q, K]``."""

    @property
    def widths_over_floor(self) -> FloatArray | None:
        """Smoothing widths of the Gaussian units over the smallest allowed, ``[R, S, U]``.

        ``None`` where there are none.
        """

    def unit_mean_draws(self, x: FloatArray) -> Mapping[tuple[str, str], FloatArray]:
        """What one kind of unit adds to an expert's mean, ``[R, S, N]``, or ``[R, S, N, Q]``.

        By expert and ``"gaussian"`` or ``"relu"``, of experts whose layers mix both linearly.
        """

    def gate_and_mean_draws(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``p(z_n = k | x_n, theta_rs)`` and the mean of each expert, in one pass."""

    def slope_draws(self, x: FloatArray, feature: int) -> tuple[FloatArray, FloatArray]:
        """Slopes along a feature of gate ``[R, S, N, K]`` and experts, as their means are."""

    def mean(self, x: FloatArray) -> FloatArray:
        """Mean of the posterior predictive, ``[N]``."""

    def variance(self, x: FloatArray) -> FloatArray:
        """Variance of the posterior predictive, ``[N]``."""

    def quantile(self, x: FloatArray, probs: FloatArray) -> FloatArray:
        """Quantiles of the posterior predictive, ``[N, Q]``."""

    def cdf(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Distribution function of the posterior predictive at ``y_n``, ``[N]``."""

    def log_density(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Log of the mean over all draws of ``p(y_n | x_n, theta_rs)``, ``[N]``."""


class FitLike(Protocol):
    """A finished fit: its posterior, the rows it learned from, and how it went."""

    @property
    def posterior(self) -> PosteriorLike:
        """The draws."""

    @property
    def x(self) -> FloatArray:
        """Training features, ``[N, D]``."""

    @property
    def y(self) -> FloatArray:
        """Training targets, ``[N]``."""

    @property
    def labels(self) -> FloatArray | None:
        """Number of each row's regime label, ``[N]``, NaN where it has none; or ``None``."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """D names."""

    @property
    def target_name(self) -> str:
        """Name of the target."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs: the target's alone, or Q."""

    @property
    def restarts(self) -> Restarts:
        """What is known of each restart."""

    @property
    def training(self) -> Training:
        """How the fit came about."""

    @property
    def seed(self) -> int:
        """The seed that repeats the fit."""

    @property
    def for_regimes(self) -> "FitLike":
        """The fit that regimes are read from, of the leading reading's restarts."""

    @property
    def readings(self) -> Sequence[ReadingLike]:
        """How the restarts group the rows, the heaviest first."""

    def reading(self, number: int = 0) -> "FitLike":
        """The fit of one reading's restarts."""


class TrainedLike(FitLike, Protocol):
    """A fit that also says how it was trained."""

    @property
    def variational(self) -> PosteriorLike:
        """SVI's own posterior, before any sampler."""

    @property
    def variational_log_ratios(self) -> FloatArray:
        """Log importance ratios at the draws of :attr:`variational`, ``[R, S]``, or empty."""
