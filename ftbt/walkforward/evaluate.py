"""Strategies with their parameters on one span: every symbol, every piece, one account, one curve.

Nothing is held across a hole. The curve has the clock of all bars that can be traded in any symbol;
a symbol without a bar stands at its last price.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.attribution import Attribution, attribute
from ftbt.backtest.engine import run_portfolio
from ftbt.backtest.metrics import DAYS_PER_YEAR, Metrics, summarise_arrays
from ftbt.backtest.portfolio import Sleeve, Stretch
from ftbt.backtest.reference_engine import Progress
from ftbt.backtest.result import TRADE, Records, Result
from ftbt.backtest.return_metrics import daily_returns
from ftbt.backtest.settings import Settings
from ftbt.risk.allocation import Allocation
from ftbt.room import copied
from ftbt.walkforward.pieces import SymbolPieces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What strategies did on a span.

    Attributes:
        time: opens of all bars that can be traded in any symbol, ms UTC, shape (n,).
        equity: of the account at the close of those bars, shape (n,).
        hold: equal parts of each symbol bought at its first open and kept, no costs, shape (n,).
        trades: TRADE records in order of their exits; bars count on `time`.
        fills: FILL records in order of time; bars count on `time`.
        symbols, strategies: names that `trades` and `fills` count.
        entry_reasons: names of the entry reasons, of each strategy.
        metrics: of everything together.
        refused: why setups or orders were not taken, name -> count.
        engine: engine that ran.
        notes: sentences of the engine, each once.
        funding_modelled: False when any symbol had no funding rates.
        capital: equity before the first bar.
        attribution: who earned what, when that was asked for.
    """

    time: Ints
    equity: Floats
    hold: Floats
    trades: Records
    fills: Records
    symbols: tuple[str, ...]
    strategies: tuple[str, ...]
    entry_reasons: tuple[tuple[str, ...], ...]
    metrics: Metrics
    refused: Mapping[str, int]
    engine: str
    notes: tuple[str, ...]
    funding_modelled: bool
    capital: float
    attribution: Attribution | None = None

    def daily_returns(self) -> tuple[Ints, Floats]:
        """Return midnights (ms UTC) and the return of each UTC day that has a bar."""
        return daily_returns(self.time, self.equity, self.capital)


def evaluate(
    sleeves: Sequence[Sleeve],
    symbols: Sequence[SymbolPieces],
    settings: Settings,
    engine: str = "auto",
    progress: Progress | None = None,
    allocation: Allocation | None = None,
    *,
    attributed: bool = False,
) -> Evaluation:
    """Return what *sleeves* do on the pieces of *symbols*.

    *progress* is called now and then with (bars done, bars in all); *attributed*: say who earned
    what, too.
    """
    result, span = _run(sleeves, symbols, settings, engine, allocation, progress)
    equity = _own_equity(result, span)
    trades = _on_span(result.trades, ("entry_bar", "exit_bar"), result.first_bar, span)
    fills = _on_span(result.fills, ("bar",), result.first_bar, span)
    per_year = result.timeframe.bars_per_year
    return Evaluation(
        time=span.time,
        equity=equity,
        hold=span.hold * settings.capital,
        trades=trades,
        fills=fills,
        symbols=tuple(result.symbols),
        strategies=tuple(result.strategies),
        entry_reasons=tuple(map(tuple, result.entry_reasons)),
        metrics=metrics_of(span.time, equity, [trades], fills, per_year, settings.capital),
        refused=result.refused,
        engine=result.engine,
        notes=tuple(result.notes),
        funding_modelled=result.funding_modelled,
        capital=settings.capital,
        attribution=_attributed(result) if attributed else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """What is left of an `Evaluation` when nobody asks for its figures: a third of the work.

    Attributes:
        time, equity, capital: as there.
        trades: how many.
    """

    time: Ints
    equity: Floats
    capital: float
    trades: int


def outline(
    sleeves: Sequence[Sleeve],
    symbols: Sequence[SymbolPieces],
    settings: Settings,
    engine: str = "auto",
    allocation: Allocation | None = None,
) -> Outline:
    """Return the curve of *sleeves* on the pieces of *symbols*, the same as `evaluate` gives."""
    result, span = _run(sleeves, symbols, settings, engine, allocation)
    return Outline(span.time, _own_equity(result, span), settings.capital, len(result.trades))


def _run(
    sleeves: Sequence[Sleeve],
    symbols: Sequence[SymbolPieces],
    settings: Settings,
    engine: str,
    allocation: Allocation | None,
    progress: Progress | None = None,
) -> tuple[Result, _Span]:
    stretches = [Stretch(piece.market, piece.trade_from) for one in symbols for piece in one.pieces]
    result = run_portfolio(
        sleeves, stretches, settings, allocation=allocation, engine=engine, progress=progress
    )
    return result, _span(symbols, result)


def _own_equity(result: Result, span: _Span) -> Floats:
    return result.equity if span.traded is None else result.equity[span.traded]


def _attributed(result: Result) -> Attribution:
    return attribute(
        result.trades,
        result.fills,
        result.time,
        result.closes,
        result.settings.capital,
        result.strategies,
        result.symbols,
        result.first_bar,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Span:
    """What all parameter sets on the same pieces have in common.

    Attributes:
        time: opens of the bars that can be traded.
        traded: which of the result's bars these are; None: all of them.
        number: of each of the result's bars among them; empty when that is its own.
        hold: buy and hold of one unit of money.
    """

    time: Ints
    traded: NDArray[np.bool_] | None
    number: Ints
    hold: Floats


_SPANS: OrderedDict[Any, _Span] = OrderedDict()
# Stress runs the tests of all windows again and again.
_KEPT_SPANS = 64


def _span(symbols: Sequence[SymbolPieces], result: Result) -> _Span:
    # By symbol: one without a piece still has its part of buy and hold.
    key = tuple(
        tuple((piece.market.candles.fingerprint, piece.trade_from) for piece in one.pieces)
        for one in symbols
    )
    found = _SPANS.get(key)
    if found is None:
        found = _SPANS[key] = _make_span(symbols, result.time)
        while len(_SPANS) > _KEPT_SPANS:
            _SPANS.popitem(last=False)
    return found


def _make_span(symbols: Sequence[SymbolPieces], time: Ints) -> _Span:
    """Return which bars can be traded: where one piece is over, the next may only warm up."""
    spans = [
        piece.market.candles.time[piece.trade_from :] for one in symbols for piece in one.pieces
    ]
    traded = np.isin(time, np.concatenate(spans))
    own = time[traded]
    whole = bool(traded.all())
    holds = [_hold(one, own, 1.0 / len(symbols)) for one in symbols]
    return _Span(
        time=own,
        traded=None if whole else traded,
        number=np.zeros(0, np.int64) if whole else np.cumsum(traded) - 1,
        hold=np.sum(holds, axis=0),
    )


def _hold(symbol: SymbolPieces, time: Ints, share: float) -> Floats:
    """Return the curve of buying at the first open that could be traded; holes are held through."""
    parts = [piece.market.candles.bars[piece.trade_from :] for piece in symbol.pieces]
    if not parts:
        return np.full(len(time), share)
    bars = np.concatenate(parts)
    values = np.concatenate(([share], share * bars["close"] / bars["open"][0]))
    curve: Floats = values[np.searchsorted(bars["time"], time, side="right")]
    return curve


def _on_span(records: Records, names: Sequence[str], first_bar: int, span: _Span) -> Records:
    """Return *records* with their bars counted on the span's time."""
    moved = copied(records)
    for name in names:
        moved[name] -= first_bar
        if len(span.number):
            moved[name] = span.number[moved[name]]
    return moved


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
    together = trades[0] if len(trades) == 1 else np.concatenate([np.zeros(0, TRADE), *trades])
    exits = together["exit_time"]
    if (exits[1:] < exits[:-1]).any():
        together = together[np.argsort(together["exit_time"], kind="stable")]
    returns = equity[:0]  # shorter bars than a day are measured by the days that they make up
    if bars_per_year <= DAYS_PER_YEAR:
        before = np.concatenate(([capital], equity[:-1]))
        alive = before > 0.0
        returns = np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)
    return summarise_arrays(
        returns, equity, together, bars_per_year, capital, time=time, fills=fills
    )
