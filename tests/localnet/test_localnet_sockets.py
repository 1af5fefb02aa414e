"""WebSockets: acknowledgements, snapshots, silences, errors, as measured on the venue."""

from __future__ import annotations

import time

import pytest
from localnet_kit import Socket, exchange_of, info_of, named_key, new_user, until


@pytest.fixture
def socket(net):
    """Return a connected client."""
    one = Socket(net)
    yield one
    one.close()


def test_a_pong_has_no_data(socket):
    """The answer to a ping is the bare channel."""
    socket.send({"method": "ping"})
    assert socket.wait("pong") == [{"channel": "pong"}]


def test_an_acknowledgement_is_normalised(socket):
    """The echo has the defaults, and the address in lower case."""
    user = named_key("user").address
    echo = socket.subscribe("userFills", user="0x" + user[2:].upper())["data"]
    assert echo == {
        "method": "subscribe",
        "subscription": {"type": "userFills", "user": user, "aggregateByTime": False},
    }
    echo = socket.subscribe("l2Book", coin="BTC")["data"]["subscription"]
    assert echo == {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}


@pytest.mark.parametrize(
    ("subscription", "channel"),
    [
        ({"type": "allMids"}, "allMids"),
        ({"type": "l2Book", "coin": "BTC"}, "l2Book"),
        ({"type": "bbo", "coin": "BTC"}, "bbo"),
        ({"type": "trades", "coin": "BTC"}, "trades"),
        ({"type": "activeAssetCtx", "coin": "BTC"}, "activeAssetCtx"),
        ({"type": "activeAssetData", "coin": "BTC", "user": "USER"}, "activeAssetData"),
        ({"type": "userFills", "user": "USER"}, "userFills"),
        ({"type": "userFundings", "user": "USER"}, "userFundings"),
        ({"type": "userNonFundingLedgerUpdates", "user": "USER"}, "userNonFundingLedgerUpdates"),
        ({"type": "clearinghouseState", "user": "USER"}, "clearinghouseState"),
        ({"type": "openOrders", "user": "USER"}, "openOrders"),
        ({"type": "spotState", "user": "USER"}, "spotState"),
        ({"type": "webData2", "user": "USER"}, "webData2"),
    ],
)
def test_channels_with_a_snapshot(socket, subscription, channel):
    """These channels send what there is at once, and again after each new subscription."""
    asked = {k: named_key("user").address if v == "USER" else v for k, v in subscription.items()}
    first = dict(asked)
    socket.subscribe(first.pop("type"), **first)
    socket.wait(channel)
    socket.send({"method": "unsubscribe", "subscription": asked})
    socket.send({"method": "subscribe", "subscription": asked})
    socket.wait(channel, 2)


def test_order_updates_events_and_candles_have_no_snapshot(net, socket):
    """Nothing comes on these channels before something happens."""
    key = new_user(net, "quiet")
    exchange_of(net, key).market_open("BTC", True, 0.01)
    for kind in ("orderUpdates", "userEvents"):
        socket.subscribe(kind, user=key.address)
    socket.subscribe("candle", coin="BTC", interval="15m")
    socket.subscribe("bbo", coin="ETH")
    socket.wait("bbo")
    assert not socket.of("orderUpdates") + socket.of("user") + socket.of("candle")


def test_an_order_that_trades_at_once_is_one_frame(net, socket):
    """Open and filled stand in one frame; the fill comes on both of its channels."""
    key = new_user(net, "frames")
    for kind in ("orderUpdates", "userEvents", "userFills"):
        socket.subscribe(kind, user=key.address)
    exchange_of(net, key).market_open("BTC", True, 0.01)
    [updates] = socket.wait("orderUpdates")
    assert [(one["status"], one["order"]["sz"]) for one in updates["data"]] == [
        ("open", "0.01"),
        ("filled", "0.0"),
    ]
    [event] = socket.wait("user")
    assert [fill["sz"] for fill in event["data"]["fills"]] == ["0.01"]
    snapshot, later = socket.wait("userFills", 2)
    assert snapshot["data"]["isSnapshot"] is True
    assert "isSnapshot" not in later["data"]


def test_a_cancelled_order_keeps_its_remainder(net, socket):
    """The last update of a cancelled order shows what was left, and when it was made."""
    key = new_user(net, "remainder")
    exchange, info = exchange_of(net, key), info_of(net)
    socket.subscribe("orderUpdates", user=key.address)
    price = round(float(info.all_mids()["BTC"]) * 0.97)
    answer = exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Gtc"}})
    oid = answer["response"]["data"]["statuses"][0]["resting"]["oid"]
    net.step()
    exchange.cancel("BTC", oid)
    last = socket.wait("orderUpdates", 2)[-1]["data"][0]
    assert (last["status"], last["order"]["sz"]) == ("canceled", "0.01")
    assert last["statusTimestamp"] > last["order"]["timestamp"]


def test_candles_come_with_trades_and_never_say_that_they_closed(net, socket):
    """Every frame is inside of its candle; the first of the next one is the only proof."""
    socket.subscribe("candle", coin="BTC", interval="15m")
    net.step(3)
    socket.settle()
    rows = [frame["data"] for frame in socket.of("candle")]
    by_open = {}
    for row in rows:
        by_open.setdefault(row["t"], []).append(row)
    assert all(row["T"] == row["t"] + 899_999 for row in rows)
    whole = list(by_open)[1]
    assert [row["n"] for row in by_open[whole]] == [1, 2, 3, 4]
    snapshot = info_of(net).candles_snapshot("BTC", "15m", whole, whole)
    assert snapshot == [by_open[whole][-1]]


def test_trades_are_replayed_on_each_subscription(net, socket):
    """At most thirty trades come at once, newest first."""
    net.step(12)
    socket.subscribe("trades", coin="ETH")
    [frame] = socket.wait("trades")
    times = [trade["time"] for trade in frame["data"]]
    assert len(times) == 30
    assert times == sorted(times, reverse=True)


def test_errors_leave_the_connection_open(socket):
    """An unknown type and a second subscription are told by an error frame."""
    socket.send({"method": "subscribe", "subscription": {"type": "nothing"}})
    assert "Error parsing JSON into valid websocket request" in socket.wait("error")[0]["data"]
    socket.subscribe("allMids")
    socket.send({"method": "subscribe", "subscription": {"type": "allMids"}})
    assert socket.wait("error", 2)[1]["data"] == 'Already subscribed: {"type":"allMids"}'
    socket.send({"method": "unsubscribe", "subscription": {"type": "bbo", "coin": "BTC"}})
    assert socket.wait("error", 3)[2]["data"].startswith("Already unsubscribed: ")
    assert socket.closed is None


def test_an_unknown_coin_cuts_the_connection(socket):
    """The venue says nothing and closes."""
    socket.send({"method": "subscribe", "subscription": {"type": "trades", "coin": "NOPE"}})
    assert until(lambda: socket.closed).startswith("cut")
    assert socket.frames == []


def test_requests_over_the_socket(net, socket):
    """Post carries info requests and signed actions, and names what failed."""
    request = {"type": "info", "payload": {"type": "l2Book", "coin": "ETH"}}
    socket.send({"method": "post", "id": 7, "request": request})
    [found] = socket.wait("post")
    assert found["data"]["id"] == 7
    payload = found["data"]["response"]["payload"]
    assert payload["type"] == "l2Book"
    assert payload["data"]["coin"] == "ETH"
    request = {"type": "info", "payload": {"type": "unheard of"}}
    socket.send({"method": "post", "id": 8, "request": request})
    failed = socket.wait("post", 2)[1]["data"]["response"]
    assert failed["type"] == "error"
    assert failed["payload"].startswith("422")


def test_funding_and_liquidation_are_told(net, socket):
    """Both come as events; funding also on its own channel."""
    key = new_user(net, "events", 500)
    exchange = exchange_of(net, key)
    exchange.update_leverage(20, "ETH")
    exchange.market_open("ETH", True, 2.0)
    socket.subscribe("userEvents", user=key.address)
    socket.subscribe("userFundings", user=key.address)
    net.control("/funding", {"coin": "ETH", "rate": 0.0001})
    assert socket.wait("user")[0]["data"]["funding"]["coin"] == "ETH"
    assert len(socket.wait("userFundings", 2)[1]["data"]["fundings"]) == 1
    net.control("/position/liquidate", {"user": key.address, "coin": "ETH"})
    kinds = until(
        lambda: (k := [next(iter(f["data"])) for f in socket.of("user")]) and len(k) > 2 and k
    )
    assert sorted(kinds) == ["fills", "funding", "liquidation"]


def test_the_sdks_own_socket_is_served(net):
    """Every channel that the SDK knows reaches its callback."""
    key = new_user(net, "sdk socket")
    info, got = info_of(net, socket=True), []
    try:
        for kind in ("allMids", "l2Book", "trades", "bbo", "candle", "activeAssetCtx"):
            asked = {"type": kind, "coin": "BTC", "interval": "15m"}
            wanted = {"allMids": ["type"], "candle": ["type", "coin", "interval"]}
            names = wanted.get(kind, ["type", "coin"])
            info.subscribe({name: asked[name] for name in names}, got.append)
        for kind in ("orderUpdates", "userEvents", "userFills", "userFundings", "webData2"):
            info.subscribe({"type": kind, "user": key.address}, got.append)
        until(lambda: {"allMids", "webData2"} <= {m["channel"] for m in got})
        exchange_of(net, key).market_open("BTC", True, 0.01)
        net.control("/funding", {"coin": "BTC", "rate": 0.0001})
        net.step()
        until(lambda: len({m["channel"] for m in got}) == 11)
    finally:
        info.disconnect_websocket()


def test_a_client_that_is_never_sent_anything_is_closed(net):
    """The venue closes a connection to which it has sent nothing for its idle time."""
    net.control("/limits", {"idle_seconds": 1})
    try:
        one = Socket(net)
        assert until(lambda: one.closed, 6).startswith("1000")
        one.close()
    finally:
        net.control("/limits", {"idle_seconds": 60})


def test_the_market_runs_at_its_speed(net):
    """At speed 900 a bar passes in a second; holding makes it stand at each open."""
    before = net.market_time()
    net.control("/clock", {"speed": 900, "paused": False})
    time.sleep(1.0)
    net.control("/clock", {"paused": True})
    passed = net.market_time() - before
    assert 0.5 * 900_000 < passed < 4 * 900_000
    net.control("/clock", {"speed": 100_000, "hold_ms": 60_000, "paused": False})
    time.sleep(0.5)
    held = net.market_time()
    net.control("/clock", {"paused": True, "hold_ms": 0})
    assert held % 900_000 == 0
