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
]


@pytest.fixture(scope="module")
def fitted():
    """Exports of two fits to the same rows."""
    X, y = make_rows()
    # plot_ppc_dist asks for a hundred draws.
    enough = replace(OPTIONS, variational=replace(OPTIONS.variational, num_draws=60))
    options: dict[str, Any] = {"num_units": 3, "noise": "constant", "fit_options": enough}
    trees = {}
    for model in ("mixture", "relu"):
        reg = HybridRegressor(model=model, random_state=0, **options).fit(X, y)
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


def test_several_outputs():
    tree = to_datatree(several_outputs(num_draws=20), seed=0)
    assert np.isfinite(stats.loo(tree).elpd)
    stats.summary(tree)
    plots.plot_trace(tree, var_names=["log_lik"])
    plt.close("all")
