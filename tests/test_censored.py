"""Rows of which only a bound is known: densities, what is predicted, and small fits."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, stats

from bayes_hybrid import ABRUPT, HybridRegressor, ThresholdGate, load
from bayes_hybrid.data import Standardizer, read_table, write_table
from bayes_hybrid.diagnostics.evaluation.censoring import completed
from bayes_hybrid.distributions import Censored, RegimeMixture
from bayes_hybrid.distributions.normal import log_ndtr
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.likelihoods import (
    LIKELIHOODS,
    ContaminatedNormal,
    Laplace,
    LogNormal,
    Normal,
)
from bayes_hybrid.likelihoods.censored import Censorable
from bayes_hybrid.models import HybridMixture, Pathway
from bayes_hybrid.models.curves import CURVES
from bayes_hybrid.report import write_report
from tests.budgets import SHORT
from tests.cli.conftest import bayes_hybrid

_FAMILIES = {
    "normal": Normal(censored=1),
    "laplace": Laplace(censored=1),
    "contaminated_normal": ContaminatedNormal(ratio=4.0, share=0.1, censored=1),
    "log_normal": LogNormal(centre=0.3, spread=0.5, censored=1),
}
families = pytest.mark.parametrize("name", _FAMILIES)


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


def _density(name, status, location=0.4, scale=0.7):
    likelihood = _FAMILIES[name]
    shape = () if likelihood.shape is None else (_t(likelihood.shape),)
    return likelihood(_t(location), _t(scale), *shape, _t(status))


def test_roll_call():
    kinds = {name for name, kind in LIKELIHOODS.items() if issubclass(kind, Censorable)}
    assert kinds == set(_FAMILIES)


@families
@pytest.mark.parametrize("value", [0.2, 1.3, 4.0])
def test_the_likelihood_of_a_bound_is_the_integral_of_the_density(name, value):
    exact = _density(name, 0.0)

    def density(y):
        return float(exact.log_prob(_t(y)).exp())

    start = 0.0 if name == "log_normal" else -np.inf
    below, _ = integrate.quad(density, start, value, epsabs=1e-13, epsrel=1e-11, limit=200)
    above, _ = integrate.quad(density, value, np.inf, epsabs=1e-13, epsrel=1e-11, limit=200)
    # The integrals' own error.
    close = {"rtol": 1e-8, "atol": 1e-10}
    np.testing.assert_allclose(_density(name, -1.0).log_prob(_t(value)).exp(), below, **close)
    np.testing.assert_allclose(_density(name, 1.0).log_prob(_t(value)).exp(), above, **close)


@families
def test_far_tails_are_finite_and_have_a_slope(name):
    for status, value in ((1.0, 60.0), (-1.0, 1e-9 if name == "log_normal" else -60.0)):
        for dtype in (torch.float32, torch.float64):
            location = torch.tensor([0.4], dtype=dtype, requires_grad=True)
            likelihood = _FAMILIES[name]
            shape = () if likelihood.shape is None else (torch.tensor(4.0, dtype=dtype),)
            scale, side = location.new_tensor([0.05]), location.new_tensor([status])
            found = likelihood(location, scale, *shape, side).log_prob(location.new_tensor([value]))
            found.sum().backward()
            assert found.isfinite().all()
            assert found.item() < -20.0
            # Towards the bound is better.
            assert status * location.grad.item() > 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_ndtr_is_scipys_and_works_in_batches(dtype):
    z = torch.linspace(-40.0, 12.0, 500, dtype=dtype)
    # Roundings of the argument and of logs of that size: z**2 of them in a tail, 1,600 here.
    rtol = 4_000.0 * torch.finfo(dtype).eps
    expected = stats.norm.logcdf(z.double().numpy())
    np.testing.assert_allclose(torch.func.vmap(log_ndtr)(z).double(), expected, rtol=rtol)
    slope = torch.func.vmap(torch.func.grad(log_ndtr))(z).double()
    exact = np.exp(stats.norm.logpdf(z.double().numpy()) - expected)
    np.testing.assert_allclose(slope, exact, rtol=rtol, atol=torch.finfo(dtype).tiny)


@families
def test_everything_else_is_of_the_value_itself(name):
    plain, bound = _density(name, 0.0).base, _density(name, 1.0)
    assert isinstance(bound, Censored)
    y = _t(0.2, 1.0, 3.0)
    np.testing.assert_array_equal(bound.cdf(y), plain.cdf(y))
    np.testing.assert_array_equal(bound.icdf(_t(0.1, 0.9)), plain.icdf(_t(0.1, 0.9)))
    assert (bound.mean, bound.variance) == (plain.mean, plain.variance)
    assert bound.expand((3,)).sample((5,)).shape == (5, 3)


def test_the_pit_of_a_bound_lies_beyond_it_and_is_uniform():
    rng = np.random.default_rng(0)
    size = 20_000
    value, limit = rng.normal(size=size), rng.normal(size=size)
    # Right: values above the limit are cut off there; left, a third: values below.
    side = rng.choice([-1.0, 1.0, 1.0], size)
    hidden = (value - limit) * side > 0.0
    y, status = np.where(hidden, limit, value), np.where(hidden, side, 0.0)
    zero, one = torch.zeros(size).double(), torch.ones(size).double()
    parts = [Censored(torch.distributions.Normal(zero, one), torch.as_tensor(status))] * 2
    mixture = RegimeMixture(torch.full((size, 2), 0.5).double().log(), parts)
    pit = mixture.pit(torch.as_tensor(y), torch.as_tensor(rng.random(size)))
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    assert stats.kstest(mixture.cdf(torch.as_tensor(y)), "uniform").pvalue < 1e-6


def _posterior(likelihood):
    """Two levels, one draw at its truth."""
    experts = tuple(CURVES["constant"](likelihood=likelihood) for _ in range(2))
    model = HybridMixture(num_features=2, experts=experts, gate=ThresholdGate(feature=0))
    x = np.column_stack([np.linspace(-1.0, 1.0, 40), np.tile([0.0, 1.0, -1.0, 0.0], 10)])
    y = np.linspace(1.0, 3.0, 40)
    model = model.anchored(y, x[:, 1])
    size = Posterior(
        model=model,
        theta=torch.zeros(1, 1, 0),
        x_scaling=Standardizer.fit(x).leaving(1),
        y_scaling=Standardizer.fit(y),
    ).table.num_parameters
    draws = 0.3 * torch.randn(2, 200, size, generator=torch.Generator().manual_seed(0))
    scaling = Standardizer.fit(x).leaving(1)
    units = (
        Standardizer.of_targets(y) if not model.likelihoods.standardises else Standardizer.fit(y)
    )
    if not model.likelihoods.standardises:
        units = Standardizer(mean=np.zeros(()), scale=np.ones(()))
    return Posterior(model=model, theta=draws, x_scaling=scaling, y_scaling=units), x, y


def test_a_bound_has_a_probability_and_a_value_a_density():
    posterior, x, y = _posterior(Normal(censored=1))
    density = posterior.predictive.log_density(x, y)
    above = np.log(1.0 - posterior.predictive.pit(np.column_stack([x[:, 0], 0.0 * y]), y))
    right = x[:, 1] == 1.0
    np.testing.assert_allclose(density[right], above[right], rtol=1e-9)
    each = posterior.by_draw.log_likelihood(x, y)
    pooled = np.log(np.exp(each).mean(axis=(0, 1)))
    np.testing.assert_allclose(density, pooled, rtol=1e-9)


def test_predictions_do_not_depend_on_the_status():
    posterior, x, _ = _posterior(Normal(censored=1))
    other = np.column_stack([x[:, 0], np.roll(x[:, 1], 1)])
    np.testing.assert_array_equal(posterior.predictive.mean(x), posterior.predictive.mean(other))
    np.testing.assert_array_equal(
        posterior.predictive.quantile(x, [0.1, 0.9]),
        posterior.predictive.quantile(other, [0.1, 0.9]),
    )


def test_completed_values_lie_beyond_their_bounds_and_follow_the_predictive():
    posterior, x, y = _posterior(Normal(censored=1))
    found = np.stack([completed(posterior, x, y, seed) for seed in range(200)])
    values = x[:, 1] == 0.0
    assert (found[:, values] == y[values]).all()
    assert ((found - y) * x[:, 1] >= 0.0).all()
    plain = np.column_stack([x[:, 0], 0.0 * y])
    row = int(np.flatnonzero(x[:, 1] == 1.0)[5])
    beyond = 1.0 - posterior.predictive.pit(plain, y)[row]
    middle = posterior.predictive.quantile(plain[[row]], [1.0 - 0.5 * beyond])[0, 0]
    # Binomial of 200 with probability one half, five sds.
    assert abs((found[:, row] > middle).mean() - 0.5) < 5.0 * np.sqrt(0.25 / 200)


def _waits(num_rows=120, seed=0):
    """Waits with a jump at 6, cut off at random times."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.0, 10.0, num_rows))
    log_median = np.where(x < 6.0, 1.0, 2.5)
    value = np.exp(log_median + 0.3 * rng.normal(size=num_rows))
    limit = rng.exponential(15.0, num_rows)
    table = pd.DataFrame({"load": x, "running": (value > limit).astype(float)})
    return table, np.minimum(value, limit), log_median


@pytest.fixture(scope="module")
def fitted():
    table, y, _ = _waits()
    reg = HybridRegressor(
        experts=("constant", "constant"),
        gate=ThresholdGate(feature="load", sharpness=ABRUPT),
        likelihood=LogNormal(censored="running"),
        fit_options=SHORT,
        random_state=0,
    )
    return reg.fit(table, y)


def test_a_fit_sees_beyond_the_bounds(fitted):
    table, y, log_median = _waits()
    share = table["running"].mean()
    assert 0.2 < share < 0.6
    assert fitted.thresholds()["mean"].item() == pytest.approx(6.0, abs=0.3)
    median = np.log(fitted.predict_quantile(table, [0.5])[:, 0])
    # Standard errors of some 40 values a level: 0.05.
    assert abs(median - log_median).max() < 0.2
    # Taken for values, the bounds are far below.
    assert np.log(y[table["load"] > 6.0]).mean() < 2.5 - 0.3


def test_it_comes_back(fitted, tmp_path):
    table, y, _ = _waits()
    fitted.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    np.testing.assert_array_equal(again.log_density(table, y), fitted.log_density(table, y))


def test_scores_of_values_are_of_values(fitted):
    table, y, _ = _waits()
    known = table["running"] == 0.0
    scores = fitted.score_predictions(table, y).set_index(["score", "regime"])
    assert scores.loc[("rmse", "all"), "num_rows"] == known.sum()
    assert scores.loc[("log_score", "all"), "num_rows"] == len(y)
    error = fitted.predict(table[known]) - y[known]
    assert scores.loc[("rmse", "all"), "value"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert fitted.score(table, y) == pytest.approx(fitted.score(table[known], y[known]))


def test_findings_and_report_are_written(fitted, tmp_path):
    findings = {finding.name: finding for finding in fitted.diagnose()}
    assert findings["pit_uniformity"].severity == "ok"
    write_report(fitted, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Which rows are censored is in column 2." in page


def test_status_that_is_none_is_refused(fitted):
    table, y, _ = _waits()
    table.loc[7, "running"] = 2.0
    with pytest.raises(DataError, match=r"censored: expected 0 .* got 2 in row 8"):
        fitted.log_density(table, y)


def test_the_experts_share_the_status():
    experts = (Pathway(likelihood=Normal(censored=1)), Pathway(likelihood=Normal()))
    with pytest.raises(OptionError, match="not of one"):
        HybridMixture(num_features=2, experts=experts)


def test_from_file_to_file(tmp_path):
    table, y, _ = _waits(40)
    write_table(table.assign(days=y), tmp_path / "data.csv")
    options = ["--experts", "line,line", "--gate", "threshold", "--censored", "running", "--quick"]
    where = [str(tmp_path / "data.csv"), "--target", "days", "--out", str(tmp_path / "fit")]
    done = bayes_hybrid("fit", *where, "--likelihood", "log_normal", *options)
    assert done.exit_code == 0, done.output
    # The only other column is the gate's.
    assert load(tmp_path / "fit").fit_.posterior.model.likelihoods.censored_column == 1
    new = table.assign(running=0.0)
    write_table(new, tmp_path / "new.csv")
    done = bayes_hybrid(
        "predict", tmp_path / "fit", tmp_path / "new.csv", "--out", tmp_path / "p.csv"
    )
    assert done.exit_code == 0, done.output
    assert len(read_table(tmp_path / "p.csv")) == 40
    where[-1] = str(tmp_path / "other")
    done = bayes_hybrid("fit", *where, "--likelihood", "gamma", *options)
    assert done.exit_code == 2
    assert "--censored goes with --likelihood normal or laplace or" in done.output
