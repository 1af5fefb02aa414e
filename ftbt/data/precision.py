"""Tick and lot rules of the venue: the one place where a price or size is rounded.

Hyperliquid perpetuals: a price has at most 5 significant figures and at most
`6 - size_decimals` decimals; whole-number prices are always allowed. A size is a multiple of
`10**-size_decimals`.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.compiled import compiled

MAX_DECIMALS = 6
SIGNIFICANT = 5
# Beyond it a double can no longer tell one lot from the next when sizes are added up.
MOST_LOTS = 1e15

# Compiled code takes it as a constant; a power costs as much as all the rest of a rounding.
_TEN = np.array([10.0**k for k in range(MAX_DECIMALS + 1)])


@compiled
def price_decimals(price: float, size_decimals: int) -> int:
    """Return how many decimals a valid price near *price* may have (0 for whole numbers)."""
    if price <= 0.0:
        return 0
    decimals, unit = 0, 10.0 ** (SIGNIFICANT - 1)
    while price < unit and decimals < MAX_DECIMALS - size_decimals:
        decimals += 1
        unit /= 10.0
    return decimals


@compiled
def tick_size(price: float, size_decimals: int) -> float:
    """Return the distance between two valid prices near *price*."""
    return 10.0 ** -price_decimals(price, size_decimals)


@compiled
def round_price(price: float, size_decimals: int) -> float:
    """Return the valid price nearest to *price*; NaN stays NaN."""
    if not price > 0.0:
        return price
    scale: float = _TEN[price_decimals(price, size_decimals)]
    return math.floor(price * scale + 0.5) / scale


@compiled
def lowest_price(size_decimals: int) -> float:
    """Return the lowest valid price of all."""
    lowest: float = 1.0 / _TEN[MAX_DECIMALS - size_decimals]
    return lowest


@compiled
def worse_price(price: float, side: float, size_decimals: int) -> float:
    """Return the valid price nearest to *price* that is no better: up for a buy, down for a sell.

    A price that is valid but for rounding errors stays; NaN stays NaN.
    """
    if not price > 0.0:
        return price
    scale: float = _TEN[price_decimals(price, size_decimals)]
    ticks = price * scale
    hair = min(0.5, ticks * 2e-15 + 1e-9)
    if side > 0:
        return math.ceil(ticks - hair) / scale
    return math.floor(ticks + hair) / scale


@compiled
def floor_size(size: float, size_decimals: int) -> float:
    """Return *size* (not negative) cut down to the lot; rounding errors do not lose one.

    More than `MOST_LOTS` lots (1e15) are cut to that many.
    """
    scale: float = _TEN[size_decimals]
    lots = min(size * scale, MOST_LOTS)
    return math.floor(lots + min(0.5, lots * 2e-15 + 1e-9)) / scale


@compiled
def nearest_size(size: float, size_decimals: int) -> float:
    """Return the multiple of the lot nearest to *size*, which may be negative."""
    scale: float = _TEN[size_decimals]
    if size < 0.0:
        return -math.floor(-size * scale + 0.5) / scale
    return math.floor(size * scale + 0.5) / scale
