"""From what was typed to an estimator."""

from dataclasses import replace
from typing import Any

from bayes_hybrid import checks
from bayes_hybrid.cli.settings import Settings
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import MISSING, MODELS, REFINE, HybridRegressor, with_units
from bayes_hybrid.gates import ABRUPT, FEATURE_GATES, GATES, THRESHOLD_GATES, Gate
from bayes_hybrid.inference import HMC, PLANS, FitOptions, Variational, WarmStart
from bayes_hybrid.inference.fit import resolve_device
from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood
from bayes_hybrid.models.labels import LABEL_NOISES, LabelHead
from bayes_hybrid.models.pathway import NOISE_KINDS
from bayes_hybrid.nn import pathway_kind
from bayes_hybrid.random import SEED_LIMIT

__all__ = ["fit_options", "refuse_unknown", "regressor"]


def regressor(settings: Settings, *, quiet: bool) -> HybridRegressor:
    """The estimator that the settings describe.

    Args:
        settings: what was typed.
        quiet: no progress bar; else there is one on a terminal.

    Raises:
        OptionError: a value that the estimator would not name as it was typed; the estimator
            refuses the others when it is fitted.
    """
    refuse_unknown(settings)
    if checks.positive_int("--seed", settings.seed, minimum=0) >= SEED_LIMIT:
        raise OptionError(f"--seed must be below 2**32 = {SEED_LIMIT}; got {settings.seed}")
    num_units = _whole_or_auto("--num-units", settings.num_units)
    label_head = LabelHead(
        noise=checks.choice("--label-noise", settings.label_noise, LABEL_NOISES),
        weight=checks.positive_float("--label-weight", settings.label_weight),
    )
    options = fit_options(settings)
    estimator = HybridRegressor(
        model=settings.model,
        gate=_gate(settings),
        experts=_names(settings.experts),
        joined=settings.joined,
        likelihood=_likelihood(settings),
        noise=settings.noise,
        # The default is the estimator's own, which a model without labels has no use for.
        label_head=None if label_head == LabelHead() else label_head,
        fit_options=None if options == FitOptions() else options,
        progress=False if quiet else "auto",
        missing=checks.choice("--missing", settings.missing, MISSING),
        random_state=settings.seed,
    )
    return estimator if num_units == "auto" else with_units(estimator, num_units=num_units)


def refuse_unknown(settings: Settings) -> None:
    """Refuse a name that nothing has, as it was typed.

    Raises:
        OptionError: such a name, or a device that is not there.
    """
    pathway_kind("--model", settings.model, MODELS)
    for name in _names(settings.experts):
        pathway_kind("--experts", name, MODELS[1:])
    checks.choice("--gate", settings.gate, tuple(GATES))
    checks.choice("--likelihood", settings.likelihood, tuple(LIKELIHOODS))
    checks.choice("--noise", settings.noise, NOISE_KINDS)
    for name in _names(settings.plan):
        checks.choice("--plan", name, tuple(PLANS))
    checks.choice("--refine", settings.refine, tuple(REFINE))
    try:
        resolve_device(settings.device)
    except OptionError as error:
        raise OptionError(f"--{error}") from error


def _names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(","))


def _gate(settings: Settings) -> str | Gate:
    sharpness: dict[str, Any] = {"sharpness": ABRUPT} if settings.abrupt else {}
    if settings.abrupt and settings.gate not in THRESHOLD_GATES:
        raise OptionError(
            f"--abrupt goes with --gate {', '.join(THRESHOLD_GATES)}; got --gate {settings.gate}"
        )
    if settings.gate_feature is None:
        return GATES[settings.gate](**sharpness) if settings.abrupt else settings.gate
    if settings.gate not in FEATURE_GATES:
        raise OptionError(
            f"--gate-feature goes with --gate {' or '.join(FEATURE_GATES)}; "
            f"got --gate {settings.gate}"
        )
    return FEATURE_GATES[settings.gate](feature=settings.gate_feature, **sharpness)


def _likelihood(settings: Settings) -> str | Likelihood:
    given = {
        n: v for n in ("exposure", "trials", "censored") if (v := getattr(settings, n)) is not None
    }
    kind = LIKELIHOODS[settings.likelihood]
    for name in given:
        if name != kind.size_name:
            those = " or ".join(n for n, each in LIKELIHOODS.items() if each.size_name == name)
            raise OptionError(
                f"--{name} goes with --likelihood {those}; got --likelihood {settings.likelihood}"
            )
    return kind(**given) if given else settings.likelihood


def _whole_or_auto(name: str, text: str) -> int | str:
    """The number that was typed, or ``"auto"``.

    Raises:
        OptionError: it is neither.
    """
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{name} must be auto or a whole number >= 1; got {text!r}")
    return int(text)


def fit_options(settings: Settings) -> FitOptions:
    """The options of the fit; of a quick one every stage has next to no steps: seconds, and bad."""
    plans = _names(settings.plan)
    options = FitOptions(
        num_restarts=_whole_or_auto("--num-restarts", settings.num_restarts),
        plan=plans if len(plans) > 1 else plans[0],
        sampler=REFINE[settings.refine],
        device=settings.device,
    )
    if not settings.quick:
        return options
    hmc = HMC(num_warmup=5, num_iterations=10, num_leapfrog=2, max_dense=1, budget=None)
    return replace(
        options,
        num_restarts=2,
        warm_start=WarmStart(max_steps=50),
        variational=Variational(num_steps=20, kl_weights=(0.0,), selection_steps=5, num_draws=10),
        sampler=hmc if settings.refine == "always" else None,
        compile="never",
    )
