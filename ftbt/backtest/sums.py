"""Sums in numpy's order, for compiled code.

Floating point numbers added up in another order give other last digits. What compiled code adds up
shall be to the bit what `np.add.reduce` gives, here and for any length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled

# numpy adds up blocks of this length, each in eight columns, and halves whatever is longer.
_BLOCK = 128
_COLUMNS = 8
_DEPTH = 64  # halvings of the longest array that there can be


@compiled
def _block_sum(values, first, count):  # type: ignore[no-untyped-def]
    """Return the sum of at most a block."""
    if count < _COLUMNS:
        found = 0.0
        for i in range(first, first + count):
            found += values[i]
        return found
    a, b, c, d = values[first], values[first + 1], values[first + 2], values[first + 3]
    e, f, g, h = values[first + 4], values[first + 5], values[first + 6], values[first + 7]
    whole = count - count % _COLUMNS
    for i in range(first + _COLUMNS, first + whole, _COLUMNS):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    found = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first + whole, first + count):
        found += values[i]
    return found


@compiled
def _halved_sum(values):  # type: ignore[no-untyped-def]
    """Return the sum of more than a block: of the halves, each added up in the same way."""
    first = np.zeros(_DEPTH, np.int64)
    count = np.zeros(_DEPTH, np.int64)
    left = np.zeros(_DEPTH)
    on_right = np.zeros(_DEPTH, np.int64)
    count[0] = values.shape[0]
    at = 0
    while True:
        while count[at] > _BLOCK:
            half = count[at] // 2
            first[at + 1] = first[at]
            count[at + 1] = half - half % _COLUMNS
            on_right[at] = 0
            at += 1
        found = _block_sum(values, first[at], count[at])
        at -= 1
        while at >= 0 and on_right[at] == 1:
            found = left[at] + found
            at -= 1
        if at < 0:
            return found
        left[at] = found
        on_right[at] = 1
        half = count[at + 1]
        first[at + 1] = first[at] + half
        count[at + 1] = count[at] - half
        at += 1


@compiled
def total(values: NDArray[np.float64]) -> float:
    """Return the sum of *values*, shape (n,), to the bit what `np.add.reduce` gives."""
    count = values.shape[0]
    found: float = _block_sum(values, 0, count) if count <= _BLOCK else _halved_sum(values)
    return 0.0 + found
