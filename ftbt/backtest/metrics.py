"""The metrics of a back-test, each after its published definition.

`summarise` computes them all at once from a Result. The parts are in `return_metrics` (returns
and equity) and `trade_metrics` (trades); definitions, sources and units stand there.

Which series a figure is made of:

* Sharpe, Sortino, volatility, omega, skewness, kurtosis, adjusted Sharpe and Kelly: returns per
  UTC DAY, annual by sqrt(365). Returns per bar would be annualised with sqrt(35,040) on 15m and
  let the serial correlation inside a day inflate or hide the risk. Bars longer than a day are
  taken as they are. Without times the bars' own returns are used.
* Drawdown, ulcer, pain, time under water: the equity at each bar's close, capital as first peak.
* CAGR and turnover: the span is the number of bars / bars per year.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest import return_metrics as rm
from ftbt.backtest import trade_metrics as tm
from ftbt.backtest.result import Records, Result
from ftbt.compiled import compiled
from ftbt.data.candles import frozen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """All figures of one run; fractions, not percent; NaN where undefined.

    Attributes:
        net_profit: last equity - capital, quote currency.
        total_return, cagr: fraction; CAGR per year.
        volatility: annual, of daily returns.
        sharpe, sortino, adjusted_sharpe: annual, of daily returns, against 0.
        omega: of daily returns against 0; inf without a losing day.
        skewness, kurtosis: moment figures of daily returns; kurtosis is 3 for a normal one.
        full_kelly: mean / variance of daily returns; a multiple of the size that was traded.
        max_drawdown: deepest, a fraction <= 0.
        days_under_water: longest time below an earlier peak, days.
        calmar, martin: CAGR / |max drawdown|, CAGR / ulcer index.
        ulcer_index, pain_index: fractions >= 0.
        trades: number of round trips.
        profit_factor: gains / losses after costs; inf without a loss.
        win_rate: fraction of trades with a net profit.
        payoff_ratio: mean gain / mean loss.
        expectancy, expectancy_r: mean net profit per trade, quote currency and in units of risk.
        exposure: share of bars with a position.
        average_bars: mean bars from entry to exit.
        longest_losing_streak: trades.
        turnover: traded notional per year / mean equity; NaN without fills.
        fees, funding, slippage: costs in quote currency; funding received is negative.
        long_*, short_*: the same figures of one side alone.
    """

    net_profit: float
    total_return: float
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    adjusted_sharpe: float
    omega: float
    skewness: float
    kurtosis: float
    full_kelly: float
    max_drawdown: float
    days_under_water: float
    calmar: float
    martin: float
    ulcer_index: float
    pain_index: float
    trades: int
    profit_factor: float
    win_rate: float
    payoff_ratio: float
    expectancy: float
    expectancy_r: float
    exposure: float
    average_bars: float
    longest_losing_streak: int
    turnover: float
    fees: float
    funding: float
    slippage: float
    long_trades: int
    long_net_profit: float
    long_win_rate: float
    long_profit_factor: float
    long_expectancy_r: float
    short_trades: int
    short_net_profit: float
    short_win_rate: float
    short_profit_factor: float
    short_expectancy_r: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers by name; NaN and inf stay what they are."""
        return {name: getattr(self, name) for name in self.__slots__}


def summarise(result: Result) -> Metrics:
    """Return all metrics of a finished back-test."""
    return summarise_arrays(
        result.returns,
        result.equity,
        result.trades,
        result.timeframe.bars_per_year,
        result.settings.capital,
        time=result.time,
        fills=result.fills,
        first_bar=result.first_bar,
    )


def summarise_arrays(
    returns: Floats,
    equity: Floats,
    trades: Records,
    bars_per_year: float,
    capital: float,
    *,
    time: Ints | None = None,
    fills: Records | None = None,
    first_bar: int = 0,
) -> Metrics:
    """Return all metrics from arrays.

    Args:
        returns: simple return per bar, shape (n,); used only when *time* is None.
        equity: equity at each bar's close, shape (n,).
        trades: TRADE records.
        bars_per_year: of the bars of *equity*.
        capital: equity before the first bar.
        time: open times of the bars, ms UTC, shape (n,): risk figures are then of daily returns.
        fills: FILL records, for the turnover.
        first_bar: index (as in `entry_bar`) of the first bar of *equity*.
    """
    periods = bars_per_year
    if time is not None and bars_per_year > DAYS_PER_YEAR:
        periods = DAYS_PER_YEAR
        _, returns = rm.daily_returns(time, equity, capital)
    years = len(equity) / bars_per_year
    growth = rm.cagr(equity, capital, years)
    figures: dict[str, Any] = {
        "net_profit": float(equity[-1]) - capital if len(equity) else rm.NAN,
        "total_return": rm.total_return(equity, capital),
        "cagr": growth,
        **_risk(returns, periods, growth),
        **_depth(equity, capital, growth, bars_per_year),
        **_trades(trades, first_bar, len(equity)),
        "turnover": rm.NAN,
    }
    if fills is not None:
        figures["turnover"] = tm.turnover(frozen(fills), frozen(equity), years)
    known: dict[str, Any] = {name: rm.known(figure) for name, figure in figures.items()}
    return Metrics(**known)


def _risk(returns: Floats, periods: float, growth: float) -> dict[str, Any]:
    spread, sharpe, sortino, omega, skew, kurt = _ratios(frozen(returns), periods)
    return {
        "volatility": spread,
        "sharpe": sharpe,
        "sortino": sortino,
        "adjusted_sharpe": rm.adjusted_sharpe(rm.ratio(growth, spread), skew, kurt),
        "omega": omega,
        "skewness": skew,
        "kurtosis": kurt,
        "full_kelly": rm.full_kelly(returns),
    }


@compiled
def _ratios(returns, periods):  # type: ignore[no-untyped-def]
    return (
        rm.volatility(returns) * math.sqrt(periods),
        rm.sharpe(returns, periods),
        rm.sortino(returns, periods, 0.0),
        rm.omega(returns, 0.0),
        rm.skewness(returns),
        rm.kurtosis(returns),
    )


def _depth(equity: Floats, capital: float, growth: float, bars_per_year: float) -> dict[str, Any]:
    deepest, longest, ulcer, pain = _under_water(frozen(equity), float(capital))
    return {
        "max_drawdown": deepest,
        "days_under_water": longest * DAYS_PER_YEAR / bars_per_year,
        "calmar": rm.calmar(growth, deepest),
        "martin": rm.martin(growth, ulcer),
        "ulcer_index": ulcer,
        "pain_index": pain,
    }


@compiled
def _under_water(equity, capital):  # type: ignore[no-untyped-def]
    drawdown = rm.drawdowns(equity, capital)
    return (
        rm.max_drawdown(drawdown),
        rm.longest_under_water(drawdown),
        rm.ulcer_index(drawdown),
        rm.pain_index(drawdown),
    )


_OF_TRADES = (
    "profit_factor", "win_rate", "payoff_ratio", "expectancy", "expectancy_r", "exposure",
    "average_bars", "longest_losing_streak",
)  # fmt: skip


def _trades(trades: Records, first_bar: int, bars: int) -> dict[str, Any]:
    found = _of_trades(frozen(trades), first_bar, bars)
    figures = {
        "trades": len(trades),
        **dict(zip(_OF_TRADES, found, strict=True)),
        **tm.costs(trades).as_dict(),
    }
    for word, side in (("long", 1), ("short", -1)):
        part = tm.by_side(trades, side).as_dict()
        figures.update({f"{word}_{name}": value for name, value in part.items()})
    return figures


@compiled
def _of_trades(trades, first_bar, bars):  # type: ignore[no-untyped-def]
    net, r = np.empty(trades.shape[0]), np.empty(trades.shape[0])
    for i in range(trades.shape[0]):
        net[i] = trades[i].net
        r[i] = trades[i].r
    return (
        tm.profit_factor(net),
        tm.win_rate(net),
        tm.payoff_ratio(net),
        tm.expectancy(net),
        tm.expectancy_r(r),
        tm.exposure(trades, first_bar, bars),
        tm.average_bars(trades),
        tm.longest_losing_streak(net),
    )
