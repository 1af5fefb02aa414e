"""The desk: fills orders, keeps the account, and settles what hangs on a fill.

It knows nothing of bars and paths (`matching.py`) nor of what Backtrader reads (`broker.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from backtrader.order import BuyOrder, Order, SellOrder

from ftbt.backtest import fills
from ftbt.backtest.account import Account
from ftbt.backtest.account_limits import AccountLimits
from ftbt.backtest.book import CLOSED_BY, Book
from ftbt.backtest.result import (
    FILL,
    ORDER,
    REFUSED,
    TRADE,
    ExitReason,
    Kind,
    Role,
    Status,
)
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Bracket, Working
from ftbt.data.feed import to_bt_time
from ftbt.data.precision import floor_size, round_price
from ftbt.strategy.records import Refusal


class Desk(Account):
    """Account, fills and orders of one run.

    Attributes:
        limits: what the account may risk.
        books: Backtrader feed -> its book, in the order in which they move.
        orders: every order of the run, in the order it was sent.
    """

    def __init__(
        self,
        settings: Settings,
        limits: AccountLimits,
        notify: Callable[[Any], None],
        commission: Callable[[Any], Any],
    ) -> None:
        super().__init__(settings)
        self.limits = limits
        self.notify = notify
        self.commission = commission
        self.books: dict[Any, Book] = {}
        self.orders: list[Working] = []
        self.by_ref: dict[int, Working] = {}
        self.fills: list[tuple[Any, ...]] = []
        self.trades: list[tuple[Any, ...]] = []
        self.refusals: list[tuple[Any, ...]] = []

    def enlist(self, working: Working) -> None:
        """Count *working* among the orders of the run."""
        self.orders.append(working)
        self.by_ref[working.order.ref] = working

    def orders_of(self, numbers: Iterable[int]) -> list[Working]:
        """Return the orders with *numbers*, by age."""
        return [self.orders[number - 1] for number in sorted(numbers)]

    def refuse(self, book: Book, sleeve: int, rule: Refusal, figure: float, limit: float) -> None:
        """Note what was not taken, and why."""
        self.refusals.append(
            (book.now, book.bar_time, int(rule), figure, limit, book.symbol, sleeve)
        )

    def liquidate(self, book: Book, price: float) -> None:
        """Close the position by force; the loss ends where the equity ends (see `fill`)."""
        self._force(book, price, price, ExitReason.LIQUIDATION)

    def _force(self, book: Book, price: float, plain: float, reason: ExitReason) -> None:
        """Close the position with an order of the broker's own."""
        self.fill(book, self.order_out(book, price, reason), price, plain, maker=False)

    def order_out(self, book: Book, price: float, reason: ExitReason) -> Working:
        """Return a working order of the broker's own that closes the position."""
        assert book.trade is not None, "a position always has a trade"
        entry = book.trade.entry
        make = SellOrder if book.size > 0 else BuyOrder
        order = make(
            owner=entry.order.owner, data=book.data, size=abs(book.size), exectype=Order.Market
        )
        order.addcomminfo(self.commission(book.data))
        working = Working(
            number=len(self.orders) + 1,
            order=order,
            side=-1 if book.size > 0 else 1,
            kind=Kind.MARKET,
            role=Role.EXIT,
            size=abs(book.size),
            price=price,
            limit=price,
            bar=book.now,
            remaining=abs(book.size),
            reduces=True,
            exit_reason=int(reason),
            symbol=book.symbol,
            sleeve=entry.sleeve,
        )
        self.enlist(working)
        order.submit(None)
        order.accept(None)
        book.active.append(working)
        return working

    def pay_funding(self, book: Book, rate: float, price: float) -> None:
        """Book one or more hourly payments: positive rate, longs pay."""
        self.pay(book, book.size * price * rate)

    def pay(self, book: Book, paid: float) -> None:
        """Book an amount of funding that was paid, received when negative."""
        self.cash -= paid
        if book.trade is not None:
            book.trade.funding += paid

    def end(self, book: Book, working: Working, status: Status) -> None:
        """End *working* and everything that hangs on it."""
        self.close_order(working, status, book.now)
        if working in book.active:
            book.active.remove(working)
        bracket = working.bracket
        if bracket is not None and bracket.entry is working and not working.filled:
            for child in bracket.children:
                if child.status == Status.OPEN:
                    self.end(book, child, Status.CANCELLED)
        self._end_others(book, working)

    def _end_others(self, book: Book, working: Working) -> None:
        """Cancel the orders that *working* is one-cancels-other with, however it ended."""
        for other in self.orders_of(working.one_cancels or ()):
            if other is not working and other.status == Status.OPEN:
                self.end(book, other, Status.CANCELLED)

    def fill(
        self, book: Book, working: Working, price: float, plain: float, *, maker: bool
    ) -> None:
        """Fill all that remains of *working*, then settle what hangs on it."""
        size = working.remaining
        if working.reduces:
            size = min(size, abs(book.size)) if working.side * book.size < 0 else 0.0
        size = self._may_begin(book, working, size)
        if size <= 0.0:
            self.end(book, working, Status.CANCELLED)
            return
        if not self._has_margin(book, working, size, price):
            self.end(book, working, Status.MARGIN)
            return
        ruin = self.ruin_price(book, working)
        beyond = working.side * (price - ruin) > 0.0  # False for NaN
        if beyond:
            price = plain = ruin
        self._settle(book, working, size, price, plain, maker)
        if beyond and not book.size:  # ruin is zero, not a rounding error beside it
            self.cash -= self.equity_at(book, price)
        book.active.remove(working)
        self._after_fill(book, working, size, price)

    def _may_begin(self, book: Book, working: Working, size: float) -> float:
        """Return what of *size* the limit on trades a day leaves: what closes is always free."""
        closes = abs(book.size) if working.side * book.size < 0.0 else 0.0
        begins = (closes or not book.size) and book.opening_size(working) > 0.0
        refused = self.limits.no_more_trades(working) if begins else None
        if refused is None:
            return size
        self.refuse(book, working.sleeve, *refused)
        return closes

    def _has_margin(self, book: Book, working: Working, size: float, price: float) -> bool:
        needed, there = self.needed_and_there(book, working, size, price)
        # A hair of tolerance: the size was cut at another price of the same value.
        if needed <= there * (1.0 + 1e-9):
            return True
        self.refuse(book, working.sleeve, Refusal.NO_MARGIN, needed, there)
        return False

    def _settle(
        self, book: Book, working: Working, size: float, price: float, plain: float, maker: bool
    ) -> None:
        """Book a fill of all that remains, and tell Backtrader."""
        rate = self.settings.maker_fee if maker else self.settings.taker_fee
        self.book_fill(
            book, working, size, price, size * price * rate, size * abs(price - plain), maker
        )
        working.filled, working.remaining = size, 0.0
        self.complete(book, working)

    def complete(self, book: Book, working: Working) -> None:
        """Mark *working* as filled, and tell its owner."""
        working.status, working.end_bar = Status.FILLED, book.now
        working.order.completed()
        self.notify(working.order)

    def book_fill(
        self, book: Book, working: Working, size: float, price: float, fee: float, slippage: float,
        maker: bool,
    ) -> None:  # fmt: skip
        """Book price, fee and trade of a fill."""
        before = book.position.price
        signed = working.side * size
        opened, closed = book.move(signed, price)
        profit = -working.side * closed * (price - before)
        self.cash += profit - fee
        reason = self._reason(working) if closed else 0
        self.fills.append(
            (working.number, book.now, book.time, working.side, size, price, fee, slippage,
             int(maker), reason, book.symbol, working.sleeve)
        )  # fmt: skip
        self._trade_of(book, working, opened, closed, price, fee, slippage, reason)
        share = closed / size
        order = working.order
        closes, opens = book.told(order.tradeid, working.side * closed, working.side * opened)
        order.execute(
            to_bt_time(book.time), signed, price,
            closes, closed * price, fee * share,
            opens, opened * price, fee * (1.0 - share),
            0.0, profit, book.size, book.position.price,
        )  # fmt: skip

    def _trade_of(
        self, book: Book, working: Working, opened: float, closed: float, price: float,
        fee: float, slippage: float, reason: int,
    ) -> None:  # fmt: skip
        """Carry the fill into the trade in progress; a reversal ends one and begins another."""
        whole = opened + closed
        if closed:
            book.record(working, 0.0, closed, price)
            self._charge(book, fee * (closed / whole), slippage * (closed / whole))
            if opened or not book.size:
                self.trades.append(book.finish_trade(reason))
        if opened:
            if book.trade is None:
                self.limits.count_trade()
            book.record(working, opened, 0.0, price)
            self._charge(book, fee * (opened / whole), slippage * (opened / whole))

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
        self._end_others(book, working)
        for child in book.children():
            if child.side * book.size >= 0.0:  # flat, or turned around: nothing of it is left
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

    def finish(self, book: Book, slip: float) -> None:
        """End a stretch flat: cancel what waits, leave at the last close with cost."""
        self.cancel_held(book)
        for working in list(book.active):
            if working.status == Status.OPEN:
                self.end(book, working, Status.CANCELLED)
        if book.size:
            side = -1 if book.size > 0 else 1
            price = fills.slipped(side, book.price, slip, book.decimals)
            self._force(book, price, book.price, ExitReason.END)

    def cancel_held(self, book: Book) -> None:
        """Cancel what was sent with transmit=False and never transmitted."""
        for family in book.held.values():
            for member in family:
                if member.status == Status.OPEN:
                    self.end(book, member, Status.CANCELLED)
        book.held.clear()

    def close_order(self, working: Working, status: Status, bar: int) -> None:
        """Mark *working* as ended without a fill, and tell its owner."""
        working.status, working.end_bar, working.active = status, bar, False
        order = working.order
        if status == Status.EXPIRED:
            order.status = Order.Expired
            order.executed.dt = order.data.datetime[0]
        elif status == Status.MARGIN:
            order.margin()
        elif status == Status.REJECTED:
            order.reject(None)
        else:
            order.cancel()
        self.notify(order)

    def order_records(self) -> Any:
        """Return all orders of the run as ORDER records."""
        return np.array([working.row() for working in self.orders], ORDER)

    def fill_records(self) -> Any:
        """Return all fills of the run as FILL records."""
        return np.array(self.fills, FILL)

    def trade_records(self) -> Any:
        """Return all trades of the run, in the order in which they ended, as TRADE records."""
        return np.array(self.trades, TRADE)

    def refusal_records(self) -> Any:
        """Return everything that was not taken as REFUSED records."""
        return np.array(self.refusals, REFUSED)


def to_entry(book: Book, stop: Working) -> None:
    """Move the stop of a bracket to the price of its entry: what is left can't lose any more."""
    assert stop.bracket is not None, "only a bracket's stop has an entry"
    stop.price = round_price(stop.bracket.entry_price, book.decimals)
    stop.break_even, stop.moved = False, True
    stop.order.created.price = stop.price
