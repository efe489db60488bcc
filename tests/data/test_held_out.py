from typing import Any

import numpy as np
import pytest

from bayes_hybrid.data import HeldOut
from bayes_hybrid.errors import DataError

FIELDS: dict[str, Any] = {"rows": [3, 1], "x": np.zeros((2, 3)), "y": np.zeros(2)}


def test_fields_are_copies_of_a_fixed_type():
    x = np.zeros((2, 3), dtype=np.float32, order="F")
    held_out = HeldOut(**FIELDS | {"x": x})
    x[:] = 1.0
    assert held_out.x.dtype == np.float64
    assert (held_out.x.sum(), len(held_out)) == (0.0, 2)
    assert held_out.rows.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [], "x": np.zeros((0, 3)), "y": []}, "M >= 1"),
        ({"rows": [[3, 1]]}, "M >= 1"),
        ({"x": np.zeros(2)}, "got shapes"),
        ({"y": np.zeros((2, 1, 1))}, "got shapes"),
        ({"y": np.zeros(3)}, "as many"),
        ({"rows": [1, 1]}, "each of them once"),
        ({"rows": [-1, 1]}, ">= 0"),
        ({"x": np.full((2, 3), np.nan)}, "finite"),
        ({"y": [np.nan, 0.0]}, "finite"),
        ({"y": [[np.inf, 0.0], [0.0, 0.0]]}, "finite"),
    ],
)
def test_what_are_no_rows_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        HeldOut(**FIELDS | change)


def test_outputs_may_be_missing():
    assert HeldOut(**FIELDS | {"y": [[np.nan, 0.0], [0.0, 0.0]]}).y.shape == (2, 2)
