"""The markets of the calibration: no edge where none is planted, and a causal one where one is."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import markets
from calibration.markets import HORIZON, STRATEGIES, VOLATILITY_BARS, drift_after, market, planted
from ftbt.backtest.engine import run_backtest
from ftbt.data.candles import Candles
from ftbt.errors import InputError
from ftbt.strategy.loader import find_strategy

DAYS = 60


def test_a_planted_drift_sums_to_the_edge_and_never_reaches_back():
    """After an entry, HORIZON bars drift by the edge in units of what volatility was known."""
    close = np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.01, 400)))
    drift = drift_after(close, np.array([200]), np.array([-1]), 0.5)
    moves = np.diff(np.log(close))[200 - VOLATILITY_BARS : 200]
    unit = np.sqrt(np.mean(moves * moves) * HORIZON)
    assert drift[:201].tolist() == [0.0] * 201
    assert drift.sum() == pytest.approx(-0.5 * unit, rel=1e-12)
    assert np.count_nonzero(drift) == HORIZON


def test_a_new_entry_ends_the_drift_of_the_last_one():
    """One drift runs at a time, and none begins before its volatility is known."""
    close = np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.01, 400)))
    drift = drift_after(close, np.array([50, 200, 204]), np.array([1, 1, -1]), 1.0)
    assert np.count_nonzero(drift[:201]) == 0
    assert np.all(drift[201:205] > 0.0)
    assert np.all(drift[205 : 205 + HORIZON] < 0.0)
    assert np.count_nonzero(drift[205 + HORIZON :]) == 0


def test_garch_bars_are_candles_without_drift_and_with_fat_tails():
    """The second market is valid, differs by seed, and its mean return is that of no edge."""
    one = market("garch", 1, 800, "shock", 0.0)
    again = market("garch", 2, 800, "shock", 0.0)
    Candles.checked("BTC", "1h", one.candles.bars)
    assert one.candles.fingerprint != again.candles.fingerprint
    returns = np.concatenate([np.diff(np.log(m.candles.close)) for m in (one, again)])
    simple = np.expm1(returns)
    assert abs(simple.mean()) < 3.0 * simple.std() / np.sqrt(len(simple))
    standard = simple / simple.std()
    assert np.mean(standard**4) > 4.0
    squares = simple * simple
    assert np.corrcoef(squares[1:], squares[:-1])[0, 1] > 0.05


def test_the_same_seed_gives_the_same_market():
    """A market depends on its arguments alone, not on what was made before."""
    prints = []
    for _ in range(2):
        markets._without_edge.cache_clear()
        prints.append(market("garch", 5, DAYS, "shock", 0.4).candles.fingerprint)
    assert prints[0] == prints[1]


def test_an_edge_changes_no_bar_before_the_first_entry_and_pays_who_enters_there():
    """Bars up to the first entry stay; the strategy that is meant earns more than without."""
    path = market("garch", 7, 300, "shock", 0.0)
    strategy = find_strategy(str(STRATEGIES["shock"]))
    entries = run_backtest(strategy, path, settings=markets._FREE).trades["entry_bar"]
    first = int(entries[np.searchsorted(entries, VOLATILITY_BARS)])
    edged = planted(path, STRATEGIES["shock"], 1.0)
    Candles.checked("BTC", "1h", edged.candles.bars)
    assert np.array_equal(edged.candles.bars[: first + 1], path.candles.bars[: first + 1])
    before = run_backtest(strategy, path, settings=markets._FREE).trades["r"].mean()
    after = run_backtest(strategy, edged, settings=markets._FREE).trades["r"].mean()
    assert after > before + 0.2


def test_what_is_planted_does_not_depend_on_later_bars():
    """The path cut short and then planted is the beginning of the whole one."""
    path = market("garch", 9, 200, "shock", 0.0)
    cut = 3000
    whole = planted(path, STRATEGIES["shock"], 0.8).candles.bars
    part = planted(path.slice(0, cut), STRATEGIES["shock"], 0.8).candles.bars
    # The position that is open at the cut is closed there; it was entered before all the same.
    assert np.array_equal(part, whole[:cut])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("garsch", 1, DAYS, "shock", 0.0), "did you mean 'garch'"),
        (("garch", 1, DAYS, "schock", 0.0), "did you mean 'shock'"),
        (("garch", 1, DAYS, "shock", 4.0), "edge must be from -3 to 3, not 4"),
        (("garch", 1, DAYS, "shock", float("nan")), "edge must be from -3 to 3, not nan"),
    ],
)
def test_a_market_that_is_not_there_is_refused(arguments, told):
    """A wrong name or strength is one error that says what there is."""
    with pytest.raises(InputError, match=told):
        market(*arguments)
