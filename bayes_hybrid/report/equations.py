"""The model's equations, from its settings: gate, experts, likelihoods, priors.

Gates, likelihoods and pathways say their own formula; one without is named by its settings.
"""

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

from markupsafe import Markup

from bayes_hybrid.gates import MonotoneGate, ThresholdGate
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.likelihoods.censored import Censorable
from bayes_hybrid.models import HybridMixture, HybridModel, Pathway
from bayes_hybrid.priors import LogNormalPrior, NormalPrior
from bayes_hybrid.report.mathml import formula

__all__ = ["Equation", "expert_equations", "gate_equations", "joint_equations"]


@dataclass(frozen=True, kw_only=True)
class Equation:
    """A formula and what it says in words; without a formula, words alone."""

    words: str
    math: Markup | None = None


def _equation(latex: str, words: str) -> Equation:
    return Equation(words=words, math=formula(latex))


def joint_equations(model: HybridModel) -> list[Equation]:
    """How a row comes about, and its density with the regime summed out."""
    noisy = model.likelihoods.has_noise

    def of(place: str, at: str) -> str:
        """The numbers of an expert's density."""
        location = rf"\mu{place}({at})"
        return rf"{location}, \sigma{place}({at})" if noisy else location

    if model.num_regimes == 1:
        return [
            _equation(
                rf"y_n \sim F({of('', 'x_n')})",
                "Every row follows the one expert"
                + (", about its location and with its scale." if noisy else "."),
            )
        ]
    found = [
        _equation(
            r"z_n \sim \operatorname{Categorical}(\pi(x_n))",
            "Each row has a regime that nobody sees. The gate says how probable each is at x.",
        )
    ]
    if model.num_outputs == 1:
        found += [
            _equation(
                rf"y_n \mid z_n = k \sim F_k({of('_k', 'x_n')})",
                "In regime k the target scatters as expert k says.",
            ),
            _equation(
                rf"p(y \mid x) = \sum_k \pi_k(x) \, f_k(y; {of('_k', 'x')})",
                "The regime is summed out exactly: this density is what is fitted and predicted.",
            ),
        ]
    else:
        found += [
            _equation(
                rf"y_{{nq}} \mid z_n = k \sim F_k({of('_{kq}', 'x_n')})",
                "The outputs q of a row share its regime, and are independent given it.",
            ),
            _equation(
                r"p(y \mid x) = \sum_k \pi_k(x) \prod_q "
                rf"f_k(y_q; {of('_{kq}', 'x')})",
                "The regime is summed out exactly; a missing output has no factor.",
            ),
        ]
    return [*found, *_joined_equations(model), *_label_equations(model)]


def _joined_equations(model: HybridModel) -> list[Equation]:
    """How curves meet, where they do."""
    if not (isinstance(model, HybridMixture) and any(model.joined)):
        return []
    at = [str(k) for k, meets in enumerate(model.joined, start=1) if meets]
    return [
        _equation(
            r"\mu_{k+1}(x) = g_{k+1}(x) - g_{k+1}(\tau_k) + \mu_k(\tau_k)",
            "A curve g begins where the one before it ends, with a kink and no jump, at "
            f"threshold {' and '.join(at)}.",
        )
    ]


def _label_equations(model: HybridModel) -> list[Equation]:
    """What regime labels say, where there are any."""
    if model.label_head is None:
        return []
    learned = model.label_head.noise == "learned"
    return [
        _equation(
            r"\ell_n \mid z_n = k \sim \operatorname{Categorical}(C_k)",
            "A row's regime label depends on its regime; how often labels are wrong is "
            + ("learned." if learned else "taken to be never.")
            + f" The labels' weight beside the targets is {model.label_head.weight:g}.",
        )
    ]


def gate_equations(model: HybridModel, feature_names: tuple[str, ...]) -> list[Equation]:
    """How the regime probabilities depend on the features; none with one regime."""
    if not isinstance(model, HybridMixture):
        return []
    if model.gate.formula is None:
        return [Equation(words=f"Gate: {model.gate!r}")]
    latex, words = model.gate.formula
    if isinstance(model.gate, ThresholdGate | MonotoneGate):
        place = model.gate.feature
        words += f" The feature is {feature_names[place if isinstance(place, int) else 0]}."
    return [_equation(latex, words)]


_SMOOTHINGS: Final = MappingProxyType(
    {
        "bump": (r"\exp(-\frac{z^2}{2 s^2})", "a smoothed point mass"),
        "step": (r"\Phi(z / s)", "a smoothed step"),
        "relu": (r"z \, \Phi(z / s) + s \, \phi(z / s)", "a smoothed ReLU"),
        "identity": (r"z", "a straight line, which smoothing leaves as it is"),
    }
)
_KINDS: Final = MappingProxyType(
    {
        "gaussian": (
            r"h(x) = S_s(W x + c)",
            "Gaussian pathway: how values vary. Each hidden unit is smoothed at a width s > 0 of "
            "its own, which is learned.",
        ),
        "relu": (
            r"h(x) = \max(0, W x + c)",
            "ReLU pathway: when behaviour changes. Hidden units are straight pieces with a kink.",
        ),
        "linear_mix": (
            r"h(x) = A_G h_G(x) + A_R h_R(x)",
            "Both pathways, Gaussian (G) and ReLU (R), mixed linearly within each layer.",
        ),
        "relu_gates_gaussian": (
            r"h(x) = (1 - e^{-h_R(x)}) \odot h_G(x)",
            "A silent ReLU unit closes its Gaussian unit.",
        ),
        "gaussian_stabilizes_relu": (
            r"h(x) = \max(0, z) + \operatorname{E}[\max(0, z + s \varepsilon)], "
            r"\quad z = W x + c",
            "ReLU units plus their own Gaussian smoothing.",
        ),
    }
)


def expert_equations(pathway: Pathway) -> list[Equation]:
    """An expert's hidden features, location, scale and density."""
    found = _feature_equations(pathway)
    found.append(
        _equation(
            r"\mu(x) = b + \frac{v}{\sqrt{H}} \, a \cdot h(x)",
            "The location is linear in the H hidden features; v is the scale of the function.",
        )
    )
    if pathway.likelihood.has_scale:
        found.append(_scale(pathway))
    return [*found, _density(pathway.likelihood)]


def _scale(pathway: Pathway) -> Equation:
    if pathway.noise == "input":
        return _equation(
            r"\sigma(x) = \sigma_0 + \eta \, \lambda \, \exp(4 \tanh(c \cdot h(x) / 4))",
            "The noise scale depends on the features, by at most a factor of e to the fourth "
            "either way, and never falls below its floor. The regimes share η; λ is its own.",
        )
    return _equation(
        r"\sigma = \sigma_0 + \eta \, \lambda",
        "One noise scale for the whole regime, above a floor. The regimes share η; λ is its own.",
    )


def _feature_equations(pathway: Pathway) -> list[Equation]:
    """The hidden features; of a pathway from outside the package its settings."""
    if pathway.formula is not None:
        return [_equation(*pathway.formula)]
    if type(pathway) is not Pathway:
        return [Equation(words=f"Hidden features: {pathway!r}")]
    latex, words = _KINDS[pathway.kind]
    layers = "one layer" if pathway.depth == 1 else f"{pathway.depth} layers"
    found = [_equation(latex, f"{words} {pathway.num_units} units, {layers}.")]
    if pathway.kind in ("gaussian", "linear_mix", "relu_gates_gaussian"):
        smooth, what = _SMOOTHINGS[pathway.smoothing]
        found.append(_equation(rf"S_s(z) = {smooth}", f"Each Gaussian unit is {what}."))
    return found


def _density(likelihood: Likelihood) -> Equation:
    if likelihood.formula is None:
        return Equation(words=f"Density: {likelihood!r}")
    latex, words = likelihood.formula
    for field in fields(likelihood):
        value = getattr(likelihood, field.name)
        if field.name == likelihood.size_name:
            said = isinstance(likelihood, Censorable)
            what = " Which rows are censored" if said else f" Its {field.name}"
            words += "" if value is None else f"{what} is in column {value + 1}."
        elif isinstance(value, float | int):
            words += f" Its {field.name} is {value:g}."
        elif isinstance(value, LogNormalPrior | NormalPrior):
            words += f" Its {field.name} is learned."
        elif value is not None:
            words += f" Its {field.name} is {value}."
    return _equation(latex, words)
