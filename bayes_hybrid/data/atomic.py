"""Writing files and folders so that they are there whole or not at all, and never over others.

An output is written under a hidden name beside its own and gets its own name in one step at the
end.  A kill at any moment leaves the old output or the new one, and possibly a hidden leftover,
which the next write to the same place removes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bayes_hybrid.data.leftovers import hidden_file, hidden_folder, locked, recover, remove
from bayes_hybrid.data.renames import exchange, rename_to_free
from bayes_hybrid.errors import OutputExistsError

__all__ = ["atomic_file", "atomic_folder", "refuse_existing", "refuse_occupied"]


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the name ``path`` only when the block ends well.

    The bytes go to a hidden file beside ``path``, are flushed to the disk, and then replace
    ``path`` in one step.  When the block raises (Ctrl-C and a full disk included), the hidden file
    is removed and whatever stood at ``path`` is as it was.  A symbolic link is followed, not
    replaced.

    Args:
        path: the file to be; its folder has to exist.
        force: whether an existing file may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or ``path`` is a folder.
        OSError: the folder is missing or not writable, or the disk is full; the same subclass and
            ``errno`` as the system gave, with ``path`` in the message.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "note.txt")
        ...     with atomic_file(path) as handle:
        ...         _ = handle.write(b"whole")
        ...     path.read_bytes()
        b'whole'
    """
    target = Path(os.path.realpath(path))
    recover(target)
    refuse_existing(target, force=force)
    with _told_of(path, target), hidden_file(target) as (hidden, handle):
        yield handle
        handle.flush()
        os.fsync(handle.fileno())
        refuse_existing(target, force=force)
        if force:
            hidden.replace(target)
        else:
            rename_to_free(hidden, target)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str],
    names: Sequence[str],
    *,
    what: str = "such an output",
    force: bool = False,
) -> Iterator[Path]:
    """A folder to fill, which takes the name ``path`` only when the block ends well.

    It is a hidden folder beside ``path`` until then.  When the block raises, it is removed and
    whatever stood at ``path`` is as it was.  Files in it are flushed to the disk by whoever writes
    them, as :func:`atomic_file` does.

    Args:
        path: the folder to be; the folder that holds it has to exist.
        names: what the block may write, see :func:`refuse_occupied`.
        what: such a folder in words, for messages.
        force: whether such a folder may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and may not be replaced.
        OSError: as for :func:`atomic_file`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with atomic_folder(Path(place, "out"), ["note.txt"]) as folder:
        ...         _ = (folder / "note.txt").write_text("whole")
        ...     os.listdir(place)
        ['out']
    """
    target = Path(os.path.realpath(path))
    recover(target)
    refuse_occupied(target, names, what=what, force=force)
    with _told_of(path, target), hidden_folder(target) as hidden:
        yield hidden
        refuse_occupied(target, names, what=what, force=force)
        if not target.exists():
            rename_to_free(hidden, target)
        elif not exchange(hidden, target):
            _swap(hidden, target)


def _swap(hidden: Path, target: Path) -> None:
    """Exchange in two renames, where the system has no single one.

    A kill between the two leaves the old output under a hidden name, from which
    :func:`~bayes_hybrid.data.leftovers.recover` puts it back.
    """
    old = hidden.with_suffix(".old")
    with locked(target):
        try:
            target.rename(old)
            hidden.rename(target)
        except BaseException:
            if not target.exists() and old.exists():
                old.rename(target)
            raise
        finally:
            if target.exists():
                remove(old)


@contextmanager
def _told_of(path: str | os.PathLike[str], target: Path) -> Iterator[None]:
    """Errors of the system as being about ``path``: nobody has heard of the hidden name."""
    try:
        yield
    except OSError as error:
        # A failed write names no file; an error about another file is as it is.
        hidden = str(target.with_name(f".{target.name}."))
        about = error.filename is None or os.fsdecode(error.filename).startswith(hidden)
        if error.errno is None or not about:
            raise
        reason = f"nothing was written to {target.name}: {os.strerror(error.errno)}"
        raise OSError(error.errno, reason, str(path)) from error


def refuse_existing(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse an output that stands already, unless it is a file that may be replaced.

    Args:
        path: the file to be.
        force: whether an existing file may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or ``path`` is a folder, or a
            device, pipe or socket, which nothing may replace.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder; expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise OutputExistsError(
            f"{path} is a device, pipe or socket and is left as it is; expected the name of a file "
            "to write"
        )
    if path.exists() and not force:
        raise OutputExistsError(
            f"{path} exists already and is left as it is; choose another name, or overwrite it "
            "with force=True (--force)"
        )


def refuse_occupied(
    path: str | os.PathLike[str],
    names: Sequence[str],
    *,
    what: str = "such an output",
    force: bool = False,
) -> None:
    """Refuse a folder that holds something, unless it may be replaced without loss.

    Args:
        path: the folder to be; nothing needs to stand there.
        names: what may be lost, each by its path in the folder, with ``/`` between a folder in it
            and what that holds.  The first one tells such a folder from others.
        what: such a folder in words, for the messages.
        force: whether it may be replaced.

    Raises:
        OutputExistsError: ``path`` is a file or holds something other than such an output; such an
            output, and ``force`` is false; or such an output with something beside it.
    """
    folder = Path(path)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; expected the name of a folder to write")
    if not any(folder.iterdir()):
        return
    if not (folder / names[0]).is_file():
        raise OutputExistsError(
            f"{folder} holds something other than {what} and is left as it is; choose another "
            "folder"
        )
    if not force:
        raise OutputExistsError(
            f"{folder} holds {what} already and is left as it is; choose another folder, or "
            "replace it with force=True (--force)"
        )
    foreign = next(_foreign(folder, names), None)
    if foreign is not None:
        raise OutputExistsError(
            f"{folder} also holds {foreign!r}, which would be lost; choose another folder, or "
            "move that away"
        )


def _foreign(folder: Path, names: Sequence[str], above: str = "") -> Iterator[str]:
    """Paths of what is not among ``names``; a folder none of them lies in is not looked into."""
    for entry in sorted(folder.iterdir()):
        path = above + entry.name
        # What a link leads to is not lost with the link.
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and any(name.startswith(f"{path}/") for name in names):
            yield from _foreign(entry, names, f"{path}/")
        elif is_folder or path not in names:
            yield path
