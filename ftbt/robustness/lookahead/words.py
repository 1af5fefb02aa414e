"""Orders and futures in words that a trader reads."""

from __future__ import annotations

from typing import Any

from ftbt.backtest.result import Kind, Role, Status

_ROLES = {
    Role.STOP: ", the stop of a position",
    Role.TARGET1: ", a target",
    Role.TARGET2: ", a target",
    Role.EXIT: ", an exit",
}
_ENDS = {
    Status.OPEN: "still waiting",
    Status.FILLED: "filled",
    Status.CANCELLED: "cancelled",
    Status.EXPIRED: "expired",
    Status.MARGIN: "refused for margin",
    Status.REJECTED: "rejected",
}


def number(value: float) -> str:
    """Return a price or size as short as it can be written."""
    return f"{value:,.10g}"


def order_words(order: Any, *, ended: bool = False) -> str:
    """Return an ORDER record in words, for example `buy 0.01, limit 64,100`.

    With *ended* also what became of it.
    """
    side = "buy" if order["side"] > 0 else "sell"
    text = f"{side} {number(order['size'])}{_price_words(order)}{_ROLES.get(order['role'], '')}"
    if ended:
        end = f" in bar {int(order['end_bar']):,}" if order["end_bar"] >= 0 else ""
        text += f", {_ENDS.get(order['status'], 'ended')}{end}"
    return text


def _price_words(order: Any) -> str:
    price, limit = number(order["price"]), number(order["limit"])
    words = {
        Kind.MARKET: " at the market",
        Kind.CLOSE: " at the close",
        Kind.LIMIT: f", limit {price}",
        Kind.STOP: f", stop {price}",
        Kind.STOP_LIMIT: f", stop {price} limit {limit}",
        Kind.TRAIL: ", trailing stop",
        Kind.TRAIL_LIMIT: ", trailing stop limit",
    }
    return words.get(order["kind"], "")
