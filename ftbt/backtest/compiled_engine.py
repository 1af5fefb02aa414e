"""The compiled engine: the same strategy object, the same `decide`, one loop over all bars.

Backtrader makes the strategy with its lines and parameters, as always; only its bar loop is left
out. What the strategy says at each close is made at once by its compiled rule, and `kernel_run`
runs the execution model on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import Any, NoReturn

import backtrader as bt
import numpy as np
from backtrader.errors import StrategySkipError
from backtrader.position import Position
from numpy.typing import NDArray

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.desk import NO_MARGIN
from ftbt.backtest.kernel_records import ACCOUNT, BOOK
from ftbt.backtest.kernel_run import run
from ftbt.backtest.prepared import prepared, slippage
from ftbt.backtest.result import FILL, ORDER, TRADE
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import BAR, Candles
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import StrategyBroken
from ftbt.strategy.base import SetupStrategy, own_methods
from ftbt.strategy.records import INTENT, REFUSAL_WORDS, RULES, SETUP, VIEW, Refusal

Records = NDArray[np.void]

# Classes whose __init__ asks of its lines what only Backtrader's own have.
_NEED_BACKTRADER: set[type[Any]] = set()


class _Feed(CandleFeed):
    """A feed whose bars nobody reads through Backtrader."""

    outputs_alone = True


@lru_cache(maxsize=16)
def _pattern(timeframe: Timeframe) -> Any:
    """Return a feed of *timeframe* to copy from; Backtrader needs a while to make one."""
    empty = Candles("", timeframe, np.zeros(0, BAR))
    made: Any = _Feed(candles=empty)
    return made


def _light_feed(market: Market) -> Any:
    """Return a feed of *market* whose lines are those of all others of its timeframe: empty."""
    pattern = _pattern(market.candles.timeframe)
    feed: Any = object.__new__(_Feed)
    feed.__dict__.update(pattern.__dict__)
    feed.p = feed.params = copy(pattern.p)
    feed.candles = feed.p.candles = market.candles
    feed.instrument = feed.p.instrument = market.instrument
    return feed


class _Broker(ModelBroker):
    """What a strategy may ask of its broker before the first bar."""

    def getposition(self, data: Any) -> Any:
        """Return that there is no position."""
        del data
        return Position()

    def _send(self, *_: Any) -> NoReturn:
        raise StrategyBroken("an order was sent before the warm-up was over")


class _Maker(bt.Cerebro):
    """Makes a strategy and leaves the bars alone."""

    def make(
        self, cls: type[Any], values: Mapping[str, Any], market: Market, feed: Any, broker: Any
    ) -> SetupStrategy:
        """Return a strategy object on *feed*."""
        feed._name, feed._id = market.symbol, 1  # noqa: SLF001 - what adddata does
        feed.setenvironment(self)
        self.datas, self.datasbyname = [feed], {market.symbol: feed}
        self.stcount = itertools.count()
        self.setbroker(broker)
        strategy: SetupStrategy = cls(feed, **values)
        return strategy


def make_strategy(
    cls: type[Any], values: Mapping[str, Any], market: Market, settings: Settings
) -> SetupStrategy:
    """Return the strategy object with its lines.

    Backtrader's machinery around and inside of it is left out, unless its `__init__` needs that.

    Raises:
        Exception: whatever the strategy's `__init__` raises.
    """
    broker = _Broker(settings, len(market.candles) - 1)
    if cls not in _NEED_BACKTRADER:
        light: Any = object.__new__(_Maker)
        try:
            made: SetupStrategy = light.make(cls, values, market, _light_feed(market), broker)
        except Exception:  # noqa: BLE001, S110 - what is wrong with it is told below
            pass
        else:
            return made
    feed: Any = CandleFeed(candles=market.candles, instrument=market.instrument)
    strategy = _Maker(stdstats=False).make(cls, values, market, feed, broker)
    _NEED_BACKTRADER.add(cls)
    return strategy


def why_not(cls: type[Any]) -> str:
    """Return why the compiled engine can't run *cls*, "" when it can."""
    if not issubclass(cls, SetupStrategy):
        return f"{cls.__name__} has a next() of its own"
    own = own_methods(cls)
    return f"{cls.__name__} has its own {own[0]}()" if own else ""


def _first_decision(strategy: Any, trade_from: int) -> int:
    """Return the first bar at whose close the strategy may decide: Backtrader's minimum period."""
    strategy._periodset()  # noqa: SLF001 - no public name
    periods: list[int] = strategy._minperiods  # noqa: SLF001
    return max(trade_from, *(period - 1 for period in periods))


def _book(market: Market, settings: Settings) -> Records:
    book = np.zeros(1, BOOK)
    book["decimals"] = market.instrument.size_decimals
    book["leverage"] = min(settings.leverage, market.instrument.max_leverage)
    book["maintenance"] = 1.0 / (2.0 * market.instrument.max_leverage)
    book["price"] = np.nan
    book["filled_bar"] = book["begun"] = -1
    return book


def _account(settings: Settings) -> Records:
    account = np.zeros(1, ACCOUNT)
    account["cash"] = settings.capital
    account["taker"], account["maker"] = settings.taker_fee, settings.maker_fee
    return account


def _rules(market: Market, settings: Settings) -> Records:
    rules = np.zeros(1, RULES)
    rules["size_decimals"] = market.instrument.size_decimals
    rules["min_notional"] = market.instrument.min_notional
    rules["leverage"] = min(settings.leverage, market.instrument.max_leverage)
    rules["cost_rate"] = settings.taker_fee + settings.half_spread
    return rules


class _Tables:
    """Room for everything that a run may write."""

    def __init__(self, bars: int, setups: int) -> None:
        # At most one entry a setup, each with up to three children and an exit.
        room = 6 * setups + 8
        self.orders, self.fills = np.empty(room, ORDER), np.empty(room, FILL)
        self.trades = np.empty(room, TRADE)
        self.equity = np.empty(bars)

    def found(self, book: Any, trade_from: int) -> dict[str, Any]:
        """Return what was written, by the names of `Result`."""
        words = {REFUSAL_WORDS[code]: int(book["refused"][code]) for code in Refusal}
        words[NO_MARGIN] = int(book["no_margin"])
        return {
            "equity": self.equity[trade_from:],
            "orders": _copied(self.orders[: book["orders"]]),
            "fills": _copied(self.fills[: book["fills"]]),
            "trades": _copied(self.trades[: book["trades"]]),
            "refused": {word: words[word] for word in sorted(words) if words[word]},
            "engine": "compiled",
        }


def _copied(records: Records) -> Records:
    # As plain numbers: numpy copies records field by field, ten times slower.
    return records.view(np.int64).copy().view(records.dtype)


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
        try:
            strategy = make_strategy(cls, values, market, settings)
        except StrategySkipError:
            strategy = None
    if strategy is None:
        raise StrategyBroken(f"strategy {name} refused to start (StrategySkipError)")
    with user_code(name):
        first = _first_decision(strategy, trade_from)
        heard, setups, parameters = strategy.decision_inputs(market.candles.bars)
    known, book = prepared(market), _book(market, settings)[0]
    out = _Tables(len(market.candles), int(np.count_nonzero(setups["side"])))
    run(
        known.coarse.bars, heard, setups, np.zeros(1, SETUP)[0], parameters,
        _rules(market, settings)[0], book, _account(settings)[0],
        np.zeros(1, VIEW)[0], np.zeros(1, INTENT)[0], first,
        (slippage(market, settings), known.coarse.at_open, known.coarse.inside),
        (known.detail.bars, (known.detail.at_open, known.detail.inside), known.first, known.stop),
        (out.orders, out.fills, out.trades), out.equity,
    )  # fmt: skip
    return out.found(book, trade_from)
