"""One group of bars per timestamp for all symbols. Pure.

In research all symbols of a timestamp are decided upon together. Live their bars arrive some
hundred milliseconds apart, and Backtrader would call `next()` for each of them. So bars wait for
each other here, but not for ever: after a deadline those that are there go on without the rest.
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
        bars: by coin.
        missing: coins that had none in time.
    """

    opened: int
    bars: dict[str, Bar]
    missing: frozenset[str]


class Barrier:
    """Holds bars back until every coin has its own.

    Args:
        coins: who takes part.
        step: length of a bar, ms.
        patience: how long after a bar's end the others wait for it, ms of the market.
    """

    def __init__(self, coins: Iterable[str], step: int, patience: int) -> None:
        self._coins = tuple(coins)
        self._step, self._patience = step, patience
        self._waiting: dict[int, dict[str, Bar]] = defaultdict(dict)
        self._late: set[str] = set()
        self._released = 0

    @property
    def late(self) -> frozenset[str]:
        """Coins that others have gone on without."""
        return frozenset(self._late)

    def add(self, bar: Bar) -> None:
        """Let *bar* wait."""
        self._waiting[bar.opened][bar.coin] = bar

    def release(self, now: int) -> list[Group]:
        """Return the groups that may go at market time *now* (ms), oldest first."""
        groups = []
        for opened in sorted(self._waiting):
            bars = self._waiting[opened]
            if opened > self._released:
                missing = set(self._coins) - bars.keys()
                over = now >= opened + self._step + self._patience
                if missing - self._late and not over:
                    break
                self._late |= missing
                self._released = opened
            else:
                missing = set()
            del self._waiting[opened]
            if opened == self._released:
                self._late -= bars.keys()
            groups.append(Group(opened, bars, frozenset(missing)))
        return groups
