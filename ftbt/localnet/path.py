"""The path of the price inside one bar: open, the two extremes, close."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

# Where in its bar each of the four prices stands.
_FIRST, _SECOND = 0.3, 0.6
# The last trade comes shortly before the bar ends: measured frames stop up to 2 s before.
_LAST_MS = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """The next trade of the market.

    Attributes:
        time: market time, ms.
        price: where the market trades now.
        volume: what the market traded, in units of the coin; may be 0.
        opens: the price jumped here: a bar opens.
    """

    time: int
    price: Decimal
    volume: Decimal
    opens: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar in decimals. Times in ms, volume in units of the coin."""

    time: int
    length: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def times(start: int, length: int) -> tuple[int, int, int, int]:
    """Return when a bar's four prices trade."""
    last = start + length - min(_LAST_MS, length // 40)
    return start, start + int(length * _FIRST), start + int(length * _SECOND), last


def walk(bar: Bar, low_first: bool, lot: Decimal) -> list[Step]:
    """Return the steps through *bar*; none when nothing traded in it."""
    if not bar.volume:
        return []
    middle = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    prices = (bar.open, *middle, bar.close)
    part = (bar.volume / 4).quantize(lot, "ROUND_DOWN")
    volumes = (part, part, part, bar.volume - 3 * part)
    moments = times(bar.time, bar.length)
    return [
        Step(moment, price, volume, number == 0)
        for number, (moment, price, volume) in enumerate(zip(moments, prices, volumes, strict=True))
    ]
