"""The loop over the clock, compiled: fills by `kernel_walk`, decisions by `decide`.

At each time all symbols' bars are walked first, in order; then the limits are marked; then the
strategies decide, in order of their legs. While no symbol has an order or a position the loop goes
straight to the next setup.
"""

from __future__ import annotations

import math

from ftbt.backtest.kernel import add_order, end_order, excursions, refuse, write_down
from ftbt.backtest.kernel_records import (
    CANCELLED,
    DETAILED,
    ENTRY_ROLE,
    EXIT_ROLE,
    FUNDED,
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
from ftbt.compiled import borrowing, compiled
from ftbt.data.precision import nearest_size
from ftbt.data.timeframe import DAY_MS
from ftbt.risk.allocation import drawdown_scale
from ftbt.risk.limits import look, mark, roll
from ftbt.strategy.decide import decide
from ftbt.strategy.records import CANCEL, ENTER, EXIT, NOTHING

_DAY = DAY_MS


@compiled
def _child(book, account, entry, kind, role, size, price):  # type: ignore[no-untyped-def]
    """Put a stop or target of *entry* into the book; it waits for the entry's fill."""
    parent = book.slot[entry].number
    side = -book.slot[entry].side
    place = add_order(book, account, side, kind, role, size, price, price, parent)
    book.slot[place].active = 0
    book.slot[place].reduces = 1
    return place


@compiled
def _enter(book, account, intent, p):  # type: ignore[no-untyped-def]
    """Put the entry with its stop and targets into the book."""
    kind = intent.kind
    limit = intent.limit if kind == STOP_LIMIT else intent.entry
    side, size, price = intent.side, intent.size, intent.entry
    entry = add_order(book, account, side, kind, ENTRY_ROLE, size, price, limit, 0)
    book.target_hit = 0
    book.stop = intent.stop
    book.target1 = intent.target1
    book.target2 = intent.target2
    book.confidence = intent.confidence
    book.reason = intent.reason
    size1 = 0.0 if math.isnan(intent.target1) else intent.size1
    size2 = 0.0 if math.isnan(intent.target2) else intent.size - intent.size1
    stop = _child(book, account, entry, STOP, STOP_ROLE, intent.size, intent.stop)
    if size1 > 0.0 and size2 > 0.0:
        size2 = nearest_size(size2, book.decimals)
        book.slot[stop].break_even = p.break_even
    if size1 > 0.0:
        _child(book, account, entry, LIMIT, TARGET1_ROLE, size1, intent.target1)
    if size2 > 0.0:
        _child(book, account, entry, LIMIT, TARGET2_ROLE, size2, intent.target2)


@compiled
def _entry_place(book):  # type: ignore[no-untyped-def]
    for k in range(book.n):
        if book.slot[k].role == ENTRY_ROLE and book.slot[k].status == OPEN:
            return k
    return -1


@compiled
def _look(book, view, mine, entry):  # type: ignore[no-untyped-def]
    """Write into *view* what a strategy knows of its position at the close of the bar."""
    held = mine and book.position != 0.0
    view.position = book.position if held else 0.0
    view.bars_held = book.bar - book.filled_bar + 1 if held else 0
    view.pending = 0
    if mine and entry >= 0 and not held:
        view.pending = book.slot[entry].side
        view.pending_bars = book.bar - book.asked_bar
    view.leaving = book.leaving if held else 0


@compiled
def _act(book, account, intent, p, entry):  # type: ignore[no-untyped-def]
    """Turn the intent into orders."""
    if intent.action == ENTER:
        _enter(book, account, intent, p)
        book.asked_bar = book.bar
        book.wake = book.bar + p.valid_bars
        book.leaving = 0
    elif intent.action == CANCEL:
        end_order(book, book.slot[entry], CANCELLED)
    elif intent.action == EXIT:
        side = -1 if book.position > 0.0 else 1
        size = abs(book.position)
        place = add_order(book, account, side, MARKET, EXIT_ROLE, size, NAN, NAN, 0)
        book.slot[place].reduces = 1
        book.slot[place].exit_reason = intent.exit_reason
        book.leaving = 1


@compiled
def _idle(book):  # type: ignore[no-untyped-def]
    return book.n == 0 and book.position == 0.0


@borrowing
def _next_time(legs, stretches, heard, setups, i, last):  # type: ignore[no-untyped-def]
    """Return the next time, from *i* on, at which any leg has a setup with a side.

    Who is flat hears nothing else.
    """
    said = last
    for n in range(legs.shape[0]):
        leg = legs[n]
        start = stretches[leg.stretch].start
        least = max(i - start, leg.first)
        k = leg.k
        while k < leg.stop and (heard[k] < least or setups[k].side == 0):
            k += 1
        leg.k = k
        if k < leg.stop:
            said = min(said, start + heard[k])
    return said


@borrowing
def _add_others(books, mine, account):  # type: ignore[no-untyped-def]
    """Note what the other symbols' positions are worth, tie up and need."""
    profit = 0.0
    margin = 0.0
    maintenance = 0.0
    for s in range(books.shape[0]):
        book = books[s]
        if s == mine or book.position == 0.0:
            continue
        profit += book.position * (book.price - book.mean)
        notional = abs(book.position) * book.price
        margin += notional / book.leverage
        maintenance += notional * book.maintenance
    account.others = profit
    account.others_margin = margin
    account.others_maintenance = maintenance


@borrowing
def _walk_detail(book, account, rows, funded, first, stop, slip, tables):  # type: ignore[no-untyped-def]
    """Move the book along the detail bars of one bar."""
    at_open, inside = funded
    for row in range(first, stop):
        begin(book, account, rows[row], at_open[row])
        if reaches(book, account, rows[row]):
            walk(book, account, rows[row], slip, inside[row])
            write_down(book, account, *tables)
            set_band(book, account)
        else:
            pass_by(book, account, rows[row], inside[row])


@compiled
def _walk_bar(book, account, bar, slip, funding_open, funding_inside):  # type: ignore[no-untyped-def]
    """Move the book along one bar; tell whether there may be something to write down."""
    if book.begun != book.bar:
        begin(book, account, bar, funding_open)
    if reaches(book, account, bar):
        walk(book, account, bar, slip, funding_inside)
        return True
    pass_by(book, account, bar, funding_inside)
    return False


@borrowing
def _profit(books):  # type: ignore[no-untyped-def]
    """Return the open profit of all positions at their last prices."""
    profit = 0.0
    for s in range(books.shape[0]):
        if books[s].position != 0.0:
            profit += books[s].position * (books[s].price - books[s].mean)
    return profit


@compiled
def _rescale(books, sleeves, account):  # type: ignore[no-untyped-def]
    """Let each strategy's share follow its drawdown."""
    for n in range(sleeves.shape[0]):
        sleeve = sleeves[n]
        value = sleeve.start + sleeve.earned
        for s in range(books.shape[0]):
            if books[s].owner == n and books[s].position != 0.0:
                value += books[s].position * (books[s].price - books[s].mean)
        sleeve.peak = max(sleeve.peak, value)
        sleeve.scale = drawdown_scale(value, sleeve.peak, account.cut_at, account.floor)


@borrowing
def _hold(books, mine, holdings, groups, day):  # type: ignore[no-untyped-def]
    """Write into *holdings* what every symbol ties up; *mine*: number of the stretch that asks."""
    row = min(max(day, 0), groups.shape[0] - 1)
    for n in range(holdings.shape[0]):
        holdings[n].size = 0.0
        holdings[n].waiting = 0.0
        holdings[n].group = groups[row, n]
    for s in range(books.shape[0]):
        book = books[s]
        one = holdings[book.symbol]
        if s == mine:
            one.leverage = book.leverage
        if _idle(book):
            continue
        one.leverage = book.leverage
        one.size = abs(book.position)
        one.price = book.price
        entry = _entry_place(book)
        if entry >= 0:
            one.waiting = book.slot[entry].remaining
            one.waiting_price = book.slot[entry].limit


@borrowing
def _decide(book, books, account, sleeves, leg, bar, setup, p, rules, market, view, intent):  # type: ignore[no-untyped-def]
    """Let a leg decide at the close of *bar*, and do what it says; return what it did."""
    holdings, groups, first_day = market
    idle = _idle(book)
    mine = not idle and book.owner == leg.sleeve
    if book.position == 0.0:
        book.leaving = 0
    entry = _entry_place(book)
    _look(book, view, mine, entry)
    sleeve = sleeves[leg.sleeve]
    equity = account.risk.equity
    view.equity = equity * (sleeve.share * sleeve.scale)
    view.room.halted = account.risk.halted
    if setup.side != 0 and view.position == 0.0 and view.pending == 0:
        _hold(books, leg.stretch, holdings, groups, bar.time // _DAY - first_day)
        taken = 0 if idle or mine else 1
        look(account.risk, holdings, book.symbol, taken, equity, view.room)
    decide(view, setup, bar, p, rules, intent)
    owner = book.owner
    book.owner = leg.sleeve
    if intent.refusal != 0:
        refuse(book, account, intent.refusal, intent.figure, intent.boundary)
    if intent.action == NOTHING:
        if not idle:
            book.owner = owner
        return NOTHING
    _act(book, account, intent, p, entry)
    if books.shape[0] == 1:  # with several, it is set at each bar anyway
        set_band(book, account)
    return intent.action


@compiled
def _row_of(book, stretch, i):  # type: ignore[no-untyped-def]
    """Return the book's bar at time number *i*, -1 when it has none or nothing to do there."""
    row = i - stretch.start
    return -1 if row >= stretch.count or _idle(book) else max(row, -1)


@borrowing
def _hear(leg, heard, row):  # type: ignore[no-untyped-def]
    """Tell whether the leg says something at its bar *row*; `k` then numbers what."""
    while leg.k < leg.stop:
        bar = heard[leg.k]
        if bar >= row:
            return bar == row
        leg.k += 1
    return False


@compiled
def _awake(book, leg, account, i):  # type: ignore[no-untyped-def]
    """Tell whether the leg has to decide without a setup: by time, or because of a limit."""
    if _idle(book) or book.owner != leg.sleeve:
        return False
    return i >= book.wake or (account.risk.halted == 1 and book.position == 0.0)


@borrowing
def _busy(books):  # type: ignore[no-untyped-def]
    """Return how many books have an order or a position, and the last of them."""
    count = 0
    last = 0
    for s in range(books.shape[0]):
        book = books[s]
        if not _idle(book):
            count += 1
            last = s
    return count, last


@borrowing
def _until(legs, stretches, heard, book, only, i):  # type: ignore[no-untyped-def]
    """Return the first time, from *i* on, at which anybody may have to decide.

    At the latest the last bar of the stretch number *only*.
    """
    stretch = stretches[only]
    until = min(stretch.start + stretch.count - 1, max(book.wake, i))
    for n in range(legs.shape[0]):
        leg = legs[n]
        start = stretches[leg.stretch].start
        _hear(leg, heard, max(i - start, leg.first))
        if leg.k < leg.stop:
            until = min(until, start + heard[leg.k])
    return until


@borrowing
def _glide(book, account, bars, shift, i, until, funding, marks, equity):  # type: ignore[no-untyped-def]
    """Move the only busy book along the bars before *until* that reach nothing.

    Return the first time that needs a closer look; its bar may have begun (`book.begun`). Most of a
    run is spent here: bars with detail, decisions and other books are left to the loop.
    """
    funding_open, funding_inside = funding
    risk = account.risk
    waits = book.position == 0.0
    while i < until and not (waits and risk.halted == 1):
        at = i + shift
        if marks[at] == DETAILED:
            break
        bar = bars[at]
        now = bar.time
        if now >= risk.next_day:
            roll(risk, now)
        due = marks[at] == FUNDED
        if due and funding_open[at] != 0.0:
            book.bar = i
            begin(book, account, bar, funding_open[at])
            book.begun = i
        if reaches(book, account, bar):
            break
        pass_by(book, account, bar, funding_inside[at] if due else 0.0)
        worth = account.cash + book.position * (book.price - book.mean)
        equity[i] = worth
        mark(risk, worth, now)
        i += 1
    return i


@compiled
def run(  # type: ignore[no-untyped-def]  # noqa: C901 - parts of it would be given all the arrays
    clock, bars, costs, marks, detail, stretches, legs, heard, setups, silence, parameters, rules,
    books, account, sleeves, market, view, intent, tables, equity,
):  # fmt: skip
    """Run all bars; results go into *tables* and *equity*.

    Args:
        clock: opens of all bars of any stretch, shape (n,).
        bars: the candles of all stretches, one after the other.
        costs: slippage, funding at the open and inside, of each of *bars*.
        marks: FUNDED or DETAILED where such a one of *bars* is, else 0.
        detail: detail bars, (their funding at open, inside), and for each of *bars* the first and
            last row that tile it (0, 0 for none).
        stretches: where each one lies.
        legs: what each strategy object says lies where.
        heard: numbers of the bars, in their stretch, at which the rules say something.
        setups: what they say there.
        silence: a setup that says nothing.
        parameters: what `decide` reads, one record a sleeve.
        rules: what holds for each stretch's symbol.
        books: fresh, one a stretch, with the symbols' rules.
        account: fresh, with capital, fees and limits; has the counts afterwards.
        sleeves: fresh, with shares.
        market: room for holdings, groups of symbols by day, the first of these days.
        view: room for what `decide` is told.
        intent: room for what it says.
        tables: large enough: orders, fills, trades, refusals.
        equity: as long as *clock*.
    """
    last = clock.shape[0] - 1
    # A function that is called at each bar is given numbers: tuples of arrays are copied for it.
    slip, at_open, inside = costs
    detail_bars, detail_funded, row_first, row_stop = detail
    orders, fill_table, trades, refusals = tables
    busy, only = 0, 0
    looked_at = 0
    i = 0
    while True:
        if busy == 0:
            said = _next_time(legs, stretches, heard, setups, i, last)
            equity[i : said + 1] = account.cash
            i = said
        elif busy == 1 and account.shrinks == 0:
            book = books[only]
            if books.shape[0] > 1:
                _add_others(books, only, account)
                set_band(book, account)
            shift = stretches[only].offset - stretches[only].start
            until = _until(legs, stretches, heard, book, only, i)
            funding = (at_open, inside)
            i = _glide(book, account, bars, shift, i, until, funding, marks, equity)
        account.time = clock[i]
        roll(account.risk, clock[i])
        if busy > 0:
            for s in range(books.shape[0]):
                before = account.cash
                stretch = stretches[s]
                book = books[s]
                row = _row_of(book, stretch, i)
                if row < 0:
                    continue
                book.bar = i
                if books.shape[0] > 1:
                    _add_others(books, s, account)
                    set_band(book, account)
                at = row + stretch.offset
                if row_stop[at] > 0:
                    first, stop = row_first[at], row_stop[at]
                    rows = detail_bars
                    _walk_detail(book, account, rows, detail_funded, first, stop, slip[at], tables)
                elif _walk_bar(book, account, bars[at], slip[at], at_open[at], inside[at]):
                    write_down(book, account, orders, fill_table, trades, refusals)
                    set_band(book, account)
                if row == stretch.count - 1:
                    finish(book, account, slip[at])
                    write_down(book, account, orders, fill_table, trades, refusals)
                if book.filled_bar == i:
                    book.wake = i + parameters[book.owner].max_bars - 1
                if account.shrinks == 1:
                    sleeves[book.owner].earned += account.cash - before
            equity[i] = account.cash + _profit(books)
            mark(account.risk, equity[i], clock[i])
            if account.shrinks == 1:
                _rescale(books, sleeves, account)
        if account.trades > looked_at:  # while the bars of these trades are near the processor
            excursions(bars, stretches, trades, looked_at, account.trades)
            looked_at = account.trades
        if i == last:
            break
        for n in range(legs.shape[0]):
            leg = legs[n]
            stretch = stretches[leg.stretch]
            row = i - stretch.start
            if row < leg.first or row >= stretch.count - 1:
                continue
            speaks = _hear(leg, heard, row)
            book = books[leg.stretch]
            if not (speaks or _awake(book, leg, account, i)):
                continue
            bar = bars[row + stretch.offset]
            book.bar = i
            book.price = bar.close
            setup = setups[leg.k] if speaks else silence
            p = parameters[leg.sleeve]
            symbol = rules[leg.stretch]
            done = _decide(
                book, books, account, sleeves, leg, bar, setup, p, symbol, market, view, intent
            )
            if done != NOTHING or book.n_refusals > 0:
                write_down(book, account, orders, fill_table, trades, refusals)
        busy, only = _busy(books)
        i += 1
