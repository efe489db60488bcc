"""All cells of all suites in one tidy Parquet file, from which tables in the docs are rendered.

======================  =========================================================================
column                  content
======================  =========================================================================
``suite``, ``cell``     where the number belongs
``metric``              its name; parts of a nested name are divided by ``/``
``value``               the number; a truth value is 0 or 1
``text``                what is no number, as JSON
``source``              hash of the package's source files that the cell was made with
``versions``            Python, torch, and the package's version
``machine``             processor and cores
======================  =========================================================================
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.cells import Cell

CELLS: Final = Path(__file__).parent / "results" / "cells.parquet"
_FACTS: Final = ("source", "versions", "machine")
_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("suite", "cell", "metric")),
        ("value", pa.float64()),
        *((name, pa.string()) for name in ("text", *_FACTS)),
    ]
)


def write(suite: str, cells: Mapping[str, Cell], path: Path = CELLS) -> None:
    """Put the cells of a suite into the file, in the place of those of the same names."""
    rows = [
        {"suite": suite, "cell": name, "metric": metric, **{f: cell.get(f) for f in _FACTS}, **what}
        for name, cell in cells.items()
        for metric, what in _metrics({k: v for k, v in cell.items() if k not in (*_FACTS, "name")})
    ]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    if path.exists():
        old = pq.read_table(path, schema=_SCHEMA)
        replaced = pc.and_(
            pc.equal(old["suite"], suite), pc.is_in(old["cell"], pa.array(list(cells), pa.string()))
        )
        table = pa.concat_tables([old.filter(pc.invert(replaced)), table])
    path.parent.mkdir(parents=True, exist_ok=True)
    order = [(name, "ascending") for name in ("suite", "cell", "metric")]
    pq.write_table(table.sort_by(order), path, compression="zstd")


def read(suite: str, path: Path = CELLS) -> dict[str, Cell]:
    """The cells of a suite, by name."""
    cells: defaultdict[str, Cell] = defaultdict(dict)
    if path.exists():
        chosen = pq.read_table(path, schema=_SCHEMA, filters=[("suite", "=", suite)])
        for row in chosen.to_pylist():
            cell = cells[row["cell"]]
            cell |= {"name": row["cell"], **{fact: row[fact] for fact in _FACTS if row[fact]}}
            *parents, last = row["metric"].split("/")
            for part in parents:
                cell = cell.setdefault(part, {})
            cell[last] = row["value"] if row["text"] is None else json.loads(row["text"])
    return dict(cells)


def _metrics(cell: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in cell.items():
        metric = before + str(name)
        if isinstance(value, dict) and value:
            yield from _metrics(value, f"{metric}/")
        elif isinstance(value, int | float):
            yield metric, {"value": float(value)}
        else:
            yield metric, {"text": json.dumps(value)}
