"""ArviZ's own functions on the export, written once for both of its generations.

Python 3.11 has ArviZ 0.23 (arviz-plots and arviz-stats 0.8), later ones have 1.x; the calls are the
same.  Left out are what ArviZ has in one generation only, and what asks for discrete data.
"""

from dataclasses import replace
from typing import Any

import arviz_base
import arviz_plots
import arviz_stats
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from bayes_hybrid import HybridRegressor
from bayes_hybrid.diagnostics import to_datatree
from bayes_hybrid.diagnostics.evaluation.chains import psis_weights
from bayes_hybrid.estimator import with_units
from bayes_hybrid.random import spawn_seeds
from tests.ablation.conftest import OPTIONS, make_rows
from tests.diagnostics.fakes import healthy, refined
from tests.diagnostics.outputs import several_outputs

# Names that a type checker cannot see.
plots: Any = arviz_plots
stats: Any = arviz_stats

pytestmark = [
    # A fit that is hardly trained leans on single draws.
    pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution"),
    # ArviZ 0.23 on pandas 3.1.
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.sort_values"),
    # ArviZ 0.23 on any two variables.
    pytest.mark.filterwarnings("ignore:Deleting a single level of a MultiIndex is deprecated"),
]


@pytest.fixture(scope="module")
def fitted():
    """Exports of two fits to the same rows."""
    X, y = make_rows()
    # plot_ppc_dist asks for a hundred draws.
    enough = replace(OPTIONS, variational=replace(OPTIONS.variational, num_draws=60))
    options: dict[str, Any] = {"noise": "constant", "fit_options": enough, "random_state": 0}
    trees = {}
    for model in ("mixture", "relu"):
        reg = with_units(HybridRegressor(model=model, **options), num_units=3).fit(X, y)
        trees[model] = reg.to_datatree(X[:5], y[:5])
    return trees


@pytest.fixture(scope="module")
def trees(fitted):
    """What a call may be tried on: a real fit, draws that behave, and a sampler's."""
    return {
        "fit": fitted["mixture"],
        "healthy": to_datatree(healthy(jitter=0.005, restarts=3, draws=60), seed=0),
        "refined": to_datatree(refined(jitter=0.005, restarts=3, draws=60), seed=0),
    }


def summaries(tree):
    """The variables that r-hat should be read on."""
    return [name for name in ("usage", "log_lik") if name in tree["posterior"]]


STATS = {
    "summary": lambda tree: stats.summary(tree, ci_prob=0.9, ci_kind="eti"),
    "ess": lambda tree: stats.ess(tree),
    "rhat": lambda tree: stats.rhat(tree),
    "mcse": lambda tree: stats.mcse(tree),
    "eti": lambda tree: stats.eti(tree, prob=0.9),
    "hdi": lambda tree: stats.hdi(tree, prob=0.9),
    "loo": lambda tree: stats.loo(tree, pointwise=True),
    "loo_pit": lambda tree: stats.loo_pit(tree),
    "loo_score": lambda tree: stats.loo_score(tree, kind="crps"),
    "metrics": lambda tree: stats.metrics(tree, kind="rmse"),
}
PLOTS = {
    "plot_trace": lambda tree: plots.plot_trace(tree, var_names=summaries(tree)),
    "plot_forest": lambda tree: plots.plot_forest(tree, var_names=summaries(tree)),
    "plot_ridge": lambda tree: plots.plot_ridge(tree, var_names=summaries(tree)),
    "plot_dist": lambda tree: plots.plot_dist(tree, var_names=summaries(tree)),
    "plot_rank": lambda tree: plots.plot_rank(tree, var_names=summaries(tree)),
    "plot_ess": lambda tree: plots.plot_ess(tree, var_names=summaries(tree)),
    "plot_autocorr": lambda tree: plots.plot_autocorr(tree, var_names=summaries(tree)),
    "plot_ppc_dist": lambda tree: plots.plot_ppc_dist(tree),
    "plot_ppc_pit": lambda tree: plots.plot_ppc_pit(tree),
    "plot_ppc_tstat": lambda tree: plots.plot_ppc_tstat(tree),
    "plot_ppc_interval": lambda tree: plots.plot_ppc_interval(tree),
    "plot_loo_pit": lambda tree: plots.plot_loo_pit(tree),
    "plot_khat": lambda tree: plots.plot_khat(stats.loo(tree, pointwise=True)),
}


@pytest.mark.parametrize("name", ["fit", "healthy", "refined"])
@pytest.mark.parametrize("call", STATS)
def test_statistics(trees, name, call):
    assert STATS[call](trees[name]) is not None


@pytest.mark.parametrize("name", ["fit", "healthy", "refined"])
@pytest.mark.parametrize("call", PLOTS)
def test_plots(trees, name, call):
    PLOTS[call](trees[name])
    assert plt.get_fignums()
    plt.close("all")


def test_the_energy_of_a_sampler(trees):
    plots.plot_energy(trees["refined"])
    assert (stats.bfmi(trees["refined"])["energy"] > 0.0).all()
    plt.close("all")


def test_two_fits_are_compared(fitted):
    table = stats.compare(fitted)
    assert set(table.index) == {"mixture", "relu"}
    assert table["weight"].sum() == pytest.approx(1.0)
    assert table["rank"].tolist() == [0, 1]
    plots.plot_compare(table)
    plt.close("all")


def test_a_written_fit_is_read_back(fitted, tmp_path):
    fitted["mixture"].to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as back:
        read = stats.summary(back.load())
    written = stats.summary(fitted["mixture"])
    assert read.equals(written)


def test_rows_held_out_are_extracted_by_group(fitted):
    draws = arviz_base.extract(fitted["mixture"], group="predictions")
    assert np.asarray(draws).shape == (5, 120)


# What reads one output at a time in ArviZ's statistics, with the name of its argument for it.
BY_OUTPUT = {
    "loo_pit": "var_names",
    "loo_score": "var_name",
    "metrics": "var_name",
}


@pytest.fixture(scope="module")
def several():
    """Outputs of which one has a missing value."""
    return several_outputs(num_draws=60)


@pytest.mark.parametrize("call", PLOTS)
def test_plots_of_several_outputs(several, call):
    PLOTS[call](to_datatree(several, seed=0))
    assert plt.get_fignums()
    plt.close("all")


@pytest.mark.parametrize("call", PLOTS)
def test_plots_of_one_output(several, call):
    PLOTS[call](to_datatree(several, seed=0, output="heat"))
    assert plt.get_fignums()
    plt.close("all")


@pytest.mark.parametrize("output", ["force", "glow"])
@pytest.mark.parametrize("call", [name for name in PLOTS if "pit" in name or "ppc" in name])
def test_plots_take_the_name_of_an_output(several, call, output):
    complete = replace(several, y=np.nan_to_num(several.y, nan=5e3))
    getattr(plots, call)(to_datatree(complete, seed=0), var_names=output)
    assert plt.get_fignums()
    plt.close("all")


@pytest.mark.parametrize("output", ["force", "heat", "glow"])
@pytest.mark.parametrize("call", BY_OUTPUT)
def test_statistics_of_an_output(several, call, output):
    tree = to_datatree(several, seed=0)
    options = {"kind": "crps"} if call == "loo_score" else {}
    whole = getattr(stats, call)(tree, **{BY_OUTPUT[call]: output}, **options)
    one = getattr(stats, call)(to_datatree(several, seed=0, output=output), **options)
    assert np.all(np.isfinite(np.asarray(one[output] if call == "loo_pit" else one[0])))
    for mine, theirs in zip(
        [whole[output]] if call == "loo_pit" else whole,
        [one[output]] if call == "loo_pit" else one,
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs)


def test_leave_one_out_of_several_outputs_is_that_of_rows(several):
    tree = to_datatree(several, seed=0)
    loo = stats.loo(tree, pointwise=True)
    logs = several.posterior.by_draw.log_likelihood(several.x, several.y)
    np.testing.assert_array_equal(tree["log_likelihood"]["y"], logs)
    assert loo.n_data_points == len(several.x)
    assert stats.compare({"a": tree, "b": tree})["weight"].sum() == pytest.approx(1.0)
    flat = logs.reshape(-1, logs.shape[-1])
    draws = several.posterior.by_draw.sample(several.x, spawn_seeds(0, 2)[0])
    for q, name in enumerate(several.output_names):
        pit = stats.loo_pit(tree, var_names=name)[name]
        assert len(pit) == (~np.isnan(several.y[:, q])).sum()
        for row, value in zip(tree["observed_data"][name].coords[pit.dims[0]], pit, strict=True):
            weights, _ = psis_weights(flat[:, row])
            below = draws[..., row, q].ravel() <= several.y[row, q]
            # ArviZ smooths a longer tail where draws seem to be correlated.
            assert float(value) == pytest.approx(weights @ below, abs=0.05)


def test_several_outputs_are_written_and_read(several, tmp_path):
    fit = replace(several, output_names=("heat flow", "a/b", "obs"))
    tree = to_datatree(fit, x_test=fit.x, y_test=fit.y, seed=0)
    assert list(tree["observed_data"].data_vars) == ["heat_flow", "a_b", "obs_"]
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), tree)
    assert stats.loo(back).elpd == stats.loo(tree).elpd
    plots.plot_loo_pit(back)
    plt.close("all")


@pytest.mark.parametrize(
    ("names", "variables"),
    [
        (("a b", "a_b", "a/b"), ["a_b", "a_b_", "a_b__"]),
        (("obs_heat", "heat", "y"), ["obs_heat", "heat", "y"]),
        (("x", "chain", "output"), ["x", "chain_", "output_"]),
    ],
)
def test_outputs_with_names_alike_are_variables_apart(several, names, variables):
    tree = to_datatree(replace(several, output_names=names), x_test=several.x, seed=0)
    for group in ("observed_data", "posterior_predictive", "predictions"):
        assert list(tree[group].data_vars) == variables
        dims = {dim for name in variables for dim in tree[group][name].dims}
        assert not dims & set(variables)
    assert set(tree["log_likelihood"].coords) >= set(variables)
    assert len(tree["log_likelihood"].data_vars) == 1
    stats.loo(tree)
