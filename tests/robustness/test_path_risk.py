"""Path risk of resampled returns and trades against exact distributions and plain walks.

Tags: [P] printed, [R] independent program, [X] exact, [M] from memory, reproduced by the formula.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from classic_series import NILE
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from ftbt.backtest import return_metrics as rm
from ftbt.errors import InputError
from ftbt.robustness import bootstrap as bs
from ftbt.robustness import path_risk as pr


def generator(seed: int = 1) -> np.random.Generator:
    """A seeded source of randomness."""
    return np.random.default_rng(seed)


EXACT_DEPTHS = {  # [X] deepest fall of added results over all orders
    (3, -1, -1, -1): {2: 1 / 2, 3: 1 / 2},
    (2, 2, -1, -1, -1): {1: 0.1, 2: 0.6, 3: 0.3},
    (1, 1, 1, -1, -1, -1): {1: 0.2, 2: 0.6, 3: 0.2},
}


@pytest.mark.parametrize("trades", EXACT_DEPTHS)
def test_depths_over_all_orders(trades):
    """Over all orders of a few trades the depths have their exact distribution [X]."""
    orders = np.array(list(itertools.permutations(trades)), dtype=float)
    depths = pr.depths_of(pr.equity_paths(orders, compounded=False), compounded=False)
    shares = {int(depth): count / len(orders) for depth, count in Counter(depths).items()}
    assert shares == pytest.approx(EXACT_DEPTHS[trades])

    sampled = pr.reshuffled_trades(np.array(trades, dtype=float), 8_000, generator(15))
    for depth, share in EXACT_DEPTHS[trades].items():
        assert (sampled.depths == depth).mean() == pytest.approx(share, abs=0.025)


RESULTS = st.lists(st.floats(-0.3, 0.4), min_size=1, max_size=40).map(np.array)


@given(RESULTS, st.booleans())
@settings(deadline=None)
def test_figures_of_a_path_by_a_walk(results, compounded):
    """Total, depth and time under water are those of a plain walk along the path."""
    equity = peak = 1.0 if compounded else 0.0
    depth, since, longest = 0.0, 0, 0
    for result in results:
        equity = equity * (1 + result) if compounded else equity + result
        since = 0 if equity >= peak else since + 1
        peak = max(peak, equity)
        depth = max(depth, 1 - equity / peak if compounded else peak - equity)
        longest = max(longest, since)

    got = pr.missed_trades(results, 0.0, 1, generator(), compounded=compounded)
    assert got.actual_total == pytest.approx(equity - (1.0 if compounded else 0.0), abs=1e-12)
    assert got.actual_depth == pytest.approx(depth, abs=1e-12)
    assert got.actual_under_water == longest
    assert got.totals == pytest.approx([got.actual_total])
    assert got.depths == pytest.approx([got.actual_depth])


@given(RESULTS)
@settings(deadline=None)
def test_compounded_depth_is_the_drawdown_of_the_metrics(results):
    """The depth of compounded results is the maximum drawdown of the back-test's metrics."""
    equity = np.cumprod(1 + results)
    expected = -rm.max_drawdown(rm.drawdowns(equity, 1.0))
    got = pr.missed_trades(results, 0.0, 1, generator(), compounded=True)
    assert got.actual_depth == pytest.approx(expected, abs=1e-12)
    longest = rm.longest_under_water(rm.drawdowns(equity, 1.0))
    assert got.actual_under_water == longest


def test_equity_that_is_gone_stays_gone():
    """After a total loss nothing is won back, and the depth is the whole equity."""
    got = pr.missed_trades(np.array([0.5, -1.2, 3.0]), 0.0, 1, generator(), compounded=True)
    assert (got.actual_total, got.actual_depth) == (-1.0, 1.0)


@given(RESULTS, st.booleans(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_reshuffling_is_about_the_path_only(results, compounded, seed):
    """Every reshuffled path has exactly the real total; only depths and times vary."""
    got = pr.reshuffled_trades(results, 50, generator(seed), compounded=compounded)
    assert got.how == "reshuffled trades"
    assert (got.totals == got.actual_total).all()
    assert got.total.p01 == pytest.approx(got.total.p99)


def test_resampling_is_about_the_edge():
    """The totals of resampled trades scatter by sqrt(n) sd around the real total."""
    trades = generator(16).normal(0.2, 1.5, 200)
    got = pr.resampled_trades(trades, 6_000, generator(17))
    assert got.how == "resampled trades"
    assert got.totals.std() == pytest.approx(trades.std() * math.sqrt(200), rel=0.04)
    assert got.totals.mean() == pytest.approx(trades.sum(), abs=1.5)
    assert got.share_of_losses == (got.totals < 0).mean()
    assert got.depth == pr.Spread(*np.quantile(got.depths, [0.01, 0.05, 0.5, 0.95, 0.99]))
    assert got.chance_of_depth(got.depth.p95) == pytest.approx(0.05, abs=0.002)
    assert got.share_deeper == (got.depths >= got.actual_depth).mean()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1.0])
def test_missed_trades_are_exactly_the_share(share):
    """Of twenty equal trades exactly the given share is missing in every path."""
    got = pr.missed_trades(np.ones(20), share, 300, generator(18))
    assert (got.totals == 20 - round(20 * share)).all()


def test_missed_trades_are_taken_at_random():
    """Each trade is missed equally often, and those that are filled keep their order."""
    trades = 2.0 ** np.arange(8)  # the total tells which trades were filled
    got = pr.missed_trades(trades, 0.25, 8_000, generator(19))
    filled = (got.totals.astype(int)[:, None] >> np.arange(8)) & 1
    assert filled.mean(axis=0) == pytest.approx(np.full(8, 0.75), abs=0.02)
    assert (got.depths == 0).all()


def test_depth_of_a_driftless_path():
    """The mean depth of simulated paths without drift is sqrt(pi/2) sigma sqrt(T) (1.2533) [X]."""
    steps = 4_000
    results = generator(20).standard_normal((1_500, steps)) / math.sqrt(steps)
    depths = pr.depths_of(pr.equity_paths(results, compounded=False), compounded=False)
    # Between two steps the path goes a little deeper than the steps show.
    seen = math.sqrt(math.pi / 2) - 2 * 0.5826 / math.sqrt(steps)
    assert depths.mean() == pytest.approx(seen, abs=4 * depths.std() / math.sqrt(1_500))


def test_resampled_returns_keep_streaks():
    """Blocks keep the streaks of a trending series and so find deeper falls than single days."""
    phi = 0.5
    returns = 0.01 * lfilter([1], [1, -phi], generator(21).standard_normal(800))
    blocks = pr.resampled_returns(returns, 1_500, generator(22))
    single = pr.resampled_returns(returns, 1_500, generator(22), length=1)
    assert blocks.how == "block bootstrap"
    assert blocks.compounded
    assert blocks.depth.median > 1.15 * single.depth.median


def test_the_fan_holds_quantiles_of_all_paths():
    """The fan's curves are the quantiles of the equity of the same samples, in order."""
    returns = generator(23).normal(0.001, 0.02, 120)
    fan = pr.equity_fan(returns, 800, generator(24), length=3)
    rows = np.concatenate(list(bs.resampled(returns, 800, generator(24), length=3)))
    expected = np.quantile(np.cumprod(1 + rows, axis=1), fan.levels, axis=0)
    assert fan.curves == pytest.approx(expected)
    assert (np.diff(fan.curves, axis=0) >= 0).all()
    assert (fan.length, fan.samples, fan.curves.shape) == (3.0, 800, (5, 120))


def test_many_samples_are_formed_in_chunks(monkeypatch):
    """The number of samples is kept whatever the size of a chunk."""
    monkeypatch.setattr(bs, "_CHUNK", 1_000)
    assert list(bs.chunks(7, 400)) == [2, 2, 2, 1]
    assert list(bs.chunks(3, 5_000)) == [1, 1, 1]
    got = pr.resampled_trades(generator(25).normal(size=300), 50, generator(26))
    assert got.samples == len(got.depths) == len(got.under_water) == 50


REFUSED = {
    "no sample": (lambda: pr.resampled_trades(np.ones(3), 0, generator()), "number of samples"),
    "no trade": (lambda: pr.reshuffled_trades(np.array([]), 5, generator()), "at least 1 values"),
    "share": (lambda: pr.missed_trades(np.ones(4), 1.5, 5, generator()), "share of missed trades"),
    "limit": (
        lambda: pr.resampled_trades(np.ones(3), 5, generator()).chance_of_depth(-0.1),
        "limit of the depth",
    ),
    "fan level": (
        lambda: pr.equity_fan(NILE, 5, generator(), levels=(0.5, 1.5)),
        "level of a quantile",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What cannot be resampled is refused, with the value and the range."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
