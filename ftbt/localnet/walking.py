"""One step of the market past the orders and positions of a coin, event by event in price order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ftbt.localnet.core import LIQUIDATOR, Core
from ftbt.localnet.liquidation import Liquidation
from ftbt.localnet.matching import Matching
from ftbt.localnet.numbers import ZERO
from ftbt.localnet.orders import Order
from ftbt.localnet.path import Step

# At one price: stops before liquidations before limits, as the execution model has it.
_TRIGGER, _LIQUIDATION, _LIMIT = range(3)

_Found = tuple[Decimal, int, int, Callable[[], None]]


class Walking:
    """Moves the price of a coin; everything that this touches happens on the way."""

    def __init__(self, core: Core, matching: Matching, liquidation: Liquidation) -> None:
        self.core = core
        self.matching = matching
        self.liquidation = liquidation

    def low_first(self, coin: str) -> bool | None:
        """Return which extreme is against the accounts; None when neither is."""
        net = sum((a.size_of(coin) for a in self.core.accounts.values()), ZERO)
        if net:
            return net > 0
        sides = {o.is_buy for o in self.core.orders.on(coin) if not o.reduce_only}
        # A waiting buy that fills late, after the high, has no profit left in this bar.
        return None if len(sides) != 1 else not sides.pop()

    def walk(self, coin: str, step: Step) -> None:
        """Let the market trade at *step*."""
        core = self.core
        core.steps += 1
        if not self._anything(coin):
            self._set(coin, step.price)
            return
        left: dict[Decimal, Decimal] = {}
        if step.opens:
            # A gap is not walked through: what it passed trades at the open.
            self._set(coin, step.price)
        while (found := self._next(coin, step, left)) is not None:
            price, _, _, act = found
            if not step.opens:
                self._set(coin, price)
            act()
        self._set(coin, step.price)

    def jump(self, coin: str, price: Decimal, time: int) -> None:
        """Set the price by hand, as a gap."""
        self.walk(coin, Step(time, price, ZERO, opens=True))

    def _anything(self, coin: str) -> bool:
        if self.core.orders.any_on(coin):
            return True
        return any(coin in account.positions for account in self.core.accounts.values())

    def _set(self, coin: str, price: Decimal) -> None:
        self.core.marks[coin] = price
        self.core.quote(coin)

    def _next(self, coin: str, step: Step, left: dict[Decimal, Decimal]) -> _Found | None:
        """Return the nearest event between the price now and the end of the step."""
        here = self.core.marks[coin]
        up = step.price >= here
        found = [*self._triggers(coin, step, here), *self._limits(coin, step, here, left)]
        if not step.opens or here == step.price:
            found += self._liquidations(coin, step, here)
        if not found:
            return None
        if step.opens:
            return min(found, key=lambda one: (_open_rank(one[1]), one[2]))
        return min(found, key=lambda one: (one[0] if up else -one[0], one[1], one[2]))

    def _triggers(self, coin: str, step: Step, here: Decimal) -> list[_Found]:
        found: list[_Found] = []
        for order in self.core.orders.on(coin):
            trigger = order.request.trigger
            if trigger is None or not order.is_trigger or order.waiting:
                continue
            if trigger.fires(order.is_buy, step.price) or trigger.fires(order.is_buy, here):
                above = trigger.above(order.is_buy)
                level = max(trigger.price, here) if above else min(trigger.price, here)
                found.append((level, _TRIGGER, order.oid, lambda o=order: self._fire(o)))  # type: ignore[misc]
        return found

    def _fire(self, order: Order) -> None:
        if order.is_live:
            self.matching.fire(order)

    def _limits(
        self, coin: str, step: Step, here: Decimal, left: dict[Decimal, Decimal]
    ) -> list[_Found]:
        found: list[_Found] = []
        for order in self.core.orders.on(coin):
            if not order.rests or order.served == self.core.steps:
                continue
            beyond = order.price - step.price if order.is_buy else step.price - order.price
            # Touched is not traded through, except where a bar opens: there it is.
            if beyond < 0 or (beyond == 0 and not step.opens):
                continue
            level = min(order.price, here) if order.is_buy else max(order.price, here)
            price = step.price if step.opens else order.price
            found.append((
                level, _LIMIT, order.oid,
                lambda o=order, p=price: self.matching.serve(o, p, left),  # type: ignore[misc]
            ))  # fmt: skip
        return found

    def _liquidations(self, coin: str, step: Step, here: Decimal) -> list[_Found]:
        found: list[_Found] = []
        for number, account in enumerate(self.core.accounts.values()):
            held = account.positions.get(coin)
            # The liquidator is the last in line: nobody takes its positions.
            if held is None or account.address == LIQUIDATOR:
                continue
            level = self.core.margin.liquidation_price(account, held)
            if level is None:
                continue
            reached = step.price <= level if held.size > 0 else step.price >= level
            if not reached:
                continue
            at = min(level, here) if held.size > 0 else max(level, here)
            found.append((
                at, _LIQUIDATION, number,
                lambda a=account: self.liquidation.liquidate(a, coin),  # type: ignore[misc]
            ))  # fmt: skip
        return found


def _open_rank(kind: int) -> int:
    """At an open a liquidation comes first: there was no time for a stop."""
    return (1, 0, 2)[kind]
