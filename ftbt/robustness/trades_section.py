"""Trades and regimes (sections 11 and 12): where the profit came from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ftbt.data.market import Market
from ftbt.robustness import regimes as rg
from ftbt.robustness.assessment import (
    RegimeLine,
    Regimes,
    RegimeTable,
    TradeDot,
    TradeGroup,
    Trades,
)
from ftbt.robustness.concentration import profit_concentration
from ftbt.robustness.of_run import RunArrays, TradeArrays, thinned
from ftbt.robustness.panel import Flags, Ints
from ftbt.robustness.record import histogram

TOP = 5
DOTS = 500
PERCENT = 100.0

Markets = Mapping[str, Sequence[Market]]


def trades_section(arrays: RunArrays) -> Trades:
    """Return section 12; all empty without trades."""
    trades = arrays.trades
    spread = profit_concentration(trades.net, TOP)
    return Trades(
        count=len(trades),
        dots=_dots(trades),
        durations=histogram(trades.bars.astype(np.float64)),
        median_bars=float(np.median(trades.bars)) if len(trades) else math.nan,
        top=TOP,
        top_share=spread.share_of_net,
        net_without_top=spread.net_without,
        trades_to_zero=spread.trades_to_zero,
        groups=_groups(trades),
    )


def _dots(trades: TradeArrays) -> tuple[TradeDot, ...]:
    shown = thinned(len(trades), DOTS) if len(trades) else ()
    made = []
    for place in shown:
        notional = float(trades.notional[place])
        result = float(trades.net[place]) / notional if notional > 0.0 else math.nan
        made.append(TradeDot(float(trades.mae[place]), float(trades.mfe[place]), result))
    return tuple(made)


def _groups(trades: TradeArrays) -> tuple[TradeGroup, ...]:
    side = np.where(trades.side > 0, "long", "short").astype(object)
    kinds = (
        ("side", side),
        ("symbol", trades.symbol),
        ("strategy", trades.strategy),
        ("exit", trades.exit_reason),
    )
    return tuple(
        _group(trades, kind, str(word), words == word)
        for kind, words in kinds
        for word in sorted(set(words))
    )


def _group(trades: TradeArrays, kind: str, word: str, chosen: Flags) -> TradeGroup:
    low, mean, high = rg.mean_interval(trades.fraction[chosen] * PERCENT)
    return TradeGroup(
        kind=kind,
        word=word,
        trades=int(chosen.sum()),
        net=float(trades.net[chosen].sum()),
        win_rate=float((trades.net[chosen] > 0.0).mean()),
        mean=mean,
        low=low,
        high=high,
    )


def regimes_section(arrays: RunArrays, markets: Markets | None) -> Regimes:
    """Return section 11: by trend, volatility and funding of each trade's own symbol, by year.

    Args:
        arrays: of the run.
        markets: segments of each symbol; None: only years can be told.
    """
    tables = [_years(arrays)]
    if markets is not None:
        tables[:0] = [
            _table(arrays.trades, _trend(markets)),
            _table(arrays.trades, _volatility(markets)),
        ]
        if all(segments[0].funding is not None for segments in markets.values()):
            tables.insert(2, _table(arrays.trades, _funding(markets)))
    return Regimes(tuple(tables))


Labels = Mapping[str, rg.Regimes]


def _bars(segments: Sequence[Market], field: str) -> np.typing.NDArray[np.float64]:
    return np.concatenate([market.candles.bars[field] for market in segments])


def _each(markets: Markets, make: Callable[[Sequence[Market]], rg.Regimes]) -> Labels:
    return {symbol: make(segments) for symbol, segments in markets.items()}


def _trend(markets: Markets) -> Labels:
    return _each(markets, lambda own: rg.trend_regimes(_bars(own, "time"), _bars(own, "close")))


def _volatility(markets: Markets) -> Labels:
    return _each(
        markets, lambda own: rg.volatility_regimes(_bars(own, "time"), _bars(own, "close"))
    )


def _funding(markets: Markets) -> Labels:
    def make(segments: Sequence[Market]) -> rg.Regimes:
        funding = segments[0].funding
        if funding is None:  # asked for symbols with funding only
            return rg.funding_regimes([], [])
        known = np.isfinite(funding.rate)
        return rg.funding_regimes(funding.time[known], funding.rate[known])

    return _each(markets, make)


def _years(arrays: RunArrays) -> RegimeTable:
    years = rg.year_regimes(arrays.time)
    return _lines(arrays.trades, years.name, years.causal, years.words, years.at)


def _table(trades: TradeArrays, labels: Labels) -> RegimeTable:
    first = next(iter(labels.values()))

    def at(time: Ints) -> Ints:
        made = np.full(len(time), -1, dtype=np.int64)
        for symbol, own in labels.items():
            chosen = trades.symbol == symbol
            made[chosen] = own.at(time[chosen])
        return made

    return _lines(trades, first.name, first.causal, first.words, at)


def _lines(
    trades: TradeArrays,
    name: str,
    causal: bool,
    words: Sequence[str],
    at: Callable[[Ints], Ints],
) -> RegimeTable:
    in_r = bool(len(trades)) and bool(np.isfinite(trades.r).all())
    results = trades.r if in_r else trades.fraction * PERCENT
    rows = rg.regime_table(words, at(trades.entry), trades.net, results)
    lines = tuple(
        RegimeLine(
            row.word, row.trades, row.net, row.win_rate, row.mean_r, row.low, row.high, row.enough
        )
        for row in rows
    )
    return RegimeTable(name, causal, "R" if in_r else "% of equity", lines)
