"""What can be traded on the local exchange: the universe as `meta` lists it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ftbt.data.market import Instrument, coin_of
from ftbt.localnet.numbers import ZERO, wire

# A table number below this one is its own single tier: the venue's convention.
FIRST_TABLE = 50


@dataclass(frozen=True, slots=True)
class Tier:
    """From *lower* notional on, at most *max_leverage*."""

    lower: Decimal
    max_leverage: int


@dataclass(slots=True)
class Asset:
    """One perpetual of the universe.

    Attributes:
        index: its number in actions; never changes, also not when it is delisted.
        coin: the name.
        size_decimals: sizes are multiples of 10**-size_decimals.
        max_leverage: of the first tier.
        tiers: lower bounds of notional with their leverage, lowest first.
        min_notional: smallest order, USDC.
    """

    index: int
    coin: str
    size_decimals: int
    max_leverage: int
    tiers: tuple[Tier, ...] = ()
    min_notional: Decimal = Decimal(10)
    only_isolated: bool = False
    is_delisted: bool = False
    table: int = field(init=False)

    def __post_init__(self) -> None:
        if not self.tiers:
            self.tiers = (Tier(ZERO, self.max_leverage),)
        single = len(self.tiers) == 1 and self.max_leverage < FIRST_TABLE
        self.table = self.max_leverage if single else FIRST_TABLE + self.index

    def maintenance(self, notional: Decimal) -> Decimal:
        """Return the maintenance margin of a position of *notional*."""
        rate, deduction = self.maintenance_terms(notional)
        return notional * rate - deduction

    def maintenance_terms(self, notional: Decimal) -> tuple[Decimal, Decimal]:
        """Return rate and deduction of the tier that holds *notional*."""
        rate = deduction = ZERO
        for tier in self.tiers:
            if notional < tier.lower:
                break
            following = 1 / Decimal(2 * tier.max_leverage)
            deduction += tier.lower * (following - rate)
            rate = following
        return rate, deduction

    def leverage_limit(self, notional: Decimal) -> int:
        """Return the highest leverage at which *notional* may be held."""
        held = [tier.max_leverage for tier in self.tiers if notional >= tier.lower]
        return held[-1]

    def describe(self) -> dict[str, Any]:
        """Return the entry of `meta.universe`."""
        entry: dict[str, Any] = {
            "szDecimals": self.size_decimals,
            "name": self.coin,
            "maxLeverage": self.max_leverage,
            "marginTableId": self.table,
        }
        if self.only_isolated:
            entry["onlyIsolated"] = True
            entry["marginMode"] = "strictIsolated"
        if self.is_delisted:
            entry["isDelisted"] = True
        return entry

    def margin_table(self) -> list[Any]:
        """Return the entry of `meta.marginTables`."""
        tiers = [{"lowerBound": wire(t.lower), "maxLeverage": t.max_leverage} for t in self.tiers]
        text = "" if len(tiers) == 1 else f"tiered {self.max_leverage}x"
        return [self.table, {"description": text, "marginTiers": tiers}]


def assets_of(instruments: Iterable[Instrument]) -> list[Asset]:
    """Return the universe of *instruments*, numbered in their order."""
    return [
        Asset(
            index,
            coin_of(one.symbol),
            one.size_decimals,
            int(one.max_leverage),
            min_notional=Decimal(repr(one.min_notional)),
        )
        for index, one in enumerate(instruments)
    ]


def meta(assets: Iterable[Asset]) -> dict[str, Any]:
    """Return the answer to `meta`."""
    known = list(assets)
    tables = {asset.table: asset.margin_table() for asset in known}
    return {
        "universe": [asset.describe() for asset in known],
        "marginTables": [tables[number] for number in sorted(tables)],
        "collateralToken": 0,
    }


def spot_meta() -> dict[str, Any]:
    """Return the answer to `spotMeta`: USDC and one listed pair, so that clients can read it."""
    tokens = [
        ("USDC", 8, 8, 0, "0x6d1e7cde53ba9467b783cb7c530ce054"),
        ("PURR", 0, 5, 1, "0xc1fb593aeffbeb02f85e0308e9956a90"),
    ]
    return {
        "universe": [{"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True}],
        "tokens": [
            {
                "name": name,
                "szDecimals": size,
                "weiDecimals": wei,
                "index": index,
                "tokenId": token,
                "isCanonical": True,
                "evmContract": None,
                "fullName": None,
                "deployerTradingFeeShare": "0.0",
            }
            for name, size, wei, index, token in tokens
        ],
    }
