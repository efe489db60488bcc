"""The models that are compared: few, from simple to complex."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import ABRUPT, Gate, ThresholdGate

__all__ = ["EXPERTS", "FAMILIES", "NO_GATE", "Candidate", "candidates"]

EXPERTS: Final = ("constant", "line", "smooth")
"""What a regime may look like."""

FAMILIES: Final = ("levels", "joined", "mixed", "lines", "smooth")
"""Kinds of candidate, from few parameters to many for the same K."""

_THRESHOLDS: Final = ("levels", "joined", "lines")
# Between them the target jumps, which a gradual change would smear.
_JUMPS: Final = ("levels", "lines")
_PLURAL: Final = MappingProxyType(
    {
        "levels": "constants",
        "joined": "lines-joined",
        "mixed": "lines-mixed",
        "lines": "lines",
        "smooth": "smooth",
    }
)
_GATES: Final = MappingProxyType({"mixed": "constant", "smooth": "relu"})
NO_GATE: Final = "none"
# The default of the estimator, and its two experts in turn.
_SMOOTH: Final = ("gaussian", "relu")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that may be chosen.

    Attributes:
        name: such as ``"line"``, ``"2-lines-joined"``.
        family: one of ``"levels"``, ``"joined"``, ``"mixed"``, ``"lines"``, ``"smooth"``.
        num_regimes: K.
        experts: kind of each regime's expert, ``K`` of them.
        gate: name of the gate, ``"none"`` for one regime.
        settings: what it sets of :class:`~bayes_hybrid.HybridRegressor`.
    """

    name: str
    family: str
    num_regimes: int
    experts: tuple[str, ...]
    gate: str
    settings: Mapping[str, Any]

    @property
    def place(self) -> tuple[bool, int, int]:
        """Where it stands in the order from few parameters to many."""
        return self.family == "smooth", self.num_regimes, FAMILIES.index(self.family)


def candidates(
    num_regimes: int,
    *,
    experts: Sequence[str] = EXPERTS,
    feature: int | str | None = None,
    thresholds: bool = True,
) -> tuple[Candidate, ...]:
    """The models of K regimes, from few parameters to many.

    ====================  ============  =====================  =====================================
    name                  K             experts                gate
    ====================  ============  =====================  =====================================
    ``constant``          1             a level                none
    ``line``              1             a line                 none
    ``K-constants``       2 or more     levels                 thresholds
    ``K-lines-joined``    2 or more     lines that meet        thresholds
    ``K-lines-mixed``     2 or more     lines                  constant: the same odds at every x
    ``K-lines``           2 or more     lines, with jumps      thresholds
    ``smooth``            1             a Gaussian pathway     none
    ``K-smooth``          2 or more     the default pathways   the default, ``relu``
    ====================  ============  =====================  =====================================

    Levels, and lines with jumps, change from one row to the next (:data:`~bayes_hybrid.ABRUPT`);
    joined lines may turn gradually.

    Left out is what cannot be or says nothing: lines can meet at thresholds only; smooth experts
    under a threshold draw a change themselves, which leaves the threshold without meaning; levels
    that do not depend on x, under a gate that does not either, describe a distribution and no
    regression.

    Args:
        num_regimes: K.
        experts: which kinds of expert, of ``"constant"``, ``"line"``, ``"smooth"``.
        feature: column of the thresholds, by index or name; ``None`` for the only one.
        thresholds: whether there can be candidates with thresholds, which need their ``feature``.

    Raises:
        OptionError: K is no whole number of 1 or more; an expert that is none of those.

    Example:
        >>> [each.name for each in candidates(1)], [each.name for each in candidates(2)]
        (['constant', 'line', 'smooth'], ['2-constants', '2-lines-joined', '2-lines-mixed',
            '2-lines', '2-smooth'])
    """
    size = checks.positive_int("num_regimes", num_regimes)
    kinds = checked_experts(experts)
    wanted = [
        family
        for family in FAMILIES
        if _kind(family) in kinds and (size == 1 or thresholds or family not in _THRESHOLDS)
    ]
    if size == 1:
        return tuple(_single(family) for family in wanted if family not in ("joined", "mixed"))
    return tuple(_mixture(family, size, feature) for family in wanted)


def checked_experts(experts: Sequence[str]) -> tuple[str, ...]:
    """The kinds of expert, each once.

    Raises:
        OptionError: text, nothing, or a kind that is none of :data:`EXPERTS`.
    """
    if isinstance(experts, str) or not isinstance(experts, Sequence) or not experts:
        raise OptionError(
            f"experts must be one or more of {', '.join(map(repr, EXPERTS))}, such as ('line',); "
            f"got {experts!r}"
        )
    return tuple(dict.fromkeys(checks.choice("experts", kind, EXPERTS) for kind in experts))


def _kind(family: str) -> str:
    return {"levels": "constant", "smooth": "smooth"}.get(family, "line")


def _single(family: str) -> Candidate:
    kind = _kind(family)
    model = "gaussian" if kind == "smooth" else kind
    return Candidate(
        name=kind,
        family=family,
        num_regimes=1,
        experts=(model,),
        gate=NO_GATE,
        settings=MappingProxyType({"model": model}),
    )


def _mixture(family: str, size: int, feature: int | str | None) -> Candidate:
    name = _GATES.get(family, "threshold")
    gate: str | Gate = name
    if family in _JUMPS:
        gate = ThresholdGate(feature=feature, sharpness=ABRUPT)
    elif family in _THRESHOLDS and feature is not None:
        gate = ThresholdGate(feature=feature)
    kinds = _SMOOTH * size if family == "smooth" else (_kind(family),) * size
    settings: dict[str, Any] = {"experts": kinds[:size], "gate": gate}
    if family == "joined":
        settings["joined"] = True
    return Candidate(
        name=f"{size}-{_PLURAL[family]}",
        family=family,
        num_regimes=size,
        experts=kinds[:size],
        gate=name,
        settings=MappingProxyType(settings),
    )
