"""Sweeps and runs: how a taken pool is judged, what the lines tell of it, once per pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_oracle import PoolBook
from smc_markets import market, names, table
from zone_kit import (
    Row,
    flipped_price,
    hours,
    ledger,
    lows,
    must_mirror,
    names_of,
    seeded_walk,
    side_of,
    told,
    walks,
)

from ftbt.data.candles import Bars
from ftbt.smc.base import Records
from ftbt.smc.ledger import CREATED, KIND_NAMES, RUN, SPENT, SWEPT, TAKEN
from ftbt.smc.liquidity import LIQUIDITY
from ftbt.smc.sweeps import SWEEPS

SIDES = pytest.mark.parametrize("side", [1, -1], ids=["sell-side", "buy-side"])
PLAIN: dict[str, Any] = {
    "left": 1,
    "right": 1,
    "tolerance": 0.0005,
    "tolerance_unit": "price",
    "day_levels": False,
    "week_levels": False,
}
# A swing low at 1000, known at bar 2.
POOL = lows(1006, 1000, 1006)


def _values(**values: Any) -> dict[str, Any]:
    return {**PLAIN, **values}


def _story(rows: list[Row], side: int, **values: Any) -> str:
    """What becomes of the pool at 1000."""
    return told(SWEEPS, side_of(POOL + rows, side), _values(**values))[0]


def _bar(low: float, close: float, opened: float = 1010) -> Row:
    return (opened, max(opened, close) + 2, low, close)


@SIDES
@pytest.mark.parametrize(
    ("rows", "ending"),
    [
        ([_bar(999, 1001)], "3 taken, 3 swept"),
        ([_bar(999, 1000), _bar(999.5, 1000.25)], "3 taken, 4 swept"),
        ([_bar(999, 999.5)] * 3 + [_bar(999, 1001)], "3 taken, 6 swept"),
        ([_bar(999, 999.5)] * 3 + [_bar(999, 1000)], "3 taken, 6 run"),
        ([_bar(999, 999.5)] * 4 + [_bar(999, 1001)], "3 taken, 6 run"),
        ([_bar(999, 999.5)] * 3, "3 taken"),
        ([_bar(1000, 1001)], "2 created"),
    ],
)
def test_a_taken_pool_is_swept_or_run(rows: list[Row], ending: str, side: int) -> None:
    """A close back beyond the level within three bars is a sweep, none of them is a run."""
    assert _story(rows, side).endswith(ending)


@SIDES
@pytest.mark.parametrize(("reclaim", "ending"), [(0, "3 run"), (1, "4 run"), (2, "5 swept")])
def test_how_many_bars_a_reclaim_may_take(reclaim: int, ending: str, side: int) -> None:
    """With reclaim=0 only the breaking bar itself can reclaim; the run is known when time is up."""
    rows = [_bar(999, 999), _bar(998, 999), _bar(999, 1001)]

    assert _story(rows, side, reclaim=reclaim) == f"2 created, 3 taken, {ending}"


@SIDES
def test_what_the_lines_tell_of_a_sweep(side: int) -> None:
    """Level, strength, kind, the furthest price, the age of the last touch and the delay."""
    rows = [
        *lows(1000.25, 1006),
        _bar(999, 999.5),
        _bar(997, 999),
        _bar(998, 1001),
        _bar(1000, 1010),
    ]
    out = SWEEPS.compute(side_of(POOL + rows, side), PLAIN)

    assert out["sweep"].tolist() == [0] * 7 + [side, 0]
    assert out["run"].tolist() == [0] * 9
    assert out["low_sweeps" if side > 0 else "high_sweeps"].tolist() == [0] * 7 + [1, 0]
    assert out["low_waiting" if side > 0 else "high_waiting"].tolist() == [0] * 5 + [1, 1, 0, 0]
    assert np.isnan(out["swept_level"][:7]).all()
    for t in (7, 8):
        assert out["swept_level"][t] == flipped_price(1000, side)
        assert out["swept_extreme"][t] == flipped_price(997, side)
        assert (out["swept_strength"][t], out["swept_kind"][t]) == (2, 2)
        assert (out["swept_age"][t], out["swept_delay"][t]) == (4, 2)


@SIDES
def test_what_the_lines_tell_of_a_run(side: int) -> None:
    """A run of lows points down: -1 at the bar that ends the wait, with the furthest level."""
    rows = lows(1003, 1006)
    rows += [_bar(990 - k, 990 - k, 990 - k) for k in range(4)]
    out = SWEEPS.compute(side_of(POOL + rows, side), PLAIN)

    assert out["run"].tolist() == [0] * 8 + [-side]
    assert out["sweep"].tolist() == [0] * 9
    assert out["run_level"][8] == flipped_price(1000, side)
    assert np.isnan(out["run_level"][7])


@SIDES
def test_a_sweep_can_be_asked_for_a_wick(side: int) -> None:
    """The bars from break to reclaim, as one candle, need a wick of `min_wick` bodies."""
    one = [_bar(998, 1002, 1004)]  # body 2, wick 4
    two = [_bar(999, 999.5, 1004), _bar(998, 1003, 999.5)]  # together body 1, wick 5

    assert _story(one, side, min_wick=2.0).endswith("3 taken, 3 swept")
    assert _story(one, side, min_wick=2.01).endswith("3 taken, 3 spent")
    assert _story(two, side, min_wick=5.0).endswith("3 taken, 4 swept")
    assert _story(two, side, min_wick=5.01).endswith("3 taken, 4 spent")
    out = SWEEPS.compute(side_of(POOL + one, side), _values(min_wick=2.01))
    assert not out["sweep"].any()
    assert not out["run"].any()


@SIDES
def test_of_several_pools_swept_in_one_bar_the_strongest_is_shown(side: int) -> None:
    """More touches win; of equally strong pools the furthest level."""
    weak = lows(1006, 1000, 1006, 1003, 1006)
    bars = side_of([*weak, _bar(999, 1005)], side)
    out = SWEEPS.compute(bars, PLAIN)
    assert out["low_sweeps" if side > 0 else "high_sweeps"][-1] == 2
    assert out["swept_level"][-1] == flipped_price(1000, side)

    strong = lows(1006, 1000, 1006, 1003, 1006, 1003.25, 1006)
    out = SWEEPS.compute(side_of([*strong, _bar(999, 1005)], side), PLAIN)
    assert out["swept_level"][-1] == flipped_price(1003, side)
    assert out["swept_strength"][-1] == 2


def test_of_pools_at_one_level_the_one_of_the_highest_kind_is_shown() -> None:
    """Yesterday's low wins over the swing that made it."""
    rows = lows(*[1006 + k / 64 for k in range(23)], 1000, 1006)
    bars = hours([*rows, _bar(1000, 1010), _bar(999, 1005)], "2024-01-02")
    out = SWEEPS.compute(bars, _values(day_levels=True))

    assert out["low_sweeps"][-1] == 2
    assert out["swept_kind"][-1] == 3


def test_a_bar_that_sweeps_both_sides_tells_no_direction() -> None:
    """A low and a high swept together give 0, counts on both sides, and companions as before."""
    rows = [(1010, 1012, 1006, 1010), (1010, 1020, 1000, 1010), (1010, 1012, 1006, 1010)]
    out = SWEEPS.compute(table([*rows, (1010, 1021, 999, 1010)]), PLAIN)

    assert out["sweep"][-1] == 0
    assert (out["low_sweeps"][-1], out["high_sweeps"][-1]) == (1, 1)
    assert np.isnan(out["swept_level"][-1])


def test_the_level_of_yesterday_can_be_swept_at_midnight() -> None:
    """The first bar of the day can sweep yesterday's low: it was known when that bar opened."""
    rows = lows(*[1006 + k / 64 for k in range(12)], *[1005 - k / 64 for k in range(12)])
    out = SWEEPS.compute(
        hours([*rows, _bar(1000, 1010)], "2024-01-02"), _values(day_levels=True, left=30)
    )

    assert out["sweep"][-1] == 1
    assert out["swept_level"][-1] == 1005 - 11 / 64
    assert out["swept_age"][-1] == 1


@pytest.mark.parametrize("place", names())
def test_sweeps_see_the_pools_that_the_liquidity_lines_show(place: str) -> None:
    """The nearest pools are those of `Liquidity`, and every taken pool is judged or still waits."""
    bars = market(place)
    pools, out = LIQUIDITY.compute(bars), SWEEPS.compute(bars)

    for name in ("above", "above_strength", "below", "below_kind", "below_count"):
        np.testing.assert_array_equal(out[name], pools[name])
    rows = ledger(SWEEPS, bars, {})
    words = names_of(rows)
    waiting = int(out["low_waiting"][-1] + out["high_waiting"][-1])
    judged = words.count("swept") + words.count("run") + words.count("spent")
    assert words.count("taken") == judged + waiting
    assert judged > 10


def _check_against_the_slow_route(bars: Bars, values: dict[str, Any]) -> PoolBook:
    p = {**SWEEPS.defaults, **values}
    book = PoolBook(bars, p)
    rows = ledger(SWEEPS, bars, values)
    assert "capacity" not in names_of(rows)  # the slow route knows no limit
    lives = [[tuple(map(_plain, event)) for event in pool.life] for pool in book.pools]
    assert _lives(rows) == lives
    _check_lines(SWEEPS.compute(bars, values), book, len(bars))
    return book


def _plain(value: Any) -> Any:
    return None if value != value else value


def _lives(rows: Records) -> list[list[tuple[Any, ...]]]:
    lives: list[list[tuple[Any, ...]]] = [[] for _ in range(int(rows["id"].max(initial=0)))]
    for row in rows:
        event = (row["bar"], KIND_NAMES[row["kind"]], row["pool"], row["count"], row["top"])
        lives[row["id"] - 1].append((*event, _plain(row["extreme"])))
    return lives


def _check_lines(out: Records, book: PoolBook, n: int) -> None:
    """The lines follow from the slow route's events."""
    swept: dict[int, list[Any]] = {}
    run: dict[int, set[int]] = {}
    for number, pool in enumerate(book.pools):
        for bar, what, kind, touches, level, extreme in pool.life:
            if what == "swept":
                rank = (touches, -pool.side * level, kind, number)
                entry = (rank, pool.side, level, touches, kind, extreme)
                swept.setdefault(bar, []).append((*entry, bar - pool.last, bar - pool.ended))
            elif what == "run":
                run.setdefault(bar, set()).add(pool.side)
    held: list[float] = [np.nan] * 6
    for t in range(n):
        found = swept.get(t, [])
        sides = {entry[1] for entry in found}
        assert out["low_sweeps"][t] == sum(entry[1] > 0 for entry in found)
        assert out["high_sweeps"][t] == sum(entry[1] < 0 for entry in found)
        assert out["sweep"][t] == (sides.pop() if len(sides) == 1 else 0)
        assert out["run"][t] == (-next(iter(run[t])) if len(run.get(t, ())) == 1 else 0)
        if out["sweep"][t]:
            held = list(max(found)[2:])
        shown = [
            out[f"swept_{name}"][t]
            for name in ("level", "strength", "kind", "extreme", "age", "delay")
        ]
        np.testing.assert_array_equal(shown, held)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"reclaim": 0, "left": 3, "right": 2, "session_levels": "all"},
    {"reclaim": 10, "min_wick": 1.5, "left": 2, "right": 1, "max_age": 80},
    {"reclaim": 1, "penetration": 0.1, "baseline_length": 20, "tolerance": 0.5, "min_wick": 0.5},
    {"level": "mean", "tolerance": 0.002, "tolerance_unit": "price", "singles": False},
]


@pytest.mark.parametrize("values", VARIANTS, ids="-".join)
@pytest.mark.parametrize("place", names())
def test_sweeps_agree_with_a_slow_second_route(place: str, values: dict[str, Any]) -> None:
    """Every judgement and line equals what plain objects and whole histories give."""
    book = _check_against_the_slow_route(market(place)[:700], values)
    assert any(what == "taken" for pool in book.pools for _, what, *_ in pool.life)


@given(bars=walks())
@settings(max_examples=40, deadline=None)
def test_sweeps_agree_with_a_slow_second_route_on_any_bars(bars: Bars) -> None:
    """The same on arbitrary bars full of ties, gaps and plateaus."""
    values = {"left": 1, "right": 1, "tolerance": 0.4, "baseline_length": 3, "max_age": 30}
    _check_against_the_slow_route(bars, values)
    _check_against_the_slow_route(bars, {**values, "reclaim": 1, "min_wick": 1.0})


@given(bars=walks(), reclaim=st.integers(0, 5), min_wick=st.sampled_from([0.0, 1.0]))
@settings(max_examples=60, deadline=None)
def test_each_pool_is_judged_at_most_once(bars: Bars, reclaim: int, min_wick: float) -> None:
    """A pool is taken once and then swept, run or spent once, within the reclaim's bars."""
    values = {"left": 1, "right": 1, "reclaim": reclaim, "min_wick": min_wick, "max_age": 40}
    rows = ledger(SWEEPS, bars, values)
    for number in np.unique(rows["id"]):
        life = rows[rows["id"] == number]
        kinds = life["kind"].tolist()
        judged = [kind for kind in kinds if kind in (SWEPT, RUN, SPENT)]
        assert kinds[0] == CREATED
        assert kinds.count(TAKEN) <= 1
        assert len(judged) <= kinds.count(TAKEN)
        if judged:
            delay = life["bar"][-1] - life["bar"][kinds.index(TAKEN)]
            assert delay == reclaim if judged == [RUN] else 0 <= delay <= reclaim
            beyond = life["side"][-1] * (life["top"][-1] - life["extreme"][-1])
            assert beyond > 0


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_a_mirrored_market_mirrors_every_sweep_line(bars: Bars) -> None:
    """Upside down, a sweep of lows is a sweep of highs, exactly."""
    values = {"left": 1, "right": 1, "tolerance": 0.3, "baseline_length": 3, "max_age": 20}
    must_mirror(SWEEPS, bars, values)
    must_mirror(SWEEPS, bars, {**values, "min_wick": 1.0, "reclaim": 2, "capacity": 3})


def test_a_mirrored_market_mirrors_sweeps_of_days_weeks_and_sessions() -> None:
    """The same over two weeks of levels of periods."""
    must_mirror(SWEEPS, seeded_walk(6, 1500), {"session_levels": "all", "left": 3, "right": 3})


def test_an_avalanche_of_taken_pools_finds_room_to_wait() -> None:
    """A full book taken in one bar, with new pools taken while it waits, loses no judgement."""
    rows = [row for k in range(70) for row in lows(1000 + k, 1010 + k, close=1100)]
    for k in range(14):
        low = 890.0 - k - 3 * (k % 2)  # every other bar is a swing low, taken two bars later
        rows.append((900 - k, 905 - k, low, low))
    values = _values(tolerance=0.0, reclaim=10, max_age=5000)
    words = names_of(ledger(SWEEPS, table(rows), values))
    waiting = SWEEPS.compute(table(rows), values)["low_waiting"]

    assert words.count("capacity") == 69 - 64  # the first bar has no left neighbour
    assert waiting.max() > 64
    assert words.count("taken") == words.count("run") + waiting[-1] > 64
