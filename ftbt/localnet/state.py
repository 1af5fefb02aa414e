"""Accounts and markets as the venue describes them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ftbt.data.precision import MAX_DECIMALS
from ftbt.localnet.ledger import Account, Position
from ftbt.localnet.margin import Summary
from ftbt.localnet.numbers import ONE, ZERO, floor_lot, round_down, wire
from ftbt.localnet.venue import Venue

_SHOWN = Decimal("0.00000001")
_IMPACT = Decimal(20_000)


def _short(value: Decimal) -> str:
    return wire(value.quantize(_SHOWN, ROUND_HALF_UP))


def clearinghouse(venue: Venue, account: Account) -> dict[str, Any]:
    """Return the answer to `clearinghouseState`."""
    margin = venue.core.margin
    return {
        "marginSummary": _summary(margin.total(account)),
        "crossMarginSummary": _summary(margin.cross(account)),
        "crossMaintenanceMarginUsed": _short(margin.cross_maintenance(account)),
        "withdrawable": _short(margin.withdrawable(account)),
        "assetPositions": [
            {"type": "oneWay", "position": _position(venue, account, held)}
            for held in account.positions.values()
        ],
        "time": venue.time,
    }


def _summary(sums: Summary) -> dict[str, str]:
    return {
        "accountValue": _short(sums.value),
        "totalNtlPos": _short(sums.notional),
        "totalRawUsd": _short(sums.raw_usd),
        "totalMarginUsed": _short(sums.used),
    }


def _position(venue: Venue, account: Account, held: Position) -> dict[str, Any]:
    core = venue.core
    asset, mark = core.by_coin[held.coin], core.marks[held.coin]
    size = abs(held.size)
    entry = (held.cost / size).quantize(ONE.scaleb(asset.size_decimals - MAX_DECIMALS))
    liquidation = core.margin.liquidation_price(account, held)
    profit = held.profit(mark)
    return {
        "coin": held.coin,
        "szi": wire(held.size),
        "leverage": leverage(held.is_cross, held.leverage, held.raw_usd),
        "entryPx": wire(entry),
        "positionValue": _short(size * mark),
        "unrealizedPnl": _short(profit),
        "returnOnEquity": _short(profit / (held.cost / held.leverage)),
        "liquidationPx": None if liquidation is None else _short(liquidation),
        "marginUsed": _short(core.margin.used(held)),
        "maxLeverage": asset.max_leverage,
        "cumFunding": {
            "allTime": wire(account.funding_by_coin.get(held.coin, ZERO)),
            "sinceOpen": wire(held.funding),
            "sinceChange": wire(held.funding_since_change),
        },
    }


def leverage(is_cross: bool, value: int, raw_usd: Decimal) -> dict[str, Any]:
    """Return margin mode and leverage as the venue shows them."""
    if is_cross:
        return {"type": "cross", "value": value}
    return {"type": "isolated", "value": value, "rawUsd": wire(raw_usd)}


def spot(venue: Venue, account: Account) -> dict[str, Any]:
    """Return the answer to `spotClearinghouseState`; in unified mode the equity is here."""
    total, hold = account.spot, ZERO
    if account.abstraction in ("unifiedAccount", "portfolioMargin"):
        summary = venue.core.margin.total(account)
        total += account.cash
        hold = summary.used
    if not total and not account.deposits:
        return {"balances": []}
    return {
        "balances": [
            {
                "coin": "USDC", "token": 0, "total": wire(total), "hold": _short(hold),
                "entryNtl": "0.0",
            }
        ]
    }  # fmt: skip


def active_asset(venue: Venue, account: Account, coin: str) -> dict[str, Any]:
    """Return the answer to `activeAssetData`."""
    core = venue.core
    is_cross, value = core.margin.mode(account, coin)
    held = account.positions.get(coin)
    mark, free = core.marks[coin], max(ZERO, core.margin.free(account))
    available, sizes = [], []
    for side in (1, -1):
        margin = free
        if held is not None and held.side != side:
            margin += 2 * core.margin.used(held)
        available.append(_short(margin))
        sizes.append(wire(floor_lot(margin * value / mark, core.by_coin[coin].size_decimals)))
    return {
        "user": account.address,
        "coin": coin,
        "leverage": leverage(is_cross, value, held.raw_usd if held else ZERO),
        "maxTradeSzs": sizes,
        "availableToTrade": available,
        "markPx": wire(mark),
    }


def context(venue: Venue, coin: str) -> dict[str, Any]:
    """Return the asset context: mark, oracle, mid, funding, the day's volume."""
    core = venue.core
    market, mark = core.markets[coin], core.marks[coin]
    day_ago, base, quote = market.day_ago()
    mid = venue.matching.mid(coin)
    impact = [_impact(venue, coin, is_ask) for is_ask in (False, True)]
    return {
        "funding": wire(market.funding_rate()),
        "openInterest": wire(sum((abs(a.size_of(coin)) for a in core.accounts.values()), ZERO)),
        "prevDayPx": wire(day_ago),
        "dayNtlVlm": wire(quote),
        "premium": None if mid is None else _short((mid - mark) / mark),
        "oraclePx": wire(mark),
        "markPx": wire(mark),
        "midPx": None if mid is None else wire(mid),
        "impactPxs": None if None in impact else impact,
        "dayBaseVlm": wire(base),
    }


def _impact(venue: Venue, coin: str, is_ask: bool) -> str | None:
    left, paid, got = _IMPACT, ZERO, ZERO
    for price, size, _ in venue.matching.levels(coin, is_ask):
        part = min(size, left / price)
        paid, got, left = paid + part * price, got + part, left - part * price
        if left <= 0:
            average = paid / got
            return wire(round_down(average, venue.core.by_coin[coin].size_decimals))
    return None


def mids(venue: Venue) -> dict[str, str]:
    """Return the answer to `allMids`; an empty side gives the last price."""
    found = {}
    for coin, mark in venue.core.marks.items():
        mid = venue.matching.mid(coin)
        found[coin] = wire(mark if mid is None else mid)
    return found


def book(
    venue: Venue, coin: str, figures: int | None, mantissa: int | None, depth: int = 20
) -> dict[str, Any]:
    """Return the answer to `l2Book`."""
    sides: list[list[dict[str, Any]]] = []
    for is_ask in (False, True):
        levels = venue.matching.levels(coin, is_ask)
        if figures is not None:
            levels = _coarse(levels, figures, mantissa or 1, is_ask)
        sides.append([{"px": wire(px), "sz": wire(size), "n": n} for px, size, n in levels[:depth]])
    answer: dict[str, Any] = {"coin": coin, "time": venue.time, "levels": sides}
    if figures is not None and all(sides):
        answer["spread"] = wire(Decimal(sides[1][0]["px"]) - Decimal(sides[0][0]["px"]))
    return answer


def _coarse(
    levels: list[tuple[Decimal, Decimal, int]], figures: int, mantissa: int, is_ask: bool
) -> list[tuple[Decimal, Decimal, int]]:
    sums: dict[Decimal, tuple[Decimal, int]] = {}
    for price, size, count in levels:
        unit = ONE.scaleb(price.adjusted() + 1 - figures) * mantissa
        steps = price / unit
        whole = steps.to_integral_value("ROUND_CEILING" if is_ask else "ROUND_FLOOR")
        known, orders = sums.get(whole * unit, (ZERO, 0))
        sums[whole * unit] = (known + size, orders + count)
    return [(price, *sums[price]) for price in sorted(sums, reverse=not is_ask)]


def top(venue: Venue, coin: str) -> dict[str, Any]:
    """Return best bid and offer."""
    sides: list[dict[str, Any] | None] = []
    for is_ask in (False, True):
        levels = venue.matching.levels(coin, is_ask)
        if levels:
            price, size, count = levels[0]
            sides.append({"px": wire(price), "sz": wire(size), "n": count})
        else:
            sides.append(None)
    return {"coin": coin, "time": venue.time, "bbo": sides}


def open_orders(venue: Venue, user: str) -> list[dict[str, Any]]:
    """Return the answer to `openOrders`, newest first."""
    return [order.basic() for order in reversed(venue.core.orders.live(user))]


def frontend_orders(venue: Venue, user: str) -> list[dict[str, Any]]:
    """Return the answer to `frontendOpenOrders`, newest first."""
    store = venue.core.orders
    return [order.full(store.children(order)) for order in reversed(store.live(user))]


def fees(venue: Venue, user: str) -> dict[str, Any]:
    """Return the answer to `userFees`."""
    taker, maker = venue.core.fee_rates(user)
    tiers = [
        ("5000000", "0.0004", "0.00012"), ("25000000", "0.00035", "0.00008"),
        ("100000000", "0.0003", "0.00004"), ("500000000", "0.00028", "0.0"),
        ("2000000000", "0.00026", "0.0"), ("7000000000", "0.00024", "0.0"),
    ]  # fmt: skip
    base = {"cross": "0.00045", "add": "0.00015", "spotCross": "0.0007", "spotAdd": "0.0004"}
    return {
        "dailyUserVlm": [],
        "feeSchedule": {
            **base,
            "tiers": {
                "vip": [
                    {**base, "ntlCutoff": f"{cut}.0", "cross": cross, "add": add}
                    for cut, cross, add in tiers
                ],
                "mm": [],
            },
            "referralDiscount": "0.04",
            "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0", "discount": "0.0"}],
        },
        "userCrossRate": wire(taker),
        "userAddRate": wire(maker),
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }
