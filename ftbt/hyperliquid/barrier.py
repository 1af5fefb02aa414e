"""One group of bars per timestamp, always of all symbols. Pure.

In research all symbols of a timestamp are decided upon together. Live their bars arrive some
hundred milliseconds apart, and Backtrader would call `next()` for each of them. So bars wait here
until all of their time are there, however long that takes: a coin without trades has a bar all
the same (`BarBuilder` makes it once its absence is proved), so one that is missing is one that we
could not learn of, and deciding without it would be deciding on an outage of ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ftbt.hyperliquid.bars import Bar


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of one timestamp.

    Attributes:
        opened: open time of all of them, ms.
        bars: one of every coin.
    """

    opened: int
    bars: dict[str, Bar]


class Barrier:
    """Holds bars back until every one of *coins* has its own.

    Each coin's bars must come in order and without gaps; then so do the groups.
    """

    def __init__(self, coins: Iterable[str]) -> None:
        self._coins = frozenset(coins)
        self._waiting: dict[int, dict[str, Bar]] = defaultdict(dict)

    def add(self, bar: Bar) -> None:
        """Let *bar* wait."""
        self._waiting[bar.opened][bar.coin] = bar

    def release(self) -> list[Group]:
        """Return the groups that are complete, oldest first."""
        groups = []
        for opened in sorted(self._waiting):
            if self._waiting[opened].keys() != self._coins:
                break
            groups.append(Group(opened, self._waiting.pop(opened)))
        return groups
