"""Higher-timeframe bars, built inside the lines: only a completed bar is ever seen.

The aggregate of a 4h bar is handed on at the close of the base bar that completes it, never
before. The first bucket is dropped when the data begin inside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import inlined, looped
from ftbt.data.candles import BAR, Bars, frozen
from ftbt.smc.rows import own

AGGREGATE = np.dtype(
    [
        ("bar", BAR),  # the bucket in the making
        ("done", BAR),  # the last completed bucket
        ("filling", "i8"),  # 1 while `bar` began at the bucket's own open
    ],
    align=True,
)


@inlined
def aggregate_step(state, bar, base_ms, high_ms, origin_ms):  # type: ignore[no-untyped-def]
    """Take one base bar; return 1 when it completes a higher bar, then in `state.done`."""
    bucket = state.bar.time
    if state.filling == 0 or bar.time >= bucket + high_ms:
        # Only here: a division takes longer than all the rest.
        bucket = (bar.time - origin_ms) // high_ms * high_ms + origin_ms
    if bar.time == bucket:
        state.filling = 1
        state.bar.time = bar.time
        state.bar.open = bar.open
        state.bar.high = bar.high
        state.bar.low = bar.low
        state.bar.close = bar.close
        state.bar.volume = bar.volume
    elif state.filling == 1 and state.bar.time == bucket:
        state.bar.high = max(state.bar.high, bar.high)
        state.bar.low = min(state.bar.low, bar.low)
        state.bar.close = bar.close
        state.bar.volume += bar.volume
    else:  # a bucket whose beginning is missing
        state.filling = 0
    if state.filling == 0 or bar.time + base_ms < bucket + high_ms:
        return 0
    state.done.time = state.bar.time
    state.done.open = state.bar.open
    state.done.high = state.bar.high
    state.done.low = state.bar.low
    state.done.close = state.bar.close
    state.done.volume = state.bar.volume
    state.filling = 0
    return 1


@looped
def _aggregate(state, bars, base_ms, high_ms, origin_ms, made, known):  # type: ignore[no-untyped-def]
    mine = own(state)
    count = 0
    for i in range(bars.shape[0]):
        if aggregate_step(mine, bars[i], base_ms, high_ms, origin_ms):
            made[count] = mine.done
            count += 1
        known[i] = count
    return count


def aggregate(
    bars: Bars, base_ms: int, high_ms: int, origin_ms: int
) -> tuple[Bars, NDArray[np.int64]]:
    """Return the completed higher bars, and how many of them are known at each base bar's close.

    Returns:
        BAR array, shape (m,); int64 array, shape (n,).
    """
    state = np.zeros(1, AGGREGATE)
    most = int(bars["time"][-1] - bars["time"][0]) // high_ms + 1 if len(bars) else 0
    made = np.empty(most, BAR)
    known = np.empty(len(bars), np.int64)
    count = _aggregate(state[0], frozen(bars), base_ms, high_ms, origin_ms, made, known)
    return made[:count], known
