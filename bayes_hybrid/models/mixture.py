"""The hybrid mixture: K experts and a gate that says which one a row follows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import Gate, ReLUGate
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models.base import HybridModel, Regimes, SiteGroup
from bayes_hybrid.models.lift import (
    apply,
    sample_features,
    sample_head,
    sample_normal,
    sample_positive,
)
from bayes_hybrid.models.pathway import Pathway, sample_expert
from bayes_hybrid.priors import Priors


@dataclass(frozen=True, kw_only=True)
class HybridMixture(HybridModel):
    """A mixture of K >= 2 experts, by default one Gaussian and one ReLU pathway.

    Generative story, in standardised units::

        gate:    h_0(x) = hidden features (ReLU gate), x itself (linear) or nothing (constant)
                 log pi(x) = log softmax(0, A h_0(x) + b)
        experts: location_k(x), scale_k(x) from expert k's own hidden layers
        rows:    z_n ~ Categorical(pi(x_n));  y_n | z_n = k ~ F_k(location_k(x_n), scale_k(x_n))

    Args:
        num_features: D.
        experts: one :class:`Pathway` per regime, two or more.
        gate: one of :mod:`bayes_hybrid.gates`.
        priors: prior settings.

    Raises:
        OptionError: fewer than two experts.

    Example:
        >>> model = HybridMixture(num_features=3)
        >>> model.regime_names
        ('gaussian', 'relu')
        >>> model.marginal(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    num_features: int = 1
    experts: tuple[Pathway, ...] = (Pathway(kind="gaussian"), Pathway(kind="relu"))
    gate: Gate = field(default_factory=ReLUGate)
    priors: Priors = field(default_factory=Priors)

    def __post_init__(self) -> None:
        """Check the settings and the number of experts."""
        checks.positive_int("num_features", self.num_features)
        checks.instance("experts", self.experts, tuple)
        for expert in self.experts:
            checks.instance("experts", expert, Pathway)
        checks.instance("gate", self.gate, Gate)
        checks.instance("priors", self.priors, Priors)
        if len(self.experts) < 2:
            raise OptionError(
                f"experts: expected two or more pathways, got {len(self.experts)}; "
                "use PathwayModel for a single one."
            )

    @cached_property
    def regime_names(self) -> tuple[str, ...]:
        """Each expert's kind, numbered from 1 where a kind occurs more than once."""
        total, seen = Counter(expert.kind for expert in self.experts), Counter[str]()
        names = []
        for expert in self.experts:
            seen[expert.kind] += 1
            many = total[expert.kind] > 1
            names.append(f"{expert.kind}_{seen[expert.kind]}" if many else expert.kind)
        return tuple(names)

    @property
    def likelihoods(self) -> tuple[Likelihood, ...]:
        """Each expert's likelihood."""
        return tuple(expert.likelihood for expert in self.experts)

    @property
    def noise_floor(self) -> float:
        """See :attr:`HybridModel.noise_floor`."""
        return self.priors.noise_floor

    @cached_property
    def _modules(self) -> tuple[nn.Module, ...]:
        return tuple(expert.build(self.num_features) for expert in self.experts)

    @cached_property
    def _gate_module(self) -> nn.Module:
        return self.gate.build(self.num_features, self.num_regimes)

    def exchangeable(self, first: int, second: int) -> bool:
        """See :meth:`HybridModel.exchangeable`: experts made alike."""
        return self.experts[first] == self.experts[second]

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """See :meth:`HybridModel.relabelled`."""
        result = dict(values)
        for name, source in zip(self.regime_names, order, strict=True):
            old = f"{self.regime_names[source]}."
            for site in values:
                if site.startswith(old):
                    result[f"{name}.{site.removeprefix(old)}"] = values[site]
        for site in ("gate.head.weight_raw", "gate.head.bias", "gate.bias"):
            if site in values:
                # The first regime's logit is zero by definition, whichever regime that is.
                rest = values[site]
                logits = torch.cat([torch.zeros_like(rest[:1]), rest])[list(order)]
                result[site] = logits[1:] - logits[:1]
        return result

    def regimes(self, x: Tensor) -> Regimes:
        """See :meth:`HybridModel.regimes`."""
        noise = sample_positive("noise", (), self.priors.noise, SiteGroup.SCALES, x)
        outputs = [
            sample_expert(name, pathway, module, self.priors, noise, x)
            for name, pathway, module in zip(
                self.regime_names, self.experts, self._modules, strict=True
            )
        ]
        locations = torch.stack([location for location, _ in outputs], dim=-1)
        scales = torch.stack([scale for _, scale in outputs], dim=-1)
        return Regimes(self._sample_gate(x), locations, scales)

    def _sample_gate(self, x: Tensor) -> Tensor:
        """Sites of the gate's hidden features and head, then ``log_weights [N, K]``."""
        module = self._gate_module
        values: dict[str, Tensor] = {}
        for path, child in module.named_children():
            if path == "head":
                shape = child.get_parameter("weight").shape
                head = sample_head(
                    "gate.head",
                    (shape[0], shape[1]),
                    self.priors.gate_scale,
                    self.priors.gate_bias_scale,
                    SiteGroup.GATE_HEAD,
                    x,
                )
                values |= {f"head.{leaf}": value for leaf, value in head.items()}
            else:
                features = sample_features(
                    f"gate.{path}", child, self.priors, SiteGroup.GATE_FEATURES, x
                )
                values |= {f"{path}.{leaf}": value for leaf, value in features.items()}
        if not values:
            shape = module.get_parameter("bias").shape
            bias_scale = self.priors.gate_bias_scale
            values["bias"] = sample_normal("gate.bias", shape, bias_scale, SiteGroup.GATE_HEAD, x)
        return apply(module, values, x)
