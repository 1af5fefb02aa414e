"""High and low of the last completed day and week.

Days begin at `day_start` o'clock UTC, weeks on Monday at that hour. The levels of a period are
known from the first bar of the next one on, that bar included. A first period whose beginning is
missing from the data is not a completed one.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.data.timeframe import DAY_MS, HOUR_MS, WEEK_MS, WEEK_ORIGIN_MS
from ftbt.ranges import Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.smc.rows import blank, keep

_PERIOD = np.dtype(
    [
        ("start", "i8"),  # open of the running period, ms since 1970 UTC
        ("whole", "i8"),  # 1 when it was seen from its start
        ("high", "f8"),
        ("low", "f8"),
        ("high_bar", "i8"),
        ("low_bar", "i8"),
        ("last_high", "f8"),  # of the last completed period
        ("last_low", "f8"),
        ("last_high_bar", "i8"),
        ("last_low_bar", "i8"),
    ],
    align=True,
)
PERIODS_STATE = np.dtype(
    [("seen", "i8"), ("day", _PERIOD), ("week", _PERIOD)],
    align=True,
)

FIELDS = {
    "new_day": "1 at the first bar after a completed day (its levels change), else 0",
    "new_week": "1 at the first bar after a completed week (its levels change), else 0",
    "day_high": "high of the last completed day, NaN before the first",
    "day_low": "low of the last completed day, NaN before the first",
    "week_high": "high of the last completed week, NaN before the first",
    "week_low": "low of the last completed week, NaN before the first",
    "day_high_origin": "bars back to the bar that made that high, the first of equal ones",
    "day_low_origin": "bars back to the bar that made that low, the first of equal ones",
    "week_high_origin": "bars back to the bar that made that high, the first of equal ones",
    "week_low_origin": "bars back to the bar that made that low, the first of equal ones",
}


@compiled
def periods_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prepare a zeroed state."""
    state.day.last_high = NAN
    state.day.last_low = NAN
    state.week.last_high = NAN
    state.week.last_low = NAN


@compiled
def _begin(period, bar, index, length, origin):  # type: ignore[no-untyped-def]
    """Begin a new period with *bar*; return 1 when a whole one was completed before it."""
    start = (bar.time - origin) // length * length + origin
    completed = 0.0
    if index > 0 and period.whole == 1:
        period.last_high = period.high
        period.last_low = period.low
        period.last_high_bar = period.high_bar
        period.last_low_bar = period.low_bar
        completed = 1.0
    period.whole = 1 if index > 0 or bar.time == start else 0
    period.start = start
    period.high = -np.inf
    period.low = np.inf
    return completed


@inlined
def _outside(period, bar, index, length):  # type: ignore[no-untyped-def]
    """Tell whether *bar* belongs to another period than the running one."""
    into = bar.time - period.start
    return index == 0 or into < 0 or into >= length


@inlined
def _extend(period, high, high_bar, low, low_bar):  # type: ignore[no-untyped-def]
    """Take the high and low of a bar, or of a shorter period, into *period*."""
    # Chosen, not jumped over: a processor guesses badly which bars go further.
    higher = high > period.high
    lower = low < period.low
    period.high = high if higher else period.high
    period.high_bar = high_bar if higher else period.high_bar
    period.low = low if lower else period.low
    period.low_bar = low_bar if lower else period.low_bar


@compiled
def _begin_day(state, bar, index, p):  # type: ignore[no-untyped-def]
    """Begin a new day with *bar*; return 1 for a day and for a week that was completed."""
    offset = p.day_start * HOUR_MS
    day = state.day
    week = state.week
    # A week is seven days, so only whole days are taken into it.
    _extend(week, day.high, day.high_bar, day.low, day.low_bar)
    new_day = _begin(day, bar, index, DAY_MS, offset)
    new_week = 0.0
    if _outside(week, bar, index, WEEK_MS):
        new_week = _begin(week, bar, index, WEEK_MS, WEEK_ORIGIN_MS + offset)
    return new_day, new_week


@inlined
def periods_take(state, bar, p):  # type: ignore[no-untyped-def]
    """Take one closed bar; return 1 for a day and for a week that was completed before it."""
    now = state.seen
    state.seen += 1
    new_day = 0.0
    new_week = 0.0
    if _outside(state.day, bar, now, DAY_MS):
        new_day, new_week = _begin_day(state, bar, now, p)
    _extend(state.day, bar.high, now, bar.low, now)
    return new_day, new_week


@inlined
def _step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rules."""
    now = state.seen
    new_day, new_week = periods_take(state, bar, p)
    out.new_day = new_day
    out.new_week = new_week
    out.day_high = state.day.last_high
    out.day_low = state.day.last_low
    out.week_high = state.week.last_high
    out.week_low = state.week.last_low
    day_known = not np.isnan(state.day.last_high)
    week_known = not np.isnan(state.week.last_high)
    out.day_high_origin = now - state.day.last_high_bar if day_known else NAN
    out.day_low_origin = now - state.day.last_low_bar if day_known else NAN
    out.week_high_origin = now - state.week.last_high_bar if week_known else NAN
    out.week_low_origin = now - state.week.last_low_bar if week_known else NAN


@looped
def _run(states, bars, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        _step(state, bars[i], p, row)
        keep(row, out[i])


PERIODS = Concept(
    name="periods",
    fields=FIELDS,
    events=("new_day", "new_week"),
    state=PERIODS_STATE,
    init=periods_init,
    step=_step,
    run=_run,
    narrows=True,
    defaults={"day_start": 0},
    ranges={"day_start": Int(0, 23, tune=False)},
)


class Periods(SmcLine):
    """Previous day's and previous week's high and low; see the module docstring."""

    concept = PERIODS
    lines = PERIODS.lines
    params = PERIODS.params
