"""Cutting windows out of data with holes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Market, market_of
from ftbt.data.timeframe import HOUR_MS, Timeframe
from ftbt.errors import DataError
from ftbt.walkforward.pieces import clock_of, cut, too_few
from ftbt.walkforward.windows import Span

Walk = Callable[..., Candles]


def with_hole(candles: Candles, first: int, stop: int) -> list[Market]:
    """Return two segments: *candles* without bars first .. stop-1."""
    return [market_of(candles.slice(0, first)), market_of(candles.slice(stop, len(candles)))]


def test_a_piece_has_its_warmup_in_front(walk: Walk) -> None:
    """Bars to trade are exactly the span's, the warm-up are the bars before it."""
    candles = walk("BTC", 100, 1)
    clock = clock_of([[market_of(candles)]])

    (piece,) = cut([market_of(candles)], [Span(40, 60)], clock, warmup=10).pieces

    assert piece.trade_from == 10
    np.testing.assert_array_equal(piece.market.candles.bars, candles.bars[30:60])


def test_nothing_crosses_a_hole(walk: Walk) -> None:
    """A hole splits a span; after it the warm-up is taken from the new segment."""
    candles = walk("BTC", 100, 1)
    segments = with_hole(candles, 50, 55)
    clock = clock_of([segments])

    found = cut(segments, [Span(40, 80)], clock, warmup=10)

    assert clock.bars == 100
    traded = [piece.market.candles.time[piece.trade_from :] for piece in found.pieces]
    np.testing.assert_array_equal(traded[0], candles.time[40:50])
    np.testing.assert_array_equal(traded[1], candles.time[65:80])
    assert found.bars == 25


def test_a_segment_shorter_than_its_warmup_is_not_traded(walk: Walk) -> None:
    """What can't be warmed up can't be traded."""
    segments = with_hole(walk("BTC", 100, 1), 50, 95)

    assert cut(segments, [Span(60, 100)], clock_of([segments]), warmup=10).pieces == ()


def test_detail_bars_are_cut_to_the_piece(walk: Walk) -> None:
    """A task carries the detail of its own bars, warm-up included, and no more."""
    candles = walk("BTC", 100, 1)
    time = candles.time[0] + HOUR_MS // 2 * np.arange(200)
    ones = np.ones(200)
    fine = Candles("BTC", Timeframe.parse("30m"), make_bars(time, ones, ones, ones, ones, ones))
    market = replace(market_of(candles), detail=fine)

    (piece,) = cut([market], [Span(40, 60)], clock_of([[market]]), warmup=10).pieces

    assert piece.market.detail is not None
    np.testing.assert_array_equal(piece.market.detail.time, time[60:120])


def test_the_clock_is_the_time_that_all_symbols_share(walk: Walk) -> None:
    """It starts with the last to start and ends with the first to end."""
    first, second = walk("BTC", 100, 1), walk("ETH", 100, 2).slice(10, 90)

    clock = clock_of([[market_of(first)], [market_of(second)]])

    assert (clock.start_ms, clock.bars) == (int(first.time[10]), 80)


def test_symbols_without_shared_time_are_refused(walk: Walk) -> None:
    """The message has both spans."""
    candles = walk("BTC", 100, 1)

    with pytest.raises(DataError, match="share no time: BTC 2024-01-01 to 2024-01-03; BTC"):
        clock_of([[market_of(candles.slice(0, 50))], [market_of(candles.slice(50, 100))]])


def test_too_few_bars_are_told(walk: Walk) -> None:
    """Below half of the bars there is a reason, from half on there is none."""
    segments = [market_of(walk("BTC", 100, 1))]
    clock = clock_of([segments])

    enough = cut(segments, [Span(0, 20)], clock, warmup=10)
    short = cut(segments, [Span(0, 19)], clock, warmup=10)

    assert too_few("training", [enough], 20) is None
    assert "only 9 of 19 training bars can be traded" in str(too_few("training", [short], 19))
    assert too_few("test", [cut(segments, [], clock, warmup=0)], 0) is not None
