"""No order twice: what the exchange has taken, beside what the journal says was meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ftbt.live.control import JOURNAL
from ftbt.live.journal import Event, read_journal


@dataclass(frozen=True, slots=True)
class Intents:
    """What was sent, and what came of it.

    Attributes:
        orders: on the exchange.
        intended: orders that the journal knows.
        twice: what was there twice, or more than was meant, in words.
        trades: that the journal has booked as over.
    """

    orders: int
    intended: int
    twice: tuple[str, ...]
    trades: int


def intents(state: Path, records: Mapping[str, Any]) -> Intents:
    """Compare the journal in *state* with the exchange's *records* of the account."""
    with read_journal(state / JOURNAL) as reader:
        events = list(reader.events(kinds=("order", "leg", "trade")))
    orders = {int(e.body["number"]): e.body for e in events if e.kind == "order"}
    legs = {str(e.body["cloid"]): e.body for e in events if e.kind == "leg"}
    there = [row["order"] for row in records["orders"]]
    return Intents(
        len(there), len(orders),
        (*_same_id(there, legs), *_too_much(records["fills"], legs, orders), *_two_stand(events)),
        sum(e.kind == "trade" for e in events),
    )  # fmt: skip


def _same_id(there: Iterable[Mapping[str, Any]], legs: Mapping[str, Any]) -> list[str]:
    found = []
    for cloid, count in Counter(order["cloid"] for order in there).items():
        if cloid not in legs:
            found.append(f"order {cloid} was never meant")
        elif count > 1:
            found.append(f"order {cloid} stands {count} times on the exchange")
    return found


def _too_much(
    fills: Iterable[Mapping[str, Any]], legs: Mapping[str, Any], orders: Mapping[int, Any]
) -> list[str]:
    """Return the entries that filled more than they were meant to, over all attempts."""
    filled: dict[int, Fraction] = defaultdict(Fraction)
    for fill in fills:
        leg = legs.get(str(fill.get("cloid")))
        if leg is not None and leg["leg"] == "entry":
            filled[int(leg["order"])] += Fraction(fill["sz"])
    return [
        f"order {number} was meant to be {orders[number]['size']} and filled {float(size):g}"
        for number, size in filled.items()
        if float(size) > float(orders[number]["size"]) * (1.0 + 1e-9)
    ]


def _two_stand(events: Iterable[Event]) -> list[str]:
    """Return attempts of an order that have the same number, which would be one order twice."""
    seen: Counter[tuple[int, str, int]] = Counter(
        (int(e.body["order"]), str(e.body["leg"]), int(e.body["attempt"]))
        for e in events if e.kind == "leg"
    )  # fmt: skip
    return [f"attempt {key} was sent {n} times" for key, n in seen.items() if n > 1]
