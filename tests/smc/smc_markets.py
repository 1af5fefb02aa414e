"""Seeded price series that stress the lines, and real ones where they are to be had."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ftbt.data.candles import BAR, Bars, make_bars
from ftbt.data.timeframe import MINUTE_MS

BASE_MS = 15 * MINUTE_MS
# 2024-03-10 00:15 UTC: inside a 1h and a 4h bar; the clocks of New York and of London change
# within the next 2,000 bars.
START_MS = 1_710_029_700_000
BARS = 2_000

SYNTHETIC = ("fat_tails", "trending", "plateaus")
REAL = {"btc": "BTCUSDT", "eth": "ETHUSDT", "sol": "SOLUSDT"}


def times(n: int) -> np.ndarray:
    """Open times of n 15-minute bars, ms."""
    return START_MS + BASE_MS * np.arange(n, dtype=np.int64)


def _candles_around(close: np.ndarray, gap: np.ndarray, wick: float, rng) -> Bars:
    """Bars that open `gap` away from the last close and have random wicks."""
    n = len(close)
    opened = np.concatenate([close[:1], close[:-1]]) + gap
    reach = wick * np.abs(close)
    high = np.maximum(opened, close) + reach * rng.exponential(size=n)
    low = np.minimum(opened, close) - reach * rng.exponential(size=n)
    volume = rng.lognormal(3.0, 0.8, n)
    return make_bars(times(n), opened, high, low, close, volume)


def fat_tails(n: int = BARS, seed: int = 1) -> Bars:
    """A random walk with Student-t(3) steps and some opens away from the last close."""
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(0.002 * rng.standard_t(3, n)))
    gap = np.where(rng.random(n) < 0.05, 0.003 * rng.standard_normal(n), 0.0) * close
    return _candles_around(close, gap, 0.001, rng)


def trending(n: int = BARS, seed: int = 2) -> Bars:
    """Long trends both ways with clustered volatility, many gaps and few swings."""
    rng = np.random.default_rng(seed)
    drift = np.repeat(rng.choice([-1.0, 1.0], n // 100 + 1), 100)[:n]
    size = 0.001 * np.exp(np.repeat(0.7 * rng.standard_normal(n // 25 + 1), 25)[:n])
    close = 2_000 * np.exp(np.cumsum(size * (0.7 * drift + rng.standard_normal(n))))
    return _candles_around(close, np.zeros(n), 0.0003, rng)


def plateaus(n: int = BARS, seed: int = 3) -> Bars:
    """Prices on a coarse grid: ties, equal highs and lows, flat bars, bars without volume."""
    rng = np.random.default_rng(seed)
    step = rng.choice([-2, -1, 0, 0, 0, 1, 2], n)
    close = 50.0
    closes = np.empty(n)
    for i in range(n):  # reflected, so that old levels are met again and again
        close = close + step[i] if 40 <= close + step[i] <= 60 else close - step[i]
        closes[i] = close
    opened = np.concatenate([closes[:1], closes[:-1]])
    high = np.maximum(opened, closes) + rng.choice([0, 0, 1, 2], n)
    low = np.minimum(opened, closes) - rng.choice([0, 0, 1, 2], n)
    flat = np.repeat(rng.random(n // 8 + 1) < 0.1, 8)[:n]
    for column in (opened, high, low):
        column[flat] = closes[flat]
    volume = np.where(flat, 0.0, rng.integers(1, 50, n))
    return make_bars(times(n), opened, high, low, closes, volume)


def random_walk(n: int, seed: int, ticks: int = 30) -> Bars:
    """A driftless walk of *ticks* Gaussian ticks a bar: open is the last close, exactly fair.

    Prices walk in steps, not in logarithms, so that nothing at all can be gained on average.
    """
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n, ticks))
    path = 1e6 + np.cumsum(steps.ravel()).reshape(n, ticks)
    opened = np.concatenate([[1e6], path[:-1, -1]])
    high = np.maximum(opened, path.max(axis=1))
    low = np.minimum(opened, path.min(axis=1))
    volume = rng.lognormal(3.0, 0.8, n)
    return make_bars(times(n), opened, high, low, path[:, -1], volume)


def real_folder() -> Path | None:
    """The folder of real candles, None when there is none on this machine."""
    folder = os.environ.get("FTBT_REAL_DATA")
    return Path(folder) if folder and Path(folder).is_dir() else None


def names() -> tuple[str, ...]:
    """The markets of the contract: the synthetic ones, and the real ones when they are there."""
    return SYNTHETIC + (tuple(REAL) if real_folder() else ())


@cache
def market(name: str) -> Bars:
    """2,000 bars of 15 minutes, read-only."""
    if name in SYNTHETIC:
        bars = {"fat_tails": fat_tails, "trending": trending, "plateaus": plateaus}[name]()
    else:
        bars = _real(name)
    bars.flags.writeable = False
    return bars


def _real(name: str) -> Bars:
    folder = real_folder()
    assert folder is not None
    frame = pd.read_parquet(folder / "binance-perp" / f"{REAL[name]}-15m.parquet")
    # 2024-10-28 has flat candles without volume; 2024-10-27 and 11-03 change the clocks.
    start = pd.Timestamp("2024-10-20 00:15", tz="UTC")
    frame = frame[frame["timestamp"] >= start].iloc[:BARS]
    stamps = frame["timestamp"].dt.as_unit("ms").astype("int64").to_numpy()
    columns = (frame[field].to_numpy() for field in ("open", "high", "low", "close", "volume"))
    return make_bars(stamps, *columns)


def table(rows: list[tuple[float, float, float, float]], volume: float = 1.0) -> Bars:
    """Bars from hand-written (open, high, low, close) rows."""
    values = np.array(rows, float)
    return make_bars(times(len(rows)), *values.T, np.full(len(rows), volume))


def mirrored(bars: Bars, centre: float) -> Bars:
    """The market upside down: every price p becomes centre - p."""
    made = np.zeros(len(bars), BAR)
    for name in ("time", "volume"):
        made[name] = bars[name]
    for name, source in (("open", "open"), ("close", "close"), ("high", "low"), ("low", "high")):
        made[name] = centre - bars[source]
    return made


def on_grid(bars: Bars, step: float = 1 / 64) -> Bars:
    """The same bars with prices rounded to a dyadic grid, on which mirroring is exact."""
    made = bars.copy()
    for name in ("open", "high", "low", "close"):
        made[name] = np.round(bars[name] / step) * step
    return made
