import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import threshold_sentences, threshold_table, to_datatree
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
    ends = np.quantile(switch, [0.1, 0.9])
    assert (row.lower, row.upper) == pytest.approx(tuple(ends), rel=1e-12)
    widths = np.quantile(2.0 * np.log(9.0) / slope, [0.1, 0.5, 0.9])
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


def test_sentence():
    fit = fakes.with_thresholds(fakes.healthy(jitter=1e-6, switch=0.31))
    assert threshold_sentences(fit) == [
        "The regime changes from 'gaussian' to 'relu' at dose = 0.31 (90% interval 0.31 to 0.31)."
    ]


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
