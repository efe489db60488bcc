"""What regime labels came, and how far the fit trusts them."""

import numpy as np

from bayes_hybrid.cli.console import counted
from bayes_hybrid.digits import percentages
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws, quantiles_over_draws

__all__ = ["describe_labels"]

_BAND = (0.05, 0.95)


def describe_labels(model: HybridRegressor) -> list[str]:
    """How many rows had a label, its weight, and how often labels are right; nothing without any.

    Args:
        model: the fitted estimator.
    """
    fit, head = model.fit_, model.fit_.posterior.model.label_head
    if fit.labels is None or head is None:
        return []
    names = model.regime_labels_, model.regimes_
    meant = ", ".join(f"{str(label)!r} is {regime}" for label, regime in zip(*names, strict=True))
    count = int((~np.isnan(fit.labels)).sum())
    have = "has" if count == 1 else "have"
    words = [f"{counted(count, 'row')} of {len(fit.labels)} {have} a regime label: {meant}."]
    weight = f"The labels' weight is {head.weight:g}"
    if head.weight == 1.0:
        words.append(f"{weight}: they count as the targets do.")
    else:
        words.append(f"{weight}, so that this is not the posterior of the stated model.")
    if head.noise == "none":
        return [*words, "They are taken for the truth."]
    confusion, weights = fit.posterior.sites["label_confusion"], fit.posterior.restart_weights
    for k, regime in enumerate(model.regimes_):
        right = confusion[..., k, k]
        low, high = quantiles_over_draws(right, _BAND, weights)
        value = float(mean_over_draws(right, weights))
        mean, lower, upper = percentages(high - low, value, low, high)
        words.append(
            f"A label of a row of {regime} is right with probability {mean} "
            f"(90% interval {lower} to {upper})."
        )
    return words
