"""The look-ahead audit: nothing honest is caught, and the verdict says what else to know."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from audit_kit import BIASED, place, quick, users_strategies, write

from ftbt.errors import InputError, ParameterError, StrategyBroken
from ftbt.robustness.audit import audit
from ftbt.strategy.loader import find_strategy

SHIPPED = ("bos_orderblock", "fvg_fill", "liquidity_sweep")


class Regular(bt.Strategy):
    """In and out by the number of the bar."""

    def next(self):
        if not self.position and len(self) % 20 == 0:
            self.buy(size=0.05)
        elif self.position and len(self) % 20 == 10:
            self.close()


# --- what is not look-ahead -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_strategies_are_clean(name: str) -> None:
    """No order of theirs depends on a later bar, with setups taken freely and as they are."""
    for parameters in ({}, {"bias": "none", "min_confidence": 0.0}):
        verdict = quick(find_strategy(name), parameters=parameters)
        assert verdict.clean, verdict.findings[:1]
    assert verdict.orders > 10
    assert verdict.orders_compared > 100


@pytest.mark.parametrize("cls", users_strategies())
def test_honest_strategies_of_users_are_clean(cls: type[Any]) -> None:
    """The strategies of tutorials and forums pass."""
    verdict = quick(cls, market=place(6), prefixes=4)
    assert verdict.clean, verdict.findings[:1]
    assert verdict.orders_compared > 10


HONEST_ARRAYS = """
def __init__(self):
    bars = self.data.candles.bars
    times = pd.to_datetime(bars["time"], unit="ms", utc=True)
    close = pd.Series(bars["close"], index=times)
    day = close.resample("1D").last().shift(1)
    self.yesterday = day.reindex(times, method="ffill").to_numpy()
    self.fast = close.ewm(span=20).mean().to_numpy()
    past = close.expanding(50)
    self.score = ((close - past.mean()) / past.std()).to_numpy()

def next(self):
    now, close = len(self) - 1, self.data.close[0]
    print("bar", now)
    if not self.position and close > max(self.yesterday[now], self.fast[now]):
        if self.score[now] < 1.0:
            self.buy(size=0.05)
    elif self.position and close < self.fast[now]:
        self.close()
"""


def test_whole_arrays_that_only_look_back_are_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arrays over the full feed are fine when each value is of the past; prints are not shown."""
    verdict = quick(write(tmp_path, "looks_back", HONEST_ARRAYS, "import pandas as pd"))
    assert verdict.clean, verdict.findings[:1]
    assert verdict.orders > 10
    assert capsys.readouterr().out == ""


NOISE = """
def next(self):
    if not self.position and {draw} < 0.05:
        self.buy(size=0.05)
    elif self.position and {draw} < 0.1:
        self.close()
"""


def test_a_strategy_of_chance_is_unsteady_and_no_peek(tmp_path: Path) -> None:
    """With the same bars it does something else: that is told, and nothing else is claimed."""
    file = write(tmp_path, "dice", NOISE.format(draw="random.random()"), "import random")
    verdict = quick(file)
    assert verdict.verdict == "unsteady"
    assert not verdict.clean
    assert "with the same bars it does not do the same" in verdict.findings[0].detail


def test_chance_with_a_seed_is_clean(tmp_path: Path) -> None:
    """The same numbers in each run, drawn bar by bar, are no look-ahead."""
    body = "def __init__(self):\n    self.dice = random.Random(4)\n" + NOISE
    file = write(tmp_path, "loaded_dice", body.format(draw="self.dice.random()"), "import random")
    assert quick(file, prefixes=4).clean


def test_what_is_kept_between_runs_is_unsteady(tmp_path: Path) -> None:
    """A list on the class that fills up makes the second run another one: told as that."""
    file = write(
        tmp_path,
        "keeps",
        """
taken = []

def next(self):
    if not self.position and len(self.taken) < 20 and self.data.close[0] > self.data.open[0]:
        self.buy(size=0.05)
        self.taken.append(len(self))
    elif self.position and len(self) % 9 == 0:
        self.close()
""",
    )
    verdict = quick(file, prefixes=4)
    assert verdict.verdict == "unsteady"
    assert len(verdict.findings) == 1
    assert "it keeps something between runs" in verdict.findings[0].detail


class BreaksOnWildBars(bt.Strategy):
    """Honest, but it gives up when the price leaves the range that its author thought of."""

    def next(self):
        if not 20_000 < self.data.close[0] < 46_500:
            raise RuntimeError("never seen such a price")
        if not self.position and len(self) % 20 == 0:
            self.buy(size=0.05)
        elif self.position and len(self) % 20 == 10:
            self.close()


def test_what_breaks_on_made_up_bars_after_the_cut_is_clean() -> None:
    """An error in a future that never was is no look-ahead."""
    assert place().candles.close.max() < 46_500
    assert quick(BreaksOnWildBars).clean


class Idle(bt.Strategy):
    """Does nothing."""


def test_an_idle_strategy_is_told_to_be_one() -> None:
    """Nothing is found in no orders, and that is worth nothing: it is said."""
    verdict = quick(Idle, prefixes=2)
    assert verdict.clean
    assert verdict.orders == 0
    assert "it sent no order" in verdict.warnings[0]


class Ahead(bt.Indicator):
    """A moving average of bars to come."""

    lines = ("value",)

    def once(self, start, end):
        close = np.array(self.data.close.array)
        self.lines.value.array[:] = type(self.lines.value.array)("d", np.roll(close, -3))

    def next(self):
        self.lines.value[0] = self.data.close[0]


class Unused(bt.Strategy):
    """Holds a line that looks ahead, and reads it three bars later only."""

    def __init__(self):
        self.ahead = Ahead(self.data)

    def next(self):
        if not self.position and self.ahead[-3] > self.data.open[0]:
            self.buy(size=0.05)
        elif self.position and len(self) % 10 == 0:
            self.close()


def test_a_line_that_repaints_without_an_order_is_a_warning() -> None:
    """A line that is read after its time only changes no order: a warning names it."""
    verdict = quick(Unused, prefixes=6)
    assert verdict.clean
    assert any("self.ahead" in text and "though no order was" in text for text in verdict.warnings)


# --- the other engines, and the warm-up -----------------------------------------------------------


def test_a_thorough_audit_runs_every_engine_and_measures_the_warm_up() -> None:
    """A setup strategy runs on all three engines, and its declared warm-up is enough."""
    market = place(20)
    parameters = {"min_confidence": 0.0}
    verdict = audit(find_strategy("fvg_fill"), market, parameters, prefixes=4, thorough=True)
    assert verdict.clean, verdict.findings[:1]
    assert verdict.engines == ("compiled", "reference", "bar-by-bar")
    assert verdict.warm_up is not None
    assert verdict.warm_up.declared == 2880
    assert verdict.warm_up.settled is not None
    assert 0 < verdict.warm_up.settled < verdict.warm_up.most == len(market.candles) // 2
    assert verdict.warm_up.orders > 20


class Slow(bt.Strategy):
    """Trades the side of an average that needs 300 bars; it declares 50."""

    warmup_bars = 50

    def __init__(self):
        self.slow = bt.ind.SMA(period=300)

    def next(self):
        above = self.data.close[0] > self.slow[0]
        if above and not self.position:
            self.buy(size=0.05)
        elif not above and self.position:
            self.close()


class Endless(bt.Strategy):
    """Counts from the first bar of its data, wherever that is."""

    def next(self):
        if len(self) % 37 == 0:
            self.buy(size=0.05)
        elif self.position and len(self) % 37 == 20:
            self.close()


def test_a_warm_up_that_is_declared_too_short_is_told() -> None:
    """An average over 300 bars settles after 300 bars, whatever is declared."""
    verdict = audit(Slow, place(9), prefixes=2, thorough=True)
    assert verdict.clean
    assert verdict.warm_up is not None
    assert verdict.warm_up.settled is not None
    assert 200 <= verdict.warm_up.settled <= 300
    assert any("declares a warm-up of 50" in text for text in verdict.warnings)


def test_orders_that_never_settle_are_a_warning() -> None:
    """What counts from the beginning of its data never settles; that is no look-ahead."""
    verdict = audit(Endless, place(9), prefixes=2, thorough=True)
    assert verdict.clean
    assert verdict.warm_up is not None
    assert verdict.warm_up.settled is None
    assert any("never settle" in text for text in verdict.warnings)


class NeedsAll(bt.Strategy):
    """Honest, but it takes its arrays before the first bar: live there are none."""

    def __init__(self):
        closes = np.array(self.data.close.array)
        self.change = np.zeros(len(closes))
        self.change[1:] = closes[1:] / closes[:-1] - 1.0

    def next(self):
        if not self.position and self.change[len(self) - 1] > 0.003:
            self.buy(size=0.05)
        elif self.position and len(self) % 8 == 0:
            self.close()


def test_what_can_not_run_live_is_a_warning() -> None:
    """A strategy that needs all bars before the first one is told that it can't be traded so."""
    verdict = audit(NeedsAll, place(9), prefixes=2, thorough=True)
    assert verdict.clean, verdict.findings[:1]
    assert any("when bars come one by one" in text for text in verdict.warnings)


# --- the verdict itself ---------------------------------------------------------------------------


def test_the_same_audit_says_the_same() -> None:
    """Same bars, same seed: the same verdict, as JSON can hold it; the time it took apart."""
    cls = find_strategy(str(BIASED / "shifted_close.py"))
    plain = [quick(cls, market=place(6), prefixes=2).as_dict(seconds=False) for _ in range(2)]
    texts = [json.dumps(one, allow_nan=False, sort_keys=True) for one in plain]
    assert texts[0] == texts[1]
    assert plain[0]["clean"] is False
    assert plain[0]["sentence"].startswith("order of the bar 2024-01-0")
    assert "(shifted_close.py:18) is another one when later bars are" in plain[0]["sentence"]
    assert plain[0]["findings"][0]["line"] == 18
    assert "seconds" in quick(Idle, prefixes=1).as_dict()


def test_progress_is_told_run_by_run() -> None:
    """Each run is told, and never more than there are."""
    told: list[tuple[int, int]] = []
    quick(Regular, market=place(6), prefixes=2, progress=lambda *numbers: told.append(numbers))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert all(done <= total for done, total in told)


def test_the_audit_leaves_modules_as_they_were(tmp_path: Path) -> None:
    """Fresh copies of the strategy's file and of the module beside it are gone afterwards."""
    (tmp_path / "beside_audited.py").write_text("SIZE = 0.05\nSEEN = []\n")
    file = write(
        tmp_path,
        "imports_beside",
        """
def next(self):
    SEEN.append(len(self))
    if not self.position and len(self) % 20 == 0:
        self.buy(size=SIZE)
    elif self.position and len(self) % 20 == 10:
        self.close()
""",
        head="import sys\nsys.path.insert(0, __file__.rpartition('/')[0])\n"
        "from beside_audited import SEEN, SIZE",
    )
    found = find_strategy(str(file))
    before, path = dict(sys.modules), list(sys.path)
    assert quick(found, market=place(6), prefixes=2).clean
    assert {name for name in before if sys.modules.get(name) is not before[name]} == set()
    sys.path[:] = [one for one in path if one != str(tmp_path)]
    del sys.modules["beside_audited"]


def test_what_can_not_be_audited_is_told() -> None:
    """Too few bars, no places, unknown parameters, a broken strategy: one clear error each."""

    class Broken(bt.Strategy):
        def next(self):
            raise RuntimeError("no")

    with pytest.raises(InputError, match="needs 50 bars to trade"):
        quick(Regular, market=place().slice(0, 40))
    with pytest.raises(InputError, match="prefixes must be"):
        quick(Regular, prefixes=0)
    with pytest.raises(ParameterError, match="did you mean"):
        quick(find_strategy("fvg_fill"), parameters={"dept": 1.0})
    with pytest.raises(StrategyBroken, match="RuntimeError: no"):
        quick(Broken)
