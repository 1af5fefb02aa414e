"""How events read to a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ftbt.backtest.result import TRADE
from ftbt.live.words import decision_text, exit_word

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


def trade_text(trade: Mapping[str, float]) -> str:
    """Return a closed trade: size, prices, profit, why it ended."""
    r = "" if math.isnan(trade["r"]) else f" ({trade['r']:+.2f} R)"
    paid = trade["fees"] + trade["funding"]
    return (
        f"{trade['size']:g} at {trade['entry_price']:g}, out at {trade['exit_price']:g}"
        f" ({exit_word(int(trade['exit_reason']))})\n"
        f"profit {money(trade['net'])}{r}, fees and funding {paid:,.2f}"
    )


def setup_text(body: Mapping[str, Any], coin: str, strategies: Sequence[Mapping[str, Any]]) -> str:
    """Return a decision: what is made of it and why, its prices and its size."""
    lines = [decision_text({**body, "coin": coin}, strategies)] if strategies else []
    prices = ", ".join(f"{name} {value:g}" for name, value in body["prices"].items())
    size = f", size {body['size']:g}" if body["size"] else ""
    return "\n".join([*lines, *([f"{prices}{size}"] if prices else [])])


def positions_text(held: Mapping[str, float]) -> str:
    """Return what is held."""
    return ", ".join(f"{coin} {size:+g}" for coin, size in held.items()) or "flat"


def duration(seconds: float) -> str:
    """Return a time in the unit that reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
