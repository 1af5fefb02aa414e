"""Sums of compiled code are numpy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ftbt.backtest.sums import total

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def _assert_same(values: np.ndarray) -> None:
    assert np.float64(total(values)).tobytes() == np.add.reduce(values).tobytes()


@settings(deadline=None)  # the first call compiles
@given(arrays.arrays(np.float64, st.integers(0, 600), elements=FINITE))
def test_a_compiled_sum_is_to_the_bit_that_of_numpy(values: np.ndarray) -> None:
    """Whatever is added up, the last digit is the one that `np.add.reduce` gives."""
    _assert_same(values)


def test_sums_of_every_length_have_the_bits_of_numpy() -> None:
    """No length is added up in another order: short ones, whole blocks, halves of halves."""
    generator = np.random.default_rng(7)
    for length in (*range(1100), 2048, 8640, 35_041, 131_072):
        scale = 10.0 ** generator.integers(-9, 9, length)
        _assert_same(generator.normal(size=length) * scale)


def test_nothing_and_negative_zeros_add_up_to_zero() -> None:
    """The sum of nothing is 0, and that of negative zeros is not negative."""
    for values in (np.zeros(0), np.array([-0.0]), np.full(9, -0.0)):
        _assert_same(values)
