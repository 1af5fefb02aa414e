"""Faults of actions and of what becomes of orders, seen through the official SDK."""

from __future__ import annotations

import pytest
from faults_kit import CLOIDS, resting, statuses
from hyperliquid.utils.types import Cloid
from localnet_kit import exchange_of, named_key, new_user, until

from ftbt.localnet.faults import ACTION_TEXTS

pytestmark = pytest.mark.usefixtures("each_fault_strikes")


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
        statuses(exchange.bulk_orders(two))
        == [{"error": "Order price too far from oracle asset=0"}] * 2
    )
    net.fault("insufficient_margin")
    assert statuses(exchange.bulk_orders(two))[0]["error"].startswith("Insufficient margin")
    net.fault("batch_error", text="Order has invalid price.")
    assert statuses(exchange.bulk_orders(two)) == [{"error": "Order has invalid price."}]
    assert len(info.open_orders(key.address)) == before


def test_answers_with_other_statuses_than_orders(net, info, exchange):
    """Too few statuses, bare texts, and fields that nobody has heard of."""
    net.fault("fewer_statuses")
    assert statuses(resting(exchange, info)) == []
    net.fault("waiting_status")
    assert statuses(resting(exchange, info)) == ["waitingForFill"]
    net.fault("extra_fields", match={"type": "meta"})
    assert "unheardOf" in info.meta()["universe"][0]


def test_an_agent_that_is_revoked_while_it_runs(net, info, exchange, key):
    """From one action to the next the wallet does not exist."""
    agent = named_key("revoked")
    net.control("/agent", {"user": key.address, "agent": agent.address})
    bot = exchange_of(net, agent)
    assert bot.update_leverage(3, "BTC")["status"] == "ok"
    assert net.control("/revoke", {"agent": agent.address}) == {"revoked": True}
    assert "does not exist" in bot.update_leverage(3, "BTC")["response"]


def test_an_order_that_is_not_visible_yet(net, info, exchange, key):
    """OrderStatus knows nothing for a while, or never, of one order."""
    cloid = Cloid.from_int(next(CLOIDS))
    resting(exchange, info, cloid)
    net.fault("unknown_oid", match={"key": cloid.to_raw()}, lasts=0.4)
    assert info.query_order_by_cloid(key.address, cloid) == {"status": "unknownOid"}
    until(lambda: info.query_order_by_cloid(key.address, cloid)["status"] == "order", 3)


def test_an_order_whose_size_is_stale(net, info, exchange, key):
    """OrderStatus shows the size that was asked for."""
    cloid = Cloid.from_int(next(CLOIDS))
    [status] = statuses(resting(exchange, info, cloid))
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
    oid = statuses(answer)[0]["filled"]["oid"]
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
    [placed] = statuses(resting(exchange, info))
    oid = placed["resting"]["oid"]
    net.control("/orders/cancel", {"user": key.address, "oid": oid, "status": status})
    assert info.query_order_by_oid(key.address, oid)["order"]["status"] == status


def test_a_fill_that_wins_against_the_cancel(net, info, exchange, key):
    """The order trades as the cancel arrives: the cancel is told that there is nothing."""
    [placed] = statuses(resting(exchange, info))
    oid = placed["resting"]["oid"]
    net.fault("fill_before_cancel", match={"oid": oid})
    [answer] = statuses(exchange.cancel("BTC", oid))
    assert answer["error"].startswith("Order was never placed, already canceled, or filled.")
    assert info.query_order_by_oid(key.address, oid)["order"]["status"] == "filled"


def test_fills_in_small_parts(net, info, exchange, key):
    """Any number of partial fills, down to a remainder of one lot."""
    [placed] = statuses(resting(exchange, info))
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
