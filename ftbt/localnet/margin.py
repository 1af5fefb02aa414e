"""Margin of an account at given marks: what is used, what is free, where it is liquidated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ftbt.localnet.assets import Asset
from ftbt.localnet.ledger import Account, Position
from ftbt.localnet.numbers import ONE, ZERO, micro

DEFAULT_LEVERAGE = 20
_LEAST_SHARE = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums over positions, USDC.

    Attributes:
        value: equity.
        notional: sum of position values.
        raw_usd: cash leg.
        used: initial margin.
    """

    value: Decimal
    notional: Decimal
    raw_usd: Decimal
    used: Decimal


class Margin:
    """Reads margins off accounts; holds the universe and the marks, changes nothing."""

    def __init__(self, assets: Mapping[str, Asset], marks: dict[str, Decimal]) -> None:
        self.assets = assets
        self.marks = marks

    def mode(self, account: Account, coin: str) -> tuple[bool, int]:
        """Return (is_cross, leverage) for what the account opens in *coin*."""
        held = account.positions.get(coin)
        if held is not None:
            return held.is_cross, held.leverage
        known = account.leverage.get(coin)
        if known is not None:
            return known
        asset = self.assets[coin]
        return not asset.only_isolated, min(DEFAULT_LEVERAGE, asset.max_leverage)

    def used(self, held: Position) -> Decimal:
        """Return the margin that a position ties up."""
        mark = self.marks[held.coin]
        if not held.is_cross:
            return held.raw_usd + held.size * mark
        return micro(abs(held.size) * mark / held.leverage)

    def maintenance(self, held: Position) -> Decimal:
        """Return the maintenance margin of a position."""
        return self.assets[held.coin].maintenance(abs(held.size) * self.marks[held.coin])

    def cross(self, account: Account) -> Summary:
        """Return the sums over cross positions."""
        return self._sum(account.cash, [p for p in account.positions.values() if p.is_cross])

    def total(self, account: Account) -> Summary:
        """Return the sums over all positions."""
        raw = account.cash + sum(
            (p.raw_usd for p in account.positions.values() if not p.is_cross), ZERO
        )
        return self._sum(raw, list(account.positions.values()))

    def _sum(self, raw: Decimal, positions: list[Position]) -> Summary:
        value, notional, used = raw, ZERO, ZERO
        for held in positions:
            worth = held.size * self.marks[held.coin]
            value += worth
            notional += abs(worth)
            used += self.used(held)
        return Summary(value, notional, raw, used)

    def cross_maintenance(self, account: Account) -> Decimal:
        """Return the maintenance margin of all cross positions."""
        return sum((self.maintenance(p) for p in account.positions.values() if p.is_cross), ZERO)

    def withdrawable(self, account: Account) -> Decimal:
        """Return what may leave the account now."""
        cross = self.cross(account)
        return max(ZERO, cross.value - max(cross.used, _LEAST_SHARE * cross.notional))

    def free(self, account: Account) -> Decimal:
        """Return the margin that is left for new positions."""
        cross = self.cross(account)
        return cross.value - cross.used

    def allows(self, account: Account, coin: str, signed: Decimal, price: Decimal) -> bool:
        """Tell whether the margin suffices for a fill of *signed* coins at *price*.

        What closes needs none; what it frees counts for the part that opens.
        """
        held = account.size_of(coin)
        closing = min(abs(signed), abs(held)) if held * signed < 0 else ZERO
        opening = abs(signed) - closing
        if not opening:
            return True
        _, leverage = self.mode(account, coin)
        freed = ZERO
        if closing:
            freed = self.used(account.positions[coin]) * closing / abs(held)
        # Crossing to a worse price than the mark costs equity at once.
        loss = max(ZERO, (price - self.marks[coin]) * signed)
        return opening * price / leverage + loss <= self.free(account) + freed

    def liquidation_price(self, account: Account, held: Position) -> Decimal | None:
        """Return the price of the coin at which the position is liquidated, None for none."""
        mark, side = self.marks[held.coin], held.side
        size = abs(held.size)
        rate, _ = self.assets[held.coin].maintenance_terms(size * mark)
        if held.is_cross:
            available = self.cross(account).value - self.cross_maintenance(account)
        else:
            available = self.used(held) - self.maintenance(held)
        slope = size * (ONE - rate * side)
        price = mark - side * available / slope
        return price if price > 0 else None
