"""Fair value gaps: every step of their life, against tables, a slow second route and the mirror."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gap_oracle import Gap, find_gaps, inverted_gaps, open_gaps
from hypothesis import given, settings
from smc_markets import market, names, table
from zone_kit import CENTRE, flipped_price, ledger, must_mirror, names_of, side_of, told, walks

from ftbt.data.candles import Bars
from ftbt.smc.base import Records
from ftbt.smc.fvg import FVG
from ftbt.smc.ledger import CREATED, ENDS, FILLED, HALF, INVERTED, KIND_NAMES, TOUCHED

# A gap from 11 to 13, middle 12, known at bar 2.
OPENING = [(10, 11, 9, 10.5), (10.5, 14, 10.4, 13.8), (13.8, 15, 13, 14.5)]
SIDES = pytest.mark.parametrize("side", [1, -1], ids=["bullish", "bearish"])


def _life(rows: list[Any], side: int, **values: Any) -> str:
    """The story of the opening's gap, whatever other gaps the rows may leave."""
    return told(FVG, side_of(OPENING + rows, side), values)[0]


@SIDES
def test_a_gap_is_known_at_the_close_of_its_third_bar(side: int) -> None:
    """Three bars that leave prices untraded open a gap with these edges, not one bar earlier."""
    out = FVG.compute(side_of(OPENING, side))
    own, other = ("bull", "bear") if side > 0 else ("bear", "bull")

    assert out["created"].tolist() == [0, 0, side]
    assert np.isnan(out[f"{own}_top"][:2]).all()
    assert sorted((out[f"{own}_top"][2], out[f"{own}_bottom"][2])) == sorted(
        (flipped_price(13, side), flipped_price(11, side))
    )
    assert out[f"{own}_mid"][2] == flipped_price(12, side)
    assert (out[f"{own}_age"][2], out[f"{own}_origin"][2], out[f"{own}_count"][2]) == (0, 1, 1)
    assert np.isnan(out[f"{other}_top"][2])
    assert out[f"{other}_count"][2] == 0


def test_bars_that_just_meet_leave_no_gap() -> None:
    """A third low equal to the first high is no gap: somebody traded at that price."""
    assert not told(FVG, table([*OPENING[:2], (13.8, 15, 11, 14.5)]), {})


@SIDES
def test_the_whole_life_of_a_gap(side: int) -> None:
    """Touched, half, filled, inverted, retested and removed come each at its own bar, once."""
    rows = [
        (14.5, 15, 13.25, 14),  # 3: stays above
        (14, 14.5, 13, 14),  # 4: exactly at the near edge
        (14, 14.2, 12.5, 14),  # 5: nothing new
        (14, 14.2, 12, 14),  # 6: exactly the middle
        (14, 14.2, 11, 12),  # 7: exactly the far edge
        (12, 13.5, 10.5, 11),  # 8: closes on the far edge: not beyond
        (11, 12, 9, 10),  # 9: closes beyond
        (10, 10.9, 9, 10),  # 10: below the gap, which resists now
        (10, 11, 9, 10),  # 11: back at its lower edge
        (10, 12, 9.5, 11.5),  # 12: no second retest
        (11.5, 13, 11, 13),  # 13: closes on its upper edge: not beyond
        (13, 14, 12, 13.5),  # 14: closes beyond
    ]

    assert _life(rows, side) == (
        "2 created, 4 touched, 6 half, 7 filled, 9 inverted, 11 retested, 14 removed"
    )


@SIDES
def test_one_bar_can_run_through_the_whole_gap(side: int) -> None:
    """A bar that falls through a gap touches, halves, fills and inverts it, in that order."""
    assert _life([(14, 14.5, 8, 9)], side) == ("2 created, 3 touched, 3 half, 3 filled, 3 inverted")


def test_the_bar_that_opens_a_gap_does_not_mitigate_it() -> None:
    """The third bar's low is the gap's own edge: the first touch can come one bar later."""
    assert _life([], 1) == "2 created"


@SIDES
def test_mitigation_by_close_ignores_wicks(side: int) -> None:
    """With mitigation="close" only closes touch, halve and fill."""
    rows = [(14, 14.5, 10, 13.5), (13.5, 14, 12, 13), (13, 13, 11.5, 12), (12, 12, 11, 11)]

    assert _life(rows, side, mitigation="close") == "2 created, 4 touched, 5 half, 6 filled"


@SIDES
def test_a_gap_and_an_inverted_gap_expire(side: int) -> None:
    """A zone acts for `max_age` bars on each side; the next bar finds it gone."""
    away = (14.5, 15, 14, 14.5)
    below = (9, 10, 8.5, 9)

    assert _life([away] * 2, side, max_age=2) == "2 created"
    assert _life([away] * 2 + [(14, 14, 13, 14)], side, max_age=2) == "2 created, 5 expired"
    assert _life([(14, 14.5, 8, 9), below, below, (9, 12, 9, 9)], side, max_age=2).endswith(
        "3 inverted, 6 expired"
    )


@SIDES
@pytest.mark.parametrize(
    ("middle", "body", "kept"),
    [
        ("any", (13.8, 10.5), True),
        ("direction", (13.8, 10.5), False),
        ("direction", (10.5, 10.75), True),
        ("direction", (10.5, 10.5), False),
        ("beyond", (10.5, 11), False),
        ("beyond", (10.5, 11.25), True),
    ],
)
def test_the_middle_bar_can_be_asked_for_a_direction(
    middle: str, body: tuple[float, float], kept: bool, side: int
) -> None:
    """The middle bar's body must point with the gap, or its close lie beyond the first bar."""
    bars = side_of([OPENING[0], (body[0], 14, 10.4, body[1]), OPENING[2]], side)

    assert bool(told(FVG, bars, {"middle": middle})) == kept


def test_small_gaps_can_be_left_out() -> None:
    """The minimum size is a fraction of the close, or of an average true range that is known."""
    bars = table(OPENING)  # size 2, close 14.5; true ranges 2, 3.6, 2

    assert told(FVG, bars, {"min_size": 0.09})
    assert not told(FVG, bars, {"min_size": 0.0999, "min_size_atr": 0.9, "baseline_length": 3})
    assert told(FVG, bars, {"min_size_atr": 0.78, "baseline_length": 3})
    assert not told(FVG, bars, {"min_size_atr": 0.8, "baseline_length": 3})
    assert not told(FVG, bars, {"min_size_atr": 0.01, "baseline_length": 4})


STACK = [
    (10, 11, 9, 11),
    (11, 14, 11, 14),
    (14, 16, 13, 16),  # 2: gap 11 - 13
    (16, 18, 15, 18),
    (18, 20, 17, 20),  # 4: gap 16 - 17 (and 14 - 15 at bar 3)
    (20, 20.5, 16.5, 19),  # 5: half of 16 - 17
]


@pytest.mark.parametrize(
    ("until", "top", "count"), [("full", 17, 3), ("half", 15, 2), ("touch", 15, 2)]
)
def test_how_far_a_gap_must_be_filled_to_be_no_longer_open(
    until: str, top: float, count: int
) -> None:
    """The lines hold the newest gap that `open_until` leaves open."""
    out = FVG.compute(table(STACK), {"open_until": until})

    assert out["bull_top"][4:].tolist() == [17, top]
    assert out["bull_count"][4:].tolist() == [3, count]


def test_the_gap_to_show_is_the_newest_or_the_nearest() -> None:
    """A gap that opens inside an older, half filled one is newer but further from the price."""
    rows = [
        *STACK[:5],
        (20, 20, 16.2, 16.25),
        (16.25, 16.3, 16.2, 16.3),
        (16.3, 18, 16.3, 18),
        (18, 19, 16.6, 18.5),  # 8: gap 16.3 - 16.6 inside 16 - 17
    ]
    recent = FVG.compute(table(rows))
    nearest = FVG.compute(table(rows), {"show": "nearest"})

    assert (recent["bull_bottom"][8], recent["bull_top"][8]) == (16.3, 16.6)
    assert (nearest["bull_bottom"][8], nearest["bull_top"][8]) == (16, 17)


def test_of_several_gaps_touched_in_one_bar_the_newest_is_shown() -> None:
    """The companions tell the newest gap's edges and age, and hold them until the next touch."""
    out = FVG.compute(table([*STACK[:5], (20, 20, 14.5, 19), (19, 20, 18, 19)]))

    assert out["touched"].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert out["touched_top"][5:].tolist() == [17, 17]
    assert out["touched_bottom"][5:].tolist() == [16, 16]
    assert out["touched_age"][5:].tolist() == [1, 1]
    assert out["half"][5] == 1
    assert np.isnan(out["touched_top"][4])


@SIDES
def test_an_inverted_gap_is_shown_on_its_new_side(side: int) -> None:
    """From the bar of its inversion a bullish gap is a resistance, until it is removed."""
    rows = [(14, 14.5, 8, 9), (9, 13, 9, 10), (10, 14, 10, 14)]
    out = FVG.compute(side_of(OPENING + rows, side))
    new = "inverse_bear" if side > 0 else "inverse_bull"

    assert out["inverted"].tolist() == [0, 0, 0, -side, 0, 0]
    assert out["retested"].tolist() == [0, 0, 0, 0, -side, 0]
    assert out["removed"].tolist() == [0, 0, 0, 0, 0, -side]
    edges = sorted((flipped_price(11, side), flipped_price(13, side)))
    for i, age in ((3, 0), (4, 1)):
        assert [out[f"{new}_bottom"][i], out[f"{new}_top"][i]] == edges
        assert out[f"{new}_age"][i] == age
        assert out[f"{new}_origin"][i] == i - 1
    assert np.isnan(out[f"{new}_top"][5])
    assert [out["retested_bottom"][5], out["retested_top"][5]] == edges


def test_a_full_book_loses_its_oldest_gap_by_an_event() -> None:
    """With room for two, the third gap ends the first, which stays in the ledger."""
    stories = told(FVG, table(STACK[:5]), {"capacity": 2})

    assert stories == ["2 created, 4 capacity", "3 created", "4 created"]


def _events(gaps: list[Gap]) -> set[tuple[Any, ...]]:
    rows = set()
    for gap in gaps:
        key = (gap.created, gap.side, float(gap.top), float(gap.bottom))
        rows.add((gap.created, "created", *key))
        rows |= {(bar, name, *key) for name, bar in gap.life.items()}
    return rows


def _ledger_events(rows: Records) -> set[tuple[Any, ...]]:
    born = {
        row["id"]: (int(row["bar"]), int(row["side"]), float(row["top"]), float(row["bottom"]))
        for row in rows[rows["kind"] == CREATED]
    }
    return {(int(row["bar"]), KIND_NAMES[row["kind"]], *born[row["id"]]) for row in rows}


def _check_against_the_slow_route(bars: Bars, values: dict[str, Any]) -> None:
    p = {**FVG.defaults, **values}
    gaps = find_gaps(bars, p)
    rows = ledger(FVG, bars, values)
    assert "capacity" not in names_of(rows)  # the slow route knows no limit
    assert _ledger_events(rows) == _events(gaps)
    assert len(rows) == len(_events(gaps))

    out = FVG.compute(bars, values)
    for t in range(len(bars)):
        for side, name in ((1, "bull"), (-1, "bear")):
            found = open_gaps(gaps, t, side, p["open_until"])
            assert out[f"{name}_count"][t] == len(found)
            if p["show"] == "nearest":
                found.sort(key=lambda gap: (gap.top if gap.side > 0 else -gap.bottom, gap.created))
            _check_shown(out[t], name, found, t)
            inverted = inverted_gaps(gaps, t, side)
            inverted.sort(key=lambda gap: (gap.life["inverted"], gap.created))
            _check_shown(out[t], f"inverse_{name}", inverted, t, since="inverted")


def _check_shown(row: Any, name: str, found: list[Gap], t: int, since: str = "created") -> None:
    if not found:
        assert np.isnan(row[f"{name}_top"])
        assert np.isnan(row[f"{name}_age"])
        return
    gap = found[-1]
    start = gap.created if since == "created" else gap.life[since]
    shown = tuple(row[f"{name}_{what}"] for what in ("top", "bottom", "age", "origin"))
    assert shown == (gap.top, gap.bottom, t - start, t - gap.created + 1)


VARIANTS: list[dict[str, Any]] = [
    {"max_age": 90},
    {"mitigation": "close", "max_age": 60, "open_until": "half"},
    {"middle": "direction", "show": "nearest", "max_age": 70, "open_until": "touch"},
    {"middle": "beyond", "min_size_atr": 0.2, "baseline_length": 50, "max_age": 90},
    {"min_size": 0.001, "max_age": 15, "show": "nearest"},
]


@pytest.mark.parametrize("values", VARIANTS, ids="-".join)
@pytest.mark.parametrize("place", names())
def test_gaps_agree_with_a_slow_second_route(place: str, values: dict[str, Any]) -> None:
    """Every event and the shown gaps equal those found gap by gap over the whole series."""
    _check_against_the_slow_route(market(place)[:500], values)


@given(bars=walks(60))
@settings(max_examples=40, deadline=None)
def test_gaps_agree_with_a_slow_second_route_on_any_bars(bars: Bars) -> None:
    """The same on arbitrary bars full of ties, gaps and plateaus."""
    _check_against_the_slow_route(bars, {"max_age": 12})


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_a_mirrored_market_mirrors_every_gap_line(bars: Bars) -> None:
    """Upside down, bullish becomes bearish and top becomes bottom, exactly."""
    must_mirror(FVG, bars, {"max_age": 15, "min_size_atr": 0.3, "baseline_length": 3})
    must_mirror(FVG, bars, {"mitigation": "close", "middle": "beyond", "capacity": 2})
    assert bars["high"].max() < CENTRE


@given(bars=walks())
@settings(max_examples=60, deadline=None)
def test_the_life_of_a_gap_only_moves_forward(bars: Bars) -> None:
    """Created, touched, half, filled, inverted: never back, never twice, nothing after an end."""
    order = [CREATED, TOUCHED, HALF, FILLED, INVERTED]
    rows = ledger(FVG, bars, {"max_age": 20, "capacity": 4})
    for number in np.unique(rows["id"]):
        kinds = rows["kind"][rows["id"] == number].tolist()
        early = [order.index(kind) for kind in kinds if kind in order]
        assert early == sorted(set(early))
        assert kinds[0] == CREATED
        assert len(set(kinds)) == len(kinds)
        assert not any(kind in ENDS for kind in kinds[:-1])
