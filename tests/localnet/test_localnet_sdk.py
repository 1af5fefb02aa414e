"""The official SDK against a real server process."""

from __future__ import annotations

import time

import pytest
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.types import Cloid
from localnet_kit import START, exchange_of, info_of, new_user, until

from ftbt.localnet.process import named_key

FRAME_MS = 900_000


@pytest.fixture(scope="module")
def info(net):
    """Return the SDK's Info without a socket."""
    return info_of(net)


def _statuses(answer):
    assert answer["status"] == "ok", answer
    return answer["response"]["data"]["statuses"]


def _mid(info, coin="BTC"):
    return float(info.all_mids()[coin])


def test_what_a_client_reads_before_it_trades(net, info):
    """Universe, contexts, roles, fees and budgets have the shapes that the SDK reads."""
    key = named_key("user")
    assert [asset["name"] for asset in info.meta()["universe"]] == ["BTC", "ETH"]
    assert info.spot_meta()["tokens"][0]["name"] == "USDC"
    _, contexts = info.meta_and_asset_ctxs()
    assert set(contexts[0]) == {
        "funding",
        "openInterest",
        "prevDayPx",
        "dayNtlVlm",
        "premium",
        "oraclePx",
        "markPx",
        "midPx",
        "impactPxs",
        "dayBaseVlm",
    }
    assert info.perp_dexs() == [None]
    assert info.user_role(key.address) == {"role": "user"}
    assert info.user_role("0x" + "12" * 20) == {"role": "missing"}
    assert info.user_fees(key.address)["userCrossRate"] == "0.00045"
    assert info.user_rate_limit(key.address)["nRequestsCap"] == 10_000
    assert info.query_user_abstraction_state(key.address) == "default"
    assert info.extra_agents(key.address) == []
    status = info.post("/info", {"type": "exchangeStatus"})
    assert abs(status["time"] - time.time() * 1000) < 5000


def test_the_last_candle_is_the_forming_one(net, info):
    """Candles are aligned, overlap the span, and end with the one that has not closed."""
    net.step()
    now = net.market_time()
    rows = info.candles_snapshot("BTC", "15m", START, now)
    assert [row["t"] for row in rows] == list(range(START, now + 1, FRAME_MS))
    assert rows[-1]["T"] == now + FRAME_MS - 1
    assert rows[-1]["n"] == 1
    hours = info.candles_snapshot("BTC", "1h", now - 2 * FRAME_MS, now)
    assert all(row["t"] % 3_600_000 == 0 for row in hours)
    inside = info.candles_snapshot("BTC", "15m", rows[3]["t"] + 1, rows[5]["t"])
    assert [row["t"] for row in inside] == [rows[k]["t"] for k in (3, 4, 5)]


def test_an_order_from_placing_to_cancelling(net, info):
    """A post-only order rests, is listed, is found by number and client id, and is cancelled."""
    key = new_user(net, "resting")
    exchange, cloid = exchange_of(net, key), Cloid.from_int(1)
    price = round(_mid(info) * 0.97)
    answer = exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Alo"}}, cloid=cloid)
    [status] = _statuses(answer)
    oid = status["resting"]["oid"]
    assert status["resting"]["cloid"] == cloid.to_raw()
    [listed] = info.open_orders(key.address)
    assert (listed["oid"], listed["sz"], listed["cloid"]) == (oid, "0.01", cloid.to_raw())
    [shown] = info.frontend_open_orders(key.address)
    assert (shown["tif"], shown["orderType"], shown["triggerPx"]) == ("Alo", "Limit", "0.0")
    for found in (
        info.query_order_by_oid(key.address, oid),
        info.query_order_by_cloid(key.address, cloid),
    ):
        assert found["order"]["status"] == "open"
    assert info.query_order_by_oid(named_key("user").address, oid) == {"status": "unknownOid"}
    assert _statuses(exchange.cancel_by_cloid("BTC", cloid)) == ["success"]
    again = _statuses(exchange.cancel("BTC", oid))
    text = "Order was never placed, already canceled, or filled. asset=0"
    assert again == [{"error": text}]
    assert info.historical_orders(key.address)[0]["status"] == "canceled"


def test_a_position_from_opening_to_closing(net, info):
    """A market order opens, the state shows it, market_close closes it, the fills add up."""
    key = new_user(net, "round trip")
    exchange = exchange_of(net, key, account_address=key.address)
    assert exchange.update_leverage(7, "ETH", is_cross=False)["status"] == "ok"
    [opened] = _statuses(exchange.market_open("ETH", False, 0.5))
    assert opened["filled"]["totalSz"] == "0.5"
    [held] = info.user_state(key.address)["assetPositions"]
    assert held["position"]["szi"] == "-0.5"
    assert held["position"]["leverage"]["type"] == "isolated"
    assert exchange.update_isolated_margin(25.0, "ETH")["status"] == "ok"
    active = info.post("/info", {"type": "activeAssetData", "user": key.address, "coin": "ETH"})
    assert active["leverage"]["value"] == 7
    [closed] = _statuses(exchange.market_close("ETH"))
    assert closed["filled"]["totalSz"] == "0.5"
    assert info.user_state(key.address)["assetPositions"] == []
    newest = info.user_fills(key.address)
    assert [fill["dir"] for fill in newest] == ["Close Short", "Open Short"]
    by_time = info.user_fills_by_time(key.address, 0)
    assert [fill["tid"] for fill in by_time] == [fill["tid"] for fill in newest[::-1]]
    value = float(info.user_state(key.address)["marginSummary"]["accountValue"])
    profit = sum(float(f["closedPnl"]) - float(f["fee"]) for f in newest)
    assert value == pytest.approx(10_000 + profit, abs=1e-6)


def test_modify_is_a_new_order_that_only_rests(net, info):
    """A modified order has a new number; without always_place it must not execute."""
    key = new_user(net, "modify")
    exchange, price = exchange_of(net, key), round(_mid(info) * 0.97)
    [status] = _statuses(exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Gtc"}}))
    old = status["resting"]["oid"]
    lower = round(price * 0.99)
    answer = exchange.modify_order(old, "BTC", True, 0.02, lower, {"limit": {"tif": "Gtc"}})
    [status] = _statuses(answer)
    new = status["resting"]["oid"]
    assert new > old
    [shown] = info.frontend_open_orders(key.address)
    assert (shown["oid"], shown["tif"], shown["sz"]) == (new, "Alo", "0.02")
    far = round(_mid(info) * 1.03)
    [refused] = _statuses(
        exchange.modify_order(new, "BTC", True, 0.02, far, {"limit": {"tif": "Gtc"}})
    )
    assert refused["error"].startswith("Post only order would have immediately matched")


def test_agents_sign_for_their_master(net, info):
    """An approved wallet trades for the master until it is replaced; it cannot move money."""
    key = new_user(net, "master")
    master = exchange_of(net, key)
    answer, secret = master.approve_agent("bot")
    assert answer == {"status": "ok", "response": {"type": "default"}}
    from eth_account import Account

    from ftbt.localnet.process import Key

    agent = Key(Account.from_key(secret).address.lower(), secret)
    assert info.user_role(agent.address) == {"role": "agent", "data": {"user": key.address}}
    assert [a["name"] for a in info.extra_agents(key.address)] == ["bot"]
    bot = exchange_of(net, agent, account_address=key.address)
    _statuses(bot.market_open("BTC", True, 0.01))
    assert info.user_state(key.address)["assetPositions"]
    refused = bot.usd_class_transfer(1.0, False)
    assert refused["response"] == (f"Must deposit before performing actions. User: {agent.address}")
    master.approve_agent("bot")
    gone = bot.market_open("BTC", True, 0.01)
    assert gone == {
        "status": "err",
        "response": f"User or API Wallet {agent.address} does not exist.",
    }


def test_nonces_are_used_once(net):
    """A nonce is refused when it comes again, is too old, or lies too far ahead."""
    key = new_user(net, "nonces")
    exchange, now = exchange_of(net, key), int(time.time() * 1000)
    assert exchange.noop(now)["status"] == "ok"
    assert exchange.noop(now)["response"] == f"Invalid nonce: duplicate nonce {now}"
    old, ahead = now - 3 * 86_400_000, now + 2 * 86_400_000
    assert exchange.noop(old)["response"].startswith(f"Invalid nonce: nonce too low {old} <")
    assert exchange.noop(ahead)["response"].startswith(f"Invalid nonce: nonce too high {ahead} >")
    for number in range(1, 101):
        exchange.noop(now + number)
    low = exchange.noop(now - 5)["response"]
    assert low == f"Invalid nonce: nonce too low {now - 5} < {now + 1}"


def test_an_expired_action_is_refused_and_burns_its_nonce(net, info):
    """After expiresAfter nothing happens but that five requests are counted."""
    key = new_user(net, "expired")
    exchange = exchange_of(net, key)
    exchange.set_expires_after(int(time.time() * 1000) - 1)
    before = info.user_rate_limit(key.address)["nRequestsUsed"]
    assert exchange.update_leverage(3, "BTC")["response"] == "Action already expired"
    assert info.user_rate_limit(key.address)["nRequestsUsed"] == before + 5
    exchange.set_expires_after(int(time.time() * 1000) + 15_000)
    assert exchange.update_leverage(3, "BTC")["status"] == "ok"


def test_scheduled_cancel_needs_volume_and_then_fires(net, info):
    """It is gated by traded volume; once allowed, all orders go at their time."""
    key = new_user(net, "dead man")
    exchange = exchange_of(net, key)
    soon = int(time.time() * 1000) + 5200
    refused = exchange.schedule_cancel(soon)["response"]
    assert refused.startswith("Cannot set scheduled cancel time until enough volume traded.")
    net.control("/behaviour", {"scheduled_volume": 0})
    price = round(_mid(info) * 0.97)
    exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Gtc"}})
    assert exchange.schedule_cancel(int(time.time() * 1000) + 5100)["status"] == "ok"
    until(lambda: not info.open_orders(key.address), 15)
    assert info.historical_orders(key.address)[0]["status"] == "scheduledCancel"


def test_transfers_between_the_wallets(net, info):
    """USDC moves to the spot wallet and back, told by the ledger."""
    key = new_user(net, "wallets")
    exchange = exchange_of(net, key)
    assert exchange.usd_class_transfer(100.5, False)["status"] == "ok"
    assert info.spot_user_state(key.address)["balances"][0]["total"] == "100.5"
    assert exchange.usd_transfer(50.0, named_key("friend").address)["status"] == "ok"
    kinds = [u["delta"]["type"] for u in info.user_non_funding_ledger_updates(key.address, 0)]
    assert kinds == ["deposit", "accountClassTransfer", "internalTransfer"]
    assert net.state()["balanced"]


def test_sub_accounts_trade_under_their_own_address(net, info):
    """Orders with vaultAddress are the sub-account's; a stranger's vault is refused."""
    key = new_user(net, "parent")
    sub = exchange_of(net, key).create_sub_account("child")["response"]["data"]
    net.fund(sub, 1000)
    exchange = exchange_of(net, key, vault_address=sub)
    _statuses(exchange.market_open("BTC", True, 0.01))
    assert info.user_state(sub)["assetPositions"]
    assert not info.user_state(key.address)["assetPositions"]
    stranger = exchange_of(net, new_user(net, "stranger"), vault_address=sub)
    assert stranger.market_open("BTC", True, 0.01)["status"] == "err"


def test_a_builder_fee_must_be_approved(net, info):
    """Without approval the order is refused; with it the fee goes to the builder."""
    key, builder = new_user(net, "builder's client"), named_key("builder").address
    exchange = exchange_of(net, key)
    fee = {"b": builder, "f": 10}
    assert exchange.market_open("BTC", True, 0.01, builder=dict(fee))["response"] == (
        "Builder fee has not been approved."
    )
    exchange.approve_builder_fee(builder, "0.01%")
    _statuses(exchange.market_open("BTC", True, 0.01, builder=dict(fee)))
    [fill] = info.user_fills(key.address)
    assert float(fill["builderFee"]) == pytest.approx(
        float(fill["px"]) * float(fill["sz"]) * 1e-4, abs=1e-6
    )


def test_batches_above_the_weight_limit_are_refused(net, info):
    """More than 200 orders or cancels are one refusal."""
    exchange = exchange_of(net, new_user(net, "heavy"))
    many = [{"coin": "BTC", "oid": number} for number in range(201)]
    assert exchange.bulk_cancel(many)["response"] == "Signed action over weight limit of 200."


def _ask_often(info):
    for _ in range(100):
        info.user_role(named_key("user").address)


def test_the_ip_budget_runs_out(net):
    """Beyond 1200 a minute the answer is 429 with the body null, and it comes back with time."""
    own = info_of(net)
    net.control("/limits", {"ip": True})
    with pytest.raises(ClientError) as refused:
        _ask_often(own)
    assert (refused.value.status_code, refused.value.error_message) == (429, "null")
    net.step(2)
    assert own.user_role(named_key("user").address)["role"] == "user"
    net.control("/limits", {"ip": False})


def test_the_address_budget_runs_out(net, info):
    """Without budget one action passes in ten seconds, the others are refused by the venue."""
    key = new_user(net, "spent")
    exchange = exchange_of(net, key)
    net.control("/limits", {"address": True, "exhaust": key.address})
    refused = exchange.update_leverage(3, "BTC")["response"]
    net.control("/limits", {"address": False})
    assert refused.startswith("Too many cumulative requests sent (")
    assert "Place taker orders to free up 1 request per USDC traded." in refused
