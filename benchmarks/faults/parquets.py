"""Hostile Parquet files, each with what has to become of it; the table is that of the CSV files."""

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.faults.sheets import Case, Expect, base
from benchmarks.faults.tiny import tiny_table

__all__ = ["PARQUET"]

Rng = np.random.Generator


def _arrow(**columns: Any) -> pa.Table:
    """The base table, with columns in place of its own or beside."""
    table = tiny_table()
    own = {"name": [row[0] for row in base()], "note": ["x"] * len(table)}
    own |= {name: table[name].to_list() for name in table.columns}
    return pa.table(own | columns)


def _parquet(table: pa.Table, expect: Expect, **settings: Any) -> Case:
    sink = io.BytesIO()
    pq.write_table(table, sink, **settings)
    return Case(content=sink.getvalue(), expect=expect, suffix=".parquet")


METADATA: Final = [
    b"{broken",
    b"",
    b"null",
    b"[]",
    b"3",
    b"\xff\xfe",
    b"{}",
    b'{"columns": 3, "index_columns": [], "column_indexes": []}',
    b'{"columns": [], "index_columns": ["gone"], "column_indexes": []}',
    b'{"columns": [], "index_columns": [7], "column_indexes": []}',
    b'{"columns": [], "index_columns": [{"kind": "range", "start": 0, "stop": 5, "step": 1}], '
    b'"column_indexes": []}',
    b'{"columns": [{"name": "note", "field_name": "note", "pandas_type": "categorical", '
    b'"numpy_type": "int8", "metadata": null}], "index_columns": [], "column_indexes": []}',
    b'{"columns": [{"name": "note", "field_name": "note", "pandas_type": "datetimetz", '
    b'"numpy_type": "datetime64[ns]", "metadata": {"timezone": "Mars/Base"}}], '
    b'"index_columns": [], "column_indexes": []}',
    b'{"columns": [{"name": "dose", "field_name": "dose", "pandas_type": "unicode", '
    b'"numpy_type": "no_such_type", "metadata": null}], "index_columns": [], "column_indexes": []}',
    b'{"index_columns": ["dose"], "columns": [], "column_indexes": []}',
]


def _metadata(rng: Rng) -> Case:
    broken = METADATA[rng.integers(len(METADATA))]
    return _parquet(_arrow().replace_schema_metadata({b"pandas": broken}), "same")


def _column(rng: Rng, values: dict[str, Callable[[], Any]]) -> Any:
    return values[rng.choice(sorted(values))]()


_IDS: Final = [123456789012345678 + n for n in range(23)]
_BESIDE: Final[dict[str, Callable[[], Any]]] = {
    "ids with one missing": lambda: pa.array([*_IDS, None], pa.int64()),
    "uint64": lambda: pa.array([2**64 - 1 - n for n in range(24)], pa.uint64()),
    "truth with one missing": lambda: pa.array([True, None] * 12),
    "decimal": lambda: pa.array([None, *range(23)], pa.decimal128(30, 4)),
    "dates": lambda: pa.array([None, *range(23)], pa.date32()),
    "dates after 2262": lambda: pa.array([None, *[2**34] * 23], pa.timestamp("s")),
    "times with a zone": lambda: pa.array(range(24), pa.timestamp("us", tz="Europe/Berlin")),
    "durations": lambda: pa.array(range(24), pa.duration("ns")),
    "lists": lambda: pa.array([[n, None] for n in range(24)]),
    "objects": lambda: pa.array([{"a": n, "b": [n]} for n in range(24)]),
    "maps": lambda: pa.array([[("a", n)] for n in range(24)], pa.map_(pa.string(), pa.int8())),
    "bytes": lambda: pa.array([b"\xff\x00"] * 24),
    "dictionary": lambda: pa.array(["a", "b", None] * 8).dictionary_encode(),
    "nothing": lambda: pa.nulls(24),
    "half floats": lambda: pa.array(np.arange(24, dtype=np.float16)),
    "large text": lambda: pa.array(["a\x00b", None] * 12, pa.large_string()),
}
_NUMBERS: Final[dict[str, Callable[[pa.Array], Any]]] = {
    "float32": lambda dose: dose.cast(pa.float32()),
    "float16": lambda dose: pa.array(dose.to_numpy().astype(np.float16)),
    "decimal": lambda dose: dose.cast(pa.decimal128(20, 8)),
    "chunks": lambda dose: pa.chunked_array([dose[:5], dose[5:5], dose[5:]]),
}
_NO_NUMBERS: Final[dict[str, Callable[[pa.Array], Any]]] = {
    "text": lambda dose: dose.cast(pa.string()),
    "one missing": lambda dose: pa.array([None, *dose.to_pylist()[1:]]),
    "one NaN": lambda dose: pa.array([float("nan"), *dose.to_pylist()[1:]]),
    "dates": lambda dose: pa.array(range(24), pa.date32()),
    "durations": lambda dose: pa.array(range(24), pa.duration("s")),
    "lists": lambda dose: pa.array([[value] for value in dose.to_pylist()]),
    "nothing": lambda dose: pa.nulls(24),
    "bytes": lambda dose: pa.array([b"1"] * 24),
}


def _numbers(kinds: dict[str, Callable[[pa.Array], Any]], expect: Expect) -> Callable[[Rng], Case]:
    def case(rng: Rng) -> Case:
        dose = pa.array(tiny_table()["dose"].to_numpy())
        return _parquet(_arrow(dose=kinds[rng.choice(sorted(kinds))](dose)), expect)

    return case


def _damaged(rng: Rng) -> Case:
    content = bytearray(_parquet(_arrow(), "any").content)
    if rng.random() < 0.3:
        content = content[: rng.integers(len(content))]
    else:
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    return Case(content=bytes(content), expect="any", suffix=".parquet")


def _repeated(rng: Rng) -> Case:
    table = _arrow()
    return _parquet(table.append_column("dose", table["other"]), "refused")


PARQUET: Final[dict[str, Callable[[Rng], Case]]] = {
    "Parquet: broken metadata of pandas": _metadata,
    "Parquet: broken metadata of pandas (2)": _metadata,
    "Parquet: a column aside": lambda rng: _parquet(
        _arrow(note=_BESIDE[rng.choice(sorted(_BESIDE))]()), "either"
    ),
    "Parquet: a column aside (2)": lambda rng: _parquet(
        _arrow(note=_BESIDE[rng.choice(sorted(_BESIDE))]()), "either"
    ),
    "Parquet: numbers of another kind": _numbers(_NUMBERS, "same"),
    "Parquet: no numbers": _numbers(_NO_NUMBERS, "refused"),
    "Parquet: damaged": _damaged,
    "Parquet: damaged (2)": _damaged,
    "Parquet: a repeated name": _repeated,
    "Parquet: no rows": lambda rng: _parquet(_arrow().slice(0, 0), "refused"),
    "Parquet: no columns": lambda rng: _parquet(pa.table({}), "refused"),
    "Parquet: many groups": lambda rng: _parquet(_arrow(), "same", row_group_size=1),
    "Parquet: an index of pandas": lambda rng: _parquet(
        pa.Table.from_pandas(_arrow().to_pandas().set_index("dose")), "same"
    ),
}
