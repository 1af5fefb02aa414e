"""Whatever a strategy sends on whatever market: the account adds up, and nothing is left behind."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, ClassVar

import backtrader as bt
import hypothesis
import numpy as np
import pytest
from account_kit import check_account, check_protection
from hypothesis import given
from hypothesis import strategies as st
from user_kit import COSTLY, FREE, market_of, rows

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Result, Status
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Funding
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import HOUR_MS
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy, strategy_names
from ftbt.strategy.parameters import ranges_of

KINDS = {
    "market": bt.Order.Market,
    "close": bt.Order.Close,
    "limit": bt.Order.Limit,
    "stop": bt.Order.Stop,
    "stop-limit": bt.Order.StopLimit,
    "trail": bt.Order.StopTrail,
    "trail-limit": bt.Order.StopTrailLimit,
}
RULES = Instrument("TEST", size_decimals=2, max_leverage=20.0)


class RandomTrader(bt.Strategy):
    """Does what `script` says: bar -> actions."""

    script: ClassVar[dict[int, list[dict[str, Any]]]] = {}

    def __init__(self):
        super().__init__()
        self.sent = []

    def next(self):
        for action in self.script.get(len(self), ()):
            getattr(self, action["do"])(**{k: v for k, v in action.items() if k != "do"})

    def order(self, side, kind, size, away, far, valid, oco):
        """Send a single order; prices are `away` from the close."""
        close = self.data.close[0]
        enter = self.buy if side > 0 else self.sell
        more = {}
        if kind in ("limit", "stop", "stop-limit"):
            more["price"] = close * (1 + away)
        if kind == "stop-limit":
            more["plimit"] = close * (1 + away + side * far * 0.2)
        if kind in ("trail", "trail-limit"):
            more["trailamount"] = close * far
        if kind == "trail-limit":
            more["plimit"] = close * (1 - side * far * 0.1)
        if valid:
            more["valid"] = dt.timedelta(minutes=15 * valid)
        if oco and self.sent:
            more["oco"] = self.sent[-1]
        self.keep(enter(size=size, exectype=KINDS[kind], **more))

    def bracket(self, side, kind, size, away, far, split, even):
        """Send an entry with a stop and one or two targets."""
        close = self.data.close[0]
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        price = close * (1 + away) if kind != "market" else None
        start = price or close
        entry = enter(
            size=size, exectype=KINDS[kind], price=price, transmit=False,
            plimit=start * (1 + side * 0.004) if kind == "stop-limit" else None,
        )  # fmt: skip
        leave(
            size=size, exectype=bt.Order.Stop, price=start * (1 - side * far), parent=entry,
            transmit=False, break_even=even,
        )  # fmt: skip
        first = round(size * split, 2)
        leave(
            size=first, exectype=bt.Order.Limit, price=start * (1 + side * far), parent=entry,
            transmit=False, target=1,
        )  # fmt: skip
        leave(
            size=size - first, exectype=bt.Order.Limit, price=start * (1 + 2 * side * far),
            parent=entry, target=2,
        )  # fmt: skip
        self.keep(entry)

    def target(self, percent):
        """Rebalance."""
        self.keep(self.order_target_percent(target=percent))

    def leave(self, part):
        """Close a part of the position."""
        if self.position:
            self.keep(self.close(size=abs(self.position.size) * part))

    def withdraw(self, back):
        """Cancel one of the orders sent before."""
        if self.sent:
            self.cancel(self.sent[-1 - back % len(self.sent)])

    def keep(self, order):
        """Remember an order that was sent."""
        if order is not None:
            self.sent.append(order)


sides = st.sampled_from([1, -1])
sizes = st.sampled_from([0.05, 0.3, 1.0, 7.77, 60.0, 900.0])
near, far = st.floats(-0.04, 0.04), st.floats(0.003, 0.06)
single = st.fixed_dictionaries(
    dict(do=st.just("order"), side=sides, kind=st.sampled_from(list(KINDS)), size=sizes, away=near,
         far=far, valid=st.sampled_from([0, 0, 1, 4]), oco=st.booleans())
)  # fmt: skip
brackets = st.fixed_dictionaries(
    dict(do=st.just("bracket"), side=sides,
         kind=st.sampled_from(["market", "limit", "stop", "stop-limit"]), size=sizes, away=near,
         far=far, split=st.sampled_from([0.5, 0.31, 1.0]), even=st.booleans())
)  # fmt: skip
rebalance = st.fixed_dictionaries(dict(do=st.just("target"), percent=st.floats(-3, 3)))
leaving = st.fixed_dictionaries(dict(do=st.just("leave"), part=st.sampled_from([0.3, 1.0, 2.0])))
withdrawal = st.fixed_dictionaries(dict(do=st.just("withdraw"), back=st.integers(0, 3)))
anything = st.one_of(single, single, brackets, rebalance, leaving, withdrawal)
without_cancels = st.one_of(single, brackets, brackets, rebalance, leaving)
change, wick = st.floats(-0.08, 0.08), st.floats(0, 0.03)
steps = st.lists(st.tuples(change, change, wick, wick), min_size=5, max_size=20)
USUAL = Settings(limits=Limits.none())
money = st.sampled_from([FREE, COSTLY, USUAL, dataclasses.replace(COSTLY, leverage=3.0)])


def scripts(actions: Any) -> Any:
    """Actions by bar."""
    return st.dictionaries(st.integers(1, 15), st.lists(actions, max_size=3), max_size=8)


def bars_of(moves: list[tuple[float, float, float, float]]) -> Bars:
    """Bars that gap and swing."""
    made, price = [], 100.0
    for gap, change, up, down in moves:
        first = price * (1 + gap)
        price = first * (1 + change)
        made.append((first, max(first, price) * (1 + up), min(first, price) * (1 - down), price))
    return rows(*made)


def play(bars: Bars, script: Any, settings: Settings, engine: str = "reference") -> Result:
    """The random trader on *bars*."""
    trader = type("Trader", (RandomTrader,), {"script": script})
    return run_backtest(trader, market_of(bars, RULES), {}, settings, engine=engine)


@hypothesis.settings(deadline=None, max_examples=120)
@given(steps, scripts(anything), money)
def test_any_orders_on_any_market_add_up(moves: Any, script: Any, settings: Settings) -> None:
    """Fills, fees, trades and equity agree; margin holds; nothing fills outside of its bar."""
    bars = bars_of(moves)
    result = play(bars, script, settings)
    check_account(result, bars, min(settings.leverage, RULES.max_leverage))


@hypothesis.settings(deadline=None, max_examples=80)
@given(steps, scripts(without_cancels), st.sampled_from([FREE, COSTLY]))
def test_no_position_is_ever_without_its_stop(moves: Any, script: Any, settings: Settings) -> None:
    """Every stop works from its entry's fill on, and goes only with the position."""
    bars = bars_of(moves)
    result = play(bars, script, settings)
    check_protection(_with_unmoved(result), bars)


def _with_unmoved(result: Result) -> Result:
    """The result without the stops that stand at the entry by now: they were elsewhere before."""
    orders = result.orders.copy()
    for stop in orders[(orders["parent"] > 0)]:
        entry = result.fills["price"][result.fills["order"] == stop["parent"]]
        if len(entry) and abs(stop["price"] - entry[0]) < 0.02:
            orders["parent"][stop["id"] - 1] = 0
    return dataclasses.replace(result, orders=orders)


@hypothesis.settings(deadline=None, max_examples=25)
@given(steps, scripts(anything), money)
def test_random_orders_are_the_same_bar_by_bar_and_twice(
    moves: Any, script: Any, settings: Settings
) -> None:
    """A second run, and one without anything preloaded, give the same bytes."""
    bars = bars_of(moves)
    first = play(bars, script, settings)
    for other in (play(bars, script, settings), play(bars, script, settings, "bar-by-bar")):
        for name in ("orders", "fills", "trades", "equity"):
            assert getattr(first, name).tobytes() == getattr(other, name).tobytes(), name


@hypothesis.settings(deadline=None, max_examples=25)
@given(steps, scripts(anything), money, st.integers(2, 12))
def test_random_orders_do_not_know_the_future(
    moves: Any, script: Any, settings: Settings, cut: int
) -> None:
    """Whatever follows a bar, what was filled up to it and the equity there stay the same."""
    bars = bars_of(moves)
    hypothesis.assume(cut < len(bars) - 1)
    other = bars.copy()
    for name in ("open", "high", "low", "close"):
        other[name][cut + 1 :] = np.round(other[name][cut + 1 :] * 1.5, 3)
    one, two = play(bars, script, settings), play(other, script, settings)
    for name, bar in (("fills", "bar"), ("trades", "exit_bar")):
        left, right = (getattr(r, name)[getattr(r, name)[bar] <= cut] for r in (one, two))
        assert left.tobytes() == right.tobytes()
    assert one.equity[: cut + 1].tobytes() == two.equity[: cut + 1].tobytes()


def test_groups_of_orders_trade_once() -> None:
    """Of orders that cancel each other at most one trades, over 200 random scripts."""
    rng = np.random.default_rng(4)
    traded = 0
    for _ in range(60):
        moves = rng.normal(0, 0.01, (20, 4))
        moves[:, 2:] = np.abs(moves[:, 2:])
        one = dict(do="order", side=1, size=1.0, far=0.01, valid=0)
        group = [
            dict(one, kind="limit", away=-float(rng.random() * 0.03), oco=False),
            dict(one, kind="stop", away=float(rng.random() * 0.03), oco=True),
            dict(one, kind="trail", away=0.0, oco=True),
        ]
        result = play(bars_of(moves.tolist()), {2: group}, FREE)
        filled = (result.orders["status"][:3] == Status.FILLED).sum()
        assert filled <= 1
        traded += int(filled)
    assert traded > 30


# --- the shipped strategies -----------------------------------------------------------------------


def _values(limits: Range) -> Any:
    """Any value of a range."""
    if isinstance(limits, Bool):
        return st.booleans()
    if isinstance(limits, Choice):
        return st.sampled_from(limits.words)
    if isinstance(limits, Int):
        return st.integers(limits.low, limits.high)
    assert isinstance(limits, Float)
    return st.floats(limits.low, limits.high)


@pytest.mark.parametrize("name", strategy_names())
@hypothesis.settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_parameters_of_a_strategy_add_up(name: str, data: Any) -> None:
    """Any allowed parameters on any market, with funding: the account agrees with the fills."""
    strategy = find_strategy(name)
    ranges = {k: v for k, v in ranges_of(strategy.load()).items() if k != "min_rr"}
    values = data.draw(
        st.fixed_dictionaries({}, optional={k: _values(v) for k, v in ranges.items()})
    )
    seed = data.draw(st.integers(0, 999))
    settings = data.draw(money)
    market = _walk(seed)
    engine = data.draw(st.sampled_from(["auto", "auto", "auto", "reference"]))
    result = run_backtest(strategy, market, values, settings, engine=engine)
    leverage = min(settings.leverage, market.instrument.max_leverage)
    check_account(result, market.candles.bars, leverage)
    check_protection(_with_unmoved(result), market.candles.bars)


def _walk(seed: int) -> Market:
    """Some 700 bars with fat tails, and funding every hour."""
    rng = np.random.default_rng(seed)
    change = 0.004 * rng.standard_t(3, 700)
    moves = np.column_stack([0.0005 * rng.standard_normal(700), change, *np.abs(
        0.002 * rng.standard_normal((2, 700)))])  # fmt: skip
    market = market_of(bars_of(moves.clip(-0.2, 0.2).tolist()), Instrument("TEST", 2, 20.0))
    time = market.candles.time[0] + HOUR_MS * np.arange(170)
    return dataclasses.replace(
        market, funding=Funding("TEST", time, 1e-4 * rng.standard_normal(170))
    )
