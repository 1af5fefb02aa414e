"""Reading JSON into typed values and back into the one form that is hashed.

A parser takes a JSON value and returns its canonical one, or raises `Unreadable`. Objects are
rebuilt field by field in the venue's order: neither the order of keys nor padded decimals nor
upper-case hex change what is hashed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ftbt.localnet.numbers import canonical, parse_wire

Parser = Callable[[Any], Any]

_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")
_CLOID = re.compile(r"0x[0-9a-fA-F]{32}")
_U64 = 2**64


class Unreadable(Exception):  # noqa: N818 - reads as what happened
    """The JSON is not of the shape that the venue reads (HTTP 422)."""


def text(value: Any) -> str:
    """Read any string."""
    if not isinstance(value, str):
        raise Unreadable("not a string")
    return value


def flag(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise Unreadable("not a boolean")
    return value


def whole(value: Any) -> int:
    """Read an unsigned 64-bit number."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _U64:
        raise Unreadable("not an unsigned number")
    return value


def signed(value: Any) -> int:
    """Read a signed 64-bit number."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _U64 // 2:
        raise Unreadable("not a number")
    return value


def decimal(value: Any) -> str:
    """Read a decimal string; its canonical form has no padding."""
    number = parse_wire(value)
    if number is None:
        raise Unreadable("not a decimal")
    return canonical(number)


def address(value: Any) -> str:
    """Read an address; canonical is lower case with 0x."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise Unreadable("not an address")
    return "0x" + value[-40:].lower()


def cloid(value: Any) -> str:
    """Read a client order id."""
    if not isinstance(value, str) or not _CLOID.fullmatch(value):
        raise Unreadable("not a client order id")
    return value.lower()


def order_key(value: Any) -> int | str:
    """Read an order number or a client order id."""
    return cloid(value) if isinstance(value, str) else whole(value)


def one_of(*known: str) -> Parser:
    """Return a parser for a word of *known*."""

    def read(value: Any) -> str:
        if value not in known or not isinstance(value, str):
            raise Unreadable(f"none of {known}")
        return value

    return read


def many(of: Parser) -> Parser:
    """Return a parser for a list."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Unreadable("not a list")
        return [of(one) for one in value]

    return read


def record(
    required: Mapping[str, Parser],
    optional: Mapping[str, Parser] | None = None,
    *,
    strict: bool = True,
) -> Parser:
    """Return a parser for an object: *required* fields in this order, then *optional* ones.

    An optional field that is absent or null stays absent. With *strict* nothing else may be there.
    """
    more = optional or {}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unreadable("not an object")
        if strict and (unknown := set(value) - set(required) - set(more)):
            raise Unreadable(f"unknown field {min(unknown)}")
        missing = set(required) - set(value)
        if missing:
            raise Unreadable(f"missing field {min(missing)}")
        found = {name: parse(value[name]) for name, parse in required.items()}
        for name, parse in more.items():
            if value.get(name) is not None:
                found[name] = parse(value[name])
        return found

    return read
