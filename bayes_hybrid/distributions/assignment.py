"""Which regime is each row's: the one owner of the sum over regimes.

It stands beside the mixture that is left when the regimes are summed out, because both, the model
and the posterior, sum through it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Assignment:
    """Rows get their regimes independently of each other, ``z_n ~ Categorical(pi(x_n))``.

    What the observations of a row say of its regime comes as ``log p(observed_n | z_n = k)``: of
    its targets, of its label, or of both, added up.

    Example:
        >>> prior = torch.tensor([[0.5, 0.5]]).log()
        >>> observed = torch.tensor([[0.2, 0.6]]).log()
        >>> print(f"{float(Assignment().evidence(prior, observed).exp()):.1f}")
        0.4
        >>> Assignment().log_responsibilities(prior, observed).exp()
        tensor([[0.2500, 0.7500]])
    """

    def evidence(self, log_weights: Tensor, log_likelihoods: Tensor) -> Tensor:
        """``log p(observed_n) = log sum_k pi_k(x_n) p(observed_n | z_n = k)``, ``[..., N]``.

        Args:
            log_weights: ``log pi_k(x_n)``, ``[..., N, K]``.
            log_likelihoods: ``log p(observed_n | z_n = k)``, ``[..., N, K]``.
        """
        return torch.logsumexp(log_weights + log_likelihoods, dim=-1)

    def log_responsibilities(self, log_weights: Tensor, log_likelihoods: Tensor) -> Tensor:
        """``log p(z_n = k | observed)``, ``[..., N, K]``, of the same."""
        return torch.log_softmax(log_weights + log_likelihoods, dim=-1)
