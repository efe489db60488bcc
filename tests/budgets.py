"""Options for fits that run through every stage and are good for nothing."""

from typing import Any

from bayes_hybrid import FitOptions, Variational, WarmStart

__all__ = ["SHORT", "tiny"]


def tiny(
    max_steps: int = 10, *, num_steps: int = 5, num_draws: int = 6, **others: Any
) -> FitOptions:
    """Next to no training: ten steps of two restarts, five of SVI, and six draws of each.

    Args:
        max_steps: of the warm start.
        num_steps: of SVI.
        num_draws: of each restart; leave-one-out takes 25 in all, ArviZ's plots a hundred.
        others: of :class:`FitOptions`.
    """
    given: dict[str, Any] = {
        "num_restarts": 2,
        "warm_start": WarmStart(max_steps=max_steps, check_every=50, learning_rate=0.1),
        "variational": Variational(
            num_steps=num_steps, selection_steps=5, kl_weights=(0.0,), num_draws=num_draws
        ),
        "sampler": None,
        "compile": "never",
    }
    return FitOptions(**given | others)


SHORT = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=300),
    variational=Variational(num_steps=50, kl_weights=(0.0,), num_draws=50),
    sampler=None,
    compile="never",
)
"""Enough to find a change that is plain to see."""
