"""Scores of regime probabilities: by hand, by scikit-learn, and by simulation."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from bayes_hybrid.diagnostics import regime_scores
from bayes_hybrid.errors import DataError

NAMES = ("gaussian", "relu", "linear")


def simulated(num_rows=400, num_regimes=3, seed=0, sharpen=1.0):
    """Regimes drawn from probabilities, and these made more (or less) certain than they are."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.standard_normal((num_rows, num_regimes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((num_rows, 1)) > probs.cumsum(axis=1)[:, :-1]).sum(axis=1)
    probs = probs**sharpen
    return probs / probs.sum(axis=1, keepdims=True), truth.astype(float)


def cell(scores, score, column="value"):
    return scores.loc[score, column]


@pytest.mark.parametrize("num_regimes", [2, 3])
def test_scores_are_scikit_learns(num_regimes):
    probs, truth = simulated(num_regimes=num_regimes)
    scores = regime_scores(probs, truth, NAMES[:num_regimes])["value"]
    # Sums of 400 float64 numbers in another order.
    assert scores["log_loss"] == pytest.approx(log_loss(truth, probs), rel=1e-12)
    auc = (
        roc_auc_score(truth, probs[:, 1])
        if num_regimes == 2
        else roc_auc_score(truth, probs, multi_class="ovr", average="macro")
    )
    assert scores["auc"] == pytest.approx(auc, rel=1e-12)
    brier = np.mean(
        [
            sum((p[k] - (z == k)) ** 2 for k in range(num_regimes))
            for p, z in zip(probs, truth, strict=True)
        ]
    )
    assert scores["brier"] == pytest.approx(brier, rel=1e-12)


def test_calibration_error_by_hand():
    # Two confidences: bins of as many rows each keep rows of one confidence together.
    probs = np.repeat([[0.9, 0.1], [0.4, 0.6]], 50, axis=0)
    truth = np.concatenate([np.repeat([0.0, 1.0], [40, 10]), np.repeat([1.0, 0.0], [40, 10])])
    # Half of the rows are 0.9 sure and hit in 0.8, the others 0.6 and 0.8.
    expected = 0.5 * 0.1 + 0.5 * 0.2
    for order in (np.arange(100), np.random.default_rng(0).permutation(100)):
        scores = regime_scores(probs[order], truth[order], NAMES[:2])
        assert cell(scores, "ece") == pytest.approx(expected, rel=1e-12)


def test_calibration_error_tells_too_sure_from_right():
    right, truth = simulated(4_000, 2)
    sure, _ = simulated(4_000, 2, sharpen=3.0)
    calibrated, too_sure = (
        cell(regime_scores(probs, truth, NAMES[:2]), "ece") for probs in (right, sure)
    )
    # Ten bins of 400 rows, each off by at most 0.025 in sd: a mean gap above 0.03 comes up in
    # fewer than one of 10,000 seeds.
    assert calibrated < 0.03
    assert too_sure > 0.08


def test_standard_errors_are_the_spread_over_data_sets():
    sets = []
    for seed in range(400):
        probs, truth = simulated(100, 2, seed)
        sets.append(regime_scores(probs, truth, NAMES[:2]))
    for score in ("log_loss", "brier", "auc"):
        spread = np.std([cell(one, score) for one in sets], ddof=1)
        stated = np.mean([cell(one, score, "standard_error") for one in sets])
        # The spread of 400 values is known to 3.5%; Hanley and McNeil's formula is off by up to
        # 10% where scores are not exponential.
        assert stated == pytest.approx(spread, rel=0.2), score


def test_rows_without_a_known_regime_are_left_out():
    probs, truth = simulated()
    part = truth.copy()
    part[::3] = np.nan
    there = ~np.isnan(part)
    found = regime_scores(probs, part, NAMES)
    assert (found["num_rows"] == there.sum()).all()
    assert found.equals(regime_scores(probs[there], part[there], NAMES))


def test_a_single_class_has_no_auc_and_the_note_says_why():
    probs, _ = simulated(num_regimes=2)
    scores = regime_scores(probs, np.ones(400), NAMES[:2])
    assert math.isnan(cell(scores, "auc"))
    assert "every row is 'relu'" in cell(scores, "auc", "note")
    assert np.isfinite(scores["value"].drop("auc")).all()


def test_an_absent_regime_is_left_out_of_the_mean_and_named():
    probs, truth = simulated()
    rows = truth != 2
    scores = regime_scores(probs[rows], truth[rows], NAMES)
    expected = np.mean([roc_auc_score(truth[rows] == k, probs[rows, k]) for k in range(2)])
    assert cell(scores, "auc") == pytest.approx(expected, rel=1e-12)
    assert cell(scores, "auc", "note") == "without ['linear'], of which there is no row"


def test_certain_and_wrong_stays_finite():
    scores = regime_scores([[1.0, 0.0], [0.5, 0.5]], [1, 0], NAMES[:2])
    # 36.04 nats for the first, log 2 for the second.
    assert cell(scores, "log_loss") == pytest.approx((36.04 + math.log(2)) / 2, abs=0.01)
    one = regime_scores([[0.5, 0.5]], [1], NAMES[:2])
    assert one["standard_error"].isna().all()


@pytest.mark.parametrize(
    ("probs", "truth", "message"),
    [
        ([[0.5, 0.5]], [0, 1], r"got shapes \(1, 2\) and \(2,\)"),
        ([[0.2, 0.3, 0.5]], [0], r"probabilities \[N, 2\]"),
        ([[0.5, 0.6]], [0], "row 1 of the probabilities"),
        ([[1.5, -0.5]], [0], "row 1 of the probabilities"),
        ([[0.5, np.nan]], [0], "row 1 of the probabilities"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], "row 2: 2 is the number of no regime"),
        ([[0.5, 0.5]], [0.5], "row 1: 0.5 is the number of no regime"),
        ([[0.5, 0.5]], [np.nan], "no row has a known regime"),
    ],
)
def test_what_cannot_be_scored_is_refused(probs, truth, message):
    with pytest.raises(DataError, match=message):
        regime_scores(probs, truth, NAMES[:2])
