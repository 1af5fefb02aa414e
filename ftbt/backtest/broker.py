"""The project's Backtrader broker: the execution model for any strategy's orders.

Plain Backtrader activates a bracket's children one bar after their parent, so that every position
is without its stop for one bar; fills limits that were only touched; knows no lot, tick, funding
or liquidation. This broker obeys `docs/execution-model.md` instead.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, NoReturn

import backtrader as bt
from backtrader.comminfo import CommInfoBase
from backtrader.order import BuyOrder, SellOrder

from ftbt.backtest.book import Book
from ftbt.backtest.desk import Desk
from ftbt.backtest.matching import walk
from ftbt.backtest.order_checks import TRAILING
from ftbt.backtest.order_entry import OrderEntry
from ftbt.backtest.result import Kind, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.feed import to_bt_time
from ftbt.data.market import Market
from ftbt.data.precision import floor_size, round_price
from ftbt.errors import StrategyBroken

# What Backtrader's own broker offers to strategies, and why it can't be had here.
_THE_MODEL = "an order decided at a close first trades in the next bar"
_THE_COSTS = "fees, slippage and leverage are settings of the run, so that every result shows them"
_REFUSED = {
    "set_coc": _THE_MODEL,
    "set_coo": _THE_MODEL,
    "set_cash": "the capital is a setting of the run",
    "setcash": "the capital is a setting of the run",
    "add_cash": "the capital is a setting of the run",
    "setcommission": _THE_COSTS,
    "addcommissioninfo": _THE_COSTS,
    "set_slippage_perc": _THE_COSTS,
    "set_slippage_fixed": _THE_COSTS,
    "set_shortcash": "longs and shorts of a perpetual are alike",
    "set_filler": "orders fill as a whole",
    "set_eosbar": "the market never closes",
    "seteosbar": "the market never closes",
}


class PerpetualCommission(CommInfoBase):
    """Linear perpetual: sizes are fractions of a coin; values are signed notionals, as of stocks.

    Leverage limits what may be opened; it does not multiply what `order_target_value` or a sizer
    asks for.
    """

    params = (("stocklike", False), ("commtype", CommInfoBase.COMM_PERC), ("percabs", True),
              ("size_decimals", 3))  # fmt: skip

    def getsize(self, price: float, cash: float) -> float:
        """Return the size whose notional is *cash*, cut to the lot (Backtrader's cuts to 1)."""
        size: float = floor_size(cash / price, self.p.size_decimals)
        return size

    def get_margin(self, price: float) -> float:
        """Return the initial margin of one coin."""
        return float(price / self.p.leverage)

    def getvaluesize(self, size: float, price: float) -> float:
        """Return the signed notional."""
        return size * price

    def getvalue(self, position: Any, price: float) -> float:
        """Return the signed notional of *position*."""
        return float(position.size * price)


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
        self.entry = OrderEntry(self.desk, self._notify, self.getcommissioninfo)
        self.trade_from = 0
        self._notifications: collections.deque[Any] = collections.deque()
        self._value = settings.capital
        self.finished = False

    def __getattr__(self, name: str) -> NoReturn:
        """Say why something of Backtrader's own broker is not here."""
        if name in _REFUSED:
            raise StrategyBroken(f"broker.{name}() is not supported: {_REFUSED[name]}")
        raise AttributeError(f"the broker has no {name!r}")

    def setcommission(self, *_: Any, **__: Any) -> None:
        """Refuse: costs are settings of the run."""
        self.__getattr__("setcommission")

    def addcommissioninfo(self, *_: Any, **__: Any) -> None:
        """Refuse: costs are settings of the run."""
        self.__getattr__("addcommissioninfo")

    def add_market(self, data: Any, market: Market) -> None:
        """Make *market* tradable through the feed *data*."""
        self.books[data] = Book(data, market, self.settings)
        commission = PerpetualCommission(
            commission=self.settings.taker_fee,
            leverage=self.books[data].leverage,
            size_decimals=market.instrument.size_decimals,
        )
        super().addcommissioninfo(commission, name=data._name)  # noqa: SLF001 - no public name

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
        """Send a buy order; see `OrderEntry.send`."""
        return self._send(BuyOrder, owner, data, size, keywords)

    def sell(self, owner: Any, data: Any, size: float, **keywords: Any) -> Any:
        """Send a sell order; see `OrderEntry.send`."""
        return self._send(SellOrder, owner, data, size, keywords)

    def _send(self, make: Any, owner: Any, data: Any, size: float, keywords: dict[str, Any]) -> Any:
        if self.books[data].bar < self.trade_from:
            raise StrategyBroken("an order was sent before the warm-up was over")
        return self.entry.send(make, owner, data, size, keywords, late=self.finished)

    def cancel(self, order: Any) -> bool:
        """Cancel *order* if it still waits; return whether it did. See `OrderEntry.cancel`."""
        return self.entry.cancel(order)

    # --- bars ----------------------------------------------------------------------------------

    def next(self) -> None:
        """Move every symbol's orders along the bar that has just been delivered."""
        for book in self.books.values():
            bar = book.stamps.lencount - 1
            if bar > book.bar:
                book.bar = bar
                if book.active or book.position.size:
                    self._walk_bar(book, bar)
                    self._value = self.desk.equity()
                else:  # most bars: nothing can happen, and nothing is at stake
                    book.time, book.price = book.coarse.time[bar], book.coarse.close[bar]
                if bar >= self.last_bar:
                    self.finished = True
                    self._finish(book)
                    self._value = self.desk.equity()
        self.equity.append(self._value)
        if self.progress is not None and not len(self.equity) % 2000:
            self.progress(len(self.equity), self.last_bar + 1)

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

    def _finish(self, book: Book) -> None:
        """End the run flat for *book*."""
        self.entry.cancel_held()
        self.desk.finish(book, book.slip[book.bar])

    def stop_early(self) -> bool:
        """End the run at the current bar if it has not ended; return whether that was needed."""
        if self.finished:
            return False
        self.finished = True
        for book in self.books.values():
            if book.bar >= 0:
                self._finish(book)
        self._value = self.desk.equity()
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
            self._notifications.append(order.clone())


def _trail(working: Working, book: Book) -> None:
    """Let a trailing stop follow the close."""
    created = working.order.created
    working.order.trailadjust(book.price)
    working.price = round_price(created.price, book.decimals)
    if created.pricelimit:
        working.limit = round_price(created.pricelimit, book.decimals)
