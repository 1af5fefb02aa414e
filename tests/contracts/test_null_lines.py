"""On random walks trading the lines gains nothing, and a line that looks ahead gains a lot."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.null_lines import (
    RULES,
    Trades,
    Walk,
    joined,
    order_blocks,
    swing_labels,
    trade_rule,
    walk,
)

SEEDS = (101, 102, 103)


@cache
def walks() -> tuple[Walk, ...]:
    """Three walks of 10,000 bars."""
    return tuple(walk(seed, 10_000) for seed in SEEDS)


@pytest.mark.parametrize("name", RULES)
def test_trading_a_line_on_random_walks_wins_as_often_as_chance(name: str) -> None:
    """The share of winners of 2R brackets is within 3 sigma of the one of a fair walk."""
    trades = joined([trade_rule(market, RULES[name]) for market in walks()])
    assert len(trades.profit) > 300
    assert abs(trades.sigmas) < 3
    mean, error = trades.profit.mean(), trades.profit.std() / np.sqrt(len(trades.profit))
    assert abs(mean) < 3 * error


def test_swings_used_at_their_own_bar_look_brilliant_and_at_the_known_bar_do_not() -> None:
    """The same reversal trades have a profit factor above 20 with the peek, around 1 without."""
    peeking = joined([swing_labels(market, ahead=True) for market in walks()])
    causal = joined([swing_labels(market, ahead=False) for market in walks()])
    assert peeking.factor > 20
    assert peeking.winners > 0.9
    assert 0.85 < causal.factor < 1.15


def test_order_blocks_that_survived_look_good_and_all_of_them_do_not() -> None:
    """Leaving out the blocks that failed turns a coin into an edge; the ledger keeps them all."""
    everything = joined([order_blocks(market, survivors=False) for market in walks()])
    survivors = joined([order_blocks(market, survivors=True) for market in walks()])
    assert abs(everything.sigmas) < 3
    assert survivors.sigmas > 3
    assert survivors.winners > everything.winners + 0.08
    assert len(survivors.profit) < 0.2 * len(everything.profit)


def test_the_measure_itself_is_fair() -> None:
    """Entries at random bars with random stops win as often as the formula says."""
    rng = np.random.default_rng(5)

    def dice(bars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        side = rng.choice([-1.0, 0.0, 1.0], len(bars))
        return side, bars["close"] - side * rng.uniform(5, 30, len(bars))

    trades = joined([trade_rule(market, dice) for market in walks()])
    assert len(trades.profit) > 1_000
    assert abs(trades.sigmas) < 3
    assert Trades(np.array([2.0, -1.0, -1.0]), np.ones(3)).factor == 1.0
