"""The Backtrader feed over candles: arrays handed over whole, stamped with the bar's open."""

from __future__ import annotations

import array
from typing import Any

import backtrader as bt
import numpy as np

from ftbt.data.candles import FIELDS, Candles
from ftbt.data.timeframe import DAY_MS, MINUTE_MS, WEEK_MS, Timeframe
from ftbt.errors import InputError

# Backtrader counts days since year 1; day 719163 is 1970-01-01.
_EPOCH_DAYS = 719_163
_BT_MS = {
    bt.TimeFrame.Minutes: MINUTE_MS,
    bt.TimeFrame.Days: DAY_MS,
    bt.TimeFrame.Weeks: WEEK_MS,
}


def from_bt_time(number: float) -> int:
    """Return a Backtrader date number as ms since 1970 UTC (its floats resolve about 10 us)."""
    return round((number - _EPOCH_DAYS) * DAY_MS)


def to_bt_time(time_ms: int) -> float:
    """Return ms since 1970 UTC as a Backtrader date number."""
    return _EPOCH_DAYS + time_ms / DAY_MS


def bt_timeframe(timeframe: Timeframe) -> tuple[int, int]:
    """Return Backtrader's (timeframe, compression); hours are minutes there."""
    for code, unit in ((bt.TimeFrame.Weeks, WEEK_MS), (bt.TimeFrame.Days, DAY_MS)):
        if timeframe.ms % unit == 0:
            return code, timeframe.ms // unit
    return bt.TimeFrame.Minutes, timeframe.ms // MINUTE_MS


def base_milliseconds(data: Any) -> int:
    """Return the bar length of a Backtrader feed in milliseconds.

    Raises:
        InputError: for ticks, seconds, months and years.
    """
    if data._timeframe not in _BT_MS:  # noqa: SLF001 - Backtrader offers no public name
        raise InputError("SMC lines need a feed of minute, day or week bars with its timeframe set")
    return int(_BT_MS[data._timeframe] * data._compression)  # noqa: SLF001


def stamps_to_ms(numbers: Any) -> Any:
    """Return an array of Backtrader date numbers as int64 ms since 1970 UTC."""
    return np.round((np.asarray(numbers) - _EPOCH_DAYS) * DAY_MS).astype(np.int64)


class CandleFeed(bt.feed.DataBase):
    """Candles as a Backtrader feed.

    A bar is stamped with its OPEN time and delivered when it has closed, in research and live
    alike. In research the arrays are handed over whole: reading them cell by cell is 44 % of a
    plain Backtrader run.

    Example:
        cerebro.adddata(CandleFeed(candles=candles), name=candles.symbol)
    """

    params = (("candles", None), ("instrument", None))

    def __init__(self, **_: Any) -> None:  # Backtrader has taken the params out by now
        super().__init__()
        self.candles: Candles = self.p.candles
        self.instrument = self.p.instrument
        code, compression = bt_timeframe(self.candles.timeframe)
        self._timeframe = self.p.timeframe = code
        self._compression = self.p.compression = compression
        self._position = 0

    def start(self) -> None:
        """Begin at the first bar."""
        super().start()
        self._position = 0

    def preload(self) -> None:
        """Hand all bars over at once."""
        bars = self.candles.bars
        days = _EPOCH_DAYS + bars["time"] / DAY_MS
        columns = {"datetime": days, "openinterest": np.zeros(len(bars))}
        columns |= {name: bars[name] for name in FIELDS}
        for name, column in columns.items():
            line = getattr(self.lines, name)
            line.array = array.array("d", np.ascontiguousarray(column, np.float64).tobytes())
            line.idx = len(bars) - 1
            line.lencount = len(bars)
        self._position = len(bars)  # nothing is left to load one by one
        self.home()

    def _load(self) -> bool:
        """Deliver one bar (runs without preloading)."""
        bars = self.candles.bars
        if self._position >= len(bars):
            return False
        row = bars[self._position]
        self._position += 1
        self.lines.datetime[0] = to_bt_time(int(row["time"]))
        for name in FIELDS:
            getattr(self.lines, name)[0] = float(row[name])
        self.lines.openinterest[0] = 0.0
        return True

    def _tick_nullify(self) -> None:
        """Do nothing: there are no ticks inside a closed bar."""

    def _tick_fill(self, force: bool = False) -> None:
        """Do nothing: there are no ticks inside a closed bar."""
