"""Ruin and growth: how much to risk, and what the chosen size may cost.

Closed forms for idealised games, and the same questions answered from the trades that were made.

Sources: Feller, An Introduction to Probability Theory I, 3rd ed. 1968, chapter XIV (the gambler's
ruin); Kelly, A New Interpretation of Information Rate, 1956; Thorp, The Kelly Criterion in
Blackjack, Sports Betting and the Stock Market, 1997.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ftbt.robustness.bootstrap import Ints, chunks, stationary_indices
from ftbt.robustness.checks import FLAT, Floats, as_series, in_range, whole


@dataclass(frozen=True, slots=True)
class GamblersRuin:
    """The fate of a player who stakes 1 per round until 0 or the goal is reached.

    Attributes:
        ruin: probability to reach 0 first.
        gain: expected final capital - initial capital.
        duration: expected number of rounds.
    """

    ruin: float
    gain: float
    duration: float


def gamblers_ruin(win: float, capital: float, goal: float) -> GamblersRuin:
    """Return ruin, gain and duration of the classical ruin problem.

    With r = q/p: ruin (r^a - r^z) / (r^a - 1), duration z/(q-p) - a/(q-p) (1 - r^z)/(1 - r^a);
    for p = 1/2 ruin 1 - z/a, duration z (a - z) (Feller XIV.2-3).

    Args:
        win: probability p to win a round, between 0 and 1.
        capital: z, in stakes, at least 0.
        goal: a, in stakes, above 0 and at least *capital*.

    Raises:
        InputError: an argument out of range.
    """
    p = in_range(win, "probability to win", 0.0, 1.0, open_low=True, open_high=True)
    a = in_range(goal, "goal", 0.0, open_low=True, open_high=True)
    z = in_range(capital, "capital", 0.0, a)
    q = 1.0 - p
    log_ratio = math.log(q / p)
    if abs(log_ratio) * a < 1e-8:
        success, duration = z / a, z * (a - z)
    else:
        success = _ratio_of_powers(log_ratio, z, a)
        duration = (z - a * success) / (q - p)
    return GamblersRuin(1.0 - success, a * success - z, duration)


def _ratio_of_powers(log_ratio: float, z: float, a: float) -> float:
    """Return (r^z - 1) / (r^a - 1) without overflow, r = exp(log_ratio)."""
    if log_ratio < 0.0:
        return math.expm1(log_ratio * z) / math.expm1(log_ratio * a)
    factor = math.exp(log_ratio * (z - a))
    return factor * math.expm1(-log_ratio * z) / math.expm1(-log_ratio * a)


@dataclass(frozen=True, slots=True)
class Kelly:
    """The size of greatest growth.

    Attributes:
        fraction: of the equity; 0 without an edge, inf when nothing can be lost.
        growth: expected logarithm of the growth per period at that fraction.
    """

    fraction: float
    growth: float


def kelly_continuous(mean: float, volatility: float, rate: float = 0.0) -> Kelly:
    """Return f* = (m - r) / s^2 and g* = r + (m - r)^2 / (2 s^2) (Thorp 1997).

    Args:
        mean: m, return per period.
        volatility: s, standard deviation per period, above 0.
        rate: r, risk-free return per period.

    Returns:
        The fraction is negative when the mean is below the rate: the market should be sold.

    Raises:
        InputError: an argument out of range.
    """
    apart = in_range(mean, "mean return", open_low=True, open_high=True) - in_range(
        rate, "risk-free rate", open_low=True, open_high=True
    )
    variance = in_range(volatility, "volatility", 0.0, open_low=True, open_high=True) ** 2
    return Kelly(apart / variance, rate + apart * apart / (2.0 * variance))


def kelly_discrete(win: float, payoff: float = 1.0) -> Kelly:
    """Return f* = p - q/b, at least 0, and the growth p ln(1 + b f) + q ln(1 - f) (Kelly 1956).

    Args:
        win: p, probability to win, 0 to 1.
        payoff: b, gain of a win in stakes, above 0.

    Raises:
        InputError: an argument out of range.
    """
    p = in_range(win, "probability to win", 0.0, 1.0)
    b = in_range(payoff, "payoff", 0.0, open_low=True, open_high=True)
    fraction = max(0.0, p - (1.0 - p) / b)
    if fraction == 0.0:
        return Kelly(0.0, 0.0)
    losing = (1.0 - p) * math.log1p(-fraction) if p < 1.0 else 0.0
    return Kelly(fraction, p * math.log1p(b * fraction) + losing)


def kelly_empirical(r_multiples: Floats) -> Kelly:
    """Return the fraction of equity to risk per trade with the greatest mean log growth.

    Maximum of mean(ln(1 + f R)) over f in [0, 1 / worst loss): the root of the falling function
    mean(R / (1 + f R)). Source: Kelly 1956; Vince, Portfolio Management Formulas, 1990.

    Args:
        r_multiples: results of the trades in units of the risked amount, shape (n,).

    Raises:
        InputError: no trade, or a result that is not finite.
    """
    results = as_series(r_multiples, "R multiples", least=1)
    if results.mean() <= 0.0:
        return Kelly(0.0, 0.0)
    worst = -float(results.min())
    if worst <= FLAT * float(results.max()):  # a loss of rounding size is none
        return Kelly(math.inf, math.inf)

    def slope(fraction: float) -> float:
        return float((results / (1.0 + fraction * results)).mean())

    # The slope falls to -inf at total loss; halving the distance to it finds a negative one.
    gap = 0.5
    while slope((1.0 - gap) / worst) > 0.0:
        gap *= 0.5
    fraction = float(brentq(slope, 0.0, (1.0 - gap) / worst, xtol=1e-15, rtol=1e-14))
    return Kelly(fraction, log_growth(results, fraction))


def log_growth(r_multiples: Floats, fraction: float) -> float:
    """Return mean(ln(1 + f R)) per trade, -inf when a trade loses everything.

    Args:
        r_multiples: results of the trades in units of the risked amount, shape (n,).
        fraction: f, of the equity that is risked per trade, at least 0.

    Raises:
        InputError: an argument out of range.
    """
    results = as_series(r_multiples, "R multiples", least=1)
    f = in_range(fraction, "fraction at risk", 0.0, open_high=True)
    return float(_log_factors(results, f).mean())


def _log_factors(results: Floats, fraction: float) -> Floats:
    change = fraction * results
    alive = change > -1.0
    return np.where(alive, np.log1p(np.where(alive, change, 0.0)), -math.inf)


def fall_probability(level: float, kelly_share: float) -> float:
    """Return the probability that the equity ever falls to a share of what it was.

    x^(2/c - 1) at a fraction c of the Kelly size, in continuous time and for ever (Thorp 1997).

    Args:
        level: x, share of the initial equity, between 0 and 1.
        kelly_share: c > 0; from 2 on the fall is certain.

    Raises:
        InputError: an argument out of range.
    """
    x = in_range(level, "level", 0.0, 1.0, open_low=True)
    c = in_range(kelly_share, "share of the Kelly size", 0.0, open_low=True, open_high=True)
    return float(min(1.0, x ** (2.0 / c - 1.0))) if c < 2.0 else 1.0


def hit_probability(drift: float, volatility: float, depth: float) -> float:
    """Return the probability that added gains ever fall *depth* below their start.

    exp(-2 mu D / sigma^2) for a Brownian motion with positive drift, 1 without.

    Args:
        drift: mu, mean gain per period.
        volatility: sigma, standard deviation per period, above 0.
        depth: D, at least 0.

    Raises:
        InputError: an argument out of range.
    """
    mu = in_range(drift, "drift", open_low=True, open_high=True)
    sigma = in_range(volatility, "volatility", 0.0, open_low=True, open_high=True)
    fall = in_range(depth, "depth", 0.0, open_high=True)
    return math.exp(-2.0 * mu * fall / sigma**2) if mu > 0.0 else 1.0


def losing_streak_probability(loss: float, trades: int, streak: int) -> float:
    """Return the probability of at least one run of *streak* losses in independent trades.

    Recursion over the trades: the first run ends at trade n exactly when trade n - streak was a
    win (or is the start), the run follows, and none was complete before.

    Args:
        loss: probability that a trade loses, 0 to 1.
        trades: number of trades, at least 0.
        streak: length of the run, at least 1.

    Raises:
        InputError: an argument out of range.
    """
    p = in_range(loss, "probability to lose", 0.0, 1.0)
    count, run = whole(trades, "number of trades", 0), whole(streak, "length of the streak", 1)
    done = [0.0] * (count + 1)  # probability that a run was complete within so many trades
    for n in range(run, count + 1):
        before = 1.0 if n == run else (1.0 - p) * (1.0 - done[n - run - 1])
        done[n] = done[n - 1] + before * p**run
    return min(1.0, done[count])


@dataclass(frozen=True, slots=True)
class RuinRisk:
    """The risk that the equity falls to a level, at the chosen size, from resampled trades.

    Attributes:
        fraction: of the equity that is risked per trade.
        level: share of the initial equity that counts as ruin.
        trades: horizon, number of trades.
        probability: share of paths that fell to the level within the horizon.
        standard_error: of that share, by the number of samples.
        median_trades: median number of trades until ruin among the ruined; NaN for none.
        samples: number of paths.
    """

    fraction: float
    level: float
    trades: int
    probability: float
    standard_error: float
    median_trades: float
    samples: int


def risk_of_ruin(
    r_multiples: Floats,
    fraction: float,
    level: float,
    samples: int,
    rng: np.random.Generator,
    *,
    trades: int | None = None,
    length: float = 1.0,
) -> RuinRisk:
    """Return the risk of ruin of a fixed fraction of the equity, by bootstrap of the trades.

    Args:
        r_multiples: results of the trades in their order, in units of the risked amount, (n,).
        fraction: of the equity that is risked per trade, at least 0.
        level: share of the initial equity that counts as ruin, at least 0, below 1.
        samples: number of paths.
        rng: source of randomness.
        trades: horizon; as many trades as were made when None.
        length: mean block length, trades; 1 draws them independently.

    Raises:
        InputError: an argument out of range.
    """
    results = as_series(r_multiples, "R multiples", least=1)
    f = in_range(fraction, "fraction at risk", 0.0, open_high=True)
    ruined = in_range(level, "level of ruin", 0.0, 1.0, open_high=True)
    horizon = len(results) if trades is None else whole(trades, "number of trades", 1)
    factors = _log_factors(results, f)
    limit = math.log(ruined) if ruined > 0.0 else -math.inf
    hits = [
        _first_hits(factors[rows], limit)
        for rows in _rows(len(results), horizon, samples, length, rng)
    ]
    first = np.concatenate(hits)
    fallen = first[first > 0]
    share = len(fallen) / len(first)
    return RuinRisk(
        fraction=f,
        level=ruined,
        trades=horizon,
        probability=share,
        standard_error=math.sqrt(share * (1.0 - share) / len(first)),
        median_trades=float(np.median(fallen)) if len(fallen) else math.nan,
        samples=len(first),
    )


def _rows(
    n: int, horizon: int, samples: int, length: float, rng: np.random.Generator
) -> Iterator[Ints]:
    """Yield indices of resampled trades, shape (some, horizon)."""
    laps = -(-horizon // n)
    for some in chunks(samples, laps * n):
        drawn = stationary_indices(n, length, some * laps, rng)
        yield drawn.reshape(some, laps * n)[:, :horizon]


def _first_hits(log_factors: Floats, limit: float) -> Ints:
    """Return the trade (from 1) at which each path reaches the limit, 0 for never."""
    # A path that lands exactly on the limit must not escape by a rounding error.
    fallen = np.cumsum(log_factors, axis=1) <= limit + 1e-12
    return np.where(fallen.any(axis=1), fallen.argmax(axis=1) + 1, 0)


def fraction_for_ruin(
    r_multiples: Floats,
    level: float,
    probability: float,
    samples: int,
    seed: int,
    *,
    trades: int | None = None,
    length: float = 1.0,
    most: float = 1.0,
) -> float:
    """Return the largest fraction at risk whose risk of ruin stays within a probability.

    Bisection to 1e-4; every fraction is judged on the same resampled paths.

    Args:
        r_multiples: results of the trades in their order, in units of the risked amount, (n,).
        level: share of the initial equity that counts as ruin, at least 0, below 1.
        probability: that is accepted, 0 to 1.
        samples: number of paths.
        seed: of the paths.
        trades: horizon; as many trades as were made when None.
        length: mean block length, trades.
        most: largest fraction to consider.

    Raises:
        InputError: an argument out of range.
    """
    accepted = in_range(probability, "accepted probability", 0.0, 1.0)
    high = in_range(most, "largest fraction", 0.0, open_low=True, open_high=True)

    def within(fraction: float) -> bool:
        rng = np.random.default_rng(seed)
        risk = risk_of_ruin(
            r_multiples, fraction, level, samples, rng, trades=trades, length=length
        )
        return risk.probability <= accepted

    if within(high):
        return high
    low = 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2.0
        low, high = (middle, high) if within(middle) else (low, middle)
    return low
