"""Strategies that reach for a second feed: one line, never values of another bar."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from symbols_kit import play, stretch
from user_kit import FREE, RUNS, rows, run, walk

from ftbt.errors import StrategyBroken

FLAT = (100.0, 101.0, 99.0, 100.0)


@pytest.mark.parametrize(
    ("reach", "asked"),
    [
        (lambda s: s.data1, r"self\.data1"),
        (lambda s: s.data1_close, r"self\.data1_close"),
        (lambda s: s.datas[1], r"self\.datas\[1\]"),
        (lambda s: s.datas[-2], r"self\.datas\[-2\]"),
        (lambda s: s.dnames.ETH, r"self\.dnames\.ETH"),
        (lambda s: s.dnames["ETH"], r"self\.dnames\.ETH"),
        (lambda s: s.getdatabyname("ETH"), "data 'ETH'"),
        (lambda s: s.getdatabyname(None), "data None"),
        (lambda s: bt.ind.SMA(s.data2, period=3), r"self\.data2"),
        (lambda s: s.buy(data="ETH", size=1), "data 'ETH'"),
    ],
)
def test_a_second_feed_is_refused_by_its_words(reach: Any, asked: str) -> None:
    """The line says what was asked for, what there is, what to do, and where."""

    class Reaches(bt.Strategy):
        def __init__(self):
            super().__init__()
            reach(self)

    told = asked + r" is not there: .*self\.data \(TEST\).*timeframe=.*test_user_feeds\.py:\d+\)"
    with pytest.raises(StrategyBroken, match=told):
        run(Reaches, rows(FLAT, FLAT))


def test_the_own_feed_has_all_its_names() -> None:
    """Number, position and name lead to the one feed; whether there is another may be asked."""

    class Looks(bt.Strategy):
        def __init__(self):
            super().__init__()
            RUNS.append(self)

        def next(self):
            data = self.data
            assert data is self.data0 is self.datas[0] is self.datas[-1] is self.datas[:1][0]
            assert data is self.getdatabyname("TEST") is self.dnames.TEST
            assert len(self.datas) == 1
            assert list(self.datas) == [data]
            assert self.data0_close[0] == self.data_close[0] == data.close[0]
            assert not hasattr(self, "data1")
            assert getattr(self, "data2", None) is None
            if not self.getpositionbyname("TEST"):
                self.buy(data="TEST", size=1)

    RUNS.clear()
    result = run(Looks, rows(FLAT, FLAT, FLAT))
    assert len(result.fills) == 2
    assert len(RUNS) == 1


def test_with_several_symbols_the_result_says_that_each_is_alone() -> None:
    """A ranking over self.datas has nothing to rank; that isn't passed over in silence."""

    class Ranks(bt.Strategy):
        def next(self):
            assert len(self.datas) == 1

    class Spreads(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.spread = self.data.close - self.getdatabyname("BBB").close

    both = [stretch("AAA", [FLAT] * 3), stretch("BBB", [FLAT] * 3)]
    told = "Ranks runs on each symbol by itself: self.datas holds that one alone"
    assert told in play([Ranks], both).notes
    assert told not in play([Ranks], both[:1]).notes
    with pytest.raises(StrategyBroken, match=r"data 'BBB' is not there.*\(AAA\)"):
        play([Spreads], both)


@pytest.mark.parametrize("name", ["adddata", "resampledata", "replaydata"])
def test_feeds_made_in_a_strategy_are_refused(name: str) -> None:
    """Backtrader would add it to a run that has begun and fail inside an indicator."""

    class Feeds(bt.Strategy):
        def __init__(self):
            super().__init__()
            getattr(self.cerebro, name)(self.data, timeframe=bt.TimeFrame.Days)

    with pytest.raises(StrategyBroken, match=rf"cerebro\.{name}\(\) is not supported.*:\d+\)"):
        run(Feeds, walk(20), FREE)
