"""Hostile tables through ``fit`` and ``predict``, by the command line and in Python.

Bad is an error that is none of the package's, a warning, output with another number of rows, a
changed cell in a column that is no feature, a raw control character on the terminal, and an answer
other than the right one where that is known.
"""

import csv
import gzip
import io
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from bayes_hybrid import HybridRegressor, load
from bayes_hybrid.cli import app
from bayes_hybrid.errors import BayesHybridError
from benchmarks.faults.arrays import FORMS, KNOWN, Form, Known
from benchmarks.faults.outcomes import Outcome, bug
from benchmarks.faults.parquets import PARQUET
from benchmarks.faults.sheets import BEYOND, CSV, NAMED, ONE_FEATURE, Case
from benchmarks.faults.tiny import FEATURES, TARGET, make, tiny_table

__all__ = ["prepare", "reference", "trial"]

Files = dict[str, bytes]
_QUICK: Final = {"BAYES_HYBRID_QUICK": "1"}


@cache
def reference() -> NDArray[np.float64]:
    """Predictions of the base table's own rows, by a fit to them."""
    return _fitted(FEATURES).predict(tiny_table()[FEATURES].to_numpy())


def _fitted(features: Sequence[str]) -> HybridRegressor:
    table = tiny_table()
    return make().fit(table[list(features)].to_numpy(), table[TARGET].to_numpy())


@cache
def prepare() -> dict[str, Files]:
    """Saved fits by the number of their features, and the predictions that are known."""
    reference()
    table = tiny_table()
    saved = {}
    with TemporaryDirectory() as folder:
        for features in (FEATURES, FEATURES[:1]):
            path = Path(folder, str(len(features)))
            make().fit(table[features], table[TARGET]).save(path)
            saved[str(len(features))] = {
                file.name: file.read_bytes() for file in sorted(path.iterdir())
            }
    return saved


def trial(seed: int) -> list[Outcome]:
    """One hostile table."""
    rng = np.random.default_rng(seed)
    door, name = _KINDS[seed % len(_KINDS)]
    warnings.resetwarnings()
    warnings.simplefilter("error")
    for quiet in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", quiet)  # these speak to developers
    bad = _DOORS[door](name, rng)
    return [Outcome(seed=seed, what=f"{door}: {name}", bad=bad)]


# -- the command line


def _command(*arguments: object) -> Result:
    return CliRunner(env=_QUICK).invoke(app, [str(argument) for argument in arguments])


def _bad_run(result: Result) -> str:
    """A traceback, a third exit code, a refusal without a word, raw control characters."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return bug(result.exception) or "an error of the package comes through as a traceback"
    if result.exit_code not in (0, 2):
        return f"exit code {result.exit_code}"
    if (result.exit_code == 2) != result.stderr.startswith(("error: ", "Usage: ")):
        return f"exit code {result.exit_code} with {result.stderr[:100]!r} on stderr"
    if raw := {char for char in result.output if not char.isprintable()} - {"\n"}:
        return f"{min(raw)!r} is printed raw"
    return ""


def _predict(name: str, rng: np.random.Generator) -> str:
    """The table to a fit that stands already."""
    case = (CSV | PARQUET | ONE_FEATURE | BEYOND)[name](rng)
    one = name in ONE_FEATURE
    saved = Path("saved")
    saved.mkdir()
    for file, content in prepare()["1" if one else "2"].items():
        (saved / file).write_bytes(content)
    return _predicted(saved, case, None if one else reference())


def _predicted(saved: Path, case: Case, right: NDArray[np.float64] | None) -> str:
    """Predict the rows of a case, and judge what is written."""
    data, out = Path(f"data{case.suffix}"), Path("out" + case.suffix.lower())
    data.write_bytes(case.content)
    result = _command("predict", saved, data, "--out", out)
    if bad := _bad_run(result):
        return bad
    if result.exit_code == 2:
        if out.exists():
            return "refused, and written"
        return f"refused: {result.stderr[:120]!r}" if case.expect == "same" else ""
    if case.expect == "refused":
        return "predicted, where it should have been refused"
    before, after = _cells(data), _cells(out)
    if before is None or after is None:
        return "the output cannot be read" if after is None else ""
    if len(before[1]) != len(after[1]):
        return f"{len(before[1])} rows in, {len(after[1])} out"
    if bad := _changed_cells(before, after, case):
        return bad
    if case.beyond is not None:
        return _flagged(after, case.beyond)
    if right is None or case.expect == "any":
        return ""
    place = after[0].index(f"{case.target}_mean")
    got = np.array([float(row[place]) for row in after[1]])
    # float32 sums in another order
    same = np.allclose(got, right[list(case.order)], rtol=1e-5, atol=1e-5)
    return (
        "" if same else f"other predictions, off by {np.abs(got - right[list(case.order)]).max():g}"
    )


Cells = tuple[list[str], list[list[Any]]]


def _cells(path: Path) -> Cells | None:
    """Names and rows of a table, read as text; nothing where it is none."""
    try:
        if path.name.endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                table = file.read()
            columns = [column.to_pylist() for column in table.columns]
            return table.column_names, [list(row) for row in zip(*columns, strict=True)]
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
        csv.field_size_limit(2**30)
        header, *rows = csv.reader(io.StringIO(text, newline=""))
    except (ValueError, OSError, csv.Error):
        return None
    # Between rows of several cells a line with none is no row.
    return header, [row for row in rows if row or len(header) == 1]


def _changed_cells(before: Cells, after: Cells, case: Case) -> str:
    """The first cell that is no feature and does not come back as it went in."""
    for place, name in enumerate(before[0]):
        if name in case.features:
            continue
        if name not in after[0]:
            return f"the column {name!r} is gone"
        other = after[0].index(name)
        for old, new in zip(before[1], after[1], strict=True):
            if old[place] != new[other] and not _both_nan(old[place], new[other]):
                return f"{old[place]!r:.60} comes back as {new[other]!r:.60}"
    return ""


def _flagged(cells: Cells, beyond: int) -> str:
    if "out_of_data" not in cells[0]:
        return "no column 'out_of_data'"
    place = cells[0].index("out_of_data")
    found = [n for n, row in enumerate(cells[1]) if row[place].lower() in ("true", "1", "1.0")]
    return "" if found == [beyond] else f"rows {found} are out of the data, {beyond} is"


def _both_nan(one: Any, two: Any) -> bool:
    return bool(one != one and two != two)


def _fit(name: str, rng: np.random.Generator) -> str:
    """The table to ``fit``, what was trained on, and its own rows to ``predict``."""
    case = (CSV | PARQUET | NAMED)[name](rng)
    data, saved = Path(f"train{case.suffix}"), Path("fit")
    data.write_bytes(case.content)
    # Features are named: other columns are text.
    names = [f"--features={','.join(case.features)}"]
    if any("," in feature for feature in case.features):
        names = [f"--features={feature}" for feature in case.features]
    model = ("--model=relu", "--noise=constant")
    result = _command("fit", data, f"--target={case.target}", *names, f"--out={saved}", *model)
    if bad := _bad_run(result):
        return bad
    if result.exit_code == 2:
        if saved.exists():
            return "refused, and saved"
        return f"refused: {result.stderr[:160]!r}" if case.expect == "same" else ""
    if case.expect == "refused":
        return "fitted, where it should have been refused"
    reg = load(saved)
    if case.expect in ("same", "either") and (bad := _other_rows(reg, case.order)):
        return bad
    if reg.fit_.feature_names != case.features:
        return f"the features are called {reg.fit_.feature_names}"
    if name in NAMED and (bad := _bad_run(_command("report", saved, "--out", "report.html"))):
        return f"report: {bad}"
    return _predicted(saved, case, None)


def _other_rows(reg: HybridRegressor, order: Sequence[int]) -> str:
    table = tiny_table().iloc[list(order)]
    if not np.array_equal(reg.fit_.x, table[FEATURES]):
        return "trained on other features"
    return "" if np.array_equal(reg.fit_.y, table[TARGET]) else "trained on other targets"


# -- Python


def _python(name: str, rng: np.random.Generator) -> str:
    form: Form = FORMS[name](rng)
    X, y = _bytes(form.X), _bytes(form.y)
    try:
        reg = make().fit(form.X, form.y)
        mean = reg.predict(form.X)
    except BayesHybridError as error:
        return f"refused: {str(error)[:120]}" if form.expect == "same" else ""
    except Exception as error:
        return bug(error)
    if (X, y) != (_bytes(form.X), _bytes(form.y)):
        return "the caller's data were changed"
    if form.expect == "refused":
        return "fitted, where it should have been refused"
    if not np.isfinite(mean).all():
        return "a prediction is not finite"
    if form.expect == "any":
        return ""
    if bad := _other_rows(reg, range(len(tiny_table()))):
        return bad
    return "" if np.array_equal(mean, reference()) else "other predictions"


def _bytes(values: Any) -> bytes:
    return b"" if hasattr(values, "__next__") else repr(values).encode()


def _known(name: str, rng: np.random.Generator) -> str:
    known: Known = KNOWN[name](rng)
    new = known.X if known.new is None else known.new
    try:
        reg = make(mixture=known.mixture).fit(known.X, known.y)
        mean, interval = reg.predict(new), reg.predict_interval(new)
        findings = reg.diagnose()
    except BayesHybridError as error:
        return "" if _extreme(known.X) or _extreme(known.y) else f"refused: {str(error)[:120]}"
    except Exception as error:
        return bug(error)
    if not (np.isfinite(mean).all() and np.isfinite(interval).all()):
        return "a prediction is not finite"
    usage = [f.threshold for f in findings if f.name.startswith("usage[") and f.comparison == ">="]
    if sum(usage) > 1.0:
        return f"shares of at least {usage} are asked for"
    if known.mean is not None and not (np.abs(mean - known.mean) <= known.within).all():
        off = float(np.abs(mean - known.mean).max())
        return f"a prediction is off by {off:.3g}, where {known.within:.3g} is right"
    if (wide := float(np.ptp(interval, axis=-1).max())) > known.width:
        return f"a 90% interval is {wide:.3g} wide, where {known.width:.3g} is right"
    return ""


def _extreme(values: NDArray[np.float64]) -> bool:
    """Whether squares of float64 would overflow or vanish, so that a refusal is an answer, too."""
    sizes = np.abs(values[values != 0.0])
    return bool(sizes.size and (sizes.max() > 1e75 or sizes.min() < 1e-75))


_DOORS: Final = {"predict": _predict, "fit": _fit, "python": _python, "known": _known}
_KINDS: Final = [
    *(("predict", name) for name in CSV | PARQUET | ONE_FEATURE | BEYOND),
    *(("fit", name) for name in CSV | PARQUET | NAMED),
    *(("python", name) for name in FORMS),
    *(("known", name) for name in KNOWN),
]
