"""Taking orders in: what is refused, what trades at once, what rests."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from ftbt.data.precision import MAX_DECIMALS
from ftbt.localnet import rules
from ftbt.localnet.core import Core
from ftbt.localnet.groups import Groups
from ftbt.localnet.matching import Matching
from ftbt.localnet.numbers import ONE, ZERO, wire
from ftbt.localnet.orders import Order, Request
from ftbt.localnet.rules import Refusal

Status = dict[str, Any] | str

_ORDERS_PER = Decimal(5_000_000)
_MOST_ORDERS = 5000


class Placing:
    """The desk that takes orders of accounts."""

    def __init__(self, core: Core, groups: Groups, matching: Matching) -> None:
        self.core = core
        self.groups = groups
        self.matching = matching

    def place(self, user: str, requests: Sequence[Request], grouping: str) -> list[Status]:
        """Take the orders of one action and return a status for each.

        A refusal that concerns the whole batch is returned alone.
        """
        for request in requests:
            refusal = self._static(request, grouping)
            if refusal is not None:
                asset = self.core.by_coin[request.coin]
                return [{"error": refusal.message(asset.index)}]
        if grouping == "normalTpsl":
            return self._bracket(user, requests)
        tied = grouping == "positionTpsl"
        return [self.submit(user, request, position_tpsl=tied)[0] for request in requests]

    def _static(self, request: Request, grouping: str) -> Refusal | None:
        asset = self.core.by_coin[request.coin]
        trigger = request.trigger
        if grouping != "na":
            first_free = grouping == "normalTpsl"
            if trigger is not None and not request.reduce_only:
                return rules.NOT_REDUCE_ONLY
            if trigger is None and not first_free:
                return rules.NOT_REDUCE_ONLY
        if request.size == 0 and not (grouping == "positionTpsl" and request.reduce_only):
            return rules.ZERO_SIZE
        reference = trigger.price if trigger else self.core.marks[request.coin]
        if trigger is not None and trigger.price <= 0:
            return rules.INVALID_PRICE
        return rules.check_static(asset, request.price, request.size, reference)

    def _bracket(self, user: str, requests: Sequence[Request]) -> list[Status]:
        if requests[0].trigger is not None or any(r.trigger is None for r in requests[1:]):
            return [{"error": rules.BAD_GROUP.text}]
        for child in requests[1:]:
            refusal = self._child_refusal(child)
            if refusal is not None:
                return [{"error": refusal.message(self.core.by_coin[child.coin].index)}]
        parent_oid = self.core.orders.new_oid()
        children = [self._waiting(user, request, parent_oid) for request in requests[1:]]
        status, parent = self.submit(user, requests[0], oid=parent_oid, children=children)
        if parent is None or (isinstance(status, dict) and "error" in status):
            return [status]
        done = not any(child.waiting for child in children)
        return [status, *["waitingForTrigger" if done else "waitingForFill" for _ in children]]

    def _child_refusal(self, request: Request) -> Refusal | None:
        asset = self.core.by_coin[request.coin]
        assert request.trigger is not None
        refusal = rules.check_tick(asset, request.price, request.trigger.price)
        if refusal is None and request.price * request.size < asset.min_notional:
            return rules.too_small(asset)
        return refusal

    def _waiting(self, user: str, request: Request, parent: int) -> Order:
        order = self._order(user, request, self.core.orders.new_oid())
        order.waiting, order.parent = True, parent
        return order

    def _order(self, user: str, request: Request, oid: int | None) -> Order:
        number = self.core.orders.new_oid() if oid is None else oid
        return Order(number, user, request, request.size, self.core.time, "open", self.core.time)

    # --- one order ----------------------------------------------------------------------------

    def submit(
        self, user: str, request: Request, *, position_tpsl: bool = False, oid: int | None = None,
        children: Sequence[Order] = (), always: bool = True,
    ) -> tuple[Status, Order | None]:  # fmt: skip
        """Take one order; return its status, and the order unless it leaves no trace.

        *always*: an executable order may execute; else (a modification) it must rest.
        """
        asset = self.core.by_coin[request.coin]
        order = self._order(user, request, oid)
        order.position_tpsl = position_tpsl
        order.whole = position_tpsl and request.size == 0
        refusal = self._refusal(order)
        if refusal is None and order.is_trigger:
            self._register(order)
            self.core.change(order, "open")
            return "waitingForTrigger" if position_tpsl else self._resting(order), order
        if refusal is None:
            refusal = self._post_only(order, always=always)
        if refusal is None:
            return self._run(order, children)
        if refusal.status:
            self._register(order)
            self.core.change(order, refusal.status)
        return {"error": refusal.message(asset.index)}, None

    def _register(self, order: Order) -> None:
        self.core.orders.add(order)

    def _run(self, order: Order, children: Sequence[Order]) -> tuple[Status, Order | None]:
        order.children = [child.oid for child in children]
        for one in (order, *children):
            self._register(one)
        for one in (order, *children):
            self.core.change(one, "open")
        tif = order.request.tif or "Gtc"
        self.matching.run_taker(order, tif)
        if order.is_live and tif in ("Ioc", "FrontendMarket"):
            if not order.filled:
                return self._nothing_there(order, tif)
            # The rest of an IOC order goes silently: to the account the order is filled.
            self._end_partial(order)
        if order.is_live:
            if order.filled and self.core.behaviour.partial_rest == "filled":
                return self._filled(order), order
            return self._resting(order), order
        if order.filled:
            return self._filled(order), order
        return {"error": rules.MARGIN.message(self.core.by_coin[order.coin].index)}, order

    def _end_partial(self, order: Order) -> None:
        for oid in order.children:
            child = self.core.orders.get(oid)
            if child is not None and child.waiting:
                self.core.change(child, "canceled")
        order.children = []
        self.core.change(order, "filled")

    def _nothing_there(self, order: Order, tif: str) -> tuple[Status, Order | None]:
        refusal = rules.NO_LIQUIDITY if tif == "FrontendMarket" else rules.NO_MATCH
        self.groups.cancel(order, refusal.status)
        return {"error": refusal.message(self.core.by_coin[order.coin].index)}, order

    def _resting(self, order: Order) -> Status:
        return {"resting": _with_cloid({"oid": order.oid}, order)}

    def _filled(self, order: Order) -> Status:
        decimals = MAX_DECIMALS - self.core.by_coin[order.coin].size_decimals
        average = (order.value / order.filled).quantize(ONE.scaleb(-decimals), ROUND_DOWN)
        shown = {"totalSz": wire(order.filled), "avgPx": wire(average), "oid": order.oid}
        return {"filled": _with_cloid(shown, order)}

    # --- refusals -------------------------------------------------------------------------------

    def _refusal(self, order: Order) -> Refusal | None:
        core, request = self.core, order.request
        asset = core.by_coin[request.coin]
        if asset.is_delisted:
            return rules.DELISTED
        if core.behaviour.post_only and request.tif != "Alo":
            return rules.POST_ONLY
        prices = [request.price, *([request.trigger.price] if request.trigger else [])]
        return (
            rules.check_tick(asset, *prices)
            or self._too_many(order)
            or self._bad_trigger(order)
            or self._not_reducing(order)
            or self._too_small(order)
            or self._no_margin(order)
        )

    def _too_many(self, order: Order) -> Refusal | None:
        live = len(self.core.orders.live(order.user))
        extra = int(self.core.account(order.user).volume / _ORDERS_PER)
        most = min(rules.MAX_OPEN_ORDERS + extra, _MOST_ORDERS)
        careful = order.reduce_only or order.is_trigger
        return rules.TOO_MANY if live >= (rules.MAX_OPEN_ORDERS if careful else most) else None

    def _bad_trigger(self, order: Order) -> Refusal | None:
        trigger = order.request.trigger
        if trigger is not None and trigger.fires(order.is_buy, self.core.marks[order.coin]):
            return rules.BAD_TRIGGER
        return None

    def _not_reducing(self, order: Order) -> Refusal | None:
        if not order.reduce_only:
            return None
        room = self.groups.room(order.is_buy, order.user, order.coin)
        if room <= 0:
            kept = order.is_trigger and self.core.behaviour.keep_triggers
            return None if kept else rules.REDUCE_ONLY
        order.size = room if order.whole else min(order.size, room)
        return None

    def _too_small(self, order: Order) -> Refusal | None:
        asset = self.core.by_coin[order.coin]
        if order.whole or order.price * order.request.size >= asset.min_notional:
            return None
        room = self.groups.room(order.is_buy, order.user, order.coin)
        closes = order.request.size >= room if order.reduce_only else order.request.size == room
        return None if room > 0 and closes else rules.too_small(asset)

    def _no_margin(self, order: Order) -> Refusal | None:
        core = self.core
        if order.reduce_only or order.is_trigger:
            return None
        account = core.account(order.user)
        signed = order.size if order.is_buy else -order.size
        best = self.matching.best(order.coin, order.is_buy)
        price = order.price
        if best is not None:
            price = min(best, price) if order.is_buy else max(best, price)
        if not core.margin.allows(account, order.coin, signed, price):
            return rules.MARGIN
        after = abs(account.size_of(order.coin) + signed) * core.marks[order.coin]
        _, leverage = core.margin.mode(account, order.coin)
        if leverage > core.by_coin[order.coin].leverage_limit(after):
            return rules.MAX_POSITION
        return None

    def _post_only(self, order: Order, *, always: bool) -> Refusal | None:
        if order.request.tif != "Alo" and always:
            return None
        if not self.matching.crosses(order.is_buy, order.price, order.coin):
            return None
        bid, ask = (self.matching.best(order.coin, side) or ZERO for side in (False, True))
        return rules.crossed(wire(bid).removesuffix(".0"), wire(ask).removesuffix(".0"))


def _with_cloid(shown: dict[str, Any], order: Order) -> dict[str, Any]:
    if order.request.cloid is not None:
        shown["cloid"] = order.request.cloid
    return shown
