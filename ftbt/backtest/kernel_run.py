"""The loop over all bars, compiled: fills by `kernel_walk`, decisions by `decide`."""

from __future__ import annotations

import math

from ftbt.backtest.kernel import add_order, end_order, equity_at, excursions, write_down
from ftbt.backtest.kernel_records import (
    CANCELLED,
    ENTRY_ROLE,
    EXIT_ROLE,
    LIMIT,
    MARKET,
    NAN,
    OPEN,
    STOP,
    STOP_LIMIT,
    STOP_ROLE,
    TARGET1_ROLE,
    TARGET2_ROLE,
)
from ftbt.backtest.kernel_walk import begin, finish, pass_by, reaches, set_band, walk
from ftbt.compiled import compiled
from ftbt.data.precision import nearest_size
from ftbt.strategy.decide import decide
from ftbt.strategy.records import CANCEL, ENTER, EXIT, NOTHING


@compiled
def _child(book, entry, kind, role, size, price):  # type: ignore[no-untyped-def]
    """Put a stop or target of *entry* into the book; it waits for the entry's fill."""
    parent = book.slot[entry].number
    place = add_order(book, -book.slot[entry].side, kind, role, size, price, price, parent)
    book.slot[place].active = 0
    book.slot[place].reduces = 1
    return place


@compiled
def _enter(book, intent, p):  # type: ignore[no-untyped-def]
    """Put the entry with its stop and targets into the book."""
    kind = intent.kind
    limit = intent.limit if kind == STOP_LIMIT else intent.entry
    entry = add_order(book, intent.side, kind, ENTRY_ROLE, intent.size, intent.entry, limit, 0)
    book.target_hit = 0
    book.stop = intent.stop
    book.target1 = intent.target1
    book.target2 = intent.target2
    book.confidence = intent.confidence
    book.reason = intent.reason
    size1 = 0.0 if math.isnan(intent.target1) else intent.size1
    size2 = 0.0 if math.isnan(intent.target2) else intent.size - intent.size1
    stop = _child(book, entry, STOP, STOP_ROLE, intent.size, intent.stop)
    if size1 > 0.0 and size2 > 0.0:
        size2 = nearest_size(size2, book.decimals)
        book.slot[stop].break_even = p.break_even
    if size1 > 0.0:
        _child(book, entry, LIMIT, TARGET1_ROLE, size1, intent.target1)
    if size2 > 0.0:
        _child(book, entry, LIMIT, TARGET2_ROLE, size2, intent.target2)


@compiled
def _entry_place(book):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        if book.slot[k].role == ENTRY_ROLE and book.slot[k].status == OPEN:
            return k
    return -1


@compiled
def _look(book, view, equity, entry):  # type: ignore[no-untyped-def]
    """Write into *view* what the strategy knows of its position at the close of the bar."""
    held = book.position != 0.0
    view.position = book.position
    view.bars_held = book.bar - book.filled_bar + 1 if held else 0
    view.pending = 0
    if entry >= 0 and not held:
        view.pending = book.slot[entry].side
        view.pending_bars = book.bar - book.asked_bar
    view.leaving = book.leaving
    view.equity = equity


@compiled
def _act(book, intent, p, entry):  # type: ignore[no-untyped-def]
    """Turn the intent into orders."""
    if intent.action == ENTER:
        _enter(book, intent, p)
        book.asked_bar = book.bar
        book.leaving = 0
    elif intent.action == CANCEL:
        end_order(book, book.slot[entry], CANCELLED)
    elif intent.action == EXIT:
        side = -1 if book.position > 0.0 else 1
        place = add_order(book, side, MARKET, EXIT_ROLE, abs(book.position), NAN, NAN, 0)
        book.slot[place].reduces = 1
        book.slot[place].exit_reason = intent.exit_reason
        book.leaving = 1


@compiled
def _next_heard(heard, setups, k, least, sided):  # type: ignore[no-untyped-def]
    """Return the number, from *k* on, of what is first said at bar *least* or later.

    Who is flat hears nothing but setups with a side (*sided*).
    """
    while k < heard.shape[0] and (heard[k] < least or (sided and setups[k].side == 0)):
        k += 1
    return k


@compiled
def _glide(book, account, bars, i, until, funding_open, funding_inside, stop, equity):  # type: ignore[no-untyped-def]
    """Move along the bars before *until* that reach nothing; return the first bar that may.

    That one may have begun (`book.begun`). Bars with detail are left to `_walk_detail`.
    """
    while i < until and stop[i] == 0:
        bar = bars[i]
        if funding_open[i] != 0.0:
            begin(book, account, bar, funding_open[i])
            book.begun = i
        if reaches(book, account, bar):
            break
        pass_by(book, account, bar, funding_inside[i])
        equity[i] = equity_at(book, account, bar.close)
        i += 1
    return i


@compiled
def _walk_detail(book, account, rows, funded, first, stop, slip, tables):  # type: ignore[no-untyped-def]
    """Move the book along the detail bars of one bar."""
    at_open, inside = funded
    for row in range(first, stop):
        begin(book, account, rows[row], at_open[row])
        if reaches(book, account, rows[row]):
            walk(book, account, rows[row], slip, inside[row])
            write_down(book, *tables)
            set_band(book, account)
        else:
            pass_by(book, account, rows[row], inside[row])


@compiled
def _decide(book, account, bar, setup, p, rules, view, intent, equity):  # type: ignore[no-untyped-def]
    """Let the strategy decide at the close of *bar*, and do what it says."""
    if book.position == 0.0:
        book.leaving = 0
    entry = _entry_place(book)
    _look(book, view, equity, entry)
    decide(view, setup, bar, p, rules, intent)
    if intent.refusal != 0:
        book.refused[intent.refusal] += 1
    if intent.action != NOTHING:
        _act(book, intent, p, entry)
        set_band(book, account)


@compiled
def run(  # type: ignore[no-untyped-def]
    bars, heard, setups, silence, p, rules, book, account, view, intent, first, costs, detail,
    tables, equity,
):  # fmt: skip
    """Run all bars; results go into *tables* (orders, fills, trades), *book* and *equity*.

    Args:
        bars: the candles.
        heard: the bars at which the rule says something.
        setups: what it says there.
        silence: a setup that says nothing.
        p: parameters that `decide` reads.
        rules: what holds for the symbol.
        book: fresh, with the symbol's rules; has the counts afterwards.
        account: fresh, with capital and fees.
        view: room for what `decide` is told.
        intent: room for what it says.
        first: the first bar at whose close the strategy may decide.
        costs: slippage, funding at the open and inside, per bar.
        detail: detail bars, (their funding at open, inside), and for each bar the first and last
            row that tile it (0, 0 for none).
        tables: large enough.
        equity: as long as *bars*.
    """
    slip, funding_open, funding_inside = costs
    detail_bars, detail_funded, row_first, row_stop = detail
    last = bars.shape[0] - 1
    k = 0  # the next setup
    wake = 0  # a held or waiting order needs a decision from this bar on, even without a setup
    i = 0
    while True:
        flat = book.n == 0 and book.position == 0.0
        k = _next_heard(heard, setups, k, max(i, first), flat)
        said = min(heard[k], last) if k < heard.shape[0] else last
        if flat:
            equity[i : said + 1] = account.cash
            i = said
            book.bar = i
            book.price = bars[i].close
        else:
            until = min(said, max(wake, i))
            i = _glide(
                book, account, bars, i, until, funding_open, funding_inside, row_stop, equity
            )
            book.bar = i
            if row_stop[i] > 0:
                rows = detail_bars
                _walk_detail(
                    book, account, rows, detail_funded, row_first[i], row_stop[i], slip[i], tables
                )
            else:
                if book.begun != i:
                    begin(book, account, bars[i], funding_open[i])
                if reaches(book, account, bars[i]):
                    walk(book, account, bars[i], slip[i], funding_inside[i])
                    write_down(book, *tables)
                    set_band(book, account)
                else:
                    pass_by(book, account, bars[i], funding_inside[i])
            if i == last:
                finish(book, account, slip[i])
            equity[i] = equity_at(book, account, book.price)
            if book.filled_bar == i:
                wake = i + p.max_bars - 1
        if i == last:
            break
        k = _next_heard(heard, setups, k, i, False)
        speaks = k < heard.shape[0] and heard[k] == i
        if speaks or i >= wake:
            setup = setups[k] if speaks else silence
            _decide(book, account, bars[i], setup, p, rules, view, intent, equity[i])
            if intent.action == ENTER:
                wake = i + p.valid_bars
            elif intent.action == CANCEL:
                write_down(book, *tables)
        i += 1
    write_down(book, *tables)
    excursions(bars, tables[2], book.trades)
