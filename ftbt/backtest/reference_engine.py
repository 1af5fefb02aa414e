"""The reference engine: Backtrader's Cerebro with the project's broker and feed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt
import numpy as np

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
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
) -> dict[str, Any]:
    """Return equity, orders, fills, trades and refusals, by the names of `Result`."""
    broker = ModelBroker(settings, len(market.candles) - 1, progress)
    instance = _run_cerebro(_gated(cls, trade_from), name, values, market, broker)
    book = next(iter(broker.books.values()))
    refused = broker.desk.refused + Counter(getattr(instance, "refused", {}))
    return {
        "equity": np.array(broker.equity[trade_from:]),
        "orders": broker.desk.order_records(),
        "fills": broker.desk.fill_records(),
        "trades": book.trade_records(),
        "refused": dict(sorted(refused.items())),
        "engine": "reference",
    }


def _gated(cls: type[Any], trade_from: int) -> type[Any]:
    """Return *cls* with a longer minimum period: Backtrader's own way to wait for warm-up."""

    def _periodset(self: Any) -> None:
        super(gated, self)._periodset()
        self._minperiods = [max(period, trade_from + 1) for period in self._minperiods]

    body = {"_periodset": _periodset, "__module__": cls.__module__}
    metaclass: Any = type(cls)
    gated: type[Any] = metaclass(cls.__name__, (cls,), body)
    return gated


def _run_cerebro(
    cls: type[Any], name: str, values: Mapping[str, Any], market: Market, broker: ModelBroker
) -> Any:
    """Run one strategy class in a Cerebro of its own; return its instance."""
    cerebro = bt.Cerebro(stdstats=False, runonce=True, preload=True)
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
