"""The funding rates of one perpetual."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from ftbt.data.candles import Floats, Ints
from ftbt.data.download import BATCH_ROWS, DEFAULT_SPAN_MS, Download, Sink, Span
from ftbt.data.exchanges import Exchange, Listing
from ftbt.data.timeframe import DAY_MS, MINUTE_MS

Rates = tuple[Ints, Floats]


class FundingDownload(Download):
    """The funding rates of one perpetual; arguments as for `CandleDownload`."""

    def __init__(self, exchange: Exchange, sink: Sink, listing: Listing, span: Span) -> None:
        super().__init__(exchange, sink, listing, span)
        self.series = f"{listing.name} funding"
        self._pages: list[Rates] = []

    async def _run(self) -> None:
        head, tail = self._plan()
        self._sink.listener.planned(self.series, self._units(*head) + self._units(*tail))
        # Rates have no grid that would show a hole: what lies before the stored ones comes in as
        # a whole or not at all.
        whole = [page async for page in self._rates(*head)]
        self._pages += whole
        self._flush()
        async for page in self._rates(*tail):
            self._pages.append(page)
            if sum(len(times) for times, _ in self._pages) >= BATCH_ROWS:
                self._flush()

    def _plan(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the spans before and after the stored rates; the first is empty without any."""
        stored = self._sink.store.read_funding(self._sink.exchange, self._listing.name)
        start, end = self._span
        if stored is None:
            start = end - DEFAULT_SPAN_MS if start is None else start
            return (end, end), (self._not_before_listing(start), end)
        first, last = int(stored.time[0]), int(stored.time[-1])
        start = min(first, end) if start is None else start
        head = (self._not_before_listing(start), min(first, end))
        # The last stored rate is asked again, as the last candle is.
        return head, (max(start, last), end)

    def _not_before_listing(self, start: int) -> int:
        # Exchanges state the day of listing, at times some days late.
        return max(start, self._listing.listed_ms - 30 * DAY_MS)

    def _units(self, since: int, until: int) -> int:
        return max(0, until - since) // self._listing.funding_interval_ms

    async def _rates(self, since: int, until: int) -> AsyncIterator[Rates]:
        """Yield every rate in [since, until) by pages, oldest first."""
        venue = self._exchange.venue
        window = venue.rates_per_page * self._listing.funding_interval_ms
        while since < until:
            stop = min(until, since + window) if venue.newest_rates_first else until
            times, rates = await self._window(since, stop)
            if len(times):
                yield times, rates
            following = stop
            if not venue.newest_rates_first and len(times):
                # No perpetual pays twice within half an hour.
                following = int(times[-1]) + 30 * MINUTE_MS
            self._sink.listener.advanced(self.series, self._units(since, min(following, until)))
            since = following

    async def _window(self, since: int, stop: int) -> Rates:
        """Return one page; where full pages leave out the older rates, all pages of the window."""
        pages: list[Rates] = []
        venue = self._exchange.venue
        while since < stop:
            times, rates = await self._exchange.funding(self._listing, since, stop)
            pages.insert(0, (times, rates))
            if not venue.newest_rates_first or len(times) < venue.rates_per_page:
                break
            stop = int(times[0])
        return np.concatenate([p[0] for p in pages]), np.concatenate([p[1] for p in pages])

    def _flush(self) -> None:
        if not self._pages:
            return
        times = np.concatenate([page[0] for page in self._pages])
        rates = np.concatenate([page[1] for page in self._pages])
        self._pages = []
        sink = self._sink
        self._stored(
            sink.store.append_funding(
                sink.exchange, self._listing.name, times, rates, overwrite=sink.overwrite
            )
        )
