"""Do restarts say the same, and are they restarts at all?"""

import dataclasses

import numpy as np
import pytest

from bayes_hybrid.diagnostics import diagnose
from bayes_hybrid.diagnostics.evaluation.evaluation import evaluate
from bayes_hybrid.diagnostics.findings.mixing import (
    label_free,
    material,
    seed_dependence,
    seed_finding,
)
from tests.diagnostics.fakes import FakePosterior, healthy


def evaluated(fit):
    return evaluate(fit, max_rows=None)


def swapped(weights=None):
    """Two pairs of restarts, the second with its regimes the other way round."""
    fit = healthy(restarts=4, jitter=0.01)
    sites = {name: draws.copy() for name, draws in fit.posterior.sites.items()}
    for name in ("intercept", "weight", "scale"):
        sites[name][2:] = sites[name][2:, :, ::-1]
    sites["slope"][2:] *= -1.0
    return dataclasses.replace(fit, posterior=FakePosterior(sites=sites, weights=weights))


def test_quantities_do_not_depend_on_the_numbers_of_the_regimes():
    draws = label_free(evaluated(swapped()))
    assert draws.shape[-1] == len(material(evaluated(swapped())))
    # Usage, entropy, log likelihood and means of a mixture whose regimes have traded names.
    first, second = draws[:2].mean(axis=(0, 1)), draws[2:].mean(axis=(0, 1))
    np.testing.assert_allclose(first, second, atol=0.01)
    assert seed_dependence(evaluated(swapped())) == (1.0, 0)


def test_restarts_apart_depend_on_their_seed():
    assert [f.severity for f in seed_finding(evaluated(healthy()))] == ["ok"]
    (found,) = seed_finding(evaluated(healthy(shift=0.5)))
    assert found.severity == "warning"
    assert found.value > 1.5


def test_a_difference_that_does_not_matter_is_none():
    """Restarts further apart than their own spread, but by less than anyone would see."""
    evaluation = evaluated(healthy(jitter=1e-4, shift=3e-3))
    assert seed_dependence(evaluation) == (1.0, 0)
    assert (label_free(evaluation).mean(axis=1).std(axis=0) < material(evaluation)).all()


@pytest.mark.parametrize(("num_apart", "flagged"), [(1, False), (3, True)])
def test_predicted_means_count_where_more_than_a_tenth_of_the_rows_differ(num_apart, flagged):
    evaluation = evaluated(healthy(jitter=1e-4))
    mean = evaluation.mean[..., :20].copy()
    # Two restarts, a predictive sd apart on some of twenty rows.
    mean[-1, :, :num_apart] += np.sqrt(evaluation.variance[:num_apart]) * 4.0
    changed = dataclasses.replace(evaluation, mean=mean, variance=evaluation.variance[:20])
    value, count = seed_dependence(changed)
    assert count == (num_apart if flagged else 0)
    assert (value > 1.1) is flagged


def test_between_restart_findings_go_by_weight():
    """Four restarts in two pairs that disagree: of all pairs 4 in 6 do, by weight fewer."""
    weights = np.array([0.4, 0.4, 0.1, 0.1])
    even, uneven = (
        {f.name: f.value for f in diagnose(swapped(each))}["regime_disagreement"]
        for each in (None, weights)
    )
    pairs = np.outer(weights, weights)
    share = 2.0 * pairs[:2, 2:].sum() / (1.0 - np.square(weights).sum())
    assert uneven == pytest.approx(even * share / (4 / 6), rel=0.01)
    assert even > 0.6


def test_one_restart_was_not_to_be_compared():
    fit = healthy(restarts=1)
    assert seed_finding(evaluated(fit)) == []
    assert seed_finding(evaluated(healthy(draws=3))) == []
