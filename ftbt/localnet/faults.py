"""Faults on demand: what may go wrong, queued until something passes that it fits.

A fault has a name of `KINDS`, a count (how often it strikes) or seconds (how long), and a match:
fields that must be equal, such as `type`, `coin`, `cloid`, `channel` or `user`. At one point the
oldest fault that fits strikes first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftbt.errors import InputError, did_you_mean
from ftbt.localnet import shapes

_KEPT = 1000

# Texts that the venue refuses a whole action with.
ACTION_TEXTS = {
    "duplicate_nonce": "Invalid nonce: duplicate nonce 1",
    "nonce_too_low": "Invalid nonce: nonce too low 1 < 2",
    "expired": "Action already expired",
    "address_limit": (
        "Too many cumulative requests sent (10001 > 10000) for cumulative volume traded $0.00."
        " Place taker orders to free up 1 request per USDC traded."
    ),
    "agent_unknown": f"User or API Wallet 0x{'0' * 40} does not exist.",
    "schedule_refused": (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000."
        " Traded: $0.00."
    ),
    "leverage_refused": "Cannot switch leverage type with open position.",
    "action_error": "L1 error: something else",
}
# Answers that never reach the exchange: status and body.
HTTP_ANSWERS = {
    "rate_limited": (429, "null"),
    "server_error": (500, "null"),
    "bad_gateway": (502, "<html><body>502 Bad Gateway</body></html>"),
    "unprocessable": (422, "Failed to deserialize the JSON body into the target type"),
    "not_json": (200, "upstream connect error"),
}

KINDS: dict[str, str] = {
    **dict.fromkeys(HTTP_ANSWERS, "http"),
    "hang": "http",
    "commit_then_hang": "http",
    "commit_then_drop": "http",
    "commit_then_bad_gateway": "http",
    "slow": "http",
    "reset": "http",
    "duplicate_delivery": "http",
    "close_after": "http",
    "partial_body": "http",
    "wrong_length": "http",
    **dict.fromkeys(ACTION_TEXTS, "action"),
    "order_error": "action",
    "batch_error": "action",
    "insufficient_margin": "action",
    "fewer_statuses": "answer",
    "waiting_status": "answer",
    "extra_fields": "body",
    "unknown_oid": "orderStatus",
    "stale_size": "body",
    "fill_before_cancel": "cancel",
    "ws_refuse": "connect",
    "ws_no_ack": "subscribe",
    "ws_error_frame": "subscribe",
    "ws_delay_pong": "pong",
    "ws_drop": "frame",
    "ws_duplicate": "frame",
    "ws_late": "frame",
    "ws_hold": "frame",
    "ws_no_snapshot_flag": "frame",
    "ws_unknown_status": "frame",
    "ws_unknown_dir": "frame",
    "ws_foreign_coin": "frame",
    "ws_huge": "frame",
    "ws_drip": "frame",
    "ws_big_snapshot": "frame",
    "candle_silence": "frame",
    "candle_repeat": "frame",
    "candle_missing": "candles",
    "candle_volume": "candles",
    "candle_forming_only": "candles",
    "mids_missing": "mids",
}


@dataclass(slots=True)
class Fault:
    """One fault that waits or strikes.

    Attributes:
        left: how often it still strikes; None without end.
        until: monotonic second at which it ends; None for no end.
        after: how many fitting chances it lets pass first.
    """

    name: str
    match: dict[str, Any] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    left: int | None = 1
    until: float | None = None
    after: int = 0

    @property
    def seconds(self) -> float:
        """How long it delays or lasts."""
        return float(self.detail.get("seconds", 0.0))

    def fits(self, attributes: Mapping[str, Any]) -> bool:
        """Tell whether everything that it asks for is so."""
        return all(attributes.get(name) == wanted for name, wanted in self.match.items())


class Faults:
    """The queue of faults, and what has struck."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []
        self.struck: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def add(self, spec: Mapping[str, Any]) -> Fault:
        """Queue the fault that *spec* describes: name, match, count, seconds, after, and more.

        Raises:
            InputError: an unknown name, or a count that is none.
        """
        name = spec.get("name")
        if name not in KINDS:
            raise InputError(f"no fault {name!r}{did_you_mean(str(name), KINDS)}")
        known = ("name", "match", "count", "after", "lasts")
        count = spec.get("count", None if "lasts" in spec else 1)
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InputError(f"fault {name}: count must be a whole number from 1, not {count!r}")
        lasts = spec.get("lasts")
        fault = Fault(
            str(name),
            dict(spec.get("match", {})),
            {key: value for key, value in spec.items() if key not in known},
            count,
            None if lasts is None else time.monotonic() + float(lasts),
            int(spec.get("after", 0)),
        )
        self._queue.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults that wait."""
        self._queue.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """Return the faults that wait."""
        self._expire()
        return [{"name": f.name, "match": f.match, "count": f.left, **f.detail}
                for f in self._queue]  # fmt: skip

    def take(self, point: str, **attributes: Any) -> Fault | None:
        """Return the fault that strikes at *point* now, None for none; it is used once."""
        self._expire()
        for fault in self._queue:
            if KINDS[fault.name] != point or not fault.fits(attributes):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            self._use(fault, attributes)
            return fault
        return None

    def peek(self, point: str, **attributes: Any) -> Fault | None:
        """Return the fault that would strike, without using it."""
        self._expire()
        fitting = (f for f in self._queue if KINDS[f.name] == point and f.fits(attributes))
        return next(fitting, None)

    def shape(self, point: str, value: Any, **attributes: Any) -> Any:
        """Return *value* as the faults of *point* leave it."""
        fault = self.take(point, **attributes)
        if fault is None:
            return value
        change: Callable[[Any, dict[str, Any]], Any] = shapes.SHAPES[fault.name]
        return change(value, fault.detail)

    def _use(self, fault: Fault, attributes: Mapping[str, Any]) -> None:
        self.struck.append({"name": fault.name, **attributes})
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self._queue.remove(fault)

    def _expire(self) -> None:
        now = time.monotonic()
        self._queue = [f for f in self._queue if f.until is None or f.until > now]
