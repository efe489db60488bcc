import dataclasses
import re

import numpy as np
import pytest

from bayes_hybrid.diagnostics import boundaries
from bayes_hybrid.diagnostics.regimes.description import describe
from bayes_hybrid.digits import figures
from tests.diagnostics import fakes


def test_the_words_are_those_of_the_boundary():
    fit = fakes.healthy(jitter=0.1)
    (change,) = boundaries(fit).boundaries
    place, low, high = figures(change.upper - change.lower, change.mean, change.lower, change.upper)
    assert f"dose = {place} (90% interval {low} to {high};" in describe(fit)[-1]
    # The fake gate switches at 0.3 with an sd of 0.1 over 200 draws.
    assert change.mean == pytest.approx(0.3, abs=0.04)


def test_a_constant_feature_has_no_place_of_change():
    fit = fakes.healthy()
    # Where the fake gate has even odds.
    sentences = describe(dataclasses.replace(fit, x=np.full_like(fit.x, 0.3)))
    assert [sentence.split(":")[0] for sentence in sentences] == ["gaussian", "relu"]


def test_a_regime_that_nobody_uses_has_no_words():
    fit = fakes.collapsed()
    sentences = describe(dataclasses.replace(fit, x=np.ones_like(fit.x)))
    assert [sentence.split(":")[0] for sentence in sentences] == ["gaussian"]


def test_words():
    sentences = describe(fakes.healthy())
    assert len(sentences) == 3
    assert sentences[0].startswith("dose -")
    assert "gaussian gives way to relu at dose = 0." in sentences[2]
    assert "single regime" not in " ".join(sentences)


def numbers(sentence):
    """Those of places, not of shares."""
    return [float(text) for text in re.findall(r"-?\d+\.\d+(?!\d|%)", sentence)]


def test_digits_follow_the_interval_and_not_the_size():
    """Years, of which four digits do not say where between two of them a change is."""
    fit = fakes.healthy(jitter=0.1)
    sites = {**fit.posterior.sites, "switch": 1980.0 + fit.posterior.sites["switch"]}
    years = dataclasses.replace(fit, x=1980.0 + fit.x, posterior=fakes.FakePosterior(sites=sites))
    for here, there in zip(describe(fit), describe(years), strict=True):
        assert len(numbers(there)) >= 2
        # Where regions end and changes lie is rounded once in each.
        assert numbers(there) == pytest.approx([1980.0 + n for n in numbers(here)], abs=0.011)


def test_words_without_a_switch():
    (sentence,) = describe(fakes.collapsed())
    assert "gaussian, with probability 100%" in sentence


def test_words_of_many_features():
    sentences = describe(fakes.healthy(num_features=3))
    assert [sentence.split(":")[0] for sentence in sentences] == ["gaussian", "relu"]
    assert "of the rows" in sentences[0]


def test_thresholds_stand_in_the_place_of_switches():
    sentences = describe(fakes.with_thresholds(fakes.healthy()))
    assert len(sentences) == 3
    assert sentences[2].startswith("The regime changes from 'gaussian' to 'relu' at dose = 0.")
    many = describe(fakes.with_thresholds(fakes.healthy(num_features=3)))
    assert len(many) == 3
    assert many[2].startswith("The regime changes from 'gaussian' to 'relu' at dose = 0.")


def test_neighbouring_regions_share_their_end():
    """The narrower region has more digits, to which the wider one's end would be rounded away."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-10.0, 14.2, (200, 1)), axis=0)
    fit = fakes.healthy(jitter=0.0)
    sites = {**fit.posterior.sites, "switch": fit.posterior.sites["switch"] * 0.0 + 5.7}
    fit = dataclasses.replace(fit, x=x, posterior=fakes.FakePosterior(sites=sites))
    first, second = (re.match(r"dose (\S+) to (\S+):", line) for line in describe(fit)[:2])
    assert first is not None
    assert second is not None
    assert first[2] == second[1]
    assert float(first[2]) == pytest.approx(5.7, abs=0.1)
