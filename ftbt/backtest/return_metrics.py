"""Measures of a series of returns or of an equity curve: pure functions of arrays.

Conventions, for every function here:

* `returns` are simple returns per period (bar, day, month), shape (n,); `equity` is money,
  shape (n,). Results are per period unless the name or the docstring says annual.
* `periods` is the number of periods in a year (365 for days: crypto trades on all of them).
* Annual figures are arithmetic: a ratio per period times sqrt(periods). That is exact only for
  independent returns (Lo 2002, FAJ 58(4)).
* What is undefined is NaN: too few values, or a ratio whose denominator is zero. Only ratios of
  gains to losses (omega, Bernardo-Ledoit) are infinite when there are gains and no loss.

Source "Bacon": C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed.
(2008), whose 24 monthly returns and printed results the tests reproduce.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.sums import total
from ftbt.compiled import compiled
from ftbt.data.candles import frozen
from ftbt.data.timeframe import DAY_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAN = math.nan
_DAY = DAY_MS


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, NaN when the denominator is zero or anything is unknown."""
    return numerator / denominator if denominator != 0.0 else NAN


def gain_loss_ratio(gain: float, loss: float) -> float:
    """Return gain / loss (both >= 0): inf for gains without a loss, NaN for neither."""
    if loss > 0.0:
        return gain / loss
    return math.inf if gain > 0.0 else NAN


ratio_compiled = compiled(ratio)
gain_loss_ratio_compiled = compiled(gain_loss_ratio)


def known(figure: float) -> float:
    """Return *figure*; what is undefined becomes the one NAN, so that equal tables are equal."""
    return figure if figure == figure else NAN


def daily_returns(time_ms: Ints, equity: Floats, capital: float) -> tuple[Ints, Floats]:
    """Return the simple return of each UTC day that has a bar.

    A bar belongs to the day of its open, so the bar from 23:45 to 24:00 is that day's last.

    Args:
        time_ms: open times of the bars, ms UTC, rising, shape (n,).
        equity: equity at the close of those bars, shape (n,).
        capital: equity before the first bar.

    Returns:
        Midnights in ms UTC and returns, both shape (days,). After ruin (equity 0 or less) the
        return is 0: nothing can be lost any more.
    """
    days, returns = _by_day(frozen(np.asarray(time_ms)), frozen(equity), float(capital))
    return days, returns


@compiled
def _by_day(time, equity, capital):  # type: ignore[no-untyped-def]
    count = time.shape[0]
    room = 0 if count == 0 else min(count, (time[count - 1] - time[0]) // _DAY + 2)
    days = np.empty(room, np.int64)
    returns = np.empty(room)
    before = capital
    n = 0
    i = 0
    while i < count:
        midnight = time[i] // _DAY * _DAY
        over = midnight + _DAY
        while i < count and time[i] < over:
            i += 1
        days[n] = midnight
        returns[n] = equity[i - 1] / before - 1.0 if before > 0.0 else 0.0
        before = equity[i - 1]
        n += 1
    return days[:n], returns[:n]


def total_return(equity: Floats, capital: float) -> float:
    """Return last equity / capital - 1."""
    return float(equity[-1]) / capital - 1.0 if len(equity) else NAN


def cagr(equity: Floats, capital: float, years: float) -> float:
    """Return the compound annual growth rate (last / capital)^(1 / years) - 1; -1 after ruin."""
    if not len(equity) or not years > 0.0:
        return NAN
    growth = float(equity[-1]) / capital
    if not growth > 0.0:
        return -1.0 if growth <= 0.0 else NAN
    power = math.log(growth) / years
    return math.expm1(power) if power < 700.0 else math.inf


@compiled
def mean(returns: Floats) -> float:
    """Return the arithmetic mean per period."""
    return total(returns) / returns.shape[0] if returns.shape[0] > 0 else NAN


@compiled
def volatility(returns: Floats) -> float:
    """Return the standard deviation per period with n - 1 in the denominator."""
    if returns.shape[0] < 2:
        return NAN
    apart = returns - mean(returns)
    return math.sqrt(total(apart * apart) / (returns.shape[0] - 1))


@compiled
def sharpe(returns: Floats, periods: float) -> float:
    """Return the annual Sharpe ratio, mean / volatility * sqrt(periods), risk-free rate 0.

    Source: Sharpe, The Sharpe Ratio, J. Portfolio Management 21(1), 1994.
    """
    average, spread = mean(returns), volatility(returns)
    # Equal returns have a spread of rounding errors only: no risk, no ratio.
    if not spread > 1e-13 * abs(average):
        return NAN
    return average / spread * math.sqrt(periods)


@compiled
def downside_deviation(returns: Floats, mar: float = 0.0) -> float:
    """Return sqrt(mean(min(r - mar, 0)^2)) over ALL periods (Bacon).

    Args:
        returns: per period, shape (n,).
        mar: minimum acceptable return per period.
    """
    return math.sqrt(_lower_moment(returns, mar, 2))


@compiled
def downside_potential(returns: Floats, mar: float = 0.0) -> float:
    """Return mean(max(mar - r, 0)) over all periods (Bacon)."""
    return _lower_moment(returns, mar, 1)


def upside_risk(returns: Floats, mar: float = 0.0) -> float:
    """Return sqrt(mean(max(r - mar, 0)^2)) over all periods (Bacon)."""
    return math.sqrt(_lower_moment(-returns, -mar, 2))


@compiled
def upside_potential(returns: Floats, mar: float = 0.0) -> float:
    """Return mean(max(r - mar, 0)) over all periods (Bacon)."""
    return _lower_moment(-returns, -mar, 1)


def downside_frequency(returns: Floats, mar: float = 0.0) -> float:
    """Return the share of periods below *mar* (Bacon p. 94)."""
    return float(np.mean(returns < mar)) if len(returns) else NAN


def upside_frequency(returns: Floats, mar: float = 0.0) -> float:
    """Return the share of periods above *mar* (Bacon p. 94)."""
    return float(np.mean(returns > mar)) if len(returns) else NAN


@compiled
def _lower_moment(returns: Floats, mar: float, order: int) -> float:
    below = np.empty(returns.shape[0])
    for i in range(returns.shape[0]):
        short = max(mar - returns[i], 0.0)
        below[i] = short if order == 1 else short * short if order == 2 else short**order
    return mean(below)


@compiled
def sortino(returns: Floats, periods: float, mar: float = 0.0) -> float:
    """Return the annual Sortino ratio, (mean - mar) / downside deviation * sqrt(periods).

    Source: Sortino and Price, Performance Measurement in a Downside Risk Framework, 1994.
    """
    return ratio_compiled(mean(returns) - mar, downside_deviation(returns, mar)) * math.sqrt(
        periods
    )


@compiled
def omega(returns: Floats, mar: float = 0.0) -> float:
    """Return upside potential / downside potential (Keating and Shadwick 2002)."""
    return gain_loss_ratio_compiled(
        upside_potential(returns, mar), downside_potential(returns, mar)
    )


def bernardo_ledoit(returns: Floats) -> float:
    """Return the sum of gains / the sum of losses: omega at 0 (Bernardo and Ledoit 2000)."""
    return omega(returns)


def omega_sharpe(returns: Floats, mar: float = 0.0) -> float:
    """Return (mean - mar) / downside potential, which is omega - 1 (Bacon p. 95)."""
    return ratio(mean(returns) - mar, downside_potential(returns, mar))


def kappa(returns: Floats, mar: float = 0.0, order: int = 2) -> float:
    """Return (mean - mar) / (lower partial moment of *order*)^(1/order) (Kaplan, Knowles 2004).

    Order 1 is omega-Sharpe, order 2 the Sortino ratio per period.
    """
    return ratio(mean(returns) - mar, _lower_moment(returns, mar, order) ** (1.0 / order))


def volatility_skew(returns: Floats, mar: float = 0.0) -> float:
    """Return upside variance / downside variance about *mar* (Bacon)."""
    return gain_loss_ratio(
        _lower_moment(-returns, -mar, 2),
        _lower_moment(returns, mar, 2),
    )


def variability_skew(returns: Floats, mar: float = 0.0) -> float:
    """Return upside risk / downside deviation about *mar* (Bacon)."""
    return gain_loss_ratio(upside_risk(returns, mar), downside_deviation(returns, mar))


def mean_absolute_deviation(returns: Floats) -> float:
    """Return mean(|r - mean|) per period (Bacon p. 62)."""
    return float(np.abs(returns - returns.mean()).mean()) if len(returns) else NAN


@compiled
def skewness(returns: Floats) -> float:
    """Return the moment skewness m3 / m2^1.5 (biased; 0 for a normal distribution)."""
    return _standard_moment(returns, 3)


@compiled
def kurtosis(returns: Floats) -> float:
    """Return the moment kurtosis m4 / m2^2, NOT excess: 3 for a normal distribution."""
    return _standard_moment(returns, 4)


@compiled
def _standard_moment(returns: Floats, order: int) -> float:
    if returns.shape[0] < 2:
        return NAN
    apart = returns - mean(returns)
    squared = apart * apart
    second = mean(squared)
    least = 1e-13 * np.abs(returns).max()
    if not second > least * least:
        return NAN
    high = mean(squared * apart if order == 3 else squared * squared)
    return high / (second * math.sqrt(second) if order == 3 else second * second)


def sample_skewness(returns: Floats) -> float:
    """Return the bias-corrected skewness sqrt(n (n-1)) / (n-2) * m3 / m2^1.5, for n > 2."""
    n = len(returns)
    return skewness(returns) * math.sqrt(n * (n - 1)) / (n - 2) if n > 2 else NAN


def sample_excess_kurtosis(returns: Floats) -> float:
    """Return the bias-corrected EXCESS kurtosis (0 for a normal distribution), for n > 3.

    (n-1) / ((n-2)(n-3)) * ((n+1) g4 - 3 (n-1)) with g4 the moment kurtosis.
    """
    n = len(returns)
    if n < 4:
        return NAN
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * kurtosis(returns) - 3 * (n - 1))


def adjusted_sharpe(annual_ratio: float, skew: float, kurt: float) -> float:
    """Return SR * (1 + skew/6 * SR - (kurt - 3)/24 * SR^2) (Pezier and White 2006).

    Args:
        annual_ratio: annual Sharpe ratio; Bacon's printed value takes the geometric one,
            CAGR / annual volatility.
        skew: moment skewness per period.
        kurt: moment kurtosis per period, not excess.
    """
    return annual_ratio * (1.0 + skew / 6.0 * annual_ratio - (kurt - 3.0) / 24.0 * annual_ratio**2)


def full_kelly(returns: Floats) -> float:
    """Return mean / variance per period: the leverage of greatest growth (Thorp 1997).

    Negative: the series should not be traded at all.
    """
    average, spread = mean(returns), volatility(returns)
    return average / spread**2 if spread > 1e-13 * abs(average) else NAN


@compiled
def drawdowns(equity: Floats, capital: float) -> Floats:
    """Return equity / highest equity so far - 1 (<= 0), shape (n,); *capital* is the first peak."""
    found = np.empty(equity.shape[0])
    peak = float(capital)
    for i in range(equity.shape[0]):
        peak = max(peak, equity[i])
        found[i] = equity[i] / peak - 1.0
    return found


@compiled
def max_drawdown(drawdown: Floats) -> float:
    """Return the deepest drawdown, a fraction <= 0."""
    return drawdown.min() if drawdown.shape[0] > 0 else NAN


@compiled
def longest_under_water(drawdown: Floats) -> int:
    """Return the most periods in a row below an earlier peak; the last may be unfinished."""
    return longest_run(drawdown < 0.0)


@compiled
def longest_run(flags: NDArray[np.bool_]) -> int:
    """Return the length of the longest unbroken run of True."""
    longest = 0
    run = 0
    for i in range(flags.shape[0]):
        run = run + 1 if flags[i] else 0
        longest = max(longest, run)
    return longest


@compiled
def ulcer_index(drawdown: Floats) -> float:
    """Return sqrt(mean(drawdown^2)) (Martin and McCann 1987; Bacon)."""
    return math.sqrt(mean(drawdown * drawdown))


@compiled
def pain_index(drawdown: Floats) -> float:
    """Return mean(|drawdown|) (Becker 2006; Bacon p. 89)."""
    return -mean(drawdown)


def calmar(annual_growth: float, deepest: float) -> float:
    """Return CAGR / |max drawdown| over the whole span (Young 1991), NaN without a drawdown."""
    return ratio(annual_growth, abs(deepest))


def martin(annual_growth: float, ulcer: float) -> float:
    """Return CAGR / ulcer index (Martin and McCann 1989), NaN without a drawdown."""
    return ratio(annual_growth, ulcer)
