"""Every fault on demand, seen through the official SDK or a bare WebSocket."""

from __future__ import annotations

import signal
import time

import pytest
import requests
from hyperliquid.utils.error import ClientError, ServerError
from hyperliquid.utils.types import Cloid
from localnet_kit import Socket, exchange_of, info_of, new_user, until

from ftbt.errors import InputError
from ftbt.localnet.faults import ACTION_TEXTS, KINDS

_SEEN: set[str] = set()


@pytest.fixture(scope="module")
def info(net):
    """Return the SDK's Info."""
    return info_of(net)


@pytest.fixture(scope="module")
def key(net):
    """Return an account of these tests."""
    return new_user(net, "faults", 100_000)


@pytest.fixture(scope="module")
def exchange(net, key):
    """Return the SDK's Exchange with a short patience."""
    return exchange_of(net, key, account_address=key.address)


@pytest.fixture(autouse=True)
def _struck(net):
    """Clear what waits, and remember what has struck."""
    net.control("/faults", method="DELETE")
    yield
    _SEEN.update(net.struck())


@pytest.fixture
def socket(net):
    """Return a connected client."""
    one = Socket(net)
    yield one
    one.close()


_number = iter(range(1000, 100_000))


def _rest(exchange, info, cloid=None):
    """Place an order that rests."""
    price = round(float(info.all_mids()["BTC"]) * 0.95)
    cloid = cloid or Cloid.from_int(next(_number))
    return exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Gtc"}}, cloid=cloid)


def _statuses(answer):
    return answer["response"]["data"]["statuses"]


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("rate_limited", ClientError, 429),
        ("server_error", ServerError, 500),
        ("bad_gateway", ServerError, 502),
        ("unprocessable", ClientError, 422),
    ],
)
def test_http_answers_that_are_errors(net, info, name, kind, status):
    """The next request is answered with that status, the one after it as ever."""
    net.fault(name, match={"type": "allMids"})
    with pytest.raises(kind) as refused:
        info.all_mids()
    assert refused.value.status_code == status
    assert info.all_mids()


def test_an_answer_that_is_no_json(net, info):
    """The SDK gives back an error object instead of raising."""
    net.fault("not_json", match={"type": "allMids"})
    assert info.all_mids()["error"].startswith("Could not parse JSON")


@pytest.mark.parametrize(
    ("name", "committed"),
    [
        ("hang", False),
        ("reset", False),
        ("commit_then_hang", True),
        ("commit_then_drop", True),
        ("commit_then_bad_gateway", True),
    ],
)
def test_lost_answers(net, info, key, name, committed):
    """The client knows nothing; whether the order exists depends on where it was lost."""
    impatient = exchange_of(net, key, timeout=0.7)
    cloid = Cloid.from_int(next(_number))
    net.fault(name, match={"path": "exchange", "cloid": cloid.to_raw()}, seconds=3)
    with pytest.raises((requests.exceptions.RequestException, ServerError)):
        _rest(impatient, info, cloid)
    found = info.query_order_by_cloid(key.address, cloid)
    assert found["status"] == ("order" if committed else "unknownOid")


def test_a_slow_answer(net, info):
    """It comes, late."""
    net.fault("slow", match={"type": "allMids"}, seconds=0.4)
    before = time.monotonic()
    assert info.all_mids()
    assert time.monotonic() - before > 0.4


def test_a_request_that_is_delivered_twice(net, info, exchange, key):
    """The second delivery dies on its nonce: there is one order."""
    cloid = Cloid.from_int(next(_number))
    net.fault("duplicate_delivery", match={"cloid": cloid.to_raw()})
    assert "resting" in _statuses(_rest(exchange, info, cloid))[0]
    mine = [o for o in info.open_orders(key.address) if o.get("cloid") == cloid.to_raw()]
    assert len(mine) == 1


def test_a_kept_connection_that_closes(net):
    """The connection that the client would reuse is gone after the answer."""
    own = info_of(net)
    net.fault("close_after", match={"type": "allMids"})
    assert own.all_mids()
    pool = own.session.get_adapter(net.url).poolmanager.connection_from_url(net.url)
    kept = pool._get_conn()
    until(lambda: not kept.is_connected or kept.sock is None or _is_over(kept.sock), 2)
    kept.close()


def _is_over(line):
    """Tell whether the other side has closed the connection."""
    line.settimeout(0.05)
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("name", ["partial_body", "wrong_length"])
def test_bodies_that_end_early(net, info, name):
    """The body is shorter than its length: the client cannot read it."""
    net.fault(name, match={"type": "meta"})
    with pytest.raises(requests.exceptions.RequestException):
        info.meta()


def test_connections_that_are_refused(net, info):
    """Nothing listens for a while, then everything is as before."""
    net.control("/server/refuse", {"seconds": 0.5})
    _SEEN.add("refuse")
    with pytest.raises(requests.exceptions.ConnectionError):
        info_of(net)
    until(lambda: _answers(info), 5)


def _answers(info):
    try:
        return info.all_mids()
    except requests.exceptions.ConnectionError:
        return None


# --- actions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ACTION_TEXTS))
def test_actions_that_are_refused_as_a_whole(net, exchange, name):
    """The answer is the venue's text, and nothing was carried out."""
    net.fault(name, match={"type": "updateLeverage"})
    assert exchange.update_leverage(3, "BTC") == {"status": "err", "response": ACTION_TEXTS[name]}


def test_errors_per_order_and_per_batch(net, info, exchange, key):
    """One error per order, a margin refusal, one error for a batch of two."""
    before = len(info.open_orders(key.address))
    two = [
        {
            "coin": "BTC", "is_buy": True, "sz": 0.01, "limit_px": 38_000.0 - n,
            "order_type": {"limit": {"tif": "Gtc"}}, "reduce_only": False,
        }
        for n in range(2)
    ]  # fmt: skip
    net.fault("order_error", text="Order price too far from oracle asset=0")
    assert (
        _statuses(exchange.bulk_orders(two))
        == [{"error": "Order price too far from oracle asset=0"}] * 2
    )
    net.fault("insufficient_margin")
    assert _statuses(exchange.bulk_orders(two))[0]["error"].startswith("Insufficient margin")
    net.fault("batch_error", text="Order has invalid price.")
    assert _statuses(exchange.bulk_orders(two)) == [{"error": "Order has invalid price."}]
    assert len(info.open_orders(key.address)) == before


def test_answers_with_other_statuses_than_orders(net, info, exchange):
    """Too few statuses, bare texts, and fields that nobody has heard of."""
    net.fault("fewer_statuses")
    assert _statuses(_rest(exchange, info)) == []
    net.fault("waiting_status")
    assert _statuses(_rest(exchange, info)) == ["waitingForFill"]
    net.fault("extra_fields", match={"type": "meta"})
    assert "unheardOf" in info.meta()["universe"][0]


def test_an_agent_that_is_revoked_while_it_runs(net, info, exchange, key):
    """From one action to the next the wallet does not exist."""
    from localnet_kit import named_key

    agent = named_key("revoked")
    net.control("/agent", {"user": key.address, "agent": agent.address})
    bot = exchange_of(net, agent)
    assert bot.update_leverage(3, "BTC")["status"] == "ok"
    assert net.control("/revoke", {"agent": agent.address}) == {"revoked": True}
    assert "does not exist" in bot.update_leverage(3, "BTC")["response"]


# --- state ----------------------------------------------------------------------------------------


def test_an_order_that_is_not_visible_yet(net, info, exchange, key):
    """OrderStatus knows nothing for a while, or never, of one order."""
    cloid = Cloid.from_int(next(_number))
    _rest(exchange, info, cloid)
    net.fault("unknown_oid", match={"key": cloid.to_raw()}, lasts=0.4)
    assert info.query_order_by_cloid(key.address, cloid) == {"status": "unknownOid"}
    until(lambda: info.query_order_by_cloid(key.address, cloid)["status"] == "order", 3)


def test_an_order_whose_size_is_stale(net, info, exchange, key):
    """OrderStatus shows the size that was asked for."""
    cloid = Cloid.from_int(next(_number))
    [status] = _statuses(_rest(exchange, info, cloid))
    net.control(
        "/orders/fill", {"user": key.address, "oid": status["resting"]["oid"], "size": 0.004}
    )
    exchange.cancel_by_cloid("BTC", cloid)
    found = info.query_order_by_cloid(key.address, cloid)["order"]
    assert found["order"]["sz"] == "0.006"
    net.fault("stale_size", match={"type": "orderStatus"})
    assert info.query_order_by_cloid(key.address, cloid)["order"]["order"]["sz"] == "0.01"


def test_a_record_that_is_evicted_while_its_fills_remain(net, info, exchange, key):
    """The order is unknown, its fills are still there."""
    answer = exchange.market_open("BTC", True, 0.01)
    oid = _statuses(answer)[0]["filled"]["oid"]
    assert net.control("/orders/evict", {"user": key.address, "oid": oid}) == {"evicted": True}
    assert info.query_order_by_oid(key.address, oid) == {"status": "unknownOid"}
    assert oid in [fill["oid"] for fill in info.user_fills(key.address)]


def test_somebody_else_trades_the_account(net, info, key):
    """A manual order and its fill appear without a client id."""
    body = {"user": key.address, "coin": "ETH", "is_buy": True, "price": 3000, "size": 1,
            "tif": "Ioc"}  # fmt: skip
    assert "filled" in net.control("/orders/place", body)["status"]
    assert "cloid" not in info.user_fills(key.address)[0]
    coins = [p["position"]["coin"] for p in info.user_state(key.address)["assetPositions"]]
    assert "ETH" in coins


@pytest.mark.parametrize(
    "status",
    ["marginCanceled", "selfTradeCanceled", "reduceOnlyCanceled", "delistedCanceled",
     "scheduledCancel", "liquidatedCanceled", "siblingFilledCanceled"],
)  # fmt: skip
def test_orders_that_the_venue_cancels(net, info, exchange, key, status):
    """A resting order ends with any status the venue has for it."""
    [placed] = _statuses(_rest(exchange, info))
    oid = placed["resting"]["oid"]
    net.control("/orders/cancel", {"user": key.address, "oid": oid, "status": status})
    assert info.query_order_by_oid(key.address, oid)["order"]["status"] == status


def test_a_fill_that_wins_against_the_cancel(net, info, exchange, key):
    """The order trades as the cancel arrives: the cancel is told that there is nothing."""
    [placed] = _statuses(_rest(exchange, info))
    oid = placed["resting"]["oid"]
    net.fault("fill_before_cancel", match={"oid": oid})
    [answer] = _statuses(exchange.cancel("BTC", oid))
    assert answer["error"].startswith("Order was never placed, already canceled, or filled.")
    assert info.query_order_by_oid(key.address, oid)["order"]["status"] == "filled"


def test_fills_in_small_parts(net, info, exchange, key):
    """Any number of partial fills, down to a remainder of one lot."""
    [placed] = _statuses(_rest(exchange, info))
    oid = placed["resting"]["oid"]
    for size in (0.003, 0.003, 0.00399):
        net.control("/orders/fill", {"user": key.address, "oid": oid, "size": size})
    [left] = [o for o in info.open_orders(key.address) if o["oid"] == oid]
    assert left["sz"] == "0.00001"
    assert len([f for f in info.user_fills(key.address) if f["oid"] == oid]) == 3


def test_liquidation_deleveraging_and_funding(net, info):
    """The venue itself trades and charges the account, with its own words."""
    victim = new_user(net, "victim", 5000)
    own = exchange_of(net, victim)
    own.market_open("ETH", True, 2.0)
    net.control("/position/deleverage", {"user": victim.address, "coin": "ETH", "size": 0.5})
    newest = info.user_fills(victim.address)[0]
    assert (newest["dir"], newest["sz"]) == ("Auto-Deleveraging", "0.5")
    net.control("/funding", {"coin": "ETH", "rate": 0.001})
    assert float(info.user_funding_history(victim.address, 0)[0]["delta"]["usdc"]) < 0
    net.control("/position/liquidate", {"user": victim.address, "coin": "ETH"})
    newest = info.user_fills(victim.address)[0]
    assert newest["liquidation"]["liquidatedUser"] == victim.address
    assert info.query_order_by_oid(victim.address, newest["oid"]) == {"status": "unknownOid"}
    assert net.state()["balanced"]


# --- WebSockets -----------------------------------------------------------------------------------


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


# --- market data ----------------------------------------------------------------------------------


def test_candles_that_are_missing_repeated_or_different(net, info, socket):
    """REST lacks a candle, differs in volume, has the forming one only; frames stop or repeat."""
    now = net.market_time()
    whole = info.candles_snapshot("BTC", "15m", 0, now)
    net.fault("candle_missing", match={"coin": "BTC"})
    gone = info.candles_snapshot("BTC", "15m", 0, now)
    assert [row for row in whole if row not in gone] == [whole[-2]]
    net.fault("candle_volume", match={"coin": "BTC"}, factor="1.5")
    other = info.candles_snapshot("BTC", "15m", 0, now)[-2]
    assert float(other["v"]) == pytest.approx(1.5 * float(whole[-2]["v"]))
    net.fault("candle_forming_only")
    assert info.candles_snapshot("BTC", "15m", 0, now) == whole[-1:]
    socket.subscribe("candle", coin="BTC", interval="15m")
    net.fault("candle_repeat", match={"channel": "candle"})
    net.step()
    socket.settle()
    frames = socket.of("candle")
    assert frames[0] == frames[1]
    net.fault("candle_silence", match={"channel": "candle"}, lasts=30)
    net.step()
    socket.settle()
    assert socket.of("candle") == frames


def test_books_and_mids_that_are_broken(net, info):
    """A mid is missing, the book is empty, crossed, one-sided, and then itself again."""
    net.fault("mids_missing", coin="ETH")
    assert set(info.all_mids()) == {"BTC"}
    net.control("/market/book", {"coin": "ETH", "bids": [], "asks": []})
    assert info.l2_snapshot("ETH")["levels"] == [[], []]
    net.control("/market/book", {"coin": "ETH", "bids": [[2000, 1]], "asks": []})
    assert info.meta_and_asset_ctxs()[1][1]["midPx"] is None
    net.control("/market/book", {"coin": "ETH", "bids": [[2010, 1]], "asks": [[2000, 1]]})
    bids, asks = info.l2_snapshot("ETH")["levels"]
    assert float(bids[0]["px"]) > float(asks[0]["px"])
    net.control("/market/book", {"coin": "ETH"})
    assert len(info.l2_snapshot("ETH")["levels"][0]) == 20


def test_jumps_and_halts(net, info, exchange, socket):
    """The price jumps beyond any bound; a coin stands still while the other goes on."""
    before = float(info.all_mids()["ETH"])
    bound = round(before * 1.05, 1)
    net.control("/market/price", {"coin": "ETH", "price": round(before * 1.2)})
    [refused] = _statuses(exchange.order("ETH", True, 1.0, bound, {"limit": {"tif": "Ioc"}}))
    assert refused["error"].startswith("Order could not immediately match")
    net.control("/market/halt", {"coin": "ETH", "halted": True})
    for coin in ("BTC", "ETH"):
        socket.subscribe("bbo", coin=coin)
    until(lambda: len(socket.of("bbo")) >= 2)
    net.step(2)
    net.control("/market/halt", {"coin": "ETH", "halted": False})
    socket.settle()
    assert len([f for f in socket.of("bbo") if f["data"]["coin"] == "ETH"]) == 1
    assert len([f for f in socket.of("bbo") if f["data"]["coin"] == "BTC"]) > 1


def test_a_universe_that_changes(net, info, exchange, key):
    """Lots change and a coin is delisted; its orders go and its number stays."""
    [placed] = _statuses(exchange.order("ETH", True, 1.0, 1500.0, {"limit": {"tif": "Gtc"}}))
    net.control("/market/asset", {"coin": "ETH", "sz_decimals": 3, "is_delisted": True})
    changed = info.meta()["universe"][1]
    assert (changed["szDecimals"], changed["isDelisted"]) == (3, True)
    found = info.query_order_by_oid(key.address, placed["resting"]["oid"])["order"]
    assert found["status"] == "delistedCanceled"
    net.control("/market/asset", {"coin": "ETH", "sz_decimals": 4, "is_delisted": False})


# --- processes ------------------------------------------------------------------------------------


def test_a_frozen_server_and_a_wrong_clock(net, info, exchange):
    """A stopped process answers nobody until it goes on; a clock that is off refuses nonces."""
    impatient = info_of(net, timeout=0.3)
    net.signal(signal.SIGSTOP)
    with pytest.raises(requests.exceptions.RequestException):
        impatient.all_mids()
    net.signal(signal.SIGCONT)
    assert info.all_mids()
    net.control("/clock", {"wall_offset_ms": -3 * 86_400_000})
    assert exchange.update_leverage(3, "BTC")["response"].startswith(
        "Invalid nonce: nonce too high"
    )
    net.control("/clock", {"wall_offset_ms": 0})
    assert exchange.update_leverage(3, "BTC")["status"] == "ok"


def test_unknown_faults_are_refused(net):
    """A name that does not exist is answered with the nearest that does."""
    with pytest.raises(InputError, match="did you mean 'rate_limited'"):
        net.fault("rate_limitd")


def test_every_fault_has_struck():
    """No kind of fault is without a test that shows it."""
    assert set(KINDS) - _SEEN == set()
