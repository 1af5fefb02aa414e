"""Validated, immutable candles: the only form in which prices move through ftbt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ftbt.data.timeframe import Timeframe, from_ms, show_ms, to_ms
from ftbt.errors import DataError

Bars = NDArray[np.void]
Array = TypeVar("Array", bound=NDArray[Any])
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRICE_FIELDS = ("open", "high", "low", "close")
FIELDS = (*PRICE_FIELDS, "volume")

# One bar as every compiled rule receives it. `time` is the bar's OPEN, ms since 1970 UTC.
BAR = np.dtype([("time", "i8"), *((name, "f8") for name in FIELDS)])


def make_bars(
    time: ArrayLike,
    open: ArrayLike,  # noqa: A002 - the field's name everywhere
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
) -> Bars:
    """Return a BAR array, shape (n,), from six columns. Nothing is checked here."""
    columns = (time, open, high, low, close, volume)
    bars = np.zeros(len(np.asarray(time)), BAR)
    for name, column in zip(("time", *FIELDS), columns, strict=True):
        bars[name] = np.asarray(column)
    return bars


def frozen(array: Array) -> Array:
    """Return a read-only view: compiled code has one version for it, not one for each kind."""
    view: Array = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed bars of one symbol: strictly rising, evenly spaced, finite, positive.

    Build them with `ftbt.data.validate.candles_from_frame` or `Candles.checked`; the bare
    constructor trusts its caller.

    Attributes:
        symbol: as the exchange writes the coin, for example `BTC`.
        timeframe: length of one bar.
        bars: BAR array, shape (n,), read-only, times are bar OPENS in ms UTC.
        source: where the bars came from; shown on every result.
        synthetic: True for a made-up market; every output then says so.
        fingerprint: sha256 over symbol, timeframe and all values.
    """

    symbol: str
    timeframe: Timeframe
    bars: Bars
    source: str = "memory"
    synthetic: bool = False
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        bars = np.ascontiguousarray(self.bars, BAR)
        if bars.flags.writeable:
            bars = bars.copy()
            bars.flags.writeable = False
        digest = hashlib.sha256(f"{self.symbol}|{self.timeframe.ms}|".encode())
        digest.update(bars.tobytes())
        object.__setattr__(self, "bars", bars)
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @classmethod
    def checked(cls, symbol: str, timeframe: str | Timeframe, bars: Bars, **more: Any) -> Candles:
        """Return candles after the full validation of `ftbt.data.validate`, holes refused.

        Raises:
            DataError: naming the first bad row, its column and value.
        """
        from ftbt.data.checks import check_bars  # noqa: PLC0415 - checks imports this module

        frame = Timeframe.parse(timeframe)
        check_bars(bars, frame, where=str(more.get("source", symbol)))
        return cls(symbol, frame, bars, **more)

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def time(self) -> Ints:
        """Open times, ms since 1970 UTC, shape (n,)."""
        return self.bars["time"]

    @property
    def open(self) -> Floats:
        """First price of each bar."""
        return self.bars["open"]

    @property
    def high(self) -> Floats:
        """Highest price of each bar."""
        return self.bars["high"]

    @property
    def low(self) -> Floats:
        """Lowest price of each bar."""
        return self.bars["low"]

    @property
    def close(self) -> Floats:
        """Last price of each bar."""
        return self.bars["close"]

    @property
    def volume(self) -> Floats:
        """Traded volume of each bar, in units of the coin."""
        return self.bars["volume"]

    @property
    def start(self) -> datetime:
        """Open of the first bar."""
        return from_ms(self.bars["time"][0])

    @property
    def end(self) -> datetime:
        """Close of the last bar: the instant at which all of this is known."""
        return from_ms(int(self.bars["time"][-1]) + self.timeframe.ms)

    def slice(self, first: int, stop: int) -> Candles:
        """Return bars first .. stop-1."""
        return Candles(
            self.symbol, self.timeframe, self.bars[first:stop], self.source, self.synthetic
        )

    def between(self, start: datetime | None, end: datetime | None) -> Candles:
        """Return the bars that open at or after *start* and close at or before *end*.

        Raises:
            DataError: when no bar is left.
        """
        first = 0 if start is None else int(np.searchsorted(self.time, to_ms(start)))
        last_open = np.iinfo(np.int64).max if end is None else to_ms(end) - self.timeframe.ms
        stop = int(np.searchsorted(self.time, last_open, side="right"))
        if stop <= first:
            raise DataError(
                f"{self.symbol} {self.timeframe}: no bar between {start} and {end};"
                f" the data runs from {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"
            )
        return self.slice(first, stop)

    def __repr__(self) -> str:
        span = f"{show_ms(self.time[0])} .. {self.end:%Y-%m-%d %H:%M}" if len(self) else "empty"
        kind = "synthetic market, " if self.synthetic else ""
        return (
            f"<Candles {self.symbol} {self.timeframe}: {len(self)} bars, {span}, {kind}"
            f"{self.source}, {self.fingerprint[:12]}>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Funding:
    """Funding rates of one perpetual.

    Attributes:
        time: when each payment fell due, ms since 1970 UTC, strictly rising, shape (n,).
        rate: fraction of the notional; positive: longs pay, shape (n,).
    """

    symbol: str
    time: Ints
    rate: Floats
    source: str = "memory"

    @property
    def fingerprint(self) -> str:
        """sha256 over times and rates."""
        digest = hashlib.sha256(f"{self.symbol}|funding|".encode())
        digest.update(self.time.tobytes() + self.rate.tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.time)
