"""Compiled loops of the statistics: the parts that are run a thousand times an assessment.

Compiled functions live in this file and call each other only here: packages that hold results
apart, this one among them, do not count in the name of the cache's folder (`ftbt.compiled`), so
what keeps the cache fresh is numba's own stamp of the file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def follow_blocks(anywhere: Ints, starts: NDArray[np.bool_]) -> Ints:
    """Return bootstrap indices: where a block starts, and one further at each step after it.

    Args:
        anywhere: the k-th number of a row is where its k-th block starts, shape (samples, n).
        starts: whether a block starts at this step; true at the first one, same shape.
    """
    samples, n = anywhere.shape
    found = np.empty((samples, n), np.int64)
    for row in range(samples):
        block, at = -1, 0
        for k in range(n):
            if starts[row, k]:
                block += 1
                at = anywhere[row, block]
            else:
                at = at + 1 if at + 1 < n else 0
            found[row, k] = at
    return found


@compiled
def count_rows(indices: Ints) -> Floats:
    """Return how often each number below n is in each row of *indices*, shape (samples, n)."""
    samples, n = indices.shape
    found = np.zeros((samples, n))
    for row in range(samples):
        for k in range(n):
            found[row, indices[row, k]] += 1.0
    return found


@compiled
def _ratio(count: float, total: float, square: float, flat: float) -> float:
    mean = total / count
    apart = square - mean * total
    if apart <= flat * square:
        return 0.0
    return float(mean / np.sqrt(apart / (count - 1.0)))


@compiled
def _judge_choice(inside: Floats, outside: Floats) -> tuple[int, int]:
    """Return (1 or 0: the best inside is not above the median outside, 1 or 0: it lost there)."""
    trials = len(inside)
    best = inside[0]
    for k in range(1, trials):
        best = max(best, inside[k])
    least = best - (1e-10 * abs(best) + 1e-14)
    winner = 0
    while inside[winner] < least:
        winner += 1
    reached = outside[winner]
    allowance = 1e-10 * abs(reached) + 1e-14
    low, high = reached - allowance, reached + allowance
    below = above = 0
    for k in range(trials):
        if outside[k] < low:
            below += 1
        elif outside[k] > high:
            above += 1
    # Twice the mean rank is below + 1 + trials - above.
    return int(below + 1 + trials - above <= trials + 1), int(reached < 0.0)


@compiled
def overfit_and_lost(
    member: Floats, sums: Floats, squares: Floats, rows: int, flat: float
) -> tuple[int, int]:
    """Return in how many splits the best of one half was overfit, and lost, on the other half.

    Every row of *member* is two splits: its blocks against the others, and the other way round.
    The metric is the Sharpe ratio; ties are those of `panel.first_best` and `pbo.choose`.

    Args:
        member: 1 for the blocks of the first half, shape (halves, blocks).
        sums: of the returns of each trial in each block, shape (blocks, trials).
        squares: of their squares, same shape.
        rows: of a half.
        flat: variance below this share of the mean square is none.
    """
    halves, blocks = member.shape
    trials = sums.shape[1]
    total, square = np.empty((2, trials)), np.empty((2, trials))
    one, other = np.empty(trials), np.empty(trials)
    overfit = lost = 0
    for half in range(halves):
        total[:] = 0.0
        square[:] = 0.0
        for b in range(blocks):
            side = 0 if member[half, b] > 0.5 else 1
            for k in range(trials):
                total[side, k] += sums[b, k]
                square[side, k] += squares[b, k]
        for k in range(trials):
            one[k] = _ratio(rows, total[0, k], square[0, k], flat)
            other[k] = _ratio(rows, total[1, k], square[1, k], flat)
        first, second = _judge_choice(one, other)
        third, fourth = _judge_choice(other, one)
        overfit += first + third
        lost += second + fourth
    return overfit, lost
