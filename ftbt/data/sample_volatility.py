"""Volatility of the synthetic market: a multifractal of many time scales, and the week's season.

Variance is the product of independent multipliers, each of which lives for a random time and is
then drawn anew: the Markov-switching multifractal of Calvet and Fisher (2004), "How to forecast
long-run volatility", Journal of Financial Econometrics 2(1). Lifetimes from minutes to months
give the slow decay of volatility clusters; the product gives the fat tails. The model was chosen
because it needs products and square roots only, which every processor computes alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.candles import Floats, Ints
from ftbt.data.timeframe import MINUTE_MS, WEEK_ORIGIN_MS

MINUTES_PER_WEEK = 7 * 24 * 60

# Mean absolute 15m return by UTC hour relative to the day's, rounded, as BTC, ETH and SOL
# perpetuals showed it in 2024 and 2025: quiet in the European morning, peak at the US opening.
HOUR_VOLATILITY = (
    1.10, 1.12, 0.98, 0.84, 0.78, 0.77, 0.81, 0.82, 0.89, 0.84, 0.83, 0.83,
    0.97, 1.21, 1.46, 1.32, 1.21, 1.19, 1.09, 1.03, 1.06, 1.03, 1.03, 0.87,
)  # fmt: skip
# The same by weekday, Monday first.
DAY_VOLATILITY = (1.17, 1.12, 1.10, 1.04, 1.06, 0.69, 0.82)


def week_profile() -> Floats:
    """Return relative volatility for each minute of the UTC week from Monday, shape (10080,).

    Its mean square is 1, so that it moves volatility about without adding any. Hours are joined
    by straight lines between their middles.
    """
    minute = np.arange(MINUTES_PER_WEEK)
    left = (minute - 30) // 60
    weight = ((minute - 30) % 60) / 60
    hour = np.array(HOUR_VOLATILITY)
    profile = hour[left % 24] * (1 - weight) + hour[(left + 1) % 24] * weight
    profile *= np.array(DAY_VOLATILITY)[minute // 1440]
    return np.asarray(profile / np.sqrt(np.mean(profile * profile)))


def minute_of_week(time: Ints) -> Ints:
    """Return 0 (Monday 00:00 UTC) to 10079 for each time in ms UTC, shape (n,)."""
    return np.asarray((time - WEEK_ORIGIN_MS) // MINUTE_MS % MINUTES_PER_WEEK)


@compiled
def switch(multiplier: Floats, scales: Floats, uniform: Floats, variance: Floats) -> None:
    """Fill *variance* with the product of all multipliers, minute by minute.

    Args:
        multiplier: the present multipliers, shape (k,), updated in place.
        scales: for each multiplier its mean life in minutes, the chance that a draw is high, the
            high and the low value, shape (k, 4). At most one multiplier is drawn anew in any
            minute, so the sum of 1 / life must stay below 1.
        uniform: two uniform numbers for each minute, shape (n, 2).
        variance: result, shape (n,), mean 1.
    """
    product = 1.0
    for one in multiplier:
        product *= one
    for i in range(len(variance)):
        ticket = uniform[i, 0]
        for k in range(len(multiplier)):
            ticket -= 1.0 / scales[k, 0]
            if ticket < 0.0:
                multiplier[k] = scales[k, 2] if uniform[i, 1] < scales[k, 1] else scales[k, 3]
                product = 1.0
                for one in multiplier:
                    product *= one
                break
        variance[i] = product


def scales(lifetimes: Sequence[float], high: float, chance: float = 0.5) -> Floats:
    """Return rows for `switch`: multipliers of mean 1 that are *high* with probability *chance*."""
    low = (1 - chance * high) / (1 - chance)
    return np.array([(life, chance, high, low) for life in lifetimes])


class Multifractal:
    """A running variance process of mean 1 with its own random stream.

    Args:
        seed: of the stream.
        rows: see `switch`, shape (k, 4).
    """

    def __init__(self, seed: np.random.SeedSequence, rows: Floats) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._rows = rows
        drawn_high = self._random.random(len(rows)) < rows[:, 1]
        self._multiplier = np.where(drawn_high, rows[:, 2], rows[:, 3])

    def next(self, minutes: int) -> Floats:
        """Return the variance of the next *minutes* minutes relative to its mean, shape (n,)."""
        variance = np.empty(minutes)
        uniform = self._random.random((minutes, 2))
        switch(self._multiplier, self._rows, uniform, variance)
        return variance
