"""The folder of an ablation: gone on from, never taken for another."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from bayes_hybrid.ablation import Variant, cells
from bayes_hybrid.errors import OutputExistsError
from tests.ablation.conftest import BASE, RELU, again, figures, make_rows

SECONDS = 120


def test_a_second_run_fits_nothing_and_gives_the_same(shared, fits):
    folder, result = shared
    repeated = again(folder)
    assert fits == []
    pd.testing.assert_frame_equal(repeated.table, result.table)
    pd.testing.assert_frame_equal(repeated.cells, result.cells)
    pd.testing.assert_frame_equal(repeated.rows, result.rows)


def test_more_variants_and_repeats_compute_only_what_is_missing(shared, fits, tmp_path):
    again(tmp_path / "new", variants=[RELU])
    fits.clear()
    again(tmp_path / "new", variants=[RELU], num_repeats=2)
    assert [(model, rows) for model, _, rows in fits] == [("gaussian", 15), ("relu", 15)] * 2
    fits.clear()
    # Twice the same model under two names is one model.
    again(tmp_path / "new", variants=[Variant("other", {"model": "relu"})])
    assert fits == []


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".json", b'{"key": "'),
        (".json", b"[]"),
        (".json", b"\xff"),
        (".json", b"[" * 100_000),
        (".json", b'{"key": "", "seconds": -1}'),
        (".npz", b"PK\x03"),
        (".npz", None),
    ],
)
def test_a_damaged_cell_is_computed_again(shared, fits, tmp_path, suffix, content):
    folder = copied(shared[0], tmp_path)
    path = sorted((folder / "cells").glob(f"*{suffix}"))[0]
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    named = path.with_suffix(".json").name
    with pytest.warns(UserWarning, match=f"{named} cannot be read .* computed again"):
        result = again(folder)
    assert len(fits) == 1
    pd.testing.assert_frame_equal(figures(result), figures(shared[1]))
    if suffix == ".npz":
        assert path.read_bytes() == before


def test_a_cell_of_another_key_is_not_taken(shared, fits, tmp_path):
    folder = copied(shared[0], tmp_path)
    first, second = sorted((folder / "cells").glob("*.json"))[:2]
    first.write_bytes(second.read_bytes())
    with pytest.warns(UserWarning, match="of another cell"):
        again(folder)
    assert len(fits) == 1


def copied(folder, tmp_path):
    copy = tmp_path / "copy"
    (copy / "cells").mkdir(parents=True)
    for path in folder.rglob("*.*"):
        if path.is_file():
            (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    return copy


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (make_rows(seed=1), {}, "data other than now"),
        (
            (),
            {"base": clone(BASE).set_params(model__depth=2)},
            "settings of the base other than now",
        ),
        ((), {"base": clone(BASE).set_params(random_state=1)}, "a seed other than now"),
        ((), {"num_folds": 3}, "a number of folds other than now"),
    ],
)
def test_a_folder_of_another_ablation_is_refused(shared, fits, rows, options, message):
    with pytest.raises(OutputExistsError, match=message):
        again(shared[0], *rows, **options)
    assert fits == []


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="something other than an ablation"):
        again(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(shared, tmp_path, fits):
    # SIGKILL leaves no time to tidy up.
    folder = tmp_path / "killed"
    code = (
        "import sys; from tests.ablation.conftest import *;"
        "ablate(*make_rows(), base=BASE, variants=[RELU, BROKEN], folder=sys.argv[1], **PLAN)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    deadline = time.monotonic() + SECONDS
    while len(list(folder.glob("cells/*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = [json.loads(path.read_text()) for path in folder.glob("cells/*.json")]
    assert 2 <= len(done) < 9
    result = again(folder)
    whole = sum(record["failure"] == "" for record in done)
    broken = sum(record["variant"] == "broken" for record in done)
    assert len(fits) == 9 - whole - broken
    pd.testing.assert_frame_equal(figures(result), figures(shared[1]))


def test_progress_counts_the_cells(shared, tmp_path):
    heard = []
    base = clone(BASE).set_params(progress=lambda *stage: heard.append(stage))
    again(shared[0], base=base)
    assert heard == [("cells", 9, 9)]
    heard.clear()
    # Of the six, the base's are there.
    folder = copied(shared[0], tmp_path)
    for path in folder.glob("cells/*.json"):
        if json.loads(path.read_text())["variant"] == "relu":
            path.unlink()
    again(folder, base=base, variants=[RELU])
    assert heard == [("cells", done, 6) for done in (3, 4, 5, 6)]


def test_everything_that_determines_a_cell_is_in_its_key():
    test = np.array([0, 1])
    cell = cells.Cell(variant="base", repeat=0, fold=0, estimator=clone(BASE), test=test)
    others = [
        replace(cell, estimator=clone(BASE).set_params(random_state=1)),
        replace(cell, estimator=clone(BASE).set_params(model__depth=2)),
        replace(cell, test=np.array([0, 2])),
    ]
    keys = [cell.key("data"), cell.key("other"), *(other.key("data") for other in others)]
    assert len(set(keys)) == 5
    # Neither a name nor a progress bar makes another fit.
    same = replace(cell, variant="again", estimator=clone(BASE).set_params(progress=False))
    assert same.key("data") == keys[0]
