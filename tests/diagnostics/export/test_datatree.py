"""The ArviZ export, and ArviZ's own functions on it; pytest turns every warning into an error."""

import dataclasses
from typing import Any

import arviz_plots
import arviz_stats
import numpy as np
import pytest
import xarray as xr

from bayes_hybrid.diagnostics import to_datatree
from bayes_hybrid.diagnostics.evaluation.approximation import pareto_k
from bayes_hybrid.errors import DataError, OptionError
from tests.diagnostics.fakes import FakePosterior, healthy, make_data, make_posterior, refined

# Names that a type checker cannot see.
stats: Any = arviz_stats

GROUPS = {
    "posterior",
    "posterior_predictive",
    "log_likelihood",
    "sample_stats",
    "observed_data",
    "constant_data",
}


def quiet(**options):
    """Draws so close to the truth that no leave-one-out ratio has a heavy tail."""
    return healthy(jitter=0.005, **options)


def test_groups_dimensions_and_coordinates():
    fit = quiet(num_features=2)
    tree = to_datatree(fit, seed=0)
    assert set(tree.children) == GROUPS
    assert tree["posterior"]["usage"].dims == ("chain", "draw", "regime")
    assert tree["posterior"]["scale"].dims == ("chain", "draw", "scale_dim_0")
    for group in ("posterior_predictive", "log_likelihood"):
        assert tree[group]["response"].dims == ("chain", "draw", "obs")
        assert tree[group]["response"].shape == (4, 100, 120)
    assert tree["observed_data"]["response"].dims == ("obs",)
    assert tree["constant_data"]["x"].dims == ("obs", "feature")
    assert list(tree["posterior"].coords["regime"].values) == ["gaussian", "relu"]
    assert list(tree["constant_data"].coords["feature"].values) == ["dose", "other 1"]
    assert tree.attrs["seed"] == 0
    assert tree.attrs["status"] == fit.training.status


def test_values_are_those_of_the_posterior():
    fit = quiet()
    tree = to_datatree(fit, seed=0)
    logs = fit.posterior.by_draw.log_likelihood(fit.x, fit.y)
    np.testing.assert_array_equal(tree["log_likelihood"]["response"], logs)
    # Sums in another order: a few units in the last place.
    np.testing.assert_allclose(tree["posterior"]["log_lik"], logs.sum(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(tree["posterior"]["usage"].sum("regime"), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(tree["observed_data"]["response"], fit.y)
    np.testing.assert_array_equal(tree["constant_data"]["x"], fit.x)
    np.testing.assert_array_equal(tree["posterior"]["slope"], fit.posterior.sites["slope"])


def test_summaries_come_before_sites():
    assert list(to_datatree(quiet(), seed=0)["posterior"].data_vars)[:2] == ["usage", "log_lik"]


@pytest.mark.parametrize("make", [quiet, lambda: refined(jitter=0.005)], ids=["svi", "hmc"])
def test_arviz_reads_it_without_warnings(make):
    tree = to_datatree(make(), seed=0)
    loo = stats.loo(tree)
    assert np.isfinite(loo.elpd)
    pit = stats.loo_pit(tree)["response"]
    assert pit.min() >= 0.0
    assert pit.max() <= 1.0
    table = stats.summary(tree, ci_prob=0.9, ci_kind="eti")
    assert list(table.index[:3]) == ["usage[gaussian]", "usage[relu]", "log_lik"]
    assert table["r_hat"].astype(float).max() < 1.1
    arviz_plots.plot_ppc_dist(tree)
    arviz_plots.plot_loo_pit(tree)
    arviz_plots.plot_trace(tree, var_names=["usage", "log_lik"])


def test_pareto_k_is_that_of_arviz():
    fit = healthy(jitter=0.01)
    tree = to_datatree(fit, seed=0)
    mine = pareto_k(np.asarray(tree["log_likelihood"]["response"]), fit.posterior.restart_weights)
    theirs = stats.loo(tree, reff=1.0, pointwise=True).pareto_k
    np.testing.assert_allclose(mine, np.asarray(theirs))


@pytest.mark.parametrize(("restarts", "draws"), [(1, 60), (4, 3), (1, 1), (2, 1)])
def test_summary_of_few_draws_or_one_chain_is_nan_and_quiet(restarts, draws):
    tree = to_datatree(quiet(restarts=restarts, draws=draws), seed=0)
    table = stats.summary(tree, kind="diagnostics")
    assert table["r_hat"].astype(float).isna().all()


def test_restarts_that_disagree_show_in_r_hat():
    table = stats.summary(to_datatree(quiet(shift=0.3), seed=0), kind="diagnostics")
    assert float(table.loc["log_lik", "r_hat"]) > 1.5


def test_sites_that_do_not_move_are_set_apart():
    fit = quiet()
    modes = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 100, 3)).copy()
    sites = {**fit.posterior.sites, "feature.weight": modes}
    fit = dataclasses.replace(fit, posterior=FakePosterior(sites=sites))
    tree = to_datatree(fit, seed=0)
    assert list(tree["posterior_fixed"].data_vars) == ["feature.weight"]
    assert "feature.weight" not in tree["posterior"]
    stats.summary(tree)
    stats.loo(tree)


def test_usage_that_is_exactly_zero_is_set_apart():
    fit = quiet(switch=500.0)
    tree = to_datatree(fit, seed=0)
    assert list(tree["posterior_fixed"].data_vars) == ["usage"]
    stats.summary(tree)


@pytest.mark.parametrize("make", [quiet, lambda: refined(diverging=0.1)], ids=["svi", "hmc"])
def test_netcdf_round_trip(make, tmp_path):
    x_test, y_test = make_data(30, seed=9)
    tree = to_datatree(make(), x_test=x_test, y_test=y_test, seed=0)
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), tree)


def test_sampler_statistics_are_exported():
    tree = to_datatree(refined(diverging=0.1), seed=0)
    assert tree["sample_stats"]["diverging"].dtype == bool
    assert tree["sample_stats"]["energy"].dims == ("chain", "draw")
    assert tree["sample_stats"]["regime_disagreement"].dims == ("chain",)
    assert float(tree["sample_stats"]["weight"].sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("chain", "chain_"),
        ("obs", "obs_"),
        ("g/m", "g_m"),
        ("", "y"),
        ("scale", "scale"),
        ("x", "x"),
        ("usage", "usage"),
        ("Größe", "Größe"),
    ],
)
def test_awkward_target_names(name, variable, tmp_path):
    tree = to_datatree(dataclasses.replace(quiet(), target_name=name), seed=0)
    assert tree["observed_data"][variable].dims == ("obs",)
    assert tree["posterior_predictive"][variable].dims == ("chain", "draw", "obs")
    assert tree["posterior"]["scale"].dims == ("chain", "draw", "scale_dim_0")
    assert tree.attrs["target_name"] == name
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    stats.loo(tree)


def test_a_site_named_like_a_summary_is_refused():
    fit = quiet()
    posterior = FakePosterior(sites={**fit.posterior.sites, "usage": np.zeros((4, 100))})
    with pytest.raises(ValueError, match="site names must be distinct"):
        to_datatree(dataclasses.replace(fit, posterior=posterior), seed=0)


def test_max_rows_keeps_evenly_spread_rows():
    fit = quiet()
    tree = to_datatree(fit, seed=0, max_rows=8)
    rows = tree["observed_data"].coords["obs"].values
    np.testing.assert_array_equal(rows, [0, 17, 34, 51, 68, 85, 102, 119])
    np.testing.assert_array_equal(tree["observed_data"]["response"], fit.y[rows])
    np.testing.assert_array_equal(tree["constant_data"]["x"], fit.x[rows])
    assert tree["log_likelihood"]["response"].shape == (4, 100, 8)
    assert tree.attrs["num_rows"] == 120


def test_held_out_rows():
    fit = quiet()
    x_test, y_test = make_data(30, seed=9)
    tree = to_datatree(fit, x_test=x_test, y_test=y_test, seed=0)
    assert tree["predictions"]["response"].shape == (4, 100, 30)
    constant = tree["predictions_constant_data"]
    np.testing.assert_array_equal(constant["y"], y_test)
    np.testing.assert_array_equal(
        constant["log_density"], fit.posterior.predictive.log_density(x_test, y_test)
    )
    without = to_datatree(fit, x_test=x_test, seed=0)
    assert list(without["predictions_constant_data"].data_vars) == ["x"]


def test_max_rows_bounds_held_out_rows_too():
    x_test, y_test = make_data(31, seed=9)
    tree = to_datatree(quiet(), x_test=x_test, y_test=y_test, seed=0, max_rows=4)
    constant = tree["predictions_constant_data"]
    rows = constant.coords["obs"].values
    np.testing.assert_array_equal(rows, [0, 10, 20, 30])
    np.testing.assert_array_equal(constant["x"], x_test[rows])
    np.testing.assert_array_equal(constant["y"], y_test[rows])
    assert tree["predictions"]["response"].shape == (4, 100, 4)


def test_held_out_draws_are_not_those_of_the_training_rows():
    fit = quiet()
    tree = to_datatree(fit, x_test=fit.x, seed=0)
    assert (tree["predictions"]["response"] != tree["posterior_predictive"]["response"]).all()


def test_seed_decides_the_draws():
    fit = quiet()
    one, same, other = (to_datatree(fit, seed=seed)["posterior_predictive"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["response"], same["response"])
    assert (one["response"] != other["response"]).all()


def test_bad_arguments():
    fit, (x_test, y_test) = quiet(), make_data(5)
    with pytest.raises(DataError, match="without x_test"):
        to_datatree(fit, y_test=y_test, seed=0)
    with pytest.raises(DataError, match=r"\(rows, 1\)"):
        to_datatree(fit, x_test=x_test[:, 0], seed=0)
    with pytest.raises(DataError, match=r"\(5,\)"):
        to_datatree(fit, x_test=x_test, y_test=y_test[:, None], seed=0)
    with pytest.raises(OptionError, match="max_rows"):
        to_datatree(fit, seed=0, max_rows=0)
    with pytest.raises(OptionError, match="seed"):
        to_datatree(fit, seed=-1)


def test_whole_number_targets_are_plotted_without_warning():
    fit = quiet()
    fit = dataclasses.replace(fit, y=np.round(fit.y * 3.0))
    arviz_plots.plot_ppc_dist(to_datatree(fit, seed=0))


def test_one_regime():
    posterior = make_posterior()
    sites = {
        name: draws[..., :1] if draws.ndim == 3 else draws
        for name, draws in posterior.sites.items()
    }
    one = OneRegime(sites=sites, regime_names=("relu",))
    tree = to_datatree(dataclasses.replace(quiet(), posterior=one), seed=0)
    # The usage of the only regime is 1 in every draw.
    assert "usage" in tree["posterior_fixed"]


class OneRegime(FakePosterior):
    """The first expert alone."""

    def regime_probability_draws(self, x, y=None, labels=None):
        return np.ones((self.num_restarts, self.num_draws, x.shape[0], 1))

    def sample_per_draw(self, x, seed):
        return self.expert_mean_draws(x)[..., 0]
