"""Where the audit cuts: right after decisions, and evenly spread over the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.result import Result, Role, Status

Ints = NDArray[np.int64]

# Of the cuts right after decisions, the share that follows entries; the others follow exits and
# cancellations.
_ENTRIES = 2 / 3
# Of all cuts, the share that is spread evenly whatever was decided there.
_SPREAD = 1 / 3


def choose_cuts(full: Result, trade_from: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return bars to cut after, in order: some spread evenly, most right after decisions.

    Args:
        full: the run on all bars.
        trade_from: its first bar to trade.
        count: how many; fewer are returned where several fall together.
        rng: chooses among the decisions of a stretch.
    """
    first, last = trade_from + 2, trade_from + len(full.time) - 2
    spread = max(1, round(count * _SPREAD))
    even = np.linspace(first, last, spread + 2)[1:-1].round().astype(np.int64)
    entries, others = decisions(full, first, last)
    wanted = count - spread
    after_entries = min(len(entries), round(wanted * _ENTRIES) if len(others) else wanted)
    chosen = _spread_choice(entries, after_entries, rng)
    chosen += _spread_choice(others, min(len(others), wanted - len(chosen)), rng)
    anywhere = rng.integers(first, last + 1, wanted - len(chosen))
    return sorted({*even.tolist(), *chosen, *anywhere.tolist()})


def decisions(full: Result, first: int, last: int) -> tuple[Ints, Ints]:
    """Return the bars from *first* to *last* at which entries, and other things, were decided."""
    orders = full.orders
    is_entry = orders["role"] == Role.ENTRY
    cancelled = orders[orders["status"] == Status.CANCELLED]["end_bar"]
    exits = orders[(orders["role"] == Role.EXIT)]["bar"]
    found = (orders["bar"][is_entry], np.concatenate([exits, cancelled]))
    entries, others = (np.unique(bars[(bars >= first) & (bars <= last)]) for bars in found)
    return entries, np.setdiff1d(others, entries)


def _spread_choice(bars: Ints, count: int, rng: np.random.Generator) -> list[int]:
    """Return *count* of *bars*, one of each equal part of them; there are as many at least."""
    return [int(rng.choice(part)) for part in np.array_split(bars, count)] if count else []
