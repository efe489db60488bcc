"""The folder of a simulation-based calibration: a file for each finished replication.

===========================  ====================================================================
file                         contents
===========================  ====================================================================
``sbc.json``                 everything that determines the replications but their number
``replications/NUMBER.json``  one replication
===========================  ====================================================================
"""

import dataclasses
import json
import os
import warnings
from pathlib import Path
from typing import Any, Final

from bayes_hybrid.data import atomic_file
from bayes_hybrid.errors import OutputExistsError
from bayes_hybrid.validation.replication import Replication

__all__ = ["FOLDER", "MANIFEST", "Store"]

MANIFEST: Final = "sbc.json"
FOLDER: Final = "replications"


class Store:
    """Replications on disk, each written whole or not at all as soon as it is there.

    Args:
        folder: where; it is made if need be, in a folder that exists.
        setup: what determines the replications, as plain JSON values.

    Raises:
        OutputExistsError: the folder holds something else, or was begun with another setup; it is
            left as it is.
        OSError: the folder cannot be made or written.
    """

    def __init__(self, folder: str | os.PathLike[str], setup: dict[str, Any]) -> None:
        self._folder = Path(folder)
        path = self._folder / MANIFEST
        # As it will be read back: tuples become lists.
        setup = json.loads(json.dumps(setup))
        if not self._folder.is_dir() or not any(self._folder.iterdir()):
            self._folder.mkdir(exist_ok=True)
            _write(path, setup)
        found = _manifest(path)
        other = [name for name in setup if found.get(name) != setup[name]]
        if other:
            raise OutputExistsError(
                f"{self._folder} was begun with another {other[0]} and is left as it is; choose "
                "another folder, or run with what it was begun with"
            )
        (self._folder / FOLDER).mkdir(exist_ok=True)

    def read(self, number: int) -> Replication | None:
        """A replication, or ``None`` where it is missing or damaged, which gives a warning."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["number"] != number:
                raise ValueError(f"it is of replication {record['number']}")
            return Replication(**record)
        except (KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"{path} cannot be read ({type(error).__name__}: {error}); its replication is "
                "computed again",
                stacklevel=2,
            )
            return None

    def write(self, replication: Replication) -> None:
        """Put a replication on the disk.

        Raises:
            OSError: the disk is full, or the folder is not writable any more.
        """
        _write(self._path(replication.number), dataclasses.asdict(replication))

    def _path(self, number: int) -> Path:
        return self._folder / FOLDER / f"{number:05d}.json"


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise OutputExistsError(
            f"{path.parent} holds something other than a simulation-based calibration "
            f"({path.name} is missing or cannot be read) and is left as it is; choose another "
            "folder"
        )
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path, force=True) as handle:
        handle.write(json.dumps(content, indent=1).encode())
