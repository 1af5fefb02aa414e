"""Legs: the orders that stand on the exchange for what a strategy has asked for.

A working order says what is meant; its legs are what was sent for it. One working order may have
several over time: an attempt that found no liquidity, a stop that has moved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from ftbt.backtest.working import Working
from ftbt.hyperliquid.records import ZERO
from ftbt.live.desk import PastOrder


class Leg(StrEnum):
    """What a leg is for.

    ENTRY opens. GUARD is the stop that is sent together with an entry and waits for all of it to
    fill: it protects when nobody is here. STOP closes the whole position, whatever its size.
    TARGET closes a part at a price. EXIT closes now.
    """

    ENTRY = "entry"
    GUARD = "guard"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class Stage(StrEnum):
    """How far a leg has come.

    SENT: on its way, nobody knows. WAITING: a guard before its entry has filled. LIVE: works.
    ENDING: over on the exchange, its fills are still to be told. OVER: nothing more will come.
    """

    SENT = "sent"
    WAITING = "waiting"
    LIVE = "live"
    ENDING = "ending"
    OVER = "over"


@dataclass(slots=True, eq=False)
class Placed:
    """One order on the exchange.

    Attributes:
        cloid: its client order id; `oid` the venue's number once it is known.
        kind: what it is for.
        working: what it was sent for.
        coin, is_buy, price, size: as sent; the trigger of a stop is its price. Size 0 is the whole
            position.
        stage: see `Stage`.
        filled: size of the fills that were booked.
        expected: size of all its fills, known once it is over.
        closing: sent to close and nothing else.
        withdrawn: a cancel is on its way.
        since: `time.monotonic()` of the last change.
        looked: a look-up is on its way.
        unsure: nobody knows what became of it, and no job is to tell: it has to be looked for.
        traceless: looks in a row that found nothing.
        dropped: ended without having done anything: it protects nothing any more.
        not_before: `time.monotonic()` from which it may be cancelled again.
    """

    cloid: str
    kind: Leg
    working: Working
    coin: str
    is_buy: bool
    price: Decimal
    size: Decimal
    stage: Stage = Stage.SENT
    oid: int | None = None
    filled: Decimal = ZERO
    expected: Decimal | None = None
    closing: bool = False
    withdrawn: bool = False
    looked: bool = False
    unsure: bool = False
    traceless: int = 0
    dropped: bool = False
    not_before: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.stage is Stage.OVER

    @property
    def closes(self) -> bool:
        """Whether it may only close."""
        return self.closing or self.kind is not Leg.ENTRY or self.working.reduces

    def to(self, stage: Stage) -> None:
        """Note a change; what is over stays over."""
        if self.stage is not Stage.OVER and stage is not self.stage:
            self.stage, self.since = stage, time.monotonic()

    def settle(self) -> None:
        """Be over, if all fills were told."""
        known = self.stage is Stage.ENDING and self.expected is not None
        if known and self.filled >= (self.expected or ZERO):
            self.to(Stage.OVER)


class Legs:
    """All legs of a deployment by coin, client id and number."""

    def __init__(self) -> None:
        self._by_cloid: dict[str, Placed] = {}
        self._by_oid: dict[int, Placed] = {}
        self._alive: dict[str, list[Placed]] = {}

    def add(self, leg: Placed) -> None:
        """Take *leg* in."""
        self._by_cloid[leg.cloid] = leg
        self._alive.setdefault(leg.coin, []).append(leg)

    def numbered(self, leg: Placed, oid: int | None) -> None:
        """Note the venue's number of *leg*."""
        if oid is not None:
            leg.oid = oid
            self._by_oid[oid] = leg

    def find(self, cloid: str | None, oid: int | None = None) -> Placed | None:
        """Return a leg by its client id or number; None for one that is not ours."""
        found = None if cloid is None else self._by_cloid.get(cloid)
        return self._by_oid.get(oid) if found is None and oid is not None else found

    def alive(self, coin: str) -> list[Placed]:
        """Return the legs of *coin* that are not over, oldest first."""
        kept = [leg for leg in self._alive.get(coin, ()) if not leg.over]
        self._alive[coin] = kept
        return list(kept)

    def all_alive(self) -> Iterator[Placed]:
        """Yield the legs of all coins that are not over."""
        for coin in list(self._alive):
            yield from self.alive(coin)

    def of(self, working: Working, kind: Leg | None = None) -> list[Placed]:
        """Return the legs of *working* that are not over."""
        found = [leg for coin in list(self._alive) for leg in self.alive(coin)]
        return [x for x in found if x.working is working and (kind is None or x.kind is kind)]

    def forget(self) -> None:
        """Drop the legs of orders of which little is kept: nothing is told of them any more."""
        for table in (self._by_cloid, self._by_oid):
            gone = [key for key, leg in table.items() if isinstance(leg.working.order, PastOrder)]
            for key in gone:
                del table[key]  # type: ignore[arg-type]
