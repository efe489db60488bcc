"""The regime head: observed regime labels, for all, some or none of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyro.distributions as dist
import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.distributions import Assignment

LABEL_NOISES = ("learned", "none")

# A log probability that no evidence outweighs; times zero it is zero, as minus infinity is not.
_NEVER: Final = -1e30

_Constraints = dict[str, dist.constraints.Constraint]


@dataclass(frozen=True, kw_only=True)
class LabelHead:
    """How regime labels enter the joint density.

    Label k stands for regime k, but whoever wrote it down may have been mistaken::

        confusion_k ~ Dirichlet(1 + diagonal * e_k)
        label_n | z_n = k ~ Categorical(confusion_k)

    With the weight w and the targets' ``p(y | x)`` a labelled row contributes::

        log sum_k pi_k(x) p_k(y) confusion_k[label]**w

    which at w = 1 is the joint density of target and label, and at any w that of the target alone
    for a row without a label.

    Args:
        noise: ``"learned"``, or ``"none"`` where labels are the truth.
        diagonal: prior pseudo-counts of a correct label, for each regime.
        weight: w, of the labels beside the targets; other than 1 the result is no longer the
            posterior of the stated model.

    Source: Dawid and Skene (1979), Maximum likelihood estimation of observer error-rates, for one
    observer.

    Example:
        >>> LabelHead().prior(2, torch.zeros(1)).mean
        tensor([[0.9167, 0.0833],
                [0.0833, 0.9167]])
    """

    noise: str = "learned"
    diagonal: float = 10.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.choice("noise", self.noise, LABEL_NOISES)
        checks.positive_float("diagonal", self.diagonal)
        checks.positive_float("weight", self.weight)

    def prior(self, num_regimes: int, like: Tensor) -> dist.TorchDistribution | None:
        """Prior of the confusion matrix ``[K, K]``, or ``None`` without label noise."""
        if self.noise == "none":
            return None
        identity = torch.eye(num_regimes, dtype=like.dtype, device=like.device)
        prior: dist.TorchDistribution = dist.Dirichlet(1.0 + self.diagonal * identity).to_event(1)
        return prior

    def terms(self, label: Tensor, log_confusion: Tensor) -> Tensor:
        """What a label says of its regime, ``weight log confusion_k[label]``: ``[..., N, K]``.

        Zero where there is no label.

        Args:
            label: ``[N]``, NaN where there is none.
            log_confusion: ``[..., K, K]``, row k of which belongs to regime k.
        """
        # A product, because the gradient of indexing costs ten times the rest of the model.
        return self.weight * (_one_hot(label, log_confusion.shape[-1]) @ log_confusion.mT)

    @staticmethod
    def noise_free(num_regimes: int, like: Tensor) -> Tensor:
        """Log of the identity, ``[K, K]``, with :data:`_NEVER` for the log of zero."""
        identity = torch.eye(num_regimes, dtype=like.dtype, device=like.device)
        return (1.0 - identity) * _NEVER


class RegimeLabel(dist.TorchDistribution):
    """A row's label when its regime is known up to ``log_probs``; NaN is a missing label.

    ``log p(label) = log sum_k exp(log_probs_k + weight log confusion_k[label])``.

    Args:
        log_probs: log probabilities of the regimes, ``[..., K]``.
        log_confusion: ``[K, K]``, row k of which belongs to regime k.
        head: how labels enter.
        assignment: how rows get their regimes.
    """

    arg_constraints: _Constraints = {}  # noqa: RUF012 (torch's own protocol)
    support = dist.constraints.real  # a float, so that it can be missing

    def __init__(
        self, log_probs: Tensor, log_confusion: Tensor, head: LabelHead, assignment: Assignment
    ) -> None:
        """Keep them."""
        self.log_probs, self.log_confusion = log_probs, log_confusion
        self.head, self.assignment = head, assignment
        super().__init__(log_probs.shape[:-1], torch.Size(), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "RegimeLabel":
        """The same over a larger batch."""
        log_probs = self.log_probs.expand((*batch_shape, self.log_probs.shape[-1]))
        return RegimeLabel(log_probs, self.log_confusion, self.head, self.assignment)

    def log_prob(self, value: Tensor) -> Tensor:
        """Zero for a missing label."""
        terms = self.head.terms(value, self.log_confusion)
        evidence = self.assignment.evidence(self.log_probs, terms)
        return torch.where(torch.isnan(value), 0.0, evidence)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Labels, as floats."""
        probs = (self.log_probs.unsqueeze(-1) + self.log_confusion).logsumexp(-2)
        labels: Tensor = dist.Categorical(logits=probs).sample(torch.Size(sample_shape))
        return labels.to(probs.dtype)


class LabelOfRegime(dist.TorchDistribution):
    """A row's label given its regime ``z``: ``log p(label) = weight log confusion_z[label]``."""

    arg_constraints: _Constraints = {}  # noqa: RUF012 (torch's own protocol)
    support = dist.constraints.real

    def __init__(self, z: Tensor, log_confusion: Tensor, weight: float) -> None:
        """Keep the three; ``z [...]`` may be enumerated on the left."""
        self.z, self.log_confusion, self.weight = z, log_confusion, weight
        super().__init__(z.shape, torch.Size(), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "LabelOfRegime":
        """The same over a larger batch."""
        z = self.z.expand(torch.Size(batch_shape))
        return LabelOfRegime(z, self.log_confusion, self.weight)

    def log_prob(self, value: Tensor) -> Tensor:
        """Zero for a missing label."""
        one_hot = _one_hot(value, self.log_confusion.shape[-1])
        return self.weight * (one_hot * self.log_confusion[self.z]).sum(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Labels, as floats."""
        logits = self.log_confusion[self.z]
        labels: Tensor = dist.Categorical(logits=logits).sample(torch.Size(sample_shape))
        return labels.to(logits.dtype)


def _one_hot(label: Tensor, size: int) -> Tensor:
    """Labels as rows of an identity, zero where there is none."""
    numbers = torch.arange(size, dtype=label.dtype, device=label.device)
    return (label.unsqueeze(-1) == numbers).to(label.dtype)
