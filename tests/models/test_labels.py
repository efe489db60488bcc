"""Observed regime labels, against sums over the regimes written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from bayes_hybrid.distributions import Assignment
from bayes_hybrid.errors import OptionError
from bayes_hybrid.models import HybridMixture, LabelHead, Target
from bayes_hybrid.models.labels import LabelOfRegime, RegimeLabel

_NAN = math.nan
# Two orders of evaluation in float64.
_EXACT: Any = {"rtol": 1e-13, "atol": 1e-13}


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


PROBS = _t([0.2, 0.5, 0.3], [0.9, 0.06, 0.04], [0.1, 0.1, 0.8])
CONFUSION = _t([0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4])


def _label(log_probs, log_confusion, weight):
    return RegimeLabel(log_probs, log_confusion, LabelHead(weight=weight), Assignment())


@pytest.mark.parametrize("weight", [1.0, 0.25, 3.0])
def test_a_label_is_summed_over_the_regimes(weight):
    site = _label(PROBS.log(), CONFUSION.log(), weight=weight)
    for label in range(3):
        expected = [
            math.log(sum(float(row[k]) * float(CONFUSION[k, label]) ** weight for k in range(3)))
            for row in PROBS
        ]
        found = site.log_prob(_t(label, label, label))
        torch.testing.assert_close(found, _t(*expected), **_EXACT)


def test_labels_of_weight_one_are_a_distribution():
    site = _label(PROBS.log(), CONFUSION.log(), weight=1.0)
    total = torch.stack([site.log_prob(_t(k, k, k)) for k in range(3)]).exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), **_EXACT)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_a_label_given_its_regime(weight):
    z = torch.tensor([0, 2, 1])
    site = LabelOfRegime(z, CONFUSION.log(), weight)
    found = site.log_prob(_t(1.0, 1.0, _NAN))
    expected = _t(weight * math.log(0.2), weight * math.log(0.3), 0.0)
    torch.testing.assert_close(found, expected, **_EXACT)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_enumerated_regimes_sum_to_the_label(weight):
    # z on the left, as Pyro enumerates it.
    z = torch.arange(3).reshape(3, 1)
    labels = _t(2.0, _NAN, 0.0)
    terms = LabelOfRegime(z, CONFUSION.log(), weight).log_prob(labels)
    assert terms.shape == (3, 3)
    total = (PROBS.log().T + terms).logsumexp(0)
    expected = _label(PROBS.log(), CONFUSION.log(), weight=weight).log_prob(labels)
    torch.testing.assert_close(total, expected, **_EXACT)


def test_a_missing_label_has_no_factor_and_no_gradient():
    logits = PROBS.log().requires_grad_()
    site = _label(logits.log_softmax(-1), CONFUSION.log(), weight=1.0)
    found = site.log_prob(_t(_NAN, 1.0, _NAN))
    assert found[[0, 2]].tolist() == [0.0, 0.0]
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert bool((gradient[[0, 2]] == 0).all())
    assert bool((gradient[1] != 0).all())


def test_labels_without_noise_pick_their_regime():
    head = LabelHead(noise="none")
    assert head.prior(3, PROBS) is None
    logits = PROBS.log().requires_grad_()
    site = _label(logits.log_softmax(-1), head.noise_free(3, PROBS), weight=1.0)
    found = site.log_prob(_t(0.0, 1.0, _NAN))
    torch.testing.assert_close(found, _t(math.log(0.2), math.log(0.06), 0.0), **_EXACT)
    # What stands for minus infinity in the sum must not reach the gradient.
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    torch.testing.assert_close(gradient[0], _t(1.0, 0.0, 0.0) - PROBS[0], **_EXACT)
    of_regime = LabelOfRegime(torch.tensor([0, 1, 2]), head.noise_free(3, PROBS), 1.0)
    found = of_regime.log_prob(_t(0.0, 2.0, _NAN))
    assert found[[0, 2]].tolist() == [0.0, 0.0]
    assert found[1].exp() == 0.0


def test_labels_need_a_head():
    target = Target(_t(0.0, 1.0), label=_t(0.0, _NAN))
    with pytest.raises(OptionError, match="labels came, and the model has no label head"):
        HybridMixture(num_features=1).marginal(torch.zeros(2, 1), target)


def test_the_prior_counts_a_correct_label_more():
    prior = LabelHead(diagonal=4.0).prior(2, _t(0.0))
    assert prior is not None
    confusion = _t([0.8, 0.2], [0.3, 0.7])
    expected = sum(
        stats.dirichlet.logpdf(row.numpy(), alpha)
        for row, alpha in zip(confusion, ([5.0, 1.0], [1.0, 5.0]), strict=True)
    )
    assert float(prior.log_prob(confusion)) == pytest.approx(float(expected), rel=1e-12)
    assert prior.event_shape == (2, 2)


def _goodness_of_fit(labels, probs):
    counts = np.bincount(labels.long().numpy(), minlength=3)
    return stats.chisquare(counts, len(labels) * probs.numpy()).pvalue


def test_samples_follow_their_density():
    torch.manual_seed(0)
    draws = _label(PROBS.log(), CONFUSION.log(), weight=1.0).sample((5_000,))
    assert draws.shape == (5_000, 3)
    given = LabelOfRegime(torch.arange(3), CONFUSION.log(), 1.0).sample((5_000,))
    assert given.dtype == draws.dtype == torch.float64
    expected = PROBS @ CONFUSION
    for row in range(3):
        # A fixed seed; each of six tests would fail in one of 1,000 others.
        assert _goodness_of_fit(draws[:, row], expected[row]) > 1e-3
        assert _goodness_of_fit(given[:, row], CONFUSION[row]) > 1e-3


def test_expanded_sites_are_the_same():
    labels = _t(2.0, _NAN, 0.0)
    for site in (
        _label(PROBS.log(), CONFUSION.log(), weight=0.5),
        LabelOfRegime(torch.arange(3), CONFUSION.log(), 0.5),
    ):
        wide = site.expand((4, 3))
        assert wide.batch_shape == (4, 3)
        torch.testing.assert_close(wide.log_prob(labels), site.log_prob(labels).expand(4, 3))
        assert wide.sample().shape == (4, 3)


@pytest.mark.parametrize(
    "options",
    [{"noise": "learnt"}, {"diagonal": 0.0}, {"weight": -1.0}, {"weight": math.inf}],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        LabelHead(**options)
