"""Orders as they are meant, and the actions that they become on the wire.

Everything that the venue would refuse for its form alone is refused here, before a nonce and a
request are spent on it. Field order is hash order: it must not be changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ftbt.errors import InputError
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.records import Asset

MIN_NOTIONAL = Decimal(10)
MOST_IN_ACTION = 200
_PREFIX_DIGITS = 8
_CLOID_DIGITS = 32


class Tif(StrEnum):
    """How long a limit order waits."""

    GTC = "Gtc"
    IOC = "Ioc"
    ALO = "Alo"


class Grouping(StrEnum):
    """Whether orders of one action know each other.

    `normalTpsl`: the first is the parent, its children wait until it has filled as a whole.
    `positionTpsl`: tied to the position, whatever its size becomes.
    """

    NONE = "na"
    BRACKET = "normalTpsl"
    POSITION = "positionTpsl"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What wakes an order: the mark price reaching *price*.

    Attributes:
        price: on the tick.
        stop: a stop (`sl`), else a target (`tp`).
        market: becomes a market order bounded by the order's price, else a limit order.
    """

    price: Decimal
    stop: bool
    market: bool = True


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order, valid by the venue's rules of form.

    Attributes:
        asset: what is traded.
        is_buy: side.
        price: limit; for a market order its bound on slippage.
        size: positive multiple of the lot; 0 only for a position's stop or target.
        cloid: `0x` and 32 hex digits; ours begins with the run's prefix.
        tif: for orders without a trigger.
        trigger: None for an order that is active at once.
        reduce_only: can only make the position smaller.
    """

    asset: Asset
    is_buy: bool
    price: Decimal
    size: Decimal
    cloid: str
    tif: Tif = Tif.GTC
    trigger: Trigger | None = None
    reduce_only: bool = False

    def __post_init__(self) -> None:
        decimals, coin = self.asset.size_decimals, self.asset.coin
        prices = [self.price] if self.trigger is None else [self.price, self.trigger.price]
        for price in prices:
            if not wire.is_valid_price(price, decimals):
                raise InputError(f"{coin}: price {price} is not on the tick")
        whole = self.size == 0 and self.reduce_only and self.trigger is not None
        if not whole and not wire.is_valid_size(self.size, decimals):
            raise InputError(
                f"{coin}: size {self.size} is not a positive multiple of {wire.lot(decimals)}"
            )
        opens = not self.reduce_only and self.trigger is None
        if opens and self.price * self.size < MIN_NOTIONAL:
            raise InputError(
                f"{coin}: {self.size} at {self.price} is worth"
                f" ${self.price * self.size:.2f}, the least is ${MIN_NOTIONAL}"
            )
        check_cloid(self.cloid)

    def wire(self) -> dict[str, Any]:
        """Return the order in the venue's form."""
        kind: dict[str, Any] = {"limit": {"tif": self.tif.value}}
        if self.trigger is not None:
            kind = {
                "trigger": {
                    "isMarket": self.trigger.market,
                    "triggerPx": wire.text(self.trigger.price),
                    "tpsl": "sl" if self.trigger.stop else "tp",
                }
            }
        return {
            "a": self.asset.index,
            "b": self.is_buy,
            "p": wire.text(self.price),
            "s": wire.text(self.size),
            "r": self.reduce_only,
            "t": kind,
            "c": self.cloid,
        }


def check_cloid(cloid: str) -> None:
    """Pass for `0x` and 32 lower-case hex digits.

    Raises:
        InputError: for anything else; the SDK lets letters that are no digits through.
    """
    digits = cloid.removeprefix("0x")
    if len(digits) != _CLOID_DIGITS or set(digits) - set("0123456789abcdef"):
        raise InputError(f"client order id {cloid!r} is not 0x and 32 lower-case hex digits")


@dataclass(frozen=True, slots=True)
class CloidMaker:
    """Client order ids that follow from what they are for.

    A restarted process makes the same ids for the same intents and so knows its own orders again.
    The first eight digits are the deployment's: orders without them are somebody else's and are
    never touched.

    Attributes:
        deployment: name of what runs; the same after a restart.
        epoch: of its journal. One that is begun anew counts its orders from 1 again, and an old
            order must not be taken for a new one.
    """

    deployment: str
    epoch: int = 0

    @property
    def prefix(self) -> str:
        """How all ids of this deployment begin."""
        return "0x" + _digits(f"deployment|{self.deployment}")[:_PREFIX_DIGITS]

    def make(self, *parts: str | int) -> str:
        """Return the id of the intent that *parts* name, for example coin, bar and leg."""
        named = "|".join(map(str, (self.deployment, self.epoch, *parts)))
        return self.prefix + _digits(f"intent|{named}")[: _CLOID_DIGITS - _PREFIX_DIGITS]

    def owns(self, cloid: str | None) -> bool:
        """Tell whether *cloid* is of this deployment."""
        return cloid is not None and cloid.startswith(self.prefix)


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- actions --------------------------------------------------------------------------------------


def order_action(orders: Sequence[OrderRequest], grouping: Grouping) -> dict[str, Any]:
    """Return the action that places *orders* (1 to 200)."""
    _check_count(len(orders), "orders")
    cloids = [order.cloid for order in orders]
    if len(set(cloids)) != len(cloids):
        raise InputError("two orders of one action have the same client order id")
    return {
        "type": "order",
        "orders": [order.wire() for order in orders],
        "grouping": grouping.value,
    }


def cancel_action(orders: Sequence[tuple[Asset, str]]) -> dict[str, Any]:
    """Return the action that cancels orders by asset and cloid (1 to 200)."""
    _check_count(len(orders), "cancels")
    named = [{"asset": asset.index, "cloid": cloid} for asset, cloid in orders]
    return {"type": "cancelByCloid", "cancels": named}


def cancel_oid_action(orders: Sequence[tuple[Asset, int]]) -> dict[str, Any]:
    """Return the action that cancels orders by asset and oid: those that have no cloid."""
    _check_count(len(orders), "cancels")
    return {"type": "cancel", "cancels": [{"a": asset.index, "o": oid} for asset, oid in orders]}


def leverage_action(asset: Asset, leverage: int, *, cross: bool) -> dict[str, Any]:
    """Return the action that sets leverage and margin mode of *asset*.

    Raises:
        InputError: when the venue does not offer that.
    """
    if not 1 <= leverage <= asset.max_leverage:
        raise InputError(
            f"{asset.coin}: leverage must be 1 to {asset.max_leverage}, not {leverage}"
        )
    if cross and asset.only_isolated:
        raise InputError(f"{asset.coin} takes isolated margin only")
    return {
        "type": "updateLeverage", "asset": asset.index, "isCross": cross, "leverage": leverage,
    }  # fmt: skip


def dead_man_action(time: int | None) -> dict[str, Any]:
    """Return the action that cancels all orders at *time* (ms) unless renewed; None disarms."""
    action: dict[str, Any] = {"type": "scheduleCancel"}
    return action if time is None else {**action, "time": time}


def noop_action() -> dict[str, Any]:
    """Return the action that does nothing but use up its nonce."""
    return {"type": "noop"}


def _check_count(count: int, what: str) -> None:
    if not 1 <= count <= MOST_IN_ACTION:
        raise InputError(f"an action takes 1 to {MOST_IN_ACTION} {what}, not {count}")
