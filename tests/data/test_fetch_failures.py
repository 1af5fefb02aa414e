"""What a download does when the exchange is slow, broken, closed, or says no."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_server import ExchangeServer, Fault
from fetch_kit import (
    CANDLES,
    LAST_CLOSE,
    NOW,
    QUARTER_MS,
    assert_stored,
    only,
    order,
)

from ftbt.data.download import Listener
from ftbt.data.fetch import fetch
from ftbt.data.retry import Retry
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS, from_ms
from ftbt.errors import DataError, ExchangeError, NetworkError

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

    # A copy: the parameter is shared by all runs of this process.
    tries, fault = fault.times, replace(fault)
    server.faults = [fault]
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
