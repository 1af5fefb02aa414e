"""A feed for strategy objects of which nobody runs the bars: no lines, only what it is a feed of.

It notes whether anybody asked for that. A strategy whose `__init__` did not is the same on every
market of one bar length, and the feed can be put on the next one under it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ftbt.data.candles import BAR, Candles
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.smc.base import twin


class _Known:
    """What a light feed is a feed of."""

    __slots__ = ("asked", "market")

    def __init__(self, market: Market) -> None:
        self.market = market
        self.asked = False


def _noted(read: Callable[[Market], Any]) -> Any:
    """Return an attribute that comes from the market and notes that it was asked for."""

    def asked(self: Any) -> Any:
        self.known.asked = True
        return read(self.known.market)

    return property(asked)


class LightFeed(CandleFeed):
    """A feed whose bars nobody reads through Backtrader; made by `light_feed` alone."""

    outputs_alone = True
    known: _Known
    candles = _noted(lambda market: market.candles)
    instrument = _noted(lambda market: market.instrument)
    _name = _noted(lambda market: market.symbol)

    @property
    def asked(self) -> bool:
        """Whether anybody asked which market this is, since it was put there."""
        return self.known.asked

    def put_on(self, market: Market) -> None:
        """Be a feed of *market*, of the same bar length, from now on."""
        self.known.market, self.known.asked = market, False


class _Parameters(CandleFeed.params):  # type: ignore[misc, valid-type]  # a class at run time
    """The parameters of a light feed."""

    candles = LightFeed.candles
    instrument = LightFeed.instrument


@lru_cache(maxsize=16)
def _pattern(timeframe: Timeframe) -> Any:
    """Return a feed of *timeframe* to copy from; Backtrader needs a while to make one."""
    made: Any = CandleFeed(candles=Candles("", timeframe, np.zeros(0, BAR)))
    return made


def empty_feed(timeframe: Timeframe) -> Any:
    """Return a feed of no bars."""
    return twin(_pattern(timeframe))


def light_feed(market: Market) -> Any:
    """Return a feed of *market* whose lines are those of all others of its timeframe: empty."""
    pattern = _pattern(market.candles.timeframe)
    feed: Any = object.__new__(LightFeed)
    feed.__dict__.update(pattern.__dict__)
    feed.p = feed.params = object.__new__(_Parameters)
    feed.p.__dict__.update(pattern.p.__dict__)
    feed.known = feed.p.known = _Known(market)
    return feed
