"""Which KL weights are tried, and which one wins."""

import math

import pytest
import torch

from bayes_hybrid.inference import Variational
from bayes_hybrid.inference.guides.whitening import whiten_at
from bayes_hybrid.inference.progress import silent
from bayes_hybrid.inference.recipe import variational
from tests.inference.linear import problem


@pytest.mark.parametrize(
    ("scores", "tried", "best"),
    [
        ({0.0: 2.0, 0.1: 1.0, 0.3: 9.0, 1.0: 9.0}, [0.0, 0.1], 0.0),
        ({0.0: 1.0, 0.1: 2.0, 0.3: 1.5, 1.0: 9.0}, [0.0, 0.1, 0.3], 0.1),
        ({0.0: 1.0, 0.1: 2.0, 0.3: 3.0, 1.0: 4.0}, [0.0, 0.1, 0.3, 1.0], 1.0),
        # What is not finite says nothing, and is no reason to stop.
        ({0.0: math.nan, 0.1: math.nan, 0.3: 1.0, 1.0: 0.0}, [0.0, 0.1, 0.3, 1.0], 0.3),
        ({0.0: math.nan, 0.1: -math.inf, 0.3: math.nan, 1.0: math.nan}, [0.0, 0.1, 0.3, 1.0], 0.0),
        ({0.0: 1.0, 0.1: math.nan, 0.3: 5.0, 1.0: 5.0}, [0.0, 0.1], 0.0),
    ],
)
def test_larger_weights_are_tried_while_the_largest_is_the_best(monkeypatch, scores, tried, best):
    asked = []

    def trial(_rows, _whitening, _row_weights, some, *_):
        asked.append(list(some))
        return {weight: scores[weight] for weight in some}

    monkeypatch.setattr(variational, "_trial_scores", trial)
    # In any order.
    options = Variational(kl_weights=(1.0, 0.1, 0.0, 0.3))
    found, kept = variational.choose_kl_weight(
        None, None, None, options, generator=torch.Generator(), progress=silent
    )
    assert (found, list(kept)) == (best, tried)
    assert asked == [[0.0, 0.1], *([weight] for weight in tried[2:])]


def test_a_trial_is_a_run_of_its_own_on_the_folds_rows():
    """Rows left out of every restart's training decide; progress counts all steps at most."""
    _, rows = problem()
    theta = torch.zeros(4, rows.joint.table.num_parameters)
    whitening = whiten_at(
        rows, theta, ~rows.joint.table.feature_mask, torch.Generator().manual_seed(0)
    )
    calls = []
    options = Variational(kl_weights=(0.0, 0.5, 1.0), selection_steps=50)
    best, scores = variational.choose_kl_weight(
        rows,
        whitening,
        rows.folds(4, 2),
        options,
        generator=torch.Generator().manual_seed(1),
        progress=lambda *call: calls.append(call),
    )
    assert best == max(scores, key=scores.__getitem__)
    assert all(math.isfinite(score) for score in scores.values())
    done = [steps for _, steps, _ in calls]
    assert done == [100, 150][: len(scores) - 1]
    assert {total for _, _, total in calls} == {150}
