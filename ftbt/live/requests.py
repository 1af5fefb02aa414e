"""From a working order to what the exchange is asked for: prices on the tick, bounds, triggers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ftbt.backtest.result import Kind
from ftbt.backtest.working import Working
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.orders import OrderRequest, Tif, Trigger
from ftbt.hyperliquid.records import Asset
from ftbt.live.legs import Leg, Placed

_LIMITED = (Kind.STOP_LIMIT, Kind.TRAIL_LIMIT)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far from the market an order that trades at once may go, fractions of the price.

    Attributes:
        entry: of a market entry; a price that has run further is not chased.
        exit: of a market exit at the first attempt; doubled with each that found nothing.
        stop: of a stop, beyond its trigger.
    """

    entry: float = 0.02
    exit: float = 0.05
    stop: float = 0.10


def bounded(price: float, is_buy: bool, fraction: float, asset: Asset) -> Decimal:
    """Return *price* made worse by *fraction*, on the tick and not beyond."""
    factor = Decimal(repr(1.0 + fraction if is_buy else 1.0 - fraction))
    toward = wire.Toward.DOWN if is_buy else wire.Toward.UP
    return wire.move_price(Decimal(repr(price)) * factor, asset.size_decimals, toward)


def price_of(leg: Leg, working: Working, asset: Asset) -> Decimal:
    """Return the price that a leg of *working* stands for; 0 for one that trades at any."""
    if leg is Leg.EXIT or (leg is Leg.ENTRY and at_market(working)):
        return Decimal(0)
    price = working.limit if leg is Leg.ENTRY and working.triggered else working.price
    return wire.decimal_price(price, asset.size_decimals)


def at_market(working: Working) -> bool:
    """Tell whether an order trades at any price: a stop does so once its trigger has traded."""
    woken = working.triggered and working.kind not in _LIMITED
    return working.kind == Kind.MARKET or woken


def request(leg: Placed, asset: Asset, bounds: Bounds, market: float, missed: int) -> OrderRequest:
    """Return the order of *leg*.

    Args:
        leg: what it is for.
        asset: rules of the coin.
        bounds: see there.
        market: price now, for what trades at once.
        missed: exits before it that found nobody within their bound.
    """
    buy, working = leg.is_buy, leg.working
    if leg.kind is Leg.EXIT:
        fraction = min(0.5, bounds.exit * 2.0**missed)
        price = bounded(market, buy, fraction, asset)
        return OrderRequest(asset, buy, price, leg.size, leg.cloid, Tif.IOC, reduce_only=True)
    if leg.kind in (Leg.GUARD, Leg.STOP):
        price = bounded(float(leg.price), buy, bounds.stop, asset)
        wake = Trigger(leg.price, stop=True)
        return OrderRequest(asset, buy, price, leg.size, leg.cloid, trigger=wake, reduce_only=True)
    closes = leg.closes
    if at_market(working):
        price = bounded(market, buy, bounds.exit if leg.closing else bounds.entry, asset)
        return OrderRequest(asset, buy, price, leg.size, leg.cloid, Tif.IOC, reduce_only=closes)
    if working.triggered or not working.is_stop_kind:
        return OrderRequest(asset, buy, leg.price, leg.size, leg.cloid, reduce_only=closes)
    limited = working.kind in _LIMITED
    wake = Trigger(leg.price, stop=True, market=not limited)
    price = (
        wire.decimal_price(working.limit, asset.size_decimals)
        if limited
        else bounded(float(leg.price), buy, bounds.entry, asset)
    )
    return OrderRequest(asset, buy, price, leg.size, leg.cloid, trigger=wake, reduce_only=closes)
