"""Pyro's NUTS on the recorded log joint, one chain per restart: the long reference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from pyro import infer
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.graph import log_joint
from bayes_hybrid.inference.engine.recorder import quiet_pyro
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import Whitening
from bayes_hybrid.inference.progress import Progress
from bayes_hybrid.inference.samplers.base import Chains, Sampler, kept_iterations
from bayes_hybrid.random import seeded

# A trajectory has up to two to this power steps.
_DEEPEST: Final = 20

ValueAndGrad = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class NUTS(Sampler):
    """Pyro's NUTS from each restart's guide, in the coordinates that the guide whitens.

    Pyro builds one tree at a time, so the chains run one after another, many times slower than
    HMC's: a second opinion.  Step size and a diagonal mass matrix are adapted in the warm-up.

    Args:
        num_warmup: see :class:`~bayes_hybrid.inference.samplers.base.Sampler`.
        num_iterations: see there.
        budget: see there.
        target_acceptance: what the step size is adapted to.
        max_tree_depth: doublings of a trajectory, at most.

    Source: Hoffman and Gelman (2014), as in ``pyro.infer.NUTS``.

    Example:
        >>> NUTS(max_tree_depth=5).evaluations
        31
    """

    target_acceptance: float = 0.8
    max_tree_depth: int = 8

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        # Pyro takes a split r-hat of every run.
        checks.positive_int("num_iterations", self.iterations, minimum=4)
        if checks.positive_int("max_tree_depth", self.max_tree_depth) > _DEEPEST:
            raise OptionError(
                f"max_tree_depth must be at most {_DEEPEST}, a million gradients for a trajectory; "
                f"got {self.max_tree_depth}"
            )
        checks.fraction("target_acceptance", self.target_acceptance)

    @property
    def evaluations(self) -> int:
        """Those of a trajectory of the greatest depth."""
        return int(2**self.max_tree_depth - 1)

    def prepare(self, rows: Rows) -> None:
        """Nothing: one chain at a time needs another graph."""

    def run(
        self,
        rows: Rows,
        guide: BlockGaussian,
        *,
        num_draws: int,
        row_weights: Tensor,
        generator: torch.Generator,
        progress: Progress,
    ) -> Chains:
        """One chain per restart."""
        del row_weights  # a trajectory of many lengths makes no fold worth leaving out
        like = guide.center
        engine = rows.joint
        single = log_joint(engine.model, 1, like.dtype, like.device, compiled=engine.compiled)
        one_chain = replace(rows, joint=single)
        one_chain.prepare()
        seeds = torch.randint(
            2**31, (len(like),), generator=generator, device=generator.device
        ).tolist()
        total = self.warmup + self.iterations
        keep = sorted(kept_iterations(self.iterations, num_draws))
        whitenings = guide.as_whitening(1.0)
        chains = []
        for number, seed in enumerate(seeds):
            whitening = whitenings.select(torch.tensor([number], device=like.device))

            def value_and_grad(
                q: Tensor, whitening: Whitening = whitening
            ) -> tuple[Tensor, Tensor]:
                value, gradient = one_chain.full_gradient(whitening.color(q.unsqueeze(0)))
                return value[0], whitening.pull(gradient)[0]

            done = number * total

            def tell(iteration: int, done: int = done) -> None:
                progress("refinement (NUTS)", done + iteration, len(seeds) * total)

            with seeded(seed, like.device), quiet_pyro():
                q, acceptance, diverging = _chain(value_and_grad, like[number], self, tell)
            theta = torch.cat([whitening.color(draw.unsqueeze(0)) for draw in q[keep]])
            # Iterations that are thinned away count too: they bias the draws as much.
            since = [part.any() for part in diverging.tensor_split([k + 1 for k in keep])[:-1]]
            chains.append((theta, acceptance.expand(len(keep)), torch.stack(since)))
        draws, acceptance, diverging = (torch.stack(column) for column in zip(*chains, strict=True))
        return Chains(draws, acceptance, diverging)


def _chain(
    value_and_grad: ValueAndGrad, like: Tensor, options: NUTS, tell: Callable[[int], None]
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws ``[iterations, P]``, mean acceptance probability, and which iterations diverged."""
    kernel = infer.NUTS(
        potential_fn=potential(value_and_grad, "q"),
        step_size=0.02,
        target_accept_prob=options.target_acceptance,
        max_tree_depth=options.max_tree_depth,
    )
    iterations = 0

    def hook(*_: object) -> None:
        nonlocal iterations
        iterations += 1
        if iterations % 10 == 0:
            tell(iterations)

    sampler = infer.MCMC(
        kernel,
        num_samples=options.iterations,
        warmup_steps=options.warmup,
        initial_params={"q": torch.zeros_like(like)},
        disable_progbar=True,
        hook_fn=hook,
    )
    sampler.run()
    found = sampler.diagnostics()
    diverging = torch.zeros(options.iterations, dtype=torch.bool, device=like.device)
    diverging[list(found["divergences"]["chain 0"])] = True
    acceptance = like.new_tensor(found["acceptance rate"]["chain 0"])
    return sampler.get_samples()["q"], acceptance, diverging


def potential(value_and_grad: ValueAndGrad, name: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """A ``potential_fn`` for Pyro's samplers, of the one site ``name``.

    Args:
        value_and_grad: log density and its gradient ``[P]`` at a point ``[P]``.
        name: the site's name.
    """

    def evaluate(latents: Mapping[str, Tensor]) -> Tensor:
        value: Tensor = _Minus.apply(latents[name], value_and_grad)  # type: ignore[no-untyped-call]
        return value

    return evaluate


class _Minus(torch.autograd.Function):
    """Minus a recorded value, whose gradient is at hand already."""

    @staticmethod
    def forward(ctx: Any, point: Tensor, value_and_grad: ValueAndGrad) -> Tensor:  # noqa: ANN401
        value, gradient = value_and_grad(point.detach())
        ctx.save_for_backward(point, gradient)
        return -value

    @staticmethod
    def backward(ctx: Any, output: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return -output * _Once.apply(*ctx.saved_tensors), None  # type: ignore[no-untyped-call]


class _Once(torch.autograd.Function):
    """A gradient that knows of no further ones: without this they would be zero."""

    @staticmethod
    def forward(ctx: Any, point: Tensor, gradient: Tensor) -> Tensor:  # noqa: ANN401
        del ctx, point
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, output: Tensor) -> tuple[None, None]:  # noqa: ANN401
        raise NotImplementedError("a recorded potential has first derivatives only")
