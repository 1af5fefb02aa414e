"""Order blocks and breakers, and their whole life.

When structure breaks upward at bar t (a BOS or CHoCH over the swing high of bar s), the candle
from which the move started becomes a bullish order block (mirrored for breaks downward). It is
known at t, not at the candle: `origin` tells how many bars back that lies. From bar t+1 on it is

* tested, when the price comes back to its near edge, and again after each time it has left,
* mitigated, when the price goes deep enough into it,
* broken, when a bar closes beyond its far edge: it then acts on the other side as a *breaker*, is
  retested, and removed when a bar closes back beyond,
* expired, after `max_age` bars; a breaker counts them anew.

Variants (and all parameters of `structure`, which finds the breaks):

* `breaks`: which ones make blocks: `both`, only `bos` or only `choch`.
* `anchor`: `last_opposite`, the last candle strictly between s and t that closed against the break;
  or `extreme`, the one with the lowest low there (of equal ones the last). Without such a candle
  there is no block; nor when its candle carries a living one already.
* `max_range`: candles wider than so many average true ranges over `baseline_length` bars can't be
  anchors (0: any can). While that average is unknown there are no blocks.
* `lookback`: the search goes no further back than so many bars.
* `zone`: the candle's `full` range, its `body`, or the `body_wick` from the far end of its range
  to the near end of its body.
* `require_fvg`: a fair value gap must lie between the candle and the break.
* `mitigation`, `mitigation_depth`: by `wick` or `close`, beyond the `half` or the `full` zone.
* `active_until`: up to which of these the lines hold a block: `tested`, `mitigated` or `broken`.
* `require_sweep`: a broken block turns breaker only when, between its creation and its end, a bar
  traded beyond the last unbroken swing on the side that the block pushed to and closed back. A
  broken block without that sweep is known as a mitigation block.
* `show`: which block the lines hold, the most `recent` or the `nearest` to the price.
* `capacity`: blocks kept on each side, and as many breakers; the oldest leaves first.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.data.candles import BAR
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.smc.base import NAN, Concept, Inner, SmcLine
from ftbt.smc.baselines import WILDER_STATE, wilder_step
from ftbt.smc.ledger import (
    BREAKER,
    BROKEN,
    CREATED,
    EXPIRED,
    LEDGER_FIELDS,
    MITIGATED,
    REMOVED,
    RETESTED,
    SIZE,
    TESTED,
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
    seen_high,
    seen_low,
    signal,
    zone_bottom,
    zone_top,
)
from ftbt.smc.rows import asks, blank, keep
from ftbt.smc.structure import BREAKS, STRUCTURE, STRUCTURE_STATE, structure_init, structure_step

_RING = 512  # bars kept, a power of two

# The stage of a block: 0 untouched, 1 tested, 2 mitigated. `active_until` is packed one lower.

ORDER_BLOCK_STATE = np.dtype(
    [
        *LEDGER_FIELDS,
        ("structure", STRUCTURE_STATE),
        ("structure_out", STRUCTURE.out),
        ("high", "f8"),  # the unbroken swings before this bar
        ("low", "f8"),
        ("atr", WILDER_STATE),
        ("bars", BAR, (_RING,)),
        ("seen", "i8"),  # bars seen
    ],
    align=True,
)

FIELDS = {
    "created": "+1 a bullish block is known from this bar on, -1 a bearish one, else 0",
    "tested": "+1 the price comes (back) to a bullish block, -1 to a bearish one, else 0",
    "mitigated": "+1 a bullish block is mitigated, -1 a bearish one, else 0",
    "broken": "+1 a bullish block is broken, -1 a bearish one, else 0",
    "breaker": "+1 a broken bearish block turns into support, -1 a bullish one into resistance",
    "retested": "+1 the price comes (back) to a supporting breaker, -1 a resisting one, else 0",
    "removed": "+1 a close below a supporting breaker ends it, -1 above a resisting one, else 0",
    "expired": "+1 a bullish block or supporting breaker grows too old, -1 a bearish, else 0",
    "tested_top": "upper price of the block tested last; of several in one bar the newest",
    "tested_bottom": "lower price of that block",
    "tested_age": "bars between that block's creation and that test",
    "tested_count": "how many tests that block had, that one included",
    "retested_top": "upper price of the breaker retested last",
    "retested_bottom": "lower price of that breaker",
    "retested_age": "bars between that block's break and that test",
    "bull_top": "upper price of the active bullish block to show, NaN when there is none",
    "bull_bottom": "lower price of that block",
    "bull_age": "bars since that block's creation",
    "bull_origin": "bars back to that block's candle",
    "bull_tests": "how many tests that block had so far",
    "bull_count": "number of active bullish blocks",
    "bear_top": "upper price of the active bearish block to show, NaN when there is none",
    "bear_bottom": "lower price of that block",
    "bear_age": "bars since that block's creation",
    "bear_origin": "bars back to that block's candle",
    "bear_tests": "how many tests that block had so far",
    "bear_count": "number of active bearish blocks",
    "breaker_bull_top": "upper price of the newest supporting breaker, NaN when there is none",
    "breaker_bull_bottom": "lower price of that breaker",
    "breaker_bull_age": "bars since that block was broken",
    "breaker_bull_origin": "bars back to that block's candle",
    "breaker_bull_swept": "1 liquidity was swept before that block broke, 0 it was not",
    "breaker_bear_top": "upper price of the newest resisting breaker, NaN when there is none",
    "breaker_bear_bottom": "lower price of that breaker",
    "breaker_bear_age": "bars since that block was broken",
    "breaker_bear_origin": "bars back to that block's candle",
    "breaker_bear_swept": "1 liquidity was swept before that block broke, 0 it was not",
}


_FLIPS = ("breaker", "retested", "removed", "expired")
_tells_flips = asks(*(name for name in FIELDS if name.startswith(_FLIPS)))


@compiled
def order_block_init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state."""
    ledger_init(state)
    structure_init(state.structure, p)
    state.high = NAN
    state.low = NAN


@inlined
def _mark_sweep(state, sign, bar):  # type: ignore[no-untyped-def]
    """Note in the blocks of side *sign* that *bar* swept the swing that they push towards."""
    level = state.high if sign > 0 else -state.low
    if seen_high(bar, sign) > level and sign * bar.close < level:
        book = state.book[0 if sign > 0 else 1]
        for i in range(book.n):
            book.zone[i].swept = 1


@compiled
def _depth(block, p):  # type: ignore[no-untyped-def]
    """Return the price below which *block* is mitigated."""
    return (block.near + block.far) / 2.0 if p.mitigation_depth == 0 else block.far


@compiled
def _narrow_band(book, block, p):  # type: ignore[no-untyped-def]
    """Take *block*, which stays on the book, into the band in which nothing happens."""
    reached = block.near if block.inside == 0 else -np.inf
    if block.stage < 2:
        depth = _depth(block, p)
        if p.mitigation == 0:
            reached = max(reached, depth)
        else:
            book.shut = max(book.shut, depth)
    narrow_band(book, block, reached, block.inside, p.max_age)


@inlined
def _advance(state, sign, bar, now, flips, p):  # type: ignore[no-untyped-def]
    """Take one bar into all blocks of side *sign*."""
    book = state.book[0 if sign > 0 else 1]
    low = seen_low(bar, sign)
    close = sign * bar.close
    if not at_rest(book, low, close, now):
        _walk(state, book, sign, low, close, now, flips, p)


@compiled
def _walk(state, book, sign, low, close, now, flips, p):  # type: ignore[no-untyped-def]
    """Walk through the blocks of one side at a bar that changes some of them."""
    open_band(book)
    deep = low if p.mitigation == 0 else close
    kept = 0
    for i in range(book.n):
        block = book.zone[i]
        if now - block.born > p.max_age:
            emit(state, EXPIRED, block, sign, now)
            continue
        if low > block.near:
            block.inside = 0
        elif block.inside == 0:
            block.inside = 1
            block.count += 1
            block.stage = max(block.stage, 1)
            emit(state, TESTED, block, sign, now)
        if block.stage < 2 and deep < _depth(block, p):
            block.stage = 2
            emit(state, MITIGATED, block, sign, now)
        if close < block.far:
            emit(state, BROKEN, block, sign, now)
            if flips and (p.require_sweep == 0 or block.swept == 1):
                flip(state, BREAKER, block, sign, now, p.capacity)
            continue
        _narrow_band(book, block, p)
        if kept != i:
            book.zone[kept] = block
        kept += 1
    book.n = kept


@compiled
def _find_anchor(state, sign, broken, now, widest, p):  # type: ignore[no-untyped-def]
    """Return the bar from which the move started that broke structure at bar *now*, or -1.

    The swing that it broke lies *broken* bars back.
    """
    found = -1
    lowest = np.inf
    span = min(broken, p.lookback + 1)
    for k in range(1, span):
        bar = state.bars[(now - k) & (_RING - 1)]
        if not bar.high - bar.low <= widest:
            continue
        if p.anchor == 1:
            if seen_low(bar, sign) < lowest:
                lowest = seen_low(bar, sign)
                found = now - k
        elif sign * bar.close < sign * bar.open:
            return now - k
    return found


@compiled
def _leaves_gap(state, sign, anchor, now):  # type: ignore[no-untyped-def]
    """Tell whether the bars from *anchor* to *now* leave a fair value gap of side *sign*."""
    for k in range(anchor + 2, now + 1):
        first = state.bars[(k - 2) & (_RING - 1)]
        third = state.bars[k & (_RING - 1)]
        if seen_low(third, sign) > seen_high(first, sign):
            return True
    return False


@compiled
def _open_block(state, sign, broken, close, atr, now, p):  # type: ignore[no-untyped-def]
    """Make a block of side *sign* after the break at bar *now*, if there is one."""
    widest = p.max_range * atr if p.max_range > 0.0 else np.inf
    anchor = _find_anchor(state, sign, broken, now, widest, p)
    if anchor < 0 or (p.require_fvg == 1 and not _leaves_gap(state, sign, anchor, now)):
        return
    book = state.book[0 if sign > 0 else 1]
    for i in range(book.n):
        if book.zone[i].anchor == anchor:
            return
    bar = state.bars[anchor & (_RING - 1)]
    near = seen_high(bar, sign) if p.zone == 0 else max(sign * bar.open, sign * bar.close)
    far = min(sign * bar.open, sign * bar.close) if p.zone == 1 else seen_low(bar, sign)
    if sign * close >= far:  # else the break itself closed beyond it
        create(state, sign, near, far, anchor, now, p.capacity)


@inlined
def _show_events(state, out):  # type: ignore[no-untyped-def]
    out.created = signal(state, CREATED)
    out.tested = signal(state, TESTED)
    out.mitigated = signal(state, MITIGATED)
    out.broken = signal(state, BROKEN)
    out.breaker = signal(state, BREAKER)
    out.retested = signal(state, RETESTED)
    out.removed = signal(state, REMOVED)
    out.expired = signal(state, EXPIRED)
    out.tested_top = state.hit[TESTED].top
    out.tested_bottom = state.hit[TESTED].bottom
    out.tested_age = state.hit[TESTED].age
    out.tested_count = state.hit[TESTED].count
    out.retested_top = state.hit[RETESTED].top
    out.retested_bottom = state.hit[RETESTED].bottom
    out.retested_age = state.hit[RETESTED].age


@inlined
def _block(book, place, sign, now):  # type: ignore[no-untyped-def]
    """Return top, bottom, age, origin, tests and sweep of the block at *place*, NaN for -1."""
    if place < 0:
        return NAN, NAN, NAN, NAN, NAN, NAN
    block = book.zone[place]
    return (
        zone_top(block, sign),
        zone_bottom(block, sign),
        float(now - block.born),
        float(now - block.anchor),
        float(block.count),
        float(block.swept),
    )


@inlined
def _show_blocks(state, now, p, out):  # type: ignore[no-untyped-def]
    bull = state.book[0]
    bear = state.book[1]
    choose_shown(state, p.active_until + 1, p.show)
    top, bottom, age, origin, tests, _ = _block(bull, bull.shown, 1, now)
    out.bull_top = top
    out.bull_bottom = bottom
    out.bull_age = age
    out.bull_origin = origin
    out.bull_tests = tests
    out.bull_count = bull.open
    top, bottom, age, origin, tests, _ = _block(bear, bear.shown, -1, now)
    out.bear_top = top
    out.bear_bottom = bottom
    out.bear_age = age
    out.bear_origin = origin
    out.bear_tests = tests
    out.bear_count = bear.open


@inlined
def _show_breakers(state, now, out):  # type: ignore[no-untyped-def]
    bull = state.flipped[0]
    bear = state.flipped[1]
    top, bottom, age, origin, _, swept = _block(bull, bull.n - 1, 1, now)
    out.breaker_bull_top = top
    out.breaker_bull_bottom = bottom
    out.breaker_bull_age = age
    out.breaker_bull_origin = origin
    out.breaker_bull_swept = swept
    top, bottom, age, origin, _, swept = _block(bear, bear.n - 1, -1, now)
    out.breaker_bear_top = top
    out.breaker_bear_bottom = bottom
    out.breaker_bear_age = age
    out.breaker_bear_origin = origin
    out.breaker_bear_swept = swept


@inlined
def _follow(state, bar, structure, flips, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its structure; see the module docstring for the rules.

    Without *flips* a broken block is forgotten, and `out` tells nothing of breakers.
    """
    now = state.seen
    state.seen += 1
    state.bars[now & (_RING - 1)] = bar
    ledger_next(state)
    if flips:
        # The swings to sweep are those known before this bar.
        for sign in (1, -1):
            _mark_sweep(state, sign, bar)
            advance_flipped(state, sign, bar, False, True, now, p.max_age)
    for sign in (1, -1):
        _advance(state, sign, bar, now, flips, p)
    state.high = structure.high
    state.low = structure.low
    atr = wilder_step(state.atr, bar, p.baseline_length)
    bos = 0 if p.breaks == 2 else int(structure.bos)
    choch = 0 if p.breaks == 1 else int(structure.choch)
    if bos + choch != 0:
        _open_block(state, bos + choch, int(structure.break_origin), bar.close, atr, now, p)
    _show_events(state, out)
    _show_blocks(state, now, p, out)
    _show_breakers(state, now, out)


@inlined
def order_block_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    structure_step(state.structure, bar, p, state.structure_out)
    _follow(state, bar, state.structure_out, True, p, out)


@looped
def _run(states, bars, structures, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        _follow(state, bars[i], structures[i], _tells_flips(out[i]), p, row)
        keep(row, out[i])


ORDER_BLOCKS = Concept(
    name="order_blocks",
    fields=FIELDS,
    inner=(Inner(STRUCTURE, fields=BREAKS),),
    events=(
        "created",
        "tested",
        "mitigated",
        "broken",
        "breaker",
        "retested",
        "removed",
        "expired",
    ),
    state=ORDER_BLOCK_STATE,
    init=order_block_init,
    step=order_block_step,
    run=_run,
    narrows=True,
    defaults={
        **STRUCTURE.defaults,
        "breaks": "both",
        "anchor": "last_opposite",
        "max_range": 2.0,
        "baseline_length": 200,
        "lookback": _RING - 1,
        "zone": "full",
        "require_fvg": False,
        "mitigation": "wick",
        "mitigation_depth": "half",
        "active_until": "mitigated",
        "require_sweep": False,
        "max_age": 500,
        "show": "recent",
        "capacity": SIZE,
    },
    ranges={
        **STRUCTURE.ranges,
        "breaks": Choice("both", "bos", "choch"),
        "anchor": Choice("last_opposite", "extreme"),
        "max_range": Float(0.0, 20.0),
        "baseline_length": Int(1, 1000, tune=False),
        "lookback": Int(1, _RING - 1, tune=False),
        "zone": Choice("full", "body", "body_wick"),
        "require_fvg": Bool(),
        "mitigation": Choice("wick", "close"),
        "mitigation_depth": Choice("half", "full"),
        "active_until": Choice("tested", "mitigated", "broken"),
        "require_sweep": Bool(),
        "max_age": Int(1, 5000),
        "show": Choice("recent", "nearest"),
        "capacity": Int(1, SIZE, tune=False),
    },
)


class OrderBlocks(SmcLine):
    """Order blocks, breakers and what happens to them; see the module docstring."""

    concept = ORDER_BLOCKS
    lines = ORDER_BLOCKS.lines
    params = ORDER_BLOCKS.params
