"""Fits on disk: what comes back is what was saved, and nothing else is taken for a fit."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import FileFormatError, OptionError, OutputExistsError
from bayes_hybrid.gates import ConstantGate, LinearGate, ReLUGate
from bayes_hybrid.inference import Fit, Posterior, Stage
from bayes_hybrid.inference.sites import SiteTable
from bayes_hybrid.inference.storage import (
    DRAWS,
    MANIFEST,
    decode,
    encode,
    load_fit,
    read_config,
    save_fit,
)
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
    fields = {
        "posterior": posterior,
        # A refinement drops chains that do not move, so there may be more of these.
        "variational": dataclasses.replace(posterior, theta=torch.ones(3, 4, size)),
        "x": x,
        "y": y,
        "feature_names": ("a", "größe in m²"),
        "target_name": "y/1",
        "status": "Converged: all is well.",
        "converged": True,
        "method": "svi+hmc",
        "seed": 2**32 - 1,
        "kl_weight": 0.1,
        "kl_scores": {0.1: -1 / 3, 0.3: float("nan"), 1.0: float("-inf")},
        "elbo": np.array([-1e300, 1 / 7]),
        "sources": np.array([7, 7]),
        "reading": np.array([0, 1, 1]),
        "log_ratios": np.array([[1 / 3, -1e300], [np.nan, 2.0]]),
        "variational_log_ratios": np.array([[1 / 3, -1e300, np.nan, 2.0]] * 3),
        "num_restarts_dropped": 1,
        "sampler": {"energy": rng.normal(size=(2, 5)), "diverging": np.zeros((2, 5))},
        "stages": (
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
        "device": "cuda:0",
        "compiled": True,
    }
    return Fit(**(fields | changes))


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "fit"
    save_fit(make_fit(), folder, config=CONFIG)
    return folder


def edit(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | changes), encoding="utf-8")


# What comes back


def test_every_field_comes_back_to_the_last_bit(saved):
    before, after = make_fit(), load_fit(saved, MODEL)
    for field in dataclasses.fields(Fit):
        if field.name not in {"posterior", "variational", "stages"}:
            # Text, numbers and arrays alike; NaN equals NaN.
            np.testing.assert_equal(getattr(after, field.name), getattr(before, field.name))
    for old, new in zip(before.stages, after.stages, strict=True):
        np.testing.assert_equal(dataclasses.asdict(new), dataclasses.asdict(old))
    assert torch.equal(after.posterior.theta, before.posterior.theta)
    assert torch.equal(after.variational.theta, before.variational.theta)
    assert after.posterior.theta.device.type == "cpu"
    assert read_config(saved) == CONFIG


def test_stages_of_earlier_versions_are_read(saved):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    for stage in fields["stages"]:
        for name in ("rates", "weights", "usage_before", "usage_after"):
            del stage[name]
    edit(saved, fit=fields)
    stage = load_fit(saved, MODEL).stages[0]
    assert (stage.rates, stage.weights, stage.usage_before) == ({}, {}, ())
    assert stage.trace[0] == 1 / 3


def test_fits_of_earlier_versions_have_no_copies(saved):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    del fields["sources"]
    edit(saved, fit=fields)
    assert load_fit(saved, MODEL).sources.tolist() == [0, 1]


@pytest.mark.parametrize("sources", [[0], [0, 1, 2], [0, -1], [0, 0.5], "ab"])
def test_sources_that_are_no_candidates_are_refused(saved, sources):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    edit(saved, fit=fields | {"sources": sources})
    with pytest.raises(FileFormatError, match="sources"):
        load_fit(saved, MODEL)


def test_regimes_of_fits_of_earlier_versions_are_read_from_every_restart(saved):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    del fields["reading"]
    edit(saved, fit=fields)
    again = load_fit(saved, MODEL)
    assert again.for_regimes is again


@pytest.mark.parametrize("reading", [[], [0, -1], [0, 2], [0, 0.5], [True, 0], "ab"])
def test_regimes_are_read_from_restarts_that_are_there(saved, reading):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    edit(saved, fit=fields | {"reading": reading})
    with pytest.raises(FileFormatError, match="reading"):
        load_fit(saved, MODEL)


def test_fits_without_the_ratios_of_their_draws_are_read(tmp_path):
    save_fit(make_fit(variational_log_ratios=np.empty((0, 0))), tmp_path / "fit", config=CONFIG)
    assert load_fit(tmp_path / "fit", MODEL).variational_log_ratios.shape == (0, 0)


def test_draws_without_a_refinement_are_written_once(tmp_path):
    fit = make_fit(variational_log_ratios=np.zeros((2, 5)))
    fit = dataclasses.replace(fit, variational=dataclasses.replace(fit.posterior))
    save_fit(fit, tmp_path / "fit", config={})
    again = load_fit(tmp_path / "fit", MODEL)
    assert again.variational.theta is again.posterior.theta


@pytest.mark.parametrize("scale", [1.0, 1e12, 1e-12])
def test_predictions_are_equal_to_the_last_bit(tmp_path, scale):
    fit = make_fit(scale=scale)
    save_fit(fit, tmp_path / "fit", config={})
    again = load_fit(tmp_path / "fit", MODEL).posterior
    x = np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_array_equal(again.mean(x), fit.posterior.mean(x))
    np.testing.assert_array_equal(
        again.quantile(x, [0.1, 0.9]), fit.posterior.quantile(x, [0.1, 0.9])
    )
    np.testing.assert_array_equal(again.sample(x, 3, 0), fit.posterior.sample(x, 3, 0))


def test_a_saved_fit_has_no_pickle_and_is_plain_json(saved):
    assert sorted(path.name for path in saved.iterdir()) == [DRAWS, MANIFEST]

    def refuse(token):
        raise AssertionError(token)

    # Strict JSON has no NaN and no infinity; other readers than Python's refuse them.
    json.loads((saved / MANIFEST).read_text(encoding="utf-8"), parse_constant=refuse)


def test_extras_are_written_beside(tmp_path):
    extras = {"note.txt": b"read me"}
    save_fit(make_fit(), tmp_path / "fit", config={}, extras=extras)
    assert (tmp_path / "fit" / "note.txt").read_text() == "read me"


# Overwriting and failing


def test_a_fit_is_replaced_only_when_forced(saved):
    with pytest.raises(OutputExistsError, match="force=True"):
        save_fit(make_fit(), saved, config={})
    assert read_config(saved) == CONFIG
    save_fit(make_fit(), saved, config={"new": 1}, force=True)
    assert read_config(saved) == {"new": 1}
    assert [path.name for path in saved.parent.iterdir()] == ["fit"]


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
    assert read_config(saved) == CONFIG
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
    assert read_config(tmp_path / "fit") == CONFIG


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
        assert read_config(folder) == CONFIG


def test_a_full_disk_names_the_folder_that_was_asked_for(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="not saved to fit: No space left") as caught:
        save_fit(make_fit(), tmp_path / "fit", config={})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_system_refuses_to_write_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    extras = {"big.nc": bytes(100_000)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="not saved to fit"):
            save_fit(make_fit(), tmp_path / "fit", config={}, extras=extras)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_the_old_fit_comes_back_when_the_last_rename_fails(saved, monkeypatch):
    rename = Path.rename

    def fail(self, target):
        if self.name.endswith(".part"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        save_fit(make_fit(), saved, config={}, force=True)
    assert read_config(saved) == CONFIG
    assert [path.name for path in saved.parent.iterdir()] == ["fit"]


def test_a_missing_folder_above_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="not saved to fit: No such file"):
        save_fit(make_fit(), tmp_path / "no" / "fit", config={})


# Not a fit


@pytest.mark.parametrize("file", [MANIFEST, DRAWS])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, file, share):
    content = (saved / file).read_bytes()
    (saved / file).write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match="damaged or cut off") as caught:
        load_fit(saved, MODEL)
    assert file in str(caught.value)
    assert "save the fit again" in str(caught.value)


def test_a_flipped_bit_is_refused(saved):
    content = bytearray((saved / DRAWS).read_bytes())
    content[-1] ^= 1
    (saved / DRAWS).write_bytes(content)
    with pytest.raises(FileFormatError, match="checksum"):
        load_fit(saved, MODEL)


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(FileFormatError, match="is no folder; expected a folder written by save"):
        read_config(tmp_path / "nowhere")
    (saved / DRAWS).unlink()
    with pytest.raises(FileFormatError, match=r"draws\.safetensors .* missing"):
        load_fit(saved, MODEL)
    (saved / MANIFEST).unlink()
    with pytest.raises(FileFormatError, match=r"has no fit\.json"):
        load_fit(saved, MODEL)


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"format": "a web page"}', "{}", '"bayes_hybrid.fit"']
)
def test_foreign_json_is_refused(saved, text):
    (saved / MANIFEST).write_text(text)
    with pytest.raises(FileFormatError, match="is no fit of this package"):
        load_fit(saved, MODEL)


def test_binary_and_deep_json_are_refused(saved):
    for content in (b"\x80\x04\x95pickle", b"[" * 100_000):
        (saved / MANIFEST).write_bytes(content)
        with pytest.raises(FileFormatError, match="damaged"):
            read_config(saved)


def test_a_newer_format_says_what_to_do(saved):
    edit(saved, format_version=2, package_version="9.0")
    with pytest.raises(FileFormatError, match=r"version 2, written by bayes_hybrid 9\.0.*upgrade"):
        load_fit(saved, MODEL)


@pytest.mark.parametrize("version", [None, "1", 0, True, 1.5])
def test_no_version_is_refused(saved, version):
    edit(saved, format_version=version)
    with pytest.raises(FileFormatError, match="format version"):
        load_fit(saved, MODEL)


@pytest.mark.parametrize(
    "change",
    [
        {"fit": {}},
        {"fit": None},
        {"files": {}},
        {"config": None, "fit": 3},
    ],
    ids=str,
)
def test_missing_parts_are_refused(saved, change):
    edit(saved, **change)
    with pytest.raises(FileFormatError, match="damaged"):
        load_fit(saved, MODEL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "0"),
        ("converged", 1),
        ("x_scaling", {"mean": [0.0], "scale": [1.0]}),
        ("x_scaling", {"mean": [0.0, 0.0], "scale": [1.0, 0.0]}),
        ("kl_scores", [[1]]),
        ("stages", [{"name": "SVI", "trace": [], "surprise": 1}]),
        ("feature_names", ["a"]),
    ],
)
def test_fields_of_a_wrong_form_are_refused(saved, name, value):
    fields = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["fit"]
    edit(saved, fit=fields | {name: value})
    with pytest.raises(FileFormatError, match="damaged"):
        load_fit(saved, MODEL)


def test_the_draws_of_another_model_are_refused(saved):
    with pytest.raises(FileFormatError, match="parameters of another model"):
        load_fit(saved, dataclasses.replace(MODEL, gate=ConstantGate()))


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
        decode(data, CLASSES)
