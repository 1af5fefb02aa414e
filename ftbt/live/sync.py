"""Makes the exchange have what is meant: sends what is missing, cancels what is not wanted.

It compares, for one coin, the working orders of its book with the legs that stand on the exchange.
It is called after everything that changes either side, and calling it again changes nothing: so
the same code follows a decision, a fill, a refusal and a restart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal

from backtrader.order import Order

from ftbt.backtest.result import Kind, Status
from ftbt.backtest.working import Working
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.orders import MIN_NOTIONAL, CloidMaker, Grouping, OrderRequest
from ftbt.hyperliquid.records import Asset
from ftbt.live.book import LiveBook
from ftbt.live.desk import LiveDesk
from ftbt.live.dispatch import Cancel, Dispatch, Place
from ftbt.live.legs import Leg, Legs, Placed, Stage
from ftbt.live.requests import Bounds, bounded, price_of, request

# A market entry that found nobody is tried so often, within its bar.
MOST_ENTRIES = 3
_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
_DOUBLINGS = 10  # of a pause, or of an exit's bound
_WHOLE = Decimal(0)


class Sync:
    """Sends and cancels.

    Args:
        desk: where intended orders end that can't be sent.
        legs: what stands on the exchange.
        assets: by coin.
        cloids: makes client order ids.
        bounds: of orders that trade at once.
        may_enter: whether a new position may be opened in a coin now; what waits stays waiting.
        noted: called with each leg that is sent, and its number of the attempt.
    """

    def __init__(
        self,
        desk: LiveDesk,
        legs: Legs,
        assets: Mapping[str, Asset],
        cloids: CloidMaker,
        bounds: Bounds,
        may_enter: Callable[[LiveBook], bool],
        noted: Callable[[Placed, int], None],
    ) -> None:
        self.desk, self.legs, self.assets = desk, legs, assets
        self.cloids, self.bounds = cloids, bounds
        self.dispatch: Dispatch | None = None
        self.withdrawn: dict[int, Status] = {}  # entries to be taken back, and what they are then
        self.given_up: set[int] = set()  # targets that the venue does not take
        self.attempts: dict[tuple[int, Leg], int] = {}  # legs so far: their client ids count them
        self.entered: Counter[int] = Counter()  # attempts of an entry that the exchange has had
        self.missed: Counter[int] = Counter()  # exits that found nobody within their bound
        self._failures: Counter[tuple[int, Leg]] = Counter()  # since one of its legs stood
        self._pauses: dict[tuple[int, Leg], float] = {}
        self._may_enter, self._noted = may_enter, noted

    def sync(self, book: LiveBook) -> None:
        """Bring the exchange in line with *book*."""
        if self.dispatch is None:
            return
        leaving = any(_leaves(w) for w in book.active if w.status == Status.OPEN)
        for working in list(book.active):
            if working.status == Status.OPEN and working.kind != Kind.CLOSE:
                self._see_to(book, working, leaving)
        self._cancel(book, leaving)

    def _see_to(self, book: LiveBook, working: Working, leaving: bool) -> None:
        if _leaves(working):
            self._exit(book, working)
        elif not working.reduces:
            self._entry(book, working, leaving)
        elif working.active and book.size:
            if working.is_stop_kind:
                self._stop(book, working)
            else:
                self._target(book, working)

    def failed(self, working: Working, kind: Leg) -> int:
        """Wait a moment before the next attempt, longer each time; return failures in a row."""
        key = (working.number, kind)
        self._failures[key] += 1
        wait = min(LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(self._failures[key] - 1, _DOUBLINGS))
        self._pauses[key] = time.monotonic() + wait
        return self._failures[key]

    @property
    def paused(self) -> int:
        """How many legs wait for their next attempt."""
        now, orders = time.monotonic(), self.desk.orders
        return sum(
            now < due + _PAUSE_S and orders[number - 1].status == Status.OPEN
            for (number, _), due in self._pauses.items()
        )

    def give_up(self, target: Working) -> None:
        """Do without a target that the venue does not take."""
        self.given_up.add(target.number)
        self._pauses.pop((target.number, Leg.TARGET), None)

    def stands(self, leg: Placed) -> None:
        """Note that the exchange has taken a leg: earlier failures are forgotten."""
        self._failures.pop((leg.working.number, leg.kind), None)

    def keep_off(self, leg: Placed) -> None:
        """Let a cancel that failed be sent again after a moment."""
        leg.withdrawn, leg.not_before = False, time.monotonic() + 2.0 * _PAUSE_S

    def protected(self, working: Working) -> bool:
        """Tell whether any stop works for the position of *working*, maybe at an old price."""
        legs = self.legs.of(working)
        return any(x.stage is Stage.LIVE and x.kind in (Leg.STOP, Leg.GUARD) for x in legs)

    def covered(self, book: LiveBook, working: Working) -> bool:
        """Tell whether a stop of the right price works, or is on its way, for all of a position."""
        wanted = price_of(Leg.STOP, working, self.assets[book.coin])
        return any(
            leg.kind is Leg.EXIT or (leg.price == wanted and not leg.withdrawn and _protects(leg))
            for leg in self.legs.of(working)
        )

    # --- what is missing --------------------------------------------------------------------------

    def _entry(self, book: LiveBook, working: Working, leaving: bool) -> None:
        if self.legs.of(working, Leg.ENTRY):
            return
        if working.filled:
            self.desk.finish_part(book, working)
            return
        back = self.withdrawn.pop(working.number, None)
        opens = book.opening_size(working) > 0.0
        if back is None and self._given_up(book, working, opens=opens):
            back = Status.REJECTED
        if back is None and leaving:
            back = Status.CANCELLED
        if back is not None:
            self.desk.end(book, working, back)
        elif self._due(working, Leg.ENTRY) and (not opens or self._free_to_enter(book)):
            self._send_entry(book, working, opens=opens)

    def _given_up(self, book: LiveBook, working: Working, *, opens: bool) -> bool:
        """Tell whether an entry is not tried any more; what closes always is."""
        tried = self.entered[working.number]
        if working.kind != Kind.MARKET:
            return tried > working.triggered  # a trigger that came too late is no attempt
        # One for a close goes out at the end of its bar.
        last = working.bar + (working.order.exectype == Order.Close)
        return opens and (book.bar > last or tried >= MOST_ENTRIES)

    def _free_to_enter(self, book: LiveBook) -> bool:
        # A stop of the position before would be one of the new position as well.
        old = not book.size and any(leg.closes for leg in self.legs.alive(book.coin))
        return not (old or self.in_the_way()) and self._may_enter(book)

    def in_the_way(self) -> bool:
        """Tell whether an entry that is taken back, in any coin, may still fill.

        The room that it had may be that of an entry which waits to be sent.
        """
        return bool(self.withdrawn) and any(
            leg.kind is Leg.ENTRY and leg.working.number in self.withdrawn
            for leg in self.legs.all_alive()
        )

    def filled_after_all(self, working: Working) -> None:
        """Send nothing of what may have been given the room of an entry that was taken back."""
        for book in self.desk.books.values():
            for one in list(book.active):
                unsent = one.status == Status.OPEN and not one.reduces and not one.filled
                if unsent and one is not working and not self.legs.of(one, Leg.ENTRY):
                    self.desk.end(book, one, Status.REJECTED)

    def _send_entry(self, book: LiveBook, working: Working, *, opens: bool) -> None:
        entry = self._leg(book, working, Leg.ENTRY, self._size(book, working.remaining))
        # Should a stop close the position first, what was to close it must open nothing.
        entry.closing = not opens
        legs = [entry]
        stop = working.bracket.stop() if working.bracket is not None else None
        if stop is not None and opens and self._can_be_guarded(book, working, stop):
            legs.append(self._leg(book, stop, Leg.GUARD, entry.size))
        grouping = Grouping.BRACKET if len(legs) > 1 else Grouping.NONE
        self.entered[working.number] += 1
        self._place(book, legs, Priority.TRADE if opens else Priority.PROTECT, grouping)

    def _can_be_guarded(self, book: LiveBook, working: Working, stop: Working) -> bool:
        """Tell whether the venue takes a stop together with its entry."""
        asset = self.assets[book.coin]
        bound = bounded(stop.price, stop.side > 0, self.bounds.stop, asset)
        enough = bound * self._size(book, working.remaining) >= MIN_NOTIONAL
        return enough and (working.triggered or not working.is_stop_kind)

    def _stop(self, book: LiveBook, working: Working) -> None:
        if self.covered(book, working) or not self._due(working, Leg.STOP):
            return
        leg = self._leg(book, working, Leg.STOP, _WHOLE)
        self._place(book, [leg], Priority.PROTECT, Grouping.POSITION)

    def _target(self, book: LiveBook, working: Working) -> None:
        size = self._size(book, working.remaining)
        if not size or working.number in self.given_up or self.legs.of(working, Leg.TARGET):
            return
        if self._due(working, Leg.TARGET):
            leg = self._leg(book, working, Leg.TARGET, size)
            self._place(book, [leg], Priority.PROTECT)

    def _exit(self, book: LiveBook, working: Working) -> None:
        if self.legs.of(working, Leg.EXIT):
            return
        if working.side * book.size >= 0.0:
            self.desk.end(book, working, Status.CANCELLED)
        elif self._due(working, Leg.EXIT):
            self.leave(book, working)

    def leave(self, book: LiveBook, working: Working) -> None:
        """Close the position at the market for *working*, an exit or a stop that came too late."""
        size = self._size(book, min(abs(book.size), working.remaining or abs(book.size)))
        leg = self._leg(book, working, Leg.EXIT, size)
        self._place(book, [leg], Priority.PROTECT)

    # --- what is not wanted -----------------------------------------------------------------------

    def _cancel(self, book: LiveBook, leaving: bool) -> None:
        asset = self.assets[book.coin]
        for leg in self.legs.alive(book.coin):
            standing = leg.stage in (Stage.LIVE, Stage.WAITING)
            due = not leg.withdrawn and time.monotonic() >= leg.not_before
            if standing and due and not self._wanted(book, leg, leaving):
                self.take_back(asset, leg)

    def take_back(self, asset: Asset, leg: Placed) -> None:
        """Cancel a leg."""
        assert self.dispatch is not None, "sync begins with one"
        leg.withdrawn = True
        self.dispatch.submit(Cancel(((asset, leg.cloid),), f"{leg.coin} {leg.kind} not wanted"))

    def _wanted(self, book: LiveBook, leg: Placed, leaving: bool) -> bool:
        working, asset = leg.working, self.assets[book.coin]
        is_open = working.status == Status.OPEN
        if leg.kind is Leg.ENTRY:
            return is_open and not leaving and working.number not in self.withdrawn
        if leg.kind is Leg.EXIT:
            return True
        if leg.kind is Leg.GUARD and self.entry_stands(working):
            return True  # it comes and goes with its entry
        if not (is_open and book.size):
            return False
        if leg.kind is Leg.TARGET:
            size = self._size(book, working.remaining)
            return leg.price == price_of(Leg.TARGET, working, asset) and (
                leg.size - leg.filled >= size
            )
        wanted = price_of(Leg.STOP, working, asset)
        return leg.price == wanted or not any(
            other.price == wanted and other.stage is Stage.LIVE and not other.withdrawn
            for other in self.legs.of(working)
        )

    def entry_stands(self, stop: Working) -> bool:
        """Tell whether the entry that *stop* belongs to is still on the exchange."""
        bracket = stop.bracket
        return bracket is not None and bool(self.legs.of(bracket.entry, Leg.ENTRY))

    # --- sending ----------------------------------------------------------------------------------

    def _leg(self, book: LiveBook, working: Working, kind: Leg, size: Decimal) -> Placed:
        attempt = self.attempts.get((working.number, kind), 0) + 1
        self.attempts[working.number, kind] = attempt
        self._pauses.pop((working.number, kind), None)
        asset = self.assets[book.coin]
        cloid = self.cloids.make(book.coin, working.number, kind, attempt)
        return Placed(
            cloid, kind, working, book.coin, working.side > 0,
            price_of(kind, working, asset), size,
        )  # fmt: skip

    def _place(
        self, book: LiveBook, legs: list[Placed], priority: Priority,
        grouping: Grouping = Grouping.NONE,
    ) -> None:  # fmt: skip
        assert self.dispatch is not None, "sync begins with one"
        asset, close = self.assets[book.coin], book.price
        for leg in legs:
            self.legs.add(leg)
            self._noted(leg, self.attempts[leg.working.number, leg.kind])
        missed = min(self.missed[legs[0].working.number], _DOUBLINGS)

        def make(mids: dict[str, Decimal] | None) -> list[OrderRequest]:
            market = close if mids is None else float(mids.get(asset.coin, Decimal(repr(close))))
            return [request(leg, asset, self.bounds, market, missed) for leg in legs]

        at_once = any(leg.price == 0 for leg in legs)
        why = f"{book.coin} {'+'.join(leg.kind for leg in legs)} of order {legs[0].working.number}"
        again = self.attempts[legs[0].working.number, legs[0].kind] > 1
        fresh = at_once and (again or legs[0].kind is Leg.EXIT)
        cloids = tuple(leg.cloid for leg in legs)
        self.dispatch.submit(Place(cloids, make, why, grouping, priority, fresh))

    def _due(self, working: Working, kind: Leg) -> bool:
        return time.monotonic() >= self._pauses.get((working.number, kind), 0.0)

    def _size(self, book: LiveBook, size: float) -> Decimal:
        return wire.decimal_size(size, book.decimals)


def _leaves(working: Working) -> bool:
    """Tell whether an order closes at the market, now."""
    return working.reduces and working.kind == Kind.MARKET


def _protects(leg: Placed) -> bool:
    """Tell whether a leg stops the whole position, has just done so, or is about to."""
    if leg.dropped:
        return False
    if leg.kind is Leg.STOP:
        return leg.stage in (Stage.SENT, Stage.LIVE, Stage.ENDING)
    return leg.kind is Leg.GUARD and leg.stage in (Stage.LIVE, Stage.ENDING)
