"""What speed is measured against computes the same thing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyro.infer.mcmc.util import initialize_model

from bayes_hybrid.data import Standardizer
from bayes_hybrid.errors import DataError
from bayes_hybrid.inference import Posterior
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.models import HybridMixture, Pathway, Target
from benchmarks import collapse, quality, records
from benchmarks.cells import Figures
from benchmarks.faults import __main__ as faults
from benchmarks.faults.outcomes import Limits, Outcome, bug, run_tries
from benchmarks.peers import HandWritten, numpyro_model, pyro_model
from benchmarks.predict import Plain
from benchmarks.speed import step_table
from benchmarks.suite import Given

ROOT = Path(__file__).resolve().parents[1]
_MODEL = HybridMixture(
    num_features=3,
    experts=(Pathway(kind="gaussian", num_units=4), Pathway(kind="relu", num_units=4)),
)
# float32 sums of some hundred terms of size one.
_CLOSE: Any = {"rtol": 1e-5, "atol": 1e-3}


@pytest.fixture
def case():
    x, y = torch.randn(20, 3), torch.randn(20)
    joint = LogJoint(_MODEL, x, 2)
    theta = 0.5 * torch.randn(2, joint.table.num_parameters)
    value, gradient = joint.value_and_grad(
        theta, x, Target(y), torch.full((2, 20), 3.0), torch.ones(2)
    )
    return joint.table, theta, x, y, value, gradient


def _free(table, flat):
    return {s.name: flat[s.start : s.stop].reshape(s.free_shape) for s in table.sites}


def test_torch_by_hand(case):
    _, theta, x, y, value, gradient = case
    ours = HandWritten(_MODEL)
    assert ours.num_parameters == theta.shape[1]
    theta = theta.requires_grad_()
    by_hand = ours(theta, x, y, 3.0)
    torch.testing.assert_close(by_hand.detach(), value, **_CLOSE)
    (slope,) = torch.autograd.grad(by_hand.sum(), theta)
    torch.testing.assert_close(slope, gradient, rtol=1e-3, atol=1e-3)


def test_plain_predictions():
    model = HybridMixture()
    table = SiteTable.of(model, torch.zeros(1, 1))
    posterior = Posterior(
        model=model,
        theta=0.5 * torch.randn(2, 3, table.num_parameters),
        x_scaling=Standardizer.fit([[0.0], [4.0]]),
        y_scaling=Standardizer.fit([0.0, 2.0]),
    )
    rows = np.linspace(0.0, 4.0, 7)[:, None]
    plain = Plain(posterior)(torch.as_tensor(posterior.x_scaling.transform(rows)[:, 0]))
    # Constrained draws are float32.
    np.testing.assert_allclose(
        plain.numpy() + 1.0, posterior.predictive.mean(rows), rtol=0.0, atol=1e-5
    )


def test_pyro_by_hand(case):
    table, theta, x, y, value, _ = case
    data = (x, y, torch.tensor(3.0))
    _, potential, _, _ = initialize_model(pyro_model(_MODEL), model_args=data)
    by_hand = -torch.stack([potential(_free(table, flat)) for flat in theta])
    torch.testing.assert_close(by_hand, value, **_CLOSE)


def test_numpyro_by_hand(case):
    numpyro = pytest.importorskip("numpyro")
    table, theta, x, y, value, _ = case
    for flat, expected in zip(theta, value, strict=True):
        free = {name: part.numpy() for name, part in _free(table, flat).items()}
        potential = numpyro.infer.util.potential_energy(
            numpyro_model(_MODEL), (x.numpy(), y.numpy(), 3.0), {}, free
        )
        assert -float(potential) == pytest.approx(float(expected), rel=1e-5, abs=1e-3)


def test_a_figure_that_is_not_a_number_is_a_miss():
    figures = Figures({})
    figures.add("log density", float("nan"), -1.0, float("inf"))
    figures.add("coverage", 0.9, 0.86, 0.94)
    assert [row["met"] for row in figures.rows] == [False, True]
    assert "| log density | ≥ -1 | nan | **no** |" in figures.table()


def test_sections_beside_each_other():
    figures = Figures({}, side_by_side=True)
    for section, least, share in (("a", -1.0, 0.5), ("b", -2.0, 1.0)):
        figures.add(f"{section}: log density", -1.5, least, float("inf"))
        figures.add(f"{section}: same", share, 0.9, float("inf"))
    figures.add("b: seconds", 3.0, float("-inf"), float("inf"))
    assert figures.table().splitlines() == [
        "| | log density | same (≥ 0.9) | seconds |",
        "|---|---|---|---|",
        "| a | **-1.500** (≥ -1) | **0.500** |  |",
        "| b | -1.500 (≥ -2) | 1.000 | 3.000 |",
    ]


def test_ratios_are_of_the_same_size_and_per_restart():
    size = {"rows": 1_000, "batch": 1_000, "units": 32}
    rows = [
        {**size, "restarts": 1, "method": "Pyro, Trace_ELBO", "ms": 20.0},
        {**size, "restarts": 1, "method": "engine, compiled", "ms": 0.5},
        {**size, "restarts": 8, "method": "engine, compiled", "ms": 2.0},
        {**size, "restarts": 8, "method": "torch by hand, compiled", "ms": 4.0},
    ]
    lines = step_table(rows)
    assert "| compiled / torch by hand, compiled | ≤ 1.15 | 0.50 |" in lines
    assert "| Pyro's Trace_ELBO / compiled, one restart, N = 1,000 | ≥ 20 | 40.00 |" in lines
    row = "| Pyro's Trace_ELBO / compiled, per restart at 8 restarts, N = 1,000 | ≥ 60 | 80.00 |"
    assert row in lines


def test_the_default_beside_the_earlier_one():
    names = [name for name, *_ in quality.jobs(Given(seeds=2)) if not name.startswith("motor")]
    assert len(set(names)) == len(names)

    def scored(name):
        density = 3.0 if name.startswith("earlier/") else 1.0
        density += "ensemble" in name
        density += 2.0 * ("minibatch" in name)
        score = {"log_density": density, "coverage": 0.9, "rmse": 1.0, "rows": 9}
        return {"default": score, "svi": score}

    figures = quality.summarise({name: scored(name) for name in names}).rows
    paired = {row["what"]: row for row in figures if "nats/row, 2 cells" in row["what"]}
    # Of eight simulated settings and three with low noise: two of SVI or not, the ensemble, and
    # minibatches.
    assert len(paired) == 4 * 11
    for what, row in paired.items():
        expected = 1.0 if "48 restarts" in what else 2.0 if "SG-HMC" in what else -2.0
        assert (row["figure"], row["met"]) == (expected, expected > 0.0)


def test_ways_against_collapse_have_a_meaning():
    cells = [name for name, *_ in collapse.jobs(Given(seeds=1))]
    assert "twins/relu_smoothness/0" not in cells
    assert "one_takes_all/relu_smoothness/0" in cells
    assert "gaussian_unused/slow_gate/0" not in cells
    assert {name.split("/")[1] for name in cells} == {"default", *collapse.WAYS}
    for way in collapse.WAYS:
        collapse.options_of(way)


def test_as_much_was_tried_as_is_promised():
    found = records.read("faults")
    assert set(found) == set(faults.SECTIONS)
    for name, cell in found.items():
        assert cell["tries"] >= faults.SECTIONS[name].least


def _tries(outcome):
    return list(run_tries(lambda seed: [outcome(seed)], range(3), limits=Limits(cpu=1, clock=20.0)))


def test_a_try_that_dies_or_never_ends_is_a_bad_outcome():
    def hang(seed):
        while seed != 1:
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    bad = sorted(each.bad for (each,) in _tries(hang))
    assert bad == ["the process died by SIGKILL"] + 2 * ["the process died by SIGXCPU"]


def test_a_try_that_takes_too_much_memory_is_a_bad_outcome():
    def allocate(seed):
        return Outcome(seed=seed, what="", bad=str(len(bytearray(2**34))))

    assert all("MemoryError" in each.bad for (each,) in _tries(allocate))


def test_an_error_of_the_package_is_no_bug():
    assert bug(DataError("column 'a' holds text")) == ""
    assert bug(ValueError("bad\nvalue")) == "ValueError: bad"


@pytest.mark.slow
def test_faults_are_tried(tmp_path):
    # In a process of its own, because it forks, and forks have no other threads.
    out = tmp_path / "faults.json"
    arguments = ["--only", *faults.SECTIONS, "--tries", "2", "--seed", "5", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sections = json.loads(out.read_text(encoding="utf-8"))
    assert list(sections) == list(faults.SECTIONS)
    for name, found in sections.items():
        assert faults.table({name: found}) in done.stdout
        assert found["tries"] >= 2
        assert not any(what.startswith(("harness", "hang", "death")) for what in found["faults"])
