"""Checks of the numbers that statistics are given, and of series without variation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ftbt.errors import InputError, did_you_mean

Floats = NDArray[np.float64]

# Deviations below this share of the largest value are rounding errors, not risk.
FLAT = 1e-13


def as_series(values: ArrayLike, what: str, least: int = 2) -> Floats:
    """Return *values* as a finite float64 series, shape (n,).

    Args:
        values: numbers, one per observation.
        what: how the error names them.
        least: fewest values that make sense.

    Raises:
        InputError: wrong shape, too few, or a value that is not finite (with its place).
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise InputError(f"{what}: one series is needed, not a matrix of shape {series.shape}")
    if len(series) < least:
        raise InputError(f"{what}: at least {least} values are needed, but got {len(series)}")
    wrong = np.flatnonzero(~np.isfinite(series))
    if len(wrong):
        place = int(wrong[0])
        raise InputError(f"{what}: value {place} is {series[place]}; it must be a finite number")
    return series


def in_range(
    value: float,
    what: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return *value* as a float when it lies in the range.

    Args:
        value: the number.
        what: how the error names it.
        low: smallest value.
        high: greatest value.
        open_low: *low* itself is excluded.
        open_high: *high* itself is excluded.

    Raises:
        InputError: NaN or outside of the range, which the message states.
    """
    number = float(value)
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (above and below):
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        raise InputError(f"{what} must be in {left}{low:g}, {high:g}{right}, but got {number:g}")
    return number


def whole(value: float, what: str, low: int) -> int:
    """Return *value* as an int when it is a whole number of at least *low*.

    Raises:
        InputError: a fraction, or too small.
    """
    number = in_range(value, what, low)
    if not math.isfinite(number) or number != math.floor(number):
        raise InputError(f"{what} must be a whole number of at least {low}, but got {number:g}")
    return int(number)


def one_of(value: str, what: str, known: tuple[str, ...]) -> str:
    """Return *value* when it is one of the *known* words.

    Raises:
        InputError: an unknown word, with the nearest known one.
    """
    if value not in known:
        listed = ", ".join(f"'{word}'" for word in known)
        raise InputError(
            f"{what} must be one of {listed}, but got '{value}'{did_you_mean(str(value), known)}"
        )
    return value


def varies(series: Floats) -> bool:
    """Return True when the series, shape (n,), has a spread beyond rounding errors."""
    return bool(series.std() > FLAT * np.abs(series).max())


def varying_columns(matrix: Floats) -> NDArray[np.bool_]:
    """Return which columns of a matrix (observations, columns) vary, shape (columns,)."""
    return np.asarray(matrix.std(axis=0) > FLAT * np.abs(matrix).max(axis=0), dtype=np.bool_)
