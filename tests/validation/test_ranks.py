"""Ranks of true values, and the band of their ecdf."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayes_hybrid.errors import DataError
from bayes_hybrid.validation.calibration import summarised
from bayes_hybrid.validation.ranks import simultaneous_band, uniform_rank
from bayes_hybrid.validation.replication import Replication


class Half(np.random.Generator):
    """A generator whose uniform number is a half."""

    def uniform(self, *_: object, **__: object) -> Any:
        return 0.5


@pytest.mark.parametrize(
    ("truth", "draws", "rank"),
    [
        (0.0, [1.0, 2.0, 3.0], 0.5 / 4),
        (2.5, [3.0, 1.0, 2.0], 2.5 / 4),
        (9.0, [1.0, 2.0, 3.0], 3.5 / 4),
        # One below, two alike: anything from 1 to 4 of 4.
        (2.0, [1.0, 2.0, 2.0], 2.5 / 4),
        (np.inf, [np.inf, np.inf, 0.0], 2.5 / 4),
    ],
)
def test_the_rank_by_hand(truth, draws, rank):
    assert uniform_rank(truth, np.array(draws), Half(np.random.PCG64(0))) == pytest.approx(
        rank, rel=1e-15
    )


def test_a_draw_counts_by_its_weight():
    weights = np.array([0.5, 0.25, 0.25])
    found = uniform_rank(1.5, np.array([1.0, 2.0, 1.5]), Half(np.random.PCG64(0)), weights)
    # Of three draws: one and a half below, and half of 1 + 3/4 for the tie.
    assert found == pytest.approx((1.5 + 0.5 * 1.75) / 4)


def test_ranks_of_exchangeable_numbers_are_uniform_with_ties_too():
    rng = np.random.default_rng(0)
    for values in (rng.standard_normal((3_000, 20)), rng.integers(0, 3, (3_000, 20))):
        ranks = [uniform_rank(float(row[0]), row[1:].astype(float), rng) for row in values]
        # Fails once in a hundred seeds.
        assert stats.kstest(ranks, "uniform").pvalue > 0.01


def test_nan_has_no_rank():
    for truth, draws in ((np.nan, [1.0]), (1.0, [np.nan])):
        with pytest.raises(DataError, match="NaN, which has no rank"):
            uniform_rank(truth, np.array(draws), np.random.default_rng(0))


@pytest.mark.parametrize("num_values", [50, 200])
def test_the_band_holds_uniform_numbers_as_often_as_it_says(num_values):
    band = simultaneous_band(num_values, 0.95)
    rng = np.random.default_rng(1)
    outside = [band.excess(rng.uniform(size=num_values)) > 1e-9 for _ in range(2_000)]
    # Three standard errors of 0.05 over 2,000, and one point for a level of jumps of 1 / M.
    assert np.mean(outside) == pytest.approx(0.05, abs=0.015 + 0.01)


def test_the_excess_by_brute_force():
    band = simultaneous_band(40, 0.9)
    values = np.random.default_rng(2).beta(2.0, 3.0, 40)
    worst = -np.inf
    for point, lower, upper in zip(band.points, band.lower, band.upper, strict=True):
        share = (values <= point).mean()
        worst = max(worst, lower - share, share - upper)
    assert band.excess(values) == pytest.approx(worst, abs=1e-12)
    assert worst > 0.0


def conjugate(spread, shift, num_replications=200, num_rows=10, num_draws=60):
    """mu ~ Normal(0, 1), y ~ Normal(mu, 1): replications of a posterior with a wrong sd or mean."""
    rng = np.random.default_rng(3)
    replications = []
    for number in range(num_replications):
        mu = rng.standard_normal()
        y = mu + rng.standard_normal(num_rows)
        sd = (num_rows + 1.0) ** -0.5
        mean = y.sum() / (num_rows + 1.0) + shift * sd
        rank = uniform_rank(mu, rng.normal(mean, spread * sd, num_draws), rng)
        replications.append(Replication(number=number, rank={"mu": rank}, seconds=0.0))
    return summarised(replications, 0.95)


@pytest.mark.parametrize(
    ("spread", "shift", "reading"),
    [
        (1.0, 0.0, ""),
        (0.5, 0.0, "the posterior is too narrow"),
        (2.0, 0.0, "the posterior is too wide"),
        (1.0, 1.0, "the posterior is too high"),
        (1.0, -1.0, "the posterior is too low"),
    ],
)
def test_an_exact_posterior_passes_and_a_wrong_one_is_caught_and_named(spread, shift, reading):
    result = conjugate(spread, shift)
    assert result.misses == (("mu",) if reading else ())
    assert result.table["reading"].tolist() == [reading]


def test_the_table_by_hand():
    result = conjugate(0.5, 0.0)
    ranks = result.ranks["mu"].to_numpy()
    row = result.table.iloc[0]
    assert row["mean_rank"] == pytest.approx(ranks.mean())
    assert row["spread"] == pytest.approx(ranks.std() * np.sqrt(12.0))
    # With half the sd the 90% interval is that of 0.82 sd: 2 Phi(0.8224) - 1 = 59%.
    assert row["coverage_90"] == pytest.approx(0.589, abs=3 * np.sqrt(0.59 * 0.41 / 200))


def test_the_plot_has_a_panel_for_each_quantity_and_names_the_misses():
    figure = conjugate(0.5, 0.0).plot()
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["mu: outside"]
