"""The execution model on records: orders, fills and trades, as in `desk.py`, compiled.

One book holds at most one bracket - an entry with its stop and targets - and one closing order:
what a `SetupStrategy` can send. Every rule stands in the same order as in the reference, so that
orders, fills and trades are the same; fill prices come from the very same functions.
"""

from __future__ import annotations

from ftbt.backtest import fills
from ftbt.backtest.kernel_records import (
    BY_BREAK_EVEN,
    BY_STOP,
    BY_TARGET1,
    BY_TARGET2,
    CANCELLED,
    ENTRY_ROLE,
    EXIT_ROLE,
    FILLED,
    LIMIT,
    MARGIN,
    MARKET,
    NAN,
    NO_MARGIN,
    OPEN,
    STOP_LIMIT,
    STOP_ROLE,
    TARGET2_ROLE,
    TURN_DONE,
)
from ftbt.compiled import borrowing, compiled
from ftbt.data.precision import floor_size, nearest_size
from ftbt.risk.limits import count_trade


@compiled
def equity_at(book, account, price):  # type: ignore[no-untyped-def]
    """Return the equity when the symbol trades at *price*, and the others at their last."""
    return account.cash + account.others + book.position * (price - book.mean)


@compiled
def add_order(book, account, side, kind, role, size, price, limit, parent):  # type: ignore[no-untyped-def]
    """Put a new order into the book; return its slot."""
    account.orders += 1
    place = book.n
    book.n += 1
    slot = book.slot[place]
    slot.number = account.orders
    slot.parent = parent
    slot.bar = book.bar
    slot.side = side
    slot.kind = kind
    slot.role = role
    slot.size = size
    slot.price = NAN if kind == MARKET else price
    slot.limit = limit
    slot.filled = 0.0
    slot.status = OPEN
    slot.end_bar = -1
    slot.remaining = size
    slot.active = 1
    slot.rests = 0 if kind == LIMIT else 1  # until it has stood through an open
    slot.triggered = 0
    slot.reduces = 0
    slot.break_even = 0
    slot.moved = 0
    slot.exit_reason = 0
    slot.turn = TURN_DONE
    return place


@compiled
def _close_slot(book, slot, status):  # type: ignore[no-untyped-def]
    slot.status = status
    slot.active = 0
    slot.end_bar = book.bar


@compiled
def end_order(book, slot, status):  # type: ignore[no-untyped-def]
    """End an order without a fill; an unfilled entry takes its children along."""
    _close_slot(book, slot, status)
    if slot.role == ENTRY_ROLE:
        for k in range(book.n):
            child = book.slot[k]
            if child.reduces == 1 and child.status == OPEN:
                _close_slot(book, child, CANCELLED)


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
def _finish_trade(book, reason):  # type: ignore[no-untyped-def]
    row = book.trade[book.n_trades]
    book.n_trades += 1
    book.trading = 0
    side = book.side
    entry = book.bought_value / book.bought
    leave = book.sold_value / book.sold
    gross = side * (book.sold_value - book.bought_value)
    net = gross - book.fees - book.funding
    risk = book.largest * abs(entry - book.stop)
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
    row.confidence = book.confidence
    row.entry_reason = book.reason
    row.exit_reason = reason
    row.symbol = book.symbol
    row.strategy = book.owner


@compiled
def _record(book, side, opened, closed, price, fee, slippage, reason):  # type: ignore[no-untyped-def]
    """Carry a fill into the trade in progress."""
    if closed > 0.0:
        book.sold += closed
        book.sold_value += closed * price
        book.fees += fee
        book.slippage += slippage
        if book.position == 0.0:
            _finish_trade(book, reason)
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
def _after_fill(book, slot, size, price):  # type: ignore[no-untyped-def]
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
                    _close_slot(book, child, CANCELLED)
    if book.position == 0.0:
        for k in range(book.n):
            child = book.slot[k]
            if child.reduces == 1 and child.active == 1 and child.status == OPEN:
                _close_slot(book, child, CANCELLED)


@compiled
def refuse(book, account, rule, figure, limit):  # type: ignore[no-untyped-def]
    """Write down what was not taken, and why."""
    row = book.refusal[book.n_refusals]
    book.n_refusals += 1
    row.bar = book.bar
    row.time = account.time
    row.rule = rule
    row.figure = figure
    row.limit = limit
    row.symbol = book.symbol
    row.strategy = book.owner


@compiled
def _has_margin(book, account, side, size, price):  # type: ignore[no-untyped-def]
    after = book.position + side * size
    if abs(after) <= abs(book.position):
        return True
    needed = abs(after) * price / book.leverage + account.others_margin
    equity = equity_at(book, account, price)
    if needed <= equity * (1.0 + 1e-9):
        return True
    refuse(book, account, NO_MARGIN, needed, equity)
    return False


@compiled
def fill(book, account, slot, price, plain, maker):  # type: ignore[no-untyped-def]
    """Fill all that remains of an order, then settle what hangs on it."""
    side = slot.side
    size = slot.remaining
    if slot.reduces == 1:
        size = min(size, abs(book.position)) if side * book.position < 0.0 else 0.0
    if size <= 0.0:
        end_order(book, slot, CANCELLED)
        return
    if not _has_margin(book, account, side, size, price):
        end_order(book, slot, MARGIN)
        return
    ruin = NAN
    if side * book.position < 0.0:
        equity = equity_at(book, account, book.price)
        ruin = fills.liquidation_price(book.position, book.price, equity, account.taker)
    beyond = side * (price - ruin) > 0.0
    if beyond:
        price = ruin
        plain = ruin
    _settle(book, account, slot, size, price, plain, maker)
    if beyond and book.position == 0.0:  # ruin is zero, not a rounding error beside it
        account.cash -= equity_at(book, account, price)
    _after_fill(book, slot, size, price)


@compiled
def _settle(book, account, slot, size, price, plain, maker):  # type: ignore[no-untyped-def]
    before = book.mean
    side = slot.side
    opened, closed = _move(book, side * size, price)
    fee = size * price * (account.maker if maker else account.taker)
    slippage = size * abs(price - plain)
    account.cash += -side * closed * (price - before) - fee
    reason = _reason(slot) if closed > 0.0 else 0
    row = book.fill[book.n_fills]
    book.n_fills += 1
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
    row.symbol = book.symbol
    row.strategy = book.owner
    if opened > 0.0 and book.trading == 0:
        count_trade(account.risk)
    _record(book, side, opened, closed, price, fee, slippage, reason)
    _close_slot(book, slot, FILLED)
    slot.remaining = 0.0
    slot.filled = size


@compiled
def force(book, account, price, plain, reason):  # type: ignore[no-untyped-def]
    """Close the position with an order of the broker's own."""
    side = -1 if book.position > 0.0 else 1
    size = abs(book.position)
    place = add_order(book, account, side, MARKET, EXIT_ROLE, size, price, price, 0)
    slot = book.slot[place]
    slot.exit_reason = reason
    fill(book, account, slot, price, plain, False)


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
    equity = equity_at(book, account, book.price) - account.others_maintenance
    return fills.liquidation_price(book.position, book.price, equity, book.maintenance)


@compiled
def _write_order(book, slot, orders):  # type: ignore[no-untyped-def]
    row = orders[slot.number - 1]
    row.id = slot.number
    row.parent = slot.parent
    row.bar = slot.bar
    row.side = slot.side
    row.kind = slot.kind
    row.role = slot.role
    row.size = slot.size
    row.price = slot.price
    row.limit = slot.limit if slot.kind == STOP_LIMIT else NAN
    row.filled = slot.filled
    row.status = slot.status
    row.end_bar = slot.end_bar
    row.symbol = book.symbol
    row.strategy = book.owner


@compiled
def write_down(book, account, orders, fill_table, trades, refusals):  # type: ignore[no-untyped-def]
    """Move what has ended from the book to the tables: orders, fills, trades, refusals."""
    kept = 0
    for k in range(book.n):
        if book.slot[k].status != OPEN:
            _write_order(book, book.slot[k], orders)
            continue
        if kept != k:
            book.slot[kept] = book.slot[k]
        kept += 1
    book.n = kept
    for k in range(book.n_fills):
        fill_table[account.fills] = book.fill[k]
        account.fills += 1
    book.n_fills = 0
    for k in range(book.n_trades):
        trades[account.trades] = book.trade[k]
        account.trades += 1
    book.n_trades = 0
    for k in range(book.n_refusals):
        refusals[account.refusals] = book.refusal[k]
        account.refusals += 1
    book.n_refusals = 0


@borrowing
def excursions(bars, stretches, trades, first, stop):  # type: ignore[no-untyped-def]
    """Write into *trades* from *first* to before *stop* how far the price went against and for."""
    for n in range(first, stop):
        row = trades[n]
        shift = 0
        for s in range(stretches.shape[0]):
            one = stretches[s]
            if one.symbol == row.symbol and one.first <= row.entry_bar - one.start < one.count:
                shift = one.offset - one.start
        low = bars[row.entry_bar + shift].low
        high = bars[row.entry_bar + shift].high
        for i in range(row.entry_bar + 1 + shift, row.exit_bar + 1 + shift):
            low = min(low, bars[i].low)
            high = max(high, bars[i].high)
        worst = low if row.side > 0 else high
        best = high if row.side > 0 else low
        row.mae = min(0.0, row.side * (worst / row.entry_price - 1.0))
        row.mfe = max(0.0, row.side * (best / row.entry_price - 1.0))
