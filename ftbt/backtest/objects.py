"""Strategy objects of which nobody runs the bars: made for their lines, parameters and rule.

A search makes thousands of them, and what Backtrader builds around each - buffers, aliases, things
to plot, a broker - takes longer than a run. So it builds that once for a class; every further
object starts as a copy of the first one before its `__init__`, with lines, lists, parameters, feed
and broker of its own.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache, partial
from typing import Any, NoReturn

import backtrader as bt
from backtrader.metabase import AutoInfoClass, ItemCollection
from backtrader.position import Position

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.dice import dice
from ftbt.backtest.light_feed import LightFeed, empty_feed, light_feed
from ftbt.backtest.settings import Settings
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import StrategyBroken
from ftbt.smc.base import twin
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.setup import Setup

# What each object is given of its own in any case.
_GIVEN = frozenset(("datas", "ddatas"))

# Classes whose __init__ asks of its lines what only Backtrader's own have.
_NEED_BACKTRADER: set[type[Any]] = set()


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


@lru_cache(maxsize=1)
def _broker_pattern() -> Any:
    made: Any = _Broker(Settings())
    return made


def _broker(settings: Settings) -> Any:
    broker = twin(_broker_pattern())
    broker.settings, broker.comminfo = settings, dict(broker.comminfo)
    return broker


class _Blank:
    """A strategy object on an empty feed before its `__init__`, and how to copy it.

    Attributes:
        strategy: the object.
        own: names of one attribute each, and a call that makes a copy of its value.
        parameters: their names.
    """

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy
        # Only Backtrader's own objects tell the name of their market without noting it.
        del strategy.dnames
        by_value: dict[int, tuple[list[str], Callable[[], Any]]] = {}
        for name, value in vars(strategy).items():
            copied = None if name in _GIVEN else _copier(value)
            if copied is not None:
                by_value.setdefault(id(value), ([], copied))[0].append(name)
        self.own = tuple(by_value.values())
        self.parameters = frozenset(strategy.p._getkeys())  # noqa: SLF001 - no public name

    def copied(self, values: Mapping[str, Any], feed: Any) -> Any:
        """Return another one with parameter *values* on *feed*.

        Raises:
            TypeError: unknown parameter.
        """
        if not values.keys() <= self.parameters:
            raise TypeError(f"{values.keys() - self.parameters} are no parameters")
        blank = self.strategy
        strategy = twin(blank)
        attributes = vars(strategy)
        for names, copied in self.own:
            attributes.update(dict.fromkeys(names, copied()))
        vars(strategy.p).update(values)
        strategy.data = strategy.data0 = strategy._clock = feed  # noqa: SLF001 - no public name
        strategy.datas, strategy.ddatas = [feed], {feed: None}
        strategy.lines = strategy.l = twin(blank.lines)
        lines = [_copied_line(line, strategy) for line in blank.lines.lines]
        strategy.lines.lines = lines
        strategy.line = lines[0]
        for number, line in enumerate(lines):
            attributes[f"line_{number}"] = attributes[f"line{number}"] = line
        return strategy


def _copier(value: Any) -> Callable[[], Any] | None:
    """Return what makes a copy of *value*; None: nobody changes it, or it is the feed's."""
    if isinstance(value, ItemCollection):  # empty before `__init__`
        return partial(ItemCollection)
    if type(value) in (list, dict, defaultdict):
        copied: Callable[[], Any] = value.copy
        return copied
    if isinstance(value, list | dict):
        return partial(copy, value)
    if isinstance(value, AutoInfoClass | bt.Sizer):
        return partial(twin, value)
    return None


def _copied_line(line: Any, owner: Any) -> Any:
    copied = twin(line)
    copied.lines, copied.bindings, copied._owner = [copied], [], owner  # noqa: SLF001
    copied.reset()
    return copied


class _Maker(bt.Cerebro):
    """Makes a strategy and leaves the bars alone."""

    def make(
        self, cls: type[Any], values: Mapping[str, Any], market: Market, feed: Any, broker: Any
    ) -> SetupStrategy:
        """Return a strategy object on *feed*, made by Backtrader."""
        feed._name, self.datasbyname = market.symbol, {market.symbol: feed}  # noqa: SLF001
        self._take(feed, broker)
        strategy: SetupStrategy = cls(feed, **values)
        return strategy

    def make_light(
        self, cls: Any, values: Mapping[str, Any], market: Market, broker: Any
    ) -> SetupStrategy:
        """Return the same on a feed without bars, from a copy of the first object of *cls*."""
        feed = light_feed(market)
        self._take(feed, broker)
        # Backtrader finds who owns an indicator by this variable's name.
        _obj = _blank(cls, market.candles.timeframe).copied(values, feed)
        _obj.env = _obj.cerebro = self
        _obj.broker = broker
        _obj.__init__()
        cls.dopostinit(_obj)
        made: SetupStrategy = _obj
        return made

    def blank(self, cls: Any, timeframe: Timeframe) -> _Blank:
        """Return a strategy object before its `__init__`."""
        feed = empty_feed(timeframe)
        self._take(feed, _Broker(Settings()))
        cls, given, values = cls.doprenew(feed)
        _obj, given, values = cls.donew(*given, **values)
        return _Blank(cls.dopreinit(_obj, *given, **values)[0])

    def _take(self, feed: Any, broker: Any) -> None:
        feed._id = 1  # noqa: SLF001 - what adddata does
        feed.setenvironment(self)
        self.datas = [feed]
        self.stcount = itertools.count()
        self.setbroker(broker)


@lru_cache(maxsize=64)
def _blank(cls: Any, timeframe: Timeframe) -> _Blank:
    maker: Any = object.__new__(_Maker)
    found: _Blank = maker.blank(cls, timeframe)
    return found


def make_strategy(
    cls: type[Any], values: Mapping[str, Any], market: Market, settings: Settings
) -> SetupStrategy:
    """Return the strategy object with its lines.

    Backtrader's machinery around and inside of it is left out, unless its `__init__` needs that.

    Raises:
        Exception: whatever the strategy's `__init__` raises.
    """
    if cls not in _NEED_BACKTRADER:
        light: Any = object.__new__(_Maker)
        try:
            made: SetupStrategy = light.make_light(cls, values, market, _broker(settings))
        except Exception:  # noqa: BLE001, S110 - what is wrong with it is told below
            pass
        else:
            return made
    feed: Any = CandleFeed(candles=market.candles, instrument=market.instrument)
    strategy = _Maker(stdstats=False).make(cls, values, market, feed, _Broker(settings))
    _NEED_BACKTRADER.add(cls)
    return strategy


class OnMarkets:
    """The strategy objects of one sleeve, one market after the other.

    Most strategies are the same object on every market of a bar length: their `__init__` reads
    parameters and makes lines. Then it is made once and its feed moves on to the next market.

    Attributes:
        first_decision: number of the first bar at whose close the object may decide: Backtrader's
            minimum period.
    """

    def __init__(self, cls: type[Any], values: Mapping[str, Any], settings: Settings) -> None:
        self._given = cls, values
        self._settings = settings
        self._shared: SetupStrategy | None = None
        self.first_decision = 0

    def on(self, market: Market) -> SetupStrategy:
        """Return the object on *market*; the one that was returned before is not used any more.

        Raises:
            Exception: whatever the strategy's `__init__` raises.
        """
        if self._shared is not None:
            shared: Any = self._shared
            shared.data.put_on(market)
            return self._shared
        before = dice()
        made: Any = make_strategy(*self._given, market, self._settings)
        made._periodset()  # noqa: SLF001 - no public name
        self.first_decision = max(made._minperiods) - 1  # noqa: SLF001
        if dice() == before and _same_on_all(made):
            self._shared = made
        found: SetupStrategy = made
        return found


def _same_on_all(strategy: Any) -> bool:
    """Return whether nothing in *strategy* comes from its market."""
    feed = strategy.data
    setup = getattr(strategy, "setup", None)
    return (
        isinstance(feed, LightFeed)
        and not feed.asked
        and isinstance(setup, Setup)
        and all(line.data is feed for line in setup.lines)
    )
