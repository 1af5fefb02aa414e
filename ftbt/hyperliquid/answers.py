"""Reading the venue's answers: every field is there and of its kind, or the answer is refused.

A field that is missing must never look like a flat position or an empty list of orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from ftbt.errors import ExchangeError
from ftbt.hyperliquid import wire

T = TypeVar("T")


class Unreadable(ExchangeError):  # noqa: N818 - reads as what happened
    """An answer of another form than the documentation says; nothing is concluded from it."""


class Node:
    """A part of an answer, with its place in it for messages.

    Example:
        Node(answer, "clearinghouseState").at("marginSummary").number("accountValue")
    """

    __slots__ = ("_where", "value")

    def __init__(self, value: Any, where: str) -> None:
        self.value = value
        self._where = where

    def wrong(self, expected: str) -> Unreadable:
        """Return the error that says what was expected here."""
        shown = repr(self.value)
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        return Unreadable(f"the exchange answered {shown} for {self._where}, expected {expected}")

    def has(self, name: str) -> bool:
        """Tell whether this is an object with something under *name*."""
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def at(self, name: str) -> Node:
        """Return the part under *name*, which must be there."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        if name not in self.value:
            raise self.wrong(f"an object with {name!r}")
        return Node(self.value[name], f"{self._where}.{name}")

    def items(self) -> Iterator[Node]:
        """Yield the members of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        for number, member in enumerate(self.value):
            yield Node(member, f"{self._where}[{number}]")

    def entry(self, number: int) -> Node:
        """Return one member of a list."""
        found = list(self.items())
        if len(found) <= number:
            raise self.wrong(f"a list of more than {number}")
        return found[number]

    def each(self, read: Callable[[Node], T]) -> tuple[T, ...]:
        """Return what *read* makes of the members of a list."""
        return tuple(read(member) for member in self.items())

    def text(self, name: str) -> str:
        """Return the string under *name*."""
        part = self.at(name)
        if not isinstance(part.value, str):
            raise part.wrong("a string")
        return part.value

    def maybe_text(self, name: str) -> str | None:
        """Return the string under *name*, None when it is null or left out."""
        return self.text(name) if self.has(name) else None

    def number(self, name: str) -> Decimal:
        """Return the decimal number that is written as a string under *name*."""
        part = self.at(name)
        try:
            return wire.parse(part.value)
        except ValueError:
            raise part.wrong("a number in a string") from None

    def maybe_number(self, name: str) -> Decimal | None:
        """Return the number under *name*, None when it is null or left out."""
        return self.number(name) if self.has(name) else None

    def whole(self, name: str) -> int:
        """Return the integer under *name*."""
        part = self.at(name)
        if not isinstance(part.value, int) or isinstance(part.value, bool):
            raise part.wrong("a whole number")
        return part.value

    def flag(self, name: str, missing: bool | None = None) -> bool:
        """Return the truth value under *name*; *missing* when it is left out and may be."""
        if missing is not None and not self.has(name):
            return missing
        part = self.at(name)
        if not isinstance(part.value, bool):
            raise part.wrong("true or false")
        return part.value

    def side(self, name: str = "side") -> bool:
        """Return True for a buy (`B`), False for a sell (`A`)."""
        found = self.text(name)
        if found not in ("A", "B"):
            raise self.at(name).wrong("'A' or 'B'")
        return found == "B"
