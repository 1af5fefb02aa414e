"""Faults of WebSockets: lines, acknowledgements and frames."""

from __future__ import annotations

import time

import pytest
from localnet_kit import Socket, until

pytestmark = pytest.mark.usefixtures("each_fault_strikes")


def test_lines_that_are_closed_and_cut(net, socket):
    """A clean close says Expired, a cut one nothing."""
    other = Socket(net)
    net.control("/sockets", {"do": "close", "code": 1000, "reason": "Expired"})
    assert until(lambda: socket.closed) == "1000 Expired"
    other.close()
    third = Socket(net)
    net.control("/sockets", {"do": "abort"})
    assert until(lambda: third.closed).startswith("cut")
    third.close()


def test_a_half_open_line(net, socket):
    """Nothing comes, not even a pong, and nobody says so."""
    socket.subscribe("allMids")
    socket.wait("allMids")
    net.control("/sockets", {"do": "silence", "seconds": 0.5})
    seen = len(socket.frames)
    socket.send({"method": "ping"})
    net.step()
    time.sleep(0.2)
    assert len(socket.frames) == seen
    assert socket.closed is None
    time.sleep(0.4)
    socket.send({"method": "ping"})
    socket.wait("pong")


def test_pongs_and_acknowledgements_that_stay_away(net, socket):
    """A pong comes late, a subscription is never answered, another gets an error frame."""
    net.fault("ws_delay_pong", seconds=0.3)
    before = time.monotonic()
    socket.send({"method": "ping"})
    socket.wait("pong")
    assert time.monotonic() - before > 0.3
    net.fault("ws_no_ack")
    socket.send({"method": "subscribe", "subscription": {"type": "allMids"}})
    net.fault("ws_error_frame", text="Cannot track more than 10 total users.", after=0)
    time.sleep(0.1)
    socket.send({"method": "subscribe", "subscription": {"type": "bbo", "coin": "BTC"}})
    assert socket.wait("error")[0]["data"].startswith("Cannot track more than")
    assert socket.of("subscriptionResponse") == []


def test_sockets_that_are_refused(net):
    """The next connections are refused, the one after them is not."""
    net.fault("ws_refuse", count=2)
    for _ in range(2):
        with pytest.raises(Exception, match="503"):
            Socket(net)
    one = Socket(net)
    one.close()


def test_frames_that_come_twice_late_or_never(net, info, exchange, key, socket):
    """Fills are duplicated, order updates dropped and delayed; the truth is in REST."""
    socket.subscribe("userFills", user=key.address)
    socket.subscribe("orderUpdates", user=key.address)
    net.fault("ws_duplicate", match={"channel": "userFills"})
    net.fault("ws_drop", match={"channel": "orderUpdates"})
    exchange.market_open("BTC", True, 0.01)
    frames = socket.wait("userFills", 3)
    assert frames[1] == frames[2]
    assert socket.of("orderUpdates") == []
    net.fault("ws_late", match={"channel": "userFills"}, seconds=0.4)
    before = time.monotonic()
    exchange.market_open("BTC", True, 0.01)
    socket.wait("userFills", 4)
    assert time.monotonic() - before > 0.4


def test_frames_out_of_order(net, exchange, key, socket):
    """The fill comes before the order was ever open."""
    socket.subscribe("orderUpdates", user=key.address)
    socket.subscribe("userFills", user=key.address)
    socket.wait("userFills")
    net.fault("ws_hold", match={"channel": "orderUpdates"})
    exchange.market_open("BTC", True, 0.01)
    socket.wait("orderUpdates")
    later = [f["channel"] for f in socket.frames if f["channel"] in ("orderUpdates", "userFills")]
    assert later[-2:] == ["userFills", "orderUpdates"]


def test_frames_that_nobody_expects(net, info, exchange, key, socket):
    """Unknown statuses and directions, coins never subscribed, huge and slow frames."""
    socket.subscribe("orderUpdates", user=key.address)
    socket.subscribe("userFills", user=key.address)
    socket.wait("userFills")
    net.fault("ws_unknown_status", match={"channel": "orderUpdates"})
    net.fault("ws_unknown_dir", match={"channel": "userFills"})
    exchange.market_open("BTC", True, 0.01)
    assert socket.wait("orderUpdates")[0]["data"][0]["status"] == "somethingNewCanceled"
    assert socket.wait("userFills", 2)[1]["data"]["fills"][0]["dir"] == "Something New"
    for channel in ("orderUpdates", "userFills"):
        net.fault("ws_foreign_coin", match={"channel": channel})
    exchange.market_open("BTC", True, 0.01)
    assert socket.wait("orderUpdates", 2)[1]["data"][0]["order"]["coin"] == "@107"
    assert socket.wait("userFills", 3)[2]["data"]["fills"][0]["coin"] == "@107"
    net.fault("ws_huge", match={"channel": "userFills"}, bytes=300_000)
    net.fault("ws_drip", match={"channel": "orderUpdates"}, seconds=0.3)
    before = time.monotonic()
    exchange.market_open("BTC", True, 0.01)
    assert len(socket.wait("userFills", 4)[3]["data"]["filler"]) == 300_000
    socket.wait("orderUpdates", 3)
    assert time.monotonic() - before > 0.3


def test_snapshots_that_are_large_or_unmarked(net, key, socket):
    """A snapshot of 2000 fills holds old and new ones; another does not say what it is."""
    net.fault("ws_big_snapshot", match={"channel": "userFills"})
    socket.subscribe("userFills", user=key.address)
    assert len(socket.wait("userFills")[0]["data"]["fills"]) == 2000
    net.fault("ws_no_snapshot_flag", match={"channel": "userFundings"})
    socket.subscribe("userFundings", user=key.address)
    assert "isSnapshot" not in socket.wait("userFundings")[0]["data"]
