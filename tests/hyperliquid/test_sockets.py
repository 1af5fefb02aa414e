"""The socket: acknowledged subscriptions, and every gap announced."""

from __future__ import annotations

import queue
import time
from dataclasses import replace

import pytest
from client_kit import local_endpoint

from ftbt.data.retry import Retry
from ftbt.hyperliquid.answers import Node
from ftbt.hyperliquid.records import Fill
from ftbt.hyperliquid.sockets import Connected, Disconnected, Frame, Socket, SocketOptions
from ftbt.hyperliquid.streams import FillStream
from ftbt.hyperliquid.subscriptions import Subscription, candle, of_account

QUICK = SocketOptions(
    connect_s=1.0, acknowledge_s=1.0, ping_s=0.3, silence_s=1.0,
    back_off=Retry(base_s=0.05, cap_s=0.2),
)  # fmt: skip


@pytest.fixture
def listen(net):
    """Return a function that opens a socket; all are closed afterwards."""
    opened = []

    def open_socket(*wanted, options=QUICK):
        opened.append(Socket(local_endpoint(net.url), wanted, options))
        opened[-1].start()
        return opened[-1]

    yield open_socket
    for one in opened:
        one.stop()
        assert not one.alive


def wait_for(socket, kind, patience_s=8.0, fits=lambda _: True):
    """Return the next message of *kind* that fits; what comes before it is passed over."""
    deadline = time.monotonic() + patience_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = socket.messages.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(message, kind) and fits(message):
            return message
    pytest.fail(f"no {kind.__name__} in {patience_s} s; {socket.health()}")


def test_every_subscription_is_acknowledged_before_it_counts_as_connected(client, listen):
    """Echoes with defaults and lower-case addresses are known for what was asked."""
    socket = listen(
        candle("BTC", "15m"), Subscription("trades", coin="ETH"), *of_account(client.account)
    )
    assert wait_for(socket, Connected).number == 1
    snapshot = wait_for(socket, Frame, fits=lambda frame: frame.channel == "userFills")
    assert snapshot.data["isSnapshot"] is True
    assert socket.health().connected


def test_frames_arrive_in_order_with_the_time_of_their_reading(net, listen):
    """A step of the market sends the forming candle again and again."""
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Connected)
    net.step(2)
    frames = [wait_for(socket, Frame) for _ in range(4)]
    assert all(frame.channel == "candle" for frame in frames)
    assert [f.received for f in frames] == sorted(f.received for f in frames)
    parts = [(frame.data["t"], frame.data["n"]) for frame in frames]
    assert parts == sorted(set(parts))


@pytest.mark.parametrize("how", [{"do": "close", "code": 1000}, {"do": "abort"}])
def test_a_closed_connection_is_announced_and_made_anew(net, listen, how):
    """A clean close and an abort: gone, then connected again with all subscriptions."""
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Connected)
    net.control("/sockets", how)
    wait_for(socket, Disconnected)
    assert wait_for(socket, Connected).number == 2
    net.step(1)
    assert wait_for(socket, Frame).channel == "candle"


def test_silence_is_a_dead_connection(net, listen):
    """A half-open connection answers no ping; the watchdog ends it."""
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Connected)
    net.control("/sockets", {"do": "silence", "seconds": 3})
    assert "silent" in wait_for(socket, Disconnected).reason
    assert wait_for(socket, Connected).number == 2


def test_a_quiet_market_is_not_silence(listen):
    """Pongs keep a connection alive on which nothing happens."""
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Connected)
    time.sleep(2.2)
    assert socket.health().connected
    assert socket.health().connections == 1


def test_a_missing_acknowledgement_is_not_overlooked(net, listen):
    """Connected but deaf: the connection is dropped and made anew."""
    net.fault("ws_no_ack")
    socket = listen(candle("BTC", "15m"))
    assert "no acknowledgement" in wait_for(socket, Disconnected).reason
    assert wait_for(socket, Connected).number == 1


def test_a_refused_subscription_is_not_overlooked(net, listen):
    """An error frame in place of an acknowledgement ends the attempt and says why."""
    net.fault("ws_error_frame")
    socket = listen(candle("BTC", "15m"))
    assert "refuses a subscription" in wait_for(socket, Disconnected).reason
    wait_for(socket, Connected)


def test_an_exchange_that_is_away_is_tried_until_it_is_back(net, listen):
    """Refused connections are announced each, with growing waits, and end by themselves."""
    net.control("/server/refuse", {"seconds": 1.0})
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Disconnected)
    assert wait_for(socket, Connected, 15.0).number == 1


def test_a_slow_reader_is_told_of_a_gap_instead_of_losing_a_frame(net, listen):
    """More frames than may wait: what waits is dropped as a whole and announced."""
    socket = listen(
        Subscription("trades", coin="BTC"), Subscription("trades", coin="ETH"),
        options=replace(QUICK, queue_size=8),
    )  # fmt: skip
    time.sleep(0.5)
    net.step(8)
    lost = wait_for(socket, Disconnected)
    assert "too slow" in lost.reason
    assert wait_for(socket, Connected).number >= 2


def test_a_frame_that_drips_is_read_whole(net, listen):
    """Timeouts in the middle of a frame neither lose nor garble it."""
    net.fault("ws_drip", match={"channel": "candle"}, seconds=1.0)
    socket = listen(candle("BTC", "15m"))
    wait_for(socket, Connected)
    net.step(1)
    first, second = wait_for(socket, Frame), wait_for(socket, Frame)
    assert first.data["t"] <= second.data["t"]


# --- fills ----------------------------------------------------------------------------------------


def fills_of(socket, stream, patience_s=3.0):
    """Return all new fills that arrive within a while."""
    found = []
    deadline = time.monotonic() + patience_s
    while (left := deadline - time.monotonic()) > 0 and not found:
        try:
            message = socket.messages.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(message, Frame) and message.channel == "userFills":
            found += stream.frame(message.data)
    return found


def test_a_fill_is_told_once_whatever_is_sent(client, net, listen):
    """Doubled frames, snapshots after a reconnect and reads by REST bring each fill once."""
    stream = FillStream()
    socket = listen(*of_account(client.account))
    wait_for(socket, Connected)
    net.fault("ws_duplicate", match={"channel": "userFills"})
    client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry")
    assert len(fills_of(socket, stream)) == 1

    net.control("/sockets", {"do": "abort", "user": client.account})
    wait_for(socket, Disconnected)
    client.sender.place([client.market("BTC", buy=False, size="0.01")], "exit")
    wait_for(socket, Connected)
    missed = stream.take(client.rest.fills(client.account, stream.watermark))
    again = fills_of(socket, stream, 1.0)
    assert len(missed) + len(again) == 1
    assert len(stream) == 2


def test_a_snapshot_without_its_flag_is_taken_as_well(client, net, listen):
    """The flag is left out at times; fills are told apart by their numbers alone."""
    client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry")
    net.fault("ws_no_snapshot_flag", match={"channel": "userFills"})
    stream = FillStream()
    socket = listen(*of_account(client.account))
    assert len(fills_of(socket, stream)) == 1


def test_the_memory_of_fills_is_bounded():
    """Old ones are forgotten once they are behind the watermark; those are not new again."""
    row = {
        "coin": "BTC", "px": "1.0", "sz": "1.0", "side": "B", "startPosition": "0.0",
        "closedPnl": "0.0", "fee": "0.0", "feeToken": "USDC", "crossed": True, "oid": 1,
    }  # fmt: skip
    fills = [
        Fill.read(Node({**row, "time": 1000 + number, "tid": number}, "fill"))
        for number in range(50)
    ]
    stream = FillStream(remembered=10)
    assert stream.take(fills) == fills
    assert stream.take(fills) == []
    assert (len(stream), stream.watermark) == (10, 1049)
