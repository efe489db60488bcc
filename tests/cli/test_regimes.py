import numpy as np
import pytest

from bayes_hybrid.cli.regimes import describe, stretches, switches
from tests.diagnostics import fakes


def test_stretches_and_the_switch_between_them():
    fit = fakes.healthy()
    left, right = stretches(fit)
    assert (left.regime, right.regime) == ("gaussian", "relu")
    # The fake gate switches at 0.3; the grid's step is 0.01.
    assert left.stop < 0.3 < right.start
    assert left.band[0] <= left.probability <= left.band[1]
    (switch,) = switches(fit)
    assert (switch.before, switch.after, switch.share) == ("gaussian", "relu", 1.0)
    assert switch.location == pytest.approx(0.3, abs=0.02)
    # Draws scatter by 0.02: a central 90% interval is about 0.066 wide.
    assert switch.band[1] - switch.band[0] == pytest.approx(0.066, abs=0.02)


def test_the_spread_of_a_switch_is_that_of_its_draws():
    fit = fakes.healthy(jitter=0.1)
    (switch,) = switches(fit)
    places = fit.posterior.sites["switch"].ravel()
    np.testing.assert_allclose(switch.band, np.quantile(places, [0.05, 0.95]), atol=0.02)


def test_words():
    sentences = describe(fakes.healthy())
    assert len(sentences) == 3
    assert sentences[0].startswith("dose -")
    assert "gaussian gives way to relu at dose = 0." in sentences[2]
    assert "single regime" not in " ".join(sentences)


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
