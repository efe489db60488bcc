"""Formulas as MathML, which browsers draw by themselves and screen readers speak."""

from latex2mathml.converter import convert
from markupsafe import Markup

__all__ = ["formula"]


def formula(latex: str) -> Markup:
    r"""A display formula; ``latex`` is this package's own, never text from data.

    The converter does not escape what stands in ``\text``, so names of columns and of somebody's
    own regimes stay outside of formulas.

    Example:
        >>> formula(r"\sigma_k").count("<msub>")
        1
    """
    # The converter takes the tilde for a letter, and it is a relation.
    mathml = convert(latex, display="block").replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
    return Markup(mathml)
