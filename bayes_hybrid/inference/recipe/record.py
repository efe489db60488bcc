"""The record of a fit: what its steps leave, as NumPy arrays and words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayes_hybrid.inference.recipe.context import Context, State
from bayes_hybrid.inference.recipe.plans import Plan
from bayes_hybrid.inference.result import Drawn, Restarts, Training
from bayes_hybrid.inference.samplers import Chains

__all__ = ["recorded"]


def recorded(state: State, context: Context) -> Drawn:
    """What the last step leaves."""
    approximation, weighed = state.approximated, state.weighed
    if weighed is None:
        raise AssertionError("restarts are weighed before they are recorded")
    num_kept = len(weighed.weights) + weighed.num_negligible
    # A sampler goes on from an ELBO that has not settled.
    svi_settled = approximation.settled or context.sampler is not None
    num_dropped = context.num_restarts - num_kept
    return Drawn(
        theta=state.draws,
        weights=weighed.weights,
        variational=approximation.draws,
        variational_log_ratios=_numpy(approximation.draw_ratios),
        restarts=Restarts(
            sources=state.sources.cpu().numpy(),
            elbo=_numpy(approximation.elbo),
            elpd=weighed.elpd,
            log_ratios=_numpy(approximation.log_ratios),
            sampler={} if state.chains is None else _statistics(state.chains),
        ),
        training=Training(
            status=_status(state, context, svi_settled, num_dropped)
            + _regularised(context.plans[0], context.rows.joint.regularisers),
            converged=state.settled and svi_settled,
            method="svi" if context.sampler is None else f"svi+{context.sampler.name.lower()}",
            stages=tuple(context.log.stages),
            kl_weight=approximation.kl_weight,
            kl_scores=approximation.kl_scores,
            temperature=weighed.temperature,
            num_dropped=num_dropped,
            num_negligible=weighed.num_negligible,
            device=str(context.rows.x.device),
            compiled=context.compiled,
        ),
    )


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.detach().cpu().double().numpy())


def _status(state: State, context: Context, svi_settled: bool, num_dropped: int) -> str:
    if not state.settled:
        text = (
            "Budget used up: the warm start was still improving; the fit can be used, and "
            "more steps (`WarmStart(max_steps=...)`) may make it better."
        )
    elif not svi_settled:
        text = (
            "Budget used up: the ELBO was still improving when SVI ended; "
            "more steps (`Variational(num_steps=...)`) may make the fit better."
        )
    else:
        text = "Every stage of the training ended by its own rule."
    chains = state.chains
    if chains is not None and context.sampler is not None:
        text += f" Refined by {context.sampler.name} with {chains.words}"
        if chains.diverging is not None:
            count, total = int(chains.diverging.sum()), chains.diverging.numel()
            text += f"; {count} of {total} draws followed a divergence"
        text += "."
    if num_dropped:
        text += f" {num_dropped} restarts became non-finite or did not move and were dropped."
    return text


def _regularised(plan: Plan, names: Sequence[str]) -> str:
    """What the status has to say where SVI kept a regulariser."""
    weights = {name: plan.final_weights[name] for name in names}
    kept = ", ".join(f"{name}={weight:g}" for name, weight in weights.items() if weight)
    if not kept:
        return ""
    return (
        f" SVI kept {kept} of the plan's last stage, so its posterior is not that of the stated "
        "model; end the plan with weights of 0 for that."
    )


def _statistics(chains: Chains) -> dict[str, NDArray[np.float64]]:
    """Of each draw, by ArviZ's names."""
    step_size = chains.step_size
    if step_size is not None:
        step_size = step_size.unsqueeze(-1).expand(chains.draws.shape[:2])
    found = {
        "acceptance_rate": chains.acceptance,
        "diverging": chains.diverging,
        "energy": chains.energy,
        "step_size": step_size,
        "temperature": chains.temperature,
    }
    return {name: _numpy(values) for name, values in found.items() if values is not None}
