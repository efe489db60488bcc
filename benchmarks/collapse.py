"""How often does a gate collapse, and what helps?  ``python -m benchmarks collapse``.

Four constructed cases, each with a symptom that is measured against the truth:

==================  ==============================================  ===============================
case                data                                            a fit has collapsed when
==================  ==============================================  ===============================
``one_takes_all``   a quiet line within a noisy zigzag; a linear    an expert has less than half
                    Gaussian expert and a ReLU expert               of its true share of the rows
``gate_sticks``     a wave; above 1.3, nine rows in ten belong to   p(z | x) explains less than a
                    another line                                    quarter of the true gate's
                                                                    variance over the rows
``gaussian_unused`` a zigzag plus a small wave; one model with      less than half of the wave's
                    both pathways mixed linearly                    variance is in the mean
``twins``           two parallel waves, even odds, two Gaussian     one expert has less than half
                    experts                                         of its true share, or both
                                                                    predict the same
==================  ==============================================  ===============================

``naive`` is what one would write first: mean-field SVI with the whole KL term, one restart, one
stage.  The others are ``naive`` and one mitigation each; ``default`` is the package's recipe.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import adjusted_rand_score

from bayes_hybrid import (
    FitOptions,
    HybridRegressor,
    Pathway,
    Plan,
    PlanStage,
    Rates,
    Variational,
)
from bayes_hybrid.diagnostics import diagnose, mean_over_draws
from bayes_hybrid.diagnostics.evaluation.gate_rows import overlap
from benchmarks.cells import Cell, Figures, Job
from benchmarks.fits import regressor
from benchmarks.suite import Given, Suite

NUM_ROWS: Final = 200
Vector = np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Rows of a case: ``x`` and ``y``, the regime of each, its mean, and p(z = 1 | x)."""

    x: Vector
    y: Vector
    regime: Vector
    mean: Vector
    gate: Vector


def _zigzag(x: Vector) -> Vector:
    """Between 0 and 0.72, kinks 0.6 apart."""
    return np.asarray(1.2 * np.abs(np.mod(x - 0.2, 1.2) - 0.6))


def _rows(
    rng: np.random.Generator,
    gate: Callable[[Vector], Any],
    means: Callable[[Vector], tuple[Vector, Vector]],
    noise: tuple[float, float],
) -> Rows:
    """x ~ U(-2, 2), z ~ Bernoulli(gate(x)), Normal noise of the regime's scale."""
    x = rng.uniform(-2.0, 2.0, NUM_ROWS)
    probability = np.asarray(gate(x), dtype=np.float64)
    regime = (rng.random(NUM_ROWS) < probability).astype(int)
    mean = np.where(regime == 0, *means(x))
    y = mean + np.take(noise, regime) * rng.standard_normal(NUM_ROWS)
    return Rows(x=x[:, None], y=y, regime=regime, mean=mean, gate=probability)


def _one_takes_all(rng: np.random.Generator) -> Rows:
    return _rows(
        rng,
        lambda x: (np.abs(x) > 0.25) * 1.0,
        lambda x: (0.5 + 0.3 * x, 2.0 * _zigzag(x)),
        (0.1, 0.3),
    )


def _gate_sticks(rng: np.random.Generator) -> Rows:
    return _rows(
        rng,
        lambda x: 0.9 * (x > 1.3),
        lambda x: (np.sin(2.0 * x), -1.5 + 0.3 * x),
        (0.1, 0.1),
    )


def _wave(x: Vector) -> Vector:
    return np.asarray(0.25 * np.sin(8.0 * x))


def _gaussian_unused(rng: np.random.Generator) -> Rows:
    def mean(x: Vector) -> Vector:
        return np.asarray(3.0 * np.abs(x - 0.3) + _wave(x))

    return _rows(rng, lambda x: 0.0 * x, lambda x: (mean(x), mean(x)), (0.1, 0.1))


def _twins(rng: np.random.Generator) -> Rows:
    return _rows(
        rng,
        lambda x: np.full_like(x, 0.5),
        lambda x: (np.sin(2.0 * x) + 0.3, np.sin(2.0 * x) - 0.3),
        (0.12, 0.12),
    )


# -- symptoms: a number each, below one half where the fit has collapsed


def share_kept(fit: HybridRegressor, rows: Rows) -> float:
    """Smallest usage over the smallest true share, likewise the largest; the less of the two.

    Usages are sorted: which expert takes which regime is free.
    """
    usage = np.sort(fit.training_regimes().mean(axis=0))
    return float((usage / np.sort(np.bincount(rows.regime) / NUM_ROWS)).min())


def gate_followed(fit: HybridRegressor, rows: Rows) -> float:
    """|correlation| of p(z | x) with the true gate over the rows; 0 for one that is constant."""
    found = fit.predict_regime(rows.x)[:, 0]
    if found.std() < 1e-6:  # of a gate that is stuck only rounding is left
        return 0.0
    return float(abs(np.corrcoef(found, rows.gate)[0, 1]))


def wave_found(fit: HybridRegressor, rows: Rows) -> float:
    """``1 - E[(predicted mean - true mean)^2] / Var(wave)``: the share of the wave in the mean."""
    error = np.mean((fit.predict(rows.x) - rows.mean) ** 2)
    return float(1.0 - error / _wave(rows.x[:, 0]).var())


def told_apart(fit: HybridRegressor, rows: Rows) -> float:
    """1 - Bhattacharyya coefficient of the two experts' densities, or the share kept, if less.

    The truth's coefficient is exp(-(.6 / .12)^2 / 8) = .04.
    """
    posterior = fit.fit_.for_regimes.posterior
    means, scales = posterior.by_draw.expert_mean(rows.x), posterior.by_draw.expert_scale(rows.x)
    alike = mean_over_draws(overlap(means, scales, 0, 1), posterior.restart_weights).mean()
    return min(1.0 - float(alike), share_kept(fit, rows))


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """Rows, the model that is fitted to them, and the symptom."""

    rows: Callable[[np.random.Generator], Rows]
    settings: dict[str, Any]
    symptom: Callable[[HybridRegressor, Rows], float]

    @property
    def has_gate(self) -> bool:
        """Whether there are regimes: one model with both pathways has none."""
        return self.settings.get("model") != "linear_mix"

    @property
    def has_relu(self) -> bool:
        """Whether there are ReLU units, as there are unless the experts are all Gaussian."""
        return self.settings.get("experts") != ("gaussian", "gaussian")


_STEADY: Final = {"noise": "constant"}
CASES: Final = {
    "one_takes_all": Case(
        rows=_one_takes_all,
        settings={
            "experts": (
                Pathway(kind="gaussian", smoothing="identity", num_units=1, noise="constant"),
                Pathway(kind="relu", noise="constant"),
            )
        },
        symptom=share_kept,
    ),
    "gate_sticks": Case(rows=_gate_sticks, settings={}, symptom=gate_followed),
    "gaussian_unused": Case(
        rows=_gaussian_unused, settings={**_STEADY, "model": "linear_mix"}, symptom=wave_found
    ),
    "twins": Case(
        rows=_twins,
        settings={**_STEADY, "experts": ("gaussian", "gaussian")},
        symptom=told_apart,
    ),
}


# -- ways to fit

_MEAN_FIELD: Final = Variational(guide="mean_field")
_ONE: Final[dict[str, Any]] = {
    "num_restarts": 1,
    "plan": "plain",
    "variational": _MEAN_FIELD,
    "sampler": None,
}


_FREE: Final = PlanStage(name="all")  # the plain plan's


def _then_plain(**weights: Any) -> Plan:
    """A tenth of the steps under a regulariser that is annealed away, then the plain plan."""
    first = PlanStage(name="regularised", stop="steps", budget=0.1, **weights)
    return Plan(stages=(first, _FREE))


WAYS: Final[dict[str, dict[str, Any]]] = {
    "naive": {},
    "gate_entropy": {"plan": _then_plain(gate_entropy=(1.0, 0.0))},
    "load_balance": {"plan": _then_plain(load_balance=(1.0, 0.0))},
    "relu_smoothness": {"plan": _then_plain(relu_smoothness=(0.3, 0.0))},
    "slow_gate": {"plan": Plan(stages=(PlanStage(name="all", rates=Rates(gate=0.1)),))},
    "kl_warmup": {"plan": Plan(stages=(_FREE,), kl_warmup=0.5)},
    "gaussian_first": {"plan": "gaussian_first"},
    "balanced": {"plan": "balanced"},
    "stages": {"plan": "direct"},
    "even_gate": {"plan": "even_gate"},
    "block_guide": {"variational": Variational()},
    "restarts": {"num_restarts": 24},
}

# What these change is the gate, or needs one; or ReLU units.
OF_THE_GATE: Final = ("gate_entropy", "load_balance", "slow_gate", "balanced", "even_gate")
OF_RELU: Final = ("relu_smoothness",)


def options_of(way: str) -> FitOptions:
    """The options of a way to fit."""
    return FitOptions() if way == "default" else FitOptions(**(_ONE | WAYS[way]))


def collapse_cell(case: str, way: str, seed: int) -> Cell:
    """Whether the fit has collapsed, what the diagnostics say, and how the regimes agree."""
    made = CASES[case]
    rows = made.rows(np.random.default_rng(seed))
    reg = regressor(**made.settings, fit_options=options_of(way), random_state=seed)
    reg.fit(rows.x, rows.y)
    regimes, symptom = reg.training_regimes(), made.symptom(reg, rows)
    return {
        "symptom": symptom,
        "collapsed": symptom < 0.5,
        "agreement": float(adjusted_rand_score(rows.regime, regimes.argmax(axis=1))),
        "usage": regimes.mean(axis=0).tolist(),
        "flagged": [f.name for f in diagnose(reg.fit_) if f.severity != "ok"],
        "seconds": reg.fit_.training.seconds,
    }


def jobs(given: Given) -> Iterator[Job]:
    """Name, function and arguments of every cell."""
    for way in ("default", *WAYS):
        for seed in given.range(20):
            for case, made in CASES.items():
                if way in OF_THE_GATE and not made.has_gate:
                    continue
                if way in OF_RELU and not made.has_relu:
                    continue
                yield f"{case}/{way}/{seed}", collapse_cell, (case, way, seed)


def summarise(done: dict[str, Cell]) -> Figures:
    """Share of collapsed fits by case and way; at most 5% is the default's target.

    And of the default's fits the share whose regimes are the true ones, and of those whose regimes
    hardly agree with them: a gate that has not collapsed need not be right.
    """
    out = Figures(done)
    for case in CASES:
        naive = out.values(f"{case}/naive/", "", "collapsed")
        for way in (*WAYS, "default"):
            share = out.values(f"{case}/{way}/", "", "collapsed")
            if len(share):
                hard = len(naive) > 0 and naive.mean() >= 0.5
                bound = 0.05 if way == "default" and hard else np.inf
                out.add(f"{case}, {way}: collapsed of {len(share)}", share.mean(), -np.inf, bound)
    for case, made in CASES.items():
        found = out.values(f"{case}/default/", "", "agreement")
        if len(found) and made.has_gate:
            for what, share in (("right", found > 0.8), ("wrong", found < 0.3)):
                label = f"{case}, default: regimes {what} (adjusted Rand index), of {len(found)}"
                out.add(label, share.mean(), -np.inf, np.inf)
    return out


SUITE: Final = Suite(
    name="collapse",
    question="How often does a gate collapse, and what helps?",
    jobs=jobs,
    summarise=summarise,
    quick="^twins/(naive|default)/",
)
