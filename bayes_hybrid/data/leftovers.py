"""Hidden files and folders that an output is written to, and what a killed process leaves of them.

======================  ========================================================================
name, beside ``out``    contents
======================  ========================================================================
``.out.1f0a93c2.part``  a new output being written, or an old one being removed
``.out.1f0a93c2.old``   the old output, where the new one takes its place in two renames
======================  ========================================================================

Whoever writes one holds a lock on it, which the system takes away when the process ends, however
it ends.  So a hidden name without a lock is a leftover.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bayes_hybrid.data.renames import rename_to_free
from bayes_hybrid.errors import OutputExistsError

if sys.platform != "win32":
    import fcntl

__all__ = ["hidden_file", "hidden_folder", "locked", "recover", "remove"]

_ENDS: Final = ("part", "old")


@contextmanager
def hidden_file(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file beside ``target``, open for writing.

    What has its name when the block ends is removed: nothing after a rename.
    """
    while True:
        # Not tempfile: its files are private to the user, and this one becomes the result, which
        # has the permissions of any new file.
        hidden = _hidden(target)
        try:
            with hidden.open("xb") as handle:
                # Until it is locked, another process may take it for a leftover.
                if _lock(handle.fileno()) is not False and _is_at(handle.fileno(), hidden):
                    yield hidden, handle
                    return
        finally:
            remove(hidden)


@contextmanager
def hidden_folder(target: Path) -> Iterator[Path]:
    """A new hidden folder beside ``target``.

    What has its name when the block ends is removed: nothing after a rename, the old output after
    an exchange.
    """
    while True:
        hidden = _hidden(target)
        try:
            hidden.mkdir()
            with locked(hidden) as mine:
                if mine is not False:
                    yield hidden
                    return
        finally:
            remove(hidden)


@contextmanager
def locked(path: Path) -> Iterator[bool | None]:
    """Hold the lock of what is at ``path``, as long as it is not held by others.

    Yields whether it is held now; false also where nothing is there, ``None`` where there are no
    locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        yield False if error.errno == errno.ENOENT else None
        return
    try:
        lock = _lock(descriptor)
        yield lock if _is_at(descriptor, path) else False
    finally:
        os.close(descriptor)


def recover(target: Path) -> None:
    """Put back the output that a killed process had moved away, and remove what it left half-done.

    What a living process works on is not touched.  Nothing is done where the system refuses.

    Args:
        target: the file or folder to be, without symbolic links.
    """
    shape = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.({'|'.join(_ENDS)})")
    try:
        found = [path for path in target.parent.iterdir() if shape.fullmatch(path.name)]
    except OSError:
        return
    for path in found:
        with locked(path) as orphaned:
            if not orphaned:
                continue
            if path.suffix == ".old" and not os.path.lexists(target):
                with contextlib.suppress(OSError, OutputExistsError):
                    rename_to_free(path, target)
            else:
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder as far as the system lets it; Ctrl-C waits until that is done."""
    try:
        _remove(path)
    except KeyboardInterrupt:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.{_ENDS[0]}")


def _lock(descriptor: int) -> bool | None:
    """Whether the lock is ours; ``None`` where the system or the file system has no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
