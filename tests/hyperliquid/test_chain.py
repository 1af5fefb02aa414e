"""Fills of one moment: in the order in which they happened, by the positions they begin with."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.hyperliquid.chain import in_order
from ftbt.hyperliquid.records import ZERO, Fill
from ftbt.hyperliquid.streams import FillStream

SIZES = st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=12)


def fill(start, change, tid, time=1000, coin="BTC"):
    """Return a fill that changes the position from *start* by *change*."""
    return Fill(
        coin, change > 0, Decimal(1), abs(Decimal(change)), time, Decimal(start), ZERO, ZERO,
        "USDC", True, 1, tid, None, False,
    )  # fmt: skip


def fills_of(changes, start=0, **more):
    """Return the fills of *changes* one after another; their numbers fall."""
    made = []
    for tid, change in enumerate(changes):
        made.append(fill(start, change, 1000 - tid, **more))
        start = made[-1].end
    return made


def links(ordered):
    """Return whether each fill begins where the one before ended."""
    return all(after.start == before.end for before, after in pairwise(ordered))


@settings(deadline=None, max_examples=200)
@given(SIZES, st.integers(-5, 5), st.randoms(use_true_random=False))
def test_each_fill_begins_where_the_one_before_ended(changes, start, random):
    """Whatever numbers the trades have, and in whatever order they are told."""
    true = fills_of(changes, start)
    told = random.sample(true, len(true))
    ordered = in_order(told, {"BTC": Decimal(start)})
    assert sorted(one.tid for one in ordered) == sorted(one.tid for one in true)
    assert links(ordered)
    assert ordered[0].start == true[0].start
    assert ordered[-1].end == true[-1].end


def test_times_come_first_and_coins_do_not_mix():
    """A later fill stays later, even where an earlier one would follow from it."""
    early, late = fill(1, 1, 7, time=1000), fill(0, 1, 3, time=2000)
    other = fill(1, 5, 1, time=1000, coin="ETH")
    assert in_order([late, other, early], {}) == [early, other, late]


def test_what_can_not_be_linked_is_there_all_the_same():
    """A fill between two others is missing: both parts come, each in its order."""
    first, second, _, fourth, fifth = fills_of([1, 2, 3, 4, 5])
    ordered = in_order([fifth, fourth, second, first], {})
    assert ordered == [first, second, fourth, fifth]


def test_the_dust_of_binary_fractions_does_not_part_fills():
    """The venue's positions may end in it."""
    first = fill("0.1", Decimal("0.2"), 9)
    second = fill("0.30000000000000004", Decimal("0.1"), 3)
    assert in_order([second, first], {}) == [first, second]


def test_a_round_trip_begins_with_what_was_held():
    """Bought and sold again in one moment: the position known before it tells which was first."""
    stream = FillStream()
    assert stream.take(fills_of([2], time=500))[-1].end == 2
    there, back = fills_of([1, -1], 2)
    assert stream.take([back, there]) == [there, back]
    assert stream.take([back, there]) == []
