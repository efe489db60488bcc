"""Gate and experts of draws, without Pyro and in any tiling."""

import numpy as np
import pyro
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.posterior import evaluation
from bayes_hybrid.inference.posterior.evaluation import Evaluation
from tests.models import zoo


def _case(name):
    model = zoo.MODELS[name]
    x = zoo.rows(model=model)[0].double()
    table = SiteTable.of(model, x)
    return model, table, torch.randn(7, table.num_parameters, dtype=torch.float64), x


@pytest.mark.parametrize("name", ["mixture of 2, relu, input", "gaussian, input"])
@pytest.mark.parametrize(("draws", "tile"), [(1, 1), (3, 40), (100, 200_000)])
def test_the_tiling_does_not_matter(name, draws, tile, monkeypatch):
    model, table, theta, x = _case(name)
    expected = Evaluation(model, table, theta)(x)
    monkeypatch.setattr(evaluation, "_DRAWS", draws)
    monkeypatch.setattr(evaluation, "_TILE", tile)
    found = Evaluation(model, table, theta)(x)
    for ours, theirs in zip(found.tensors, expected.tensors, strict=True):
        # Sums over a few units in another order.
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_gate_alone_is_the_gate(name):
    model, table, theta, x = _case(name)
    evaluate = Evaluation(model, table, theta)
    assert torch.equal(evaluate.log_weights(x), evaluate(x).log_weights)


def test_a_prediction_runs_no_pyro_program(monkeypatch):
    model, _, theta, x = _case("mixture of 2, relu, input")
    posterior = Posterior(
        model=model,
        theta=theta.reshape(1, *theta.shape),
        x_scaling=Standardizer.fit(x.numpy()),
        y_scaling=Standardizer.fit(np.arange(3.0)),
    )
    assert posterior.table.num_parameters == theta.shape[1]

    def fail(*_, **__):
        raise AssertionError("a prediction ran a Pyro program")

    monkeypatch.setattr(pyro, "sample", fail)
    monkeypatch.setattr(pyro.poutine, "trace", fail)
    rows, y = x.numpy(), np.zeros(len(x))
    posterior.select(np.array([0])).predictive.mean_and_quantile(rows, [0.1, 0.9])
    posterior.predictive.log_density(rows, y)
    posterior.predictive.regime_probability(rows, y)
    posterior.predictive.regime_summary(rows, [0.1])
    posterior.by_draw.slopes(rows, 0)
    posterior.predictive.sample(rows, 2, seed=0)
