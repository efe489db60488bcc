"""The command line of an estimator."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import numpy as np

from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import REFINE, HybridRegressor, build_options
from bayes_hybrid.gates import ABRUPT, FEATURE_GATES
from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood

__all__ = ["fit_command"]

_NAMED: Final = (
    "model",
    "experts",
    "likelihood",
    "noise",
    "num_restarts",
    "plan",
    "refine",
    "device",
)
"""Settings that an option of the same name takes as a word, a number, or words with commas."""


def fit_command(
    estimator: HybridRegressor,
    *,
    data: str | os.PathLike[str],
    target: str,
    features: Sequence[str] = (),
    out: str | os.PathLike[str] = "fit",
) -> str:
    """``bayes-hybrid fit ...`` with the estimator's settings, quoted for a POSIX shell.

    Without an integer ``random_state`` there is no ``--seed``, and the command takes its own.

    Args:
        estimator: its settings.
        data: the table.
        target: column to predict.
        features: columns to predict from; all others by default.
        out: folder to save the fit in.

    Raises:
        OptionError: a setting has no option on the command line.

    Example:
        >>> fit_command(
        ...     HybridRegressor(gate="threshold", experts=("line", "line"), joined=True),
        ...     data="my data.csv",
        ...     target="y",
        ... )
        "bayes-hybrid fit 'my data.csv' --target y --out fit --experts line,line
            --gate threshold --joined"
    """
    words, default = list[str](), _settings(HybridRegressor())
    for name, value in _settings(estimator).items():
        if not _same(value, default[name]):
            words += _option(name, value)
    seed = estimator.random_state
    if isinstance(seed, int | np.integer):
        words += ["--seed", str(seed)]
    columns = [word for feature in features for word in ("--features", feature)]
    place = os.fspath(data)
    # A name that begins with a dash would be an option.
    place = os.path.join(os.curdir, place) if place.startswith("-") else place
    given = ["bayes-hybrid", "fit", place, "--target", target, *columns, "--out", os.fspath(out)]
    return shlex.join([*given, *words])


def _settings(estimator: HybridRegressor) -> dict[str, object]:
    """The settings that are typed, those of the fit's options by their names and ``refine``."""
    settings = estimator.get_params(deep=False)
    for name in ("random_state", "progress", "fit_options"):
        del settings[name]
    options = build_options(estimator)
    settings |= {field.name: getattr(options, field.name) for field in fields(options)}
    sampler = settings.pop("sampler")
    return settings | {"refine": next((w for w, s in REFINE.items() if s == sampler), sampler)}


def _same(value: object, default: object) -> bool:
    """Whether they are equal; one word is as good as a tuple of it."""
    parts, others = _parts(value), _parts(default)
    return [*map(type, parts)] == [*map(type, others)] and parts == others


def _parts(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _option(name: str, value: object) -> list[str]:
    """A setting as it is typed.

    Raises:
        OptionError: it has no option.
    """
    if name == "joined" and value is True:
        return ["--joined"]
    if name == "gate":
        return _gate(value)
    if isinstance(value, Likelihood):
        return _likelihood(value)
    parts = _parts(value)
    if name in _NAMED and all(isinstance(part, str | int | np.integer) for part in parts):
        return [f"--{name.replace('_', '-')}", ",".join(map(str, parts))]
    raise OptionError(
        f"{name}={value!r} has no option on the command line; fit the estimator in Python"
    )


def _likelihood(likelihood: Likelihood) -> list[str]:
    column, size = likelihood.size_column, likelihood.size_name
    if size is not None and isinstance(column, str):  # which is typed by its name
        for name, kind in LIKELIHOODS.items():
            if type(likelihood) is kind and likelihood == kind(**{size: column}):
                return ["--likelihood", name, f"--{size}", column]
    raise OptionError(
        f"likelihood={likelihood!r} has no option on the command line; fit the estimator in Python"
    )


def _gate(gate: object) -> list[str]:
    if isinstance(gate, str):
        return ["--gate", gate]
    for name, kind in FEATURE_GATES.items():
        if not isinstance(gate, kind):
            continue
        column = gate.feature
        words = ["--gate", name]
        words += [] if column is None else ["--gate-feature", str(column)]
        words += ["--abrupt"] if gate.sharpness == ABRUPT else []
        typed = kind(feature=column, sharpness=gate.sharpness)
        usual = gate.sharpness in (kind(feature=column).sharpness, ABRUPT)
        # A column is typed by its name.
        if gate == typed and usual and not isinstance(column, int):
            return words
    raise OptionError(
        f"gate={gate!r} has no option on the command line; name the column of a threshold, or fit "
        "the estimator in Python"
    )
