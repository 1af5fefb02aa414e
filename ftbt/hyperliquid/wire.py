"""Prices and sizes as the venue takes them: `Decimal` in, plain decimal strings out.

The rules of tick and lot stand in `ftbt.data.precision`; here they are only applied to decimals.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum

from ftbt.data.precision import floor_size, price_decimals, round_price
from ftbt.errors import InputError

# The venue refuses a ninth decimal.
MOST_DECIMALS = 8
# A sum of two below this has 8 exact decimals in the 28 digits of decimal arithmetic.
_TOO_LARGE = Decimal(10) ** 18


class Toward(StrEnum):
    """To which valid price one between two ticks is moved."""

    NEAREST = ROUND_HALF_UP
    DOWN = ROUND_FLOOR
    UP = ROUND_CEILING


def decimal_price(price: float, size_decimals: int) -> Decimal:
    """Return the valid price nearest to *price*, exactly the one that a back-test takes.

    Raises:
        InputError: when *price* is not a positive finite number.
    """
    if not 0.0 < price < float("inf"):
        raise InputError(f"a price must be a positive number, not {price}")
    return plain(Decimal(repr(float(round_price(price, size_decimals)))))


def move_price(price: Decimal, size_decimals: int, toward: Toward) -> Decimal:
    """Return *price* itself when it is valid, else the valid price on the side of *toward*.

    A bound on slippage is rounded to the safe side with it, which the nearest tick may not be.

    Raises:
        InputError: when *price* is not a positive finite number, or nothing is left of it.
    """
    if not price.is_finite() or price <= 0:
        raise InputError(f"a price must be a positive number, not {price}")
    step = Decimal(1).scaleb(-price_decimals(float(price), size_decimals))
    moved = price.quantize(step, rounding=toward.value)
    if moved <= 0:
        raise InputError(f"a price of {price} is below the smallest tick, {step}")
    return plain(moved)


def is_valid_price(price: Decimal, size_decimals: int) -> bool:
    """Tell whether *price* is on the tick."""
    return price > 0 and price == move_price(price, size_decimals, Toward.NEAREST)


def lot(size_decimals: int) -> Decimal:
    """Return the smallest size."""
    return Decimal(1).scaleb(-size_decimals)


def decimal_size(size: float, size_decimals: int) -> Decimal:
    """Return *size* cut down to the lot, exactly the one that a back-test takes; may be 0.

    Raises:
        InputError: when *size* is negative or not a number.
    """
    if not 0.0 <= size < float("inf"):
        raise InputError(f"a size must be a number from 0 up, not {size}")
    return plain(Decimal(repr(float(floor_size(size, size_decimals)))))


def is_valid_size(size: Decimal, size_decimals: int) -> bool:
    """Tell whether *size* is a positive multiple of the lot."""
    return size > 0 and size % lot(size_decimals) == 0


def plain(number: Decimal) -> Decimal:
    """Return *number* without zeros at its end."""
    whole = number == number.to_integral_value()
    return number.quantize(Decimal(1)) if whole else number.normalize()


def text(number: Decimal) -> str:
    """Return *number* as the venue writes and hashes it: `1234.5`, no exponent, no zeros behind.

    Raises:
        InputError: for a negative number, or one with more than 8 decimals.
    """
    shown = format(plain(number), "f")
    if number < 0 or len(shown.partition(".")[2]) > MOST_DECIMALS:
        raise InputError(f"{number} can't be sent: a number from 0 up with up to 8 decimals can")
    return shown


def parse(written: object) -> Decimal:
    """Return the number that the venue wrote as a string.

    Raises:
        ValueError: when it is anything but a decimal number in a string, or one too large to be
            reckoned with to the eighth decimal.
    """
    if not isinstance(written, str):
        raise ValueError(f"{written!r} is not a number in a string")  # noqa: TRY004 - one class
    try:
        number = Decimal(written)
    except InvalidOperation:
        raise ValueError(f"{written!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{written!r} is not a finite number")
    if abs(number) >= _TOO_LARGE:
        raise ValueError(f"{written!r} is too large for 8 exact decimals")
    return number
