import os

import pytest

from bayes_hybrid.cli.folders import refuse_place
from bayes_hybrid.errors import OutputExistsError


def test_what_stands_there_needs_force(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputExistsError, match=r"exists already.*--force"):
        refuse_place(tmp_path / "out", force=False)
    refuse_place(tmp_path / "out", force=True)
    (tmp_path / "empty").mkdir()
    refuse_place(tmp_path / "empty", force=False)


def test_what_a_killed_run_moved_away_stands_there(tmp_path):
    # Found out before the work, not after it.
    old = tmp_path / ".out.0123abcd.old"
    old.mkdir()
    (old / "a.txt").write_text("old")
    (tmp_path / ".out.89abcdef.part").mkdir()
    with pytest.raises(OutputExistsError, match="exists already"):
        refuse_place(tmp_path / "out", force=False)
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a.txt").read_text() == "old"


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
