"""Orders: what a client asked for, what became of it, how the venue shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ftbt.localnet.numbers import ZERO, canonical, wire

LIVE = ("open", "triggered")


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a trigger order comes alive.

    Attributes:
        price: mark price that fires it.
        is_market: afterwards it takes what it finds up to the limit price; else it rests there.
        is_stop: a stop-loss, else a take-profit.
    """

    price: Decimal
    is_market: bool
    is_stop: bool

    def fires(self, is_buy: bool, mark: Decimal) -> bool:
        """Tell whether *mark* fires it."""
        return mark >= self.price if self.above(is_buy) else mark <= self.price

    def above(self, is_buy: bool) -> bool:
        """Tell whether it waits for a higher price."""
        return is_buy == self.is_stop


@dataclass(frozen=True, slots=True)
class Request:
    """An order as a client sends it, typed.

    Attributes:
        size: 0 means the whole position (positionTpsl only).
        tif: Gtc, Ioc, Alo, FrontendMarket; None for a trigger order.
        builder: (address, tenths of a basis point), or None.
    """

    coin: str
    is_buy: bool
    price: Decimal
    size: Decimal
    reduce_only: bool
    tif: str | None
    trigger: Trigger | None = None
    cloid: str | None = None
    builder: tuple[str, int] | None = None


@dataclass(slots=True, eq=False)
class Order:
    """An order of the venue.

    Attributes:
        size: what is left; for a cancelled order what was left.
        waiting: a child whose parent has not filled.
        position_tpsl: tied to the position; *whole* follows its size.
        parent, children: order numbers of a normalTpsl group.
        served: number of the market's step that last filled it while it rested.
        taking: it is being matched and does not stand in the book yet.
    """

    oid: int
    user: str
    request: Request
    size: Decimal
    time: int
    status: str = "open"
    status_time: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    waiting: bool = False
    triggered: bool = False
    position_tpsl: bool = False
    whole: bool = False
    parent: int | None = None
    children: list[int] = field(default_factory=list)
    served: int = -1
    taking: bool = False

    @property
    def coin(self) -> str:
        """The coin."""
        return self.request.coin

    @property
    def is_buy(self) -> bool:
        """Which side."""
        return self.request.is_buy

    @property
    def price(self) -> Decimal:
        """The limit price."""
        return self.request.price

    @property
    def reduce_only(self) -> bool:
        """Whether it may only close."""
        return self.request.reduce_only

    @property
    def is_live(self) -> bool:
        """Whether it can still trade."""
        return self.status in LIVE

    @property
    def is_trigger(self) -> bool:
        """Whether it still waits for its trigger."""
        return self.request.trigger is not None and not self.triggered

    @property
    def rests(self) -> bool:
        """Whether it stands in the book."""
        return self.is_live and not (self.is_trigger or self.waiting or self.taking)

    @property
    def side(self) -> str:
        """`B` or `A`."""
        return "B" if self.is_buy else "A"

    def kind(self) -> str:
        """Return the venue's name of the order type."""
        trigger = self.request.trigger
        if trigger is None:
            return "Market" if self.request.tif == "FrontendMarket" else "Limit"
        return f"{'Stop' if trigger.is_stop else 'Take Profit'} " + (
            "Market" if trigger.is_market else "Limit"
        )

    def condition(self) -> str:
        """Return the venue's text for the trigger."""
        trigger = self.request.trigger
        if trigger is None:
            return "N/A"
        where = "above" if trigger.above(self.is_buy) else "below"
        return f"Price {where} {canonical(trigger.price)}"

    def basic(self) -> dict[str, Any]:
        """Return the order as `openOrders` and `orderUpdates` show it."""
        shown: dict[str, Any] = {
            "coin": self.coin,
            "side": self.side,
            "limitPx": wire(self.price),
            "sz": wire(self.size),
            "oid": self.oid,
            "timestamp": self.time,
            "origSz": wire(self.request.size),
        }
        if self.request.cloid is not None:
            shown["cloid"] = self.request.cloid
        if self.reduce_only:
            shown["reduceOnly"] = True
        return shown

    def full(self, children: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the order as `frontendOpenOrders` and `orderStatus` show it."""
        trigger = self.request.trigger
        return {
            "coin": self.coin,
            "side": self.side,
            "limitPx": wire(self.price),
            "sz": wire(self.size),
            "oid": self.oid,
            "timestamp": self.time,
            "triggerCondition": self.condition(),
            "isTrigger": trigger is not None,
            "triggerPx": wire(trigger.price) if trigger else "0.0",
            "children": children,
            "isPositionTpsl": self.position_tpsl,
            "reduceOnly": self.reduce_only,
            "orderType": self.kind(),
            "origSz": wire(self.request.size),
            "tif": self.request.tif,
            "cloid": self.request.cloid,
        }
