"""What the journal keeps of orders and decisions: plain values, enough to make them again."""

from __future__ import annotations

from typing import Any

from ftbt.backtest.working import Working
from ftbt.live.book import LiveBook
from ftbt.smc.confidence import Confidence
from ftbt.strategy.records import ENTER

_PRICES = ("entry", "limit", "stop", "target1", "target2")


def order_body(working: Working, book: LiveBook) -> dict[str, Any]:
    """Return what is kept of an order that was made."""
    order, bracket = working.order, working.bracket
    entry = None if bracket is None or bracket.entry is working else bracket.entry.number
    return {
        "number": working.number, "parent": entry, "bar": book.bar_time, "now": book.now,
        "side": working.side,
        "kind": int(working.kind), "role": int(working.role), "size": working.size,
        "price": _json(working.price), "limit": _json(working.limit),
        "reduces": working.reduces, "rests": working.rests, "asked": _json(working.asked),
        "confidence": _json(working.confidence), "reason": working.reason,
        "exit_reason": working.exit_reason, "targets": [_json(x) for x in working.targets],
        "stop": _json(working.stop), "break_even": working.break_even, "sleeve": working.sleeve,
        "decided": working.decided, "valid": order.valid, "exectype": order.exectype,
    }  # fmt: skip


def moved_body(working: Working) -> dict[str, Any]:
    """Return what is kept of an order that stands for something else than before."""
    return {
        "order": working.number, "price": _json(working.price), "limit": _json(working.limit),
        "triggered": working.triggered,
    }  # fmt: skip


def _json(number: float) -> float | None:
    return number if number == number else None


def decision_body(owner: Any, setup: Any, intent: Any, bar: int) -> dict[str, Any]:
    """Return what is kept of a decision at the close of the bar that opened at *bar* (ms)."""
    entering = intent["action"] == ENTER
    return {
        "bar": bar, "strategy": owner.ftbt_sleeve, "side": int(setup["side"]),
        "action": int(intent["action"]), "refusal": int(intent["refusal"]),
        "confidence": float(setup["confidence"]), "reason": int(setup["reason"]),
        "exit_reason": int(intent["exit_reason"]),
        "prices": {name: float(setup[name]) for name in _PRICES if setup[name] == setup[name]},
        "size": float(intent["size"]) if entering else 0.0,
        "factors": _factors(owner),
    }  # fmt: skip


def _factors(owner: Any) -> dict[str, float]:
    """Return the confidence that *owner*'s rule has seen, with its factors."""
    lines = owner.setup.lines
    rows = [line.row for line in lines if isinstance(line, Confidence)]
    return {name: float(row[name]) for row in rows for name in row.dtype.names or ()}
