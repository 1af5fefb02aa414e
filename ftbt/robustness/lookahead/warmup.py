"""Warm-up dependence: from how much history on are a strategy's orders the same.

The newest bars, in a few stretches called tails, are traded again and again with more and less
history in front. A strategy with settled values sends the same orders there whatever lies further
back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ftbt.backtest.result import Records, Result
from ftbt.robustness.lookahead.compare import decided_orders
from ftbt.robustness.lookahead.verdict import WarmUp

# A recursive average never forgets altogether: what is left of the past moves a price by less.
PRICE_TOLERANCE = 1e-4
SIZE_TOLERANCE = 0.01
_REFINE = 4  # halvings between the last history that was too short and the first long enough

# History -> the orders in each tail, bars counted from its beginning; None where a run fails.
Run = Callable[[int, int], Records | None]


def ladder(most: int) -> list[int]:
    """Return lengths of history to try, shortest first; each about twice the one before."""
    steps = [0, *(25 * 2**k for k in range(20))]
    # One near the end: without it the longest would be compared with half of itself only.
    return sorted({step for step in steps if step < 0.7 * most} | {int(0.75 * most), most})


def measure(run: Run, most: int, tails: int, tail: int, declared: int) -> WarmUp:
    """Return from how many bars of history on the orders in the tails no longer change.

    Args:
        run: (number of a tail, history in front of it) -> its orders, bars counted from the
            tail's beginning; None when the run fails.
        most: longest history that there is for all of them.
        tails: how many tails.
        tail: length of each.
        declared: what the strategy declares.
    """
    reference = [run(number, most) for number in range(tails)]
    orders = sum(len(one) for one in reference if one is not None)

    def settled(history: int) -> bool:
        for number, expected in enumerate(reference):
            found = run(number, history)
            if expected is None or found is None or not same_orders(found, expected):
                return False
        return True

    good, bad = most, -1
    for history in reversed(ladder(most)[:-1]):
        if not settled(history):
            bad = history
            break
        good = history
    never = good == most
    for _ in range(_REFINE if bad >= 0 and not never else 0):
        middle = (good + bad) // 2
        if middle in (good, bad):
            break
        good, bad = (middle, bad) if settled(middle) else (good, middle)
    return WarmUp(declared, None if never else good, bad, most, tails * tail, orders)


def tail_orders(result: Result, history: int) -> Records:
    """Return the orders of a run, bars counted from the end of the history in front."""
    orders = decided_orders(result, 2**62).copy()
    orders["bar"] -= history
    return orders


def same_orders(one: Records, two: Records) -> bool:
    """Tell whether two lists of orders are the same up to what a settled average still moves."""
    if len(one) != len(two):
        return False
    for name in ("bar", "side", "kind", "role"):
        if not np.array_equal(one[name], two[name]):
            return False
    near = [
        np.allclose(one[name], two[name], rtol=limit, atol=0.0, equal_nan=True)
        for name, limit in (
            ("price", PRICE_TOLERANCE),
            ("limit", PRICE_TOLERANCE),
            ("size", SIZE_TOLERANCE),
        )
    ]
    return all(near)
