"""Strategy objects made for their lines, parameters and rule alone."""

from __future__ import annotations

from typing import Any

import backtrader as bt
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
    assert vars(light).keys() == vars(whole).keys()
    for key in vars(whole).keys() - {"data", "data0", "_clock"}:  # a feed without bars
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
