"""Searching a journal, also one that is being written, and one of which only a part can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbt.backtest.result import Role, Status
from ftbt.data.timeframe import show_ms
from ftbt.errors import InputError, StorageDamaged, did_you_mean
from ftbt.live.journal import Event, JournalReader
from ftbt.live.words import decision_text, event_text

# What a session may note; a journal need not have any of a kind.
KINDS: Mapping[str, str] = {
    "session": "a process has begun to trade: who, where, what, with which settings and versions",
    "decision": "a strategy has seen a setup, or left one: prices, confidence with its factors,"
    " what refused it",
    "order": "an order that a strategy has made",
    "leg": "what goes to the exchange for an order: client id, price, size, attempt",
    "fill": "what the exchange says has filled",
    "end": "an order has ended without filling (any more)",
    "withdraw": "an entry is to be taken back",
    "moved": "an order stands for another price, or its trigger was reached",
    "trade": "a trade has closed: a row of the trades table",
    "refusal": "an order that was not sent, and why",
    "refused": "an order that the exchange refused, in its words",
    "equity": "a bar has closed: equity, cash, what the limits remember",
    "funding": "a payment of funding",
    "foreign": "a part of a position that is somebody else's",
    "alarm": "trouble: nothing is opened until it is over",
    "critical": "the guard has ended the session",
    "error": "something that could not be done",
    "orphan": "an order of ours that stands for nothing, and is cancelled",
    "note": "what a person may want to know",
    "reset": "somebody has resumed after a halt or a breaker",
    "stop": "a session has ended on purpose",
    "journal": "the journal itself: made, opened, upgraded, backed up, recovered",
    "alert": "an alert that did not arrive",
    "deadman": "the venue's dead man's switch was switched on or off",
}
# Under these names the bodies of events have the number of an order.
_ORDER_KEYS = ("order", "number", "parent")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events.

    Attributes:
        kinds: any of them; empty: all.
        coin: "": all.
        start_ms, end_ms: of the market, else of the wall clock; end excluded; None: no bound.
        order: number of an order that the event is about; 0: any.
    """

    kinds: tuple[str, ...] = ()
    coin: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    order: int = 0

    def takes(self, event: Event) -> bool:
        """Tell whether *event* is wanted; its kind is not looked at."""
        if self.coin and event.coin != self.coin:
            return False
        if self.order and self.order not in [event.body.get(key) for key in _ORDER_KEYS]:
            return False
        moment = moment_of(event)
        late = self.end_ms is not None and moment >= self.end_ms
        return not late and (self.start_ms is None or moment >= self.start_ms)


def moment_of(event: Event) -> int:
    """Return when it happened: on the market's clock where there is one, ms."""
    return event.market_ms or event.wall_ms


def check_kinds(reader: JournalReader, kinds: Sequence[str]) -> None:
    """Pass when each of *kinds* is one that the journal has or may have.

    Raises:
        InputError: no session notes such a kind; with the nearest.
    """
    strange = [kind for kind in kinds if kind not in KINDS]
    known = set(KINDS) | set(reader.summary().events) if strange else KINDS
    for kind in strange:
        if kind not in known:
            names = ", ".join(sorted(known))
            raise InputError(
                f"there are no events of the kind {kind!r}{did_you_mean(kind, known)}; known are"
                f" {names}"
            )


class Search:
    """Finds events, and remembers how far it got.

    Attributes:
        last: id of the last event that was looked at, wanted or not.
        damage: why it could not go on; None: all was read.
    """

    def __init__(self, reader: JournalReader, wanted: Wanted) -> None:
        self.last = 0
        self.damage: StorageDamaged | None = None
        self._reader, self._wanted = reader, wanted

    def found(self) -> Iterator[Event]:
        """Yield what is wanted and was added since the last call, in order."""
        kinds = self._wanted.kinds or None
        try:
            for event in self._reader.events(self.last, kinds):
                self.last = event.id
                if self._wanted.takes(event):
                    yield event
        except StorageDamaged as error:
            self.damage = error


class Words:
    """Says events in words; decisions by the strategies of their session."""

    def __init__(self, reader: JournalReader) -> None:
        self._sessions = [(one.id, one.body) for one in reader.events(kinds=("session",))]

    def of(self, event: Event) -> str:
        """Return what happened, on one line."""
        if event.kind == "session":
            self._sessions.append((event.id, event.body))
        if event.kind == "decision":
            said = self._session(event.id)
            if said is not None:
                return decision_text({"coin": event.coin, **event.body}, said["strategies"])
        told = event_text(event.kind, event.body, event.coin)
        if told is None and event.kind in _TOLD:
            told = _TOLD[event.kind](event.body)
        return told or plain(event.body)

    def _session(self, number: int) -> Mapping[str, Any] | None:
        return next((body for at, body in reversed(self._sessions) if at < number), None)


def _order(body: Mapping[str, Any]) -> str:
    side, price = "buys" if body["side"] > 0 else "sells", body["price"]
    at = "the market" if price is None else f"{price:g}"
    of = "" if body["parent"] is None else f", for order {body['parent']}"
    role = Role(body["role"]).name.lower()
    return f"order {body['number']}: {role}, {side} {body['size']:g} at {at}{of}"


def _leg(body: Mapping[str, Any]) -> str:
    size = "all" if body["size"] == "0" else body["size"]
    at = "the market" if body["price"] == "0" else body["price"]
    again = "" if body["attempt"] == 1 else f", attempt {body['attempt']}"
    return f"{body['leg']} of order {body['order']} goes out: {size} at {at}{again}"


def _end(body: Mapping[str, Any]) -> str:
    return f"order {body['order']} is {Status(body['status']).name.lower()}"


def _equity(body: Mapping[str, Any]) -> str:
    return f"equity {body['equity']:,.2f}, cash {body['cash']:,.2f}"


def _session(body: Mapping[str, Any]) -> str:
    names = ", ".join(one["name"] for one in body["strategies"])
    coins = ", ".join(body["symbols"])
    return f"begins: {names} on {coins} {body['timeframe']}, {body['network']}, pid {body['pid']}"


def _switch(body: Mapping[str, Any]) -> str:
    return f"dead man's switch of the venue {'on' if body['armed'] else 'off'}"


def _stop(body: Mapping[str, Any]) -> str:
    held = ", ".join(f"{size:+g} {coin}" for coin, size in body["positions"].items())
    return f"ends with {held or 'no position'}"


def _funding(body: Mapping[str, Any]) -> str:
    return f"funding paid {body['paid']:+,.4f}"


_TOLD: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "order": _order, "leg": _leg, "end": _end, "equity": _equity, "session": _session,
    "stop": _stop, "deadman": _switch, "funding": _funding,
}  # fmt: skip


def plain(body: Mapping[str, Any]) -> str:
    """Return a body as `name value, name value`."""
    parts = []
    for name, value in body.items():
        if value is None or value == "":
            continue
        nested = isinstance(value, dict | list)
        parts.append(f"{name} {json.dumps(value) if nested else value}")
    return ", ".join(parts)


def as_dict(event: Event) -> dict[str, Any]:
    """Return an event as plain values, for JSON."""
    return {
        "id": event.id, "wall_ms": event.wall_ms, "market_ms": event.market_ms,
        "kind": event.kind, "coin": event.coin, "body": dict(event.body),
    }  # fmt: skip


def row(event: Event, words: str) -> list[str]:
    """Return an event as a row: number, time, kind, coin, words, body."""
    body = json.dumps(dict(event.body), separators=(",", ":"))
    return [str(event.id), show_ms(moment_of(event)), event.kind, event.coin, words, body]
