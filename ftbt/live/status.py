"""What a live session is doing, in figures: for the status line, its file and whoever watches."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_KEPT_LATENCIES = 1000


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of a session.

    Attributes:
        pid, wall_ms: of the process and its clock.
        network, deployment: where, and what.
        market_ms: the market's time.
        bar_ms: open of the newest bar that was decided on.
        live: the bars are new, and orders may be sent.
        ready: why nothing may be opened now; empty when it may.
        connected: both streams stand.
        fills: booked by this process.
        busy: events and jobs that are on their way.
        equity: of our books.
        account_equity: of the account, None before it was read.
        positions: signed size by coin.
        entries: mean price of the position by coin.
        prices: last close by coin.
        open_orders: orders that stand on the exchange.
        unprotected: seconds by coin without a working stop that is meant to be there.
        decision: the newest decision.
        latency: from the frame that proved a bar to the decision, ms: median and p99.
        weight_left: of the requests that may be made this minute, a fraction.
        trades, wins: closed so far.
        over: the process has ended on purpose.
        vitals: of sockets, data, queues and requests, by the names of `ftbt.live.vitals`.
    """

    pid: int
    wall_ms: int
    network: str
    deployment: str
    market_ms: int
    bar_ms: int
    live: bool
    ready: str
    connected: bool
    fills: int
    busy: int
    equity: float
    account_equity: float | None
    positions: Mapping[str, float]
    entries: Mapping[str, float]
    prices: Mapping[str, float]
    open_orders: int
    unprotected: Mapping[str, float]
    decision: Mapping[str, Any]
    latency: Mapping[str, float]
    weight_left: float
    trades: int
    wins: int
    over: bool = False
    vitals: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(slots=True)
class Latencies:
    """Times from the proof of a bar to what followed, of the newest thousand."""

    kept: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))

    def add(self, seconds: float) -> None:
        """Take one in."""
        self.kept.append(seconds * 1000.0)

    def figures(self) -> dict[str, float]:
        """Return median and p99, ms; empty before the first."""
        if not self.kept:
            return {}
        found = sorted(self.kept)
        at = [found[min(len(found) - 1, int(len(found) * q))] for q in (0.5, 0.99)]
        return {"median": round(at[0], 3), "p99": round(at[1], 3)}


class StatusFile:
    """Keeps `status.json` up to date; a reader sees a whole file, old or new."""

    def __init__(self, path: Path, least_s: float = 0.0) -> None:
        self.path = path
        self._least = least_s
        self._last: dict[str, Any] = {}
        self._at = 0.0

    def write(self, status: Status) -> None:
        """Write *status* if something but the clock has changed since."""
        now = status.as_dict()
        shown = {**now, "wall_ms": 0, "unprotected": {}, "vitals": {}}
        same = shown == self._last
        if same and time.monotonic() - self._at < 1.0:
            return
        self._last, self._at = shown, time.monotonic()
        # No fsync: it is a view of what the journal keeps. A full disk must not end the trading.
        temporary = self.path.with_suffix(".tmp")
        with suppress(OSError):
            temporary.write_text(json.dumps(now), "utf-8")
            temporary.replace(self.path)
