"""A step as one program is the step in Python."""

import pytest
import torch

from bayes_hybrid.inference.engine.adam import Adam, Schedule, adam_step
from bayes_hybrid.inference.engine.rows import Rows
from bayes_hybrid.inference.guides.block import BlockGaussian
from bayes_hybrid.inference.guides.svi import svi_schedule, train
from bayes_hybrid.inference.guides.whitening import whiten
from tests.inference.linear import problem

_COUNT = 5
_SCHEDULE = Schedule(learning_rate=0.1, num_steps=6, final=0.1, decay=0.99)


def test_adam_step_is_torchs():
    parameter = torch.randn(7, dtype=torch.float64)
    ours, first, second = (
        parameter.clone(),
        torch.zeros_like(parameter),
        torch.zeros_like(parameter),
    )
    theirs = parameter.clone()
    adam = Adam([theirs], _SCHEDULE, shares=[0.5])
    for row in _SCHEDULE.table(ours):
        gradient = torch.randn(7, dtype=torch.float64)
        adam.ascend([gradient])
        ours, first, second = adam_step(
            ours, gradient, first, second, row, decay=_SCHEDULE.decay, share=0.5
        )
    torch.testing.assert_close(ours, theirs)


def test_adam_takes_a_view_for_what_it_shows():
    gradient = torch.randn(4, 6)
    moved = []
    for view in (gradient[:, 2:4], gradient[:, 2:4].clone()):
        parameter = torch.zeros(4, 2)
        Adam([parameter], _SCHEDULE).ascend([view])
        moved.append(parameter)
    assert torch.equal(*moved)


def _trained(rows, block, kl_weight, *, compiled):
    """Five steps of five restarts, the second of which is lost."""
    theta = torch.randn(_COUNT, 4, generator=torch.Generator().manual_seed(1)).double()
    precision = 2.0 * torch.eye(len(block), dtype=torch.float64).expand(_COUNT, -1, -1)
    guide = BlockGaussian.start(
        whiten(theta, precision, block, theta.new_full((_COUNT,), 0.1)), kl_weight
    )
    guide.mean[1] = torch.nan
    rows.generator.manual_seed(2)
    return train(
        rows,
        guide,
        rows.folds(_COUNT, 3),
        schedule=svi_schedule(0.05, 5),
        generator=torch.Generator().manual_seed(3),
        progress=lambda *_: None,
        compiled=compiled,
    )


@pytest.mark.parametrize(
    ("kl_weight", "size", "batch_size"),
    # Every pair of two of them.
    [(0.0, 0, 6), (0.3, 0, 20), (0.0, 3, 20), (0.3, 3, 6), (0.0, 4, 6), (0.3, 4, 20)],
)
def test_one_program_is_the_same_step(built, kl_weight, size, batch_size):
    _, whole = problem(20, batch=2, dtype=torch.float64)
    rows = Rows(whole.joint, whole.x, whole.target, batch_size, torch.Generator())
    block = torch.arange(4)[4 - size :]
    plain, program = (_trained(rows, block, kl_weight, compiled=c) for c in (False, True))
    assert len(built) == 1
    assert bool(plain.neg_elbo[:, 1].isnan().all())
    torch.testing.assert_close(program.neg_elbo, plain.neg_elbo, equal_nan=True)
    for ours, theirs in zip(program.guide.parameters, plain.guide.parameters, strict=True):
        torch.testing.assert_close(ours, theirs, equal_nan=True)
