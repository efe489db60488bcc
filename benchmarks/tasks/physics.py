"""Laws of physics with a threshold, known exactly and observed with noise."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, erfc, erfcx

from bayes_hybrid.random import spawn_seeds
from benchmarks.tasks.base import Data, Rows, Task, Vector

TEST_ROWS = 1_000
BEYOND_ROWS = 300
BEYOND = {"10%": (0.0, 0.1), "25%": (0.1, 0.25)}
"""How far beyond either end of feature 0, in widths of its training range."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Law:
    """``y = mean(x) + sd[regime(x)] * N(0, 1)``, with ``x`` uniform in a box.

    Args:
        name: ``suite/task``.
        mean: the law, from features ``[N, D]`` to ``[N]``; its docstring says what the task is.
        box: lowest and highest value of each feature; the mean is defined 25% beyond feature 0.
        sd: standard deviation of the noise, one for all regimes or one for each.
        regime: number of the regime, from features ``[N, D]`` to ``[N]``.
        layer: whether a row is in a boundary layer, likewise.
        num_train: training rows.
        along: as in :class:`Data`.
        thresholds: as in :class:`Data`.
    """

    name: str
    mean: Callable[[np.ndarray], Vector]
    box: tuple[tuple[float, float], ...]
    sd: float | tuple[float, ...]
    num_train: int
    regime: Callable[[np.ndarray], Vector] | None = None
    layer: Callable[[np.ndarray], Vector] | None = None
    along: int = 0
    thresholds: tuple[float, ...] = ()

    def scale(self, x: np.ndarray) -> Vector:
        """Standard deviation of the noise at each row of ``x [N, D]``."""
        if self.regime is None or isinstance(self.sd, float):
            return np.full(len(x), self.sd)
        return np.take(self.sd, self.regime(x))

    def draw(self, seed: int) -> Data:
        """Training, test and outer rows, each from a stream of its own."""
        train, test, *outer = map(np.random.default_rng, spawn_seeds(seed, 2 + len(BEYOND)))
        test_rows = self._observe(self._inside(TEST_ROWS, test), test)
        return Data(
            train=self._observe(self._inside(self.num_train, train), train),
            test=test_rows,
            beyond={
                name: self._observe(self._outside(*BEYOND[name], rng), rng)
                for name, rng in zip(BEYOND, outer, strict=True)
            },
            mean=self.mean,
            along=self.along,
            thresholds=self.thresholds,
            regimes=None if self.regime is None else self.regime(test_rows.x),
            layer=None if self.layer is None else self.layer(test_rows.x),
        )

    def task(self) -> Task:
        """The law as a prediction task."""
        return Task(name=self.name, about=self.mean.__doc__ or "", draw=self.draw)

    def _inside(self, num_rows: int, rng: np.random.Generator) -> np.ndarray:
        low, high = np.transpose(self.box)
        return rng.uniform(low, high, (num_rows, len(self.box)))

    def _outside(self, near: float, far: float, rng: np.random.Generator) -> np.ndarray:
        x = self._inside(BEYOND_ROWS, rng)
        low, high = self.box[0]
        distance = (high - low) * rng.uniform(near, far, BEYOND_ROWS)
        x[:, 0] = np.where(rng.random(BEYOND_ROWS) < 0.5, low - distance, high + distance)
        return x

    def _observe(self, x: np.ndarray, rng: np.random.Generator) -> Rows:
        return Rows(x=x, y=self.mean(x) + self.scale(x) * rng.standard_normal(len(x)))


# -- freezing: round values for ice and water, of one density

ICE_HEAT, WATER_HEAT, LATENT_HEAT = 2.05e3, 4.22e3, 334e3
"""Heat capacities (J/kg/K) and heat of melting (J/kg)."""
ICE_CONDUCTIVITY, WATER_CONDUCTIVITY, DENSITY = 2.2, 0.56, 1e3
"""W/m/K, and kg/m³."""
WALL, INITIAL = -20.0, 5.0
"""Temperatures (°C) of the cold wall at depth 0 and of the water at the start."""
HOUR = 3600.0
STEFAN_HOURS = 12.0
ICE_DIFFUSIVITY = ICE_CONDUCTIVITY / (DENSITY * ICE_HEAT)
WATER_DIFFUSIVITY = WATER_CONDUCTIVITY / (DENSITY * WATER_HEAT)


def _front_rate() -> float:
    """``lambda`` in ``front = 2 lambda sqrt(ICE_DIFFUSIVITY t)``: heat is conserved at the front.

    ``exp(-z²)/erfc(z)`` is ``1/erfcx(z)``, which cannot underflow.
    """
    ratio = np.sqrt(ICE_DIFFUSIVITY / WATER_DIFFUSIVITY)
    from_water = WATER_CONDUCTIVITY / ICE_CONDUCTIVITY * ratio * INITIAL / -WALL
    melting = LATENT_HEAT * np.sqrt(np.pi) / (ICE_HEAT * -WALL)

    def excess(rate: float) -> float:
        ice = np.exp(-(rate**2)) / erf(rate)
        return float(ice - from_water / erfcx(rate * ratio) - melting * rate)

    # The excess falls: it is about 1/rate near 0 and negative at 3.
    return float(brentq(excess, 1e-3, 3.0, xtol=1e-14))


FRONT_RATE = _front_rate()


def stefan_front(seconds: Vector | float) -> Vector:
    """Depth (m) of the freezing front."""
    return np.asarray(2 * FRONT_RATE * np.sqrt(ICE_DIFFUSIVITY * seconds))


def stefan_temperature(depth: Vector, seconds: Vector | float) -> Vector:
    """Temperature (°C) of water that freezes from a wall: Neumann's two-phase solution.

    Args:
        depth: below the wall (m), at least 0.
        seconds: since the wall turned cold, above 0.

    Source: Carslaw and Jaeger, Conduction of Heat in Solids, 2nd edition 1959, section 11.2.
    """
    ratio = np.sqrt(ICE_DIFFUSIVITY / WATER_DIFFUSIVITY)
    ice = erf(depth / (2 * np.sqrt(ICE_DIFFUSIVITY * seconds))) / erf(FRONT_RATE)
    water = erfc(depth / (2 * np.sqrt(WATER_DIFFUSIVITY * seconds))) / erfc(FRONT_RATE * ratio)
    frozen = depth < stefan_front(seconds)
    return np.asarray(np.where(frozen, WALL * (1 - ice), INITIAL * (1 - water)))


def stefan(x: np.ndarray) -> Vector:
    """Temperature (°C) across a freezing front, by depth (m) (Carslaw and Jaeger 1959)."""
    return stefan_temperature(x[:, 0], STEFAN_HOURS * HOUR)


def stefan_moving(x: np.ndarray) -> Vector:
    """Temperature (°C) across a moving front, by depth (m) and hour (Carslaw and Jaeger 1959)."""
    return stefan_temperature(x[:, 0], x[:, 1] * HOUR)


# -- Burgers

BURGERS_VISCOSITY = 0.01 / np.pi
BURGERS_TIME = 0.5
"""The shock forms at 1/pi.  At 0.5, without viscosity, it jumps from 1 to -1."""


def burgers(x: Vector, time: float, viscosity: Vector | float) -> Vector:
    """``u_t + u u_x = viscosity u_xx`` from ``u(x, 0) = -sin(pi x)``: Cole's and Hopf's integral.

    ``u`` is the mean of ``(x - y) / time`` under the density of ``y`` that is proportional to
    ``exp(-cos(pi y) / (2 pi viscosity) - (x - y)² / (4 viscosity time))``.

    Args:
        x: place ``[N]``.
        time: above 0.
        viscosity: above 0, one or ``[N]``.

    Source: Basdevant et al., Computers & Fluids 14 (1986), whose integral is integrated by parts.
    """
    viscosity = np.broadcast_to(viscosity, np.shape(x))
    # The log density has its peak at |x - y| <= time and falls by at least 9²/2, that is to 3e-18,
    # at 9 widths sqrt(2 viscosity time) farther.  The sum over equal steps then converges
    # geometrically (Trefethen and Weideman, SIAM Review 56, 2014); 400 steps are at most a third
    # of the narrowest peak's standard deviation for viscosities from 3e-4.
    reach = time + 9 * np.sqrt(2 * viscosity * time)
    lag = reach[:, None] * np.linspace(-1, 1, 401)
    wave = np.cos(np.pi * (x[:, None] - lag)) / (2 * np.pi)
    log_density = -(wave + lag**2 / (4 * time)) / viscosity[:, None]
    density = np.exp(log_density - log_density.max(1, keepdims=True))
    return np.asarray((density * lag).sum(1) / (time * density.sum(1)))


def burgers_shock(x: np.ndarray) -> Vector:
    """Velocity across a shock of Burgers' equation, without units (Basdevant et al. 1986)."""
    return burgers(x[:, 0], BURGERS_TIME, BURGERS_VISCOSITY)


# -- Buckley and Leverett

VISCOSITY_RATIO = 0.5
"""Viscosity of water over that of oil.  Permeabilities are squares of the saturations."""
INJECTED = 0.4
"""Volume of water injected, in pore volumes of 1 m of core."""
FRONT_SATURATION = float(np.sqrt(VISCOSITY_RATIO / (1 + VISCOSITY_RATIO)))
"""Welge's tangent: ``flow'(s) = flow(s) / s``."""


def water_flow(saturation: Vector | float) -> Vector:
    """Share of water in the flow, ``s² / (s² + VISCOSITY_RATIO (1 - s)²)``."""
    return np.asarray(saturation**2 / (saturation**2 + VISCOSITY_RATIO * (1 - saturation) ** 2))


def wave_speed(saturation: Vector | float) -> Vector:
    """``flow'(s)``: how far a saturation has come, in metres by pore volume injected."""
    total = saturation**2 + VISCOSITY_RATIO * (1 - saturation) ** 2
    return np.asarray(2 * VISCOSITY_RATIO * saturation * (1 - saturation) / total**2)


FRONT_SPEED = float(wave_speed(FRONT_SATURATION))


def water_saturation(place: Vector, injected: float) -> Vector:
    """Saturation at a distance (m) from the inlet: a fan behind the front, nothing before it.

    Source: LeVeque, Finite Volume Methods for Hyperbolic Problems, 2002, chapter 16.
    """
    speed = place / injected
    low, high = np.full(speed.shape, FRONT_SATURATION), np.ones(speed.shape)
    for _ in range(60):  # Bisection to the last digit; the wave speed falls.
        middle = (low + high) / 2
        faster = wave_speed(middle) > speed
        low, high = np.where(faster, middle, low), np.where(faster, high, middle)
    return np.where(speed < FRONT_SPEED, low, 0.0)


def buckley_leverett(x: np.ndarray) -> Vector:
    """Water saturation along a flooded core (m) (Buckley and Leverett 1942, Welge 1952)."""
    return water_saturation(x[:, 0], INJECTED)


# -- friction, melting, drag

STATIC, KINETIC, STRIBECK, VISCOUS = 1.5, 1.0, 0.02, 4.0
"""Friction (N) at rest and in motion, Stribeck velocity (m/s), and N s/m."""


def stick_slip(x: np.ndarray) -> Vector:
    """Friction (N) by velocity (m/s), after Stribeck (Armstrong-Hélouvry et al. 1994)."""
    velocity = x[:, 0]
    dry = KINETIC + (STATIC - KINETIC) * np.exp(-((velocity / STRIBECK) ** 2))
    return np.asarray(np.sign(velocity) * dry + VISCOUS * velocity)


def latent_heat(x: np.ndarray) -> Vector:
    """Temperature (°C) of melting ice by enthalpy (kJ/kg) (Alexiades and Solomon 1993)."""
    joules = 1e3 * x[:, 0]
    ice, water = np.minimum(joules, 0), np.maximum(joules - LATENT_HEAT, 0)
    return np.asarray(ice / ICE_HEAT + water / WATER_HEAT)


def sphere_drag(reynolds: Vector | float) -> Vector:
    """Drag coefficient of a smooth sphere, up to a Reynolds number of 1e6.

    Source: Morrison, An Introduction to Fluid Mechanics, 2013, as restated in her note "Data
    correlation for drag coefficient for sphere", Michigan Technological University, 2016.
    """
    slow, crisis, fast = reynolds / 5, reynolds / 2.63e5, reynolds / 1e6
    laminar = 24 / reynolds + 2.6 * slow / (1 + slow**1.52)
    turbulent = 0.411 * crisis**-7.94 / (1 + crisis**-8.0) + 0.25 * fast / (1 + fast)
    return np.asarray(laminar + turbulent)


def drag_crisis(x: np.ndarray) -> Vector:
    """Drag coefficient of a sphere by log10 Reynolds number, across the crisis (Morrison 2013)."""
    return sphere_drag(10 ** x[:, 0])


DRAG_BOX = (4.6, 5.7)
"""A quarter farther is 5.975, where the correlation still holds."""
_GRID = np.linspace(*DRAG_BOX, 10_001)
STEEPEST = float(_GRID[np.gradient(sphere_drag(10**_GRID), _GRID).argmin()])
"""log10 Reynolds number of the steepest drop, to 1e-4."""


# -- tasks


def _side(thresholds: tuple[float, ...], x: np.ndarray) -> Vector:
    """How many thresholds lie at or below feature 0."""
    return np.searchsorted(thresholds, x[:, 0], side="right")


def _thawed(x: np.ndarray) -> Vector:
    return np.where(x[:, 0] < stefan_front(x[:, 1] * HOUR), 0, 1)


def _law(
    mean: Callable[[np.ndarray], Vector],
    box: tuple[float, float],
    sd: float | tuple[float, ...],
    num_train: int,
    *thresholds: float,
) -> Law:
    """A law of one feature; its regimes are the intervals between thresholds."""
    return Law(
        name=f"physics/{mean.__name__}",
        mean=mean,
        box=(box,),
        sd=sd,
        regime=partial(_side, thresholds),
        num_train=num_train,
        thresholds=thresholds,
    )


STEFAN_BOX = (0.05, 0.25)
"""A quarter below is the wall."""
STEFAN_SD = (0.1, 0.3)
"""Kelvin: ice holds a thermometer, water moves it."""
_FRONT = float(stefan_front(STEFAN_HOURS * HOUR))

LAWS = (
    _law(stefan, STEFAN_BOX, STEFAN_SD, 120, _FRONT),
    Law(
        name="physics/stefan_moving",
        mean=stefan_moving,
        box=(STEFAN_BOX, (6.0, 24.0)),
        sd=STEFAN_SD,
        regime=_thawed,
        num_train=150,
    ),
    # A quarter beyond are the walls, where the velocity is 0.
    _law(burgers_shock, (-2 / 3, 2 / 3), 0.05, 150, 0.0),
    # A quarter below is the inlet.
    _law(buckley_leverett, (0.2, 1.0), 0.02, 100, FRONT_SPEED * INJECTED),
    _law(stick_slip, (-0.1, 0.1), 0.05, 120, 0.0),
    _law(latent_heat, (-80.0, 480.0), 1.0, 100, 0.0, LATENT_HEAT / 1e3),
    _law(drag_crisis, DRAG_BOX, 0.015, 120, STEEPEST),
)
TASKS: tuple[Task, ...] = tuple(law.task() for law in LAWS)
