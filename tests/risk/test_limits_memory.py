"""What the limits on risk remember: days, weeks, the breaker, and that bars may be left out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_kit import FREE, MONDAY, account, at, blocked, close, holdings, room

from ftbt.data.timeframe import DAY_MS, WEEK_MS
from ftbt.risk.limits import Limits, Rule, mark, reset_breaker, roll, start_risk

# --- days, weeks, the breaker ------------------------------------------------------------------

DAILY = dict(daily_loss=0.05)
WEEKLY = dict(weekly_loss=0.10)
BREAKER = dict(drawdown=0.20, breaker_days=3)
LOST_DAY, LOST_WEEK, FALLEN = int(Rule.DAILY_LOSS), int(Rule.WEEKLY_LOSS), int(Rule.DRAWDOWN)

# limits, then (days after a Monday, hours, equity at that bar's close, what an entry meets then)
STORIES: dict[str, tuple[dict[str, Any], list[tuple[float, float, float, int]]]] = {
    "a day's loss counts from the close before midnight": (
        DAILY,
        [(0, 0, 1000.0, FREE), (0, 18, 980.0, FREE), (1, 0, 932.0, FREE), (1, 6, 931.0, LOST_DAY)],
    ),
    "a loss of exactly the limit reaches it": (DAILY, [(0, 0, 950.0, LOST_DAY)]),
    "a hair less does not": (DAILY, [(0, 0, 950.0001, FREE)]),
    "a recovery within the day does not let go": (
        DAILY,
        [(0, 4, 949.0, LOST_DAY), (0, 8, 1020.0, LOST_DAY), (0, 23.75, 1200.0, LOST_DAY)],
    ),
    "midnight lets go, and the day begins with what is left": (
        DAILY,
        [(0, 4, 949.0, LOST_DAY), (1, 0, 949.0, FREE),
         (1, 1, 902.0, FREE), (1, 2, 901.5, LOST_DAY)],
    ),
    "a gain of the day is not a cushion above the day's start": (
        DAILY,
        [(0, 4, 1100.0, FREE), (0, 8, 951.0, FREE), (0, 12, 950.0, LOST_DAY)],
    ),
    "a jump over days lets go of the day": (
        DAILY,
        [(0, 4, 940.0, LOST_DAY), (3, 7, 940.0, FREE), (3, 8, 892.0, LOST_DAY)],
    ),
    "midnight does not let go of the week, Monday does": (
        WEEKLY,
        [(0, 4, 960.0, FREE), (1, 4, 899.0, LOST_WEEK), (2, 0, 990.0, LOST_WEEK),
         (6, 23, 990.0, LOST_WEEK), (7, 0, 990.0, FREE),
         (8, 0, 892.0, FREE), (9, 0, 891.0, LOST_WEEK)],
    ),
    "a jump over weeks lets go of the week": (
        WEEKLY,
        [(5, 0, 900.0, LOST_WEEK), (24, 13, 900.0, FREE),
         (25, 0, 811.0, FREE), (26, 0, 810.0, LOST_WEEK)],
    ),
    "a jump from one week's middle into the next one's": (
        WEEKLY, [(2, 0, 900.0, LOST_WEEK), (9, 1, 900.0, FREE), (13, 0, 810.0, LOST_WEEK)],
    ),
    "the day's loss is let go while the week's holds": (
        {**DAILY, **WEEKLY},
        [(0, 1, 945.0, LOST_DAY), (1, 1, 905.0, FREE), (1, 2, 897.0, LOST_WEEK),
         (2, 0, 897.0, LOST_WEEK), (7, 0, 897.0, FREE)],
    ),
    "the breaker measures from the highest close": (
        BREAKER, [(0, 1, 1500.0, FREE), (5, 0, 1201.0, FREE), (40, 0, 1200.0, FALLEN)],
    ),
    "the breaker holds its days and then until midnight": (
        BREAKER,
        [(0, 6, 800.0, FALLEN), (3, 0, 800.0, FALLEN), (3, 6, 990.0, FALLEN),
         (3, 18, 990.0, FALLEN), (4, 0, 990.0, FREE)],
    ),
    "a breaker of a first bar ends at the third midnight after": (
        BREAKER, [(0, 0, 800.0, FALLEN), (2, 23, 800.0, FALLEN), (3, 0, 800.0, FREE)],
    ),
    "a deeper fall does not prolong the breaker": (
        BREAKER, [(0, 0, 800.0, FALLEN), (2, 0, 400.0, FALLEN), (3, 0, 400.0, FREE)],
    ),
    "after the breaker the fall counts from the equity of then": (
        BREAKER,
        [(0, 0, 800.0, FALLEN), (3, 0, 800.0, FREE), (3, 4, 641.0, FREE), (3, 8, 640.0, FALLEN),
         (6, 0, 640.0, FALLEN), (7, 0, 640.0, FREE)],
    ),
    "a jump beyond the breaker's end ends it": (
        BREAKER,
        [(0, 6, 700.0, FALLEN), (90, 5, 700.0, FREE), (90, 6, 561.0, FREE), (91, 0, 560.0, FALLEN)],
    ),
    "a jump into the breaker's last hours does not end it": (
        BREAKER, [(0, 6, 800.0, FALLEN), (3, 7, 800.0, FALLEN), (4, 0, 800.0, FREE)],
    ),
    "the breaker does not end at a weekly midnight, nor the week with the breaker": (
        {**BREAKER, **WEEKLY},
        [(5, 0, 800.0, FALLEN), (7, 0, 800.0, FALLEN), (7, 4, 710.0, FALLEN),
         (8, 0, 710.0, LOST_WEEK), (14, 0, 710.0, FREE)],
    ),
    "the day's start is the capital before anything happened": (
        {**DAILY, **WEEKLY, **BREAKER}, [(3, 5, 951.0, FREE), (3, 6, 790.0, FALLEN)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_limits_on_losses_hold_and_let_go(story: str) -> None:
    """A loss is measured from its day, week or peak, stays reached, and is let go when it says."""
    limits, bars = STORIES[story]
    risk = account(**limits)

    for days, hours, equity, expected in bars:
        close(risk, at(days, hours), equity)
        assert blocked(risk) == expected, (days, hours)
        assert bool(risk["halted"]) == (expected != FREE)


def test_a_week_begins_on_mondays_at_midnight_utc() -> None:
    """A loss of a week is let go by a Monday 00:00 UTC and by no other midnight, in any century."""
    day = datetime(1970, 1, 1, tzinfo=UTC)
    for _ in range(4000):
        day += timedelta(days=7 * 3 - 1)
        time = int(day.timestamp() * 1000)
        risk = account(**WEEKLY)
        close(risk, time - DAY_MS, 900.0)
        assert blocked(risk) == LOST_WEEK

        roll(risk, time)

        assert blocked(risk) == (FREE if day.isoweekday() == 1 else LOST_WEEK), day


def test_what_was_lost_is_told() -> None:
    """A refusal's figure is the loss at the close that reached the limit, its limit the setting."""
    risk = account(**DAILY)
    close(risk, at(0), 930.0)
    close(risk, at(0, 4), 700.0)

    found = room(risk)

    assert (found["blocked"], found["limit"]) == (LOST_DAY, 0.05)
    assert found["figure"] == pytest.approx(0.07, rel=1e-12)


def test_a_new_day_within_a_bar_waits_for_the_next_bar() -> None:
    """A bar belongs to the day it opens in: what it loses counts there, also beyond midnight."""
    risk = account(**DAILY)
    close(risk, at(0, 22), 940.0)  # a bar of four hours, which closes at 02:00

    assert blocked(risk) == LOST_DAY

    roll(risk, at(1, 2))

    assert blocked(risk) == FREE


# --- the breaker by hand -----------------------------------------------------------------------


def test_a_human_ends_the_breaker_at_once() -> None:
    """`reset_breaker` lets entries through and measures from the present equity."""
    risk = account(**BREAKER)
    close(risk, at(0, 6), 700.0)
    close(risk, at(0, 8), 750.0)

    reset_breaker(risk)

    assert blocked(risk) == FREE
    assert not risk["halted"]
    close(risk, at(0, 9), 601.0)
    assert blocked(risk) == FREE
    close(risk, at(0, 10), 600.0)
    assert blocked(risk) == FALLEN


def test_a_human_does_not_end_the_day_s_loss() -> None:
    """`reset_breaker` leaves losses of day and week as they are."""
    risk = account(**BREAKER, **DAILY, **WEEKLY)
    close(risk, at(0, 6), 700.0)

    reset_breaker(risk)

    assert blocked(risk) == LOST_WEEK
    assert risk["halted"]
    roll(risk, at(1))
    assert blocked(risk) == LOST_WEEK
    roll(risk, at(7))
    assert blocked(risk) == FREE


def test_a_reset_without_a_breaker_moves_the_peak_only() -> None:
    """`reset_breaker` on a sound account blocks nothing, and the peak is the present equity."""
    risk = account(**BREAKER)
    close(risk, at(0), 900.0)

    reset_breaker(risk)

    close(risk, at(0, 1), 721.0)
    assert blocked(risk) == FREE
    close(risk, at(0, 2), 720.0)
    assert blocked(risk) == FALLEN


# --- ruin ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [Limits(), Limits.none()])
def test_ruin_raises_nothing(limits: Limits) -> None:
    """With no equity left the limits go on, hold every entry back, and stay finite."""
    risk = start_risk(limits, 1000.0)[0]
    close(risk, at(0), 0.0)
    held = holdings(dict(waiting=5.0, waiting_price=100.0))
    for hours in range(1, 24 * 70, 7):
        close(risk, at(0, hours), 0.0)
        found = room(risk, held)
        assert found["blocked"]
        for name in ("figure", "limit", "notional"):
            assert not np.isnan(found[name])
    for name in ("day_lost", "week_lost", "fallen"):
        assert 0.0 <= risk[name] <= 1.0
    reset_breaker(risk)
    assert risk["peak"] == 0.0


# --- jumping over bars at which nothing is held --------------------------------------------------

BARS_A_DAY = 4
LOSSES = st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


@st.composite
def histories(draw: Any) -> tuple[dict[str, Any], int, list[tuple[bool, float]]]:
    """Return limits, a first time, and for each bar whether anything is held and the move then."""
    limits = dict(
        daily_loss=draw(LOSSES),
        weekly_loss=draw(LOSSES),
        drawdown=draw(LOSSES),
        breaker_days=draw(st.sampled_from([1, 2, 3, 7, 30])),
    )
    move = st.sampled_from([1.0, 1.01, 0.99, 1.1, 0.96, 0.9, 0.8, 0.5, 2.0])
    held = st.lists(st.tuples(st.just(True), move), min_size=1, max_size=12)
    flat = st.integers(1, 10 * BARS_A_DAY).map(lambda n: [(False, 1.0)] * n)
    parts = draw(st.lists(held | flat, min_size=1, max_size=12))
    first = draw(st.integers(0, 7 * BARS_A_DAY)) * DAY_MS // BARS_A_DAY
    return limits, MONDAY + first, [bar for part in parts for bar in part]


def _run(history: Any, times: Iterable[int], *, jump: bool) -> list[bytes]:
    """Return the memory at each bar of *times*, when they are called at every bar or with jumps."""
    limits, first, bars = history
    risk = account(**limits)
    asked, equity, found = set(times), 1000.0, []
    for number, (held, move) in enumerate(bars):
        time = first + number * DAY_MS // BARS_A_DAY
        equity *= move
        if held or number in asked or not jump:
            roll(risk, time)
        if held or not jump:
            mark(risk, equity, time)
        if number in asked:
            found.append(risk.tobytes())
    return found


@settings(deadline=None, max_examples=300)
@given(histories(), st.sets(st.integers(0, 150), max_size=10))
def test_bars_at_which_nothing_is_held_may_be_jumped_over(history: Any, asked: set[int]) -> None:
    """What the limits remember at a decision does not depend on calls while nothing was held."""
    assert _run(history, asked, jump=True) == _run(history, asked, jump=False)


def test_a_week_of_jumps_meets_all_losses() -> None:
    """The jumps above do reach every loss: here is one that ends day, week and breaker at once."""
    bars = [(True, 0.7), *[(False, 1.0)] * (8 * BARS_A_DAY), (True, 1.0)]
    history = dict(daily_loss=0.1, weekly_loss=0.2, drawdown=0.3, breaker_days=2), MONDAY, bars
    first, last = 0, len(bars) - 1
    before, after = (
        np.frombuffer(one, dtype=account().dtype)[0]
        for one in _run(history, (first, last), jump=True)
    )
    assert all(before[name] > 0.0 for name in ("day_lost", "week_lost", "fallen", "halted"))
    assert not any(after[name] for name in ("day_lost", "week_lost", "fallen", "halted"))
    assert after["next_day"] - before["next_day"] == DAY_MS + WEEK_MS
