"""The walk along one bar, and the loop over all bars, compiled: see `matching.py` for the order.

The loop calls the strategy's own `decide` at each close where it can have something to say.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest import fills
from ftbt.backtest.kernel import (
    AT_END,
    BY_LIQUIDATION,
    CANCELLED,
    ENTRY_ROLE,
    EXIT_ROLE,
    LIMIT,
    MARKET,
    NAN,
    OPEN,
    SLOTS,
    STOP,
    STOP_LIMIT,
    STOP_ROLE,
    TARGET1_ROLE,
    TARGET2_ROLE,
    add_order,
    end_order,
    equity_at,
    fill,
    force,
    liquidation_level,
    pay_funding,
    tidy,
)
from ftbt.compiled import compiled
from ftbt.data.precision import nearest_size, round_price
from ftbt.strategy.decide import decide
from ftbt.strategy.records import CANCEL, ENTER, EXIT


@compiled
def _may_trade(book, account, high, low):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        slot = book.slot[k]
        if slot.kind == MARKET:
            return True
        below = (slot.side > 0) == (slot.kind == LIMIT or slot.triggered == 1)
        price = slot.limit if slot.triggered == 1 else slot.price
        if low <= price if below else high >= price:
            return True
    if book.position == 0.0:
        return False
    level = liquidation_level(book, account)
    return low <= level if book.position > 0.0 else high >= level


@compiled
def _next_in_line(book, done, allowed, new_stops):  # type: ignore[no-untyped-def]
    """Return the place of the next order to be offered, -1 for none: market, stops, limits; by age.

    Args:
        book: whose orders.
        done: 1 at the places that had their turn.
        allowed: 1 at the places that may have one.
        new_stops: let stops at the other places have one too.
    """
    best = -1
    best_rank = 9
    for k in range(book.n):
        slot = book.slot[k]
        if slot.active == 0 or slot.status != OPEN or done[k]:
            continue
        if allowed[k] == 0 and not (new_stops and slot.kind == STOP):
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
def _worse(book, account, place, price, slip, bars, out):  # type: ignore[no-untyped-def]
    worse = fills.slipped(book.slot[place].side, price, slip)
    fill(book, account, place, worse, price, False, bars, out)


@compiled
def _at_open(book, account, price, slip, bars, out, done, every):  # type: ignore[no-untyped-def]
    if book.position != 0.0:
        level = liquidation_level(book, account)
        if (book.position > 0.0 and price <= level) or (book.position < 0.0 and price >= level):
            force(book, account, price, price, BY_LIQUIDATION, bars, out)
    done[:] = 0
    every[:] = 1
    while True:
        place = _next_in_line(book, done, every, False)
        if place < 0:
            return
        done[place] = 1
        slot = book.slot[place]
        if slot.kind == MARKET:
            _worse(book, account, place, price, slip, bars, out)
        elif slot.kind == LIMIT or slot.triggered == 1:
            limit = slot.limit if slot.triggered == 1 else slot.price
            got = fills.limit_at_open(slot.side, limit, price)
            if not math.isnan(got):
                fill(book, account, place, got, got, slot.rests == 1, bars, out)
        elif slot.kind == STOP and not math.isnan(fills.stop_at_open(slot.side, slot.price, price)):
            _worse(book, account, place, price, slip, bars, out)


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
def _offer_inside(book, account, place, bar, slip, bars, out):  # type: ignore[no-untyped-def]
    slot = book.slot[place]
    if slot.kind == STOP:
        got = fills.stop_inside(slot.side, slot.price, bar.high, bar.low)
        if not math.isnan(got):
            _worse(book, account, place, got, slip, bars, out)
        return
    if slot.kind == LIMIT or slot.triggered == 1:
        limit = slot.limit if slot.triggered == 1 else slot.price
        got = fills.limit_inside(slot.side, limit, bar.high, bar.low)
    elif slot.kind == STOP_LIMIT:
        got = _trigger(slot, bar.open, bar.high, bar.low, bar.close)
    else:
        return
    if not math.isnan(got):
        fill(book, account, place, got, got, slot.rests == 1, bars, out)


@compiled
def _liquidate_inside(book, account, bar, opened, bars, out):  # type: ignore[no-untyped-def]
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
    force(book, account, price, price, BY_LIQUIDATION, bars, out)


@compiled
def _inside(book, account, bar, slip, bars, out, done, before):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        before[k] = 1 if book.slot[k].active == 1 and book.slot[k].status == OPEN else 0
        book.slot[k].rests = 1
    before[book.n :] = 0
    _liquidate_inside(book, account, bar, bar.open, bars, out)
    done[:] = 0
    for new_stops in (False, True):
        while True:
            place = _next_in_line(book, done, before, new_stops)
            if place < 0:
                break
            done[place] = 1
            _offer_inside(book, account, place, bar, slip, bars, out)
    _liquidate_inside(book, account, bar, NAN, bars, out)


@compiled
def _end_of_bar(book, bar, out):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        slot = book.slot[k]
        if slot.status != OPEN:
            continue
        if slot.role == STOP_ROLE and slot.break_even == 1 and book.target_hit == 1:
            slot.price = round_price(book.entry_price, book.decimals)
            slot.break_even = 0
            slot.moved = 1
            out[0][slot.number - 1].price = slot.price
        elif slot.role == ENTRY_ROLE:
            passed = bar.low <= book.stop if slot.side > 0 else bar.high >= book.stop
            if passed:
                end_order(book, k, CANCELLED, out)


@compiled
def walk(book, account, bar, slip, funding_inside, bars, out, done, flags):  # type: ignore[no-untyped-def]
    """Move all orders of *book* along *bar* (a candle or one of its detail bars)."""
    if not _may_trade(book, account, bar.high, bar.low):
        book.price = bar.close
        for k in range(book.n):
            book.slot[k].rests = 1
        if book.position != 0.0 and funding_inside != 0.0:
            pay_funding(book, account, funding_inside, bar.open)
        return
    book.opening = 1
    _at_open(book, account, bar.open, slip, bars, out, done, flags)
    book.opening = 0
    book.price = bar.open
    if book.position != 0.0 and funding_inside != 0.0:
        pay_funding(book, account, funding_inside, bar.open)
    _inside(book, account, bar, slip, bars, out, done, flags)
    book.price = bar.close
    _end_of_bar(book, bar, out)
    tidy(book)


@compiled
def _child(book, entry, kind, role, size, price, out):  # type: ignore[no-untyped-def]
    """Put a stop or target of *entry* into the book; it waits for the entry's fill."""
    parent = book.slot[entry].number
    place = add_order(book, out, -book.slot[entry].side, kind, role, size, price, price, parent)
    book.slot[place].active = 0
    book.slot[place].reduces = 1
    return place


@compiled
def _enter(book, intent, p, out):  # type: ignore[no-untyped-def]
    """Put the entry with its stop and targets into the book."""
    kind = intent.kind
    limit = intent.limit if kind == STOP_LIMIT else intent.entry
    entry = add_order(book, out, intent.side, kind, ENTRY_ROLE, intent.size, intent.entry, limit, 0)
    book.target_hit = 0
    book.stop = intent.stop
    book.target1 = intent.target1
    book.target2 = intent.target2
    book.confidence = intent.confidence
    book.reason = intent.reason
    size1 = 0.0 if math.isnan(intent.target1) else intent.size1
    size2 = 0.0 if math.isnan(intent.target2) else intent.size - intent.size1
    stop = _child(book, entry, STOP, STOP_ROLE, intent.size, intent.stop, out)
    if size1 > 0.0 and size2 > 0.0:
        size2 = nearest_size(size2, book.decimals)
        book.slot[stop].break_even = p.break_even
    if size1 > 0.0:
        _child(book, entry, LIMIT, TARGET1_ROLE, size1, intent.target1, out)
    if size2 > 0.0:
        _child(book, entry, LIMIT, TARGET2_ROLE, size2, intent.target2, out)


@compiled
def _entry_place(book):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        if book.slot[k].role == ENTRY_ROLE and book.slot[k].status == OPEN:
            return k
    return -1


@compiled
def _finish(book, account, slip, bars, out):  # type: ignore[no-untyped-def]
    """End the run flat: cancel what waits, leave at the last close with cost."""
    for k in range(book.n):
        if book.slot[k].status == OPEN:
            end_order(book, k, CANCELLED, out)
    if book.position != 0.0:
        side = -1 if book.position > 0.0 else 1
        price = fills.slipped(side, book.price, slip)
        force(book, account, price, book.price, AT_END, bars, out)


@compiled
def _advance(book, account, i, bars, costs, detail, out, done, flags):  # type: ignore[no-untyped-def]
    """Move the book along bar *i*, on its detail bars when they tile it."""
    slip, funding_open, funding_inside = costs
    detail_bars, detail_open, detail_inside, first, stop = detail
    book.bar = i
    if book.n == 0 and book.position == 0.0:
        book.time = bars[i].time
        book.price = bars[i].close
    elif stop[i] > 0:
        for row in range(first[i], stop[i]):
            bar = detail_bars[row]
            book.time = bar.time
            if book.position != 0.0 and detail_open[row] != 0.0:
                pay_funding(book, account, detail_open[row], bar.open)
            walk(book, account, bar, slip[i], detail_inside[row], bars, out, done, flags)
    else:
        book.time = bars[i].time
        if book.position != 0.0 and funding_open[i] != 0.0:
            pay_funding(book, account, funding_open[i], bars[i].open)
        walk(book, account, bars[i], slip[i], funding_inside[i], bars, out, done, flags)


@compiled
def _look(book, view, equity, i, entry):  # type: ignore[no-untyped-def]
    """Write into *view* what the strategy knows of its position at the close of bar *i*."""
    held = book.position != 0.0
    view.position = book.position
    view.bars_held = i - book.filled_bar + 1 if held else 0
    view.pending = 0
    if entry >= 0 and not held:
        view.pending = book.slot[entry].side
        view.pending_bars = i - book.asked_bar
    view.leaving = book.leaving
    view.equity = equity


@compiled
def _act(book, intent, p, entry, out):  # type: ignore[no-untyped-def]
    """Turn the intent into orders."""
    if intent.action == ENTER:
        _enter(book, intent, p, out)
        book.asked_bar = book.bar
        book.leaving = 0
    elif intent.action == CANCEL:
        end_order(book, entry, CANCELLED, out)
        tidy(book)
    elif intent.action == EXIT:
        side = -1 if book.position > 0.0 else 1
        place = add_order(book, out, side, MARKET, EXIT_ROLE, abs(book.position), NAN, NAN, 0)
        book.slot[place].reduces = 1
        book.slot[place].exit_reason = intent.exit_reason
        book.leaving = 1


@compiled
def run(  # type: ignore[no-untyped-def]
    bars, setups, p, rules, book, account, view, intent, trade_from, costs, detail, out, equity,
    refused,
):  # fmt: skip
    """Run all bars; results go into *out* (orders, fills, trades, counts), *equity*, *refused*.

    *costs*: slippage, funding at open and inside per bar. *detail*: detail bars, their funding at
    open and inside, and for each bar the first and last row that tile it (0, 0 for none).
    """
    done = np.zeros(SLOTS, np.int64)
    flags = np.zeros(SLOTS, np.int64)
    last = bars.shape[0] - 1
    for i in range(bars.shape[0]):
        waited = _entry_place(book) >= 0
        filled = out[3].fills
        _advance(book, account, i, bars, costs, detail, out, done, flags)
        if i == last:
            _finish(book, account, costs[0][i], bars, out)
        equity[i] = equity_at(book, account, book.price)
        if i < trade_from or i == last:
            continue
        entry = _entry_place(book)
        if waited and entry < 0 and out[3].fills > filled:
            book.filled_bar = i
        if book.position == 0.0:
            book.leaving = 0
            if entry < 0 and setups[i].side == 0:
                continue
        _look(book, view, equity[i], i, entry)
        decide(view, setups[i], bars[i], p, rules, intent)
        if intent.refusal != 0:
            refused[intent.refusal] += 1
        _act(book, intent, p, entry, out)
