"""Tasks keep to their interface, and their truth is the law that made their rows."""

import math
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayes_hybrid.data import FAMILIES, simulate
from bayes_hybrid.random import spawn_seeds
from benchmarks.tasks import ablation, conditional, tables

TASKS = {task.name: task for task in (*ablation.TASKS, *conditional.TASKS)}
TABLES = tuple(f"tables/{name}" for name in (*tables.UCI, "airfoil", "another"))
NUM_TABLE_ROWS = 50
MONEY = ("conditional/tax_brackets", "conditional/tariff")  # they start at 0, and nothing is below
# Size of the jump at each threshold, with 0.7 for the other features; 0 is a bend.
JUMPS = {
    "ablation/step/100": (1.5,),
    "ablation/kink/100": (0,),
    "ablation/two_branch/100": (-0.45,),  # 0.3 of the rows fall from 0 to -1.5
    "ablation/three_steps/100": (1.5, -1.5, 1.5),
    "ablation/step_2d/100": (1.5,),
    "ablation/step_10d/100": (1.5,),
    "conditional/if_else": (1.5 - 0.8 * 0.7 - math.sin(1.0) - 0.35,),
    "conditional/clamp": (0, 0),
    "conditional/absolute": (0, 0, 0),
    "conditional/modulo": (-1.3, -1.3, -1.3),
    "conditional/tax_brackets": (0, 0, 0, 0),
    # At 60 kWh: from 30 * 2.5 + 30 * 4.85 + 60 to 60 * 7.85 + 90.
    "conditional/tariff": (30, 561 - 280.5, 390, 0, 60),
    "conditional/min_max": (0,),
    "conditional/switch_2d": (0.5 * 0.3 * 0.7 - 1.5 - 0.7,),
}
SMOOTH = ("ablation/smooth/100", "ablation/hetero/100", "ablation/three_regimes/100")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables of random numbers, where the tasks look for them."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    names = [f"uci/{name}" for name in tables.UCI]
    for name in (*names, "physics/airfoil_self_noise", "tables/another"):
        (folder / name).parent.mkdir(exist_ok=True)
        table = pd.DataFrame(rng.standard_normal((NUM_TABLE_ROWS, 3)))
        table.to_csv(folder / f"{name}.csv", index=False)
    for name in names:
        pd.DataFrame({"s0": [0, 3], "s1": [1, 2]}).to_csv(
            folder / f"{name}_test_index.csv", index=False
        )
    return folder


@pytest.fixture
def task(request, folder):
    return {**TASKS, **{task.name: task for task in tables.tasks(folder)}}[request.param]


def mean(data, x):
    assert data.mean is not None
    return data.mean(x)


def every_row(data):
    return [data.train, data.test, *data.beyond.values()]


def distances(data, rows, low, high):
    """How far beyond the range, in widths of it."""
    x = rows.x[:, data.along]
    return np.maximum(low - x, x - high) / (high - low)


def along_grid(data, values):
    """Features ``[N, D]``: ``values``, and 0.7 for the others."""
    x = np.full((len(values), data.train.x.shape[1]), 0.7)
    x[:, data.along] = values
    return x


def test_roll_call(folder):
    assert tuple(task.name for task in tables.tasks(folder)) == TABLES
    assert len(TASKS) == len(ablation.TASKS) + len(conditional.TASKS)  # no name twice
    with_thresholds = {
        name for name, task in TASKS.items() if task.draw(0).thresholds and "/100" in name
    }
    assert with_thresholds | {task.name for task in conditional.TASKS} == set(JUMPS)


@pytest.mark.parametrize("task", [*TASKS, *TABLES], indirect=True)
def test_contract(task):
    data, other = task.draw(0), task.draw(1)
    # As it comes out of a worker of joblib.
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(task)).draw(0)))
    num_features = data.train.x.shape[1]
    for rows, same, new in zip(every_row(data), every_row(again), every_row(other), strict=True):
        assert rows.x.shape == (len(rows.y), num_features)
        assert rows.y.ndim == 1
        assert np.isfinite(rows.x).all()
        assert np.isfinite(rows.y).all()
        np.testing.assert_array_equal(rows.x, same.x)
        np.testing.assert_array_equal(rows.y, same.y)
        assert not np.isin(rows.y, new.y).all()
    assert not np.isin(data.train.y, data.test.y).any()
    along = data.train.x[:, data.along]
    assert all(along.min() < place < along.max() for place in data.thresholds)
    assert list(data.thresholds) == sorted(data.thresholds)
    if data.regimes is not None:
        assert data.regimes.shape == data.test.y.shape
        assert data.regimes.dtype.kind == "i"
        assert set(data.regimes) == set(range(data.regimes.max() + 1))
    suite, *_, size = task.name.split("/")
    if suite == "ablation":
        assert len(data.train.y) == int(size)
    if suite != "tables":
        assert len(data.test.y) == 1_000


@pytest.mark.parametrize("name", TASKS)
def test_mean_of_residuals(name):
    # 4 standard errors: 6e-5 false alarms each, 2% in all of some 280; the seed is fixed.
    data = TASKS[name].draw(2)
    for rows in every_row(data):
        residuals = rows.y - mean(data, rows.x)
        assert residuals.shape == rows.y.shape
        assert abs(residuals.mean()) < 4 * residuals.std(ddof=1) / math.sqrt(len(residuals))


@pytest.mark.parametrize("name", TASKS)
def test_beyond(name):
    data = TASKS[name].draw(0)
    low, high = (0, 240) if name in MONEY else (-2, 2)
    for rows in (data.train, data.test):
        assert distances(data, rows, low, high).max() < 0
    assert list(data.beyond) == ["10%", "25%"]
    for (near, far), rows in zip([(0, 0.1), (0.1, 0.25)], data.beyond.values(), strict=True):
        distance = distances(data, rows, low, high)
        assert len(distance) == 300
        assert near < distance.min()
        assert distance.max() < far
        # None of 300 rows in a tenth of the strip: probability 0.9**300 = 2e-14.
        assert distance.min() < near + 0.1 * (far - near)
        assert distance.max() > far - 0.1 * (far - near)
        below = rows.x[:, data.along] < low
        assert below.any() == (name not in MONEY)
        assert not below.all()


@pytest.mark.parametrize("name", [*JUMPS, *SMOOTH])
def test_thresholds_are_where_the_mean_is_not_smooth(name):
    data = TASKS[name].draw(0)
    x = data.train.x[:, data.along]
    grid = np.linspace(x.min(), x.max(), 400_001)
    step = grid[1] - grid[0]
    bend = np.abs(np.diff(mean(data, along_grid(data, grid)), n=2))
    # Second derivatives are below 20: sin 2x has 4, three regimes have more.  Where a slope changes
    # by s, the larger of two neighbours has s * step / 2; the smallest s is 0.045 (tax), and with
    # its step of 6e-4 that is twice the bound.
    places = grid[1:-1][bend > 20 * step**2]
    for place in data.thresholds:
        assert np.abs(places - place).min() < 1.5 * step
    for place in places:
        assert np.abs(np.subtract(data.thresholds, place)).min() < 1.5 * step


@pytest.mark.parametrize("name", JUMPS)
def test_jumps(name):
    data = TASKS[name].draw(0)
    places = np.array(data.thresholds)
    left, right = (mean(data, along_grid(data, places + side)) for side in (-1e-9, 1e-9))
    # Slopes are 45 (tariff) and less: 1e-7 over the distance of 2e-9.
    np.testing.assert_allclose(right - left, JUMPS[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_those_of_the_package(family):
    data = TASKS[f"ablation/{family}/50"].draw(3)
    for rows, size, seed in zip(
        (data.train, data.test), (50, 1_000), spawn_seeds(3, 2), strict=True
    ):
        same = simulate(family, size, seed=seed)
        np.testing.assert_array_equal(rows.x, same.x)
        np.testing.assert_array_equal(rows.y, same.y)
    if data.regimes is None:
        assert not same.regime.any()
    else:
        np.testing.assert_array_equal(data.regimes, same.regime)


@pytest.mark.parametrize("family", ["two_branch", "three_regimes"])
def test_mean_over_regimes(family):
    law = ablation.LAWS[family]
    rng = np.random.default_rng(0)
    for point in (-1.7, -0.4, 0.1, 0.9, 2.6):
        x = np.full((20_000, 1), point)
        levels, _ = law.levels(x, rng)
        # 4 standard errors of 10 means: 6e-4 false alarms.  1e-12 where only one level is left.
        error = 4 * levels.std() / math.sqrt(len(levels)) + 1e-12
        assert abs(levels.mean() - law.mean(x)[0]) < error


def test_regimes():
    conditions: dict[str, Callable[..., int]] = {
        "ablation/three_steps/100": lambda x: -1 <= x < 0.3 or x >= 1.2,
        "ablation/step_2d/100": lambda a, b: a >= 0.3,
        "conditional/if_else": lambda a, b: a >= 0.5,
        "conditional/min_max": lambda a, b: a > 0.4,
        "conditional/switch_2d": lambda a, b: 2 * (a >= 0.3) + (b >= -0.4),
    }
    for name, condition in conditions.items():
        data = TASKS[name].draw(0)
        np.testing.assert_array_equal(data.regimes, [condition(*row) for row in data.test.x])
    x = np.full((100, 1), -0.5)
    levels, regimes = ablation.LAWS["three_regimes"].levels(x, np.random.default_rng(0))
    np.testing.assert_array_equal(levels, np.take([math.sin(-1), 1.75, -1.5], regimes))


@pytest.mark.parametrize(
    ("name", "noise", "growth"),
    [
        ("ablation/smooth/100", 0.1, 1),
        ("ablation/hetero/100", 0.1, 2),
        ("conditional/clamp", 0.1, 1),
        ("conditional/tax_brackets", 0.5, 1),
        ("conditional/tariff", 50, 1),
    ],
)
def test_noise(name, noise, growth):
    data = TASKS[name].draw(0)
    x = data.test.x[:, 0]
    squares = ((data.test.y - mean(data, data.test.x)) / (noise * growth**x)) ** 2
    for half in (x < np.median(x), x >= np.median(x)):
        # A squared standard Normal has variance 2; 4 standard errors of 10 means.
        assert abs(squares[half].mean() - 1) < 4 * math.sqrt(2 / half.sum())


def test_irrelevant_features():
    data = TASKS["ablation/step_10d/100"].draw(0)
    changed = np.hstack([data.test.x[:, :2], 0 * data.test.x[:, 2:]])
    np.testing.assert_array_equal(mean(data, changed), mean(data, data.test.x))
    assert data.test.x.shape == (1_000, 10)


def test_programs():
    # The formulas once more, row by row, in plain Python.
    def switch(a, b):
        if a >= 0.3:
            return 0.5 * a * b - 1.5 if b >= -0.4 else 1.5
        return b if b >= -0.4 else math.sin(2 * a)

    programs: dict[str, Callable[..., float]] = {
        "if_else": lambda a, b: math.sin(2 * a) + b / 2 if a < 0.5 else 1.5 - 0.8 * b,
        "clamp": lambda x: min(max(2 * x, -1), 1.5),
        "absolute": lambda x: abs(abs(1.5 * x) - 1.2),
        "modulo": lambda x: x % 1.3,
        "min_max": lambda a, b: min(a + b / 2, 0.8 - a + b / 2),
        "switch_2d": switch,
    }
    for name, program in programs.items():
        data = TASKS[f"conditional/{name}"].draw(0)
        values = [program(*row) for row in data.test.x.tolist()]
        # Sums of a few numbers of size one, in float64.
        np.testing.assert_allclose(mean(data, data.test.x), values, rtol=0, atol=1e-14)


def test_money_by_hand():
    # The tax office prints the tax at each edge; 200 is 20 * 0.45 more than 180.
    incomes = np.array([[0], [18.2], [20], [45], [120], [180], [200]])
    taxes = [0, 0, 1.8 * 0.19, 5.092, 29.467, 51.667, 60.667]
    np.testing.assert_allclose(conditional.income_tax(incomes), taxes, atol=1e-9)  # rounding
    use = np.array([[0], [30], [60], [61], [100], [200]])
    rupees = [
        30,
        30 * 2.5 + 30,
        30 * 2.5 + 30 * 4.85 + 60,
        60 * 7.85 + 10 + 90,
        60 * 7.85 + 30 * 10 + 10 * 27.75 + 480,
        60 * 7.85 + 30 * 10 + 30 * 27.75 + 60 * 32 + 20 * 45 + 540,
    ]
    np.testing.assert_allclose(conditional.electricity_bill(use), rupees, atol=1e-9)


def test_uci_split(tmp_path):
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "boston.csv").write_text("a,b,y\n1,2,3\n4,5,6\n7,8,9\n10,11,12\n")
    # The second split is shorter.
    (tmp_path / "uci" / "boston_test_index.csv").write_text("s0,s1\n3,1\n0,\n")
    train, test = tables.uci_split(tmp_path, "boston", 0)
    assert (train.x.tolist(), train.y.tolist()) == ([[4, 5], [7, 8]], [6, 9])
    assert (test.x.tolist(), test.y.tolist()) == ([[1, 2], [10, 11]], [3, 12])
    train, test = tables.uci_split(tmp_path, "boston", 1)
    assert (train.y.tolist(), test.y.tolist()) == ([3, 9, 12], [6])
    for split in (-1, 2):
        with pytest.raises(IndexError, match=f"from 0 to 1; got {split}"):
            tables.uci_split(tmp_path, "boston", split)


def test_random_split(folder):
    path = folder / "tables" / "another.csv"
    train, test = tables.random_split(path, 0)
    assert len(test.y) == 0.1 * NUM_TABLE_ROWS
    table = pd.read_csv(path).to_numpy()
    both = np.vstack([np.column_stack([rows.x, rows.y]) for rows in (train, test)])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(table, axis=0))


def test_no_tables(tmp_path):
    assert tables.tasks(tmp_path) == ()
