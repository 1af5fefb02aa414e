"""What the exchange has, beside what we think it has: every order, every position.

It is read as a whole (`ftbt.hyperliquid.account.Truth`), and what it says without a doubt is
carried into the books; what may still be on its way is asked for again.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from ftbt.backtest.result import ExitReason, Status
from ftbt.hyperliquid.account import Truth
from ftbt.hyperliquid.records import ZERO
from ftbt.live.book import LiveBook
from ftbt.live.dispatch import Cancel
from ftbt.live.legs import Placed, Stage

if TYPE_CHECKING:
    from ftbt.live.events import Events

# What the exchange says of a position without a fill for it counts after so long: fills may lag.
ASTRAY_S = 5.0
UNSURE = "unknown outcome"


class Comparison:
    """Compares, and carries what follows into the books of *events*."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._astray: dict[str, tuple[Decimal, float]] = {}

    def run(self, truth: Truth) -> None:
        """Compare all legs and positions with *truth*."""
        events, legs = self._events, self._events.legs
        standing = {order.cloid for order in truth.orders if order.cloid is not None}
        for leg in list(legs.all_alive()):
            if leg.since <= truth.read_at:
                self._compare_leg(leg, stands=leg.cloid in standing)
        if not any(leg.unsure for leg in legs.all_alive()):
            events.calm(UNSURE, "every order is accounted for again")
        self._orphans(truth)
        for coin, book in events.books.items():
            self._compare(book, truth, coin)
            events.leave_unwanted(book)
            events.sync.sync(book)

    def _compare_leg(self, leg: Placed, *, stands: bool) -> None:
        if stands and leg.stage is Stage.ENDING:
            leg.dropped = False
            leg.stage = Stage.LIVE
            self._events.standing(leg)
        elif stands:
            if leg.unsure or leg.stage is not Stage.SENT:
                self._events.standing(leg)
        elif leg.unsure or leg.stage in (Stage.LIVE, Stage.WAITING):
            self._events.look(leg)
        elif leg.stage is Stage.ENDING:
            leg.to(Stage.OVER)  # its fills were read before the orders were

    def _orphans(self, truth: Truth) -> None:
        """Cancel orders of this deployment that stand for nothing."""
        events, sync = self._events, self._events.sync
        for order in truth.orders:
            leg = events.legs.find(order.cloid, order.oid)
            if leg is not None or not sync.cloids.owns(order.cloid):
                continue
            if order.coin in events.books and sync.dispatch is not None:
                assert order.cloid is not None, "owned by its client id"
                why = f"{order.coin}: an order of ours that stands for nothing"
                events.note("orphan", {"cloid": order.cloid}, order.coin)
                sync.dispatch.submit(Cancel(((sync.assets[order.coin], order.cloid),), why))

    def _compare(self, book: LiveBook, truth: Truth, coin: str) -> None:
        held = truth.state.positions.get(coin)
        there = ZERO if held is None else held.size
        ours = Decimal(repr(book.size))
        apart = there - ours - self._events.foreign.get(coin, ZERO)
        if abs(apart) < Decimal(10) ** -book.decimals / 2:
            self._astray.pop(coin, None)
            return
        before, since = self._astray.get(coin, (ZERO, 0.0))
        if before != apart:
            self._astray[coin] = (apart, time.monotonic())
        busy = any(x.stage in (Stage.SENT, Stage.ENDING) for x in self._events.legs.alive(coin))
        if busy or before != apart or time.monotonic() - since < ASTRAY_S:
            self._events.reconcile()  # a fill may be on its way
            return
        del self._astray[coin]
        gone = min(abs(apart), abs(ours)) if apart * ours < 0 else ZERO
        if gone:
            self._closed_elsewhere(book, float(gone))
        if gone != abs(apart):
            self._events.abroad(coin, apart + gone * (1 if ours > 0 else -1))

    def _closed_elsewhere(self, book: LiveBook, size: float) -> None:
        """Book a part of the position that is gone and of whose end no fill was told."""
        events = self._events
        working = events.desk.order_out(book, book.price, ExitReason.SIGNAL)
        text = f"{book.coin}: {size:g} of the position are gone without a fill; booked at the last"
        body = {
            "what": text, "order": working.number, "size": size, "price": book.price,
            "time": book.time,
        }  # fmt: skip
        events.note("error", body, book.coin)
        events.take(book, working, size, book.price, 0.0, maker=False)
        if working.remaining:
            events.desk.end(book, working, Status.CANCELLED)
