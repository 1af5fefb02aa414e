"""Previous day's and week's high and low: completed periods only, from their first bar after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from smc_markets import market, mirrored, names
from zone_kit import CENTRE, seeded_walk

from ftbt.data.candles import Bars
from ftbt.data.timeframe import DAY_MS, HOUR_MS, WEEK_MS, parse_time, to_ms
from ftbt.smc.periods import PERIODS

MONDAY = to_ms(parse_time("2024-01-01"))


def _hours(start: int, n: int, step: int = HOUR_MS) -> Bars:
    """Bars of a random walk from *start* on."""
    bars = seeded_walk(1, n)
    bars["time"] = start + step * np.arange(n)
    return bars


def test_the_levels_of_a_day_are_known_at_the_first_bar_of_the_next() -> None:
    """Nothing before midnight; at the first bar of the new day high, low and their origins."""
    bars = _hours(MONDAY, 60)
    out = PERIODS.compute(bars)
    day = bars[:24]

    assert np.flatnonzero(out["new_day"]).tolist() == [24, 48]
    assert np.isnan(out["day_high"][:24]).all()
    assert (out["day_high"][24:48] == day["high"].max()).all()
    assert (out["day_low"][24:48] == day["low"].min()).all()
    assert out["day_high_origin"][24] == 24 - np.argmax(day["high"])
    assert out["day_low_origin"][47] == 47 - np.argmin(day["low"])


def test_a_day_whose_beginning_is_missing_is_no_completed_day() -> None:
    """Data that begin at 01:00 give the first levels after the second midnight."""
    out = PERIODS.compute(_hours(MONDAY + HOUR_MS, 60))

    assert np.flatnonzero(out["new_day"]).tolist() == [47]
    assert np.isnan(out["day_high"][:47]).all()


def test_weeks_begin_on_monday() -> None:
    """A week that began on Tuesday in the data is not complete; the one after it is."""
    bars = _hours(MONDAY + DAY_MS, 14 * 24)
    out = PERIODS.compute(bars)
    week = bars[6 * 24 : 13 * 24]

    assert np.flatnonzero(out["new_week"]).tolist() == [13 * 24]
    assert out["week_high"][13 * 24] == week["high"].max()
    assert out["week_low"][-1] == week["low"].min()


def test_days_can_begin_at_another_hour() -> None:
    """With day_start=21 the day changes at 21:00 UTC, and the week on Monday at 21:00."""
    bars = _hours(MONDAY + 21 * HOUR_MS, 8 * 24)
    out = PERIODS.compute(bars, {"day_start": 21})

    assert np.flatnonzero(out["new_day"]).tolist() == [24 * k for k in range(1, 8)]
    assert np.flatnonzero(out["new_week"]).tolist() == [7 * 24]
    assert out["day_low"][24] == bars["low"][:24].min()


def test_days_missing_from_the_data_do_not_stop_the_levels() -> None:
    """After a hole the last day that had bars is the previous day."""
    bars = np.concatenate([_hours(MONDAY, 24), _hours(MONDAY + 3 * DAY_MS + HOUR_MS, 30)])
    out = PERIODS.compute(bars)

    assert np.flatnonzero(out["new_day"]).tolist() == [24, 47]
    assert out["day_high"][24] == bars["high"][:24].max()
    assert out["day_high"][47] == bars["high"][24:47].max()


def test_on_daily_bars_the_previous_day_is_the_previous_bar() -> None:
    """Bars as long as the period make it complete at once."""
    bars = _hours(MONDAY, 15, DAY_MS)
    out = PERIODS.compute(bars)

    assert (out["day_high"][1:] == bars["high"][:-1]).all()
    assert (out["day_low_origin"][1:] == 1).all()


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize(
    ("name", "rule", "length", "origin"),
    [("day", "1D", DAY_MS, 0), ("week", "W-MON", WEEK_MS, 4 * DAY_MS)],
)
def test_levels_agree_with_pandas(
    place: str, name: str, rule: str, length: int, origin: int
) -> None:
    """At every bar the levels are those of the last complete period of a pandas resampling."""
    bars = market(place)
    index = pd.to_datetime(bars["time"], unit="ms", utc=True)
    frame = pd.DataFrame({"high": bars["high"], "low": bars["low"]}, index=index)
    grouped = frame.resample(rule, label="left", closed="left").agg({"high": "max", "low": "min"})
    first = (bars["time"][0] - origin) // length * length + origin
    if bars["time"][0] != first:
        grouped = grouped.iloc[1:]
    ends = grouped.index + pd.Timedelta(length, "ms")
    place_of = np.searchsorted(ends, index, side="right") - 1
    out = PERIODS.compute(bars)
    for column in ("high", "low"):
        values = grouped[column].to_numpy()
        expected = np.where(place_of >= 0, values[place_of], np.nan)
        np.testing.assert_array_equal(out[f"{name}_{column}"], expected)


def test_a_mirrored_market_mirrors_the_levels() -> None:
    """Upside down, the high is the low."""
    bars = _hours(MONDAY, 400)
    out = PERIODS.compute(bars)
    got: Any = PERIODS.compute(mirrored(bars, CENTRE))

    for period in ("day", "week"):
        np.testing.assert_array_equal(got[f"{period}_high"], CENTRE - out[f"{period}_low"])
        np.testing.assert_array_equal(got[f"{period}_low"], CENTRE - out[f"{period}_high"])
        np.testing.assert_array_equal(got[f"{period}_high_origin"], out[f"{period}_low_origin"])
