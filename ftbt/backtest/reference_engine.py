"""The reference engine: Backtrader's Cerebro with the project's broker and feed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from backtrader.errors import StrategySkipError

from ftbt.backtest.book import Place
from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.gate import gated
from ftbt.backtest.loop import BarLoop
from ftbt.backtest.portfolio import Plan
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import Floats
from ftbt.data.feed import CandleFeed
from ftbt.data.timeframe import show_ms
from ftbt.errors import StrategyBroken

Progress = Callable[[int, int], None]


def run_reference(
    plan: Plan, progress: Progress | None = None, *, bar_by_bar: bool = False
) -> dict[str, Any]:
    """Return equity, orders, fills, trades, refusals and notes, by the names of `Result`.

    With *bar_by_bar* nothing is made in advance: feeds, lines and setups move one bar at a time, as
    they do live. Slower, and the same to the last bit.

    Args:
        plan: what to run.
        progress: called now and then with (bars done, bars in all).
        bar_by_bar: move everything one bar at a time.
    """
    broker = ModelBroker(plan.settings, len(plan.clock) - 1, progress, plan)
    _run_cerebro(plan, broker, bar_by_bar)
    desk = broker.desk
    equity, notes = _whole(broker.equity, plan)
    return {
        "equity": equity[plan.first_bar :],
        "notes": notes,
        "orders": desk.order_records(),
        "fills": desk.fill_records(),
        "trades": desk.trade_records(),
        "refusals": desk.refusal_records(),
        "engine": "reference",
    }


class Maker:
    """Makes one strategy object on its own data; Backtrader hands it the data of all."""

    def __init__(
        self, cls: type[Any], values: Mapping[str, Any], sleeve: int, stretch: int
    ) -> None:
        self.cls, self.values = cls, values
        self.sleeve, self.stretch = sleeve, stretch

    def __call__(self, *datas: Any) -> Any:
        """Return the strategy object on its own one of *datas*."""
        cls = self.cls
        try:
            strategy = cls(datas[self.stretch], **self.values)
        except StrategySkipError as error:
            raise StrategyBroken("it refused to start (StrategySkipError)") from error
        strategy.ftbt_sleeve = self.sleeve
        return strategy


def _run_cerebro(plan: Plan, broker: ModelBroker, bar_by_bar: bool) -> None:
    """Run all strategies in a Cerebro of their own."""
    cerebro = BarLoop(stdstats=False, runonce=not bar_by_bar, preload=not bar_by_bar)
    for number, (one, symbol) in enumerate(zip(plan.stretches, plan.symbol_of, strict=True)):
        feed: Any = CandleFeed(candles=one.market.candles, instrument=one.market.instrument)
        cerebro.adddata(feed, name=one.market.symbol)
        place = Place(number, symbol, int(plan.joint.start[number]), one.trade_from)
        broker.add_market(feed, one.market, place)
    cerebro.setbroker(broker)
    classes = [gated(cls) for cls in plan.classes]
    names = dict(zip(classes, plan.names, strict=True))
    for leg in plan.legs():
        cls, values = classes[leg.sleeve], plan.values[leg.sleeve]
        cerebro.addstrategy(Maker(cls, values, leg.sleeve, leg.stretch))
    with user_code("+".join(plan.names), names):
        cerebro.run()
    if not all(map(math.isfinite, broker.equity)):
        whose = " or ".join(dict.fromkeys(plan.names))
        raise StrategyBroken(f"strategy {whose}: the equity is not a number; it sent such a price")


def _whole(values: list[float], plan: Plan) -> tuple[Floats, tuple[str, ...]]:
    """Return the equity at every bar; after an early end it stays what it was."""
    missing = len(plan.clock) - len(values)
    equity = np.array(values + values[-1:] * missing)
    if not missing:
        return equity, ()
    end = show_ms(int(plan.clock[len(values) - 1]))
    return equity, (f"the strategy stopped the run at the bar of {end}",)
