"""The actions of `/exchange`: their fields, in the order in which they are hashed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ftbt.localnet import wireform as w
from ftbt.localnet.orders import Request, Trigger
from ftbt.localnet.wireform import Parser, Unreadable

_LIMIT = w.record({"tif": w.one_of("Alo", "Ioc", "Gtc", "FrontendMarket", "LiquidationMarket")})
_TRIGGER = w.record(
    {"isMarket": w.flag, "triggerPx": w.decimal, "tpsl": w.one_of("tp", "sl")}, strict=False
)


def _order_type(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = w.record({}, {"limit": _LIMIT, "trigger": _TRIGGER})(value)
    if len(found) != 1:
        raise Unreadable("an order is either limit or trigger")
    return found


_ORDER = w.record(
    {
        "a": w.whole, "b": w.flag, "p": w.decimal, "s": w.decimal, "r": w.flag, "t": _order_type,
    },
    {"c": w.cloid},
    strict=False,
)  # fmt: skip


def _grouping(value: Any) -> Any:
    if isinstance(value, dict):
        return w.record({"p": w.whole})(value)
    return w.one_of("na", "normalTpsl", "positionTpsl")(value)


def _true(value: Any) -> bool:
    """Read a flag that must be left out when it is false: its hash would be another."""
    if value is not True:
        raise Unreadable("a false flag is left out")
    return True


_TYPE = {"type": w.text}
_BUILDER = w.record({"b": w.address, "f": w.whole}, strict=False)
_FAST = {"f": _true}
_ALWAYS = {"a": _true}

# Field order is hash order.
L1: dict[str, Parser] = {
    "order": w.record(
        {**_TYPE, "orders": w.many(_ORDER), "grouping": _grouping}, {"builder": _BUILDER}
    ),
    "cancel": w.record(
        {**_TYPE, "cancels": w.many(w.record({"a": w.whole, "o": w.whole}, strict=False))}, _FAST
    ),
    "cancelByCloid": w.record(
        {**_TYPE, "cancels": w.many(w.record({"asset": w.whole, "cloid": w.cloid}, strict=False))},
        _FAST,
    ),
    "modify": w.record({**_TYPE, "oid": w.order_key, "order": _ORDER}, _ALWAYS),
    "batchModify": w.record(
        {
            **_TYPE,
            "modifies": w.many(w.record({"oid": w.order_key, "order": _ORDER}, strict=False)),
        },
        _ALWAYS,
    ),
    "scheduleCancel": w.record(_TYPE, {"time": w.whole}),
    "updateLeverage": w.record({**_TYPE, "asset": w.whole, "isCross": w.flag, "leverage": w.whole}),
    "updateIsolatedMargin": w.record(
        {**_TYPE, "asset": w.whole, "isBuy": w.flag, "ntli": w.signed}
    ),
    "topUpIsolatedOnlyMargin": w.record({**_TYPE, "asset": w.whole, "leverage": w.decimal}),
    "noop": w.record(_TYPE),
    "reserveRequestWeight": w.record({**_TYPE, "weight": w.whole}, {"destination": w.address}),
    "setReferrer": w.record({**_TYPE, "code": w.text}),
    "createSubAccount": w.record({**_TYPE, "name": w.text}),
    "subAccountTransfer": w.record(
        {**_TYPE, "subAccountUser": w.address, "isDeposit": w.flag, "usd": w.whole}
    ),
    "agentSetAbstraction": w.record({**_TYPE, "abstraction": w.one_of("i", "u", "p")}),
    "agentEnableDexAbstraction": w.record(_TYPE),
}


@dataclass(frozen=True, slots=True)
class UserSigned:
    """An action that the user's own wallet signs as a typed message.

    Attributes:
        primary: name of the message.
        types: its fields, (name, type), without the first one, hyperliquidChain.
        parse: reads the action.
        clock: the field that holds the nonce.
    """

    primary: str
    types: tuple[tuple[str, str], ...]
    parse: Parser
    clock: str = "nonce"


_SIGNED = {**_TYPE, "hyperliquidChain": w.text, "signatureChainId": w.text}


def _user_signed(
    primary: str, fields: dict[str, tuple[str, Parser]], optional: dict[str, Parser] | None = None,
    clock: str = "nonce",
) -> UserSigned:  # fmt: skip
    required = {n: p for n, (_, p) in fields.items() if n not in (optional or {})}
    parse = w.record({**_SIGNED, **required, clock: w.whole}, optional)
    types = (*((name, kind) for name, (kind, _) in fields.items()), (clock, "uint64"))
    return UserSigned(primary, types, parse, clock)


USER_SIGNED: dict[str, UserSigned] = {
    "approveAgent": _user_signed(
        "ApproveAgent",
        {"agentAddress": ("address", w.address), "agentName": ("string", w.text)},
        {"agentName": w.text},
    ),
    "approveBuilderFee": _user_signed(
        "ApproveBuilderFee",
        {"maxFeeRate": ("string", w.text), "builder": ("address", w.address)},
    ),
    "usdClassTransfer": _user_signed(
        "UsdClassTransfer", {"amount": ("string", w.text), "toPerp": ("bool", w.flag)}
    ),
    "usdSend": _user_signed(
        "UsdSend",
        {"destination": ("string", w.text), "amount": ("string", w.text)},
        clock="time",
    ),
    "withdraw3": _user_signed(
        "Withdraw",
        {"destination": ("string", w.text), "amount": ("string", w.text)},
        clock="time",
    ),
    "userSetAbstraction": _user_signed(
        "UserSetAbstraction",
        {
            "user": ("address", w.address),
            "abstraction": ("string", w.one_of("disabled", "unifiedAccount", "portfolioMargin")),
        },
    ),
}

# Known to the venue, read by it, not offered here.
NOT_OFFERED = (
    "vaultTransfer", "sendAsset", "spotSend", "twapOrder", "twapCancel", "subAccountSpotTransfer",
    "multiSig", "convertToMultiSigUser", "spotDeploy", "perpDeploy", "tokenDelegate", "cDeposit",
    "cWithdraw", "evmUserModify", "userDexAbstraction", "CSignerAction", "CValidatorAction",
    "createVault", "gossipPriorityBid",
)  # fmt: skip


def to_request(order: dict[str, Any], coin: str, builder: tuple[str, int] | None) -> Request:
    """Return the typed order of a canonical wire order."""
    kind = order["t"]
    trigger = None
    if "trigger" in kind:
        wire = kind["trigger"]
        trigger = Trigger(Decimal(wire["triggerPx"]), wire["isMarket"], wire["tpsl"] == "sl")
    return Request(
        coin,
        order["b"],
        Decimal(order["p"]),
        Decimal(order["s"]),
        order["r"],
        kind["limit"]["tif"] if "limit" in kind else None,
        trigger,
        order.get("c"),
        builder,
    )
