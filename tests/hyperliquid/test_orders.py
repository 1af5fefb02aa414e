"""Orders and actions: what the venue would refuse for its form is refused here first."""

from __future__ import annotations

from decimal import Decimal

import pytest
from client_kit import agent_key
from hyperliquid.utils.signing import (
    action_hash,
    order_request_to_order_wire,
    order_wires_to_order_action,
    recover_agent_or_user_from_l1_action,
)
from hyperliquid.utils.types import Cloid

from ftbt.errors import InputError
from ftbt.hyperliquid.orders import (
    CloidMaker,
    Grouping,
    OrderRequest,
    Tif,
    Trigger,
    cancel_action,
    dead_man_action,
    leverage_action,
    order_action,
)
from ftbt.hyperliquid.records import Asset

ETH = Asset("ETH", 4, 4, 25, only_isolated=False, delisted=False)
ISOLATED = Asset("NEW", 9, 0, 3, only_isolated=True, delisted=False)
CLOID = CloidMaker("test").make("ETH", 1)


def order(price="2000.1", size="0.05", **more):
    """Return a buy of ETH."""
    return OrderRequest(ETH, True, Decimal(price), Decimal(size), more.pop("cloid", CLOID), **more)


@pytest.mark.parametrize("tif", list(Tif))
def test_a_limit_order_hashes_as_the_sdks(tif):
    """The same intent through the SDK gives the same bytes to sign."""
    request = {
        "coin": "ETH", "is_buy": True, "sz": 0.05, "limit_px": 2000.1,
        "order_type": {"limit": {"tif": tif.value}}, "reduce_only": False,
        "cloid": Cloid.from_str(CLOID),
    }  # fmt: skip
    theirs = order_wires_to_order_action([order_request_to_order_wire(request, 4)], None, "na")
    ours = order_action([order(tif=tif)], Grouping.NONE)
    assert list(ours["orders"][0]) == list(theirs["orders"][0])
    assert action_hash(ours, None, 7, 9) == action_hash(theirs, None, 7, 9)


def test_a_stop_hashes_as_the_sdks():
    """Triggers have their own order of keys."""
    kind = {"trigger": {"isMarket": True, "triggerPx": 1900.0, "tpsl": "sl"}}
    request = {
        "coin": "ETH", "is_buy": False, "sz": 0.05, "limit_px": 1800.0, "order_type": kind,
        "reduce_only": True, "cloid": Cloid.from_str(CLOID),
    }  # fmt: skip
    wires = [order_request_to_order_wire(request, 4)]
    theirs = order_wires_to_order_action(wires, None, "positionTpsl")
    stop = OrderRequest(
        ETH, False, Decimal("1800"), Decimal("0.05"), CLOID, reduce_only=True,
        trigger=Trigger(Decimal("1900"), stop=True),
    )  # fmt: skip
    ours = order_action([stop], Grouping.POSITION)
    assert action_hash(ours, None, 7, None) == action_hash(theirs, None, 7, None)


def test_a_signature_is_of_the_agent_and_not_valid_on_mainnet():
    """What is signed for a local exchange or testnet recovers another signer on mainnet."""
    key = agent_key("signer")
    action = order_action([order()], Grouping.NONE)
    signed = key.sign(action, 7, None, None, mainnet=False)
    recovered = [
        recover_agent_or_user_from_l1_action(action, signed, None, 7, None, mainnet).lower()
        for mainnet in (False, True)
    ]
    assert recovered[0] == key.address
    assert recovered[1] != key.address


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": "2000.15"}, "not on the tick"), ({"size": "0.00005"}, "multiple of"),
        ({"size": "0"}, "multiple of"), ({"size": "0.0049"}, r"the least is \$10"),
        ({"price": "-1"}, "not on the tick"), ({"cloid": "0x12"}, "32 lower-case hex"),
        ({"cloid": "0x" + "G" * 32}, "32 lower-case hex"),
        ({"trigger": Trigger(Decimal("1999.99"), stop=True)}, "not on the tick"),
    ],
)  # fmt: skip
def test_what_the_venue_would_refuse_for_its_form_is_not_sent(change, words):
    """Tick, lot, least value and client order id are checked before a nonce is spent."""
    with pytest.raises(InputError, match=words):
        order(**change)


def test_closing_orders_may_be_small():
    """The least value is for opening; a dust position can be closed, and a stop sized 0 is all."""
    assert order(size="0.0001", reduce_only=True).size == Decimal("0.0001")
    stop = Trigger(Decimal("1900"), stop=True)
    assert order(size="0", reduce_only=True, trigger=stop).wire()["s"] == "0"


def test_ids_follow_from_what_they_are_for():
    """The same intent has the same id after a restart, another intent or deployment another."""
    again = CloidMaker("test")
    assert again.make("ETH", 1) == CLOID
    ids = {again.make(coin, bar) for coin in ("BTC", "ETH") for bar in range(50)}
    ids |= {CloidMaker("other").make("ETH", 1)}
    assert len(ids) == 101


def test_a_deployment_knows_its_own_orders():
    """Orders of other deployments and by hand are not its own."""
    mine = CloidMaker("test")
    assert mine.owns(CLOID)
    assert not mine.owns(CloidMaker("other").make("ETH", 1))
    assert not mine.owns(None)


def test_an_action_has_1_to_200_orders_with_ids_of_their_own():
    """More is over the venue's weight limit, none is refused, doubles are a mistake."""
    many = [order(cloid=CloidMaker("m").make(number)) for number in range(201)]
    assert len(order_action(many[:200], Grouping.NONE)["orders"]) == 200
    for wrong in (many, []):
        with pytest.raises(InputError, match="1 to 200"):
            order_action(wrong, Grouping.NONE)
    with pytest.raises(InputError, match="same client order id"):
        order_action([many[0], many[0]], Grouping.NONE)
    with pytest.raises(InputError, match="1 to 200"):
        cancel_action([])


def test_leverage_is_what_the_venue_offers():
    """Beyond the highest, below 1, and cross margin where there is none are refused."""
    assert leverage_action(ETH, 25, cross=True)["leverage"] == 25
    for asset, leverage, cross in ((ETH, 26, True), (ETH, 0, True), (ISOLATED, 2, True)):
        with pytest.raises(InputError):
            leverage_action(asset, leverage, cross=cross)


def test_disarming_leaves_the_time_out():
    """The venue disarms when no time is given; null would be another action."""
    assert dead_man_action(None) == {"type": "scheduleCancel"}
    assert dead_man_action(5) == {"type": "scheduleCancel", "time": 5}
