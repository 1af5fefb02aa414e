"""What the end of one order means for others: brackets, reduce-only orders, cancellations."""

from __future__ import annotations

from decimal import Decimal

from ftbt.localnet.core import Core
from ftbt.localnet.numbers import ONE, ZERO
from ftbt.localnet.orders import Order, Request


class Groups:
    """Ends orders and passes the consequences on."""

    def __init__(self, core: Core) -> None:
        self.core = core

    # --- ends of orders -----------------------------------------------------------------------

    def filled(self, order: Order) -> None:
        """Mark *order* as filled; its children come alive, its sibling goes."""
        self.core.change(order, "filled")
        for child in self._children(order):
            self.activate(child)
        self._end_siblings(order)

    def cancel(self, order: Order, status: str, *, by_venue: bool = False) -> None:
        """End *order* with *status*; children that wait for it end with it."""
        if not order.is_live:
            return
        self.core.change(order, status, by_venue=by_venue)
        survives = status == "marginCanceled" and order.filled > 0
        for child in self._children(order):
            if survives:
                self.activate(child)
            elif child.waiting:
                self.core.change(child, status)

    def activate(self, child: Order) -> None:
        """Let a child work: its parent has filled."""
        if not (child.is_live and child.waiting):
            return
        child.waiting = False
        if child.reduce_only:
            self.shrink(child)

    def _children(self, order: Order) -> list[Order]:
        found = [self.core.orders.get(oid) for oid in order.children]
        return [child for child in found if child is not None]

    def _end_siblings(self, order: Order) -> None:
        for other in self._siblings(order):
            self.cancel(other, "siblingFilledCanceled")

    def _siblings(self, order: Order) -> list[Order]:
        if order.position_tpsl:
            return [
                other
                for other in self.core.orders.live(order.user)
                if other is not order
                and other.coin == order.coin
                and other.position_tpsl
                and not self.core.account(order.user).size_of(order.coin)
            ]
        parent = self.core.orders.get(order.parent) if order.parent is not None else None
        if parent is None:
            return []
        return [child for child in self._children(parent) if child is not order and child.is_live]

    # --- reduce-only ----------------------------------------------------------------------------

    def room(self, order_is_buy: bool, user: str, coin: str) -> Decimal:
        """Return how much a reduce-only order of that side may close."""
        held = self.core.account(user).size_of(coin)
        return max(ZERO, -held if order_is_buy else held)

    def shrink(self, order: Order) -> bool:
        """Fit a reduce-only order to the position; without one it is cancelled (False)."""
        room = self.room(order.is_buy, order.user, order.coin)
        if room <= 0:
            if order.is_trigger and self.core.behaviour.keep_triggers and not order.position_tpsl:
                return True
            self.cancel(order, "reduceOnlyCanceled")
            return False
        order.size = room if order.whole else min(order.size, room)
        return True

    def after_fill(self, user: str, coin: str) -> None:
        """Fit all reduce-only orders of the account to its new position."""
        for order in self.core.orders.live(user):
            if order.coin != coin or not order.reduce_only or order.waiting or order.size <= 0:
                continue
            if order.parent is not None and self._sibling_has_filled(order):
                continue
            self.shrink(order)

    def _sibling_has_filled(self, order: Order) -> bool:
        """Tell whether a sibling just closed everything: its end will name the reason."""
        return any(child.size <= 0 for child in self._siblings(order))

    # --- orders of the venue itself ----------------------------------------------------------

    def venue_order(self, user: str, coin: str, signed: Decimal) -> Order:
        """Return an order that the venue trades for *user*; no client can find it."""
        size = abs(signed)
        request = Request(coin, signed > 0, ONE, size, False, "LiquidationMarket")
        return Order(self.core.orders.new_oid(), user, request, size, self.core.time)
