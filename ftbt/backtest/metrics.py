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
    return Metrics(
        net_profit=float(equity[-1]) - capital if len(equity) else rm.NAN,
        total_return=rm.total_return(equity, capital),
        cagr=growth,
        **_risk(returns, periods, growth),
        **_depth(equity, capital, growth, bars_per_year),
        **_trades(trades, first_bar, len(equity)),
        turnover=rm.NAN if fills is None else tm.turnover(fills, equity, years),
    )


def _risk(returns: Floats, periods: float, growth: float) -> dict[str, Any]:
    spread = rm.volatility(returns) * math.sqrt(periods)
    skew, kurt = rm.skewness(returns), rm.kurtosis(returns)
    return {
        "volatility": spread,
        "sharpe": rm.sharpe(returns, periods),
        "sortino": rm.sortino(returns, periods),
        "adjusted_sharpe": rm.adjusted_sharpe(rm.ratio(growth, spread), skew, kurt),
        "omega": rm.omega(returns),
        "skewness": skew,
        "kurtosis": kurt,
        "full_kelly": rm.full_kelly(returns),
    }


def _depth(equity: Floats, capital: float, growth: float, bars_per_year: float) -> dict[str, Any]:
    drawdown = rm.drawdowns(equity, capital)
    deepest, ulcer = rm.max_drawdown(drawdown), rm.ulcer_index(drawdown)
    return {
        "max_drawdown": deepest,
        "days_under_water": rm.longest_under_water(drawdown) * DAYS_PER_YEAR / bars_per_year,
        "calmar": rm.calmar(growth, deepest),
        "martin": rm.martin(growth, ulcer),
        "ulcer_index": ulcer,
        "pain_index": rm.pain_index(drawdown),
    }


def _trades(trades: Records, first_bar: int, bars: int) -> dict[str, Any]:
    net = np.ascontiguousarray(trades["net"])
    figures = {
        "trades": len(trades),
        "profit_factor": tm.profit_factor(net),
        "win_rate": tm.win_rate(net),
        "payoff_ratio": tm.payoff_ratio(net),
        "expectancy": tm.expectancy(net),
        "expectancy_r": tm.expectancy_r(trades["r"]),
        "exposure": tm.exposure(trades, first_bar, bars),
        "average_bars": tm.average_bars(trades),
        "longest_losing_streak": tm.longest_losing_streak(net),
        **tm.costs(trades).as_dict(),
    }
    for word, side in (("long", 1), ("short", -1)):
        part = tm.by_side(trades, side).as_dict()
        figures.update({f"{word}_{name}": value for name, value in part.items()})
    return figures
