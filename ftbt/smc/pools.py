"""The machine behind liquidity pools: rows of equal swings, levels of periods, what is taken when.

The rules are told in `liquidity.py`, whose lines show these pools; `sweeps.py` judges those taken.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined
from ftbt.smc.base import NAN, Records
from ftbt.smc.baselines import WILDER_STATE, wilder_step
from ftbt.smc.ledger import CAPACITY, CREATED, EXPIRED, GROWN, SIZE, TAKEN, seen_low
from ftbt.smc.periods import PERIODS_STATE, periods_init, periods_take
from ftbt.smc.sessions import (
    SESSIONS,
    SESSIONS_STATE,
    sessions_init,
    sessions_prepare,
    sessions_step,
)
from ftbt.smc.swings import SWING_STATE, SWINGS, swing_init

SWING_POOL = np.int64(1)
EQUAL_POOL = np.int64(2)
DAY_POOL = np.int64(3)
WEEK_POOL = np.int64(4)
SESSION_POOL = np.int64(5)  # and the two codes after it
SESSIONS_USED = 3

ROWS = 32
NEW_POOLS = 3 + SESSIONS_USED  # most that one side can get in one bar
MAX_RECLAIM = 10
# Taken pools that a sweep may still have to judge: see `sweeps.py`.
WAITING = SIZE + NEW_POOLS * (MAX_RECLAIM + 1)

# All prices on the side of highs are negated; see `ledger.py`.
POOL = np.dtype(
    [
        ("id", "i8"),
        ("level", "f8"),
        ("kind", "i8"),
        ("touches", "i8"),
        ("first", "i8"),  # bar of the first touch
        ("last", "i8"),  # bar of the last touch
        ("expiry", "i8"),  # bar at which it is too old
    ],
    align=True,
)
ROW = np.dtype(
    [
        ("extreme", "f8"),
        ("inner", "f8"),  # the touch furthest from the extreme
        ("sum", "f8"),
        ("touches", "i8"),
        ("first", "i8"),
        ("last", "i8"),
        ("worst", "f8"),  # furthest price towards and beyond the row since its last touch
        ("pool", "i8"),  # id of its pool, 0 for none
        ("bound", "f8"),  # the highest extreme of this row and all before it
    ],
    align=True,
)
POOL_EVENT = np.dtype(
    [
        ("kind", "i8"),
        ("id", "i8"),
        ("side", "i8"),  # +1 sell-side liquidity (lows), -1 buy-side (highs)
        ("origin", "i8"),  # bars back to the first touch
        ("last", "i8"),  # bars back to the last touch
        ("pool", "i8"),  # code of the kind of pool
        ("count", "i8"),  # touches
        ("top", "f8"),
        ("bottom", "f8"),
        ("extreme", "f8"),  # of a judged pool: how far the price went beyond it; else NaN
    ],
    align=True,
)
_NEVER = np.iinfo(np.int64).max
_SESSION_CHOICE = np.dtype([("session", "i8"), ("start", "i8"), ("end", "i8")], align=True)
_SIDE = np.dtype(
    [
        ("pool", POOL, (SIZE,)),
        ("n", "i8"),
        ("nearest", "i8"),  # place of the nearest pool, -1 for none
        ("reach", "f8"),  # its level: nothing is taken while the price stays above it
        ("due", "i8"),  # no pool of a swing expires before this bar
        ("row", ROW, (ROWS,)),
        ("rows", "i8"),
        ("watch", "f8"),  # no row is traded beyond while the price stays above this
    ],
    align=True,
)

LIQUIDITY_FIELDS = [
    ("events", POOL_EVENT, (2 * (SIZE + 3 * NEW_POOLS + WAITING),)),
    ("n_events", "i8"),
    ("n_taken", "i8"),  # of these events
    ("last_id", "i8"),
    ("seen", "i8"),  # bars seen
    ("side", _SIDE, (2,)),  # 0 lows, 1 highs
    ("swing", SWING_STATE),
    ("swing_out", SWINGS.out),
    ("atr", WILDER_STATE),
    ("periods", PERIODS_STATE),
    ("session", SESSIONS_STATE, (SESSIONS_USED,)),
    ("session_choice", _SESSION_CHOICE, (SESSIONS_USED,)),
    ("session_out", SESSIONS.out),
]


@inlined
def _expiry(kind, now, p):  # type: ignore[no-untyped-def]
    """Return the bar at which a pool that became known, or grew, at bar *now* is too old."""
    return now + p.max_age + 1 if kind <= EQUAL_POOL else _NEVER


@inlined
def _nearer(side, place, nearest, reach):  # type: ignore[no-untyped-def]
    """Return place and level of the nearest pool: that at *place*, or *nearest* at *reach*.

    Of equally near ones it is the stronger, then the newer.
    """
    pool = side.pool[place]
    nearer = pool.level > reach
    if pool.level == reach:
        nearer = pool.touches >= side.pool[nearest].touches
    return (place, pool.level) if nearer else (nearest, reach)


@compiled
def _look_up(side):  # type: ignore[no-untyped-def]
    """Look up what saves walking through the pools of one side bar by bar."""
    nearest = -1
    reach = -np.inf
    due = _NEVER
    for i in range(side.n):
        nearest, reach = _nearer(side, i, nearest, reach)
        due = min(due, side.pool[i].expiry)
    side.nearest = nearest
    side.reach = reach
    side.due = due


@compiled
def pools_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state; the time zone comes by `pools_prepare`."""
    swing_init(state.swing, p)
    periods_init(state.periods, p)
    for k in range(SESSIONS_USED):
        sessions_init(state.session[k], p)
        state.session_choice[k].session = k
    for k in range(2):
        _look_up(state.side[k])


def pools_prepare(state: Records, parameters: Records) -> None:
    """Write the time zone's table into *state* when session levels are asked for."""
    if int(parameters["session_levels"][0]):
        sessions_prepare(state["session"], parameters)


@compiled
def emit_pool(state, kind, pool, sign, now, extreme):  # type: ignore[no-untyped-def]
    """Write into the ledger what happened to *pool* at bar *now*."""
    event = state.events[state.n_events]
    state.n_events += 1
    event.kind = kind
    event.id = pool.id
    event.side = sign
    event.origin = now - pool.first
    event.last = now - pool.last
    event.pool = pool.kind
    event.count = pool.touches
    event.top = sign * pool.level
    event.bottom = sign * pool.level
    event.extreme = sign * extreme


@compiled
def _end(state, side, place, kind, sign, now):  # type: ignore[no-untyped-def]
    """Take the pool at *place* off the book by an event *kind*."""
    emit_pool(state, kind, side.pool[place], sign, now, NAN)
    for i in range(place + 1, side.n):
        side.pool[i - 1] = side.pool[i]
    side.n -= 1
    _look_up(side)


@compiled
def _open(state, sign, level, kind, touches, first, last, now, p):  # type: ignore[no-untyped-def]
    """Make a pool known at bar *now*; return its id."""
    side = state.side[0 if sign > 0 else 1]
    if side.n >= p.capacity:
        _end(state, side, 0, CAPACITY, sign, now)
    pool = side.pool[side.n]
    side.n += 1
    state.last_id += 1
    pool.id = state.last_id
    pool.level = level
    pool.kind = kind
    pool.touches = touches
    pool.first = first
    pool.last = last
    pool.expiry = _expiry(kind, now, p)
    side.nearest, side.reach = _nearer(side, side.n - 1, side.nearest, side.reach)
    side.due = min(side.due, pool.expiry)
    emit_pool(state, CREATED, pool, sign, now, NAN)
    return pool.id


@compiled
def _replace(state, sign, kind, price, bar, now, p):  # type: ignore[no-untyped-def]
    """Put the level of a completed period in the place of the one before it."""
    side = state.side[0 if sign > 0 else 1]
    for i in range(side.n):
        if side.pool[i].kind == kind:
            _end(state, side, i, EXPIRED, sign, now)
            break
    _open(state, sign, sign * price, kind, 1, bar, bar, now, p)


@compiled
def _replace_period(state, sign, kind, period, now, p):  # type: ignore[no-untyped-def]
    price = period.last_low if sign > 0 else period.last_high
    bar = period.last_low_bar if sign > 0 else period.last_high_bar
    _replace(state, sign, kind, price, bar, now, p)


@compiled
def _replace_periods(state, new_day, new_week, now, p):  # type: ignore[no-untyped-def]
    for sign in (1, -1):
        if p.day_levels == 1 and new_day > 0.0:
            _replace_period(state, sign, DAY_POOL, state.periods.day, now, p)
        if p.week_levels == 1 and new_week > 0.0:
            _replace_period(state, sign, WEEK_POOL, state.periods.week, now, p)


@inlined
def _take_periods(state, bar, now, p):  # type: ignore[no-untyped-def]
    new_day, new_week = periods_take(state.periods, bar, p)
    if new_day + new_week > 0.0:
        _replace_periods(state, new_day, new_week, now, p)


@compiled
def _take_sessions(state, bar, now, p):  # type: ignore[no-untyped-def]
    for k in range(SESSIONS_USED):
        if p.session_levels != SESSIONS_USED + 1 and p.session_levels != k + 1:
            continue
        sessions_step(state.session[k], bar, state.session_choice[k], state.session_out)
        out = state.session_out
        if out.done == 0.0:
            continue
        for sign in (1, -1):
            price = out.final_low if sign > 0 else out.final_high
            origin = out.final_low_origin if sign > 0 else out.final_high_origin
            _replace(state, sign, SESSION_POOL + k, price, now - int(origin), now, p)


@compiled
def _distance(size, unit, atr, price):  # type: ignore[no-untyped-def]
    """Return *size* in price: of average true ranges, or as a fraction of *price*."""
    return size * (atr if unit == 0 else abs(price))


@inlined
def _advance(state, sign, bar, atr, now, p):  # type: ignore[no-untyped-def]
    """Take one bar into the pools of one side: too old ones expire, others are taken."""
    side = state.side[0 if sign > 0 else 1]
    low = seen_low(bar, sign)
    if (low < side.reach) | (now >= side.due):
        _take(state, side, sign, low, atr, now, p)
    if low < side.watch:
        _wear(side, low, atr, p)


@compiled
def _take(state, side, sign, low, atr, now, p):  # type: ignore[no-untyped-def]
    """Walk through the pools of one side at a bar that changes some of them."""
    nearest = -1
    reach = -np.inf
    due = _NEVER
    kept = 0
    for i in range(side.n):
        pool = side.pool[i]
        if now >= pool.expiry:
            emit_pool(state, EXPIRED, pool, sign, now, NAN)
            continue
        if low < pool.level:
            margin = 0.0
            if p.penetration > 0.0:
                margin = _distance(p.penetration, p.penetration_unit, atr, pool.level)
            if low < pool.level - margin:
                emit_pool(state, TAKEN, pool, sign, now, NAN)
                state.n_taken += 1
                continue
        if kept != i:
            side.pool[kept] = pool
        nearest, reach = _nearer(side, kept, nearest, reach)
        due = min(due, pool.expiry)
        kept += 1
    side.n = kept
    side.nearest = nearest
    side.reach = reach
    side.due = due


@compiled
def _bound(side, first):  # type: ignore[no-untyped-def]
    """Bound the extremes of the rows from the place *first* on, which have changed."""
    highest = side.row[first - 1].bound if first > 0 else -np.inf
    for i in range(first, side.rows):
        highest = max(highest, side.row[i].extreme)
        side.row[i].bound = highest
    side.watch = highest


@compiled
def _wear(side, low, atr, p):  # type: ignore[no-untyped-def]
    """Let a bar trade beyond the rows of one side."""
    # The newest rows are the nearest to the price, but for those within a tolerance.
    first = side.rows
    while first > 0 and low < side.row[first - 1].bound:
        first -= 1
    kept = first
    for i in range(first, side.rows):
        row = side.row[i]
        if low < row.extreme:
            row.worst = min(row.worst, low)
            if low < row.extreme - _distance(p.tolerance, p.tolerance_unit, atr, row.extreme):
                continue
        if kept != i:
            side.row[kept] = row
        kept += 1
    side.rows = kept
    _bound(side, first)


@compiled
def _row_level(row, p):  # type: ignore[no-untyped-def]
    return row.extreme if p.level == 0 else row.sum / row.touches


@compiled
def _find_row(side, price, tolerance, now, p):  # type: ignore[no-untyped-def]
    """Return the place of the row that a swing at *price* touches, -1 for none."""
    best = -1
    nearest = np.inf
    for i in range(side.rows - 1, -1, -1):
        row = side.row[i]
        if not price - row.bound <= tolerance:
            break  # neither this row nor any before it comes as near
        extreme = min(row.extreme, price)
        if not max(row.inner, price) - extreme <= tolerance:
            continue
        if row.worst < extreme or now - row.last > p.max_age:
            continue
        distance = abs(price - _row_level(row, p))
        if distance < nearest:
            nearest = distance
            best = i
    return best


@compiled
def _new_row(side, price, anchor):  # type: ignore[no-untyped-def]
    """Begin a row behind the others; return its place."""
    if side.rows == ROWS:
        for i in range(1, ROWS):
            side.row[i - 1] = side.row[i]
        side.rows -= 1
        _bound(side, 0)
    row = side.row[side.rows]
    side.rows += 1
    row.extreme = price
    row.inner = price
    row.sum = 0.0
    row.touches = 0
    row.first = anchor
    row.pool = 0
    return side.rows - 1


@compiled
def _grow(state, side, row, kind, sign, now, p):  # type: ignore[no-untyped-def]
    """Let the pool of *row* grow with it; return False when it has none that lives."""
    if row.pool == 0:
        return False
    for i in range(side.n):
        pool = side.pool[i]
        if pool.id == row.pool:
            pool.level = _row_level(row, p)
            pool.kind = kind
            pool.touches = row.touches
            pool.last = row.last
            pool.expiry = _expiry(kind, now, p)
            _look_up(side)
            emit_pool(state, GROWN, pool, sign, now, NAN)
            return True
    return False


@compiled
def _touch(state, sign, price, atr, now, p):  # type: ignore[no-untyped-def]
    """Take a swing of one side, confirmed at bar *now*, into the rows and pools."""
    side = state.side[0 if sign > 0 else 1]
    anchor = now - p.right
    tolerance = _distance(p.tolerance, p.tolerance_unit, atr, price)
    place = _find_row(side, price, tolerance, now, p)
    if place < 0:
        place = _new_row(side, price, anchor)
    row = side.row[place]
    row.extreme = min(row.extreme, price)
    row.inner = max(row.inner, price)
    row.sum += price
    row.touches += 1
    row.last = anchor
    row.worst = row.extreme
    _bound(side, place)
    kind = EQUAL_POOL if row.touches >= p.min_touches else SWING_POOL
    if _grow(state, side, row, kind, sign, now, p):
        return
    if kind == EQUAL_POOL or p.singles == 1:
        level = _row_level(row, p)
        row.pool = _open(state, sign, level, kind, row.touches, row.first, row.last, now, p)


@inlined
def pools_follow(state, bar, swing, p):  # type: ignore[no-untyped-def]
    """Take one closed bar with its swings into the pools; what happened stands in the ledger."""
    now = state.seen
    state.seen += 1
    state.n_events = 0
    state.n_taken = 0
    atr = wilder_step(state.atr, bar, p.baseline_length)
    _take_periods(state, bar, now, p)
    for sign in (1, -1):
        _advance(state, sign, bar, atr, now, p)
    if p.session_levels > 0:
        _take_sessions(state, bar, now, p)
    if swing.low_event > 0.0:
        _touch(state, 1, swing.low, atr, now, p)
    if swing.high_event > 0.0:
        _touch(state, -1, -swing.high, atr, now, p)
