"""Makes the exchange have what is meant: sends what is missing, cancels what is not wanted.

It compares, for one coin, the working orders of its book with the legs that stand on the exchange.
It is called after everything that changes either side, and calling it again changes nothing: so
the same code follows a decision, a fill, a refusal and a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal

from ftbt.backtest.result import Kind, Status
from ftbt.backtest.working import Working
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.orders import CloidMaker, Grouping, OrderRequest
from ftbt.hyperliquid.records import Asset
from ftbt.live.book import LiveBook
from ftbt.live.desk import LiveDesk
from ftbt.live.dispatch import Cancel, Dispatch, Place
from ftbt.live.legs import Leg, Legs, Placed, Stage
from ftbt.live.requests import Bounds, price_of, request

# A market entry that found nobody is tried again so often, within its bar.
MOST_ENTRIES = 3
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
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
        self.tries: dict[tuple[int, Leg], int] = {}
        self._pauses: dict[tuple[int, Leg], float] = {}
        self._may_enter, self._noted = may_enter, noted

    def sync(self, book: LiveBook) -> None:
        """Bring the exchange in line with *book*."""
        if self.dispatch is None:
            return
        leaving = any(_leaves(w) for w in book.active if w.status == Status.OPEN)
        for working in list(book.active):
            if working.status != Status.OPEN or working.kind == Kind.CLOSE:
                continue
            if _leaves(working):
                self._exit(book, working)
            elif not working.reduces:
                self._entry(book, working, leaving)
            elif working.active and book.size:
                if working.is_stop_kind:
                    self._stop(book, working)
                else:
                    self._target(book, working)
        self._cancel(book, leaving)

    def pause(self, working: Working, kind: Leg) -> None:
        """Wait a moment before the next attempt; longer with each that fails."""
        tried = self.tries.get((working.number, kind), 1)
        wait = min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** (tried - 1))
        self._pauses[working.number, kind] = time.monotonic() + wait

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
        tried = self.tries.get((working.number, Leg.ENTRY), 0)
        if working.filled:
            self.desk.finish_part(book, working)
            return
        back = self.withdrawn.pop(working.number, None)
        at_once = working.kind == Kind.MARKET
        late = at_once and tried > 0 and book.bar > working.bar
        if back is not None or leaving or late or tried >= (MOST_ENTRIES if at_once else 1):
            self.desk.end(book, working, back or (Status.CANCELLED if leaving else Status.REJECTED))
            return
        if self._due(working, Leg.ENTRY) and (
            not book.opening_size(working) or self._free_to_enter(book)
        ):
            self._send_entry(book, working)

    def _free_to_enter(self, book: LiveBook) -> bool:
        # A stop of the position before would be one of the new position as well.
        old = not book.size and any(leg.closes for leg in self.legs.alive(book.coin))
        return not old and self._may_enter(book)

    def _send_entry(self, book: LiveBook, working: Working) -> None:
        entry = self._leg(book, working, Leg.ENTRY, self._size(book, working.remaining))
        legs = [entry]
        stop = working.bracket.stop() if working.bracket is not None else None
        guarded = stop is not None and not working.is_stop_kind
        if stop is not None and guarded:
            legs.append(self._leg(book, stop, Leg.GUARD, entry.size))
        grouping = Grouping.BRACKET if guarded else Grouping.NONE
        self._place(book, legs, Priority.TRADE, grouping)

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
            if standing and not leg.withdrawn and not self._wanted(book, leg, leaving):
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
        attempt = self.tries.get((working.number, kind), 0) + 1
        self.tries[working.number, kind] = attempt
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
        attempts = [self.tries[leg.working.number, leg.kind] for leg in legs]
        for leg, attempt in zip(legs, attempts, strict=True):
            self.legs.add(leg)
            self._noted(leg, attempt)

        def make(mids: dict[str, Decimal] | None) -> list[OrderRequest]:
            market = close if mids is None else float(mids.get(asset.coin, Decimal(repr(close))))
            return [
                request(leg, asset, self.bounds, market, attempt)
                for leg, attempt in zip(legs, attempts, strict=True)
            ]

        at_once = any(leg.price == 0 for leg in legs)
        why = f"{book.coin} {'+'.join(leg.kind for leg in legs)} of order {legs[0].working.number}"
        fresh = at_once and (attempts[0] > 1 or legs[0].kind is Leg.EXIT)
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
    """Tell whether a leg stops the whole position, or is about to."""
    if leg.kind is Leg.STOP:
        return leg.stage in (Stage.SENT, Stage.LIVE, Stage.ENDING)
    return leg.kind is Leg.GUARD and leg.stage in (Stage.LIVE, Stage.ENDING)
