"""The hybrid mixture: K experts and a gate that says which one a row follows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import torch
from torch import Tensor

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cached import cached_property
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import (
    Boundaries,
    Gate,
    GateModule,
    ReLUGate,
    ThresholdGate,
)
from bayes_hybrid.gates.threshold import column
from bayes_hybrid.likelihoods.several import Likelihoods
from bayes_hybrid.models.base import HybridModel
from bayes_hybrid.models.curves import Polynomial
from bayes_hybrid.models.joined import joined
from bayes_hybrid.models.labels import LabelHead
from bayes_hybrid.models.latent import Sites
from bayes_hybrid.models.lift import sample_gate
from bayes_hybrid.models.pathway import Built, Pathway, PathwayModel, sample_expert, sample_noise
from bayes_hybrid.models.sampled import Parts
from bayes_hybrid.priors import PRIORS, Priors

_GATE: Final = "gate."


def _of_gate(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gate's sites, named as its module's parameters are."""
    return {s.removeprefix(_GATE): v for s, v in values.items() if s.startswith(_GATE)}


@dataclass(frozen=True, kw_only=True)
class HybridMixture(HybridModel):
    """A mixture of K >= 2 experts, by default one Gaussian and one ReLU pathway.

    Generative story, in standardised units::

        gate:    h_0(x) = hidden features (ReLU gate), x itself (linear) or nothing (constant)
                 log pi(x) = log softmax(0, A h_0(x) + b);  or, of the threshold gates,
                 log pi_(k+1)(x) - log pi_k(x) = sharpness_k (score(x) - location_k)
        experts: location_k(x), scale_k(x) from expert k's own hidden layers
        rows:    z_n ~ Categorical(pi(x_n));  y_n | z_n = k ~ F_k(location_k(x_n), scale_k(x_n))

    Args:
        num_features: D.
        experts: one :class:`Pathway` per regime, two or more.
        gate: one of :mod:`bayes_hybrid.gates`.
        priors: prior settings.
        num_outputs: Q, targets in a row that share its regime.
        label_head: how observed regime labels enter, if there are any.
        joined: at which of the K - 1 thresholds the location is continuous
            (:func:`~bayes_hybrid.models.joined.joined`), of curves under a threshold gate; ``()``
            at none.

    Raises:
        OptionError: fewer than two experts.

    Example:
        >>> import torch
        >>> model = HybridMixture(num_features=3)
        >>> model.regime_names
        ('gaussian', 'relu')
        >>> model.marginal(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    num_features: int = 1
    experts: tuple[Pathway, ...] = (Pathway(kind="gaussian"), Pathway(kind="relu"))
    gate: Gate = field(default_factory=ReLUGate)
    priors: Priors = PRIORS
    num_outputs: int = 1
    label_head: LabelHead | None = None
    joined: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        """Check the settings and the number of experts."""
        checks.positive_int("num_features", self.num_features)
        checks.positive_int("num_outputs", self.num_outputs)
        if self.label_head is not None:
            checks.instance("label_head", self.label_head, LabelHead)
        checks.instance("experts", self.experts, tuple)
        for expert in self.experts:
            checks.instance("experts", expert, Pathway)
        checks.instance("gate", self.gate, Gate)
        checks.instance("priors", self.priors, Priors)
        if len(self.experts) < 2:
            raise OptionError(
                f"experts: expected two or more pathways, got {len(self.experts)}; for a single "
                "one use HybridRegressor(model=...), or PathwayModel."
            )
        if len(set(self.regime_names)) < len(self.experts):
            raise OptionError(
                f"experts: their kinds give regimes of one name, {self.regime_names}; give a "
                "pathway of your own another kind"
            )
        self._check_joined()
        self.likelihoods.require_one_target(self.num_features)

    def _check_joined(self) -> None:
        if not any(self.joined):
            return
        curves = all(isinstance(expert, Polynomial) for expert in self.experts)
        if not (curves and isinstance(self.gate, ThresholdGate)):
            raise OptionError(
                "joined: it is curves ('constant', 'line', 'polynomial') that meet, under "
                f"gate='threshold'; got {self.regime_names} under {self.gate!r}"
            )
        if len(self.joined) != len(self.experts) - 1:
            raise OptionError(
                f"joined: expected True or False for each of {len(self.experts) - 1} thresholds; "
                f"got {self.joined!r}"
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
    def has_thresholds(self) -> bool:
        """See :attr:`HybridModel.has_thresholds`."""
        return self.gate.has_thresholds

    @property
    def names_regimes(self) -> bool:
        """See :attr:`HybridModel.names_regimes`."""
        return self.gate.names_regimes

    @property
    def likelihoods(self) -> Likelihoods:
        """Each expert's likelihood."""
        return Likelihoods(expert.likelihood for expert in self.experts)

    @property
    def relu_regimes(self) -> tuple[int, ...]:
        """See :attr:`HybridModel.relu_regimes`."""
        return tuple(k for k, expert in enumerate(self._built) if expert.has_relu)

    def anchored(self, y: FloatArray, size: FloatArray | None = None) -> Self:
        """See :meth:`HybridModel.anchored`."""
        return replace(self, experts=tuple(expert.anchored(y, size) for expert in self.experts))

    @cached_property
    def _built(self) -> tuple[Built, ...]:
        meets = (False, *(self.joined or (False,) * (self.num_regimes - 1)))
        num_inputs = self.likelihoods.num_inputs(self.num_features)
        return tuple(
            Built.of(name, expert, num_inputs, offset=not meet)
            for name, expert, meet in zip(self.regime_names, self.experts, meets, strict=True)
        )

    @property
    def _own_gate(self) -> Gate:
        """The gate on the columns that it sees."""
        column = self.likelihoods.size_column
        return self.gate if column is None else self.gate.beside(column)

    @cached_property
    def _gate_module(self) -> GateModule:
        num_inputs = self.likelihoods.num_inputs(self.num_features)
        gate = self._own_gate.build(num_inputs, self.num_regimes)
        return gate.requires_grad_(False).eval()

    def exchangeable(self, first: int, second: int) -> bool:
        """See :meth:`HybridModel.exchangeable`: experts made alike that nothing else orders."""
        if self.label_head is not None:
            return first == second
        alike = self.experts[first] == self.experts[second]
        return alike and self.gate.may_trade(first, second, self.num_regimes)

    def relabelled(self, values: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
        """See :meth:`HybridModel.relabelled`."""
        result = dict(values)
        for name, source in zip(self.regime_names, order, strict=True):
            old = f"{self.regime_names[source]}."
            for site in values:
                if site.startswith(old):
                    result[f"{name}.{site.removeprefix(old)}"] = values[site]
        changed = self.gate.relabelled(_of_gate(values), order)
        return result | {f"{_GATE}{site}": value for site, value in changed.items()}

    def boundaries(self, values: Mapping[str, Tensor]) -> Boundaries | None:
        """See :meth:`HybridModel.boundaries`."""
        found, column = self.gate.boundaries(_of_gate(values)), self.likelihoods.size_column
        if found is None or found.direction is None or column is None:
            return found
        ways = found.direction
        nothing = torch.zeros_like(ways[..., :1])
        whole = torch.cat([ways[..., :column], nothing, ways[..., column:]], dim=-1)
        return replace(found, direction=whole)

    def parts(self, sites: Sites, like: Tensor) -> Parts:
        """See :meth:`HybridModel.parts`."""
        outputs = () if self.num_outputs == 1 else (self.num_outputs,)
        noise = sample_noise(sites, self.priors, self.likelihoods, outputs, like)
        experts = tuple(
            sample_expert(sites, built, self.priors, noise, outputs, like) for built in self._built
        )
        gate, values = sample_gate(sites, self._gate_module, self.priors, like)
        own = self._own_gate
        if isinstance(own, ThresholdGate) and any(self.joined):
            feature = column(own.feature, self.likelihoods.num_inputs(self.num_features))
            experts = joined(experts, self.joined, values["location"], feature)
        return Parts(gate, experts).beside(self.likelihoods.size_column, self.num_outputs)


def pathways(model: HybridModel) -> tuple[Pathway, ...]:
    """The experts of the package's own models; none of another model."""
    if isinstance(model, HybridMixture):
        return model.experts
    return (model.pathway,) if isinstance(model, PathwayModel) else ()
