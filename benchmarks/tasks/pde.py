"""Differential equations with a parameter: solutions that are smooth except in a thin layer.

========================  ========================  ==========================================
task                      features                  layer
========================  ========================  ==========================================
``convection_diffusion``  log10 diffusivity, place  within 3 diffusivities of the right wall
``reaction_diffusion``    log10 width, place        within 3 widths of either wall
``burgers_layer``         log10 viscosity, place    within 4 viscosities of the shock
========================  ========================  ==========================================

Nothing has units.  At its edge a thin layer has kept about 5% of its
effect: ``exp(-3) = 0.050``, ``1 - tanh(4 / 2) = 0.036``.  Outer rows have smaller and larger
parameters.
"""

import numpy as np

from benchmarks.tasks.base import Task, Vector
from benchmarks.tasks.physics import BURGERS_TIME, Law, burgers

PDE_SD = 0.01
PDE_ROWS = 300
CONVECTION_BOX = ((-3.0, -0.5), (0.0, 1.0))
REACTION_BOX = ((-3.0, -1.0), (0.0, 1.0))
BURGERS_BOX = ((-3.0, -1.0), (-1.0, 1.0))


def convection_diffusion(place: Vector, diffusivity: Vector | float) -> Vector:
    """``-diffusivity u'' + u' = 1``, ``u(0) = u(1) = 0``.

    ``u = x - (exp((x - 1) / e) - exp(-1 / e)) / (1 - exp(-1 / e))``; no exponent is positive.

    Source: Roos, Stynes and Tobiska, Robust Numerical Methods for Singularly Perturbed
    Differential Equations, 2nd edition 2008, part I.
    """
    inlet = np.expm1(-1 / diffusivity)
    return np.asarray(place + np.expm1((place - 1) / diffusivity) / inlet - 1)


def reaction_diffusion(place: Vector, width: Vector | float) -> Vector:
    """``-width² u'' + u = 1``, ``u(0) = u(1) = 0``.

    ``u = 1 - cosh((x - 1/2) / w) / cosh(1 / (2 w))``, divided by ``exp(1 / (2 w))`` throughout.

    Source: as for :func:`convection_diffusion`.
    """
    walls = np.exp(-place / width) + np.exp((place - 1) / width)
    return np.asarray(1 - walls / (1 + np.exp(-1 / width)))


def _convection(x: np.ndarray) -> Vector:
    """Steady convection and diffusion with an outflow layer (Roos et al. 2008)."""
    return convection_diffusion(x[:, 1], 10 ** x[:, 0])


def _convection_layer(x: np.ndarray) -> Vector:
    near = 1 - x[:, 1] < 3 * 10 ** x[:, 0]
    return np.asarray(near)


def _reaction(x: np.ndarray) -> Vector:
    """Steady reaction and diffusion with two layers (Roos et al. 2008)."""
    return reaction_diffusion(x[:, 1], 10 ** x[:, 0])


def _reaction_layer(x: np.ndarray) -> Vector:
    near = np.minimum(x[:, 1], 1 - x[:, 1]) < 3 * 10 ** x[:, 0]
    return np.asarray(near)


def _burgers(x: np.ndarray) -> Vector:
    """Velocity across a shock layer of Burgers' equation (Basdevant et al. 1986)."""
    return burgers(x[:, 1], BURGERS_TIME, 10 ** x[:, 0])


def _burgers_layer(x: np.ndarray) -> Vector:
    """The layer of a shock from 1 to -1 is ``-tanh(x / (2 viscosity))``."""
    near = np.abs(x[:, 1]) < 4 * 10 ** x[:, 0]
    return np.asarray(near)


LAWS = (
    Law(
        name="pde/convection_diffusion",
        mean=_convection,
        box=CONVECTION_BOX,
        sd=PDE_SD,
        layer=_convection_layer,
        num_train=PDE_ROWS,
        along=1,
    ),
    Law(
        name="pde/reaction_diffusion",
        mean=_reaction,
        box=REACTION_BOX,
        sd=PDE_SD,
        layer=_reaction_layer,
        num_train=PDE_ROWS,
        along=1,
    ),
    Law(
        name="pde/burgers_layer",
        mean=_burgers,
        box=BURGERS_BOX,
        sd=PDE_SD,
        layer=_burgers_layer,
        num_train=PDE_ROWS,
        along=1,
    ),
)
TASKS: tuple[Task, ...] = tuple(law.task() for law in LAWS)
