"""Expected durations against sampled paths."""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import expected_durations
from bayes_hybrid.diagnostics.evaluation import evaluation
from bayes_hybrid.errors import OptionError
from tests.diagnostics.fakes import draw_quantiles, healthy


def runs_of(path, regime):
    """Lengths of the runs of a regime, by going along the path."""
    lengths, current = [], 0
    for state in [*path.tolist(), -1]:
        if state == regime:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


def test_it_is_the_mean_run_of_many_paths():
    fit = healthy(num_rows=25, restarts=1, draws=1, intercept=[0.0, 0.3], slope=2.0)
    probs = fit.posterior.by_draw.regime_probability(fit.x, fit.y)[0, 0, :, 1]
    rng = np.random.default_rng(0)
    paths = (rng.random((20_000, 25)) < probs).astype(int)
    table = expected_durations(fit).set_index("regime")
    for regime, name in enumerate(("gaussian", "relu")):
        lengths = [runs_of(path, regime) for path in paths]
        totals, counts = (
            np.array([sum(each) for each in lengths]),
            np.array(list(map(len, lengths))),
        )
        ratio = totals.sum() / counts.sum()
        # Standard error of a ratio of means, and four of them: a false alarm in 16,000.
        error = np.std(totals - ratio * counts) / np.sqrt(len(paths)) / counts.mean()
        assert table.loc[name, "mean"] == pytest.approx(ratio, abs=4 * error)
        assert error < 0.02 * ratio
        assert table.loc[name, "rows"] == pytest.approx(probs.sum() if regime else 25 - probs.sum())


def test_regimes_that_are_certain_have_their_own_lengths():
    fit = healthy(num_rows=6, restarts=2, draws=2)
    labelled = dataclasses.replace(fit, labels=np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0]))
    table = expected_durations(labelled)
    assert table["mean"].tolist() == [1.5, 1.5]
    assert table["runs"].tolist() == [2.0, 2.0]
    assert table["rows"].tolist() == [3.0, 3.0]
    assert (table["lower"] == table["upper"]).all()


def test_order_is_by_a_feature():
    fit = healthy(num_rows=6, restarts=1, draws=2)
    mixed = np.array([3, 0, 5, 1, 4, 2])
    labels = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])[mixed]
    mixed_up = dataclasses.replace(fit, x=fit.x[mixed], y=fit.y[mixed], labels=labels)
    assert expected_durations(mixed_up, order="dose")["mean"].tolist() == [1.5, 3.0]
    assert expected_durations(mixed_up)["mean"].tolist() != [1.5, 3.0]
    with pytest.raises(OptionError, match="did you mean 'dose'"):
        expected_durations(mixed_up, order="dosis")


def test_a_regime_that_no_row_is_in_has_no_length():
    fit = healthy(num_rows=6, restarts=1, draws=2)
    table = expected_durations(dataclasses.replace(fit, labels=np.zeros(6)))
    assert table["mean"].tolist()[0] == 6.0
    assert table[["mean", "lower", "upper"]].iloc[1].isna().all()
    assert table["runs"].tolist() == [1.0, 0.0]


def test_intervals_are_over_draws_and_chunks_change_nothing(monkeypatch):
    fit = healthy(restarts=2, draws=20, jitter=0.2)
    table = expected_durations(fit, prob=0.5)
    probs = fit.posterior.by_draw.regime_probability(fit.x, fit.y).reshape(40, -1, 2)
    starts = probs[:, 0] + (probs[:, 1:] * (1.0 - probs[:, :-1])).sum(axis=1)
    length = probs.sum(axis=1) / starts
    # The same formula on the same numbers, summed in another order.
    np.testing.assert_allclose(table["lower"], draw_quantiles(length, 0.25, axis=0), rtol=1e-10)
    np.testing.assert_allclose(table["mean"], length.mean(axis=0), rtol=1e-10)
    monkeypatch.setattr(evaluation, "_CELLS_PER_CHUNK", 3 * 40 * 2)
    again = expected_durations(fit, prob=0.5)
    np.testing.assert_allclose(again["mean"], table["mean"], rtol=1e-10)


def test_bad_prob_is_refused():
    with pytest.raises(OptionError, match="prob"):
        expected_durations(healthy(restarts=1, draws=2), prob=1.0)
