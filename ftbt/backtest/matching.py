"""The execution model: what happens to a symbol's orders inside one bar (or detail bar).

Order of events, from `docs/execution-model.md`:

1. At the open: funding due at that instant, liquidation at a gap, market orders, then stops and
   limits that the gap has passed. A bracket whose entry fills here is alive at once.
2. Funding that falls due inside the bar.
3. Inside the bar, the pessimist's path: liquidation unless a stop shields the position, then
   stops, then limits; a position that was opened inside the bar may be stopped but not profit.
4. At the end: orders for the close, stops moved to break-even, entries whose stop traded first.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from ftbt.backtest import fills
from ftbt.backtest.book import NAN, Book
from ftbt.backtest.desk import Desk, to_entry
from ftbt.backtest.result import Kind, Role, Status
from ftbt.backtest.working import Working

Prices = tuple[float, float, float, float]


def walk(desk: Desk, book: Book, prices: Prices, slip: float, funding_inside: float = 0.0) -> None:
    """Move all orders of *book* along one bar with *prices* (open, high, low, close).

    *funding_inside* is the sum of the rates that fall due strictly inside the bar.
    """
    opened, high, low, close = prices
    if not _may_trade(desk, book, high, low):
        book.price = close
        for working in book.active:
            working.rests = True
        if book.size and funding_inside:
            desk.pay_funding(book, funding_inside, opened)
        return
    book.opening = True
    _at_open(desk, book, opened, slip)
    book.opening = False
    book.price = opened
    if book.size and funding_inside:
        desk.pay_funding(book, funding_inside, opened)
    if book.active or book.size:
        _inside(desk, book, prices, slip)
    _sweep(
        book,
        lambda working: _worse(desk, book, working, close, slip),
        lambda working: working.kind == Kind.CLOSE,
    )
    book.price = close
    _end_of_bar(desk, book, prices)


def _may_trade(desk: Desk, book: Book, high: float, low: float) -> bool:
    """Tell whether the bar reaches any order at all: most bars do not, and cost nothing then."""
    for working in book.active:
        if working.kind in (Kind.MARKET, Kind.CLOSE):
            return True
        # Limit buys and stop sells wait below the market, the others above.
        below = (working.side > 0) == (working.kind == Kind.LIMIT or working.triggered)
        price = working.limit if working.triggered else working.price
        if low <= price if below else high >= price:
            return True
    if not book.size:
        return False
    level = desk.liquidation_price(book)
    return low <= level if book.size > 0 else high >= level


def _worse(desk: Desk, book: Book, working: Working, price: float, slip: float) -> None:
    """Fill as a taker, with slippage."""
    worse = fills.slipped(working.side, price, slip, book.decimals)
    desk.fill(book, working, worse, price, maker=False)


def _sweep(
    book: Book, attempt: Callable[[Working], None], allowed: Callable[[Working], bool]
) -> None:
    """Offer each working order once to *attempt*: market, stops, limits; then by age.

    Orders that become active meanwhile (children of an entry that fills) get their turn too.
    """
    done: set[int] = set()
    while True:
        waiting = [w for w in book.active if w.active and w.number not in done and allowed(w)]
        if not waiting:
            return
        working = min(waiting, key=_rank)
        done.add(working.number)
        attempt(working)


def _rank(working: Working) -> tuple[int, int]:
    if working.kind == Kind.MARKET:
        return 0, working.number
    return (1 if working.is_stop_kind and not working.triggered else 2), working.number


def _at_open(desk: Desk, book: Book, price: float, slip: float) -> None:
    if book.size:
        level = desk.liquidation_price(book)
        if (book.size > 0 and price <= level) or (book.size < 0 and price >= level):
            desk.liquidate(book, price)

    def attempt(working: Working) -> None:
        if working.kind == Kind.MARKET:
            _worse(desk, book, working, price, slip)
        elif working.kind == Kind.LIMIT or working.triggered:
            _limit_at_open(desk, book, working, price, slip)
        elif working.kind in (Kind.STOP, Kind.TRAIL) and not isnan(
            fills.stop_at_open(working.side, working.price, price)
        ):
            _worse(desk, book, working, price, slip)

    _sweep(book, attempt, lambda w: w.kind != Kind.CLOSE)


def _limit_at_open(desk: Desk, book: Book, working: Working, price: float, slip: float) -> None:
    limit = working.limit if working.triggered else working.price
    got = paid = fills.limit_at_open(working.side, limit, price)
    if isnan(got):
        return
    if not working.rests:
        # It arrives at this very open, which has passed it: it takes liquidity.
        paid = fills.limit_on_arrival(working.side, limit, got, slip, book.decimals)
    desk.fill(book, working, paid, got, maker=working.rests)


def _inside(desk: Desk, book: Book, prices: Prices, slip: float) -> None:
    opened, high, low, close = prices
    before = {w.number for w in book.active if w.active}
    for working in book.active:
        working.rests = True  # whatever still waits after the open rests in the book
    _liquidate_inside(desk, book, high, low, opened)

    def attempt(working: Working) -> None:
        if working.kind in (Kind.STOP, Kind.TRAIL):
            got = fills.stop_inside(working.side, working.price, high, low)
            if not isnan(got):
                _worse(desk, book, working, got, slip)
            return
        if working.kind == Kind.LIMIT or working.triggered:
            limit = working.limit if working.triggered else working.price
            got = fills.limit_inside(working.side, limit, high, low)
        elif working.kind in (Kind.STOP_LIMIT, Kind.TRAIL_LIMIT):
            got = _trigger(working, opened, high, low, close)
        else:
            return
        if not isnan(got):
            desk.fill(book, working, got, got, maker=working.rests)

    # First what stood at the open; then the stops of what was opened on the way.
    _sweep(book, attempt, lambda w: w.number in before)
    _sweep(book, attempt, lambda w: w.number not in before and w.kind in (Kind.STOP, Kind.TRAIL))
    _liquidate_inside(desk, book, high, low, NAN)


def _trigger(working: Working, opened: float, high: float, low: float, close: float) -> float:
    """Return the fill price of a stop-limit in the bar that may trigger it, NaN for none."""
    side, price, limit = working.side, working.price, working.limit
    hit, got = fills.stop_limit_at_open(side, price, limit, opened, high, low, close)
    if not hit:
        hit, got = fills.stop_limit_inside(side, price, limit, opened, high, low, close)
    working.triggered = bool(hit)
    # A limit beyond the price that triggers it takes liquidity at once; it never rested.
    first = max(side * opened, side * price)
    working.rests = first > side * limit or (first == side * limit and first > side * opened)
    return float(got)


def _liquidate_inside(desk: Desk, book: Book, high: float, low: float, opened: float) -> None:
    """Liquidate when the bar reaches the level and no nearer stop has the position first.

    *opened*: the open, for a position that was held there, NaN for one opened since. One that is
    due at the open already (its own costs can do that) gets no better price than the open.
    """
    if not book.size:
        return
    level = desk.liquidation_price(book)
    side = 1 if book.size > 0 else -1
    reached = low <= level if side > 0 else high >= level
    if not reached:
        return
    for working in book.active:
        shields = working.active and working.kind in (Kind.STOP, Kind.TRAIL)
        if shields and working.side == -side and side * (working.price - level) >= 0.0:
            return
    desk.liquidate(book, opened if side * (opened - level) < 0.0 else level)


def _end_of_bar(desk: Desk, book: Book, prices: Prices) -> None:
    _, high, low, _ = prices
    for working in list(book.active):
        bracket = working.bracket
        if bracket is None or working.status != Status.OPEN:
            continue
        if working.role == Role.STOP and working.break_even and bracket.target_hit:
            to_entry(book, working)
        elif bracket.entry is working:
            stop = bracket.stop()
            passed = stop is not None and (
                low <= stop.price if working.side > 0 else high >= stop.price
            )
            if passed:
                desk.end(book, working, Status.CANCELLED)
