"""Fits on disk: what comes back is what was saved, and nothing else is taken for a fit."""

import dataclasses
import errno
import itertools
import json
import os
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from bayes_hybrid.data import HeldOut, Standardizer
from bayes_hybrid.errors import FileFormatError, OptionError, OutputExistsError
from bayes_hybrid.gates import ConstantGate, LinearGate, ReLUGate
from bayes_hybrid.inference import Fit, Posterior, Restarts, Stage, Training
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.inference.saving import manifest
from bayes_hybrid.inference.saving.encoding import decode, encode
from bayes_hybrid.inference.saving.manifest import MANIFEST, sealed
from bayes_hybrid.inference.saving.storage import DRAWS, HELD_OUT, RECORD, read_saved, save_fit
from bayes_hybrid.models import HybridMixture, Pathway

PATHWAYS = (Pathway(kind="gaussian", num_units=3), Pathway(kind="relu", num_units=3))
MODEL = HybridMixture(num_features=2, experts=PATHWAYS, gate=LinearGate())
CONFIG = {"of": "whom it may concern", "third": 1 / 3}


def make_fit(*, scale=1.0, **changes):
    """A fit with random draws and awkward numbers; nothing is trained."""
    rng = np.random.default_rng(0)
    # In Fortran order, as the columns of a table come.
    x, y = rng.normal(size=(2, 7)).T, scale * rng.normal(size=7)
    size = SiteTable.of(MODEL, torch.zeros(1, 2)).num_parameters
    posterior = Posterior(
        model=MODEL,
        theta=torch.randn(2, 5, size, generator=torch.Generator().manual_seed(0)),
        x_scaling=Standardizer.fit(x),
        y_scaling=Standardizer.fit(y),
    )
    training = Training(
        status="Converged: all is well.",
        converged=True,
        method="svi+hmc",
        kl_weight=0.1,
        kl_scores={0.1: -1 / 3, 0.3: float("nan"), 1.0: float("-inf")},
        temperature=np.inf,
        num_dropped=1,
        stages=(
            Stage(
                name="SVI",
                reason="settled",
                steps=3,
                seconds=0.1,
                trace=(1 / 3, float("nan")),
                rates={"gate": 1 / 3},
                weights={"load_balance": (1 / 3, 0.0)},
                usage_before=(float("nan"), 1.0),
                usage_after=(2 / 3, 1 / 3),
            ),
            Stage(name="HMC", reason="done", steps=3, seconds=1e-9),
        ),
        device="cuda:0",
        compiled=True,
    )
    restarts = Restarts(
        elbo=np.array([-1e300, 1 / 7]),
        sources=np.array([7, 7]),
        elpd=np.array([-1 / 3, np.nan]),
        log_ratios=np.array([[1 / 3, -1e300], [np.nan, 2.0]]),
        sampler={"energy": rng.normal(size=(2, 5)), "diverging": np.zeros((2, 5))},
    )
    fields = {
        "posterior": posterior,
        # Chains that do not move are dropped, so there may be more of these.
        "variational": dataclasses.replace(posterior, theta=torch.ones(3, 4, size)),
        "variational_log_ratios": np.array([[1 / 3, -1e300, np.nan, 2.0]] * 3),
        "restarts": restarts,
        "training": training,
        "x": x,
        "y": y,
        "feature_names": ("a", "größe in m²"),
        "target_name": "y/1",
        "seed": 2**32 - 1,
    }
    return Fit(**(fields | changes))


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "fit"
    save_fit(make_fit(), folder, config=CONFIG)
    return folder


def seal(folder):
    """Make the manifest that of the files as they are, as somebody who means it would."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    (folder / MANIFEST).write_bytes(sealed(files))


def edit(folder, **changes):
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    (folder / RECORD).write_text(json.dumps(record | changes), encoding="utf-8")
    seal(folder)


def edit_tensors(folder, file=DRAWS, **changes):
    tensors = safetensors.torch.load((folder / file).read_bytes()) | changes
    kept = {name: value for name, value in tensors.items() if value is not None}
    (folder / file).write_bytes(safetensors.torch.save(kept))
    seal(folder)


# What comes back


def test_every_field_comes_back_to_the_last_bit(saved):
    before, after = make_fit(), read_saved(saved).fit(MODEL)
    for field in dataclasses.fields(Fit):
        if field.name not in {"posterior", "variational"}:
            old, new = (getattr(each, field.name) for each in (before, after))
            if dataclasses.is_dataclass(old):
                old, new = dataclasses.asdict(old), dataclasses.asdict(new)
            # Text, numbers and arrays alike; NaN equals NaN.
            np.testing.assert_equal(new, old)
    assert torch.equal(after.posterior.theta, before.posterior.theta)
    assert torch.equal(after.variational.theta, before.variational.theta)
    assert after.posterior.theta.device.type == "cpu"
    assert read_saved(saved).config == CONFIG


def test_fits_without_the_ratios_of_their_draws_come_back(tmp_path):
    save_fit(make_fit(variational_log_ratios=np.empty((0, 0))), tmp_path / "fit", config=CONFIG)
    assert read_saved(tmp_path / "fit").fit(MODEL).variational_log_ratios.shape == (0, 0)


def test_draws_without_a_refinement_are_written_once(tmp_path):
    fit = make_fit(variational_log_ratios=np.zeros((2, 5)))
    fit = dataclasses.replace(fit, variational=dataclasses.replace(fit.posterior))
    save_fit(fit, tmp_path / "fit", config={})
    again = read_saved(tmp_path / "fit").fit(MODEL)
    assert again.variational.theta is again.posterior.theta


@pytest.mark.parametrize("scale", [1.0, 1e12, 1e-12])
def test_predictions_are_equal_to_the_last_bit(tmp_path, scale):
    fit = make_fit(scale=scale)
    save_fit(fit, tmp_path / "fit", config={})
    again = read_saved(tmp_path / "fit").fit(MODEL).posterior
    x = np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_array_equal(again.predictive.mean(x), fit.posterior.predictive.mean(x))
    np.testing.assert_array_equal(
        again.predictive.quantile(x, [0.1, 0.9]), fit.posterior.predictive.quantile(x, [0.1, 0.9])
    )
    np.testing.assert_array_equal(
        again.predictive.sample(x, 3, 0), fit.posterior.predictive.sample(x, 3, 0)
    )


def test_a_saved_fit_has_no_pickle_and_is_plain_json(saved):
    assert {path.name for path in saved.iterdir()} == {DRAWS, MANIFEST, RECORD}

    def refuse(token):
        raise AssertionError(token)

    # Strict JSON has no NaN and no infinity; other readers than Python's refuse them.
    for name in (MANIFEST, RECORD):
        json.loads((saved / name).read_text(encoding="utf-8"), parse_constant=refuse)


def test_extras_are_written_beside(tmp_path):
    extras = {"note.txt": b"read me"}
    save_fit(make_fit(), tmp_path / "fit", config={}, extras=extras)
    assert (tmp_path / "fit" / "note.txt").read_text() == "read me"


def held_out_rows(**changes):
    rng = np.random.default_rng(2)
    fields: dict[str, Any] = {"rows": [4, 0], "x": rng.normal(size=(2, 2)), "y": rng.normal(size=2)}
    return HeldOut(**(fields | changes))


def test_held_out_rows_come_back_to_the_last_bit(tmp_path, saved):
    before = held_out_rows()
    save_fit(make_fit(), tmp_path / "other", config={}, held_out=before)
    after = read_saved(tmp_path / "other").held_out
    assert after is not None
    for field in dataclasses.fields(HeldOut):
        np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name))
    assert after.rows.dtype == np.int64
    assert read_saved(saved).held_out is None
    assert HELD_OUT not in os.listdir(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 3, dtype=torch.float64)}, "other columns"),
        ({"y": torch.zeros(2, 1, dtype=torch.float64)}, "other columns"),
        ({"x": torch.zeros(3, 2, dtype=torch.float64)}, "as many"),
        ({"rows": torch.tensor([-1, 0])}, ">= 0"),
        ({"rows": torch.tensor([1, 1])}, "each of them once"),
        ({"y": torch.tensor([np.nan, 0.0])}, "finite"),
        ({"y": None}, "missing 1 required"),
    ],
)
def test_held_out_rows_that_do_not_fit_are_refused(tmp_path, change, message):
    save_fit(make_fit(), tmp_path / "fit", config={}, held_out=held_out_rows())
    edit_tensors(tmp_path / "fit", HELD_OUT, **change)
    with pytest.raises(FileFormatError, match=message):
        read_saved(tmp_path / "fit")


# Overwriting and failing


def test_a_fit_is_replaced_only_when_forced(saved):
    with pytest.raises(OutputExistsError, match="force=True"):
        save_fit(make_fit(), saved, config={})
    assert read_saved(saved).config == CONFIG
    save_fit(make_fit(), saved, config={"new": 1}, force=True)
    assert read_saved(saved).config == {"new": 1}
    assert [path.name for path in saved.parent.iterdir()] == ["fit"]


def test_a_save_while_it_is_read_is_no_damage(saved, monkeypatch):
    read, saves = manifest._manifest, [{"new": 1}, {"new": 2}]

    def slowly(*asked):
        found = read(*asked)
        if saves:  # after the manifest of one fit, the files of the next
            save_fit(make_fit(seed=10 + len(saves)), saved, config=saves.pop(0), force=True)
        return found

    monkeypatch.setattr(manifest, "_manifest", slowly)
    assert read_saved(saved).config == {"new": 2}
    assert not saves


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_fit_is_never_replaced(tmp_path, force):
    folder, file = tmp_path / "thesis", tmp_path / "file"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    file.write_text("more of it")
    with pytest.raises(OutputExistsError, match="something other than a saved fit"):
        save_fit(make_fit(), folder, config={}, force=force)
    with pytest.raises(OutputExistsError, match="is a file"):
        save_fit(make_fit(), file, config={}, force=force)
    assert (folder / "chapter.tex").read_text() == "years of work"
    assert file.read_text() == "more of it"


def test_force_never_costs_other_files(saved):
    (saved / "predictions.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"also holds 'predictions\.csv'.*move that away"):
        save_fit(make_fit(), saved, config={}, force=True)
    assert read_saved(saved).config == CONFIG
    assert (saved / "predictions.csv").read_text() == "mine"
    assert [path.name for path in saved.parent.iterdir()] == ["fit"]
    # What the same call writes is no loss.
    for _ in range(2):
        extras = {"predictions.csv": b"new"}
        save_fit(make_fit(), saved, config={}, force=True, extras=extras)
    assert (saved / "predictions.csv").read_text() == "new"


def test_a_file_that_appears_while_saving_is_not_lost(saved, monkeypatch):
    fsync = os.fsync

    def meanwhile(fd):
        (saved / "notes.txt").write_text("mine")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(OutputExistsError, match=r"also holds 'notes\.txt'"):
        save_fit(make_fit(), saved, config={}, force=True)
    assert (saved / "notes.txt").read_text() == "mine"
    assert [path.name for path in saved.parent.iterdir()] == ["fit"]


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "fit").mkdir()
    save_fit(make_fit(), tmp_path / "fit", config=CONFIG)
    assert read_saved(tmp_path / "fit").config == CONFIG


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("x")],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(tmp_path, monkeypatch, error, exists):
    folder, written = tmp_path / "fit", []
    if exists:
        save_fit(make_fit(), folder, config=CONFIG)

    def fail(fd):
        written.append(fd)
        if len(written) == 2:
            raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        save_fit(make_fit(), folder, config={}, force=True)
    assert len(written) == 2
    assert [path.name for path in tmp_path.iterdir()] == (["fit"] if exists else [])
    if exists:
        assert read_saved(folder).config == CONFIG


def test_a_full_disk_names_the_folder_that_was_asked_for(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="nothing was written to fit: No space left") as caught:
        save_fit(make_fit(), tmp_path / "fit", config={})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


# Not a fit


@pytest.mark.parametrize("file", [MANIFEST, RECORD, DRAWS, "more.nc"])
def test_a_changed_byte_anywhere_is_refused(tmp_path, file):
    folder = tmp_path / "fit"
    save_fit(make_fit(), folder, config=CONFIG, extras={"more.nc": bytes(range(256))})
    content = (folder / file).read_bytes()
    rng = np.random.default_rng(0)
    places = {0, len(content) - 1, *rng.integers(len(content), size=40).tolist()}
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        (folder / file).write_bytes(changed)
        with pytest.raises(FileFormatError) as caught:
            read_saved(folder)
        assert "\n" not in str(caught.value)
    for other in (content[:-1], content + b" ", content + b"\n", b"", content[: len(content) // 2]):
        (folder / file).write_bytes(other)
        with pytest.raises(FileFormatError, match=r"damaged or cut off.*save the fit again"):
            read_saved(folder)
    (folder / file).write_bytes(content)
    assert read_saved(folder).config == CONFIG


def test_another_text_of_the_same_manifest_is_refused(saved):
    # Blanks and the order of keys are bytes, too.
    manifest = json.loads((saved / MANIFEST).read_text())
    for text in (json.dumps(manifest), json.dumps(manifest, indent=1, sort_keys=True)):
        (saved / MANIFEST).write_text(text)
        with pytest.raises(FileFormatError, match="its checksum of itself is another"):
            read_saved(saved)


def test_a_manifest_without_end_is_not_read_whole(saved):
    with (saved / MANIFEST).open("r+b") as handle:
        handle.truncate(2**36)  # sparse: it takes no room on the disk
    with pytest.raises(FileFormatError, match="expected at most"):
        read_saved(saved)


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "a/b", ".hidden", ""])
def test_no_path_of_a_manifest_leads_out_of_its_folder(saved, name):
    files = {file: (saved / file).read_bytes() for file in (RECORD, DRAWS)}
    (saved / MANIFEST).write_bytes(sealed({**files, name: b""}))
    with pytest.raises(FileFormatError, match="damaged"):
        read_saved(saved)


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(FileFormatError, match="is no folder; expected a folder written by save"):
        read_saved(tmp_path / "nowhere")
    (saved / DRAWS).unlink()
    with pytest.raises(FileFormatError, match=r"draws\.safetensors .* missing"):
        read_saved(saved)
    seal(saved)
    with pytest.raises(FileFormatError, match=r"says nothing of draws\.safetensors"):
        read_saved(saved)
    (saved / MANIFEST).unlink()
    with pytest.raises(FileFormatError, match=r"has no manifest\.json"):
        read_saved(saved)


@pytest.mark.parametrize("text", ['{"format": "a web page"}', '{"format": ""}'])
def test_foreign_json_is_refused(saved, text):
    (saved / MANIFEST).write_text(text)
    with pytest.raises(FileFormatError, match="is no fit of this package"):
        read_saved(saved)


@pytest.mark.parametrize("file", [MANIFEST, RECORD])
@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"{}",
        b"null",
        b"\x80\x04\x95pickle",
        b"[" * 100_000,
        b'{"format":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"config":' + b'{"a":' * 100_000 + b"0" + b"}" * 100_000 + b"}",
        b'{"format": ' + b"9" * 5_000 + b"}",
        b'{"format_version": 1e400}',
        b'{"config": ' + b'"x"' * 2_000_000,
    ],
    ids=lambda content: str(content[:20]),
)
def test_other_json_is_refused_in_a_sentence(saved, file, content):
    (saved / file).write_bytes(content)
    if file == RECORD:
        seal(saved)
    with pytest.raises(FileFormatError, match="damaged") as caught:
        read_saved(saved)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1_000


def newer(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | changes), encoding="utf-8")


def test_a_newer_format_says_what_to_do(saved):
    newer(saved, format_version=2, package_version="9.0", surprise=[])
    with pytest.raises(FileFormatError, match=r"version 2, written by bayes_hybrid 9\.0.*upgrade"):
        read_saved(saved)


@pytest.mark.parametrize("version", [None, "1", 0, True, 1.5])
def test_no_version_is_refused(saved, version):
    newer(saved, format_version=version)
    with pytest.raises(FileFormatError, match="format_version"):
        read_saved(saved)


def leaves(value, path=()):
    """The path of everything in a JSON value, from the top down."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))


def test_a_wrong_type_anywhere_is_refused_in_a_sentence(saved):
    record = json.loads((saved / RECORD).read_text(encoding="utf-8"))
    paths = [path for path in leaves(record) if path and path[0] != "config"]
    assert len(paths) > 100
    for path in paths:
        for wrong in WRONG:
            changed = json.loads(json.dumps(record))
            place = changed
            for key in path[:-1]:
                place = place[key]
            # Text for text, and NaN or a number below 0 where that may be.
            if type(place[path[-1]]) is type(wrong) or (wrong == -1 and SIGNED & {*path}):
                continue
            place[path[-1]] = wrong
            edit(saved, **changed)
            with pytest.raises(FileFormatError) as caught:
                read_saved(saved).fit(MODEL)
            assert "\n" not in str(caught.value)


WRONG: list[Any] = [None, {"surprise": 1}, [[]], "text", -1]
# Numbers that may be negative: traces, usages and log densities.
SIGNED = {"trace", "usage_before", "usage_after", "kl_scores"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "0"),
        ("seed", -1),
        ("converged", 1),
        ("kl_weight", -0.1),
        ("num_restarts_dropped", -1),
        ("feature_names", ["a"]),
        ("feature_names", []),
        ("output_names", ["a", "b"]),
        ("output_names", []),
        ("surprise", 1),
    ],
)
def test_fields_of_a_wrong_form_are_refused(saved, name, value):
    plain = json.loads((saved / RECORD).read_text(encoding="utf-8"))["plain"]
    edit(saved, plain=plain | {name: value})
    with pytest.raises(FileFormatError, match="damaged"):
        read_saved(saved)


REAL = torch.float64


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("theta", lambda t: t[0]),
        ("theta", lambda t: t[:0]),
        ("theta", lambda t: t[:1]),
        ("theta", lambda t: t[..., 1:]),
        ("theta", lambda t: t.to(torch.int32)),
        ("theta", lambda t: t.masked_fill(t == t.max(), torch.nan)),
        ("theta_variational", lambda t: t[..., 1:]),
        ("theta_variational", lambda t: t.double()),
        ("x", lambda t: t[:-1]),
        ("x", lambda t: t[:, :1]),
        ("x", lambda t: t.float()),
        ("x", lambda t: t * torch.inf),
        ("y", lambda t: t[:-1]),
        ("y", lambda t: t.unsqueeze(1)),
        ("y", lambda t: t * torch.nan),
        ("x_scaling.mean", lambda t: t[:1]),
        ("x_scaling.mean", lambda t: t * torch.nan),
        ("x_scaling.scale", lambda t: -t),
        ("y_scaling.scale", lambda t: t * 0.0),
        ("y_scaling.mean", lambda t: t.unsqueeze(0)),
        ("elbo", lambda t: t[:1]),
        ("elbo", lambda t: t * torch.nan),
        ("sources", lambda t: -t),
        ("sources", lambda t: t.double()),
        ("sources", lambda t: t[:1]),
        ("weights", lambda t: -t),
        ("weights", lambda t: t / 2),
        ("weights", lambda t: t.float()),
        ("log_ratios", lambda t: t[:1]),
        ("log_ratios", lambda t: t[0]),
        ("variational_log_ratios", lambda t: t[:2]),
        ("sampler.energy", lambda t: t[:, :2]),
        ("sampler.energy", lambda t: t.bool()),
        ("labels", lambda t: torch.zeros(3, dtype=REAL)),
        ("labels", lambda t: torch.full((7,), 2.0, dtype=REAL)),
        ("surprise", lambda t: torch.zeros(3)),
        ("x", lambda t: None),
        ("theta", lambda t: None),
        ("y_scaling.mean", lambda t: None),
    ],
    ids=itertools.count(),
)
def test_tensors_that_do_not_belong_together_are_refused(saved, name, change):
    tensors = safetensors.torch.load((saved / DRAWS).read_bytes())
    changed = change(tensors.get(name))
    edit_tensors(saved, **{name: None if changed is None else changed.contiguous()})
    with pytest.raises(FileFormatError, match="damaged"):
        read_saved(saved).fit(MODEL)


def test_tensors_that_are_none_are_refused(saved):
    for content in (b"", b"\xff" * 8, b"\x02" + bytes(7) + b"{}", bytes(100)):
        (saved / DRAWS).write_bytes(content)
        seal(saved)
        with pytest.raises(FileFormatError, match="damaged"):
            read_saved(saved)


def test_a_model_of_other_columns_is_refused_before_it_is_built(saved, monkeypatch):
    monkeypatch.setattr(SiteTable, "of", lambda *_: pytest.fail("built"))
    for large in (
        dataclasses.replace(MODEL, num_features=10**12),
        dataclasses.replace(MODEL, num_outputs=10**12),
    ):
        with pytest.raises(FileFormatError, match="other than the rows"):
            read_saved(saved).fit(large)


def test_the_draws_of_another_model_are_refused(saved):
    with pytest.raises(FileFormatError, match="parameters of another model"):
        read_saved(saved).fit(dataclasses.replace(MODEL, gate=ConstantGate()))


# Settings

CLASSES = {kind.__name__: kind for kind in (HybridMixture, Pathway, LinearGate, ReLUGate)}


def test_an_object_that_is_no_setting_is_not_saved():
    class LinearGate(ReLUGate):
        """A gate of a user's own, under a name of ours."""

    for value in (object(), {1: 2}, LinearGate(), np.zeros(2), torch.nn.Linear):
        with pytest.raises(OptionError, match="cannot be saved"):
            encode(value, CLASSES)


def test_numpy_scalars_become_plain():
    assert (
        json.dumps(encode((np.int64(3), np.float32(0.5), np.bool_(True)), {})) == "[3, 0.5, true]"
    )


def test_numbers_that_json_cannot_write_are_no_settings():
    for value in (np.nan, np.inf, -np.inf, np.float32("nan")):
        with pytest.raises(OptionError, match="not finite"):
            encode([value], {})


def test_settings_that_are_nested_too_deeply_are_refused():
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(FileFormatError, match="more than 20 levels"):
        decode(deep, CLASSES.get)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "os.system"},
        {"type": "print"},
        {"type": ["ReLUGate"]},
        {"num_units": 3},
        {"type": "ReLUGate", "surprise": 1},
        {"type": "ReLUGate", "num_units": -1},
        [{"type": "Pathway", "kind": "gausian"}],
    ],
    ids=str,
)
def test_settings_that_are_unknown_are_refused(data):
    with pytest.raises(FileFormatError, match="version that wrote it"):
        decode(data, CLASSES.get)
