"""What the sections say is what an independent computation says."""

import csv
import io
from base64 import b64decode
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hybrid import (
    FitOptions,
    HybridRegressor,
    LabelHead,
    LogNormalPrior,
    Pathway,
    Priors,
    StudentT,
    load,
)
from bayes_hybrid.data import HeldOut, read_table, write_table
from bayes_hybrid.diagnostics import (
    boundaries,
    regime_descriptions,
    threshold_sentences,
    threshold_table,
)
from bayes_hybrid.diagnostics.evaluation.approximation import MIN_PARETO_DRAWS, good_k, pareto_k
from bayes_hybrid.diagnostics.evaluation.evaluation import fitted_regime_draws
from bayes_hybrid.diagnostics.evaluation.finding import judge
from bayes_hybrid.diagnostics.regimes.readings import regime_feature
from bayes_hybrid.diagnostics.scores.pit import loo_pit
from bayes_hybrid.digits import figures
from bayes_hybrid.gates import GATES
from bayes_hybrid.inference import PLANS
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.models import HybridMixture, PathwayModel
from bayes_hybrid.nn import COMBINATIONS, SMOOTHINGS
from bayes_hybrid.plots.style import PALETTE
from bayes_hybrid.random import stream_seed
from bayes_hybrid.report import sections
from bayes_hybrid.report.charts import PALETTE_TONES, limits, rounded
from bayes_hybrid.report.curves import LEVELS, curves_along
from bayes_hybrid.report.equations import expert_equations, gate_equations, joint_equations
from bayes_hybrid.report.evidence import MAX_DRAWS, gather
from bayes_hybrid.report.page import _own, render
from bayes_hybrid.report.section import Section
from bayes_hybrid.report.sections import regimes
from bayes_hybrid.report.sections.approximation import facts
from bayes_hybrid.report.sections.calibration import coverage_table
from bayes_hybrid.report.sections.data import column_table
from bayes_hybrid.report.sections.model import prior_frame
from bayes_hybrid.report.sections.reproduce import estimator_code, fit_code, imports_of
from bayes_hybrid.report.sections.thresholds import place_sentences
from bayes_hybrid.report.sections.training import sparkline
from bayes_hybrid.report.sections.verdict import answers
from bayes_hybrid.report.tables import Table, formatted
from tests.report.conftest import fitted, make_rows


def section(key: str) -> Section:
    return next(each for each in sections.SECTIONS if each.key == key)


def tables_of(evidence) -> list[Table]:
    """Every table of a report."""
    contents = [section.content(evidence) or {} for section in sections.SECTIONS]
    return [part for content in contents for part in content.values() if isinstance(part, Table)]


def read_back(table: Table) -> list[list[str]]:
    head, _, body = table.address.partition("base64,")
    assert head == "data:text/csv;charset=utf-8;"
    return list(csv.reader(io.StringIO(b64decode(body).decode(), newline="")))


def test_every_column_has_a_meaning(evidence):
    tables = tables_of(evidence)
    assert len(tables) >= 9
    assert len({table.key for table in tables}) == len(tables)
    for table in tables:
        assert all(table.meanings[name] for name in table.frame.columns)


def test_a_download_holds_the_whole_table():
    text = 'a "quoted", word\nand <b>more</b>'
    frame = pd.DataFrame({"=1+1": [text, "b"] * 20, "value": np.arange(40) / 3.0})
    table = Table(key="k", caption="c", frame=frame, meanings={}, num_shown=3)
    header, *rows = read_back(table)
    assert header == ["=1+1", "value"]
    assert [row[0] for row in rows] == frame["=1+1"].tolist()
    assert [float(row[1]) for row in rows] == frame["value"].tolist()
    assert (table.num_left_out, [row[1][0] for row in table.rows]) == (37, ["0", "6.667", "13"])


def test_digits_of_a_table_follow_intervals_errors_and_ranges():
    frame = pd.DataFrame(
        {"mean": [1980.471, 1980.471], "lower": [1979.71, np.nan], "upper": [1981.42, np.nan]}
    )
    given: dict[str, Any] = {"key": "k", "caption": "c", "meanings": {}}
    group = ("mean", "lower", "upper")
    for hidden, start in ((), 0), (("lower", "upper"), 0):
        table = Table(frame=frame, intervals=(group,), hidden=hidden, **given)
        assert [row[start][0] for row in table.rows] == ["1980.5", "1980"]
    ranges = Table(frame=frame, ranges=(group,), **given)
    assert [text for text, _ in ranges.rows[0]] == ["1980.471", "1979.710", "1981.420"]
    errors = Table(
        frame=pd.DataFrame({"value": [-4.19312, 2.0], "se": [0.0347, 0.0]}),
        errors=(("value", "se"),),
        **given,
    )
    assert [[text for text, _ in row] for row in errors.rows] == [["-4.193", "0.035"], ["2", "0"]]


def test_digits_follow_the_interval_in_every_table(evidence):
    """A column with two ends beside it, or a standard error, is in a group."""
    for table in tables_of(evidence):
        names = list(table.frame.columns)
        grouped = [name for group in [*table.intervals, *table.errors] for name in group]
        assert set(grouped) <= set(names), table.key
        for name in names:
            if name.startswith(("lower", "upper")) or name.endswith(("_lower", "_upper", "_se")):
                assert name in grouped, (table.key, name)
            assert name != "standard_error" or name in grouped


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (np.bool_(False), "no"), (12345, "12,345"), (np.nan, "n/a"), (2.0, "2")],
)
def test_cells(value, text):
    assert formatted(value) == text


def test_columns_are_described_as_pandas_does(several):
    table = column_table(several).frame.set_index("column")
    for q, name in enumerate(("first", "second")):
        column: pd.Series[float] = pd.Series(several.target(q))
        expected = [column.count(), column.min(), column.median(), column.mean(), column.max()]
        mine = [table[stat][name] for stat in ("rows", "min", "median", "mean", "max")]
        np.testing.assert_allclose(mine, expected, rtol=1e-12)
    missing = int(np.isnan(several.target(1)).sum())
    assert missing > 0
    assert table["missing"].tolist() == [0, 0, 0, missing]


def test_a_constant_column_is_noted(single):
    notes = column_table(single).frame["note"].tolist()
    assert [bool(note) for note in notes] == [False, False, True, False]


def test_densities_are_of_numbers_that_are_no_counts(several):
    found: Any = section("checks").content(several)
    assert [chart.key for chart in found["charts"]] == ["density-0", "density-1"]
    assert not found["hanging"]


def test_statistics_of_drawn_data(several):
    found: Any = section("checks").content(several)
    frame = found["table"].frame.set_index(["target", "statistic"])
    drawn = several.posterior.predictive.sample(
        several.fit.x, 200, stream_seed(several.fit.seed, "replicates")
    )
    for q, name in enumerate(several.outputs):
        y = several.target(q)
        there = ~np.isnan(y)
        order = np.argsort(several.fit.x[there, 0])
        y, replicas = y[there], drawn[:, there, q]
        residuals = (y - replicas.mean(axis=0))[order]
        line = frame.loc[name]
        observed = {
            "mean": y.mean(),
            "sd": y.std(),
            "min": y.min(),
            "max": y.max(),
            "skewness": stats.skew(y),
            "sign_changes": np.mean(residuals[1:] * residuals[:-1] < 0.0),
        }
        assert {key: line["observed"][key] for key in observed} == pytest.approx(observed)
        means = replicas.mean(axis=1)
        assert line.loc["mean", "expected"] == pytest.approx(means.mean())
        assert line.loc["mean", "lower"] == pytest.approx(np.quantile(means, 0.05))
        assert line.loc["mean", "p_value"] == np.mean(means > y.mean())


def test_the_share_of_large_k_is_that_of_the_rows(evidence):
    draws = evidence.posterior.num_restarts * evidence.posterior.num_draws
    values = {name: value for name, value, _ in facts(evidence)}
    name = f"share of rows with k-hat above {good_k(draws):.2f}"
    assert (name in values) == (draws >= MIN_PARETO_DRAWS)
    if name in values:
        evaluation = evidence.evaluation
        large = ~(pareto_k(evaluation.log_likelihood, evaluation.weights) <= good_k(draws))
        assert values[name] == large.mean()


def test_coverage_counts_rows():
    cdf = np.linspace(0.005, 0.995, 100)
    frame = coverage_table("y", cdf)
    by_hand = [np.mean((cdf >= 0.5 - p / 2) & (cdf <= 0.5 + p / 2)) for p in frame["interval"]]
    # The ends of an interval are rounded, and a row may sit on one.
    np.testing.assert_allclose(frame["covered"], by_hand, atol=0.011)
    assert frame["as it should be"].all()
    assert not coverage_table("y", np.full(100, 0.01))["as it should be"].iloc[:5].any()


def test_prior_intervals():
    priors = Priors(noise=LogNormalPrior(median=0.3, spread=0.8))
    shown = prior_frame(priors).set_index("parameter")["90% of it"]
    low, high = stats.lognorm.interval(0.9, s=0.8, scale=0.3)
    assert shown["noise"] == f"{low:.3g} to {high:.3g}"
    low, high = stats.norm.interval(0.9, scale=priors.gate_bias_scale)
    assert shown["gate_bias_scale"] == f"{low:.3g} to {high:.3g}"


def test_curves_are_the_posterior_s(several):
    (curves,), posterior = curves_along(several, [1]), several.posterior
    points = curves.line.points
    assert np.ptp(points[:, 0]) == 0.0
    assert np.ptp(points[:, 1]) > 3.0
    for level, prob in enumerate(LEVELS):
        ends = posterior.predictive.quantile(points, [0.5 - prob / 2, 0.5 + prob / 2])
        np.testing.assert_allclose(curves.bands[:, level], np.moveaxis(ends, -1, 0), rtol=1e-6)
    np.testing.assert_allclose(curves.mean, posterior.predictive.mean(points), rtol=1e-12)
    reading = several.fit.for_regimes.posterior
    assert reading is not posterior
    np.testing.assert_allclose(
        curves.gate, reading.predictive.regime_probability(points), rtol=1e-9
    )
    experts = reading.by_draw.expert_mean(points).mean(axis=(0, 1))
    np.testing.assert_allclose(curves.experts, experts, rtol=1e-9)
    np.testing.assert_allclose(curves.gate.sum(axis=1), 1.0, rtol=1e-9)
    assert (np.diff(curves.bands[1], axis=0) >= 0.0).all()


def test_points_have_the_regimes_of_their_estimator(several):
    """Those of the leading reading, in a fit that has another one."""
    assert len(several.fit.readings) > 1
    content: Any = regimes.SECTION.content(several)
    points = content["state"]["points"]
    probability = several.estimator.training_regimes()
    every = fitted_regime_draws(several.fit, slice(None)).mean(axis=(0, 1))
    shown = np.asarray(points["probability"])
    # Written with three decimals.
    np.testing.assert_allclose(shown, probability.max(axis=1), atol=5.1e-4)
    assert points["regime"] == probability.argmax(axis=1).tolist()
    assert np.abs(shown - every.max(axis=1)).max() > 0.01


def test_the_report_opens_with_verdict_picture_and_readings():
    keys = [each.key for each in sections.SECTIONS]
    assert keys[:3] == ["verdict", "regimes", "readings"]
    assert keys[-3:] == ["data", "model", "reproduce"]


def drawn(evidence):
    """Names of the regimes in the interactive plot."""
    state: Any = regimes.SECTION.content(evidence)
    return [regime["name"] for regime in state["state"]["regimes"]]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("thresholds", ["gaussian_1", "gaussian_2"]),
        ("one", ["A"]),
        ("several", ["gaussian", "relu"]),
        ("single", ["linear_mix"]),
    ],
)
def test_a_regime_that_nobody_uses_is_neither_drawn_nor_named(request, kind, names):
    evidence = request.getfixturevalue(kind)
    assert drawn(evidence) == list(evidence.regimes) == names
    (curves,) = curves_along(evidence, [0])
    assert curves.gate.shape[-1] == curves.experts.shape[-1] == len(names)
    content: Any = regimes.SECTION.content(evidence)
    labels = [label.partition(":")[0] for label, _, _ in content["styles"]]
    assert labels == names
    points = content["state"]["points"]["regime"]
    assert set(points) <= set(range(len(names)))
    columns = {name for name in content["table"].frame if name.startswith("p(")}
    assert columns == ({f"p({name})" for name in names} if len(names) > 1 else set())
    others = set(evidence.posterior.regime_names) - set(names)
    flagged = [each.name for each in evidence.findings if each.severity != "ok"]
    assert not [each for each in flagged if each.endswith(tuple(f"[{name}]" for name in others))]
    assert not others & {one.below for each in evidence.boundaries for one in each.boundaries}


def test_readings_are_listed_and_drawn_the_leading_one_first(several, one, single):
    for evidence in (several, one):
        content: Any = section("readings").content(evidence)
        frame, fit = content["table"].frame, evidence.fit
        assert frame["reading"].tolist() == sorted(frame["reading"])
        leading = frame[frame["reading"] == 0].set_index("regime")["where and how"]
        assert leading.to_dict() == evidence.regimes == regime_descriptions(fit)
        pictures = content["pictures"]
        assert len(pictures) == len(evidence.told) == 2
        for number, (chart, caption) in enumerate(pictures):
            assert caption.startswith(f"Reading {number}, {fit.readings[number].weight:.0%} of")
            assert all(
                f"{k}: {how}" in caption for k, how in regime_descriptions(fit, number).items()
            )
            reading = fit.readings[number]
            counts = np.bincount(reading.responsibilities.argmax(axis=1), minlength=2)
            dots = [len(each.data_source.data["x"]) for each in chart.model.renderers]
            assert dots == counts[reading.used].tolist()
    assert section("readings").content(single) is None


def test_a_reading_by_itself_is_in_the_picture_above_only(thresholds):
    content: Any = section("readings").content(thresholds)
    assert len(thresholds.told) == 1
    assert content["pictures"] == []


def test_the_text_says_whose_regimes_it_gives(pages, several):
    for text in (pages["several"], pages["hostile"]):
        assert "p(z | x) are those within the leading reading" in text
        assert "predictions are averaged over all readings" in text
    (finding,) = (each for each in several.findings if each.name == "leading_reading")
    content: Any = sections.verdict.SECTION.content(several)
    assert finding.meaning in content["sentences"]
    assert "leading reading" not in pages["single"]


def test_the_first_view_is_along_the_feature_of_the_regimes_or_of_the_mean(one, single):
    assert one.lead == regime_feature(one.fit, 1)
    for evidence in (one, single):
        content: Any = regimes.SECTION.content(evidence)
        names = content["features"]
        assert sorted(names) == sorted(evidence.fit.feature_names)
        moves = {
            evidence.fit.feature_names[each.line.column]: np.ptp(each.mean)
            for each in curves_along(evidence, range(len(names)))
        }
        free = names if evidence.lead is None else names[1:]
        assert [moves[name] for name in free] == sorted((moves[n] for n in free), reverse=True)
        if evidence.lead is not None:
            assert names[0] == evidence.fit.feature_names[evidence.lead]
        # Points are along the feature that is chosen.
        x = content["state"]["points"]["x"]
        for name, values in zip(names, x, strict=True):
            column = evidence.fit.feature_names.index(name)
            np.testing.assert_allclose(values, evidence.fit.x[:, column], atol=1e-3)
    assert single.lead is None


def test_the_leading_feature_comes_first_however_many_there_are(several):
    far = replace(several)
    vars(far)["lead"] = 1
    assert far.features(1) == [1]
    assert far.features(2) == [1, 0]


def test_few_draws_are_grouped_as_all_are(several):
    assert several.light.readings is several.fit.readings


def test_curves_take_few_draws_of_every_restart(hostile):
    fit = hostile.fit
    theta = fit.posterior.theta.repeat(1, 60, 1)
    many = replace(hostile.estimator.fit_, posterior=replace(fit.posterior, theta=theta))
    reg = HybridRegressor(**hostile.estimator.get_params(deep=False))
    reg.fit_ = many
    light = replace(hostile, estimator=reg).light.posterior
    assert light.num_restarts == fit.posterior.num_restarts
    assert MAX_DRAWS / 2 < light.num_restarts * light.num_draws <= MAX_DRAWS
    assert hostile.light.posterior.num_draws == fit.posterior.num_draws


def test_training_rows_are_left_out(several, hostile):
    """Held-out rows are read as they are, training rows each from the other rows' posterior."""
    levels, _ = loo_pit(several.posterior, several.fit.x, several.fit.y)
    np.testing.assert_allclose(several.cdf, levels, rtol=1e-9)
    assert (several.is_left_out, several.is_held_out) == (True, False)
    missing = np.isnan(several.fit.y)
    assert (np.isnan(several.cdf) == missing).all()
    x, y = hostile.fit.x[:20], hostile.fit.y[:20]
    np.testing.assert_allclose(
        hostile.cdf[:, 0], hostile.posterior.predictive.pit(x, y), rtol=1e-12
    )
    assert not hostile.is_left_out


def test_scores_are_those_of_held_out_rows(hostile, several):
    content = sections.calibration.SECTION.content(hostile)
    assert content is not None
    table = content["scores"]
    assert isinstance(table, Table)
    scores = table.frame.query("regime == 'all'").set_index("score")["value"]
    x, y = hostile.fit.x[:20], hostile.fit.y[:20]
    away = hostile.posterior.predictive.mean(x) - y
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(away**2)))
    assert scores["log_score"] == pytest.approx(
        -hostile.posterior.predictive.log_density(x, y).mean()
    )
    without = sections.calibration.SECTION.content(several)
    assert without is not None
    assert without["scores"] is None


def test_rows_outside_the_data_are_counted(hostile):
    x = hostile.fit.x[:20].copy()
    inside = sections.data.SECTION.content(replace(hostile, x_test=x))
    x[:10, 0] = 100.0
    outside = sections.data.SECTION.content(replace(hostile, x_test=x))
    assert inside is not None
    assert outside is not None
    # One training row in a hundred counts as far itself.
    assert float(str(inside["share_outside"])) <= 0.1
    assert 0.5 <= float(str(outside["share_outside"])) <= 0.6


def test_thresholds_are_the_table_s(thresholds):
    content = sections.thresholds.SECTION.content(thresholds)
    assert content is not None
    parameters: Any = content["parameters"]
    pd.testing.assert_frame_equal(parameters["table"].frame, threshold_table(thresholds.fit))
    assert content["boundaries"] is None
    assert place_sentences(thresholds) == threshold_sentences(thresholds.fit)


def test_other_gates_have_boundaries(several, single):
    content = sections.thresholds.SECTION.content(several)
    assert content is not None
    assert content["parameters"] is None
    found: Any = content["boundaries"]
    expected = [boundaries(several.fit, feature) for feature in several.features(2)]
    frame = pd.concat([each.to_frame() for each in expected if each.boundaries], ignore_index=True)
    assert len(frame) > 0
    pd.testing.assert_frame_equal(found["table"].frame, frame)
    first: dict[Any, Any] = frame.iloc[0].to_dict()
    lower, upper = first["lower"], first["upper"]
    place, low, high = figures(upper - lower, first["mean"], lower, upper)
    assert f" at {place} (90% interval {low} to {high})" in found["sentences"][0]
    assert len(found["sentences"]) == len(frame) == len(place_sentences(several))
    without = sections.thresholds.SECTION.content(single)
    assert without is not None
    assert without["boundaries"] is None
    assert single.boundaries == []


def finding(name, severity):
    bound = 1.0 if severity == "ok" else -1.0
    return judge(name, 0.0, "<=", bound, meaning="m", advice="a", failing=severity)


def test_each_question_has_its_findings():
    found = [
        finding("nonfinite_density", "error"),
        finding("usage[relu]", "warning"),
        finding("gate_entropy", "ok"),
        finding("r_hat", "ok"),
        finding("something new", "warning"),
    ]
    replies = answers(found, 2)
    assert [answer.severity for answer in replies] == ["error", "warning", "warning"]
    flagged = [[one.name for one in answer.flagged] for answer in replies]
    assert flagged == [["nonfinite_density"], ["usage[relu]"], ["something new"]]
    assert len(answers([found[0], found[3]], 1)) == 2


@pytest.mark.parametrize(
    "name", ["constant_target", "constant_feature[a]", "prior_dominated", "trained_on"]
)
def test_findings_about_the_data_are_about_predictions_and_leave_regimes_open(name):
    (answer,) = answers([finding("nonfinite_density", "ok"), finding(name, "warning")], 2)
    assert answer.question == "Can the predictions be used?"
    assert answer.severity == "warning"
    assert answers([], 2)[0].question == answer.question


@pytest.mark.parametrize(
    "y",
    [
        np.full(60, 14.62),
        np.full(60, 1e20),
        np.zeros(60),
        1e-6 * np.where(np.arange(60) % 2, 0.1 + 0.2, 0.3),
        np.c_[make_rows()[1], np.full(60, 7.0)],
    ],
    ids=["14.62", "1e20", "0", "rounding", "one output"],
)
def test_a_report_on_a_constant_target_is_written(y):
    page = render(gather(fitted(make_rows()[0], y)))
    assert "constant_target" in page


def test_a_report_on_three_rows_is_written():
    x, y = make_rows(3)
    assert "prior_dominated" in render(gather(fitted(x, y)))


@pytest.mark.parametrize(
    ("trace", "points"),
    [
        ((0.0, 1.0), "1.0,35.0 159.0,1.0"),
        ((2.0, np.nan, 2.0), "1.0,35.0 159.0,35.0"),
        # The start is cut off, so that the rest can be seen.
        ((-1e9, *([0.0] * 10), 1.0), None),
    ],
)
def test_sparkline(trace, points):
    line = sparkline(trace)
    assert line is not None
    if points is None:
        assert line.points.endswith("144.6,35.0 159.0,1.0")
    else:
        assert line.points == points


def test_traces_are_of_the_objective_that_the_table_names(hostile):
    found: Any = section("training").content(hostile)
    first = found["table"].frame["first"]
    labels = [line.label for _, _, kind, line in found["stages"] if kind == "ELBO" and line]
    # SVI keeps its loss: minus the ELBO.
    (svi,) = (i for i, stage in enumerate(hostile.fit.training.stages) if stage.name == "SVI")
    assert first[svi] == -hostile.fit.training.stages[svi].trace[0]
    assert [label.split()[1] for label in labels] == [f"{first[svi]:.4g}"]


@pytest.mark.parametrize("trace", [(), (1.0,), (np.nan, np.inf)])
def test_no_sparkline_of_nothing(trace):
    assert sparkline(trace) is None


@dataclass(frozen=True)
class Foreign(StudentT):
    """A likelihood of somebody's own."""


def executed(code):
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *({"gate": kind()} for kind in GATES.values()),
        *({"likelihood": kind()} for kind in LIKELIHOODS.values()),
        {"likelihood": StudentT(df=LogNormalPrior(median=4.0, spread=0.5)), "priors": Priors()},
        {"likelihood": Foreign()},
        {"experts": (Pathway(kind="relu"), Pathway(kind="gaussian", likelihood=StudentT()))},
        {"fit_options": FitOptions(sampler=None, plan=("direct", "plain"))},
        {"fit_options": FitOptions(plan=PLANS["direct"]), "label_head": LabelHead(noise="none")},
        {"model": Pathway("relu", depth=2), "joined": np.bool_(True)},
    ],
    ids=str,
)
def test_the_code_imports_what_it_uses_and_makes_the_same_estimator(settings):
    reg = HybridRegressor(random_state=3, **settings)
    reg.fit_ = SimpleNamespace(seed=3)
    code = estimator_code(reg)
    lines = imports_of(code, *settings.values())
    again = executed("\n".join([*lines, f"again = {code}"]))["again"]
    assert again.get_params(deep=False) == reg.get_params(deep=False)


def test_what_has_no_code_is_to_be_replaced():
    reg = HybridRegressor(gate=object())
    reg.fit_ = SimpleNamespace(seed=3)
    code = estimator_code(reg)
    assert "gate=...,  # to be replaced: <object object at" in code
    executed("\n".join([*imports_of(code), code]))
    assert imports_of("far(HybridRegressor)")[0] == "# to be replaced: where is far?"


@pytest.mark.parametrize("held_out", [False, True])
def test_the_code_fits_the_same_again(tmp_path, monkeypatch, held_out):
    """Labels and held-out rows included, whose columns and folder are the reader's to name."""
    monkeypatch.chdir(tmp_path)
    x, y = make_rows()
    X = pd.DataFrame(x, columns=["a", "b"])
    zone = pd.Series(["gaussian" if value > 0.0 else "" for value in x[:, 1]])
    write_table(X.assign(y=y, zone=zone), tmp_path / "data.csv")
    rows = np.array([3, 17, 40]) if held_out else np.array([], dtype=int)
    kept = np.delete(np.arange(len(x)), rows)
    table = read_table(tmp_path / "data.csv").loc[kept]
    reg = fitted(table[["a", "b"]], table["y"], table["zone"])
    reg.save("fit", held_out=HeldOut(rows=rows, x=x[rows], y=y[rows]) if held_out else None)
    evidence = gather(load("fit"))
    code = fit_code(evidence)
    assert ("load" in code) == ("held_out_.rows" in code) == held_out
    assert 'labels = "regime_label"  # to be replaced' in code
    again = executed(code.replace('"regime_label"', '"zone"'))["reg"]
    np.testing.assert_array_equal(again.fit_.x, reg.fit_.x)
    np.testing.assert_array_equal(again.fit_.labels, reg.fit_.labels)
    assert (again.fit_.posterior.theta == reg.fit_.posterior.theta).all()
    page, other = (render(evidence), (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert (
        "3 rows were held out and saved with the fit; 57 others were fitted" in page
    ) == held_out
    assert ("measured on 3 held-out rows" in other) == held_out


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_its_equation(name):
    model = HybridMixture(gate=GATES[name]())
    equations = gate_equations(model, ("dose",)) + joint_equations(model)
    for equation in equations:
        assert equation.words
        assert ElementTree.fromstring(str(equation.math)).tag.endswith("math")


@pytest.mark.parametrize("kind", COMBINATIONS)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("noise", ["constant", "input"])
def test_every_pathway_has_its_equations(kind, smoothing, noise):
    pathway = Pathway(kind=kind, smoothing=smoothing, noise=noise)
    equations = expert_equations(pathway) + joint_equations(PathwayModel(pathway=pathway))
    assert all(ElementTree.fromstring(str(equation.math)) for equation in equations)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_has_its_density(name):
    likelihood = LIKELIHOODS[name]()
    *_, density = expert_equations(Pathway(likelihood=likelihood))
    assert density.math is not None
    for field in fields(likelihood):
        value = getattr(likelihood, field.name)
        if isinstance(value, float):
            assert f"{field.name} is {value:g}" in density.words
    if likelihood.shape_name is not None:
        learned = replace(likelihood, **{likelihood.shape_name: LogNormalPrior(median=1, spread=1)})
        assert "learned" in expert_equations(Pathway(likelihood=learned))[-1].words


def test_light_tones_are_the_palette():
    light = _own("report.css").partition("@media")[0]
    for tone, style in zip(PALETTE_TONES, PALETTE, strict=True):
        assert f"--{tone}: {style.color};" in light


def test_rounding_keeps_five_digits_of_the_range():
    values = np.array([123.456789, 0.00012345, np.nan])
    np.testing.assert_array_equal(rounded(values), [123.46, 0.0, np.nan])
    years = np.array([1979.7123456, 1981.4234567])
    np.testing.assert_array_equal(rounded(years), [1979.7123, 1981.4235])
    np.testing.assert_array_equal(rounded(np.full(2, 1980.47123)), np.full(2, 1980.5))
    np.testing.assert_array_equal(rounded(np.zeros(2)), np.zeros(2))
    assert limits([np.array([1.0, np.inf]), np.array([3.0])], margin=0.5) == (0.0, 4.0)
    assert limits([np.array([2.0])], margin=0.5) == (1.0, 3.0)


def test_settings_that_the_status_names_say_where_they_go(single):
    status = "More steps (`WarmStart(max_steps=...)`) may help."
    reg = HybridRegressor(**single.estimator.get_params(deep=False))
    reg.fit_ = replace(single.fit, training=replace(single.fit.training, status=status))
    told = replace(single, estimator=reg).status
    assert "`fit_options=FitOptions(warm_start=WarmStart(max_steps=...))`" in told
