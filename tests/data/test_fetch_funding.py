"""Funding rates: pages from either end, resume, no gap before the stored ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_server import ExchangeServer, Fault
from fetch_kit import (
    EXCHANGES,
    FUNDING,
    NOW,
    only,
    order,
)

from ftbt.data.fetch import fetch
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import DAY_MS, HOUR_MS, from_ms
from ftbt.errors import ExchangeError

# aiohttp says on Python 3.12 and later that it no longer needs an option that ccxt passes.
pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run an exchange whose clock stands at NOW."""
    with ExchangeServer(now_ms=NOW) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """Return an empty store."""
    return CandleStore(tmp_path / "store")


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_funding_goes_on_and_fills_the_front(
    exchange: str, server: ExchangeServer, store: CandleStore
) -> None:
    """Funding resumes at its end, and an earlier start adds what lies before, each rate once."""
    server.funding_interval_ms = HOUR_MS
    late = 31 if exchange == "hyperliquid" else 0
    span = {"timeframes": (), "funding": True}
    middle = from_ms(NOW - 40 * DAY_MS)
    fetch(order(server, exchange, start=middle, end=from_ms(NOW - 5 * DAY_MS), **span), store)
    early = NOW - 90 * DAY_MS
    outcome = only(fetch(order(server, exchange, start=from_ms(early), **span), store))
    funding = store.read_funding(exchange, "BTC")
    assert funding is not None
    assert funding.time.tolist() == [t + late for t, _ in server.rates(early, NOW)]
    assert outcome.new == 55 * 24
    server.requests.clear()
    assert only(fetch(order(server, exchange, start=from_ms(early), **span), store)).new == 0
    assert server.count(FUNDING[exchange]) <= 2


def test_funding_that_was_once_more_frequent_is_whole(
    server: ExchangeServer, store: CandleStore
) -> None:
    """When Bybit paid hourly and says eight-hourly today, full answers are followed backwards."""
    server.funding_interval_ms = HOUR_MS
    server.stated_funding_ms = 8 * HOUR_MS
    start = NOW - 70 * DAY_MS
    asked = order(server, "bybit", start=from_ms(start), timeframes=(), funding=True)
    assert only(fetch(asked, store)).error is None
    funding = store.read_funding("bybit", "BTC")
    assert funding is not None
    assert funding.time.tolist() == [t for t, _ in server.rates(start, NOW)]


def test_front_of_funding_comes_whole_or_not_at_all(
    server: ExchangeServer, store: CandleStore
) -> None:
    """A failure while older rates come in leaves no gap between them and the stored ones."""
    server.funding_interval_ms = HOUR_MS
    span = {"timeframes": (), "funding": True}
    fetch(order(server, "hyperliquid", start=from_ms(NOW - 10 * DAY_MS), **span), store)
    before = store.read_funding("hyperliquid", "BTC")
    server.faults = [Fault("slow", 2, "fundingHistory"), Fault("status", 1, "fundingHistory", 422)]
    early = order(server, "hyperliquid", start=from_ms(NOW - 90 * DAY_MS), **span)
    assert isinstance(only(fetch(early, store)).error, ExchangeError)
    after = store.read_funding("hyperliquid", "BTC")
    assert before is not None
    assert after is not None
    assert after.fingerprint == before.fingerprint
    assert only(fetch(early, store)).new == 80 * 24
