"""Trading sessions and killzones in civil time, with their running and final highs and lows.

Windows are half-open in the civil time of `zone`, so they move with daylight saving time:

| session | New York time |
|---|---|
| asia | 20:00 - 00:00 |
| london | 02:00 - 05:00 |
| new_york | 07:00 - 10:00 |
| london_close | 10:00 - 12:00 |
| silver_bullet | 10:00 - 11:00 |
| custom | `start` - `end`; equal times mean the whole day from then on |

A bar belongs to the session in which it opens. The high and low run until the last bar that
belongs to the session closes; then they are final. The length of a bar is learnt from the bars.
A session whose beginning is missing from the data gives no high and low.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, looped
from ftbt.data.timeframe import DAY_MS, MINUTE_MS
from ftbt.ranges import Choice
from ftbt.smc.base import NAN, Concept, Records, SmcLine
from ftbt.smc.civil_time import (
    CLOCK_STATE,
    ClockTime,
    ZoneName,
    civil_ms,
    prepare_clock,
    window_day,
)

# Minutes after midnight, New York time. The first four are the killzones: they never overlap.
_WINDOWS = {
    "asia": (20 * 60, 24 * 60),
    "london": (2 * 60, 5 * 60),
    "new_york": (7 * 60, 10 * 60),
    "london_close": (10 * 60, 12 * 60),
    "silver_bullet": (10 * 60, 11 * 60),
}
_KILLZONES = 4
_CUSTOM = len(_WINDOWS)
_STARTS = tuple(start for start, _ in _WINDOWS.values())
_ENDS = tuple(end for _, end in _WINDOWS.values())

SESSIONS_STATE = np.dtype(
    [
        ("clock", CLOCK_STATE),
        ("count", "i8"),  # bars seen
        ("time", "i8"),  # of the last bar
        ("length", "i8"),  # of a bar in ms; 0 before the second bar
        ("running", "i8"),
        ("day", "i8"),  # on which the running session began
        ("whole", "i8"),  # 1 when it was seen from its start
        ("high", "f8"),
        ("low", "f8"),
        ("high_bar", "i8"),
        ("low_bar", "i8"),
        ("final_high", "f8"),
        ("final_low", "f8"),
        ("final_high_bar", "i8"),
        ("final_low_bar", "i8"),
    ],
    align=True,
)

FIELDS = {
    "killzone": "1 asia, 2 london, 3 new_york, 4 london_close while the bar opens in it, else 0",
    "active": "1 while the bar opens in the chosen session, else 0",
    "begin": "1 at the first bar of the chosen session, else 0 (also when that bar is missing)",
    "done": "1 at the bar that completes the chosen session (final levels change), else 0",
    "high": "highest price of the session so far, NaN when none is on",
    "low": "lowest price of the session so far, NaN when none is on",
    "high_origin": "bars back to that high, NaN when no session is on",
    "low_origin": "bars back to that low, NaN when no session is on",
    "final_high": "high of the last completed session, NaN before the first",
    "final_low": "low of the last completed session, NaN before the first",
    "final_high_origin": "bars back to that final high, NaN before the first",
    "final_low_origin": "bars back to that final low, NaN before the first",
}


@compiled
def sessions_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prepare a zeroed state; the time zone comes by `sessions_prepare`."""
    state.final_high = NAN
    state.final_low = NAN


def sessions_prepare(state: Records, parameters: Records) -> None:
    """Write the time zone's table into *state*, an array of SESSIONS_STATE records."""
    prepare_clock(state["clock"], int(parameters["zone"][0]))


@compiled
def _finish(state, out):  # type: ignore[no-untyped-def]
    """End the running session."""
    state.running = 0
    if state.whole == 1:
        state.final_high = state.high
        state.final_low = state.low
        state.final_high_bar = state.high_bar
        state.final_low_bar = state.low_bar
        out.done = 1.0


@compiled
def _begin(state, day, whole, out):  # type: ignore[no-untyped-def]
    """Start a session that began on civil *day*."""
    state.running = 1
    state.day = day
    state.whole = whole
    state.high = -np.inf
    state.low = np.inf
    out.begin = 1.0 * whole


@compiled
def _killzone(civil):  # type: ignore[no-untyped-def]
    for k in range(_KILLZONES):
        if window_day(civil, _STARTS[k], _ENDS[k]) >= 0:
            return k + 1.0
    return 0.0


@compiled
def _seen_from_start(state, bar, civil, start):  # type: ignore[no-untyped-def]
    """Tell whether no bar of the session that begins now can be missing before *bar*."""
    if civil % DAY_MS == start * MINUTE_MS:
        return 1
    return 1 if state.count > 0 and bar.time - state.time <= state.length else 0


@compiled
def sessions_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rules."""
    start = p.start if p.session == _CUSTOM else _STARTS[p.session]
    end = p.end if p.session == _CUSTOM else _ENDS[p.session]
    if state.count > 0 and (state.length == 0 or bar.time - state.time < state.length):
        state.length = bar.time - state.time
    civil, state.clock.row = civil_ms(state.clock, bar.time, state.clock.row)
    day = window_day(civil, start, end)
    out.killzone = _killzone(civil)
    out.active = 1.0 if day >= 0 else 0.0
    out.begin = 0.0
    out.done = 0.0
    if state.running == 1 and day != state.day:  # a hole swallowed the session's last bar
        _finish(state, out)
    if state.running == 0 and day >= 0:
        _begin(state, day, _seen_from_start(state, bar, civil, start), out)
    if state.running == 1:
        _take(state, bar)
    _publish_running(state, out)
    if state.running == 1 and state.length > 0:
        next_civil, _ = civil_ms(state.clock, bar.time + state.length, state.clock.row)
        if window_day(next_civil, start, end) != state.day:
            _finish(state, out)
    _publish_final(state, out)
    state.time = bar.time
    state.count += 1


@compiled
def _take(state, bar):  # type: ignore[no-untyped-def]
    if bar.high > state.high:
        state.high = bar.high
        state.high_bar = state.count
    if bar.low < state.low:
        state.low = bar.low
        state.low_bar = state.count


@compiled
def _publish_running(state, out):  # type: ignore[no-untyped-def]
    known = state.running == 1 and state.whole == 1
    out.high = state.high if known else NAN
    out.low = state.low if known else NAN
    out.high_origin = state.count - state.high_bar if known else NAN
    out.low_origin = state.count - state.low_bar if known else NAN


@compiled
def _publish_final(state, out):  # type: ignore[no-untyped-def]
    known = not np.isnan(state.final_high)
    out.final_high = state.final_high
    out.final_low = state.final_low
    out.final_high_origin = state.count - state.final_high_bar if known else NAN
    out.final_low_origin = state.count - state.final_low_bar if known else NAN


@looped
def _run(states, bars, p, out):  # type: ignore[no-untyped-def]
    state = states[0]
    for i in range(bars.shape[0]):
        sessions_step(state, bars[i], p, out[i])


SESSIONS = Concept(
    name="sessions",
    fields=FIELDS,
    events=("begin", "done"),
    state=SESSIONS_STATE,
    init=sessions_init,
    step=sessions_step,
    run=_run,
    prepare=sessions_prepare,
    defaults={"zone": "America/New_York", "session": "london", "start": "02:00", "end": "05:00"},
    ranges={
        "zone": ZoneName(),
        "session": Choice(*_WINDOWS, "custom"),
        "start": ClockTime(),
        "end": ClockTime(),
    },
)


class Sessions(SmcLine):
    """Sessions, killzones and their highs and lows; see the module docstring."""

    concept = SESSIONS
    lines = SESSIONS.lines
    params = SESSIONS.params
