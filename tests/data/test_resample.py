"""Longer bars are made of whole sets of shorter ones, and of nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Candles, make_bars
from ftbt.data.resample import resample
from ftbt.data.timeframe import Timeframe
from ftbt.data.validate import find_problems
from ftbt.errors import DataError, InputError

MINUTE = 60_000
# 2024-01-03, a Wednesday.
START = 1_704_240_000_000


def _candles(timeframe: str, count: int, shift: int = 0, seed: int = 3) -> Candles:
    length = Timeframe.parse(timeframe)
    rng = np.random.default_rng(seed)
    close = 100.0 + rng.uniform(-5, 5, count)
    opened = 100.0 + rng.uniform(-5, 5, count)
    high = np.maximum(opened, close) + rng.uniform(0, 1, count)
    low = np.minimum(opened, close) - rng.uniform(0, 1, count)
    time = START + length.ms * (shift + np.arange(count))
    bars = make_bars(time, opened, high, low, close, rng.uniform(0, 9, count))
    return Candles("X", length, bars, "lab", synthetic=True)


def test_a_bar_by_hand() -> None:
    """Open of the first, highest high, lowest low, close of the last, sum of the volumes."""
    bars = make_bars(
        START + 15 * MINUTE * np.arange(4),
        [10.0, 11.0, 12.0, 11.5],
        [11.0, 14.0, 12.5, 12.0],
        [9.5, 10.5, 8.0, 11.0],
        [11.0, 12.0, 11.5, 11.8],
        [1.0, 2.0, 4.0, 8.0],
    )
    hourly = resample(Candles("X", Timeframe.parse("15m"), bars, "lab"), "1h")

    assert hourly.bars.tolist() == [(START, 10.0, 14.0, 8.0, 11.8, 15.0)]
    assert hourly.source == "lab, resampled from 15m"
    assert str(hourly.timeframe) == "1h"


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_partial_bars_are_dropped(shift: int) -> None:
    """A first or last bar of which a part is missing is left out."""
    hourly = resample(_candles("15m", 22, shift), "1h")
    first = -(-shift // 4)

    assert hourly.time[0] == START + first * 60 * MINUTE
    assert len(hourly) == (22 + shift) // 4 - first


@settings(deadline=None, max_examples=80)
@given(
    pair=st.sampled_from([("1m", "5m"), ("5m", "15m"), ("15m", "4h"), ("4h", "1d"), ("1d", "1w")]),
    count=st.integers(60, 200),
    shift=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_as_pandas_does(pair: tuple[str, str], count: int, shift: int, seed: int) -> None:
    """Every whole bar equals what pandas makes of the same rows, and the result is sound."""
    short, long = pair
    candles = _candles(short, count, shift, seed)
    made = resample(candles, long)
    length = Timeframe.parse(long)
    frame = pd.DataFrame({name: candles.bars[name] for name in candles.bars.dtype.names or ()})
    groups = frame.groupby((frame["time"] - length.origin_ms) // length.ms)
    whole = groups.filter(lambda part: len(part) == length.ms // candles.timeframe.ms)
    expected = whole.groupby((whole["time"] - length.origin_ms) // length.ms).agg(
        {"time": "first", "open": "first", "high": "max", "low": "min", "close": "last"}
        | {"volume": "sum"}
    )

    for name in ("time", "open", "high", "low", "close"):
        assert made.bars[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(made.volume, expected["volume"], rtol=1e-12)
    assert find_problems(made.bars, length) == []
    assert made.synthetic
    assert made.symbol == "X"


def test_weeks_begin_on_monday() -> None:
    """From Wednesday on, the first whole week is the one of the Monday after."""
    weekly = resample(_candles("1d", 20), "1w")
    assert [f"{pd.Timestamp(ms, unit='ms'):%a %F}" for ms in weekly.time] == [
        "Mon 2024-01-08",
        "Mon 2024-01-15",
    ]


def test_in_two_steps_or_one() -> None:
    """Going through another length makes the same prices."""
    candles = _candles("1m", 3000, 7)
    direct = resample(candles, "4h")
    stepwise = resample(resample(candles, "15m"), "4h")

    for name in ("time", "open", "high", "low", "close"):
        assert direct.bars[name].tolist() == stepwise.bars[name].tolist()


def test_the_same_length_is_the_same_candles() -> None:
    """Nothing is done when the length is already there, in whatever writing."""
    candles = _candles("1h", 5)
    assert resample(candles, "60m") is candles


@pytest.mark.parametrize(("short", "long"), [("15m", "20m"), ("1h", "15m"), ("4h", "6h")])
def test_lengths_that_do_not_fit(short: str, long: str) -> None:
    """A length that is not a multiple is refused."""
    with pytest.raises(InputError, match=f"X: {long} bars cannot be made of {short} bars"):
        resample(_candles(short, 50), long)


def test_not_one_whole_bar() -> None:
    """Too few bars for a single longer one are an error that says from when they are."""
    with pytest.raises(DataError, match="3 bars of 15m from 2024-01-03 00:15 UTC hold no whole 1h"):
        resample(_candles("15m", 3, 1), "1h")
