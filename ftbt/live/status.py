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
        latency: from the last frame that proved a bar, ms: `median`, `p99` and `last` until all
            strategies had decided; `sent_median` and `sent_p99` until the orders of a close that
            had some were signed, on the disk, and handed to their senders.
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
    """Times from the frame that proved a bar to what followed, of the newest thousand closes."""

    _decided: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    _sent: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))

    def add(self, decided_s: float, sent_s: float | None) -> None:
        """Take those of a close in, seconds; *sent_s* None: it led to no order."""
        self._decided.append(decided_s * 1000.0)
        if sent_s is not None:
            self._sent.append(sent_s * 1000.0)

    def figures(self) -> dict[str, float]:
        """Return what is known so far, by the names of `Status.latency`."""
        if not self._decided:
            return {}
        found = {**_quantiles(self._decided), "last": round(self._decided[-1], 3)}
        if self._sent:
            found |= {f"sent_{name}": value for name, value in _quantiles(self._sent).items()}
        return found


def _quantiles(kept: deque[float]) -> dict[str, float]:
    found = sorted(kept)
    at = [found[min(len(found) - 1, int(len(found) * q))] for q in (0.5, 0.99)]
    return {"median": round(at[0], 3), "p99": round(at[1], 3)}


def latency_text(latency: Mapping[str, float]) -> str:
    """Return the times from the frames that proved a bar in words; *latency* as in the status."""
    text = f"decided in {latency['median']:.1f} ms (p99 {latency['p99']:.1f})"
    if "sent_median" in latency:
        text += f", orders out in {latency['sent_median']:.1f} ms (p99 {latency['sent_p99']:.1f})"
    return text


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
