"""The regime of a row as a posterior: probability, band, and what the uncertainty is made of."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, softmax

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.evaluation import (
    fitted_regime_draws,
    flat_draws,
    row_chunks,
)
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference.posterior.over_draws import draw_weights, weighted_quantiles
from bayes_hybrid.inference.result import Fit
from bayes_hybrid.tabular import Tabular

__all__ = ["RegimePosterior", "regime_posterior"]

_PROB: Final = 0.9


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RegimePosterior(Tabular):
    """Regime probabilities of N rows, how sure the fit is of them, and why a row is undecided.

    With ``p_s`` the regime probabilities of a row under posterior draw s, ``w_s`` the weight of the
    draw, ``H(p) = -sum_k p_k log p_k`` and ``p = sum_s w_s p_s``::

        H(p)           =  sum_s w_s H(p_s)  +  sum_s w_s KL(p_s || p)
        total_entropy  =  ambiguity         +  gate_uncertainty

    Ambiguity would remain if the parameters were known: the regimes overlap there.  Gate
    uncertainty is the mutual information between the row's regime and the parameters: draws
    contradict each other.  Either there are too few rows to tell, or restarts use the regimes in
    exchanged roles (the finding ``regime_disagreement``).  All three are in nats.

    Attributes:
        regime_names: names of the K regimes.
        probability: ``sum_s w_s p_s``, ``[N, K]``; rows sum to one.
        lower: lower end of the central credible interval of ``p_s`` over draws, ``[N, K]``.
        upper: its upper end, ``[N, K]``.
        prob: the probability inside it.
        total_entropy: ``H(p)``, ``[N]``, between 0 and log K.
        ambiguity: ``sum_s w_s H(p_s)``, ``[N]``.

    Source: Depeweg, Hernandez-Lobato, Doshi-Velez and Udluft (2018), ICML, for the split.
    """

    regime_names: tuple[str, ...]
    probability: FloatArray
    lower: FloatArray
    upper: FloatArray
    prob: float
    total_entropy: FloatArray
    ambiguity: FloatArray

    @property
    def regime(self) -> NDArray[np.str_]:
        """Name of the most probable regime, ``[N]``; of equal ones, the first."""
        return np.asarray(np.asarray(self.regime_names)[self.probability.argmax(axis=1)])

    @property
    def confidence(self) -> FloatArray:
        """Probability that :attr:`regime` is right, ``max_k p_k``, ``[N]``."""
        return np.asarray(self.probability.max(axis=1))

    @property
    def gate_uncertainty(self) -> FloatArray:
        """Mutual information of regime and parameters, ``sum_s w_s KL(p_s || p)``, ``[N]``."""
        return np.asarray(self.total_entropy - self.ambiguity)

    def to_frame(self, index: pd.Index | None = None) -> pd.DataFrame:
        """A row for each row of data.

        Args:
            index: index of the table, ``[N]``, such as that of the features.

        Returns:
            ``regime``, ``confidence``, for each regime ``probability[NAME]``, ``lower[NAME]`` and
            ``upper[NAME]``, and ``total_entropy``, ``ambiguity``, ``gate_uncertainty`` in nats.
        """
        columns: dict[str, NDArray[np.generic]] = {
            "regime": self.regime,
            "confidence": self.confidence,
        }
        for k, name in enumerate(self.regime_names):
            columns[f"probability[{name}]"] = self.probability[:, k]
            columns[f"lower[{name}]"] = self.lower[:, k]
            columns[f"upper[{name}]"] = self.upper[:, k]
        columns["total_entropy"] = self.total_entropy
        columns["ambiguity"] = self.ambiguity
        columns["gate_uncertainty"] = self.gate_uncertainty
        return pd.DataFrame(columns, index=index)


def regime_posterior(
    fit: Fit,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    prob: float = _PROB,
    reading: int = 0,
) -> RegimePosterior:
    """Posterior of the regime of rows that were fitted, or of new rows without or with their y.

    ================  =============================  ==============================================
    rows              regime probabilities           weight of draw s
    ================  =============================  ==============================================
    those of the fit  ``p(z | x, y, label, draw)``   its restart's: the draws have seen y and labels
    new, ``x``        ``p(z | x, draw)``             its restart's
    new, ``x`` and    ``p(z | x, y, draw)``          its restart's times ``p(y | x, draw)``, row by
    ``y``                                            row, which conditions the draws on y, too
    ================  =============================  ==============================================

    Bands are quantiles over draws under the same weights.

    Args:
        fit: the finished fit.
        x: features of new rows ``[N, D]``; without them, the rows of the fit.
        y: targets of the new rows ``[N]``, or ``[N, Q]``, NaN where missing.
        prob: probability inside the bands, strictly between 0 and 1.
        reading: which of ``fit.readings``, 0 for the leading one.

    Raises:
        DataError: ``y`` without ``x``, shapes that do not fit, values that are not finite.
        OptionError: ``prob`` is not strictly between 0 and 1, or there is no such reading.

    Example:
        >>> import numpy as np
        >>> from bayes_hybrid.diagnostics import RegimePosterior
        >>> row = RegimePosterior(
        ...     regime_names=("gaussian", "relu"),
        ...     probability=np.array([[0.5, 0.5]]),
        ...     lower=np.zeros((1, 2)),
        ...     upper=np.ones((1, 2)),
        ...     prob=0.9,
        ...     total_entropy=np.array([np.log(2.0)]),
        ...     ambiguity=np.zeros(1),  # each draw is sure, and half of them say the opposite
        ... )
        >>> row.gate_uncertainty.round(3), row.confidence
        (array([0.693]), array([0.5]))
    """
    tail = (1.0 - checks.fraction("prob", prob)) / 2.0
    fit = fit.reading(reading) if reading else fit.for_regimes
    posterior = fit.posterior
    if x is None and y is not None:
        raise DataError("y came without x; give both, or neither for the rows of the fit")
    rows, target = (fit.x, None) if x is None else _new_rows(fit, x, y)
    per_row = posterior.num_restarts * posterior.num_draws * posterior.num_regimes
    each = draw_weights(posterior.restart_weights, posterior.num_draws)
    parts = []
    for part in row_chunks(len(rows), per_row):
        weights = each
        if x is None:
            draws = fitted_regime_draws(fit, part)
        elif target is None:
            draws = posterior.by_draw.regime_probability(rows[part])
        else:
            draws = posterior.by_draw.regime_probability(rows[part], target[part])
            logs = posterior.by_draw.log_likelihood(rows[part], target[part])
            weights = softmax(flat_draws(logs) + np.log(each)[:, None], axis=0)
        parts.append(_summary(flat_draws(draws), weights, tail))
    probability, lower, upper, total, ambiguity = (
        np.concatenate(field) for field in zip(*parts, strict=True)
    )
    return RegimePosterior(
        regime_names=posterior.regime_names,
        probability=probability,
        lower=lower,
        upper=upper,
        prob=prob,
        total_entropy=total,
        ambiguity=ambiguity,
    )


def _summary(draws: FloatArray, weights: FloatArray, tail: float) -> tuple[FloatArray, ...]:
    """Mean, band, its entropy and the mean entropy of ``[M, N, K]``, weights ``[M(, N)]``."""
    lower, upper = weighted_quantiles(draws, [tail, 1.0 - tail], weights)
    each = weights.reshape(len(weights), -1)
    probability = (each[..., None] * draws).sum(axis=0)
    # Draws are probabilities up to the rounding of a softmax, and so is their mean.
    probability = probability / probability.sum(axis=-1, keepdims=True)
    total = entr(probability).sum(axis=-1)
    ambiguity = (each * entr(draws).sum(axis=-1)).sum(axis=0)
    # The mean entropy is never above that of the mean (Jensen), but for rounding.
    return probability, lower, upper, total, np.minimum(ambiguity, total)


def _new_rows(fit: Fit, x: ArrayLike, y: ArrayLike | None) -> tuple[FloatArray, FloatArray | None]:
    """Features ``[N, D]`` and targets ``[N]`` or ``[N, Q]`` as float64."""
    rows = np.asarray(x, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != fit.x.shape[1] or not len(rows):
        raise DataError(
            f"x must have the shape (rows, {fit.x.shape[1]}), with rows >= 1; got {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise DataError("x: expected finite numbers; drop or fill rows with NaN or infinity")
    if y is None:
        return rows, None
    target = np.asarray(y, dtype=np.float64)
    expected = (len(rows), *fit.y.shape[1:])
    if target.shape != expected:
        raise DataError(f"y must have the shape {expected}, as x and the fit; got {target.shape}")
    if np.isinf(target).any() or (target.ndim == 1 and np.isnan(target).any()):
        raise DataError("y: expected finite numbers (of several outputs, NaN where one is missing)")
    return rows, target
