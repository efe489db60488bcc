"""What the options decide about a fit of a given size."""

import numpy as np
import pytest

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import HMC, NUTS, SGHMC, FitOptions, Variational
from bayes_hybrid.inference.recipe.options import COMPILE_REPAYS_AFTER, SMALL_TABLE


@pytest.mark.parametrize(
    ("mode", "few", "many"),
    [("auto", False, True), ("always", True, True), ("never", False, False)],
)
def test_compile_goes_by_the_number_of_calls(mode, few, many):
    options = FitOptions(compile=mode)
    assert options.compiles(COMPILE_REPAYS_AFTER - 1) is few
    assert options.compiles(COMPILE_REPAYS_AFTER) is many


@pytest.mark.parametrize(
    ("sampler", "fits"),
    [
        (HMC(), [True, False, False]),
        (NUTS(), [True, False, False]),
        # It takes 512 rows of any number.
        (SGHMC(), [True, True, False]),
        (HMC(budget=None), [True, True, True]),
    ],
)
def test_a_sampler_goes_by_its_budget(sampler, fits):
    # 5,000 evaluations x 100 rows x 100 parameters x 8 restarts is a 750th of the budget.
    sizes = ((100, 100), (1_000_000, 1_000), (1_000_000, 100_000))
    assert [sampler.suited(*size, 8) is not None for size in sizes] == fits


def test_svi_takes_fewer_steps_where_a_sampler_goes_on():
    assert Variational().steps(500, refined=False) == 1_500
    assert Variational().steps(500, refined=True) == 200
    # With many rows chains do not come far from where they start.
    assert Variational().steps(501, refined=True) == 1_500
    own = Variational(num_steps=7)
    assert own.steps(9, refined=False) == own.steps(9, refined=True) == 7


def test_chains_are_long_where_that_is_cheap():
    small, large = (HMC().suited(rows, 400, 32) for rows in (100, 1_000))
    assert small is not None
    assert large is not None
    assert (small.num_warmup, small.num_iterations) == (150, 100)
    assert (large.num_warmup, large.num_iterations) == (75, 50)
    own = HMC(num_warmup=7, num_iterations=9, budget=None)
    assert own.suited(100, 400, 32) == own.suited(1_000_000, 400, 32) == own


def test_a_small_table_has_more_restarts():
    auto = FitOptions()
    assert (auto.restarts(SMALL_TABLE), auto.restarts(SMALL_TABLE + 1)) == (64, 32)
    assert FitOptions(num_restarts=np.int64(3)).restarts(1) == 3
    for wrong in (0, "many", "64"):
        with pytest.raises(OptionError, match="num_restarts must be"):
            FitOptions(num_restarts=wrong)


@pytest.mark.parametrize(("num_rows", "rows"), [(3, 3), (4_096, 4_096), (4_097, 512)])
def test_minibatches_begin_where_full_batches_are_dear(num_rows, rows):
    assert FitOptions().rows_per_step(num_rows) == rows
    assert FitOptions(batch_size=7).rows_per_step(num_rows) == min(7, num_rows)


@pytest.mark.parametrize(("name", "value"), [("warm_start", 300), ("variational", None)])
def test_settings_of_another_type_are_refused_when_built(name, value):
    with pytest.raises(OptionError, match=f"{name} must be a .*; got {value!r}"):
        FitOptions(**{name: value})


def test_repeated_kl_weights_are_refused():
    with pytest.raises(OptionError, match="different weights"):
        Variational(kl_weights=(0.1, 0.1))
    with pytest.raises(OptionError, match="kl_weights must be a tuple"):
        Variational(kl_weights=0.1)


def test_more_draws_than_iterations_are_refused_where_hmc_may_run():
    many = Variational(num_draws=200)
    with pytest.raises(OptionError, match=r"at most num_iterations=50 of HMC.*got 200"):
        FitOptions(variational=many)
    never = FitOptions(variational=many, sampler=None)
    assert never.variational.num_draws == 200


@pytest.mark.parametrize("value", ["hmc", HMC])
def test_a_sampler_is_an_object(value):
    with pytest.raises(OptionError, match=r"sampler must be HMC\(\.\.\.\), .* or None; got"):
        FitOptions(sampler=value)


def test_the_deepest_tree_can_be_counted():
    assert NUTS(max_tree_depth=20).suited(100, 100, 8) is None
    with pytest.raises(OptionError, match=r"max_tree_depth must be at most 20.*got 21"):
        NUTS(max_tree_depth=21)
