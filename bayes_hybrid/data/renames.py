"""Renames that one call of the system makes: onto a free name, or two names exchanged.

A kill leaves either all of such a rename or nothing of it.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path
from typing import Final

from bayes_hybrid.errors import OutputExistsError

__all__ = ["exchange", "rename_to_free"]

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_HERE: Final = -100  # AT_FDCWD: paths are relative to the working directory
# Old kernels, and file systems without the flag, such as NFS.
_UNSUPPORTED: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def rename_to_free(source: Path, target: Path) -> None:
    """Rename ``source`` to a name that nobody has.

    Where the system has no such call the name is looked up first, in a step of its own.

    Raises:
        OutputExistsError: something is at ``target``.
        OSError: the system refused.
    """
    try:
        done = _renameat2(source, target, _NOREPLACE)
    except FileExistsError:
        raise _taken(target) from None
    if not done:
        if os.path.lexists(target):
            raise _taken(target)
        os.rename(source, target)


def exchange(first: Path, second: Path) -> bool:
    """Give each of two files or folders the name of the other.

    Returns:
        Whether the system has such a call; where it has not, nothing was done.

    Raises:
        OSError: the system refused.
    """
    return _renameat2(first, second, _EXCHANGE)


def _taken(target: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{target} was made meanwhile and is left as it is; choose another name"
    )


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    """Linux's ``renameat2``; false where it is missing or does not know the flag here."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # another C library
        return False
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))
