"""Chance as a benchmark: random entries, permuted returns, permuted and noisy markets."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import BAR, make_bars
from ftbt.data.checks import check_bars
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError
from ftbt.robustness.benchmarks import SymbolTrades, null_test, permutation_test, random_entries
from ftbt.robustness.candle_variants import (
    NOISE_SHARES,
    average_true_range,
    noisy_bars,
    permuted_bars,
    tick_of,
)

# Aronson's worked example: positions and market returns in percent.
POSITION = (1, 1, 1, 0, 0, -1, -1, -1)
RETURNS = (0.54, -0.32, 1.54, 0.69, -1.02, -0.68, 1.20, -2.50)
MINUTE = 60_000


def market(n=400, seed=0, decimals=1, start=30_000.0):
    """Bars of 15 minutes with gaps, prices on a decimal tick."""
    rng = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(0.004 * rng.standard_normal(n)))
    opened = np.concatenate(([start], close[:-1])) * np.exp(0.0005 * rng.standard_normal(n))
    high = np.maximum(opened, close) * np.exp(np.abs(0.002 * rng.standard_normal(n)))
    low = np.minimum(opened, close) * np.exp(-np.abs(0.002 * rng.standard_normal(n)))
    prices = [np.round(one, decimals) for one in (opened, high, low, close)]
    time = 1_700_000_100_000 // (15 * MINUTE) * 15 * MINUTE + np.arange(n) * 15 * MINUTE
    return make_bars(time, *prices, rng.uniform(1.0, 9.0, n))


def boundary_prices(bars):
    """Opens and the last close."""
    return np.append(bars["open"], bars["close"][-1])


def trades_on(prices, entry, held, side, scale=None, cost=0.0):
    """Trades at given bars with the result that their prices give."""
    entry, held, side = (np.asarray(one) for one in (entry, held, side))
    scale = np.ones(len(entry)) if scale is None else np.asarray(scale)
    moves = side * (prices[entry + np.maximum(held, 1)] / prices[entry] - 1.0)
    costs = np.full(len(entry), cost)
    return SymbolTrades(prices, entry, held, side, scale * (moves - costs), scale, costs)


def test_permutation_test_of_the_published_example():
    """Mean 0.4675 ([P], printed 0.47) and p = 5760 / 40320 over all orders ([X])."""
    made = permutation_test(POSITION, RETURNS, permutations=40_320)

    assert made.observed == pytest.approx(0.4675)
    assert made.exact
    assert len(made.values) == 40_320
    assert made.p_value == 5760 / 40_320 == pytest.approx(0.142857, abs=5e-7)


def test_random_permutations_estimate_the_exact_value():
    """Random orders come near the exact p, count the observed one and are reproducible."""
    made = permutation_test(POSITION, RETURNS, permutations=4000, seed=3)
    again = permutation_test(POSITION, RETURNS, permutations=4000, seed=3)

    assert not made.exact
    assert made.p_value == pytest.approx(1 / 7, abs=4 * np.sqrt(6 / 49 / 4000))
    reached = np.count_nonzero(made.values >= made.observed - 1e-12)
    assert made.p_value == (1 + reached) / 4001
    np.testing.assert_array_equal(made.values, again.values)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), n=st.integers(2, 5))
def test_exact_permutation_by_the_slow_route(data, n):
    """Small cases equal the count over all orders, ties against the strategy."""
    position = data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    returns = data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    made = permutation_test(position, returns)
    every = [
        sum(p * r for p, r in zip(position, one, strict=True)) for one in permutations(returns)
    ]
    own = sum(p * r for p, r in zip(position, returns, strict=True))

    assert made.p_value == pytest.approx(np.mean([one >= own for one in every]))
    assert made.percentile == pytest.approx(np.mean([one < own for one in every]))


def test_always_long_is_never_timing():
    """A position that never changes earns the same in every order: p is 1."""
    rng = np.random.default_rng(0)
    made = permutation_test(np.ones(50), rng.standard_normal(50) + 5.0)

    assert made.p_value == 1.0
    assert made.deviation < 1e-12


def test_null_test_summarises():
    """The quantiles, the share below and the p-value are those of the given values."""
    made = null_test(3.0, [1.0, 2.0, 3.0, 4.0])

    assert (made.p_value, made.percentile) == (3 / 5, 0.5)
    assert (made.mean, made.median) == (2.5, 2.5)
    assert np.isnan(null_test(1.0, [0.0]).deviation)


def test_random_entries_find_timing():
    """Buying before each rise is far out in the tail; the same trades at random are not."""
    rng = np.random.default_rng(1)
    prices = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(2001)))
    moves = prices[5:] / prices[:-5] - 1.0
    best = np.sort(np.argsort(-moves[::6])[:60] * 6)
    clever = random_entries(trades_on(prices, best, np.full(60, 5), np.ones(60), cost=0.001))
    some = np.sort(rng.choice(330, 60, replace=False) * 6)
    blind = random_entries(trades_on(prices, some, np.full(60, 5), np.ones(60), cost=0.001))

    assert clever.p_value == 1 / 1001
    assert clever.observed > clever.values.max()
    assert 0.02 < blind.p_value < 0.98


def test_random_entries_keep_costs_sides_and_scale():
    """On a price that never moves every placement costs the same, which is the scaled costs."""
    prices = np.full(301, 50.0)
    trades = trades_on(prices, [3, 40, 90], [5, 0, 20], [1, -1, 1], [2.0, 1.0, 0.5], 0.002)
    made = random_entries(trades, simulations=50)

    np.testing.assert_allclose(made.values, -0.002 * 3.5)
    assert made.p_value == 1.0


def test_random_entries_keep_the_drift_of_the_sides():
    """In a market that only rises longs win and shorts lose wherever they are placed."""
    prices = 100.0 * 1.001 ** np.arange(1001)
    longs = random_entries(trades_on(prices, [10, 500], [10, 20], [1, 1]), simulations=60)
    shorts = random_entries(trades_on(prices, [10, 500], [10, 20], [-1, -1]), simulations=60)

    expected = 1.001**10 + 1.001**20 - 2.0
    np.testing.assert_allclose(longs.values, expected)
    np.testing.assert_allclose(shorts.values, -expected)


def test_placements_do_not_overlap_and_reach_every_place_alike():
    """Two trades of 1 and 2 bars in 4 bars: all 6 placements come up equally often."""
    # Distinct price steps make the total tell the placement.
    prices = np.cumprod(np.concatenate(([1.0], 1.0 + np.array([0.1, 0.01, 0.001, 0.0001]))))
    trades = trades_on(prices, [0, 2], [1, 2], [1, 1])
    made = random_entries(trades, simulations=6000, seed=2)
    one, two = (prices[k:] / prices[:-k] - 1.0 for k in (1, 2))
    allowed = [one[0] + two[1], one[0] + two[2], one[1] + two[2]]
    allowed += [two[0] + one[2], two[0] + one[3], two[1] + one[3]]

    found, counts = np.unique(np.round(made.values, 9), return_counts=True)
    np.testing.assert_allclose(found, np.sort(allowed), atol=1e-9)
    assert np.all(np.abs(counts - 1000) < 4 * np.sqrt(6000 * 5 / 36))


def test_overlapping_trades_stay_free():
    """Trades that overlap in truth are placed independently of each other."""
    prices = 1.0 + np.arange(6.0)
    trades = trades_on(prices, [0, 1], [4, 4], [1, 1])
    made = random_entries(trades, simulations=2000, seed=1)
    single = prices[4:] / prices[:-4] - 1.0

    assert trades.overlapping
    assert set(np.round(np.unique(made.values), 9)) == set(
        np.round([a + b for a in single for b in single], 9)
    )


def test_several_symbols_add_up():
    """Two symbols' totals are added, and a symbol without trades adds nothing."""
    prices = np.full(101, 10.0)
    first = trades_on(prices, [3], [5], [1], cost=0.01)
    second = trades_on(prices, [7, 50], [5, 5], [1, -1], cost=0.02)
    none = trades_on(prices, np.zeros(0, int), np.zeros(0, int), np.zeros(0, int))
    made = random_entries([first, second, none], simulations=30)

    assert made.observed == pytest.approx(-0.05)
    np.testing.assert_allclose(made.values, -0.05)


def test_random_entries_are_calibrated():
    """Trades at random bars get a p-value of 0.2 or less in about one case of five."""
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(150):
        prices = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(301)))
        entry = np.sort(rng.choice(72, 12, replace=False) * 4)
        trades = trades_on(prices, entry, rng.integers(0, 5, 12), rng.choice([-1, 1], 12))
        hits += random_entries(trades, simulations=99, seed=seed).p_value <= 0.2

    assert hits / 150 == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 150))


def test_trades_that_do_not_fit_are_refused():
    """Lengths, sides, places and prices that cannot be are named."""
    prices = np.linspace(10.0, 20.0, 11)
    with pytest.raises(InputError, match=r"trade 1 \(entry bar 8, 3 bars\).*the 10 bars"):
        SymbolTrades(prices, [1, 8], [2, 3], [1, 1], [0, 0], [1, 1], [0, 0])
    with pytest.raises(InputError, match="side must be"):
        SymbolTrades(prices, [1], [2], [0], [0], [1], [0])
    with pytest.raises(InputError, match="scale has 2 values for 1 entry bars"):
        SymbolTrades(prices, [1], [2], [1], [0], [1, 1], [0])
    with pytest.raises(InputError, match="prices must be above 0"):
        SymbolTrades(prices - 15.0, [1], [2], [1], [0], [1], [0])
    with pytest.raises(InputError, match="whole numbers"):
        SymbolTrades(prices, [1.5], [2], [1], [0], [1], [0])
    with pytest.raises(InputError, match="no trades"):
        random_entries([])
    with pytest.raises(InputError, match="3 positions do not match 2 returns"):
        permutation_test([1, 1, 1], [0.1, 0.2])


@pytest.mark.parametrize(
    ("decimals", "factor", "size"), [(1, 1.0, 0.1), (2, 1.0, 0.01), (0, 1.0, 1.0), (0, 0.5, 0.5)]
)
def test_tick_is_found(decimals, factor, size):
    """The step of the prices is read from the prices, also one of half a unit."""
    bars = market(decimals=decimals).copy()
    for name in ("open", "high", "low", "close"):
        bars[name] *= factor

    assert tick_of(bars).size == size


def test_prices_without_a_tick_stay_unrounded():
    """Prices on no decimal grid have no tick."""
    bars = market(decimals=14).copy()

    assert tick_of(bars).size == 0.0
    assert tick_of(bars[:0]).size == 0.0


def test_permuted_market_keeps_ends_times_and_moves():
    """First bar and last close stay; bodies, gaps and volumes are the same in another order."""
    bars = market(n=500, decimals=14)
    made = permuted_bars(bars, seed=1)

    check_bars(made, Timeframe.parse("15m"), where="permuted")
    assert made[0] == bars[0]
    assert made.dtype == BAR
    np.testing.assert_array_equal(made["time"], bars["time"])
    assert made["close"][-1] == pytest.approx(bars["close"][-1], rel=1e-12)
    for top, bottom in (("high", "open"), ("low", "open"), ("close", "open")):
        before = np.log(bars[top] / bars[bottom])
        after = np.log(made[top] / made[bottom])
        np.testing.assert_allclose(np.sort(after), np.sort(before), atol=1e-12)
        assert np.abs(after - before).max() > 1e-4
    gaps = [np.sort(np.log(one["open"][1:] / one["close"][:-1])) for one in (bars, made)]
    np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-12)
    np.testing.assert_array_equal(np.sort(made["volume"]), np.sort(bars["volume"]))


def test_permuted_market_keeps_the_tick():
    """On a tick of 0.1 every price stays on it and the last close moves by less than one."""
    bars = market(n=500, decimals=1)
    made = permuted_bars(bars, seed=2)

    assert tick_of(made).size == pytest.approx(0.1)
    assert abs(made["close"][-1] - bars["close"][-1]) < 0.1
    check_bars(made, Timeframe.parse("15m"), where="permuted")


def test_permutation_destroys_memory():
    """A market of rising streaks has no memory left, whatever it had before."""
    rng = np.random.default_rng(3)
    steps = np.zeros(3000)
    for i in range(1, 3000):
        steps[i] = 0.6 * steps[i - 1] + 0.003 * rng.standard_normal()
    close = 100.0 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    bars = make_bars(np.arange(3000) * MINUTE, opened, high, low, close, np.ones(3000))
    made = permuted_bars(bars, seed=4)
    before, after = (np.diff(np.log(one["close"])) for one in (bars, made))

    assert np.corrcoef(before[1:], before[:-1])[0, 1] > 0.5
    assert abs(np.corrcoef(after[1:], after[:-1])[0, 1]) < 4 / np.sqrt(3000)


def test_permutation_keeps_the_warm_up_and_whole_days():
    """Kept bars stay; with days as pieces each day's bars stay together and at their hour."""
    bars = market(n=20 + 5 * 96 + 10, decimals=14)
    made = permuted_bars(bars, seed=5, keep=20, together=96)
    body = np.log(bars["close"] / bars["open"])[20:500].reshape(5, 96)
    moved = np.log(made["close"] / made["open"])[20:500].reshape(5, 96)

    np.testing.assert_array_equal(made[:20], bars[:20])
    order = [int(np.argmin(np.abs(body - day).max(axis=1))) for day in moved]
    assert sorted(order) == list(range(5))
    assert order != list(range(5))
    np.testing.assert_allclose(moved, body[order], atol=1e-12)
    np.testing.assert_allclose(made["close"][-10:], bars["close"][-10:], rtol=1e-12)


def test_same_seed_moves_several_symbols_alike():
    """Aligned markets permuted with one seed keep what they did at the same time."""
    one = market(n=300, seed=1, decimals=14)
    other = make_bars(
        one["time"], *(one[k] ** 0.5 for k in ("open", "high", "low", "close")), one["volume"]
    )
    first, second = permuted_bars(one, seed=6), permuted_bars(other, seed=6)

    np.testing.assert_allclose(second["close"], np.sqrt(first["close"]), rtol=1e-10)
    assert np.any(permuted_bars(one, seed=7)["close"] != first["close"])


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    size=st.floats(0.0, 5.0),
    share=st.floats(0.0, 1.0),
    decimals=st.integers(0, 3),
)
def test_noisy_market_is_a_market(seed, size, share, decimals):
    """Whatever the noise, bars are consistent, positive, on the tick and within reach."""
    bars = market(n=60, seed=seed, decimals=decimals, start=50.0)
    made = noisy_bars(bars, seed=seed, shares=(share,) * 4, size=size)
    reach = size * average_true_range(bars, 14) + tick_of(bars).size + 1e-9

    check_bars(made, Timeframe.parse("15m"), where="noisy")
    np.testing.assert_array_equal(made["volume"], bars["volume"])
    for name in ("open", "close"):
        assert np.all(np.abs(made[name] - bars[name]) <= reach)
        step = tick_of(bars).size
        np.testing.assert_allclose(made[name] / step, np.rint(made[name] / step), atol=1e-6)


def test_noise_hits_the_given_share():
    """Opens and closes are disturbed as often as asked, and not at all for a share of 0."""
    bars = market(n=4000, decimals=14)
    made = noisy_bars(bars, seed=1)
    changed = {name: np.mean(made[name] != bars[name]) for name in ("open", "close")}
    none = noisy_bars(bars, seed=1, shares=(0.0, 0.0, 0.0, 0.0))

    assert changed["open"] == pytest.approx(NOISE_SHARES[0], abs=0.04)
    assert changed["close"] == pytest.approx(NOISE_SHARES[3], abs=0.04)
    np.testing.assert_array_equal(none, bars)


def test_average_true_range_by_hand():
    """Gaps count, and the first bars use those that there are."""
    bars = make_bars([0, 1, 2], [10, 12, 11], [11, 13, 12], [9, 12, 8], [10, 12, 9], [1, 1, 1])

    np.testing.assert_allclose(average_true_range(bars, 2), [2.0, 2.5, 3.5])


def test_candle_variants_refuse_what_cannot_be():
    """Too few bars and shares or sizes out of range are named."""
    bars = market(n=30)
    with pytest.raises(InputError, match="leave 0 pieces"):
        permuted_bars(bars, seed=1, keep=40)
    with pytest.raises(InputError, match="keep"):
        permuted_bars(bars, seed=1, keep=0)
    with pytest.raises(InputError, match="share of disturbed highs"):
        noisy_bars(bars, seed=1, shares=(0.1, 1.5, 0.1, 0.1))
    with pytest.raises(InputError, match="size"):
        noisy_bars(bars, seed=1, size=-1.0)
    with pytest.raises(InputError, match="no bars"):
        noisy_bars(bars[:0], seed=1)
