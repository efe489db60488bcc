"""Writing a file so that it is there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bayes_hybrid.errors import OutputExistsError

__all__ = ["atomic_file", "refuse_existing"]


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
