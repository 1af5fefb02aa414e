"""Downloads against a real HTTP server on loopback, through ccxt itself."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_server import ExchangeServer, Fault
from fetch_kit import (
    CANDLES,
    EXCHANGES,
    LAST_CLOSE,
    NOW,
    QUARTER_MS,
    QUICK,
    assert_stored,
    only,
    order,
)

from ftbt.data.candles import Bars
from ftbt.data.download_candles import missing_opens
from ftbt.data.exchanges import open_exchange
from ftbt.data.fetch import fetch
from ftbt.data.retry import Retrier
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import DAY_MS, HOUR_MS, from_ms, to_ms
from ftbt.data.venues import VENUES
from ftbt.errors import ConfigError, DataError, InputError

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
def test_several_series_arrive_whole_and_exact(
    exchange: str, server: ExchangeServer, store: CandleStore
) -> None:
    """Symbols, timeframes and funding over many pages are stored exactly as the exchange has."""
    server.funding_interval_ms = HOUR_MS
    start = LAST_CLOSE - 2300 * QUARTER_MS
    outcomes = fetch(
        order(
            server,
            exchange,
            symbols=("BTC", "ETH"),
            timeframes=("15m", "1h"),
            start=from_ms(start),
            funding=True,
        ),
        store,
    )
    assert [outcome.series for outcome in outcomes] == [
        *("BTC 15m", "BTC 1h", "BTC funding"),
        *("ETH 15m", "ETH 1h", "ETH funding"),
    ]
    assert all(outcome.error is None and outcome.notes == () for outcome in outcomes)
    late = 31 if exchange == "hyperliquid" else 0
    for coin in ("BTC", "ETH"):
        assert_stored(store, server, start, exchange=exchange, coin=coin)
        assert_stored(store, server, start, exchange=exchange, coin=coin, timeframe="1h")
        funding = store.read_funding(exchange, coin)
        assert funding is not None
        due = [(t + late, rate) for t, rate in server.rates(start, NOW)]
        assert list(zip(funding.time, funding.rate, strict=True)) == due
    assert sum(outcome.new for outcome in outcomes) == 2 * (2300 + 575 + 576)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_unfinished_candle_is_never_stored(
    exchange: str, server: ExchangeServer, store: CandleStore
) -> None:
    """The bar that holds the exchange's now is offered by it and left out."""
    assert server.bars("BTC", "15m", LAST_CLOSE, NOW)["time"].tolist() == [LAST_CLOSE]
    fetch(order(server, exchange), store)
    assert store.last_open(exchange, "BTC", "15m") == LAST_CLOSE - QUARTER_MS


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_asking_beyond_now_brings_closed_bars_only(exchange: str, server: ExchangeServer) -> None:
    """Whatever span an exchange is asked for, the unfinished bar is not in its answer."""

    async def ask() -> Bars:
        retrier = Retrier(exchange, QUICK, print)
        async with open_exchange(
            VENUES[exchange], ("BTC",), retrier, 5.0, server.url, rate_limit=False
        ) as opened:
            quarter = opened.timeframe("15m")
            since = LAST_CLOSE - 4 * QUARTER_MS
            return await opened.candles(opened.listing("BTC"), quarter, since, NOW + DAY_MS)

    expected = server.bars("BTC", "15m", LAST_CLOSE - 4 * QUARTER_MS, LAST_CLOSE)
    np.testing.assert_array_equal(asyncio.run(ask()), expected)


def test_bar_that_has_just_closed_waits_until_it_is_settled(
    server: ExchangeServer, store: CandleStore
) -> None:
    """One second after its end a bar may still change and is left; some seconds later it comes."""
    server.now_ms = LAST_CLOSE + 1_000
    fetch(order(server), store)
    assert store.last_open("binance", "BTC", "15m") == LAST_CLOSE - 2 * QUARTER_MS
    server.now_ms = LAST_CLOSE + 6_000
    fetch(order(server), store)
    assert store.last_open("binance", "BTC", "15m") == LAST_CLOSE - QUARTER_MS


def test_end_is_the_close_of_the_last_bar(server: ExchangeServer, store: CandleStore) -> None:
    """With --to only bars that close at or before it are stored."""
    end = LAST_CLOSE - 100 * QUARTER_MS
    fetch(order(server, end=from_ms(end + 60_000)), store)
    assert_stored(store, server, LAST_CLOSE - 500 * QUARTER_MS, end)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_resume_asks_from_the_last_stored_bar_on(
    exchange: str, server: ExchangeServer, store: CandleStore
) -> None:
    """A second run asks once, from the last stored bar; a third, with nothing new, asks nothing."""
    fetch(order(server, exchange), store)
    assert server.now_ms is not None
    server.now_ms += 10 * QUARTER_MS
    server.requests.clear()
    outcome = only(fetch(order(server, exchange), store))
    assert outcome.new == 10
    assert server.count(CANDLES[exchange]) == 1
    assert server.count(str(LAST_CLOSE - QUARTER_MS)) == 1
    assert_stored(
        store,
        server,
        LAST_CLOSE - 500 * QUARTER_MS,
        LAST_CLOSE + 10 * QUARTER_MS,
        exchange,
    )
    server.requests.clear()
    assert only(fetch(order(server, exchange), store)).new == 0
    assert server.count(CANDLES[exchange]) == 0


def test_without_start_the_store_goes_on(server: ExchangeServer, store: CandleStore) -> None:
    """Without --from a stored series goes on, a new one has the whole bars of the last year."""
    fetch(order(server), store)
    assert server.now_ms is not None
    server.now_ms += 3 * QUARTER_MS
    outcomes = fetch(order(server, start=None, timeframes=("15m", "4h")), store)
    assert [outcome.new for outcome in outcomes] == [3, 365 * 6 - 1]


def test_earlier_start_fills_only_the_front(server: ExchangeServer, store: CandleStore) -> None:
    """An earlier --from adds the bars before the stored ones and asks for no others."""
    fetch(order(server), store)
    server.requests.clear()
    early = LAST_CLOSE - 1200 * QUARTER_MS
    assert only(fetch(order(server, start=from_ms(early)), store)).new == 700
    assert server.count("klines") == 1
    assert_stored(store, server, early)


def test_holes_are_stored_as_they_are_and_reported(
    server: ExchangeServer, store: CandleStore
) -> None:
    """Bars that the exchange lacks do not stop a download; the outcome names their span."""
    start = LAST_CLOSE - 500 * QUARTER_MS
    server.holes = {start + n * QUARTER_MS for n in (100, 101, 102, 300)}
    outcome = only(fetch(order(server), store))
    assert outcome.error is None
    assert outcome.new == 496
    assert "2 holes" in outcome.notes[0]
    assert "(3 bars)" in outcome.notes[0]
    assert_stored(store, server, start)
    with pytest.raises(DataError):
        store.read("binance", "BTC", "15m")


def test_hole_that_the_exchange_fills_later_is_mended(
    server: ExchangeServer, store: CandleStore
) -> None:
    """Missing bars in the middle are asked again by the next run, and only they."""
    start = LAST_CLOSE - 500 * QUARTER_MS
    server.holes = {start + n * QUARTER_MS for n in (100, 101, 102)}
    fetch(order(server), store)
    server.holes = set()
    server.requests.clear()
    assert only(fetch(order(server), store)).new == 3
    assert server.count("klines") == 1
    assert len(store.read("binance", "BTC", "15m")) == 500


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_years_before_the_listing_cost_few_requests(
    exchange: str, server: ExchangeServer, store: CandleStore
) -> None:
    """Asking from 2012 finds the first week of trading instead of walking there by pages."""
    server.listed_ms = LAST_CLOSE - 800 * QUARTER_MS
    asked = order(server, exchange, start=datetime(2012, 1, 1, tzinfo=UTC), timeframes=("15m",))
    outcome = only(fetch(asked, store))
    assert outcome.new == 800
    assert server.count(CANDLES[exchange]) <= 5
    assert "2012-01-01 00:00 UTC" in outcome.notes[0]
    assert_stored(store, server, server.listed_ms, exchange=exchange)


def test_market_listed_this_week_is_found(server: ExchangeServer, store: CandleStore) -> None:
    """A market too young for a weekly bar is found by its daily bars."""
    server.listed_ms = to_ms(datetime(2026, 2, 27, tzinfo=UTC))
    outcome = only(fetch(order(server, start=datetime(2020, 1, 1, tzinfo=UTC)), store))
    assert outcome.new == (LAST_CLOSE - server.listed_ms) // QUARTER_MS
    assert server.count("klines") <= 5


def test_depth_of_hyperliquid_is_said_plainly(server: ExchangeServer, store: CandleStore) -> None:
    """Beyond the 5,000 most recent candles the outcome names the span that could not be had."""
    asked = order(server, "hyperliquid", start=from_ms(LAST_CLOSE - 6000 * QUARTER_MS))
    outcome = only(fetch(asked, store))
    assert outcome.error is None
    assert outcome.new == 4999
    assert "5,000 most recent candles" in outcome.notes[0]
    assert "(1,001 bars) could not be had" in outcome.notes[0]
    assert server.count("candleSnapshot") == 1


def test_old_candles_of_hyperliquid_stay_in_the_store(
    server: ExchangeServer, store: CandleStore
) -> None:
    """What an earlier run stored is kept when the exchange has long dropped it."""
    start = LAST_CLOSE - 4000 * QUARTER_MS
    fetch(order(server, "hyperliquid", start=from_ms(start)), store)
    assert server.now_ms is not None
    server.now_ms += 4000 * QUARTER_MS
    outcome = only(fetch(order(server, "hyperliquid", start=from_ms(start)), store))
    assert outcome.notes == ()
    assert_stored(store, server, start, LAST_CLOSE + 4000 * QUARTER_MS, "hyperliquid")


@pytest.mark.skipif("FTBT_REAL_DATA" not in os.environ, reason="FTBT_REAL_DATA is not set")
def test_recorded_answers_of_hyperliquid_are_read(server: ExchangeServer) -> None:
    """Candles and funding recorded from the real exchange come out with all of their numbers."""
    folder = Path(os.environ["FTBT_REAL_DATA"]) / "hyperliquid-payloads" / "sdk_cassettes"

    def recorded(name: str) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = json.loads((folder / name).read_text())["interactions"]
        rows: list[dict[str, Any]] = answers[-1]["response"]
        return rows

    candles = recorded("test_get_candles_snapshot.json")
    rates = recorded("test_get_funding_history_None.json")
    server.faults = [
        Fault("status", 1, "candleSnapshot", status=200, body=json.dumps(candles)),
        Fault("status", 1, "fundingHistory", status=200, body=json.dumps(rates)),
    ]

    async def ask() -> tuple[Bars, tuple[Any, Any]]:
        retrier = Retrier("hyperliquid", QUICK, print)
        async with open_exchange(
            VENUES["hyperliquid"], (), retrier, 5.0, server.url, rate_limit=False
        ) as opened:
            pepe, hour = opened.listing("kPEPE"), opened.timeframe("1h")
            return (
                await opened.candles(pepe, hour, 1, NOW),
                await opened.funding(opened.listing("BTC"), 1, NOW),
            )

    bars, (times, values) = asyncio.run(ask())
    assert bars.tolist() == [(row["t"], *(float(row[cell]) for cell in "ohlcv")) for row in candles]
    # In 2023 an answer could be longer than the page that is asked for today.
    rates = rates[:500]
    assert times.tolist() == [row["time"] for row in rates]
    assert values.tolist() == [float(row["fundingRate"]) for row in rates]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "written", "stored"),
    [
        ("binance", "BTC", "BTC"),
        ("binance", "btc", "BTC"),
        ("binance", "BTCUSDT", "BTC"),
        ("binance", "BTC/USDT:USDT", "BTC"),
        ("binance", "BTC/USDT", "BTC/USDT"),
        ("bybit", "ETHUSDT", "ETH"),
        ("bybit", "ETH/USDT", "ETH/USDT"),
        ("hyperliquid", "BTC/USDC:USDC", "BTC"),
        ("hyperliquid", "kpepe", "kPEPE"),
    ],
)
def test_symbols_are_stored_in_one_form(
    exchange: str, written: str, stored: str, server: ExchangeServer, store: CandleStore
) -> None:
    """A coin is its linear perpetual however it is written; everything else keeps ccxt's symbol."""
    outcome = only(fetch(order(server, exchange, symbols=(written,)), store))
    assert outcome.error is None
    assert store.symbols(exchange) == [stored]
    assert outcome.new == 500


def test_one_market_written_twice_is_fetched_once(
    server: ExchangeServer, store: CandleStore
) -> None:
    """Two spellings of a market and of a timeframe are one series."""
    asked = order(server, symbols=("BTC", "BTCUSDT"), timeframes=("1h", "60m"))
    assert only(fetch(asked, store)).series == "BTC 1h"


def test_spot_pays_no_funding(server: ExchangeServer, store: CandleStore) -> None:
    """A spot pair with --funding brings candles only; without timeframes it is refused."""
    assert only(fetch(order(server, symbols=("BTC/USDT",), funding=True), store)).new == 500
    assert server.count("/api/v3/klines") == 1
    with pytest.raises(InputError, match="spot markets pay no funding"):
        fetch(order(server, symbols=("BTC/USDT",), timeframes=(), funding=True), store)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exchange": "binanse"}, "did you mean 'binance'"),
        ({"exchange": "mtgox"}, "there are binance, bybit, hyperliquid"),
        ({"symbols": ("BTC", "SOLL")}, "'SOLL' - did you mean 'SOL'"),
        ({"symbols": ("BTC/USDD",)}, "did you mean 'BTC/USDT"),
        ({"symbols": ("XYZ",)}, "has no symbol 'XYZ'; it has 3 perpetuals"),
        ({"timeframes": ("15m", "7m")}, "no timeframe '7m'; it offers 1m"),
        ({"timeframes": ("1M",)}, "timeframe '1M' is not understood"),
        ({"timeframes": ("quick",)}, "'quick' is not understood"),
        ({"start": from_ms(NOW + DAY_MS)}, "lies in the future"),
        ({"base_url": "localhost:80"}, "FTBT_EXCHANGE_URL must be like"),
    ],
)
def test_wrong_input_is_one_line_and_stores_nothing(
    changes: dict[str, Any], message: str, server: ExchangeServer, store: CandleStore
) -> None:
    """Unknown names are refused before any download, with the nearest known one."""
    with pytest.raises(InputError, match=message) as caught:
        fetch(order(server, **changes), store)
    assert "\n" not in str(caught.value)
    assert server.count("klines") == 0
    assert store.list() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"symbols": ()},
        {"timeframes": ()},
        {"concurrency": 0},
        {"concurrency": 33},
        {"timeout_s": 0.0},
        {"start": from_ms(NOW), "end": from_ms(NOW)},
    ],
)
def test_impossible_orders_are_refused(changes: dict[str, Any], server: ExchangeServer) -> None:
    """An order without symbols, timeframes or with a number out of range cannot be made."""
    with pytest.raises(ConfigError):
        order(server, **changes)


@given(
    stored=st.sets(st.integers(0, 60)),
    first=st.integers(0, 60),
    length=st.integers(-5, 60),
    step=st.sampled_from([1, 60_000, DAY_MS]),
)
@settings(deadline=None)
def test_missing_opens_are_the_asked_less_the_stored(
    stored: set[int], first: int, length: int, step: int
) -> None:
    """Missing opens agree with the same question asked of Python sets."""
    have = np.array(sorted(n * step for n in stored), np.int64)
    found = missing_opens(have, first * step, (first + length) * step, step)
    asked = set(range(first, first + length)) if length > 0 else set()
    assert found.tolist() == sorted(n * step for n in asked - stored)
