"""Faults of market data: candles, books, prices and the list of coins."""

from __future__ import annotations

import pytest
from faults_kit import statuses
from localnet_kit import until

pytestmark = pytest.mark.usefixtures("each_fault_strikes")


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
    [refused] = statuses(exchange.order("ETH", True, 1.0, bound, {"limit": {"tif": "Ioc"}}))
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
    [placed] = statuses(exchange.order("ETH", True, 1.0, 1500.0, {"limit": {"tif": "Gtc"}}))
    net.control("/market/asset", {"coin": "ETH", "sz_decimals": 3, "is_delisted": True})
    changed = info.meta()["universe"][1]
    assert (changed["szDecimals"], changed["isDelisted"]) == (3, True)
    found = info.query_order_by_oid(key.address, placed["resting"]["oid"])["order"]
    assert found["status"] == "delistedCanceled"
    net.control("/market/asset", {"coin": "ETH", "sz_decimals": 4, "is_delisted": False})
