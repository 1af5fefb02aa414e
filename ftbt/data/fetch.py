"""Downloading candles and funding into the store: what is missing, and only that.

For each series the missing opens of the asked span are grouped into pages, oldest first, and each
page is asked once. So a download that was stopped, killed or overtaken by another one goes on
where bars are missing, be that at the end, at the start or in the middle.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from datetime import datetime

from ftbt.data.download import Download, Listener, Outcome, Sink
from ftbt.data.download_candles import CandleDownload
from ftbt.data.download_funding import FundingDownload
from ftbt.data.exchanges import Exchange, open_exchange
from ftbt.data.retry import Retrier, Retry
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import show_ms, to_ms
from ftbt.data.venues import venue_named
from ftbt.errors import ConfigError, InputError

# Before this day there was no exchange; asking for it only costs requests.
EARLIEST_MS = 1_262_304_000_000  # 2010-01-01


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """What to download.

    Attributes:
        exchange: binance, bybit or hyperliquid.
        symbols: coins (`BTC` is the linear perpetual) or full ccxt symbols (`BTC/USDT` is spot).
        timeframes: bar lengths; empty: only funding.
        start: first open; None: where the store starts, a year before *end* without one.
        end: close of the last bar; None or later than now: now.
        funding: also the funding of each perpetual.
        concurrency: series that are downloaded at the same time, 1 to 32.
        timeout_s: longest wait for one answer, seconds.
        retry: patience.
        overwrite: take the exchange's values where they differ from the stored ones.
        base_url: a server that answers as the exchange does, in its place; None takes
            `$FTBT_EXCHANGE_URL`, without it the exchange itself. For mirrors and tests.
        rate_limit: False switches ccxt's limiter off; only for a server of one's own.
    """

    exchange: str
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    start: datetime | None = None
    end: datetime | None = None
    funding: bool = True
    concurrency: int = 4
    timeout_s: float = 20.0
    retry: Retry = field(default_factory=Retry)
    overwrite: bool = False
    base_url: str | None = None
    rate_limit: bool = True

    def __post_init__(self) -> None:
        if not self.symbols:
            raise ConfigError("name at least one symbol, for example BTC")
        if not self.timeframes and not self.funding:
            raise ConfigError("name at least one timeframe, for example 15m, or fetch funding")
        if not 1 <= self.concurrency <= 32:
            raise ConfigError(f"concurrency must be 1 to 32, not {self.concurrency}")
        if not 0.0 < self.timeout_s <= 600.0:
            raise ConfigError(f"timeout must be above 0 and at most 600 s, not {self.timeout_s}")
        if self.start and self.end and to_ms(self.start) >= to_ms(self.end):
            raise ConfigError(
                f"from {self.start:%Y-%m-%d %H:%M} must lie before to {self.end:%Y-%m-%d %H:%M}"
            )


def fetch(order: FetchOrder, store: CandleStore, listener: Listener | None = None) -> list[Outcome]:
    """Download *order* into *store*; return one outcome per series, in the order asked.

    A series that fails does not stop the others. Ctrl-C stores what has arrived, then raises.

    Raises:
        InputError: unknown exchange, symbol or timeframe (nothing is downloaded then).
        NetworkError: the exchange cannot be reached at all. ExchangeError: it refuses.
    """
    return asyncio.run(fetch_all(order, store, listener or Listener()))


async def fetch_all(order: FetchOrder, store: CandleStore, listener: Listener) -> list[Outcome]:
    """Do what `fetch` does, inside a running event loop."""
    venue = venue_named(order.exchange)
    retrier = Retrier(venue.name, order.retry, listener.notice)
    base_url = order.base_url or os.environ.get("FTBT_EXCHANGE_URL") or None
    async with open_exchange(
        venue, order.symbols, retrier, order.timeout_s, base_url, order.rate_limit
    ) as exchange:
        downloads = _downloads(order, exchange, store, listener)
        places = asyncio.Semaphore(order.concurrency)

        async def run(download: Download) -> Outcome:
            async with places:
                outcome = await download.outcome()
            listener.finished(outcome)
            return outcome

        return list(await asyncio.gather(*map(run, downloads)))


def _downloads(
    order: FetchOrder, exchange: Exchange, store: CandleStore, listener: Listener
) -> list[Download]:
    """Return the series of *order*; all names are checked before anything is downloaded."""
    found = {listing.name: listing for listing in map(exchange.listing, order.symbols)}
    frames = {frame.ms: frame for frame in map(exchange.timeframe, order.timeframes)}
    span = _span(order, exchange.settled_ms())
    sink = Sink(store, exchange.venue.name, listener, order.overwrite)
    downloads: list[Download] = []
    for listing in found.values():
        downloads += [CandleDownload(exchange, sink, listing, span, f) for f in frames.values()]
        if order.funding and listing.perpetual:
            downloads.append(FundingDownload(exchange, sink, listing, span))
    if not downloads:
        raise InputError("nothing to fetch: spot markets pay no funding; name a timeframe")
    return downloads


def _span(order: FetchOrder, now: int) -> tuple[int | None, int]:
    start = None if order.start is None else max(EARLIEST_MS, to_ms(order.start))
    if start is not None and start >= now:
        raise InputError(
            f"from {show_ms(start)} lies in the future: the exchange's clock says {show_ms(now)}"
        )
    return start, now if order.end is None else min(now, to_ms(order.end))
