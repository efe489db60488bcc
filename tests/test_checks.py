import numpy as np
import pytest

from bayes_hybrid import checks
from bayes_hybrid.errors import OptionError


def test_choice_returns_an_option():
    assert checks.choice("gate", "relu", ("linear", "relu")) == "relu"


@pytest.mark.parametrize(
    ("value", "nearest"),
    [("rleu", "relu"), ("ReLU", "relu"), ("linaer", "linear"), ("LINEAR ", "linear")],
)
def test_choice_suggests_the_nearest(value, nearest):
    with pytest.raises(OptionError, match=rf"'linear', 'relu'; got .*did you mean '{nearest}'\?"):
        checks.choice("gate", value, ("linear", "relu"))


@pytest.mark.parametrize("value", ["markov", "", None, 3, np.array(["relu"]), ["relu"]])
def test_choice_without_a_near_option_suggests_nothing(value):
    with pytest.raises(OptionError, match="gate must be one of") as caught:
        checks.choice("gate", value, ("linear", "relu"))
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("value", [1, np.int64(1), np.uint8(1)])
def test_positive_int_gives_a_python_int(value):
    checked = checks.positive_int("depth", value)
    assert checked == 1
    assert type(checked) is int


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, 2.5, "3", None, True, np.True_, np.float64(2), np.array([1, 2])]
)
def test_positive_int_refuses(value):
    with pytest.raises(OptionError, match="depth must be an integer >= 1; got"):
        checks.positive_int("depth", value)


def test_positive_int_minimum():
    assert checks.positive_int("num_regimes", 2, minimum=2) == 2
    assert checks.positive_int("seed", 0, minimum=0) == 0
    with pytest.raises(OptionError, match="num_regimes must be an integer >= 2; got 1"):
        checks.positive_int("num_regimes", 1, minimum=2)


@pytest.mark.parametrize("value", [1, 2.5, np.float32(0.5), np.int64(3), 5e-324])
def test_positive_float_gives_a_python_float(value):
    checked = checks.positive_float("scale", value)
    assert checked == value
    assert type(checked) is float


@pytest.mark.parametrize(
    "value", [0, 0.0, -1e-9, np.nan, np.inf, -np.inf, "1", None, True, np.True_, 1j, np.ones(2)]
)
def test_positive_float_refuses(value):
    with pytest.raises(OptionError, match="scale must be a finite number > 0; got"):
        checks.positive_float("scale", value)


def test_positive_float_may_be_zero_where_that_is_allowed():
    assert checks.positive_float("weight", 0, closed=True) == 0.0
    with pytest.raises(OptionError, match="weight must be a finite number >= 0; got -1"):
        checks.positive_float("weight", -1, closed=True)


@pytest.mark.parametrize("value", [1e-9, 0.5, np.float32(0.25)])
def test_fraction_inside(value):
    assert checks.fraction("prob", value) == value
    assert checks.fraction("prob", value, closed=True) == value


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_fraction_ends(value):
    assert checks.fraction("held_out", value, closed=True) == value
    with pytest.raises(OptionError, match="held_out must lie strictly between 0 and 1; got"):
        checks.fraction("held_out", value)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf, "0.5", None, True])
def test_fraction_refuses(value, closed):
    with pytest.raises(OptionError, match="prob must lie"):
        checks.fraction("prob", value, closed=closed)


def test_fraction_asks_about_percentages_only_where_one_is_likely():
    with pytest.raises(OptionError, match="for a percentage, divide by 100"):
        checks.fraction("prob", 95)
    with pytest.raises(OptionError) as caught:
        checks.fraction("prob", -5)
    assert "percentage" not in str(caught.value)


@pytest.mark.parametrize("probs", [[0.1, 0.9], (0.9, 0.1), np.array([0.5], dtype=np.float32)])
def test_probabilities_keep_order(probs):
    levels = checks.probabilities(probs)
    assert levels.dtype == np.float64
    np.testing.assert_array_equal(levels, np.asarray(probs))


def test_probabilities_is_a_copy():
    probs = np.array([0.1, 0.9])
    checks.probabilities(probs)[0] = 0.5
    assert probs[0] == 0.1


@pytest.mark.parametrize("probs", [0.5, [], [[0.1, 0.9]], ["a"], [[0.1], [0.2, 0.3]], None, [None]])
def test_probabilities_refuses_shapes_and_text(probs):
    with pytest.raises(OptionError, match=r"probs.* strictly between 0 and 1"):
        checks.probabilities(probs)


@pytest.mark.parametrize(
    "probs", [np.ma.array([0.5, 0.9], mask=[False, True]), [0.5, np.ma.masked]], ids=range(2)
)
def test_masked_probabilities_are_refused(probs):
    with pytest.raises(OptionError, match=r"levels must be .* some of it is masked"):
        checks.probabilities(probs, name="levels")
    unmasked = np.ma.array([0.5, 0.9], mask=[False, False])
    assert checks.probabilities(unmasked).tolist() == [0.5, 0.9]


@pytest.mark.parametrize("bad", [5e-324, 1e-16, 9e-13, 1.0 - 9e-13, 1.0 - 1e-16])
def test_levels_keep_away_from_the_ends(bad):
    with pytest.raises(OptionError, match=r"probs\[1\] must keep 1e-12 away from 0 and 1.*got"):
        checks.probabilities([0.5, bad])


def test_the_nearest_levels_pass():
    near = [1e-12, 1.0 - 1e-12]
    assert checks.probabilities(near).tolist() == near
    assert checks.central("prob", 1.0 - 2e-12) == pytest.approx(near, rel=1e-4, abs=0.0)
    assert checks.central("prob", 0.9) == pytest.approx((0.05, 0.95))
    with pytest.raises(OptionError, match="--prob must be 1 - 2e-12 at most"):
        checks.central("--prob", 1.0 - 1e-12)
    with pytest.raises(OptionError, match="prob must lie strictly between 0 and 1"):
        checks.central("prob", 1.0)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 90.0, np.nan])
def test_probabilities_names_the_entry(bad):
    with pytest.raises(OptionError, match=r"levels\[1\] must lie strictly between 0 and 1"):
        checks.probabilities([0.5, bad], name="levels")
