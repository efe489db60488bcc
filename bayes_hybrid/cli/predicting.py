"""``predict``: a table in, the same rows with their predictions out, a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bayes_hybrid import checks
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.cli.columns import found_column, require_column, target_columns
from bayes_hybrid.cli.console import counted, say
from bayes_hybrid.cli.exits import complain
from bayes_hybrid.cli.folders import refuse_file
from bayes_hybrid.data import numeric_column, refuse_far
from bayes_hybrid.data.batches import Batch, TableReader, file_kind, open_table, table_writer
from bayes_hybrid.data.codes import Numbers, Truths
from bayes_hybrid.data.columns import Place
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.support import Support
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator import load
from bayes_hybrid.estimator.progress import reporting
from bayes_hybrid.inference import Fit, Posterior

__all__ = ["OUTSIDE", "Wanted", "predictions", "run"]


OUTSIDE: Final = "out_of_data"
"""The column that says whether a row lies outside the training data."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to predict.

    Attributes:
        prob: probability of the predictive interval and of the regimes' bands.
        regimes: whether to add regime probabilities.
        target: columns with the targets, as typed; the fit's own names by default.
    """

    prob: float = 0.9
    regimes: bool = False
    target: Sequence[str] | None = None


def run(saved: Path, data: Path, out: Path, wanted: Wanted, *, force: bool, quiet: bool) -> None:
    """Read a table, predict its rows, and write both, a batch of rows at a time.

    Columns of the table pass as they stand in it, but for features and targets between files of
    two kinds: into Parquet they go as numbers.
    """
    _ends(wanted.prob)
    refuse_file(out, saved, force=force)
    as_numbers = file_kind(out) == ".parquet" and file_kind(data) != ".parquet"
    with open_table(data) as table, reporting(False if quiet else "auto") as report:
        estimator = load(saved)
        rows = _predicted(estimator.fit_, table, wanted, estimator.encoding_)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{data} has column names but no rows; expected at least one row")
        num_rows, num_outside, added = 0, 0, [*first.added]
        taken = [name for name in added if name in table.schema.names]
        if taken:
            raise DataError(
                f"{data} has a column {taken[0]!r} already, which the predictions would repeat; "
                "rename it"
            )
        parsed = {str(name): pa.float64() for name in first.known} if as_numbers else {}
        with table_writer(out, _schema(table, parsed, first.added), force=force) as writer:
            part: _Predicted | None = first
            while part is not None:
                writer.write(_columns(part, parsed))
                num_rows += len(part.batch)
                num_outside += int(part.added[OUTSIDE].sum())
                report("predict", table.done(), table.size)
                part = next(rows, None)
    if num_outside:
        are = "lies" if num_outside == 1 else "lie"
        complain(
            f"warning: {num_outside} of {counted(num_rows, 'row')} {are} outside the training "
            f"data, see the column {OUTSIDE}; there the model extrapolates"
        )
    if not quiet:
        say(f"{counted(num_rows, 'row')} with {len(added)} columns of predictions written to {out}")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Predicted:
    """A batch, its columns of numbers that the fit knows, and those that are added to it."""

    batch: Batch
    known: pd.DataFrame
    added: Mapping[str, NDArray[np.float64] | NDArray[np.bool_]]


def _predicted(
    fit: Fit, table: TableReader, wanted: Wanted, encoding: Encoding | None
) -> Iterator[_Predicted]:
    """Every batch of a table with its predictions."""
    names = table.schema.names
    targets = target_columns(fit, wanted.target, names)
    features = fit.feature_names if encoding is None else encoding.sources
    required = [*features, *(() if wanted.target is None else targets)]
    for name in required:
        require_column(name, names)
    support = Support(fit.x, fit.posterior.x_scaling.log.tolist())
    for batch in table.batches():
        if encoding is None:
            known = [name for name in names if name in {*features, *targets}]
            read = pd.DataFrame(
                {name: batch.numbers(name, missing=name not in features) for name in known}
            )
            numbers = read
        else:
            read, numbers = _encoded(batch, encoding, [*{*targets} & {*names}])
        added = predictions(fit, numbers, wanted, place=batch.place)
        outside = support.outside(numbers[list(fit.feature_names)].to_numpy())
        yield _Predicted(batch=batch, known=read, added={**added, OUTSIDE: outside})


def _encoded(
    batch: Batch, encoding: Encoding, targets: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns of a batch that are numbers, and its features with the targets that it has."""
    numeric = {code.name: isinstance(code, Numbers | Truths) for code in encoding.columns}
    table = pd.DataFrame({name: batch.cells(name, numbers=of) for name, of in numeric.items()})
    features = encoding.encode(table, place=batch.place)
    there = {name: batch.numbers(name, missing=True) for name in targets if name not in numeric}
    read = table[[name for name, of in numeric.items() if of]].assign(**there)
    return read, features.assign(**there)


def _schema(
    table: TableReader, parsed: Mapping[str, pa.DataType], added: Mapping[str, NDArray[np.generic]]
) -> pa.Schema:
    """That of the output."""
    schema = table.schema
    fields = [field.with_type(parsed.get(field.name, field.type)) for field in schema]
    fields += [pa.field(name, pa.from_numpy_dtype(values.dtype)) for name, values in added.items()]
    return pa.schema(fields, metadata=schema.metadata)


def _columns(part: _Predicted, parsed: Mapping[str, pa.DataType]) -> list[pa.Array]:
    """A batch as it is written."""
    batch = part.batch.columns
    columns = [
        # NaN of a target is a missing value.
        pa.array(part.known[name], from_pandas=True) if name in parsed else batch.column(name)
        for name in batch.schema.names
    ]
    return columns + [pa.array(values, from_pandas=True) for values in part.added.values()]


def predictions(
    fit: Fit, table: pd.DataFrame, wanted: Wanted, *, place: Place | None = None
) -> dict[str, FloatArray]:
    """The columns that are added to a table, each ``[N]``, in y's units.

    ============================  ================================================================
    column                        meaning
    ============================  ================================================================
    ``{y}_mean``                  posterior predictive mean
    ``{y}_q5``, ``{y}_q95``       ends of the predictive interval, named by their percentages
    ``p_{k}``                     ``p(z=k|x)``, and with ``_q5`` and ``_q95`` its band over draws
    ``{y}_log_density``           ``log p(y|x)``, where the table has the target
    ``p_{k}_given_{y}``           ``p(z=k|x, y)`` of a row that was not fitted, likewise
    ============================  ================================================================

    Each of several outputs has the first two under its own name.  The last two are about all of
    them that the table has, ``joint_log_density`` and ``p_{k}_given_outputs``; they are NaN in a
    row without any.

    Args:
        fit: the finished fit.
        table: features, and targets where they are known; further columns are ignored.
        wanted: what to predict.
        place: what to call a row, where the table is a part of another.

    Raises:
        DataError: a feature is missing or cannot be used; or a target, when it was named; or a
            value is so far from the training data that float32 overflows; or two of the columns
            would have one name.
        OptionError: ``prob`` is not above 0 and 1 - 2e-12 at most, or float64 cannot tell it from
            0; or other than one target for each output.
    """
    posterior, names = fit.posterior, fit.output_names
    targets = target_columns(fit, wanted.target, table.columns)
    x = np.column_stack([numeric_column(found_column(table, name)) for name in fit.feature_names])
    refuse_far("the table", x, posterior.x_scaling, columns=fit.feature_names, place=place)
    ends = _ends(wanted.prob)
    mean, quantiles = posterior.predictive.mean_and_quantile(x, list(ends.values()))
    mean, quantiles = mean.reshape(len(x), -1), quantiles.reshape(len(x), len(names), -1)
    columns = {}
    for q, name in enumerate(names):
        columns[f"{name}_mean"] = mean[:, q]
        for level, suffix in enumerate(ends):
            columns[f"{name}_{suffix}"] = quantiles[:, q, level]
    if wanted.regimes:
        columns = _beside(columns, _regimes(fit.for_regimes.posterior, x, ends))
    if wanted.target is None and not set(targets) & set(table.columns):
        return columns
    y = _targets(table, targets, optional=wanted.target is None and len(targets) > 1)
    where = f"the target {targets[0]!r}" if y.ndim == 1 else "the table"
    refuse_far(where, y, posterior.y_scaling, columns=targets, place=place)
    return _beside(columns, _given_target(fit, x, y, wanted))


def _beside(columns: dict[str, FloatArray], more: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Columns and more of them; one that has the name of another would take its place."""
    if taken := [name for name in more if name in columns]:
        raise DataError(
            f"two columns of predictions would be called {taken[0]!r}, one of a target and one of "
            "a regime; leave out --regimes, or rename the target and fit it again"
        )
    return columns | more


def _ends(prob: float) -> dict[str, float]:
    """The ends of the central interval as probabilities, by their names in columns: q5 and q95.

    A name has every digit of its percentage, so that two ends never share one.
    """
    low, high = checks.central("--prob", prob)
    if not low < high:
        raise OptionError(
            f"--prob must leave room between the ends of the interval, in float64; got {prob!r}"
        )
    # Decimal, because 100 * (0.5 - 0.9 / 2) is not 5 in binary.
    half = 50 * Decimal(repr(float(prob)))
    return {f"q{(50 - half).normalize():f}": low, f"q{(50 + half).normalize():f}": high}


def _regimes(
    posterior: Posterior, x: FloatArray, ends: Mapping[str, float]
) -> dict[str, FloatArray]:
    """``p(z=k|x)``, its mean over the draws and the ends of its band."""
    values = posterior.predictive.regime_summary(x, list(ends.values()))
    return {
        f"p_{name}{suffix}": values[:, place, regime]
        for regime, name in enumerate(posterior.regime_names)
        for place, suffix in enumerate(["", *(f"_{suffix}" for suffix in ends)])
    }


def _given_target(fit: Fit, x: FloatArray, y: FloatArray, wanted: Wanted) -> dict[str, FloatArray]:
    """What is known of rows with a target; NaN for rows without one."""
    posterior = fit.posterior
    known = ~np.isnan(y) if y.ndim == 1 else ~np.isnan(y).all(axis=1)
    joint, given = (fit.target_name, fit.target_name) if y.ndim == 1 else ("joint", "outputs")
    density = np.full(len(y), np.nan)
    if known.any():
        density[known] = posterior.predictive.log_density(x[known], y[known])
    columns = {f"{joint}_log_density": density}
    if wanted.regimes:
        given_y = np.full((len(y), posterior.num_regimes), np.nan)
        if known.any():
            reading = fit.for_regimes.posterior
            given_y[known] = reading.predictive.regime_probability(x[known], y[known])
        for regime, name in enumerate(posterior.regime_names):
            columns[f"p_{name}_given_{given}"] = given_y[:, regime]
    return columns


def _targets(table: pd.DataFrame, names: list[str], *, optional: bool) -> FloatArray:
    """Targets ``[N]`` or ``[N, Q]``; NaN where one is missing, as where nobody knows it yet.

    With ``optional`` a whole column may be missing.
    """
    columns = [
        np.full(len(table), np.nan)
        if optional and name not in table.columns
        else numeric_column(found_column(table, name), missing=True)
        for name in names
    ]
    return columns[0] if len(names) == 1 else np.column_stack(columns)
