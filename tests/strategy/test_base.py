"""The base of setup strategies: what it sends for a setup, follows, counts and reads."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Kind, Result, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import Timeframe
from ftbt.ranges import Float, Int
from ftbt.risk.limits import Limits
from ftbt.smc import AverageTrueRange, Swings
from ftbt.strategy import LIMIT, STOP_LIMIT, Setup, SetupStrategy, setup_rule
from ftbt.strategy.base import own_methods
from ftbt.strategy.loader import find_strategy

FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)
RULES = Instrument("TEST", size_decimals=2, max_leverage=20.0)
FLAT = (100.0, 101.0, 99.0, 100.0)
SEEN: list[Any] = []


@setup_rule
def by_volume(bar, atr, p, setup):
    """Make a setup at a volume above 1; the volume says which confidence."""
    if bar.volume > 1.0:
        setup.side = p.side
        setup.kind = p.kind
        setup.entry = 98.0
        setup.limit = 98.5
        setup.stop = 95.0 if p.side > 0 else 105.0
        if p.target1 > 0.0:
            setup.target1 = p.target1
        if p.target2 > 0.0:
            setup.target2 = p.target2
        setup.confidence = bar.volume
        setup.reason = 1


class ByVolume(SetupStrategy):
    """Setups as the volumes say."""

    params: ClassVar = dict(side=1, kind=1, target1=0.0, target2=0.0, max_notional=10.0)
    ranges: ClassVar = dict(
        side=Int(-1, 1), kind=Int(1, 4), target1=Float(0, 200), target2=Float(0, 200)
    )
    reasons = ("other", "volume")

    def __init__(self):
        super().__init__()
        self.setup = Setup(by_volume, AverageTrueRange(self.data))


def run(
    codes: dict[int, float], prices: Any = None, cls: Any = ByVolume, engine: str = "reference",
    rules: Instrument = RULES, **values: Any,
) -> Result:  # fmt: skip
    """Play setups at the bars of *codes*, with these confidences."""
    table = np.array(prices or [FLAT] * 8, float)
    volume = [codes.get(i, 1.0) for i in range(len(table))]
    bars = make_bars(np.arange(len(table)) * 900_000, *table.T, volume)
    market = Market(Candles.checked("TEST", Timeframe.parse("15m"), bars), rules)
    return run_backtest(cls, market, values, FREE, engine=engine)


# --- what is sent ---------------------------------------------------------------------------------


TWO = {"target1": 106.0, "target2": 112.0}
BRACKET = [Role.ENTRY, Role.STOP]


@pytest.mark.parametrize(
    ("values", "roles"),
    [
        ({}, BRACKET),
        ({"target1": 108.0}, [*BRACKET, Role.TARGET1]),
        (TWO, [*BRACKET, Role.TARGET1, Role.TARGET2]),
        ({**TWO, "scale_out": 0.0}, [*BRACKET, Role.TARGET2]),
        ({**TWO, "scale_out": 1.0}, [*BRACKET, Role.TARGET1]),
    ],
)
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_setup_becomes_one_bracket(
    values: dict[str, float], roles: list[Role], engine: str
) -> None:
    """Entry, stop and up to two targets; the targets together are the entry's size."""
    orders = run({1: 100.0}, engine=engine, **values).orders
    orders = orders[orders["role"] != Role.EXIT]
    assert [Role(role) for role in orders["role"]] == roles
    assert (orders["parent"][1:] == 1).all()
    assert (orders["bar"] == 1).all()
    assert orders["size"][1] == orders["size"][0] == 40.0  # 2 % of 10,000 over 5
    targets = orders["size"][2:]
    if len(targets):
        assert targets.sum() == 40.0
    if len(targets) == 2:
        assert targets.tolist() == [20.0, 20.0]


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_the_parts_of_a_split_are_whole_lots(engine: str) -> None:
    """An odd number of lots is split without a rest, and flat means flat."""
    up = [FLAT] * 3 + [(100, 107, 99, 106), (106, 113, 105, 112)] + [FLAT] * 3
    rules = dataclasses.replace(RULES, size_decimals=3)
    result = run(
        {1: 90.0}, up, engine=engine, rules=rules, target1=106.0, target2=112.0,
        risk_per_trade=0.00167, scale_out=0.37,
    )  # fmt: skip
    parts = result.fills["size"].tolist()
    assert len(parts) == 3
    assert parts[0] == pytest.approx(parts[1] + parts[2], abs=1e-12)
    assert [round(1000 * part, 6) % 1 for part in parts] == [0, 0, 0]
    assert len(result.trades) == 1


@pytest.mark.parametrize(
    ("kind", "price", "limit"), [(LIMIT, 98.0, None), (STOP_LIMIT, 98.0, 98.5)]
)
def test_prices_of_the_entry(kind: int, price: float, limit: float | None) -> None:
    """A limit entry has its price, a stop-limit entry its trigger and its limit."""
    order = run({1: 100.0}, kind=kind).orders[0]
    assert order["kind"] == Kind(kind)
    assert order["price"] == price
    assert order["limit"] == limit if limit else np.isnan(order["limit"])


def test_two_confidences_are_two_sizes() -> None:
    """Confidence scales what the risk allows, and what a cap on the notional leaves of it."""
    sizes = [run({1: confidence}).fills["size"][0] for confidence in (30.0, 60.0, 90.0, 100.0)]
    assert sizes == [26.0, 32.0, 38.0, 40.0]
    capped = [run({1: c}, max_notional=0.3).fills["size"][0] for c in (60.0, 90.0)]
    assert capped == [24.0, 28.5]
    assert [run({1: c}, confidence_sizing=0.0).fills["size"][0] for c in (30.0, 90.0)] == [40, 40]


def test_a_trade_knows_its_setup() -> None:
    """Stop, targets, confidence and reason of the setup are in the trade."""
    trade = run({1: 77.0}, target1=106.0, target2=112.0).trades[0]
    assert (trade["stop"], trade["target1"], trade["target2"]) == (95.0, 106.0, 112.0)
    assert (trade["confidence"], trade["entry_reason"]) == (77.0, 1)


def test_refusals_are_counted_by_name() -> None:
    """Each setup that is not taken is counted under the reason of `decide`."""
    assert run({1: 100.0}, direction="short").refused == {"direction not allowed": 1}
    assert run({1: 20.0}, min_confidence=40).refused == {"confidence too low": 1}
    assert run({1: 100.0}, target1=101.0).refused == {"reward to risk too low": 1}
    assert run({1: 100.0}, side=-1, target1=106.0).refused == {
        "stop or target on the wrong side": 1
    }
    assert run({1: 100.0, 2: 100.0}).refused == {"already in a position": 1}


def test_a_setup_at_the_last_close_is_not_taken() -> None:
    """What is decided at the last close can't trade: no order, no refusal."""
    for engine in ("reference", "compiled"):
        result = run({7: 100.0}, engine=engine)
        assert len(result.orders) == 0
        assert result.refused == {}


def test_a_new_setup_is_taken_once_the_old_trade_is_over() -> None:
    """A setup at the close of the bar in which the stop filled is taken in the next bar."""
    prices = [FLAT, FLAT, (100, 101, 94, 100), *[FLAT] * 5]
    for engine in ("reference", "compiled"):
        result = run({0: 100.0, 2: 100.0}, prices, engine=engine)
        assert result.trades["entry_bar"].tolist() == [1, 3]
        assert result.orders["status"].tolist()[:2] == [Status.FILLED] * 2


# --- the short cut past quiet bars ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["liquidity_sweep", "fvg_fill", "bos_orderblock"])
def test_quiet_bars_have_nothing_to_decide(name: str) -> None:
    """Asking `decide` at every single bar gives the same as asking when something may happen."""
    cls = find_strategy(name).load()

    class Awake(cls):  # type: ignore[misc, valid-type]
        def next(self):
            self._wake = 0
            self._loud = [True] * len(self._loud)
            super().next()

    market = sample_market(["SOL"], days=30)["SOL"]
    values = dict(bias="none", min_confidence=0.0, max_bars=17, valid_bars=5)
    usual, awake = (run_backtest(one, market, values, engine="reference") for one in (cls, Awake))
    assert len(usual.trades) > 15
    for table in ("orders", "fills", "trades", "equity"):
        assert getattr(usual, table).tobytes() == getattr(awake, table).tobytes()
    assert usual.refused == awake.refused


# --- methods of the strategy's own ----------------------------------------------------------------


@setup_rule
def swing_low(bar, swings, p, setup):
    """Buy each confirmed low."""
    if swings.low_event > 0.0:
        setup.side = 1
        setup.stop = bar.low * 0.99
        setup.target1 = bar.close * 1.01


class Watching(SetupStrategy):
    """Reads its lines where Backtrader calls it, beside its setups."""

    def __init__(self):
        super().__init__()
        self.swings = Swings(self.data)
        self.setup = Setup(swing_low, self.swings)

    def notify_trade(self, trade):
        if trade.justopened:
            SEEN.append((len(self), self.swings.low_event[-1], self.swings.low_event[0]))

    def stop(self):
        SEEN.append((len(self.swings), len(self.data)))


def test_lines_move_with_a_strategy_that_reads_them() -> None:
    """notify_trade() and stop() see the lines of the current bar, not those of the first one."""
    SEEN.clear()
    market = sample_market(["BTC"], days=4)["BTC"]
    result = run_backtest(Watching, market, dict(min_rr=0.5))
    assert result.engine == "reference"
    assert "has its own notify_trade()" in " ".join(result.notes)
    assert SEEN[-1] == (len(market.candles), len(market.candles))
    assert len(SEEN) == len(result.trades) + 1 > 5
    assert all(before == 1.0 for _, before, _ in SEEN[:-1]), "the entry follows its swing by a bar"


def test_own_methods_are_those_that_replace_the_bases() -> None:
    """`__init__`, params, reasons and new helpers do not count; replaced methods do."""

    class Helper(ByVolume):
        params: ClassVar = dict(extra=1)
        ranges: ClassVar = dict(extra=Int(1, 3))

        def helper(self):
            return 1

    class Replaced(Helper):
        def next(self):
            super().next()

        @property
        def position(self):
            return None

    assert own_methods(Helper) == []
    assert own_methods(Replaced) == ["next", "position"]
    assert run({1: 100.0}, cls=Helper, engine="auto").engine == "compiled"
