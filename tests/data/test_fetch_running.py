"""How a download runs: pace, places, two processes, kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_server import ExchangeServer, Fault
from fetch_kit import (
    LAST_CLOSE,
    NOW,
    QUARTER_MS,
    assert_stored,
    only,
    order,
)

from ftbt.data.ccxt_client import _hyperliquid_weight
from ftbt.data.fetch import fetch
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import HOUR_MS, from_ms

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
