"""One exchange, asked through ccxt; what comes back is typed, retried, closed and in UTC ms."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftbt.data.candles import Bars, Floats, Ints, make_bars
from ftbt.data.ccxt_client import new_client
from ftbt.data.retry import Retrier
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.data.venues import Venue
from ftbt.errors import InputError, did_you_mean

# A bar is taken this long after its end: until then exchanges still book late trades into it.
SETTLE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One market of an exchange.

    Attributes:
        name: how ftbt stores it: the coin for the venue's linear perpetual, else ccxt's symbol.
        symbol: ccxt's symbol, for example `BTC/USDT:USDT`.
        perpetual: True when it pays funding.
        funding_interval_ms: how often it pays today; the past may differ.
        listed_ms: when the exchange says that it was listed (some days off at times); 0: unknown.
    """

    name: str
    symbol: str
    perpetual: bool
    funding_interval_ms: int
    listed_ms: int


class Exchange:
    """One exchange with its markets loaded. Made by `open_exchange`."""

    def __init__(self, venue: Venue, client: Any, retrier: Retrier) -> None:
        self.venue = venue
        self._client = client
        self._retrier = retrier
        self._clock_ms = 0
        self._read_at = 0.0

    async def start(self) -> None:
        """Load the markets and the exchange's clock.

        Raises:
            NetworkError: no connection. ExchangeError: refused, for example at this location.
        """
        await self._retrier.call("the list of markets", self._client.load_markets)
        params = dict(self.venue.clock_params)
        clock = await self._retrier.call("the time", lambda: self._client.fetch_time(params))
        self._clock_ms = int(clock)
        self._read_at = time.monotonic()

    def now_ms(self) -> int:
        """Return the exchange's time, ms since 1970 UTC; never ahead of it."""
        return self._clock_ms + int((time.monotonic() - self._read_at) * 1000)

    def settled_ms(self) -> int:
        """Return the instant up to which bars are final: the exchange's time less a few seconds."""
        return self.now_ms() - SETTLE_MS

    def listing(self, wanted: str) -> Listing:
        """Return the market meant by `BTC`, `BTCUSDT`, `BTC/USDT` or `BTC/USDT:USDT`.

        Raises:
            InputError: for an unknown one, with the nearest known.
        """
        name = wanted.strip()
        markets, coins = self._client.markets, self._coins()
        exact = markets.get(name) or markets.get(name.upper())
        if exact:
            return self._listing(exact)
        for coin, market in coins.items():
            # Hyperliquid's ids are bare numbers, which nobody means.
            by_id = name.lower() == str(market["id"]).lower() and not name.isdigit()
            if by_id or name.lower() == coin.lower():
                return self._listing(market)
        choice = list(markets) if "/" in name else list(coins)
        hint = did_you_mean(name, choice)
        hint = hint or f"; it has {len(coins)} perpetuals, for example {', '.join(list(coins)[:5])}"
        raise InputError(f"{self.venue.name} has no symbol {wanted!r}{hint}")

    def timeframe(self, wanted: str) -> Timeframe:
        """Return the bar length *wanted* in the exchange's own spelling (`60m` is `1h`).

        Raises:
            InputError: when it is not understood or not offered, with those that are.
        """
        offered = {frame.ms: frame for frame in self._timeframes()}
        texts = ", ".join(frame.text for frame in offered.values())
        asked = Timeframe.parse(wanted)
        if asked.ms not in offered or wanted.strip().endswith("M"):
            raise InputError(f"{self.venue.name} has no timeframe {wanted!r}; it offers {texts}")
        return offered[asked.ms]

    async def candles(self, listing: Listing, timeframe: Timeframe, since: int, until: int) -> Bars:
        """Return the bars that open in [since, until), at most a page, BAR array, shape (n,).

        The bar that is still forming is never among them.

        Raises:
            NetworkError, ExchangeError: as `Retrier.call`.
        """
        limit = self.venue.candles_per_page

        async def ask() -> Bars:
            rows = await self._client.fetch_ohlcv(
                listing.symbol, timeframe.text, since, limit, {"until": until - 1}
            )
            return _bars(rows)

        bars = await self._retrier.call(f"candles of {listing.name} {timeframe}", ask)
        closed = bars["time"] + timeframe.ms <= self.settled_ms()
        return bars[closed & (bars["time"] >= since) & (bars["time"] < until)]

    async def funding(self, listing: Listing, since: int, until: int) -> tuple[Ints, Floats]:
        """Return times (ms) and rates in [since, until), at most a page, shape (n,) each.

        Raises:
            NetworkError, ExchangeError: as `Retrier.call`.
        """
        limit = self.venue.rates_per_page

        async def ask() -> tuple[Ints, Floats]:
            rows = await self._client.fetch_funding_rate_history(
                listing.symbol, since, limit, {"until": until - 1}
            )
            times = np.array([int(row["timestamp"]) for row in rows], np.int64)
            return times, np.array([float(row["fundingRate"]) for row in rows], np.float64)

        times, rates = await self._retrier.call(f"funding of {listing.name}", ask)
        inside = (times >= since) & (times < until) & (times <= self.now_ms())
        return times[inside], rates[inside]

    def _coins(self) -> dict[str, Any]:
        """Return the linear perpetuals in the venue's quote currency by coin."""
        found = {}
        for market in self._client.markets.values():
            if self._is_standard(market):
                found[_coin(market)] = market
        return found

    def _is_standard(self, market: Any) -> bool:
        quote = self.venue.quote
        return bool(market["swap"] and market["quote"] == quote and market["settle"] == quote)

    def _listing(self, market: Any) -> Listing:
        name = _coin(market) if self._is_standard(market) else str(market["symbol"])
        minutes = dict(market["info"]).get("fundingInterval")
        interval = int(minutes) * MINUTE_MS if minutes else self.venue.funding_interval_ms
        listed = int(market.get("created") or 0)
        return Listing(name, str(market["symbol"]), bool(market["swap"]), interval, listed)

    def _timeframes(self) -> list[Timeframe]:
        # Seconds and months have no `Timeframe`.
        texts = [text for text in self._client.timeframes if text[-1] in "mhdw"]
        return [Timeframe.parse(text) for text in texts]


def _coin(market: Any) -> str:
    """Return the coin as the exchange writes it: `kPEPE` on Hyperliquid, where ccxt says KPEPE."""
    return str(market.get("baseName") or market["baseId"])


def _bars(rows: list[list[Any]]) -> Bars:
    times = np.array([int(row[0]) for row in rows], np.int64)
    table = np.array([row[1:6] for row in rows], np.float64).reshape(len(rows), 5)
    return make_bars(times, *table.T)


@asynccontextmanager
async def open_exchange(
    venue: Venue,
    symbols: tuple[str, ...],
    retrier: Retrier,
    timeout_s: float,
    base_url: str | None = None,
    rate_limit: bool = True,
) -> AsyncIterator[Exchange]:
    """Yield the exchange, markets loaded; its connections are closed whatever happens.

    Args:
        venue: which one.
        symbols: what will be asked; spot markets are loaded only when a spot pair is among them.
        retrier: makes every request.
        timeout_s: longest wait for one answer.
        base_url: address of a server that answers as the exchange does (a mirror, a test), in
            place of the exchange's own.
        rate_limit: False switches ccxt's limiter off; only for a server of one's own.
    """
    spot = any("/" in symbol and ":" not in symbol for symbol in symbols)
    client = new_client(venue, spot, retrier, timeout_s, base_url, rate_limit)
    try:
        exchange = Exchange(venue, client, retrier)
        await exchange.start()
        yield exchange
    finally:
        await client.close()
