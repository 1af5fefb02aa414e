"""Downloads against a real HTTP server on loopback, through ccxt itself."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_server import ExchangeServer, Fault

from ftbt.data.ccxt_client import _hyperliquid_weight
from ftbt.data.download import Listener, Outcome
from ftbt.data.download_candles import missing_opens
from ftbt.data.fetch import FetchOrder, fetch
from ftbt.data.retry import Retry, reason, retry_after_s, shorten
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, from_ms, to_ms
from ftbt.errors import ConfigError, DataError, ExchangeError, InputError, NetworkError

# aiohttp says on Python 3.12 and later that it no longer needs an option that ccxt passes.
pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")

NOW = to_ms(datetime(2026, 3, 1, 10, 7, tzinfo=UTC))
QUARTER_MS = 15 * MINUTE_MS
LAST_CLOSE = to_ms(datetime(2026, 3, 1, 10, 0, tzinfo=UTC))
QUICK = Retry(attempts=4, base_s=0.01, cap_s=0.05)
EXCHANGES = ("binance", "bybit", "hyperliquid")
CANDLES = {"binance": "klines", "bybit": "kline", "hyperliquid": "candleSnapshot"}
FUNDING = {"binance": "fundingRate", "bybit": "funding", "hyperliquid": "fundingHistory"}


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run an exchange whose clock stands at NOW."""
    with ExchangeServer(now_ms=NOW) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """Return an empty store."""
    return CandleStore(tmp_path / "store")


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


# --- what is downloaded -----------------------------------------------------------------------


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
        ({"timeframes": ("1M",)}, "no timeframe '1M'"),
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


# --- failures ---------------------------------------------------------------------------------

OVERLOADED = '{"code":-1003,"msg":"Too much request weight used."}'
TRANSIENT = [
    ("binance", Fault("status", 1, "klines", status=429, body=OVERLOADED)),
    ("binance", Fault("status", 2, "klines", status=503)),
    ("binance", Fault("status", 1, "klines", status=524)),
    ("binance", Fault("status", 1, "klines", status=200)),
    ("binance", Fault("status", 1, "klines", status=200, body='[[1,"2","3"')),
    ("binance", Fault("cut", 2, "klines")),
    ("binance", Fault("slow", 1, "klines", seconds=0.8)),
    ("binance", Fault("status", 1, "exchangeInfo", status=502)),
    ("binance", Fault("cut", 1, "v1/time")),
    ("bybit", Fault("status", 1, "kline", status=200, body='{"retCode":10006,"retMsg":"x"}')),
    ("bybit", Fault("cut", 1, "instruments-info")),
    ("hyperliquid", Fault("status", 1, "candleSnapshot", status=429, body="null")),
    ("hyperliquid", Fault("status", 1, "candleSnapshot", status=500, body="null")),
    ("hyperliquid", Fault("status", 1, "candleSnapshot", status=200, body="null")),
    ("hyperliquid", Fault("drop", 2, "candleSnapshot")),
    ("hyperliquid", Fault("cut", 1, "candleSnapshot")),
]


@pytest.mark.parametrize(("exchange", "fault"), TRANSIENT)
def test_passing_failures_are_tried_again(
    exchange: str, fault: Fault, server: ExchangeServer, store: CandleStore
) -> None:
    """Limits, overload, error pages, cut and late answers are retried until the data is whole."""
    heard: list[str] = []

    class Notices(Listener):
        def notice(self, text: str) -> None:
            heard.append(text)

    server.faults = [fault]
    tries = fault.times
    outcome = only(fetch(order(server, exchange, timeout_s=0.5), store, Notices()))
    assert outcome.error is None
    assert fault.times == 0
    assert len(heard) == tries
    assert all("trying again in" in text and "\n" not in text for text in heard)
    assert_stored(store, server, LAST_CLOSE - 500 * QUARTER_MS, exchange=exchange)


REFUSALS = [
    ("binance", 400, '{"code":-1121,"msg":"Invalid symbol."}'),
    ("binance", 400, '{"code":-1130,"msg":"Data sent for parameter is not valid."}'),
    ("binance", 400, "<html>Bad Request</html>"),
    ("binance", 401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
    ("binance", 403, "<html>Request blocked</html>"),
    ("binance", 404, "<html>Not Found</html>"),
    ("binance", 451, '{"code":0,"msg":"Service unavailable from a restricted location."}'),
    ("bybit", 200, '{"retCode":10001,"retMsg":"params error","result":{},"time":0}'),
    ("bybit", 403, "<html>The Amazon CloudFront distribution blocks your country</html>"),
    ("hyperliquid", 422, "Failed to deserialize the JSON body into the target type"),
]


@pytest.mark.parametrize(("exchange", "status", "body"), REFUSALS)
def test_a_plain_no_is_asked_once(
    exchange: str, status: int, body: str, server: ExchangeServer, store: CandleStore
) -> None:
    """What the exchange refuses is not asked again; the one-line error carries its words."""
    server.faults = [Fault("status", 99, CANDLES[exchange], status=status, body=body)]
    outcome = only(fetch(order(server, exchange), store))
    assert isinstance(outcome.error, ExchangeError)
    assert server.count(CANDLES[exchange]) == 1
    assert "\n" not in str(outcome.error)
    assert "<" not in str(outcome.error)
    assert store.list() == []


def test_answer_of_unknown_shape_is_a_refusal(server: ExchangeServer, store: CandleStore) -> None:
    """JSON of another shape than documented ends the series with one line, not a traceback."""
    server.faults = [Fault("status", 99, "klines", status=200, body='[["a"],["b"]]')]
    outcome = only(fetch(order(server), store))
    assert isinstance(outcome.error, ExchangeError)
    assert "unknown form" in str(outcome.error)
    assert server.count("klines") == 1


def test_patience_ends_after_the_set_tries(server: ExchangeServer, store: CandleStore) -> None:
    """A request is made exactly as often as the policy says, then the series fails."""
    server.faults = [Fault("status", 99, "klines")]
    outcome = only(fetch(order(server), store))
    assert isinstance(outcome.error, NetworkError)
    assert "after 4 tries: candles of BTC 15m" in str(outcome.error)
    assert server.count("klines") == 4


def test_retries_of_a_run_have_one_budget(server: ExchangeServer, store: CandleStore) -> None:
    """Many series against a broken exchange share the retries instead of multiplying them."""
    server.faults = [Fault("status", 999, "klines")]
    retry = Retry(attempts=10, base_s=0.001, cap_s=0.002, budget=7)
    asked = order(server, symbols=("BTC", "ETH", "SOL"), timeframes=("15m", "1h"), retry=retry)
    outcomes = fetch(asked, store)
    assert all(isinstance(outcome.error, NetworkError) for outcome in outcomes)
    assert server.count("klines") == 6 + 7


def test_retry_after_is_obeyed_by_all_series(server: ExchangeServer, store: CandleStore) -> None:
    """After a 429 with Retry-After no series of the run asks before that time is over."""
    limited = {"Retry-After": "1"}
    server.faults = [Fault("status", 1, "klines", status=429, body=OVERLOADED, headers=limited)]
    asked = order(server, symbols=("BTC", "ETH", "SOL"), concurrency=1)
    outcomes = fetch(asked, store)
    assert [outcome.new for outcome in outcomes] == [500, 500, 500]
    first, *later = server.times("klines")
    assert min(later) - first >= 0.95


def test_long_pause_is_not_waited_for(server: ExchangeServer, store: CandleStore) -> None:
    """A ban of an hour ends the run at once with the time to wait."""
    banned = {"Retry-After": "3600"}
    server.faults = [Fault("status", 9, "klines", status=418, body=OVERLOADED, headers=banned)]
    outcome = only(fetch(order(server), store))
    assert isinstance(outcome.error, ExchangeError)
    assert "pause of 3600 s" in str(outcome.error)
    assert server.count("klines") == 1


def test_no_connection_is_a_network_error(server: ExchangeServer, store: CandleStore) -> None:
    """A closed port and an unknown host are one line each."""
    asked = order(server, base_url="http://127.0.0.1:9", retry=Retry(attempts=2, base_s=0.01))
    with pytest.raises(NetworkError, match="no answer from binance after 2 tries: the list of mar"):
        fetch(asked, store)
    asked = order(server, base_url="http://nowhere.invalid", retry=Retry(attempts=1))
    with pytest.raises(NetworkError, match=r"nowhere\.invalid"):
        fetch(asked, store)


def test_failed_series_leaves_the_others_whole(server: ExchangeServer, store: CandleStore) -> None:
    """A series with a bar that must not be traded on fails alone, and its bar is named."""
    broken = LAST_CLOSE - 30 * HOUR_MS
    server.spoil = {broken + 15 * MINUTE_MS: (10.0, 5.0, 6.0, 8.0, 1.0)}
    outcomes = fetch(order(server, timeframes=("15m", "1h")), store)
    assert isinstance(outcomes[0].error, DataError)
    assert "high 5 is below low 6" in str(outcomes[0].error)
    assert outcomes[1].error is None
    assert store.last_open("binance", "BTC", "15m") is None
    assert_stored(store, server, LAST_CLOSE - 500 * QUARTER_MS, timeframe="1h")


def test_pages_before_a_failure_are_kept(server: ExchangeServer, store: CandleStore) -> None:
    """When a later page fails for good, the earlier pages are in the store and the rest follows."""
    start = LAST_CLOSE - 2500 * QUARTER_MS
    third = str(start + 2000 * QUARTER_MS)
    server.faults = [Fault("status", 1, third, status=403)]
    outcome = only(fetch(order(server, start=from_ms(start)), store))
    assert isinstance(outcome.error, ExchangeError)
    assert outcome.new == 2000
    assert only(fetch(order(server, start=from_ms(start)), store)).new == 500
    assert_stored(store, server, start)


def test_changed_history_is_told_and_taken_only_when_meant(
    server: ExchangeServer, store: CandleStore
) -> None:
    """A last stored bar that the exchange has since changed is an error, unless overwriting."""
    fetch(order(server), store)
    last = LAST_CLOSE - QUARTER_MS
    changed = server.bars("BTC", "15m", last, last + 1)[0].copy()
    changed["volume"] += 1.0
    server.spoil = {last: tuple(changed.item()[1:])}
    assert server.now_ms is not None
    server.now_ms += QUARTER_MS
    outcome = only(fetch(order(server), store))
    assert isinstance(outcome.error, DataError)
    assert "differs from the stored one" in str(outcome.error)
    assert only(fetch(order(server, overwrite=True), store)).new == 1
    assert_stored(store, server, LAST_CLOSE - 500 * QUARTER_MS, LAST_CLOSE + QUARTER_MS)


def test_connections_are_closed_however_it_ends(server: ExchangeServer, store: CandleStore) -> None:
    """Success, refusal and a broken start leave no open session or socket behind."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fetch(order(server), store)
        server.faults = [Fault("status", 9, "exchangeInfo", status=403)]
        with pytest.raises(ExchangeError):
            fetch(order(server), store)
        server.faults = [Fault("drop", 99, "v1/time")]
        with pytest.raises(NetworkError):
            fetch(order(server), store)
        gc.collect()


# --- funding ----------------------------------------------------------------------------------


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


# --- pace -------------------------------------------------------------------------------------


def test_concurrency_is_bounded(server: ExchangeServer, store: CandleStore) -> None:
    """With two places, two series are asked at once, never three."""
    server.faults = [Fault("slow", 99, "klines", seconds=0.05)]
    symbols, timeframes = ("BTC", "ETH", "SOL"), ("15m", "1h")
    fetch(order(server, symbols=symbols, timeframes=timeframes, concurrency=2), store)
    assert server.most_at_once == 2


def test_rate_limiter_of_ccxt_is_on(server: ExchangeServer, store: CandleStore) -> None:
    """Full pages, which weigh 5 on Binance, are a quarter of a second apart."""
    start = from_ms(LAST_CLOSE - 4000 * QUARTER_MS)
    fetch(order(server, start=start, rate_limit=True), store)
    assert len(server.times("klines")) == 4
    assert np.diff(server.times("klines")).min() > 0.2


def test_hyperliquid_requests_weigh_what_is_published(
    server: ExchangeServer, store: CandleStore
) -> None:
    """A snapshot weighs 20 plus 1 per 60 candles, and the limiter waits accordingly."""
    asked = {"interval": "15m", "startTime": 0, "endTime": 600 * QUARTER_MS - 1}
    request = {"type": "candleSnapshot", "req": asked}
    assert _hyperliquid_weight(None, None, None, request) == pytest.approx(30.0)
    whole = request | {"req": asked | {"endTime": 10**12}}
    assert _hyperliquid_weight(None, None, None, whole) == pytest.approx(20 + 5000 / 60)
    rates = {"type": "fundingHistory", "startTime": 0, "endTime": 100 * HOUR_MS - 1}
    assert _hyperliquid_weight(None, None, None, rates) == pytest.approx(25.0)
    fetch(order(server, "hyperliquid", rate_limit=True), store)
    # Markets weigh 20, twenty a second are free: the snapshot can't follow sooner than a second.
    assert server.times("candleSnapshot")[0] - server.times("exchangeStatus")[0] >= 0.05
    assert server.times("exchangeStatus")[0] - server.times("metaAndAssetCtxs")[0] > 0.8


@given(failures=st.integers(1, 60), jitter=st.floats(0, 1))
@settings(deadline=None)
def test_waits_double_up_to_a_cap(failures: int, jitter: float) -> None:
    """A wait lies between half and the whole of the doubled base, and below the cap."""
    policy = Retry(base_s=0.5, cap_s=30.0)
    full = min(30.0, 0.5 * 2 ** (failures - 1))
    assert full / 2 <= policy.wait_s(failures, jitter) <= full


def test_retry_policy_out_of_range_is_refused() -> None:
    """Zero tries or negative waits are no policy."""
    for wrong in ({"attempts": 0}, {"attempts": 51}, {"base_s": -1.0}, {"budget": -1}):
        with pytest.raises(InputError):
            Retry(**wrong)


def test_retry_after_is_read_in_both_forms() -> None:
    """Seconds and HTTP dates are understood, anything else is as good as no header."""
    assert retry_after_s({"retry-AFTER": "7"}) == 7.0
    later = datetime.now(UTC) + timedelta(seconds=90)
    date = later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert retry_after_s({"Retry-After": date}) == pytest.approx(90, abs=5)
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after_s({"Retry-After": "soon"}) is None
    assert retry_after_s({}) is None


def test_error_pages_become_one_short_line() -> None:
    """Markup and line breaks are dropped, long texts cut, causes preferred."""
    page = "<html><style>a{}</style><h1>502\nBad Gateway</h1></html>" + "x" * 500
    assert shorten(page).startswith("502 Bad Gateway x")
    assert len(shorten(page)) == 200
    error = RuntimeError("outer")
    error.__cause__ = OSError("inner")
    assert reason(error) == "inner"


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


# --- processes --------------------------------------------------------------------------------

PROGRAM = """
import sys
from datetime import datetime
from pathlib import Path
from ftbt.data.fetch import FetchOrder, fetch
from ftbt.data.store import CandleStore
root, url, start = sys.argv[1:4]
order = FetchOrder("binance", ("BTC", "ETH"), ("15m",), start=datetime.fromisoformat(start),
                   base_url=url, rate_limit=False)
print(sum(outcome.new for outcome in fetch(order, CandleStore(Path(root)))))
"""


def run_program(server: ExchangeServer, store: CandleStore, start: int) -> subprocess.Popen[str]:
    """Start a download in a process of its own."""
    arguments = [str(store.root), server.url, from_ms(start).isoformat()]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )


def test_two_processes_fill_one_store_without_loss(
    server: ExchangeServer, store: CandleStore
) -> None:
    """Two downloads of overlapping spans at once store each bar exactly once."""
    server.faults = [Fault("slow", 9999, "klines", seconds=0.02)]
    starts = [LAST_CLOSE - 7000 * QUARTER_MS, LAST_CLOSE - 4000 * QUARTER_MS]
    running = [run_program(server, store, start) for start in starts]
    ends = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    rates = len(server.rates(starts[0], NOW))
    assert sum(int(out) for out, _ in ends) == 2 * (7000 + rates)
    for coin in ("BTC", "ETH"):
        assert_stored(store, server, starts[0], coin=coin)


def test_killed_download_goes_on_where_it_was(server: ExchangeServer, store: CandleStore) -> None:
    """After kill -9 in the middle the store is sound, and the next run asks for the rest only."""
    server.faults = [Fault("slow", 9999, "klines", seconds=0.05)]
    start = LAST_CLOSE - 12_000 * QUARTER_MS
    process = run_program(server, store, start)
    deadline = time.monotonic() + 60
    while store.last_open("binance", "BTC", "15m") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    kept = len(store.read("binance", "BTC", "15m"))
    assert 0 < kept < 12_000
    server.faults = []
    server.requests.clear()
    outcome = only(fetch(order(server, start=from_ms(start)), store))
    assert outcome.new == 12_000 - kept
    assert server.count("klines") == -(-(12_000 - kept + 1) // 1000)
    assert_stored(store, server, start)
