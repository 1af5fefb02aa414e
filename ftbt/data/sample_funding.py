"""Hourly funding of the synthetic market, by the venue's own formula from a made-up premium."""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.candles import Floats

INTEREST = 0.0001  # per 8 hours: what the rate rests at while the premium is small
CLAMP = 0.0005
# The premium of 8 hours: its mean, its response to one standard deviation of momentum, the
# standard deviations and hourly persistence of its fast and slow noise, and its bound.
MEAN = 0.0003
MOMENTUM = 0.0003
NOISE = (0.0003, 0.00038)
PERSISTENCE = (0.7, 0.985)
BOUND = 0.004
MOMENTUM_HOURS = 168


@compiled
def funding_rates(close: Floats, hourly_volatility: float, shock: Floats) -> Floats:
    """Return the rate due at the end of each hour, as a fraction for that hour, shape (n,).

    The premium follows a week's momentum and two noises; the venue pays
    `(premium + clamp(interest - premium, -0.05 %, 0.05 %)) / 8` each hour, so the rate rests at
    0.00125 % while the premium is small and moves with it beyond. The rate of an hour uses that
    hour's close and earlier ones only.

    Args:
        close: price at the end of each hour with the first price before it, shape (n + 1,).
        hourly_volatility: standard deviation of an hour's return, to scale momentum.
        shock: standard normal numbers, shape (n, 2).
    """
    rates = np.empty(len(close) - 1)
    decay = 1.0 - 1.0 / MOMENTUM_HOURS
    unit = hourly_volatility * np.sqrt(MOMENTUM_HOURS / 2.0)
    momentum = 0.0
    fast = NOISE[0] * shock[0, 0] if len(rates) else 0.0
    slow = NOISE[1] * shock[0, 1] if len(rates) else 0.0
    for i in range(len(rates)):
        momentum = momentum * decay + (close[i + 1] / close[i] - 1.0) / unit
        if i > 0:
            fast = PERSISTENCE[0] * fast + NOISE[0] * shock[i, 0] * np.sqrt(
                1.0 - PERSISTENCE[0] * PERSISTENCE[0]
            )
            slow = PERSISTENCE[1] * slow + NOISE[1] * shock[i, 1] * np.sqrt(
                1.0 - PERSISTENCE[1] * PERSISTENCE[1]
            )
        premium = min(BOUND, max(-BOUND, MEAN + MOMENTUM * momentum + fast + slow))
        rates[i] = (premium + min(CLAMP, max(-CLAMP, INTEREST - premium))) / 8.0
    return rates
