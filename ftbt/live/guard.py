"""Watches a session: what is wrong, and what must be done about it.

* transient: the network hiccups. Retried by those who met it, with waits that grow; not seen here.
* degraded: nothing new is opened, what is held stays protected; ends when the cause ends, or, when
  it can't be seen to end, with `ftbt resume`.
* critical: positions can't be relied upon to be protected. A halt is written, positions are closed
  or held as the owner chose, and the session ends.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Literal

from ftbt.errors import ConfigError
from ftbt.hyperliquid.outcomes import Reason, reason_of
from ftbt.live.broker import LiveBroker
from ftbt.live.legs import Leg

_RANGES = {
    "stale_bars": (1.1, 100.0),
    "refusals": (1, 1000),
    "slippage": (0.0005, 0.5),
    "funding_hour": (0.0001, 0.1),
    "liquidation": (0.001, 0.5),
    "unprotected_bars": (0.01, 10.0),
    "skew_s": (0.5, 60.0),
    "equity_gap": (0.001, 1.0),
}
_SLIPS = 3


class Level(StrEnum):
    """What must be done."""

    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """When the guard steps in.

    Attributes:
        stale_bars: bars' lengths without a new bar, on the wall clock: degraded.
        refusals: orders in a row that the exchange refused: degraded until resumed.
        slippage: mean of the last three fills at the market, fraction of the price: degraded until
            resumed.
        funding_hour: rate of one payment, fraction of the position: degraded for that hour.
        liquidation: distance of the liquidation price from the market, fraction of the market's:
            critical when no stop comes before it, degraded else.
        unprotected_bars: bars' lengths that a position may be without its stop: critical.
        skew_s: our clock against the exchange's, seconds: degraded.
        equity_gap: what the account lacks against our books, fraction: degraded.
        on_critical: close positions, or hold them with the stops that they have.
    """

    stale_bars: float = 3.0
    refusals: int = 5
    slippage: float = 0.01
    funding_hour: float = 0.003
    liquidation: float = 0.03
    unprotected_bars: float = 1.0
    skew_s: float = 10.0
    equity_gap: float = 0.05
    on_critical: Literal["flatten", "hold"] = "flatten"

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.name == "on_critical":
                continue
            value, (low, high) = getattr(self, item.name), _RANGES[item.name]
            if not low <= value <= high:
                raise ConfigError(f"{item.name} must be from {low:g} to {high:g}, not {value!r}")
        if self.on_critical not in ("flatten", "hold"):
            raise ConfigError(f"on_critical must be flatten or hold, not {self.on_critical!r}")


@dataclass(frozen=True, slots=True)
class Trip:
    """Something is wrong.

    Attributes:
        level: what must be done.
        what: short and always the same, for example `stale data`.
        text: in words, with figures.
    """

    level: Level
    what: str
    text: str


def _said_no(text: str) -> bool:
    """Tell whether the exchange has refused: what was lost on the way says nothing of orders."""
    return text != "dry run" and reason_of(text) is not Reason.LOST


class Guard:
    """Looks at a session once a turn.

    Args:
        limits: when to step in.
        broker: of the session.
        step_s: length of a bar, seconds.
        replay: the market's time is not the wall clock's (a local exchange).
    """

    def __init__(
        self, limits: GuardLimits, broker: LiveBroker, step_s: float, *, replay: bool
    ) -> None:
        self.limits, self._broker, self._step = limits, broker, step_s
        self._replay = replay
        self._refused = 0
        self._slips: deque[float] = deque(maxlen=_SLIPS)
        self._funded: dict[str, tuple[float, float]] = {}  # coin -> (rate, seen at)
        self._bar, self._bar_at = 0, time.monotonic()
        self._raised: set[str] = set()

    def saw(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Take notice of an event of the session."""
        # An entry and its guard are refused together, and count once.
        if kind == "refused" and body.get("leg") != Leg.GUARD:
            self._refused += _said_no(str(body.get("text")))
        elif kind == "fill":
            self._refused = 0
            if not body["maker"]:
                self._slips.append(float(body["slip"]))
        elif kind == "funding":
            self._note_funding(coin, float(body["paid"]))
        elif kind == "reset":
            self._refused = 0
            self._slips.clear()

    def _note_funding(self, coin: str, paid: float) -> None:
        book = self._broker.coins[coin]
        notional = abs(book.size) * book.price
        if notional > 0.0:
            self._funded[coin] = (abs(paid) / notional, time.monotonic())

    def look(self, skew_ms: int, awaited: Collection[str] = ()) -> list[Trip]:
        """Return what is wrong now; what was only degraded and is over is taken back.

        Args:
            skew_ms: our clock against the exchange's.
            awaited: coins whose bar all others wait for.
        """
        found = [*self._data(awaited), *self._account(), *self._positions()]
        if abs(skew_ms) > self.limits.skew_s * 1000.0:
            text = f"our clock is {skew_ms / 1000.0:+.1f} s off the exchange's"
            found.append(Trip(Level.DEGRADED, "clock", text))
        trouble = self._broker.events.trouble
        now = {trip.what for trip in found}
        for what in self._raised - now:
            trouble.pop(what, None)
        for trip in found:
            if trip.level is Level.DEGRADED:
                self._broker.events.alarm(trip.what, trip.text)
        self._raised = now
        return found

    def _data(self, awaited: Collection[str]) -> list[Trip]:
        moment = time.monotonic()
        if self._broker.decided_bar != self._bar:
            self._bar, self._bar_at = self._broker.decided_bar, moment
        waited = (moment - self._bar_at) / self._step
        if self._replay or waited <= self.limits.stale_bars:
            return []
        whose = f": {', '.join(sorted(awaited))} has none" if awaited else ""
        text = f"no new bar for {waited:.1f} bars{whose}"
        return [Trip(Level.DEGRADED, "stale data", text)]

    def _account(self) -> list[Trip]:
        found = []
        if self._refused >= self.limits.refusals:
            text = f"{self._refused} orders in a row were refused; ftbt resume goes on"
            found.append(Trip(Level.DEGRADED, "refusals", text))
        if len(self._slips) == _SLIPS and sum(self._slips) / _SLIPS > self.limits.slippage:
            mean = sum(self._slips) / _SLIPS
            text = f"the last {_SLIPS} market fills slipped by {mean:.2%}; ftbt resume goes on"
            found.append(Trip(Level.DEGRADED, "slippage", text))
        there, ours = self._broker.events.account_equity, self._broker.desk.equity()
        if there is not None and float(there) < (1.0 - self.limits.equity_gap) * ours:
            text = f"the account is worth {float(there):,.2f}, our books say {ours:,.2f}"
            found.append(Trip(Level.DEGRADED, "equity", text))
        return found

    def _positions(self) -> list[Trip]:
        found = []
        longest = self.limits.unprotected_bars * self._step
        for coin, seconds in self._broker.unprotected().items():
            if seconds > longest:
                text = f"{coin} has had no working stop for {seconds:.0f} s"
                found.append(Trip(Level.CRITICAL, f"no stop {coin}", text))
        for coin, (rate, at) in self._funded.items():
            if rate > self.limits.funding_hour and time.monotonic() - at < 3600.0:
                text = f"{coin} pays {rate:.2%} funding an hour"
                found.append(Trip(Level.DEGRADED, f"funding {coin}", text))
        return found + self._near_liquidation()

    def _near_liquidation(self) -> list[Trip]:
        found = []
        for coin, level in self._broker.events.liquidation.items():
            book = self._broker.coins[coin]
            if not book.size or not book.price > 0.0:
                continue
            distance = abs(1.0 - level / book.price)
            if distance > self.limits.liquidation:
                continue
            side = 1.0 if book.size > 0 else -1.0
            shielded = any(
                child.is_stop_kind and side * (child.price - level) > 0.0
                for child in book.children()
            )
            text = f"{coin} at {book.price:g} is {distance:.1%} from its liquidation at {level:g}"
            trip = Level.DEGRADED if shielded else Level.CRITICAL
            found.append(Trip(trip, f"liquidation {coin}", text))
        return found
