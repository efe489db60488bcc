"""Saved fits with something changed in them: refused by the package, or the same fit still.

A *plain* change leaves everything else in the folder alone, so that checksums tell.  A *forged* one
puts the checksums right again, so that what reads the contents has to refuse what it cannot take;
then the fit may be another one, but its predictions have to be finite.
"""

import contextlib
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_hybrid import ThresholdGate, load
from bayes_hybrid.data.records import encode_json
from bayes_hybrid.errors import BayesHybridError
from bayes_hybrid.inference.saving.manifest import MANIFEST, sealed
from benchmarks.faults.changes import FORGED, PLACES, PLAIN, Change, Files, Rng
from benchmarks.faults.outcomes import Outcome, bug
from benchmarks.faults.tiny import FEATURES, TARGET, answers, make, tiny_table

__all__ = ["prepare", "trial"]


@cache
def prepare() -> tuple[Files, ...]:
    """The files of three saved fits: two that differ by their seed, and one with all the rest."""
    table = tiny_table()
    X, y = table[FEATURES], table[TARGET]
    rest = make(mixture=True, hmc=True, seed=2).set_params(gate=ThresholdGate(feature="dose"))
    labels = table["dose"].gt(0.3).map({False: "gaussian", True: "relu"}).where(y.index % 3 == 0)
    fits = [
        make(mixture=True, hmc=True, seed=0).fit(X, y),
        make(mixture=True, hmc=True, seed=1).fit(X, y),
        rest.fit(X, pd.DataFrame({TARGET: y, "second": -y}), labels),
    ]
    with TemporaryDirectory() as folder:
        for number, reg in enumerate(fits):
            reg.save(Path(folder, str(number)))
        return tuple(_read(Path(folder, str(number))) for number in range(len(fits)))


def _read(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _swap_in(files: Files, rng: Rng) -> None:
    """A file of another fit."""
    name = str(rng.choice(sorted(files)))
    others = [other[name] for other in prepare() if other[name] != files[name]]
    files[name] = others[rng.integers(len(others))]


_CHANGES: Final[dict[str, dict[str, Change]]] = {
    "plain": PLAIN | {"take a file of another fit": _swap_in},
    "forged": FORGED | {"take a file of another fit": _swap_in},
}
# JSON values come most often: they are of the most kinds.
_KINDS: Final = [
    *((how, name) for how, changes in _CHANGES.items() for name in changes),
    *(("place", name) for name in PLACES),
    *(("forged", name) for name in list(FORGED)[:3] * 3),
]


def trial(seed: int) -> list[Outcome]:
    """One change, and what loading makes of it."""
    rng = np.random.default_rng(seed)
    how, name = _KINDS[seed % len(_KINDS)]
    before = prepare()[rng.integers(len(prepare()))]
    files = dict(before)
    if how != "place":
        _CHANGES[how][name](files, rng)
    if how == "forged":
        _put_right(before, files)
    folder = Path("fit")
    _write(Path("before"), before)
    _write(folder, files)
    if how == "place":
        PLACES[name](folder, rng)
    changed = ", ".join(n for n in before if files.get(n) != before[n]) or "folder"
    bad = _judged(folder, forged=how == "forged", unchanged=files == before and how != "place")
    return [Outcome(seed=seed, what=f"{how}: {name}", bad=bad, about=changed)]


def _write(folder: Path, files: Files) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _judged(folder: Path, *, forged: bool, unchanged: bool) -> str:
    """What is wrong with loading; nothing where it is refused, or gives what it gave before."""
    try:
        now = _contents(folder)
    except BayesHybridError as error:
        return "an unchanged fit is refused" if unchanged else _unclear(error)
    except Exception as error:
        return bug(error)
    if forged:
        broken = [name for name, value in now.items() if _not_finite(value)]
        return f"loaded, and {broken[0]} is not finite" if broken else ""
    before = _contents(Path("before"))
    # A file may be written in another way and say the same, all but the one nobody here reads.
    told = [name for name in before if not name.endswith((".json", ".safetensors"))]
    changed = [name for name in told if not np.array_equal(before[name], now[name])]
    return f"loaded, with another {changed[0]}" if changed else ""


def _unclear(error: BayesHybridError) -> str:
    """A refusal is a sentence, not a page."""
    text = str(error)
    return f"the refusal has {len(text):,} characters" if len(text) > 2_000 else ""


def _not_finite(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not bool(np.isfinite(value).all())


def _contents(folder: Path) -> dict[str, Any]:
    """All that a saved fit says: its predictions, its record, and the file that ArviZ reads."""
    reg = load(folder)
    table = tiny_table(8, seed=5)
    y = table[TARGET]
    several = len(reg.fit_.output_names) > 1
    found: dict[str, Any] = answers(
        reg, table[FEATURES], pd.DataFrame({TARGET: y, "second": -y}) if several else y
    )
    fit = reg.fit_
    found |= {
        "record": repr([fit.seed, fit.training, fit.feature_names]),
        "settings": repr(sorted(reg.get_params().items())),
        "rows": repr([fit.x.tobytes(), fit.y.tobytes(), fit.restarts.elbo.tobytes()]),
    }
    for name in os.listdir("before"):
        # What is no file would be waited for, or has no end.
        there = (folder / name).is_file() and (folder / name).stat().st_size < 2**30
        found[name] = (folder / name).read_bytes() if there else b"no file"
    return found


def _put_right(before: Files, files: Files) -> None:
    """The manifest of changed files; or the checksum of itself, where it was changed."""
    changed = files.get(MANIFEST)
    if changed == before[MANIFEST]:
        files[MANIFEST] = sealed({name: files[name] for name in files if name != MANIFEST})
        return
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        tree = json.loads(changed or b"")
        digest = hashlib.sha256(encode_json(tree | {"sha256": ""})).hexdigest()
        files[MANIFEST] = encode_json(tree | {"sha256": digest})
