"""Higher-timeframe bars built inside the lines: complete ones only, at their own close."""

from __future__ import annotations

import numpy as np
import pytest
from smc_markets import BASE_MS, START_MS, fat_tails, times

from ftbt.data.candles import Bars, make_bars
from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS, Timeframe
from ftbt.errors import InputError
from ftbt.smc.aggregate import aggregate
from ftbt.smc.base import compute_line, higher
from ftbt.smc.structure import STRUCTURE
from ftbt.smc.swings import SWINGS


def counted(n: int, start_ms: int = START_MS, base_ms: int = BASE_MS) -> Bars:
    """Bars whose close is their number, a high and low around it, volume 1."""
    number = np.arange(n, dtype=float) + 100
    time = start_ms + base_ms * np.arange(n, dtype=np.int64)
    return make_bars(time, number - 0.5, number + 1, number - 1, number, np.ones(n))


def test_the_first_bucket_is_dropped_when_the_data_begin_inside_it() -> None:
    """From 00:15 on, the first 1h bar is the one that opens at 01:00."""
    made, known = aggregate(counted(11), BASE_MS, HOUR_MS, 0)
    assert ((made["time"] - START_MS) // MINUTE_MS).tolist() == [45, 105]
    assert known.tolist() == [0] * 6 + [1] * 4 + [2]


def test_a_higher_bar_holds_open_extremes_close_and_volume() -> None:
    """Open of the first, close of the last, highest high, lowest low, summed volume."""
    made, _ = aggregate(counted(7), BASE_MS, HOUR_MS, 0)
    assert made.tolist() == [(START_MS + 45 * MINUTE_MS, 102.5, 107.0, 102.0, 106.0, 4.0)]


def test_a_higher_bar_is_known_at_the_close_of_the_base_bar_that_completes_it() -> None:
    """A higher bar appears at the base bar whose close is its close, neither earlier nor later."""
    bars = counted(400)
    for high_ms in (HOUR_MS, 4 * HOUR_MS, DAY_MS):
        made, place = aggregate(bars, BASE_MS, high_ms, 0)
        for i, count in enumerate(place.tolist()):
            close = bars["time"][i] + BASE_MS
            known = made["time"] + high_ms <= close
            assert count == known.sum()


def test_weeks_open_on_monday() -> None:
    """1w bars open on Monday 00:00 UTC."""
    start = Timeframe.parse("1w").floor(START_MS)
    bars = counted(24 * 15, start - 2 * DAY_MS, HOUR_MS)
    frame = Timeframe.parse("1w")
    made, _ = aggregate(bars, HOUR_MS, frame.ms, frame.origin_ms)
    assert made["time"].tolist() == [start]
    assert made["close"][0] == bars["close"][bars["time"] == start + WEEK_MS - HOUR_MS][0]


def test_a_bucket_without_its_last_base_bar_never_completes() -> None:
    """A hole over a higher close drops that higher bar; a hole inside a bucket doesn't."""
    bars = counted(40)
    minute = bars["time"] // MINUTE_MS % 60
    hour = bars["time"] // HOUR_MS - bars["time"][0] // HOUR_MS
    without_last = bars[~((hour == 3) & (minute == 45))]
    made, _ = aggregate(without_last, BASE_MS, HOUR_MS, 0)
    hours = made["time"] // HOUR_MS - bars["time"][0] // HOUR_MS
    assert hours.tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
    without_middle = bars[~((hour == 3) & (minute == 30))]
    made, _ = aggregate(without_middle, BASE_MS, HOUR_MS, 0)
    assert len(made) == 9
    assert made["volume"].tolist() == [4, 4, 3, 4, 4, 4, 4, 4, 4]


def test_the_rest_of_an_open_higher_bar_changes_nothing() -> None:
    """Values at base bars inside a 4h bar are the same whatever its later base bars become."""
    bars = fat_tails(800)
    for concept in (SWINGS, STRUCTURE):
        out = compute_line(concept, bars, BASE_MS, {}, "4h")
        inside = np.flatnonzero(bars["time"] // MINUTE_MS % 240 == 60)[20:]
        moved = 0
        for i in inside.tolist():
            other = bars.copy()
            for name in ("open", "high", "low", "close", "volume"):
                other[name][i + 1 : i + 11] *= 3.0
            changed = compute_line(concept, other, BASE_MS, {}, "4h")
            assert changed[: i + 11].tobytes() == out[: i + 11].tobytes()
            moved += changed.tobytes() != out.tobytes()
        assert moved > 0


def test_events_show_once_and_levels_are_held() -> None:
    """On a higher timeframe an event is non-zero at one base bar, a level until the next close."""
    bars = fat_tails(2000)
    out = compute_line(STRUCTURE, bars, BASE_MS, {"left": 2, "right": 2}, "1h")
    high_bars, place = aggregate(bars, BASE_MS, HOUR_MS, 0)
    high_out = STRUCTURE.compute(high_bars, {"left": 2, "right": 2})
    for name in ("bos", "choch"):
        assert np.count_nonzero(out[name]) == np.count_nonzero(high_out[name]) > 10
        closes = bars["time"][out[name] != 0] + BASE_MS
        assert (closes % HOUR_MS == 0).all()
    known = place > 0
    np.testing.assert_array_equal(out["trend"][known], high_out["trend"][place[known] - 1])
    assert np.isnan(out["trend"][~known]).all()


def test_no_complete_higher_bar_gives_unknown_everywhere() -> None:
    """Less data than one higher bar: levels NaN, events 0, no error."""
    bars = make_bars(times(10), *np.full((5, 10), 7.0))
    out = compute_line(STRUCTURE, bars, BASE_MS, {}, "1d")
    assert np.isnan(out["high"]).all()
    assert (out["bos"] == 0).all()


@pytest.mark.parametrize("timeframe", ["5m", "20m", "1m"])
def test_a_timeframe_that_the_bars_cannot_build_is_refused(timeframe: str) -> None:
    """Finer than the data, or no multiple of it: the message names both."""
    with pytest.raises(InputError, match=f"timeframe='{timeframe}' can't be built .* 15 minutes"):
        higher(timeframe, BASE_MS)


def test_the_datas_own_timeframe_is_no_higher_one() -> None:
    """Empty and equal both mean the bars themselves."""
    assert higher("", BASE_MS) is None
    assert higher("15m", BASE_MS) is None
    bars = fat_tails(300)
    own = compute_line(SWINGS, bars, BASE_MS, {}, "15m")
    assert own.tobytes() == SWINGS.compute(bars).tobytes()
