"""A fit made of NumPy only: two linear experts and a logistic gate on the first feature.

    z_n ~ Bernoulli(logistic(slope (x_n - switch)))
    y_n | z_n = k ~ Normal(intercept_k + weight_k x_n1, scale_k)

Draws scatter around the truth by ``jitter``; restarts differ by ``shift``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Restarts, Training
from bayes_hybrid.inference.posterior.over_draws import mean_over_draws
from bayes_hybrid.inference.posterior.thresholds import Thresholds
from bayes_hybrid.inference.readings import Reading


@dataclass(frozen=True, eq=False, kw_only=True)
class FakePosterior:
    sites: Mapping[str, np.ndarray]
    regime_names: tuple[str, ...] = ("gaussian", "relu")
    scale_floor: float | None = None
    has_noise: bool = True
    has_relative_noise: bool = False
    thresholds: Thresholds | None = None
    num_features: int = 1
    widths_over_floor: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def model(self):
        likelihoods = SimpleNamespace(
            size_column=None,
            censored_column=None,
            has_noise=self.has_noise,
            has_relative_noise=self.has_relative_noise,
        )
        return SimpleNamespace(likelihoods=likelihoods)

    @property
    def by_draw(self):
        return SimpleNamespace(
            log_likelihood=self.log_likelihood,
            pit=self.pit_draws,
            regime_probability=self.regime_probability_draws,
            expert_mean=self.expert_mean_draws,
            expert_scale=self.expert_scale_draws,
            gate_and_mean=self.gate_and_mean_draws,
            slopes=self.slope_draws,
            unit_mean=self.unit_mean_draws,
            sample=self.sample_per_draw,
            samples=self.samples_per_draw,
        )

    @property
    def predictive(self):
        return self

    @property
    def x_scaling(self):
        return Standardizer.unchanging(self.num_features)

    @property
    def num_restarts(self) -> int:
        return len(self.sites["scale"])

    @property
    def num_draws(self) -> int:
        return len(self.sites["scale"][0])

    @property
    def expert_names(self):
        return self.regime_names

    @property
    def service(self):
        return np.eye(self.num_regimes)

    @property
    def restart_weights(self):
        equal = np.full(self.num_restarts, 1.0 / self.num_restarts)
        return equal if self.weights is None else self.weights

    def _logs(self):
        """Log weight of each draw, ``[R, 1]``."""
        return np.log(self.restart_weights / self.num_draws)[:, None]

    @property
    def num_regimes(self) -> int:
        return len(self.regime_names)

    def _log_joint(self, x, y):
        """``log p(z, y | x, theta)``, or of z alone without ``y``: ``[R, S, N, K]``."""
        logit = self.sites["slope"][..., None] * (x[:, 0] - self.sites["switch"][..., None])
        gate = np.stack([special.log_expit(-logit), special.log_expit(logit)], axis=-1)
        if y is None:
            return gate
        return gate + stats.norm.logpdf(
            y[:, None], self.expert_mean_draws(x), self.expert_scale_draws(x)
        )

    def log_likelihood(self, x, y):
        return special.logsumexp(self._log_joint(x, y), axis=-1)

    def regime_probability_draws(self, x, y=None, labels=None):
        """Labels are free of noise, as those of a head without confusion."""
        draws = special.softmax(self._log_joint(x, y), axis=-1)
        if labels is None:
            return draws
        sure = np.arange(self.num_regimes) == labels[:, None]
        return np.where(np.isnan(labels)[:, None], draws, sure)

    def regime_probability(self, x, y=None):
        logs = self._log_joint(x, y) + self._logs()[..., None, None]
        return special.softmax(special.logsumexp(logs, axis=(0, 1)), axis=-1)

    def expert_mean_draws(self, x):
        return (
            self.sites["intercept"][:, :, None, :] + self.sites["weight"][:, :, None, :] * x[:, :1]
        )

    def expert_scale_draws(self, x):
        shape = (*self.sites["scale"].shape[:2], x.shape[0], self.num_regimes)
        return np.broadcast_to(self.sites["scale"][:, :, None, :], shape)

    def unit_mean_draws(self, x):
        return {}

    def gate_and_mean_draws(self, x):
        return self.regime_probability_draws(x), self.expert_mean_draws(x)

    def slope_draws(self, x, feature):
        gate = self.regime_probability_draws(x)
        # d logistic(t) = p (1 - p) dt; nothing depends on any feature but the first.
        rise = (feature == 0) * self.sites["slope"][..., None] * gate.prod(axis=-1)
        experts = (feature == 0) * np.broadcast_to(self.sites["weight"][:, :, None, :], gate.shape)
        return np.stack([-rise, rise], axis=-1), experts

    def sample_per_draw(self, x, seed):
        rng = np.random.default_rng(seed)
        gate = self.regime_probability_draws(x)
        second = rng.random(gate.shape[:-1]) < gate[..., 1]
        mean, scale = self.expert_mean_draws(x), self.expert_scale_draws(x)
        normal = rng.standard_normal(gate.shape[:-1])
        return np.where(
            second, mean[..., 1] + scale[..., 1] * normal, mean[..., 0] + scale[..., 0] * normal
        )

    def samples_per_draw(self, x, num_rounds, seed):
        return np.stack([self.sample_per_draw(x, [seed, n]) for n in range(num_rounds)])

    def sample(self, x, num_draws, seed):
        """Places in the cumulative weights, evenly spread, have the draws."""
        places = (np.arange(num_draws) + 0.5) / num_draws
        ends = np.cumsum(np.repeat(self.restart_weights, self.num_draws) / self.num_draws)
        chosen = np.searchsorted(ends, places).clip(max=len(ends) - 1)
        again = [int((chosen[:n] == draw).sum()) for n, draw in enumerate(chosen)]
        every = [self.sample_per_draw(x, [seed, n]) for n in range(max(again) + 1)]
        return np.stack(every).reshape(len(every), len(ends), -1)[again, chosen]

    def mean(self, x):
        each = (self.regime_probability_draws(x) * self.expert_mean_draws(x)).sum(-1)
        return mean_over_draws(each, self.restart_weights)

    def variance(self, x):
        second = self.expert_mean_draws(x) ** 2 + self.expert_scale_draws(x) ** 2
        each = (self.regime_probability_draws(x) * second).sum(-1)
        return mean_over_draws(each, self.restart_weights) - self.mean(x) ** 2

    def pit_draws(self, x, y):
        inside = stats.norm.cdf(y[:, None], self.expert_mean_draws(x), self.expert_scale_draws(x))
        return (self.regime_probability_draws(x) * inside).sum(-1)

    def pit(self, x, y):
        return mean_over_draws(self.pit_draws(x, y), self.restart_weights)

    def quantile(self, x, probs):
        spread = 10.0 * np.sqrt(self.variance(x).max())
        low, high = self.mean(x).min() - spread, self.mean(x).max() + spread

        def one(row, prob):
            return optimize.brentq(lambda y: self.pit(row, np.array([y]))[0] - prob, low, high)

        return np.array([[one(x[n : n + 1], prob) for prob in probs] for n in range(x.shape[0])])

    def log_density(self, x, y):
        return special.logsumexp(self.log_likelihood(x, y) + self._logs()[..., None], axis=(0, 1))


TRAINING = Training(
    status="The search for a better fit ended by its own rule after 900 steps.",
    converged=True,
    method="svi",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FakeFit:
    posterior: FakePosterior
    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray | None = None
    feature_names: tuple[str, ...] = ("dose",)
    target_name: str = "response"
    output_names: tuple[str, ...] = ("response",)
    seed: int = 0
    training: Training = TRAINING
    known: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if isinstance(self.posterior, FakePosterior):
            posterior = replace(self.posterior, num_features=self.x.shape[1])
            object.__setattr__(self, "posterior", posterior)

    @property
    def restarts(self):
        """Every restart its own, unless something else is known of them."""
        count = self.posterior.num_restarts
        nothing = {"sources": np.arange(count), "elbo": np.zeros(count), "elpd": np.zeros(count)}
        return Restarts(**(nothing | {"log_ratios": spread_ratios(0.5)} | dict(self.known)))

    @property
    def for_regimes(self):
        """Its restarts are one reading."""
        return self

    def reading(self, number=0):
        return self

    @property
    def readings(self):
        every = np.arange(self.posterior.num_restarts)
        draws = self.posterior.by_draw.regime_probability(self.x, self.y)
        shares = mean_over_draws(draws, self.posterior.restart_weights)
        order = np.tile(np.arange(self.posterior.num_regimes), (len(every), 1))
        return (Reading(weight=1.0, members=every, order=order, responsibilities=shares, elpd=0.0),)


def spread_ratios(scale):
    """Log ratios of a guide that is off by ``scale``, two restarts."""
    return scale * np.random.default_rng(0).standard_normal((2, 200))


TRUTH = {
    "switch": np.array(0.3),
    "slope": np.array(8.0),
    "intercept": np.array([0.0, 2.0]),
    "weight": np.array([0.5, -1.0]),
    "scale": np.array([0.2, 0.3]),
}


def make_data(num_rows=120, num_features=1, seed=0):
    """Rows of the model at its truth, sorted by the first feature."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, (num_rows, num_features))
    x = x[np.argsort(x[:, 0])]
    z = (rng.random(num_rows) < special.expit(8.0 * (x[:, 0] - 0.3))).astype(int)
    mean = TRUTH["intercept"][z] + TRUTH["weight"][z] * x[:, 0]
    return x, mean + TRUTH["scale"][z] * rng.standard_normal(num_rows)


def make_posterior(
    *, restarts=4, draws=100, jitter=0.02, shift=0.0, seed=1, scale_floor=None, **centers
):
    """Draws around ``TRUTH``, or around those of ``centers`` that are given."""
    rng = np.random.default_rng(seed)
    sites = {}
    for name, truth in TRUTH.items():
        center = np.asarray(centers.get(name, truth), dtype=float)
        size = (restarts, draws, *center.shape)
        sites[name] = center + jitter * rng.standard_normal(size)
        sites[name] += shift * rng.standard_normal((restarts, 1, *center.shape))
    sites["scale"] = np.abs(sites["scale"]) + 0.01
    return FakePosterior(sites=sites, scale_floor=scale_floor)


def healthy(*, num_rows=120, num_features=1, **options):
    """A posterior around the truth."""
    x, y = make_data(num_rows, num_features)
    names = ("dose", *(f"other {n}" for n in range(1, num_features)))
    return FakeFit(posterior=make_posterior(**options), x=x, y=y, feature_names=names)


def collapsed(**options):
    """The first regime's expert is wide and carries every row; the gate never opens."""
    x, y = make_data()
    wide = {"switch": 50.0, "intercept": [0.5, 0.5], "weight": [0.3, 0.0], "scale": [0.7, 0.7]}
    return FakeFit(posterior=make_posterior(**(wide | options)), x=x, y=y)


def with_thresholds(fit, **options):
    """The same fit under a gate that reports its switch as a threshold."""
    sites = fit.posterior.sites
    width = 2.0 * np.log(9.0) / sites["slope"]
    fields = {"feature": 0, "coefficients": None, "origin": np.zeros(1)} | options
    log = np.zeros(fields["origin"].shape, dtype=bool)
    found = Thresholds(
        location=sites["switch"][..., None], width=width[..., None], log=log, **fields
    )
    return replace(fit, posterior=replace(fit.posterior, thresholds=found))


def refined(*, rate=0.8, diverging=0.0, **options):
    """As healthy, and with the statistics of a sampler."""
    fit = healthy(**options)
    shape = fit.posterior.num_restarts, fit.posterior.num_draws
    rng = np.random.default_rng(3)
    sampler = {
        "acceptance_rate": np.full(shape, rate),
        "diverging": (rng.random(shape) < diverging).astype(float),
        "energy": rng.standard_normal(shape),
        "step_size": np.full(shape, 0.1),
    }
    known, training = {"sampler": sampler}, replace(TRAINING, method="svi+hmc")
    return FakeFit(posterior=fit.posterior, x=fit.x, y=fit.y, known=known, training=training)


def draw_quantiles(draws, probs, **options):
    """Quantiles of draws that count alike, by the rule that also takes weights."""
    return np.quantile(draws, probs, method="averaged_inverted_cdf", **options)


def told(fit, **changes):
    """The same fit with another record of its training."""
    return replace(fit, training=replace(fit.training, **changes))
