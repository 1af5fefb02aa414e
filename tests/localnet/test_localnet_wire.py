"""HTTP and signatures: what the venue reads, refuses, and recovers a signer from."""

from __future__ import annotations

import json
import time

import ccxt
import pytest
import requests
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action
from localnet_kit import named_key, new_user

from ftbt.localnet import actions, signing
from ftbt.localnet.wireform import Unreadable

# Signatures of the SDK's own published test vectors: key 0x0123..., nonce 0.
_VECTOR_KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
_ORDER = {
    "type": "order",
    "orders": [
        {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    ],
    "grouping": "na",
}


def _sign(action, nonce, key=_VECTOR_KEY, *, mainnet=False, vault=None, expires=None):
    return sign_l1_action(Account.from_key(key), action, vault, nonce, expires, mainnet)


def _recover(action, signature, nonce=0, source=signing.TESTNET, vault=None, expires=None):
    canonical = actions.L1[action["type"]](action)
    return signing.recover_l1(
        signing.action_hash(canonical, nonce, vault, expires), signature, source
    )


def test_published_signatures_recover_their_signer():
    """The vectors of the SDK's own tests are recovered on both networks."""
    address = Account.from_key(_VECTOR_KEY).address.lower()
    mainnet = {
        "r": "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e",
        "s": "0x2b54116ff64054968aa237c20ca9ff68000f977c93289157748a3162b6ea940e",
        "v": 28,
    }
    testnet = {
        "r": "0x82b2ba28e76b3d761093aaded1b1cdad4960b3af30212b343fb2e6cdfa4e3d54",
        "s": "0x6b53878fc99d26047f4d7e8c90eb98955a109f44209163f52d8dc4278cbbd9f5",
        "v": 27,
    }
    assert _recover(_ORDER, mainnet, source=signing.MAINNET) == address
    assert _recover(_ORDER, testnet) == address


@pytest.mark.parametrize("expires", [None, 1_700_000_000_000])
@pytest.mark.parametrize("vault", [None, "0x" + "ab" * 20])
def test_any_writing_of_an_action_recovers_the_same_signer(vault, expires):
    """Order of keys, padded decimals, upper-case client ids and unknown fields change nothing."""
    cloid = "0x" + "aB" * 16
    action = json.loads(json.dumps(_ORDER))
    action["orders"][0]["c"] = cloid.lower()
    action["orders"][0]["t"] = {"trigger": {"isMarket": True, "triggerPx": "99.5", "tpsl": "sl"}}
    signature = _sign(action, 7, vault=vault, expires=expires)
    other = {
        "grouping": "na",
        "orders": [
            {
                "c": cloid,
                "t": {"trigger": {"tpsl": "sl", "triggerPx": "99.50", "isMarket": True}},
                "r": False, "s": "100.000", "p": "0100.0", "b": True, "a": 1, "unknown": 1,
            }
        ],
        "type": "order",
    }  # fmt: skip
    found = _recover(other, signature, 7, vault=vault, expires=expires)
    assert found == Account.from_key(_VECTOR_KEY).address.lower()


def test_signatures_without_leading_zeros_are_read():
    """R and s are numbers: some have fewer digits than others."""
    address, short = Account.from_key(_VECTOR_KEY).address.lower(), 0
    for nonce in range(60):
        signature = _sign({"type": "noop"}, nonce)
        short += len(signature["r"]) < 66 or len(signature["s"]) < 66
        assert _recover({"type": "noop"}, signature, nonce) == address
    assert short


@pytest.mark.parametrize(
    "change",
    [
        {"p": 100}, {"p": "1e2"}, {"p": "-1"}, {"s": "0.000000001"}, {"a": "1"}, {"b": 1},
        {"t": {"limit": {"tif": "Day"}}}, {"c": "0x12"}, {"t": {}},
    ],
)  # fmt: skip
def test_orders_that_the_venue_does_not_read(change):
    """Numbers that are no decimal strings, wrong types and unknown words are unreadable."""
    action = json.loads(json.dumps(_ORDER))
    action["orders"][0].update(change)
    with pytest.raises(Unreadable):
        actions.L1["order"](action)


def test_flags_that_are_false_must_be_left_out():
    """F and a change the hash even when false, so the venue does not read them."""
    assert actions.L1["cancel"]({"type": "cancel", "cancels": [], "f": True})["f"] is True
    with pytest.raises(Unreadable):
        actions.L1["cancel"]({"type": "cancel", "cancels": [], "f": False})
    with pytest.raises(Unreadable):
        actions.L1["noop"]({"type": "noop", "more": 1})


def _post(net, path, data, kind="application/json"):
    return requests.post(net.url + path, data=data, headers={"Content-Type": kind}, timeout=10)


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "text"),
    [
        ("/info", "{", "application/json", 400, "Failed to parse the request body as JSON"),
        ("/info", '{"type":"nope"}', "application/json", 422,
         "Failed to deserialize the JSON body into the target type"),
        ("/info", '{"type":"l2Book"}', "application/json", 422,
         "Failed to deserialize the JSON body into the target type"),
        ("/info", '{"type":"meta","type":"meta"}', "application/json", 422,
         "Failed to deserialize the JSON body into the target type"),
        ("/exchange", '{"action":{"type":"noop"}}', "application/json", 422,
         "Failed to deserialize the JSON body into the target type"),
        ("/info", '{"type":"meta"}', "text/plain", 415,
         "Expected request with `Content-Type: application/json`"),
        ("/info", '{"type":"l2Book","coin":"BTC","nSigFigs":6}', "application/json", 500, "null"),
        ("/info", '{"type":"l2Book","coin":"NOPE"}', "application/json", 200, "null"),
    ],
)  # fmt: skip
def test_http_answers_of_the_venue(net, path, body, kind, status, text):
    """Status and text of each kind of bad request are the venue's."""
    answer = _post(net, path, body, kind)
    assert (answer.status_code, answer.text) == (status, text)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"type":"exchangeStatus"} and more', "application/json"),
        ('{"type":"exchangeStatus","unknown":1}', "application/json"),
        ('{"type":"exchangeStatus"}', "application/vnd.api+json"),
    ],
)
def test_what_the_venue_overlooks(net, body, kind):
    """Bytes after the first value, unknown fields and other JSON types are taken."""
    assert _post(net, "/info", body, kind).status_code == 200


def test_addresses_are_read_in_any_case(net):
    """With or without 0x, in any case; answers have them in lower case."""
    user = named_key("user").address
    for text in (user[2:], "0x" + user[2:].upper()):
        body = json.dumps({"type": "activeAssetData", "user": text, "coin": "BTC"})
        assert _post(net, "/info", body).json()["user"] == user
    body = json.dumps({"type": "userRole", "user": "0X" + user[2:]})
    assert _post(net, "/info", body).status_code == 422


def test_a_coarse_book_rounds_away_from_the_middle(net):
    """With two figures the levels are whole thousands, bids down and asks up."""
    body = json.dumps({"type": "l2Book", "coin": "BTC", "nSigFigs": 2})
    found = _post(net, "/info", body).json()
    assert all(float(level["px"]) % 1000 == 0 for side in found["levels"] for level in side)
    assert "spread" in found


def test_signers_that_are_not_known(net):
    """Strangers, garbage, and signatures for mainnet are refused as the venue does."""
    nonce, stranger = int(time.time() * 1000), named_key("stranger to all")

    def send(signature):
        body = {"action": {"type": "noop"}, "nonce": nonce, "signature": signature}
        return requests.post(net.url + "/exchange", json=body, timeout=10).json()

    unknown = send(_sign({"type": "noop"}, nonce, stranger.secret))
    assert unknown["response"] == f"User or API Wallet {stranger.address} does not exist."
    assert send({"r": "0x0", "s": "0x0", "v": 27})["response"] == "Unable to recover signer."
    mainnet = send(_sign({"type": "noop"}, nonce, named_key("user").secret, mainnet=True))
    assert mainnet["response"].endswith("does not exist.")
    assert send(_sign({"type": "noop"}, nonce, named_key("user").secret))["status"] == "ok"


# --- ccxt -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(net):
    """Return ccxt's client as its users make it: sandbox mode, then the URLs."""
    key = new_user(net, "ccxt")
    one = ccxt.hyperliquid({"walletAddress": key.address, "privateKey": key.secret})
    one.set_sandbox_mode(True)
    one.urls["api"] = {"public": net.url, "private": net.url}
    one.timeout = 10_000
    yield one
    one.session.close()


def test_ccxt_reads_the_market(net, client):
    """Markets, tickers, books, candles and funding parse."""
    markets = client.load_markets()
    assert markets["BTC/USDC:USDC"]["precision"]["amount"] == 1e-5
    book = client.fetch_order_book("BTC/USDC:USDC")
    assert book["bids"][0][0] < book["asks"][0][0]
    assert client.fetch_ticker("ETH/USDC:USDC")["last"]
    candles = client.fetch_ohlcv("BTC/USDC:USDC", "15m", since=0, limit=500)
    assert candles[1][0] - candles[0][0] == 900_000
    assert client.fetch_funding_rates(["BTC/USDC:USDC"])
    assert client.fetch_time()


def test_ccxt_trades(net, client):
    """Limit, market, stop and bracket orders, positions, fills and cancels through ccxt."""
    symbol = "BTC/USDC:USDC"
    assert client.fetch_balance()["USDC"]["total"] == 10_000
    client.set_leverage(5, symbol, {"marginMode": "cross"})
    price = client.fetch_ticker(symbol)["last"]
    resting = client.create_order(symbol, "limit", "buy", 0.01, round(price * 0.95))
    [listed] = client.fetch_open_orders(symbol)
    assert listed["id"] == resting["id"]
    edited = client.edit_order(
        resting["id"], symbol, "limit", "buy", 0.02, round(price * 0.94), {"timeInForce": "Gtc"}
    )
    assert client.fetch_order(edited["id"], symbol)["amount"] == 0.02
    client.cancel_order(edited["id"], symbol)
    assert client.fetch_order(edited["id"], symbol)["status"] == "canceled"
    market = client.create_order(symbol, "market", "buy", 0.02, price)
    assert market["filled"] == 0.02
    [position] = client.fetch_positions([symbol])
    assert position["contracts"] == 0.02
    stop = {"stopLossPrice": round(price * 0.9), "reduceOnly": True}
    client.create_order(symbol, "market", "sell", 0.02, round(price * 0.9), stop)
    assert client.fetch_open_orders(symbol)[0]["reduceOnly"]
    trades = client.fetch_my_trades(symbol)
    assert trades[-1]["fee"]["cost"] > 0
    client.create_order(symbol, "market", "sell", 0.02, price, {"reduceOnly": True})
    assert client.fetch_open_orders(symbol) == []
    assert net.state()["balanced"]
