"""Which trade of the session is which trade of the back-test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ftbt.live.trips import Trip

Pair = tuple[Trip | None, Trip | None]
# Trades that share neither bar nor decision are the same trade only this close to each other.
_NEAREST_BARS = 2


def pair_up(expected: Sequence[Trip], actual: Sequence[Trip], frame_ms: int) -> list[Pair]:
    """Return every trade of both sides once, in pairs where they belong together, by entry.

    Trades belong together when symbol, strategy and side are the same and so is the bar of the
    entry; else the bar of the decision; else when they overlap and lie at most two bars apart.

    Args:
        expected: trades in order of their entries.
        actual: the same of the session.
        frame_ms: length of a bar.
    """
    pairs: list[Pair] = []
    left, right = list(expected), list(actual)
    for name in ("entry_ms", "decided_ms"):
        left, right = _match(pairs, left, right, lambda one, name=name: getattr(one, name))  # type: ignore[misc]
    left, right = _match_near(pairs, left, right, frame_ms)
    pairs += [(one, None) for one in left] + [(None, one) for one in right]
    return sorted(pairs, key=_when)


def _when(pair: Pair) -> tuple[int, str]:
    return min((one.entry_at, one.symbol) for one in pair if one is not None)


def _whose(trip: Trip) -> tuple[str, str, int]:
    return trip.symbol, trip.strategy, trip.side


def _match(
    pairs: list[Pair], left: Iterable[Trip], right: Sequence[Trip], key: Callable[[Trip], int]
) -> tuple[list[Trip], list[Trip]]:
    waiting: dict[tuple[object, ...], list[Trip]] = {}
    for one in right:
        waiting.setdefault((*_whose(one), key(one)), []).append(one)
    alone: list[Trip] = []
    for one in left:
        found = waiting.get((*_whose(one), key(one)))
        if found:
            pairs.append((one, found.pop(0)))
        else:
            alone.append(one)
    taken = {other.number for _, other in pairs if other is not None}
    return alone, [one for one in right if one.number not in taken]


def _match_near(
    pairs: list[Pair], left: Sequence[Trip], right: Sequence[Trip], frame_ms: int
) -> tuple[list[Trip], list[Trip]]:
    """Pair the nearest first; ties go to the earlier trade."""
    near = sorted(
        (abs(one.entry_ms - other.entry_ms), one.number, other.number)
        for one in left
        for other in right
        if _whose(one) == _whose(other) and _overlap(one, other)
    )
    ours = {one.number: one for one in left}
    theirs = {one.number: one for one in right}
    for apart, one, other in near:
        if apart <= _NEAREST_BARS * frame_ms and one in ours and other in theirs:
            pairs.append((ours.pop(one), theirs.pop(other)))
    return list(ours.values()), list(theirs.values())


def _overlap(one: Trip, other: Trip) -> bool:
    return (not one.finished or other.entry_ms <= one.exit_ms) and (
        not other.finished or one.entry_ms <= other.exit_ms
    )
