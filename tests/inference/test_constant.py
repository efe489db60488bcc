"""Fits of constant targets: nothing is trained, and constant outputs say nothing of regimes."""

import numpy as np
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import fit
from bayes_hybrid.likelihoods import LIKELIHOODS
from bayes_hybrid.models import HybridMixture, Pathway, PathwayModel
from tests.budgets import tiny

TINY = tiny(num_draws=4)
X = np.random.default_rng(0).normal(size=(20, 2))
SMALL = tuple(Pathway(kind=kind, num_units=3) for kind in ("gaussian", "relu"))
KINDS = ("gaussian", "relu", "linear_mix", "relu_gates_gaussian", "gaussian_stabilizes_relu")


def train(model, y, **settings):
    return fit(model, X, y, seed=0, options=TINY, **settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("likelihood", ["normal", "student_t"])
def test_every_pathway_predicts_the_constant_exactly(kind, likelihood):
    pathway = Pathway(kind=kind, num_units=3, likelihood=LIKELIHOODS[likelihood]())
    done = train(PathwayModel(num_features=2, pathway=pathway), np.full(20, 14.62))
    np.testing.assert_array_equal(done.posterior.predictive.mean(X), 14.62)
    assert done.training.status.startswith("The target is constant")
    assert (done.training.method, done.training.converged, done.training.seconds) == (
        "none",
        True,
        0.0,
    )
    assert done.posterior.theta.shape[:2] == (2, 4)


def test_nothing_is_trained_only_where_every_output_is_constant():
    model = HybridMixture(num_features=2, experts=SMALL, num_outputs=2)
    done = train(model, np.c_[np.full(20, 1.0), np.full(20, 2.0)])
    assert done.training.method == "none"
    np.testing.assert_array_equal(done.posterior.predictive.mean(X), np.tile([1.0, 2.0], (20, 1)))
    assert train(model, np.c_[np.full(20, 1.0), X[:, 0]]).training.method == "svi"


def test_experts_say_the_same_of_a_constant_output():
    model = HybridMixture(num_features=2, experts=SMALL, num_outputs=2)
    done = train(model, np.c_[np.full(20, 1.0), X[:, 0]])
    for posterior in (done.posterior, done.variational):
        _, means = posterior.by_draw.gate_and_mean(X)
        scales = posterior.by_draw.expert_scale(X)
        np.testing.assert_array_equal(means[..., 0, :], 1.0)
        np.testing.assert_array_equal(scales[..., 0, 0], scales[..., 0, 1])
        # The other output is left alone.
        assert np.ptp(means[..., 1, :]) > 0.0


def test_a_constant_output_does_not_enter_the_fit():
    """Neither its value nor its rounding is anything to the draws."""
    model = HybridMixture(num_features=2, experts=SMALL, num_outputs=2)
    rounding = 30 * np.spacing(1.0) * (np.arange(20) % 2)
    one, other, rounded = (
        train(model, np.c_[column, X[:, 0]])
        for column in (np.full(20, 1.0), np.full(20, 1e20), 1.0 + rounding)
    )
    assert torch.equal(one.posterior.theta, other.posterior.theta)
    assert torch.equal(one.posterior.theta, rounded.posterior.theta)


def test_a_constant_under_a_given_standardisation_is_data_like_any():
    of_y = Standardizer(mean=np.zeros(()), scale=np.ones(()))
    plain = Standardizer(mean=np.zeros(2), scale=np.ones(2)), of_y
    model = PathwayModel(num_features=2, pathway=SMALL[1])
    assert train(model, np.full(20, 1.0), scalings=plain).training.method == "svi"
