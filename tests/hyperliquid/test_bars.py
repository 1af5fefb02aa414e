"""Closed bars out of frames: in order, without gaps, once, never changed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.errors import DataError, IntegrityError
from ftbt.hyperliquid.barrier import Barrier
from ftbt.hyperliquid.bars import Bar, BarBuilder, Source, flat_bar
from ftbt.hyperliquid.records import Row

STEP = 60_000
START = 1_800_000_000_000 // STEP * STEP
QUICK = settings(deadline=None, max_examples=100)
EVENTS = ("frame", "lost", "twice", "broken", "rest")


def row(number, trades=1, close=100.0, volume=1.0, coin="BTC", interval="1m"):
    """Return the candle that opens *number* bars after the history."""
    opened = START + number * STEP
    high, low = max(100.0, close), min(100.0, close)
    return Row(coin, interval, opened, opened + STEP - 1, 100.0, high, low, close, volume, trades)


@pytest.fixture
def builder():
    """Return a builder whose next bar is number 0."""
    return BarBuilder("BTC", "1m", STEP, flat_bar("BTC", START - STEP, 99.0))


def numbers(bars):
    """Return which bars these are."""
    return [(bar.opened - START) // STEP for bar in bars]


def at(number, later=0):
    """Return the market time *later* ms after bar *number* has begun."""
    return START + number * STEP + later


def test_a_bar_is_closed_by_the_first_frame_of_the_next(builder):
    """Not a frame earlier, and with the last numbers that it had."""
    assert builder.frame(row(0, 1, 101.0), 0.0) == []
    assert builder.frame(row(0, 2, 102.0, volume=3.0), 0.0) == []
    closed = builder.frame(row(1), 7.0)

    assert numbers(closed) == [0]
    assert (closed[0].close, closed[0].volume, closed[0].source) == (102.0, 3.0, Source.STREAM)
    assert closed[0].proven == 7.0


def test_a_frame_carries_its_close_time_long_before_it(builder):
    """A close time in the future proves nothing: only a later bar or REST does."""
    for trades in range(1, 50):
        assert builder.frame(row(0, trades), 0.0) == []


def test_frames_that_come_twice_or_late_change_nothing(builder):
    """An older frame of the same candle does not undo a newer one, nor reopen a bar."""
    builder.frame(row(0, 5, 105.0), 0.0)
    builder.frame(row(0, 3, 103.0), 0.0)
    closed = builder.frame(row(1, 2), 0.0)
    assert closed[0].close == 105.0
    assert builder.frame(row(0, 6, 106.0), 0.0) == []
    assert builder.frame(row(1, 2), 0.0) == []
    assert builder.late_frames == 1


def test_a_silent_bar_is_asked_for_after_its_grace(builder):
    """Nothing is asked for while the bar lasts, and the row is taken from the answer."""
    builder.frame(row(0, 2, 101.0), 0.0)
    assert not builder.due(at(1, 1_999), 2_000)
    assert builder.due(at(1, 2_000), 2_000)
    closed = builder.rows([row(0, 3, 104.0)], at(1, 2_000), 5.0)
    assert [(bar.close, bar.source) for bar in closed] == [(104.0, Source.REST)]


def test_a_row_that_was_still_forming_is_not_taken(builder):
    """REST's last row is the forming one; the time of asking tells, not the row."""
    assert builder.rows([row(0, 3)], at(0, STEP - 1), 0.0) == []
    assert numbers(builder.rows([row(0, 3)], at(1), 0.0)) == [0]


def test_a_later_row_proves_an_earlier_one_closed(builder):
    """Even when our own clock is behind."""
    assert numbers(builder.rows([row(0), row(1)], at(0), 0.0)) == [0]


def test_after_a_lost_connection_the_stream_is_not_trusted(builder):
    """The last trades of the bar may have been missed: REST has to be asked."""
    builder.frame(row(0, 2, 101.0), 0.0)
    builder.broken()
    assert builder.frame(row(1), 0.0) == []
    assert builder.due(at(1), 2_000)
    assert [bar.close for bar in builder.rows([row(0, 9, 109.0), row(1)], at(1), 0.0)] == [109.0]


def test_a_frame_of_the_same_bar_after_a_reconnect_heals_it(builder):
    """Frames are whole candles, so one that comes after the break has everything."""
    builder.frame(row(0, 2, 101.0), 0.0)
    builder.broken()
    builder.frame(row(0, 4, 104.0), 0.0)
    assert [bar.close for bar in builder.frame(row(1), 0.0)] == [104.0]


def test_missed_bars_are_filled_in_order(builder):
    """After an outage all bars come from REST, none is skipped."""
    builder.frame(row(0, 2), 0.0)
    builder.broken()
    assert builder.frame(row(4), 0.0) == []
    rows = [row(number, close=100.0 + number) for number in range(5)]
    closed = builder.rows(rows, at(4, 10), 0.0)
    assert numbers(closed) == [0, 1, 2, 3]
    assert numbers(builder.frame(row(5), 0.0)) == [4]


def test_an_absent_row_is_not_final_at_once(builder):
    """The venue fills minutes without trades later; only the third look makes a flat bar."""
    for _ in range(2):
        assert builder.rows([row(1)], at(2), 0.0) == []
    closed = builder.rows([row(1)], at(2), 0.0)
    assert numbers(closed) == [0, 1]
    flat = closed[0]
    assert (flat.open, flat.high, flat.low, flat.close, flat.volume) == (99.0,) * 4 + (0.0,)
    assert flat.source is Source.FLAT


def test_only_looks_under_one_connection_make_a_bar_flat(builder):
    """What made the stream fail may blind REST too: looks without it, or before it, are void."""
    for _ in range(5):
        assert builder.rows([row(1)], at(2), 0.0, unbroken=False) == []
    for _ in range(2):
        assert builder.rows([row(1)], at(2), 0.0) == []
    builder.broken()
    for _ in range(2):
        assert builder.rows([row(1)], at(2), 0.0) == []
    assert numbers(builder.rows([row(1)], at(2), 0.0)) == [0, 1]


@pytest.mark.parametrize("told_by", ["stream", "REST"])
def test_an_interval_of_which_a_trade_was_told_is_never_flat(builder, told_by):
    """REST that lacks its row, or lacks it again, is behind: the row is waited for."""
    if told_by == "stream":
        builder.frame(row(0, 2, 101.0), 0.0)
        builder.broken()
    else:
        builder.rows([row(0, 2, 101.0)], at(0, 30_000), 0.0)
    for _ in range(10):
        assert builder.rows([row(1)], at(2), 0.0) == []
    closed = builder.rows([row(0, 3, 104.0), row(1)], at(2), 0.0)
    assert [(bar.close, bar.source) for bar in closed[:1]] == [(104.0, Source.REST)]


def test_a_row_without_trades_is_no_trade(builder):
    """The venue may show an interval as a flat row, then lack it: that is flat as well."""
    builder.frame(row(0, 0, volume=0.0), 0.0)
    builder.broken()
    for _ in range(2):
        assert builder.rows([row(1)], at(2), 0.0) == []
    assert numbers(builder.rows([row(1)], at(2), 0.0)) == [0, 1]


def test_one_look_counts_for_every_row_that_it_lacks(builder):
    """After an outage a coin that rarely trades needs three answers, not three for each bar."""
    rows = [row(3), row(7)]
    for _ in range(2):
        assert builder.rows(rows, at(20), 0.0) == []
    closed = builder.rows(rows, at(20), 0.0)
    assert numbers(closed) == list(range(20))
    traded = [number for number in range(20) if closed[number].source is Source.REST]
    assert traded == [3, 7]


def test_an_absent_row_that_comes_after_all_is_taken(builder):
    """Looks before it do not count against it."""
    builder.rows([row(1)], at(2), 0.0)
    closed = builder.rows([row(0, close=98.0), row(1)], at(2), 0.0)
    assert [bar.source for bar in closed] == [Source.REST] * 2
    assert closed[0].close == 98.0


def test_a_bar_that_was_told_otherwise_later_is_noticed(builder):
    """It is not changed any more, but it is known."""
    builder.frame(row(0, 2, 101.0, volume=2.0), 0.0)
    given_out = builder.frame(row(1), 0.0)[0]
    assert builder.revisions([row(0, 2, 101.0, volume=2.0), row(1)], at(1)) == []
    revised = builder.revisions([row(0, 3, 101.0, volume=2.5)], at(1))
    assert [(one.given, one.now.volume) for one in revised] == [(given_out, 2.5)]


def test_an_answer_that_was_on_its_way_while_a_bar_closed_revises_nothing(builder):
    """Its row of that bar is of a time when more was to come."""
    builder.frame(row(0, 1, 101.0), 0.0)
    answer = [row(0, 1, 101.0)]
    builder.frame(row(0, 4, 104.0), 0.0)
    builder.frame(row(1), 0.0)
    assert builder.revisions(answer, at(0, 30_000)) == []
    assert len(builder.revisions([*answer, row(1)], at(0, 30_000))) == 1


def test_candles_of_something_else_are_refused(builder):
    """Another coin, another interval, and one between two bars."""
    for wrong in (row(0, coin="ETH"), row(0, interval="5m")):
        with pytest.raises(IntegrityError):
            builder.frame(wrong, 0.0)
    shifted = Row("BTC", "1m", START + 1, START + STEP, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
    with pytest.raises(DataError, match="grid"):
        builder.frame(shifted, 0.0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(EVENTS), min_size=48, max_size=48))
def test_whatever_arrives_bars_are_consecutive_and_true(events):
    """Frames lost, doubled and late, breaks and answers at any time: each bar comes once."""
    true = [row(number, 4, 100.0 + number % 7, 2.0) for number in range(12)]
    made = BarBuilder("BTC", "1m", STEP, flat_bar("BTC", START - STEP, 99.0))
    out = []
    for number in range(12):
        for trades in range(1, 5):
            what = events[4 * number + trades - 1]
            part = true[number] if trades == 4 else row(number, trades, 100.0, 1.0)
            if what in ("frame", "twice"):
                out += made.frame(part, 0.0)
                out += made.frame(part, 0.0) if what == "twice" else []
            if what == "broken" or (what == "lost" and trades == 4):
                made.broken()  # a stream that holds loses no frame
            if what == "rest":
                out += made.rows([*true[:number], part], at(number, 1), 0.0)
    out += made.rows(true, at(12), 0.0)

    assert numbers(out) == list(range(12))
    assert [bar.close for bar in out] == [one.close for one in true]
    assert [bar.volume for bar in out] == [one.volume for one in true]


# --- several coins --------------------------------------------------------------------------------


def bar(coin, number):
    """Return a bar of *coin*."""
    return Bar(coin, at(number), 1.0, 1.0, 1.0, 1.0, 1.0, Source.STREAM)


@pytest.fixture
def barrier():
    """Return a barrier for three coins."""
    return Barrier("ABC")


def groups(barrier):
    """Return number and coins of the groups that go."""
    return [
        ((group.opened - START) // STEP, "".join(sorted(group.bars))) for group in barrier.release()
    ]


@pytest.mark.parametrize("order", list(itertools.permutations("ABC")))
def test_bars_of_one_time_go_together(barrier, order):
    """Whichever comes last lets all go, at once."""
    for coin in order[:2]:
        barrier.add(bar(coin, 0))
        assert groups(barrier) == []
    barrier.add(bar(order[2], 0))
    assert groups(barrier) == [(0, "ABC")]
    assert groups(barrier) == []


def test_all_wait_for_a_coin_that_is_behind_and_then_go_in_order(barrier):
    """However far ahead the others are, no group goes without it."""
    for number in range(50):
        barrier.add(bar("A", number))
        barrier.add(bar("B", number))
        assert groups(barrier) == []
    for number in range(20):
        barrier.add(bar("C", number))
    assert groups(barrier) == [(number, "ABC") for number in range(20)]


@QUICK
@given(st.permutations([coin for coin in "ABC" for _ in range(6)]))
def test_every_group_is_complete_and_comes_once_in_order(arrivals):
    """Whatever the order of arrival among coins, a group goes with the last bar of its time."""
    made = Barrier("ABC")
    count = dict.fromkeys("ABC", 0)
    seen = []
    for coin in arrivals:
        made.add(bar(coin, count[coin]))
        count[coin] += 1
        seen += groups(made)
        assert len(seen) == min(count.values())
    assert seen == [(number, "ABC") for number in range(6)]
