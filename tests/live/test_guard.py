"""The guard of a session: what trips it, what it does, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import backtrader as bt
import pytest
from live_kit import COIN, SETTINGS, Scene, until
from test_live_users import Scripted, do

from ftbt.errors import ConfigError
from ftbt.live import control
from ftbt.live.guard import GuardLimits
from ftbt.risk.limits import Limits

LIMIT = 2
FREE = replace(SETTINGS, limits=Limits.none())


def trips(one: Scene) -> set[str]:
    """Return what nothing may be opened for."""
    return set(one.broker.events.trouble)


def alarms(one: Scene) -> list[str]:
    """Return what the journal has of trouble."""
    return [event.body["what"] for event in one.events("alarm")]


def opens_nothing(one: Scene) -> bool:
    """Have a setup, and tell whether it was refused before anything was sent."""
    legs = len(one.events("leg"))
    one.enter()
    return len(one.events("leg")) == legs and bool(one.events("refusal"))


def refuse_next(one: Scene) -> None:
    """Let the exchange refuse the next orders that are sent."""
    one.strike("batch_error", text="Insufficient margin to place order.", match={"type": "order"})


def ended(one: Scene) -> Any:
    """Wait for the session's end and return its last status."""
    until(lambda: one.ended, "the session has ended")
    one.raise_end()
    return one.ended[0]


# --- degraded -------------------------------------------------------------------------------------


def test_refusals_in_a_row_stop_entries_until_somebody_resumes(scene):
    """Not the breaker, and not for ever: a person says that it may go on."""
    one = scene(guard=GuardLimits(refusals=2))
    for _ in range(2):
        refuse_next(one)
        one.enter()
    until(lambda: "refusals" in trips(one), "the guard has stepped in")
    assert opens_nothing(one)
    control.wish(one.state, control.Wish.RESUME, reason="looked at it")
    until(lambda: "refusals" not in trips(one), "it was resumed")
    one.enter()
    one.check()
    assert one.position() > 0


def test_refusals_with_a_fill_between_them_are_no_streak(scene):
    """What fills shows that the exchange takes our orders."""
    one = scene(guard=GuardLimits(refusals=2))
    for _ in range(2):
        refuse_next(one)
        one.enter()
        one.enter()
        one.price(94)
        one.price(100)
    assert "refusals" not in alarms(one)


def test_market_fills_far_from_their_price_stop_entries(scene):
    """The mean of three counts; the position that is held keeps its stop."""
    one = scene(guard=GuardLimits(slippage=0.001))
    thin = {"bids": [["99.5", "9999"]], "asks": [["100.5", "9999"]]}
    one.net.control("/market/book", {"coin": COIN, **thin})
    try:
        for _ in range(2):
            one.enter(stop=90.0, target1=120.0, target2=130.0)
            one.leave()
            one.bars()
        until(lambda: "slippage" in trips(one), "the guard has stepped in")
    finally:
        one.net.control("/market/book", {"coin": COIN})
    assert opens_nothing(one)
    assert "slipped by" in one.broker.events.trouble["slippage"]


def test_an_hour_of_dear_funding_stops_entries_in_that_hour(scene):
    """What is held stays protected; nothing is added."""
    one = scene(guard=GuardLimits(funding_hour=0.001))
    one.enter()
    one.net.control("/funding", {"coin": COIN, "rate": 0.002})
    until(lambda: f"funding {COIN}" in trips(one), "the guard has stepped in")
    assert "pays 0.20% funding an hour" in one.broker.events.trouble[f"funding {COIN}"]
    assert len(one.orders()) == 3


def test_an_account_that_lacks_money_against_the_books_stops_entries(scene):
    """Somebody took money out: sizes and limits would be wrong."""
    one = scene(usd=9_000, guard=GuardLimits(equity_gap=0.05))
    until(lambda: "equity" in trips(one), "the guard has stepped in")
    assert opens_nothing(one)
    one.net.fund(one.user, 1_000)
    until(lambda: "equity" not in trips(one), "it is over by itself")
    one.enter()
    one.check()
    assert one.position() > 0


def test_a_clock_that_is_off_stops_entries(scene):
    """Bars would be decided late, or early."""
    one = scene()
    one.run.session.clock.skew_ms = 60_000
    until(lambda: one.run.data.nudge() or "clock" in trips(one), "the guard has stepped in")
    assert opens_nothing(one)
    one.run.session.clock.skew_ms = 0
    until(lambda: one.run.data.nudge() or "clock" not in trips(one), "it is over by itself")


def test_bars_that_do_not_come_stop_entries_until_they_do(scene):
    """On a market that goes on by the wall clock; a replay may stand still."""
    one = scene()
    guard = one.run.guard
    guard._step, guard._replay = 0.1, False
    until(lambda: one.run.data.nudge() or "stale data" in trips(one), "the guard has stepped in")
    assert "no new bar for" in one.broker.events.trouble["stale data"]
    guard._step = 900.0
    one.bars(settle=False)
    until(lambda: one.run.data.nudge() or "stale data" not in trips(one), "bars have come")


# --- critical -------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["flatten", "hold"])
def test_a_position_without_a_stop_for_too_long_ends_the_session(scene, policy):
    """It is closed, or held, as the owner chose; and nothing opens until somebody resumes."""
    one = scene(guard=GuardLimits(unprotected_bars=0.01, on_critical=policy))
    one.run.guard._step = 60.0  # 0.6 s
    one.enter(kind=LIMIT, entry=98.0)
    stop = {"type": "order", "grouping": "positionTpsl"}
    one.strike("server_error", lasts=3, match=stop)
    oid = next(o["oid"] for o in one.orders() if not o["isTrigger"])
    one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": 10})
    last = ended(one)
    assert last.over
    assert [event.body["what"] for event in one.events("critical")] == [f"no stop {COIN}"]
    assert one.position() == (0 if policy == "flatten" else 10)
    halt = control.halted(one.state)
    assert halt is not None
    assert "has had no working stop for" in halt.reason
    one.start()
    assert "halted" in one.broker.halted_by
    assert policy == "hold" or opens_nothing(one)
    control.lift(one.state)


def test_a_position_near_its_liquidation_without_a_stop_before_it_is_closed(scene):
    """Nothing else would end it but the venue, with all that is left."""
    one = scene(Scripted, guard=GuardLimits(liquidation=0.5), settings=FREE)
    do(one, lambda s: s.buy(size=250))
    assert ended(one).over
    assert [event.body["what"] for event in one.events("critical")] == [f"liquidation {COIN}"]
    assert one.position() == 0
    control.lift(one.state)


def test_a_stop_before_the_liquidation_keeps_the_position(scene):
    """It is told, and nothing is added; the stop comes first."""
    one = scene(Scripted, guard=GuardLimits(liquidation=0.5), settings=FREE)
    do(one, lambda s: s.buy_bracket(
        size=250, exectype=bt.Order.Market, stopprice=95, limitprice=120
    ))  # fmt: skip
    until(lambda: f"liquidation {COIN}" in trips(one), "the guard has stepped in")
    assert not one.ended
    one.check()
    assert one.position() == 250


# --- limits of its own ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"refusals": 0}, "refusals must be from 1 to 1000, not 0"),
        ({"slippage": float("nan")}, "slippage must be from"),
        ({"on_critical": "pray"}, "on_critical must be flatten or hold"),
    ],
)
def test_limits_out_of_their_ranges_are_refused(values, words):
    """In one line with name, range and value."""
    with pytest.raises(ConfigError, match=words):
        GuardLimits(**values)
