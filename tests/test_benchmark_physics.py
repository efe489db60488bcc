"""The laws of the benchmark obey their equations, and their data are what they say."""

import os
import pickle

import numpy as np
import pytest
from scipy.integrate import solve_bvp, trapezoid

from benchmarks.tasks import pde, physics
from benchmarks.tasks.base import Data
from benchmarks.tasks.physics import BURGERS_VISCOSITY, burgers

LAWS = (*physics.LAWS, *pde.LAWS)
TASKS = (*physics.TASKS, *pde.TASKS)
BY_NAME = {law.name.split("/")[1]: law for law in LAWS}
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)


def numbers(data: Data) -> list[np.ndarray]:
    rows = (data.train, data.test, *data.beyond.values())
    return [array for each in rows for array in (each.x, each.y)]


def slope(function, x, step):
    """Central difference; its relative error is about ``(step / width)² / 6``."""
    return (function(x + step) - function(x - step)) / (2 * step)


def bend(function, x, step):
    """Second difference; its relative error is about ``(step / width)² / 12``."""
    return (function(x + step) - 2 * function(x) + function(x - step)) / step**2


# -- data


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_seed_decides_the_data_in_any_process(task):
    first, again, other = (numbers(t.draw(s)) for t, s in [(task, 3), (task, 3), (task, 4)])
    elsewhere = numbers(pickle.loads(pickle.dumps(task)).draw(3))
    for one, two, three, four in zip(first, again, elsewhere, other, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
        assert not np.isin(one, four).any()


def test_names_and_sources():
    names = [task.name for task in TASKS]
    assert len(set(names)) == len(names)
    assert all(task.name.startswith("physics/") for task in physics.TASKS)
    assert all(task.name.startswith("pde/") for task in pde.TASKS)
    assert all(any(year in task.about for year in ("19", "20")) for task in TASKS)


@laws
def test_rows_are_where_they_should_be(law):
    data = law.draw(0)
    low, high = np.transpose(law.box)
    assert all(np.isfinite(array).all() for array in numbers(data))
    for rows, count in [(data.train, law.num_train), (data.test, 1_000)]:
        assert rows.x.shape == (count, len(law.box))
        assert rows.y.shape == (count,)
        assert ((low <= rows.x) & (rows.x <= high)).all()
    assert not np.isin(data.train.x, data.test.x).any()
    parts = data.regimes if data.layer is None else data.layer.astype(int)
    assert parts is not None
    assert parts.shape == (1_000,)
    assert np.issubdtype(parts.dtype, np.integer)
    assert np.bincount(parts).min() >= 50
    for threshold in data.thresholds:
        assert low[data.along] < threshold < high[data.along]


@laws
def test_outer_rows_are_beyond_both_ends_and_the_law_holds_there(law):
    data = law.draw(0)
    (low, high), others = law.box[0], law.box[1:]
    for name, near, far in [("10%", 0.0, 0.1), ("25%", 0.1, 0.25)]:
        x = data.beyond[name].x
        below, above = (low - x[:, 0]) / (high - low), (x[:, 0] - high) / (high - low)
        assert len(x) == 300
        # Fewer than 90 of 300 rows at one end has probability 1e-12.
        assert min((below > 0).sum(), (above > 0).sum()) >= 90
        distance = np.maximum(below, above)
        assert near <= distance.min()
        assert distance.max() <= far
        for column, (least, most) in enumerate(others, start=1):
            assert least <= x[:, column].min()
            assert x[:, column].max() <= most


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("stefan", 0, np.inf),  # The wall.
        ("stefan_moving", 0, np.inf),
        ("burgers_shock", -1, 1),  # The walls.
        ("buckley_leverett", 0, np.inf),  # The inlet.
        ("drag_crisis", -np.inf, 6),  # As far as Morrison's correlation goes.
    ],
)
def test_outer_rows_are_where_the_law_holds(name, low, high):
    least, most = BY_NAME[name].box[0]
    reach = 0.25 * (most - least)
    assert low - 1e-12 <= least - reach  # Rounding.
    assert most + reach <= high + 1e-12


@laws
def test_noise_has_the_stated_sd(law):
    data = law.draw(0)
    noise = data.test.y - law.mean(data.test.x)
    sd = np.atleast_1d(law.sd)
    regimes = np.zeros(len(noise), dtype=int) if data.regimes is None else data.regimes
    for number in np.unique(regimes):
        part = noise[regimes == number]
        expected = sd[number if len(sd) > 1 else 0]
        # Five standard errors: a false alarm in 1e6, 2e-5 for all laws.
        assert abs(part.mean()) < 5 * expected / np.sqrt(len(part))
        assert abs(part.std() / expected - 1) < 5 / np.sqrt(2 * len(part))


@pytest.mark.parametrize("law", [x for x in LAWS if x.thresholds], ids=lambda law: law.name)
def test_the_mean_changes_most_at_thresholds(law):
    order = 2 if law.name in ("physics/stefan", "physics/latent_heat") else 1
    grid = np.linspace(law.box[0][0], law.box[0][1], 2_002)
    change = np.abs(np.diff(law.mean(grid[:, None]), order))
    place = np.convolve(grid, np.ones(order + 1) / (order + 1), mode="valid")
    near = np.abs(place[:, None] - law.thresholds) <= 2 * (grid[1] - grid[0])
    assert (np.where(near, change[:, None], 0).max(0) > change[~near.any(1)].max()).all()


@pytest.mark.parametrize(
    ("name", "regime"),
    [
        ("stefan", lambda u: u >= 0),
        ("stefan_moving", lambda u: u >= 0),
        ("burgers_shock", lambda u: u <= 0),
        ("buckley_leverett", lambda u: u == 0),
        ("stick_slip", lambda u: u >= 0),
        ("latent_heat", lambda u: np.sign(u) + 1),
        ("drag_crisis", lambda u: u <= physics.sphere_drag(10**physics.STEEPEST)),
    ],
)
def test_regimes_are_those_of_the_true_mean(name, regime):
    data = BY_NAME[name].draw(0)
    expected = regime(BY_NAME[name].mean(data.test.x))
    np.testing.assert_array_equal(data.regimes, expected.astype(int))


# -- freezing


def test_freezing_conducts_heat_in_ice_and_in_water():
    time = 12 * physics.HOUR
    front = float(physics.stefan_front(time))
    x = np.concatenate([np.linspace(0.1, 0.9, 20), np.linspace(1.1, 4, 20)]) * front
    diffusivity = np.where(x < front, physics.ICE_DIFFUSIVITY, physics.WATER_DIFFUSIVITY)
    warming = slope(lambda t: physics.stefan_temperature(x, t), time, 1e-3 * time)
    conduction = diffusivity * bend(
        lambda at: physics.stefan_temperature(at, time), x, 1e-3 * front
    )
    # Differences of 1e-3 widths are right to some 1e-6 of the scale, 20 K in the time.
    np.testing.assert_allclose(warming, conduction, atol=1e-5 * 20 / time, rtol=0)


def test_freezing_conserves_heat_at_the_front():
    time, step = 12 * physics.HOUR, 1e-6
    front = float(physics.stefan_front(time))
    at = physics.stefan_temperature(front + step * np.array([-1.0, 0.0, 1.0]), time)
    assert at[1] == pytest.approx(0, abs=1e-12)  # Rounding of 20 K.
    ice, water = np.diff(at) / step * [physics.ICE_CONDUCTIVITY, physics.WATER_CONDUCTIVITY]
    melting = physics.DENSITY * physics.LATENT_HEAT * slope(physics.stefan_front, time, 1.0)
    # A step of 1e-5 of the depth bends the slope by as much.
    assert ice - water == pytest.approx(melting, rel=1e-5)
    wall, far = physics.stefan_temperature(np.array([0.0, 10.0]), time)
    assert (wall, far) == (physics.WALL, physics.INITIAL)


# -- Burgers


@pytest.mark.parametrize("time", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("viscosity", [1e-3, BURGERS_VISCOSITY, 0.1])
def test_burgers_equation_holds_in_the_shock_and_around_it(viscosity, time):
    step = viscosity / 50
    x = np.concatenate([np.linspace(-0.95, 0.95, 40), np.linspace(-8, 8, 41) * viscosity])
    u = burgers(x, time, viscosity)
    change = slope(lambda t: burgers(x, t, viscosity), time, 1e-4)
    steepness = slope(lambda at: burgers(at, time, viscosity), x, step)
    spread = viscosity * bend(lambda at: burgers(at, time, viscosity), x, step)
    # The step is 1/100 of the shock's width, 2 viscosities: errors are some 1e-4 / 6 of the
    # largest slope, 1 / (2 viscosity), or of 1 where that is less steep than the wave.
    scale = max(1.0, 1 / (2 * viscosity))
    np.testing.assert_allclose(change + u * steepness, spread, atol=3e-5 * scale, rtol=0)


def test_burgers_starts_as_a_sine_and_rests_at_the_walls():
    x = np.linspace(-1, 1, 21)
    u = burgers(x, 1e-6, BURGERS_VISCOSITY)
    # It changes by less than pi in a unit of time.
    np.testing.assert_allclose(u, -np.sin(np.pi * x), atol=4e-6)
    for time in (0.1, 0.5, 1.0):
        # Sums of 401 numbers of size one.
        np.testing.assert_allclose(burgers(x[[0, 10, 20]], time, BURGERS_VISCOSITY), 0, atol=1e-13)


def test_burgers_is_as_steep_as_published():
    """Basdevant et al. (1986): at most 152.00516, at the time 1.6037 / pi."""
    step = 1e-5
    times = np.linspace(1.5, 1.7, 2_001) / np.pi
    steepness = [-burgers(np.array([step]), t, BURGERS_VISCOSITY)[0] / step for t in times]
    # A step of 1/640 of the width lacks a third of its square, 8e-7.
    assert max(steepness) == pytest.approx(152.00516, rel=1e-6)
    # They give five digits.
    assert times[np.argmax(steepness)] * np.pi == pytest.approx(1.6037, abs=1e-4)


def test_burgers_equals_a_table():
    """A table with columns x, t, u for the viscosity 0.01 / pi, such as DeepXDE's Burgers.npz."""
    path = os.environ.get("BAYES_HYBRID_BURGERS_CSV")
    if not path:
        pytest.skip("BAYES_HYBRID_BURGERS_CSV names no table")
    x, t, u = np.loadtxt(path, delimiter=",", skiprows=1).T
    for time in np.unique(t[t > 0]):
        at = t == time
        # The table has seven digits.
        np.testing.assert_allclose(burgers(x[at], time, BURGERS_VISCOSITY), u[at], atol=1e-6)


# -- flooding


def test_flooding_fills_the_core_with_what_was_injected():
    front = physics.FRONT_SPEED * 0.4
    x = np.linspace(0, front * (1 - 1e-12), 10_001)
    # The trapezoidal rule with steps of 5e-5: their square, times a bend of size one.
    saturation = physics.water_saturation(x, 0.4)
    assert trapezoid(saturation, x) == pytest.approx(0.4, abs=1e-8)
    assert saturation[0] == pytest.approx(1, abs=1e-15)  # The last bisection.


def test_flooding_conserves_water_behind_the_front():
    x = np.linspace(0.02, 0.52, 51)
    filling = slope(lambda t: physics.water_saturation(x, t), 0.4, 1e-4)
    inflow = slope(lambda at: physics.water_flow(physics.water_saturation(at, 0.4)), x, 1e-4)
    # Steps of 1e-4: their square, times third derivatives of some 100 near the inlet.
    np.testing.assert_allclose(filling, -inflow, atol=1e-6)


def test_the_flood_front_is_rankine_hugoniots_and_oleiniks():
    saturation = np.linspace(0, 1, 1_001)
    front = physics.FRONT_SATURATION
    speed = float(physics.water_flow(front)) / front
    assert speed == pytest.approx(physics.FRONT_SPEED, rel=1e-14)
    # The chord from 0 is tangent, so that it lies above the flow; up to rounding.
    assert (physics.water_flow(saturation) <= physics.FRONT_SPEED * saturation + 1e-15).all()
    place = physics.FRONT_SPEED * 0.4 * np.array([1 - 1e-9, 1 + 1e-9])
    np.testing.assert_allclose(physics.water_saturation(place, 0.4), [front, 0], atol=1e-8)


# -- friction, melting, drag


def test_friction_is_static_at_rest_and_viscous_when_fast():
    at = np.array([[1e-12], [-1e-12], [1.0], [physics.STRIBECK]])
    rest, back, fast, middle = physics.stick_slip(at)
    # The limits are reached to within the slope at rest, VISCOUS * 1e-12.
    assert (rest, -back) == pytest.approx((physics.STATIC, physics.STATIC), abs=1e-11)
    assert fast == pytest.approx(physics.KINETIC + physics.VISCOUS, abs=1e-15)
    dry = physics.KINETIC + (physics.STATIC - physics.KINETIC) / np.e
    assert middle == pytest.approx(dry + physics.VISCOUS * physics.STRIBECK, abs=1e-15)


def test_enthalpy_is_heat_that_was_added():
    temperature = np.array([-30.0, -1.0, 0.0, 0.0, 1.0, 40.0])
    melted = np.array([0, 0, 0.1, 0.9, 1, 1])
    heat = np.where(temperature < 0, physics.ICE_HEAT, physics.WATER_HEAT) * temperature
    enthalpy = (heat + melted * physics.LATENT_HEAT) / 1e3
    # Rounding of some 100 kJ/kg.
    np.testing.assert_allclose(physics.latent_heat(enthalpy[:, None]), temperature, atol=1e-12)


def almedeij_drag(reynolds):
    """Almedeij, Powder Technology 186 (2008): another correlation, for 0.001 to 1e6."""
    power = [24 / reynolds, 21 * reynolds**-0.67, 4 * reynolds**-0.33, 0.4 * reynolds**0]
    first = sum(each**10 for each in power)
    second = 1 / ((0.148 * reynolds**0.11) ** -10 + 0.5**-10)
    third = (1.57e8 * reynolds**-1.625) ** 10
    fourth = 1 / ((6e-17 * reynolds**2.63) ** -10 + 0.2**-10)
    return (1 / (1 / (first + second) + 1 / third) + fourth) ** 0.1


def test_drag_is_that_of_another_correlation():
    reynolds = 10 ** np.linspace(-1, 5.975, 200)
    drag = physics.sphere_drag(reynolds)
    difference = np.abs(np.log(drag / almedeij_drag(reynolds)))
    # They smooth scattered experiments, within 20% of each other.  In the crisis, where drag falls
    # to a quarter, and after it they are within 65%.
    assert difference[reynolds < 2e5].max() < np.log(1.2)
    assert difference.max() < np.log(1.65)
    assert physics.sphere_drag(1e-3) == pytest.approx(24e3, rel=1e-4)  # Stokes.
    # Achenbach, Journal of Fluid Mechanics 54 (1972): the crisis is between 2e5 and 4e5.
    assert 2e5 < 10**physics.STEEPEST < 4e5


# -- layers

LAYER_WIDTHS = (10**-3.6, 1e-3, 1e-2, 0.3)


def places(width):
    """Places inside ``[width / 50, 1 - width / 50]``, in the layers and between them."""
    near = width * np.linspace(0.02, 3, 40)
    return np.concatenate([near, np.linspace(0.05, 0.95, 19), 1 - near])


@pytest.mark.parametrize("width", LAYER_WIDTHS)
def test_convection_diffusion_obeys_its_equation(width):
    def u(at):
        return pde.convection_diffusion(at, width)

    x = places(width)
    step = width / 100
    residual = -width * bend(u, x, step) + slope(u, x, step) - 1
    # Steps of 1/100 of the layer: errors of 1e-4 / 12 and 1e-4 / 6 of its slope, 1 / width,
    # and rounding of 1e-16 divided by the step.
    np.testing.assert_allclose(width * residual, 0, atol=3e-5)
    np.testing.assert_allclose(u(np.array([0.0, 1.0])), 0, atol=1e-15)


@pytest.mark.parametrize("width", LAYER_WIDTHS)
def test_reaction_diffusion_obeys_its_equation(width):
    def u(at):
        return pde.reaction_diffusion(at, width)

    x = places(width)
    residual = -(width**2) * bend(u, x, width / 100) + u(x) - 1
    # As above, 1e-4 / 12 of the layer's height, 1.
    np.testing.assert_allclose(residual, 0, atol=1e-5)
    np.testing.assert_allclose(u(np.array([0.0, 1.0])), 0, atol=1e-15)


def test_convection_diffusion_equals_a_numerical_solution():
    solution = solve_bvp(
        lambda x, u: np.array([u[1], (u[1] - 1) / 0.1]),
        lambda left, right: np.array([left[0], right[0]]),
        np.linspace(0, 1, 101),
        np.zeros((2, 101)),
        tol=1e-8,
    )
    x = np.linspace(0, 1, 301)
    # The solver's tolerance, times ten for a residual that becomes an error.
    np.testing.assert_allclose(solution.sol(x)[0], pde.convection_diffusion(x, 0.1), atol=1e-7)


def test_limits_of_wide_and_thin_layers():
    x = np.linspace(0, 0.9, 10)
    # Without convection a parabola; the next term is a 1e-3 of it at most.
    np.testing.assert_allclose(
        1e3 * pde.convection_diffusion(x, 1e3), x * (1 - x) / 2, rtol=1e-3, atol=1e-12
    )
    # A layer of exp(-0.1 / 0.002), 2e-22, leaves rounding.
    np.testing.assert_allclose(pde.convection_diffusion(x, 2e-3), x, atol=1e-15)
    np.testing.assert_allclose(pde.reaction_diffusion(x[1:], 2e-3), 1, atol=1e-15)
    # At the time 0.5 a thin shock jumps from 1 to -1; the wave around it adds some viscosities.
    viscosity = 3e-4
    place = viscosity * np.linspace(-8, 8, 17)
    shock = burgers(place, 0.5, viscosity)
    np.testing.assert_allclose(shock, -np.tanh(place / (2 * viscosity)), atol=10 * viscosity)


def test_burgers_layer_is_the_shock_at_its_viscosity():
    place = np.linspace(-0.5, 0.5, 11)[:, None]
    viscosity = np.full_like(place, np.log10(BURGERS_VISCOSITY))
    np.testing.assert_allclose(
        BY_NAME["burgers_layer"].mean(np.hstack([viscosity, place])),
        BY_NAME["burgers_shock"].mean(place),
        atol=1e-13,  # Rounding of the logarithm, times a slope of 157.
    )


@pytest.mark.parametrize("law", pde.LAWS, ids=lambda law: law.name)
def test_layers_are_steep(law):
    data = law.draw(0)
    parameter, place = data.test.x.T
    steepness = np.abs(slope(lambda at: law.mean(np.stack([parameter, at], 1)), place, 1e-6))
    layer = data.layer
    assert layer is not None
    # The means of slopes differ by a factor of 5 to 100; wide layers are gentle.
    assert steepness[layer].mean() > 3 * steepness[~layer].mean()


@pytest.mark.parametrize(
    ("name", "outer", "layers"),
    [("convection_diffusion", lambda x: x, 1), ("reaction_diffusion", np.ones_like, 2)],
)
def test_layers_have_faded_outside(name, outer, layers):
    data = BY_NAME[name].draw(0)
    layer = np.abs(BY_NAME[name].mean(data.test.x) - outer(data.test.x[:, 1]))
    assert data.layer is not None
    outside = ~data.layer
    assert layer[outside].max() <= layers * np.exp(-3)
    # A thinner margin would leave more: the bound is nearly reached.
    assert layer[outside].max() > 0.9 * np.exp(-3)
    assert layer[~outside].max() > 0.9
