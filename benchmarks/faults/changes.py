"""Changes of a saved fit's files: bytes, JSON values, tensors, and what stands in the folder."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

__all__ = ["FORGED", "PLACES", "PLAIN", "Change", "Files", "Rng"]

Files = dict[str, bytes]
"""Contents by name."""
Rng = np.random.Generator
Change = Callable[[Files, Rng], None]


# -- changes of bytes


def _json(files: Files, rng: Rng) -> str:
    """The largest JSON file, or one of the others."""
    names = sorted((name for name in files if name.endswith(".json")), key=lambda n: len(files[n]))
    return names[-1] if rng.random() < 0.8 else names[rng.integers(len(names))]


def _flip_bit(files: Files, rng: Rng) -> None:
    name = rng.choice(sorted(files))
    content = bytearray(files[name])
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    files[name] = bytes(content)


def _change_digit(files: Files, rng: Rng) -> None:
    name = _json(files, rng)
    content = bytearray(files[name])
    place = rng.choice([at for at, byte in enumerate(content) if chr(byte).isdigit()])
    content[place] = ord("0") + (content[place] - ord("0") + int(rng.integers(1, 10))) % 10
    files[name] = bytes(content)


def _cut(files: Files, rng: Rng) -> None:
    name = rng.choice(sorted(files))
    files[name] = files[name][: rng.integers(len(files[name]))]


def _append(files: Files, rng: Rng) -> None:
    name = rng.choice(sorted(files))
    files[name] += rng.bytes(int(rng.integers(1, 100)))


def _zero_block(files: Files, rng: Rng) -> None:
    name = rng.choice(sorted(files))
    start = int(rng.integers(len(files[name])))
    length = len(files[name][start : start + 512])
    files[name] = files[name][:start] + bytes(length) + files[name][start + length :]


def _swap_two(files: Files, rng: Rng) -> None:
    one, two = rng.choice(sorted(files), 2, replace=False)
    files[one], files[two] = files[two], files[one]


def _delete(files: Files, rng: Rng) -> None:
    del files[rng.choice(sorted(files))]


def _empty(files: Files, rng: Rng) -> None:
    files[rng.choice(sorted(files))] = b""


def _other_encoding(files: Files, rng: Rng) -> None:
    name = _json(files, rng)
    files[name] = files[name].decode().encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))


# -- changes of JSON

_RAW: Final = {
    "none": "null",
    "yes": "true",
    "zero": "0",
    "minus one": "-1",
    "minus zero": "-0.0",
    "half": "0.5",
    "1e9": "1000000000",
    "2**63": str(2**63),
    "1e308": "1e308",
    "1e-320": "1e-320",
    "1e999": "1e999",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "long integer": "9" * 5_000,
    "empty text": '""',
    "text": '"relu"',
    "number as text": '"1.5"',
    "long text": '"' + "x" * 1_000_000 + '"',
    "lone surrogate": '"\\ud800"',
    "NUL": '"\\u0000"',
    "empty list": "[]",
    "empty object": "{}",
    "list of lists": "[[1], [2, 3]]",
    "nested": "[" * 50_000 + "]" * 50_000,
    "nested objects": '{"type":' * 50_000 + "1" + "}" * 50_000,
    "another setting": '{"type": "LogNormalPrior", "median": 1.0, "spread": 0.5}',
    "unknown setting": '{"type": "os.system", "command": "true"}',
}
"""What a value is replaced by, as JSON text."""
_MARK: Final = "\x00here\x00"


def _place(tree: Any, rng: Rng) -> tuple[Any, Any]:
    """A parent and a key, by steps down from the root: long lists do not take all the tries."""
    parent = tree
    while True:
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        key = keys[rng.integers(len(keys))]
        child = parent[key]
        if not isinstance(child, dict | list) or not child or rng.random() < 0.1:
            return parent, key
        parent = child


def _json_edit(edit: Callable[[Any, Any, Rng], str | None]) -> Change:
    """A change of one place in a JSON file: ``edit(parent, key, rng)``, and text to put there."""

    def change(files: Files, rng: Rng) -> None:
        name = _json(files, rng)
        tree = json.loads(files[name])
        raw = edit(*_place(tree, rng), rng)
        text = json.dumps(tree, indent=1)
        files[name] = (text if raw is None else text.replace(json.dumps(_MARK), raw)).encode()

    return change


def _replace(parent: Any, key: Any, rng: Rng) -> str:
    parent[key] = _MARK
    return _RAW[rng.choice(list(_RAW))]


def _counts(tree: Any) -> list[tuple[Any, Any]]:
    """Every whole number that has a name, by its object and the name."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = [(tree, key) for key, value in items if type(value) is int and type(key) is str]
    for value in tree.values() if isinstance(tree, dict) else tree:
        found += _counts(value) if isinstance(value, dict | list) else []
    return found


def _huge_count(files: Files, rng: Rng) -> None:
    """A size that nothing should be allocated for."""
    name = _json(files, rng)
    tree = json.loads(files[name])
    places = _counts(tree)
    if places:
        key = rng.choice(sorted({key for _, key in places}))
        parents = [parent for parent, name in places if name == key]
        parents[rng.integers(len(parents))][key] = int(rng.choice([10**5, 10**9, 2**62]))
    files[name] = json.dumps(tree).encode()


def _remove(parent: Any, key: Any, rng: Rng) -> None:
    del parent[key]


def _twice(parent: Any, key: Any, rng: Rng) -> None:
    if isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[f"{key}_"] = parent[key]


def _rename(parent: Any, key: Any, rng: Rng) -> None:
    if isinstance(parent, dict):
        parent[str(rng.choice(["type", "", "__class__", "seed", f" {key}"]))] = parent.pop(key)
    else:
        parent.reverse()


def _scale(parent: Any, key: Any, rng: Rng) -> None:
    """A number a little off, so that only a checksum or a rule can tell."""
    value = parent[key]
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        parent[key] = None
    else:
        parent[key] = value * 2 if isinstance(value, int) else value * 1.001


def _whole(text: str) -> Change:
    def change(files: Files, rng: Rng) -> None:
        files[_json(files, rng)] = text.encode()

    return change


def _repeat_key(files: Files, rng: Rng) -> None:
    """A key that comes twice, of which a reader takes the last."""
    name = _json(files, rng)
    files[name] = re.sub(rb"\}\s*$", b',"fit": {}, "files": {}}', files[name])


# -- changes of tensors


def _header(edit: Callable[[dict[str, Any], Rng], None]) -> Change:
    """A change of the header of a safetensors file."""

    def change(files: Files, rng: Rng) -> None:
        name = next(name for name in sorted(files) if name.endswith(".safetensors"))
        (size,) = struct.unpack("<Q", files[name][:8])
        header = json.loads(files[name][8 : 8 + size])
        edit(header, rng)
        text = json.dumps(header).encode()
        files[name] = struct.pack("<Q", len(text)) + text + files[name][8 + size :]

    return change


def _shape(header: dict[str, Any], rng: Rng) -> None:
    entry = header[rng.choice(sorted(set(header) - {"__metadata__"}))]
    shapes: list[list[int]] = [entry["shape"][::-1], [*entry["shape"], 1], [2**40, 2**40], [-1], []]
    entry["shape"] = shapes[rng.integers(len(shapes))]


def _kind(header: dict[str, Any], rng: Rng) -> None:
    entry = header[rng.choice(sorted(set(header) - {"__metadata__"}))]
    entry["dtype"] = str(rng.choice(["I64", "F64", "F32", "BOOL", "U8", "F8_E5M2", "X"]))


def _offsets(header: dict[str, Any], rng: Rng) -> None:
    names = sorted(set(header) - {"__metadata__"})
    one, two = rng.choice(names, 2, replace=False)
    header[one]["data_offsets"], header[two]["data_offsets"] = (
        header[two]["data_offsets"],
        header[one]["data_offsets"],
    )


def _tensor_name(header: dict[str, Any], rng: Rng) -> None:
    name = str(rng.choice(sorted(set(header) - {"__metadata__"})))
    if rng.random() < 0.5:
        header[f"{name}2"] = header.pop(name)
    else:
        header["sampler.more"] = header[name]


def _header_size(files: Files, rng: Rng) -> None:
    name = next(name for name in sorted(files) if name.endswith(".safetensors"))
    size = int(rng.choice([0, 1, 2**31, 2**63 - 1]))
    files[name] = struct.pack("<Q", size) + files[name][8:]


def _tensor_value(files: Files, rng: Rng) -> None:
    """A number that is none, or far too large, in one of the tensors."""
    name = next(name for name in sorted(files) if name.endswith(".safetensors"))
    (size,) = struct.unpack("<Q", files[name][:8])
    header = json.loads(files[name][8 : 8 + size])
    entry = header[rng.choice(sorted(set(header) - {"__metadata__"}))]
    start, stop = (8 + size + offset for offset in entry["data_offsets"])
    kind: Any = {"F32": np.float32, "F64": np.float64}.get(entry["dtype"], np.uint8)
    values = np.frombuffer(files[name][start:stop], kind).copy()
    if values.size:
        value = float(rng.choice([np.nan, np.inf, -np.inf, 1e38, 1e4, -1.0]))
        values[rng.integers(values.size)] = value if kind is not np.uint8 else 255
    files[name] = files[name][:start] + values.tobytes() + files[name][stop:]


# -- changes of the folder


def _chosen(folder: Path, rng: Rng) -> Path:
    return Path(rng.choice(sorted(str(path) for path in folder.iterdir())))


def _to_folder(folder: Path, rng: Rng) -> None:
    path = _chosen(folder, rng)
    path.unlink()
    path.mkdir()


def _to_loop(folder: Path, rng: Rng) -> None:
    path = _chosen(folder, rng)
    path.unlink()
    path.symlink_to(path.name)


def _to_pipe(folder: Path, rng: Rng) -> None:
    path = _chosen(folder, rng)
    path.unlink()
    os.mkfifo(path)


def _to_sparse(folder: Path, rng: Rng) -> None:
    os.truncate(_chosen(folder, rng), 2**36)


def _to_device(folder: Path, rng: Rng) -> None:
    path = _chosen(folder, rng)
    path.unlink()
    path.symlink_to("/dev/zero")


def _file_instead(folder: Path, rng: Rng) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_bytes(b"{}")


PLAIN: Final[dict[str, Change]] = {
    "flip a bit": _flip_bit,
    "change a digit": _change_digit,
    "cut a file": _cut,
    "append to a file": _append,
    "zero a block": _zero_block,
    "swap two files": _swap_two,
    "delete a file": _delete,
    "empty a file": _empty,
    "another encoding": _other_encoding,
    "replace a JSON value": _json_edit(_replace),
    "scale a JSON number": _json_edit(_scale),
    "remove a JSON value": _json_edit(_remove),
    "repeat a JSON key": _repeat_key,
    "change a tensor's number": _tensor_value,
}
FORGED: Final[dict[str, Change]] = {
    "replace a JSON value": _json_edit(_replace),
    "huge count in JSON": _huge_count,
    "remove a JSON value": _json_edit(_remove),
    "add a JSON value": _json_edit(_twice),
    "rename a JSON key": _json_edit(_rename),
    "scale a JSON number": _json_edit(_scale),
    "a JSON file of another kind": _whole("[1, 2]"),
    "repeat a JSON key": _repeat_key,
    "change a tensor's shape": _header(_shape),
    "change a tensor's type": _header(_kind),
    "swap tensors": _header(_offsets),
    "rename a tensor": _header(_tensor_name),
    "change the header's size": _header_size,
    "change a tensor's number": _tensor_value,
    "change a digit": _change_digit,
    "flip a bit": _flip_bit,
}
PLACES: Final[dict[str, Callable[[Path, Rng], None]]] = {
    "a folder for a file": _to_folder,
    "a link to itself": _to_loop,
    "a named pipe": _to_pipe,
    "a file of 64 GiB": _to_sparse,
    "a link to /dev/zero": _to_device,
    "a file for the folder": _file_instead,
}
