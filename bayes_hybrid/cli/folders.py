"""An output folder that is there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bayes_hybrid.data import refuse_foreign
from bayes_hybrid.errors import OutputExistsError

__all__ = ["new_folder", "refuse_place"]


def refuse_place(path: Path, *, force: bool) -> None:
    """Refuse, before any work is done, a place where nothing could be written in the end.

    Args:
        path: the file or folder to be.
        force: whether something that stands there may be replaced.

    Raises:
        OutputExistsError: ``path`` exists, is no empty folder, and ``force`` is false.
        OSError: the folder that should hold it is missing, is no folder, or is not writable.
    """
    if path.exists() and not (force or _is_empty_folder(path)):
        raise OutputExistsError(
            f"{path} exists already and is left as it is; choose another name, or replace it "
            "with --force"
        )
    parent = path.absolute().parent
    if not parent.exists():
        raise FileNotFoundError(f"the folder {parent} does not exist; make it first")
    if not parent.is_dir():
        raise NotADirectoryError(f"{parent} is no folder, so {path.name} cannot be written into it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {parent} is not writable; choose another place")


@contextmanager
def new_folder(path: Path, names: Collection[str], *, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the name ``path`` only when the block ends well.

    It is a hidden folder beside ``path`` until then, and is removed when the block raises.

    Args:
        path: the folder to be; the folder that holds it has to exist.
        names: the files that the block writes, by their paths in the folder.  A folder that stands
            at ``path`` is replaced only if it holds nothing else: ``--force`` must not cost anybody
            their own files.
        force: whether such a folder may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and may not be replaced.
        OSError: the system refused.
    """
    refuse_place(path, force=force)
    refuse_foreign(path, names)
    target = path.absolute()
    mark = secrets.token_hex(4)
    hidden, old = (target.with_name(f".{target.name}.{mark}.{end}") for end in ("part", "old"))
    try:
        hidden.mkdir()
        yield hidden
        refuse_foreign(path, names)
        if target.exists():
            target.rename(old)
        try:
            hidden.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    finally:
        for leftover in (hidden, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
