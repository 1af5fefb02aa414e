"""The null test: on random walks nothing can be gained, so trading the lines must gain nothing.

The walks are fair to the last tick: thirty Gaussian ticks a bar, each bar opens at the last close.
Trades fill at ticks, so whatever causal rule opens and closes them, the expected profit before
costs is exactly zero (optional stopping) and the profit factor about 1. The share of winners of a
stop at distance R and a target at 2R is a third, a little more as ticks overshoot.

Beside it stands what a line shows that looks ahead, in the two forms that are most in use: swings
labelled at their own bar, and order blocks of which only those that held are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row
from ftbt.compiled import compiled
from ftbt.data.candles import Bars, make_bars
from ftbt.data.timeframe import MINUTE_MS
from ftbt.smc import (
    DEALING_RANGE,
    DISPLACEMENT,
    FVG,
    ORDER_BLOCKS,
    STRUCTURE,
    SWEEPS,
    SWINGS,
    Zone,
    zones,
)
from ftbt.smc.ledger import REMOVED, TESTED

SEEDS = tuple(range(12))
BARS = 20_000
TICKS = 30
SWING = 5
# Mean distance by which a walk of unit Gaussian steps overshoots a barrier (Siegmund 1985).
OVERSHOOT = 0.5826
SMALLEST_STOP = 5.0  # in ticks' standard deviations: below it the overshoot decides

Floats = NDArray[np.float64]
Rule = Callable[[Bars], tuple[Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Walk:
    """A random walk: its ticks, shape (bars, TICKS), and the bars made of them."""

    ticks: Floats
    bars: Bars


def walk(seed: int, n: int = BARS) -> Walk:
    """Return a driftless walk of *n* 15-minute bars."""
    rng = np.random.default_rng(seed)
    ticks = 1e6 + np.cumsum(rng.standard_normal(n * TICKS)).reshape(n, TICKS)
    opened = np.concatenate([[1e6], ticks[:-1, -1]])
    high = np.maximum(opened, ticks.max(axis=1))
    low = np.minimum(opened, ticks.min(axis=1))
    time = 1_600_000_200_000 + 15 * MINUTE_MS * np.arange(n, dtype=np.int64)
    volume = rng.lognormal(3.0, 1.0, n)
    return Walk(ticks, make_bars(time, opened, high, low, ticks[:, -1], volume))


# --- rules: for each bar +1, -1 or 0 known at its close, and the stop's price ----------------


def structure_breaks(bars: Bars) -> tuple[Floats, Floats]:
    """Go with every BOS and CHoCH, stop at the strong level."""
    out = STRUCTURE.compute(bars)
    return out["bos"] + out["choch"], out["strong"]


def sweeps(bars: Bars) -> tuple[Floats, Floats]:
    """Fade every swept pool, stop at the sweep's extreme."""
    out = SWEEPS.compute(bars)
    return out["sweep"], out["swept_extreme"]


def gap_touches(bars: Bars) -> tuple[Floats, Floats]:
    """Enter a fair value gap at its first touch, stop at its far edge."""
    out = FVG.compute(bars)
    side = out["touched"]
    return side, np.where(side > 0, out["touched_bottom"], out["touched_top"])


def block_tests(bars: Bars) -> tuple[Floats, Floats]:
    """Enter an order block whenever it is tested, stop at its far edge."""
    out = ORDER_BLOCKS.compute(bars)
    side = out["tested"]
    return side, np.where(side > 0, out["tested_bottom"], out["tested_top"])


def displacements(bars: Bars) -> tuple[Floats, Floats]:
    """Go with every displacement candle, stop at its other end."""
    side = DISPLACEMENT.compute(bars)["event"]
    return side, np.where(side > 0, bars["low"], bars["high"])


def optimal_entries(bars: Bars) -> tuple[Floats, Floats]:
    """Enter when the close first lies in the OTE band, stop at the leg's start."""
    out = DEALING_RANGE.compute(bars)
    fresh = np.diff(out["in_ote"], prepend=0.0) > 0
    side = np.where(fresh, out["direction"], 0.0)
    return side, np.where(side > 0, out["low"], out["high"])


RULES: dict[str, Rule] = {
    "structure breaks": structure_breaks,
    "liquidity sweeps": sweeps,
    "fair value gap touches": gap_touches,
    "order block tests": block_tests,
    "displacement": displacements,
    "optimal trade entries": optimal_entries,
}


# --- trades ------------------------------------------------------------------------------------


@compiled
def _exit(ticks, start, side, stop, target):  # type: ignore[no-untyped-def]
    """Return the first tick at or beyond stop or target, the number of ticks when there is none."""
    for i in range(start, ticks.shape[0]):
        if side * (ticks[i] - stop) <= 0.0 or side * (ticks[i] - target) >= 0.0:
            return i
    return ticks.shape[0]


@compiled
def _trade(ticks, bar, close, side, stop, alone, profit, risk):  # type: ignore[no-untyped-def]
    """Trade each signal to its end; write profit and risk, return the number of trades.

    A signal is skipped while a position is open (when *alone*), when its stop is too near, and
    when its trade is still open at the end of the data.
    """
    count = 0
    free = 0  # first tick at which nothing is open
    for k in range(bar.shape[0]):
        start = (bar[k] + 1) * TICKS
        distance = side[k] * (close[k] - stop[k])
        if start < free or not distance >= SMALLEST_STOP:
            continue
        end = _exit(ticks, start, side[k], stop[k], close[k] + 2.0 * side[k] * distance)
        if alone:
            free = end + 1
        if end < ticks.shape[0]:
            profit[count] = side[k] * (ticks[end] - close[k])
            risk[count] = distance
            count += 1
    return count


@dataclass(frozen=True)
class Trades:
    """Closed trades: profit and distance of the stop, in price, shape (trades,)."""

    profit: Floats
    risk: Floats

    @property
    def factor(self) -> float:
        """Gross profit over gross loss."""
        lost = -self.profit[self.profit < 0].sum()
        return float(self.profit[self.profit > 0].sum() / lost) if lost else float("inf")

    @property
    def winners(self) -> float:
        """Share of trades with a profit."""
        return float((self.profit > 0).mean())

    @property
    def expected_winners(self) -> float:
        """Share that a fair walk with overshoot gives: (R + o) / (3 R + 2 o)."""
        return float(((self.risk + OVERSHOOT) / (3 * self.risk + 2 * OVERSHOOT)).mean())

    @property
    def sigmas(self) -> float:
        """How many standard errors the winners lie from that share."""
        expected = self.expected_winners
        error = np.sqrt(expected * (1 - expected) / len(self.profit))
        return float((self.winners - expected) / error)


def joined(parts: list[Trades]) -> Trades:
    """Return all trades as one."""
    return Trades(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("profit", "risk")))


def trade(market: Walk, bar: NDArray[np.int64], side: Floats, stop: Floats, alone: bool) -> Trades:
    """Return the trades of signals known at the close of *bar*, filled at the next open.

    Args:
        market: the walk.
        bar: indices, rising.
        side: +1 or -1 for each of them.
        stop: price for each of them.
        alone: one position at a time.
    """
    profit, risk = np.empty((2, len(bar)))
    close = market.bars["close"][bar]
    count = _trade(market.ticks.ravel(), bar, close, side * 1.0, stop * 1.0, alone, profit, risk)
    return Trades(profit[:count].copy(), risk[:count].copy())


def trade_rule(market: Walk, rule: Rule) -> Trades:
    """Return the trades of *rule* on a walk, one position at a time."""
    side, stop = rule(market.bars)
    bar = np.flatnonzero(side)
    return trade(market, bar, side[bar], stop[bar], alone=True)


# --- what looking ahead shows ------------------------------------------------------------------


def swing_labels(market: Walk, ahead: bool) -> Trades:
    """Buy each swing low and sell each swing high at the next open, always in the market.

    With *ahead* the label stands at the swing's own bar, else at the bar that confirms it.
    """
    bars = market.bars
    out = SWINGS.compute(bars, {"left": SWING, "right": SWING})
    signal = out["low_event"] - out["high_event"]
    if ahead:
        signal = np.concatenate([signal[SWING:], np.zeros(SWING)])
    at = np.flatnonzero(signal)
    at = at[np.concatenate([[True], np.diff(signal[at]) != 0])]  # turns only
    price = bars["close"][at]  # the next bar opens there
    return Trades(signal[at][:-1] * np.diff(price), np.ones(max(len(at) - 1, 0)))


@cache
def _blocks(market: Walk) -> list[Zone]:
    """All order blocks of a walk that were ever tested, in the order of their first test."""
    made = zones(ORDER_BLOCKS, market.bars, {"anchor": "extreme", "max_age": 5_000})
    return sorted((zone for zone in made if zone.bar(TESTED) is not None), key=_first_test)


def _first_test(zone: Zone) -> int:
    return zone.bar(TESTED) or 0


def order_blocks(market: Walk, survivors: bool) -> Trades:
    """Enter every order block at its first test, stop at its far side, target 2R.

    With *survivors* only those that no close ever erased: a popular library deletes the row of a
    block once it was broken and exceeded again, so its output holds the blocks that held.
    """
    kept = [zone for zone in _blocks(market) if not survivors or zone.bar(REMOVED) is None]
    bar = np.array([_first_test(zone) for zone in kept], np.int64)
    side = np.array([zone.side for zone in kept], float)
    stop = np.array([zone.bottom if zone.side > 0 else zone.top for zone in kept], float)
    return trade(market, bar, side, stop, alone=False)


def run() -> list[Row]:
    """Return profit factors of the causal lines, and of the two that look ahead."""
    walks = [walk(seed) for seed in SEEDS]
    where = f"{len(SEEDS)} random walks of {BARS:,} bars, next open, 2R, before costs"
    rows = []
    for name, rule in RULES.items():
        trades = joined([trade_rule(market, rule) for market in walks])
        how = (
            f"{where}; {len(trades.profit):,} trades, {trades.winners:.1%} won,"
            f" {trades.sigmas:+.1f} sigma from a fair walk's {trades.expected_winners:.1%}"
        )
        rows.append(Row(f"profit factor, {name}", trades.factor, "", how, 0.9, 1.1))
    return rows + _peeking_rows(walks)


def _peeking_rows(walks: list[Walk]) -> list[Row]:
    rows = []
    for name, arm in (("swing reversals", swing_labels), ("order blocks", order_blocks)):
        for ahead in (False, True):
            parts = [arm(market, ahead) for market in walks]
            both = joined(parts)
            factors = [part.factor for part in parts if len(part.profit)]
            how = (
                f"{min(factors):.2f} .. {max(factors):.2f} over the walks,"
                f" {len(both.profit):,} trades, {both.winners:.1%} won"
            )
            kind = "looking ahead" if ahead else "causal"
            limits = (1.5, None) if ahead else (0.85, 1.15)
            rows.append(Row(f"profit factor, {name}, {kind}", both.factor, "", how, *limits))
    return rows
