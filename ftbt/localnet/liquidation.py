"""Taking positions from accounts that no longer have their maintenance margin."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ftbt.localnet.core import LIQUIDATOR, Core
from ftbt.localnet.ledger import Account, Position
from ftbt.localnet.numbers import ZERO, wire

if TYPE_CHECKING:
    from ftbt.localnet.matching import Matching

_BACKSTOP = Decimal(2) / Decimal(3)


class Liquidation:
    """Closes what an account can no longer carry: by the book first, then by the backstop."""

    def __init__(self, core: Core, matching: Matching) -> None:
        self.core = core
        self.matching = matching
        self._lid = 0

    def liquidate(self, account: Account, coin: str) -> None:
        """Liquidate the position in *coin*; with cross margin every cross position goes."""
        held = account.positions.get(coin)
        if held is None:
            return
        taken = [held] if not held.is_cross else self._cross(account)
        value = self._value(account, held)
        needed = sum((self.core.margin.maintenance(one) for one in taken), ZERO)
        self._cancel_orders(account, None if held.is_cross else coin)
        self._tell(account, taken, value)
        by_book = value >= _BACKSTOP * needed
        for one in taken:
            if by_book:
                self._by_book(account, one)
            if one.coin in account.positions:
                self._backstop(account, account.positions[one.coin])
        self._cover(account)

    def _cross(self, account: Account) -> list[Position]:
        return [held for held in account.positions.values() if held.is_cross]

    def _value(self, account: Account, held: Position) -> Decimal:
        margin = self.core.margin
        return margin.cross(account).value if held.is_cross else margin.used(held)

    def _cancel_orders(self, account: Account, coin: str | None) -> None:
        for order in self.core.orders.live(account.address):
            if coin is None or order.coin == coin:
                self.matching.groups.cancel(order, "liquidatedCanceled", by_venue=True)

    def _tell(self, account: Account, taken: list[Position], value: Decimal) -> None:
        self._lid += 1
        notional = sum((abs(p.size) * self.core.marks[p.coin] for p in taken), ZERO)
        event = {
            "lid": self._lid,
            "liquidator": LIQUIDATOR,
            "liquidated_user": account.address,
            "liquidated_ntl_pos": wire(notional),
            "liquidated_account_value": wire(value),
        }
        self.core.emit("liquidation", account.address, event)
        delta = {
            "type": "liquidation",
            "liquidatedNtlPos": wire(notional),
            "accountValue": wire(value),
            "leverageType": "Cross" if taken[0].is_cross else "Isolated",
            "liquidatedPositions": [{"coin": p.coin, "szi": wire(p.size)} for p in taken],
        }
        self.core.note_ledger(account.address, delta)

    def _details(self, account: Account, coin: str, method: str) -> dict[str, Any]:
        return {
            "liquidatedUser": account.address,
            "markPx": wire(self.core.marks[coin]),
            "method": method,
        }

    def _by_book(self, account: Account, held: Position) -> None:
        details = self._details(account, held.coin, "market")
        self.matching.sweep(account.address, held.coin, -held.size, details)

    def _backstop(self, account: Account, held: Position) -> None:
        """Hand the position over to the liquidator at the mark price."""
        core, coin, size = self.core, held.coin, held.size
        details = self._details(account, coin, "backstop")
        price, digest = core.marks[coin], core.new_hash()
        closing = self.matching.groups.venue_order(account.address, coin, -size)
        taking = self.matching.groups.venue_order(LIQUIDATOR, coin, size)
        for order in (closing, taking):
            core.rates[order.user], known = (ZERO, ZERO), core.rates.get(order.user)
            core.book_fill(
                order, price, abs(size), taker=True, tid=closing.oid, digest=digest,
                liquidation=details,
            )  # fmt: skip
            if known is None:
                del core.rates[order.user]
            else:
                core.rates[order.user] = known

    def _cover(self, account: Account) -> None:
        """Let the liquidator take what is missing: no account ends below zero."""
        if self._cross(account) or account.cash >= 0:
            return
        missing = -account.cash
        account.deposit(missing)
        self.core.account(LIQUIDATOR).deposit(-missing)
