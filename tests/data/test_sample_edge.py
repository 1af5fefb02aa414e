"""The edge of the synthetic market: none at all, or of exactly the stated size."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Candles, Floats
from ftbt.data.sample import sample_market
from ftbt.data.sample_sweep import (
    HORIZON,
    LOOKBACK,
    PIVOT,
    VOLATILITY_BARS,
    after_sweeps,
    local_volatility,
    sweep_sides,
)

# One symbol of each seed: pooled symbols of one seed would share the common factor.
SEEDS = range(20, 32)
STRATEGIES = (
    "momentum of one bar",
    "close within the bar",
    "above the mean of 20",
    "sweep, next bar",
    "sweep, 16 bars",
    "long wick",
    "long",
)


@cache
def _candles(edge: float) -> tuple[Candles, ...]:
    return tuple(sample_market(("ETH",), seed=seed, edge=edge)["ETH"].candles for seed in SEEDS)


def _moves(edge: float) -> Floats:
    return np.concatenate([after_sweeps(c.high, c.low, c.close).move for c in _candles(edge)])


@pytest.mark.parametrize("edge", [0.0, 0.3, pytest.param(-0.6, marks=pytest.mark.slow)])
def test_mean_move_after_sweeps_is_the_planted_edge(edge: float) -> None:
    """The standardised move of 16 bars after a sweep has the stated mean, within 3.5 errors."""
    moves = _moves(edge)
    error = moves.std() / np.sqrt(len(moves))
    assert error < 0.025
    assert abs(moves.mean() - edge) < 3.5 * error


def test_documented_numbers_of_the_edge() -> None:
    """About 400 sweeps a year with a spread of about 1.35, as the calibration of a Sharpe needs."""
    moves = _moves(0.3)
    assert 350 < len(moves) / len(SEEDS) < 450
    assert 1.2 < moves.std() < 1.5


def test_half_of_the_drift_comes_in_half_of_the_time() -> None:
    """The drift is spread evenly over the horizon and not hidden in a single jump."""
    halves = []
    for candles in _candles(-0.6):
        close = candles.close
        found = after_sweeps(candles.high, candles.low, close)
        unit = np.array([local_volatility(close, t) for t in found.index]) * np.sqrt(HORIZON)
        half = close[found.index + HORIZON // 2] / close[found.index] - 1
        halves.append(found.side * half / unit)
    moves = np.concatenate(halves)
    assert abs(moves.mean() + 0.3) < 3.5 * moves.std() / np.sqrt(len(moves))


def test_edge_begins_after_the_close_of_the_sweep() -> None:
    """Markets with and without edge are the same bar by bar until the first sweep has closed."""
    plain = sample_market(("BTC",), days=20, seed=5)["BTC"].candles
    planted = sample_market(("BTC",), days=20, seed=5, edge=1.0)["BTC"].candles
    first = int(after_sweeps(plain.high, plain.low, plain.close).index[0])
    same = plain.bars == planted.bars
    assert same[: first + 1].all()
    assert plain.close[first + 1] != planted.close[first + 1]


def test_mean_return_is_zero_without_an_edge() -> None:
    """No year of a market without edge drifts, and all together do not either."""
    scores = []
    for candles in _candles(0.0):
        change = np.diff(candles.close) / candles.close[:-1]
        scores.append(change.mean() / change.std() * np.sqrt(len(change)))
    assert np.max(np.abs(scores)) < 4
    assert abs(np.sum(scores)) / np.sqrt(len(scores)) < 3.5


@pytest.mark.parametrize("bars", [2, 4, 16])
def test_variance_ratio_is_one_without_an_edge(bars: int) -> None:
    """Lo and MacKinlay's heteroskedasticity-robust z finds no autocorrelation at any horizon."""
    scores = []
    for candles in _candles(0.0):
        change = np.diff(np.log(candles.close))
        change = change - change.mean()
        square = change**2
        ratio, variance = 1.0, 0.0
        for lag in range(1, bars):
            weight = 2 * (1 - lag / bars)
            product = change[lag:] * change[:-lag]
            ratio += weight * product.sum() / square.sum()
            variance += weight**2 * (square[lag:] * square[:-lag]).sum() / square.sum() ** 2
        scores.append((ratio - 1) / np.sqrt(variance))
    assert np.max(np.abs(scores)) < 4
    assert abs(np.sum(scores)) / np.sqrt(len(scores)) < 3.5


def _positions(candles: Candles) -> dict[str, Floats]:
    """Positions that simple strategies would hold through the next bar, known at each close."""
    close, high, low = candles.close, candles.high, candles.low
    change = np.diff(close, prepend=close[0])
    mean = np.convolve(close, np.ones(20) / 20)[: len(close)]
    sweeps = sweep_sides(high, low, close).astype(float)
    held = np.convolve(sweeps, np.ones(HORIZON))[: len(close)]
    return {
        "momentum of one bar": np.sign(change),
        "close within the bar": (2 * close - high - low) / np.maximum(high - low, 1e-9),
        "above the mean of 20": np.sign(close - mean),
        "sweep, next bar": sweeps,
        "sweep, 16 bars": np.sign(held),
        "long wick": np.where(np.minimum(candles.open, close) - low > 0.6 * (high - low), 1.0, 0.0),
        "long": np.ones(len(close)),
    }


def _profit_score(edge: float, strategy: str) -> float:
    """Pooled t statistic of the gross profit per bar in units of local volatility."""
    profits = []
    for candles in _candles(edge):
        close = candles.close
        unit = np.array([local_volatility(close, t) for t in range(len(close) - 1)])
        known = unit > 0
        change = np.diff(close) / close[:-1]
        position = _positions(candles)[strategy][:-1]
        profits.append(position[known] * change[known] / unit[known])
    profit = np.concatenate(profits)
    return float(profit.mean() / profit.std() * np.sqrt(len(profit)))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_simple_strategy_earns_without_an_edge(strategy: str) -> None:
    """Gross profit of rules on price, wicks and sweeps is nil on 12 years without edge."""
    assert abs(_profit_score(0.0, strategy)) < 3.5


def test_the_same_score_finds_a_planted_edge() -> None:
    """The statistic that finds nothing without an edge has the power to find one of 0.3."""
    assert _profit_score(0.3, "sweep, 16 bars") > 6


def _random_bars(seed: int, bars: int) -> tuple[Floats, Floats, Floats]:
    # Prices on a coarse grid, so that equal highs and lows occur.
    random = np.random.default_rng(seed)
    path = 100 + np.cumsum(random.integers(-2, 3, size=(bars, 8)).ravel()).reshape(bars, 8) * 0.1
    return path.max(axis=1), path.min(axis=1), path[:, -1]


def _slow_side(high: Floats, low: Floats, close: Floats, t: int) -> int:
    """The definition of a sweep, word by word."""

    def extreme(price: Floats) -> float | None:
        levels = []
        for p in range(max(PIVOT, t - LOOKBACK), t - PIVOT):
            before, after = price[p - PIVOT : p], price[p + 1 : p + PIVOT + 1]
            untouched = not (price[p + 1 : t] < price[p]).any()
            if (before > price[p]).all() and (after >= price[p]).all() and untouched:
                levels.append(float(price[p]))
        return min(levels) if levels else None

    side = 0
    floor, ceiling = extreme(low), extreme(-high)
    if floor is not None and low[t] < floor < close[t]:
        side += 1
    if ceiling is not None and -high[t] < ceiling < -close[t]:
        side -= 1
    return side


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sweeps_follow_their_definition(seed: int) -> None:
    """The compiled sweep agrees at every bar with the definition written out slowly."""
    high, low, close = _random_bars(seed, 220)
    expected = [_slow_side(high, low, close, t) for t in range(len(close))]
    assert sweep_sides(high, low, close).tolist() == expected


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 399))
def test_sweeps_never_look_ahead(seed: int, cut: int) -> None:
    """Cutting the future off leaves every earlier sweep as it was."""
    high, low, close = _random_bars(seed, 400)
    whole = sweep_sides(high, low, close)
    assert (sweep_sides(high[:cut], low[:cut], close[:cut]) == whole[:cut]).all()


def test_a_sweep_by_hand() -> None:
    """A low of 95, seven bars old and confirmed, is taken out at 94 and the bar closes at 97."""
    low = np.full(20, 100.0) - np.arange(20) * 0.01
    low[8] = 95.0
    low[9:] = 99.0
    low[16] = 94.0
    high, close = low + 5, low + 3
    assert np.flatnonzero(sweep_sides(high, low, close)).tolist() == [16]
    assert sweep_sides(high, low, close)[16] == 1
    close[16] = 94.5  # a close below is a break, not a sweep
    assert not sweep_sides(high, low, close).any()


def test_local_volatility_is_the_root_mean_square_of_the_last_day() -> None:
    """The unit of the edge is the root mean square of 96 returns, and 0 while there are fewer."""
    close = _random_bars(1, 300)[2]
    change = np.diff(close) / close[:-1]
    for t in (VOLATILITY_BARS, 250):
        expected = np.sqrt(np.mean(change[t - VOLATILITY_BARS : t] ** 2))
        assert local_volatility(close, t) == pytest.approx(expected, rel=1e-12)
    assert local_volatility(close, VOLATILITY_BARS - 1) == 0.0
