"""Whether an output could be written, before any work is done."""

import os
from pathlib import Path

from bayes_hybrid.data import refuse_existing
from bayes_hybrid.data.leftovers import recover
from bayes_hybrid.errors import OptionError, OutputExistsError
from bayes_hybrid.estimator import SAVED_FILES

__all__ = ["refuse_file", "refuse_place"]


def refuse_file(path: Path, saved: Path, *, force: bool) -> None:
    """Refuse, before any work is done, a file that could not be written or should not be there.

    Args:
        path: the file to be.
        saved: folder of the fit that it is made from, which ``fit --force`` replaces only while
            it holds nothing else.
        force: whether a file that stands there may be replaced.

    Raises:
        OptionError: ``path`` lies in ``saved``.
        OutputExistsError: ``path`` exists and ``force`` is false, or it is a folder or a device.
        OSError: the folder that should hold it is missing, is no folder, or is not writable.
    """
    if path.is_dir():
        refuse_existing(path)
    folder = Path(os.path.realpath(saved))
    # Where no fit is, reading it says so.
    if folder in Path(os.path.realpath(path)).parents and (folder / SAVED_FILES[0]).is_file():
        raise OptionError(
            f"--out {path} lies in {saved}, which holds the fit and should hold nothing else; "
            "choose another folder"
        )
    refuse_place(path, force=force)
    refuse_existing(path, force=force)


def refuse_place(path: Path, *, force: bool) -> None:
    """Refuse, before any work is done, a place where nothing could be written in the end.

    What a killed run left there is put back or removed first.

    Args:
        path: the file or folder to be.
        force: whether something that stands there may be replaced.

    Raises:
        OutputExistsError: ``path`` exists, is no empty folder, and ``force`` is false.
        OSError: the folder that should hold it is missing, is no folder, or is not writable.
    """
    recover(Path(os.path.realpath(path)))
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


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
