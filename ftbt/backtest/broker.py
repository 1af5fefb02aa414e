"""The project's Backtrader broker: the execution model for any strategy's orders.

Plain Backtrader activates a bracket's children one bar after their parent, so that every position
is without its stop for one bar; fills limits that were only touched; knows no lot, tick, funding
or liquidation. This broker obeys `docs/execution-model.md` instead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ftbt.backtest.account_broker import AccountBroker
from ftbt.backtest.book import NOBODY, Book, Place
from ftbt.backtest.matching import walk
from ftbt.backtest.order_checks import TRAILING
from ftbt.backtest.portfolio import Plan
from ftbt.backtest.result import Kind, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.feed import to_bt_time
from ftbt.data.market import Market
from ftbt.data.precision import round_price

_TELL_EVERY = 2000  # bars between two words on progress


class ModelBroker(AccountBroker):
    """Fills orders by the execution model and keeps the account of a linear-perpetual trader.

    Attributes:
        ended_early: a strategy has stopped the run.
        due: number on the clock of the next bar that more begins or ends at than itself: a day, a
            stretch.
    """

    def __init__(
        self,
        settings: Settings,
        last_bar: int,
        progress: Callable[[int, int], None] | None = None,
        plan: Plan | None = None,
    ) -> None:
        if plan is None:
            super().__init__(settings)
        else:
            super().__init__(settings, plan.shares, plan.allocation, plan.joint.groups)
        self.last_bar = last_bar
        self.progress = progress
        self.plan = plan
        self.ended_early = False
        self.due = 0
        self._clock: list[int] = []
        self._now = 0
        self._coming: list[Book] = []

    def add_market(self, data: Any, market: Market, place: Place | None = None) -> None:
        """Make *market* tradable through the feed *data*."""
        self.add_book(Book(data, market, self.settings, place))

    def start(self) -> None:
        """Get ready for the first bar."""
        super().start()
        books = list(self.books.values())
        if self.plan is not None:
            self._clock = self.plan.clock.tolist()
        else:
            self._clock = books[0].coarse.time
        self._coming = sorted(books, key=lambda book: -book.start)
        self.desk.several = len(books) > 1
        self.limits.cover(books, self.desk.live)

    # --- bars ----------------------------------------------------------------------------------

    def next(self) -> None:
        """Move every symbol's orders along the bar that has just been delivered."""
        now, self._now = self._now, self._now + 1
        due, changed = now >= self.due, False
        if due:
            self._open(now)
        for book in self.desk.live:
            bar = book.bar = book.stamps.lencount - 1
            if book.active or book.position.size or book.held:
                self._move(book, bar)
                changed = True
            else:  # most bars: nothing can happen, and nothing is at stake
                book.price = book.closes[bar]
        if changed:
            self._value = self.desk.equity()
            self._mark(self._clock[now])
        self.equity.append(self._value)
        if due:
            self._close(now)

    def _open(self, now: int) -> None:
        """Let a day or stretches begin at number *now* on the clock."""
        live, coming = self.desk.live, self._coming
        if self._clock[now] >= self.limits.next_day:
            self.limits.roll(self._clock[now], self._value)
        while coming and coming[-1].start <= now:
            live.append(coming.pop())
        live.sort(key=lambda book: book.number)

    def _close(self, now: int) -> None:
        """Let the stretches end that had their last bar at number *now* on the clock."""
        live = self.desk.live
        for book in live:
            book.finished = book.bar >= book.last_bar
        live[:] = [book for book in live if not book.finished]
        done = now + 1
        if self.progress is not None and not done % _TELL_EVERY:
            self.progress(done, self.last_bar + 1)
        ends = [book.start + book.last_bar for book in live]
        begins = [book.start for book in self._coming[-1:]]
        midnight = bisect_left(self._clock, self.limits.next_day, done)
        tell = (done // _TELL_EVERY + 1) * _TELL_EVERY - 1
        self.due = min([midnight, tell, *ends, *begins])

    def _move(self, book: Book, bar: int) -> None:
        """Move a book along a bar, its last one included; what that earns is its owner's."""
        owner = book.owner if self.shares.shrinks else NOBODY
        before = self.desk.cash
        if book.active or book.position.size:
            self._walk_bar(book, bar)
        else:
            book.price = book.closes[bar]
        if bar >= book.last_bar:
            self.desk.finish(book, book.slip[bar])
        if owner != NOBODY:
            self.shares.earn(owner, self.desk.cash - before)

    def _walk_bar(self, book: Book, bar: int) -> None:
        path = book.coarse
        self._expire(book)
        rows = (bar, bar + 1)
        if book.detail is not None and book.detail_rows[bar][1]:
            path, rows = book.detail, book.detail_rows[bar]
        slip = book.slip[bar]
        for row in range(*rows):
            book.time = path.time[row]
            if book.size and path.funding_open[row]:
                self.desk.pay_funding(book, path.funding_open[row], path.open[row])
            prices = (path.open[row], path.high[row], path.low[row], path.close[row])
            walk(self.desk, book, prices, slip, path.funding_inside[row])
        for working in book.active:
            if working.kind in TRAILING and working.active:
                trail(working, book)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is held anywhere."""
        live = self.desk.live
        return not any(book.active or book.position.size or book.held for book in live)

    def pass_over(self, bars: int) -> None:
        """Let *bars* bars be over in which nothing can happen: idle, and none of them `due`."""
        self._now += bars
        self.equity.extend([self._value] * bars)

    def stop_early(self) -> bool:
        """End the run at the current bar if it has not ended; return whether that was needed."""
        if self.ended_early or not self.desk.live:
            return self.ended_early
        self.ended_early = True
        for book in self.desk.live:
            self.desk.finish(book, book.slip[book.bar])
            book.finished = True
        self._value = self.desk.equity()
        self.desk.live.clear()
        if self.equity:
            self.equity[-1] = self._value
        return True

    def _expire(self, book: Book) -> None:
        now = to_bt_time(book.coarse.time[book.bar])
        for working in list(book.active):
            deadline = working.order.valid
            # A market order trades in the very next bar, whatever its deadline.
            if deadline is not None and now > deadline and working.kind != Kind.MARKET:
                self.desk.end(book, working, Status.EXPIRED)


def trail(working: Working, book: Book) -> None:
    """Let a trailing stop follow the close."""
    created = working.order.created
    working.order.trailadjust(book.price)
    working.price = round_price(created.price, book.decimals)
    if created.pricelimit:
        working.limit = round_price(created.pricelimit, book.decimals)
