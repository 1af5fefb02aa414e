"""The promise of every line with zones: nothing is ever erased, and a zone's life goes one way."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from line_contract import BASE_MS
from smc_markets import market, names

from ftbt.smc import ALL_LINES
from ftbt.smc.base import Concept, Records, Stream, event_rows
from ftbt.smc.ledger import (
    BREAKER,
    BROKEN,
    CREATED,
    ENDS,
    FILLED,
    GROWN,
    HALF,
    INVERTED,
    KIND_NAMES,
    MITIGATED,
    REOPENS,
    RETESTED,
    TAKEN,
    TESTED,
    TOUCHED,
)

CONCEPTS = [line.concept for line in ALL_LINES if "events" in (line.concept.state.names or ())]
IDS = [concept.name for concept in CONCEPTS]
WITH_CREATED_LINE = [concept.name for concept in CONCEPTS if "created" in concept.lines]
# What may happen to one zone more than once, and how far along its life each event is.
OFTEN = {TESTED, RETESTED, GROWN}
AGE = {
    CREATED: 0,
    GROWN: 1,
    TESTED: 1,
    TOUCHED: 1,
    HALF: 2,
    MITIGATED: 2,
    FILLED: 3,
    INVERTED: 4,
    BROKEN: 4,
    TAKEN: 4,
    BREAKER: 5,
    RETESTED: 6,
}
LAST = 9  # the age of every other end


@cache
def _ledger(name: str, place: str) -> tuple[Records, Records]:
    """All events of a concept on a market, and its state after the last bar."""
    concept = _concept(name)
    stream = Stream(concept, concept.pack({}), BASE_MS)
    for i in range(len(market(place))):
        stream.take(market(place)[i : i + 1])
    state, _, _ = stream.memory
    return event_rows(concept, market(place)), state


def _concept(name: str) -> Concept:
    return next(concept for concept in CONCEPTS if concept.name == name)


def _on_the_books(state: Any) -> set[int]:
    """The ids of the zones that the state still waits for."""
    if "book" not in state.dtype.names:
        return {int(pool["id"]) for side in state["side"] for pool in side["pool"][: side["n"]]}
    books = [*state["book"], *state["flipped"]]
    return {int(zone["id"]) for book in books for zone in book["zone"][: book["n"]]}


def _lives(rows: Records) -> dict[int, list[Any]]:
    lives: dict[int, list[Any]] = {}
    for row in rows:
        lives.setdefault(int(row["id"]), []).append(row)
    return lives


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("name", IDS)
def test_every_zone_ever_created_is_in_the_ledger(name: str, place: str) -> None:
    """The zones counted by the state are those in the ledger, each created once and first."""
    rows, state = _ledger(name, place)
    lives = _lives(rows)
    assert len(lives) > 0
    assert sorted(lives) == list(range(1, int(state["last_id"][0]) + 1))
    assert (rows["kind"] == CREATED).sum() == state["last_id"][0]
    assert all(int(life[0]["kind"]) == CREATED for life in lives.values())


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("name", IDS)
def test_a_zone_leaves_the_book_by_an_event_only(name: str, place: str) -> None:
    """The zones without an end in the ledger are exactly those still on the books."""
    rows, state = _ledger(name, place)
    alive = {
        number
        for number, life in _lives(rows).items()
        if not any(int(row["kind"]) in ENDS for row in life)
        or (int(life[-1]["kind"]) in REOPENS and int(life[-1]["kind"]) not in ENDS)
        or int(life[-1]["kind"]) == RETESTED
    }
    assert _on_the_books(state[0]) == alive


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("name", IDS)
def test_the_life_of_a_zone_only_goes_forward(name: str, place: str) -> None:
    """Events of a zone come in the order of its life, once each, none after its end."""
    rows, _ = _ledger(name, place)
    assert (np.diff(rows["bar"]) >= 0).all()
    assert (rows["origin"] >= 0).all()
    assert (rows["top"] >= rows["bottom"]).all()
    for life in _lives(rows).values():
        kinds = [int(row["kind"]) for row in life]
        story = [KIND_NAMES[kind] for kind in kinds]
        once = [kind for kind in kinds if kind not in OFTEN]
        assert len(once) == len(set(once)), story
        ages = [AGE.get(kind, LAST) for kind in once]
        assert ages == sorted(ages), story
        for before, after in pairwise(kinds):
            assert before not in ENDS or after in REOPENS, story
        anchors = {int(row["bar"] - row["origin"]) for row in life}
        assert len(anchors) == 1, story


@pytest.mark.parametrize("name", IDS)
def test_the_ledger_of_a_prefix_is_a_prefix_of_the_ledger(name: str) -> None:
    """What was written down after k bars stands unchanged in the ledger of all bars."""
    rows, _ = _ledger(name, "fat_tails")
    for k in range(100, len(market("fat_tails")), 190):
        part = event_rows(_concept(name), market("fat_tails")[:k])
        assert part.tobytes() == rows[rows["bar"] < k].tobytes()


@pytest.mark.parametrize("place", names())
@pytest.mark.parametrize("name", WITH_CREATED_LINE)
def test_the_created_line_agrees_with_the_ledger(name: str, place: str) -> None:
    """A line shows a creation at exactly the bars at which the ledger holds one."""
    concept = _concept(name)
    rows, _ = _ledger(name, place)
    shown = np.flatnonzero(concept.compute(market(place))["created"])
    assert set(shown) == set(rows["bar"][rows["kind"] == CREATED])
