"""Reads of a local exchange, and of answers that the venue has given others."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from client_kit import QUICK, agent_key, local_endpoint, make_client

from ftbt.data.retry import Retry
from ftbt.data.timeframe import DAY_MS
from ftbt.errors import ConfigError, ExchangeError, InputError, NetworkError, RateLimitError
from ftbt.hyperliquid.agents import check_agent
from ftbt.hyperliquid.answers import Node, Unreadable
from ftbt.hyperliquid.budget import Budget, Priority
from ftbt.hyperliquid.records import AccountState, Fill, OpenOrder, OrderReport, Row, Universe
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.transport import Timeouts, Transport

ONCE = Retry(attempts=1, base_s=0.0)


def impatient(client, **more):
    """Return reads that are tried once only."""
    return Rest(client.transport, replace(ONCE, **more), lambda _: None)


# --- what the exchange knows ----------------------------------------------------------------------


def test_a_flat_account_is_read(client):
    """Equity, no positions, no orders, no fills, rates, budget, leverage, kind."""
    rest, user = client.rest, client.account
    state = rest.account(user)

    assert state.value == Decimal(10_000)
    assert dict(state.positions) == {}
    assert rest.open_orders(user) == rest.fills(user, 0) == rest.recent_fills(user) == ()
    assert rest.fee_rates(user) == (Decimal("0.00045"), Decimal("0.00015"))
    assert rest.request_budget(user).allowed == 10_000
    assert rest.leverage(user, "BTC") == (20, True)
    equity = rest.equity(user, rest.account_mode(user), state)
    assert (equity.value, equity.free) == (Decimal(10_000), Decimal(10_000))


def test_a_position_with_its_stop_is_read(client):
    """Sizes and prices are decimals, the stop has its trigger, the fill its fee."""
    client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry")
    client.sender.place([client.stop("BTC", buy=False, trigger="30000", size="0.01")], "stop")
    held = client.rest.account(client.account).positions["BTC"]
    (stop,) = client.rest.open_orders(client.account)
    (fill,) = client.rest.fills(client.account, 0)

    assert held.size == Decimal("0.01")
    assert held.entry == fill.price
    assert (stop.trigger, stop.reduce_only, stop.is_buy) == (Decimal(30_000), True, False)
    assert client.cloids.owns(stop.cloid)
    assert fill.taker
    assert fill.fee > 0


def test_coins_are_checked_against_the_exchange(client):
    """A mistyped coin is named with the nearest, before anything is sent."""
    with pytest.raises(InputError, match="did you mean 'BTC'"):
        client.universe.tradable("BTCC")


def test_candles_are_read_with_the_forming_one(client):
    """Rows are consecutive, the same numbers that research reads."""
    now = client.net.market_time()
    rows = client.rest.candles("BTC", "15m", now - 10 * 900_000, now)
    assert {b.opened - a.opened for a, b in pairwise(rows)} == {900_000}


# --- agents ---------------------------------------------------------------------------------------


def test_an_approved_agent_passes_and_its_end_is_known(client):
    """The approval names the account; an end within a week is warned of."""
    now = client.rest.server_time()
    assert client.approval.account == client.account
    assert client.approval.vault is None
    assert client.approval.name == "ftbt"
    ending = replace(client.approval, valid_until=now + 2 * DAY_MS)
    assert "renew" in (ending.warning(now) or "")
    assert replace(ending, valid_until=now + 30 * DAY_MS).warning(now) is None


def check(client, key, account):
    """Check *key* for *account* at the exchange's time."""
    return check_agent(client.rest, key, account, client.rest.server_time())


def test_the_masters_key_is_refused(client):
    """Its own account, and any other: a key that can withdraw has no place here."""
    master = agent_key("test_the_masters_key_is_refused")
    assert master.address == client.account
    with pytest.raises(ConfigError, match="can withdraw everything"):
        check(client, master, client.account)
    other = agent_key("user")
    with pytest.raises(ConfigError, match="not of an API wallet"):
        check(client, other, client.account)


def test_an_agent_given_as_the_account_is_explained(client):
    """Queries for an agent's address would only ever show an empty account."""
    with pytest.raises(ConfigError, match=f"trades for, {client.account}"):
        check(client, agent_key("x"), client.key.address)


def test_an_agent_of_nobody_or_somebody_else_is_refused(client, new_client):
    """Approval is for one account."""
    with pytest.raises(ConfigError, match="is not approved for"):
        check(client, agent_key("nobody"), client.account)
    other = new_client(" other")
    with pytest.raises(ConfigError, match=f"approved for {other.account}, not for"):
        check(client, other.key, client.account)


def test_an_account_that_is_not_there_is_named(client):
    """A mistyped address or the wrong network."""
    with pytest.raises(ConfigError, match="does not know"):
        check(client, client.key, "0x" + "12" * 20)


def test_an_approval_that_ends_soon_is_refused(client):
    """An hour before its end a session is not begun any more."""
    until = client.rest.server_time() + 60_000
    key = agent_key("short")
    body = {"user": client.account, "agent": key.address, "name": f"short valid_until {until}"}
    client.net.control("/agent", body)
    with pytest.raises(ConfigError, match="approve a new API wallet"):
        check(client, key, client.account)


def test_a_sub_account_is_traded_by_its_masters_agent(client):
    """Actions then name the sub-account, questions are asked for it."""
    sub = "0x" + "5b" * 20
    client.net.control("/sub-account", {"user": client.account, "sub": sub, "usd": 500})
    approval = check(client, client.key, sub)
    assert (approval.account, approval.vault) == (sub, sub)
    assert client.rest.account(sub).value == 500


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["server_error", "bad_gateway", "not_json", "reset", "partial_body", "wrong_length"]
)
def test_a_failed_read_is_asked_again(client, net, fault):
    """Twice failed, the third answer counts."""
    net.fault(fault, match={"type": "clearinghouseState"}, count=2)
    assert Rest(client.transport, Retry(attempts=3, base_s=0.01)).account(client.account).value > 0


@pytest.mark.parametrize("fault", ["server_error", "bad_gateway", "not_json", "hang", "reset"])
def test_a_read_that_keeps_failing_is_an_error_not_an_empty_answer(client, net, fault):
    """An outage must never look like a flat account."""
    net.fault(fault, match={"type": "clearinghouseState"}, count=1)
    with pytest.raises(NetworkError):
        impatient(client).account(client.account)


def test_a_server_that_never_answers_is_given_up(client, net):
    """Every request has a timeout."""
    net.fault("hang", match={"type": "meta"})
    began = time.monotonic()
    with pytest.raises(NetworkError, match="no answer in time"):
        impatient(client).universe()
    assert time.monotonic() - began < QUICK.read + 3


def test_a_refused_question_is_not_asked_again(client, net):
    """HTTP 422 says that the question is wrong; a second one would be as wrong."""
    net.fault("unprocessable", match={"type": "clearinghouseState"})
    with pytest.raises(ExchangeError, match="HTTP 422"):
        client.rest.account(client.account)
    assert net.struck()[-1] == "unprocessable"


def test_a_rate_limit_closes_the_budget(client, net):
    """After HTTP 429 reads wait; the figure is shown."""
    net.fault("rate_limited", match={"type": "clearinghouseState"})
    with pytest.raises(RateLimitError):
        impatient(client).account(client.account)
    assert client.transport.budget.spent().limited == 1
    with pytest.raises(RateLimitError):
        client.transport.budget.take(2, Priority.READ, 1.0)


def test_no_server_is_no_connection():
    """Nothing listens: the error says so and names the network."""
    nobody = Transport(local_endpoint("http://127.0.0.1:9"), Budget(), Timeouts(0.5, 0.5, 1.0))
    with pytest.raises(NetworkError, match="localnet /info: no connection"):
        Rest(nobody, ONCE).universe()
    nobody.close()


def test_extra_fields_do_not_matter(client, net):
    """The venue adds fields now and then."""
    net.fault("extra_fields", count=3)
    assert client.rest.account(client.account).value == 10_000
    assert len(client.rest.universe()) == 2


# --- answers of the venue, from its documentation and published captures --------------------------


def test_the_documented_forms_are_read():
    """Fills with a foreign coin, a builder fee and a token with a space; an unknown order."""
    row = {
        "coin": "xyz:XYZ100", "px": "25372.0", "sz": "0.0353", "side": "B",
        "time": 1767651180109, "startPosition": "0.7045", "dir": "Open Long",
        "closedPnl": "0.0", "hash": "0xa1", "oid": 287286372177, "crossed": False,
        "fee": "0.026868", "tid": 164087028129848, "feeToken": " USDC",
    }  # fmt: skip
    fill = Fill.read(Node(row, "userFills"))
    assert (fill.fee_token, fill.cloid, fill.liquidation) == ("USDC", None, False)
    assert fill.key == (1767651180109, "xyz:XYZ100", 164087028129848)
    meta = {"universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 50},
        {"name": "OLD", "szDecimals": 1, "maxLeverage": 3, "isDelisted": True},
        {"name": "ISO", "szDecimals": 0, "maxLeverage": 3, "onlyIsolated": True},
    ]}  # fmt: skip
    universe = Universe.read(Node(meta, "meta"))
    assert universe["ISO"].index == 2
    assert universe["ISO"].only_isolated
    with pytest.raises(InputError, match="delisted"):
        universe.tradable("OLD")


def test_an_order_report_keeps_what_is_left_after_a_cancel():
    """The size after a cancel is the unfilled rest, not zero."""
    order = {"coin": "BTC", "side": "A", "limitPx": "30000.0", "sz": "0.3", "oid": 5,
             "timestamp": 1, "origSz": "1.0", "cloid": "0x" + "A" * 32}  # fmt: skip
    report = OrderReport.read(
        Node({"order": order, "status": "marginCanceled", "statusTimestamp": 9}, "orderUpdates")
    )
    assert (report.size, report.asked, report.state) == (Decimal("0.3"), 1, "canceled")
    assert report.cloid == "0x" + "a" * 32


def test_a_trigger_order_has_its_price_and_a_plain_one_none():
    """`triggerPx` is 0.0 for orders without one."""
    row = {
        "children": [], "coin": "INJ", "isPositionTpsl": False, "isTrigger": True,
        "limitPx": "9.2037", "oid": 3184595907, "orderType": "Take Profit Market",
        "origSz": "12.5", "reduceOnly": True, "side": "A", "sz": "12.5", "tif": None,
        "timestamp": 1700125260000, "triggerCondition": "Price above 16", "triggerPx": "16.0",
    }  # fmt: skip
    assert OpenOrder.read(Node(row, "order")).trigger == 16
    plain = OpenOrder.read(Node({**row, "isTrigger": False, "triggerPx": "0.0"}, "order"))
    assert plain.trigger is None


def test_impossible_candles_are_refused():
    """A low above the close, a negative price: nothing is built on them."""
    row = {"T": 1681924499999, "c": "29258.0", "h": "29309.0", "i": "15m", "l": "29250.0",
           "n": 189, "o": "29295.0", "s": "BTC", "t": 1681923600000, "v": "0.98639"}  # fmt: skip
    assert Row.read(Node(row, "candle")).close == 29258.0
    for wrong in ({"l": "29260.0"}, {"h": "29290.0"}, {"l": "-1.0"}, {"v": "-1.0"}, {"c": 29258}):
        with pytest.raises(Unreadable):
            Row.read(Node({**row, **wrong}, "candle"))


def test_a_state_without_a_part_is_no_state():
    """A missing list of positions is an error, not a flat account."""
    state = {"marginSummary": {"accountValue": "1.0", "totalMarginUsed": "0.0"},
             "withdrawable": "1.0", "assetPositions": [], "time": 1}  # fmt: skip
    assert AccountState.read(Node(state, "state")).value == 1
    for name in state:
        with pytest.raises(Unreadable, match=name):
            AccountState.read(Node({k: v for k, v in state.items() if k != name}, "state"))


def test_each_thread_has_its_own_connection(net, tmp_path):
    """A request that hangs in one thread does not hold up another."""
    client = make_client(net, tmp_path, "threads")
    net.fault("hang", match={"type": "meta"}, seconds=2.0)
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(impatient(client).universe)
        time.sleep(0.1)
        began = time.monotonic()
        assert pool.submit(client.rest.account, client.account).result().value > 0
        assert time.monotonic() - began < QUICK.read
        with pytest.raises(NetworkError):
            stuck.result()
    client.journal.close()
    client.transport.close()
