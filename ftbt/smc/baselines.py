"""What is normal here: true range, average true range and the volume baseline.

* True range: max(high, previous close) - min(low, previous close); high - low on the first bar.
* Average true range, `wilder`: the mean of the first n true ranges, then
  (previous * (n - 1) + true range) / n (Wilder, New Concepts in Technical Trading Systems, 1978).
  `simple`: the plain mean of the last n true ranges.
* Volume: the plain mean of the last n volumes, and the bar's volume against the mean of the n bars
  *before* it, so that a spike doesn't dilute its own yardstick.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Choice, Float, Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.smc.rows import blank, keep

WINDOW = 512  # longest plain mean

# Zeroed is fresh: neither needs an init.
WILDER_STATE = np.dtype([("count", "i8"), ("value", "f8"), ("close", "f8")], align=True)
MEAN_STATE = np.dtype(
    [
        ("count", "i8"),
        ("place", "i8"),
        ("sum", "f8"),
        ("lap", "f8"),  # sum of the values since the last whole round of `kept`
        ("kept", "f8", (WINDOW,)),
    ],
    align=True,
)


@inlined
def true_range(bar, previous_close):  # type: ignore[no-untyped-def]
    """Return the true range of *bar*; a NaN previous close gives high - low."""
    if np.isnan(previous_close):
        return bar.high - bar.low
    return max(bar.high, previous_close) - min(bar.low, previous_close)


@inlined
def wilder_step(state, bar, length):  # type: ignore[no-untyped-def]
    """Take one bar; return Wilder's average true range, NaN for the first length - 1 bars."""
    move = true_range(bar, NAN if state.count == 0 else state.close)
    state.close = bar.close
    if state.count < length:  # `value` is the sum until the first mean
        state.value += move
        state.count += 1
        if state.count < length:
            return NAN
        state.value /= length
    else:
        state.value = (state.value * (length - 1) + move) / length
    return state.value


@inlined
def mean_step(state, value, length):  # type: ignore[no-untyped-def]
    """Take one value; return the mean of the last *length* ones, NaN before there are so many."""
    place = state.place  # count modulo length; a division would take longer than all the rest
    known = state.count >= length
    total = state.sum
    if known:
        total -= state.kept[place]
    state.kept[place] = value
    total += value
    lap = state.lap + value
    last = place == length - 1
    if last:  # once a round: rounding errors don't pile up
        total = lap
        lap = 0.0
    state.sum = total
    state.lap = lap
    state.place = 0 if last else place + 1
    if not known:
        state.count += 1
        if state.count < length:
            return NAN
    return total / length


ATR_STATE = np.dtype([("wilder", WILDER_STATE), ("mean", MEAN_STATE), ("close", "f8")], align=True)


@compiled
def _atr_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    state.close = NAN


@inlined
def _atr_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    out.true_range = true_range(bar, state.close)
    state.close = bar.close
    if p.method == 0:
        out.atr = wilder_step(state.wilder, bar, p.length)
    else:
        out.atr = mean_step(state.mean, out.true_range, p.length)


@looped
def _atr_run(states, bars, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        _atr_step(state, bars[i], p, row)
        keep(row, out[i])


ATR = Concept(
    name="atr",
    fields={
        "true_range": "the bar's true range, in price",
        "atr": "average true range, in price, NaN before `length` bars",
    },
    events=(),
    state=ATR_STATE,
    init=_atr_init,
    step=_atr_step,
    run=_atr_run,
    narrows=True,
    defaults={"length": 14, "method": "wilder"},
    ranges={"length": Int(1, WINDOW), "method": Choice("wilder", "simple")},
)


class AverageTrueRange(SmcLine):
    """True range and its average; see the module docstring."""

    concept = ATR
    lines = ATR.lines
    params = ATR.params


VOLUME_STATE = np.dtype([("mean", MEAN_STATE), ("before", "f8")], align=True)


@compiled
def _volume_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    state.before = NAN


@inlined
def _volume_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    # An average of zero (a dead market) has no ratio.
    out.ratio = bar.volume / state.before if state.before > 0.0 else NAN
    out.spike = 1.0 if out.ratio >= p.spike else 0.0
    out.mean = mean_step(state.mean, bar.volume, p.length)
    state.before = out.mean


@looped
def _volume_run(states, bars, p, out):  # type: ignore[no-untyped-def]
    state = states[0]
    for i in range(bars.shape[0]):
        _volume_step(state, bars[i], p, out[i])


VOLUME = Concept(
    name="volume",
    fields={
        "mean": "mean volume of the last `length` bars, NaN before there are so many",
        "ratio": "this bar's volume over the mean of the `length` bars before it, NaN when unknown",
        "spike": "1 at a bar whose ratio is at least `spike`, else 0",
    },
    events=("spike",),
    state=VOLUME_STATE,
    init=_volume_init,
    step=_volume_step,
    run=_volume_run,
    defaults={"length": 20, "spike": 1.5},
    ranges={"length": Int(1, WINDOW), "spike": Float(1.0, 20.0)},
)


class Volume(SmcLine):
    """Volume against its own baseline; see the module docstring."""

    concept = VOLUME
    lines = VOLUME.lines
    params = VOLUME.params
