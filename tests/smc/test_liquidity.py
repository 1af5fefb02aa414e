"""Liquidity pools: what makes one, how it grows and ends, and the nearest ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pool_oracle import PoolBook
from smc_markets import market, mirrored, names, table
from zone_kit import (
    CENTRE,
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
from ftbt.smc.ledger import KIND_NAMES, zones
from ftbt.smc.liquidity import LIQUIDITY

SIDES = pytest.mark.parametrize("side", [1, -1], ids=["sell-side", "buy-side"])
# One bar on each side makes a swing; prices within about 0.5 are equal.
PLAIN: dict[str, Any] = {
    "left": 1,
    "right": 1,
    "tolerance": 0.0005,
    "tolerance_unit": "price",
    "day_levels": False,
    "week_levels": False,
}


def _values(**values: Any) -> dict[str, Any]:
    return {**PLAIN, **values}


def _own(side: int) -> tuple[str, str]:
    """How the lines of a side begin."""
    return ("low", "below") if side > 0 else ("high", "above")


@SIDES
def test_a_confirmed_swing_is_a_weak_pool(side: int) -> None:
    """A single swing low is a pool of strength 1 from the bar that confirms it."""
    out = LIQUIDITY.compute(side_of(lows(1006, 1000, 1006, 1007), side), PLAIN)
    low, below = _own(side)

    assert out[f"{low}_created"].tolist() == [0, 0, 1, 0]
    assert np.isnan(out[below][:2]).all()
    assert out[below][2:].tolist() == [flipped_price(1000, side)] * 2
    assert out[f"{below}_strength"][3] == 1
    assert out[f"{below}_kind"][3] == 1
    assert out[f"{below}_origin"][2:].tolist() == [1, 2]
    assert out[f"{below}_count"].tolist() == [0, 0, 1, 1]


@SIDES
@pytest.mark.parametrize(("level", "expected"), [("extreme", 1000), ("mean", 1000.125)])
def test_a_second_equal_low_makes_the_pool_grow(level: str, expected: float, side: int) -> None:
    """Two lows within the tolerance are one row; its level is the extreme or the mean."""
    bars = side_of(lows(1006, 1000, 1006, 1000.25, 1006), side)
    out = LIQUIDITY.compute(bars, _values(level=level))
    low, below = _own(side)

    assert told(LIQUIDITY, bars, PLAIN) == ["2 created, 4 grown"]
    assert out[f"{low}_equal"].tolist() == [0, 0, 0, 0, 2]
    assert out[below][3:].tolist() == [flipped_price(1000, side), flipped_price(expected, side)]
    assert out[f"{below}_strength"][3:].tolist() == [1, 2]
    assert out[f"{below}_kind"][3:].tolist() == [1, 2]
    assert out[f"{below}_origin"][4] == 3


@SIDES
def test_a_touch_that_goes_beyond_the_level_takes_it_and_makes_a_new_pool(side: int) -> None:
    """The weak pool is taken by the second touch, which then makes an equal pool at the extreme."""
    bars = side_of(lows(1006, 1000, 1006, 999.75, 1006), side)
    first, second = zones(LIQUIDITY, bars, PLAIN)

    assert first.story == ((2, "created"), (3, "taken"))
    assert second.story == ((4, "created"),)
    assert second.top == flipped_price(999.75, side)
    assert second.anchor == 1
    assert (second.events[0]["count"], second.events[0]["pool"]) == (2, 2)
    assert second.events[0]["last"] == 1


def test_lows_further_apart_than_the_tolerance_are_not_equal() -> None:
    """0.5 is equal at a price of 1000.5, a little more is not."""
    assert len(told(LIQUIDITY, table(lows(1006, 1000, 1006, 1000.5, 1006)), PLAIN)) == 1
    assert len(told(LIQUIDITY, table(lows(1006, 1000, 1006, 1000.6, 1006)), PLAIN)) == 2


def test_all_touches_lie_within_the_tolerance_of_one_another() -> None:
    """A third low near the first but too far from the second joins neither."""
    bars = table(lows(1006, 1000, 1006, 1000.4, 1006, 999.8, 1006))

    assert told(LIQUIDITY, bars, PLAIN) == ["2 created, 4 grown, 5 taken", "6 created"]


def test_of_several_rows_the_nearest_is_touched() -> None:
    """A low between two rows joins the one it is nearer to; of equally near ones the later."""
    rows = lows(1006, 1000, 1006, 1000.6, 1006, 1000.35, 1006)
    tie = lows(1006, 1000, 1006, 1000.75, 1006, 1000.375, 1006)

    assert told(LIQUIDITY, table(rows), PLAIN) == ["2 created", "4 created, 5 taken", "6 created"]
    events = ledger(LIQUIDITY, table(rows), PLAIN)
    assert (events["origin"][-1], events["count"][-1]) == (3, 2)
    assert ledger(LIQUIDITY, table(tie), PLAIN)["origin"][-1] == 3


def test_no_bar_between_two_touches_trades_beyond_the_row() -> None:
    """A dip within the tolerance that is no swing itself (strict ties) separates two lows."""
    rows = lows(1006, 1000, 1006, 999.75, 999.75, 1006, 1000.25, 1006)

    events = ledger(LIQUIDITY, table(rows), _values(ties="strict"))
    assert names_of(events) == ["created", "taken", "created"]
    assert events["count"].tolist() == [1, 1, 1]
    # With the dip as a touch of its own, all three are one row.
    assert ledger(LIQUIDITY, table(rows), PLAIN)["count"].tolist() == [1, 1, 2, 3]


def test_a_bar_further_beyond_a_row_than_the_tolerance_ends_it() -> None:
    """After a dip of more than the tolerance the old low gets no second touch."""
    rows = lows(1006, 1000, 1006, 999.25, 1006, 1000, 1006)

    assert ledger(LIQUIDITY, table(rows), PLAIN)["count"].tolist() == [1, 1, 1, 1]


def test_touches_too_far_apart_are_no_row() -> None:
    """Touches lie at most `max_age` bars apart."""
    rows = lows(1006, 1000, 1006, 1006, 1006, 1000.25, 1006)

    assert ledger(LIQUIDITY, table(rows), _values(max_age=5))["count"].tolist() == [1, 2]
    assert ledger(LIQUIDITY, table(rows), _values(max_age=4))["count"].tolist() == [1, 1]


def test_how_many_touches_make_equal_lows() -> None:
    """With min_touches=3 two touches are still a weak pool, of strength 2."""
    rows = lows(1006, 1000, 1006, 1000.25, 1006, 1000, 1006)
    out = LIQUIDITY.compute(table(rows), _values(min_touches=3))

    assert out["low_equal"].tolist() == [0, 0, 0, 0, 0, 0, 3]
    assert out["below_kind"][[2, 4, 6]].tolist() == [1, 1, 2]
    assert out["below_strength"][[2, 4, 6]].tolist() == [1, 2, 3]


def test_single_swings_can_be_left_out() -> None:
    """With singles=False a pool comes into being with its second touch."""
    rows = lows(1006, 1000, 1006, 1000.25, 1006)

    assert told(LIQUIDITY, table(rows), _values(singles=False)) == ["4 created"]
    assert ledger(LIQUIDITY, table(rows), _values(singles=False))["count"].tolist() == [2]


def test_equal_needs_a_known_average_true_range() -> None:
    """With the tolerance in average true ranges nothing is equal until there is one."""
    rows = lows(1006, 1000, 1006, 1000.25, 1006)  # true ranges 6, 12, 6, 11.75, 6; mean 8.35
    unit = {"tolerance_unit": "atr"}

    def touches(tolerance: float, length: int) -> list[int]:
        values = _values(tolerance=tolerance, baseline_length=length, **unit)
        return list(ledger(LIQUIDITY, table(rows), values)["count"])

    assert touches(0.0300, 5) == [1, 2]
    assert touches(0.0299, 5) == [1, 1]
    assert touches(5.0, 6) == [1, 1]


@SIDES
def test_a_pool_is_taken_by_the_first_bar_that_trades_beyond_it(side: int) -> None:
    """Touching the level leaves the pool; trading beyond it takes it off the lines at that bar."""
    out = LIQUIDITY.compute(side_of(lows(1006, 1000, 1006, 1000, 999, 1006), side), PLAIN)
    low, below = _own(side)

    assert out[f"{low}_taken"].tolist() == [0, 0, 0, 0, 1, 0]
    assert out[below][3] == flipped_price(1000, side)
    assert np.isnan(out[below][4])


def test_a_pool_can_be_asked_for_a_deeper_penetration() -> None:
    """Trades within the penetration leave the pool where it is."""
    rows = lows(1006, 1000, 1006, 999.5, 999.4, 1006)
    deep = _values(penetration=0.0005, penetration_unit="price", tolerance=0.0)

    assert told(LIQUIDITY, table(rows), _values(tolerance=0.0))[0] == "2 created, 3 taken"
    assert told(LIQUIDITY, table(rows), deep)[0] == "2 created, 4 taken"
    # In true ranges, which are 6, 12, 6, 12.5, 12.6: a tenth of them is more than 0.6.
    ranges = _values(penetration=0.1, tolerance=0.0, baseline_length=1)
    assert told(LIQUIDITY, table(rows), ranges)[0] == "2 created"


def test_a_pool_of_swings_expires_after_its_last_growth() -> None:
    """`max_age` counts from the bar at which the pool was known or last grew."""
    quiet = lows(*[1006] * 6)

    assert told(LIQUIDITY, table(lows(1006, 1000) + quiet), _values(max_age=4)) == [
        "2 created, 7 expired"
    ]
    grown = lows(1006, 1000, 1006, 1000.25) + quiet
    assert told(LIQUIDITY, table(grown), _values(max_age=4)) == ["2 created, 4 grown, 9 expired"]


def test_a_full_book_loses_its_oldest_pool_by_an_event() -> None:
    """With room for two, the third swing ends the first."""
    rows = lows(1006, 1000, 1006, 1002, 1006, 1004, 1006)

    assert told(LIQUIDITY, table(rows), _values(capacity=2)) == [
        "2 created, 6 capacity",
        "4 created",
        "6 created",
    ]
    assert LIQUIDITY.compute(table(rows), _values(capacity=2))["low_expired"][6] == 1


def _day(low: float, high: float) -> list[Row]:
    """24 bars without swings: the low at 5 o'clock lies in a falling half of the day."""
    rows: list[Row] = []
    for k in range(24):
        down = low + abs(k - 5) / 64
        up = high - abs(k - 8) / 64
        rows.append((1010, up, down, 1010))
    return rows


@SIDES
def test_levels_of_the_previous_day_can_be_taken_by_the_first_bar_of_the_next(side: int) -> None:
    """Yesterday's low is known at midnight: a bar that opens then can take it."""
    rows = [*_day(1000, 1020), (1010, 1012, 999, 1010)]
    bars = hours(rows, "2024-01-02")
    bars = bars if side > 0 else mirrored(bars, CENTRE)
    values = _values(left=30, right=1, day_levels=True)
    first, second = sorted(zones(LIQUIDITY, bars, values), key=lambda zone: -zone.side * side)

    assert first.story == ((24, "created"), (24, "taken"))
    assert second.story == ((24, "created"),)
    assert (first.top, first.anchor) == (flipped_price(1000, side), 5)
    assert (second.top, second.anchor) == (flipped_price(1020, side), 8)
    assert first.events["pool"].tolist() == [3, 3]


def test_levels_of_a_period_are_replaced_by_the_next() -> None:
    """An untouched level of the day before yesterday expires when yesterday's is known."""
    rows = _day(1000, 1020) + _day(1001, 1019) + _day(1002, 1018)
    stories = told(
        LIQUIDITY,
        hours(rows, "2024-01-02"),
        _values(left=60, right=1, day_levels=True, max_age=2),
    )

    assert stories == ["24 created, 48 expired"] * 2 + ["48 created"] * 2


def test_levels_of_the_previous_week_are_pools() -> None:
    """The low and high of Monday to Sunday are pools of kind 4 from the next Monday on."""
    rows = [row for k in range(8) for row in _day(1000 + abs(k - 3), 1020 - abs(k - 4))]
    events = ledger(LIQUIDITY, hours(rows, "2024-01-01"), _values(week_levels=True))
    events = events[events["pool"] > 2]

    assert names_of(events) == ["created", "created"]
    assert events["bar"].tolist() == [7 * 24] * 2
    assert events["pool"].tolist() == [4, 4]
    assert events["top"].tolist() == [1000, 1020]
    assert events["origin"].tolist() == [4 * 24 - 5, 3 * 24 - 8]


@pytest.mark.parametrize(
    ("session", "kinds"),
    [("none", []), ("london", [6]), ("asia", [5]), ("new_york", [7]), ("all", [5, 6, 7])],
)
def test_levels_of_sessions_are_pools_when_asked_for(session: str, kinds: list[int]) -> None:
    """High and low of a session are pools from the bar that completes it, until the next one."""
    rows = _day(1000, 1020) + _day(1001, 1019)
    values = _values(left=60, right=60, session_levels=session)
    found = zones(LIQUIDITY, hours(rows, "2024-01-02"), values)

    # New York is 5 hours behind: 20-24, 02-05 and 07-10 there end at 5, 10 and 15 o'clock UTC.
    ends = {5: 4, 6: 9, 7: 14}
    starts = {5: 1, 6: 7, 7: 12}
    expected = []
    for day in (0, 24):
        for kind in kinds:
            part = rows[day + starts[kind] : day + ends[kind] + 1]
            low, high = min(row[2] for row in part), max(row[1] for row in part)
            expected += [(day + ends[kind], kind, 1, low), (day + ends[kind], kind, -1, high)]
    got = [(z.created, int(z.events[0]["pool"]), z.side, z.top) for z in found]
    assert got == expected
    for zone, twin in zip(found, found[2 * len(kinds) :], strict=False):
        # Its twin of the next day replaces it, unless a bar has taken it before.
        assert zone.story[-1] in ((twin.created, "expired"), (zone.ended, "taken"))
        assert zone.ended is not None
        assert zone.ended <= twin.created


def test_the_nearest_pool_is_the_one_that_the_price_meets_first() -> None:
    """The highest of the pools below; of two at one price the stronger."""
    rows = lows(1006, 1000, 1006, 1003, 1006, 1003, 1006)
    out = LIQUIDITY.compute(table(rows), _values(tolerance=0.0))

    assert out["below"][[2, 4, 6]].tolist() == [1000, 1003, 1003]
    assert out["below_strength"][6] == 2
    assert out["below_count"][6] == 2


def _check_against_the_slow_route(bars: Bars, values: dict[str, Any]) -> PoolBook:
    p = {**LIQUIDITY.defaults, "reclaim": 0, "min_wick": 0.0, **values}
    book = PoolBook(bars, p)
    rows = ledger(LIQUIDITY, bars, values)
    assert "capacity" not in names_of(rows)  # the slow route knows no limit
    lives = [
        [event[:5] for event in pool.life if event[1] not in ("swept", "run")]
        for pool in book.pools
    ]
    assert _lives(rows) == lives
    out = LIQUIDITY.compute(bars, values)
    for t, alive in enumerate(book.alive_after):
        for side, name in ((1, "below"), (-1, "above")):
            pools = [pool for pool in alive if pool[0] == side]
            assert out[f"{name}_count"][t] == len(pools)
            # Of equal ones the strongest, then the newest: the last of the sorted.
            pools.sort(key=lambda pool: (pool[0] * pool[1], pool[2]))
            _check_target(out[t], name, pools, t)
    _check_counts(out, rows)
    return book


def _check_target(row: Any, name: str, pools: list[tuple[Any, ...]], t: int) -> None:
    shown = [row[name], *(row[f"{name}_{what}"] for what in ("strength", "kind", "origin"))]
    if pools:
        _, level, touches, kind, first = pools[-1]
        assert shown == [level, touches, kind, t - first]
    else:
        assert np.isnan(shown).all()


def _check_counts(out: Any, rows: Records) -> None:
    words = np.array(names_of(rows))
    for side, name in ((1, "low"), (-1, "high")):
        for line, kinds in (
            ("created", ["created"]),
            ("taken", ["taken"]),
            ("expired", ["expired", "capacity"]),
        ):
            bars = rows["bar"][(rows["side"] == side) & np.isin(words, kinds)]
            expected = np.bincount(bars, minlength=len(out))
            np.testing.assert_array_equal(out[f"{name}_{line}"], expected)


def _lives(rows: Records) -> list[list[tuple[Any, ...]]]:
    lives: list[list[tuple[Any, ...]]] = [[] for _ in range(int(rows["id"].max(initial=0)))]
    for row in rows:
        event = (row["bar"], KIND_NAMES[row["kind"]], row["pool"], row["count"], row["top"])
        lives[row["id"] - 1].append(event)
    return lives


VARIANTS: list[dict[str, Any]] = [
    {},
    {"tolerance": 0.6, "left": 3, "right": 2, "baseline_length": 30, "session_levels": "all"},
    {"level": "mean", "tolerance": 0.002, "tolerance_unit": "price", "min_touches": 3},
    {"singles": False, "tolerance": 1.0, "left": 2, "right": 2, "baseline_length": 50},
    {"penetration": 0.2, "tolerance": 0.5, "max_age": 60, "baseline_length": 20},
    {"penetration": 0.001, "penetration_unit": "price", "ties": "strict", "left": 1, "right": 1},
    {"week_levels": False, "session_levels": "london", "day_start": 21, "zone": "Europe/London"},
]


@pytest.mark.parametrize("values", VARIANTS, ids="-".join)
@pytest.mark.parametrize("place", names())
def test_pools_agree_with_a_slow_second_route(place: str, values: dict[str, Any]) -> None:
    """Every event, the nearest pools and the counts equal those of plain objects."""
    book = _check_against_the_slow_route(market(place)[:700], values)
    assert len(book.pools) > 5


@given(bars=walks())
@settings(max_examples=40, deadline=None)
def test_pools_agree_with_a_slow_second_route_on_any_bars(bars: Bars) -> None:
    """The same on arbitrary bars full of ties, gaps and plateaus."""
    values = {"left": 1, "right": 1, "tolerance": 0.4, "baseline_length": 3, "max_age": 30}
    _check_against_the_slow_route(bars, values)
    _check_against_the_slow_route(bars, {**values, "ties": "strict", "level": "mean"})


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_a_mirrored_market_mirrors_every_pool_line(bars: Bars) -> None:
    """Upside down, sell-side liquidity becomes buy-side and above becomes below, exactly."""
    values = {"left": 1, "right": 1, "tolerance": 0.3, "baseline_length": 3, "max_age": 20}
    must_mirror(LIQUIDITY, bars, values)
    must_mirror(LIQUIDITY, bars, {**values, "singles": False, "capacity": 2, "penetration": 0.1})


def test_a_mirrored_market_mirrors_days_weeks_and_sessions() -> None:
    """The same over two weeks of levels of periods."""
    must_mirror(LIQUIDITY, seeded_walk(5, 1500), {"session_levels": "all", "left": 3, "right": 3})
