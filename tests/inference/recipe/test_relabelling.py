"""Restarts that call the regimes by other names."""

import itertools

import pytest
import torch

from bayes_hybrid.gates import ThresholdGate
from bayes_hybrid.inference.engine.graph import LogJoint
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.posterior.evaluation import evaluate_regimes
from bayes_hybrid.inference.recipe.relabelling import relabel
from bayes_hybrid.models import HybridMixture, Target
from tests.models import zoo

_MODEL = HybridMixture(
    num_features=zoo.NUM_FEATURES,
    experts=(zoo.pathway("relu", noise="constant"), zoo.pathway("relu", noise="constant")),
    gate=zoo.GATES["constant"],
)


def _rows(num_rows=60, model=_MODEL):
    """Two flat branches, at plus and minus one."""
    x, _ = zoo.rows(num_rows)
    y = torch.where(torch.arange(num_rows) % 3 == 0, 1.0, -1.0).double()
    return Rows(LogJoint(model, x[:1], 2), x, Target(y), num_rows, torch.Generator())


def _point(rows, first, second, share=0.0):
    """Experts that are constants, at ``first`` and ``second``."""
    table = rows.joint.table
    values = table.constrain(torch.zeros(table.num_parameters, dtype=torch.float64))
    values["relu_1.location.bias"] = torch.tensor([first], dtype=torch.float64)
    values["relu_2.location.bias"] = torch.tensor([second], dtype=torch.float64)
    values["gate.bias"] = torch.tensor([share], dtype=torch.float64)
    values["noise"] = torch.tensor(0.1, dtype=torch.float64)
    return table.flatten(values)


@pytest.mark.parametrize("gate", ["constant", "relu"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_relabelling_keeps_the_function_and_moves_the_names(gate, order):
    model = HybridMixture(
        num_features=zoo.NUM_FEATURES, experts=(zoo.pathway("relu"),) * 3, gate=zoo.GATES[gate]
    )
    rows = _rows(model=model)
    theta = torch.randn(rows.joint.table.num_parameters, dtype=torch.float64)
    values = rows.joint.table.constrain(theta)
    moved = rows.joint.table.flatten(model.relabelled(values, order))
    both = torch.stack([theta, moved])
    before, after = (r for r in zip(*evaluate_fields(rows, both), strict=True))
    for ours, theirs in zip(after, before, strict=True):
        torch.testing.assert_close(ours, theirs[:, list(order)])
    # Whatever the names, the best agreement undoes the permutation.
    torch.testing.assert_close(relabel(rows, both, 0)[1], theta)


@pytest.mark.parametrize("num_regimes", [2, 3])
def test_an_oblique_gate_is_turned_round_to_agree(num_regimes):
    experts = (zoo.pathway("relu"),) * num_regimes
    model = HybridMixture(num_features=zoo.NUM_FEATURES, experts=experts, gate=zoo.GATES["oblique"])
    rows = _rows(model=model)
    theta = torch.randn(rows.joint.table.num_parameters, dtype=torch.float64)
    order = list(reversed(range(num_regimes)))
    turned = rows.joint.table.flatten(model.relabelled(rows.joint.table.constrain(theta), order))
    both = torch.stack([theta, turned])
    before, after = (r for r in zip(*evaluate_fields(rows, both), strict=True))
    for ours, theirs in zip(after, before, strict=True):
        torch.testing.assert_close(ours, theirs[..., order])
    torch.testing.assert_close(relabel(rows, both, 0)[1], theta)
    # Nothing else may be renamed: with a threshold on one feature the regimes have their order.
    model = HybridMixture(
        num_features=zoo.NUM_FEATURES, experts=experts, gate=ThresholdGate(feature=0)
    )
    rows = _rows(model=model)
    theta = torch.randn(3, rows.joint.table.num_parameters, dtype=torch.float64)
    assert torch.equal(relabel(rows, theta, 0), theta)


def evaluate_fields(rows, theta):
    regimes = evaluate_regimes(rows.joint.model, rows.joint.table, theta, rows.x)
    numbers = zip(*(expert.numbers for expert in regimes.experts), strict=True)
    return regimes.log_weights, *(torch.stack(each, -1) for each in numbers)


def test_experts_of_different_kinds_are_not_relabelled():
    experts = (zoo.pathway("gaussian"), zoo.pathway("relu"))
    rows = _rows(model=HybridMixture(num_features=zoo.NUM_FEATURES, experts=experts))
    theta = torch.randn(3, rows.joint.table.num_parameters, dtype=torch.float64)
    assert torch.equal(relabel(rows, theta, 0), theta)


def test_a_lost_point_is_left_alone():
    rows = _rows()
    theta = torch.stack([_point(rows, 1.0, -1.0), _point(rows, -1.0, 1.0)])
    theta[1, 0] = torch.nan
    assert bool(torch.isnan(relabel(rows, theta, 0)[1, 0]))
