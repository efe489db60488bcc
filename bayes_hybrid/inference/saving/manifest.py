"""The manifest of a saved folder: size and checksum of every file, and of itself.

``manifest.json`` states the format and its version, and of each file the number of bytes and their
SHA-256.  Its own ``sha256`` is that of the same text with an empty one.  The text has one form, so
that a changed byte anywhere is noticed, blanks included.
"""

import hashlib
import os
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from bayes_hybrid.data.records import decode_json, encode_json, shortened
from bayes_hybrid.errors import FileFormatError

__all__ = ["MANIFEST", "Manifest", "damaged", "decoded", "package_version", "read_files", "sealed"]

_T = TypeVar("_T")

MANIFEST: Final = "manifest.json"
_FORMAT: Final = "bayes_hybrid.fit"
_FORMAT_VERSION: Final = 1
# A manifest of ten files has a thousand bytes.
_MOST_BYTES: Final = 1_000_000

# No path leads out of the folder.
_FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", max_length=100)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Header(Struct, frozen=True, kw_only=True):
    """What every version of the format says of itself."""

    format: str
    format_version: Annotated[int, Meta(ge=1)] = 1
    package_version: str = "unknown"


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: its size and its SHA-256."""

    bytes: Annotated[int, Meta(ge=0)]
    sha256: _Digest


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a saved folder holds."""

    format: str
    format_version: int
    package_version: str
    files: dict[_FileName, Entry]
    sha256: str = ""

    def text(self) -> bytes:
        """The contents of ``manifest.json``."""
        unsealed = encode_json(replace(self, sha256=""))
        return encode_json(replace(self, sha256=hashlib.sha256(unsealed).hexdigest()))


def sealed(files: Mapping[str, bytes]) -> bytes:
    """The manifest of these files, by name."""
    entries = {
        name: Entry(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    }
    return Manifest(
        format=_FORMAT,
        format_version=_FORMAT_VERSION,
        package_version=package_version(),
        files=entries,
    ).text()


# A fit takes some milliseconds to read; who saves more often than that does so for no reader.
_MOST_SAVES: Final = 20


def read_files(folder: Path, wanted: Collection[str]) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, once every file that it names is the one that was saved.

    Args:
        folder: what was saved.
        wanted: files whose contents to return, those that the manifest names.

    Raises:
        FileFormatError: nothing was saved there, in a newer format, or a file is missing or
            damaged.
    """
    for _ in range(_MOST_SAVES):
        stated = _stated(folder)
        try:
            return _read_once(folder, stated, wanted)
        except (FileFormatError, FileNotFoundError):
            # Another process may have saved meanwhile, and files of both have been read.
            if _stated(folder) == stated:
                raise
    raise damaged(folder, "it is saved anew all the time")


def _stated(folder: Path) -> bytes | None:
    """What ``manifest.json`` holds, one byte more than it may at most; ``None`` without one."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    with path.open("rb") as handle:
        return handle.read(_MOST_BYTES + 1)


def _read_once(
    folder: Path, stated: bytes | None, wanted: Collection[str]
) -> tuple[Manifest, dict[str, bytes]]:
    manifest = _manifest(folder, stated)
    contents = {}
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise damaged(path, "it is missing")
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if size != entry.bytes:
                raise damaged(path, f"expected {entry.bytes} bytes, got {size}")
            if name in wanted:
                contents[name] = handle.read()
                digest = hashlib.sha256(contents[name])
            else:
                digest = hashlib.file_digest(handle, "sha256")
        if digest.hexdigest() != entry.sha256:
            raise damaged(path, f"its checksum is not the one in {MANIFEST}")
    return manifest, contents


def _manifest(folder: Path, content: bytes | None) -> Manifest:
    path = folder / MANIFEST
    if content is None:
        what = f"has no {MANIFEST}" if folder.is_dir() else "is no folder"
        raise FileFormatError(f"{folder} {what}; expected a folder written by save")
    if len(content) > _MOST_BYTES:
        raise damaged(path, f"expected at most {_MOST_BYTES} bytes, got {path.stat().st_size}")
    header = decoded(path, content, _Header)
    if header.format != _FORMAT:
        raise FileFormatError(
            f"{path} is no fit of this package: expected the format {_FORMAT!r}, got "
            f"{shortened(repr(header.format))}; name a folder written by save"
        )
    if header.format_version > _FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has format version {header.format_version}, written by bayes_hybrid "
            f"{shortened(header.package_version)}; this version reads up to {_FORMAT_VERSION}: "
            "upgrade bayes_hybrid"
        )
    manifest = decoded(path, content, Manifest)
    if manifest.text() != content:
        raise damaged(path, "its checksum of itself is another")
    return manifest


def decoded(path: Path, content: bytes, kind: type[_T]) -> _T:
    """The contents of a JSON file, :func:`~bayes_hybrid.data.records.decode_json`."""
    try:
        return decode_json(content, kind)
    except FileFormatError as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> FileFormatError:
    """The error about a file that is not what was saved."""
    return FileFormatError(
        f"{path} is damaged or cut off: {reason}; expected what save wrote: save the fit again"
    )


def package_version() -> str:
    """The version of this package, as a saved result records it."""
    try:
        return metadata.version("bayes_hybrid")
    except metadata.PackageNotFoundError:  # imported from a source folder, not installed
        return "unknown"
