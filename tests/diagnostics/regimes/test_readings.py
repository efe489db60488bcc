"""Where and how regimes are, in words, and which of them are asked about."""

import dataclasses

import numpy as np
import pytest
from scipy import special

from bayes_hybrid.diagnostics import boundaries, diagnose, readings_frame, regime_descriptions
from bayes_hybrid.diagnostics.regimes.readings import (
    regime_feature,
    regimes_in_question,
    told_readings,
)
from bayes_hybrid.digits import figures
from bayes_hybrid.inference.readings import Reading
from tests.diagnostics.fakes import FakeFit, FakePosterior, collapsed, healthy, with_thresholds

FLAT = {"intercept": [0.5, 0.5], "weight": [0.0, 0.0], "scale": [1.0, 1.0]}


class Waves(FakePosterior):
    """The first regime has the rows where ``cos(3 x) > 0.3``, within [-2, 2] three pieces."""

    def _log_joint(self, x, y):
        joint = super()._log_joint(x, y)
        logit = 20.0 * (0.3 - np.cos(3.0 * x[:, 0]))
        gate = np.stack([special.log_expit(-logit), special.log_expit(logit)], axis=-1)
        return joint - super()._log_joint(x, None) + gate


class Middle(Waves):
    """The first regime has the rows with ``|x| < 1``."""

    def _log_joint(self, x, y):
        joint = FakePosterior._log_joint(self, x, y)
        logit = 20.0 * (np.abs(x[:, 0]) - 1.0)
        gate = np.stack([special.log_expit(-logit), special.log_expit(logit)], axis=-1)
        return joint - FakePosterior._log_joint(self, x, None) + gate


class Last(FakePosterior):
    """The last of its features is the one that matters."""

    def _log_joint(self, x, y):
        return super()._log_joint(x[:, ::-1], y)


def _like(fit, kind):
    """The fit with another gate, and targets of no consequence."""
    return dataclasses.replace(
        fit, posterior=kind(sites=fit.posterior.sites), y=np.zeros(len(fit.x))
    )


def test_a_regime_is_where_its_boundary_says():
    fit = healthy(scale=[0.1, 0.3])
    (change,) = boundaries(fit).boundaries
    (place,) = figures(change.upper - change.lower, change.mean)
    assert regime_descriptions(fit) == {
        "gaussian": f"dose < {place}, quiet",
        "relu": f"dose > {place}, noisy",
    }
    # A ratio of 1.5 is not heard.
    assert not regime_descriptions(healthy())["relu"].endswith((", noisy", ", quiet"))


def test_pieces_of_a_feature():
    found = regime_descriptions(_like(healthy(**FLAT), Middle))
    assert found == {"gaussian": "-1 < dose < 1", "relu": "dose < -1 or dose > 1"}
    found = regime_descriptions(_like(healthy(**FLAT), Waves))
    assert found["gaussian"] == "3 pieces of dose"


def test_regimes_without_a_place_say_how_many_rows_they_have():
    """The regimes differ by their noise, wherever a row is."""
    fit = healthy(slope=0.0, **FLAT | {"scale": [1.0, 3.0]})
    usage = fit.readings[0].usage
    assert regime_descriptions(fit) == {
        "gaussian": f"{usage[0]:.0%} of the rows, mixed along dose, quiet",
        "relu": f"{usage[1]:.0%} of the rows, mixed along dose, noisy",
    }
    several = healthy(slope=0.0, num_features=2, **FLAT)
    assert regime_descriptions(several)["relu"].endswith("mixed along every feature")


def test_a_place_whose_rows_are_in_the_other_regime_is_not_told():
    """The gate changes at 0.3, and the rows know nothing of it."""
    fit = healthy()
    rows = np.random.default_rng(0).random(len(fit.x))
    shares = np.stack([rows < 0.5, rows >= 0.5], axis=-1) * 1.0
    other = _with_readings(fit, (1.0, shares))
    assert all("mixed along dose" in words for words in regime_descriptions(other).values())


def test_the_feature_that_tells_the_regimes_apart():
    fit = healthy(num_features=3)
    assert regime_feature(fit) == 0
    turned = dataclasses.replace(
        fit, x=fit.x[:, ::-1].copy(), posterior=Last(sites=fit.posterior.sites)
    )
    assert regime_feature(turned) == 2
    assert regime_descriptions(turned)["gaussian"].startswith("other 2 < 0.")
    # Where rows have the order of their regimes, that of equal values says nothing.
    binary = dataclasses.replace(turned, x=turned.x.copy())
    binary.x[:, 0] = np.arange(len(fit.x)) % 2
    assert regime_feature(binary) == 2
    assert regime_feature(with_thresholds(turned, feature=1)) == 1
    assert regime_feature(dataclasses.replace(fit, x=np.ones_like(fit.x))) is None


def _with_readings(fit, *given):
    """The fit with readings of these weights and responsibilities."""
    found = tuple(
        Reading(
            weight=weight,
            members=np.arange(1),
            order=np.arange(shares.shape[1])[None],
            responsibilities=shares,
            elpd=-3.0,
        )
        for weight, shares in given
    )
    kind = type("Read", (FakeFit,), {"readings": found})
    fields = {field.name: getattr(fit, field.name) for field in dataclasses.fields(fit)}
    return kind(**fields)


def _shares(*usage, num_rows=120):
    """Rows that are certain, so many of each regime."""
    ends = np.cumsum(np.round(np.array(usage) * num_rows))
    z = np.searchsorted(ends, np.arange(num_rows), side="right")
    return np.eye(len(usage))[z]


def _text(fit):
    return next(each for each in diagnose(fit) if each.name == "leading_reading").meaning


def test_the_leading_reading_is_told_with_the_others():
    """Those with little weight are not."""
    fit = _with_readings(
        healthy(), (0.7, _shares(1.0, 0.0)), (0.27, _shares(0.6, 0.4)), (0.03, _shares(0.1, 0.9))
    )
    assert told_readings(fit) == [0, 1]
    words = "; ".join(f"{name}: {how}" for name, how in regime_descriptions(fit, 1).items())
    assert _text(fit) == (
        "One regime explains these rows (70% of the posterior). Another reading: 2 regimes explain "
        f"these rows (27%), {words}."
    )
    names = {each.name.partition("[")[0] for each in diagnose(fit)}
    assert not names & {"usage", "dominant_regime", "gate_entropy", "regime_worth"}


def test_letters_keep_their_case():
    fit = dataclasses.replace(
        healthy(), posterior=dataclasses.replace(healthy().posterior, regime_names=("A", "B"))
    )
    assert _text(fit).startswith("2 regimes explain these rows (100% of the posterior), A: dose < ")


def test_which_regimes_are_asked_about():
    several = _with_readings(
        dataclasses.replace(
            healthy(),
            posterior=dataclasses.replace(healthy().posterior, regime_names=("A", "B", "C")),
        ),
        (1.0, _shares(0.6, 0.0, 0.4)),
    )
    assert regimes_in_question(several) == (0, 2)
    one, two = _shares(1.0, 0.0), _shares(0.6, 0.4)
    assert regimes_in_question(_with_readings(healthy(), (0.6, one), (0.4, two))) == ()
    assert regimes_in_question(_with_readings(healthy(), (0.6, two), (0.4, one))) == (0, 1)
    # All restarts have one regime: the gate may have collapsed.
    assert regimes_in_question(collapsed()) == (0, 1)
    flagged = {each.name for each in diagnose(collapsed()) if each.severity != "ok"}
    assert {"usage[relu]", "dominant_regime"} <= flagged


def test_one_regime_is_all_rows():
    assert regime_descriptions(collapsed()) == {"gaussian": "all rows"}
    table = readings_frame(collapsed())
    assert table[["where[gaussian]", "where[relu]"]].to_numpy().tolist() == [["all rows", ""]]


def test_a_row_for_each_reading():
    fit = _with_readings(healthy(), (0.7, _shares(0.6, 0.4)), (0.3, _shares(1.0, 0.0)))
    table = readings_frame(fit)
    assert table["weight"].tolist() == [0.7, 0.3]
    assert table["usage[gaussian]"].tolist() == pytest.approx([0.6, 1.0])
    assert table["expert[relu]"].tolist() == ["relu", "relu"]
    first: dict[str, str] = table.iloc[0].to_dict()
    assert {name: first[f"where[{name}]"] for name in ("gaussian", "relu")} == (
        regime_descriptions(fit)
    )


def test_an_expert_that_serves_alone_has_no_share():
    """Weights add up to one but for rounding."""

    class Served(FakePosterior):
        service = np.array([[1.0 - 1e-16, 0.0], [0.3, 0.7]])

    fit = dataclasses.replace(healthy(), posterior=Served(sites=healthy().posterior.sites))
    table = readings_frame(fit)
    assert table["expert[gaussian]"].tolist() == ["gaussian"]
    assert table["expert[relu]"].tolist() == ["relu 70%, gaussian 30%"]


def test_noise_of_heavy_tails():
    class Heavy(FakePosterior):
        def expert_scale_draws(self, x):
            scales = super().expert_scale_draws(x).copy()
            scales[:, :10, :, 0] = np.inf  # in a tenth of the draws
            return scales

    sites = healthy(scale=[0.1, 0.3]).posterior.sites
    fit = dataclasses.replace(healthy(), posterior=Heavy(sites=sites))
    shares = fit.readings[0].responsibilities
    found = regime_descriptions(_with_readings(fit, (1.0, shares)))
    assert found["gaussian"].endswith(", quiet")


def test_a_change_that_few_draws_have_is_no_place():
    """Though the rows would say so."""
    fit = healthy(jitter=0.0)
    sites = {**fit.posterior.sites, "switch": fit.posterior.sites["switch"].copy()}
    sites["switch"][:, 30:] = 50.0  # of 100 draws
    rare = dataclasses.replace(fit, posterior=FakePosterior(sites=sites))
    assert boundaries(rare).boundaries[0].probability_exists == pytest.approx(0.3)
    shares = fit.readings[0].responsibilities
    assert "dose < 0.3" in regime_descriptions(_with_readings(fit, (1.0, shares)))["gaussian"]
    assert "mixed" in regime_descriptions(_with_readings(rare, (1.0, shares)))["gaussian"]
