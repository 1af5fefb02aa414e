"""The walk along one bar, compiled: see `matching.py` for the order of events."""

from __future__ import annotations

import math

from ftbt.backtest import fills
from ftbt.backtest.kernel import end_order, fill, force, liquidation_level, pay_funding
from ftbt.backtest.kernel_records import (
    AT_END,
    BY_LIQUIDATION,
    CANCELLED,
    ENTRY_ROLE,
    LIMIT,
    MARKET,
    NAN,
    OPEN,
    STOP,
    STOP_LIMIT,
    STOP_ROLE,
    TURN_DONE,
    TURN_DUE,
    TURN_LATE,
)
from ftbt.compiled import compiled
from ftbt.data.precision import round_price

# Of the liquidation price: far more than its rounding error, far less than a tick.
_LEVEL_MARGIN = 1e-9


@compiled
def _may_trade(book, account, high, low):  # type: ignore[no-untyped-def]
    """Tell whether a bar may change anything; targets of an entry that waits can't trade yet."""
    for k in range(book.n):
        slot = book.slot[k]
        if slot.kind == MARKET:
            return True
        if slot.active == 0 and slot.kind == LIMIT:
            continue
        below = (slot.side > 0) == (slot.kind == LIMIT or slot.triggered == 1)
        price = slot.limit if slot.triggered == 1 else slot.price
        if low <= price if below else high >= price:
            return True
    if book.position == 0.0:
        return False
    level = liquidation_level(book, account)
    return low <= level if book.position > 0.0 else high >= level


@compiled
def _next_in_line(book, late_stops):  # type: ignore[no-untyped-def]
    """Return the place of the next order to be offered, -1 for none: market, stops, limits; by age.

    Each has one turn. *late_stops*: stops that became active on the way have theirs, too.
    """
    best = -1
    best_rank = 9
    for k in range(book.n):
        slot = book.slot[k]
        if slot.active == 0 or slot.status != OPEN or slot.turn == TURN_DONE:
            continue
        if slot.turn == TURN_LATE and not (late_stops and slot.kind == STOP):
            continue
        rank = 2
        if slot.kind == MARKET:
            rank = 0
        elif (slot.kind == STOP or slot.kind == STOP_LIMIT) and slot.triggered == 0:
            rank = 1
        if rank < best_rank:  # places are in order of age
            best = k
            best_rank = rank
    return best


@compiled
def _worse(book, account, slot, price, slip):  # type: ignore[no-untyped-def]
    worse = fills.slipped(slot.side, price, slip, book.decimals)
    fill(book, account, slot, worse, price, False)


@compiled
def _at_open(book, account, price, slip):  # type: ignore[no-untyped-def]
    if book.position != 0.0:
        level = liquidation_level(book, account)
        if (book.position > 0.0 and price <= level) or (book.position < 0.0 and price >= level):
            force(book, account, price, price, BY_LIQUIDATION)
    for k in range(book.n):
        book.slot[k].turn = TURN_DUE
    while True:
        place = _next_in_line(book, False)
        if place < 0:
            return
        slot = book.slot[place]
        slot.turn = TURN_DONE
        if slot.kind == MARKET:
            _worse(book, account, slot, price, slip)
        elif slot.kind == LIMIT or slot.triggered == 1:
            limit = slot.limit if slot.triggered == 1 else slot.price
            got = fills.limit_at_open(slot.side, limit, price)
            if not math.isnan(got):
                paid = got
                if slot.rests == 0:
                    paid = fills.limit_on_arrival(slot.side, limit, got, slip, book.decimals)
                fill(book, account, slot, paid, got, slot.rests == 1)
        elif slot.kind == STOP and not math.isnan(fills.stop_at_open(slot.side, slot.price, price)):
            _worse(book, account, slot, price, slip)


@compiled
def _trigger(slot, opened, high, low, close):  # type: ignore[no-untyped-def]
    side = slot.side
    hit, got = fills.stop_limit_at_open(side, slot.price, slot.limit, opened, high, low, close)
    if not hit:
        hit, got = fills.stop_limit_inside(side, slot.price, slot.limit, opened, high, low, close)
    slot.triggered = 1 if hit else 0
    first = max(side * opened, side * slot.price)
    limit = side * slot.limit
    slot.rests = 1 if first > limit or (first == limit and first > side * opened) else 0
    return got


@compiled
def _offer_inside(book, account, slot, bar, slip):  # type: ignore[no-untyped-def]
    if slot.kind == STOP:
        got = fills.stop_inside(slot.side, slot.price, bar.high, bar.low)
        if not math.isnan(got):
            _worse(book, account, slot, got, slip)
        return
    if slot.kind == LIMIT or slot.triggered == 1:
        limit = slot.limit if slot.triggered == 1 else slot.price
        got = fills.limit_inside(slot.side, limit, bar.high, bar.low)
    elif slot.kind == STOP_LIMIT:
        got = _trigger(slot, bar.open, bar.high, bar.low, bar.close)
    else:
        return
    if not math.isnan(got):
        fill(book, account, slot, got, got, slot.rests == 1)


@compiled
def _liquidate_inside(book, account, bar, opened):  # type: ignore[no-untyped-def]
    if book.position == 0.0:
        return
    level = liquidation_level(book, account)
    side = 1.0 if book.position > 0.0 else -1.0
    reached = bar.low <= level if side > 0.0 else bar.high >= level
    if not reached:
        return
    for k in range(book.n):
        slot = book.slot[k]
        shields = slot.active == 1 and slot.status == OPEN and slot.kind == STOP
        if shields and slot.side == -side and side * (slot.price - level) >= 0.0:
            return
    price = opened if side * (opened - level) < 0.0 else level
    force(book, account, price, price, BY_LIQUIDATION)


@compiled
def _inside(book, account, bar, slip):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        slot = book.slot[k]
        slot.turn = TURN_DUE if slot.active == 1 and slot.status == OPEN else TURN_LATE
        slot.rests = 1
    _liquidate_inside(book, account, bar, bar.open)
    for late_stops in (False, True):
        while True:
            place = _next_in_line(book, late_stops)
            if place < 0:
                break
            slot = book.slot[place]
            slot.turn = TURN_DONE
            _offer_inside(book, account, slot, bar, slip)
    _liquidate_inside(book, account, bar, NAN)


@compiled
def _end_of_bar(book, bar):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        slot = book.slot[k]
        if slot.status != OPEN:
            continue
        if slot.role == STOP_ROLE and slot.break_even == 1 and book.target_hit == 1:
            slot.price = round_price(book.entry_price, book.decimals)
            slot.break_even = 0
            slot.moved = 1
        elif slot.role == ENTRY_ROLE:
            passed = bar.low <= book.stop if slot.side > 0 else bar.high >= book.stop
            if passed:
                end_order(book, slot, CANCELLED)


@compiled
def walk(book, account, bar, slip, funding_inside):  # type: ignore[no-untyped-def]
    """Move all orders of *book* along *bar* (a candle or one of its detail bars)."""
    book.opening = 1
    _at_open(book, account, bar.open, slip)
    book.opening = 0
    book.price = bar.open
    if book.position != 0.0 and funding_inside != 0.0:
        pay_funding(book, account, funding_inside, bar.open)
    _inside(book, account, bar, slip)
    book.price = bar.close
    _end_of_bar(book, bar)


@compiled
def set_band(book, account):  # type: ignore[no-untyped-def]
    """Note between which prices a bar reaches nothing: most bars do, and cost next to nothing then.

    To be called after whatever changes orders, position or equity. The liquidation price gets a
    margin, because each bar computes it anew from its own prices: a bar inside of that margin is
    looked at closely, by `_may_trade`.
    """
    floor = -math.inf
    ceiling = math.inf
    for k in range(book.n):
        slot = book.slot[k]
        if slot.kind == MARKET:
            floor = math.inf
        if slot.active == 0 and slot.kind == LIMIT:
            continue
        below = (slot.side > 0) == (slot.kind == LIMIT or slot.triggered == 1)
        price = slot.limit if slot.triggered == 1 else slot.price
        if below:
            floor = max(floor, price)
        else:
            ceiling = min(ceiling, price)
    if book.position != 0.0:
        level = liquidation_level(book, account)
        margin = _LEVEL_MARGIN * (level + book.price)
        if book.position > 0.0 and not math.isnan(level):
            floor = max(floor, level + margin)
        elif not math.isnan(level):
            ceiling = min(ceiling, level - margin)
    book.floor = floor
    book.ceiling = ceiling


@compiled
def begin(book, account, bar, funding_open):  # type: ignore[no-untyped-def]
    """Let *bar* begin: pay the funding that is due at its open."""
    book.time = bar.time
    if book.position != 0.0 and funding_open != 0.0:
        pay_funding(book, account, funding_open, bar.open)
        set_band(book, account)


@compiled
def reaches(book, account, bar):  # type: ignore[no-untyped-def]
    """Tell whether *bar* may fill or liquidate anything."""
    if bar.low > book.floor and bar.high < book.ceiling:
        return False
    return _may_trade(book, account, bar.high, bar.low)


@compiled
def pass_by(book, account, bar, funding_inside):  # type: ignore[no-untyped-def]
    """Let *bar*, which reaches nothing, be over."""
    book.price = bar.close
    for k in range(book.n):
        book.slot[k].rests = 1
    if book.position != 0.0 and funding_inside != 0.0:
        pay_funding(book, account, funding_inside, bar.open)
        set_band(book, account)


@compiled
def finish(book, account, slip):  # type: ignore[no-untyped-def]
    """End the run flat: cancel what waits, leave at the last close with cost."""
    for k in range(book.n):
        slot = book.slot[k]
        if slot.status == OPEN:
            end_order(book, slot, CANCELLED)
    if book.position != 0.0:
        side = -1 if book.position > 0.0 else 1
        price = fills.slipped(side, book.price, slip, book.decimals)
        force(book, account, price, book.price, AT_END)
