"""The compiled engine: the same strategy object, the same `decide`, one loop over all bars.

Backtrader makes the strategy with its lines and parameters, as always; only its bar loop is left
out. What the strategy says at each close is made at once by its compiled rule, and `kernel_walk`
runs the execution model on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.book import detail_rows
from ftbt.backtest.costs import funding_schedule, slippage_fraction
from ftbt.backtest.desk import NO_MARGIN
from ftbt.backtest.kernel import ACCOUNT, BOOK, COUNTS
from ftbt.backtest.kernel_walk import run
from ftbt.backtest.result import FILL, ORDER, TRADE
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import BAR, frozen
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.strategy.base import SetupStrategy, own_methods
from ftbt.strategy.records import INTENT, REFUSAL_WORDS, RULES, VIEW, Refusal

Records = NDArray[np.void]


class _NoLoop(bt.Cerebro):
    """Makes and starts strategies, and leaves the bars alone."""

    def _runonce(self, runstrats: list[Any]) -> None:
        """Do nothing."""


class _Arrays(CandleFeed):
    """A feed whose lines nobody reads."""

    def preload(self) -> None:
        """Do nothing."""


class _Rules(bt.brokers.BackBroker):
    """Tells a strategy the rules of its symbol; sends nothing."""

    finished = True

    def __init__(self, market: Market, settings: Settings) -> None:
        super().__init__()
        self.market = market
        self.settings = settings

    def fill_rules(self, data: Any, rules: Any) -> None:
        """Write what holds for the symbol into a RULES record."""
        del data
        fill_rules(rules, self.market, self.settings)


def fill_rules(rules: Any, market: Market, settings: Settings) -> None:
    """Write what holds for *market* into a RULES record."""
    rules["size_decimals"] = market.instrument.size_decimals
    rules["min_notional"] = market.instrument.min_notional
    rules["leverage"] = min(settings.leverage, market.instrument.max_leverage)
    rules["cost_rate"] = settings.taker_fee + settings.half_spread


def make_strategy(
    cls: type[Any], values: Mapping[str, Any], market: Market, settings: Settings
) -> SetupStrategy:
    """Return the started strategy object with its setups at every bar."""
    cerebro = _NoLoop(stdstats=False)
    feed: Any = _Arrays(candles=market.candles, instrument=market.instrument)
    cerebro.adddata(feed, name=market.symbol)
    cerebro.setbroker(_Rules(market, settings))
    cerebro.addstrategy(cls, **values)
    strategy: SetupStrategy = cerebro.run()[0]
    return strategy


def why_not(cls: type[Any]) -> str:
    """Return why the compiled engine can't run *cls*, "" when it can."""
    if not issubclass(cls, SetupStrategy):
        return f"{cls.__name__} has a next() of its own"
    own = own_methods(cls)
    return f"{cls.__name__} has its own {own[0]}()" if own else ""


def _detail(market: Market) -> tuple[Any, ...]:
    """Return detail bars, their funding, and the rows that tile each bar."""
    count = len(market.candles)
    if market.detail is None:
        none = np.zeros(0)
        rows = np.zeros(count, np.int64)
        return frozen(np.zeros(0, BAR)), none, none, rows, rows
    pairs = np.array(detail_rows(market), np.int64).reshape(count, 2)
    bars = market.detail.bars
    at_open, inside = funding_schedule(bars, market.detail.timeframe.ms, market.funding)
    return frozen(bars), at_open, inside, pairs[:, 0].copy(), pairs[:, 1].copy()


def _book(market: Market, settings: Settings) -> Records:
    book = np.zeros(1, BOOK)
    book["decimals"] = market.instrument.size_decimals
    book["leverage"] = min(settings.leverage, market.instrument.max_leverage)
    book["maintenance"] = 1.0 / (2.0 * market.instrument.max_leverage)
    book["price"] = np.nan
    return book


def run_compiled(
    cls: type[Any],
    name: str,
    values: Mapping[str, Any],
    market: Market,
    settings: Settings,
    trade_from: int,
) -> dict[str, Any]:
    """Return equity, orders, fills, trades and refusals, by the names of `Result`."""
    with user_code(name):
        strategy = make_strategy(cls, values, market, settings)
    setups, packed = strategy.setups_and_parameters()
    bars = frozen(market.candles.bars)
    # At most one entry a bar that says something, each with up to three children and an exit.
    room = 6 * int(np.count_nonzero(setups["side"])) + 8
    orders, fills, trades = np.zeros(room, ORDER), np.zeros(room, FILL), np.zeros(room, TRADE)
    counts = np.zeros(1, COUNTS)
    account = np.zeros(1, ACCOUNT)
    account["cash"] = settings.capital
    account["taker"], account["maker"] = settings.taker_fee, settings.maker_fee
    rules = np.zeros(1, RULES)
    fill_rules(rules[0], market, settings)
    at_open, inside = funding_schedule(bars, market.candles.timeframe.ms, market.funding)
    slip = slippage_fraction(bars, settings)
    equity = np.zeros(len(bars))
    refused = np.zeros(len(Refusal) + 1, np.int64)
    run(
        bars, setups, packed[0], rules[0], _book(market, settings)[0], account[0],
        np.zeros(1, VIEW)[0], np.zeros(1, INTENT)[0], trade_from, (slip, at_open, inside),
        _detail(market), (orders, fills, trades, counts[0]), equity, refused,
    )  # fmt: skip
    words = {REFUSAL_WORDS[Refusal(code)]: int(n) for code, n in enumerate(refused) if n}
    if counts["margin"][0]:
        words[NO_MARGIN] = int(counts["margin"][0])
    return {
        "equity": equity[trade_from:],
        "orders": orders[: counts["orders"][0]].copy(),
        "fills": fills[: counts["fills"][0]].copy(),
        "trades": trades[: counts["trades"][0]].copy(),
        "refused": dict(sorted(words.items())),
        "engine": "compiled",
    }
