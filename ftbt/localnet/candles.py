"""Candles of every interval from the bars that are replayed, the forming one last."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ftbt.data.candles import Bars, Ints
from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS, WEEK_ORIGIN_MS
from ftbt.localnet.numbers import from_float, wire
from ftbt.localnet.path import times

INTERVALS = {
    "1m": MINUTE_MS, "3m": 3 * MINUTE_MS, "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS, "1h": HOUR_MS, "2h": 2 * HOUR_MS, "4h": 4 * HOUR_MS, "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS, "1d": DAY_MS, "3d": 3 * DAY_MS, "1w": WEEK_MS, "1M": 0,
}  # fmt: skip
MAX_ROWS = 5000
# Trades that the path makes of one bar.
STEPS = 4


def open_of(time: int, interval: str) -> int:
    """Return the open of the candle of *interval* that holds *time* (ms)."""
    return int(opens_of(np.array([time], np.int64), interval)[0])


def opens_of(time: Ints, interval: str) -> Ints:
    """Return the opens of the candles that hold each of *time*, shape (n,)."""
    if interval == "1M":
        months = time.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    length = INTERVALS[interval]
    origin = WEEK_ORIGIN_MS if interval == "1w" else 0
    return (time - origin) // length * length + origin


def end_of(opened: int, interval: str) -> int:
    """Return the last millisecond of the candle that opens at *opened*."""
    if interval == "1M":
        month = np.datetime64(opened, "ms").astype("datetime64[M]") + 1
        return int(month.astype("datetime64[ms]").astype(np.int64)) - 1
    return opened + INTERVALS[interval] - 1


@dataclass(slots=True)
class Row:
    """One candle that is being made."""

    opened: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int

    def add(self, high: Decimal, low: Decimal, close: Decimal, volume: Decimal, n: int) -> None:
        """Extend the candle by what traded after it."""
        self.high = max(self.high, high)
        self.low = min(self.low, low)
        self.close = close
        self.volume += volume
        self.trades += n

    def copy(self) -> Row:
        """Return an independent copy."""
        return Row(
            self.opened, self.open, self.high, self.low, self.close, self.volume, self.trades
        )

    def describe(self, coin: str, interval: str) -> dict[str, Any]:
        """Return the candle as the venue sends it."""
        return {
            "t": self.opened,
            "T": end_of(self.opened, interval),
            "s": coin,
            "i": interval,
            "o": wire(self.open),
            "c": wire(self.close),
            "h": wire(self.high),
            "l": wire(self.low),
            "v": wire(self.volume),
            "n": self.trades,
        }


def expand(bars: Bars, length: int, low_first: np.ndarray[Any, np.dtype[np.bool_]]) -> Bars:
    """Return four bars of one price each for every bar: what shorter candles are made of."""
    out = np.repeat(bars, STEPS)
    moments = np.array([times(int(start), length) for start in bars["time"]], np.int64)
    first = np.where(low_first, bars["low"], bars["high"])
    second = np.where(low_first, bars["high"], bars["low"])
    prices = np.column_stack([bars["open"], first, second, bars["close"]])
    out["time"] = moments.reshape(-1)
    for name in ("open", "high", "low", "close"):
        out[name] = prices.reshape(-1)
    out["volume"] /= STEPS
    return out


def rows_of(bars: Bars, interval: str, per_bar: int, decimals: int) -> list[Row]:
    """Return the candles of *interval* that *bars* (BAR array, sorted) make up, oldest first.

    Args:
        bars: what traded; bars without volume count no trades.
        interval: one of `INTERVALS`.
        per_bar: trades that each bar stands for.
        decimals: volumes are summed in whole units of 10**-decimals, so that no digit is lost.
    """
    if len(bars) == 0:
        return []
    opens = opens_of(bars["time"], interval)
    starts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1])))
    ends = np.concatenate((starts[1:], [len(bars)])) - 1
    units = np.rint(bars["volume"] * 10.0**decimals).astype(np.int64)
    volumes = np.add.reduceat(units, starts)
    trades = np.add.reduceat((bars["volume"] > 0).astype(np.int64) * per_bar, starts)
    highs = np.maximum.reduceat(bars["high"], starts)
    lows = np.minimum.reduceat(bars["low"], starts)
    return [
        Row(
            int(opens[first]),
            from_float(bars["open"][first]),
            from_float(highs[k]),
            from_float(lows[k]),
            from_float(bars["close"][last]),
            Decimal(int(volumes[k])).scaleb(-decimals),
            int(trades[k]),
        )
        for k, (first, last) in enumerate(zip(starts, ends, strict=True))
    ]
