"""What became of an order or cancel, read from the venue's answer to its action.

A refusal comes as HTTP 200: either one text for the whole action or one per order. The number of
statuses need not be the number of orders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ftbt.hyperliquid.answers import Node, Unreadable
from ftbt.hyperliquid.records import ZERO


class State(StrEnum):
    """What an order is after its action.

    RESTING: in the book. FILLED: traded, maybe in part, and over. WAITING: a stop or target that
    waits for its price or its parent. REFUSED: was never an order. CANCELED: is no order any
    more. GONE: a cancel came too late, or for nothing. UNKNOWN: nobody knows yet.
    """

    RESTING = "resting"
    FILLED = "filled"
    WAITING = "waiting"
    REFUSED = "refused"
    CANCELED = "canceled"
    GONE = "gone"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Refusals that somebody has to act upon; all others are OTHER."""

    NONE = ""
    MARGIN = "margin"
    TICK = "tick"
    MINIMUM = "minimum"
    REDUCE_ONLY = "reduce only"
    CROSSED = "post only crossed"
    NO_MATCH = "no match"
    BAD_TRIGGER = "trigger already reached"
    POST_ONLY_WINDOW = "post only after an upgrade"
    DUPLICATE_NONCE = "duplicate nonce"
    NONCE = "nonce out of range"
    EXPIRED = "expired"
    REQUESTS = "requests of the account used up"
    SIGNER = "signer unknown"
    MISSING = "no such order"
    LOST = "never carried out"
    OTHER = "other"


_WORDS = (
    ("duplicate nonce", Reason.DUPLICATE_NONCE),
    ("invalid nonce", Reason.NONCE),
    ("expired", Reason.EXPIRED),
    ("too many cumulative requests", Reason.REQUESTS),
    ("does not exist", Reason.SIGNER),
    ("must deposit", Reason.SIGNER),
    ("unable to recover signer", Reason.SIGNER),
    ("only post-only", Reason.POST_ONLY_WINDOW),
    ("post only order would have", Reason.CROSSED),
    ("insufficient margin", Reason.MARGIN),
    ("tick size", Reason.TICK),
    ("minimum value", Reason.MINIMUM),
    ("reduce only", Reason.REDUCE_ONLY),
    ("could not immediately match", Reason.NO_MATCH),
    ("no liquidity", Reason.NO_MATCH),
    ("invalid tp/sl", Reason.BAD_TRIGGER),
    ("never placed, already canceled", Reason.MISSING),
    # In our own words: see `resolving`.
    ("never reached the exchange", Reason.LOST),
    ("without a trace", Reason.LOST),
)


def reason_of(text: str) -> Reason:
    """Return what a refusal of the venue is about; its texts carry endings like ` asset=3`."""
    lowered = text.lower()
    return next((reason for words, reason in _WORDS if words in lowered), Reason.OTHER)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order of an action.

    Attributes:
        cloid: which order.
        state: what it is now.
        oid: the venue's number, None while it has none or it was not told.
        filled: size that traded at once.
        average: mean price of it.
        text: the venue's words for a refusal.
    """

    cloid: str
    state: State
    oid: int | None = None
    filled: Decimal = ZERO
    average: Decimal | None = None
    text: str = ""

    @property
    def reason(self) -> Reason:
        """What the refusal is about."""
        return reason_of(self.text) if self.text else Reason.NONE


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue refused the action as a whole."""

    text: str

    @property
    def reason(self) -> Reason:
        """What it is about."""
        return reason_of(self.text)


def statuses_of(answer: Any) -> Refusal | tuple[Node, ...] | None:
    """Return the statuses of an answer to an action; None for one that only says ok.

    Raises:
        Unreadable: for an answer that is neither.
    """
    node = Node(answer, "the action")
    status = node.text("status")
    if status == "err":
        return Refusal(node.text("response"))
    if status != "ok":
        raise node.at("status").wrong("'ok' or 'err'")
    response = node.at("response")
    if response.text("type") == "default":
        return None
    return tuple(response.at("data").at("statuses").items())


def outcomes_of(answer: Any, cloids: Sequence[str], *, cancel: bool) -> tuple[Outcome, ...]:
    """Return one outcome for each of *cloids*, in their order.

    With fewer statuses than orders: one error is the whole action's; otherwise those without a
    status are UNKNOWN and have to be asked for.

    Raises:
        Unreadable: the answer has an unknown form; nothing may be concluded from it.
    """
    found = statuses_of(answer)
    if isinstance(found, Refusal):
        return tuple(Outcome(cloid, State.REFUSED, text=found.text) for cloid in cloids)
    if found is None:
        raise Unreadable("the exchange answered an order or cancel without statuses")
    read = _cancelled if cancel else _placed
    known = [read(node, cloid) for node, cloid in zip(found, cloids, strict=False)]
    if len(known) < len(cloids) and len(known) == 1 and known[0].state is State.REFUSED:
        return tuple(Outcome(cloid, State.REFUSED, text=known[0].text) for cloid in cloids)
    rest = [Outcome(cloid, State.UNKNOWN) for cloid in cloids[len(known) :]]
    return (*known, *rest)


def _placed(node: Node, cloid: str) -> Outcome:
    if isinstance(node.value, str):
        if re.fullmatch(r"waitingFor(Fill|Trigger)", node.value):
            return Outcome(cloid, State.WAITING)
        return Outcome(cloid, State.UNKNOWN, text=node.value)
    if node.has("error"):
        return Outcome(cloid, State.REFUSED, text=node.text("error"))
    if node.has("resting"):
        return Outcome(cloid, State.RESTING, node.at("resting").whole("oid"))
    if node.has("filled"):
        part = node.at("filled")
        size, average = part.number("totalSz"), part.number("avgPx")
        return Outcome(cloid, State.FILLED, part.whole("oid"), size, average)
    return Outcome(cloid, State.UNKNOWN, text=str(node.value)[:80])


def _cancelled(node: Node, cloid: str) -> Outcome:
    if node.value == "success":
        return Outcome(cloid, State.CANCELED)
    if node.has("error"):
        said = node.text("error")
        gone = reason_of(said) is Reason.MISSING
        return Outcome(cloid, State.GONE if gone else State.REFUSED, text=said)
    return Outcome(cloid, State.UNKNOWN, text=str(node.value)[:80])
