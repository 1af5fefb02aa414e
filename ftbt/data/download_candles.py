"""The candles of one series: which pages to ask for, when to write, what is left to say."""

from __future__ import annotations

import time

import numpy as np

from ftbt.data.candles import Bars, Ints
from ftbt.data.download import BATCH_ROWS, DEFAULT_SPAN_MS, Download, Sink, Span
from ftbt.data.exchanges import Exchange, Listing
from ftbt.data.timeframe import Timeframe, show_ms

BATCH_SECONDS = 30.0


class CandleDownload(Download):
    """The candles of one symbol and timeframe.

    Args:
        exchange: opened.
        sink: where they go.
        listing: the market.
        span: first open (None: as stored, else a year) and last close, ms UTC.
        timeframe: as the exchange spells it.
    """

    def __init__(
        self, exchange: Exchange, sink: Sink, listing: Listing, span: Span, timeframe: Timeframe
    ) -> None:
        super().__init__(exchange, sink, listing, span)
        self.series = f"{listing.name} {timeframe}"
        self._timeframe = timeframe
        self._first = self._stop = self._oldest = 0
        self._batch: list[Bars] = []
        self._largest_batch = BATCH_ROWS
        self._written_at = time.monotonic()

    async def _run(self) -> None:
        wanted = self._plan(self._stored_opens())
        self._sink.listener.planned(self.series, len(wanted))
        probed = False
        while len(wanted):
            since, until, count = self._page(wanted)
            bars = await self._exchange.candles(self._listing, self._timeframe, since, until)
            self._keep(bars)
            rest = wanted[count:]
            if len(bars) == 0 and len(rest) and not probed:
                # Years before the listing would be asked for page by page.
                rest, probed = rest[rest >= await self._first_traded()], True
            self._sink.listener.advanced(self.series, len(wanted) - len(rest))
            wanted = rest

    def _plan(self, stored: Ints) -> Ints:
        """Set the asked span and return the opens to ask for, rising."""
        step = self._timeframe.ms
        start, end = self._span
        if start is None:
            fresh = len(stored) == 0 or stored[0] >= end
            start = end - DEFAULT_SPAN_MS if fresh else int(stored[0])
        self._stop = self._timeframe.floor(end)
        self._first = self._timeframe.floor(start + step - 1)
        if depth := self._exchange.venue.candle_depth:
            self._oldest = self._timeframe.floor(self._exchange.now_ms()) - (depth - 1) * step
        # Each write rewrites the file: batches grow with it, so that the whole stays linear.
        self._largest_batch = max(BATCH_ROWS, len(stored) // 10)
        wanted = missing_opens(stored, max(self._first, self._oldest), self._stop, step)
        last = int(stored[-1]) if len(stored) else -1
        if self._first <= last < self._stop - step:
            # The last stored bar is asked again: should the exchange have changed it since, the
            # store says so here and not in the middle of a back-test.
            wanted = np.union1d(wanted, [last])
        return wanted

    def _page(self, wanted: Ints) -> tuple[int, int, int]:
        """Return since, until and how many of *wanted* one request covers."""
        since = int(wanted[0])
        limit = since + self._exchange.venue.candles_per_page * self._timeframe.ms
        count = int(np.searchsorted(wanted, limit))
        return since, int(wanted[count - 1]) + self._timeframe.ms, count

    async def _first_traded(self) -> int:
        """Return the open of the first week (or day) with candles; nothing is older. 0: unknown."""
        for text in ("1w", "1d"):
            frame = self._exchange.timeframe(text)
            since = max(0, self._stop - 1000 * frame.ms)
            bars = await self._exchange.candles(self._listing, frame, since, self._stop)
            if len(bars):
                return int(bars["time"][0])
        return 0

    def _keep(self, bars: Bars) -> None:
        if len(bars):
            self._batch.append(bars)
        size = sum(len(page) for page in self._batch)
        overdue = time.monotonic() - self._written_at > BATCH_SECONDS
        if size >= self._largest_batch or overdue:
            self._flush()

    def _flush(self) -> None:
        if not self._batch:
            return
        bars, self._batch = np.concatenate(self._batch), []
        sink, name = self._sink, self._listing.name
        new = sink.store.append(
            sink.exchange, bars, name, self._timeframe, overwrite=sink.overwrite
        )
        self._written_at = time.monotonic()
        self._stored(new)
        self._largest_batch = max(self._largest_batch, self.new // 10)

    def _notes(self) -> tuple[str, ...]:
        """Say which bars of the asked span are still missing, and why."""
        stored = self._stored_opens()
        missing = missing_opens(stored, self._first, self._stop, self._timeframe.ms)
        lost, rest = missing[missing < self._oldest], missing[missing >= self._oldest]
        early = rest[rest < stored[0]] if len(stored) else rest
        holes = rest[len(early) :]
        told = []
        if len(lost):
            venue = self._exchange.venue
            told.append(
                f"{venue.name} gives only the {venue.candle_depth:,} most recent candles of a"
                f" timeframe: {self._stretch(lost)} could not be had"
            )
        if len(early):
            told.append(f"the exchange has nothing for {self._stretch(early)}")
        if len(holes):
            told.append(self._describe_holes(holes))
        return tuple(told)

    def _stored_opens(self) -> Ints:
        store, exchange, symbol = self._sink.store, self._sink.exchange, self._listing.name
        if store.first_open(exchange, symbol, self._timeframe) is None:
            return np.zeros(0, np.int64)
        return store.read_bars(exchange, symbol, self._timeframe)[0]["time"]

    def _stretch(self, opens: Ints) -> str:
        end = int(opens[-1]) + self._timeframe.ms
        bars = "1 bar" if len(opens) == 1 else f"{len(opens):,} bars"
        return f"{show_ms(opens[0])} .. {show_ms(end)} ({bars})"

    def _describe_holes(self, opens: Ints) -> str:
        cuts = np.flatnonzero(np.diff(opens) != self._timeframe.ms) + 1
        parts = np.split(opens, cuts)
        shown = ", ".join(self._stretch(part) for part in parts[:3])
        more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
        holes = "1 hole" if len(parts) == 1 else f"{len(parts)} holes"
        return f"{holes} that the exchange has as well: {shown}{more}"


def missing_opens(stored: Ints, first: int, stop: int, step: int) -> Ints:
    """Return the opens first, first + step, ... below *stop* that are not in *stored* (rising)."""
    if stop <= first:
        return np.zeros(0, np.int64)
    wanted = np.arange(first, stop, step, dtype=np.int64)
    return wanted[~np.isin(wanted, stored, assume_unique=True)]
