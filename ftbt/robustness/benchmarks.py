"""What chance alone would have earned: random entries and permuted returns.

Both keep what the strategy *is* (how often, how long, which side, at what cost) and destroy what
it *knows* (when). The p-value counts the observed order as one of the random ones:

    p = (1 + number of random results >= observed) / (1 + number of random results)

Sources: Aronson, Evidence-Based Technical Analysis (2006); Masters, Permutation and Randomization
Tests for Trading System Development (2020). The estimate of p with the added 1: Davison and
Hinkley, Bootstrap Methods and their Application (1997), chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations as orders
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ftbt.errors import InputError
from ftbt.robustness.checks import as_series, whole
from ftbt.robustness.panel import Floats, Ints

# Shares of a sum's scale below which two results differ by the order of addition only.
_ROUNDING = 1e-12
# Numbers per chunk of placements: bounds the memory.
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class NullTest:
    """An observed result among those of chance.

    Attributes:
        observed: the strategy's own.
        p_value: share of chance results at least as good, the observed one counted among them.
        percentile: share of chance results below the observed one, 0 to 1.
        mean, deviation: of the chance results; the deviation is NaN for a single one.
        lower, median, upper: their 5 %, 50 % and 95 % quantiles.
        values: the chance results, rising, shape (n,).
        exact: every order was tried once; `p_value` is then a plain share.
    """

    observed: float
    p_value: float
    percentile: float
    mean: float
    deviation: float
    lower: float
    median: float
    upper: float
    values: Floats
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class SymbolTrades:
    """The trades of one symbol and the prices among which they could have been placed.

    Attributes:
        prices: price at each bar's open, and the last bar's close at the end, shape (bars + 1,).
        entry_bar: bar in which the trade was entered, 0 .. bars - 1, shape (n,).
        bars_held: bars from entry to exit; 0 for a trade inside one bar, shape (n,).
        side: +1 long, -1 short, shape (n,).
        result: what the trade earned net of costs, in any unit that adds up, shape (n,).
        scale: turns a return on the notional into that unit: notional / equity for returns on the
            account, entry price / distance of the stop for R, shape (n,).
        cost: fees, slippage and funding as a fraction of the notional, shape (n,).
    """

    prices: Floats
    entry_bar: Ints
    bars_held: Ints
    side: Ints
    result: Floats
    scale: Floats
    cost: Floats

    def __post_init__(self) -> None:
        """Convert to arrays and refuse trades that do not fit the prices."""
        prices = as_series(self.prices, "prices", 3)
        if not np.all(prices > 0.0):
            raise InputError(f"prices must be above 0, not {float(prices.min()):g}")
        object.__setattr__(self, "prices", prices)
        for name in ("entry_bar", "bars_held", "side"):
            values = np.asarray(getattr(self, name))
            if values.ndim != 1 or (len(values) and not np.all(values == np.floor(values))):
                raise InputError(f"{name} must be a series of whole numbers")
            object.__setattr__(self, name, values.astype(np.int64))
        for name in ("result", "scale", "cost"):
            object.__setattr__(self, name, as_series(getattr(self, name), name, 0))
        self._fit()

    def _fit(self) -> None:
        count, bars = len(self.entry_bar), len(self.prices) - 1
        for name in ("bars_held", "side", "result", "scale", "cost"):
            if len(getattr(self, name)) != count:
                raise InputError(
                    f"{name} has {len(getattr(self, name))} values for {count} entry bars"
                )
        if not np.all(np.abs(self.side) == 1):
            raise InputError("side must be +1 (long) or -1 (short) for every trade")
        outside = (self.entry_bar < 0) | (self.bars_held < 0)
        outside |= self.entry_bar + self.spans > bars
        if np.any(outside):
            row = int(np.flatnonzero(outside)[0])
            raise InputError(
                f"trade {row} (entry bar {self.entry_bar[row]}, {self.bars_held[row]} bars) does"
                f" not lie within the {bars} bars of the prices"
            )

    @property
    def spans(self) -> Ints:
        """Bars that each trade occupies, at least 1, shape (n,)."""
        return np.maximum(self.bars_held, 1)

    @property
    def overlapping(self) -> bool:
        """True when a trade was entered before the one before it had ended."""
        order = np.argsort(self.entry_bar, kind="stable")
        ends = (self.entry_bar + self.bars_held)[order]
        return bool(np.any(self.entry_bar[order][1:] < np.maximum.accumulate(ends)[:-1]))


def random_entries(
    trades: SymbolTrades | Sequence[SymbolTrades], *, simulations: int = 1000, seed: int = 0
) -> NullTest:
    """Return the total result of the trades among those of the same trades at random times.

    Every simulation places each trade, with its own holding time, side, scale and cost, at a
    random bar. Where the real trades of a symbol do not overlap the random ones do not either, and
    every such placement is equally likely. A placed trade earns
    `scale * (side * (exit price / entry price - 1) - cost)`, entering at a bar's open and leaving
    at the open *bars_held* bars later (a trade inside one bar: at its end). It has no stop and no
    target: what those add is part of what the strategy knows.

    Several symbols: each is placed on its own, the results are added.

    Args:
        trades: of one symbol or of several.
        simulations: how many.
        seed: of the random numbers.

    Returns:
        Totals in the unit of `result`.

    Raises:
        InputError: no trades, or fewer than 20 simulations.
    """
    parts = [trades] if isinstance(trades, SymbolTrades) else list(trades)
    whole(simulations, "simulations", 20)
    if not sum(len(part.side) for part in parts):
        raise InputError("random entries: there are no trades to place")
    rng = np.random.default_rng(seed)
    observed = float(sum(part.result.sum() for part in parts))
    totals = np.zeros(simulations)
    for part in parts:
        if len(part.side):
            totals += _place(part, simulations, rng)
    return null_test(observed, totals)


def _place(part: SymbolTrades, simulations: int, rng: np.random.Generator) -> Floats:
    """Return the total of each random placement, shape (simulations,)."""
    spans, bars = part.spans, len(part.prices) - 1
    count = len(spans)
    apart = not part.overlapping and int(spans.sum()) <= bars
    totals = np.empty(simulations)
    step = max(1, _CHUNK // count)
    for first in range(0, simulations, step):
        some = min(step, simulations - first)
        if apart:
            order = rng.random((some, count)).argsort(axis=1, kind="stable")
            start = _without_overlap(spans[order], bars, rng)
        else:
            order = np.broadcast_to(np.arange(count), (some, count))
            start = rng.integers(0, bars - spans + 1, (some, count))
        moves = part.side[order] * (part.prices[start + spans[order]] / part.prices[start] - 1.0)
        earned = part.scale[order] * (moves - part.cost[order])
        totals[first : first + some] = earned.sum(axis=1)
    return totals


def _without_overlap(spans: Ints, bars: int, rng: np.random.Generator) -> Ints:
    """Return start bars of the spans in their order; all ways to spread the free bars are alike.

    Args:
        spans: one placement a row, all of the same sum, shape (rows, n).
        bars: to place them on.
        rng: source of randomness.
    """
    rows, count = spans.shape
    free = bars - int(spans[0].sum())
    slots = _combinations(free + count, count, rows, rng)
    return slots - np.arange(count) + np.cumsum(spans, axis=1) - spans


def _combinations(among: int, count: int, rows: int, rng: np.random.Generator) -> Ints:
    """Return *count* different numbers below *among* a row, rising, all choices alike."""
    # Few of many: draw freely, and draw again the rows in which a number came twice.
    if count * count > 2 * among:
        drawn = [rng.choice(among, count, replace=False) for _ in range(rows)]
        return np.sort(np.array(drawn, np.int64), axis=1)
    made = np.empty((rows, count), np.int64)
    open_rows = np.arange(rows)
    while len(open_rows):
        drawn_again = np.sort(rng.integers(among, size=(len(open_rows), count)), axis=1)
        made[open_rows] = drawn_again
        open_rows = open_rows[(np.diff(drawn_again, axis=1) == 0).any(axis=1)]
    return made


def permutation_test(
    position: ArrayLike, returns: ArrayLike, *, permutations: int = 1000, seed: int = 0
) -> NullTest:
    """Return the mean of position x return among those with the returns in random order.

    Under the null the returns are exchangeable: no information about the next one. Volatility that
    clusters breaks that too, so a rule that only knows *when the market is wild* can look skilled.

    With no more than *permutations* orders in all, each is tried once and p is exact.

    Args:
        position: held over each period (+1, 0, -1 or a size), shape (n,).
        returns: market return over the same periods, shape (n,).
        permutations: how many random orders.
        seed: of the random numbers.

    Returns:
        Means per period, in the unit of the returns.

    Raises:
        InputError: different lengths, fewer than two periods, or values that are not finite.
    """
    held, market = as_series(position, "position", 2), as_series(returns, "returns", 2)
    if len(held) != len(market):
        raise InputError(f"{len(held)} positions do not match {len(market)} returns")
    whole(permutations, "permutations", 20)
    observed = float(held @ market) / len(held)
    exact = len(held) < 13 and factorial(len(held)) <= permutations
    if exact:
        values = np.array(list(orders(market))) @ held / len(held)
    else:
        values = _shuffled(held, market, permutations, seed) / len(held)
    return null_test(observed, values, exact=exact)


def _shuffled(held: Floats, market: Floats, permutations: int, seed: int) -> Floats:
    """Return the sum of position x return for random orders of *market*, shape (permutations,)."""
    rng = np.random.default_rng(seed)
    # Only the returns that meet a position matter: an idle strategy costs less.
    sizes = held[held != 0.0]
    n, count = len(market), len(sizes)
    drawn = (rng.choice(n, count, replace=False) for _ in range(permutations))
    return np.array([market[place] @ sizes for place in drawn])


def null_test(observed: float, values: ArrayLike, *, exact: bool = False) -> NullTest:
    """Return the place of *observed* among chance results, in whatever way those were made.

    Results equal but for rounding count as equal, hence against the strategy.

    Args:
        observed: the strategy's own result; higher is better.
        values: results of chance, shape (n,).
        exact: *values* are all possible results, the observed one among them.

    Raises:
        InputError: no values, or one that is not finite.
    """
    made: NDArray[np.float64] = np.sort(as_series(values, "results of chance", 1))
    own = float(as_series([observed], "observed result", 1)[0])
    slack = _ROUNDING * max(abs(own), float(np.abs(made).max()))
    reached = int(np.count_nonzero(made >= own - slack))
    lower, median, upper = (float(q) for q in np.quantile(made, (0.05, 0.5, 0.95)))
    return NullTest(
        observed=own,
        p_value=reached / len(made) if exact else (1 + reached) / (1 + len(made)),
        percentile=1.0 - reached / len(made),
        mean=float(made.mean()),
        deviation=float(made.std(ddof=1)) if len(made) > 1 else np.nan,
        lower=lower,
        median=median,
        upper=upper,
        values=made,
        exact=exact,
    )
