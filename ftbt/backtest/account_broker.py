"""What strategies and Backtrader see of an account: the same in a back-test and live.

Who moves it - candles or an exchange - is a subclass's business (`broker.py`, `ftbt/live`).
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

from backtrader.order import BuyOrder, SellOrder

from ftbt.backtest.account_limits import AccountLimits
from ftbt.backtest.book import NOBODY, Book
from ftbt.backtest.broker_base import PerpetualCommission, StrictBroker
from ftbt.backtest.desk import Desk
from ftbt.backtest.order_entry import OrderEntry
from ftbt.backtest.settings import Settings
from ftbt.backtest.shares import Shares
from ftbt.errors import StrategyBroken
from ftbt.risk.allocation import Allocation
from ftbt.risk.correlation import Groups
from ftbt.strategy.records import Refusal


class AccountBroker(StrictBroker):
    """The account of a linear-perpetual trader, its orders, and what limits its risk.

    Attributes:
        settings: money, costs, limits.
        shared: several strategies trade the same symbols.
        equity: at every close of the run's clock so far.
        notifications: changed orders that their strategies have not been told of.
    """

    def __init__(
        self,
        settings: Settings,
        shares: Sequence[float] = (1.0,),
        allocation: Allocation | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.shared = len(shares) > 1
        self.startingcash = self.startingvalue = settings.capital
        self.equity: list[float] = []
        self.limits = AccountLimits(settings.limits, settings.capital, groups)
        self.shares = Shares(shares, settings.capital, allocation or Allocation())
        self.desk = self.make_desk()
        self.books = self.desk.books
        self.entry = OrderEntry(self.desk, self._notify, self.getcommissioninfo)
        self.notifications: collections.deque[Any] = collections.deque()
        self._value = settings.capital

    def make_desk(self) -> Desk:
        """Return the desk that keeps the account."""
        return Desk(self.settings, self.limits, self._notify, self.getcommissioninfo)

    def add_book(self, book: Book) -> None:
        """Make the symbol of *book* tradable."""
        self.books[book.data] = book
        self.comminfo[book.data._name] = PerpetualCommission(  # noqa: SLF001 - no public name
            commission=self.settings.taker_fee,
            leverage=book.leverage,
            size_decimals=book.decimals,
        )

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

    def decided(self, owner: Any, setup: Any, intent: Any) -> None:
        """Take notice of what *owner* has decided; a back-test keeps orders and refusals only."""

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

    def _notify(self, order: Any) -> None:
        if order.owner is not None:
            self.notifications.append(order.clone())


def _stray(owner: Any, data: Any) -> str:
    own, other = (getattr(one, "_name", repr(one)) for one in (getattr(owner, "data", None), data))
    return f"a strategy object made for {own} can't trade {other}: each symbol has its own"
