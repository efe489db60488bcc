"""The loop over replications, and the recipe on a model whose posterior is known."""

import json
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bayes_hybrid import HybridRegressor, LogNormalPrior, Pathway, Priors
from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import FitError, OptionError, OutputExistsError
from bayes_hybrid.inference import Posterior, Training, fit
from bayes_hybrid.random import spawn_seeds
from bayes_hybrid.validation import replication, sbc
from bayes_hybrid.validation.calibration import summarised
from bayes_hybrid.validation.replication import replicate
from tests.budgets import tiny
from tests.inference.linear import LinearRegression, closed_form

LINE = HybridRegressor(
    model=Pathway("gaussian", smoothing="identity", num_units=1, noise="constant"),
    fit_options=tiny(),
    progress=False,
    random_state=0,
)
SIZES: dict[str, Any] = {"num_replications": 3, "num_rows": 12}


@pytest.fixture
def fits(monkeypatch):
    """The seeds of the fits that are made."""
    made = []

    def watched(model, x, y, **options):
        made.append(options["seed"])
        assert {scaling.scale.min() for scaling in options["scalings"]} == {1.0}
        return fit(model, x, y, **options)

    monkeypatch.setattr(replication, "fit", watched)
    return made


class Answer(NamedTuple):
    """What :func:`replicate` reads of a fit."""

    posterior: Posterior
    training: Training = Training(status="exact", converged=True, method="none")


def conjugate(spread):
    """A fit of Bayesian linear regression in closed form, its sd times ``spread``."""

    def exact(model, x, y, *, seed, options, scalings):
        # What the fit is told about units decides whether the closed form's prior holds.
        inputs, targets = (
            torch.as_tensor(scaling.transform(values))
            for scaling, values in zip(scalings, (x, y), strict=True)
        )
        mean, covariance = closed_form(model, inputs, targets)
        noise = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(seed)).double()
        theta = mean + spread * noise @ torch.linalg.cholesky(covariance).mT
        return Answer(
            Posterior(
                model=model, theta=theta.float(), x_scaling=scalings[0], y_scaling=scalings[1]
            )
        )

    return exact


def linear(monkeypatch, spread, num_replications=200):
    """Two hundred replications by the closed form."""
    monkeypatch.setattr(replication, "fit", conjugate(spread))
    model, options = LinearRegression(noise=0.5), tiny()
    seeds = enumerate(spawn_seeds(0, num_replications))
    settings: dict[str, Any] = {"num_rows": 15, "one_thread": False}
    done = [replicate(model, options, number=n, seed=seed, **settings) for n, seed in seeds]
    assert {one.failure for one in done} == {""}
    assert {one.num_draws for one in done} == {20}
    # Five bands that a right posterior leaves once in a thousand seeds each.
    return summarised(done, 0.999)


def test_the_closed_form_has_uniform_ranks(monkeypatch):
    result = linear(monkeypatch, 1.0)
    assert result.misses == ()
    assert len(result.table) == 5


def test_half_the_sd_is_caught_and_named(monkeypatch):
    result = linear(monkeypatch, 0.5)
    means = {"mean(x=-1)", "mean(x=0)", "mean(x=1)"}
    # The noise is known, so that its rank is a tie among equals, whatever the posterior.
    assert set(result.misses) == means | {"log_likelihood"}
    readings = result.table.set_index("quantity")["reading"]
    assert {readings[name] for name in means} == {"the posterior is too narrow"}
    # Draws near the middle of the posterior explain the rows better than the truth does.
    assert "too high" in readings["log_likelihood"]


def test_standardising_simulated_data_once_more_would_be_caught(monkeypatch):
    exact = conjugate(1.0)

    def standardising(model, x, y, *, seed, options, scalings):
        scalings = Standardizer.fit(x), Standardizer.fit(y)
        return exact(model, x, y, seed=seed, options=options, scalings=scalings)

    monkeypatch.setattr("tests.validation.test_sbc.conjugate", lambda spread: standardising)
    assert linear(monkeypatch, 1.0).misses


def test_an_interrupted_run_goes_on_and_more_replications_keep_the_others(tmp_path, fits):
    whole = sbc(LINE, **SIZES)
    assert len(fits) == 3
    folder = tmp_path / "sbc"
    first = sbc(LINE, **(SIZES | {"num_replications": 2}), folder=folder)
    assert len(fits) == 5
    (folder / "replications" / "00001.json").unlink()
    again = sbc(LINE, **SIZES, folder=folder)
    assert fits[5:] == fits[1:3]
    assert again.ranks.equals(whole.ranks)
    assert again.ranks[:2].equals(first.ranks)
    sbc(LINE, **SIZES, folder=folder)
    assert len(fits) == 7


@pytest.mark.slow
def test_processes_give_what_one_gives():
    assert sbc(LINE, **SIZES, n_jobs=2).ranks.equals(sbc(LINE, **SIZES).ranks)


def test_another_setup_is_refused_and_the_folder_left_alone(tmp_path):
    folder = tmp_path / "sbc"
    sbc(LINE, **SIZES, folder=folder)
    before = sorted(path.name for path in folder.rglob("*"))
    other = HybridRegressor(**(LINE.get_params(deep=False) | {"random_state": 1}))
    for estimator, sizes, name in (
        (other, SIZES, "seed"),
        (LINE, SIZES | {"num_rows": 13}, "num_rows"),
        (LINE, SIZES | {"num_features": 2}, "num_features"),
    ):
        with pytest.raises(OutputExistsError, match=f"another {name}"):
            sbc(estimator, **sizes, folder=folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="something other"):
        sbc(LINE, **SIZES, folder=tmp_path / "mine")
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_damaged_file_is_named_and_computed_again(tmp_path, fits):
    folder = tmp_path / "sbc"
    whole = sbc(LINE, **SIZES, folder=folder)
    path = folder / "replications" / "00002.json"
    for content in (path.read_bytes()[:-20], b"[" * 100_000, b'{"number": 2}'):
        path.write_bytes(content)
        fits.clear()
        with pytest.warns(UserWarning, match=r"00002\.json cannot be read"):
            again = sbc(LINE, **SIZES, folder=folder)
        assert again.ranks.equals(whole.ranks)
        assert len(fits) == 1
    moved = json.loads(path.read_text()) | {"number": 0}
    path.write_text(json.dumps(moved))
    with pytest.warns(UserWarning, match="of replication 0"):
        sbc(LINE, **SIZES, folder=folder)


def test_a_fit_that_fails_is_counted_and_has_no_rank(monkeypatch):
    def failing(model, x, y, **options):
        if len(calls) == 1:
            calls.append(0)
            raise FitError("all restarts are lost")
        calls.append(0)
        return fit(model, x, y, **options)

    calls: list[int] = []
    monkeypatch.setattr(replication, "fit", failing)
    result = sbc(LINE, **SIZES)
    assert result.ranks.index.tolist() == [0, 2]
    assert result.replications["failure"].tolist() == ["", "FitError: all restarts are lost", ""]
    calls = [0]
    with pytest.raises(FitError, match=r"1 of 2 replications could be fitted.*all restarts"):
        sbc(LINE, num_replications=2, num_rows=12)


def test_a_draw_of_the_prior_that_cannot_be_made_is_an_outcome_too(monkeypatch):
    def failing(model, x, seed):
        raise ValueError("the scale is infinite")

    monkeypatch.setattr(replication, "simulate_prior", failing)
    with pytest.raises(FitError, match=r"0 of 2 replications.*ValueError: the scale is infinite"):
        sbc(LINE, num_replications=2, num_rows=12)


def test_extreme_draws_of_the_prior_count():
    # Scales that the prior draws by thousands, and rows in one regime alone.
    wild = Priors(noise=LogNormalPrior(median=30.0, spread=4.0))
    estimator = HybridRegressor(**(LINE.get_params(deep=False) | {"priors": wild}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = sbc(estimator, num_replications=4, num_rows=12)
    assert result.ranks.shape[0] == 4
    assert np.isfinite(result.ranks.to_numpy()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_replications": 1}, "num_replications must be an integer >= 2"),
        ({"num_rows": 1}, "num_rows must be"),
        ({"num_features": 0}, "num_features must be"),
        ({"prob": 1.0}, "prob must lie"),
        ({"n_jobs": 0}, "n_jobs must be"),
    ],
)
def test_what_cannot_be_is_refused(options, message, fits):
    with pytest.raises(OptionError, match=message):
        sbc(LINE, **(SIZES | options))
    assert fits == []


def test_a_folder_needs_a_seed_and_settings_are_checked_first(tmp_path, fits):
    unseeded = HybridRegressor(**(LINE.get_params(deep=False) | {"random_state": None}))
    with pytest.raises(OptionError, match="random_state"):
        sbc(unseeded, **SIZES, folder=tmp_path / "sbc")
    wrong = HybridRegressor(**(LINE.get_params(deep=False) | {"joined": True}))
    with pytest.raises(OptionError, match="joined"):
        sbc(wrong, **SIZES)
    assert fits == []
    assert not (tmp_path / "sbc").exists()
