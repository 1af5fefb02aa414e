"""Rules for trades that one side lacks, and for entries that are not the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ftbt.backtest.result import Kind, Result, Role, Status
from ftbt.data.timeframe import show_ms
from ftbt.live.case import Case, Found, fault, gap, inside, refused_by_exchange, slipped, touched
from ftbt.live.causes import Cause
from ftbt.live.trips import Trip, bar_open
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

# A refusal for a reason that lies in what else the account holds or has lost.
_STATE_RULES = {
    Refusal.IN_POSITION, Refusal.ENTRY_PENDING, Refusal.DRAWDOWN, Refusal.WEEKLY_LOSS,
    Refusal.DAILY_LOSS, Refusal.TRADES_PER_DAY, Refusal.POSITIONS, Refusal.ONE_PER_SYMBOL,
    Refusal.TOTAL_EXPOSURE, Refusal.GROUP_EXPOSURE, Refusal.NO_MARGIN,
}  # fmt: skip


def _not_live(case: Case) -> Found:
    """A bar at whose close the bot decided nothing."""
    decided = case.trip.decided_ms
    if case.context.decided(decided):
        return None
    return Cause.NOT_LIVE, f"nothing was decided at the close of {show_ms(decided)}"


# --- a trade that only one side has ---------------------------------------------------------------


def _other(case: Case) -> tuple[Result, Sequence[Trip]]:
    """Return the side that lacks the trade."""
    context = case.context
    if case.actual is None:
        return context.actual, context.actual_trips
    return context.expected, context.expected_trips


def _refused_by_limit(case: Case) -> Found:
    """A refusal of the side that lacks the trade, between the decision and the fill."""
    result, _ = _other(case)
    trip, frame = case.trip, case.context.frame
    for row in result.refusals:
        whose = result.symbols[int(row["symbol"])], result.strategies[int(row["strategy"])]
        if whose != (trip.symbol, trip.strategy):
            continue
        if not trip.decided_ms <= int(row["time"]) < trip.entry_ms + frame:
            continue
        rule = Refusal(int(row["rule"]))
        words = REFUSAL_WORDS[rule]
        if rule == Refusal.NOT_LIVE:
            return Cause.NOT_LIVE, words
        if rule in _STATE_RULES and case.context.differed_before(trip.entry_ms):
            return Cause.FOLLOWS, words
        if not math.isnan(float(row["figure"])):
            words += f" ({row['figure']:g}, limit {row['limit']:g})"
        return Cause.REFUSED_BY_LIMIT, words
    return None


def _was_in_position(case: Case) -> Found:
    """The side that lacks the trade held another one when it was decided on."""
    _, trips = _other(case)
    trip = case.trip
    if not case.context.differed_before(trip.entry_ms):
        return None
    for one in trips:
        over = one.exit_ms or trip.entry_ms
        if one.symbol == trip.symbol and one.entry_ms <= trip.entry_ms <= over:
            return Cause.FOLLOWS, f"in the position of {show_ms(one.entry_ms)}"
    return None


def _order_of_other(case: Case) -> Any:
    """Return the entry order that the other side made at the same decision, None for none."""
    result, _ = _other(case)
    trip = case.trip
    for row in result.orders:
        whose = result.symbols[int(row["symbol"])], result.strategies[int(row["strategy"])]
        if whose != (trip.symbol, trip.strategy) or int(row["side"]) != trip.side:
            continue
        at = bar_open(result, int(row["bar"]))
        if int(row["role"]) == Role.ENTRY and at == trip.decided_ms:
            return row
    return None


def _taken_away(case: Case) -> Found:
    """The session's order was rejected or had no margin."""
    if case.actual is not None:
        return None
    order = _order_of_other(case)
    if order is None or int(order["status"]) not in (Status.MARGIN, Status.REJECTED):
        return None
    return Cause.REFUSED_BY_EXCHANGE, f"the order ended as {Status(int(order['status'])).name}"


def _open_first(case: Case) -> Found:
    """The back-test had cancelled the order when the open filled it."""
    if case.actual is None:
        return None
    order = _order_of_other(case)
    if order is None or int(order["status"]) == Status.OPEN or int(order["end_bar"]) < 0:
        return None
    ended = bar_open(case.context.expected, int(order["end_bar"]))
    opened = case.actual.entry_ms
    unit = case.context.evidence.unit(case.actual.symbol, case.actual.entry_at)
    at_open = unit is not None and case.same_price(unit.open, case.actual.entry_price)
    if at_open and ended in (opened, opened - case.context.frame):
        return Cause.OPEN_FIRST, f"cancelled at {show_ms(ended)}, filled at the next open"
    return None


def _touched_entry(case: Case) -> Found:
    """A limit order whose price was a bar's extreme."""
    order = case.trip.order if case.trip.order is not None else _order_of_other(case)
    if order is None or int(order["kind"]) != Kind.LIMIT:
        return None
    return touched(case, float(order["price"]), case.trip.side, case.trip.entry_at)


def _inside_entry(case: Case) -> Found:
    """The entry's price and its stop lie in one bar: which came first is a guess."""
    if _order_of_other(case) is None:
        return None
    return inside(case, case.trip.entry_at, (case.trip.entry_price, case.trip.stop))


# --- entries of both ------------------------------------------------------------------------------


def _late_entry(case: Case) -> Found:
    """The same market order, filled in a later bar."""
    expected, actual = case.both()
    order = actual.order
    if order is None or int(order["kind"]) != Kind.MARKET or actual.entry_ms <= expected.entry_ms:
        return None
    late = (actual.entry_ms - expected.entry_ms) // case.context.frame
    return Cause.LATE, f"{late} bars after the back-test's"


def _touched_before(case: Case) -> Found:
    """The earlier of both limit fills was at a price that was only touched."""
    expected, actual = case.both()
    first = min((expected, actual), key=lambda one: one.entry_at)
    order = first.order
    if order is None or int(order["kind"]) != Kind.LIMIT:
        return None
    return touched(case, float(order["price"]), first.side, first.entry_at)


def _partial_entry(case: Case) -> Found:
    """The session's order was as large, but not all of it was filled."""
    expected, actual = case.both()
    if actual.order is None or expected.order is None:
        return None
    half = 0.5 * case.context.evidence.lot(actual.symbol)
    asked = float(actual.order["size"])
    if abs(asked - float(expected.order["size"])) < half and actual.size < asked - half:
        return Cause.PARTIAL_FILL, f"{actual.size:g} of {asked:g}"
    return None


def _equity(case: Case) -> Found:
    """The equity at the decision was another, by as much as the size is."""
    expected, actual = case.both()
    ours = _equity_at(case.context.actual, actual.decided_ms)
    model = _equity_at(case.context.expected, expected.decided_ms)
    if not (model > 0.0 and ours > 0.0) or abs(ours / model - 1.0) < 1e-12:
        return None
    lots = 1.5 * case.context.evidence.lot(actual.symbol) / expected.size
    if abs(_asked(actual) / _asked(expected) - ours / model) > lots:
        return None
    return Cause.EQUITY, f"{ours:.2f} instead of {model:.2f}"


def _asked(trip: Trip) -> float:
    return trip.size if trip.order is None else float(trip.order["size"])


def _equity_at(result: Result, bar_ms: int) -> float:
    found = result.equity[result.time == bar_ms]
    return float(found[0]) if len(found) else math.nan


def _other_room(case: Case) -> Found:
    """Limits on risk leave other room when something else is held."""
    if case.context.differed_before(case.trip.entry_ms):
        return Cause.FOLLOWS, "the limits left other room"
    return None


def _slipped_entry(case: Case) -> Found:
    expected, actual = case.both()
    return slipped(case, expected.entries, actual.entries)


def _gap_entry(case: Case) -> Found:
    expected, actual = case.both()
    return gap(case, expected.entries[0], actual.entries[0])


ONLY_EXPECTED = (
    _not_live, refused_by_exchange, _taken_away, _refused_by_limit, _was_in_position,
    _inside_entry, fault,
)  # fmt: skip
ONLY_ACTUAL = (
    _refused_by_limit, _was_in_position, _open_first, _touched_entry, _inside_entry, fault,
)  # fmt: skip
ENTRY_BAR = (_late_entry, _touched_before, _inside_entry, fault)
SIZE = (_partial_entry, _equity, _other_room, fault)
ENTRY_PRICE = (_gap_entry, _slipped_entry, fault)
