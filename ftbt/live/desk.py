"""The live account: the back-test's desk, told by the exchange what filled.

Sizes fill in parts here, fees are the ones that were charged, and nothing is settled but by a
fill, a payment or an end that the exchange has told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ftbt.backtest.account_limits import AccountLimits
from ftbt.backtest.book import NOBODY, Book
from ftbt.backtest.desk import Desk, to_entry
from ftbt.backtest.result import Role, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Bracket, Working
from ftbt.data.precision import floor_size, nearest_size

TARGETS = (Role.TARGET1, Role.TARGET2)


@dataclass(frozen=True, slots=True)
class PastOrder:
    """What is kept of a Backtrader order that nothing can happen to any more.

    The order itself is ten times as large, and a session may run for months.
    """

    owner: Any
    data: Any
    ref: int


class LiveDesk(Desk):
    """Account, fills and orders of a live session.

    Args:
        settings, limits, notify, commission: as `Desk`.
        made, ended: called with each order that is made, and that has ended without filling.
        earned: called with the number of a strategy and what it has gained by a fill or a payment.
    """

    def __init__(
        self,
        settings: Settings,
        limits: AccountLimits,
        notify: Callable[[Any], None],
        commission: Callable[[Any], Any],
        made: Callable[[Working], None],
        ended: Callable[[Working], None],
        earned: Callable[[int, float], None],
    ) -> None:
        super().__init__(settings, limits, notify, commission)
        self._made, self._ended, self._earned = made, ended, earned

    def pay(self, book: Book, paid: float) -> None:
        """See `Desk.pay`."""
        super().pay(book, paid)
        if book.owner != NOBODY:
            self._earned(book.owner, -paid)

    def enlist(self, working: Working) -> None:
        """See `Desk.enlist`."""
        super().enlist(working)
        self._made(working)

    def close_order(self, working: Working, status: Status, bar: int) -> None:
        """See `Desk.close_order`."""
        super().close_order(working, status, bar)
        self._ended(working)

    def take_fill(
        self, book: Book, working: Working, size: float, price: float, fee: float, *, maker: bool
    ) -> None:
        """Book a fill of *working*, maybe of a part of it, and settle what hangs on it."""
        slippage = 0.0 if maker else size * price * slip(working, price)
        before = self.cash
        self.book_fill(book, working, size, price, fee, slippage, maker)
        self._earned(working.sleeve, self.cash - before)
        working.filled = nearest_size(working.filled + size, book.decimals)
        working.remaining = max(0.0, nearest_size(working.remaining - size, book.decimals))
        if working.status == Status.OPEN:
            if working.remaining:
                working.order.partial()
                self.notify(working.order)
            else:
                self._finish_order(book, working)
        self._after_part(book, working, size)

    def forget(self, before: int, needed: Callable[[Working], bool]) -> None:
        """Keep little of orders that ended before bar number *before*.

        Args:
            before: of the market's clock, as `Working.end_bar`.
            needed: whether something may still be told of an order.
        """
        held = {id(book.trade.entry) for book in self.books.values() if book.trade is not None}
        for working in self.orders:
            if isinstance(working.order, PastOrder):
                continue
            bracket = working.bracket
            family = [working] if bracket is None else [bracket.entry, *bracket.children]
            over = all(one.status != Status.OPEN and one.end_bar < before for one in family)
            if over and not any(id(one) in held or needed(one) for one in family):
                order = working.order
                self.by_ref.pop(order.ref, None)
                working.order = PastOrder(order.owner, order.data, order.ref)

    def finish_part(self, book: Book, working: Working) -> None:
        """Call an entry filled of which only a part did: the rest is no order any more."""
        working.remaining = 0.0
        self._finish_order(book, working)

    def _finish_order(self, book: Book, working: Working) -> None:
        self.complete(book, working)
        if working in book.active:
            book.active.remove(working)
        self._end_others(book, working)

    def _after_part(self, book: Book, working: Working, size: float) -> None:
        bracket = working.bracket
        if bracket is not None and bracket.entry is working:
            bracket.remaining = nearest_size(bracket.remaining + size, book.decimals)
            bracket.entry_price = float(book.position.price)
            fit_children(book, bracket)
        elif bracket is not None:
            bracket.remaining -= size
            if working.role in TARGETS and not working.remaining:
                bracket.target_hit = True
                stop = bracket.stop()
                if stop is not None and stop.break_even:
                    to_entry(book, stop)
            self._shrink(book, bracket)
        for child in book.children():
            if child.side * book.size >= 0.0:
                self.end(book, child, Status.CANCELLED)


def slip(working: Working, price: float) -> float:
    """Return by what fraction a fill at *price* is worse than the price that was meant."""
    plain = working.asked if working.price != working.price else working.price
    return max(0.0, working.side * (price - plain)) / price


def fit_children(book: Book, bracket: Bracket) -> None:
    """Let stop and targets close what the entry has opened so far, in the parts it was meant in."""
    entry = bracket.entry
    waiting = [child for child in bracket.children if child.status == Status.OPEN]
    left = bracket.remaining
    for child in waiting:
        child.active = True
        if child.role not in TARGETS:
            child.remaining = bracket.remaining
    targets = [child for child in waiting if child.role in TARGETS]
    for child in targets[:-1]:
        part = floor_size(child.size * (entry.filled / entry.size), book.decimals)
        child.remaining = max(0.0, nearest_size(part - child.filled, book.decimals))
        left -= child.remaining
    for child in targets[-1:]:
        child.remaining = max(0.0, nearest_size(left, book.decimals))
