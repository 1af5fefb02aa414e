"""The one decision: what follows from a view, a setup and the rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ftbt.data.candles import BAR
from ftbt.ranges import pack
from ftbt.risk.sizing import BY_EXPOSURE, BY_RISK
from ftbt.strategy import LIMIT, STOP_LIMIT, SetupStrategy
from ftbt.strategy.decide import clear_setup, decide
from ftbt.strategy.parameters import ranges_of, resolve
from ftbt.strategy.records import (
    CANCEL,
    ENTER,
    EXIT,
    EXIT_INVALIDATION,
    EXIT_TIME,
    INTENT,
    NOTHING,
    RULES,
    SETUP,
    VIEW,
    Refusal,
)

OPEN_ROOM = dict(notional=1e9, risk_per_trade=1.0)
USUAL_SETUP = dict(side=1, stop=98.0, target1=103.0, target2=106.0, confidence=100.0)


def decided(
    setup: dict[str, Any] | None = None,
    view: dict[str, Any] | None = None,
    rules: dict[str, Any] | None = None,
    room: dict[str, Any] | None = None,
    **parameters: Any,
) -> Any:
    """The intent at a close of 100 with 10,000 of equity and room for any entry."""
    records = {"setup": np.zeros(1, SETUP), "view": np.zeros(1, VIEW), "rules": np.zeros(1, RULES)}
    clear_setup(records["setup"][0])
    usual_rules = dict(size_decimals=3, min_notional=10.0, leverage=10.0, cost_rate=0.0)
    wanted = {
        "setup": USUAL_SETUP if setup is None else setup,
        "view": {"equity": 10_000.0, **(view or {})},
        "rules": {**usual_rules, **(rules or {})},
    }
    for name, values in wanted.items():
        for field, value in values.items():
            records[name][field] = value
    for field, value in {**OPEN_ROOM, **(room or {})}.items():
        records["view"]["room"][field] = value
    bar = np.zeros(1, BAR)
    for field in ("open", "high", "low", "close"):
        bar[field] = 100.0
    packed = pack(ranges_of(SetupStrategy), resolve(SetupStrategy, parameters))
    intent = np.zeros(1, INTENT)
    decide(
        records["view"][0], records["setup"][0], bar[0], packed[0], records["rules"][0], intent[0]
    )
    return intent[0]


def test_a_setup_becomes_a_bracket_of_the_risked_size() -> None:
    """Flat and allowed, a setup enters with stop, two targets and half leaving at the first."""
    got = decided()

    assert got["action"] == ENTER
    assert got["size"] == 100.0
    assert got["size1"] == 50.0
    assert (got["stop"], got["target1"], got["target2"]) == (98.0, 103.0, 106.0)


def test_two_confidences_give_two_sizes() -> None:
    """Confidence changes what is bought, not only what is shown."""
    low = decided({**USUAL_SETUP, "confidence": 40.0})
    high = decided({**USUAL_SETUP, "confidence": 80.0})

    assert high["size"] == pytest.approx(low["size"] * 0.9 / 0.7, rel=1e-3)


def test_shorts_mirror_longs() -> None:
    """The mirrored setup gives the mirrored intent of the same size."""
    got = decided(dict(side=-1, stop=102.0, target1=97.0, target2=94.0, confidence=100.0))

    assert (got["action"], got["side"], got["size"], got["size1"]) == (ENTER, -1, 100.0, 50.0)


@pytest.mark.parametrize(
    ("setup", "parameters", "refusal"),
    [
        ({"stop": 101.0}, {}, Refusal.BAD_GEOMETRY),
        ({"stop": 100.0}, {}, Refusal.BAD_GEOMETRY),
        ({"stop": np.nan}, {}, Refusal.BAD_GEOMETRY),
        ({"stop": -5.0}, {}, Refusal.BAD_GEOMETRY),
        ({"target1": 99.0}, {}, Refusal.BAD_GEOMETRY),
        ({"target2": 102.0}, {}, Refusal.BAD_GEOMETRY),
        ({}, {"min_rr": 3.5}, Refusal.LOW_REWARD),
        ({"confidence": 59.0}, {"min_confidence": 60.0}, Refusal.LOW_CONFIDENCE),
        ({}, {"direction": "short"}, Refusal.DIRECTION),
        ({"kind": LIMIT, "entry": np.nan}, {}, Refusal.BAD_GEOMETRY),
    ],
)
def test_each_refusal_names_its_reason(
    setup: dict[str, Any], parameters: dict[str, Any], refusal: Refusal
) -> None:
    """A setup that is not taken leaves a reason and no order."""
    got = decided({**USUAL_SETUP, **setup}, **parameters)

    assert (got["action"], got["refusal"]) == (NOTHING, refusal)


def test_an_order_below_the_smallest_notional_is_not_sent() -> None:
    """With too little equity for the venue's smallest order nothing is sent, and it is counted."""
    got = decided(view={"equity": 1.0})

    assert (got["action"], got["refusal"]) == (NOTHING, Refusal.MIN_NOTIONAL)


def test_ruin_ends_entries() -> None:
    """Without equity there is no entry."""
    assert decided(view={"equity": 0.0})["refusal"] == Refusal.NO_EQUITY


def test_parts_too_small_for_an_order_leave_together() -> None:
    """When one half would be below the smallest order, everything leaves at the first target."""
    got = decided(view={"equity": 10.0}, rules={"min_notional": 6.0})

    assert got["size1"] == got["size"]


def test_a_single_target_takes_everything() -> None:
    """Without a second target the whole size leaves at the first."""
    got = decided({**USUAL_SETUP, "target2": np.nan})

    assert got["size1"] == got["size"] == 100.0


def test_a_stop_limit_is_sized_for_its_limit() -> None:
    """A stop-limit may fill as far as its limit, so the risk is counted from there."""
    wanted = dict(side=1, kind=STOP_LIMIT, entry=101.0, limit=102.0, stop=98.0, target1=110.0)
    got = decided({**wanted, "confidence": 100.0})

    assert got["size"] == 50.0


def test_prices_are_cut_to_the_tick() -> None:
    """Stop and targets leave as prices that the venue accepts: five figures."""
    got = decided({**USUAL_SETUP, "stop": 98.123456, "target1": 103.98765})

    assert (got["stop"], got["target1"]) == (98.123, 103.99)


def test_a_position_is_left_when_its_time_is_over() -> None:
    """At the close of its last allowed bar a position gets a closing market order, once."""
    view = {"position": 1.0, "bars_held": 96}

    assert decided({}, view)["action"] == EXIT
    assert decided({}, view)["exit_reason"] == EXIT_TIME
    assert decided({}, {**view, "bars_held": 95})["action"] == NOTHING
    assert decided({}, {**view, "leaving": 1})["action"] == NOTHING


def test_a_position_is_left_when_its_idea_is_dead() -> None:
    """Invalidation closes the position on its own side only, unless it is switched off."""
    dead = {"exit_long": 1}

    assert decided(dead, {"position": 1.0})["exit_reason"] == EXIT_INVALIDATION
    assert decided(dead, {"position": -1.0})["action"] == NOTHING
    assert decided(dead, {"position": 1.0}, exit_on_choch=False)["action"] == NOTHING


def test_a_waiting_entry_is_cancelled_when_old_or_dead() -> None:
    """After `valid_bars`, or when invalidated, a waiting entry is cancelled."""
    assert decided({}, {"pending": 1, "pending_bars": 8})["action"] == CANCEL
    assert decided({}, {"pending": 1, "pending_bars": 7})["action"] == NOTHING
    assert decided({"exit_short": 1}, {"pending": -1, "pending_bars": 1})["action"] == CANCEL


def test_one_position_and_one_waiting_entry_at_a_time() -> None:
    """A setup during a position or a waiting entry is counted as refused, not taken."""
    assert decided(view={"position": 1.0})["refusal"] == Refusal.IN_POSITION
    assert decided(view={"pending": 1})["refusal"] == Refusal.ENTRY_PENDING


# --- room that the limits on risk leave -----------------------------------------------------------


def test_a_limit_that_forbids_entries_is_the_refusal() -> None:
    """A setup that is fine in itself is refused with the rule, the figure and the limit."""
    got = decided(room=dict(blocked=int(Refusal.DAILY_LOSS), figure=0.06, limit=0.05))
    assert (got["action"], got["refusal"]) == (NOTHING, Refusal.DAILY_LOSS)
    assert (got["figure"], got["boundary"]) == (0.06, 0.05)


def test_a_setup_that_is_wrong_in_itself_is_refused_for_that() -> None:
    """What the account leaves is not asked for a setup that fails its own rules."""
    blocked = dict(blocked=int(Refusal.POSITIONS), figure=3.0, limit=3.0)
    got = decided({**USUAL_SETUP, "stop": 101.0}, room=blocked)
    assert got["refusal"] == Refusal.BAD_GEOMETRY


def test_an_entry_is_cut_to_the_room() -> None:
    """The size shrinks to what the exposure leaves, and says what bound it."""
    got = decided(room=dict(notional=4_000.0, smallest_share=0.1))
    assert (got["action"], got["size"], got["size1"]) == (ENTER, 40.0, 20.0)
    assert got["bound"] == BY_EXPOSURE
    assert decided()["bound"] == BY_RISK


@pytest.mark.parametrize(("notional", "entered"), [(1_000.0, True), (990.0, False), (0.0, False)])
def test_an_entry_that_would_be_cut_to_a_crumb_is_refused(notional: float, entered: bool) -> None:
    """Below the smallest share of its size an entry is refused by the limit that is narrow."""
    narrow = dict(narrow=int(Refusal.TOTAL_EXPOSURE), narrow_figure=0.19, narrow_limit=0.2)
    got = decided(room=dict(notional=notional, smallest_share=0.1, **narrow))
    assert (got["action"] == ENTER) == entered
    if not entered:
        assert got["refusal"] == Refusal.TOTAL_EXPOSURE
        assert (got["figure"], got["boundary"]) == (0.19, 0.2)


def test_the_smaller_risk_per_trade_counts() -> None:
    """The account's limit on the risk of a trade caps the strategy's own parameter."""
    assert decided(room=dict(risk_per_trade=0.005))["size"] == 25.0
    assert decided(room=dict(risk_per_trade=0.05))["size"] == decided()["size"]


def test_a_waiting_entry_is_withdrawn_when_a_loss_limit_is_reached() -> None:
    """Halted, a waiting entry is cancelled at once; a position is left alone."""
    waits = dict(pending=1, pending_bars=1)
    assert decided({}, waits)["action"] == NOTHING
    assert decided({}, waits, room=dict(halted=1))["action"] == CANCEL
    held = dict(position=5.0, bars_held=3)
    assert decided({}, held, room=dict(halted=1))["action"] == NOTHING
