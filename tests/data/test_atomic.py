import errno
import os
from pathlib import Path

import pytest

from bayes_hybrid.data import atomic_file, refuse_existing, refuse_foreign
from bayes_hybrid.errors import OutputExistsError


def test_the_name_appears_only_at_the_end(tmp_path: Path):
    path = tmp_path / "out.bin"
    with atomic_file(path) as handle:
        handle.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path):
    (tmp_path / "plain").touch()
    with atomic_file(tmp_path / "ours") as handle:
        handle.write(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_file(path, force=True) as handle:
            handle.write(b"new")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_existing_file_needs_force(tmp_path: Path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match=r"out\.bin exists already.*--force"):
        refuse_existing(path)
    with pytest.raises(OutputExistsError), atomic_file(path):
        pass
    assert path.read_bytes() == b"old"
    with atomic_file(path, force=True) as handle:
        handle.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path):
    path = tmp_path / "out.bin"
    with pytest.raises(OutputExistsError), atomic_file(path):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_a_folder_is_never_replaced(tmp_path: Path):
    with pytest.raises(OutputExistsError, match="is a folder"), atomic_file(tmp_path, force=True):
        pass


def test_a_link_is_followed(tmp_path: Path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with atomic_file(link, force=True) as handle:
        handle.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_missing_folder_is_named(tmp_path: Path):
    path = tmp_path / "nowhere" / "out.bin"
    refused = pytest.raises(FileNotFoundError, match=r"nothing was written to out\.bin")
    with refused as caught, atomic_file(path):
        pass
    assert caught.value.filename == str(path)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused = pytest.raises(OSError, match=r"nothing was written to out\.bin")
    with refused as caught, atomic_file(tmp_path / "out.bin") as handle:
        handle.write(b"abc")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path):
    other = tmp_path / "input"
    with pytest.raises(FileNotFoundError) as caught, atomic_file(tmp_path / "out.bin"):
        other.read_bytes()
    assert caught.value.filename == str(other)
    assert os.listdir(tmp_path) == []


NAMES = ("out.csv", "fit/fit.json")


def test_a_folder_of_ours_may_be_replaced(tmp_path: Path):
    refuse_foreign(tmp_path / "nowhere", NAMES)
    (tmp_path / "fit").mkdir()
    for name in NAMES:
        (tmp_path / name).write_text("ours")
    refuse_foreign(tmp_path, NAMES)


@pytest.mark.parametrize("name", ["mine.csv", "fit/mine.csv", "fit/out.csv", "sub/out.csv"])
def test_a_file_that_would_be_lost_is_named(tmp_path: Path, name: str):
    for known in (*NAMES, name):
        (tmp_path / known).parent.mkdir(exist_ok=True)
        (tmp_path / known).write_text("")
    named = "sub" if name.startswith("sub") else name
    with pytest.raises(OutputExistsError, match=f"also holds '{named}', which would be lost"):
        refuse_foreign(tmp_path, NAMES)


def test_a_folder_or_link_under_our_name_is_not_ours(tmp_path: Path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputExistsError, match=r"also holds 'out\.csv'"):
        refuse_foreign(tmp_path, NAMES)
    (tmp_path / "out.csv").rmdir()
    (tmp_path / "fit").symlink_to(tmp_path)
    with pytest.raises(OutputExistsError, match="also holds 'fit'"):
        refuse_foreign(tmp_path, NAMES)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        refuse_foreign(tmp_path / "file", NAMES)
