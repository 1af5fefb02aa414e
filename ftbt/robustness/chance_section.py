"""Chance benchmarks of section 7: trades at random times, positions on shuffled returns."""

from __future__ import annotations

import numpy as np

from ftbt.robustness.assessment import ChanceTest
from ftbt.robustness.benchmarks import (
    NullTest,
    SymbolTrades,
    permutation_test,
    random_entries,
)
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.panel import Flags, Floats, Ints
from ftbt.robustness.record import histogram
from ftbt.robustness.rerun import Reruns, bars_of
from ftbt.walkforward.pieces import Piece

SIMULATIONS = 1000
PERMUTATIONS = 200
RANDOM_NOTE = (
    "Keeps number, side, holding time, size and costs of the trades in each window and symbol;"
    " destroys when they were entered. The random trades have no stop and no target: what those"
    " add counts as knowledge too."
)
PERMUTED_NOTE = (
    "Keeps the positions; puts the market's returns in random order. A strategy that only knows"
    " when the market is wild can look skilled here."
)


def random_entry_test(arrays: RunArrays, reruns: Reruns, seed: int) -> ChanceTest | None:
    """Return the record's trades among the same ones at random times; None without trades."""
    parts = [part for piece, own in _placed(arrays, reruns) if (part := _part(arrays, piece, own))]
    if not parts:
        return None
    found = random_entries(parts, simulations=SIMULATIONS, seed=seed)
    return _shown("random entries", found, "quote currency", SIMULATIONS, RANDOM_NOTE)


def permuted_returns_test(arrays: RunArrays, reruns: Reruns, seed: int) -> ChanceTest | None:
    """Return mean position x return per bar among shuffled returns; None without trades."""
    positions, returns = [], []
    for piece, own in _placed(arrays, reruns, every=True):
        time, prices = bars_of(piece)
        held = _held(arrays, time, own)
        positions.append(held)
        returns.append(prices[1:] / prices[:-1] - 1.0)
    if not positions or not any(np.any(one) for one in positions):
        return None
    found = permutation_test(
        np.concatenate(positions), np.concatenate(returns), permutations=PERMUTATIONS, seed=seed
    )
    return _shown(
        "permuted returns", found, "fraction of the equity per bar", PERMUTATIONS, PERMUTED_NOTE
    )


def _placed(arrays: RunArrays, reruns: Reruns, *, every: bool = False) -> list[tuple[Piece, Flags]]:
    """Return each stretch of bars with the trades entered on it (*every*: those without, too)."""
    trades = arrays.trades
    found = []
    for test in reruns.tests:
        for one in test.pieces:
            own = (trades.window == test.number) & (trades.symbol == one.symbol)
            for piece in one.pieces:
                time = piece.market.candles.time[piece.trade_from :]
                end = int(time[-1]) + piece.market.candles.timeframe.ms
                inside = own & (trades.entry >= time[0]) & (trades.entry < end)
                if every or inside.any():
                    found.append((piece, inside))
    return found


def _part(arrays: RunArrays, piece: Piece, own: Flags) -> SymbolTrades | None:
    trades = arrays.trades
    time, prices = bars_of(piece)
    entry, held = _spans(arrays, time, own)
    return SymbolTrades(
        prices=prices,
        entry_bar=entry,
        bars_held=held,
        side=trades.side[own],
        result=trades.net[own],
        scale=trades.notional[own],
        cost=trades.cost[own],
    )


def _spans(arrays: RunArrays, time: Ints, own: Flags) -> tuple[Ints, Ints]:
    """Return the bar of each entry and the bars to its exit, on the bars that open at *time*."""
    trades = arrays.trades
    entry = np.searchsorted(time, trades.entry[own], side="right") - 1
    leave = np.searchsorted(time, trades.exit[own], side="right") - 1
    return entry, np.maximum(leave - entry, 0)


def _held(arrays: RunArrays, time: Ints, own: Flags) -> Floats:
    """Return the position over each bar, signed notional / equity, shape (bars,)."""
    trades = arrays.trades
    entry, held = _spans(arrays, time, own)
    before = arrays.equity_before(trades.entry[own])
    size = np.where(before > 0.0, trades.notional[own] / np.maximum(before, 1e-12), 0.0)
    change = np.zeros(len(time) + 1)
    np.add.at(change, entry, trades.side[own] * size)
    np.add.at(change, entry + np.maximum(held, 1), -trades.side[own] * size)
    return np.asarray(np.cumsum(change)[:-1])


def _shown(name: str, found: NullTest, unit: str, count: int, note: str) -> ChanceTest:
    return ChanceTest(
        name=name,
        observed=found.observed,
        unit=unit,
        p_value=found.p_value,
        percentile=found.percentile,
        lower=found.lower,
        median=found.median,
        upper=found.upper,
        histogram=histogram(found.values),
        simulations=count,
        note=note,
    )
