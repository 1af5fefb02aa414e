"""The compiled engine: the same strategy object, the same `decide`, one loop over all bars.

Backtrader makes the strategy with its lines and parameters, as always; only its bar loop is left
out. What the strategy says at each close is made at once by its compiled rule, and `kernel_run`
runs the execution model on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import backtrader as bt
import numpy as np
from backtrader.errors import StrategySkipError
from backtrader.position import Position
from numpy.typing import NDArray

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.kernel_records import ACCOUNT, BOOK, LEG, SLEEVE
from ftbt.backtest.kernel_run import run
from ftbt.backtest.portfolio import Plan
from ftbt.backtest.prepared import joined
from ftbt.backtest.result import FILL, ORDER, REFUSED, TRADE
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import BAR, Candles
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import StrategyBroken
from ftbt.risk.limits import HOLDING, start_risk
from ftbt.strategy.base import SetupStrategy, own_methods
from ftbt.strategy.records import INTENT, RULES, SETUP, VIEW

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


class _Broker(bt.BrokerBase):
    """What a strategy may ask of its broker before the first bar."""

    finished = False

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    __getattr__ = ModelBroker.__getattr__
    setcommission = ModelBroker.setcommission
    addcommissioninfo = ModelBroker.addcommissioninfo

    def getcash(self) -> float:
        """Return the capital."""
        return self.settings.capital

    def getvalue(self, datas: Any = None) -> float:
        """Return the capital, and nothing for *datas*."""
        return 0.0 if datas is not None else self.settings.capital

    get_cash = getcash
    get_value = getvalue

    def getposition(self, data: Any) -> Any:
        """Return that there is no position."""
        del data
        return Position()

    def _send(self, *_: Any, **__: Any) -> NoReturn:
        raise StrategyBroken("an order was sent before the warm-up was over")

    buy = sell = _send

    def cancel(self, order: Any) -> bool:
        """Return that there is no such order."""
        del order
        return False


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
    broker = _Broker(settings)
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


def _books(plan: Plan) -> Records:
    books = np.zeros(len(plan.stretches), BOOK)
    books["symbol"] = plan.symbol_of
    books["price"] = np.nan
    books["filled_bar"] = books["begun"] = -1
    for book, one in zip(books, plan.stretches, strict=True):
        rules = one.market.instrument
        book["decimals"] = rules.size_decimals
        book["leverage"] = min(plan.settings.leverage, rules.max_leverage)
        book["maintenance"] = 1.0 / (2.0 * rules.max_leverage)
    return books


def _account(plan: Plan) -> Records:
    settings, allocation = plan.settings, plan.allocation
    account = np.zeros(1, ACCOUNT)
    account["cash"] = settings.capital
    account["taker"], account["maker"] = settings.taker_fee, settings.maker_fee
    account["risk"] = start_risk(settings.limits, settings.capital)
    account["shrinks"] = allocation.drawdown_aware
    account["cut_at"], account["floor"] = allocation.cut_at, allocation.floor
    return account


def _sleeves(plan: Plan) -> Records:
    sleeves = np.zeros(len(plan.classes), SLEEVE)
    sleeves["share"] = plan.shares
    sleeves["start"] = sleeves["peak"] = np.array(plan.shares) * plan.settings.capital
    sleeves["scale"] = 1.0
    return sleeves


def _rules(plan: Plan) -> Records:
    rules = np.zeros(len(plan.stretches), RULES)
    for row, one in zip(rules, plan.stretches, strict=True):
        instrument = one.market.instrument
        row["size_decimals"] = instrument.size_decimals
        row["min_notional"] = instrument.min_notional
        row["leverage"] = min(plan.settings.leverage, instrument.max_leverage)
        row["cost_rate"] = plan.settings.taker_fee + plan.settings.half_spread
    return rules


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What all strategy objects say, one after the other.

    Attributes:
        legs: LEG records.
        heard: numbers of bars in their stretch.
        setups: what is said there.
        parameters: what `decide` reads, one record a sleeve.
    """

    legs: Records
    heard: NDArray[np.int64]
    setups: Records
    parameters: Records


def _listen(plan: Plan) -> _Said:
    """Make every strategy object and hear it out.

    Raises:
        StrategyBroken: a strategy raised an error; it is chained.
    """
    heard, setups, rows = [], [], []
    parameters: dict[int, Any] = {}
    for leg in plan.legs():
        name, stretch = plan.names[leg.sleeve], plan.stretches[leg.stretch]
        with user_code(name):
            try:
                strategy = make_strategy(
                    plan.classes[leg.sleeve], plan.values[leg.sleeve], stretch.market, plan.settings
                )
            except StrategySkipError:
                strategy = None
        if strategy is None:
            raise StrategyBroken(f"strategy {name} refused to start (StrategySkipError)")
        with user_code(name):
            first = _first_decision(strategy, stretch.trade_from)
            bars, said, common = strategy.decision_inputs(stretch.market.candles.bars)
        rows.append((leg.sleeve, leg.stretch, first))
        heard.append(bars)
        setups.append(said)
        parameters[leg.sleeve] = common
    legs = np.zeros(len(rows), LEG)
    stops = np.cumsum([len(one) for one in heard])
    for row, (sleeve, number, first), stop, own in zip(legs, rows, stops, heard, strict=True):
        row["sleeve"], row["stretch"], row["first"] = sleeve, number, first
        row["k"], row["stop"] = stop - len(own), stop
    return _Said(
        legs=legs,
        heard=heard[0] if len(heard) == 1 else np.concatenate(heard),
        setups=setups[0] if len(setups) == 1 else _joined(setups),
        parameters=np.concatenate([parameters[n] for n in range(len(parameters))]),
    )


class _Tables:
    """Room for everything that a run may write."""

    def __init__(self, bars: int, setups: int, stretches: int) -> None:
        # At most one entry a setup, each with up to three children and an exit.
        room = 6 * setups + 8 * stretches
        self.orders, self.fills = np.empty(room, ORDER), np.empty(room, FILL)
        self.trades = np.empty(room, TRADE)
        self.refusals = np.empty(2 * setups + stretches, REFUSED)
        self.equity = np.empty(bars)

    @property
    def all(self) -> tuple[Records, ...]:
        """The tables in the order of their counts."""
        return self.orders, self.fills, self.trades, self.refusals

    def found(self, account: Any, first_bar: int) -> dict[str, Any]:
        """Return what was written, by the names of `Result`."""
        names = ("orders", "fills", "trades", "refusals")
        filled = {
            name: _copied(table[: account[name]])
            for name, table in zip(names, self.all, strict=True)
        }
        return {"equity": self.equity[first_bar:], "engine": "compiled", **filled}


def _joined(parts: list[Records]) -> Records:
    # As plain numbers, as in `_copied`.
    return np.concatenate([one.view(np.int64) for one in parts]).view(parts[0].dtype)


def _copied(records: Records) -> Records:
    # As plain numbers: numpy copies records field by field, ten times slower.
    return records.view(np.int64).copy().view(records.dtype)


def run_compiled(plan: Plan) -> dict[str, Any]:
    """Return equity, orders, fills, trades and refusals, by the names of `Result`."""
    said = _listen(plan)
    known = joined(
        [one.market for one in plan.stretches],
        [one.trade_from for one in plan.stretches],
        plan.joint.start,
        plan.symbol_of,
        plan.settings,
    )
    account = _account(plan)[0]
    groups = plan.joint.groups
    table = np.zeros((1, len(plan.symbols)), np.int64) if groups is None else groups.groups
    out = _Tables(len(plan.clock), int(np.count_nonzero(said.setups["side"])), len(plan.stretches))
    run(
        plan.clock, known.bars, known.costs, known.detail, known.stretches,
        said.legs, said.heard, said.setups, np.zeros(1, SETUP)[0], said.parameters, _rules(plan),
        _books(plan), account, _sleeves(plan),
        (np.zeros(len(plan.symbols), HOLDING), table, 0 if groups is None else groups.first_day),
        np.zeros(1, VIEW)[0], np.zeros(1, INTENT)[0], out.all, out.equity,
    )  # fmt: skip
    return out.found(account, plan.first_bar)
