"""The project's Backtrader broker: the execution model for any strategy's orders.

Plain Backtrader activates a bracket's children one bar after their parent, so that every position
is without its stop for one bar; fills limits that were only touched; knows no lot, tick, funding
or liquidation. This broker obeys `docs/execution-model.md` instead.
"""

from __future__ import annotations

import collections
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from backtrader.order import BuyOrder, SellOrder

from ftbt.backtest.account_limits import AccountLimits
from ftbt.backtest.book import NOBODY, Book, Place
from ftbt.backtest.broker_base import PerpetualCommission, StrictBroker
from ftbt.backtest.desk import Desk
from ftbt.backtest.matching import walk
from ftbt.backtest.order_checks import TRAILING
from ftbt.backtest.order_entry import OrderEntry
from ftbt.backtest.portfolio import Plan
from ftbt.backtest.result import Kind, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.shares import Shares
from ftbt.backtest.working import Working
from ftbt.data.feed import to_bt_time
from ftbt.data.market import Market
from ftbt.data.precision import round_price
from ftbt.errors import StrategyBroken
from ftbt.risk.allocation import Allocation
from ftbt.strategy.records import Refusal

_TELL_EVERY = 2000  # bars between two words on progress


class ModelBroker(StrictBroker):
    """Fills orders by the execution model and keeps the account of a linear-perpetual trader.

    Attributes:
        settings: money, costs, limits.
        shared: several strategies trade the same symbols.
        equity: at every close of the run's clock so far.
        notifications: changed orders that their strategies have not been told of.
        ended_early: a strategy has stopped the run.
    """

    def __init__(
        self,
        settings: Settings,
        last_bar: int,
        progress: Callable[[int, int], None] | None = None,
        plan: Plan | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.last_bar = last_bar
        self.progress = progress
        self.plan = plan
        self.shared = plan is not None and len(plan.shares) > 1
        self.startingcash = self.startingvalue = settings.capital
        self.equity: list[float] = []
        self.ended_early = False
        groups = None if plan is None else plan.joint.groups
        self.limits = AccountLimits(settings.limits, settings.capital, groups)
        shares = (1.0,) if plan is None else plan.shares
        allocation = Allocation() if plan is None else plan.allocation
        self.shares = Shares(shares, settings.capital, allocation)
        self.desk = Desk(settings, self.limits, self._notify, self.getcommissioninfo)
        self.books = self.desk.books
        self.entry = OrderEntry(self.desk, self._notify, self.getcommissioninfo)
        self.notifications: collections.deque[Any] = collections.deque()
        self._value = settings.capital
        self._clock: list[int] = []
        self._now = 0
        self._coming: list[Book] = []
        self._due = 0  # number on the clock at which a day or a stretch begins or ends

    def add_market(self, data: Any, market: Market, place: Place | None = None) -> None:
        """Make *market* tradable through the feed *data*."""
        self.books[data] = Book(data, market, self.settings, place)
        commission = PerpetualCommission(
            commission=self.settings.taker_fee,
            leverage=self.books[data].leverage,
            size_decimals=market.instrument.size_decimals,
        )
        self.comminfo[data._name] = commission  # noqa: SLF001 - no public name

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

    # --- what setup strategies ask of any broker -----------------------------------------------

    def fill_rules(self, data: Any, rules: Any) -> None:
        """Write what holds for *data* into a RULES record."""
        book = self.books[data]
        rules["size_decimals"] = book.decimals
        rules["min_notional"] = book.rules.min_notional
        rules["leverage"] = book.leverage
        rules["cost_rate"] = self.settings.taker_fee + self.settings.half_spread

    def fill_view(self, owner: Any, view: Any) -> None:
        """Write into a VIEW record what *owner* sizes by, and what the limits leave it."""
        sleeve = owner.ftbt_sleeve
        view["equity"] = self._value * self.shares.factor[sleeve]
        self.limits.look(self.books[owner.data], sleeve, self._value, view["room"])

    def refuse(self, owner: Any, intent: Any) -> None:
        """Note the refusal in an INTENT record."""
        rule, figure = Refusal(int(intent["refusal"])), float(intent["figure"])
        book = self.books[owner.data]
        self.desk.refuse(book, owner.ftbt_sleeve, rule, figure, float(intent["boundary"]))

    def is_finished(self, data: Any) -> bool:
        """Tell whether the last bar of *data* is over: what is ordered now can't trade any more."""
        return self.books[data].finished

    @property
    def halted(self) -> bool:
        """Whether a limit on losses is reached: entries that wait are to be withdrawn."""
        return self.limits.halted

    def has(self, owner: Any, data: Any) -> bool:
        """Tell whether what is held in *data* is *owner*'s, and not another strategy's."""
        return self.books[data].owner in (NOBODY, owner.ftbt_sleeve)

    # --- what Backtrader reads -----------------------------------------------------------------

    def getcash(self) -> float:
        """Return equity that no position ties up as initial margin."""
        return self._value - self.desk.margin_used()

    def getvalue(self, datas: Any = None, mkt: bool = False, lever: bool = False) -> float:
        """Return equity at the last close, or the signed notional of *datas*."""
        del mkt, lever
        if datas is None:
            return self._value
        return sum(self.books[d].size * self.books[d].price for d in datas)

    get_cash = getcash
    get_value = getvalue
    get_fundvalue = getvalue

    @property
    def fundvalue(self) -> float:
        """Return the equity; Backtrader's analyzers ask for it."""
        return self._value

    @property
    def fundshares(self) -> float:
        """Return 1: the account is not a fund."""
        return 1.0

    def getposition(self, data: Any) -> Any:
        """Return the position in *data*, the one that fills change."""
        return self.books[data].position

    @property
    def positions(self) -> dict[Any, Any]:
        """Return the positions by feed."""
        return {data: book.position for data, book in self.books.items()}

    def get_notification(self) -> Any:
        """Return the next changed order, None when there is no more."""
        return self.notifications.popleft() if self.notifications else None

    def orderstatus(self, order: Any) -> Any:
        """Return the status of *order*."""
        return order.status

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """Return the orders that still wait."""
        waiting = [w.order for book in self.books.values() for w in book.active]
        return [order.clone() for order in waiting] if safe else waiting

    # --- orders from the strategy --------------------------------------------------------------

    def buy(self, owner: Any, data: Any, size: float, **keywords: Any) -> Any:
        """Send a buy order; see `OrderEntry.send`."""
        return self._send(BuyOrder, owner, data, size, keywords)

    def sell(self, owner: Any, data: Any, size: float, **keywords: Any) -> Any:
        """Send a sell order; see `OrderEntry.send`."""
        return self._send(SellOrder, owner, data, size, keywords)

    def _send(self, make: Any, owner: Any, data: Any, size: float, keywords: dict[str, Any]) -> Any:
        book = self.books.get(data)
        if book is None or (owner is not None and data is not owner.data):
            raise StrategyBroken(_stray(owner, data))
        if book.bar < book.trade_from:
            raise StrategyBroken("an order was sent before the warm-up was over")
        return self.entry.send(make, owner, book, size, keywords)

    def cancel(self, order: Any) -> bool:
        """Cancel *order* if it still waits; return whether it did. See `OrderEntry.cancel`."""
        return self.entry.cancel(order)

    # --- bars ----------------------------------------------------------------------------------

    def next(self) -> None:
        """Move every symbol's orders along the bar that has just been delivered."""
        now, self._now = self._now, self._now + 1
        due, changed = now >= self._due, False
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

    def _mark(self, time: int) -> None:
        """Let the limits and shares see the equity; it only moves while something is held."""
        limits, value = self.limits, self._value
        if value > limits.peak or value <= limits.watch:
            limits.mark(value, time)
        if limits.halted and not limits.off:
            for book in self.desk.live:
                self.entry.withdraw_entries(book)
        if self.shares.shrinks:
            self.shares.mark(self.desk.live)

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
        self._due = min([midnight, tell, *ends, *begins])

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
                _trail(working, book)

    @property
    def due(self) -> int:
        """Number on the clock of the next bar that more begins or ends at than itself."""
        return self._due

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

    def _notify(self, order: Any) -> None:
        if order.owner is not None:
            self.notifications.append(order.clone())


def _stray(owner: Any, data: Any) -> str:
    own, other = (getattr(one, "_name", repr(one)) for one in (getattr(owner, "data", None), data))
    return f"a strategy object made for {own} can't trade {other}: each symbol has its own"


def _trail(working: Working, book: Book) -> None:
    """Let a trailing stop follow the close."""
    created = working.order.created
    working.order.trailadjust(book.price)
    working.price = round_price(created.price, book.decimals)
    if created.pricelimit:
        working.limit = round_price(created.pricelimit, book.decimals)
