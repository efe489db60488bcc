"""A folder that a long run fills file by file, and that the next run goes on with."""

from pathlib import Path
from typing import Any

from bayes_hybrid.data import atomic_file
from bayes_hybrid.data.records import decode_json, encode_json
from bayes_hybrid.errors import FileFormatError, OutputExistsError

__all__ = ["claim", "write_whole"]


def claim(path: Path, manifest: dict[str, Any], what: str) -> list[str]:
    """Make the folder with its manifest, or find which entries are others in the one there.

    Args:
        path: of the manifest, in a folder that is made if need be, in one that exists.
        manifest: what determines the run, as plain JSON values.
        what: such a run, in words.

    Raises:
        OutputExistsError: it is a file, or holds something else; it is left as it is.
        OSError: the folder cannot be made or written.
    """
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; expected a folder: choose another name")
    if not folder.is_dir() or not any(folder.iterdir()):
        folder.mkdir(exist_ok=True)
        write_whole(path, encode_json(manifest))
        return []
    try:
        found = decode_json(path.read_bytes(), dict[str, Any])
    except (OSError, FileFormatError):
        raise OutputExistsError(
            f"{folder} holds something other than {what} ({path.name} is missing or cannot be "
            "read) and is left as it is; choose another folder"
        ) from None
    # As it would have been read back: tuples become lists.
    wanted = decode_json(encode_json(manifest), dict[str, Any])
    return [name for name, value in wanted.items() if found.get(name) != value]


def write_whole(path: Path, content: bytes) -> None:
    """Put a file on the disk, whole or not at all, in the place of one that may be there.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    with atomic_file(path, force=True) as handle:
        handle.write(content)
