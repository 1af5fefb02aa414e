"""How events read to a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ftbt.backtest.result import TRADE, ExitReason
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

_NAMES = TRADE.names or ()


def trade_values(row: Sequence[float]) -> dict[str, float]:
    """Return a trade's row by the names of its columns; what is missing is NaN."""
    return {name: math.nan if x is None else float(x) for name, x in zip(_NAMES, row, strict=True)}


def side_word(side: float) -> str:
    """Return long or short."""
    return "long" if side > 0 else "short"


def money(amount: float) -> str:
    """Return an amount of USDC with its sign."""
    return f"{amount:+,.2f} USDC"


def exit_word(reason: float) -> str:
    """Return why a trade ended."""
    try:
        return ExitReason(int(reason)).name.lower().replace("_", " ")
    except ValueError:
        return "unknown reason"


def trade_text(trade: Mapping[str, float]) -> str:
    """Return a closed trade: size, prices, profit, why it ended."""
    r = "" if math.isnan(trade["r"]) else f" ({trade['r']:+.2f} R)"
    paid = trade["fees"] + trade["funding"]
    return (
        f"{trade['size']:g} at {trade['entry_price']:g}, out at {trade['exit_price']:g}"
        f" ({exit_word(trade['exit_reason'])})\n"
        f"profit {money(trade['net'])}{r}, fees and funding {paid:,.2f}"
    )


def setup_text(body: Mapping[str, Any], reasons: Sequence[str]) -> str:
    """Return a decision: prices, the factors of its confidence, whether it was taken."""
    prices = ", ".join(f"{name} {value:g}" for name, value in body["prices"].items())
    lines = [prices] if prices else []
    at = int(body["reason"])
    if 0 <= at < len(reasons):
        lines.append(f"reason: {reasons[at]}")
    factors = [f"{k} {v:.0f}" for k, v in body.get("factors", {}).items() if v and v == v]
    if factors:
        lines.append(f"factors: {', '.join(factors)}")
    refusal = int(body["refusal"])
    taken = f"taken with size {body['size']:g}" if body["size"] else "no order"
    lines.append(f"not taken: {refusal_word(refusal)}" if refusal else taken)
    return "\n".join(lines)


def refusal_word(rule: int) -> str:
    """Return a rule's name in words."""
    try:
        return REFUSAL_WORDS[Refusal(rule)]
    except (ValueError, KeyError):
        return f"rule {rule}"


def positions_text(held: Mapping[str, float]) -> str:
    """Return what is held."""
    return ", ".join(f"{coin} {size:+g}" for coin, size in held.items()) or "flat"


def duration(seconds: float) -> str:
    """Return a time in the unit that reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
