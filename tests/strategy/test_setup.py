"""Setup rules: research and live are one function, compiled once for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

from ftbt.data.candles import Candles, make_bars
from ftbt.data.feed import CandleFeed
from ftbt.data.timeframe import Timeframe
from ftbt.smc import Swings
from ftbt.strategy import Setup, SetupStrategy, setup_rule


def candles(count: int = 600, seed: int = 3) -> Candles:
    """A random walk of 15m bars."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) * (1 + 0.002 * rng.random(count))
    low = np.minimum(opened, close) * (1 - 0.002 * rng.random(count))
    time = np.arange(count) * 900_000
    return Candles(
        "TEST",
        Timeframe.parse("15m"),
        make_bars(time, opened, high, low, close, rng.lognormal(0, 1, count)),
    )


@setup_rule
def fade(bar, swings, higher, p, setup):
    """Fade each confirmed swing."""
    if swings.low_event > 0.0 and not (higher.low > bar.close):
        setup.side = 1
        setup.stop = swings.low
        setup.target1 = bar.close + (bar.close - swings.low) * p.min_rr
        setup.confidence = 60.0


class Fader(SetupStrategy):
    """The rule on two timeframes."""

    def __init__(self):
        super().__init__()
        self.setup = Setup(fade, Swings(self.data), Swings(self.data, timeframe="1h"))
        self.seen = []

    def next(self):
        """Note the setup at each close."""
        self.seen.append(self._setup_now(len(self) - 1).tolist())


def seen(*, once: bool) -> list[tuple[float, ...]]:
    """The setups of a real Cerebro run, made at once or bar by bar."""
    cerebro = bt.Cerebro(stdstats=False, runonce=once)
    cerebro.adddata(CandleFeed(candles=candles()), name="TEST")
    cerebro.addstrategy(Fader)
    from ftbt.backtest.broker import ModelBroker
    from ftbt.backtest.settings import Settings
    from ftbt.data.market import market_of

    broker = ModelBroker(Settings(), len(candles()) - 1)
    broker.add_market(cerebro.datas[0], market_of(candles()))
    cerebro.setbroker(broker)
    return cerebro.run()[0].seen


def test_setups_made_at_once_equal_setups_made_bar_by_bar() -> None:
    """What research computes in a loop is what live computes at each close."""
    at_once, bar_by_bar = seen(once=True), seen(once=False)

    assert sum(row[0] != 0 for row in at_once) > 10
    assert np.array_equal(np.array(at_once), np.array(bar_by_bar), equal_nan=True)


def test_a_rule_with_other_arguments_is_refused() -> None:
    """A rule must take (bar, lines..., p, setup)."""
    with pytest.raises(TypeError, match="a setup rule takes"):
        setup_rule(lambda bar, setup: None)


def test_a_rule_must_get_as_many_lines_as_it_takes() -> None:
    """Too few lines are an error at construction, not in the loop."""
    with pytest.raises(TypeError, match="takes 2 lines"):
        Setup(fade, None)


@pytest.mark.slow
def test_a_compiled_rule_is_reused_by_the_next_process(tmp_path: Path) -> None:
    """The second process finds the rule in the cache and compiles nothing."""
    root = Path(__file__).parents[2]
    script = (
        "import sys; from ftbt.strategy.loader import find_strategy;"
        "cls = find_strategy('fvg_fill').load();"
        "rule = sys.modules[cls.__module__].rule;"
        "from ftbt.data.market import market_of;"
        "from ftbt.backtest.engine import run_backtest;"
        f"sys.path.insert(0, {str(root / 'tests' / 'strategy')!r});"
        "from test_setup import candles;"
        "run_backtest(cls, market_of(candles()));"
        "print(sum(rule.run.stats.cache_misses.values()), sum(rule.run.stats.cache_hits.values()))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]

    assert runs == [["1", "0"], ["0", "1"]]


def test_a_rule_gets_the_fields_that_it_reads() -> None:
    """In the order of the line; all of them when the record goes elsewhere, or one is unknown."""

    @setup_rule
    def plain(bar, swings, higher, p, setup):
        setup.side = int(swings.low_event + swings.high)
        setup.stop = bar.close

    @setup_rule
    def passing(bar, swings, p, setup):
        other = swings
        setup.stop = other.low + swings.high

    @setup_rule
    def wrong(bar, swings, p, setup):
        setup.stop = swings.hihg

    known = Swings.concept.lines
    assert plain.fields_of(0, known) == ("low_event", "high")
    assert plain.fields_of(1, known) == ()
    assert passing.fields_of(0, known) == ()
    assert wrong.fields_of(0, known) == ()
