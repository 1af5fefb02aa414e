"""The market's side of an order book: finite depth around the last price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from ftbt.localnet.assets import Asset
from ftbt.localnet.numbers import ONE, ZERO, floor_lot, lot, round_down, round_up, tick

LEVELS = 20


@dataclass(slots=True)
class Level:
    """What the market offers at one price."""

    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Depth:
    """The shape of the book.

    Attributes:
        notional: what the best level offers, USDC; deeper levels offer half as much more each.
        gap: distance of two levels as a fraction of the price, at least one tick.
    """

    notional: Decimal = Decimal(250_000)
    gap: Decimal = Decimal("0.0001")


class SyntheticBook:
    """The market maker that stands beside the accounts of one coin.

    It offers the same depth again after each trade of the market; in between, what accounts
    have taken is gone.
    """

    def __init__(self, asset: Asset, depth: Depth) -> None:
        self.asset = asset
        self.depth = depth
        self.pinned = False
        self.empty = False
        self._bids: list[Level] = []
        self._asks: list[Level] = []
        self._around: tuple[Decimal, Decimal] | None = None

    def quote(self, price: Decimal, half_spread: Decimal) -> None:
        """Stand around *price* with full depth, unless levels were pinned by hand."""
        if not self.pinned:
            # Made when somebody looks: most steps of the market nobody does.
            self._around = price, half_spread

    def pin(self, bids: list[Level], asks: list[Level]) -> None:
        """Stand at these levels whatever the market does, until `unpin`."""
        self._bids, self._asks, self._around, self.pinned = bids, asks, None, True

    def unpin(self) -> None:
        """Follow the market again from its next trade on."""
        self.pinned = False

    def _make(self, price: Decimal, half_spread: Decimal) -> None:
        if self.empty:
            self._bids, self._asks = [], []
            return
        decimals = self.asset.size_decimals
        step = max(tick(price, decimals), price * self.depth.gap)
        ask = round_up(price * (ONE + half_spread), decimals)
        bid = round_down(price * (ONE - half_spread), decimals)
        if ask <= price:
            ask += tick(price, decimals)
        if bid >= price:
            bid -= tick(price, decimals)
        self._asks = self._side(ask, step)
        self._bids = self._side(bid, -step)

    def _side(self, best: Decimal, step: Decimal) -> list[Level]:
        decimals = self.asset.size_decimals
        unit = tick(best, decimals)
        stride = max(1, int((abs(step) / unit).to_integral_value(ROUND_CEILING)))
        stride = stride if step > 0 else -stride
        first, lots = int(best / unit), max(1, int(self.depth.notional / best / lot(decimals)))
        exponent, size_exponent = unit.adjusted(), -decimals
        same = (best + LEVELS * stride * unit).adjusted() == best.adjusted()
        levels: list[Level] = []
        for number in range(LEVELS):
            price = Decimal(first + number * stride).scaleb(exponent)
            if price <= 0:
                break
            if not same:
                # Beyond a power of ten the tick is another one.
                price = round_up(price, decimals) if step > 0 else round_down(price, decimals)
            size = Decimal(lots * (2 + number) // 2).scaleb(size_exponent)
            levels.append(Level(price, size))
        return levels

    def levels(self, is_ask: bool) -> list[Level]:
        """Return one side, best first."""
        if self._around is not None:
            self._make(*self._around)
            self._around = None
        return self._asks if is_ask else self._bids

    def passing(self, price: Decimal) -> Decimal:
        """Return how much of the coin trades when the market passes *price*."""
        if self.empty:
            return ZERO
        return max(
            floor_lot(self.depth.notional / price, self.asset.size_decimals),
            lot(self.asset.size_decimals),
        )
