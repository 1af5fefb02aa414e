"""Ranges of parameters: one declaration validates a value, packs it and spans the search space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ftbt.errors import ParameterError, did_you_mean


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers from *low* to *high* inclusive, in steps of *step*.

    `tune=False` keeps the parameter out of the search; it is still validated.
    """

    low: int
    high: int
    step: int = 1
    tune: bool = True

    kind = "i8"

    def check(self, name: str, value: Any) -> int:
        """Return *value* as int or raise ParameterError."""
        whole = isinstance(value, int | np.integer) or (
            isinstance(value, float) and value.is_integer()
        )
        if isinstance(value, bool) or not whole or not self.low <= value <= self.high:
            raise ParameterError(
                f"{name} must be a whole number from {self.low} to {self.high}, not {value!r}"
            )
        return int(value)

    def pack(self, value: Any) -> float:
        """Return the number that compiled code sees."""
        return int(value)

    def parse(self, name: str, text: str) -> int:
        """Return the value written as *text* on a command line."""
        try:
            return self.check(name, int(text))
        except ValueError:
            return self.check(name, text)


@dataclass(frozen=True, slots=True)
class Float:
    """Real numbers from *low* to *high* inclusive; `log=True` searches on a log scale."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    tune: bool = True

    kind = "f8"

    def check(self, name: str, value: Any) -> float:
        """Return *value* as float or raise ParameterError."""
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not self.low <= value <= self.high:
            raise ParameterError(
                f"{name} must be a number from {self.low:g} to {self.high:g}, not {value!r}"
            )
        return float(value)

    def pack(self, value: Any) -> float:
        """Return the number that compiled code sees."""
        return float(value)

    def parse(self, name: str, text: str) -> float:
        """Return the value written as *text* on a command line."""
        try:
            return self.check(name, float(text))
        except ValueError:
            return self.check(name, text)


class Choice:
    """One of a few words; compiled code sees the word's position."""

    __slots__ = ("tune", "words")

    kind = "i8"

    def __init__(self, *words: str, tune: bool = True) -> None:
        self.words = words
        self.tune = tune

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.words))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and (self.words, self.tune) == (other.words, other.tune)

    def __hash__(self) -> int:
        return hash((self.words, self.tune))

    def check(self, name: str, value: Any) -> str:
        """Return *value* or raise ParameterError."""
        if value not in self.words:
            words = ", ".join(map(repr, self.words))
            hint = did_you_mean(str(value), self.words)
            raise ParameterError(f"{name} must be one of {words}, not {value!r}{hint}")
        return str(value)

    def pack(self, value: Any) -> float:
        """Return the position of *value*."""
        return self.words.index(value)

    def parse(self, name: str, text: str) -> str:
        """Return the value written as *text* on a command line."""
        return self.check(name, text)


class Bool:
    """True or False; compiled code sees 1 or 0."""

    __slots__ = ("tune",)

    kind = "i8"

    def __init__(self, *, tune: bool = True) -> None:
        self.tune = tune

    def __repr__(self) -> str:
        return "Bool()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bool) and self.tune == other.tune

    def __hash__(self) -> int:
        return hash(self.tune)

    def check(self, name: str, value: Any) -> bool:
        """Return *value* or raise ParameterError."""
        if not isinstance(value, bool | np.bool_):
            raise ParameterError(f"{name} must be true or false, not {value!r}")
        return bool(value)

    def pack(self, value: Any) -> float:
        """Return 1 or 0."""
        return int(value)

    def parse(self, name: str, text: str) -> bool:
        """Return the value written as *text* on a command line."""
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        return self.check(name, words.get(text.strip().lower(), text))


Range: TypeAlias = Int | Float | Choice | Bool


def check_values(
    owner: str, ranges: Mapping[str, Range], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return *values* checked against *ranges*, in the order of *ranges*.

    Args:
        owner: whose parameters they are; the message begins with it.
        ranges: every known parameter.
        values: any subset of them.

    Raises:
        ParameterError: for an unknown name (with the nearest known one) or a bad value.
    """
    for name in values:
        if name not in ranges:
            known = ", ".join(ranges)
            hint = did_you_mean(name, ranges) or "."
            raise ParameterError(f"{owner} has no parameter {name!r}{hint} It has: {known}")
    return {
        name: limits.check(f"{owner}: {name}", values[name])
        for name, limits in ranges.items()
        if name in values
    }


def record_type(ranges: Mapping[str, Range]) -> np.dtype[np.void]:
    """Return the record in which compiled code receives the parameters, one field each."""
    # numba can't handle a record without fields.
    fields = [(name, limits.kind) for name, limits in ranges.items()] or [("none", "i8")]
    return np.dtype(fields, align=True)


def pack(
    ranges: Mapping[str, Range],
    values: Mapping[str, Any],
    layout: np.dtype[np.void] | None = None,
) -> NDArray[np.void]:
    """Return *values* as an array of one record of `record_type(ranges)`, given or made anew."""
    layout = record_type(ranges) if layout is None else layout
    if not ranges:
        return np.zeros(1, layout)
    return np.array([tuple(limits.pack(values[name]) for name, limits in ranges.items())], layout)
