"""How large a position may be: risk first, then two caps that bind separately.

A cap on notional alone (the predecessor had 5 % of equity) binds for every usual stop distance
and silently undoes confidence scaling. So the size follows the equity at risk, confidence scales
that risk, and the cap on notional is a limit of its own. Which of them bound is told.
"""

from __future__ import annotations

from ftbt.compiled import compiled
from ftbt.data.precision import floor_size

# What decided the size.
BY_RISK = 1
BY_NOTIONAL = 2
BY_MARGIN = 3
BY_EXPOSURE = 4  # cut to the room that the limits on exposure left


@compiled
def confidence_scale(confidence: float, strength: float) -> float:
    """Return the share of the full risk that a setup gets.

    Args:
        confidence: 0 to 100.
        strength: 0: confidence does not matter; 1: risk is proportional to confidence.
    """
    bounded = min(100.0, max(0.0, confidence))
    return 1.0 - strength * (1.0 - bounded / 100.0)


@compiled
def position_size(
    equity: float,
    entry: float,
    stop: float,
    scale: float,
    risk_per_trade: float,
    max_notional: float,
    leverage: float,
    cost_rate: float,
    size_decimals: int,
) -> tuple[float, int]:
    """Return (size, what bound it). A stopped trade loses `equity * risk_per_trade * scale`.

    Args:
        equity: quote currency.
        entry: expected entry price.
        stop: stop price; fees and slippage of both fills are part of the risk.
        scale: share of the full risk, see `confidence_scale`.
        risk_per_trade: fraction of equity at risk at full confidence.
        max_notional: cap on size x entry, as a multiple of equity.
        leverage: account leverage; size x entry never exceeds equity x leverage.
        cost_rate: fee plus slippage of one fill, fraction of its notional.
        size_decimals: sizes are multiples of 10**-size_decimals; the size is cut down to it.
    """
    if equity <= 0.0 or entry <= 0.0 or entry == stop:
        return 0.0, BY_RISK
    loss_per_unit = abs(entry - stop) + cost_rate * (entry + stop)
    by_risk = equity * risk_per_trade * scale / loss_per_unit
    by_notional = equity * max_notional / entry
    by_margin = equity * leverage / entry
    size = min(by_risk, by_notional, by_margin)
    bound = BY_RISK
    if size < by_risk:
        bound = BY_NOTIONAL if by_notional <= by_margin else BY_MARGIN
    return floor_size(size, size_decimals), bound
