"""Strategy objects made for their lines, parameters and rule alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from parity_kit import Question

from ftbt.backtest import objects
from ftbt.backtest.settings import Settings
from ftbt.data.feed import CandleFeed
from ftbt.strategy.loader import find_strategy

ROWS = [(0, 2, 1, 1, 10)] * 60
SHIPPED = ("liquidity_sweep", "fvg_fill", "bos_orderblock")


def market() -> Any:
    """A short rise."""
    return Question(ROWS).market()


def by_backtrader(cls: Any, values: dict[str, Any]) -> Any:
    """The object as Backtrader makes it."""
    here = market()
    feed: Any = CandleFeed(candles=here.candles, instrument=here.instrument)
    maker = objects._Maker(stdstats=False)
    return maker.make(cls, values, here, feed, objects._Broker(Settings()))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_copied_object_has_the_attributes_that_backtrader_gives(name: str) -> None:
    """The same names with values of the same type, and the same parameters."""
    cls = find_strategy(name).load()
    values = {"stop_atr": 0.7, "target_r": 2.0}
    light: Any = objects.make_strategy(cls, values, market(), Settings())
    whole = by_backtrader(cls, values)
    assert cls not in objects._NEED_BACKTRADER
    assert vars(light).keys() == vars(whole).keys() - {"dnames"}
    for key in vars(light).keys() - {"data", "data0", "_clock"}:  # a feed without bars
        assert type(getattr(light, key)) is type(getattr(whole, key)), key
    assert light.p._getkwargs() == whole.p._getkwargs()
    assert light._packed.tobytes() == whole._packed.tobytes()
    for one, other in zip(light.setup.lines, whole.setup.lines, strict=True):
        assert (type(one), one.values, one.frame) == (type(other), other.values, other.frame)


def test_copies_share_nothing_that_a_strategy_may_change() -> None:
    """Parameters, lists, lines, broker and feed are each object's own."""
    cls = find_strategy(SHIPPED[0]).load()
    first, second = (objects.make_strategy(cls, {}, market(), Settings()) for _ in range(2))
    mutable = (list, dict, bt.metabase.ItemCollection, bt.metabase.AutoInfoClass, bt.Sizer)
    mutable = (*mutable, bt.LineRoot, bt.BrokerBase, bt.lineseries.Lines)
    for key, value in vars(first).items():
        if isinstance(value, mutable) and not key.startswith(("data_", "data0_")):
            assert vars(second)[key] is not value, key
    first.p.swing, first.plotinfo.plot = 9, False
    assert (second.p.swing, second.plotinfo.plot) == (5, True)
    assert first.lines.datetime._owner is first


def test_an_unknown_parameter_is_refused_as_by_backtrader() -> None:
    """It is not silently set on the copy."""
    cls = find_strategy(SHIPPED[0]).load()
    with pytest.raises(TypeError):
        objects.make_strategy(cls, {"swing": 5, "swings": 5}, market(), Settings())


def named(symbol: str) -> Any:
    """The short rise under another name."""
    here = market()
    return replace(here, candles=replace(here.candles, symbol=symbol))


def made_on(cls: type[Any], *symbols: str) -> list[Any]:
    """What `__init__` noted in `seen` on each of the markets, in one search."""
    makers = objects.OnMarkets(cls, {}, Settings())
    return [getattr(makers.on(named(symbol)), "seen", None) for symbol in symbols]


@pytest.mark.parametrize("name", SHIPPED)
def test_one_object_serves_all_markets_of_a_search(name: str) -> None:
    """Its lines are then those of the market that it was put on last."""
    maker = objects.OnMarkets(find_strategy(name).load(), {}, Settings())
    first = maker.on(named("AAA"))
    second = maker.on(named("BBB"))
    assert second is first
    assert all(line.data.candles.symbol == "BBB" for line in second.setup.lines)


class Asking(find_strategy(SHIPPED[0]).load()):  # type: ignore[misc]
    """Looks at what differs between markets."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = self.look()

    def look(self) -> Any:
        """Return what is looked at."""
        raise NotImplementedError


def asking(look: Callable[[Any], Any]) -> type[Any]:
    """Return a strategy whose `__init__` takes that look."""
    return type("Asking", (Asking,), {"look": look})


@pytest.mark.parametrize(
    "look",
    [
        lambda self: self.data._name,
        lambda self: self.data.candles.symbol,
        lambda self: self.data.p.candles.symbol,
        lambda self: self.datas[0].params.candles.symbol,
        lambda self: next(iter(self.dnames)),
        lambda self: self.getdatanames()[0],
    ],
)
def test_an_object_that_looked_at_its_market_is_made_for_each(look: Callable[[Any], Any]) -> None:
    """Whatever way it looks, it sees the market that it is on."""
    assert made_on(asking(look), "AAA", "BBB", "CCC") == ["AAA", "BBB", "CCC"]


def test_an_object_that_looked_at_the_rules_of_the_venue_is_made_for_each() -> None:
    """They are its market's too."""
    cls = asking(lambda self: (self.data.instrument, self.data.p.instrument, id(self)))
    one, two = made_on(cls, "AAA", "BBB")
    assert one[:2] == two[:2] == (market().instrument,) * 2
    assert one[2] != two[2]


@pytest.mark.parametrize(
    "throw",
    [random.random, lambda: random.gauss(0, 1), np.random.rand, np.random.randn],
)
def test_an_object_that_threw_dice_is_made_for_each_market(throw: Callable[[], float]) -> None:
    """The next one throws on, as in an engine that makes them all."""
    cls = asking(lambda self: throw())

    def seeded() -> None:
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002 - the generator that strategies use
        throw()  # of a pair of normal draws the second one only is left

    seeded()
    expected = [throw() for _ in range(3)]
    seeded()
    assert made_on(cls, "AAA", "BBB", "CCC") == expected
