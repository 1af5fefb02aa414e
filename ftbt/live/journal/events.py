"""Events, their text, and the chain that ties each entry to all before it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

START = bytes(32)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened or was decided.

    Attributes:
        id: 1, 2, 3, ... without holes.
        wall_ms: when it was noted, ms since 1970 UTC by the clock of this machine.
        market_ms: when it happened on the market's clock; 0: outside of it.
        kind: order, fill, equity, ...
        coin: "" when it is about no single one.
        body: plain JSON.
    """

    id: int
    wall_ms: int
    market_ms: int
    kind: str
    coin: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a sequence of entries comes to.

    Attributes:
        count: how many.
        sha256: of all of them in order, in hexadecimal digits.
    """

    count: int = 0
    sha256: str = START.hex()


def digest(events: Iterable[Event], before: Digest | None = None) -> Digest:
    """Return the digest of *events*, which follow those of *before* without a hole.

    Raises:
        ValueError: an event is missing, doubled or out of order.
    """
    count, chain = (0, START) if before is None else (before.count, bytes.fromhex(before.sha256))
    for event in events:
        count += 1
        if event.id != count:
            raise ValueError(f"event {event.id} stands where {count} must be")
        chain = link(chain, event_row(event))
    return Digest(count, chain.hex())


def event_row(event: Event) -> tuple[object, ...]:
    """Return the columns of *event* as they are stored, without the chain."""
    return (
        event.id, event.wall_ms, event.market_ms, event.kind, event.coin, _dump(event.body),
    )  # fmt: skip


def link(chain: bytes, row: Sequence[object]) -> bytes:
    """Return the chain up to *row*, given the one up to the row before it."""
    plain = [value.hex() if isinstance(value, bytes) else value for value in row]
    return hashlib.sha256(chain + _dump(plain).encode("ascii")).digest()


def encode(kind: str, body: Mapping[str, Any]) -> str:
    """Return *body* as JSON that reads back as the same text.

    NaN and infinities become null: JSON has neither, and in our records they mean "none".
    Decimals become floats (prices and sizes of the venue are exact in both), aware datetimes ms.

    Raises:
        TypeError: something in it is no JSON.
    """
    try:
        text = _dump_any(body)
    except ValueError:
        text = _dump_any(_finite(body))
    except TypeError as error:
        raise TypeError(f"an event '{kind}' can't be written: {error}") from error
    # Keys that are no text, or the same text twice, settle here: what is stored is what is read.
    return text if _has_plain_keys(body) else _dump(json.loads(text))


def decode(text: str) -> dict[str, Any]:
    """Return the body that *text* stands for.

    Raises:
        ValueError: it is no JSON object.
    """
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("the body of an event is a JSON object")  # noqa: TRY004 - of the text
    return body


def _has_plain_keys(value: object) -> bool:
    """Tell whether what is written of *value* surely reads back as the same text."""
    if isinstance(value, dict):
        return all(type(key) is str and _has_plain_keys(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_has_plain_keys, value))
    return value is None or type(value) in _PLAIN


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, Decimal):
        return _finite(float(value))
    if isinstance(value, datetime) and value.tzinfo is not None:
        return int(value.timestamp() * 1000)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no JSON")


# Made once: decisions wait for them.
_PLAIN = frozenset((str, int, float, bool))
_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_dump_any = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, np.generic | np.ndarray | Decimal):
        return _plain(value)
    return value
