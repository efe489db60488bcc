"""Small public data sets that ship with the package."""

from importlib import resources

import pandas as pd

__all__ = ["load_gnp", "load_motorcycle", "load_nile"]


def load_motorcycle() -> pd.DataFrame:
    """Head acceleration in a simulated motorcycle crash: 133 rows, flat, then violent, then calm.

    Several rows share a time, and the noise differs between the phases.

    Returns:
        Columns ``times`` (milliseconds after impact) and ``accel`` (acceleration, in g), both
        float64, in time order; ``attrs["source"]`` names the source.

    Source: Silverman, B. W. (1985). Some aspects of the spline smoothing approach to
    non-parametric regression curve fitting. Journal of the Royal Statistical Society B 47, 1-52.

    Example:
        >>> load_motorcycle().shape
        (133, 2)
    """
    return _load(
        "motorcycle",
        {"times": "float64", "accel": "float64"},
        "Silverman, B. W. (1985). Some aspects of the spline smoothing approach to non-parametric "
        "regression curve fitting. Journal of the Royal Statistical Society B 47, 1-52.",
    )


def load_nile() -> pd.DataFrame:
    """Yearly flow of the Nile at Aswan, 1871-1970: 100 rows, with a drop after 1898.

    Returns:
        Columns ``year`` (int64) and ``flow`` (float64, 10^8 cubic metres a year), in time order;
        ``attrs["source"]`` names the source.

    Source: Cobb, G. W. (1978). The problem of the Nile: conditional solution to a changepoint
    problem. Biometrika 65, 243-251.

    Example:
        >>> load_nile()["year"].iloc[[0, -1]].tolist()
        [1871, 1970]
    """
    return _load(
        "nile",
        {"year": "int64", "flow": "float64"},
        "Cobb, G. W. (1978). The problem of the Nile: conditional solution to a changepoint "
        "problem. Biometrika 65, 243-251.",
    )


def load_gnp() -> pd.DataFrame:
    """Growth of US real gross national product, 1951Q2-1984Q4: 135 quarters, two regimes.

    Returns:
        Columns ``quarter`` (text, such as ``1951Q2``), ``growth`` (float64, percent a quarter)
        and ``nber_recession`` (int64, 1 in a recession as dated by the NBER), in time order;
        ``attrs["source"]`` names the source.

    Source: Hamilton, J. D. (1989). A new approach to the economic analysis of nonstationary time
    series and the business cycle. Econometrica 57, 357-384.

    Example:
        >>> load_gnp()["quarter"].iloc[[0, -1]].tolist()
        ['1951Q2', '1984Q4']
    """
    return _load(
        "gnp",
        {"quarter": "str", "growth": "float64", "nber_recession": "int64"},
        "Hamilton, J. D. (1989). A new approach to the economic analysis of nonstationary time "
        "series and the business cycle. Econometrica 57, 357-384.",
    )


def _load(name: str, dtypes: dict[str, str], source: str) -> pd.DataFrame:
    """The packaged table ``builtin_tables/{name}.csv`` with its source attached."""
    folder = resources.files("bayes_hybrid.data") / "builtin_tables"
    with (folder / f"{name}.csv").open(encoding="utf-8") as handle:
        table = pd.read_csv(handle, dtype=dtypes)
    table.attrs["source"] = source
    return table
