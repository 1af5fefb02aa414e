"""How far an estimated Sharpe ratio may be from the true one: the two formulas, and nothing else.

Units: ratio, skewness, kurtosis (3 for a normal distribution, not excess) and serial correlation
are all per observation. Who divides by how many observations, and at which ratio the variance is
taken, is the caller's form of the statistic; see `ftbt.robustness.sharpe`.
"""

from __future__ import annotations

import math

from scipy.special import ndtr


def sharpe_variance(
    sharpe: float, skewness: float, kurtosis: float, autocorrelation: float = 0.0
) -> float:
    """Return the variance of an estimated Sharpe ratio times the number of observations.

    a - b g3 S + c (g4 - 1)/4 S^2 with a = 1 + 2 rho/(1 - rho), b = 1 + rho/(1 - rho) +
    rho^2/(1 - rho^2), c = 1 + 2 rho^2/(1 - rho^2); without serial correlation a = b = c = 1
    (Mertens 2002; Lopez de Prado, Lipton and Zoonekynd 2025).

    Args:
        sharpe: S, at which the variance is taken.
        skewness: g3.
        kurtosis: g4.
        autocorrelation: rho of first order, between -1 and 1.

    Returns:
        May be 0 or less for moments that no series has, or nearly so.
    """
    first = autocorrelation / (1.0 - autocorrelation)
    second = autocorrelation**2 / (1.0 - autocorrelation**2)
    return (
        (1.0 + 2.0 * first)
        - (1.0 + first + second) * skewness * sharpe
        + (1.0 + 2.0 * second) * (kurtosis - 1.0) / 4.0 * sharpe**2
    )


def chance_above(sharpe: float, benchmark: float, error: float) -> float:
    """Return Phi((S - S*) / error): the probabilistic Sharpe ratio against S*, 0 to 1.

    Source: Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier, J. Risk 15(2), 2012.

    Args:
        sharpe: S, the estimate.
        benchmark: S*, the ratio to exceed.
        error: standard error of S; without any the answer is 0, a half or 1.
    """
    apart = sharpe - benchmark
    if error == 0.0:
        return 0.5 + 0.5 * math.copysign(float(apart != 0.0), apart)
    return float(ndtr(apart / error))
