"""Sessions in civil time against zoneinfo itself, across the changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ftbt.data.candles import Bars, make_bars
from ftbt.data.timeframe import MINUTE_MS, to_ms
from ftbt.errors import ParameterError
from ftbt.smc.civil_time import MAX_CHANGES, offset_table
from ftbt.smc.sessions import SESSIONS

WINDOWS = {
    "asia": (20 * 60, 24 * 60),
    "london": (2 * 60, 5 * 60),
    "new_york": (7 * 60, 10 * 60),
    "london_close": (10 * 60, 12 * 60),
    "silver_bullet": (10 * 60, 11 * 60),
}
KILLZONES = ("asia", "london", "new_york", "london_close")
WRONG_ZONE = (
    "sessions: zone must be an IANA time zone such as 'America/New_York',"
    " not 'America/New_Yrok' - did you mean 'America/New_York'?"
)
# (zone, a stretch of days with a change of its clocks)
CHANGES = [
    ("America/New_York", datetime(2024, 3, 1, 3, 15, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 10, 25, 3, 15, tzinfo=UTC)),
    ("Europe/London", datetime(2024, 3, 22, 3, 15, tzinfo=UTC)),
    ("Europe/London", datetime(2024, 10, 18, 3, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 3, 29, 3, 15, tzinfo=UTC)),  # half an hour
    ("Asia/Tokyo", datetime(2024, 3, 1, 3, 15, tzinfo=UTC)),  # none
]


def walk(start: datetime, days: int = 20, minutes: int = 15, seed: int = 4) -> Bars:
    """A random walk of `minutes` bars from *start* on."""
    n = days * 24 * 60 // minutes
    rng = np.random.default_rng(seed)
    close = 100 + np.cumsum(rng.standard_normal(n))
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) + rng.random(n)
    low = np.minimum(opened, close) - rng.random(n)
    time = to_ms(start) + minutes * MINUTE_MS * np.arange(n)
    return make_bars(time, opened, high, low, close, np.ones(n))


def session_days(bars: Bars, zone: str, start: int, end: int) -> list[str | None]:
    """For each bar the civil date on which its session began, by zoneinfo; None outside."""
    days: list[str | None] = []
    for stamp in bars["time"].tolist():
        civil = datetime.fromtimestamp(stamp / 1000, UTC).astimezone(ZoneInfo(zone))
        minute = civil.hour * 60 + civil.minute
        began = civil.date()
        if start < end:
            inside = start <= minute < end
        else:
            inside = minute >= start or minute < end
            began -= timedelta(days=minute < start)
        days.append(began.isoformat() if inside else None)
    return days


@pytest.mark.parametrize("session", WINDOWS)
@pytest.mark.parametrize(("zone", "start"), CHANGES)
def test_sessions_are_where_the_clocks_of_their_zone_say(
    session: str, zone: str, start: datetime
) -> None:
    """Membership, running levels and final levels agree with zoneinfo before and after a change."""
    bars = walk(start)
    out = SESSIONS.compute(bars, {"session": session, "zone": zone})
    days = session_days(bars, zone, *WINDOWS[session])
    np.testing.assert_array_equal(out["active"] == 1, [day is not None for day in days])
    bars_of: dict[str | None, list[int]] = {}
    for i, day in enumerate(days):
        if day is not None:
            bars_of.setdefault(day, []).append(i)
    final_high = final_low = np.nan
    done = np.zeros(len(bars))
    for i, day in enumerate(days):
        members = bars_of.get(day, [])
        if members and members[0] > 0:
            seen = bars[members[0] : i + 1]
            assert out["high"][i] == seen["high"].max()
            assert out["low"][i] == seen["low"].min()
            assert bars["high"][i - int(out["high_origin"][i])] == out["high"][i]
            assert bars["low"][i - int(out["low_origin"][i])] == out["low"][i]
            assert (out["begin"][i] == 1) == (i == members[0])
            if i == members[-1] and i < len(bars) - 1:
                final_high, final_low, done[i] = out["high"][i], out["low"][i], 1
        elif not members:
            assert np.isnan(out["high"][i])
            assert out["begin"][i] == 0
        if i < len(bars) - 1:
            np.testing.assert_equal(out["final_high"][i], final_high)
            np.testing.assert_equal(out["final_low"][i], final_low)
    np.testing.assert_array_equal(out["done"][:-1], done[:-1])
    assert done.sum() > 15


@pytest.mark.parametrize(("zone", "start"), CHANGES)
def test_the_killzone_line_numbers_the_windows(zone: str, start: datetime) -> None:
    """The line is 1 to 4 in the order of the table, whatever session is chosen, else 0."""
    bars = walk(start)
    out = SESSIONS.compute(bars, {"zone": zone})
    expected = np.zeros(len(bars))
    for number, name in enumerate(KILLZONES, 1):
        days = session_days(bars, zone, *WINDOWS[name])
        expected[[day is not None for day in days]] = number
    np.testing.assert_array_equal(out["killzone"], expected)
    assert set(expected) == {0, 1, 2, 3, 4}


def test_london_opens_an_hour_earlier_in_utc_once_new_york_has_changed_its_clocks() -> None:
    """02:00 in New York is 07:00 UTC on 2024-03-08 and 06:00 UTC on 2024-03-11."""
    bars = walk(datetime(2024, 3, 8, tzinfo=UTC), days=4)
    out = SESSIONS.compute(bars, {"session": "london"})
    begun = [datetime.fromtimestamp(t / 1000, UTC) for t in bars["time"][out["begin"] == 1]]
    assert [f"{at:%d %H:%M}" for at in begun] == ["08 07:00", "09 07:00", "10 07:00", "11 06:00"]
    # On the 10th the clock jumps from 02:00 to 03:00: that session has two hours.
    on_sunday = [t for t in bars["time"][out["active"] == 1] if t // 86_400_000 == 19_792]
    assert len(on_sunday) == 8


@pytest.mark.parametrize("minutes", [5, 15, 30, 60])
def test_levels_are_final_at_the_close_of_the_last_bar(minutes: int) -> None:
    """The final levels stand as soon as no further bar can belong to the session."""
    bars = walk(datetime(2024, 5, 1, tzinfo=UTC), days=3, minutes=minutes)
    out = SESSIONS.compute(bars, {"session": "new_york"})  # 11:00 to 14:00 UTC
    closes = [(t // MINUTE_MS + minutes) % 1440 for t in bars["time"][out["done"] == 1].tolist()]
    assert closes == [14 * 60] * 3
    at = np.flatnonzero(out["done"])
    np.testing.assert_array_equal(out["final_high"][at], out["high"][at])
    np.testing.assert_array_equal(out["final_low"][at + 1], out["low"][at])


def test_a_session_that_the_data_begin_in_is_not_published() -> None:
    """A part of a session has no high and low; the first one seen from its start has."""
    bars = walk(datetime(2024, 5, 1, 12, tzinfo=UTC), days=2)
    out = SESSIONS.compute(bars, {"session": "new_york"})
    assert out["active"][0] == 1
    assert np.isnan(out["high"][:50]).all()
    assert np.isnan(out["final_high"][:50]).all()
    assert np.flatnonzero(out["done"]).tolist() == [103]  # the day after, 13:45
    at_start = walk(datetime(2024, 5, 1, 11, tzinfo=UTC), days=2)
    assert SESSIONS.compute(at_start, {"session": "new_york"})["high"][0] == at_start["high"][0]


def test_a_hole_in_the_bars_ends_a_session_and_spoils_one() -> None:
    """Missing bars at a session's end make it final late; at its start it isn't published."""
    whole = walk(datetime(2024, 5, 1, tzinfo=UTC), days=3)
    hour = whole["time"] // 3_600_000 % 24
    day = whole["time"] // 86_400_000 - whole["time"][0] // 86_400_000
    # Gone: the last hour of the first session, the first hour of the second.
    bars = whole[~(((day == 0) & (hour == 13)) | ((day == 1) & (hour == 11)))]
    out = SESSIONS.compute(bars, {"session": "new_york"})
    at = np.flatnonzero(out["done"])
    stamps = [datetime.fromtimestamp(t / 1000, UTC) for t in bars["time"][at]]
    assert [f"{stamp:%d %H:%M}" for stamp in stamps] == ["01 14:00", "03 13:45"]
    first = bars["high"][(bars["time"] < bars["time"][at[0]]) & (bars["time"] >= whole["time"][44])]
    assert out["final_high"][at[0]] == first.max()
    second_day = (bars["time"] // 86_400_000 - whole["time"][0] // 86_400_000) == 1
    assert np.isnan(out["high"][second_day]).all()
    assert out["active"][second_day].sum() == 8


def test_a_whole_day_and_a_night_can_be_sessions() -> None:
    """Equal times are a day from then on; a later start than end runs over midnight."""
    bars = walk(datetime(2024, 5, 1, tzinfo=UTC), days=4)
    custom = {"session": "custom", "zone": "UTC"}
    day = SESSIONS.compute(bars, {**custom, "start": "08:00", "end": "08:00"})
    assert (day["active"] == 1).all()
    assert np.flatnonzero(day["begin"]).tolist() == [32, 128, 224, 320]
    assert np.flatnonzero(day["done"]).tolist() == [127, 223, 319]
    assert day["final_high"][127] == bars["high"][32:128].max()
    night = SESSIONS.compute(bars, {**custom, "start": "22:30", "end": "01:15"})
    assert np.flatnonzero(night["begin"]).tolist() == [90, 186, 282, 378]
    assert np.flatnonzero(night["done"]).tolist() == [100, 196, 292]
    full = SESSIONS.compute(bars, {**custom, "start": "00:00", "end": "24:00"})
    assert np.flatnonzero(full["begin"]).tolist() == [0, 96, 192, 288]


@pytest.mark.parametrize(
    "zone",
    ["America/New_York", "Europe/London", "Africa/Casablanca", "Asia/Gaza", "Asia/Kathmandu",
     "Australia/Lord_Howe", "Pacific/Apia", "Antarctica/Troll", "America/Sao_Paulo", "UTC"],
)  # fmt: skip
def test_offsets_are_those_of_zoneinfo(zone: str) -> None:
    """At 5,000 random instants and around every change the table gives zoneinfo's offset."""
    since, offset = offset_table(zone)
    assert len(since) <= MAX_CHANGES
    rng = np.random.default_rng(7)
    instants = np.concatenate([rng.integers(0, 4_102_444_799_000, 5_000), since, since[1:] - 1])
    rows = np.searchsorted(since, instants, side="right") - 1
    for instant, row in zip(instants.tolist(), rows.tolist(), strict=True):
        civil = datetime.fromtimestamp(instant // 1000, ZoneInfo(zone))
        assert offset[row] == civil.utcoffset().total_seconds() * 1000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"zone": "America/New_Yrok"},
            WRONG_ZONE,
        ),
        ({"start": "25:00"}, "sessions: start must be a time from '00:00' to '24:00', not '25:00'"),
        ({"end": 300}, "sessions: end must be a time from '00:00' to '24:00', not 300"),
        ({"session": "tokyo"}, "sessions: session must be one of 'asia', 'london', 'new_york',"),
    ],
)
def test_wrong_zones_and_times_are_one_clear_line(values: dict[str, object], message: str) -> None:
    """A misspelt zone, an impossible time and an unknown session say what would be right."""
    with pytest.raises(ParameterError) as caught:
        SESSIONS.pack(values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
