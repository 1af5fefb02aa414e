"""The shipped strategies know no favourite side."""

from __future__ import annotations

import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles
from ftbt.data.feed import CandleFeed
from ftbt.data.market import market_of
from ftbt.data.timeframe import Timeframe
from ftbt.strategy.loader import find_strategy

sys.path.append(str(Path(__file__).parents[1] / "smc"))

from smc_markets import Bars, fat_tails, mirrored, on_grid

CENTRE = 65_536.0
PRICES = ("entry", "limit", "stop", "target1", "target2")


def setups(name: str, bars: Bars) -> np.ndarray:
    """Return the setup of each bar of a real run."""
    shipped = find_strategy(name).load()

    class Watcher(shipped):
        """Notes each setup instead of trading on it."""

        seen: list[np.ndarray] = []

        def next(self) -> None:
            self.seen.append(self._setup_now(len(self) - 1).copy())

    candles = Candles("TEST", Timeframe.parse("15m"), bars)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles=candles), name="TEST")
    cerebro.addstrategy(Watcher)
    broker = ModelBroker(Settings(), len(candles) - 1)
    broker.add_market(cerebro.datas[0], market_of(candles))
    cerebro.setbroker(broker)
    cerebro.run()
    return np.array(Watcher.seen)


@pytest.mark.parametrize("name", ["liquidity_sweep", "fvg_fill", "bos_orderblock"])
def test_a_mirrored_market_has_the_mirrored_setups(name):
    """Upside down, each long is a short of the same bar, distances, confidence and reason."""
    bars = on_grid(fat_tails(6_000))
    plain, mirror = setups(name, bars), setups(name, mirrored(bars, CENTRE))
    assert min((plain["side"] > 0).sum(), (plain["side"] < 0).sum()) > 10
    np.testing.assert_array_equal(plain["side"], -mirror["side"])
    taken = plain["side"] != 0
    for field in PRICES:
        other = CENTRE - mirror[field][taken]
        np.testing.assert_allclose(plain[field][taken], other, rtol=0, atol=1e-6, err_msg=field)
    for field in ("confidence", "kind", "reason"):
        np.testing.assert_array_equal(plain[field][taken], mirror[field][taken], err_msg=field)
    np.testing.assert_array_equal(plain["exit_long"], mirror["exit_short"])
