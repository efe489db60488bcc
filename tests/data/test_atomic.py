import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bayes_hybrid.data import atomic, atomic_file, atomic_folder, refuse_existing, renames
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


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_is_never_replaced(tmp_path: Path, force: bool):
    """Nor is a device: as root that would have cost the machine its /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputExistsError, match="device, pipe or socket"):
        refuse_existing(pipe, force=force)
    with pytest.raises(OutputExistsError), atomic_file(pipe, force=force):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]
    with pytest.raises(OutputExistsError, match="device, pipe or socket"):
        refuse_existing("/dev/null", force=force)


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


# Folders

NAMES = ("out.csv", "fit/fit.json")
"""The first one tells a folder of ours from others."""


def fill(path, text="new", **options):
    with atomic_folder(path, NAMES, what="an output", **options) as folder:
        (folder / "fit").mkdir()
        for name in NAMES:
            (folder / name).write_text(text)


def test_a_folder_appears_when_the_block_ends(tmp_path: Path):
    with atomic_folder(tmp_path / "out", NAMES) as folder:
        (folder / "out.csv").write_text("new")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "out.csv").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path, failure, exists):
    if exists:
        fill(tmp_path / "out", "old")

    def half() -> None:
        with atomic_folder(tmp_path / "out", NAMES, force=True) as folder:
            (folder / "out.csv").write_text("half")
            raise failure

    with pytest.raises(failure):
        half()
    assert os.listdir(tmp_path) == (["out"] if exists else [])
    if exists:
        assert (tmp_path / "out" / "out.csv").read_text() == "old"


def test_force_replaces_a_folder_of_ours(tmp_path: Path):
    fill(tmp_path / "out", "old")
    with pytest.raises(OutputExistsError, match=r"holds an output already.*--force"):
        fill(tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    for place in ("out", "link"):
        fill(tmp_path / place, place, force=True)
        assert (tmp_path / "out" / "out.csv").read_text() == place
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


def test_an_empty_folder_is_no_obstacle(tmp_path: Path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["fit", "out.csv"]
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_output_of_ours_is_never_replaced(tmp_path: Path, force):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(OutputExistsError, match="something other than an output"):
        fill(tmp_path / "thesis", force=force)
    with pytest.raises(OutputExistsError, match="is a file"):
        fill(tmp_path / "thesis" / "chapter.tex", force=force)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "mine"
    assert os.listdir(tmp_path) == ["thesis"]


@pytest.mark.parametrize("name", ["mine.csv", "fit/mine.csv", "fit/out.csv", "sub/out.csv"])
def test_a_file_that_would_be_lost_is_named(tmp_path: Path, name: str):
    fill(tmp_path / "out")
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("")
    named = "sub" if name.startswith("sub") else name
    with pytest.raises(OutputExistsError, match=f"also holds '{named}', which would be lost"):
        fill(tmp_path / "out", force=True)
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_or_link_under_our_name_is_not_ours(tmp_path: Path):
    fill(tmp_path / "out")
    (tmp_path / "out" / "fit" / "fit.json").unlink()
    (tmp_path / "out" / "fit" / "fit.json").mkdir()
    with pytest.raises(OutputExistsError, match=r"also holds 'fit/fit\.json'"):
        fill(tmp_path / "out", force=True)
    shutil.rmtree(tmp_path / "out" / "fit")
    (tmp_path / "out" / "fit").symlink_to(tmp_path)
    with pytest.raises(OutputExistsError, match="also holds 'fit'"):
        fill(tmp_path / "out", force=True)


def test_a_file_that_appears_while_writing_is_not_lost(tmp_path: Path):
    fill(tmp_path / "out", "old")
    refused = pytest.raises(OutputExistsError, match=r"also holds 'notes\.txt'")
    with refused, atomic_folder(tmp_path / "out", NAMES, force=True):
        (tmp_path / "out" / "notes.txt").write_text("mine")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("flagged", [True, False])
def test_a_name_that_is_taken_meanwhile_is_kept(tmp_path: Path, monkeypatch, flagged):
    # After the last look at the place.
    if not flagged:
        monkeypatch.setattr(renames, "_renameat2", lambda *_: False)
    monkeypatch.setattr(atomic, "refuse_existing", lambda *_, **__: None)
    monkeypatch.setattr(atomic, "refuse_occupied", lambda *_, **__: None)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    refused = pytest.raises(OutputExistsError, match="was made meanwhile")
    with refused, atomic_file(tmp_path / "file"):
        (tmp_path / "file").write_text("theirs")
    with refused, atomic_folder(tmp_path / "folder", NAMES):
        (tmp_path / "folder").mkdir()
    assert (tmp_path / "file").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_missing_folder_above_is_named(tmp_path: Path):
    path = tmp_path / "nowhere" / "out"
    refused = pytest.raises(FileNotFoundError, match="nothing was written to out: No such file")
    with refused as caught, atomic_folder(path, NAMES):
        pass
    assert caught.value.filename == str(path)


# Kills.  Each is a process of its own, which a small one that imports no torch forks.

HARNESS = """
import json, os, signal, sys
from pathlib import Path
from bayes_hybrid.cli.exits import stop_as_ctrl_c
from bayes_hybrid.data import leftovers, renames
from bayes_hybrid.data.atomic import atomic_file, atomic_folder

NAMES = ("a.txt", "sub/b.txt")

def write(path, kind, text):
    if kind == "file":
        with atomic_file(path, force=True) as handle:
            handle.write(text.encode())
        return
    with atomic_folder(path, NAMES, force=True) as folder:
        (folder / "sub").mkdir()
        for name in NAMES:
            (folder / name).write_text(text)

def read(path, kind):
    if not path.exists():
        return None
    if kind == "file":
        return path.read_text()
    return "/".join((path / name).read_text() for name in NAMES)

class Killer:
    # Counts calls of the system that change names, and ends the process before or after one.
    def __init__(self, at, when, number):
        self.at, self.when, self.number, self.count = at, when, number, 0
    def wrap(self, call):
        def wrapped(*arguments, **options):
            self.count += 1
            if self.count == self.at and self.when == "before":
                os.kill(os.getpid(), self.number)
            done = call(*arguments, **options)
            if self.count == self.at and self.when == "after":
                os.kill(os.getpid(), self.number)
            return done
        return wrapped

def child(path, kind, exchange, killer):
    stop_as_ctrl_c()
    if not exchange:
        renames._renameat2 = lambda *_: False
    else:
        renames._renameat2 = killer.wrap(renames._renameat2)
    for name in ("rename", "replace", "unlink", "rmdir", "mkdir", "open", "fsync"):
        setattr(os, name, killer.wrap(getattr(os, name)))
    write(path, kind, "new")

results = []
for line in sys.stdin:
    case = json.loads(line)
    path = Path(case["path"])
    path.parent.mkdir()
    if case["exists"]:
        write(path, case["kind"], "old")
    killer = Killer(case["at"], case["when"], case["number"])
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(os.devnull, "w")
        try:
            child(path, case["kind"], case["exchange"], killer)
        except BaseException:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    stands, hidden = read(path, case["kind"]), sorted(os.listdir(path.parent))
    # What the next write finds; half of them look before.
    if case["looks"]:
        leftovers.recover(path)
    found = read(path, case["kind"])
    write(path, case["kind"], "next")
    results.append({
        "ended": os.waitstatus_to_exitcode(status), "stands": stands, "hidden": hidden,
        "found": found, "next": read(path, case["kind"]), "left": os.listdir(path.parent),
    })
print(json.dumps(results))
"""

STEPS = 24
"""More than a write takes, so that the last kills come too late."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path: Path):
    cases = [
        {"kind": kind, "exists": exists, "at": at, "when": when, "number": int(number)}
        | {"exchange": exchange}
        for kind in ("file", "folder")
        for exists in (False, True)
        for at in range(1, STEPS + 1)
        for when in ("before", "after")
        for number in SIGNALS
        for exchange in (False, True)
    ]
    rng = random.Random(0)
    for n, case in enumerate(cases):
        case |= {"path": str(tmp_path / str(n) / "out"), "looks": rng.random() < 0.5}
    run = subprocess.run(
        [sys.executable, "-c", HARNESS],
        input="\n".join(map(json.dumps, cases)),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    for case, result in zip(cases, json.loads(run.stdout), strict=True):
        sudden, told = case["number"] == signal.SIGKILL, (case, result)
        expected = {0} if case["at"] == STEPS else {0, -signal.SIGKILL if sudden else 7}
        assert result["ended"] in expected, told
        if case["at"] == 1:
            assert result["ended"] != 0, told
        whole = ("{0}", "{0}/{0}")[case["kind"] == "folder"].format
        assert (result["next"], result["left"]) == (whole("next"), ["out"]), told
        # Where names cannot be exchanged, the old output waits under a hidden one for a moment.
        if case["looks"] or case["exchange"] or not sudden:
            old = whole("old") if case["exists"] else None
            assert result["found"] in (old, whole("new")), told
        if case["exchange"] or not sudden:
            assert result["stands"] == result["found"], told
        if not sudden:
            assert set(result["hidden"]) <= {"out"}, told


def test_what_a_living_process_writes_is_no_leftover(tmp_path: Path):
    with atomic_file(tmp_path / "file", force=True) as one:
        with atomic_file(tmp_path / "file") as two:
            two.write(b"two")
        one.write(b"one")
        assert (tmp_path / "file").read_bytes() == b"two"
    assert (tmp_path / "file").read_bytes() == b"one"
    with atomic_folder(tmp_path / "out", NAMES, force=True) as first:
        (first / "out.csv").write_text("first")
        fill(tmp_path / "out", "second")
        assert (tmp_path / "out" / "out.csv").read_text() == "second"
    assert (tmp_path / "out" / "out.csv").read_text() == "first"
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]
