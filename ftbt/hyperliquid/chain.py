"""Fills in the order in which they happened.

One order that takes several others has a fill with each, all of the same millisecond, and the
number of a trade is a hash: only the position that a fill begins with tells which was before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ftbt.hyperliquid.records import ZERO, Fill

# The venue's numbers may end in the dust of binary fractions; no lot is smaller than this.
_DECIMALS = 8


def in_order(fills: Iterable[Fill], held: Mapping[str, Decimal]) -> list[Fill]:
    """Return *fills* oldest first, those of one moment by coin.

    Of one coin and moment each begins with the position that the one before left, as far as they
    are all there. *held*: positions before the first of them, by coin, where they are known; they
    tell where to begin when what was bought was sold again.
    """
    moments: dict[tuple[int, str], list[Fill]] = defaultdict(list)
    for fill in fills:
        moments[fill.time, fill.coin].append(fill)
    now = dict(held)
    ordered: list[Fill] = []
    for moment in sorted(moments):
        coin = moment[1]
        chain = _chain(moments[moment], now.get(coin, ZERO))
        now[coin] = chain[-1].end
        ordered += chain
    return ordered


def _chain(fills: list[Fill], held: Decimal) -> list[Fill]:
    """Return the path through positions that uses each fill once (Hierholzer's algorithm)."""
    leaving: dict[Decimal, list[Fill]] = defaultdict(list)
    for fill in sorted(fills, key=lambda fill: -fill.tid):
        leaving[_place(fill.start)].append(fill)
    arriving = Counter(_place(fill.end) for fill in fills)
    surplus = {place: arriving[place] - len(found) for place, found in leaving.items()}
    path: list[Fill] = []
    for place in sorted(leaving, key=lambda place: (surplus[place], place != _place(held), place)):
        path += _walk(leaving, place)
    return path


def _walk(leaving: dict[Decimal, list[Fill]], place: Decimal) -> list[Fill]:
    """Use up the fills that can be reached from *place*."""
    stack: list[Fill] = []
    path: list[Fill] = []
    while True:
        here = _place(stack[-1].end) if stack else place
        if leaving.get(here):
            stack.append(leaving[here].pop())
        elif stack:
            path.append(stack.pop())
        else:
            return path[::-1]


def _place(position: Decimal) -> Decimal:
    return round(position, _DECIMALS)
