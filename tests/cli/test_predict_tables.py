"""Tables that go through predict: what passes, what is refused, and where a batch ends."""

import csv
import gzip
import io
import os
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayes_hybrid import load
from bayes_hybrid.cli import predicting
from bayes_hybrid.data import batches, read_table, write_table
from bayes_hybrid.diagnostics import out_of_data
from tests.cli.conftest import bayes_hybrid, make_table
from tests.cli.test_commands import refused

OTHERS = ["007", "NA", "123456789012345678", "1.10", "true", "1e400", 'a "b"', "c,d", "e\nf", "=1"]


def cells(path) -> list[dict[str, str]]:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


@pytest.fixture
def others(tmp_path):
    """A CSV file with cells that are easily rewritten beside the features."""
    rows = [[cell, f"0.{n}0", "1", "-"] for n, cell in enumerate(OTHERS)]
    with (tmp_path / "new.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["id", "dose", "other", "mark, as typed"], *rows])
    return tmp_path / "new.csv"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_other_columns_pass_as_they_stand(saved, others, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    result = bayes_hybrid("predict", saved, others, "--out", out)
    assert result.exit_code == 0, result.output
    found = cells(out)
    for before, after in zip(cells(others), found, strict=True):
        # The features as well.
        assert {name: after[name] for name in before} == before
    table = pd.DataFrame({"dose": [float(row["dose"]) for row in found], "other": 1.0})
    expected = load(saved).predict(table)
    np.testing.assert_allclose([float(row["response_mean"]) for row in found], expected)


def test_a_csv_file_as_parquet_has_numbers_where_they_were_read(saved, others, tmp_path):
    result = bayes_hybrid("predict", saved, others, "--out", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["id"].to_pylist() == OTHERS
    assert found["dose"].to_pylist() == [n / 10 for n in range(10)]
    assert found.schema.field("out_of_data").type == pa.bool_()


def test_parquet_columns_keep_type_and_value(saved, tmp_path):
    given = pa.table(
        {
            "id": pa.array([10**17 + 1, None], pa.int64()),
            "dose": pa.array([0, 1], pa.int8()),
            "other": pa.array([0.5, 0.25], pa.float32()),
            "when": pa.array([1, None], pa.timestamp("ns", "UTC")),
            "list": pa.array([[1, 2], None]),
        }
    )
    # Whatever pandas noted, it is broken.
    broken = given.replace_schema_metadata({b"pandas": b'{"columns": 3}'})
    pq.write_table(broken, tmp_path / "new.parquet")
    arguments = ["--out", tmp_path / "out.parquet"]
    assert bayes_hybrid("predict", saved, tmp_path / "new.parquet", *arguments).exit_code == 0
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(given.column_names).equals(given)
    line = refused("predict", saved, tmp_path / "new.parquet", "--out", tmp_path / "out.csv")
    assert "column 'list' holds list" in line
    assert "for which CSV has no form" in line


def test_broken_notes_of_pandas_do_not_stop_a_fit(tmp_path):
    table = pa.Table.from_pandas(make_table().drop(columns="name"))
    for n, notes in enumerate([b"{", b"[]", b'{"index_columns": [7], "columns": []}', b"\xff"]):
        pq.write_table(table.replace_schema_metadata({b"pandas": notes}), tmp_path / f"{n}.parquet")
        assert read_table(tmp_path / f"{n}.parquet").columns.tolist() == table.column_names


def test_batches_predict_what_the_whole_table_does(saved, tmp_path, monkeypatch):
    write_table(make_table(25, seed=1), tmp_path / "new.csv")
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    for out, size in ((whole, 1000), (parts, 4)):
        monkeypatch.setattr(batches, "_MAX_ROWS", size)
        arguments = ["--out", out, "--regimes"]
        result = bayes_hybrid("predict", saved, tmp_path / "new.csv", *arguments)
        assert result.stdout.startswith("25 rows with ")
    first, second = read_table(whole), read_table(parts)
    assert first.columns.tolist() == second.columns.tolist()
    for name in first.columns[1:]:
        # Sums over draws in another order.
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_progress_goes_from_nothing_to_all(saved, tmp_path, monkeypatch, suffix):
    steps = []

    @contextmanager
    def recorded(progress):
        assert progress == "auto"
        yield lambda *step: steps.append(step)

    monkeypatch.setattr(predicting, "reporting", recorded)
    monkeypatch.setattr(batches, "_MAX_ROWS", 10)
    write_table(make_table(25), tmp_path / f"new{suffix}")
    arguments = ["--out", tmp_path / "out.csv"]
    assert bayes_hybrid("predict", saved, tmp_path / f"new{suffix}", *arguments).exit_code == 0
    assert [stage for stage, _, _ in steps] == ["predict"] * 3
    done = [part / whole for _, part, whole in steps]
    assert sorted(done) == done
    assert done[-1] == 1.0


def test_an_error_in_a_late_batch_leaves_nothing(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "_MAX_ROWS", 4)
    table = make_table(25).astype({"other": object})
    out = tmp_path / "out.csv"
    for value, message in (
        (
            "1,234.5",
            "column 'other' holds a number with a separator for thousands, first in row 22",
        ),
        ("", "column 'other' has a missing value (NaN), first in row 22"),
        ("1e300", "the table, row 22 (line 23), column 'other': 1e+300 lies"),
    ):
        table.loc[21, "other"] = value
        write_table(table, tmp_path / "new.csv", force=True)
        line = refused("predict", saved, tmp_path / "new.csv", "--out", out)
        assert message in line
        assert "row 22 (line 23)" in line
    with (tmp_path / "new.csv").open("a") as handle:
        handle.write("cut o")
    assert "line 27: expected 4 fields" in refused("predict", saved, handle.name, "--out", out)
    assert os.listdir(tmp_path) == ["new.csv"]


@pytest.mark.parametrize("mark", ["  ", "-"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_target_that_is_not_known_may_be_left_empty(saved, tmp_path, mark, suffix):
    for name, words in (
        ("response", "expected numbers: leave such cells empty, drop such rows or fill them in"),
        ("other", "expected numbers: drop such rows or fill them in, or drop the column"),
    ):
        table = make_table(3).astype({name: object})
        table[name] = table[name].astype(str)
        table.loc[1, name] = mark
        write_table(table, tmp_path / f"new{suffix}", force=True)
        arguments = ["predict", saved, tmp_path / f"new{suffix}", "--out", tmp_path / "out.csv"]
        assert words in refused(*arguments)
    table = make_table(3)
    table.loc[1, "response"] = np.nan
    write_table(table, tmp_path / f"new{suffix}", force=True)
    assert bayes_hybrid(*arguments).exit_code == 0


def test_a_table_without_rows_is_refused(saved, tmp_path):
    (tmp_path / "new.csv").write_text("dose,other\n")
    line = refused("predict", saved, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert "new.csv has column names but no rows" in line
    table = pa.table({"dose": pa.array([], pa.float64()), "other": pa.array([], pa.float64())})
    pq.write_table(table, tmp_path / "new.parquet")
    line = refused("predict", saved, tmp_path / "new.parquet", "--out", tmp_path / "out.csv")
    assert "new.parquet has column names but no rows" in line


@pytest.mark.parametrize("regime", ["A", "B"])
def test_a_target_with_the_name_of_a_regime_is_not_overwritten(tmp_path, regime):
    target = f"p_{regime}"
    data, fit, out = tmp_path / "data.csv", tmp_path / "fit", tmp_path / "out.csv"
    write_table(make_table().drop(columns="name").rename(columns={"response": target}), data)
    assert bayes_hybrid("fit", data, "--target", target, "--out", fit, "--quick").exit_code == 0
    line = refused("predict", fit, data, "--out", out, "--regimes")
    assert f"two columns of predictions would be called '{target}_q5'" in line
    assert "leave out --regimes, or rename the target and fit it again" in line
    assert not out.exists()
    assert bayes_hybrid("predict", fit, data, "--out", out).exit_code == 0
    assert {f"{target}_q5", f"{target}_q95"} < set(read_table(out).columns)


def test_a_time_zone_that_is_none_ends_in_a_sentence(saved, tmp_path):
    table = pa.Table.from_pandas(make_table().drop(columns="name"))
    when = pa.array([1] * len(table), pa.timestamp("ns", "Mars/X"))
    data, out = tmp_path / "data.parquet", tmp_path / "out.parquet"
    pq.write_table(table.append_column("when", when), data)
    assert "column 'when' holds timestamp[ns, tz=Mars/X]" in refused(
        "fit", data, "--target", "response", "--out", tmp_path / "fit"
    )
    assert bayes_hybrid("predict", saved, data, "--out", out).exit_code == 0
    assert pq.read_table(out)["when"].type == when.type
    assert "CSV has no form" in refused("predict", saved, data, "--out", tmp_path / "out.csv")
    assert "column 'when' holds timestamp[ns, tz=Mars/X]" in refused(
        "predict", saved, data, "--target", "when", "--out", out, "--force"
    )


def test_a_target_of_missing_times_is_missing(saved, tmp_path):
    table = pa.Table.from_pandas(make_table().drop(columns=["name", "response"]))
    times = pa.nulls(len(table), pa.timestamp("us"))
    pq.write_table(table.append_column("response", times), tmp_path / "new.parquet")
    arguments = ["--out", tmp_path / "out.parquet"]
    assert bayes_hybrid("predict", saved, tmp_path / "new.parquet", *arguments).exit_code == 0
    assert pq.read_table(tmp_path / "out.parquet")["response_log_density"].null_count == len(table)


@pytest.fixture(scope="module")
def line_fit(tmp_path_factory):
    """A fit of one feature."""
    folder = tmp_path_factory.mktemp("line")
    write_table(make_table()[["dose", "response"]], folder / "train.csv")
    arguments = ["--target", "response", "--model", "relu", "--out", folder / "fit", "--quick"]
    assert bayes_hybrid("fit", folder / "train.csv", *arguments).exit_code == 0
    return folder / "fit"


@pytest.mark.parametrize(
    ("text", "line"),
    [("dose\n1\n\n2\n", 3), ("dose\n1\n2\n\n", 4), ("\ndose\n\n1\n", 3), ("dose\r\r1\r", 2)],
)
def test_a_blank_line_of_one_column_is_a_missing_value(line_fit, tmp_path, text, line):
    (tmp_path / "new.csv").write_text(text)
    message = refused("predict", line_fit, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert "column 'dose' has a missing value" in message
    assert f"(line {line})" in message


def test_a_blank_line_of_several_columns_is_no_row(line_fit, tmp_path):
    (tmp_path / "new.csv").write_text("id,dose\n\n007,1\n\n\n008,2\n\n")
    arguments = ["--out", tmp_path / "out.csv"]
    assert bayes_hybrid("predict", line_fit, tmp_path / "new.csv", *arguments).exit_code == 0
    assert [row["id"] for row in cells(tmp_path / "out.csv")] == ["007", "008"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_outside_the_data_are_marked_and_counted(saved, tmp_path, suffix):
    table = make_table(30, seed=1).drop(columns="name")
    table.loc[[3, 7], "dose"] = [50.0, -50.0]
    write_table(table, tmp_path / "new.csv")
    fit, out = load(saved).fit_, tmp_path / f"out{suffix}"
    result = bayes_hybrid("predict", saved, tmp_path / "new.csv", "--out", out, "--quiet")
    flag = out_of_data(fit, table[["dose", "other"]]).flag
    assert flag[[3, 7]].all()
    np.testing.assert_array_equal(read_table(out)["out_of_data"], flag)
    assert result.stdout == ""
    assert result.stderr.startswith(
        f"warning: {flag.sum()} of 30 rows lie outside the training data"
    )
    write_table(
        pd.DataFrame(fit.x, columns=fit.feature_names)[:9], tmp_path / "new.csv", force=True
    )
    result = bayes_hybrid("predict", saved, tmp_path / "new.csv", "--out", out, "--force")
    inside = out_of_data(fit, fit.x[:9]).flag
    assert (result.stderr == "") == (not inside.any())


def test_an_unknown_target_gives_empty_cells_in_every_batch(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "_MAX_ROWS", 2)
    table = make_table(6).assign(response=[np.nan, np.nan, 1.0, np.nan, np.nan, np.nan])
    write_table(table, tmp_path / "new.csv")
    arguments = ["--out", tmp_path / "out.csv", "--regimes"]
    assert bayes_hybrid("predict", saved, tmp_path / "new.csv", *arguments).exit_code == 0
    found = read_table(tmp_path / "out.csv")
    for name in ("response_log_density", "p_B_given_response"):
        assert found[name].notna().tolist() == [False, False, True, False, False, False]


# Names


@pytest.mark.parametrize(
    ("name", "what"), [("a\0b", "a NUL"), ("\x01\x02", "control characters only")]
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_that_cannot_be_shown_are_refused_at_the_door(saved, tmp_path, name, what, suffix):
    path = tmp_path / f"data{suffix}"
    table = make_table().drop(columns="name")
    write_table(table.assign(**{name: 0.5}), path)
    for command in (
        ["fit", path, "--target", "response", "--out", tmp_path / "fit"],
        ["predict", saved, path, "--out", tmp_path / "out.csv"],
        ["check", saved, "--data", path],
    ):
        line = refused(*command)
        assert "column 4 of 4" in line
        assert f"holds {what}; rename it" in line


@pytest.fixture
def commas(tmp_path):
    """Columns whose names hold commas, and a fit of them."""
    table = make_table().drop(columns="name")
    table.columns = pd.Index(["dose, g", "other", "Ertrag, kg"])
    write_table(table, tmp_path / "data.csv")
    return tmp_path / "data.csv"


def test_names_with_commas(commas, tmp_path):
    arguments = ["--features", "dose, g", "--features", "other", "--out", tmp_path / "fit"]
    result = bayes_hybrid("fit", commas, "--target", "Ertrag, kg", *arguments)
    assert result.exit_code == 0, result.output
    fit = load(tmp_path / "fit").fit_
    assert (fit.feature_names, fit.output_names) == (("dose, g", "other"), ("Ertrag, kg",))
    for command in (
        ["predict", tmp_path / "fit", commas, "--out", tmp_path / "out.csv"],
        ["check", tmp_path / "fit", "--data", commas],
        ["report", tmp_path / "fit", "--data", commas, "--out", tmp_path / "page.html"],
    ):
        result = bayes_hybrid(*command, "--target", "Ertrag, kg")
        assert result.exit_code in (0, 1), result.output
    assert "Ertrag, kg_mean" in cells(tmp_path / "out.csv")[0]
    assert "--target &#39;Ertrag, kg&#39;" in (tmp_path / "page.html").read_text()


def test_a_list_still_works_and_options_can_be_repeated(commas, tmp_path):
    for n, targets in enumerate((["other,Ertrag, kg"], ["other", "Ertrag, kg"])):
        options = [word for name in targets for word in ("--target", name)]
        command = ["fit", commas, *options, "--features", "dose, g", "--out", tmp_path / f"fit{n}"]
        if n == 0:
            # Not a column, and its parts are not all columns.
            assert "no column 'Ertrag'" in refused(*command)
        else:
            assert bayes_hybrid(*command).exit_code == 0
            assert load(tmp_path / f"fit{n}").fit_.output_names == tuple(targets)
    command = ["fit", commas, "--target", "Ertrag,kg", "--out", tmp_path / "fit"]
    assert "no column 'Ertrag,kg' among" in refused(*command)
    assert "did you mean 'Ertrag, kg'?" in refused(*command)


def test_ablate_takes_a_target_with_a_comma(commas, tmp_path):
    options = ["--features", "dose, g", "--only", "no_gate", "--folds", "2", "--repeats", "1"]
    start = ["ablate", commas, *options, "--out", tmp_path / "out"]
    assert "one target at a time" in refused(*start, "--target", "Ertrag, kg", "--target", "other")
    # The target was found: the next thing is refused.
    assert "got 'no_gate'" in refused(*start, "--target", "Ertrag, kg")
