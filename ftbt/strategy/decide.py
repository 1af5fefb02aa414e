"""The one decision: `decide(view, setup, bar, p, rules) -> intent`, compiled, the same everywhere.

It is called at the close of a bar with what is known then. Back-test, compiled engine and live
bot all call this function; nothing else turns a setup into an order.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.precision import floor_size, round_price
from ftbt.risk.sizing import confidence_scale, position_size
from ftbt.strategy.records import (
    CANCEL,
    ENTER,
    EXIT,
    EXIT_INVALIDATION,
    EXIT_TIME,
    MARKET,
    NOTHING,
    STOP_LIMIT,
    Refusal,
)

# Plain integers: compiled code takes them as constants.
_IN_POSITION = int(Refusal.IN_POSITION)
_ENTRY_PENDING = int(Refusal.ENTRY_PENDING)
_DIRECTION = int(Refusal.DIRECTION)
_LOW_CONFIDENCE = int(Refusal.LOW_CONFIDENCE)
_BAD_GEOMETRY = int(Refusal.BAD_GEOMETRY)
_LOW_REWARD = int(Refusal.LOW_REWARD)
_MIN_NOTIONAL = int(Refusal.MIN_NOTIONAL)
_NO_EQUITY = int(Refusal.NO_EQUITY)

# Beyond any market, and within the integers that rounding passes through.
_HIGHEST = 1e12


@compiled
def clear_setup(setup):  # type: ignore[no-untyped-def]
    """Reset *setup* before a rule sees it."""
    setup.side = 0
    setup.kind = MARKET
    setup.entry = np.nan
    setup.limit = np.nan
    setup.stop = np.nan
    setup.target1 = np.nan
    setup.target2 = np.nan
    setup.confidence = 50.0
    setup.reason = 0
    setup.exit_long = 0
    setup.exit_short = 0


@compiled
def _invalidated(setup, side, p):  # type: ignore[no-untyped-def]
    if p.exit_on_choch == 0:
        return False
    return (side > 0 and setup.exit_long != 0) or (side < 0 and setup.exit_short != 0)


@compiled
def _is_price(price):  # type: ignore[no-untyped-def]
    """Tell whether an order can have *price*: NaN, zero and infinity are what broken rules say."""
    return 0.0 < price < _HIGHEST


@compiled
def _refuse(intent, refusal, figure, boundary):  # type: ignore[no-untyped-def]
    intent.refusal = refusal
    intent.figure = figure
    intent.boundary = boundary


@compiled
def _geometry(setup, entry, worst, stop, target1, target2):  # type: ignore[no-untyped-def]
    """Return a refusal code, 0 when stop and targets make sense; a target may be NaN."""
    side = setup.side
    if not (_is_price(entry) and _is_price(worst) and _is_price(stop)):
        return _BAD_GEOMETRY
    if not (side * (entry - stop) > 0.0 and side * (worst - stop) > 0.0):
        return _BAD_GEOMETRY
    for target in (target1, target2):
        if not (math.isnan(target) or _is_price(target)):
            return _BAD_GEOMETRY
    if side * (target1 - entry) <= 0.0 or side * (target2 - target1) <= 0.0:  # NaN passes
        return _BAD_GEOMETRY
    return 0


@compiled
def _reward(side, entry, stop, target1, target2):  # type: ignore[no-untyped-def]
    """Return the reward of the last target as a multiple of the risk, NaN without a target."""
    last = target1 if math.isnan(target2) else target2
    return side * (last - entry) / abs(entry - stop)


@compiled
def _split(size, entry, target1, target2, p, rules):  # type: ignore[no-untyped-def]
    """Return the part that leaves at target 1; all of it when the rest can't be an order."""
    if math.isnan(target1):
        return 0.0
    if math.isnan(target2):
        return size
    part = floor_size(size * p.scale_out, rules.size_decimals)
    if (size - part) * entry < rules.min_notional:
        return size
    return 0.0 if part * entry < rules.min_notional else part


@compiled
def _enter(setup, bar, view, p, rules, intent):  # type: ignore[no-untyped-def]
    """Fill *intent* with the entry, or with the refusal."""
    if (p.direction == 1 and setup.side < 0) or (p.direction == 2 and setup.side > 0):
        return _refuse(intent, _DIRECTION, np.nan, np.nan)
    if not setup.confidence >= p.min_confidence:  # also refuses NaN
        return _refuse(intent, _LOW_CONFIDENCE, setup.confidence, p.min_confidence)
    decimals = rules.size_decimals
    entry = bar.close if setup.kind == MARKET else round_price(setup.entry, decimals)
    stop = round_price(setup.stop, decimals)
    target1 = round_price(setup.target1, decimals)
    target2 = round_price(setup.target2, decimals)
    if target1 == target2:
        target2 = np.nan
    # A stop-limit may fill as far as its limit: size for that.
    worst = round_price(setup.limit, decimals) if setup.kind == STOP_LIMIT else entry
    wrong = _geometry(setup, entry, worst, stop, target1, target2)
    if wrong:
        return _refuse(intent, wrong, np.nan, np.nan)
    reward = _reward(setup.side, entry, stop, target1, target2)
    # A hair of tolerance: prices were rounded to the tick, min_rr was not.
    if reward < p.min_rr - 1e-3:
        return _refuse(intent, _LOW_REWARD, reward, p.min_rr)
    if not view.equity > 0.0:
        return _refuse(intent, _NO_EQUITY, view.equity, 0.0)
    room = view.room
    if room.blocked:
        return _refuse(intent, room.blocked, room.figure, room.limit)
    scale = confidence_scale(setup.confidence, p.confidence_sizing)
    size, bound, left = position_size(
        view.equity,
        worst,
        stop,
        scale,
        min(p.risk_per_trade, room.risk_per_trade),
        p.max_notional,
        rules.leverage,
        rules.cost_rate,
        decimals,
        room.notional,
    )
    if left < room.smallest_share or left <= 0.0:
        return _refuse(intent, room.narrow, room.narrow_figure, room.narrow_limit)
    if size <= 0.0 or size * entry < rules.min_notional:
        return _refuse(intent, _MIN_NOTIONAL, size * entry, rules.min_notional)
    intent.side = setup.side
    intent.kind = setup.kind
    intent.size = size
    intent.size1 = _split(size, entry, target1, target2, p, rules)
    intent.entry = entry
    intent.limit = worst
    intent.stop = stop
    intent.target1 = target1
    intent.target2 = target2
    intent.confidence = setup.confidence
    intent.reason = setup.reason
    intent.bound = bound
    intent.action = ENTER
    return None


@compiled
def decide(view, setup, bar, p, rules, intent):  # type: ignore[no-untyped-def]
    """Decide at the close of *bar*; the outcome is written into *intent*.

    One position and one waiting entry per symbol. A position is left by a market order when it is
    invalidated or has lasted `max_bars`; a waiting entry is cancelled when it is invalidated, has
    waited `valid_bars`, or a limit on losses has been reached.
    """
    intent.action = NOTHING
    intent.refusal = 0
    intent.exit_reason = 0
    if view.position != 0.0:
        if setup.side != 0:
            _refuse(intent, _IN_POSITION, np.nan, np.nan)
        if view.leaving:
            return
        if _invalidated(setup, view.position, p):
            intent.action = EXIT
            intent.exit_reason = EXIT_INVALIDATION
        elif view.bars_held >= p.max_bars:
            intent.action = EXIT
            intent.exit_reason = EXIT_TIME
        return
    if view.pending != 0:
        if setup.side != 0:
            _refuse(intent, _ENTRY_PENDING, np.nan, np.nan)
        late = view.pending_bars >= p.valid_bars
        if late or view.room.halted or _invalidated(setup, view.pending, p):
            intent.action = CANCEL
        return
    if setup.side != 0:
        _enter(setup, bar, view, p, rules, intent)
