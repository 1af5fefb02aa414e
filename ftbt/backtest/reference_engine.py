"""The reference engine: Backtrader's Cerebro with the project's broker and feed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.gate import gated
from ftbt.backtest.loop import BarLoop
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import Floats
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.data.timeframe import show_ms
from ftbt.errors import StrategyBroken

Progress = Callable[[int, int], None]


def run_reference(
    cls: type[Any],
    name: str,
    values: Mapping[str, Any],
    market: Market,
    settings: Settings,
    trade_from: int,
    progress: Progress | None,
    *,
    bar_by_bar: bool = False,
) -> dict[str, Any]:
    """Return equity, orders, fills, trades, refusals and notes, by the names of `Result`.

    With *bar_by_bar* nothing is made in advance: feed, lines and setups move one bar at a time, as
    they do live. Slower, and the same to the last bit.
    """
    broker = ModelBroker(settings, len(market.candles) - 1, progress)
    broker.trade_from = trade_from
    instance = _run_cerebro(gated(cls), name, values, market, broker, bar_by_bar)
    book = next(iter(broker.books.values()))
    refused = broker.desk.refused + Counter(getattr(instance, "refused", {}))
    equity, notes = _whole(broker.equity, market)
    return {
        "equity": equity[trade_from:],
        "notes": notes,
        "orders": broker.desk.order_records(),
        "fills": broker.desk.fill_records(),
        "trades": book.trade_records(),
        "refused": dict(sorted(refused.items())),
        "engine": "reference",
    }


def _run_cerebro(
    cls: type[Any],
    name: str,
    values: Mapping[str, Any],
    market: Market,
    broker: ModelBroker,
    bar_by_bar: bool,
) -> Any:
    """Run one strategy class in a Cerebro of its own; return its instance."""
    cerebro = BarLoop(stdstats=False, runonce=not bar_by_bar, preload=not bar_by_bar)
    feed: Any = CandleFeed(candles=market.candles, instrument=market.instrument)
    cerebro.adddata(feed, name=market.symbol)
    broker.add_market(feed, market)
    cerebro.setbroker(broker)
    cerebro.addstrategy(cls, **values)
    with user_code(name):
        ran = cerebro.run()
    if not ran:
        raise StrategyBroken(f"strategy {name} refused to start (StrategySkipError)")
    if not all(map(math.isfinite, broker.equity)):
        raise StrategyBroken(f"strategy {name}: the equity is not a number; it sent such a price")
    return ran[0]


def _whole(values: list[float], market: Market) -> tuple[Floats, tuple[str, ...]]:
    """Return the equity at every bar; after an early end it stays what it was."""
    missing = len(market.candles) - len(values)
    equity = np.array(values + values[-1:] * missing)
    if not missing:
        return equity, ()
    end = show_ms(market.candles.time[len(values) - 1])
    return equity, (f"the strategy stopped the run at the bar of {end}",)
