"""The returns of many trials side by side: the matrix that the tests of selection work on.

A panel has one row per day (or bar) and one column per trial, all rows observed at the same time:
shape (rows, trials), simple returns per row. A trial that stood aside has returns of exactly 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ftbt.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Numbers per working array of a chunk, 128 kB: from there on each temporary is new memory from the
# system, which costs more than the arithmetic.
CHUNK = 1 << 14
# A variance below this share of the mean square is what rounding leaves of none.
NO_VARIANCE = 1e-11


def as_panel(returns: ArrayLike, *, rows: int = 2, trials: int = 1) -> Floats:
    """Return *returns* as a contiguous float64 matrix, shape (rows, trials).

    Args:
        returns: one column per trial; a single series may be one-dimensional.
        rows: least number of rows.
        trials: least number of columns.

    Raises:
        InputError: wrong shape, too small, or a value that is not finite (with its place).
    """
    panel = np.ascontiguousarray(returns, dtype=np.float64)
    panel = panel[:, None] if panel.ndim == 1 else panel
    if panel.ndim != 2:
        raise InputError(f"returns: a matrix of rows x trials is needed, not shape {panel.shape}")
    if panel.shape[0] < rows:
        raise InputError(f"returns: at least {rows} rows are needed, but got {panel.shape[0]}")
    if panel.shape[1] < trials:
        raise InputError(f"returns: at least {trials} trials are needed, but got {panel.shape[1]}")
    wrong = np.argwhere(~np.isfinite(panel))
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        raise InputError(
            f"returns: row {row}, trial {column} is {panel[row, column]}; every return must be a"
            " finite number (0 where the trial stood aside)"
        )
    return panel


def sharpe_of_sums(count: ArrayLike, sums: Floats, squares: Floats) -> Floats:
    """Return Sharpe ratios per row, mean / standard deviation (n - 1), from additive sums.

    Args:
        count: rows in each sum, broadcast against *sums*, at least 2.
        sums: sum of the returns, any shape.
        squares: sum of their squares, same shape.

    Returns:
        Same shape. Without any variance there is no ratio; it is then 0, the value of not trading.
    """
    n = np.asarray(count, dtype=np.float64)
    mean = sums / n
    apart = squares - mean * sums
    flat = apart <= NO_VARIANCE * squares
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / np.sqrt(apart / (n - 1.0))
    ratio[flat] = 0.0
    return ratio


def sharpe_of(returns: Floats) -> Floats:
    """Return the Sharpe ratio per row of each column (0 without variance), shape (trials,)."""
    return sharpe_of_sums(len(returns), returns.sum(axis=0), (returns * returns).sum(axis=0))


def first_best(values: Floats) -> Ints:
    """Return the column of the highest value of each row, the first of equal ones.

    Values that differ by rounding only count as equal: two trials with the same trades must not be
    told apart by the order in which their sums were formed.
    """
    best = values.max(axis=1, keepdims=True)
    return np.asarray(np.argmax(values >= best - rounding(best), axis=1), dtype=np.int64)


def rounding(value: Floats) -> Floats:
    """Return how far apart two ratios near *value* may be and still count as equal."""
    return 1e-10 * np.abs(value) + 1e-14


def columns_per_chunk(rows: int) -> int:
    """Return how many columns of *rows* numbers make one chunk, at least 1."""
    return max(1, CHUNK // max(1, rows))
