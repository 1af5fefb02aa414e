"""The promises of every strategy file: it knows only the past, live is research, shorts are longs.

The tests run over whatever is in the strategies folder: a new file is under contract at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar

import backtrader as bt
import numpy as np
import pytest
from smc_markets import market as smc_bars
from smc_markets import names, real_folder
from strategy_contract import must_be_same

from ftbt.backtest.compiled_engine import why_not
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason, Kind, Result, Role
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Candles
from ftbt.data.market import Instrument, Market, instrument_for
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import StrategyBroken
from ftbt.ranges import Choice
from ftbt.robustness.audit import Difference, first_difference
from ftbt.robustness.lookahead.futures import replace_bars
from ftbt.smc import SWINGS, SmcLine, Swings
from ftbt.strategy import Setup, SetupStrategy, loader, setup_rule
from ftbt.strategy.loader import StrategyRef, find_strategy, strategies_folder
from ftbt.strategy.parameters import ranges_of

FREE = Settings(taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0)
SHIPPED = ("bos_orderblock", "fvg_fill", "liquidity_sweep")


def _all_strategies() -> list[StrategyRef]:
    """Every strategy class of every file in the strategies folder."""
    files = sorted(strategies_folder().glob("[!_]*.py"))
    return [find_strategy(f"{path}:{name}") for path in files for name in loader._classes(path)]


STRATEGIES = _all_strategies()
by_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: one.name)


def _market(bars: Bars, symbol: str, instrument: Instrument | None = None) -> Market:
    candles = Candles(symbol, Timeframe.parse("15m"), bars)
    return Market(candles, instrument or instrument_for(symbol))


@cache
def _place(name: str) -> Market:
    """One of the markets of the contract, 2,000 bars of 15 minutes or a little less."""
    if name == "sample":
        return sample_market(["BTC"], days=20)["BTC"]
    coins = {"trending": "ETH", "fat_tails": "BTC", "plateaus": "SOL"}
    return _market(smc_bars(name), coins.get(name, name.upper()))


PLACES = ("sample", "trending", "fat_tails", *(names()[3:] if real_folder() else ()))


def _loose(strategy: StrategyRef | type[Any]) -> dict[str, Any]:
    """Parameters under which a strategy of this project takes all of its setups."""
    cls = strategy.load() if isinstance(strategy, StrategyRef) else strategy
    if not issubclass(cls, SetupStrategy):
        return {}
    bias = ranges_of(cls).get("bias")
    free = {"bias": "none"} if isinstance(bias, Choice) and "none" in bias.words else {}
    return {"min_confidence": 0.0, **free}


@cache
def _run(strategy: StrategyRef, place: str, engine: str, loose: bool = True) -> Result:
    return run_backtest(strategy, _place(place), _loose(strategy) if loose else {}, engine=engine)


# --- 1. nothing depends on later bars -------------------------------------------------------------


@by_strategy
@pytest.mark.parametrize("place", PLACES)
def test_orders_fills_and_trades_depend_on_the_past_alone(
    strategy: StrategyRef, place: str
) -> None:
    """Cut anywhere, or with another future, a strategy has done the same up to the cut."""
    loose, market = _loose(strategy), _place(place)
    own_loop = bool(why_not(strategy.load()))
    assert first_difference(strategy, market, loose, cuts=25 if own_loop else 4) is None
    if not own_loop:
        assert first_difference(strategy, market, {}, cuts=12, engine="compiled") is None
        assert first_difference(strategy, market, loose, cuts=24, engine="compiled") is None


@by_strategy
def test_the_audit_has_something_to_look_at(strategy: StrategyRef) -> None:
    """Each shipped strategy trades on the markets of the audit; an idle one would pass it too."""
    if strategy.name not in SHIPPED:
        pytest.skip("a strategy of the user's may be quiet")
    trades = [len(_run(strategy, place, "compiled").trades) for place in PLACES]
    assert min(trades) > 0
    assert sum(trades) > 20


@by_strategy
def test_the_past_alone_counts_with_warm_up_and_detail_bars(strategy: StrategyRef) -> None:
    """The audit holds with a warm-up in front and the path walked on 1m bars."""
    market = sample_market(["ETH"], days=8, detail=True)["ETH"]
    engine = "reference" if why_not(strategy.load()) else "compiled"
    found = first_difference(
        strategy, market, _loose(strategy), trade_from=200, cuts=10, engine=engine
    )
    assert found is None


@pytest.mark.slow
@by_strategy
def test_the_past_alone_counts_over_a_long_market(strategy: StrategyRef) -> None:
    """The audit with its own parameters over 120 days, cut at 150 places."""
    market = sample_market(["SOL"], days=120, seed=11)["SOL"]
    engine = "reference" if why_not(strategy.load()) else "compiled"
    assert first_difference(strategy, market, {}, cuts=150, engine=engine) is None


# --- the audit must be able to fail ---------------------------------------------------------------


def _peek(states: Any, bars: Bars, p: Any, out: Any) -> None:
    """Publish each swing at its own bar, before it is known."""
    out[:] = SWINGS.compute(bars)
    for name in ("high_event", "low_event"):
        out[name] = np.concatenate([out[name][2:], np.zeros(min(2, len(bars)))])[: len(bars)]


class PeekingSwings(SmcLine):
    concept = replace(SWINGS, name="peeking_swings", run=_peek, narrows=False)
    lines = SWINGS.lines
    params = SWINGS.params


@setup_rule
def fade_swings(bar, swings, p, setup):
    """Fade swings."""
    if swings.low_event > 0.0:
        setup.side = 1
        setup.stop = bar.low * 0.99
        setup.target1 = bar.close * 1.02


class Honest(SetupStrategy):
    """Fades each swing when it is known."""

    swings: ClassVar[type[SmcLine]] = Swings

    def __init__(self):
        super().__init__()
        self.setup = Setup(fade_swings, self.swings(self.data))


class PeekingSetups(Honest):
    """Fades each swing before it is known."""

    swings = PeekingSwings


class PeekingNext(bt.Strategy):
    """Reads the next close from the preloaded data, as careless code does."""

    def next(self):
        ahead = len(self) % 40 == 0 and len(self) < self.data.buflen()
        if not self.position:
            if ahead and self.data.close[1] > self.data.close[0]:
                self.buy(size=0.01)
        elif len(self) % 10 == 0:
            self.close()


class PeekingScale(bt.Strategy):
    """Takes its threshold from the whole history."""

    def next(self):
        middle = float(np.mean(self.data.close.array))
        if not self.position and self.data.close[0] < middle:
            self.buy(size=0.01)
        elif self.position and self.data.close[0] > middle:
            self.close()


class PeekingStop(bt.Strategy):
    """Decides honestly, and places its stop under a low that is still to come."""

    def next(self):
        if not self.position and len(self) % 50 == 0:
            lows = self.data.low.array[len(self) - 1 : len(self) + 5]
            self.buy_bracket(
                size=0.01, exectype=bt.Order.Market, stopprice=min(lows) * 0.999, limitexec=None
            )


class Reckless(bt.Strategy):
    """Breaks where the data end, for it always looks ahead."""

    def next(self):
        if len(self) < 1500 and self.data.close[3] > self.data.close[0] and not self.position:
            self.buy(size=0.01)


def _other_end(difference: Difference | None) -> Difference:
    assert difference is not None, "the audit saw nothing"
    return difference


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_peeking_setup_strategy_is_caught(engine: str) -> None:
    """Swings published before they are known change with the future; honest ones do not."""
    assert first_difference(Honest, _place("sample"), cuts=12, engine=engine) is None
    found = _other_end(first_difference(PeekingSetups, _place("sample"), cuts=12, engine=engine))
    assert found.what == "order"
    assert found.cut - 2 <= found.bar <= found.cut
    assert f"order of bar {found.bar} is another one when bar {found.cut} has" in str(found)


@pytest.mark.parametrize("peeking", [PeekingNext, PeekingScale, PeekingStop])
def test_a_peeking_plain_strategy_is_caught(peeking: type[bt.Strategy]) -> None:
    """The next close, a mean over everything, a stop under a later low: all named by an order."""
    found = _other_end(first_difference(peeking, _place("sample"), cuts=12))
    assert found.what == "order"
    assert 0 < found.bar <= found.cut


def test_a_strategy_that_breaks_without_its_future_is_caught() -> None:
    """What runs on the whole market, and stops on its first part, has looked ahead."""
    found = _other_end(first_difference(Reckless, _place("sample"), cuts=[300]))
    assert (found.what, found.cut) == ("error", 300)
    assert "IndexError" in found.detail


def test_a_strategy_that_does_not_run_is_no_finding() -> None:
    """The audit tells a broken strategy from a peeking one."""

    class Broken(bt.Strategy):
        def next(self):
            raise RuntimeError("no")

    with pytest.raises(StrategyBroken, match="RuntimeError: no"):
        first_difference(Broken, _place("sample"))


# --- 2. research is live --------------------------------------------------------------------------


@by_strategy
@pytest.mark.parametrize("place", PLACES)
def test_research_and_live_path_are_one(strategy: StrategyRef, place: str) -> None:
    """Lines and setups made at once or bar by bar: the same orders, fills, trades and equity."""
    at_once = _run(strategy, place, "reference")
    must_be_same(at_once, _run(strategy, place, "bar-by-bar"), "bar by bar")
    if not why_not(strategy.load()):
        must_be_same(at_once, _run(strategy, place, "compiled"), "compiled")


# --- 3. shorts are longs upside down --------------------------------------------------------------

CENTRE = 100_000.0
FAIR = Instrument("FAIR", size_decimals=5, max_leverage=50.0)


@cache
def _upright() -> Market:
    """A market around 50,000 on multiples of 4: mirrored, every price is on its tick."""
    rng = np.random.default_rng(5)
    bars = smc_bars("fat_tails").copy()
    close = 4 * np.round(50_000 / 4 + np.cumsum(20 * rng.standard_t(4, len(bars))))
    opened = np.concatenate([close[:1], close[:-1]])
    reach = 4 * np.round(10 * rng.exponential(size=(2, len(bars))))
    bars["open"], bars["close"] = opened, close
    bars["high"] = np.maximum(opened, close) + reach[0]
    bars["low"] = np.minimum(opened, close) - reach[1]
    assert bars["low"].min() > 30_000
    assert bars["high"].max() < 70_000
    return _market(bars, "FAIR", FAIR)


@cache
def _upside_down() -> Market:
    market, bars = _upright(), _upright().candles.bars.copy()
    for name, source in (("open", "open"), ("close", "close"), ("high", "low"), ("low", "high")):
        bars[name] = CENTRE - market.candles.bars[source]
    return replace(market, candles=replace_bars(market.candles, bars))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_mirrored_market_mirrors_every_order(name: str) -> None:
    """Upside down, each long is the short and each short the long, at mirrored prices."""
    strategy = find_strategy(name)
    # Without a cap on the notional, which is a share of the price, sizes are the same as well.
    values = {**_loose(strategy), "max_notional": 50.0, "risk_per_trade": 0.005}
    settings = replace(FREE, leverage=50.0)
    up, down = (
        run_backtest(strategy, market, values, settings) for market in (_upright(), _upside_down())
    )
    assert len(up.trades) > 20
    assert len(up.orders) == len(down.orders)
    for field in ("id", "parent", "bar", "kind", "role", "status", "end_bar"):
        np.testing.assert_array_equal(up.orders[field], down.orders[field], err_msg=field)
    np.testing.assert_array_equal(up.orders["side"], -down.orders["side"])
    # A tick and a half exactly between two ticks is rounded up on either side.
    priced = up.orders["kind"] != Kind.MARKET
    sums = (up.orders["price"] + down.orders["price"])[priced]
    assert np.abs(sums - CENTRE).max() <= 1.0
    np.testing.assert_allclose(up.orders["size"], down.orders["size"], rtol=0.02)
    np.testing.assert_array_equal(up.trades["exit_reason"], down.trades["exit_reason"])
    assert {1, -1} == set(up.trades["side"].tolist())


@pytest.mark.parametrize("name", SHIPPED)
def test_longs_and_shorts_are_balanced_on_a_fair_market(name: str) -> None:
    """On half a year of three driftless symbols neither side has more than 60 % of the entries."""
    sides = []
    for symbol, market in _half_year().items():
        result = run_backtest(find_strategy(name), market, {"bias": "none", "min_confidence": 0.0})
        assert len(result.trades) > 50, symbol
        sides.append(result.trades["side"])
    longs = float((np.concatenate(sides) > 0).mean())
    assert 0.4 < longs < 0.6


@cache
def _half_year() -> dict[str, Market]:
    return sample_market(days=180)


# --- 4. a setup exists at one close only ----------------------------------------------------------


@by_strategy
def test_entries_follow_their_setup_at_once_and_alone(strategy: StrategyRef) -> None:
    """Entries are sent at the close of their setup only, and never beside a position or another."""
    cls = strategy.load()
    if not issubclass(cls, SetupStrategy):
        pytest.skip("has no setups: it decides by its own next()")
    for place in PLACES:
        result = _run(strategy, place, "reference")
        setups = _setups(strategy, place)
        entries = result.orders[result.orders["role"] == Role.ENTRY]
        np.testing.assert_array_equal(setups["side"][entries["bar"]], entries["side"])
        assert len(np.unique(entries["bar"])) == len(entries)
        market_entries = entries[(entries["kind"] == Kind.MARKET) & (entries["filled"] > 0)]
        np.testing.assert_array_equal(market_entries["end_bar"], market_entries["bar"] + 1)
        _assert_one_at_a_time(result, entries)


def _assert_one_at_a_time(result: Result, entries: Any) -> None:
    """Each entry is sent when the one before it, and its trade, are over."""
    over = {int(trade["entry_bar"]): int(trade["exit_bar"]) for trade in result.trades}
    for before, entry in pairwise(entries):
        end = int(before["end_bar"])
        last = over[end] if before["filled"] else end
        assert entry["bar"] >= last, f"{entry} was sent beside {before}"


def _setups(strategy: StrategyRef, place: str) -> Any:
    """The setups of a strategy at every close, from the strategy object itself."""
    kept = []

    class Keeping(strategy.load()):  # type: ignore[misc]
        def stop(self):
            kept.append(self.setups_and_parameters()[0])

    run_backtest(Keeping, _place(place), _loose(strategy), engine="reference")
    return kept[0]


@by_strategy
def test_an_unfilled_entry_is_gone_after_its_time(strategy: StrategyRef) -> None:
    """No entry trades later than valid_bars bars after its setup."""
    if not issubclass(strategy.load(), SetupStrategy):
        pytest.skip("has no setups: it decides by its own next()")
    for place in PLACES:
        result = _run(strategy, place, "compiled")
        entries = result.orders[result.orders["role"] == Role.ENTRY]
        waited = entries["end_bar"] - entries["bar"]
        assert waited.max() <= result.parameters["valid_bars"], place
        assert waited.min() >= 1
        ends = set(result.trades["exit_reason"].tolist())
        assert ExitReason.SIGNAL not in ends, "a setup strategy leaves for a stated reason only"
