"""The summary of a day, told at midnight UTC of the market's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftbt.data.timeframe import DAY_MS, show_ms
from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.words import duration, money, positions_text, trade_values
from ftbt.live.status import Status


@dataclass(slots=True)
class _Sums:
    """What one day came to so far."""

    began_ms: int
    equity: float
    lowest: float
    trades: int = 0
    wins: int = 0
    net: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    fills: int = 0
    refused: int = 0
    errors: int = 0
    gaps: int = 0
    away_s: float = 0.0


class Day:
    """Sums up events and statuses; days are those of the market's clock."""

    def __init__(self) -> None:
        self._sums: _Sums | None = None
        self._away_since: float | None = None

    def event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Take an event of the journal in."""
        sums = self._sums
        if sums is None:
            return
        if kind == "trade":
            trade = trade_values(body["row"])
            sums.trades += 1
            sums.wins += trade["net"] > 0.0
            sums.net += trade["net"]
        elif kind == "fill":
            sums.fills += 1
            sums.fees += float(body["fee"])
        elif kind == "funding":
            sums.funding += float(body["paid"])
        elif kind == "refused":
            sums.refused += 1
        elif kind in ("error", "alarm"):
            sums.errors += 1

    def status(self, status: Status, now: float) -> Alert | None:
        """Take a status in; return the summary when it is the first of a new day."""
        told = None
        sums = self._sums
        if sums is None or status.market_ms // DAY_MS > sums.began_ms // DAY_MS:
            if sums is not None:
                self._count_away(sums, now)
                told = _summary(sums, status)
            sums = self._sums = _Sums(status.market_ms, status.equity, status.equity)
        sums.lowest = min(sums.lowest, status.equity)
        if status.connected:
            self._count_away(sums, now)
            self._away_since = None
        elif self._away_since is None:
            sums.gaps += 1
            self._away_since = now
        return told

    def _count_away(self, sums: _Sums, now: float) -> None:
        if self._away_since is not None:
            sums.away_s += now - self._away_since
            self._away_since = now


def _summary(sums: _Sums, status: Status) -> Alert:
    change = status.equity - sums.equity
    share = change / sums.equity if sums.equity else 0.0
    day = show_ms(sums.began_ms // DAY_MS * DAY_MS)[:10]
    whole = sums.began_ms % DAY_MS < 60_000
    lines = [
        f"equity {status.equity:,.2f} ({money(change)}, {share:+.2%}), lowest {sums.lowest:,.2f}",
        f"{sums.trades} trades, {sums.wins} won, net {money(sums.net)}",
        f"{sums.fills} fills, fees {sums.fees:,.2f}, funding paid {sums.funding:,.2f}",
        f"{sums.refused} refusals of the exchange, {sums.errors} errors",
        f"{sums.gaps} times disconnected, {duration(sums.away_s)} in all",
        f"now {positions_text(status.positions)}",
    ]
    if not whole:
        lines.append(f"counted from {show_ms(sums.began_ms)} on")
    return Alert(Topic.DAILY, Level.INFO, f"day {day}", f"{day}: {money(change)}", "\n".join(lines))
