"""What the tests of downloads share: the instant, an order with quick retries, comparisons."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from exchange_server import ExchangeServer

from ftbt.data.download import Outcome
from ftbt.data.fetch import FetchOrder
from ftbt.data.retry import Retry
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import MINUTE_MS, from_ms, to_ms

NOW = to_ms(datetime(2026, 3, 1, 10, 7, tzinfo=UTC))
QUARTER_MS = 15 * MINUTE_MS
LAST_CLOSE = to_ms(datetime(2026, 3, 1, 10, 0, tzinfo=UTC))
QUICK = Retry(attempts=4, base_s=0.01, cap_s=0.05)
EXCHANGES = ("binance", "bybit", "hyperliquid")
CANDLES = {"binance": "klines", "bybit": "kline", "hyperliquid": "candleSnapshot"}
FUNDING = {"binance": "fundingRate", "bybit": "funding", "hyperliquid": "fundingHistory"}


def order(server: ExchangeServer, exchange: str = "binance", **changes: Any) -> FetchOrder:
    """Return an order for 15m BTC candles of the last 500 bars, with quick retries."""
    given = {
        "symbols": ("BTC",),
        "timeframes": ("15m",),
        "start": from_ms(LAST_CLOSE - 500 * QUARTER_MS),
        "funding": False,
        "retry": QUICK,
        "base_url": server.url,
        "rate_limit": False,
    }
    return FetchOrder(exchange=exchange, **(given | changes))


def only(outcomes: list[Outcome]) -> Outcome:
    """Return the one outcome there must be."""
    assert len(outcomes) == 1
    return outcomes[0]


def assert_stored(
    store: CandleStore,
    server: ExchangeServer,
    first: int,
    stop: int = LAST_CLOSE,
    exchange: str = "binance",
    coin: str = "BTC",
    timeframe: str = "15m",
) -> None:
    """Compare the whole stored series, bit for bit, with what the exchange has."""
    bars, _ = store.read_bars(exchange, coin, timeframe)
    np.testing.assert_array_equal(bars, server.bars(coin, timeframe, first, stop))
