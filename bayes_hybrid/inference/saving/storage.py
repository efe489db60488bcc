"""Fits on disk: a folder with JSON and safetensors, written whole or not at all, and no pickle.

========================  =======================================================================
file                      contents
========================  =======================================================================
``manifest.json``         format and its version, size and checksum of every file
``fit.json``              the configuration, status, seed, stages: text, counts and single numbers
``draws.safetensors``     ``theta [R, S, P]`` as it was drawn, scalings, training rows, statistics
``held_out.safetensors``  rows that were kept from the fit, where there are any
========================  =======================================================================

JSON numbers are the shortest decimals that read back to the same bits of a float64.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import safetensors.torch
import torch
from msgspec import Meta, Struct, structs
from safetensors import SafetensorError
from torch import Tensor

from bayes_hybrid.data import HeldOut, Standardizer, atomic_folder
from bayes_hybrid.data.leftovers import recover
from bayes_hybrid.data.records import (
    Number,
    encode_json,
    from_numbers,
    shortened,
    to_numbers,
)
from bayes_hybrid.errors import BayesHybridError, FileFormatError, OptionError
from bayes_hybrid.inference.posterior.posterior import Posterior
from bayes_hybrid.inference.result import Fit, Restarts, Stage, Training
from bayes_hybrid.inference.saving.manifest import MANIFEST, damaged, decoded, read_files, sealed
from bayes_hybrid.models.base import HybridModel

__all__ = ["DRAWS", "FIT_FILES", "HELD_OUT", "RECORD", "SavedFit", "read_saved", "save_fit"]

RECORD: Final = "fit.json"
DRAWS: Final = "draws.safetensors"
HELD_OUT: Final = "held_out.safetensors"
FIT_FILES: Final = (MANIFEST, RECORD, DRAWS, HELD_OUT)
"""What :func:`save_fit` writes, the file that tells a saved fit from other folders first."""
WHAT: Final = "a saved fit"

_Count = Annotated[int, Meta(ge=0)]
_Positive = Annotated[int, Meta(ge=1)]
_Amount = Annotated[float, Meta(ge=0.0)]


class _Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """:class:`~bayes_hybrid.inference.result.Stage` in JSON."""

    name: str
    reason: str
    steps: _Count
    seconds: _Amount
    trace: tuple[Number, ...]
    rates: dict[str, _Amount]
    weights: dict[str, tuple[_Amount, _Amount]]
    usage_before: tuple[Number, ...]
    usage_after: tuple[Number, ...]


# Fields of a stage that are numbers in a row.
_SERIES: Final = ("trace", "usage_before", "usage_after")


class _Training(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """:class:`~bayes_hybrid.inference.result.Training` in JSON."""

    status: str
    converged: bool
    method: str
    stages: tuple[_Stage, ...]
    kl_weight: _Amount
    kl_scores: tuple[tuple[_Amount, Number], ...]
    temperature: _Amount | Literal["inf"]
    num_dropped: _Count
    num_negligible: _Count
    device: str
    compiled: bool


class _Plain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Further fields of a fit that are text and counts."""

    feature_names: tuple[str, ...]
    target_name: str
    output_names: tuple[str, ...]
    seed: _Count


class _Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of ``fit.json``."""

    config: dict[str, Any]
    sites: tuple[tuple[str, tuple[_Positive, ...]], ...]
    plain: _Plain
    training: _Training


# Tensors that are arrays of a fit, and of its restarts, by the same name.
_ARRAYS: Final = ("x", "y", "variational_log_ratios")
_OF_RESTARTS: Final = ("elbo", "elpd", "sources", "log_ratios")
_OPTIONAL: Final = ("labels",)
_WEIGHTS: Final = "weights"
# Of each restart the expert that serves each regime, where that differs.
_ORDER: Final = "order"
_SAMPLER: Final = "sampler."
# SVI's own draws, where a sampler went on from them.
_VARIATIONAL: Final = "theta_variational"
_SCALINGS: Final = ("x_scaling", "y_scaling")
# Features whose logarithm the model reads, where there are some.
_LOG: Final = "x_scaling.log"


def save_fit(
    fit: Fit,
    folder: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    force: bool = False,
    held_out: HeldOut | None = None,
    extras: Mapping[str, bytes] | None = None,
) -> None:
    """Write a fit to a folder that is there whole or not at all.

    Args:
        fit: what to save; draws on a GPU are brought back first.
        folder: the folder to be; the one above it has to exist.
        config: what the model is rebuilt from, in the form of
            :func:`~bayes_hybrid.inference.saving.encoding.encode`.
        force: whether a saved fit may be replaced; its folder has to hold nothing but the files
            that are written now, so that nobody loses files of their own.
        held_out: rows that were kept from the fit.
        extras: the bytes of further files, by name.

    Raises:
        OutputExistsError: the folder exists and ``force`` is false, or it holds something other
            than a fit, or something beside it.
        OptionError: a name cannot be written as UTF-8.
        OSError: the folder above is missing or not writable, or the disk is full; nothing is left
            behind, and a fit that stood there is as it was.
    """
    files = {RECORD: _record(fit, config), DRAWS: safetensors.torch.save(_tensors(fit))}
    if held_out is not None:
        files[HELD_OUT] = safetensors.torch.save(
            {name: torch.tensor(values) for name, values in vars(held_out).items()}
        )
    files |= extras or {}
    names = (*FIT_FILES, *(extras or {}))
    with atomic_folder(folder, names, what=WHAT, force=force) as hidden:
        for name, content in {**files, MANIFEST: sealed(files)}.items():
            _write(hidden / name, content)


@dataclass(frozen=True, eq=False)
class SavedFit:
    """A saved fit whose files are those that were saved; no model is built yet.

    Args:
        folder: where it is.
        record: the contents of ``fit.json``.
        tensors: those of ``draws.safetensors``, by name.
        held_out: rows that were kept from the fit, or ``None``.
    """

    folder: Path
    record: _Record
    tensors: Mapping[str, Tensor]
    held_out: HeldOut | None

    @property
    def config(self) -> dict[str, Any]:
        """What was given to :func:`save_fit`."""
        return self.record.config

    @property
    def num_parameters(self) -> int:
        """P."""
        return self.tensors["theta"].shape[-1]

    def fit(self, model: HybridModel) -> Fit:
        """The fit, on the CPU.

        Args:
            model: the model of the fit, rebuilt from :attr:`config`.

        Returns:
            A fit whose predictions are those of the saved one, to the last bit.

        Raises:
            FileFormatError: it is of another model.
        """
        tensors, record = self.tensors, self.record
        self._require_columns(model)
        posterior = Posterior(
            model=model,
            theta=tensors["theta"],
            weights=tensors[_WEIGHTS].numpy(),
            order=tensors[_ORDER].numpy() if _ORDER in tensors else None,
            x_scaling=self._scaling("x_scaling", log=tensors.get(_LOG)),
            y_scaling=self._scaling("y_scaling"),
        )
        sites = _sites(posterior)
        if record.sites != sites:
            got, expected = _first_difference(record.sites, sites)
            raise FileFormatError(
                f"{self.folder} holds the parameters of another model: this version expects "
                f"{expected}, got {got}; load it with the version that wrote it"
            )
        if self.num_parameters != posterior.table.num_parameters:
            raise damaged(self.folder / DRAWS, "theta has another number of parameters")
        names = [name for name in (*_ARRAYS, *_OPTIONAL) if name in tensors]
        arrays: dict[str, Any] = {name: tensors[name].numpy() for name in names}
        return Fit(
            posterior=posterior,
            variational=replace(
                posterior, theta=tensors.get(_VARIATIONAL, posterior.theta), order=None
            ),
            restarts=Restarts(
                sampler={
                    name.removeprefix(_SAMPLER): value.numpy()
                    for name, value in tensors.items()
                    if name.startswith(_SAMPLER)
                },
                **{name: tensors[name].numpy() for name in _OF_RESTARTS},
            ),
            training=_trained(record.training),
            **arrays,
            **structs.asdict(record.plain),
        )

    def _require_columns(self, model: HybridModel) -> None:
        """Refuse a model of other columns or labels, before it is built."""
        outputs = () if model.num_outputs == 1 else (model.num_outputs,)
        found = self.tensors["x"].shape[1], tuple(self.tensors["y"].shape[1:])
        if found != (model.num_features, outputs):
            raise damaged(
                self.folder / RECORD,
                f"its model has {model.num_features} features and {model.num_outputs} outputs, "
                f"other than the rows of {DRAWS}",
            )
        order = self.tensors.get(_ORDER)
        if order is not None and order.shape[1] != model.num_regimes:
            raise damaged(self.folder / DRAWS, "its regimes are not those of the model")
        labels = self.tensors.get("labels")
        alike = (labels is None) == (model.label_head is None)
        if not alike or (labels is not None and bool((labels >= model.num_regimes).any())):
            raise damaged(self.folder / DRAWS, "its regime labels are not those of the model")

    def _scaling(self, name: str, log: Tensor | None = None) -> Standardizer:
        mean, scale = (self.tensors[f"{name}.{part}"].numpy() for part in ("mean", "scale"))
        try:
            chosen = np.zeros(mean.shape, dtype=bool) if log is None else log.numpy()
            return Standardizer(mean=mean, scale=scale, log=chosen)
        except BayesHybridError as error:
            raise damaged(self.folder / DRAWS, f"{name}: {error}") from error


def read_saved(folder: str | os.PathLike[str]) -> SavedFit:
    """Read what :func:`save_fit` wrote, every file checked against the manifest.

    Raises:
        FileFormatError: no fit is there, or it is truncated, changed, foreign or of a newer format.
    """
    folder = Path(folder)
    if not folder.exists():
        # A kill may have come between two renames, where the system has no single one.
        recover(Path(os.path.realpath(folder)))
    _, files = read_files(folder, (RECORD, DRAWS, HELD_OUT))
    for name in (RECORD, DRAWS):
        if name not in files:
            raise damaged(folder / MANIFEST, f"it says nothing of {name}")
    record = decoded(folder / RECORD, files[RECORD], _Record)
    tensors = _read_tensors(folder / DRAWS, files[DRAWS])
    _require_shapes(folder / DRAWS, tensors, record.plain)
    held_out = None
    if HELD_OUT in files:
        held_out = _held_out(folder / HELD_OUT, files[HELD_OUT], tensors)
    return SavedFit(folder, record, tensors, held_out)


# Writing


def _record(fit: Fit, config: Mapping[str, Any]) -> bytes:
    record = _Record(
        config=dict(config),
        sites=_sites(fit.posterior),
        plain=_Plain(**{name: getattr(fit, name) for name in _Plain.__struct_fields__}),
        training=_recorded(fit.training),
    )
    try:
        return encode_json(record)
    except UnicodeEncodeError as error:
        raise OptionError(
            f"the fit cannot be saved: a name in it is no text that UTF-8 can write ({error}); "
            "rename the column"
        ) from error


def _recorded(training: Training) -> _Training:
    temperature, scores = training.temperature, training.kl_scores
    return _Training(
        **asdict(training)
        | {
            "temperature": "inf" if math.isinf(temperature) else temperature,
            "kl_scores": tuple(zip(map(float, scores), to_numbers(scores.values()), strict=True)),
            "stages": tuple(
                _Stage(**asdict(each) | {name: to_numbers(getattr(each, name)) for name in _SERIES})
                for each in training.stages
            ),
        }
    )


def _tensors(fit: Fit) -> dict[str, Tensor]:
    arrays = {name: getattr(fit, name) for name in (*_ARRAYS, *_OPTIONAL)}
    arrays |= {name: getattr(fit.restarts, name) for name in _OF_RESTARTS}
    arrays |= {f"{_SAMPLER}{name}": values for name, values in fit.restarts.sampler.items()}
    for name in _SCALINGS:
        scaling = getattr(fit.posterior, name)
        arrays |= {f"{name}.mean": scaling.mean, f"{name}.scale": scaling.scale}
    if fit.posterior.x_scaling.log.any():
        arrays[_LOG] = fit.posterior.x_scaling.log
    # Each a copy in C order: safetensors refuses views and shared memory.
    tensors = {
        name: torch.tensor(np.array(values, order="C"))
        for name, values in arrays.items()
        if values is not None
    }
    tensors["theta"] = _on_cpu(fit.posterior.theta)
    tensors[_WEIGHTS] = torch.tensor(fit.posterior.restart_weights)
    if fit.posterior.order is not None:
        tensors[_ORDER] = torch.tensor(fit.posterior.order)
    if fit.variational.theta is not fit.posterior.theta:
        tensors[_VARIATIONAL] = _on_cpu(fit.variational.theta)
    return tensors


def _on_cpu(theta: Tensor) -> Tensor:
    return theta.detach().cpu().contiguous().clone()


def _sites(posterior: Posterior) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((site.name, tuple(site.free_shape)) for site in posterior.table.sites)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


# Reading


def _read_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error).partition("\n")[0]) from error
    return tensors


def _require_shapes(path: Path, tensors: Mapping[str, Tensor], plain: _Plain) -> None:
    """Refuse tensors that are not those of a fit, or do not belong together."""
    shapes = _shapes(path, tensors, plain)
    surprising = tensors.keys() - shapes.keys()
    if surprising:
        raise damaged(path, f"expected no tensor {shortened(repr(min(surprising)))}")
    for name, (shape, dtype) in shapes.items():
        if name not in tensors:
            if name in (_VARIATIONAL, _ORDER, _LOG, *_OPTIONAL):
                continue
            raise damaged(path, f"it has no tensor {name!r}")
        got = tuple(tensors[name].shape)
        alike = len(got) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, got, strict=True)
        )
        if not alike or tensors[name].dtype != dtype:
            raise damaged(
                path,
                f"{name} must be {dtype} of shape {shape}, got {tensors[name].dtype} of {got}",
            )
    for name, valid in _valid(tensors).items():
        if not valid:
            raise damaged(path, f"{name} has values that it cannot have")


def _shapes(
    path: Path, tensors: Mapping[str, Tensor], plain: _Plain
) -> dict[str, tuple[tuple[int | None, ...], torch.dtype]]:
    """Shape and type of every tensor of a fit; ``None`` stands for any size."""
    theta = _sized(path, tensors, "theta", 3)
    (restarts, draws, size), real = theta.shape, torch.float64
    own, (rows, _) = tensors.get(_VARIATIONAL, theta), _sized(path, tensors, "x", 2).shape
    features, names = len(plain.feature_names), len(plain.output_names)
    outputs = () if names == 1 else (names,)
    ratios = tensors.get("variational_log_ratios")
    empty = ratios is not None and ratios.numel() == 0
    return {
        "theta": ((restarts, draws, size), theta.dtype),
        _VARIATIONAL: ((None, None, size), theta.dtype),
        "x": ((rows, features), real),
        "y": ((rows, *outputs), real),
        "labels": ((rows,), real),
        "x_scaling.mean": ((features,), real),
        "x_scaling.scale": ((features,), real),
        _LOG: ((features,), torch.bool),
        "y_scaling.mean": (outputs, real),
        "y_scaling.scale": (outputs, real),
        "elbo": ((restarts,), real),
        "elpd": ((restarts,), real),
        "sources": ((restarts,), torch.int64),
        _WEIGHTS: ((restarts,), real),
        _ORDER: ((restarts, None), torch.int64),
        "log_ratios": ((restarts, None), real),
        "variational_log_ratios": ((0, 0) if empty else tuple(own.shape[:2]), real),
        **{name: ((restarts, draws), real) for name in tensors if name.startswith(_SAMPLER)},
    }


def _sized(path: Path, tensors: Mapping[str, Tensor], name: str, dims: int) -> Tensor:
    """A tensor of floats that has so many dimensions and is not empty."""
    tensor = tensors.get(name)
    if tensor is None:
        raise damaged(path, f"it has no tensor {name!r}")
    if tensor.dim() != dims or tensor.numel() == 0 or not tensor.is_floating_point():
        raise damaged(path, f"{name} must have {dims} dimensions, got {tuple(tensor.shape)}")
    return tensor


def _valid(tensors: Mapping[str, Tensor]) -> dict[str, bool]:
    """Whether the values of a tensor are those that it can have."""
    y, labels = tensors["y"], tensors.get("labels")
    # Of several outputs NaN is a missing one.
    finite = {name: tensors[name].isfinite() for name in ("theta", "x", "elbo")}
    finite["y"] = y.isfinite() | (y.isnan() & (y.dim() == 2))
    valid = {name: bool(values.all()) for name, values in finite.items()}
    valid["sources"] = bool((tensors["sources"] >= 0).all())
    weights = tensors[_WEIGHTS]
    valid[_WEIGHTS] = bool((weights >= 0).all()) and abs(float(weights.sum()) - 1.0) < 1e-6
    if _ORDER in tensors:
        order = tensors[_ORDER]
        valid[_ORDER] = torch.equal(
            order.sort(-1).values, torch.arange(order.shape[1]).expand_as(order)
        )
    if _LOG in tensors:
        valid[_LOG] = bool((tensors["x"] > 0)[:, tensors[_LOG]].all())
    if labels is not None:
        numbers = (labels >= 0) & (labels == labels.floor())
        valid["labels"] = bool((labels.isnan() | numbers).all())
    return valid


def _held_out(path: Path, content: bytes, fitted: Mapping[str, Tensor]) -> HeldOut:
    tensors = _read_tensors(path, content)
    try:
        held_out = HeldOut(**{name: tensor.numpy() for name, tensor in tensors.items()})
    except (TypeError, ValueError) as error:
        raise damaged(path, shortened(error)) from error
    for name in ("x", "y"):
        if getattr(held_out, name).shape[1:] != fitted[name].shape[1:]:
            raise damaged(path, f"{name} has other columns than the rows of the fit")
    return held_out


def _trained(saved: _Training) -> Training:
    return Training(
        **structs.asdict(saved)
        | {
            "temperature": float(saved.temperature),
            "kl_scores": {weight: float(score) for weight, score in saved.kl_scores},
            "stages": tuple(map(_stage, saved.stages)),
        }
    )


def _stage(saved: _Stage) -> Stage:
    series = {name: from_numbers(getattr(saved, name)) for name in _SERIES}
    return Stage(**structs.asdict(saved) | series)


def _first_difference(
    got: Sequence[tuple[str, tuple[int, ...]]], expected: Sequence[tuple[str, tuple[int, ...]]]
) -> tuple[str, str]:
    """The first site in which two models differ, of each."""
    at = next(
        (i for i, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1]),
        min(len(got), len(expected)),
    )
    return tuple(  # type: ignore[return-value] # (two in, two out)
        f"the site {shortened(sites[at][0])!r} of shape {shortened(str(sites[at][1]))}"
        if at < len(sites)
        else f"{len(sites)} sites"
        for sites in (got, expected)
    )
