"""A hybrid model with a known posterior: Bayesian linear regression with known noise."""

from dataclasses import dataclass
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.progress import Progress, silent
from bayes_hybrid.inference.recipe.context import Context, State
from bayes_hybrid.inference.recipe.plans import Plan
from bayes_hybrid.inference.recipe.start import WarmStart, started
from bayes_hybrid.inference.result import StageLog
from bayes_hybrid.inference.samplers import Chains, Sampler
from bayes_hybrid.likelihoods import Normal
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models import HybridModel, SiteGroup, Target
from bayes_hybrid.models.latent import Sites
from bayes_hybrid.models.sampled import Expert, Parts
from bayes_hybrid.priors import Priors

NUM_FEATURES = 3


@dataclass(frozen=True, kw_only=True)
class LinearRegression(HybridModel):
    """``y ~ Normal(x a + b, noise)``, ``a ~ Normal(0, 1)``, ``b ~ Normal(0, 2)``, noise known.

    The features are ``x`` itself.  With ``slopes_are_features`` the slopes count as what shapes the
    features, so that they fall into the guide's mean-field block.
    """

    noise: float = 0.5
    slopes_are_features: bool = False

    @property
    def num_features(self) -> int:
        return NUM_FEATURES

    @property
    def regime_names(self) -> tuple[str, ...]:
        return ("line",)

    @property
    def likelihoods(self) -> Likelihoods:
        return Likelihoods([Normal()])

    @property
    def priors(self) -> Priors:
        return Priors(noise_floor=self.noise)

    def parts(self, sites: Sites, like: Tensor) -> Parts:
        note: Any = {"group": SiteGroup.FEATURES if self.slopes_are_features else SiteGroup.HEADS}
        zeros = like.new_zeros(NUM_FEATURES)
        slope = sites("slope", lambda: dist.Normal(zeros, 1.0).to_event(1), note)
        intercept = sites("intercept", lambda: dist.Normal(like.new_zeros(()), 2.0), {})

        def line(x: Tensor) -> Expert:
            location = slope @ x.mT + intercept.unsqueeze(-1)
            return Expert(Normal(), (location, torch.full_like(location, self.noise)))

        return Parts(lambda x: x.new_zeros(len(x), 1), (line,))


def closed_form(model: LinearRegression, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean ``[4]`` and covariance ``[4, 4]`` of slopes and intercept, in float64."""
    design = torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], dim=-1)
    prior = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.25], dtype=torch.float64))
    covariance = torch.linalg.inv(prior + design.T @ design / model.noise**2)
    return covariance @ design.T @ y.double() / model.noise**2, covariance


def log_evidence(model: LinearRegression, x: Tensor, y: Tensor) -> float:
    """``log p(y | x)``: y is jointly normal with covariance ``X prior X^T + noise^2``."""
    design = torch.cat([x.double(), 2.0 * torch.ones(len(x), 1, dtype=torch.float64)], dim=-1)
    covariance = design @ design.T + model.noise**2 * torch.eye(len(x), dtype=torch.float64)
    joint = torch.distributions.MultivariateNormal(torch.zeros_like(y.double()), covariance)
    return float(joint.log_prob(y.double()))


def problem(
    size: int = 30,
    *,
    batch: int = 4,
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> tuple[LinearRegression, Rows]:
    """Correlated features, so that the posterior is correlated too, and the rows' engine."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, NUM_FEATURES, generator=generator, dtype=dtype)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1] + 0.5
    y = x[:, 0] - 0.5 * x[:, 2] + 0.5 * torch.randn(size, generator=generator, dtype=dtype)
    model = LinearRegression(**settings)
    joint = LogJoint(model, x[:1], batch)
    return model, Rows(joint, x, Target(y), batch_size or size, torch.Generator().manual_seed(2))


def run_sampler(
    rows: Rows,
    guide: BlockGaussian,
    sampler: Sampler,
    num_draws: int,
    seed: int = 0,
    progress: Progress = silent,
) -> Chains:
    """Chains of a sampler from ``guide``, with a generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    return sampler.run(
        rows,
        guide,
        num_draws=num_draws,
        row_weights=rows.all_rows(guide.num_restarts),
        generator=generator,
        progress=progress,
    )


def warm_started(
    rows: Rows,
    options: WarmStart,
    plans: tuple[Plan, ...],
    num_restarts: int,
    progress: Progress = silent,
) -> tuple[State, StageLog]:
    """Restarts at the end of their warm start, and its record."""
    log = StageLog()
    context = Context(
        rows=rows,
        plans=plans,
        num_restarts=num_restarts,
        sampler=None,
        seed=0,
        compiled=False,
        compiles_steps=lambda _: False,
        progress=progress,
        log=log,
    )
    return options(started(rows, num_restarts, options.num_folds, 0), context), log
