"""Fills as alerts: the parts of one order become one alert, a closed trade tells its profit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftbt.backtest.result import ExitReason
from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.words import money, side_word, trade_text, trade_values
from ftbt.live.legs import Leg

# An order fills in parts within moments; told at the latest after the second time.
_QUIET_S, _LONGEST_S = 2.0, 10.0


@dataclass(slots=True)
class _Part:
    """What has filled of one order and was not told yet."""

    leg: str
    first: float
    last: float
    size: float = 0.0
    notional: float = 0.0
    fee: float = 0.0

    def due(self, now: float) -> bool:
        return now - self.last >= _QUIET_S or now - self.first >= _LONGEST_S


class Fills:
    """Collects fills until they are worth telling. Times are of one monotonic clock, seconds."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], _Part] = {}
        self._sides: dict[tuple[str, int], int] = {}
        self._closing: set[str] = set()

    def order(self, body: Mapping[str, Any], coin: str) -> None:
        """Remember the side of an order that was made."""
        self._sides[coin, int(body["number"])] = int(body["side"])
        if len(self._sides) > 1_000:
            del self._sides[next(iter(self._sides))]

    def trade(self, body: Mapping[str, Any], coin: str) -> list[Alert]:
        """Return the alert of a trade that is over, after that of its entry if it is still due.

        What closed it is told with it.
        """
        trade = trade_values(body["row"])
        parts = [(key, self._parts.pop(key)) for key in list(self._parts) if key[0] == coin]
        told = [self._told(key, part) for key, part in parts if part.leg == Leg.ENTRY]
        self._closing.add(coin)  # the journal has the fill that closed it next
        won = trade["net"] > 0.0
        level = Level.GOOD if won else Level.INFO
        if int(trade["exit_reason"]) == ExitReason.LIQUIDATION:
            level = Level.CRITICAL
        title = f"{coin} {side_word(trade['side'])} closed: {money(trade['net'])}"
        key = f"trade {coin} {trade['entry_time']:.0f} {trade['exit_time']:.0f}"
        return [*told, Alert(Topic.FILL, level, key, title, trade_text(trade))]

    def fill(self, body: Mapping[str, Any], coin: str, now: float) -> None:
        """Take a fill in."""
        leg = str(body["leg"] or "by hand or by the exchange")
        if coin in self._closing:
            self._closing.discard(coin)
            if leg != Leg.ENTRY:
                return
        part = self._parts.setdefault((coin, int(body["order"])), _Part(leg, now, now))
        part.last = now
        part.size += float(body["size"])
        part.notional += float(body["size"]) * float(body["price"])
        part.fee += float(body["fee"])

    def due(self, now: float, *, all_of_them: bool = False) -> list[Alert]:
        """Return the alerts of orders that have not filled any more for a moment."""
        ready = [key for key, part in self._parts.items() if all_of_them or part.due(now)]
        return [self._told(key, self._parts.pop(key)) for key in ready]

    def _told(self, key: tuple[str, int], part: _Part) -> Alert:
        coin, number = key
        price = part.notional / part.size if part.size else 0.0
        if part.leg == Leg.ENTRY:
            side = self._sides.get(key)
            which = "" if side is None else f" {side_word(side)}"
            what = f"{coin}{which} opened: {part.size:g} at {price:g}"
        else:
            what = f"{coin} made smaller: {part.size:g} at {price:g} ({part.leg})"
        text = f"{part.notional:,.2f} USDC, fee {part.fee:,.4f}, order {number}"
        return Alert(Topic.FILL, Level.INFO, f"fill {coin} {number} {part.last}", what, text)
