"""The log joint of any Pyro program, recorded as a flat tensor graph."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import torch
from pyro import poutine
from pyro.infer.mcmc.util import TraceEinsumEvaluator
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference.engine.recorder import Recorder, quiet_pyro
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.samplers.nuts import potential

__all__ = ["ProgramDensity"]

# Enumerated values of a site lie left of the plates; more nested plates than this are rare.
_MAX_PLATES: Final = 3


class ProgramDensity:
    """``log p(data, theta)`` of a Pyro program and its gradient, for C points side by side.

    The program's continuous latent sites, unconstrained, make up ``theta [C, P]``; ``table`` says
    which entries are which.  Discrete latent sites have to be marked for parallel enumeration, and
    are summed out exactly, also in nested plates and under ``pyro.markov``.  The log Jacobian of
    the unconstraining maps is included, so this is minus the potential of Pyro's NUTS.  It is
    recorded once for each shape of the data; running the record costs none of Pyro's Python.

    A program that cannot be recorded, because its Python depends on the values of latent sites, is
    run as it is, with one warning.  Rows that a ``pyro.plate`` picks at random are picked anew at
    every call, the same for all C points; pass ``subsample=`` an argument to pick them yourself.

    Args:
        program: the Pyro program; it is called with ``arguments``, which have to be tensors.
        arguments: example data; where one is in double precision, so is the density.
        max_plate_nesting: most plates around a site; only needed beyond three.

    Raises:
        OptionError: the sites change from run to run, a discrete one is not enumerated, the program
            has a ``pyro.param``, whose value a record would keep, or an argument is no tensor.

    Source:
        Proportional to Bingham et al. (2019), Pyro, section 3, with the trace's log density in
        place of its stochastic estimate.

    Example:
        >>> import pyro, pyro.distributions as dist
        >>> def coin(flips):
        ...     bias = pyro.sample("bias", dist.Beta(2.0, 2.0))
        ...     with pyro.plate("flips", len(flips)):
        ...         pyro.sample("obs", dist.Bernoulli(bias), obs=flips)
        >>> flips = torch.tensor([1.0, 1.0, 0.0])
        >>> density = ProgramDensity(coin, flips)
        >>> value, gradient = density.value_and_grad(torch.zeros(4, 1), flips)
        >>> value.shape, gradient.shape
        (torch.Size([4]), torch.Size([4, 1]))
    """

    def __init__(
        self,
        program: Callable[..., Any],
        *arguments: Tensor,
        max_plate_nesting: int = _MAX_PLATES,
    ) -> None:
        """Run the program, to know its sites; recording happens at the first call."""
        checks.positive_int("max_plate_nesting", max_plate_nesting, minimum=0)
        for argument in arguments:
            checks.instance("arguments", argument, Tensor)
        self._program, self._max_plate_nesting = program, max_plate_nesting
        self.table = SiteTable.of_program(program, *arguments)
        double = any(argument.dtype == torch.float64 for argument in arguments)
        zeros = torch.zeros(self.table.num_parameters, dtype=torch.float64 if double else None)
        with quiet_pyro(), torch.no_grad():
            start = self.table.constrain(zeros)
            trace = self._trace(start, arguments)
        if trace.param_nodes:
            raise OptionError(
                f"the program has pyro.param({trace.param_nodes[0]!r}); a record would keep its "
                "present value, so pass it as an argument, or sample it"
            )
        self._enumerates = any("_enumerate_dim" in node["infer"] for node in _latent(trace))
        # It reads the structure of the plates off a trace, and keeps it.  (Pyro's tree evaluator is
        # wrong under pyro.markov.)
        self._evaluator = TraceEinsumEvaluator(
            trace, has_enumerable_sites=self._enumerates, max_plate_nesting=max_plate_nesting
        )
        self._recorder = Recorder(self._plain)
        self._warned = False

    def value_and_grad(self, theta: Tensor, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and its gradient ``[C, P]`` at ``theta [C, P]``."""
        if not self._warned:
            try:
                result: tuple[Tensor, Tensor] = self._recorder(theta, *arguments)
                return result
            except Exception as error:  # tracing fails with many types
                self._warn(error, theta, arguments)
        with quiet_pyro():
            parts = [self._one_by_one(flat, arguments) for flat in theta]
        values, gradients = zip(*parts, strict=True)
        return torch.stack(values), torch.stack(gradients)

    def compile(self, theta: Tensor, *arguments: Tensor) -> bool:
        """Compile for these shapes; whether it worked (else a warning says why)."""
        self.value_and_grad(theta, *arguments)
        return not self._warned and self._recorder.compile(theta, *arguments)

    def potential(self, *arguments: Tensor) -> Callable[[Mapping[str, Tensor]], Tensor]:
        """A function for ``pyro.infer.NUTS(potential_fn=...)``, from ``{"theta": [P]}``."""

        def value_and_grad(theta: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = self.value_and_grad(theta.unsqueeze(0), *arguments)
            return value[0], gradient[0]

        return potential(value_and_grad, "theta")

    def log_density(self, theta: Tensor, *arguments: Tensor) -> Tensor:
        """Log joint of one point ``theta [P]`` by Pyro's own trace, unrecorded, to compare with."""
        with quiet_pyro():
            return self._log_density(theta, arguments)

    def _trace(
        self, values: Mapping[str, Tensor], arguments: tuple[Tensor, ...], *, enumerate: bool = True
    ) -> Any:  # noqa: ANN401
        program = poutine.condition(self._program, data=dict(values))
        if enumerate:
            program = poutine.enum(program, first_available_dim=-1 - self._max_plate_nesting)
        return poutine.trace(program).get_trace(*arguments)

    def _log_density(self, theta: Tensor, arguments: tuple[Tensor, ...]) -> Tensor:
        values = self.table.constrain(theta)
        trace = self._trace(values, arguments, enumerate=self._enumerates)
        density: Tensor = self._evaluator.log_prob(trace)
        return density + self.table.log_jacobian(theta, values)

    @torch.enable_grad()
    def _plain(self, theta: Tensor, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        if self._enumerates:
            # Pyro's enumeration looks into tensors, which vmap forbids: one point after another.
            value = torch.stack([self._log_density(flat, arguments) for flat in theta])
        else:
            every = torch.func.vmap(self._log_density, in_dims=(0, None), randomness="same")
            value = every(theta, arguments)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient

    @torch.enable_grad()
    def _one_by_one(self, theta: Tensor, arguments: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._log_density(theta, arguments)
        (gradient,) = torch.autograd.grad(value, theta)
        return value.detach(), gradient

    def _warn(self, error: Exception, theta: Tensor, arguments: tuple[Tensor, ...]) -> None:
        """Name the site where recording failed; where plain Pyro fails too, let it say why."""
        with quiet_pyro():
            self._one_by_one(theta[0], arguments)
        self._warned = True
        last = _Last()
        with suppress(Exception), quiet_pyro(), last:
            Recorder(self._plain)(theta, *arguments)
        place = f"after site {last.name!r}" if last.name else "before its first site"
        first_line = (str(error).splitlines() or [""])[0]
        warnings.warn(
            "This program cannot be recorded, so it runs as plain Pyro, many times slower: "
            f"{place} its Python depends on the value of a tensor, or calls what cannot be "
            f"batched. {type(error).__name__}: {first_line}",
            RuntimeWarning,
            stacklevel=3,
        )


def _latent(trace: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401
    nodes = trace.nodes.values()
    return [node for node in nodes if node["type"] == "sample" and not node["is_observed"]]


class _Last(poutine.messenger.Messenger):
    """Remembers the last sample site that the program reached."""

    name: str | None = None

    def _pyro_post_sample(self, msg: Any) -> None:  # noqa: ANN401
        self.name = msg["name"]
