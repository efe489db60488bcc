"""Fits on disk: a folder with JSON and safetensors, written whole or not at all, and no pickle.

=====================  ==========================================================================
file                   contents
=====================  ==========================================================================
``fit.json``           format and its version, the configuration, scalings, seed, status, stages
``draws.safetensors``  ``theta [R, S, P]`` as it was drawn, training rows and statistics (float64)
=====================  ==========================================================================

JSON numbers are Python's ``repr`` of float64, which reads back to the same bits.
"""

import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from bayes_hybrid.data import Standardizer, refuse_foreign
from bayes_hybrid.errors import FileFormatError, OptionError, OutputExistsError
from bayes_hybrid.inference.posterior import Posterior
from bayes_hybrid.inference.result import Fit, Stage
from bayes_hybrid.models.base import HybridModel

FORMAT: Final = "bayes_hybrid.fit"
FORMAT_VERSION: Final = 1
MANIFEST: Final = "fit.json"
DRAWS: Final = "draws.safetensors"

_SAMPLER: Final = "sampler."
# SVI's own draws, where a refinement went on from them.
_VARIATIONAL: Final = "theta_variational"
_OWN_RATIOS: Final = "variational_log_ratios"
# These fields of a fit need a form of their own; all others are text, numbers or yes and no.
_SPECIAL: Final = {
    "posterior",
    "variational",
    "x",
    "y",
    "elbo",
    "sources",
    "reading",
    "log_ratios",
    "variational_log_ratios",
    "sampler",
    "labels",
    "output_names",
    "kl_scores",
    "stages",
    "feature_names",
}
# Fields of a stage that are numbers in a row.
_SERIES: Final = ("trace", "usage_before", "usage_after")
_PLAIN: Final = {
    field.name: field.type for field in dataclasses.fields(Fit) if field.name not in _SPECIAL
}


def save_fit(
    fit: Fit,
    folder: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    force: bool = False,
    extras: Mapping[str, bytes] | None = None,
) -> None:
    """Write a fit to a folder that is there whole or not at all.

    Args:
        fit: what to save; draws on a GPU are brought back first.
        folder: the folder to be; the one above it has to exist.
        config: what the model is rebuilt from, in the form of :func:`encode`; it comes back from
            :func:`read_config`.
        force: whether a saved fit may be replaced; its folder has to hold nothing but the files
            that are written now, so that nobody loses files of their own.
        extras: the bytes of further files, by name.

    Raises:
        OutputExistsError: the folder exists and ``force`` is false, or it holds something other
            than a fit, or something beside it.
        OSError: the folder above is missing or not writable, or the disk is full; nothing is left
            behind, and a fit that stood there is as it was.
    """
    draws = safetensors.torch.save(_tensors(fit))
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package_version": package_version(),
        "files": {DRAWS: {"bytes": len(draws), "sha256": hashlib.sha256(draws).hexdigest()}},
        "config": dict(config),
        "sites": _sites(fit.posterior),
        "fit": _plain(fit),
    }
    text = json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    files = {DRAWS: draws, MANIFEST: text.encode()} | dict(extras or {})
    with _atomic_folder(folder, files, force=force) as hidden:
        for name, content in files.items():
            _write(hidden / name, content)


def load_fit(folder: str | os.PathLike[str], model: HybridModel) -> Fit:
    """Read a fit back, on the CPU.

    Args:
        folder: what :func:`save_fit` wrote.
        model: the model of the fit, rebuilt from :func:`read_config`.

    Returns:
        A fit whose predictions are those of the saved one.

    Raises:
        FileFormatError: no fit is there, or it is truncated, foreign, of a newer format, or of
            another model.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    tensors = _read_tensors(folder, manifest)
    try:
        saved = manifest["fit"]
        posterior = Posterior(
            model=model,
            theta=tensors["theta"],
            x_scaling=_standardizer(saved["x_scaling"]),
            y_scaling=_standardizer(saved["y_scaling"]),
        )
        fit = Fit(
            posterior=posterior,
            variational=dataclasses.replace(
                posterior, theta=tensors.get(_VARIATIONAL, posterior.theta)
            ),
            x=_array(tensors["x"]),
            y=_array(tensors["y"]),
            elbo=_array(tensors["elbo"]),
            sources=_sources(saved, len(tensors["elbo"])),
            reading=_reading(saved, len(tensors["elbo"])),
            log_ratios=_array(tensors["log_ratios"]),
            # Fits of earlier versions were saved without.
            variational_log_ratios=_array(tensors.get(_OWN_RATIOS, torch.empty(0, 0))),
            sampler={
                name.removeprefix(_SAMPLER): _array(value)
                for name, value in tensors.items()
                if name.startswith(_SAMPLER)
            },
            kl_scores={float(weight): float(score) for weight, score in saved["kl_scores"]},
            stages=tuple(_stage(stage) for stage in saved["stages"]),
            labels=_array(tensors["labels"]) if "labels" in tensors else None,
            feature_names=tuple(str(name) for name in saved["feature_names"]),
            # Fits of one output were saved without it once.
            output_names=tuple(saved.get("output_names", [saved["target_name"]])),
            **{name: _typed(saved, name, kind) for name, kind in _PLAIN.items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / MANIFEST, f"{type(error).__name__}: {error}") from error
    _require_consistent(folder, manifest, fit)
    return fit


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration that a fit was saved with, in the form of :func:`encode`.

    Raises:
        FileFormatError: no fit is there, or it is truncated, foreign or of a newer format.
    """
    folder = Path(folder)
    config = _manifest(folder).get("config")
    if not isinstance(config, dict):
        raise _damaged(folder / MANIFEST, "it has no 'config'")
    return config


def encode(value: object, classes: Mapping[str, type]) -> Any:  # noqa: ANN401 (JSON values)
    """Settings as plain JSON values: a settings object becomes its class name and its fields.

    Args:
        value: text, numbers, booleans, ``None``, settings objects, or sequences of them.
        classes: the settings classes that may occur, by name.

    Raises:
        OptionError: anything else; only the package's own settings can be read back.

    Example:
        >>> from bayes_hybrid.gates import ReLUGate
        >>> encode((ReLUGate(num_units=4), None), {"ReLUGate": ReLUGate})
        [{'type': 'ReLUGate', 'num_units': 4}, None]
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [encode(item, classes) for item in value]
    name = type(value).__name__
    if classes.get(name) is type(value) and dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {"type": name} | {
            field.name: encode(getattr(value, field.name), classes) for field in fields
        }
    raise OptionError(
        f"a fit with {value!r} cannot be saved: expected text, numbers or settings of this "
        f"package, got {type(value).__module__}.{name}"
    )


def decode(data: Any, classes: Mapping[str, type]) -> Any:  # noqa: ANN401 (any setting)
    """Settings from what :func:`encode` made of them; sequences come back as tuples.

    Raises:
        FileFormatError: a class that is not among ``classes``, or fields or values that it does
            not take.

    Example:
        >>> from bayes_hybrid.gates import ReLUGate
        >>> decode([{"type": "ReLUGate", "num_units": 4}], {"ReLUGate": ReLUGate})
        (ReLUGate(num_units=4),)
    """
    if isinstance(data, list):
        return tuple(decode(item, classes) for item in data)
    if not isinstance(data, dict):
        return data
    fields = {name: decode(value, classes) for name, value in data.items() if name != "type"}
    name = data.get("type")
    if not isinstance(name, str) or name not in classes:
        raise FileFormatError(
            f"the saved fit names the setting {name!r}, which this version does not know among "
            f"{', '.join(sorted(classes))}; load it with the version that wrote it"
        )
    try:
        return classes[name](**fields)
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"the saved fit has a {name} that this version does not take: {error}; "
            "load it with the version that wrote it"
        ) from error


# Writing


def _tensors(fit: Fit) -> dict[str, Tensor]:
    arrays = {"x": fit.x, "y": fit.y, "elbo": fit.elbo, "log_ratios": fit.log_ratios}
    arrays[_OWN_RATIOS] = fit.variational_log_ratios
    arrays |= {f"{_SAMPLER}{name}": values for name, values in fit.sampler.items()}
    if fit.labels is not None:
        arrays["labels"] = fit.labels
    # Each a copy in C order: safetensors refuses views and shared memory.
    tensors = {name: torch.tensor(np.ascontiguousarray(a)) for name, a in arrays.items()}
    tensors["theta"] = _on_cpu(fit.posterior.theta)
    if fit.variational.theta is not fit.posterior.theta:
        tensors[_VARIATIONAL] = _on_cpu(fit.variational.theta)
    return tensors


def _on_cpu(theta: Tensor) -> Tensor:
    return theta.detach().cpu().contiguous().clone()


def _plain(fit: Fit) -> dict[str, Any]:
    posterior = fit.posterior
    plain = {name: getattr(fit, name) for name in _PLAIN}
    return {name: _number(v) if isinstance(v, float) else v for name, v in plain.items()} | {
        "sources": fit.sources.tolist(),
        "reading": None if fit.reading is None else fit.reading.tolist(),
        "feature_names": list(fit.feature_names),
        "output_names": list(fit.output_names),
        "kl_scores": [[_number(weight), _number(score)] for weight, score in fit.kl_scores.items()],
        "x_scaling": _scaling(posterior.x_scaling),
        "y_scaling": _scaling(posterior.y_scaling),
        "stages": [
            dataclasses.asdict(stage)
            | {name: [_number(value) for value in getattr(stage, name)] for name in _SERIES}
            for stage in fit.stages
        ],
    }


def _number(value: float) -> float | str:
    """A float64 as JSON takes it; ``float`` reads the words for what is not finite."""
    value = float(value)
    return value if np.isfinite(value) else str(value)


def _scaling(scaling: Standardizer) -> dict[str, Any]:
    return {"mean": scaling.mean.tolist(), "scale": scaling.scale.tolist()}


def _sites(posterior: Posterior) -> list[list[Any]]:
    return [[site.name, list(site.free_shape)] for site in posterior.table.sites]


def package_version() -> str:
    """The version of this package, as a saved result records it."""
    try:
        return metadata.version("bayes_hybrid")
    except metadata.PackageNotFoundError:  # imported from a source folder, not installed
        return "unknown"


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


@contextmanager
def _atomic_folder(
    path: str | os.PathLike[str], names: Collection[str], *, force: bool
) -> Iterator[Path]:
    """A hidden folder beside ``path``, which takes its name only when the block ends well."""
    target = Path(os.path.realpath(path))
    refuse_occupied(target, names, force=force)
    hidden = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        hidden.mkdir()
        yield hidden
        refuse_occupied(target, names, force=force)
        _put_in_place(hidden, target)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        # Nobody has heard of the hidden folder; other files are named as they are.
        if error.errno is None or not _about(error, hidden):
            raise
        reason = f"the fit was not saved to {target.name}: {os.strerror(error.errno)}"
        raise OSError(error.errno, reason, str(path)) from error
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _about(error: OSError, hidden: Path) -> bool:
    return error.filename is None or str(error.filename).startswith(str(hidden))


def _put_in_place(hidden: Path, target: Path) -> None:
    """Rename ``hidden`` to ``target``; what stood there comes back if that fails."""
    if not target.exists():
        hidden.rename(target)
        return
    old = hidden.with_suffix(".old")
    target.rename(old)
    try:
        hidden.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def refuse_occupied(target: Path, names: Collection[str], *, force: bool) -> None:
    """Refuse a folder that holds something, unless it is a fit that may be replaced.

    Args:
        target: the folder to be.
        names: the files that saving writes.
        force: whether a saved fit may be replaced.

    Raises:
        OutputExistsError: ``target`` is a file or holds something other than a fit; a fit, and
            ``force`` is false; or a fit with something beside it.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputExistsError(f"{target} is a file; expected the name of a folder to write")
    if not any(target.iterdir()):
        return
    if not (target / MANIFEST).is_file():
        raise OutputExistsError(
            f"{target} holds something other than a saved fit and is left as it is; "
            "choose another folder"
        )
    if not force:
        raise OutputExistsError(
            f"{target} holds a saved fit already and is left as it is; choose another folder, or "
            "replace it with force=True (--force)"
        )
    refuse_foreign(target, names)


# Reading


def _manifest(folder: Path) -> dict[str, Any]:
    """The contents of ``fit.json``, of a format that this version reads."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "has no fit.json" if folder.is_dir() else "is no folder"
        raise FileFormatError(f"{folder} {what}; expected a folder written by save")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise FileFormatError(
            f"{path} is no fit of this package: expected the format {FORMAT!r}, got {found!r}; "
            "name a folder written by save"
        )
    version = manifest.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _damaged(path, f"its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has format version {version}, written by bayes_hybrid "
            f"{manifest.get('package_version')}; this version reads up to {FORMAT_VERSION}: "
            "upgrade bayes_hybrid"
        )
    return manifest


def _read_tensors(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a fit, after their checksum."""
    path = folder / DRAWS
    try:
        expected = manifest["files"][DRAWS]
        size, digest = expected["bytes"], expected["sha256"]
    except (KeyError, TypeError) as error:
        raise _damaged(folder / MANIFEST, f"it says nothing of {DRAWS}") from error
    if not path.is_file():
        raise _damaged(path, "it is missing")
    content = path.read_bytes()
    if len(content) != size:
        raise _damaged(path, f"expected {size} bytes, got {len(content)}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, "its checksum is not the one in fit.json")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except SafetensorError as error:
        raise _damaged(path, str(error)) from error
    return tensors


def _require_consistent(folder: Path, manifest: Mapping[str, Any], fit: Fit) -> None:
    """Refuse a fit whose parts do not belong together."""
    posterior = fit.posterior
    if manifest.get("sites") != _sites(posterior):
        raise FileFormatError(
            f"{folder} holds the parameters of another model: this version expects "
            f"{_sites(posterior)}, got {manifest.get('sites')}; load it with bayes_hybrid "
            f"{manifest.get('package_version')}, which wrote it"
        )
    num_features = posterior.model.num_features
    outputs = () if posterior.model.num_outputs == 1 else (posterior.model.num_outputs,)
    labels = fit.x[:, 0] if fit.labels is None else fit.labels
    theta, variational = tuple(posterior.theta.shape), tuple(fit.variational.theta.shape)
    num_parameters = posterior.table.num_parameters
    own_ratios = variational[:2] if fit.variational_log_ratios.size else (0, 0)
    shapes = {
        "theta": (theta, (*theta[:2], num_parameters)),
        _VARIATIONAL: (variational, (*variational[:2], num_parameters)),
        "x": (fit.x.shape, (len(fit.y), num_features)),
        "y": (fit.y.shape, (len(fit.x), *outputs)),
        "labels": (labels.shape, (len(fit.x),)),
        "output_names": ((len(fit.output_names),), outputs or (1,)),
        "elbo": (fit.elbo.shape, theta[:1]),
        "sources": (fit.sources.shape, theta[:1]),
        "log_ratios": (fit.log_ratios.shape[:1], theta[:1]),
        _OWN_RATIOS: (fit.variational_log_ratios.shape, own_ratios),
        "x_scaling": (posterior.x_scaling.mean.shape, (num_features,)),
        "y_scaling": (posterior.y_scaling.mean.shape, outputs),
        "feature_names": ((len(fit.feature_names),), (num_features,)),
    }
    for name, (got, expected) in shapes.items():
        if got != expected:
            raise _damaged(folder, f"{name} must have shape {expected}, got {got}")


def _array(value: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = value.double().numpy()
    return array


def _standardizer(saved: Mapping[str, Any]) -> Standardizer:
    return Standardizer(mean=np.array(saved["mean"]), scale=np.array(saved["scale"]))


def _sources(saved: Mapping[str, Any], num_restarts: int) -> NDArray[np.int64]:
    """Candidate of each restart; fits of earlier versions do not say, and count as all distinct."""
    sources = saved.get("sources", list(range(num_restarts)))
    if any(type(source) is not int or source < 0 for source in sources):
        raise TypeError(f"sources must be numbers of candidates, got {sources!r}")
    return np.array(sources, dtype=np.int64)


def _reading(saved: Mapping[str, Any], num_restarts: int) -> NDArray[np.int64] | None:
    """Which restarts regimes are read from; fits of earlier versions do not say: all of them."""
    reading = saved.get("reading")
    if reading is None:
        return None
    if not reading or any(type(r) is not int or not 0 <= r < num_restarts for r in reading):
        raise TypeError(f"reading must be numbers of {num_restarts} restarts, got {reading!r}")
    return np.array(reading, dtype=np.int64)


def _stage(saved: Mapping[str, Any]) -> Stage:
    # Fits of earlier versions have neither usages nor weights.
    series = {name: tuple(map(float, saved[name])) for name in _SERIES if name in saved}
    weights = {name: tuple(ends) for name, ends in saved.get("weights", {}).items()}
    return Stage(**{**saved, **series, "weights": weights})


def _typed(saved: Mapping[str, Any], name: str, kind: Any) -> Any:  # noqa: ANN401 (any field)
    """The field ``name``, which has to be of the type that the fit declares."""
    value = float(saved[name]) if kind is float else saved[name]
    if type(value) is not kind:
        raise TypeError(f"{name} must be {kind}, got {value!r}")
    return value


def _damaged(path: Path, reason: str) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged or cut off: {reason}; expected what save wrote: save the fit again"
    )
