"""The benchmark command: its cells, its figures, and its tables in the docs."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from benchmarks import __main__ as command
from benchmarks import gpu, prediction, questions, records
from benchmarks.cells import run_jobs
from benchmarks.curves import efficiency, rows_for
from benchmarks.faults import __main__ as faults
from benchmarks.fits import quick, regressor
from benchmarks.methods.base import Method
from benchmarks.plots import plot_learning_curves, plot_standings
from benchmarks.prediction import Standings, prediction_cell, scores
from benchmarks.suite import Given
from benchmarks.tasks.base import Data, Rows, Task

_NOISE = 0.2


class _Smooth:
    """Normal(mean(x), noise)."""

    def __init__(self, mean):
        self.mean = mean

    def log_density(self, x, y):
        return norm.logpdf(y, self.mean(x), _NOISE)

    def quantiles(self, x, probs):
        return norm.ppf(probs, self.mean(x)[:, None], _NOISE)


class _Truth(_Smooth):
    """The same with a place, and regimes under other names."""

    def places(self, along):
        return np.array([[0.95, 0.9, 1.0], [0.6, 0.45, 0.7]])

    def regimes(self, x, y):
        right = (x[:, 0] > 0.5).astype(float)
        return np.column_stack([right, 1.0 - right])


def _step(x):
    return np.where(x[:, 0] > 0.5, 1.0, 0.0) + np.sin(x[:, 0])


def _draw(seed):
    rng = np.random.default_rng(seed)

    def rows(count, low, high):
        x = rng.uniform(low, high, (count, 1))
        return Rows(x=x, y=_step(x) + _NOISE * rng.standard_normal(count))

    test = rows(20_000, 0.0, 1.0)
    return Data(
        train=rows(100, 0.0, 1.0),
        test=test,
        beyond={"10%": rows(50, 1.0, 1.1)},
        mean=_step,
        thresholds=(0.5,),
        regimes=(test.x[:, 0] > 0.5).astype(int),
    )


def _fit(x, y, seed):
    return _Truth(_step)


def _fit_smooth(x, y, seed):
    return _Smooth(lambda x: np.sin(x[:, 0]) + 1.0 / (1.0 + np.exp(-60.0 * (x[:, 0] - 0.45))))


def _fail(x, y, seed):
    raise RuntimeError("no luck")


_TASK = Task(name="made/step", about="a step", draw=_draw)


def _method(name, fit):
    return Method(name=name, settings="none", fit=fit)


def test_the_truth_scores_what_it_has_to():
    cell = prediction_cell(_TASK, _method("truth", _fit), 0)
    # Entropy of a Normal; the sd of a mean of 20,000 squared normals is .01, of the others less.
    entropy = -0.5 * np.log(2.0 * np.pi * np.e * _NOISE**2)
    assert abs(cell["log_density"] - entropy) < 0.03
    # Of the true distribution E CRPS = sigma / sqrt(pi); 99 quantiles leave out 1% of each tail.
    assert abs(cell["crps"] / (_NOISE / np.sqrt(np.pi)) - 1.0) < 0.03
    assert abs(cell["coverage"] - 0.9) < 0.01
    assert abs(cell["rmse"] / _NOISE - 1.0) < 0.03
    assert cell["derivative"] == {"away": 0.0, "at": 0.0}
    assert cell["error"] == {"median": 0.0, "most": 0.0}
    assert cell["threshold"] == {"error": pytest.approx(0.1, abs=0.01), "covers": 1.0}
    assert cell["ece"] == 0.0
    assert set(cell["beyond"]) == {"10%"}


@pytest.mark.parametrize(
    ("mean", "thresholds"),
    [
        (_step, (0.5,)),
        (lambda x: (2.0 * x[:, 0]).clip(0.5, 1.2), (0.25, 0.6)),
        (lambda x: np.abs(np.abs(x[:, 0] - 0.5) - 0.25), (0.25, 0.5, 0.75)),
        (lambda x: x[:, 0] % 0.3, (0.3, 0.6, 0.9)),
    ],
)
def test_a_mean_changes_where_it_jumps_or_bends(mean, thresholds):
    data = replace(_draw(0), thresholds=thresholds)
    column = data.train.x[:, 0]
    found = prediction._changes(_Smooth(mean), data, float(column.min()), float(np.ptp(column)))
    apart = np.abs(found[:, None] - thresholds).min(axis=0)
    np.testing.assert_allclose(apart, 0.0, atol=0.005)


def test_a_method_without_places_has_them_where_its_mean_is_steepest():
    cell = prediction_cell(_TASK, _method("smooth", _fit_smooth), 0)
    # The ramp about 0.45 bends at 0.48.
    assert cell["threshold"] == {"error": pytest.approx(0.02, abs=0.01), "covers": 0.0}
    assert "ece" not in cell
    assert cell["derivative"]["at"] > cell["derivative"]["away"] > 0.0


def test_errors_say_whether_a_few_rows_make_them():
    # Ten rows of a thousand are off by one, the others by a hundredth.
    distance = np.full(1_000, 0.01)
    distance[::100] = 1.0
    cell = prediction._errors(distance, np.arange(1_000) < 100)
    assert cell["error"] == pytest.approx({"median": 0.01, "most": 0.01})
    # One of a hundred rows inside, nine of nine hundred outside.
    assert cell["layer"] == pytest.approx(dict.fromkeys(("in", "out"), np.sqrt(0.010099)))


def test_scores_see_a_wrong_scale():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 1.0, (5_000, 1))
    narrow = scores(_Truth(_step), x, _step(x) + 3.0 * _NOISE * rng.standard_normal(5_000))
    # P(|z| < 1.645 / 3); the sd of the share is .007.
    assert abs(narrow["coverage"] - (2.0 * norm.cdf(1.645 / 3.0) - 1.0)) < 0.03


def test_a_method_that_fails_says_why():
    cell = prediction_cell(_TASK, _method("luckless", _fail), 0)
    assert cell == {"failed": "RuntimeError: no luck"}
    assert (
        "failed: made/step|0|luckless: RuntimeError: no luck"
        in Standings({"made/step|0|luckless": cell}).table()
    )


def _cells():
    def cell(density, rmse):
        return {"log_density": density, "crps": rmse, "rmse": rmse, "coverage": 0.9, "seconds": 1.0}

    return {
        "made/a|0|bayes_hybrid": cell(-1.0, 2.0),
        "made/a|1|bayes_hybrid": cell(-3.0, 2.0),
        "made/a|0|peer": cell(-1.0, 4.0),
        "made/a|1|peer": cell(-1.0, 4.0),
        "made/b|0|bayes_hybrid": cell(5.0, 1.0),
        "made/b|0|peer": cell(4.0, 1.0),
    }


def test_standings_are_means_over_seeds_then_tasks():
    table = Standings(_cells()).methods()
    assert table["tasks"].to_dict() == {"bayes_hybrid": 2, "peer": 2}
    assert table["rank by log density"].to_dict() == {"bayes_hybrid": 1.5, "peer": 1.5}
    assert table["rank by CRPS"].to_dict() == {"bayes_hybrid": 1.25, "peer": 1.75}
    assert table.loc["peer", "log density - ours"] == pytest.approx((1.0 - 1.0) / 2.0)
    assert table.loc["peer", "RMSE / ours"] == pytest.approx(1.5)


def test_a_plot_of_the_standings():
    (axes,) = plot_standings(Standings(_cells())).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["peer"]
    tasks, mean, _ = axes.lines
    assert tasks.get_xdata() == pytest.approx([1.0, -1.0])
    assert mean.get_xdata() == pytest.approx([0.0])


def _learned(**errors):
    """Cells of a family whose methods have these RMSEs at 100, 200 and 400 rows."""
    return {
        f"ablation/step/{size}|0|{method.replace('_p', ' p')}": {
            "log_density": 0.0,
            "crps": each,
            "rmse": each,
            "coverage": 0.9,
            "seconds": 1.0,
        }
        for method, curve in errors.items()
        for size, each in zip((100, 200, 400), curve, strict=True)
    }


def test_rows_for_the_error_of_the_better_pathway():
    cells = _learned(
        bayes_hybrid=(0.4, 0.2, 0.1),
        gaussian_pathway=(0.5, 0.4, 0.3),
        relu_pathway=(0.5, 0.4, 0.2 * 2**0.5),
        peer=(0.1, 0.1, 0.1),
    )
    standings = Standings(cells)
    # The error halves as the rows double, so the better one's is that of 100 * sqrt(2) rows.
    assert efficiency(standings.curves()["step"]) == pytest.approx(2**0.5 / 4.0)
    assert (
        "| step: rows for the better pathway's RMSE at 400, over 400 | ≤ 0.5 | 0.354 | yes |"
        in (standings.table())
    )
    curve = standings.curves()["step"]["bayes_hybrid"]
    assert (rows_for(curve, 0.5), rows_for(curve, 0.05)) == (100.0, np.inf)
    (axes,) = plot_learning_curves(standings).axes
    assert len(axes.lines) == 4
    assert plot_learning_curves(Standings(_cells())) is None
    assert not Standings({n: cell for n, cell in cells.items() if "/400|" not in n}).curves()


def test_cells_come_back_from_the_file(tmp_path):
    path = tmp_path / "cells.parquet"
    cell = {
        "name": "a/0",
        "source": "abc",
        "versions": "python 3",
        "value": 1.5,
        "nested": {"deep": {"flag": True}, "none": {}},
        "names": ["x", "y"],
        "bad": float("-inf"),
    }
    records.write("one", {"a/0": cell}, path)
    records.write("two", {"a/0": {"value": 7.0}}, path)
    records.write("one", {"b/0": {"value": 2.0}}, path)
    assert records.read("one", path) == {
        "a/0": {**cell, "nested": {"deep": {"flag": 1.0}, "none": {}}},
        "b/0": {"name": "b/0", "value": 2.0},
    }
    records.write("one", {"a/0": {"value": 3.0}}, path)
    assert records.read("one", path)["a/0"] == {"name": "a/0", "value": 3.0}
    assert records.read("two", path)["a/0"]["value"] == 7.0


def _square(number):
    return {"square": number**2}


def test_a_stopped_run_goes_on(tmp_path):
    path = tmp_path / "cells.jsonl"
    jobs = [(f"{number}", _square, (number,)) for number in range(3)]
    assert run_jobs(jobs[:2], path, 1)["1"]["square"] == 1
    lines = path.read_text().splitlines()
    done = run_jobs(jobs, path, 1)
    again = path.read_text().splitlines()
    assert again[:2] == lines
    assert len(again) == 3
    assert [done[str(number)]["square"] for number in range(3)] == [0, 1, 4]


def test_the_gpu_suite_compares_answers():
    # Those of this machine are its own.
    assert [row["difference"] for row in gpu.answer_cell("cpu", "recorded")["rows"]] == [0.0, 0.0]


def test_quick_fits_are_tiny_and_only_within():
    with quick(True):
        options = regressor(model="relu").fit_options
        assert options is not None
        assert options.sampler is None
    assert regressor().fit_options is None


@pytest.mark.parametrize("suite", command.SUITES.values(), ids=list(command.SUITES))
def test_a_suite_has_cells_of_different_names(suite):
    names = [name for name, *_ in suite.jobs(Given(seeds=1))]
    assert len(set(names)) == len(names)
    # These need a folder of data, and a GPU.
    if suite.name not in ("tables", "gpu"):
        assert any(re.search(suite.quick, name) for name in names)
    assert suite.question.endswith("?")
    assert isinstance(suite.summarise({}).table(), str)


def test_the_docs_have_the_committed_tables():
    pages = [page for page in command.PAGES if "python -m benchmarks" in page.read_text()]
    assert pages
    for page in pages:
        assert command.rendered(page.read_text()) == page.read_text(), (
            "run python -m benchmarks --render"
        )


@pytest.mark.slow
def test_every_suite_runs(monkeypatch, capsys, few_ratios):
    def tried(command, *, check):
        """What faults run, as tests/test_benchmarks.py does: one section by itself."""
        *module, only, name, _, out, _, tries = command[1:]
        assert (module, only, tries) == (["-m", "benchmarks.faults"], "--only", "1")
        Path(out).write_text(json.dumps({name: {"tries": 1, "bad": 0, "faults": {}}}))

    monkeypatch.setattr(faults, "subprocess", SimpleNamespace(run=tried))
    monkeypatch.setattr("sys.argv", ["benchmarks", "--quick", "--jobs", "1"])
    command.main()
    out = capsys.readouterr().out
    for name in command.SUITES:
        assert f"# {name}: " in out


def _reference_tables(folder):
    """Data with a change that is plain to see, under the names of the published ones."""
    rows = np.arange(40.0)
    tables = {
        "nile": {"year": rows, "flow": np.where(rows < 20.0, 5.0, 1.0) + 0.1 * np.sin(9 * rows)},
        "nile_changepoint_posterior": {
            "last_year_regime1": [17.0, 18.0, 19.0, 20.0],
            "prob": [0.02, 0.18, 0.7, 0.1],
        },
        "coal_changepoint_posterior": {"last_year_regime1": [1.0], "prob": [1.0]},
        "mcp_demo_posterior_summary": {
            "param": ["cp_2", "cp_1"],
            "mean": [70.0, 30.0],
            "sd": [0.3, 4.0],
        },
    }
    (folder / "regime").mkdir()
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(folder / "regime" / f"{name}.csv", index=False)


def test_published_places_are_compared_with_their_intervals(tmp_path):
    _reference_tables(tmp_path)
    found = questions.places(tmp_path / "regime")
    # From the year after 18 to that after 20, each half a year on.
    assert found["nile"].reference == ((19.5, 1.0),)
    assert [middle for middle, _ in found["mcp_demo"].reference] == [30.0, 70.0]
    with quick(wanted=True):
        cell = questions.place_cell(tmp_path / "regime", "nile", 0)
    assert cell["1"]["reference"] == 19.5
    assert cell["1"]["width"] == pytest.approx((cell["1"]["upper"] - cell["1"]["lower"]) / 2.0)
    other = {"1": {**cell["1"], "mean": 19.0, "inside": False, "width": 3.0}}
    cell["1"] |= {"mean": 20.0, "inside": True, "width": 1.0}
    figures = questions.summarise({"place/nile/0": cell, "place/nile/1": other})
    rows = {row["what"].partition(": ")[2]: row for row in figures.rows}
    assert rows["mean over 2 seeds"]["figure"] == 19.5
    assert rows["sd over seeds"]["figure"] == pytest.approx(0.5**0.5)
    assert rows["inside the 90% interval, share of seeds"]["figure"] == 0.5
    assert not rows["width over the reference's"]["met"]
    simulated = ("covers/", "choose/lines_", "choose_smooth/lines_")
    names = [name for name, *_ in questions.jobs(Given(seeds=1))]
    of_data = [name for name in names if not name.startswith(simulated)]
    assert of_data == []


@pytest.mark.parametrize("size", [1, 2, 3])
def test_simulated_lines_have_jumps_between_them(size):
    x, y = questions.lines(size, 7)
    assert x.shape == y.shape == (150,)
    # Neighbours differ by noise of 0.7, and by the distance along a slope of 1; jumps are 2 to 4.
    steps = np.abs(np.diff(y)) - np.abs(np.diff(x))
    assert (steps > 4.0 * 0.5 * 2.0**0.5).sum() <= size - 1
    assert not np.array_equal(y, questions.lines(size, 8)[1])


def test_what_is_chosen_is_compared_with_what_is_right():
    cells = {
        f"choose/lines_1/{seed}": {"right": seed > 0, "cpu": 2.0, "chosen": "line"}
        for seed in range(20)
    }
    right, cost = questions.summarise(cells).rows
    assert (right["figure"], right["low"], right["met"]) == (0.95, 0.95, True)
    (few, _) = questions.summarise(dict([*cells.items()][:4])).rows
    assert (few["figure"], few["low"]) == (0.75, -np.inf)
    assert cost["figure"] == 2.0


@pytest.mark.parametrize("family", questions.LEVELS)
def test_simulated_counts_change_at_their_threshold(family):
    rng = np.random.default_rng(0)
    below, above = (
        questions.DRAW[family](rng, np.full(4_000, m)) for m in questions.LEVELS[family]
    )
    # Variances up to 6 + 36 / 5: four standard errors.
    np.testing.assert_allclose(
        [below.mean(), above.mean()], questions.LEVELS[family], atol=4 * (13.2 / 4_000) ** 0.5
    )
    with quick(wanted=True):
        cell = questions.covers_cell(family, 0)
    assert cell["width"] > 0.0
    share = questions.summarise({f"covers/{family}/0": cell}).rows[0]
    assert share["figure"] == cell["covers"]
