from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid.data import load_gnp, load_motorcycle, load_nile, split_target

LOADERS: list[tuple[Callable[[], pd.DataFrame], int, list[str], str]] = [
    (load_motorcycle, 133, ["times", "accel"], "Silverman"),
    (load_nile, 100, ["year", "flow"], "Cobb"),
    (load_gnp, 135, ["quarter", "growth", "nber_recession"], "Hamilton"),
]


@pytest.mark.parametrize(("load", "num_rows", "columns", "author"), LOADERS)
def test_shape_and_source(load, num_rows, columns, author):
    table = load()
    assert table.columns.tolist() == columns
    assert len(table) == num_rows
    assert not table.isna().any(axis=None)
    assert author in table.attrs["source"]
    # The first column is time, and the rows come in its order.
    assert table[columns[0]].is_monotonic_increasing


def test_every_load_is_a_fresh_table():
    table = load_nile()
    table.iloc[0, 1] = -1.0
    assert load_nile().iloc[0, 1] == 1120.0


def test_motorcycle_values():
    table = load_motorcycle()
    # Silverman's data: accelerations from -134 g to 75 g, 94 distinct times.
    assert (table["accel"].min(), table["accel"].max()) == (-134.0, 75.0)
    assert table["times"].nunique() == 94
    X, y = split_target(table, "accel")
    assert X.shape == (133, 1)
    assert y.dtype == np.float64


def test_nile_values():
    table = load_nile()
    assert table["year"].tolist() == list(range(1871, 1971))
    # Cobb 1978: the mean falls from 1098 to 850 after 1898.
    before = table.loc[table["year"] <= 1898, "flow"].mean()
    after = table.loc[table["year"] > 1898, "flow"].mean()
    assert (round(before), round(after)) == (1098, 850)


def test_gnp_values():
    table = load_gnp()
    quarters = pd.period_range("1951Q2", "1984Q4", freq="Q").astype(str).tolist()
    assert table["quarter"].tolist() == quarters
    assert set(table["nber_recession"]) == {0, 1}
    # In a recession output shrinks, outside it grows.
    growth = table.groupby("nber_recession")["growth"].mean()
    assert growth[1] < 0 < growth[0]
