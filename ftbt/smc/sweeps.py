"""Liquidity sweeps (stop hunts, liquidity grabs, swing failure patterns) and runs.

A pool below the price that is taken at bar t (see `liquidity.py`, whose parameters all apply) is

* *swept*, when bar t or one of the next `reclaim` bars closes back above its level: bullish;
* *run*, when none of them does: a break, bearish. It is known at bar t + `reclaim`.

Mirrored for pools above. Each pool is judged once, so it is never both. With `min_wick` > 0 a sweep
must show rejection: bars t to the reclaiming one, seen as one candle, must have a wick beyond the
body of at least `min_wick` bodies; a pool reclaimed without it is merely *spent*.

When several pools of one side are swept in one bar, the lines show the strongest, of equally
strong ones that with the furthest level, then that of the highest kind, then the newest. When
pools of both sides are swept in one bar, `sweep` is 0: such a bar tells no direction.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Float, Int
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.ledger import RUN, SPENT, SWEPT, TAKEN, seen_low
from ftbt.smc.liquidity import LIQUIDITY, TARGET_FIELDS, show_targets
from ftbt.smc.pools import (
    LIQUIDITY_FIELDS,
    MAX_RECLAIM,
    WAITING,
    emit_pool,
    pools_follow,
    pools_init,
    pools_prepare,
)
from ftbt.smc.rows import blank, keep
from ftbt.smc.swings import swing_step
from ftbt.smc.taken import TAKEN_POOLS

# A taken pool until it is judged. Prices on the side of highs are negated.
_TAKEN = np.dtype(
    [
        ("id", "i8"),
        ("level", "f8"),
        ("kind", "i8"),
        ("touches", "i8"),
        ("first", "i8"),
        ("last", "i8"),
        ("taken", "i8"),  # bar that traded through it
        ("open", "f8"),  # of that bar
        ("extreme", "f8"),  # furthest price beyond the level since
    ],
    align=True,
)
_JUDGED = np.dtype(
    [
        ("sweeps", "i8"),  # at this bar
        ("runs", "i8"),
        ("best", _TAKEN),
    ],
    align=True,
)
_WAITING = np.dtype([("pool", _TAKEN, (WAITING,)), ("n", "i8")], align=True)

SWEEPS_STATE = np.dtype(
    [
        ("waiting", _WAITING, (2,)),  # 0 lows, 1 highs
        ("judged", _JUDGED, (2,)),
        ("level", "f8"),
        ("strength", "f8"),
        ("kind", "f8"),
        ("extreme", "f8"),
        ("age", "f8"),
        ("delay", "f8"),
        ("run_level", "f8"),
        *LIQUIDITY_FIELDS,
    ],
    align=True,
)

FIELDS = {
    "sweep": "+1 sell-side liquidity (lows) is swept at this bar, -1 buy-side (highs), else 0",
    "run": "+1 highs taken before are not reclaimed in time at this bar, -1 lows, else 0",
    "low_sweeps": "how many pools of lows are swept at this bar",
    "high_sweeps": "how many pools of highs are swept at this bar",
    "swept_level": "level of the pool swept last, NaN before the first",
    "swept_strength": "touches of that pool",
    "swept_kind": "code of that pool's kind, see the module docstring of liquidity.py",
    "swept_extreme": "furthest price between break and reclaim of that pool: the natural stop",
    "swept_age": "bars between that level's last touch and its sweep",
    "swept_delay": "bars between break and reclaim of that pool, 0 in the same bar",
    "run_level": "level of the pool run last, NaN before the first; of several the furthest",
    "low_waiting": "how many pools of lows are taken and not yet judged",
    "high_waiting": "how many pools of highs are taken and not yet judged",
    **TARGET_FIELDS,
}


@compiled
def sweeps_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state; the time zone comes by `pools_prepare`."""
    pools_init(state, p)
    state.level = NAN
    state.strength = NAN
    state.kind = NAN
    state.extreme = NAN
    state.age = NAN
    state.delay = NAN
    state.run_level = NAN


@compiled
def _await(state, event, bar, now):  # type: ignore[no-untyped-def]
    """Put the pool taken at this bar, by *event*, among those that wait for a judgement."""
    waiting = state.waiting[0 if event.side > 0 else 1]
    pool = waiting.pool[waiting.n]
    waiting.n += 1
    pool.id = event.id
    pool.level = event.side * event.top
    pool.kind = event.pool
    pool.touches = event.count
    pool.first = now - event.origin
    pool.last = now - event.last
    pool.taken = now
    pool.open = event.side * bar.open
    pool.extreme = np.inf


@compiled
def _outranks(pool, other):  # type: ignore[no-untyped-def]
    """Tell whether *pool* is the one to show of two swept in one bar."""
    if pool.touches != other.touches:
        return pool.touches > other.touches
    if pool.level != other.level:
        return pool.level < other.level
    if pool.kind != other.kind:
        return pool.kind > other.kind
    return pool.id > other.id


@compiled
def _rejects(pool, close, p):  # type: ignore[no-untyped-def]
    """Tell whether the bars since *pool* was taken make a candle with the wick asked for."""
    wick = min(pool.open, close) - pool.extreme
    return wick >= p.min_wick * abs(close - pool.open)


@inlined
def _judge(state, sign, bar, now, p):  # type: ignore[no-untyped-def]
    """Judge the waiting pools of one side after one bar."""
    waiting = state.waiting[0 if sign > 0 else 1]
    judged = state.judged[0 if sign > 0 else 1]
    judged.sweeps = 0
    judged.runs = 0
    if waiting.n > 0:
        _judge_all(state, waiting, judged, sign, bar, now, p)


@compiled
def _judge_all(state, waiting, judged, sign, bar, now, p):  # type: ignore[no-untyped-def]
    close = sign * bar.close
    kept = 0
    for i in range(waiting.n):
        pool = waiting.pool[i]
        pool.extreme = min(pool.extreme, seen_low(bar, sign))
        if close > pool.level:
            if p.min_wick > 0.0 and not _rejects(pool, close, p):
                emit_pool(state, SPENT, pool, sign, now, pool.extreme)
                continue
            emit_pool(state, SWEPT, pool, sign, now, pool.extreme)
            if judged.sweeps == 0 or _outranks(pool, judged.best):
                judged.best = pool
            judged.sweeps += 1
        elif now - pool.taken >= p.reclaim:
            emit_pool(state, RUN, pool, sign, now, pool.extreme)
            if judged.runs == 0 or pool.level < state.run_level * sign:
                state.run_level = sign * pool.level
            judged.runs += 1
        else:
            if kept != i:
                waiting.pool[kept] = pool
            kept += 1
    waiting.n = kept


@compiled
def _keep(state, pool, sign, now):  # type: ignore[no-untyped-def]
    state.level = sign * pool.level
    state.strength = pool.touches
    state.kind = pool.kind
    state.extreme = sign * pool.extreme
    state.age = now - pool.last
    state.delay = now - pool.taken


@inlined
def _one_of(low, high):  # type: ignore[no-untyped-def]
    """Return +1 when only *low* happened, -1 when only *high* did, else 0."""
    return (1.0 if low > 0 else 0.0) - (1.0 if high > 0 else 0.0)


@inlined
def _follow(state, bar, now, p, out):  # type: ignore[no-untyped-def]
    """Judge what waits after one closed bar; see the module docstring for the rules."""
    _judge(state, 1, bar, now, p)
    _judge(state, -1, bar, now, p)
    low = state.judged[0]
    high = state.judged[1]
    out.sweep = _one_of(low.sweeps, high.sweeps)
    out.run = -_one_of(low.runs, high.runs)
    if out.sweep > 0.0:
        _keep(state, low.best, 1, now)
    elif out.sweep < 0.0:
        _keep(state, high.best, -1, now)
    out.low_sweeps = low.sweeps
    out.high_sweeps = high.sweeps
    out.swept_level = state.level
    out.swept_strength = state.strength
    out.swept_kind = state.kind
    out.swept_extreme = state.extreme
    out.swept_age = state.age
    out.swept_delay = state.delay
    out.run_level = state.run_level
    out.low_waiting = state.waiting[0].n
    out.high_waiting = state.waiting[1].n


@compiled
def sweeps_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    swing_step(state.swing, bar, p, state.swing_out)
    pools_follow(state, bar, state.swing_out, p)
    now = state.seen - 1
    for i in range(state.n_events):
        if state.events[i].kind == TAKEN:
            _await(state, state.events[i], bar, now)
    _follow(state, bar, now, p, out)
    show_targets(state, out)


@inlined
def _bar_of(taken, place):  # type: ignore[no-untyped-def]
    """Return the bar at which a pool was taken, -1 behind the last one."""
    return taken[place].bar if place < taken.shape[0] else -1


@inlined
def _rests(state):  # type: ignore[no-untyped-def]
    """Tell whether nothing waits and nothing was judged at the last bar."""
    awake = state.waiting[0].n + state.waiting[1].n
    for k in range(2):
        awake += state.judged[k].sweeps + state.judged[k].runs
    return awake == 0


@looped
def _run(states, bars, targets, taken, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    place = 0
    due = _bar_of(taken, place)
    for i in range(bars.shape[0]):
        while due == i:
            _await(state, taken[place].event, bars[i], i)
            place += 1
            due = _bar_of(taken, place)
        if i == 0 or not _rests(state):  # else the row is what it was
            state.n_events = 0
            _follow(state, bars[i], i, p, row)
        keep(targets[i], row)
        keep(row, out[i])


SWEEPS = Concept(
    name="sweeps",
    fields=FIELDS,
    inner=(Inner(TAKEN_POOLS, hands_on=True),),
    events=("sweep", "run", "low_sweeps", "high_sweeps"),
    state=SWEEPS_STATE,
    init=sweeps_init,
    step=sweeps_step,
    run=_run,
    narrows=True,
    prepare=pools_prepare,
    defaults={**LIQUIDITY.defaults, "reclaim": 3, "min_wick": 0.0},
    ranges={**LIQUIDITY.ranges, "reclaim": Int(0, MAX_RECLAIM), "min_wick": Float(0.0, 20.0)},
)


class Sweeps(SmcLine):
    """Liquidity sweeps and runs, and the next targets; see the module docstring."""

    concept = SWEEPS
    lines = SWEEPS.lines
    params = SWEEPS.params
