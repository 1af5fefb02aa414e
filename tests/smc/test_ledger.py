"""The ledger of zones: read from Python, complete, and large enough for the worst bar."""

from __future__ import annotations

import numpy as np
import pytest
from smc_markets import market, names, table
from zone_kit import told

from ftbt.errors import InputError
from ftbt.smc import ledger
from ftbt.smc.base import Concept, event_rows
from ftbt.smc.fvg import FVG
from ftbt.smc.ledger import (
    CREATED,
    ENDS,
    INVERTED,
    KIND_NAMES,
    KINDS,
    MOST_EVENTS,
    REOPENS,
    SIZE,
    TOUCHED,
    zones,
)
from ftbt.smc.liquidity import LIQUIDITY
from ftbt.smc.order_blocks import ORDER_BLOCKS
from ftbt.smc.sweeps import SWEEPS
from ftbt.smc.swings import SWINGS

GAP = [(10, 11, 9, 10.5), (10.5, 14, 10.4, 13.8), (13.8, 15, 13, 14.5), (14.5, 15, 13, 14)]


def test_a_zone_tells_its_whole_life() -> None:
    """A zone carries its edges, its anchor, the bars of its events and whether it has ended."""
    (gap,) = zones(FVG, table(GAP))

    assert (gap.id, gap.side, gap.top, gap.bottom) == (1, 1, 13, 11)
    assert (gap.anchor, gap.created) == (1, 2)
    assert (gap.bar(CREATED), gap.bar(TOUCHED), gap.bar(INVERTED)) == (2, 3, None)
    assert gap.ended is None
    assert gap.story == ((2, "created"), (3, "touched"))

    (gap,) = zones(FVG, table([*GAP, (14, 14, 13, 14)]), {"max_age": 1})
    assert gap.story == ((2, "created"), (3, "touched"), (4, "expired"))
    assert gap.ended == 4


def test_a_market_without_zones_has_an_empty_list() -> None:
    """Too few bars for any zone are no error."""
    assert zones(FVG, table(GAP[:2])) == []


def test_a_concept_without_zones_is_refused() -> None:
    """Asking swings for zones is answered by name."""
    with pytest.raises(InputError, match="swings has no zones"):
        zones(SWINGS, table(GAP))


def test_every_kind_of_event_has_a_number_and_a_name_of_its_own() -> None:
    """The named constants, the names and the size of the table of hits agree."""
    constants = {name: value for name, value in vars(ledger).items() if isinstance(value, np.int64)}

    assert sorted(constants.values()) == list(range(1, KINDS))
    assert {KIND_NAMES[value]: name for name, value in constants.items()} == {
        name.lower(): name for name in constants
    }
    assert set(KIND_NAMES) >= ENDS | REOPENS


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("concept", [FVG, ORDER_BLOCKS, LIQUIDITY, SWEEPS], ids=lambda c: c.name)
def test_zones_are_numbered_in_order_and_none_is_missing(concept: Concept, place: str) -> None:
    """Every id from 1 on is there once, born no earlier than the one before, and begins created."""
    found = zones(concept, market(place))

    assert len(found) > 20
    assert [zone.id for zone in found] == list(range(1, len(found) + 1))
    assert (np.diff([zone.created for zone in found]) >= 0).all()
    assert all(zone.story[0] == (zone.created, "created") for zone in found)
    assert all(zone.anchor <= zone.created for zone in found)
    assert all(zone.bottom <= zone.top for zone in found)


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("concept", [FVG, ORDER_BLOCKS], ids=lambda c: c.name)
def test_every_event_line_is_the_newest_zone_of_the_ledger(concept: Concept, place: str) -> None:
    """At each bar an event line has the side of the newest zone that the event happened to."""
    out, rows = concept.compute(market(place)), event_rows(concept, market(place))
    for kind, name in KIND_NAMES.items():
        if name not in concept.events:
            continue
        expected = np.zeros(len(out))
        found = rows[rows["kind"] == kind]
        for row in np.sort(found, order=["bar", "id"]):  # later rows win
            expected[row["bar"]] = row["side"]
            if f"{name}_top" in concept.lines:
                shown = (out[f"{name}_top"][row["bar"]], out[f"{name}_bottom"][row["bar"]])
                newest = found["id"][found["bar"] == row["bar"]].max()
                assert row["id"] < newest or shown == (row["top"], row["bottom"])
        assert expected.any(), name
        np.testing.assert_array_equal(out[name], expected, err_msg=name)
    assert {name for name in concept.events if name not in KIND_NAMES.values()} == set()


def test_the_ledger_has_room_for_the_bar_at_which_everything_happens() -> None:
    """A crash through a full book, and the way back, lose no event."""
    rows = [(100 + 10 * k, 101 + 10 * k, 100 + 10 * k, 100 + 10 * k) for k in range(SIZE + 2)]
    top = rows[-1][1]
    rows.append((top, top, 50, 50))  # down through all gaps
    rows.append((50, 60, 40, 55))
    rows.append((55, top + 90, 54, top + 80))  # back up through all of them
    stories = told(FVG, table(rows), {"max_age": 1000})

    crash = SIZE + 2
    for k, story in enumerate(stories[:SIZE]):
        assert story == (
            f"{k + 2} created, {crash} touched, {crash} half, {crash} filled, {crash} inverted, "
            f"{crash + 2} retested, {crash + 2} removed"
        )
    assert MOST_EVENTS > 4 * SIZE
