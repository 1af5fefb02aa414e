"""Order blocks: every step of their life, against tables, a slow second route and the mirror."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from block_oracle import Block, active_blocks, breakers, find_blocks
from hypothesis import given, settings
from smc_markets import market, names, table
from zone_kit import flipped_price, ledger, must_mirror, names_of, seeded_walk, side_of, told, walks

from ftbt.data.candles import Bars
from ftbt.smc.base import Records
from ftbt.smc.ledger import BROKEN, CREATED, KIND_NAMES, zones
from ftbt.smc.order_blocks import ORDER_BLOCKS
from ftbt.smc.structure import STRUCTURE

SIDES = pytest.mark.parametrize("side", [1, -1], ids=["bullish", "bearish"])
# One bar on each side makes a swing; no range filter, which would need a long history.
PLAIN: dict[str, Any] = {"left": 1, "right": 1, "max_range": 0.0}

# The swing high of bar 1 (level 20, known at 2) is broken by the close of bar 7. The last candle
# against the break is 5 (11 - 15, body 12 - 14); the lowest low before it is that of bar 4.
BREAK = [
    (16, 18, 15, 17),
    (17, 20, 16, 18),  # 1: swing high
    (18, 18.5, 14, 14.5),
    (14.5, 15, 12, 13),
    (13, 14.5, 10, 14),  # 4: lowest low, closes up
    (14, 15, 11, 12),  # 5: the last one that closes down
    (12, 18, 12, 17.5),
    (17.5, 22, 17, 21),  # 7: the break
]


def _values(**values: Any) -> dict[str, Any]:
    return {**PLAIN, **values}


def _life(rows: list[Any], side: int, **values: Any) -> str:
    """The story of the break's block, whatever other blocks the rows may make."""
    return told(ORDER_BLOCKS, side_of(BREAK + rows, side), _values(**values))[0]


@SIDES
def test_a_block_is_known_at_the_break_and_not_at_its_candle(side: int) -> None:
    """Nothing is shown before the breaking bar closes; its origin points back to the candle."""
    out = ORDER_BLOCKS.compute(side_of(BREAK, side), PLAIN)
    own = "bull" if side > 0 else "bear"

    assert out["created"].tolist() == [0] * 7 + [side]
    assert np.isnan(out[f"{own}_top"][:7]).all()
    edges = sorted((flipped_price(11, side), flipped_price(15, side)))
    assert [out[f"{own}_bottom"][7], out[f"{own}_top"][7]] == edges
    assert (out[f"{own}_age"][7], out[f"{own}_origin"][7], out[f"{own}_tests"][7]) == (0, 2, 0)
    assert out[f"{own}_count"][7] == 1


@SIDES
@pytest.mark.parametrize(
    ("anchor", "zone", "bottom", "top", "origin"),
    [
        ("last_opposite", "full", 11, 15, 2),
        ("last_opposite", "body", 12, 14, 2),
        ("last_opposite", "body_wick", 11, 14, 2),
        ("extreme", "full", 10, 14.5, 3),
        ("extreme", "body", 13, 14, 3),
        ("extreme", "body_wick", 10, 14, 3),
    ],
)
def test_which_candle_and_which_part_of_it_make_the_block(
    anchor: str, zone: str, bottom: float, top: float, origin: int, side: int
) -> None:
    """The last opposite candle or the extreme one, its range, its body, or body and outer wick."""
    (block,) = zones(ORDER_BLOCKS, side_of(BREAK, side), _values(anchor=anchor, zone=zone))

    assert [block.bottom, block.top] == sorted(
        (flipped_price(bottom, side), flipped_price(top, side))
    )
    assert (block.side, block.created, block.anchor) == (side, 7, 7 - origin)


def test_of_equal_extremes_the_last_is_taken() -> None:
    """Two candles with the same low: the one nearer to the break."""
    rows = [*BREAK[:5], (14, 15, 10, 12), *BREAK[6:]]
    (block,) = zones(ORDER_BLOCKS, table(rows), _values(anchor="extreme"))

    assert block.anchor == 5


def test_without_an_opposite_candle_there_is_no_block() -> None:
    """When no candle between the swing and its break closes against it, nothing is made up."""
    rows = [(low, high, low, low + 0.25) for _, high, low, _ in BREAK[:7]]
    bars = table([*rows, BREAK[7]])

    assert STRUCTURE.compute(bars, {"left": 1, "right": 1})["bos"][7] == 1
    assert told(ORDER_BLOCKS, bars, PLAIN) == []
    assert len(told(ORDER_BLOCKS, bars, _values(anchor="extreme"))) == 1


def test_wide_candles_are_no_anchors() -> None:
    """Candles wider than `max_range` average true ranges are passed over; unknown means none."""
    bars = table(BREAK)
    atr = np.mean([3, 4, 4.5, 3, 4.5, 4, 6, 5])  # true ranges of all eight bars

    def anchors(share: float, length: int = 8) -> list[int]:
        values = _values(max_range=share / atr, baseline_length=length)
        return [zone.anchor for zone in zones(ORDER_BLOCKS, bars, values)]

    assert anchors(4.01) == [5]
    assert anchors(3.99) == [3]
    assert anchors(2.9) == []
    assert anchors(60, length=9) == []


def test_the_search_goes_no_further_back_than_the_lookback() -> None:
    """The candle two bars back is found with a lookback of two, not of one."""
    bars = table(BREAK)

    assert len(told(ORDER_BLOCKS, bars, _values(lookback=2))) == 1
    assert told(ORDER_BLOCKS, bars, _values(lookback=1)) == []


def test_a_gap_between_candle_and_break_can_be_required() -> None:
    """Bars 5 to 7 leave 15 to 17 untraded; once bar 7 reaches down to 15 there is no gap."""
    filled = [*BREAK[:7], (17.5, 22, 15, 21)]

    assert told(ORDER_BLOCKS, table(BREAK), _values(require_fvg=True)) == ["7 created"]
    assert told(ORDER_BLOCKS, table(filled), _values(require_fvg=True)) == []
    assert told(ORDER_BLOCKS, table(filled), PLAIN) == ["7 created"]


@SIDES
def test_the_whole_life_of_a_block(side: int) -> None:
    """Tests count each return, then mitigated, broken, breaker, retested twice, removed."""
    rows = [
        (21, 22, 15.5, 20),  # 8: stays above
        (20, 21, 15, 16),  # 9: exactly at the near edge
        (16, 16, 14, 15.5),  # 10: still there
        (15.5, 18, 15.25, 17),  # 11: left
        (17, 18, 13, 16),  # 12: second test, down to the exact middle: not beyond
        (16, 17, 12.5, 13),  # 13: beyond the middle
        (13, 15, 10, 11),  # 14: below the zone, closes on its edge
        (11, 12, 9, 10),  # 15: closes beyond
        (10, 10.5, 9, 10),  # 16: below
        (10, 11, 9, 10),  # 17: back at the edge from below
        (10, 10.5, 9, 10),  # 18
        (10, 13, 9, 12),  # 19: again
        (12, 15, 11, 15),  # 20: closes on the upper edge
        (15, 17, 14, 16),  # 21: closes beyond
    ]

    assert _life(rows, side) == (
        "7 created, 9 tested, 12 tested, 13 mitigated, 15 broken, 15 breaker,"
        " 17 retested, 19 retested, 21 removed"
    )


@SIDES
def test_one_bar_can_do_everything(side: int) -> None:
    """A bar that falls through a block tests, mitigates and breaks it, in that order."""
    assert _life([(21, 21, 9, 10)], side) == (
        "7 created, 8 tested, 8 mitigated, 8 broken, 8 breaker"
    )


@SIDES
@pytest.mark.parametrize(
    ("values", "bar"),
    [
        ({}, 8),  # wick beyond the middle
        ({"mitigation": "close"}, 9),  # close beyond the middle
        ({"mitigation_depth": "full"}, 10),  # wick beyond the far edge
        ({"mitigation": "close", "mitigation_depth": "full"}, 11),  # close beyond the far edge
    ],
)
def test_what_mitigates_a_block(values: dict[str, str], bar: int, side: int) -> None:
    """Wick or close, half the zone or all of it."""
    rows = [(21, 21, 12, 16), (16, 16, 11, 12.5), (12.5, 14, 10, 11), (11, 12, 9, 10)]

    assert f"{bar} mitigated" in _life(rows, side, **values)


@SIDES
def test_blocks_and_breakers_expire(side: int) -> None:
    """A zone acts for `max_age` bars on each side; the next bar finds it gone."""
    away, below = (21, 22, 20.5, 21), (10, 10.5, 9, 10)

    assert _life([away] * 3, side, max_age=3) == "7 created"
    assert _life([away] * 3 + [(21, 21, 9, 10)], side, max_age=3) == "7 created, 11 expired"
    assert _life([(21, 21, 9, 10), *[below] * 3, (10, 14, 9, 10)], side, max_age=3).endswith(
        "8 breaker, 12 expired"
    )


@pytest.mark.parametrize(("breaks", "expected"), [("both", [1, -1]), ("bos", [1]), ("choch", [-1])])
def test_which_breaks_make_blocks(breaks: str, expected: list[int]) -> None:
    """The first break of a table is a BOS, the second, downward, a CHoCH."""
    rows = [*BREAK, (21, 23, 20, 22), (22, 22.5, 19, 20), (20, 21, 9, 9.5)]
    found = zones(ORDER_BLOCKS, table(rows), _values(breaks=breaks, anchor="extreme"))

    assert [zone.side for zone in found] == expected


# After the break: a swing high at 25 (bar 9, known at 10), then its sweep and the block's break.
SWEPT = [(21, 24, 20, 23), (23, 25, 22, 24), (24, 24.5, 19, 20), (20, 26, 19, 24), (24, 24, 8, 9)]
UNSWEPT = [*SWEPT[:3], (20, 25, 19, 24), SWEPT[4]]


@SIDES
@pytest.mark.parametrize(("rows", "swept"), [(SWEPT, 1), (UNSWEPT, 0)])
def test_a_breaker_can_be_asked_for_a_sweep(rows: list[Any], swept: int, side: int) -> None:
    """Only a trade beyond the last swing that closes back counts; touching its level does not."""
    bars = side_of(BREAK + rows, side)
    out = ORDER_BLOCKS.compute(bars, PLAIN)
    own = "breaker_bear" if side > 0 else "breaker_bull"

    assert out[f"{own}_swept"][12] == swept
    assert _life(rows, side).endswith("12 broken, 12 breaker")
    ending = "12 broken, 12 breaker" if swept else "12 mitigated, 12 broken"
    assert _life(rows, side, require_sweep=True).endswith(ending)


@pytest.mark.parametrize(
    ("until", "shown"), [("tested", [8]), ("mitigated", [8, 9]), ("broken", [8, 9, 10])]
)
def test_how_long_the_lines_hold_a_block(until: str, shown: list[int]) -> None:
    """A block is active until its first test, its mitigation or its break."""
    rows = [(21, 22, 16, 20), (20, 21, 14, 16), (16, 17, 12, 16), (16, 17, 9, 10)]
    out = ORDER_BLOCKS.compute(table(BREAK + rows), _values(active_until=until))

    assert [t for t in range(8, 12) if out["bull_count"][t] == 1] == shown
    assert [t for t in range(8, 12) if out["bull_top"][t] == 15] == shown


@SIDES
def test_the_block_tested_at_a_bar_is_told_with_its_number_of_tests(side: int) -> None:
    """Edges, age and count of the tested block are shown at its test and held."""
    rows = [(21, 22, 14.5, 20), (20, 21, 16, 19), (19, 20, 14, 18), (18, 20, 17, 19)]
    out = ORDER_BLOCKS.compute(side_of(BREAK + rows, side), PLAIN)
    edges = sorted((flipped_price(11, side), flipped_price(15, side)))

    assert out["tested"][8:].tolist() == [side, 0, side, 0]
    assert out["tested_count"][8:].tolist() == [1, 1, 2, 2]
    assert out["tested_age"][8:].tolist() == [1, 1, 3, 3]
    assert [out["tested_bottom"][10], out["tested_top"][10]] == edges


def test_a_candle_carries_one_living_block_only() -> None:
    """A second break from the same candle makes no second block while the first one lives."""
    rows = [
        (10, 11, 9, 10.5),
        (10.5, 15, 10, 14),  # 1: swing high 15
        (14, 14.5, 10, 10.5),
        (10.5, 12, 10, 11.5),
        (11.5, 13, 11, 12.5),
        (12.5, 20, 12, 14.5),  # 5: swing high 20, known at 8
        (14.5, 14.8, 13, 13.5),  # 6: the last one that closes down
        (13.5, 17, 13.4, 16),  # 7: breaks 15
        (16, 18, 15.9, 17.5),
        (17.5, 22, 17, 21),  # 9: breaks 20
    ]
    values = _values(right=3)

    assert STRUCTURE.compute(table(rows), {"left": 1, "right": 3})["bos"][[7, 9]].tolist() == [1, 1]
    assert told(ORDER_BLOCKS, table(rows), values) == ["7 created"]
    # A first block that has expired is no obstacle.
    values = _values(right=3, max_age=1)
    assert told(ORDER_BLOCKS, table(rows), values) == ["7 created, 9 expired", "9 created"]


def test_a_full_book_loses_its_oldest_block_by_an_event() -> None:
    """With room for one block on a side, every new one ends the one before."""
    rows = ledger(ORDER_BLOCKS, seeded_walk(3, 600), _values(capacity=1))
    alive: dict[int, int] = {}
    for row in rows:
        if row["kind"] == CREATED:
            assert row["side"] not in alive
            alive[row["side"]] = row["id"]
        elif alive.get(row["side"]) == row["id"] and KIND_NAMES[row["kind"]] in (
            "broken",
            "expired",
            "capacity",
        ):
            del alive[row["side"]]
    assert "capacity" in names_of(rows)


def _check_against_the_slow_route(bars: Bars, values: dict[str, Any]) -> list[Block]:
    p = {**ORDER_BLOCKS.defaults, **values}
    blocks = find_blocks(bars, p)
    rows = ledger(ORDER_BLOCKS, bars, values)
    assert "capacity" not in names_of(rows)  # the slow route knows no limit
    assert _lives(rows) == [
        (
            block.side,
            block.top,
            block.bottom,
            block.anchor,
            [(block.created, "created"), *block.life],
        )
        for block in blocks
    ]
    out = ORDER_BLOCKS.compute(bars, values)
    for t in range(len(bars)):
        for side, name in ((1, "bull"), (-1, "bear")):
            found = active_blocks(blocks, t, side, p["active_until"])
            assert out[f"{name}_count"][t] == len(found)
            if p["show"] == "nearest":
                found.sort(key=lambda b: (b.top if b.side > 0 else -b.bottom, b.created))
            shown = [out[f"{name}_{what}"][t] for what in ("top", "bottom", "age", "tests")]
            if found:
                best = found[-1]
                assert shown == [best.top, best.bottom, t - best.created, best.tests(t)]
                assert out[f"{name}_origin"][t] == t - best.anchor
            else:
                assert np.isnan(shown).all()
            _check_breaker(out[t], f"breaker_{name}", breakers(blocks, t, side), t)
    return blocks


def _check_breaker(row: Any, name: str, found: list[Block], t: int) -> None:
    shown = [row[f"{name}_{what}"] for what in ("top", "bottom", "age", "origin", "swept")]
    if found:
        best = found[-1]
        age = t - best.at("breaker")
        assert shown == [best.top, best.bottom, age, t - best.anchor, best.swept]
    else:
        assert np.isnan(shown).all()


def _lives(rows: Records) -> list[Any]:
    lives = []
    for number in range(1, int(rows["id"].max(initial=0)) + 1):
        life = rows[rows["id"] == number]
        first = life[0]
        story = [(int(row["bar"]), KIND_NAMES[row["kind"]]) for row in life]
        anchor = int(first["bar"] - first["origin"])
        lives.append((first["side"], first["top"], first["bottom"], anchor, story))
    return lives


VARIANTS: list[dict[str, Any]] = [
    {},
    {"anchor": "extreme", "zone": "body", "left": 3, "right": 2, "baseline_length": 20},
    {"zone": "body_wick", "mitigation": "close", "max_age": 40, "baseline_length": 20},
    {"require_sweep": True, "active_until": "broken", "left": 2, "right": 1, "max_range": 0.0},
    {"require_fvg": True, "mitigation_depth": "full", "show": "nearest", "max_range": 1.0},
    {"breaks": "choch", "break_mode": "wick", "active_until": "tested", "max_range": 0.0},
    {"breaks": "bos", "choch_level": "protected", "lookback": 9, "max_range": 0.0},
]


@pytest.mark.parametrize("values", VARIANTS, ids="-".join)
@pytest.mark.parametrize("place", names())
def test_blocks_agree_with_a_slow_second_route(place: str, values: dict[str, Any]) -> None:
    """Every event and the shown blocks equal those found block by block over the whole series."""
    assert len(_check_against_the_slow_route(market(place)[:900], values)) > 1


@given(bars=walks())
@settings(max_examples=40, deadline=None)
def test_blocks_agree_with_a_slow_second_route_on_any_bars(bars: Bars) -> None:
    """The same on arbitrary bars full of ties, gaps and plateaus."""
    _check_against_the_slow_route(bars, _values(max_age=25))
    _check_against_the_slow_route(bars, _values(anchor="extreme", zone="body", break_mode="wick"))


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_a_mirrored_market_mirrors_every_block_line(bars: Bars) -> None:
    """Upside down, bullish becomes bearish and top becomes bottom, exactly."""
    must_mirror(ORDER_BLOCKS, bars, _values(max_age=15, require_sweep=True))
    must_mirror(
        ORDER_BLOCKS,
        bars,
        _values(anchor="extreme", zone="body_wick", max_range=1.5)
        | {"baseline_length": 3, "mitigation": "close", "require_fvg": True},
    )


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_the_life_of_a_block_only_moves_forward(bars: Bars) -> None:
    """Created, mitigated, broken and breaker come in that order, once; no test after a break."""
    order = ["created", "mitigated", "broken", "breaker", "removed"]
    rows = ledger(ORDER_BLOCKS, bars, _values(max_age=30, capacity=3))
    for number in np.unique(rows["id"]):
        life = rows[rows["id"] == number]
        words = names_of(life)
        steps = [order.index(word) for word in words if word in order]
        assert steps == sorted(set(steps))
        if BROKEN in life["kind"]:
            assert "tested" not in words[words.index("broken") :]
        assert words.count("expired") + words.count("capacity") + words.count("removed") <= 1
        counts = life["count"][[word == "tested" for word in words]]
        assert counts.tolist() == list(range(1, len(counts) + 1))
