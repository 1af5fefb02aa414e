"""The execution model on records: the same walk as `matching.py` and `desk.py`, compiled.

One book holds at most one bracket - an entry with its stop and targets - and one closing order:
what a `SetupStrategy` can send. Every rule stands in the same order as in the reference, so that
orders, fills and trades are the same; fill prices come from the very same functions.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest import fills
from ftbt.backtest.result import ExitReason, Kind, Role, Status
from ftbt.compiled import compiled
from ftbt.data.precision import floor_size, nearest_size

SLOTS = 8

# One working order.
SLOT = np.dtype(
    [
        ("number", "i8"),
        ("side", "i8"),
        ("kind", "i8"),
        ("role", "i8"),
        ("price", "f8"),
        ("limit", "f8"),
        ("remaining", "f8"),
        ("active", "i8"),
        ("rests", "i8"),
        ("triggered", "i8"),
        ("reduces", "i8"),
        ("status", "i8"),
        ("break_even", "i8"),
        ("moved", "i8"),
        ("exit_reason", "i8"),
    ],
    align=True,
)
BOOK = np.dtype(
    [
        ("slot", SLOT, (SLOTS,)),
        ("n", "i8"),
        ("position", "f8"),
        ("mean", "f8"),
        ("price", "f8"),
        ("bar", "i8"),
        ("time", "i8"),
        ("opening", "i8"),
        # a bar that stays above the floor and below the ceiling reaches nothing
        ("floor", "f8"),
        ("ceiling", "f8"),
        ("begun", "i8"),  # bar whose funding at the open is paid
        # the bracket
        ("left", "f8"),
        ("entry_price", "f8"),
        ("target_hit", "i8"),
        ("stop", "f8"),
        ("target1", "f8"),
        ("target2", "f8"),
        ("confidence", "f8"),
        ("reason", "i8"),
        # what the decision remembers
        ("asked_bar", "i8"),
        ("filled_bar", "i8"),
        ("leaving", "i8"),
        # the trade in progress
        ("trading", "i8"),
        ("entry_bar", "i8"),
        ("entry_time", "i8"),
        ("side", "i8"),
        ("bought", "f8"),
        ("bought_value", "f8"),
        ("sold", "f8"),
        ("sold_value", "f8"),
        ("largest", "f8"),
        ("fees", "f8"),
        ("funding", "f8"),
        ("slippage", "f8"),
        # the symbol's rules
        ("decimals", "i8"),
        ("leverage", "f8"),
        ("maintenance", "f8"),
    ],
    align=True,
)
ACCOUNT = np.dtype([("cash", "f8"), ("taker", "f8"), ("maker", "f8")], align=True)
COUNTS = np.dtype(
    [("orders", "i8"), ("fills", "i8"), ("trades", "i8"), ("margin", "i8")], align=True
)

NAN = math.nan
MARKET = int(Kind.MARKET)
LIMIT = int(Kind.LIMIT)
STOP = int(Kind.STOP)
STOP_LIMIT = int(Kind.STOP_LIMIT)
ENTRY_ROLE = int(Role.ENTRY)
STOP_ROLE = int(Role.STOP)
TARGET1_ROLE = int(Role.TARGET1)
TARGET2_ROLE = int(Role.TARGET2)
EXIT_ROLE = int(Role.EXIT)
OPEN = int(Status.OPEN)
FILLED = int(Status.FILLED)
CANCELLED = int(Status.CANCELLED)
MARGIN = int(Status.MARGIN)
BY_STOP = int(ExitReason.STOP)
BY_TARGET1 = int(ExitReason.TARGET1)
BY_TARGET2 = int(ExitReason.TARGET2)
BY_BREAK_EVEN = int(ExitReason.BREAK_EVEN)
BY_LIQUIDATION = int(ExitReason.LIQUIDATION)
AT_END = int(ExitReason.END)


@compiled
def equity_at(book, account, price):  # type: ignore[no-untyped-def]
    """Return the equity when the symbol trades at *price*."""
    return account.cash + book.position * (price - book.mean)


@compiled
def add_order(book, out, side, kind, role, size, price, limit, parent):  # type: ignore[no-untyped-def]
    """Put a new order into the book and the table; return its slot."""
    orders, _, _, counts = out
    number = counts.orders + 1
    counts.orders = number
    row = orders[number - 1]
    row.id = number
    row.parent = parent
    row.bar = book.bar
    row.side = side
    row.kind = kind
    row.role = role
    row.size = size
    row.price = NAN if kind == MARKET else price
    row.limit = limit if kind == STOP_LIMIT else NAN
    row.filled = 0.0
    row.status = OPEN
    row.end_bar = -1
    place = book.n
    book.n += 1
    slot = book.slot[place]
    slot.number = number
    slot.side = side
    slot.kind = kind
    slot.role = role
    slot.price = NAN if kind == MARKET else price
    slot.limit = limit
    slot.remaining = size
    slot.active = 1
    slot.rests = 1
    if kind == LIMIT and not side * (price - book.price) < 0.0:
        slot.rests = 0  # the last price has passed it: it trades at once, as a taker
    slot.triggered = 0
    slot.reduces = 0
    slot.status = OPEN
    slot.break_even = 0
    slot.moved = 0
    slot.exit_reason = 0
    return place


@compiled
def _close_slot(book, place, status, out):  # type: ignore[no-untyped-def]
    slot = book.slot[place]
    slot.status = status
    slot.active = 0
    row = out[0][slot.number - 1]
    row.status = status
    row.end_bar = book.bar


@compiled
def end_order(book, place, status, out):  # type: ignore[no-untyped-def]
    """End an order without a fill; an unfilled entry takes its children along."""
    _close_slot(book, place, status, out)
    if book.slot[place].role == ENTRY_ROLE:
        for k in range(book.n):
            if book.slot[k].reduces == 1 and book.slot[k].status == OPEN:
                _close_slot(book, k, CANCELLED, out)


@compiled
def tidy(book):  # type: ignore[no-untyped-def]
    """Drop ended orders from the book."""
    kept = 0
    for k in range(book.n):
        if book.slot[k].status == OPEN:
            if kept != k:
                book.slot[kept] = book.slot[k]
            kept += 1
    book.n = kept


@compiled
def _move(book, signed, price):  # type: ignore[no-untyped-def]
    """Change the position; return the unsigned (opened, closed) parts."""
    old = book.position
    new = nearest_size(old + signed, book.decimals)
    closed = min(abs(old), abs(signed)) if old * signed < 0.0 else 0.0
    grown = max(0.0, abs(new) - abs(old))
    opened = abs(new) if new * old < 0.0 or old == 0.0 else grown
    if new == 0.0:
        book.mean = 0.0
    elif opened > 0.0 and closed == 0.0 and old != 0.0:
        book.mean = (book.mean * abs(old) + price * opened) / abs(new)
    elif opened > 0.0:
        book.mean = price
    book.position = new
    return opened, closed


@compiled
def _reason(slot):  # type: ignore[no-untyped-def]
    if slot.exit_reason != 0:
        return slot.exit_reason
    if slot.moved == 1:
        return BY_BREAK_EVEN
    if slot.role == STOP_ROLE:
        return BY_STOP
    return BY_TARGET2 if slot.role == TARGET2_ROLE else BY_TARGET1


@compiled
def _finish_trade(book, bars, reason, out):  # type: ignore[no-untyped-def]
    _, _, trades, counts = out
    row = trades[counts.trades]
    counts.trades += 1
    book.trading = 0
    side = book.side
    entry = book.bought_value / book.bought
    leave = book.sold_value / book.sold
    gross = side * (book.sold_value - book.bought_value)
    net = gross - book.fees - book.funding
    risk = book.largest * abs(entry - book.stop)
    low = bars[book.entry_bar].low
    high = bars[book.entry_bar].high
    for i in range(book.entry_bar + 1, book.bar + 1):
        low = min(low, bars[i].low)
        high = max(high, bars[i].high)
    worst = low if side > 0 else high
    best = high if side > 0 else low
    row.entry_bar = book.entry_bar
    row.exit_bar = book.bar
    row.entry_time = book.entry_time
    row.exit_time = book.time
    row.side = side
    row.size = book.largest
    row.entry_price = entry
    row.exit_price = leave
    row.stop = book.stop
    row.target1 = book.target1
    row.target2 = book.target2
    row.gross = gross
    row.fees = book.fees
    row.funding = book.funding
    row.slippage = book.slippage
    row.net = net
    row.r = net / risk if risk > 0.0 else NAN
    row.mae = min(0.0, side * (worst / entry - 1.0))
    row.mfe = max(0.0, side * (best / entry - 1.0))
    row.confidence = book.confidence
    row.entry_reason = book.reason
    row.exit_reason = reason


@compiled
def _record(book, bars, side, opened, closed, price, fee, slippage, reason, out):  # type: ignore[no-untyped-def]
    """Carry a fill into the trade in progress."""
    if closed > 0.0:
        book.sold += closed
        book.sold_value += closed * price
        book.fees += fee
        book.slippage += slippage
        if book.position == 0.0:
            _finish_trade(book, bars, reason, out)
    if opened > 0.0:
        if book.trading == 0:
            book.trading = 1
            book.entry_bar = book.bar
            book.entry_time = book.time
            book.side = side
            book.bought = book.bought_value = book.sold = book.sold_value = 0.0
            book.largest = book.fees = book.funding = book.slippage = 0.0
        book.bought += opened
        book.bought_value += opened * price
        book.largest = max(book.largest, book.bought - book.sold)
        book.fees += fee
        book.slippage += slippage


@compiled
def _after_fill(book, place, size, price, out):  # type: ignore[no-untyped-def]
    slot = book.slot[place]
    if slot.role == ENTRY_ROLE:
        book.left = size
        book.entry_price = price
        book.filled_bar = book.bar
        for k in range(book.n):
            child = book.slot[k]
            if child.reduces == 1 and child.status == OPEN:
                child.active = 1
                child.remaining = min(child.remaining, size)
                child.rests = 0 if book.opening == 1 else 1
    elif slot.reduces == 1 and slot.role != EXIT_ROLE:
        if slot.role != STOP_ROLE:
            book.target_hit = 1
        book.left = floor_size(max(0.0, book.left - size) + 1e-12, book.decimals)
        for k in range(book.n):
            child = book.slot[k]
            if child.reduces == 1 and child.status == OPEN:
                child.remaining = min(child.remaining, book.left)
                if child.remaining <= 0.0:
                    _close_slot(book, k, CANCELLED, out)
    if book.position == 0.0:
        for k in range(book.n):
            child = book.slot[k]
            if child.reduces == 1 and child.active == 1 and child.status == OPEN:
                _close_slot(book, k, CANCELLED, out)


@compiled
def _has_margin(book, account, side, size, price):  # type: ignore[no-untyped-def]
    after = book.position + side * size
    if abs(after) <= abs(book.position):
        return True
    needed = abs(after) * price / book.leverage
    return needed <= equity_at(book, account, price) * (1.0 + 1e-9)


@compiled
def fill(book, account, place, price, plain, maker, bars, out):  # type: ignore[no-untyped-def]
    """Fill all that remains of an order, then settle what hangs on it."""
    slot = book.slot[place]
    side = slot.side
    size = slot.remaining
    if slot.reduces == 1:
        size = min(size, abs(book.position)) if side * book.position < 0.0 else 0.0
    if size <= 0.0:
        end_order(book, place, CANCELLED, out)
        return
    if not _has_margin(book, account, side, size, price):
        out[3].margin += 1
        end_order(book, place, MARGIN, out)
        return
    ruin = NAN
    if side * book.position < 0.0:
        equity = equity_at(book, account, book.price)
        ruin = fills.liquidation_price(book.position, book.price, equity, account.taker)
    beyond = side * (price - ruin) > 0.0
    if beyond:
        price = ruin
        plain = ruin
    _settle(book, account, slot, size, price, plain, maker, bars, out)
    if beyond and book.position == 0.0:  # ruin is zero, not a rounding error beside it
        account.cash -= equity_at(book, account, price)
    _after_fill(book, place, size, price, out)


@compiled
def _settle(book, account, slot, size, price, plain, maker, bars, out):  # type: ignore[no-untyped-def]
    orders, fill_table, _, counts = out
    before = book.mean
    side = slot.side
    opened, closed = _move(book, side * size, price)
    fee = size * price * (account.maker if maker else account.taker)
    slippage = size * abs(price - plain)
    account.cash += -side * closed * (price - before) - fee
    reason = _reason(slot) if closed > 0.0 else 0
    row = fill_table[counts.fills]
    counts.fills += 1
    row.order = slot.number
    row.bar = book.bar
    row.time = book.time
    row.side = side
    row.size = size
    row.price = price
    row.fee = fee
    row.slippage = slippage
    row.maker = 1 if maker else 0
    row.reason = reason
    _record(book, bars, side, opened, closed, price, fee, slippage, reason, out)
    slot.status = FILLED
    slot.active = 0
    slot.remaining = 0.0
    order = orders[slot.number - 1]
    order.status = FILLED
    order.filled = size
    order.end_bar = book.bar


@compiled
def force(book, account, price, plain, reason, bars, out):  # type: ignore[no-untyped-def]
    """Close the position with an order of the broker's own."""
    side = -1 if book.position > 0.0 else 1
    place = add_order(book, out, side, MARKET, EXIT_ROLE, abs(book.position), price, price, 0)
    book.slot[place].exit_reason = reason
    fill(book, account, place, price, plain, False, bars, out)


@compiled
def pay_funding(book, account, rate, price):  # type: ignore[no-untyped-def]
    """Book funding: positive rate, longs pay."""
    paid = book.position * price * rate
    account.cash -= paid
    if book.trading == 1:
        book.funding += paid


@compiled
def liquidation_level(book, account):  # type: ignore[no-untyped-def]
    """Return the price at which equity falls to the maintenance margin, NaN for none."""
    equity = equity_at(book, account, book.price)
    return fills.liquidation_price(book.position, book.price, equity, book.maintenance)
