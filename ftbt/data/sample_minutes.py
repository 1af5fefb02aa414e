"""One symbol of the synthetic market, minute by minute, from its own random streams."""

from __future__ import annotations

import hashlib

import numpy as np

from ftbt.data.candles import BAR, Bars, Floats
from ftbt.data.sample_path import STEPS, SWING_MINUTES, start_walk, walk
from ftbt.data.sample_profile import Profile
from ftbt.data.sample_volatility import Multifractal, minute_of_week, scales, week_profile
from ftbt.data.timeframe import MINUTE_MS

DAY_MINUTES = 1440

# Lifetimes in minutes. The market shares most of its weather; news are bursts of some minutes.
SHARED_SCALES = np.vstack(
    [
        scales((30.0, 240.0, 960.0, 3_840.0, 15_360.0, 61_440.0), high=1.4),
        scales((6.0,), high=16.0, chance=0.012),
    ]
)
OWN_SCALES = np.vstack(
    [
        scales((30.0, 240.0, 1_000.0, 15_000.0), high=1.4),
        scales((6.0,), high=10.0, chance=0.012),
    ]
)
VOLUME_SCALES = scales((90.0, 600.0, 6_000.0), high=1.22)

_MEAN_STEP = 0.7978845608028654  # of |standard normal|


def streams(seed: int, name: str, count: int) -> list[np.random.SeedSequence]:
    """Return *count* seeds that depend on *seed* and *name* only."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), "<u4")
    root = np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in words))
    return root.spawn(count)


def generator(seed: np.random.SeedSequence) -> np.random.Generator:
    """Return the random generator of one stream: PCG64, whatever numpy's default becomes."""
    return np.random.Generator(np.random.PCG64(seed))


def make_minutes(
    symbol: str,
    profile: Profile,
    size_decimals: int,
    start_ms: int,
    days: int,
    seed: int,
    edge: float,
) -> Bars:
    """Return one-minute bars of *symbol* from midnight *start_ms*, shape (1440 * days,)."""
    bars = np.zeros(days * DAY_MINUTES, BAR)
    bars["time"] = start_ms + MINUTE_MS * np.arange(len(bars), dtype=np.int64)
    swings = np.zeros((3, len(bars) // SWING_MINUTES))
    path = _Path(symbol, profile, size_decimals, seed, edge)
    for first in range(0, len(bars), DAY_MINUTES):
        path.fill(bars[first : first + DAY_MINUTES], swings)
    return bars


class _Path:
    """The price and volume of one symbol, day by day.

    Each quantity has its own stream, drawn in order of time: more days never change earlier
    ones, and no symbol changes another.
    """

    def __init__(
        self, symbol: str, profile: Profile, size_decimals: int, seed: int, edge: float
    ) -> None:
        self._profile = profile
        self._size_decimals = size_decimals
        self._edge = edge
        self._state = start_walk(profile.price)
        self._season = week_profile()
        # A space is not allowed in symbols: no symbol shares the factor's streams.
        shared = streams(seed, "common factor", 2)
        self._shared_shock = generator(shared[0])
        self._shared_variance = Multifractal(shared[1], SHARED_SCALES)
        own = streams(seed, symbol, 6)
        self._own_shock = generator(own[0])
        self._own_variance = Multifractal(own[1], OWN_SCALES)
        self._extremes = generator(own[2])
        self._bounces = generator(own[3])
        self._trades = generator(own[4])
        self._interest = Multifractal(own[5], VOLUME_SCALES)

    def fill(self, day: Bars, swings: Floats) -> None:
        """Fill in prices and volumes of one day, shape (1440,); *swings* as `walk` wants them."""
        variance, shock = self._news()
        between = self._extremes.standard_exponential((DAY_MINUTES, STEPS, 2))
        quarter = np.floor(self._bounces.random(DAY_MINUTES) * 4.0)
        bounce = np.where(quarter == 0.0, -1.0, np.where(quarter == 1.0, 1.0, 0.0))
        step = self._profile.daily_volatility / np.sqrt(DAY_MINUTES * STEPS)
        scale = step * self._season[minute_of_week(day["time"])]
        activity = np.empty(DAY_MINUTES)
        walk(
            self._state, self._size_decimals, self._edge, self._profile.hunting,
            scale, variance, shock, between, bounce, swings, activity, day,
        )  # fmt: skip
        day["volume"] = self._volume(scale / step, activity / (STEPS * _MEAN_STEP))

    def _news(self) -> tuple[Floats, Floats]:
        """Return a day's variance, shape (1440,), and standard normal shocks, (1440, STEPS).

        A factor model: the common part of a symbol's variance follows the factor's, the rest
        follows both the factor's and its own.
        """
        share = self._profile.loading * self._profile.loading
        common = self._shared_variance.next(DAY_MINUTES)
        rest = common * self._own_variance.next(DAY_MINUTES)
        variance = share * common + (1 - share) * rest
        shape = (DAY_MINUTES, STEPS)
        weight = np.sqrt(share * common / variance)[:, None]
        shock = weight * self._shared_shock.standard_normal(shape)
        weight = np.sqrt((1 - share) * rest / variance)[:, None]
        shock += weight * self._own_shock.standard_normal(shape)
        return variance, shock

    def _volume(self, volatility: Floats, activity: Floats) -> Floats:
        """Return traded volume in whole lots, shape (1440,): volatile and busy minutes trade more.

        The mixture-of-distributions hypothesis (Clark 1973, Econometrica 41): one flow of news
        drives both the price's variance and the volume.
        """
        news = volatility * np.sqrt(volatility)
        busy = 0.1 + 0.9 * activity
        noise = self._trades.standard_exponential((DAY_MINUTES, 2)).mean(axis=1)
        noise *= self._interest.next(DAY_MINUTES)
        lots_per_unit = 10.0**self._size_decimals
        lots = np.floor(self._profile.minute_volume * news * busy * noise * lots_per_unit + 0.5)
        return np.asarray(lots / lots_per_unit)
