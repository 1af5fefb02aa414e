"""What may go wrong: every fault of the local exchange, and what befalls the process itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Random = np.random.Generator
Moment = Literal["open", "event"]
Does = Literal["kill", "freeze", "restart", "order gone"]

FAULTS = "/faults"
_ORDER = {"path": "exchange", "type": "order"}
# What an action is for shows in how its orders know each other.
PHASES: Mapping[str, Mapping[str, Any]] = {
    "entry": {**_ORDER, "grouping": "normalTpsl"},
    "protection": {**_ORDER, "grouping": "positionTpsl"},
    "exit": {**_ORDER, "grouping": "na"},
}
_CANCEL = {"path": "exchange", "type": "cancelByCloid"}
_QUESTION = {"path": "info"}
# Faults of the exchange that a session can't meet.
NOT_MET = {
    "schedule_refused": "the switch is armed for entries without a stop, and here each has one",
    "leverage_refused": "a session sets the leverage only while it is not what is wanted",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the control API: path and body."""

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deed:
    """What befalls the process, or one of its orders.

    Attributes:
        does: what.
        after_s: so long after the market has moved.
        seconds: a frozen process stands still for so long.
        down_ms: the market goes on by so much while the process is dead or frozen.
    """

    does: Does
    after_s: float = 0.0
    seconds: float = 0.0
    down_ms: int = 0


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong.

    Attributes:
        phase: what it strikes, in a word.
        calls: to be made, the last fault among them is the one that counts.
        undo: (bars later, call) that ends it.
        deed: what befalls the process.
        moment: before a bar opens, or once something has happened to the account.
    """

    phase: str
    calls: tuple[Call, ...] = ()
    undo: tuple[int, Call] | None = None
    deed: Deed | None = None
    moment: Moment = "open"


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of faults.

    Attributes:
        make: draws one of it.
        often: how often it is drawn beside the others.
    """

    make: Callable[[Random], Blow]
    often: float = 1.0


def _fault(name: str, match: Mapping[str, Any], **detail: Any) -> Call:
    return Call(FAULTS, {"name": name, "match": dict(match), **detail})


def _seconds(random: Random, low: float, high: float) -> float:
    return round(float(random.uniform(low, high)), 2)


def _http(name: str, seconds: tuple[float, float] | None = None, **detail: Any) -> Kind:
    """Return a fault of the next action of a phase."""

    def make(random: Random) -> Blow:
        phase = list(PHASES)[int(random.integers(len(PHASES)))]
        took = {} if seconds is None else {"seconds": _seconds(random, *seconds)}
        return Blow(phase, (_fault(name, PHASES[phase], **took, **detail),))

    return Kind(make)


def _entry(*calls: Call) -> Kind:
    return Kind(lambda _: Blow("entry", calls))


def _cancel(name: str, **detail: Any) -> Kind:
    return Kind(lambda _: Blow("cancel", (_fault(name, _CANCEL, **detail),)))


def _question(name: str, match: Mapping[str, Any] = _QUESTION, **detail: Any) -> Kind:
    return Kind(lambda _: Blow("question", (_fault(name, match, **detail),)))


def _frames(
    name: str, channels: tuple[str, ...], seconds: tuple[float, float] | None = None, count: int = 1
) -> Kind:
    """Return a fault of the next frames of a channel."""

    def make(random: Random) -> Blow:
        channel = channels[int(random.integers(len(channels)))]
        took = {} if seconds is None else {"seconds": _seconds(random, *seconds)}
        phase = "market data" if channel == "candle" else "account stream"
        return Blow(phase, (_fault(name, {"channel": channel}, count=count, **took),))

    return Kind(make)


def _cut(name: str, match: Mapping[str, Any] | None = None, **detail: Any) -> Kind:
    """Return a fault of coming back: all connections are cut for it."""
    calls = (_fault(name, match or {}, **detail), Call("/sockets", {"do": "abort"}))
    return Kind(lambda _: Blow("connection", calls))


def _sockets(do: str, seconds: tuple[float, float] | None = None) -> Kind:
    def make(random: Random) -> Blow:
        took = {} if seconds is None else {"seconds": _seconds(random, *seconds)}
        return Blow("connection", (Call("/sockets", {"do": do, **took}),))

    return Kind(make)


def _refuse(random: Random) -> Blow:
    return Blow("connection", (Call("/server/refuse", {"seconds": _seconds(random, 0.5, 3.0)}),))


def _clock(random: Random) -> Blow:
    ahead = int(random.choice([-2_500, -1_200, 1_200, 2_500]))
    back = (4, Call("/clock", {"wall_offset_ms": 0}))
    return Blow("clock", (Call("/clock", {"wall_offset_ms": ahead}),), back)


def _mids(random: Random) -> Blow:
    coin = str(random.choice(["BTC", "ETH", "SOL"]))
    return Blow("question", (_fault("mids_missing", {}, coin=coin),))


def _moment(random: Random) -> Moment:
    return "event" if random.random() < 0.6 else "open"


def _kill(random: Random) -> Blow:
    """Draw a death: often while orders are on their way, and sometimes for hours."""
    down = random.random()
    gone = 0 if down < 0.5 else int(random.integers(1, 12 if down < 0.8 else 45)) * 60_000
    deed = Deed("kill", _seconds(random, 0.0, 0.25), down_ms=gone)
    return Blow("process", deed=deed, moment=_moment(random))


def _freeze(random: Random) -> Blow:
    gone = int(random.integers(0, 8)) * 60_000
    deed = Deed("freeze", _seconds(random, 0.0, 0.1), _seconds(random, 0.5, 4.0), gone)
    return Blow("process", deed=deed, moment=_moment(random))


def _restart(random: Random) -> Blow:
    gone = int(random.integers(0, 20)) * 60_000
    return Blow("process", deed=Deed("restart", down_ms=gone), moment=_moment(random))


def _order_gone(_: Random) -> Blow:
    return Blow("protection", deed=Deed("order gone"), moment="event")


_ACCOUNT = ("userFills", "orderUpdates")
_LOST = _fault("commit_then_drop", PHASES["entry"])

KINDS: Mapping[str, Kind] = {
    **{name: _http(name) for name in (
        "rate_limited", "server_error", "bad_gateway", "unprocessable", "not_json", "reset",
        "commit_then_drop", "commit_then_bad_gateway", "duplicate_delivery", "close_after",
        "partial_body", "wrong_length", "fewer_statuses", "waiting_status", "action_error",
        "duplicate_nonce", "nonce_too_low", "expired", "address_limit", "agent_unknown",
        "batch_error",
    )},
    "hang": _http("hang", (1.0, 4.0)),
    "hang until we give up": Kind(lambda _: Blow("entry", (_fault("hang", PHASES["entry"]),)), 0.3),
    "commit_then_hang": _http("commit_then_hang", (1.0, 4.0)),
    "slow": _http("slow", (0.2, 2.0)),
    "server errors for a while": _http("server_error", count=4),
    "order_error": _entry(_fault("order_error", PHASES["entry"])),
    "insufficient_margin": _entry(_fault("insufficient_margin", PHASES["entry"])),
    "unknown_oid": _entry(_LOST, _fault("unknown_oid", {}, count=3)),
    "extra_fields": _question("extra_fields"),
    "stale_size": _question("stale_size", {"path": "info", "type": "orderStatus"}, count=5),
    "cancel lost": _cancel("commit_then_drop"),
    "cancel refused": _cancel("server_error", count=2),
    "fill_before_cancel": _question("fill_before_cancel", {}),
    "question refused": _question("server_error", count=2),
    "question limited": _question("rate_limited", count=2),
    "question garbled": _question("not_json"),
    "question hangs": _question("hang", seconds=3.0),
    "ws_drop": _frames("ws_drop", _ACCOUNT),
    "ws_duplicate": _frames("ws_duplicate", _ACCOUNT, count=4),
    "ws_late": _frames("ws_late", _ACCOUNT, (0.2, 2.0)),
    "ws_hold": _frames("ws_hold", _ACCOUNT),
    "ws_drip": _frames("ws_drip", _ACCOUNT, (0.2, 1.5)),
    "ws_huge": _frames("ws_huge", ("userFills", "candle")),
    "ws_foreign_coin": _frames("ws_foreign_coin", _ACCOUNT),
    "ws_unknown_status": _frames("ws_unknown_status", ("orderUpdates",)),
    "ws_unknown_dir": _frames("ws_unknown_dir", ("userFills",)),
    "candle_repeat": _frames("candle_repeat", ("candle",), count=3),
    "candle_silence": _frames("candle_silence", ("candle",), count=5),
    "candle_missing": _cut("candle_missing"),
    "candle_volume": _cut("candle_volume"),
    "candle_forming_only": _cut("candle_forming_only"),
    "ws_refuse": _cut("ws_refuse"),
    "ws_no_ack": _cut("ws_no_ack", {"type": "userFills"}),
    "ws_error_frame": _cut("ws_error_frame", {"type": "orderUpdates"}),
    "ws_no_snapshot_flag": _cut("ws_no_snapshot_flag", {"channel": "userFills"}),
    "ws_big_snapshot": _cut("ws_big_snapshot", {"channel": "userFills"}),
    "ws_delay_pong": Kind(
        lambda _: Blow("connection", (_fault("ws_delay_pong", {}, seconds=3.0),))),
    "mids_missing": Kind(_mids),
    "socket aborted": _sockets("abort"),
    "socket closed": _sockets("close"),
    "socket silent": _sockets("silence", (1.0, 4.0)),
    "nobody there": Kind(_refuse),
    "clock off": Kind(_clock),
    "order gone": Kind(_order_gone, 3.0),
    "frozen": Kind(_freeze, 3.0),
}  # fmt: skip

KILL, RESTART = Kind(_kill), Kind(_restart)
DEATHS: Mapping[str, Kind] = {"kill -9": KILL, "stopped and started": RESTART}


def faults_of(blow: Blow) -> list[Mapping[str, Any]]:
    """Return the faults that *blow* queues at the exchange; the last one counts."""
    return [call.body for call in blow.calls if call.path == FAULTS]
