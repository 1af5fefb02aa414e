"""The budgets: what may be used, who waits, who goes first."""

from __future__ import annotations

import threading

import pytest

from ftbt.errors import RateLimitError
from ftbt.hyperliquid.budget import (
    Budget,
    Priority,
    action_weight,
    answer_weight,
    info_weight,
)
from ftbt.localnet import limits


class Wall:
    """A clock that moves when somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def wall():
    """Return a clock."""
    return Wall()


@pytest.fixture
def budget(wall):
    """Return a budget on that clock: 1020 weight a minute."""
    return Budget(0.85, wall, wall.sleep)


@pytest.mark.parametrize(
    ("priority", "most"),
    [(Priority.READ, 663), (Priority.TRADE, 867), (Priority.PROTECT, 1200)],
)
def test_no_minute_uses_more_than_is_allowed(budget, wall, priority, most):
    """Wherever a minute begins, it holds at most the priority's part; protection the venue's."""
    uses = []
    while wall.now < 400.0:
        budget.take(17, priority, 1e9)
        uses.append(wall.now)
        wall.now += 0.05
    heaviest = max(17 * sum(first <= t < first + 60 for t in uses) for first in uses)
    assert most - 17 < heaviest <= most


def test_requests_wait_for_their_turn(budget, wall):
    """Who finds too little room waits exactly until it is there."""
    budget.take(600, Priority.READ, 0)
    wall.now += 10
    budget.take(63, Priority.READ, 0)
    before = wall.now
    budget.take(17, Priority.READ, 55)
    assert wall.now - before == pytest.approx(50.0)
    assert budget.spent().waited_s == pytest.approx(50.0)


def test_who_cannot_wait_is_refused_and_uses_nothing(budget):
    """The error tells how long it would take; the budget is as before."""
    budget.take(1020 * 0.65, Priority.READ, 0)
    before = budget.spent()
    with pytest.raises(RateLimitError, match="has to wait 60 s"):
        budget.take(102, Priority.READ, 1.0)
    assert budget.spent().weight == before.weight
    assert budget.spent().refused == 1


def test_protection_goes_before_trading_before_reading(budget):
    """Reads stop first, entries next; a stop or cancel still goes out with nothing left."""
    budget.take(1020 * 0.65, Priority.READ, 0)
    with pytest.raises(RateLimitError):
        budget.take(2, Priority.READ, 0)
    budget.take(1020 * 0.2, Priority.TRADE, 0)
    with pytest.raises(RateLimitError):
        budget.take(2, Priority.TRADE, 0)
    for _ in range(150):
        budget.take(1, Priority.PROTECT, 0)
    assert budget.spent().weight > 1000


def test_the_weight_of_an_answer_is_counted_afterwards(budget):
    """After a long answer the next request waits until it is a minute old."""
    budget.take(20, Priority.READ, 0)
    budget.add(1500)
    with pytest.raises(RateLimitError):
        budget.take(20, Priority.TRADE, 59)


def test_the_venues_no_closes_the_door_for_a_while(budget, wall):
    """After HTTP 429 nothing but protection is sent until the pause is over."""
    budget.venue_said_stop(7.0)
    with pytest.raises(RateLimitError):
        budget.take(2, Priority.TRADE, 5.0)
    budget.take(1, Priority.PROTECT, 0)
    wall.now += 80
    budget.take(2, Priority.TRADE, 0)
    assert budget.spent().limited == 1


def test_the_accounts_last_requests_are_for_cancels_and_stops(budget):
    """Entries are refused before the account's requests are used up, protection is not."""
    budget.act(10, Priority.TRADE)  # not asked yet: nothing to go by
    budget.account_has(501)
    budget.act(1, Priority.TRADE)
    with pytest.raises(RateLimitError, match="500 requests left"):
        budget.act(1, Priority.TRADE)
    budget.act(400, Priority.PROTECT)
    assert budget.spent().actions_left == 100


def test_several_threads_share_one_budget():
    """What is taken at once by many is counted once each."""
    budget = Budget(1.0)
    threads = [
        threading.Thread(target=lambda: [budget.take(1, Priority.PROTECT, 9) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 390 < budget.spent().weight <= 400


@pytest.mark.parametrize(
    "kind",
    ["meta", "userRole", "orderStatus", "l2Book", "candleSnapshot", "userFills", "openOrders"],
)
def test_weights_are_those_of_the_exchange(kind):
    """Our table and the local exchange's, each from the documentation, agree."""
    rows = [{}] * 130
    assert info_weight(kind) == limits.info_weight(kind)
    assert answer_weight(kind, len(rows)) == limits.extra_weight(kind, rows)
    assert [action_weight(n) for n in (1, 39, 40, 200)] == [1, 1, 2, 6]
