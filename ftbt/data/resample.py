"""Longer bars from shorter ones."""

from __future__ import annotations

import numpy as np

from ftbt.data.candles import BAR, Bars, Candles
from ftbt.data.timeframe import Timeframe
from ftbt.errors import DataError, InputError


def resample(candles: Candles, timeframe: str | Timeframe) -> Candles:
    """Return *candles* in bars of a longer *timeframe*, whole ones only.

    A longer bar whose first or last part is not in the candles is left out: its high, low and
    volume would be those of another, shorter bar. Volumes are added in order of time.

    Raises:
        InputError: when the longer bar is not a whole number of the shorter ones.
        DataError: when not one longer bar is whole.
    """
    length = Timeframe.parse(timeframe)
    if length == candles.timeframe:
        return candles
    if length.ms % candles.timeframe.ms:
        raise InputError(
            f"{candles.symbol}: {length} bars cannot be made of {candles.timeframe} bars;"
            f" give a multiple of {candles.timeframe}"
        )
    bars = whole_bars(candles.bars, candles.timeframe, length)
    if len(bars) == 0:
        raise DataError(
            f"{candles.symbol}: {len(candles)} bars of {candles.timeframe} from"
            f" {candles.start:%Y-%m-%d %H:%M} UTC hold no whole {length} bar"
        )
    source = f"{candles.source}, resampled from {candles.timeframe}"
    return Candles(candles.symbol, length, bars, source, candles.synthetic)


def whole_bars(bars: Bars, short: Timeframe, length: Timeframe) -> Bars:
    """Return the whole bars of *length* in evenly spaced *bars* of *short*; may be empty."""
    each = length.ms // short.ms
    starts = np.flatnonzero((bars["time"] - length.origin_ms) % length.ms == 0)
    first = int(starts[0]) if len(starts) else len(bars)
    count = (len(bars) - first) // each
    parts = bars[first : first + count * each].reshape(count, each)
    longer = np.zeros(count, BAR)
    if count == 0:
        return longer
    longer["time"], longer["open"] = parts["time"][:, 0], parts["open"][:, 0]
    longer["high"], longer["low"] = parts["high"].max(axis=1), parts["low"].min(axis=1)
    longer["close"] = parts["close"][:, -1]
    # One after the other, as a bar grows: numpy's own sum pairs terms by the machine's width.
    for part in range(each):
        longer["volume"] += parts["volume"][:, part]
    return longer
