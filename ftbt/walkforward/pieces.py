"""From a span on the clock to bars that can be traded: nothing crosses a hole.

A symbol's data are stretches without holes (segments). A span is cut at their edges; each piece
needs its warm-up inside its own segment, so after a hole the first bars only warm the lines up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ftbt.data.candles import Candles
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe, to_ms
from ftbt.errors import DataError
from ftbt.walkforward.windows import Span

# A position takes the bar after the decision: a single bar can't be traded.
MIN_PIECE = 2
# A window that can trade less than this part of its bars says nothing about the rest.
MIN_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """Bars to trade without a hole, with their warm-up in front.

    Attributes:
        market: warm-up and bars to trade.
        trade_from: number of warm-up bars.
    """

    market: Market
    trade_from: int

    @property
    def bars(self) -> int:
        """How many bars can be traded."""
        return len(self.market.candles) - self.trade_from


@dataclass(frozen=True, slots=True)
class SymbolPieces:
    """All pieces of one symbol in one span, in order of time."""

    symbol: str
    pieces: tuple[Piece, ...]

    @property
    def bars(self) -> int:
        """How many bars can be traded."""
        return sum(piece.bars for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Clock:
    """The even bars that windows are laid on.

    Attributes:
        start_ms: open of bar 0.
        bars: how many there are, holes included.
        timeframe: their length.
    """

    start_ms: int
    bars: int
    timeframe: Timeframe

    def open_ms(self, index: int) -> int:
        """Return the open of bar *index*."""
        return self.start_ms + index * self.timeframe.ms


def clock_of(symbols: Sequence[Sequence[Market]]) -> Clock:
    """Return the clock of the span that all *symbols* (lists of segments) share.

    Raises:
        DataError: when they share none.
    """
    timeframe = symbols[0][0].candles.timeframe
    start = max(to_ms(segments[0].candles.start) for segments in symbols)
    end = min(to_ms(segments[-1].candles.end) for segments in symbols)
    if end <= start:
        spans = "; ".join(
            f"{segments[0].symbol} {segments[0].candles.start:%Y-%m-%d} to"
            f" {segments[-1].candles.end:%Y-%m-%d}"
            for segments in symbols
        )
        raise DataError(f"the symbols share no time: {spans}")
    return Clock(start, (end - start) // timeframe.ms, timeframe)


def cut(
    segments: Sequence[Market], spans: Sequence[Span], clock: Clock, warmup: int
) -> SymbolPieces:
    """Return the parts of *spans* that one symbol can trade.

    Args:
        segments: the symbol's stretches without holes, in order.
        spans: on *clock*.
        clock: where index 0 is.
        warmup: bars that each piece needs in front, inside its segment.
    """
    found = [
        piece
        for span in spans
        for market in segments
        if (piece := _piece(market, clock.open_ms(span.first), clock.open_ms(span.stop), warmup))
    ]
    return SymbolPieces(segments[0].symbol, tuple(found))


def _piece(market: Market, start_ms: int, stop_ms: int, warmup: int) -> Piece | None:
    time = market.candles.time
    first = max(int(np.searchsorted(time, start_ms)), warmup)
    stop = int(np.searchsorted(time, stop_ms))
    if stop - first < MIN_PIECE:
        return None
    part = market.slice(first - warmup, stop)
    return Piece(replace(part, detail=_detail_of(part)), warmup)


def _detail_of(market: Market) -> Candles | None:
    """Return the detail bars inside the market's candles: a task carries no more than it needs."""
    if market.detail is None:
        return None
    time = market.detail.time
    first = int(np.searchsorted(time, to_ms(market.candles.start)))
    stop = int(np.searchsorted(time, to_ms(market.candles.end)))
    return market.detail.slice(first, stop) if stop > first else None


def too_few(what: str, symbols: Sequence[SymbolPieces], bars: int) -> str | None:
    """Return why a window's *what* can't be used, or None.

    Args:
        what: `training` or `test`.
        symbols: what can be traded.
        bars: how many bars it should have, per symbol.
    """
    wanted, found = bars * len(symbols), sum(one.bars for one in symbols)
    if found > 0 and found >= MIN_COVERAGE * wanted:
        return None
    return (
        f"only {found:,} of {wanted:,} {what} bars can be traded (holes in the data and the"
        f" warm-up after them); at least {MIN_COVERAGE:.0%} are needed"
    )
