"""What the options decide about a fit of a given size."""

import pytest

from bayes_hybrid.errors import OptionError
from bayes_hybrid.inference import FitOptions, Refinement, Variational
from bayes_hybrid.inference.options import COMPILE_REPAYS_AFTER


@pytest.mark.parametrize(
    ("mode", "few", "many"),
    [("auto", False, True), ("always", True, True), ("never", False, False)],
)
def test_compile_goes_by_the_number_of_calls(mode, few, many):
    options = FitOptions(compile=mode)
    assert options.compiles(COMPILE_REPAYS_AFTER - 1) is few
    assert options.compiles(COMPILE_REPAYS_AFTER) is many


@pytest.mark.parametrize(
    ("settings", "small", "large", "huge"),
    [
        ({}, True, False, False),
        ({"sampler": "nuts"}, True, False, False),
        # It takes 512 rows of any number.
        ({"sampler": "sghmc"}, True, True, False),
        ({"mode": "always"}, True, True, True),
        ({"mode": "never"}, False, False, False),
    ],
)
def test_refinement_goes_by_its_budget(settings, small, large, huge):
    # 5,000 evaluations x 100 rows x 100 parameters x 8 restarts is a 750th of the budget.
    sizes = ((100, 100), (1_000_000, 1_000), (1_000_000, 100_000))
    assert [Refinement(**settings).wanted(*size, 8) for size in sizes] == [small, large, huge]


def test_svi_takes_fewer_steps_where_a_sampler_goes_on():
    assert Variational().steps(refined=False) == 1_500
    assert Variational().steps(refined=True) == 200
    own = Variational(num_steps=7)
    assert own.steps(refined=False) == own.steps(refined=True) == 7


def test_chains_are_long_where_that_is_cheap():
    small, large = (Refinement().sized(rows, 400, 32) for rows in (100, 1_000))
    assert (small.num_warmup, small.num_iterations) == (150, 100)
    assert (large.num_warmup, large.num_iterations) == (75, 50)
    own = Refinement(num_warmup=7, num_iterations=9)
    assert own.sized(100, 400, 32) == own.sized(1_000_000, 400, 32) == own
    # Whether a table is refined at all goes by what it would cost at least.
    assert Refinement(budget=100 * 400 * 32 * 125 * 40).wanted(100, 400, 32)


@pytest.mark.parametrize(("num_rows", "rows"), [(3, 3), (4_096, 4_096), (4_097, 512)])
def test_minibatches_begin_where_full_batches_are_dear(num_rows, rows):
    assert FitOptions().rows_per_step(num_rows) == rows
    assert FitOptions(batch_size=7).rows_per_step(num_rows) == min(7, num_rows)


@pytest.mark.parametrize(
    ("name", "value"), [("refinement", "never"), ("warm_start", 300), ("variational", None)]
)
def test_settings_of_another_type_are_refused_when_built(name, value):
    with pytest.raises(OptionError, match=f"{name} must be a .*; got {value!r}"):
        FitOptions(**{name: value})


def test_repeated_kl_weights_are_refused():
    with pytest.raises(OptionError, match="different weights"):
        Variational(kl_weights=(0.1, 0.1))
    with pytest.raises(OptionError, match="kl_weights must be a tuple"):
        Variational(kl_weights=0.1)  # type: ignore[arg-type]


def test_more_draws_than_iterations_are_refused_where_hmc_may_run():
    many = Variational(num_draws=200)
    with pytest.raises(OptionError, match=r"at most num_iterations=50.*got 200"):
        FitOptions(variational=many)
    never = FitOptions(variational=many, refinement=Refinement(mode="never"))
    assert never.variational.num_draws == 200
