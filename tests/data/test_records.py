import struct

import numpy as np
import pytest

from bayes_hybrid.data.records import (
    Number,
    decode_json,
    encode_json,
    from_numbers,
    shortened,
    to_numbers,
)
from bayes_hybrid.errors import FileFormatError


def test_floats_come_back_to_the_last_bit():
    bits = np.random.default_rng(0).integers(0, 2**64, size=100_000, dtype=np.uint64)
    drawn = bits.view(np.float64)
    values = [*drawn[~np.isnan(drawn)].tolist(), 5e-324, -0.0, 1.7976931348623157e308, np.inf]
    again = from_numbers(decode_json(encode_json(to_numbers(values)), tuple[Number, ...]))
    assert struct.pack(f"{len(again)}d", *again) == struct.pack(f"{len(values)}d", *values)
    assert np.isnan(from_numbers(to_numbers([np.nan]))[0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"NaN",
        b"1e400",
        b"\xff",
        b'"\xff"',
        b'["huge"]',
        b"[true]",
        b"[null]",
        b"[0.5] x",
    ],
    ids=lambda content: str(content[:8]),
)
def test_other_json_is_refused_in_a_sentence(content):
    with pytest.raises(FileFormatError) as caught:
        decode_json(content, tuple[Number, ...])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_long_words_are_cut():
    assert shortened("ab\n" * 1_000) == ("ab " * 100) + "..."
