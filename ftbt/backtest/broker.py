"""The project's Backtrader broker: the execution model for any strategy's orders.

Plain Backtrader activates a bracket's children one bar after their parent, so that every position
is without its stop for one bar; fills limits that were only touched; knows no lot, tick, funding
or liquidation. This broker obeys `docs/execution-model.md` instead.
"""

from __future__ import annotations

import collections
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np
from backtrader.comminfo import CommInfoBase
from backtrader.order import BuyOrder, Order, SellOrder

from ftbt.backtest import fills
from ftbt.backtest.book import CLOSED_BY, NAN, Book
from ftbt.backtest.matching import walk
from ftbt.backtest.result import FILL, ORDER, ExitReason, Kind, Role, Status
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
        return floor_size(self.p.leverage * (cash / price), self.p.size_decimals)


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
        self.books: dict[Any, Book] = {}
        self.cash = self.startingcash = self.startingvalue = settings.capital
        self.equity: list[float] = []
        self.fills: list[tuple[Any, ...]] = []
        self.all_orders: list[Working] = []
        self.refused: Counter[str] = Counter()
        self._by_ref: dict[int, Working] = {}
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
        used = sum(abs(b.size) * b.price / b.leverage for b in self.books.values() if b.size)
        return self._value - used

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
            number=len(self.all_orders) + 1,
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
        parent = self._by_ref.get(order.parent.ref) if order.parent is not None else None
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
        """Put *working* into the book, unless it is refused or waits for the rest of its bracket."""
        order = working.order
        if self.finished:
            order.reject(self)
            return order
        self.all_orders.append(working)
        self._by_ref[order.ref] = working
        order.submit(self)
        self._notify(order)
        if self._too_small(book, working):
            self.refused[TOO_SMALL] += 1
            self._close_order(working, Status.REJECTED, book.bar)
            return order
        if oco is not None and oco.ref in self._by_ref:
            other = self._by_ref[oco.ref]
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
            self._close_order(working, Status.CANCELLED, book.bar)
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
        working = self._by_ref.get(order.ref)
        if working is not None and working.status == Status.OPEN:
            self.end(self.books[order.data], working, Status.CANCELLED)

    # --- bars ----------------------------------------------------------------------------------

    def next(self) -> None:
        """Move every symbol's orders along the bar that has just been delivered."""
        for book in self.books.values():
            bar = len(book.data) - 1
            if bar > book.bar:
                book.bar = bar
                self._walk_bar(book, bar)
        self._value = self.cash + sum(b.profit(b.price) for b in self.books.values() if b.size)
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
                self.pay_funding(book, path.funding_open[row], path.open[row])
            prices = (path.open[row], path.high[row], path.low[row], path.close[row])
            walk(self, book, prices, slip, path.funding_inside[row])
        for working in book.active:
            if working.kind in (Kind.TRAIL, Kind.TRAIL_LIMIT):
                working.order.trailadjust(book.price)
                working.price = working.order.created.price
                working.limit = working.order.created.pricelimit or working.limit
        if bar >= self.last_bar:
            self._finish(book, slip)

    def _expire(self, book: Book) -> None:
        now = to_bt_time(book.coarse.time[book.bar])
        for working in list(book.active):
            if working.order.valid is not None and now > working.order.valid:
                self.end(book, working, Status.EXPIRED)

    def _finish(self, book: Book, slip: float) -> None:
        """End the run flat: cancel what waits, leave at the last close with cost."""
        for working in list(book.active):
            self.end(book, working, Status.CANCELLED)
        if book.size:
            side = -1 if book.size > 0 else 1
            self._force(book, fills.slipped(side, book.price, slip), book.price, ExitReason.END)
        self.finished = True

    # --- what the walk calls -------------------------------------------------------------------

    def _equity_at(self, book: Book, price: float) -> float:
        others = sum(b.profit(b.price) for b in self.books.values() if b is not book)
        return self.cash + others + book.profit(price)

    def liquidation_price(self, book: Book) -> float:
        """Return the price at which equity falls to the maintenance margin, NaN for none."""
        equity = self._equity_at(book, book.price)
        level = fills.liquidation_price(book.size, book.price, equity, book.maintenance)
        return float(level)

    def liquidate(self, book: Book, price: float) -> None:
        """Close the position by force; the loss ends where the equity ends."""
        equity = self._equity_at(book, book.price)
        ruin = fills.bankruptcy_price(book.size, book.price, equity)
        side = -1 if book.size > 0 else 1
        reached = max(price, ruin) if side < 0 else min(price, ruin)
        self._force(book, reached, reached, ExitReason.LIQUIDATION)

    def _force(self, book: Book, price: float, plain: float, reason: ExitReason) -> None:
        """Close the position with an order of the broker's own."""
        make = SellOrder if book.size > 0 else BuyOrder
        owner = book.trade.entry.order.owner if book.trade is not None else None
        order = make(owner=owner, data=book.data, size=abs(book.size), exectype=Order.Market,
                     simulated=True)  # fmt: skip
        order.addcomminfo(self.getcommissioninfo(book.data))
        working = self._working(
            book, order, -1 if book.size > 0 else 1, Kind.MARKET, abs(book.size),
            {"exit_reason": int(reason)},
        )  # fmt: skip
        self.all_orders.append(working)
        self._by_ref[order.ref] = working
        order.submit(self)
        order.accept(self)
        book.active.append(working)
        self.fill(book, working, price, plain, maker=False)

    def pay_funding(self, book: Book, rate: float, price: float) -> None:
        """Book one or more hourly payments: positive rate, longs pay."""
        paid = book.size * price * rate
        self.cash -= paid
        if book.trade is not None:
            book.trade.funding += paid

    def end(self, book: Book, working: Working, status: Status) -> None:
        """End *working* and everything that hangs on it."""
        self._close_order(working, status, book.bar)
        if working in book.active:
            book.active.remove(working)
        bracket = working.bracket
        if bracket is not None and bracket.entry is working and not working.filled:
            for child in bracket.children:
                if child.status == Status.OPEN:
                    self.end(book, child, Status.CANCELLED)

    def fill(
        self, book: Book, working: Working, price: float, plain: float, *, maker: bool
    ) -> None:
        """Fill all that remains of *working*, then settle what hangs on it."""
        size = working.remaining
        if working.reduces:
            size = min(size, abs(book.size)) if working.side * book.size < 0 else 0.0
        if size <= 0.0:
            self.end(book, working, Status.CANCELLED)
            return
        if not self._has_margin(book, working, size, price):
            self.refused[NO_MARGIN] += 1
            self.end(book, working, Status.MARGIN)
            return
        self._settle(book, working, size, price, plain, maker)
        book.active.remove(working)
        self._after_fill(book, working, size, price)

    def _has_margin(self, book: Book, working: Working, size: float, price: float) -> bool:
        after = book.size + working.side * size
        if abs(after) <= abs(book.size) or after * book.size < 0 and abs(after) <= abs(book.size):
            return True
        others = sum(
            abs(b.size) * b.price / b.leverage for b in self.books.values() if b is not book
        )
        needed = abs(after) * price / book.leverage + others
        # A hair of tolerance: the size was cut at another price of the same value.
        return needed <= self._equity_at(book, price) * (1.0 + 1e-9)

    def _settle(
        self, book: Book, working: Working, size: float, price: float, plain: float, maker: bool
    ) -> None:
        """Book price, fee and trade of a fill, and tell Backtrader."""
        before = book.position.price
        signed = working.side * size
        opened, closed = book.move(signed, price)
        profit = -working.side * closed * (price - before)
        rate = self.settings.maker_fee if maker else self.settings.taker_fee
        fee = size * price * rate
        slippage = size * abs(price - plain)
        self.cash += profit - fee
        reason = self._reason(working) if closed else 0
        self.fills.append(
            (working.number, book.bar, book.time, working.side, size, price, fee, slippage,
             int(maker), reason)
        )  # fmt: skip
        self._trade_of(book, working, opened, closed, price, fee, slippage, reason)
        share = closed / size
        order = working.order
        order.execute(
            to_bt_time(book.time), signed, price,
            working.side * closed, closed * price, fee * share,
            working.side * opened, opened * price, fee * (1.0 - share),
            0.0, profit, book.size, book.position.price,
        )  # fmt: skip
        working.filled, working.remaining = size, 0.0
        working.status, working.end_bar = Status.FILLED, book.bar
        order.completed()
        self._notify(order)

    def _trade_of(
        self, book: Book, working: Working, opened: float, closed: float, price: float,
        fee: float, slippage: float, reason: int,
    ) -> None:  # fmt: skip
        """Carry the fill into the trade in progress; a reversal ends one and begins another."""
        whole = opened + closed
        if closed:
            book.record(working, 0.0, closed, price)
            self._charge(book, fee * closed / whole, slippage * closed / whole)
            if opened or not book.size:
                book.finish_trade(reason)
        if opened:
            book.record(working, opened, 0.0, price)
            self._charge(book, fee * opened / whole, slippage * opened / whole)

    @staticmethod
    def _charge(book: Book, fee: float, slippage: float) -> None:
        if book.trade is not None:
            book.trade.fees += fee
            book.trade.slippage += slippage

    @staticmethod
    def _reason(working: Working) -> int:
        if working.exit_reason:
            return working.exit_reason
        if working.moved:
            return int(ExitReason.BREAK_EVEN)
        if working.role in CLOSED_BY:
            return int(CLOSED_BY[working.role])
        if working.is_stop_kind:
            return int(ExitReason.STOP)
        return int(ExitReason.TARGET1 if working.kind == Kind.LIMIT else ExitReason.SIGNAL)

    def _after_fill(self, book: Book, working: Working, size: float, price: float) -> None:
        bracket = working.bracket
        if bracket is not None and bracket.entry is working:
            bracket.remaining, bracket.entry_price = size, price
            for child in bracket.children:
                child.active, child.remaining = True, min(child.remaining, size)
                child.rests = not book.opening
        elif bracket is not None:
            bracket.remaining -= size
            bracket.target_hit |= working.role in (Role.TARGET1, Role.TARGET2)
            self._shrink(book, bracket)
        if working.one_cancels is not None:
            for other in [w for w in book.active if w.number in working.one_cancels]:
                self.end(book, other, Status.CANCELLED)
        if not book.size:
            for child in book.children():
                self.end(book, child, Status.CANCELLED)

    def _shrink(self, book: Book, bracket: Bracket) -> None:
        """Let the other children close no more than what is left of their entry."""
        left = floor_size(max(0.0, bracket.remaining) + 1e-12, book.decimals)
        bracket.remaining = left
        for child in bracket.children:
            if child.status == Status.OPEN:
                child.remaining = min(child.remaining, left)
                if child.remaining <= 0.0:
                    self.end(book, child, Status.CANCELLED)

    # --- ends ----------------------------------------------------------------------------------

    def _close_order(self, working: Working, status: Status, bar: int) -> None:
        working.status, working.end_bar, working.active = status, bar, False
        order = working.order
        if status == Status.EXPIRED:
            order.status = Order.Expired
            order.executed.dt = to_bt_time(0)
        elif status == Status.MARGIN:
            order.margin()
        elif status == Status.REJECTED:
            order.reject(self)
        else:
            order.cancel()
        self._notify(order)

    def _notify(self, order: Any) -> None:
        if order.owner is not None:
            self._notifications.append(order.clone())

    def order_records(self) -> Any:
        """Return all orders of the run as ORDER records."""
        return np.array([working.row() for working in self.all_orders], ORDER)

    def fill_records(self) -> Any:
        """Return all fills of the run as FILL records."""
        return np.array(self.fills, FILL)
