"""One difference to be explained, what is known about it, and rules that several kinds share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftbt.backtest.result import Kind, Result
from ftbt.data.timeframe import show_ms
from ftbt.live.causes import Cause
from ftbt.live.evidence import Evidence
from ftbt.live.trips import Part, Trip

Found = tuple[Cause, str] | None


@dataclass(slots=True)
class Context:
    """Both results, the evidence, and which earlier trades were not the same.

    Attributes:
        differed: (entry, end) in ms of trades that were not the same, in order of their entries.
    """

    expected: Result
    actual: Result
    evidence: Evidence
    actual_trips: Sequence[Trip]
    expected_trips: Sequence[Trip]
    differed: list[int] = field(default_factory=list)

    @property
    def frame(self) -> int:
        """Length of a bar, ms."""
        return self.expected.timeframe.ms

    def decided(self, bar_ms: int) -> bool:
        """Tell whether the bot decided at the close of the bar that opened at *bar_ms*."""
        known = self.evidence.decided
        if known is not None:
            return bar_ms in known
        time = self.actual.time
        return bool(len(time)) and bool((time == bar_ms).any())

    def differed_before(self, time_ms: int) -> bool:
        """Tell whether an earlier trade was not the same."""
        return any(one < time_ms for one in self.differed)


@dataclass(frozen=True, slots=True)
class Case:
    """One difference to be explained: the trade of the back-test and that of the session."""

    context: Context
    expected: Trip | None
    actual: Trip | None

    @property
    def trip(self) -> Trip:
        """The trade of the back-test, or the extra one."""
        found = self.expected or self.actual
        assert found is not None, "a case has a trade"
        return found

    def both(self) -> tuple[Trip, Trip]:
        """Return both trades."""
        assert self.expected is not None
        assert self.actual is not None
        return self.expected, self.actual

    def same_price(self, one: float, other: float) -> bool:
        """Tell whether two prices are the same, to a tick; NaN is the same as NaN."""
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        tick = self.context.evidence.tick(self.trip.symbol, one)
        return abs(one - other) <= tick * (1.0 + 1e-6)


def refused_by_exchange(case: Case) -> Found:
    """Words of the exchange between the decision and the last fill."""
    trip, context = case.trip, case.context
    last = max(one.exit_ms or one.entry_ms for one in (case.expected, case.actual) if one)
    first = trip.decided_ms + context.frame
    if case.actual is not None:  # what was refused before its entry did not concern its exit
        first = case.actual.entry_at
    for one in context.evidence.refused(trip.symbol, first, last + context.frame):
        return Cause.REFUSED_BY_EXCHANGE, one.text
    return None


def fault(case: Case) -> Found:
    """A fault that struck while the trade was decided on or held."""
    trip, frame = case.trip, case.context.frame
    last = max(one.exit_ms or one.entry_ms for one in (case.expected, case.actual) if one) + frame
    for one in case.context.evidence.faults:
        if trip.decided_ms <= one.time_ms <= last:
            return Cause.FAULT, f"{one.name} at {show_ms(one.time_ms)}"
    return None


# --- what several rules ask -----------------------------------------------------------------------


def orders_row(result: Result, part: Part) -> Any:
    """Return the ORDER row of a fill, None when the order is not known."""
    found = result.orders[result.orders["id"] == part.order]
    return found[0] if len(found) else None


def by_role(ours: Sequence[Part], theirs: Sequence[Part]) -> Iterator[tuple[Part, Part]]:
    """Yield the fills of both that orders of the same role made."""
    for one in ours:
        for other in theirs:
            if one.role == other.role:
                yield one, other


def touched(case: Case, price: float, side: int, time_ms: int) -> Found:
    """A limit price that was the extreme of its bar."""
    unit = case.context.evidence.unit(case.trip.symbol, time_ms)
    if unit is None:
        return None
    extreme = unit.low if side > 0 else unit.high
    tick = case.context.evidence.tick(case.trip.symbol, price)
    if abs(extreme - price) < 0.5 * tick:
        return Cause.TOUCHED, f"{extreme:g} was the extreme of its bar"
    return None


def inside(case: Case, time_ms: int, levels: Sequence[float]) -> Found:
    """At least two different prices inside the shortest bar that is known."""
    unit = case.context.evidence.unit(case.trip.symbol, time_ms)
    if unit is None:
        return None
    held = sorted({level for level in levels if unit.low <= level <= unit.high})
    if len(held) < 2:
        return None
    words = " and ".join(f"{level:g}" for level in held)
    return (Cause.INSIDE_DETAIL if unit.detail else Cause.INSIDE_BAR), f"{words} in one bar"


def slipped(case: Case, ours: Sequence[Part], theirs: Sequence[Part]) -> Found:
    """One of the fills took liquidity: its price is what the book offered."""
    del case
    if any(not part.maker for part in (*ours, *theirs)):
        return Cause.SLIPPAGE, ""
    return None


def gap(case: Case, one: Part, other: Part) -> Found:
    """One of two fills was at the open of its bar, the other at the order's own price."""
    if case.same_price(one.price, other.price):
        return None
    for at_open, at_limit, result in (
        (one, other, case.context.actual), (other, one, case.context.expected),
    ):  # fmt: skip
        unit = case.context.evidence.unit(case.trip.symbol, at_open.time_ms)
        order = orders_row(result, at_limit)
        if unit is None or order is None or int(order["kind"]) != Kind.LIMIT:
            continue
        own = float(order["price"])
        beyond = at_limit.side * (own - unit.open) > 0.0
        if (
            beyond
            and case.same_price(unit.open, at_open.price)
            and case.same_price(own, at_limit.price)
        ):
            return Cause.GAP, f"limit {own:g}, open {unit.open:g}"
    return None
