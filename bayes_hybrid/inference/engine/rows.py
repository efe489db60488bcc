"""Training rows on the device: fold masks, minibatches, and the log joint on them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.models.target import Target

# Row log likelihoods of all restarts are held at once for this many rows, and more are taken in
# chunks.
CHUNK = 4_096
# A minibatch's graph takes them, which is compiled if any is; but not a few rows at a time.
_SMALLEST_CHUNK = 256


def chunk_of(num_rows: int, batch_size: int, device: torch.device) -> int:
    """Rows to take at once where all are: all of up to 4,096, and parts of more.

    On a CPU these are of the minibatch's size, if that is not too small.
    """
    if num_rows <= CHUNK:
        return num_rows
    # A GPU would wait for work.
    small = device.type == "cpu" and _SMALLEST_CHUNK <= batch_size < CHUNK
    return batch_size if small else CHUNK


@dataclass(frozen=True, eq=False)
class Rows:
    """Standardised training rows and the engine that evaluates them.

    Args:
        joint: the model's recorded log joint.
        x: features ``[N, D]``.
        target: what is observed of them.
        batch_size: rows of one stochastic step, N for full batches.
        generator: source of minibatches.
        stands_for: for how many rows each one counts in :meth:`full_gradient`, and there only.
        row_weights: how much each row counts for each of C restarts ``[C, N]``, there only as well;
            ``None`` for one.
        regularisers: their weights in :meth:`gradient`, and there only; ``None`` for none.
    """

    joint: LogJoint
    x: Tensor
    target: Target
    batch_size: int
    generator: torch.Generator
    stands_for: float = 1.0
    row_weights: Tensor | None = None
    regularisers: Tensor | None = None

    @property
    def num_rows(self) -> int:
        """N."""
        return self.x.shape[0]

    @property
    def chunk(self) -> int:
        """Rows that are taken at once where all are, see :func:`chunk_of`."""
        # Some rows of many are taken as the many would be.
        many = self.num_rows if self.stands_for == 1.0 else CHUNK + 1
        return min(self.num_rows, chunk_of(many, self.batch_size, self.x.device))

    def regularised(self, weights: Mapping[str, float]) -> "Rows":
        """The same under these weights of the regularisers, by name; some may not act."""
        acting = [weights[name] for name in self.joint.regularisers]
        return replace(self, regularisers=self.x.new_tensor(acting) if any(acting) else None)

    def all_rows(self, num_restarts: int) -> Tensor:
        """Row weights ``[C, N]`` of one: every restart sees every row."""
        return self.x.new_ones(num_restarts, self.num_rows)

    def folds(self, num_restarts: int, num_folds: int) -> Tensor:
        """Row weights ``[C, N]``: restart c has weight zero on the rows of fold c mod F.

        With fewer rows than folds there are as many folds as rows; with fewer than four rows
        nothing is left out, because nothing could be learned from the rest.
        """
        if self.num_rows < 4:
            return self.all_rows(num_restarts)
        order = torch.randperm(
            self.num_rows, generator=self.generator, device=self.generator.device
        ).to(self.x.device)
        fold = torch.empty_like(order)
        count = min(num_folds, self.num_rows)
        fold[order] = torch.arange(self.num_rows, device=order.device) % count
        left_out = torch.arange(num_restarts, device=order.device) % count
        return (fold[None, :] != left_out[:, None]).to(self.x.dtype)

    def gradient(
        self, theta: Tensor, row_weights: Tensor, feature_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and gradient ``[C, P]``, on a minibatch scaled by N / B if B < N.

        For an optimiser: entries of the gradient that are not finite are zero.  Their restart is
        judged by its value, and the others go on.  Regularisers, if there are any, count for all N
        rows, those left out by ``row_weights`` too: they need no target.
        """
        batch, extra = self.batch(row_weights), self.regularisers
        if extra is not None:
            extra = extra * (self.num_rows / len(batch[0]))
        value, gradient = self.joint.value_and_grad(theta, *batch, feature_weight, extra)
        return value, zero_where_broken(gradient)

    def batch(self, row_weights: Tensor) -> tuple[Tensor, Target, Tensor]:
        """Rows of one stochastic step: features ``[B, D]``, targets and weights ``[C, B]``."""
        if self.batch_size >= self.num_rows:
            return self.x, self.target, row_weights
        index = torch.randint(
            self.num_rows,
            (self.batch_size,),
            generator=self.generator,
            device=self.generator.device,
        ).to(self.x.device)
        scale = self.num_rows / self.batch_size
        return self.x[index], self.target[index], row_weights[:, index] * scale

    def prepare(self) -> bool:
        """Record :meth:`full_gradient`'s graph, and compile it if the engine is to be compiled."""
        return self.joint.prepare(self.x[: self.chunk], self.target[: self.chunk])

    def prepare_batch(self) -> bool:
        """The same for :meth:`gradient`."""
        return self.joint.prepare(self.x[: self.batch_size], self.target[: self.batch_size])

    def full_gradient(
        self, theta: Tensor, feature_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log joint ``[C]`` and gradient ``[C, P]`` on all rows, in chunks where there are many."""
        if self.chunk == self.num_rows:
            weights = self.row_weights
            if self.stands_for != 1.0:
                weights = self.stands_for * self.all_rows(theta.shape[0])
            return self.joint.value_and_grad(theta, self.x, self.target, weights, feature_weight)
        # The prior must enter once: chunks after the first are evaluated against an empty one.
        size = self.chunk
        nothing = theta.new_zeros(theta.shape[0], size)
        prior = self.joint.value_and_grad(
            theta, self.x[:size], self.target[:size], nothing, feature_weight
        )
        value, gradient = prior
        for rows, kept in self._chunks():
            chunk_weights = (self.stands_for * kept.to(theta.dtype)).expand(theta.shape[0], -1)
            if self.row_weights is not None:
                chunk_weights = chunk_weights * self.row_weights[:, rows]
            part = self.joint.value_and_grad(
                theta, self.x[rows], self.target[rows], chunk_weights, feature_weight
            )
            value = value + part[0] - prior[0]
            gradient = gradient + part[1] - prior[1]
        return value, gradient

    def gradients(
        self, theta: Tensor, feature_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """:meth:`full_gradient` at S points of each restart: ``[S, C]`` and ``[S, C, P]``.

        As many points ``theta [S, C, P]`` are taken at once as the engine has places for.
        """
        num_restarts = theta.shape[1]
        values, gradients = [], []
        for points in theta.split(self.together(num_restarts)):
            count = len(points)
            rows = self
            if count > 1 and self.row_weights is not None:
                rows = replace(self, row_weights=self.row_weights.repeat(count, 1))
            weight = None if feature_weight is None else feature_weight.repeat(count)
            value, gradient = rows.full_gradient(points.flatten(0, 1), weight)
            values.append(value.unflatten(0, (count, num_restarts)))
            gradients.append(gradient.unflatten(0, (count, num_restarts)))
        return torch.cat(values), torch.cat(gradients)

    def together(self, num_restarts: int) -> int:
        """Points of each restart that the engine takes at once."""
        return max(1, self.joint.batch // num_restarts)

    def some(self, count: int, generator: torch.Generator) -> "Rows":
        """``count`` random rows, at most, whose :meth:`full_gradient` estimates that of all."""
        if self.num_rows <= count:
            return self
        order = torch.randperm(self.num_rows, generator=generator, device=generator.device)
        index = order[:count].to(self.x.device)
        return replace(
            self, x=self.x[index], target=self.target[index], stands_for=self.num_rows / count
        )

    def log_likelihood(self, theta: Tensor) -> Tensor:
        """Row log likelihoods ``[C, N]``."""
        # A rule of the fit, and not of what is recorded: its rounding is part of its answer.
        shared = self.chunk == self.batch_size
        if self.chunk == self.num_rows:
            return self.joint.log_likelihood(theta, self.x, self.target, by_gradient=shared)
        parts = [
            self.joint.log_likelihood(theta, self.x[rows], self.target[rows], by_gradient=shared)[
                :, kept
            ]
            for rows, kept in self._chunks()
        ]
        return torch.cat(parts, dim=-1)

    def _chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Row indices in chunks of one size (one graph), and which of them are not repeats."""
        device, size = self.x.device, self.chunk
        for start in range(0, self.num_rows, size):
            index = torch.arange(start, start + size, device=device)
            yield index.clamp_max(self.num_rows - 1), index < self.num_rows


def zero_where_broken(gradient: Tensor) -> Tensor:
    """The gradient with entries that are not finite set to zero."""
    return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)


def held_out_score(log_likelihood: Tensor, row_weights: Tensor) -> Tensor:
    """Mean log density of the left-out rows of each restart, ``[C]``; of all rows if none is."""
    left_out = (row_weights == 0).to(log_likelihood.dtype)
    left_out = torch.where(left_out.sum(-1, keepdim=True) > 0, left_out, 1.0)
    return (log_likelihood * left_out).sum(-1) / left_out.sum(-1)


def pooled_score(log_likelihood: Tensor, row_weights: Tensor) -> float:
    """Mean log density of the rows, each under the mixture of the restarts that left it out.

    ::

        mean_n log mean_{c: w_cn = 0} p_c(y_n | x_n)

    Restarts that are not finite are left aside; where no restart left a row out, all count.
    """
    left_out = row_weights == 0
    left_out = left_out | ~left_out.any()
    usable = left_out & torch.isfinite(log_likelihood).all(-1, keepdim=True)
    terms = torch.where(usable, log_likelihood.double(), -torch.inf)
    count = usable.sum(0)
    density = torch.logsumexp(terms, dim=0) - count.log()
    return float(density[count > 0].mean())
