import numpy as np
import pytest

from bayes_hybrid.data import FAMILIES, simulate
from bayes_hybrid.errors import OptionError

# Hand-computed from the definitions: x, noise-free y (sin 0.6 = 0.564642473395035).
KNOWN = {
    "smooth": [(0.0, 0.0), (1.0, np.sin(2.0) + 0.3), (-2.0, np.sin(-4.0) - 0.6)],
    "step": [(0.0, 0.0), (0.2999, np.sin(0.5998)), (0.3, 0.564642473395035 + 1.5)],
    "kink": [(0.0, 0.0), (0.2999, np.sin(0.5998)), (1.3, 0.564642473395035 + 2.5)],
    "two_branch": [(-1.0, np.sin(-2.0)), (0.0, 0.0)],
}


def test_every_family_has_known_values():
    assert set(KNOWN) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_known_values(family):
    x, expected = np.array(KNOWN[family]).T
    mean, _ = FAMILIES[family](x, np.random.default_rng(0))
    np.testing.assert_allclose(mean, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_and_repeatability(family):
    rows = simulate(family, 30, seed=4)
    again = simulate(family, 30, seed=4)
    assert rows.x.shape == (30, 1)
    assert rows.y.shape == rows.regime.shape == rows.mean.shape == (30,)
    assert rows.regime.dtype == np.int64
    for name in ("x", "y", "regime", "mean"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(again, name))
    assert not np.array_equal(rows.x, simulate(family, 30, seed=5).x)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise(family):
    rows = simulate(family, 20_000, noise_scale=0.2, seed=0)
    noise = (rows.y - rows.mean) / 0.2
    # Four standard errors each; seed fixed, so the false-alarm rate of a fresh seed is 1.3e-4.
    assert abs(noise.mean()) < 4 / np.sqrt(20_000)
    assert abs(noise.std() - 1.0) < 4 / np.sqrt(2 * 20_000)
    assert -2.0 <= rows.x.min() < -1.99
    assert 1.99 < rows.x.max() < 2.0


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_scale_moves_nothing_else(family):
    loud = simulate(family, 50, noise_scale=0.1, seed=1)
    quiet = simulate(family, 50, noise_scale=0.001, seed=1)
    np.testing.assert_array_equal(loud.x, quiet.x)
    np.testing.assert_array_equal(loud.regime, quiet.regime)
    # y is about 1, so a difference of two of them carries an error of about 1e-16, a hundredth
    # of which is the quiet noise times 1e-11.
    np.testing.assert_allclose((loud.y - loud.mean) / 100, quiet.y - quiet.mean, atol=1e-15)


def test_regimes():
    assert not simulate("smooth", 100, seed=0).regime.any()
    for family in ("step", "kink"):
        rows = simulate(family, 100, seed=0)
        np.testing.assert_array_equal(rows.regime, rows.x[:, 0] >= 0.3)


def test_second_branch():
    rows = simulate("two_branch", 20_000, seed=0)
    branch = rows.regime == 1
    assert (rows.x[branch] > 0).all()
    assert (rows.mean[branch] == -1.5).all()
    np.testing.assert_array_equal(rows.mean[~branch], np.sin(2 * rows.x[~branch, 0]))
    share = branch[rows.x[:, 0] > 0].mean()
    # Four standard errors of a share of 0.3 in about 10,000 rows.
    assert abs(share - 0.3) < 4 * np.sqrt(0.21 / 10_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "kinks"}, "did you mean 'kink'"),
        ({"num_rows": 0}, "num_rows must be an integer >= 1"),
        ({"noise_scale": 0.0}, "noise_scale must be a finite number > 0"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(OptionError, match=message):
        simulate(**{"family": "kink", "num_rows": 5, "seed": 0} | arguments)
