"""Decimals on the wire: as the venue writes them, and as it reads them."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from ftbt.data.precision import MAX_DECIMALS, SIGNIFICANT

ZERO = Decimal(0)
ONE = Decimal(1)
MICRO = Decimal("0.000001")

_PLAIN = re.compile(r"\d{1,20}(\.\d+)?")
_WIRE_DECIMALS = 8


def wire(value: Decimal) -> str:
    """Return *value* as the venue answers it: plain digits with at least one decimal.

    Example:
        >>> wire(Decimal("31795")), wire(Decimal("0.0010"))
        ('31795.0', '0.001')
    """
    if not value:
        return "0.0"
    text = f"{value:f}"
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def canonical(value: Decimal) -> str:
    """Return *value* as it is hashed in an action: no trailing zeros, no exponent."""
    return wire(value).removesuffix(".0")


def parse_wire(text: object) -> Decimal | None:
    """Return the decimal of an action, or None when it is not one the venue would read.

    A plain non-negative decimal string; zeros may pad it, but beyond 8 decimals nothing else.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        return None
    _, _, fraction = text.partition(".")
    if fraction[_WIRE_DECIMALS:].strip("0"):
        return None
    return Decimal(text)


def from_float(value: float) -> Decimal:
    """Return the decimal that *value* is written as."""
    return Decimal(repr(float(value)))


def micro(value: Decimal) -> Decimal:
    """Return *value* cut towards zero to a millionth: the venue's unit of money."""
    return value.quantize(MICRO, ROUND_DOWN)


def price_decimals(price: Decimal, size_decimals: int) -> int:
    """Return how many decimals a valid price near *price* may have; see `data.precision`."""
    if price <= 0:
        return 0
    significant = SIGNIFICANT - 1 - price.adjusted()
    return max(0, min(significant, MAX_DECIMALS - size_decimals))


def tick(price: Decimal, size_decimals: int) -> Decimal:
    """Return the distance between two valid prices near *price*."""
    return ONE.scaleb(-price_decimals(price, size_decimals))


def is_on_tick(price: Decimal, size_decimals: int) -> bool:
    """Tell whether *price* is valid: 5 significant figures, or a whole number."""
    return price == price.to_integral_value() or price % tick(price, size_decimals) == 0


def round_down(price: Decimal, size_decimals: int) -> Decimal:
    """Return the highest valid price that is not above *price*."""
    return price.quantize(tick(price, size_decimals), ROUND_FLOOR)


def round_up(price: Decimal, size_decimals: int) -> Decimal:
    """Return the lowest valid price that is not below *price*."""
    return price.quantize(tick(price, size_decimals), ROUND_CEILING)


def lot(size_decimals: int) -> Decimal:
    """Return the smallest size."""
    return ONE.scaleb(-size_decimals)


def floor_lot(size: Decimal, size_decimals: int) -> Decimal:
    """Return *size* (not negative) cut down to the lot."""
    return size.quantize(lot(size_decimals), ROUND_DOWN)
