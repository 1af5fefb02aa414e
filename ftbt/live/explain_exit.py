"""Rules for exits that are not the same."""

from __future__ import annotations

from ftbt.backtest.result import ExitReason
from ftbt.data.timeframe import show_ms
from ftbt.live.case import (
    Case,
    Found,
    by_role,
    fault,
    gap,
    inside,
    orders_row,
    refused_by_exchange,
    slipped,
    touched,
)
from ftbt.live.causes import Cause
from ftbt.live.trips import TARGETS, Trip, bar_open

_BY_ORDER_OF_THE_BOT = {ExitReason.TIME, ExitReason.INVALIDATION, ExitReason.SIGNAL}
_TARGET_REASONS = {ExitReason.TARGET1, ExitReason.TARGET2}


# --- exits of both --------------------------------------------------------------------------------


def _stopped(case: Case) -> Found:
    """The session ended before the back-test's exit."""
    expected, actual = case.both()
    if actual.exit_reason == ExitReason.END:
        return Cause.STOPPED, f"closed at the end of the session, {show_ms(actual.exit_ms)}"
    time = case.context.actual.time
    if not actual.finished and (not len(time) or int(time[-1]) <= expected.exit_ms):
        return Cause.STOPPED, "still open when the session ended"
    return None


def _entered_elsewhere(case: Case) -> Found:
    expected, actual = case.both()
    if expected.entry_ms != actual.entry_ms:
        return Cause.FOLLOWS, "it was entered in another bar"
    return None


def _not_live_at_exit(case: Case) -> Found:
    """The back-test left by a market order that the bot did not decide on."""
    expected, _ = case.both()
    order = orders_row(case.context.expected, expected.exits[-1]) if expected.exits else None
    if order is None or ExitReason(expected.exit_reason) not in _BY_ORDER_OF_THE_BOT:
        return None
    decided = bar_open(case.context.expected, int(order["bar"]))
    if case.context.decided(decided):
        return None
    return Cause.NOT_LIVE, f"nothing was decided at the close of {show_ms(decided)}"


def _partial_target(case: Case) -> Found:
    """A target of the session was filled in part only, while the back-test's was filled."""
    expected, actual = case.both()
    half = 0.5 * case.context.evidence.lot(actual.symbol)
    for part in actual.exits:
        order = orders_row(case.context.actual, part)
        if order is None or part.role not in TARGETS:
            continue
        filled, asked = float(order["filled"]), float(order["size"])
        if 0.0 < filled < asked - half and any(one.role == part.role for one in expected.exits):
            return Cause.PARTIAL_FILL, f"{filled:g} of {asked:g} at the target"
    return None


def passed(case: Case) -> Found:
    """A target that took liquidity where the back-test's made it."""
    expected, actual = case.both()
    made = {one.role for one in expected.exits if one.maker}
    for part in actual.exits:
        if part.role in TARGETS and not part.maker and part.role in made:
            return Cause.PASSED, f"taken at {part.price:g}"
    return None


def _touched_exit(case: Case) -> Found:
    """The target of the side that took it was a bar's extreme."""
    expected, actual = case.both()
    for one in (actual, expected):
        for part in one.exits:
            if part.role in TARGETS and part.maker:
                found = touched(case, part.price, part.side, part.time_ms)
                if found is not None:
                    return found
    return None


def _inside_exit(case: Case) -> Found:
    """Two of the trade's prices lie in the bar of the earlier exit."""
    expected, actual = case.both()
    ends = [one.exit_at for one in (expected, actual) if one.finished]
    levels = (expected.entry_price, expected.stop, *expected.targets)
    return inside(case, min(ends), levels) if ends else None


def _late_exit(case: Case) -> Found:
    expected, actual = case.both()
    same = expected.exit_reason == actual.exit_reason
    if not same or ExitReason(actual.exit_reason) not in _BY_ORDER_OF_THE_BOT:
        return None
    if actual.exit_ms <= expected.exit_ms:
        return None
    late = (actual.exit_ms - expected.exit_ms) // case.context.frame
    return Cause.LATE, f"{late} bars after the back-test's"


def _slipped_exit(case: Case) -> Found:
    expected, actual = case.both()
    if not _same_levels(case, expected, actual):
        return None
    return slipped(case, expected.exits, actual.exits)


def _gap_exit(case: Case) -> Found:
    expected, actual = case.both()
    for one, other in by_role(expected.exits, actual.exits):
        found = gap(case, one, other)
        if found is not None:
            return found
    return None


def _same_levels(case: Case, expected: Trip, actual: Trip) -> bool:
    """Tell whether the last exit orders of both stood at the same price."""
    one = orders_row(case.context.expected, expected.exits[-1])
    other = orders_row(case.context.actual, actual.exits[-1])
    if one is None or other is None:
        return True
    return case.same_price(float(one["price"]), float(other["price"]))


EXIT = (
    _stopped, _entered_elsewhere, _not_live_at_exit, refused_by_exchange, _partial_target,
    passed, _touched_exit, _inside_exit, _late_exit, fault,
)  # fmt: skip
EXIT_PRICE = (_partial_target, passed, _gap_exit, _slipped_exit, fault)
