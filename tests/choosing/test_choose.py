"""The search: its answers, its order, going on from a folder, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from bayes_hybrid import ABRUPT, FitOptions, HybridRegressor, Poisson, ThresholdGate, choose
from bayes_hybrid.choosing import Choice
from bayes_hybrid.choosing.rule import gain, simplest
from bayes_hybrid.choosing.scores import Score, Scores
from bayes_hybrid.choosing.search import _climb, _settle
from bayes_hybrid.errors import DataError, OptionError, OutputExistsError
from tests.choosing.conftest import BASE, OPTIONS, one_line, two_lines


def unwanted(self, *rows):
    raise AssertionError("a finished fit was made again")


# Answers


def test_one_regime_is_enough_for_a_line(enough):
    _, choice = enough
    assert (choice.best, choice.num_regimes) == ("line", 1)
    assert choice.notes[0] == "One regime is enough: line."
    # Two regimes were tried, and three were not.
    assert choice.table["regimes"].max() == 2


def test_two_lines_are_found(two):
    _, choice = two
    assert choice.num_regimes == 2
    assert choice.best in ("2-lines", "2-lines-joined")
    assert "2-lines-joined" in choice.table.index
    assert choice.notes[0].startswith(f"2 regimes: {choice.best}, ahead of line by ")
    assert "2 regimes are as many as were allowed" in choice.notes[-1]


def test_the_table_is_that_of_the_rule(two):
    _, choice = two
    table, rows = choice.table, dict(choice.pointwise)
    assert simplest(rows) == choice.best
    assert table.index[table["chosen"]].tolist() == [choice.best]
    ahead = max(rows, key=lambda name: rows[name].sum())
    for name, own in rows.items():
        expected = gain(own, rows[ahead])
        assert (table["gain"][name], table["error"][name]) == pytest.approx(expected)
    assert table["weight"].sum() == pytest.approx(1.0)
    assert table["regimes"].is_monotonic_increasing
    assert (table["seconds"] > 0.0).all()


def test_the_answer_prints_as_its_table_and_draws(two):
    _, choice = two
    assert repr(choice) == f"Choice\n{choice.to_frame()!r}"
    (axes,) = choice.plot().axes
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == choice.table.index.tolist()
    bold = [label.get_text() for label in labels if label.get_fontweight() == "bold"]
    assert bold == [choice.best]


def test_the_estimator_is_the_base_with_the_winners_settings(two):
    _, choice = two
    joined = choice.best == "2-lines-joined"
    gate = "threshold" if joined else ThresholdGate(sharpness=ABRUPT)
    expected = clone(BASE).set_params(experts=("line", "line"), gate=gate, joined=joined)
    assert choice.estimator.get_params() == expected.get_params()


# A folder


def test_a_search_goes_on_from_its_folder(two, monkeypatch):
    folder, before = two
    monkeypatch.setattr(HybridRegressor, "fit", unwanted)
    again = choose(*two_lines(), base=BASE, experts=["line"], max_regimes=2, folder=folder)
    pd.testing.assert_frame_equal(again.table, before.table)


def test_other_data_do_not_mix_with_a_folder(two):
    folder, _ = two
    with pytest.raises(OutputExistsError, match="data other than now"):
        choose(*one_line(), base=BASE, experts=["line"], max_regimes=1, folder=folder)


# The order of the search, with scores made up


class MadeUp(Scores):
    """Leave-one-out as a table says it, and folds as another."""

    def leave_one_out(self, wanted):
        for each in wanted:
            self.tried[each.name] = each
            rows, bad = ELPD.get(each.name, (-100.0, 0.0))
            self.loo[each.name] = Score(pointwise=np.full(50, rows / 50), bad_k=bad, seconds=1.0)

    def cross_validate(self, names):
        self.folds |= {name: np.full(50, -1.0) for name in names}


ELPD: dict[str, tuple[float, float]] = {}


def searched(elpd, ladder):
    ELPD.clear()
    ELPD.update(elpd)
    given: dict[str, Any] = {"base": BASE, "first": ladder[0][0], "X": None, "y": None}
    scores = MadeUp(**given, n_jobs=1, folder="", report=lambda *told: None)
    _climb(scores, ladder)
    _settle(scores)
    return scores


@pytest.fixture
def ladder():
    from bayes_hybrid.choosing import candidates

    return [candidates(k) for k in range(1, 6)]


def test_a_family_stops_where_one_more_regime_does_not_pay(ladder):
    elpd = {"2-lines": (-50.0, 0.0), "3-lines": (-20.0, 0.0), "4-lines": (-18.0, 0.0)}
    tried = searched(elpd, ladder).tried
    assert "4-lines" in tried
    assert not {"5-lines", "3-smooth", "3-constants", "3-lines-mixed"} & set(tried)
    assert not any(each.num_regimes > 2 for each in searched({}, ladder).tried.values())


@pytest.mark.parametrize("family", ["constants", "lines-mixed"])
def test_levels_and_mixed_lines_stop_where_lines_with_jumps_beat_them(family, ladder):
    tried = searched({f"2-{family}": (-60.0, 0.0), "2-lines": (-50.0, 0.0)}, ladder).tried
    assert f"3-{family}" not in tried
    assert f"3-{family}" in searched({f"2-{family}": (-50.0, 0.0)}, ladder).tried


@pytest.mark.parametrize(
    ("elpd", "by_folds"),
    [
        ({"2-smooth": (-50.0, 0.3)}, {"constant", "2-smooth"}),
        ({"2-smooth": (-120.0, 0.3)}, set()),  # it loses even so
        ({"2-smooth": (-50.0, 0.0)}, set()),  # it can be trusted
    ],
)
def test_folds_decide_where_doubt_would_change_the_answer(ladder, elpd, by_folds):
    assert set(searched(elpd, ladder).folds) == by_folds


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_regimes": 0}, "max_regimes must be an integer >= 1; got 0"),
        ({"experts": "line"}, r"experts must be one or more of .* such as \('line',\); got 'line'"),
        ({"experts": ["lin"]}, "experts must be one of .*; got 'lin'; did you mean 'line'"),
        ({"n_jobs": 0}, "n_jobs must be a number of processes"),
        ({"feature": 3}, "feature: expected an index below 1"),
        (
            {"base": HybridRegressor(joined=True)},
            "joined=True would be ignored, because it is what choose is to find; leave it at",
        ),
        ({"base": HybridRegressor(gate=ThresholdGate())}, "gate=ThresholdGate"),
        ({"base": HybridRegressor(), "folder": "runs"}, "a folder needs random_state"),
        ({"base": HybridRegressor(likelihood="norm")}, "likelihood must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=message):
        choose(*one_line(), **options)
    assert not [*tmp_path.iterdir()]


def test_rows_that_cannot_be_used_are_refused():
    X, y = one_line(10)
    y[3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        choose(X, y, base=BASE)


def test_thresholds_need_to_know_their_column(monkeypatch):
    def found(self, wanted):
        self.tried |= {each.name: each for each in wanted}
        rows = np.zeros(20)
        self.loo |= {each.name: Score(pointwise=rows, bad_k=0.0, seconds=1.0) for each in wanted}

    monkeypatch.setattr(Scores, "leave_one_out", found)
    X = np.random.default_rng(0).normal(size=(20, 2))
    table = pd.DataFrame(X, columns=["dose", "age"])

    def names(**options: Any) -> Choice:
        return choose(table, X[:, 0], base=BASE, **options)

    without = names()
    assert [*without.candidates] == ["constant", "line", "2-lines-mixed", "smooth", "2-smooth"]
    assert any("by feature=..." in note for note in without.notes)
    chosen = names(feature="age").candidates["2-lines"].settings["gate"]
    assert chosen == ThresholdGate(feature="age", sharpness=ABRUPT)


def test_options_of_the_base_hold_in_the_search():
    from bayes_hybrid.choosing import candidates
    from bayes_hybrid.choosing.fits import searching

    line, smooth = candidates(1)[1], candidates(1)[2]
    assert searching(BASE, line).fit_options == OPTIONS
    base = HybridRegressor(fit_options=FitOptions(num_restarts=3, sampler=None, device="cpu"))
    options = searching(base, line).fit_options
    assert (options.num_restarts, options.sampler, options.device) == (3, None, "cpu")
    assert options.warm_start == searching(HybridRegressor(), line).fit_options.warm_start
    assert searching(base, smooth).fit_options == base.fit_options
    default = searching(HybridRegressor(), line).fit_options
    assert (default.num_restarts, default.sampler.num_leapfrog) == (16, 10)


def test_a_table_as_it_comes_with_exposure():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"years": rng.uniform(1.0, 20.0, 40), "dose": rng.uniform(0.0, 9.0, 40)})
    table["site"] = rng.choice(["north", "south"], 40)
    y = rng.poisson(2.0 * table["years"])
    base = clone(BASE).set_params(likelihood=Poisson(exposure="years"))
    choice = choose(table, y, base=base, experts=["constant"], max_regimes=2, feature="dose")
    assert choice.best == "constant"
    assert choice.estimator.likelihood == Poisson(exposure="years")
    with pytest.raises(OptionError, match="feature must be one of 'years', 'dose', 'site'"):
        choose(table, y, base=base, experts=["constant"], feature="dise")
