"""The rule of the audit: what two runs with the same bars up to a cut must have in common.

Whatever was decided, filled, closed and earned up to the cut must be the same; `first_change`
returns the first thing that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftbt.backtest.result import ExitReason, Kind, Records, Result, Role, Status
from ftbt.data.precision import round_price
from ftbt.robustness.lookahead.futures import NO_FUTURE
from ftbt.robustness.lookahead.words import order_words

NOTHING = "no order"
_SENT = ("id", "parent", "bar", "side", "kind", "role", "size")


@dataclass(frozen=True)
class Difference:
    """The first thing that changed when only the future did.

    Attributes:
        what: "order", "fill", "trade", "equity" or "error".
        bar: the bar of the decision or fill that differs; -1: before the first bar.
        cut: the last bar that both runs have in common.
        future: what came after the cut.
        detail: what was expected and what was found.
        before, after: the order of the one and of the other run in words, "" for anything else.
        order: id of the order in the run that has it, 0 for anything else.
        in_full: True when that is the run on all bars.
    """

    what: str
    bar: int
    cut: int
    future: str
    detail: str
    before: str = ""
    after: str = ""
    order: int = 0
    in_full: bool = True

    def __str__(self) -> str:
        return (
            f"{self.what} of bar {self.bar} is another one when bar {self.cut} has {self.future}:"
            f" {self.detail}"
        )


@dataclass(frozen=True)
class Pair:
    """The run on all bars and one that shares its bars up to *cut*.

    Attributes:
        full, other: the results.
        trade_from: first bar of their equity curves.
        cut: last common bar.
        future: what the other one has after it.
        decimals: of the symbol's sizes, for its tick.
        tolerance: relative difference of two numbers that counts as none; 0: to the last bit.
    """

    full: Result
    other: Result
    trade_from: int
    cut: int
    future: str
    decimals: int
    tolerance: float = 0.0

    def first_change(self) -> Difference | None:
        """Return the first difference up to the cut."""
        fills = [self._until(result.fills, "bar", "reason") for result in (self.full, self.other)]
        trades = [
            self._until(result.trades, "exit_bar", "exit_reason")
            for result in (self.full, self.other)
        ]
        found = [
            *self._orders_differ(),
            *self._first("fill", "bar", *fills),
            *self._first("trade", "exit_bar", *trades),
            *self._equity(),
        ]
        return min(found, key=lambda one: one.bar) if found else None

    def orders(self) -> tuple[Records, Records]:
        """Return the orders of both that are compared: decided up to the cut."""
        # A run without a future ends at the cut: nothing is decided there, and it ends flat.
        decided = self.cut - 1 if self.future == NO_FUTURE else self.cut
        return decided_orders(self.full, decided), decided_orders(self.other, decided)

    def _until(self, records: Records, bar: str, reason: str) -> Records:
        kept: Records = records[(records[bar] <= self.cut) & (records[reason] != ExitReason.END)]
        return kept

    def _orders_differ(self) -> list[Difference]:
        expected, got = self.orders()
        for row in unlike(expected, got):
            one, two = expected[row], got[row]
            names = self._compared(one, two)
            if not (said := self._differs(one, two, names)):
                continue
            if one["bar"] != two["bar"]:  # the earlier one has no partner
                in_full = bool(one["bar"] < two["bar"])
                return [self._lone(one if in_full else two, in_full=in_full)]
            ends = [int(end) for end in (one["end_bar"], two["end_bar"]) if end >= 0]
            sent = self._differs(one, two, [*_SENT, "price", "limit"])
            bar = int(one["bar"]) if sent or not ends else min(ends)
            before, after = (order_words(order, ended=not sent) for order in (one, two))
            said = said if before == after else f"{after} instead of {before}"
            return [self._said("order", bar, said, before, after, int(one["id"]))]
        if len(expected) == len(got):
            return []
        row, in_full = min(len(expected), len(got)), len(expected) > len(got)
        return [self._lone((expected if in_full else got)[row], in_full=in_full)]

    def _lone(self, order: Any, *, in_full: bool) -> Difference:
        """Return that only one of the runs has *order*."""
        words = order_words(order)
        said = f"{words} is {'missing' if in_full else 'new'}"
        before, after = (words, NOTHING) if in_full else (NOTHING, words)
        number = int(order["id"])
        return self._said("order", order["bar"], said, before, after, number, in_full=in_full)

    def _first(self, what: str, bar: str, expected: Records, got: Records) -> list[Difference]:
        for row in unlike(expected, got):
            one, two = expected[row], got[row]
            if said := self._differs(one, two):
                return [self._said(what, min(one[bar], two[bar]), said)]
        if len(expected) == len(got):
            return []
        more, word = (expected, "missing") if len(expected) > len(got) else (got, "new")
        extra = more[min(len(expected), len(got))]
        return [self._said(what, extra[bar], f"{extra} is {word}")]

    def _said(
        self,
        what: str,
        bar: Any,
        said: str,
        before: str = "",
        after: str = "",
        order: int = 0,
        *,
        in_full: bool = True,
    ) -> Difference:
        return Difference(
            what, int(bar), self.cut, self.future, said, before, after, order, in_full
        )

    def _compared(self, one: Any, two: Any) -> Sequence[str]:
        """Return the fields of an order to compare: how it ended counts if that was by the cut."""
        ended = 0 <= one["end_bar"] <= self.cut
        open_two = two["end_bar"] > self.cut or (
            self.future == NO_FUTURE
            and two["end_bar"] == self.cut
            and two["status"] == Status.CANCELLED
        )
        if ended or not open_two:
            return one.dtype.names or ()
        moved = self._moved(self.full, one) or self._moved(self.other, two)
        return _SENT if moved else (*_SENT, "price", "limit")

    def _moved(self, result: Result, order: Any) -> bool:
        """Tell whether the price of *order* may be where it was moved to, not where it was sent."""
        if order["kind"] in (Kind.TRAIL, Kind.TRAIL_LIMIT):
            return True
        entries = result.fills["price"][result.fills["order"] == order["parent"]]
        even = {round_price(float(price), self.decimals) for price in entries}
        return bool(order["role"] == Role.STOP) and float(order["price"]) in even

    def _differs(self, one: Any, two: Any, names: Sequence[str] = ()) -> str:
        return differs(one, two, names, self.tolerance)

    def _equity(self) -> list[Difference]:
        forced = (self.other.fills["reason"] == ExitReason.END) & (
            self.other.fills["bar"] <= self.cut
        )
        stop = self.cut - self.trade_from + (0 if forced.any() else 1)
        left, right = self.full.equity[:stop], self.other.equity[:stop]
        apart = left != right
        if self.tolerance:
            apart &= np.abs(left - right) > self.tolerance * np.abs(left)
        if not apart.any():
            return []
        at = int(np.argmax(apart))
        said = f"{right[at]!r} instead of {left[at]!r}"
        return [self._said("equity", at + self.trade_from, said)]


def decided_orders(result: Result, last: int) -> Records:
    """Return the orders decided up to bar *last*, without those that the end of the run forces."""
    forced = result.fills["order"][result.fills["reason"] == ExitReason.END]
    orders = result.orders
    return orders[(orders["bar"] <= last) & ~np.isin(orders["id"], forced)]


def unlike(one: Records, two: Records) -> list[int]:
    """Return the rows whose bytes are not the same in both; most are, and need no closer look."""
    rows = min(len(one), len(two))
    left, right = (
        np.ascontiguousarray(part[:rows]).view(np.uint8).reshape(rows, part.dtype.itemsize)
        for part in (one, two)
    )
    found: list[int] = np.flatnonzero((left != right).any(axis=1)).tolist()
    return found


def differs(one: Any, two: Any, names: Sequence[str] = (), tolerance: float = 0.0) -> str:
    """Return the first field in which two records differ, "" when none does.

    Args:
        one: a record.
        two: another one of the same type.
        names: fields to look at; none means all.
        tolerance: relative difference of floats that counts as none; 0: to the last bit.
    """
    for name in names or one.dtype.names:
        if one[name].tobytes() == two[name].tobytes():
            continue
        if tolerance and one.dtype[name].kind == "f" and near(one[name], two[name], tolerance):
            continue
        return f"{name} {two[name]} instead of {one[name]} in {one}"
    return ""


def near(one: float, two: float, tolerance: float) -> bool:
    """Tell whether two numbers are the same up to *tolerance* of the larger one; NaN is NaN."""
    if one != one or two != two:
        return one != one and two != two
    return bool(abs(one - two) <= tolerance * max(abs(one), abs(two)))
