"""Steps of SVI: one after another in Python, or each as one recorded and compiled program."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.adam import Adam, Schedule, adam_step
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.recorder import Recorder
from bayes_hybrid.inference.engine.rows import Rows, zero_where_broken
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.whitening import Whitening
from bayes_hybrid.models.target import Target


@dataclass(frozen=True, eq=False, kw_only=True)
class Course:
    """What a plan changes of SVI; by default nothing.

    Args:
        kl_warmup: share of the steps over which the KL term's factor rises to 1.
        rates: of theta's entries, ``[P]``; ``None`` for one everywhere.
    """

    kl_warmup: float = 0.0
    rates: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return self.kl_warmup == 0.0 and self.rates is None

    def kl_factor(self, step: int, num_steps: int) -> float:
        """What multiplies all but the likelihood at the step of that number, from one."""
        return min(1.0, step / max(1, math.ceil(self.kl_warmup * num_steps)))


PLAIN = Course()


class Ascent:
    """Adam on the ELBO of every restart, in place on the guide."""

    def __init__(
        self,
        rows: Rows,
        guide: BlockGaussian,
        row_weights: Tensor,
        schedule: Schedule,
        course: Course = PLAIN,
    ) -> None:
        """Start with empty moments."""
        self._rows, self._guide, self._weights = rows, guide, row_weights
        self._feature_weight = guide.feature_weight
        rates = None if course.rates is None else guide.rates(course.rates)
        self._adam = Adam(guide.parameters, schedule, shares=guide.shares, rates=rates)
        self._course, self._number, self._num_steps = course, 0, schedule.num_steps

    def step(self, noise: Tensor) -> Tensor:
        """One step with ``noise [C, E]``; the loss before it but for a constant, ``[C]``."""
        self._number += 1
        factor = self._course.kl_factor(self._number, self._num_steps)
        guide, rows, weights = self._guide, self._rows, self._weights
        if factor < 1.0:
            # The likelihood is divided by the factor and the sum multiplied: the same, and the
            # recorded graph need not know of it.
            weights = weights / factor
            if rows.regularisers is not None:
                rows = replace(rows, regularisers=rows.regularisers / factor)
        theta = guide.draw(noise)
        value, gradient = rows.gradient(theta, weights, self._feature_weight)
        loss = -(value + guide.whitened_entropy())
        gradients = guide.gradients(gradient, noise)
        if factor < 1.0:
            loss, gradients = factor * loss, tuple(factor * part for part in gradients)
        self._adam.ascend(gradients)
        return loss

    def finish(self) -> None:
        """The guide is up to date already."""


class CompiledAscent:
    """The same steps, each restart batch's as one program: draw, gradient, loss and Adam."""

    def __init__(
        self, rows: Rows, guide: BlockGaussian, row_weights: Tensor, schedule: Schedule
    ) -> None:
        """Cut the restarts into pieces of the engine's batch, and compile for it."""
        self._rows, self._guide, self._weights = rows, guide, row_weights
        self._rates = schedule.table(guide.mean)
        self._number = 0
        self._pieces = rows.joint.pieces(guide.mean)
        self._constants = [
            (*guide.whitening.select(index).tensors, guide.kl_weight[index])
            for index in self._pieces
        ]
        self._states = []
        for index in self._pieces:
            parameters = [parameter[index] for parameter in guide.parameters]
            moments = [torch.zeros_like(p) for p in (*parameters, *parameters)]
            self._states.append((*parameters, *moments))
        # Any rows of the right number: the generator of minibatches must not move on.
        size = rows.batch_size
        batch = rows.x[:size], rows.target[:size], row_weights[:, :size]
        example = self._arguments(0, torch.zeros_like(guide.mean), batch)
        program = _program(rows.joint, guide.shares, schedule.decay)
        program.compile(*example)
        self._program = program.record(*example)

    def step(self, noise: Tensor) -> Tensor:
        """See :meth:`Ascent.step`; the loss of repeats that fill up the last piece comes last."""
        batch = self._rows.batch(self._weights)
        losses = []
        for piece in range(len(self._pieces)):
            loss, *state = self._program(*self._arguments(piece, noise, batch))
            losses.append(loss)
            self._states[piece] = tuple(state)
        self._number += 1
        return losses[0] if len(losses) == 1 else torch.cat(losses)

    def finish(self) -> None:
        """Write the result into the guide."""
        for number, parameter in enumerate(self._guide.parameters):
            joined = torch.cat([state[number] for state in self._states])
            parameter.copy_(joined[: len(parameter)])

    def _arguments(
        self, piece: int, noise: Tensor, batch: tuple[Tensor, Target, Tensor]
    ) -> tuple[Tensor, ...]:
        x, target, weights = batch
        index = self._pieces[piece]
        data = (noise[index], self._rates[self._number], weights[index], x, *target.tensors)
        return (*self._states[piece], *self._constants[piece], *data)


@lru_cache(maxsize=8)
def _program(joint: LogJoint, shares: tuple[float, ...], decay: float) -> Recorder:
    """From parameters, moments and data to the loss, parameters and moments."""
    size = len(shares)

    def step(*tensors: Tensor) -> tuple[Tensor, ...]:
        state, rest = tensors[: 3 * size], tensors[3 * size :]
        parameters, first, second = state[:size], state[size : 2 * size], state[2 * size :]
        whitening, (kl_weight, noise, rates, weights, *data) = Whitening(*rest[:5]), rest[5:]
        guide = BlockGaussian(whitening, kl_weight, *parameters)
        theta = guide.draw(noise)
        inputs = theta, weights, guide.feature_weight, theta.new_zeros(0)
        value, gradient, _ = joint.evaluate(*inputs, *data)
        loss = -(value + guide.whitened_entropy())
        gradients = guide.gradients(zero_where_broken(gradient), noise)
        columns = zip(parameters, gradients, first, second, shares, strict=True)
        moved = [
            adam_step(parameter, g, m, v, rates, decay=decay, share=share)
            for parameter, g, m, v, share in columns
        ]
        return (loss, *(part for column in zip(*moved, strict=True) for part in column))

    return Recorder(step)
