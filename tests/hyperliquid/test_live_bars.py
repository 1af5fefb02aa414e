"""Live bars from a local exchange: gap-free, as in research, one group per timestamp."""

from __future__ import annotations

import pytest
from bars_kit import COINS, QUARTER, SOCKET, WARM_UP, must_be_research, take_all, until

from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, NetworkError
from ftbt.hyperliquid.bars import Source
from ftbt.hyperliquid.clock import ReplayClock
from ftbt.hyperliquid.market_data import MarketData


def later_in_the_bar(net):
    """Let the market go on for eight minutes: its trades show that the bar before is over."""
    net.run_until(net.market_time() + 8 * 60_000)


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
    health = data.health()
    assert health.flat == health.revised == health.gaps == health.unread == 0
    assert health.last_bar == live[-1].group.opened


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
        later_in_the_bar(net)
        groups += take_all(data, 1)
    must_be_research(groups, research)
    assert {taken.group.bars["ETH"].source for taken in groups} == {Source.REST}


def test_a_row_that_is_missing_at_first_is_waited_for(net, open_data, research):
    """A bar that REST lacks twice and then has is not taken for flat."""
    data = open_data()
    take_all(data, WARM_UP)
    net.fault("candle_silence", match={"channel": "candle", "coin": "ETH"}, count=100)
    net.fault("candle_missing", match={"coin": "ETH"}, count=2)
    net.step(1)
    later_in_the_bar(net)
    must_be_research(take_all(data, 1), research)


def test_a_coin_without_trades_has_a_flat_bar(net, open_data):
    """No frame and no row at REST: the last close without volume, in a complete live group."""
    data = open_data()
    before = take_all(data, WARM_UP)[-1].group.bars["ETH"]
    net.fault("candle_silence", match={"channel": "candle", "coin": "ETH"}, count=100)
    net.fault("candle_missing", match={"coin": "ETH"}, count=100, time=before.opened + QUARTER.ms)
    net.step(1)
    later_in_the_bar(net)
    taken = take_all(data, 1)[0]
    flat = taken.group.bars["ETH"]
    assert set(taken.group.bars) == set(COINS)
    assert (flat.open, flat.high, flat.low, flat.close) == (before.close,) * 4
    assert (flat.volume, flat.source) == (0.0, Source.FLAT)
    assert taken.group.bars["BTC"].source is not Source.FLAT
    assert data.health().flat == 1


def test_repeated_and_late_frames_make_no_bar_twice(net, open_data, research):
    """Doubled and repeated frames, and one that comes after its successors, change nothing."""
    data = open_data()
    take_all(data, WARM_UP)
    for name in ("ws_duplicate", "candle_repeat"):
        net.fault(name, match={"channel": "candle"}, count=4)
    groups = []
    for _ in range(4):
        net.step(1)
        groups += take_all(data, 1)
        net.fault("ws_late", match={"channel": "candle", "coin": "BTC"}, seconds=0.02)
    must_be_research(groups, research)
    assert data.health().revised == 0


def test_a_last_frame_that_comes_too_late_is_noticed(net, open_data, research):
    """The bar went without its last trade; REST tells what it lacks, and the next is whole."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(1)
    take_all(data, 1)
    net.fault("ws_late", match={"channel": "candle", "coin": "BTC"}, after=2, seconds=0.05)
    net.step(1)
    short = take_all(data, 1)[0].group.bars["BTC"]
    until(lambda: len(data.revised) > 0, "the revision")
    revision = data.revised[0]
    assert revision.given == short
    assert revision.now.trades == 4
    assert revision.now.volume > short.volume
    net.step(1)
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
    until(lambda: len(data.revised) > 0, "the revision")
    revision = data.revised[0]
    assert revision.now.volume != revision.given.volume
    assert revision.now.close == revision.given.close


def test_readers_see_a_failed_thread(open_data):
    """A thread that ends by an error ends the data and says why; nobody waits for ever."""
    data = open_data()
    take_all(data, WARM_UP)
    data._once = None  # what must never happen
    data._questions.put("BTC")
    until(lambda: data.failure is not None, "the failure")
    assert isinstance(data.failure, AttributeError)
    assert data.over
    assert data.take(0.1) is None


def test_an_unknown_coin_is_named_before_anything_is_opened(patient):
    """The exchange would close the socket without a word."""
    data = MarketData(patient.rest, ReplayClock(), ("BTC", "ETTH"), QUARTER, 0)
    with pytest.raises(InputError, match="did you mean 'ETH'"):
        data.start()


def test_a_socket_that_never_answers_is_an_error(patient, net):
    """Start gives up and says what the last attempt said."""
    net.fault("ws_error_frame", count=1000)
    data = MarketData(
        patient.rest, ReplayClock(), COINS, QUARTER, net.market_time(), socket_options=SOCKET
    )
    with pytest.raises(NetworkError, match="refuses a subscription"):
        data.start(patience_s=3.0)
    data.stop()


def test_timeframes_of_the_venue_are_taken_others_refused(patient):
    """The message lists what there is."""
    with pytest.raises(InputError, match="it offers 1m, 3m, 5m"):
        MarketData(patient.rest, ReplayClock(), COINS, Timeframe.parse("45m"), 0)
