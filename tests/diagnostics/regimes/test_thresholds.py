import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import (
    diagnose,
    threshold_sentences,
    threshold_table,
    to_datatree,
)
from bayes_hybrid.diagnostics.regimes.thresholds import threshold_findings
from bayes_hybrid.errors import OptionError
from bayes_hybrid.gates import THRESHOLD_GATES
from tests.diagnostics import fakes


def test_table_is_that_of_the_draws():
    fit = fakes.with_thresholds(fakes.healthy(jitter=0.1))
    (row,) = threshold_table(fit, prob=0.8).itertuples()
    switch, slope = (fit.posterior.sites[name].ravel() for name in ("switch", "slope"))
    assert (row.below, row.above, row.feature, row.prob) == ("gaussian", "relu", "dose", 0.8)
    # The same formulas on the same numbers.
    assert (row.mean, row.sd) == pytest.approx((switch.mean(), switch.std()), rel=1e-12)
    ends = fakes.draw_quantiles(switch, [0.1, 0.9])
    assert (row.lower, row.upper) == pytest.approx(tuple(ends), rel=1e-12)
    widths = fakes.draw_quantiles(2.0 * np.log(9.0) / slope, [0.1, 0.5, 0.9])
    assert (row.width_lower, row.width, row.width_upper) == pytest.approx(tuple(widths), rel=1e-12)


def test_linear_combination_names_its_coefficients():
    fit = fakes.healthy(num_features=2)
    coefficients = np.broadcast_to([0.5, -0.25], (4, 100, 2))
    fit = fakes.with_thresholds(
        fit, feature=None, coefficients=coefficients, origin=np.array([1.5, -20.0])
    )
    (row,) = threshold_table(fit).to_dict("records")
    assert row["feature"] == "0.5 (dose - 1.5) - 0.25 (other 1 + 20)"
    assert (row["coefficient[dose]"], row["coefficient[other 1]"]) == (0.5, -0.25)
    (sentence,) = threshold_sentences(fit)
    assert " at 0.5 (dose - 1.5) - 0.25 (other 1 + 20) = 0." in sentence


def test_a_later_feature_is_named():
    fit = fakes.with_thresholds(fakes.healthy(num_features=2), feature=1)
    assert list(threshold_table(fit)["feature"]) == ["other 1"]


def placed(location, x):
    """The fake at these thresholds in its draws, and these values of its feature."""
    fit = fakes.with_thresholds(fakes.healthy())
    location = np.broadcast_to(np.asarray(location, dtype=float), (4, 100))[..., None]
    found = dataclasses.replace(fit.posterior.thresholds, location=location)
    posterior = dataclasses.replace(fit.posterior, thresholds=found)
    return dataclasses.replace(fit, posterior=posterior, x=np.asarray(x, dtype=float)[:, None])


def test_sentence():
    draws = 1980.47 + np.linspace(-0.95, 0.95, 400).reshape(4, 100)
    assert threshold_sentences(placed(draws, np.arange(1970.0, 1990.0))) == [
        "The regime changes from 'gaussian' to 'relu' at dose = 1980.5 "
        "(90% interval 1979.6 to 1981.3)."
    ]


def test_draws_outside_the_data_are_counted_and_told():
    # The data lie in 0 to 10. Of 100 draws 20 lie below, 30 above, one and two at the ends.
    draws = np.repeat([-1.0, 0.0, 5.0, 10.0, 12.0], [20, 1, 47, 2, 30])
    fit = placed(draws, np.linspace(0.0, 10.0, 11))
    (row,) = threshold_table(fit).itertuples()
    # The row at 0 is below a threshold at 0, and none is above one at 10.
    assert row.probability_outside == pytest.approx(0.52)
    assert row.probability_no_row == pytest.approx(0.52)
    (sentence,) = threshold_sentences(fit)
    assert sentence == (
        "The regime may change from 'gaussian' to 'relu' at dose = 6 (90% interval -1 to 12); "
        "52% of the draws put the change outside the data."
    )


@pytest.mark.parametrize(("share", "verb"), [(0.0, "changes"), (0.04, "changes"), (0.07, "may")])
def test_the_sentence_is_as_sure_as_the_draws(share, verb):
    draws = np.where(np.arange(400) < 400 * share, 20.0, 5.0).reshape(4, 100)
    (sentence,) = threshold_sentences(placed(draws, np.linspace(0.0, 10.0, 11)))
    assert sentence.startswith(f"The regime {verb}")
    assert ("outside the data" in sentence) == (share > 0.0)


def test_a_regime_between_two_thresholds_may_have_no_row():
    fit = placed(0.0, np.linspace(0.0, 10.0, 11))
    # Half of the draws put both changes between the same two rows.
    location = np.full((4, 100, 2), (3.3, 3.4))
    location[:2, :, 1] = 6.5
    found = dataclasses.replace(
        fit.posterior.thresholds, location=location, width=0.1 + 0 * location
    )
    posterior = dataclasses.replace(
        fit.posterior, thresholds=found, regime_names=("low", "middle", "high")
    )
    fit = dataclasses.replace(fit, posterior=posterior)
    table = threshold_table(fit)
    assert table["probability_outside"].tolist() == [0.0, 0.0]
    assert table["probability_no_row"].tolist() == [0.5, 0.5]
    for sentence in threshold_sentences(fit):
        assert sentence.startswith("The regime may change from ")
        assert sentence.endswith("; in 50% of the draws one of the two regimes has no row.")


def test_draws_of_a_combination_have_their_own_rows():
    """Counted by hand, draw by draw, over more cells than one chunk takes."""
    rng = np.random.default_rng(0)
    fit = fakes.healthy(num_features=2)
    coefficients, origin = rng.normal(size=(4, 100, 2)), np.array([0.3, -0.2])
    fit = fakes.with_thresholds(fit, feature=None, coefficients=coefficients, origin=origin)
    fit = dataclasses.replace(fit, x=rng.normal(size=(20_000, 2)))
    location = rng.normal(scale=3.0, size=(4, 100, 1))
    found = dataclasses.replace(fit.posterior.thresholds, location=location)
    fit = dataclasses.replace(fit, posterior=dataclasses.replace(fit.posterior, thresholds=found))
    outside = [
        not 0 < ((fit.x - origin) @ coefficients[r, s] > location[r, s, 0]).sum() < len(fit.x)
        for r in range(4)
        for s in range(100)
    ]
    assert 0.05 < np.mean(outside) < 0.95
    assert threshold_table(fit)["probability_outside"][0] == pytest.approx(np.mean(outside))


def test_without_thresholds():
    assert threshold_sentences(fakes.healthy()) == []
    with pytest.raises(OptionError) as caught:
        threshold_table(fakes.healthy())
    assert all(repr(name) in str(caught.value) for name in THRESHOLD_GATES)


@pytest.mark.parametrize("prob", [0.0, 1.0, 90])
def test_bad_prob(prob):
    with pytest.raises(OptionError, match="prob must lie strictly between 0 and 1"):
        threshold_table(fakes.with_thresholds(fakes.healthy()), prob=prob)


def test_datatree_has_the_thresholds():
    fit = fakes.with_thresholds(fakes.healthy())
    tree = to_datatree(fit, seed=0)
    threshold = tree["posterior"]["threshold"]
    assert threshold.dims == ("chain", "draw", "boundary")
    assert list(threshold.coords["boundary"].values) == ["gaussian to relu"]
    np.testing.assert_array_equal(threshold[..., 0], fit.posterior.sites["switch"])
    # Summaries come before sites.
    assert list(tree["posterior"].data_vars)[:3] == ["usage", "log_lik", "threshold"]
    assert "threshold" not in to_datatree(fakes.healthy(), seed=0)["posterior"]


def test_a_target_named_like_the_boundaries_gets_another_name():
    fit = dataclasses.replace(fakes.with_thresholds(fakes.healthy()), target_name="boundary")
    assert "boundary_" in to_datatree(fit, seed=0)["observed_data"]


# -- the finding


def test_a_threshold_that_the_rows_place_is_identified():
    draws = 6.2 + np.linspace(-0.95, 0.95, 400).reshape(4, 100)
    (found,) = threshold_findings(placed(draws, np.linspace(0.0, 10.0, 101)))
    assert found.name == "threshold_unidentified[gaussian to relu]"
    # The 90% interval is 5.345 to 7.055: rows at 5.4 to 7.0.
    assert found.value == pytest.approx(17 / 101, abs=1.0 / 101)
    assert found.severity == "ok"
    assert "dose = 5.3 to 7.1, holds 17% of the rows." in found.meaning


@pytest.mark.parametrize(("low", "high", "severity"), [(3.0, 7.0, "ok"), (1.0, 9.0, "warning")])
def test_an_interval_with_most_of_the_rows_is_none(low, high, severity):
    draws = np.linspace(low, high, 400).reshape(4, 100)
    (found,) = threshold_findings(placed(draws, np.linspace(0.0, 10.0, 101)))
    assert found.value == pytest.approx(0.09 * (high - low), abs=0.02)
    assert found.severity == severity


@pytest.mark.parametrize("share", [0.04, 0.06])
@pytest.mark.parametrize("beyond", [-5.0, 20.0])
def test_an_interval_that_leaves_the_data_is_none(share, beyond):
    draws = np.where(np.arange(400) < 400 * share, beyond, 5.0).reshape(4, 100)
    (found,) = threshold_findings(placed(draws, np.linspace(0.0, 10.0, 11)))
    assert (found.value, found.severity) == ((0.0, "ok") if share < 0.05 else (1.0, "warning"))
    assert ("reaches beyond the data" in found.meaning) == (share > 0.05)


def test_the_finding_does_not_depend_on_the_features_scale():
    rng = np.random.default_rng(0)
    draws, x = rng.normal(1.0, 0.5, (4, 100)), rng.normal(size=200)
    (plain,) = threshold_findings(placed(draws, x))
    (bent,) = threshold_findings(placed(np.exp(draws), np.exp(x)))
    assert bent.value == plain.value


def test_each_boundary_has_a_finding():
    fit = placed(0.0, np.linspace(0.0, 10.0, 101))
    location = np.full((4, 100, 2), (2.0, 5.0))
    location[..., 1] = np.linspace(2.1, 9.9, 400).reshape(4, 100)
    found = dataclasses.replace(
        fit.posterior.thresholds, location=location, width=0.1 + 0 * location
    )
    posterior = dataclasses.replace(
        fit.posterior, thresholds=found, regime_names=("low", "middle", "high")
    )
    findings = threshold_findings(dataclasses.replace(fit, posterior=posterior))
    assert [f.name for f in findings] == [
        "threshold_unidentified[low to middle]",
        "threshold_unidentified[middle to high]",
    ]
    assert [f.severity for f in findings] == ["ok", "warning"]
    assert [f.value for f in findings] == pytest.approx([0.0, 0.9 * 0.78], abs=0.02)


def test_a_combination_is_judged_by_the_rows_of_each_draw():
    """Direction and threshold move together, and the rows stay where they are."""
    fit = fakes.healthy(num_features=2)
    size = np.linspace(1.0, 3.0, 400).reshape(4, 100)
    coefficients = np.stack([size, 0.0 * size], axis=-1)
    fit = fakes.with_thresholds(
        fit, feature=None, coefficients=coefficients, origin=np.array([0.0, 0.0])
    )
    moved = dataclasses.replace(fit.posterior.thresholds, location=(0.3 * size)[..., None])
    fit = dataclasses.replace(fit, posterior=dataclasses.replace(fit.posterior, thresholds=moved))
    (found,) = threshold_findings(fit)
    assert found.value == pytest.approx(0.0, abs=1e-9)
    assert found.severity == "ok"


def test_only_gates_with_thresholds_have_the_finding():
    assert threshold_findings(fakes.healthy()) == []
    names = {f.name for f in diagnose(fakes.with_thresholds(fakes.healthy()))}
    assert "threshold_unidentified[gaussian to relu]" in names
