"""The broker of a live session: the back-test's account, moved by what the exchange tells.

Strategies see the same face as in a back-test, at the closes of bars only: what happens in between
is carried into the books at once, and told to them at the next close.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftbt.backtest.account_broker import AccountBroker
from ftbt.backtest.broker import trail
from ftbt.backtest.desk import Desk
from ftbt.backtest.order_checks import TRAILING
from ftbt.backtest.result import Kind, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.feed import to_bt_time
from ftbt.data.market import Instrument
from ftbt.data.timeframe import DAY_MS
from ftbt.hyperliquid.account import Broken, Event, Truth
from ftbt.hyperliquid.feed import LiveFeed
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.hyperliquid.records import Asset, Fill, Funding, OrderReport
from ftbt.hyperliquid.resolving import Patience
from ftbt.live.bodies import decision_body, moved_body, order_body
from ftbt.live.book import LiveBook
from ftbt.live.desk import LiveDesk
from ftbt.live.dispatch import Dispatch, Done
from ftbt.live.events import DOWN, Events
from ftbt.live.legs import Leg, Legs, Placed, Stage
from ftbt.live.requests import Bounds
from ftbt.live.sync import Sync
from ftbt.risk.allocation import Allocation
from ftbt.risk.correlation import correlation_groups
from ftbt.strategy.records import NOTHING, Refusal

_SECOND_LOOK_S = 0.25
# Status, files and guard wait for so long at most until what a close has led to is on its way.
_ORDERS_FIRST_S = 0.05
# Funding and marks move an account a little against our own books.
SHORT = 0.02
_KEPT_MS = DAY_MS  # of an order that has ended, in case that something is told late


@dataclass(frozen=True, slots=True)
class Account:
    """What the broker trades with.

    Attributes:
        settings: money, costs, limits.
        assets: rules of the venue by coin, in the order in which strategies decide on them.
        cloids: makes client order ids.
        shares, allocation: of the strategies.
        bounds: of orders that trade at once.
        patience: with orders that leave no trace.
    """

    settings: Settings
    assets: Mapping[str, Asset]
    cloids: CloidMaker
    shares: Sequence[float] = (1.0,)
    allocation: Allocation | None = None
    bounds: Bounds = field(default_factory=Bounds)
    patience: Patience = field(default_factory=Patience)


class LiveBroker(AccountBroker):
    """Keeps the account of a live session and has its orders on the exchange.

    Args:
        account: what to trade with.
        step: length of a bar, ms.
        note: writes an event into the journal: kind, body, coin.
        reconcile: asks for the truth about the account.
        together: what is noted and sent within is written as one.

    Attributes:
        account: what it trades with.
        events, sync, legs: what the exchange tells, what it is asked for, what stands there.
        warm: bars at the front that only warm the lines up.
        caught_up: open of a bar (ms) that may be traded on although it came with the history.
        halted_by: why nothing may be opened any more by an order of the owner; empty: nothing.
    """

    def __init__(
        self,
        account: Account,
        step: int,
        note: Callable[[str, Mapping[str, Any], str], None],
        reconcile: Callable[[], None],
        together: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._write, self._together = note, together
        self._turn = ExitStack()  # what a close leads to is written as one
        self.account = account
        super().__init__(account.settings, account.shares, account.allocation)
        self.limits.hold_breaker()  # a person looks at it first
        self.step, self.warm, self.halted_by = step, 0, ""
        self.coins: dict[str, LiveBook] = {}
        self.legs = Legs()
        assert isinstance(self.desk, LiveDesk), "made below"
        self.sync = Sync(
            self.desk, self.legs, account.assets, account.cloids, account.bounds,
            self._may_enter, self._noted,
        )  # fmt: skip
        self.events = Events(
            self.desk, self.sync, self.coins, self._note, reconcile, account.patience
        )
        self.caught_up = 0
        self.clock: list[int] = []  # opens of all bars so far
        self.decided_bar = 0  # open of the newest bar that all strategies have decided on
        self.entries_open = False  # set once history, account and recovery are done
        self.on_bar: Callable[[], None] = lambda: None
        self.on_decided: Callable[[float], None] = lambda _: None
        self.on_turn: Callable[[], None] = lambda: None
        self.on_warm: Callable[[], None] = lambda: None
        self.pull: Callable[[], Sequence[Event]] = tuple  # what the account's stream has to tell
        self.untold: Callable[[], int] = int  # how much that is
        self.decision: dict[str, Any] = {}
        self._inbox: collections.deque[Event | Done] = collections.deque()
        self._later: list[Funding] = []
        self._at_close_now = False  # this turn brought bars: strategies are about to be asked
        self._bare: dict[str, float] = {}
        self._closes: list[list[float]] = []
        self._second_look = self._orders_first = 0.0

    def _note(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        if not self.events.restoring:  # what is carried in from the journal stands there already
            self._write(kind, body, coin)

    def make_desk(self) -> Desk:
        """Return the live desk."""
        return LiveDesk(
            self.settings, self.limits, self._notify, self.getcommissioninfo,
            self._made, self._ended, self.shares.earn,
        )  # fmt: skip

    def add_coin(self, data: LiveFeed) -> None:
        """Make the coin of the feed *data* tradable."""
        asset = self.account.assets[data.coin]
        instrument = Instrument(data.coin, asset.size_decimals, float(asset.max_leverage))
        book = LiveBook(data, instrument, self.settings, len(self.coins), self.step)
        book.trade_from, book.taken_back = self.warm, self.sync.withdrawn
        self.add_book(book)
        self.coins[data.coin] = book

    def start(self) -> None:
        """Get ready for the first bar."""
        super().start()
        books = list(self.books.values())
        self.desk.live[:] = books
        self.desk.several = len(books) > 1
        self.limits.cover(books, self.desk.live)

    def connect(self, dispatch: Dispatch) -> None:
        """Send through *dispatch* from now on."""
        self.sync.dispatch = dispatch

    # --- what strategies ask ----------------------------------------------------------------------

    def fill_view(self, owner: Any, view: Any) -> None:
        """See `AccountBroker.fill_view`; what the account does not have is not sized by."""
        super().fill_view(owner, view)
        there = self.events.account_equity
        if there is not None and float(there) < (1.0 - SHORT) * self._value:
            view["equity"] *= max(0.0, float(there)) / self._value

    def stop_early(self) -> bool:
        """Return False: a session that ends leaves its positions as they are."""
        return False

    def is_finished(self, data: Any) -> bool:  # noqa: ARG002 - as the face of all brokers
        """Return False: a market goes on."""
        return False

    def decided(self, owner: Any, setup: Any, intent: Any) -> None:
        """Write down what a strategy has decided at this close, and why."""
        refusal = int(intent["refusal"])
        if not setup["side"] and intent["action"] == NOTHING and not refusal:
            return
        book = self.coins[owner.data.coin]
        body = decision_body(owner, setup, intent, book.bar_time)
        self.decision = {"coin": book.coin, **body}
        self._note("decision", body, book.coin)

    def _send(self, make: Any, owner: Any, data: Any, size: float, keywords: dict[str, Any]) -> Any:
        order = super()._send(make, owner, data, size, keywords)
        working = self.desk.by_ref.get(order.ref)
        book = self.coins[data.coin]
        if working is not None and working.status == Status.OPEN and self._opens(book, working):
            why = self.not_ready(book)
            if why:
                self.desk.refuse(book, working.sleeve, Refusal.NOT_LIVE, float("nan"), float("nan"))
                self._note("refusal", {"order": working.number, "why": why}, book.coin)
                self._end_held(book, working)
        if order.transmit:
            self.sync.sync(book)
        return order

    def _opens(self, book: LiveBook, working: Working) -> bool:
        return not working.reduces and book.opening_size(working) > 0.0

    def _end_held(self, book: LiveBook, working: Working) -> None:
        """Reject an order that may not open anything now, before it is sent."""
        for family in book.held.values():
            if working in family:
                family.remove(working)
        self.desk.end(book, working, Status.REJECTED)

    def cancel(self, order: Any) -> bool:
        """Take an order back; what has been sent is over once the exchange says so."""
        working = self.desk.by_ref.get(order.ref)
        if working is None or working.status != Status.OPEN:
            return False
        book = self.coins[order.data.coin]
        if working.reduces or not self.legs.of(working):
            found = self.entry.cancel(order)
        else:
            found = working.number not in self.sync.withdrawn
            self._take_back(book, working, Status.CANCELLED)
        self.sync.sync(book)
        return found

    def not_ready(self, book: LiveBook) -> str:
        """Return why nothing may be opened in a coin now; empty when it may."""
        if self.halted_by:
            return self.halted_by
        if not self.entries_open:
            return "the session has not begun"
        if not book.data.live and book.opened != self.caught_up:
            return "the market data are old or not connected"
        return next(iter(self.events.trouble.values()), "")

    def _may_enter(self, book: LiveBook) -> bool:
        return not self.not_ready(book)

    # --- what arrives -----------------------------------------------------------------------------

    def deliver(self, event: Event | Done) -> None:
        """Take an event from any thread; it is carried into the books in the next turn."""
        self._inbox.append(event)

    @property
    def waiting(self) -> int:
        """How many events and results of jobs wait to be carried into the books."""
        return len(self._inbox)

    @property
    def busy(self) -> int:
        """What is on its way: events, jobs, and orders of which not all is told yet."""
        dispatch = self.sync.dispatch
        doubtful = sum(
            leg.unsure or leg.stage in (Stage.SENT, Stage.ENDING) for leg in self.legs.all_alive()
        )
        sending = 0 if dispatch is None else dispatch.busy + self.sync.paused
        return self.untold() + len(self._inbox) + doubtful + sending

    def next(self) -> None:
        """Take in what has arrived, and the bars of a turn that has some."""
        if self._at_close_now:
            self.decided_bar = self.clock[-1]
            due = [paid for paid in self._later if not self._is_of_next(paid)]
            self._later = [paid for paid in self._later if paid not in due]
            self._inbox.extend(due)
        self._inbox.extend(self.pull())
        while self._inbox:
            with self._together():
                self._take(self._inbox.popleft())
        self._at_close_now = any(self._is_new(book) for book in self.coins.values())
        if self._at_close_now:
            if len(self.clock) >= self.warm:
                self._turn.enter_context(self._together())
            self._take_bars()
        elif time.monotonic() >= self._second_look:
            self._second_look = time.monotonic() + _SECOND_LOOK_S
            for book in self.coins.values():  # what was put off for a moment
                if book.active or self.legs.alive(book.coin):
                    with self._together():
                        self.sync.sync(book)
            self.events.look_again()
        # Nothing may delay a decision, or compete with its orders for the interpreter.
        if self.entries_open and not self._at_close_now and not self._hurries():
            self.on_turn()

    def _hurries(self) -> bool:
        """Tell whether orders of the last close may still be on their way to the socket."""
        dispatch = self.sync.dispatch
        sending = dispatch is not None and dispatch.busy > 0
        return sending and time.monotonic() < self._orders_first

    def end_turn(self) -> None:
        """Write and send what this turn has led to; strategies have decided by now."""
        decided = time.monotonic()
        if self._at_close_now:
            self._orders_first = decided + _ORDERS_FIRST_S
        self._turn.close()
        if self._at_close_now and len(self.clock) > self.warm:
            self.on_decided(decided)

    def carried_on(self) -> None:
        """Value the account anew after books of an earlier process were carried in."""
        self._value = self.desk.equity()

    def _take(self, event: Event | Done) -> None:
        if isinstance(event, Fill):
            self.begin_day(event.time)
            self.events.fill(event)
        elif isinstance(event, Done):
            self.events.done(event)
        elif isinstance(event, OrderReport):
            self.events.report(event)
        elif isinstance(event, Funding):
            # A payment on the hour may be told before the bar that closes on the hour.
            if self._is_of_next(event):
                self._later.append(event)
            else:
                self.events.funding(event)
        elif isinstance(event, Truth):
            self.events.truth(event)
        elif isinstance(event, Broken):
            self.events.alarm(DOWN, f"the account's stream is down: {event.reason}")

    def _is_of_next(self, paid: Funding) -> bool:
        """Tell whether a payment comes after the close of the bar that is to be decided next."""
        return bool(self.clock) and paid.time >= self.clock[-1] + 2 * self.step

    # --- bars -------------------------------------------------------------------------------------

    def _is_new(self, book: LiveBook) -> bool:
        return book.bar < len(book.data) - 1

    def _take_bars(self) -> None:
        """Let a bar be over: prices, equity, days, what is due at a close."""
        for book in self.coins.values():
            bar = book.data.bar
            book.take_bar(bar.opened, bar.low, bar.high, bar.close)
        opened = next(iter(self.coins.values())).opened
        self.clock.append(opened)
        self._closes.append([book.price for book in self.coins.values()])
        new_day = len(self.clock) < 2 or opened // DAY_MS != self.clock[-2] // DAY_MS
        self.begin_day(opened)
        if len(self.clock) > self.warm and (new_day or len(self.clock) == self.warm + 1):
            self._draw_groups()
            self.forget(_KEPT_MS // self.step)
        self._value = self.desk.equity()
        self.equity.append(self._value)
        if len(self.clock) == self.warm:
            self._draw_groups()  # at the first close that counts it must be loaded and quick
            self.on_warm()
        if len(self.clock) <= self.warm:
            return
        self._mark(opened)
        for book in self.coins.values():
            self._at_close(book)
            self.sync.sync(book)
        self._note(
            "equity",
            {"bar": opened, "equity": self._value, "cash": self.desk.cash,
             "limits": self.limits.state(), "peaks": [*self.shares.peaks]},
            "",
        )  # fmt: skip
        self.on_bar()

    def begin_day(self, time: int) -> None:
        """Let a new day begin for the limits, with a bar that is over or a fill before that (ms).

        Trades that are opened in the first bar of a day are the new day's.
        """
        if time >= self.limits.next_day:
            self.limits.roll(time, self._value)

    def remember(self, equity: float, limits: Mapping[str, float]) -> None:
        """Take over what an earlier process knew at a close: its equity and limits."""
        self._value = equity
        self.limits.restore(limits)

    def forget(self, bars: int) -> None:
        """Keep little of orders that ended more than *bars* ago: a session may run for months."""
        assert isinstance(self.desk, LiveDesk), "made by this class"
        self.desk.forget(len(self.clock) - bars, lambda one: bool(self.legs.of(one)))
        self.legs.forget()

    def _draw_groups(self) -> None:
        """Draw the groups of correlated coins from the closes so far, as a back-test does."""
        limits = self.settings.limits
        kept = (limits.correlation_days + 2) * DAY_MS // self.step
        if len(self.coins) > 1:
            self.limits.regroup(
                correlation_groups(
                    np.array(self.clock[-kept:], np.int64),
                    np.array(self._closes[-kept:]),
                    window_days=limits.correlation_days,
                    threshold=limits.correlation,
                    step_ms=self.step,
                    last_day=self.clock[-1] // DAY_MS,
                )
            )

    def _at_close(self, book: LiveBook) -> None:
        """Do what is due at a close: deadlines, the rest of entries, orders for the close."""
        now = to_bt_time(book.opened + book.step)
        for working in list(book.active):
            deadline = working.order.valid
            if deadline is not None and now > deadline and working.kind != Kind.MARKET:
                self._withdraw(book, working, Status.EXPIRED)
            elif working.filled and not working.reduces:
                # The model fills as a whole: what is left of a part is not waited for.
                self.sync.withdrawn.setdefault(working.number, Status.CANCELLED)
            elif working.kind == Kind.CLOSE and working.bar < book.bar:
                working.kind = Kind.MARKET
            elif working.kind in TRAILING and working.active:
                trail(working, book)
                self._note("moved", moved_body(working), book.coin)

    def _withdraw(self, book: LiveBook, working: Working, status: Status) -> None:
        if working.reduces or not self.legs.of(working):
            self.desk.end(book, working, status)
        else:
            self._take_back(book, working, status)

    def _take_back(self, book: LiveBook, working: Working, status: Status) -> None:
        if self.sync.withdrawn.get(working.number) != status:
            self.sync.withdrawn[working.number] = status
            self._note("withdraw", {"order": working.number, "status": int(status)}, book.coin)

    def get_notification(self) -> Any:
        """Return the next changed order at a close, as in a back-test; None in between."""
        if not self._at_close_now:
            return None
        return self.notifications.popleft() if self.notifications else None

    # --- the journal ------------------------------------------------------------------------------

    def _made(self, working: Working) -> None:
        book = self.coins[working.order.data.coin]
        self._note("order", order_body(working, book), book.coin)

    def _ended(self, working: Working) -> None:
        book = self.coins[working.order.data.coin]
        self._note("end", {"order": working.number, "status": int(working.status)}, book.coin)

    def _noted(self, leg: Placed, attempt: int) -> None:
        body = {
            "order": leg.working.number, "leg": leg.kind.value, "attempt": attempt,
            "cloid": leg.cloid, "price": str(leg.price), "size": str(leg.size),
        }  # fmt: skip
        self._note("leg", body, leg.coin)

    # --- what is watched --------------------------------------------------------------------------

    def unprotected(self) -> dict[str, float]:
        """Return the coins whose position has no working stop although one is meant: seconds."""
        found = {}
        for book in self.coins.values():
            stop = next(
                (w for w in book.children() if w.is_stop_kind and w.status == Status.OPEN), None
            )
            stands = stop is not None and any(
                leg.stage is Stage.LIVE and leg.kind in (Leg.STOP, Leg.GUARD, Leg.EXIT)
                for leg in self.legs.of(stop)
            )
            if not book.size or stop is None or stands:
                self._bare.pop(book.coin, None)
            else:
                since = self._bare.setdefault(book.coin, time.monotonic())
                found[book.coin] = time.monotonic() - since
        return found
