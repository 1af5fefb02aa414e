"""What the exchange tells, carried into the books: fills, ends of orders, refusals, the truth.

Runs on the one thread that may change orders and positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ftbt.backtest.result import ExitReason, Kind, Status
from ftbt.backtest.working import Working
from ftbt.errors import InputError
from ftbt.hyperliquid.account import Truth
from ftbt.hyperliquid.outcomes import Outcome, Reason, State
from ftbt.hyperliquid.records import ZERO, Fill, Funding, OrderReport, OrderState
from ftbt.hyperliquid.resolving import Patience
from ftbt.live.bodies import moved_body
from ftbt.live.book import LiveBook
from ftbt.live.desk import LiveDesk, slip
from ftbt.live.dispatch import Cancel, Done, Look, unknown
from ftbt.live.legs import Leg, Placed, Stage
from ftbt.live.sync import Sync
from ftbt.live.truth import UNSURE, Comparison

# After so many refusals in a row of a stop, and without another one, the position is closed.
MOST_STOPS = 4
_TOLD_AGAIN = 10_000
# Refusals that say nothing about the order: it is sent again.
_NOT_ITS_FAULT = (
    Reason.LOST, Reason.NONCE, Reason.DUPLICATE_NONCE, Reason.EXPIRED, Reason.REQUESTS,
    Reason.POST_ONLY_WINDOW, Reason.SIGNER,
)  # fmt: skip
_TAKEN = (State.RESTING, State.FILLED, State.WAITING)
SIGNER = "agent"
# The exchange may take our signature again: after so long an entry finds out.
_SIGNER_S = 10.0
DOWN = "account stream"
BAD_TRIGGER = "badTriggerPxRejected"

Note = Callable[[str, Mapping[str, Any], str], None]


class Events:
    """Carries events into the books.

    Args:
        desk, sync: of the broker.
        books: by coin.
        note: writes an event into the journal: kind, body, coin.
        reconcile: asks for the truth.
        patience: how long and how often is looked before an order without a trace never was one.
    """

    def __init__(
        self,
        desk: LiveDesk,
        sync: Sync,
        books: Mapping[str, LiveBook],
        note: Note,
        reconcile: Callable[[], None],
        patience: Patience,
    ) -> None:
        self.desk, self.sync, self.legs = desk, sync, sync.legs
        self.books, self.note, self.reconcile = books, note, reconcile
        self._patience = patience
        self.trouble: dict[str, str] = {}  # why no position may be opened: what -> sentence
        self.account_equity: Decimal | None = None
        self.liquidation: dict[str, float] = {}  # price by coin, as of the last truth
        self.strangers = 0  # orders and positions in the account that are none of ours
        self.fills = 0
        self._told: dict[tuple[int, str, int], None] = {}
        self._paid: set[tuple[int, str]] = set()
        self.foreign: dict[str, Decimal] = {}  # signed size by coin that is none of ours
        self._comparison = Comparison(self)
        self.restoring = False
        self._signer_at = 0.0

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
        own = self._own_part(book, fill, leg)
        if own:
            working = self._stranger(book, fill) if leg is None else leg.working
            self._book(book, working, fill, own, leg)
        if own != fill.size:
            self.abroad(fill.coin, (fill.size - own) * (1 if fill.is_buy else -1), fill)
        self.sync.sync(book)

    def _own_part(self, book: LiveBook, fill: Fill, leg: Placed | None) -> Decimal:
        """Return how much of *fill* is of our position; the rest is somebody else's."""
        if leg is not None and not leg.closes:
            return fill.size
        side = 1 if fill.is_buy else -1
        held = Decimal(repr(book.size))
        ours = min(fill.size, abs(held)) if side * held < 0 else ZERO
        if leg is not None:
            return ours
        # What somebody else opened is closed before what we have.
        theirs = self.foreign.get(fill.coin, ZERO)
        first = min(fill.size, abs(theirs)) if side * theirs < 0 else ZERO
        return min(ours, fill.size - first)

    def abroad(self, coin: str, signed: Decimal, fill: Fill | None = None) -> None:
        """Note a change of the position that is none of ours."""
        self.foreign[coin] = self.foreign.get(coin, ZERO) + signed
        key = None if fill is None else list(fill.key)
        self.note("foreign", {"size": str(signed), "key": key}, coin)
        if not self.restoring:
            self.watch_foreign(coin)

    def watch_foreign(self, coin: str) -> None:
        """Open nothing in any coin while somebody else has a position in one of ours."""
        what, size = f"foreign position {coin}", self.foreign.get(coin, ZERO)
        if size:
            self.alarm(
                what, f"{size:+f} {coin} are somebody else's: no entries until they are closed"
            )
        else:
            self.calm(what, f"{coin}: the position is ours alone again")

    def told(self, key: tuple[int, str, int]) -> None:
        """Remember that a fill is booked."""
        self._told[key] = None
        if len(self._told) > _TOLD_AGAIN:
            del self._told[next(iter(self._told))]

    def _book(
        self, book: LiveBook, working: Working, fill: Fill, own: Decimal, leg: Placed | None
    ) -> None:
        book.at(fill.time)
        size, price, fee = float(own), float(fill.price), float(fill.fee * own / fill.size)
        kind = None if leg is None else leg.kind.value
        body = {
            "order": working.number, "leg": kind, "time": fill.time, "size": size, "price": price,
            "fee": fee, "maker": not fill.taker, "oid": fill.oid, "tid": fill.tid,
            "key": list(fill.key), "cloid": fill.cloid, "slip": slip(working, price),
        }  # fmt: skip
        self.note("fill", body, fill.coin)
        self.take(book, working, size, price, fee, maker=not fill.taker)
        if working.number in self.sync.withdrawn:
            self.sync.filled_after_all(working)
        if leg is None:
            return
        leg.filled += fill.size
        self.sync.stands(leg)
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
            self.leave_unwanted(book)

    def leave_unwanted(self, book: LiveBook) -> None:
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

    def _stranger(self, book: LiveBook, fill: Fill) -> Working:
        """Return an order for a fill that closes and is of none of ours: liquidation, by hand."""
        reason = ExitReason.LIQUIDATION if fill.liquidation else ExitReason.SIGNAL
        return self.desk.order_out(book, float(fill.price), reason)

    def funding(self, paid: Funding) -> None:
        """Book a payment of funding, once."""
        book = self.books.get(paid.coin)
        if book is None or paid.key in self._paid:
            return
        self._paid.add(paid.key)
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
                self.alarm(UNSURE, f"{what}: {done.error}")
                self._unsure(leg)
            elif isinstance(done.job, Cancel):
                self.sync.keep_off(leg)
            elif isinstance(done.error, InputError):
                leg.to(Stage.OVER)
                self._refused(leg, Outcome(leg.cloid, State.REFUSED, text=str(done.error)))
            else:
                self._never_came(leg)

    def _never_came(self, leg: Placed) -> None:
        """Let a leg that never reached the exchange be sent again after a moment."""
        leg.to(Stage.OVER)
        if leg.kind is Leg.ENTRY:
            self.sync.entered[leg.working.number] -= 1
        self.sync.failed(leg.working, leg.kind)

    def _unsure(self, leg: Placed) -> None:
        leg.unsure = True
        self.look(leg)

    def _outcome(self, leg: Placed, outcome: Outcome, *, cancelled: bool) -> None:
        self.legs.numbered(leg, outcome.oid)
        state = outcome.state
        leg.unsure = state is State.UNKNOWN
        if state in _TAKEN:
            self.calm(SIGNER, "the exchange takes our orders again")
        if state is State.UNKNOWN:
            self._unsure(leg)
        elif cancelled:
            self._cancelled(leg, state)
        elif state is State.RESTING or state is State.WAITING:
            self.standing(leg)
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

    def standing(self, leg: Placed) -> None:
        """Note that *leg* stands on the exchange."""
        leg.unsure = False
        self.sync.stands(leg)
        if leg.kind is Leg.GUARD and not self._is_awake(leg):
            leg.to(Stage.WAITING)
        elif leg.stage is not Stage.ENDING:
            leg.to(Stage.LIVE)

    @staticmethod
    def _is_awake(guard: Placed) -> bool:
        """Tell whether all of the entry of a guard has filled."""
        bracket = guard.working.bracket
        return bracket is not None and bracket.entry.filled >= float(guard.size)

    def _cancelled(self, leg: Placed, state: State) -> None:
        if state in (State.CANCELED, State.GONE):
            # How much of it had filled is not told: the order itself knows.
            leg.to(Stage.ENDING)
            self.look(leg)
        else:
            self.sync.keep_off(leg)

    def _ended(self, leg: Placed, filled: Decimal | None) -> None:
        leg.unsure = False
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
        if reason is Reason.SIGNER:
            self._signer_at = time.monotonic()
            self.alarm(SIGNER, f"the exchange does not take our signature: {outcome.text}")
        if leg.kind is Leg.ENTRY:
            self._entry_refused(book, leg, reason)
            return
        failures = self.sync.failed(working, leg.kind)
        if reason is Reason.REDUCE_ONLY:
            self.reconcile()  # the exchange has no position: what closed it is not told yet
        elif leg.kind is Leg.STOP or leg.kind is Leg.GUARD:
            # What did not get through is sent again for as long as the guard lets it.
            own = reason not in _NOT_ITS_FAULT and failures >= MOST_STOPS
            hopeless = own and not self.sync.protected(working)
            if (reason is Reason.BAD_TRIGGER or hopeless) and book.size and leg.kind is Leg.STOP:
                self.sync.leave(book, working)
        elif leg.kind is Leg.TARGET and reason not in _NOT_ITS_FAULT:
            self.sync.give_up(working)
        elif leg.kind is Leg.EXIT and reason is Reason.NO_MATCH:
            self.sync.missed[working.number] += 1

    def _entry_refused(self, book: LiveBook, leg: Placed, reason: Reason) -> None:
        working = leg.working
        if reason in _NOT_ITS_FAULT:
            self._never_came(leg)
        elif reason is Reason.NO_MATCH:
            self.sync.failed(working, leg.kind)
        elif reason is Reason.BAD_TRIGGER and not working.triggered:
            self._woken(leg)
        elif working.status == Status.OPEN and not working.filled:
            status = Status.MARGIN if reason is Reason.MARGIN else Status.REJECTED
            self.desk.end(book, working, status)

    def _woken(self, leg: Placed) -> None:
        """Let a stop go out at once: the market was there first. The model takes the open then."""
        leg.working.triggered = True
        self.note("moved", moved_body(leg.working), leg.coin)

    # --- look-ups and reports ---------------------------------------------------------------------

    def look(self, leg: Placed) -> None:
        """Have the exchange asked for *leg*, unless that is on its way."""
        if not leg.looked and self.sync.dispatch is not None:
            leg.looked = True
            self.sync.dispatch.submit(Look(leg.cloid))

    def _looked(self, done: Done) -> None:
        for leg in self._legs_of(done):
            leg.looked = False
            if done.error is not None:
                leg.unsure = True  # it proves nothing
            elif done.report is not None:
                leg.traceless = 0
                self.report(done.report, looked=True)
            elif not leg.over:
                self._no_trace(leg)

    def _no_trace(self, leg: Placed) -> None:
        """Carry on after a look that found nothing: fresh orders may be unknown for a while."""
        leg.unsure = True
        leg.traceless += 1
        old = time.monotonic() - leg.since >= self._patience.grace_s
        if leg.traceless < self._patience.least_looks or not old:
            return
        if leg.filled or leg.oid is not None:
            self._ended(leg, None)  # the venue has forgotten it: fills tell how it ended
        else:
            self._never_came(leg)

    def report(self, report: OrderReport, *, looked: bool = False) -> None:
        """Carry on after a change of an order, told by the stream or found by a look-up."""
        leg = self.legs.find(report.cloid, report.oid)
        if leg is None or leg.over:
            return
        self.legs.numbered(leg, report.oid)
        state = report.state
        if state is OrderState.LIVE:
            self.standing(leg)
        elif state is OrderState.FILLED:
            self._ended(leg, leg.size if leg.kind is Leg.ENTRY and not leg.closes else None)
        elif state is OrderState.REJECTED and leg.stage is Stage.SENT and not looked:
            return  # the answer to its action says why
        elif state in (OrderState.CANCELED, OrderState.REJECTED):
            self._over_early(leg, report)
        else:
            self.note("error", {"what": f"order {report.oid} is {report.status!r}"}, leg.coin)
            leg.unsure = True  # whether it stands, the open orders say
            self.reconcile()
        self.sync.sync(self.books[leg.coin])

    def _over_early(self, leg: Placed, report: OrderReport) -> None:
        leg.dropped = True
        working = leg.working
        reached = report.status == BAD_TRIGGER and not working.triggered
        if leg.kind is Leg.ENTRY and reached:
            self._woken(leg)
        elif leg.kind is Leg.ENTRY and working.kind != Kind.MARKET:
            self.sync.withdrawn.setdefault(working.number, Status.CANCELLED)
        # What is left of a reduce-only order says nothing about its fills.
        known = leg.kind is Leg.ENTRY and not leg.closes
        self._ended(leg, report.asked - report.size if known else None)

    # --- the truth --------------------------------------------------------------------------------

    def truth(self, truth: Truth) -> None:
        """Compare what the exchange has with what we think it has."""
        self.account_equity = truth.equity.value
        self.liquidation = {
            coin: float(one.liquidation)
            for coin, one in truth.state.positions.items()
            if one.liquidation is not None and coin in self.books
        }
        self.strangers = sum(not self.sync.cloids.owns(order.cloid) for order in truth.orders)
        self.strangers += sum(coin not in self.books for coin in truth.state.positions)
        if truth.heard:
            self.calm(DOWN, "the account's stream is back")
        self._comparison.run(truth)

    def look_again(self) -> None:
        """Ask for the truth while there are orders of which nobody knows."""
        if time.monotonic() - self._signer_at > _SIGNER_S:
            self.calm(SIGNER, "our signature is tried again")
        if any(leg.unsure and not leg.looked for leg in self.legs.all_alive()):
            self.reconcile()

    # --- trouble ----------------------------------------------------------------------------------

    def alarm(self, what: str, sentence: str) -> None:
        """Open nothing any more until *what* is over, and say so."""
        if what not in self.trouble:
            self.note("alarm", {"what": what, "text": sentence}, "")
        self.trouble[what] = sentence

    def calm(self, what: str, sentence: str) -> None:
        """Take an alarm back, if there is one."""
        if what in self.trouble:
            del self.trouble[what]
            self.note("note", {"text": sentence}, "")

    def leave(self, book: LiveBook, reason: ExitReason, why: str) -> None:
        """Close the position of *book* at the market."""
        if any(w.reduces and w.kind == Kind.MARKET for w in book.active):
            return
        self.note("note", {"text": f"{book.coin} is closed: {why}"}, book.coin)
        self.desk.order_out(book, book.price, reason)
        self.sync.sync(book)
