"""Whether the stitched out-of-sample result could be luck: two simple figures and one sentence.

Both are of daily returns (UTC), from which each parameter choice was blind. Neither knows how many
questions were asked before this one; the sentence says so where it matters.

* t statistic: mean / (standard deviation / sqrt(days)).
* Probabilistic Sharpe ratio against 0: the probability that the true Sharpe ratio is above zero,
  given length, skewness and kurtosis of the returns (Bailey and Lopez de Prado, The Sharpe Ratio
  Efficient Frontier, J. Risk 15(2), 2012).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.return_metrics import kurtosis, skewness
from ftbt.backtest.sharpe_error import chance_above, sharpe_variance
from ftbt.walkforward.result import Evidence, Verdict

# Below these a curve says nothing, whatever its shape.
MIN_DAYS = 30
MIN_TRADES = 30
WEAK = 0.90
SOME = 0.95


def judge(returns: NDArray[np.float64], net_profit: float, trades: int) -> Evidence:
    """Return figures and verdict of the stitched result.

    Args:
        returns: daily, out of sample, shape (days,).
        net_profit: of the stitched curve after costs, quote currency.
        trades: out-of-sample round trips.
    """
    days = len(returns)
    mean = float(returns.mean()) if days else math.nan
    spread = float(returns.std(ddof=1)) if days > 1 else math.nan
    # Equal returns have a spread of rounding errors only.
    flat = not spread > 1e-13 * max(abs(mean), 1e-13)
    sharpe = math.nan if flat else mean / spread
    probability = math.nan if flat else _chance(returns, sharpe)
    t_statistic = sharpe * math.sqrt(days) if days else math.nan
    verdict, sentence = _verdict(days, trades, net_profit, t_statistic, probability)
    return Evidence(days, mean, sharpe, t_statistic, probability, verdict, sentence)


def _chance(returns: NDArray[np.float64], sharpe: float) -> float:
    """Return the probabilistic Sharpe ratio against 0, NaN when the moments give no error."""
    variance = sharpe_variance(sharpe, skewness(returns), kurtosis(returns))
    if not variance > 0.0:
        return math.nan
    return chance_above(sharpe, 0.0, math.sqrt(variance / (len(returns) - 1)))


def _verdict(
    days: int, trades: int, net_profit: float, t_statistic: float, probability: float
) -> tuple[Verdict, str]:
    if trades == 0:
        return "none", "No evidence of an edge: it never traded out of sample."
    luck = f"t = {t_statistic:.2f}, probability of a true Sharpe above 0: {probability:.0%}"
    if not net_profit > 0.0:
        lost = f"{-net_profit:,.2f}"
        return "none", f"No evidence of an edge: after costs it lost {lost} out of sample ({luck})."
    if days < MIN_DAYS or trades < MIN_TRADES:
        return "none", (
            f"No evidence of an edge: {trades} trades in {days} days out of sample are too few to"
            f" judge a profit of {net_profit:,.2f} by."
        )
    if not probability >= WEAK:
        return "none", (
            f"No evidence of an edge: the profit of {net_profit:,.2f} after costs is well within"
            f" luck ({luck})."
        )
    if probability < SOME:
        return "weak", (
            f"Weak evidence of an edge after costs: {net_profit:,.2f} out of sample ({luck}); luck"
            " remains a fair explanation."
        )
    return "some", (
        f"Some evidence of an edge after costs: {net_profit:,.2f} out of sample ({luck}), before"
        " any correction for other questions that were asked of these data."
    )
