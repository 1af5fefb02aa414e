"""What the exchange tells, carried into the books: fills, ends of orders, refusals, the truth.

Runs on the one thread that may change orders and positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ftbt.backtest.result import ExitReason, Status
from ftbt.backtest.working import Working
from ftbt.hyperliquid.account import Truth
from ftbt.hyperliquid.outcomes import Outcome, Reason, State
from ftbt.hyperliquid.records import Fill, Funding, OrderReport, OrderState
from ftbt.live.book import LiveBook
from ftbt.live.desk import LiveDesk
from ftbt.live.dispatch import Cancel, Done, Look, Place, unknown
from ftbt.live.legs import Leg, Placed, Stage
from ftbt.live.sync import Sync

# After so many refusals of a stop the position is closed: without a stop it must not stay.
MOST_STOPS = 4
_TOLD_AGAIN = 10_000

Note = Callable[[str, Mapping[str, Any], str], None]


class Events:
    """Carries events into the books.

    Args:
        desk, sync: of the broker.
        books: by coin.
        note: writes an event into the journal: kind, body, coin.
        reconcile: asks for the truth.
    """

    def __init__(
        self,
        desk: LiveDesk,
        sync: Sync,
        books: Mapping[str, LiveBook],
        note: Note,
        reconcile: Callable[[], None],
    ) -> None:
        self.desk, self.sync, self.legs = desk, sync, sync.legs
        self.books, self.note, self.reconcile = books, note, reconcile
        self.trouble: dict[str, str] = {}  # why no position may be opened: what -> sentence
        self.account_equity: Decimal | None = None
        self.liquidation: dict[str, float] = {}  # price by coin, as of the last truth
        self.fills = 0
        self._told: dict[tuple[int, str, int], None] = {}
        self._paid: set[tuple[int, str]] = set()
        self._astray: dict[str, Decimal] = {}
        self.restoring = False

    # --- fills ------------------------------------------------------------------------------------

    def fill(self, fill: Fill) -> None:
        """Book a fill, once."""
        if fill.key in self._told:
            return
        self.told(fill.key)
        book = self.books.get(fill.coin)
        if book is None:
            return
        self.fills += 1
        leg = self.legs.find(fill.cloid, fill.oid)
        working = self._strange(book, fill) if leg is None else leg.working
        if working is not None:
            self._book(book, working, fill, leg)
        self.sync.sync(book)

    def told(self, key: tuple[int, str, int]) -> None:
        """Remember that a fill is booked."""
        self._told[key] = None
        if len(self._told) > _TOLD_AGAIN:
            del self._told[next(iter(self._told))]

    def _book(self, book: LiveBook, working: Working, fill: Fill, leg: Placed | None) -> None:
        book.at(fill.time)
        size, price, fee = float(fill.size), float(fill.price), float(fill.fee)
        self.take(book, working, size, price, fee, maker=not fill.taker)
        kind = None if leg is None else leg.kind.value
        body = {
            "order": working.number, "leg": kind, "time": fill.time, "size": size, "price": price,
            "fee": fee, "maker": not fill.taker, "oid": fill.oid, "tid": fill.tid,
            "key": list(fill.key), "cloid": fill.cloid,
        }  # fmt: skip
        self.note("fill", body, fill.coin)
        if leg is None:
            return
        leg.filled += fill.size
        if leg.size and leg.filled >= leg.size:
            leg.to(Stage.ENDING)
            leg.expected = leg.filled
        leg.settle()
        self._guard(leg)

    def take(
        self, book: LiveBook, working: Working, size: float, price: float, fee: float, *,
        maker: bool,
    ) -> None:  # fmt: skip
        """Book a fill at the desk; a position that nobody wants any more is closed."""
        before = len(self.desk.trades)
        self.desk.take_fill(book, working, size, price, fee, maker=maker)
        for row in self.desk.trades[before:]:
            self.note("trade", {"row": [float(x) for x in row]}, book.coin)
        if not self.restoring:
            self._leave_unwanted(book)

    def _leave_unwanted(self, book: LiveBook) -> None:
        """Close a position whose entry had been taken back when it filled after all."""
        trade = book.trade
        if trade is None or trade.entry.status in (Status.OPEN, Status.FILLED):
            return
        if book.size and not book.children():
            self.leave(book, ExitReason.SIGNAL, "an entry filled that had been taken back")

    def _guard(self, leg: Placed) -> None:
        """Let the guard of an entry count as a stop once all of the entry has filled."""
        bracket = leg.working.bracket
        if leg.kind is not Leg.ENTRY or bracket is None or leg.filled < leg.size:
            return
        stop = bracket.stop()
        for guard in [] if stop is None else self.legs.of(stop, Leg.GUARD):
            guard.to(Stage.LIVE)

    def _strange(self, book: LiveBook, fill: Fill) -> Working | None:
        """Return an order for a fill that is of none of ours: liquidation, or traded by hand."""
        side = 1.0 if fill.is_buy else -1.0
        if side * book.size < 0.0:
            reason = ExitReason.LIQUIDATION if fill.liquidation else ExitReason.SIGNAL
            return self.desk.order_out(book, float(fill.price), reason)
        self.alarm(
            f"foreign position {fill.coin}",
            f"somebody else opened {fill.size} {fill.coin}: no entries there until it is closed",
        )
        return None

    def funding(self, paid: Funding) -> None:
        """Book a payment of funding, once."""
        book = self.books.get(paid.coin)
        if book is None or (paid.time, paid.coin) in self._paid:
            return
        self._paid.add((paid.time, paid.coin))
        amount = -float(paid.amount)
        self.desk.pay(book, amount)
        self.note("funding", {"time": paid.time, "paid": amount}, paid.coin)

    # --- what came of actions ---------------------------------------------------------------------

    def done(self, done: Done) -> None:
        """Carry on after a job."""
        touched = {leg.coin for leg in self._legs_of(done)}
        if isinstance(done.job, Look):
            self._looked(done)
        elif done.error is not None:
            self._failed(done)
        else:
            for outcome in done.outcomes:
                leg = self.legs.find(outcome.cloid)
                if leg is not None:
                    self._outcome(leg, outcome, cancelled=isinstance(done.job, Cancel))
        for coin in touched:
            self.sync.sync(self.books[coin])

    def _legs_of(self, done: Done) -> list[Placed]:
        found = [self.legs.find(cloid) for cloid in done.job.cloids]
        return [leg for leg in found if leg is not None]

    def _failed(self, done: Done) -> None:
        """Carry on after a job that was surely not carried out, or of which nothing is known."""
        what = done.job.why
        self.note("error", {"what": what, "error": str(done.error)}, "")
        for leg in self._legs_of(done):
            if unknown(done):
                self.alarm("unknown outcome", f"{what}: {done.error}")
                self._look(leg)
            elif isinstance(done.job, Place):
                leg.to(Stage.OVER)
                self._retry(leg)
            else:
                leg.withdrawn = False  # the cancel is sent again

    def _retry(self, leg: Placed) -> None:
        """Let *leg* be tried again after a moment."""
        kind = leg.kind
        if kind is Leg.ENTRY:  # what never reached the exchange does not count
            self.sync.tries[leg.working.number, kind] -= 1 if self._fresh(leg) else 0
        self.sync.pause(leg.working, kind)

    def _fresh(self, leg: Placed) -> bool:
        return self.books[leg.coin].bar <= leg.working.bar

    def _outcome(self, leg: Placed, outcome: Outcome, *, cancelled: bool) -> None:
        self.legs.numbered(leg, outcome.oid)
        state = outcome.state
        if state is State.UNKNOWN:
            self._look(leg)
        elif cancelled:
            self._cancelled(leg, state)
        elif state is State.RESTING:
            self._standing(leg)
        elif state is State.WAITING:
            if leg.kind is not Leg.GUARD:
                self._standing(leg)
            elif leg.stage is Stage.SENT:
                leg.to(Stage.WAITING)
        elif state is State.FILLED:
            leg.to(Stage.ENDING)
            leg.expected = outcome.filled
            leg.settle()
            self.reconcile_if(leg)
        elif state is State.REFUSED:
            leg.to(Stage.OVER)
            self._refused(leg, outcome)
        else:
            self._ended(leg, None)

    def _standing(self, leg: Placed) -> None:
        if leg.stage in (Stage.SENT, Stage.WAITING):
            leg.to(Stage.LIVE)

    def _cancelled(self, leg: Placed, state: State) -> None:
        if state in (State.CANCELED, State.GONE):
            # How much of it had filled is not told: the order itself knows.
            leg.to(Stage.ENDING)
            self._look(leg)
        else:
            leg.withdrawn = False

    def _ended(self, leg: Placed, filled: Decimal | None) -> None:
        leg.to(Stage.ENDING)
        leg.expected = filled if filled is not None else leg.expected
        leg.settle()
        self.reconcile_if(leg)

    def reconcile_if(self, leg: Placed) -> None:
        """Ask for the truth when fills of *leg* are still to be told."""
        if not leg.over:
            self.reconcile()

    def _refused(self, leg: Placed, outcome: Outcome) -> None:
        book, working, reason = self.books[leg.coin], leg.working, outcome.reason
        body = {"order": working.number, "leg": leg.kind.value, "text": outcome.text}
        self.note("refused", body, leg.coin)
        tried = self.sync.tries.get((working.number, leg.kind), 1)
        if leg.kind is Leg.ENTRY:
            if reason is Reason.NO_MATCH:
                self.sync.pause(working, leg.kind)
            elif working.status == Status.OPEN and not working.filled:
                status = Status.MARGIN if reason is Reason.MARGIN else Status.REJECTED
                self.desk.end(book, working, status)
        elif reason is Reason.REDUCE_ONLY:
            self.sync.pause(working, leg.kind)
            self.reconcile()  # the exchange has no position: what closed it is not told yet
        elif leg.kind is Leg.STOP or leg.kind is Leg.GUARD:
            self.sync.pause(working, leg.kind)
            passed = reason is Reason.BAD_TRIGGER or tried >= MOST_STOPS
            if passed and book.size and leg.kind is Leg.STOP:
                self.sync.leave(book, working)
        elif leg.kind is Leg.TARGET and reason is not Reason.REQUESTS:
            self.sync.given_up.add(working.number)
        else:
            self.sync.pause(working, leg.kind)

    # --- look-ups and reports ---------------------------------------------------------------------

    def _look(self, leg: Placed) -> None:
        if not leg.looked and self.sync.dispatch is not None:
            leg.looked = True
            self.sync.dispatch.submit(Look(leg.cloid))

    def _looked(self, done: Done) -> None:
        for leg in self._legs_of(done):
            leg.looked = False
            if done.error is not None:
                continue  # proves nothing; the next truth asks again
            if done.report is not None:
                self.report(done.report)
            elif time.monotonic() - leg.since > 5.0:
                # Not known any more, and not among the open orders: only fills could tell of it.
                self._ended(leg, None)

    def report(self, report: OrderReport) -> None:
        """Carry on after a change of an order."""
        leg = self.legs.find(report.cloid, report.oid)
        if leg is None or leg.over:
            return
        self.legs.numbered(leg, report.oid)
        state = report.state
        if state is OrderState.LIVE:
            if leg.kind is not Leg.GUARD:
                self._standing(leg)
        elif state is OrderState.FILLED:
            self._ended(leg, leg.size if leg.kind is Leg.ENTRY else None)
        elif state in (OrderState.CANCELED, OrderState.REJECTED):
            # What is left of a reduce-only order says nothing about its fills.
            known = leg.kind is Leg.ENTRY and not leg.closes
            self._ended(leg, report.asked - report.size if known else None)
        else:
            self.alarm("unknown status", f"order {report.oid} is {report.status!r}")
        self.sync.sync(self.books[leg.coin])

    # --- the truth --------------------------------------------------------------------------------

    def truth(self, truth: Truth) -> None:
        """Compare what the exchange has with what we think it has."""
        self.account_equity = truth.equity.value
        self.liquidation = {
            coin: float(one.liquidation)
            for coin, one in truth.state.positions.items()
            if one.liquidation is not None and coin in self.books
        }
        standing = {order.cloid: order for order in truth.orders if order.cloid is not None}
        for leg in list(self.legs.all_alive()):
            if leg.since > truth.read_at:
                continue
            order = standing.get(leg.cloid)
            if leg.stage is Stage.ENDING and order is None:
                leg.to(Stage.OVER)  # its fills were read before the orders were
            elif order is None and leg.stage in (Stage.LIVE, Stage.WAITING):
                self._look(leg)
            elif order is not None and leg.stage is Stage.ENDING:
                waits = leg.kind is Leg.GUARD and self.sync.entry_stands(leg.working)
                leg.to(Stage.WAITING if waits else Stage.LIVE)
        self._orphans(truth)
        for coin, book in self.books.items():
            self._compare(book, truth, coin)
            self._leave_unwanted(book)
            self.sync.sync(book)

    def _orphans(self, truth: Truth) -> None:
        """Cancel orders of this deployment that stand for nothing."""
        for order in truth.orders:
            leg = self.legs.find(order.cloid, order.oid)
            if leg is not None or not self.sync.cloids.owns(order.cloid):
                continue
            if order.coin in self.books and self.sync.dispatch is not None:
                assert order.cloid is not None, "owned by its client id"
                asset = self.sync.assets[order.coin]
                why = f"{order.coin}: an order of ours that stands for nothing"
                self.note("orphan", {"cloid": order.cloid}, order.coin)
                self.sync.dispatch.submit(Cancel(((asset, order.cloid),), why))

    def _compare(self, book: LiveBook, truth: Truth, coin: str) -> None:
        held = truth.state.positions.get(coin)
        there = Decimal(0) if held is None else held.size
        apart = there - Decimal(repr(book.size))
        foreign = f"foreign position {coin}"
        busy = any(x.stage in (Stage.SENT, Stage.ENDING) for x in self.legs.alive(coin))
        if abs(apart) < Decimal(10) ** -book.decimals / 2:
            self._astray.pop(coin, None)
            if self.trouble.pop(foreign, None):
                self.note("note", {"text": f"{coin}: the position is ours again"}, coin)
        elif busy or self._astray.get(coin) != apart:
            self._astray[coin] = apart  # said twice it counts: a fill may be on its way
            self.reconcile()
        elif float(there) * book.size >= 0.0 and abs(there) < abs(Decimal(repr(book.size))):
            self._closed_elsewhere(book, float(abs(apart)))
        elif foreign not in self.trouble:
            self.alarm(foreign, f"{coin}: the exchange has {there}, we know of {book.size:g}")

    def _closed_elsewhere(self, book: LiveBook, size: float) -> None:
        """Book a part of the position that is gone and of whose end no fill was told."""
        working = self.desk.order_out(book, book.price, ExitReason.SIGNAL)
        text = f"{book.coin}: {size:g} of the position are gone without a fill; booked at the last"
        self.note("error", {"what": text, "order": working.number, "size": size}, book.coin)
        self.take(book, working, size, book.price, 0.0, maker=False)
        if working.remaining:
            self.desk.end(book, working, Status.CANCELLED)

    # --- trouble ----------------------------------------------------------------------------------

    def alarm(self, what: str, sentence: str) -> None:
        """Open nothing any more until *what* is over, and say so."""
        if what not in self.trouble:
            self.note("alarm", {"what": what, "text": sentence}, "")
        self.trouble[what] = sentence

    def leave(self, book: LiveBook, reason: ExitReason, why: str) -> None:
        """Close the position of *book* at the market."""
        self.note("note", {"text": f"{book.coin} is closed: {why}"}, book.coin)
        self.desk.order_out(book, book.price, reason)
        self.sync.sync(book)
