"""How large a position may be: the risk and the caps first, then confidence scales what they allow.

A cap that binds would otherwise undo confidence: the predecessor's 5 % of notional bound at every
usual stop, and all its positions were of one size. Here the largest size that risk, notional,
margin and exposure allow belongs to full confidence, and less confidence is less of it, whatever
bound. Which of them bound is told.
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
def full_size(
    equity: float,
    entry: float,
    stop: float,
    risk_per_trade: float,
    max_notional: float,
    leverage: float,
    cost_rate: float,
) -> tuple[float, int]:
    """Return (size at full confidence, what bound it), not cut to the lot.

    A stopped trade of that size loses `equity * risk_per_trade` at most.

    Args:
        equity: quote currency.
        entry: expected entry price.
        stop: stop price; fees and slippage of both fills are part of the risk.
        risk_per_trade: fraction of equity at risk.
        max_notional: cap on size x entry, as a multiple of equity.
        leverage: account leverage; size x entry never exceeds equity x leverage.
        cost_rate: fee plus slippage of one fill, fraction of its notional.
    """
    if equity <= 0.0 or entry <= 0.0 or entry == stop:
        return 0.0, BY_RISK
    loss_per_unit = abs(entry - stop) + cost_rate * (entry + stop)
    by_risk = equity * risk_per_trade / loss_per_unit
    by_notional = equity * max_notional / entry
    by_margin = equity * leverage / entry
    size = min(by_risk, by_notional, by_margin)
    bound = BY_RISK
    if size < by_risk:
        bound = BY_NOTIONAL if by_notional <= by_margin else BY_MARGIN
    return size, bound


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
    room: float,
) -> tuple[float, int, float]:
    """Return (size, what bound it, the part of the full size that exposure left).

    Args:
        equity: see `full_size`, as for all that is not named here.
        entry: see there.
        stop: see there.
        scale: share of what is allowed that the confidence is worth, see `confidence_scale`.
        risk_per_trade: see there.
        max_notional: see there.
        leverage: see there.
        cost_rate: see there.
        size_decimals: sizes are multiples of 10**-size_decimals; the size is cut down to it.
        room: notional that the limits on exposure leave, quote currency.
    """
    full, bound = full_size(equity, entry, stop, risk_per_trade, max_notional, leverage, cost_rate)
    left = 1.0
    if full * entry > room:
        left = room / (full * entry)
        full = room / entry
        bound = BY_EXPOSURE
    return floor_size(full * scale, size_decimals), bound, left
