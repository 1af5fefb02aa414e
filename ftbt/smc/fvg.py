"""Fair value gaps (imbalances) and their whole life.

A bullish gap is known at the close of bar t when low[t] > high[t-2]: nobody traded between the
two (mirrored: high[t] < low[t-2]). Its *top* is low[t], its *bottom* high[t-2]; its anchor is the
middle bar t-1. From bar t+1 on it is

* touched, when the price comes back to its near edge,
* half filled, at its middle (consequent encroachment, CE),
* filled, at its far edge,
* inverted, when a bar closes beyond its far edge: it then acts on the other side (IFVG), is
  retested once, and removed when a bar closes back beyond,
* expired, after `max_age` bars; an inverted one counts them anew.

Variants:

* `min_size`, `min_size_atr`: smallest gap as a fraction of the close and of the average true range
  over `baseline_length` bars. While that average is unknown, no gap passes a `min_size_atr` > 0.
* `middle`: what the middle bar must do: `any`thing, have its body in the gap's `direction`, or
  close `beyond` the first bar.
* `mitigation`: whether touched, half and filled go by the `wick` or by the `close`.
* `open_until`: up to which of these a gap counts as open in the lines: `touch`, `half` or `full`.
* `show`: which open gap the lines hold, the most `recent` or the `nearest` to the price.
* `capacity`: gaps kept on each side, and as many inverted ones; the oldest leaves first.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Choice, Float, Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.smc.baselines import WILDER_STATE, wilder_step
from ftbt.smc.ledger import (
    CREATED,
    EXPIRED,
    FILLED,
    HALF,
    INVERTED,
    LEDGER_FIELDS,
    REMOVED,
    RETESTED,
    SIZE,
    TOUCHED,
    advance_flipped,
    at_rest,
    choose_shown,
    create,
    emit,
    flip,
    ledger_init,
    ledger_next,
    narrow_band,
    open_band,
    seen_low,
    signal,
    zone_bottom,
    zone_top,
)
from ftbt.smc.rows import asks, blank, keep

# The stage of a gap: 0 untouched, 1 touched, 2 half, 3 filled. `open_until` is packed one lower.

FVG_STATE = np.dtype(
    [
        *LEDGER_FIELDS,
        ("count", "i8"),  # bars seen
        ("atr", WILDER_STATE),
        ("high", "f8", (2,)),  # of the bars t-1 and t-2
        ("low", "f8", (2,)),
        ("open", "f8"),  # of the bar t-1
        ("close", "f8"),
    ],
    align=True,
)

FIELDS = {
    "created": "+1 a bullish gap opens at this bar, -1 a bearish one, else 0",
    "touched": "+1 the price comes back to a bullish gap for the first time, -1 bearish, else 0",
    "half": "+1 the price reaches the middle of a bullish gap, -1 of a bearish one, else 0",
    "filled": "+1 the price reaches the far edge of a bullish gap, -1 of a bearish one, else 0",
    "inverted": "+1 a bearish gap turns into support, -1 a bullish one into resistance, else 0",
    "retested": "+1 the price comes back to such a support, -1 to such a resistance, else 0",
    "removed": "+1 a close below such a support ends it, -1 above such a resistance, else 0",
    "expired": "+1 a bullish gap (or inverted support) grows too old, -1 a bearish one, else 0",
    "touched_top": "upper price of the gap touched last; of several in one bar the newest",
    "touched_bottom": "lower price of that gap",
    "touched_age": "bars between that gap's creation and its touch",
    "half_top": "upper price of the gap half filled last",
    "half_bottom": "lower price of that gap",
    "half_age": "bars between that gap's creation and its half fill",
    "retested_top": "upper price of the inverted gap retested last",
    "retested_bottom": "lower price of that inverted gap",
    "retested_age": "bars between that gap's inversion and its retest",
    "bull_top": "upper price of the open bullish gap to show, NaN when there is none",
    "bull_bottom": "lower price of that gap",
    "bull_mid": "middle of that gap (CE)",
    "bull_age": "bars since that gap's creation",
    "bull_origin": "bars back to that gap's middle bar",
    "bull_count": "number of open bullish gaps",
    "bear_top": "upper price of the open bearish gap to show, NaN when there is none",
    "bear_bottom": "lower price of that gap",
    "bear_mid": "middle of that gap (CE)",
    "bear_age": "bars since that gap's creation",
    "bear_origin": "bars back to that gap's middle bar",
    "bear_count": "number of open bearish gaps",
    "inverse_bull_top": "upper price of the inverted gap that became support last, NaN if none",
    "inverse_bull_bottom": "lower price of that support",
    "inverse_bull_age": "bars since that gap's inversion",
    "inverse_bull_origin": "bars back to that gap's middle bar",
    "inverse_bear_top": "upper price of the inverted gap that became resistance last, NaN if none",
    "inverse_bear_bottom": "lower price of that resistance",
    "inverse_bear_age": "bars since that gap's inversion",
    "inverse_bear_origin": "bars back to that gap's middle bar",
}


_FLIPS = ("inverted", "retested", "removed", "expired")
_tells_flips = asks(*(name for name in FIELDS if name.startswith(("inverse", *_FLIPS))))


@compiled
def fvg_init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prepare a zeroed state."""
    ledger_init(state)


@compiled
def _fill(state, gap, sign, probe, now):  # type: ignore[no-untyped-def]
    """Let the price go as deep into *gap* as *probe* says."""
    if gap.stage < 1 and probe <= gap.near:
        gap.stage = 1
        emit(state, TOUCHED, gap, sign, now)
    if gap.stage < 2 and probe <= (gap.near + gap.far) / 2.0:
        gap.stage = 2
        emit(state, HALF, gap, sign, now)
    if gap.stage < 3 and probe <= gap.far:
        gap.stage = 3
        emit(state, FILLED, gap, sign, now)


@compiled
def _next_edge(gap):  # type: ignore[no-untyped-def]
    """Return the price at which `_fill` does something next."""
    if gap.stage == 0:
        return gap.near
    if gap.stage == 1:
        return (gap.near + gap.far) / 2.0
    return gap.far if gap.stage == 2 else -np.inf


@inlined
def _advance(state, sign, bar, now, flips, p):  # type: ignore[no-untyped-def]
    """Take one bar into all gaps of side *sign*."""
    book = state.book[0 if sign > 0 else 1]
    close = sign * bar.close
    probe = seen_low(bar, sign) if p.mitigation == 0 else close
    if not at_rest(book, probe, close, now):
        _walk(state, book, sign, probe, close, now, flips, p)


@compiled
def _walk(state, book, sign, probe, close, now, flips, p):  # type: ignore[no-untyped-def]
    """Walk through the gaps of one side at a bar that changes some of them."""
    open_band(book)
    kept = 0
    for i in range(book.n):
        gap = book.zone[i]
        if now - gap.born > p.max_age:
            emit(state, EXPIRED, gap, sign, now)
            continue
        if probe <= gap.near:
            _fill(state, gap, sign, probe, now)
        if close < gap.far:
            if flips:
                flip(state, INVERTED, gap, sign, now, p.capacity)
            else:
                emit(state, INVERTED, gap, sign, now)
            continue
        narrow_band(book, gap, _next_edge(gap), 0, p.max_age)
        if kept != i:
            book.zone[kept] = gap
        kept += 1
    book.n = kept


@inlined
def _find(state, sign, bar, atr, now, p):  # type: ignore[no-untyped-def]
    """Open a gap of side *sign* when the last three bars leave one."""
    near = seen_low(bar, sign)
    far = state.high[1] if sign > 0 else -state.low[1]
    # Without `and`: a processor guesses one rare jump better than two.
    large = (p.min_size_atr == 0.0) | (near - far >= p.min_size_atr * atr)
    if (near > far) & large:
        _open(state, sign, near, far, bar, now, p)


@compiled
def _open(state, sign, near, far, bar, now, p):  # type: ignore[no-untyped-def]
    """Open a gap, unless the parameters ask for more."""
    if p.middle == 1 and not sign * state.close > sign * state.open:
        return
    if p.middle == 2 and not sign * state.close > far:
        return
    if near - far < p.min_size * bar.close:
        return
    create(state, sign, near, far, now - 1, now, p.capacity)


@inlined
def _show_events(state, out):  # type: ignore[no-untyped-def]
    out.created = signal(state, CREATED)
    out.touched = signal(state, TOUCHED)
    out.half = signal(state, HALF)
    out.filled = signal(state, FILLED)
    out.inverted = signal(state, INVERTED)
    out.retested = signal(state, RETESTED)
    out.removed = signal(state, REMOVED)
    out.expired = signal(state, EXPIRED)
    out.touched_top = state.hit[TOUCHED].top
    out.touched_bottom = state.hit[TOUCHED].bottom
    out.touched_age = state.hit[TOUCHED].age
    out.half_top = state.hit[HALF].top
    out.half_bottom = state.hit[HALF].bottom
    out.half_age = state.hit[HALF].age
    out.retested_top = state.hit[RETESTED].top
    out.retested_bottom = state.hit[RETESTED].bottom
    out.retested_age = state.hit[RETESTED].age


@inlined
def _gap(book, place, sign, now):  # type: ignore[no-untyped-def]
    """Return top, bottom, age and origin of the gap at *place*, NaN for place -1."""
    if place < 0:
        return NAN, NAN, NAN, NAN
    gap = book.zone[place]
    return (
        zone_top(gap, sign),
        zone_bottom(gap, sign),
        float(now - gap.born),
        float(now - gap.anchor),
    )


@inlined
def _show_gaps(state, now, p, out):  # type: ignore[no-untyped-def]
    bull = state.book[0]
    bear = state.book[1]
    choose_shown(state, p.open_until + 1, p.show)
    top, bottom, age, origin = _gap(bull, bull.shown, 1, now)
    out.bull_top = top
    out.bull_bottom = bottom
    out.bull_mid = (top + bottom) / 2.0
    out.bull_age = age
    out.bull_origin = origin
    out.bull_count = bull.open
    top, bottom, age, origin = _gap(bear, bear.shown, -1, now)
    out.bear_top = top
    out.bear_bottom = bottom
    out.bear_mid = (top + bottom) / 2.0
    out.bear_age = age
    out.bear_origin = origin
    out.bear_count = bear.open
    top, bottom, age, origin = _gap(state.flipped[0], state.flipped[0].n - 1, 1, now)
    out.inverse_bull_top = top
    out.inverse_bull_bottom = bottom
    out.inverse_bull_age = age
    out.inverse_bull_origin = origin
    top, bottom, age, origin = _gap(state.flipped[1], state.flipped[1].n - 1, -1, now)
    out.inverse_bear_top = top
    out.inverse_bear_bottom = bottom
    out.inverse_bear_age = age
    out.inverse_bear_origin = origin


@inlined
def _take(state, bar, flips, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the rules.

    Without *flips* an inverted gap is forgotten, and `out` tells nothing of them.
    """
    now = state.count
    state.count += 1
    ledger_next(state)
    atr = wilder_step(state.atr, bar, p.baseline_length) if p.min_size_atr > 0.0 else NAN
    # Gaps that this bar inverts or opens are first met by the next one.
    if flips:
        for sign in (1, -1):
            advance_flipped(state, sign, bar, p.mitigation == 1, False, now, p.max_age)
    for sign in (1, -1):
        _advance(state, sign, bar, now, flips, p)
        if now >= 2:
            _find(state, sign, bar, atr, now, p)
    state.high[1] = state.high[0]
    state.low[1] = state.low[0]
    state.high[0] = bar.high
    state.low[0] = bar.low
    state.open = bar.open
    state.close = bar.close
    _show_events(state, out)
    _show_gaps(state, now, p, out)


@compiled
def fvg_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    _take(state, bar, True, p, out)


@looped
def _run(states, bars, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        _take(state, bars[i], _tells_flips(out[i]), p, row)
        keep(row, out[i])


FVG = Concept(
    name="fair_value_gaps",
    fields=FIELDS,
    events=(
        "created",
        "touched",
        "half",
        "filled",
        "inverted",
        "retested",
        "removed",
        "expired",
    ),
    state=FVG_STATE,
    init=fvg_init,
    step=fvg_step,
    run=_run,
    narrows=True,
    defaults={
        "min_size": 0.0,
        "min_size_atr": 0.0,
        "baseline_length": 200,
        "middle": "any",
        "mitigation": "wick",
        "open_until": "full",
        "max_age": 200,
        "show": "recent",
        "capacity": SIZE,
    },
    ranges={
        "min_size": Float(0.0, 0.1),
        "min_size_atr": Float(0.0, 10.0),
        "baseline_length": Int(1, 1000, tune=False),
        "middle": Choice("any", "direction", "beyond"),
        "mitigation": Choice("wick", "close"),
        "open_until": Choice("touch", "half", "full"),
        "max_age": Int(1, 5000),
        "show": Choice("recent", "nearest"),
        "capacity": Int(1, SIZE, tune=False),
    },
)


class FairValueGaps(SmcLine):
    """Fair value gaps, open and inverted, and what happens to them; see the module docstring."""

    concept = FVG
    lines = FVG.lines
    params = FVG.params
