import os

import pytest

from bayes_hybrid.cli.folders import new_folder, refuse_place
from bayes_hybrid.errors import OutputExistsError

NAMES = ("a.txt",)


def fill(path, text="new", **options):
    with new_folder(path, NAMES, **options) as folder:
        (folder / "a.txt").write_text(text)


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "out"
    with new_folder(path, NAMES) as folder:
        (folder / "a.txt").write_text("new")
        assert not path.exists()
    assert (path / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(tmp_path, error):
    def half() -> None:
        with new_folder(tmp_path / "out", NAMES) as folder:
            (folder / "a.txt").write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert os.listdir(tmp_path) == []


def test_an_old_folder_stays_after_a_failure(tmp_path):
    fill(tmp_path / "out", "old")
    with pytest.raises(ValueError, match="x"), new_folder(tmp_path / "out", NAMES, force=True):
        raise ValueError("x")
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_force_replaces_what_the_same_command_wrote(tmp_path):
    fill(tmp_path / "out", "old")
    with pytest.raises(OutputExistsError, match="exists already"):
        fill(tmp_path / "out")
    fill(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_force_never_costs_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"also holds 'thesis\.tex'"):
        fill(tmp_path, force=True)
    with pytest.raises(OutputExistsError, match="is a file"):
        fill(tmp_path / "thesis.tex", force=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_force_never_costs_other_files_in_a_folder_of_ours(tmp_path):
    def fill_inside(path):
        with new_folder(path, ["fit/fit.json"], force=True) as folder:
            (folder / "fit").mkdir()
            (folder / "fit" / "fit.json").write_text("ours")

    for _ in range(2):
        fill_inside(tmp_path / "out")
    (tmp_path / "out" / "fit" / "predictions.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"also holds 'fit/predictions\.csv'"):
        fill_inside(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_no_obstacle(tmp_path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["a.txt"]


def test_places_where_nothing_can_be_written(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        refuse_place(tmp_path / "nowhere" / "out", force=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is no folder"):
        refuse_place(tmp_path / "file" / "out", force=False)
    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="not writable"):
        refuse_place(tmp_path / "out", force=False)
