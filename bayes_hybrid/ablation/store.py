"""The folder of an ablation: a file for each finished cell, so that a run that was killed goes on.

======================  =========================================================================
file                    contents
======================  =========================================================================
``ablation.json``       the data's hash, the base's settings, the seed and the number of folds
``cells/KEY.json``      a cell and its outcome; KEY is a hash of everything that determines it
``cells/KEY.npz``       for a fit to all rows: its log likelihood
======================  =========================================================================
"""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from bayes_hybrid.ablation.cells import Cell, Outcome
from bayes_hybrid.ablation.folder import claim, write_whole
from bayes_hybrid.data.records import Number, decode_json, encode_json, to_numbers
from bayes_hybrid.errors import FileFormatError, OutputExistsError

__all__ = ["MANIFEST", "CellStore"]

MANIFEST: Final = "ablation.json"
_FORMAT: Final = "bayes_hybrid.ablation"
_CELLS: Final = "cells"
_MEANING: Final = {
    "format": "a format",
    "data": "data",
    "base": "settings of the base",
    "seed": "a seed",
    "num_folds": "a number of folds",
}


class _Saved(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell and its :class:`~bayes_hybrid.ablation.cells.Outcome` in JSON."""

    key: str
    variant: str
    repeat: int
    fold: int
    rows: tuple[int, ...]
    failure: str
    status: str
    seconds: Annotated[float, Meta(ge=0.0)]
    num_flagged: Annotated[int, Meta(ge=0)]
    log_density: tuple[float, ...]
    # NaN stands for what a cell does not measure.
    rmse: Number
    coverage: Number
    draws: str


class CellStore:
    """Outcomes on disk, each written whole or not at all when it is done.

    Args:
        folder: where; it is made if need be, in a folder that exists.  More variants and more
            repeats find the cells that are there already.
        data: the data's :func:`~bayes_hybrid.ablation.cells.digest`.
        base: the base's settings, :func:`~bayes_hybrid.ablation.cells.encoded`.
        seed: the root of all seeds.
        num_folds: folds of each repeat.

    Raises:
        OutputExistsError: the folder holds something else, or the ablation of other data, another
            base, another seed or another number of folds; it is left as it is.
        OSError: the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        data: str,
        base: dict[str, object],
        seed: int,
        num_folds: int,
    ) -> None:
        self._folder = Path(folder)
        self._data = data
        manifest = {
            "format": _FORMAT,
            "data": data,
            "base": base,
            "seed": seed,
            "num_folds": num_folds,
        }
        other = claim(self._folder / MANIFEST, manifest, "an ablation")
        if other:
            raise OutputExistsError(
                f"{self._folder} holds an ablation with {_MEANING[other[0]]} other than now, and "
                "is left as it is; choose another folder, or run with what it was begun with"
            )
        (self._folder / _CELLS).mkdir(exist_ok=True)

    def path(self, cell: Cell) -> Path:
        """The file of a cell, which may not exist yet."""
        return self._folder / _CELLS / f"{cell.key(self._data)}.json"

    def read(self, cell: Cell) -> Outcome | None:
        """The outcome of a cell, or ``None`` where it is missing or damaged.

        A damaged file gives a warning that names it; the next outcome replaces it.
        """
        path = self.path(cell)
        if not path.exists():
            return None
        try:
            saved = decode_json(path.read_bytes(), _Saved)
            if saved.key != path.stem:
                raise FileFormatError("it is of another cell")
            if not saved.failure and len(saved.log_density) != cell.test.size:
                raise FileFormatError("it is of other rows")
            draws = path.with_suffix(".npz").read_bytes() if saved.draws else b""
            if draws and hashlib.sha256(draws).hexdigest() != saved.draws:
                raise FileFormatError(f"{path.stem}.npz beside it is damaged")
        except (FileFormatError, OSError) as error:
            warnings.warn(
                f"{path} cannot be read ({error}); its cell is computed again", stacklevel=2
            )
            return None
        return Outcome(
            failure=saved.failure,
            status=saved.status,
            seconds=saved.seconds,
            num_flagged=saved.num_flagged,
            log_density=np.array(saved.log_density, dtype=np.float64),
            rmse=float(saved.rmse),
            coverage=float(saved.coverage),
            draws=draws,
        )

    def write(self, cell: Cell, outcome: Outcome) -> None:
        """Put the outcome of a cell on the disk.

        Raises:
            OSError: the disk is full, or the folder is not writable any more.
        """
        path = self.path(cell)
        rmse, coverage = to_numbers([outcome.rmse, outcome.coverage])
        record = _Saved(
            key=path.stem,
            variant=cell.variant,
            repeat=cell.repeat,
            fold=cell.fold,
            rows=tuple(cell.test.tolist()),
            failure=outcome.failure,
            status=outcome.status,
            seconds=outcome.seconds,
            num_flagged=outcome.num_flagged,
            log_density=tuple(outcome.log_density.tolist()),
            rmse=rmse,
            coverage=coverage,
            draws=hashlib.sha256(outcome.draws).hexdigest() if outcome.draws else "",
        )
        if outcome.draws:
            write_whole(path.with_suffix(".npz"), outcome.draws)
        # Last: a cell is finished when this file is there.
        write_whole(path, encode_json(record))
