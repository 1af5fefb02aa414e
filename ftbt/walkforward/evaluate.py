"""One parameter set on one span: every symbol, every piece, one curve.

The capital is split equally between the symbols, once, at the start of the span. Within a symbol
each piece starts with what the piece before left; nothing is held across a hole. The curves are
summed on the clock of all bars that any symbol has; a symbol without a bar keeps its equity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.metrics import Metrics, summarise_arrays
from ftbt.backtest.reference_engine import Progress
from ftbt.backtest.result import FILL, TRADE, Records, Result
from ftbt.backtest.return_metrics import daily_returns
from ftbt.backtest.settings import Settings
from ftbt.walkforward.pieces import SymbolPieces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Equity below one unit of money can't be traded, nor given to `Settings`.
RUIN = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SymbolTrades:
    """The trades of one symbol.

    Attributes:
        symbol: whose.
        trades: TRADE records in order of time; bars count on the joint clock.
        reasons: names of the entry reasons.
    """

    symbol: str
    trades: Records
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a parameter set did on a span.

    Attributes:
        time: opens of all bars that any symbol has, ms UTC, shape (n,).
        equity: sum over the symbols at the close of those bars, shape (n,).
        hold: equal parts of each symbol bought at its first open and kept, no costs, shape (n,).
        trades: one entry per symbol.
        fills: FILL records of all symbols; bars count within their own piece.
        metrics: of all symbols together.
        refused: why setups or orders were not taken, name -> count.
        engine: engine that ran.
        notes: sentences of the engine, each once.
        funding_modelled: False when any symbol had no funding rates.
        capital: equity before the first bar.
    """

    time: Ints
    equity: Floats
    hold: Floats
    trades: tuple[SymbolTrades, ...]
    fills: Records
    metrics: Metrics
    refused: Mapping[str, int]
    engine: str
    notes: tuple[str, ...]
    funding_modelled: bool
    capital: float

    def daily_returns(self) -> tuple[Ints, Floats]:
        """Return midnights (ms UTC) and the return of each UTC day that has a bar."""
        return daily_returns(self.time, self.equity, self.capital)


def evaluate(
    strategy: type[Any],
    symbols: Sequence[SymbolPieces],
    parameters: Mapping[str, Any],
    settings: Settings,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Return what *strategy* does with *parameters* on the pieces of *symbols*.

    Symbols without a single piece keep their share of the capital as cash. *progress* is called
    now and then with (bars done, bars in all) of the piece that runs.
    """
    share = settings.capital / len(symbols)
    curves, holds, results = [], [], []
    for one in symbols:
        own = replace(settings, capital=share)
        runs = _run_pieces(strategy, one, parameters, own, engine, progress)
        results.append(runs)
        curves.append(_curve(runs))
        holds.append(_hold(one, share))
    time = np.unique(np.concatenate([curve[0] for curve in curves]))
    trades = tuple(
        _joined_trades(one.symbol, runs, time) for one, runs in zip(symbols, results, strict=True)
    )
    equity = _sum_on(time, curves, share)
    every = [run for runs in results for run in runs]
    fills = np.concatenate([np.zeros(0, FILL), *(run.fills for run in every)])
    per_year = every[0].timeframe.bars_per_year
    joined = [one.trades for one in trades]
    return Evaluation(
        time=time,
        equity=equity,
        hold=_sum_on(time, holds, share),
        trades=trades,
        fills=fills,
        metrics=metrics_of(time, equity, joined, fills, per_year, settings.capital),
        refused=dict(sorted(sum((Counter(run.refused) for run in every), Counter()).items())),
        engine="+".join(sorted({run.engine for run in every})),
        notes=tuple(dict.fromkeys(note for run in every for note in run.notes)),
        funding_modelled=all(run.funding_modelled for run in every),
        capital=settings.capital,
    )


def _run_pieces(
    strategy: type[Any],
    symbol: SymbolPieces,
    parameters: Mapping[str, Any],
    settings: Settings,
    engine: str,
    progress: Progress | None,
) -> list[Result]:
    runs: list[Result] = []
    for piece in symbol.pieces:
        if runs:
            left = float(runs[-1].equity[-1])
            if left < RUIN:
                break
            settings = replace(settings, capital=left)
        result = run_backtest(
            strategy,
            piece.market,
            parameters,
            settings,
            trade_from=piece.trade_from,
            engine=engine,
            progress=progress,
        )
        runs.append(result)
    return runs


def _curve(runs: Sequence[Result]) -> tuple[Ints, Floats]:
    if not runs:
        return np.zeros(0, np.int64), np.zeros(0)
    return (
        np.concatenate([run.time for run in runs]),
        np.concatenate([run.equity for run in runs]),
    )


def _hold(symbol: SymbolPieces, share: float) -> tuple[Ints, Floats]:
    """Return the curve of buying at the first open that could be traded; holes are held through."""
    parts = [piece.market.candles.bars[piece.trade_from :] for piece in symbol.pieces]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    bars = np.concatenate(parts)
    return bars["time"], share * bars["close"] / bars["open"][0]


def _sum_on(time: Ints, curves: Sequence[tuple[Ints, Floats]], share: float) -> Floats:
    """Return the sum of *curves* at *time*, each keeping its last value between its bars."""
    total = np.zeros(len(time))
    for own_time, values in curves:
        last = np.searchsorted(own_time, time, side="right")
        total += np.concatenate(([share], values))[last]
    return total


def _joined_trades(symbol: str, runs: Sequence[Result], time: Ints) -> SymbolTrades:
    """Return the trades of all pieces with their bars on the joint clock."""
    if not runs:
        return SymbolTrades(symbol, np.zeros(0, TRADE), ())
    trades = np.concatenate([run.trades for run in runs]).astype(TRADE, copy=True)
    for name in ("entry", "exit"):
        at = np.searchsorted(time, trades[f"{name}_time"], side="right") - 1
        trades[f"{name}_bar"] = np.maximum(at, 0)
    return SymbolTrades(symbol, trades, tuple(runs[0].reasons))


def metrics_of(
    time: Ints,
    equity: Floats,
    trades: Sequence[Records],
    fills: Records,
    bars_per_year: float,
    capital: float,
) -> Metrics:
    """Return the metrics of a joint curve.

    Args:
        time: opens of the curve's bars, ms UTC, shape (n,).
        equity: at their close, shape (n,).
        trades: TRADE records, any number of lists; bars count on *time*.
        fills: FILL records.
        bars_per_year: of the curve's bars.
        capital: equity before the first bar.
    """
    together = np.concatenate([np.zeros(0, TRADE), *trades])
    order = np.argsort(together["exit_time"], kind="stable")
    before = np.concatenate(([capital], equity[:-1]))
    alive = before > 0.0
    per_bar = np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)
    return summarise_arrays(
        per_bar, equity, together[order], bars_per_year, capital, time=time, fills=fills
    )
