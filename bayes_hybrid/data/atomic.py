"""Writing a file so that it is there whole or not at all, and never over somebody's own."""

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bayes_hybrid.errors import OutputExistsError

__all__ = ["atomic_file", "refuse_existing", "refuse_foreign"]


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
    refuse_existing(target, force=force)
    # Not tempfile: its files are private to the user, and this one becomes the result, which
    # has the permissions of any new file.
    hidden = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with hidden.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        refuse_existing(target, force=force)
        hidden.replace(target)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        # A failed write names no file, and nobody has heard of the hidden one.
        if error.errno is None or error.filename not in (None, str(hidden)):
            raise
        reason = f"nothing was written to {target.name}: {error.strerror}"
        raise OSError(error.errno, reason, str(path)) from error
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def refuse_existing(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse an output that stands already, unless it is a file that may be replaced.

    Args:
        path: the file to be.
        force: whether an existing file may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder; expected the name of a file to write")
    if path.exists() and not force:
        raise OutputExistsError(
            f"{path} exists already and is left as it is; choose another name, or overwrite it "
            "with force=True (--force)"
        )


def refuse_foreign(folder: str | os.PathLike[str], names: Collection[str]) -> None:
    """Refuse to replace a folder with anything in it but ``names``: that would be lost.

    Args:
        folder: the folder to be replaced; nothing needs to stand there.
        names: the files that may be lost, each by its path in the folder, with ``/`` between a
            folder in it and what that holds.

    Raises:
        OutputExistsError: something else is in the folder, or ``folder`` is a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "out.csv").write_text("ours")
        ...     refuse_foreign(folder, ["out.csv", "fit/fit.json"])
    """
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; expected the name of a folder to write")
    foreign = next(_foreign(folder, names), None)
    if foreign is not None:
        raise OutputExistsError(
            f"{folder} also holds {foreign!r}, which would be lost; choose another folder, or "
            "move that away"
        )


def _foreign(folder: Path, names: Collection[str], above: str = "") -> Iterator[str]:
    """Paths of what is not among ``names``; a folder none of them lies in is not looked into."""
    for entry in sorted(folder.iterdir()):
        path = above + entry.name
        # What a link leads to is not lost with the link.
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and any(name.startswith(f"{path}/") for name in names):
            yield from _foreign(entry, names, f"{path}/")
        elif is_folder or path not in names:
            yield path
