"""When REST is asked about a coin: once at a time, with pauses that grow and end."""

from __future__ import annotations

import pytest

from ftbt.hyperliquid.pacing import Pacing


@pytest.fixture
def pacing():
    """Return a pacing with a pause of 1.5 s."""
    return Pacing(1.5)


def test_one_question_about_a_coin_at_a_time(pacing):
    """However long its answer takes; other coins are asked about meanwhile."""
    assert pacing.may_ask("A", 0.0)
    assert not any(pacing.may_ask("A", moment) for moment in range(1, 1000))
    assert pacing.may_ask("B", 1000.0)
    pacing.answered("A", 1000.0, usable=True)
    assert not pacing.may_ask("A", 1001.4)
    assert pacing.may_ask("A", 1001.5)


def test_pauses_double_while_there_is_no_answer_and_start_anew_with_one(pacing):
    """Up to 24 s: an outage of an hour costs few requests."""
    moment = 0.0
    answers = [False] * 6 + [True, False]
    pauses = [3.0, 6.0, 12.0, 24.0, 24.0, 24.0, 1.5, 3.0]
    for usable, pause in zip(answers, pauses, strict=True):
        assert pacing.may_ask("A", moment)
        pacing.answered("A", moment, usable=usable)
        assert not pacing.may_ask("A", moment + pause - 0.1)
        moment += pause


def test_a_connection_ends_all_pauses(pacing):
    """What comes back is asked for at once, but not twice."""
    for coin in "AB":
        assert pacing.may_ask(coin, 0.0)
    for _ in range(4):
        pacing.answered("A", 0.0, usable=False)
    assert not pacing.may_ask("A", 1.0)
    pacing.lift()
    assert pacing.may_ask("A", 1.0)
    assert not pacing.may_ask("B", 1.0)
