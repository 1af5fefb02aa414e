"""What each admitted action does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ftbt.data.timeframe import DAY_MS
from ftbt.localnet import actions, rules
from ftbt.localnet.host import Host
from ftbt.localnet.numbers import MICRO, micro
from ftbt.localnet.orders import Order, Request
from ftbt.localnet.placing import Status

Action = dict[str, Any]
Answer = dict[str, Any]

_SOONEST_CANCEL_MS = 5_000
_FIRINGS_A_DAY = 10
_BUILDER_FEE_UNIT = 1000  # tenths of a basis point in one per cent
_MAX_BUILDER_FEE = 100
_WITHDRAW_FEE = Decimal(1)
_ABSTRACTIONS = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The action is refused as a whole, with this text."""


def _ok(kind: str, statuses: list[Any]) -> Answer:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}


def _done() -> Answer:
    return {"status": "ok", "response": {"type": "default"}}


def _settle(refusal: str | None) -> Answer:
    if refusal is not None:
        raise Refused(refusal)
    return _done()


def _coin(host: Host, asset: int) -> str:
    assets = host.venue.core.assets
    if asset >= len(assets):
        raise Refused(f"Invalid perp asset: {asset}")
    return assets[asset].coin


# --- orders ---------------------------------------------------------------------------------------


def _builder(host: Host, user: str, action: Action) -> tuple[str, int] | None:
    builder = action.get("builder")
    if builder is None:
        return None
    allowed = host.identity.builder_fees.get((user, builder["b"]))
    if allowed is None or builder["f"] > allowed:
        raise Refused("Builder fee has not been approved.")
    return builder["b"], builder["f"]


def _order(host: Host, user: str, action: Action) -> Answer:
    if not action["orders"]:
        raise Refused("Orders are empty.")
    builder = _builder(host, user, action)
    requests = [actions.to_request(one, _coin(host, one["a"]), builder) for one in action["orders"]]
    grouping = action["grouping"] if isinstance(action["grouping"], str) else "na"
    return _ok("order", host.venue.placing.place(user, requests, grouping))


def _cancel(host: Host, user: str, action: Action) -> Answer:
    pairs = [
        (one["a"], one["o"]) if "a" in one else (one["asset"], one["cloid"])
        for one in action["cancels"]
    ]
    statuses: list[Any] = []
    for asset, key in pairs:
        coin = _coin(host, asset)
        order = host.venue.find_live(user, key)
        if order is not None and action.get("f") and order.is_trigger:
            statuses.append({"error": f"Cannot fast cancel a trigger order. asset={asset}"})
            continue
        _fill_first(host, order)
        if host.venue.cancel(user, coin, key):
            statuses.append("success")
        else:
            statuses.append({"error": f"{rules.MISSING_ORDER} asset={asset}"})
    return _ok("cancel", statuses)


def _fill_first(host: Host, order: Order | None) -> None:
    """Let an order that is about to be cancelled fill before, when that fault is asked for."""
    if order is None or not order.rests:
        return
    fault = host.faults.take("cancel", user=order.user, oid=order.oid, coin=order.coin)
    if fault is not None:
        size = Decimal(str(fault.detail.get("size", order.size)))
        host.venue.fill_by_market(order, min(size, order.size))


def _modify_one(host: Host, user: str, change: Action, *, always: bool) -> Status:
    order = change["order"]
    request = actions.to_request(order, _coin(host, order["a"]), None)
    old = host.venue.find_live(user, change["oid"])
    if old is None:
        return {"error": f"{rules.NO_MODIFY} asset={order['a']}"}
    if not always:
        refusal = _modifiable(request)
        if refusal is not None:
            return {"error": f"{refusal} asset={order['a']}"}
        request = _post_only(request)
    host.venue.groups.cancel(old, "canceled")
    return host.venue.placing.submit(user, request, always=always)[0]


def _modifiable(request: Request) -> str | None:
    if request.trigger is not None or request.tif not in ("Gtc", "Alo"):
        return "Cannot modify to a trigger or IOC order without always_place"
    return None


def _post_only(request: Request) -> Request:
    """Return the replacement of a modification: without always_place GTC becomes ALO."""
    return Request(
        request.coin, request.is_buy, request.price, request.size, request.reduce_only, "Alo",
        None, request.cloid, request.builder,
    )  # fmt: skip


def _modify(host: Host, user: str, action: Action) -> Answer:
    status = _modify_one(host, user, action, always=bool(action.get("a")))
    if isinstance(status, dict) and "error" in status:
        raise Refused(str(status["error"]))
    return _done()


def _batch_modify(host: Host, user: str, action: Action) -> Answer:
    always = bool(action.get("a"))
    return _ok("order", [_modify_one(host, user, one, always=always) for one in action["modifies"]])


def _schedule_cancel(host: Host, user: str, action: Action) -> Answer:
    account, now = host.venue.core.account(user), host.wall.now()
    required = host.venue.core.behaviour.scheduled_volume
    if account.volume < required:
        raise Refused(
            "Cannot set scheduled cancel time until enough volume traded."
            f" Required: ${required:.0f}. Traded: ${account.volume:.2f}."
        )
    time = action.get("time")
    if time is None:
        host.scheduled.pop(user, None)
        return _done()
    if time < now + _SOONEST_CANCEL_MS:
        raise Refused("Scheduled cancel time must be at least 5 seconds in the future.")
    if host.fired.get((user, now // DAY_MS), 0) >= _FIRINGS_A_DAY:
        raise Refused("Too many scheduled cancels triggered today.")
    host.scheduled[user] = time
    return _done()


# --- margin and money -----------------------------------------------------------------------------


def _leverage(host: Host, user: str, action: Action) -> Answer:
    coin = _coin(host, action["asset"])
    return _settle(
        host.venue.set_leverage(user, coin, is_cross=action["isCross"], leverage=action["leverage"])
    )


def _isolated_margin(host: Host, user: str, action: Action) -> Answer:
    coin = _coin(host, action["asset"])
    return _settle(host.venue.move_margin(user, coin, action["ntli"] * MICRO))


def _top_up(host: Host, user: str, action: Action) -> Answer:
    core = host.venue.core
    coin, leverage = _coin(host, action["asset"]), Decimal(action["leverage"])
    held = core.account(user).positions.get(coin)
    if leverage <= 0:
        raise Refused("Invalid leverage value")
    if held is None:
        raise Refused("Cannot update margin for empty position.")
    needed = abs(held.size) * core.marks[coin] / leverage - core.margin.used(held)
    return _settle(host.venue.move_margin(user, coin, micro(needed)))


def _amount(text: str) -> Decimal:
    try:
        value = micro(Decimal(text))
    except ArithmeticError:
        raise Refused("Invalid amount.") from None
    if not value > 0:
        raise Refused("Invalid amount.")
    return value


def _class_transfer(host: Host, user: str, action: Action) -> Answer:
    amount, _, sub = action["amount"].partition(" subaccount:")
    if sub:
        owner = host.identity.acts_for(user, sub.lower())
        if owner is None:
            raise Refused(f"Vault not registered: {sub}")
        user = owner
    if host.venue.core.account(user).abstraction == "unifiedAccount":
        raise Refused("Action disabled when unified account is active")
    return _settle(host.venue.transfer(user, _amount(amount), to_perp=action["toPerp"]))


def _send(host: Host, user: str, action: Action) -> Answer:
    to = action["destination"].lower()
    refusal = host.venue.send(user, to, _amount(action["amount"]))
    if refusal is None:
        host.identity.users.add(to)
    return _settle(refusal)


def _withdraw(host: Host, user: str, action: Action) -> Answer:
    amount = _amount(action["amount"])
    return _settle(host.venue.withdraw(user, amount, _WITHDRAW_FEE, action["time"]))


# --- users ----------------------------------------------------------------------------------------


def _approve_agent(host: Host, user: str, action: Action) -> Answer:
    name = action.get("agentName", "")
    return _settle(host.identity.approve(user, action["agentAddress"], name, host.wall.now()))


def _approve_builder(host: Host, user: str, action: Action) -> Answer:
    rate = action["maxFeeRate"]
    try:
        units = Decimal(rate.removesuffix("%")) * _BUILDER_FEE_UNIT
    except ArithmeticError:
        raise Refused("Invalid builder fee rate.") from None
    if not 0 <= units <= _MAX_BUILDER_FEE:
        raise Refused("Builder fee rate is too high.")
    host.identity.builder_fees[user, action["builder"]] = int(units)
    return _done()


def _referrer(host: Host, user: str, action: Action) -> Answer:
    if user in host.referrals:
        raise Refused("Referrer already set.")
    host.referrals[user] = action["code"]
    return _done()


def _sub_account(host: Host, user: str, action: Action) -> Answer:
    number = len(host.identity.sub_accounts)
    address = "0x" + hashlib.sha256(f"{user} sub-account {number}".encode()).hexdigest()[:40]
    host.identity.sub_accounts[address] = (user, action["name"])
    return {"status": "ok", "response": {"type": "createSubAccount", "data": address}}


def _sub_transfer(host: Host, user: str, action: Action) -> Answer:
    sub = action["subAccountUser"]
    if host.identity.acts_for(user, sub) is None:
        raise Refused(f"Vault not registered: {sub}")
    source, to = (user, sub) if action["isDeposit"] else (sub, user)
    return _settle(host.venue.send(source, to, action["usd"] * MICRO))


def _reserve(host: Host, user: str, action: Action) -> Answer:
    price = micro(action["weight"] * Decimal("0.0005"))
    if price > host.venue.core.margin.withdrawable(host.venue.core.account(user)):
        raise Refused("Insufficient balance to reserve request weight.")
    host.venue.core.account(user).deposit(-price)
    host.address.reserve(action.get("destination", user), action["weight"])
    return _done()


def _abstraction(host: Host, user: str, action: Action) -> Answer:
    asked = action["abstraction"]
    host.venue.core.account(user).abstraction = _ABSTRACTIONS.get(asked, str(asked))
    return _done()


def _dex_abstraction(host: Host, user: str, action: Action) -> Answer:
    del action
    host.venue.core.account(user).abstraction = "dexAbstraction"
    return _done()


def _noop(host: Host, user: str, action: Action) -> Answer:
    del host, user, action
    return _done()


def _not_offered(host: Host, user: str, action: Action) -> Answer:
    del host, user
    raise Refused(f"Action {action['type']} is not offered by the local exchange.")


OPERATIONS: dict[str, Callable[[Host, str, Action], Answer]] = {
    "order": _order,
    "cancel": _cancel,
    "cancelByCloid": _cancel,
    "modify": _modify,
    "batchModify": _batch_modify,
    "scheduleCancel": _schedule_cancel,
    "updateLeverage": _leverage,
    "updateIsolatedMargin": _isolated_margin,
    "topUpIsolatedOnlyMargin": _top_up,
    "usdClassTransfer": _class_transfer,
    "usdSend": _send,
    "withdraw3": _withdraw,
    "approveAgent": _approve_agent,
    "approveBuilderFee": _approve_builder,
    "setReferrer": _referrer,
    "createSubAccount": _sub_account,
    "subAccountTransfer": _sub_transfer,
    "reserveRequestWeight": _reserve,
    "agentSetAbstraction": _abstraction,
    "userSetAbstraction": _abstraction,
    "agentEnableDexAbstraction": _dex_abstraction,
    "noop": _noop,
    **dict.fromkeys(actions.NOT_OFFERED, _not_offered),
}
