"""Candles that must not be traded on are refused, and the message says where and what."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import FIELDS, PRICE_FIELDS, Bars, Candles, make_bars
from ftbt.data.timeframe import Timeframe, from_ms
from ftbt.data.validate import (
    candles_from_frame,
    check_bars,
    find_holes,
    find_problems,
    infer_timeframe,
    segments,
    zero_volume_runs,
)
from ftbt.errors import DataError, InputError

REAL = os.environ.get("FTBT_REAL_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="FTBT_REAL_DATA names no folder of real candles")

M15 = Timeframe.parse("15m")
START = 1_704_067_200_000  # 2024-01-01


def _sound_bars(count: int = 12, step: int = M15.ms, seed: int = 1) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 + 10.0 * np.sin(rng.normal(size=count).cumsum() * 0.02)
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) + rng.uniform(0.01, 1.0, count)
    low = np.minimum(opened, close) - rng.uniform(0.01, 1.0, count)
    return make_bars(
        START + step * np.arange(count), opened, high, low, close, rng.uniform(1, 9, count)
    )


def _frame_of(bars: Bars) -> pd.DataFrame:
    return pd.DataFrame({name: bars[name] for name in bars.dtype.names})


def _refused(bars: Bars, timeframe: Timeframe = M15, **more: str) -> str:
    with pytest.raises(DataError) as caught:
        check_bars(bars, timeframe, "file.csv", **more)
    return str(caught.value)


def test_sound_bars_have_no_problem() -> None:
    """Sound bars pass and nothing is said about them."""
    assert find_problems(_sound_bars(), M15) == []
    check_bars(_sound_bars(), M15, "here")


def test_no_bars_at_all() -> None:
    """An empty table is refused as empty."""
    assert [problem.kind for problem in find_problems(_sound_bars(0), M15)] == ["empty"]
    assert "file.csv: there are no bars" in _refused(_sound_bars(0))


@pytest.mark.parametrize(
    ("column", "value", "kind", "words"),
    [
        ("open", np.nan, "not finite", "open nan is not a number"),
        ("high", np.inf, "not finite", "high inf is not a number"),
        ("volume", np.nan, "not finite", "volume nan is not a number"),
        ("close", 0.0, "non-positive", "close 0 is not above 0"),
        ("low", -3.5, "non-positive", "low -3.5 is not above 0"),
        ("low", -np.inf, "not finite", "low -inf is not a number"),
        ("high", 1.25, "high below low", "high 1.25 is below low "),
        ("open", 900.0, "outside high-low", "open 900 is above high "),
        ("close", 2.0, "outside high-low", "close 2 is below low "),
        ("volume", -1.0, "negative volume", "volume -1 is below 0"),
    ],
)
def test_bad_cell(column: str, value: float, kind: str, words: str) -> None:
    """A bad cell is named by file, row, time, column and value, once."""
    bars = _sound_bars()
    bars[column][5] = value

    (problem,) = find_problems(bars, M15)

    assert (kind, 5, column) == (problem.kind, problem.row, problem.column)
    assert problem.value == pytest.approx(value, nan_ok=True)
    assert START + 5 * M15.ms == problem.time_ms
    assert f"file.csv: row 5 (2024-01-01 01:15 UTC): {words}" in _refused(bars)


@pytest.mark.parametrize(
    ("row", "moved", "kinds"),
    [
        (5, -2 * M15.ms, {"unsorted", "hole"}),
        (5, -M15.ms, {"duplicate", "hole"}),
        (5, 60_000, {"misaligned"}),
        (11, 3 * M15.ms, {"hole"}),
        (0, -2 * M15.ms, {"hole"}),
        (5, -START - 6 * M15.ms, {"time"}),
        (5, 2**62, {"time"}),
    ],
)
def test_bad_time(row: int, moved: int, kinds: set[str]) -> None:
    """A wrong open time is found as what it is, whatever its size."""
    bars = _sound_bars()
    bars["time"][row] += moved

    found = find_problems(bars, M15)

    assert kinds == {problem.kind for problem in found}
    assert {problem.row for problem in found} <= {row, row + 1}
    assert {"time"} == {problem.column for problem in found}


def test_hole_says_its_span() -> None:
    """A hole names its first and last missing open and how many bars are missing."""
    bars = np.delete(_sound_bars(), [4, 5, 6, 9])

    (hole, single) = find_holes(bars, M15)
    problems = find_problems(bars, M15)

    assert (hole.row, hole.bars) == (4, 3)
    assert (START + 4 * M15.ms, START + 6 * M15.ms) == (hole.first_ms, hole.last_ms)
    assert [(4, 3, hole.first_ms), (6, 1, single.first_ms)] == [
        (problem.row, problem.value, problem.time_ms) for problem in problems
    ]
    message = _refused(bars)
    assert "3 bars missing, opens 2024-01-01 01:00 UTC .. 2024-01-01 01:30 UTC" in message
    assert "--holes split" in message


def test_split_passes_over_holes_only() -> None:
    """Under split a hole passes, but every other problem is still refused."""
    bars = np.delete(_sound_bars(), [4, 5])
    check_bars(bars, M15, "file.csv", holes="split")

    bars["low"][2] = np.nan
    assert "low nan" in _refused(bars, holes="split")


def test_first_three_problems_and_the_number_of_all() -> None:
    """The message shows three problems, counts the rest and stays on one line."""
    bars = _sound_bars()
    bars["volume"][2:9] = -1.0
    message = _refused(bars)

    assert all(f"row {row} " in message for row in (2, 3, 4))
    assert "row 5 " not in message
    assert "and 4 more of 7 problems" in message
    assert "\n" not in message


def test_line_of_a_text_file() -> None:
    """With the line of the first row known, problems name their line as well."""
    bars = _sound_bars()
    bars["open"][3] = np.nan
    with pytest.raises(DataError, match=r"line 5, row 3 \("):
        check_bars(bars, M15, "file.csv", first_line=2)


def test_unknown_policy() -> None:
    """A hole policy that does not exist is answered with the nearest one."""
    with pytest.raises(InputError, match="not 'spilt' - did you mean 'split'"):
        check_bars(_sound_bars(), M15, "here", holes="spilt")


def test_weekly_bars_open_on_monday() -> None:
    """Weekly bars are on the grid on Mondays and off it on Thursdays, where 1970 began."""
    week = Timeframe.parse("1w")
    monday = _sound_bars(4, week.ms)
    thursday = monday.copy()
    thursday["time"] += 3 * 86_400_000

    assert find_problems(monday, week) == []
    assert {"misaligned"} == {problem.kind for problem in find_problems(thursday, week)}


@settings(deadline=None, max_examples=150)
@given(
    count=st.integers(2, 60),
    seed=st.integers(0, 5),
    place=st.floats(0, 1, exclude_max=True),
    column=st.sampled_from(FIELDS),
    value=st.one_of(
        st.sampled_from([np.nan, np.inf, -np.inf]),
        st.floats(max_value=-1e-300, allow_infinity=False),
    ),
)
def test_any_corrupted_cell_is_found_and_named(
    count: int, seed: int, place: float, column: str, value: float
) -> None:
    """Whatever impossible value stands in whatever cell: that cell is named, and no other."""
    bars = _sound_bars(count, seed=seed)
    row = int(place * count)
    bars[column][row] = value

    assert [(row, column)] == [(p.row, p.column) for p in find_problems(bars, M15)]
    assert f"row {row} (" in _refused(bars)
    assert f"{column} {value:.10g}" in _refused(bars)


@settings(deadline=None, max_examples=150)
@given(
    place=st.floats(0, 1, exclude_max=True),
    column=st.sampled_from(PRICE_FIELDS),
    value=st.floats(1e-6, 1e6),
)
def test_any_price_against_its_bar_is_found(place: float, column: str, value: float) -> None:
    """A price that breaks low <= open, close <= high is found in its row, and only then."""
    bars = _sound_bars(30)
    row = int(place * 30)
    bars[column][row] = value
    bar = bars[row]
    body = bar["open"], bar["close"]
    broken = bar["low"] > min(body) or bar["high"] < max(body) or bar["high"] < bar["low"]

    found = find_problems(bars, M15)

    assert broken == bool(found)
    assert {problem.row for problem in found} <= {row}


@settings(deadline=None, max_examples=150)
@given(
    place=st.floats(0, 1, exclude_max=True),
    moved=st.integers(-(10**13), 10**13).filter(lambda ms: ms != 0),
)
def test_any_moved_time_is_found(place: float, moved: int) -> None:
    """Whatever an open time is changed to, the row or the one after it is named."""
    bars = _sound_bars(30)
    row = int(place * 30)
    bars["time"][row] += moved
    # The first bar may be a whole bar earlier or the last later: that is a hole, found too.
    found = find_problems(bars, M15)

    assert found
    assert {problem.row for problem in found} <= {row, row + 1}
    assert {"time"} == {problem.column for problem in found}


@settings(deadline=None, max_examples=60)
@given(lost=st.sets(st.integers(1, 38)))
def test_segments_hold_every_bar_once(lost: set[int]) -> None:
    """Segments and holes together make up the whole series, and no segment has a hole."""
    whole = _sound_bars(40)
    bars = np.delete(whole, sorted(lost))
    parts = segments(bars, M15)

    assert len(find_holes(bars, M15)) + 1 == len(parts)
    assert sum(hole.bars for hole in find_holes(bars, M15)) == len(lost)
    assert bars.tobytes() == b"".join(bars[a:b].tobytes() for a, b in parts)
    for first, stop in parts:
        assert find_problems(bars[first:stop], M15) == []


def test_zero_volume_runs_are_reported_not_refused() -> None:
    """Bars without volume pass; each run is reported with its span and whether it was flat."""
    bars = _sound_bars()
    bars["volume"][[0, 4, 5, 11]] = 0.0
    for name in PRICE_FIELDS:
        bars[name][4:6] = 100.0
    check_bars(bars, M15, "here")

    runs = zero_volume_runs(bars)

    assert [(run.row, run.bars, run.flat) for run in runs] == [
        (0, 1, False),
        (4, 2, True),
        (11, 1, False),
    ]
    assert "2 bars without volume, prices flat, opens 2024-01-01 01:00 UTC .. " in str(runs[1])
    assert zero_volume_runs(_sound_bars()) == []


def test_timeframe_from_the_commonest_step() -> None:
    """The commonest step is the timeframe, in its shortest writing, holes or not."""
    hourly = np.delete(_sound_bars(40, 3_600_000), [3, 9, 10])
    assert str(infer_timeframe(hourly["time"], "x")) == "1h"
    assert str(infer_timeframe(_sound_bars(5)["time"], "x")) == "15m"


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([START], "1 row cannot show its timeframe; give --timeframe"),
        ([0, 60_000, 180_000, 480_000], "not clear"),
        ([0, 60_000, 120_000, 420_000, 720_000], "not clear"),
        ([5, 5, 5], "not clear"),
        ([0, 1000, 2000, 3000], "not a whole number of minutes"),
    ],
)
def test_timeframe_that_is_not_clear(times: list[int], words: str) -> None:
    """Without a majority of one possible step the timeframe must be given."""
    with pytest.raises(DataError, match=words):
        infer_timeframe(np.array(times), "file.csv")


def test_candles_from_frame() -> None:
    """A frame becomes candles bit for bit, with all that was said about it."""
    bars = _sound_bars()
    (candles,) = candles_from_frame(_frame_of(bars), "BTC", None, "a frame", synthetic=True)

    assert bars.tobytes() == candles.bars.tobytes()
    assert (
        candles.symbol,
        str(candles.timeframe),
        candles.source,
        candles.synthetic,
    ) == ("BTC", "15m", "a frame", True)
    assert candles.fingerprint == Candles("BTC", M15, bars).fingerprint
    assert not candles.bars.flags.writeable


def test_candles_from_frame_with_holes() -> None:
    """Holes are refused by default and split the candles when asked."""
    bars = np.delete(_sound_bars(), [4, 5])
    with pytest.raises(DataError, match=r"a frame: row 4 .* 2 bars missing"):
        candles_from_frame(_frame_of(bars), "BTC", "15m", "a frame")

    parts = candles_from_frame(_frame_of(bars), "BTC", "15m", "a frame", holes="split")

    assert [len(part) for part in parts] == [4, 6]
    assert from_ms(START + 6 * M15.ms) == parts[1].start


def test_candles_from_frame_of_another_length() -> None:
    """A given timeframe that is not the step between the rows is refused as such."""
    with pytest.raises(DataError, match="the rows are 15m apart, not 1h"):
        candles_from_frame(_frame_of(_sound_bars()), "BTC", "1h", "a frame")


def test_frame_is_not_changed() -> None:
    """The caller's frame stays as it was."""
    frame = _frame_of(_sound_bars())
    before = frame.copy(deep=True)
    candles_from_frame(frame, "BTC", "15m", "a frame")
    pd.testing.assert_frame_equal(before, frame)


def test_a_million_rows_are_checked_in_well_under_a_second() -> None:
    """Checking is done on whole columns: a million rows, sound or half broken, take no time."""
    bars = _sound_bars(1_000_000, 60_000)
    began = time.process_time()
    check_bars(bars, Timeframe.parse("1m"), "here")
    bars["open"][::2] = np.nan
    message = _refused(bars, Timeframe.parse("1m"))
    spent = time.process_time() - began

    assert "and 499997 more of 500000 problems" in message
    assert spent < 1.0


@needs_real
def test_real_holes_are_found() -> None:
    """The two outages in the hourly SOL candles are found with their length."""
    frame = pd.read_parquet(Path(str(REAL)) / "binance-perp" / "SOLUSDT-1h.parquet")
    with pytest.raises(DataError) as caught:
        candles_from_frame(frame, "SOL", None, "SOLUSDT-1h")
    parts = candles_from_frame(frame, "SOL", None, "SOLUSDT-1h", holes="split")

    assert "72 bars missing, opens 2022-02-26 00:00 UTC" in str(caught.value)
    assert "48 bars missing, opens 2022-04-01 00:00 UTC" in str(caught.value)
    assert len(frame) == sum(map(len, parts))
    assert len(parts) == 3


@needs_real
def test_real_spot_outages_are_found() -> None:
    """Every outage of early spot trading is a hole, the longest of 33 missing hours."""
    frame = pd.read_parquet(Path(str(REAL)) / "binance-spot" / "BTCUSDT-1h.parquet")
    parts = candles_from_frame(frame, "BTC", "1h", "spot", holes="split")
    gaps = [(after.start - before.end).total_seconds() / 3600 for before, after in pairwise(parts)]

    assert len(parts) == 25
    assert max(gaps) == 33
    assert min(gaps) == 1


@needs_real
def test_real_flat_candles_are_reported() -> None:
    """The four flat candles of the evening of 2024-10-28 are one run without volume."""
    frame = pd.read_parquet(Path(str(REAL)) / "binance-perp" / "BTCUSDT-15m.parquet")
    (candles,) = candles_from_frame(frame, "BTC", "15m", "perp")

    (run,) = zero_volume_runs(candles.bars)

    assert (run.bars, run.flat) == (4, True)
    assert str(run).endswith("opens 2024-10-28 20:00 UTC .. 2024-10-28 20:45 UTC")
