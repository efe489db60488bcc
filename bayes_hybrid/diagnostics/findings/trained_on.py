"""Were rows that are called held out part of the fit?"""

from collections import Counter
from typing import Final

import numpy as np
from scipy import stats

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.diagnostics.evaluation.finding import Finding, judge

__all__ = ["trained_on_finding"]

_FALSE_ALARM: Final = 0.01
"""Of held-out samples of a table whose rows repeat by themselves, one in a hundred is flagged."""


def trained_on_finding(
    x: FloatArray, y: FloatArray, x_test: FloatArray, y_test: FloatArray
) -> Finding:
    """Share of held-out rows that equal a row of the fit in every feature and target.

    Rows of a table may repeat by themselves, because numbers are rounded or features are classes.
    So the bound is the 99% quantile of ``Binomial(M, d) / M``, with d the share of the rows of the
    fit that equal another one of them: 0 where no two do.

    Args:
        x: features of the fit ``[N, D]``.
        y: targets of the fit ``[N]`` or ``[N, Q]``.
        x_test: held-out features ``[M, D]``.
        y_test: held-out targets ``[M]`` or ``[M, Q]``.

    Example:
        >>> x, y = np.array([[1.0], [2.0], [3.0]]), np.array([0.1, 0.2, 0.3])
        >>> trained_on_finding(x, y, x[:2], y[:2]).meaning
        '2 of the 2 held-out rows were trained on: they equal rows of the fit in every number.'
    """
    fitted, given = Counter(_rows(x, y)), _rows(x_test, y_test)
    known = sum(row in fitted for row in given)
    repeated = sum(count for count in fitted.values() if count > 1) / len(x)
    bound = float(stats.binom.ppf(1.0 - _FALSE_ALARM, len(given), repeated)) / len(given)
    if known / len(given) > bound:
        were = "was" if known == 1 else "were"
        meaning = (
            f"{known} of the {len(given)} held-out rows {were} trained on: "
            f"{'it equals a row' if known == 1 else 'they equal rows'} of the fit in every number."
        )
    elif known:
        meaning = (
            f"{known} of the {len(given)} held-out rows equal rows of the fit, no more than rows "
            "of the fit equal each other."
        )
    else:
        meaning = f"None of the {len(given)} held-out rows was trained on."
    return judge(
        "trained_on",
        known / len(given),
        "<=",
        bound,
        meaning=meaning,
        advice="Scores and coverage of rows that were trained on are too good. Give rows that the "
        "fit has not seen.",
    )


def _rows(x: FloatArray, y: FloatArray) -> list[bytes]:
    """The bytes of each row; those of equal rows are equal."""
    table = np.column_stack([x, y]) + 0.0  # one zero instead of two
    table[np.isnan(table)] = np.nan  # one NaN
    return [row.tobytes() for row in table]
