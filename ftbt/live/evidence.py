"""What is known of a session beside its result: candles, hours, refusals, faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ftbt.data.candles import Candles
from ftbt.data.market import Market, instrument_for
from ftbt.data.precision import tick_size


@dataclass(frozen=True, slots=True)
class Refusal:
    """The exchange said no, or took an order away.

    Attributes:
        time_ms: of the market.
        symbol: of the order.
        text: the exchange's words.
    """

    time_ms: int
    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was injected, at a time of the market."""

    time_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class Unit:
    """The shortest bar that is known to hold a moment."""

    open: float
    high: float
    low: float
    detail: bool


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for one cause or another.

    Attributes:
        markets: candles by symbol, with detail bars where there were any.
        decided: opens of the bars that the bot decided on; None: all that its result has.
        refusals: of the exchange, in order of time.
        faults: that were injected, in order of time.
    """

    markets: Mapping[str, Market] = field(default_factory=dict)
    decided: frozenset[int] | None = None
    refusals: tuple[Refusal, ...] = ()
    faults: tuple[Fault, ...] = ()

    def size_decimals(self, symbol: str) -> int:
        """Return the lot rule of *symbol*: its market's, or what is known of the coin."""
        market = self.markets.get(symbol)
        rules = instrument_for(symbol) if market is None else market.instrument
        return rules.size_decimals

    def tick(self, symbol: str, price: float) -> float:
        """Return the distance of two valid prices near *price*."""
        return tick_size(price, self.size_decimals(symbol))

    def lot(self, symbol: str) -> float:
        """Return the smallest step of a size."""
        return float(10.0 ** -self.size_decimals(symbol))

    def unit(self, symbol: str, time_ms: int) -> Unit | None:
        """Return the shortest bar that holds *time_ms*, None when no candles are known."""
        market = self.markets.get(symbol)
        if market is None:
            return None
        for candles, detail in ((market.detail, True), (market.candles, False)):
            found = None if candles is None else _bar_at(candles, time_ms)
            if found is not None:
                return Unit(*found, detail)
        return None

    def refused(self, symbol: str, first_ms: int, last_ms: int) -> Iterator[Refusal]:
        """Yield what the exchange refused for *symbol* in that time, both ends included."""
        for one in self.refusals:
            if one.symbol == symbol and first_ms <= one.time_ms <= last_ms:
                yield one


def _bar_at(candles: Candles, time_ms: int) -> tuple[float, float, float] | None:
    at = int(np.searchsorted(candles.time, time_ms, side="right")) - 1
    if at < 0 or time_ms >= int(candles.time[at]) + candles.timeframe.ms:
        return None
    row = candles.bars[at]
    return float(row["open"]), float(row["high"]), float(row["low"])
