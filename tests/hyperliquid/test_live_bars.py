"""Live bars from a local exchange: gap-free, as in research, one turn per timestamp."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from client_kit import replayed

from ftbt.data.candles import Candles
from ftbt.data.feed import CandleFeed, from_bt_time
from ftbt.data.retry import Retry
from ftbt.data.timeframe import Timeframe
from ftbt.errors import DataError, InputError, NetworkError
from ftbt.hyperliquid.bars import Source
from ftbt.hyperliquid.clock import ReplayClock, VenueClock
from ftbt.hyperliquid.feed import FeedGroup
from ftbt.hyperliquid.history import load_history
from ftbt.hyperliquid.market_data import BarOptions, MarketData
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sockets import SocketOptions
from ftbt.smc import ALL_LINES

# Real sockets beside a market that goes on while they wait: they need a machine that is not busy.
pytestmark = pytest.mark.slow

COINS = ("BTC", "ETH")
QUARTER = Timeframe.parse("15m")
WARM_UP = 200
SOCKET = SocketOptions(
    connect_s=1.0, acknowledge_s=8.0, ping_s=0.3, silence_s=2.0,
    back_off=Retry(base_s=0.05, cap_s=0.2),
)  # fmt: skip
# Market time stands still between steps, so the replay's waits are of the market only.
PATIENT = BarOptions(patience_ms=30 * 60_000, fresh_ms=QUARTER.ms // 2, again_s=0.1)


@pytest.fixture(scope="module")
def research() -> dict[str, Candles]:
    """Return the candles that the local exchange replays."""
    return {coin: market.candles for coin, market in replayed().items()}


@pytest.fixture
def open_data(net, client):
    """Return a function that starts live bars; all are stopped afterwards."""
    opened: list[MarketData] = []

    def start(**more: Any) -> MarketData:
        begin = QUARTER.floor(net.market_time()) - WARM_UP * QUARTER.ms
        given = {"options": PATIENT, "socket_options": SOCKET, **more}
        data = MarketData(client.rest, ReplayClock(), COINS, QUARTER, begin, **given)
        opened.append(data)
        data.start()
        return data

    yield start
    for one in opened:
        one.stop()


def take_all(data, count, patience_s=10.0):
    """Return the next *count* groups."""
    deadline = time.monotonic() + patience_s
    found = []
    while len(found) < count and time.monotonic() < deadline:
        taken = data.take(0.2)
        if taken is not None:
            found.append(taken)
    assert len(found) == count, f"{len(found)} of {count}: {data.health()} {data.failure}"
    return found


def cut_off(net, data, seconds=3.0):
    """Let the exchange be away for some seconds; return when the connection is lost."""
    net.control("/server/refuse", {"seconds": seconds})
    deadline = time.monotonic() + 5
    while data.connected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not data.connected


def must_be_research(groups, research):
    """Assert that bars are those of the candles, bit for bit, and consecutive."""
    for coin in COINS:
        bars = [taken.group.bars[coin] for taken in groups]
        opens = np.array([bar.opened for bar in bars])
        assert (np.diff(opens) == QUARTER.ms).all()
        candles = research[coin].bars
        rows = candles[np.searchsorted(candles["time"], opens)]
        for name in ("open", "high", "low", "close", "volume"):
            assert [getattr(bar, name) for bar in bars] == rows[name].tolist(), (coin, name)


# --- the stream of groups -------------------------------------------------------------------------


def test_history_and_stream_are_one_unbroken_series(net, open_data, research):
    """History is old, what follows is live, and all of it is what research reads."""
    data = open_data()
    history = take_all(data, WARM_UP)
    assert not any(taken.live for taken in history)
    live = []
    for _ in range(6):
        net.step(1)
        live += take_all(data, 1)
    must_be_research([*history, *live], research)
    assert all(taken.live for taken in live)
    sources = {bar.source for taken in live[1:] for bar in taken.group.bars.values()}
    assert sources == {Source.STREAM}
    assert data.health().flat == data.health().revised == data.health().gaps == 0


def test_what_a_broken_connection_missed_is_filled_and_is_not_live(net, open_data, research):
    """Bars of an outage come from REST, in order; only the newest is new enough to trade on."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(2)
    groups = take_all(data, 2)
    cut_off(net, data)
    net.step(5)
    groups += take_all(data, 5, 20.0)
    assert [taken.live for taken in groups[2:]] == [False] * 4 + [True]
    net.step(2)
    groups += take_all(data, 2)
    must_be_research(groups, research)
    assert data.health().gaps >= 1
    assert groups[-1].live


def test_a_coin_that_falls_silent_is_asked_for(net, open_data, research):
    """Without any frame of its candle a coin's bars come by REST, and the others wait for it."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(1)
    take_all(data, 1)
    net.fault("candle_silence", match={"channel": "candle", "coin": "ETH"}, count=400)
    groups = []
    for _ in range(3):
        net.step(1)
        net.run_until(net.market_time() + 8 * 60_000)  # its trades show the time
        groups += take_all(data, 1)
    must_be_research(groups, research)
    assert {taken.group.bars["ETH"].source for taken in groups} == {Source.REST}
    assert all(set(taken.group.bars) == set(COINS) for taken in groups)


def test_repeated_and_late_frames_make_no_bar_twice(net, open_data, research):
    """Doubled, delayed and repeated candle frames change nothing."""
    data = open_data()
    take_all(data, WARM_UP)
    for name in ("ws_duplicate", "candle_repeat", "ws_late"):
        net.fault(name, match={"channel": "candle"}, count=4, seconds=0.2)
    groups = []
    for _ in range(4):
        net.step(1)
        groups += take_all(data, 1)
    must_be_research(groups, research)


def test_a_row_that_is_missing_at_first_is_waited_for(net, open_data, research):
    """A bar that REST lacks twice and then has is not taken for flat."""
    data = open_data()
    take_all(data, WARM_UP)
    net.fault("candle_silence", match={"channel": "candle", "coin": "ETH"}, count=100)
    net.fault("candle_missing", match={"coin": "ETH"}, count=2)
    net.step(1)
    net.run_until(net.market_time() + 8 * 60_000)
    must_be_research(take_all(data, 1), research)


def test_a_volume_that_grew_after_the_close_is_noticed(net, open_data):
    """The bar is not changed any more; the difference is kept and counted."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(2)
    take_all(data, 2)
    net.fault("candle_volume", match={"coin": "BTC"}, count=5, factor="1.5")
    net.step(2)
    take_all(data, 2)
    deadline = time.monotonic() + 5
    while not data.revised and time.monotonic() < deadline:
        time.sleep(0.05)
    revision = data.revised[0]
    assert revision.now.volume != revision.given.volume
    assert revision.now.close == revision.given.close


def test_readers_see_a_failed_thread(net, open_data):
    """An answer that can't be read ends the data and says why; nobody waits for ever."""
    data = open_data()
    take_all(data, WARM_UP)
    data._builders.clear()  # what must never happen
    data._questions.put("BTC")
    deadline = time.monotonic() + 5
    while data.failure is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert isinstance(data.failure, KeyError)
    assert data.over
    assert data.take(0.1) is None


def test_an_unknown_coin_is_named_before_anything_is_opened(client):
    """The exchange would close the socket without a word."""
    data = MarketData(client.rest, ReplayClock(), ("BTC", "ETTH"), QUARTER, 0)
    with pytest.raises(InputError, match="did you mean 'ETH'"):
        data.start()


def test_a_socket_that_never_answers_is_an_error(client, net):
    """Start gives up and says what the last attempt said."""
    net.fault("ws_error_frame", count=100)
    data = MarketData(
        client.rest, ReplayClock(), COINS, QUARTER, net.market_time(), socket_options=SOCKET
    )
    with pytest.raises(NetworkError, match="refuses a subscription"):
        data.start(patience_s=1.5)
    data.stop()


def test_timeframes_of_the_venue_are_taken_others_refused(client):
    """The message lists what there is."""
    with pytest.raises(InputError, match="it offers 1m, 3m, 5m"):
        MarketData(client.rest, ReplayClock(), COINS, Timeframe.parse("45m"), 0)


# --- history --------------------------------------------------------------------------------------


def test_a_history_beyond_what_the_exchange_keeps_is_refused(client, net):
    """The message says where it begins and what to do."""
    now = net.market_time()
    with pytest.raises(DataError, match="ftbt data fetch"):
        load_history(client.rest, "BTC", QUARTER, now - 400 * 86_400_000, now)


def test_stored_candles_lengthen_the_history(client, net, research):
    """What the exchange no longer has comes from the store; the seam is checked."""
    now = net.market_time()
    candles = research["BTC"]
    first = int(candles.time[0]) - 100 * QUARTER.ms
    early = candles.bars[:150].copy()
    early["time"] -= 100 * QUARTER.ms
    early[100:] = candles.bars[:50]
    stored = Candles("BTC", QUARTER, early)
    found = load_history(client.rest, "BTC", QUARTER, first, now, stored)
    opens = np.array([bar.opened for bar in found.bars])
    assert opens[0] == first
    assert (np.diff(opens) == QUARTER.ms).all()

    other = early.copy()
    for name in ("open", "high", "low", "close"):
        other[name] *= 2
    with pytest.raises(DataError, match="different markets"):
        load_history(client.rest, "BTC", QUARTER, first, now, Candles("BTC", QUARTER, other))


def test_the_forming_candle_is_no_history(client, net):
    """The last bar had closed when the history was read."""
    net.run_until(net.market_time() + 7 * 60_000)
    now = net.market_time()
    last = load_history(client.rest, "BTC", QUARTER, now - 86_400_000, now).bars[-1]
    assert last.opened + QUARTER.ms <= now


def test_the_venues_clock_is_followed(client):
    """It is this machine's on a local exchange, and never steps back."""
    clock = VenueClock(client.rest)
    clock.synchronise()
    assert abs(clock.skew_ms) < 2_000
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time() * 1000) < 2_000


# --- Backtrader -----------------------------------------------------------------------------------


class Watcher(bt.Strategy):
    """Keeps what every shared line says at every bar, and how it was told."""

    params = (("seen", None),)

    def __init__(self) -> None:
        self.watched = [
            made(data, **more)
            for data in self.datas
            for made in ALL_LINES
            for more in ({}, {"timeframe": "4h"} if "timeframe" in made.concept.defaults else {})
        ]

    def prenext(self) -> None:
        """Take every bar from the first on."""
        self.next()

    def next(self) -> None:
        """Note stamps, liveness and all outputs."""
        seen = self.p.seen
        seen["rows"].append(b"".join(line.row.tobytes() for line in self.watched))
        seen["times"].append(tuple(from_bt_time(data.datetime[0]) for data in self.datas))
        seen["live"].append(tuple(getattr(data, "live", False) for data in self.datas))

    def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
        """Note the status."""
        self.p.seen["status"].append((data._name, data._getstatusname(status)))


def run_watcher(feeds, *, research_mode):
    """Run the strategy on *feeds* and return what it has seen."""
    seen: dict[str, list[Any]] = {"rows": [], "times": [], "live": [], "status": []}
    cerebro = bt.Cerebro(stdstats=False, runonce=research_mode, preload=research_mode)
    for coin, feed in feeds:
        cerebro.adddata(feed, name=coin)
    cerebro.addstrategy(Watcher, seen=seen)
    cerebro.run()
    return seen


def run_live(net, data, steps):
    """Run the strategy live over *steps* further bars; *steps* are called one after another."""
    group = FeedGroup(data)
    feeds = [(feed.coin, feed) for feed in group.make_feeds()]

    def drive():
        for step in steps:
            before = data.health().last_bar
            step()
            deadline = time.monotonic() + 10
            while data.health().last_bar == before and time.monotonic() < deadline:
                time.sleep(0.005)
        while data.ready():
            time.sleep(0.01)
        time.sleep(0.1)
        data.stop()

    driver = threading.Thread(target=drive)
    driver.start()
    seen = run_watcher(feeds, research_mode=False)
    driver.join()
    assert data.failure is None
    return seen


def test_every_line_is_live_what_it_is_in_research(net, open_data, research):
    """Warm-up and live bars leave all lines of all coins in the very state, bit for bit."""
    data = open_data()
    seen = run_live(net, data, [net.step] * 12)
    first, last = seen["times"][0][0], seen["times"][-1][0]
    feeds = []
    for coin in COINS:
        candles = research[coin]
        begin, end = np.searchsorted(candles.time, (first, last))
        feeds.append((coin, CandleFeed(candles=candles.slice(int(begin), int(end) + 1))))
    wanted = run_watcher(feeds, research_mode=True)

    assert len(seen["rows"]) == WARM_UP + 12
    assert seen["times"] == wanted["times"]
    assert seen["rows"] == wanted["rows"]


def test_all_coins_of_a_time_are_one_turn(net, open_data):
    """`next()` is called once per timestamp, with both coins at it, warm-up included."""
    seen = run_live(net, open_data(), [net.step] * 5)
    assert all(len(set(times)) == 1 for times in seen["times"])
    stamps = [times[0] for times in seen["times"]]
    assert (np.diff(stamps) == QUARTER.ms).all()


def test_live_is_said_with_the_first_live_bar_and_taken_back(net, open_data):
    """History is DELAYED; an outage is CONNBROKEN, what it missed DELAYED, then LIVE again."""
    data = open_data()

    def outage():
        cut_off(net, data)
        time.sleep(0.6)
        net.step(4)

    seen = run_live(net, data, [net.step, net.step, outage, net.step, net.step])
    told = [status for name, status in seen["status"] if name == "BTC"]
    assert told[0] == "DELAYED"
    assert told[1] == "LIVE"
    assert "CONNBROKEN" in told
    assert told[-2:] == ["LIVE", "DISCONNECTED"]
    live = [all(flags) for flags in seen["live"]]
    assert not any(live[:WARM_UP])
    assert live[WARM_UP : WARM_UP + 2] == [True, True]
    assert live[WARM_UP + 2 : WARM_UP + 5] == [False] * 3
    assert live[-1]


def test_a_waiting_loop_takes_no_processor_time(net, open_data):
    """Between two bars the loop sleeps; Backtrader's default would spin."""
    data = open_data()

    def pause():
        time.sleep(1.5)
        spent.append(time.process_time())
        time.sleep(1.5)
        spent.append(time.process_time())
        net.step(1)

    spent: list[float] = []
    run_live(net, data, [pause])
    assert spent[1] - spent[0] < 0.6


def test_reads_of_bars_can_fail_for_a_while(net, open_data, research, client):
    """While REST fails, bars of the stream go on; what needs REST waits and then comes."""
    data = open_data()
    take_all(data, WARM_UP)
    data._rest = Rest(client.transport, replace(Retry(), attempts=1), lambda _: None)
    net.step(1)
    groups = take_all(data, 1)
    net.fault("server_error", match={"type": "candleSnapshot"}, count=6)
    net.control("/sockets", {"do": "abort"})
    net.step(3)
    groups += take_all(data, 3, 20.0)
    must_be_research(groups, research)
