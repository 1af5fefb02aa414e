"""Accounts: positions, cash, fees, funding. Exact: not a millionth is made or lost.

Money is in USDC. Prices have at most `6 - szDecimals` decimals and sizes `szDecimals`, so every
notional is a whole number of millionths; whatever must be rounded (a fee, a funding payment, a
share of a cost) is cut to millionths once and moves as that number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from ftbt.localnet.numbers import ZERO, micro


@dataclass(slots=True)
class Position:
    """What an account holds of one coin; never size 0.

    Attributes:
        size: signed, in coins.
        cost: what the open part was bought or sold for, positive.
        is_cross: margin mode; an isolated position has cash of its own.
        leverage: of the margin that was set aside.
        raw_usd: cash leg of an isolated position: margin minus cost of a long.
        funding: paid since it was opened, positive is paid.
        funding_since_change: paid since its size last changed.
    """

    coin: str
    size: Decimal
    cost: Decimal
    is_cross: bool
    leverage: int
    raw_usd: Decimal = ZERO
    funding: Decimal = ZERO
    funding_since_change: Decimal = ZERO

    @property
    def side(self) -> int:
        """+1 long, -1 short."""
        return 1 if self.size > 0 else -1

    def profit(self, mark: Decimal) -> Decimal:
        """Return the open profit at *mark*."""
        return self.size * mark - self.side * self.cost


@dataclass(frozen=True, slots=True)
class Booked:
    """What a fill did to the account.

    Attributes:
        start: position before, signed.
        closed_pnl: realised profit, fee apart.
        direction: the venue's display text.
    """

    start: Decimal
    closed_pnl: Decimal
    direction: str


@dataclass(slots=True)
class Account:
    """One address.

    Attributes:
        address: lower-case.
        cash: cash leg of the cross account: what was paid in, minus costs of longs, and so on.
        spot: USDC outside of perpetuals.
        deposits: everything paid in minus everything paid out, both wallets.
        positions: by coin.
        leverage: (is_cross, value) by coin, where it was ever set.
        fees, funding_paid, realised: totals since the beginning.
        volume: notional traded: the budget of requests grows with it.
    """

    address: str
    cash: Decimal = ZERO
    spot: Decimal = ZERO
    deposits: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)
    leverage: dict[str, tuple[bool, int]] = field(default_factory=dict)
    funding_by_coin: dict[str, Decimal] = field(default_factory=dict)
    fees: Decimal = ZERO
    funding_paid: Decimal = ZERO
    realised: Decimal = ZERO
    volume: Decimal = ZERO
    maker_volume: Decimal = ZERO
    abstraction: str = "default"

    def size_of(self, coin: str) -> Decimal:
        """Return the signed position in *coin*."""
        held = self.positions.get(coin)
        return held.size if held else ZERO

    def deposit(self, amount: Decimal) -> None:
        """Pay *amount* in; negative pays out."""
        self.cash += amount
        self.deposits += amount

    def fill(
        self, coin: str, signed: Decimal, price: Decimal, fee: Decimal, mode: tuple[bool, int]
    ) -> Booked:
        """Book a fill of *signed* coins at *price*, with *fee* (micro USDC exact).

        *mode*: (is_cross, leverage) for what it opens.
        """
        start = self.size_of(coin)
        held = self.positions.get(coin)
        closing = ZERO
        if held is not None and (held.size > 0) != (signed > 0):
            closing = min(abs(signed), abs(held.size))
        closed = self._close(held, closing, price) if held is not None and closing else ZERO
        opening = abs(signed) - closing
        if opening:
            self._open(coin, opening.copy_sign(signed), price, mode)
        self.cash -= fee
        self.fees += fee
        self.realised += closed
        self.volume += abs(signed) * price
        return Booked(start, closed, _direction(start, signed))

    def _close(self, held: Position, closing: Decimal, price: Decimal) -> Decimal:
        whole = closing == abs(held.size)
        share = closing / abs(held.size)
        cost = held.cost if whole else micro(held.cost * share)
        profit = held.side * (closing * price - cost)
        received = held.side * closing * price
        if held.is_cross:
            self.cash += received
        else:
            released = held.raw_usd + held.size * price
            released = released if whole else micro(released * share)
            held.raw_usd += received - released
            self.cash += released
        held.size -= held.side * closing
        held.cost -= cost
        held.funding_since_change = ZERO
        if whole:
            del self.positions[held.coin]
        return profit

    def _open(self, coin: str, signed: Decimal, price: Decimal, mode: tuple[bool, int]) -> None:
        held = self.positions.get(coin)
        if held is None:
            held = self.positions[coin] = Position(coin, ZERO, ZERO, *mode)
        notional = abs(signed) * price
        paid = signed * price
        if held.is_cross:
            self.cash -= paid
        else:
            margin = micro(notional / held.leverage)
            self.cash -= margin
            held.raw_usd += margin - paid
        held.size += signed
        held.cost += notional
        held.funding_since_change = ZERO

    def pay_funding(self, coin: str, price: Decimal, rate: Decimal) -> Decimal:
        """Pay the funding of the position in *coin* and return it; negative is received."""
        held = self.positions[coin]
        paid = micro(held.size * price * rate)
        if held.is_cross:
            self.cash -= paid
        else:
            held.raw_usd -= paid
        held.funding += paid
        held.funding_since_change += paid
        self.funding_by_coin[coin] = self.funding_by_coin.get(coin, ZERO) + paid
        self.funding_paid += paid
        return paid

    def value(self, marks: dict[str, Decimal]) -> Decimal:
        """Return the equity of the perpetuals account at *marks*."""
        total = self.cash
        for held in self.positions.values():
            total += held.size * marks[held.coin]
            total += held.raw_usd
        return total

    def balanced(self, marks: dict[str, Decimal]) -> bool:
        """Tell whether money is conserved: equity = deposits + profit - fees - funding."""
        profit = self.realised + sum(
            (held.profit(marks[held.coin]) for held in self.positions.values()), ZERO
        )
        return self.value(marks) + self.spot == (
            self.deposits + profit - self.fees - self.funding_paid
        )


def _direction(start: Decimal, signed: Decimal) -> str:
    end = start + signed
    if start * end < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    if abs(end) > abs(start):
        return "Open Long" if end > 0 else "Open Short"
    return "Close Long" if start > 0 else "Close Short"
