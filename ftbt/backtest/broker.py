"""The project's Backtrader broker: the execution model for any strategy's orders.

Plain Backtrader activates a bracket's children one bar after their parent, so that every position
is without its stop for one bar; fills limits that were only touched; knows no lot, tick, funding
or liquidation. This broker obeys `docs/execution-model.md` instead.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
from backtrader.comminfo import CommInfoBase
from backtrader.order import BuyOrder, Order, SellOrder

from ftbt.backtest.book import NAN, Book
from ftbt.backtest.desk import Desk
from ftbt.backtest.matching import walk
from ftbt.backtest.result import Kind, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Bracket, Working
from ftbt.data.feed import to_bt_time
from ftbt.data.market import Market
from ftbt.data.precision import floor_size, round_price
from ftbt.data.timeframe import DAY_MS, to_ms
from ftbt.errors import InputError
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

_KINDS = {
    Order.Market: Kind.MARKET,
    Order.Close: Kind.CLOSE,
    Order.Limit: Kind.LIMIT,
    Order.Stop: Kind.STOP,
    Order.StopLimit: Kind.STOP_LIMIT,
    Order.StopTrail: Kind.TRAIL,
    Order.StopTrailLimit: Kind.TRAIL_LIMIT,
}
_PRICELESS = (Kind.MARKET, Kind.CLOSE)
TOO_SMALL = REFUSAL_WORDS[Refusal.MIN_NOTIONAL]
NO_MARGIN = "not enough margin"


def _deadline(book: Book, valid: Any) -> float | None:
    """Return what Backtrader accepts as `valid` as a date number, None for no end.

    A datetime is an instant (UTC), a timedelta or a number (days) counts from the current bar,
    0 means until the end of the UTC day.
    """
    if valid is None:
        return None
    now = book.coarse.time[book.bar]
    if isinstance(valid, timedelta):
        return to_bt_time(now + int(valid.total_seconds() * 1000))
    if isinstance(valid, datetime):
        return to_bt_time(to_ms(valid if valid.tzinfo else valid.replace(tzinfo=UTC)))
    if not valid:
        return to_bt_time(now // DAY_MS * DAY_MS + DAY_MS - 1)
    return to_bt_time(now + int(float(valid) * DAY_MS))


class PerpetualCommission(CommInfoBase):
    """Linear perpetual: no cash is tied up, sizes are fractions of a coin."""

    params = (("stocklike", False), ("commtype", CommInfoBase.COMM_PERC), ("percabs", True),
              ("size_decimals", 3))  # fmt: skip

    def getsize(self, price: float, cash: float) -> float:
        """Return the size that *cash* pays for, cut to the lot (Backtrader's own cuts to 1)."""
        wanted = self.p.leverage * (cash / price)
        size: float = floor_size(wanted, self.p.size_decimals)
        return size


class ModelBroker(bt.BrokerBase):
    """Fills orders by the execution model and keeps the account of a linear-perpetual trader."""

    def __init__(
        self,
        settings: Settings,
        last_bar: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.last_bar = last_bar
        self.progress = progress
        self.startingcash = self.startingvalue = settings.capital
        self.equity: list[float] = []
        self.desk = Desk(settings, self._notify, self.getcommissioninfo)
        self.books = self.desk.books
        self._held: dict[int, list[Working]] = {}
        self._notifications: collections.deque[Any] = collections.deque()
        self._value = settings.capital
        self.finished = False

    def add_market(self, data: Any, market: Market) -> None:
        """Make *market* tradable through the feed *data*."""
        self.books[data] = Book(data, market, self.settings)
        commission = PerpetualCommission(
            commission=self.settings.taker_fee,
            leverage=self.settings.leverage,
            size_decimals=market.instrument.size_decimals,
        )
        self.addcommissioninfo(commission, name=data._name)  # noqa: SLF001 - no public name

    def fill_rules(self, data: Any, rules: Any) -> None:
        """Write what holds for *data* into a RULES record."""
        book = self.books[data]
        rules["size_decimals"] = book.decimals
        rules["min_notional"] = book.rules.min_notional
        rules["leverage"] = book.leverage
        rules["cost_rate"] = self.settings.taker_fee + self.settings.half_spread

    # --- what Backtrader reads -----------------------------------------------------------------

    def getcash(self) -> float:
        """Return equity that no position ties up as initial margin."""
        return self._value - self.desk.margin_used()

    def getvalue(self, datas: Any = None) -> float:
        """Return equity at the last close, or the notional of *datas*."""
        if datas is None:
            return self._value
        return sum(abs(self.books[d].size) * self.books[d].price for d in datas)

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

    def getposition(self, data: Any, clone: bool = True) -> Any:
        """Return the position in *data*."""
        position = self.books[data].position
        return position.clone() if clone else position

    def get_notification(self) -> Any:
        """Return the next changed order, None when there is no more."""
        return self._notifications.popleft() if self._notifications else None

    def orderstatus(self, order: Any) -> Any:
        """Return the status of *order*."""
        return order.status

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """Return the orders that still wait."""
        waiting = [w.order for book in self.books.values() for w in book.active]
        return [order.clone() for order in waiting] if safe else waiting

    # --- orders from the strategy --------------------------------------------------------------

    def buy(self, owner: Any, data: Any, size: float, **keywords: Any) -> Any:
        """Send a buy order; see `_send`."""
        return self._send(BuyOrder, owner, data, size, keywords)

    def sell(self, owner: Any, data: Any, size: float, **keywords: Any) -> Any:
        """Send a sell order; see `_send`."""
        return self._send(SellOrder, owner, data, size, keywords)

    def _send(self, make: Any, owner: Any, data: Any, size: float, keywords: dict[str, Any]) -> Any:
        """Round to lot and tick, build the Backtrader order, let it wait for the next bar."""
        book = self.books[data]
        side = 1 if make is BuyOrder else -1
        names = ("price", "plimit", "exectype", "valid", "tradeid", "oco", "trailamount",
                 "trailpercent", "parent", "transmit", "histnotify", "_checksubmit")  # fmt: skip
        given = {name: keywords.pop(name, None) for name in names}
        kind = _KINDS.get(given["exectype"] or Order.Market)
        if kind is None:
            raise InputError("historical orders can't be sent to a back-test")
        size = floor_size(abs(size), book.decimals)
        price = self._rounded(book, given["price"])
        limit = self._rounded(book, given["plimit"])
        order = make(
            owner=owner,
            data=data,
            size=size,
            price=price,
            pricelimit=limit,
            exectype=given["exectype"],
            valid=None,
            tradeid=given["tradeid"] or 0,
            trailamount=given["trailamount"],
            trailpercent=given["trailpercent"],
            parent=given["parent"],
            transmit=given["transmit"] is not False,
            histnotify=bool(given["histnotify"]),
        )
        order.valid = _deadline(book, given["valid"])
        order.addinfo(**keywords)
        order.addcomminfo(self.getcommissioninfo(data))
        working = self._working(book, order, side, kind, size, keywords)
        return self._accept(book, working, given["oco"])

    @staticmethod
    def _rounded(book: Book, price: float | None) -> float | None:
        return None if price is None else round_price(float(price), book.decimals)

    def _working(
        self, book: Book, order: Any, side: int, kind: Kind, size: float, more: dict[str, Any]
    ) -> Working:
        price = NAN if kind in _PRICELESS else float(order.created.price or book.price)
        limit = float(order.created.pricelimit) if order.created.pricelimit else price
        # A limit that the last price has passed already trades at once, as a taker.
        rests = kind != Kind.LIMIT or side * (price - book.price) < 0.0
        working = Working(
            number=len(self.desk.orders) + 1,
            order=order,
            side=side,
            kind=kind,
            role=Role.ENTRY,
            size=size,
            price=price,
            limit=limit,
            bar=book.bar,
            remaining=size,
            rests=rests,
            confidence=more.get("confidence", NAN),
            reason=more.get("reason", -1),
            exit_reason=more.get("exit_reason", 0),
            targets=more.get("targets", (NAN, NAN)),
            break_even=more.get("break_even", False),
        )
        parent = self.desk.by_ref.get(order.parent.ref) if order.parent is not None else None
        if parent is not None:
            self._join(parent, working, int(more.get("target", 0)))
        elif side * book.size < 0.0:
            working.role = Role.EXIT
        return working

    @staticmethod
    def _join(parent: Working, child: Working, target: int) -> None:
        bracket = parent.bracket or Bracket(parent)
        parent.bracket = child.bracket = bracket
        child.reduces = True
        child.active = parent.status == Status.FILLED
        if child.is_stop_kind:
            child.role = Role.STOP
            parent.stop = child.price
        else:
            child.role = Role.TARGET2 if target == 2 else Role.TARGET1
            if not target:
                parent.targets = (child.price, NAN)
        bracket.children.append(child)

    def _accept(self, book: Book, working: Working, oco: Any) -> Any:
        """Put *working* into the book, unless refused; a bracket waits until it is whole."""
        order = working.order
        if self.finished:
            order.reject(self)
            return order
        self.desk.enlist(working)
        order.submit(self)
        self._notify(order)
        if self._too_small(book, working):
            self.desk.refused[TOO_SMALL] += 1
            self.desk.close_order(working, Status.REJECTED, book.bar)
            return order
        if oco is not None and oco.ref in self.desk.by_ref:
            other = self.desk.by_ref[oco.ref]
            group = other.one_cancels or {other.number}
            group.add(working.number)
            other.one_cancels = working.one_cancels = group
        family = order.parent.ref if order.parent is not None else order.ref
        waiting = self._held.setdefault(family, [])
        waiting.append(working)
        if order.transmit:
            for member in self._held.pop(family):
                self._work(book, member)
        return order

    def _work(self, book: Book, working: Working) -> None:
        parent = working.bracket.entry if working.bracket and working.reduces else None
        if parent is not None and parent.status not in (Status.OPEN, Status.FILLED):
            self.desk.close_order(working, Status.CANCELLED, book.bar)
            return
        working.order.accept(self)
        self._notify(working.order)
        book.active.append(working)

    def _too_small(self, book: Book, working: Working) -> bool:
        if working.size <= 0.0:
            return True
        closes = working.reduces or (
            working.side * book.size < 0.0 and working.size <= abs(book.size) * (1 + 1e-9)
        )
        price = book.price if working.kind in _PRICELESS else working.price
        return not closes and working.size * price < book.rules.min_notional

    def cancel(self, order: Any) -> None:
        """Cancel *order* and, when it is an entry, its children."""
        working = self.desk.by_ref.get(order.ref)
        if working is not None and working.status == Status.OPEN:
            self.desk.end(self.books[order.data], working, Status.CANCELLED)

    # --- bars ----------------------------------------------------------------------------------

    def next(self) -> None:
        """Move every symbol's orders along the bar that has just been delivered."""
        for book in self.books.values():
            bar = len(book.data) - 1
            if bar > book.bar:
                book.bar = bar
                self._walk_bar(book, bar)
        self._value = self.desk.equity()
        self.equity.append(self._value)
        if self.progress is not None and not len(self.equity) % 2000:
            self.progress(len(self.equity), self.last_bar + 1)

    def _walk_bar(self, book: Book, bar: int) -> None:
        path = book.coarse
        if not book.active and not book.size:
            book.time, book.price = path.time[bar], path.close[bar]
            return
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
            if working.kind in (Kind.TRAIL, Kind.TRAIL_LIMIT):
                working.order.trailadjust(book.price)
                working.price = working.order.created.price
                working.limit = working.order.created.pricelimit or working.limit
        if bar >= self.last_bar:
            self.desk.finish(book, slip)
            self.finished = True

    def _expire(self, book: Book) -> None:
        now = to_bt_time(book.coarse.time[book.bar])
        for working in list(book.active):
            if working.order.valid is not None and now > working.order.valid:
                self.desk.end(book, working, Status.EXPIRED)

    def _notify(self, order: Any) -> None:
        if order.owner is not None:
            self._notifications.append(order.clone())
