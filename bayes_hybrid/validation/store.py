"""The folder of a simulation-based calibration: a file for each finished replication.

===========================  ====================================================================
file                         contents
===========================  ====================================================================
``sbc.json``                 everything that determines the replications but their number
``replications/NUMBER.json``  one replication
===========================  ====================================================================
"""

import os
import warnings
from pathlib import Path
from typing import Any, Final

from bayes_hybrid.ablation.folder import claim, write_whole
from bayes_hybrid.data.records import decode_json, encode_json
from bayes_hybrid.errors import FileFormatError, OutputExistsError
from bayes_hybrid.validation.replication import Replication

__all__ = ["FOLDER", "MANIFEST", "ReplicationStore"]

MANIFEST: Final = "sbc.json"
FOLDER: Final = "replications"


class ReplicationStore:
    """Replications on disk, each written whole or not at all when it is done.

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
        other = claim(self._folder / MANIFEST, setup, "a simulation-based calibration")
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
            saved = decode_json(path.read_bytes(), Replication)
            if saved.number != number:
                raise FileFormatError(f"it is of replication {saved.number}")
        except FileFormatError as error:
            warnings.warn(
                f"{path} cannot be read ({error}); its replication is computed again",
                stacklevel=2,
            )
            return None
        return saved

    def write(self, replication: Replication) -> None:
        """Put a replication on the disk.

        Raises:
            OSError: the disk is full, or the folder is not writable any more.
        """
        write_whole(self._path(replication.number), encode_json(replication))

    def _path(self, number: int) -> Path:
        return self._folder / FOLDER / f"{number:05d}.json"
