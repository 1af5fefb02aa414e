"""Confidence: 0 to 100 for a long and for a short, the sum of eight named factors.

| factor | points | what it measures |
|---|---|---|
| `trend` | 15 | the slow timeframe's structure trend points the same way |
| `clean` | 15 | more than half of its last six swing labels (HH, HL ...) do: 5, 10, 15 for 4, 5, 6 |
| `pattern` | 10 | where the bar closes in its range: 10 at the favourable end, 0 at the other |
| `confluence` | 20 | 5 each: discount (premium), and within `recent` bars a sweep, a gap, a block |
| `spike` | 10 | volume against the mean of the 20 bars before: 0 up to 1x, 10 from 2x on |
| `divergence` | 10 | the last swing low is lower than the one before, on less volume (mirrored) |
| `trending` | 10 | Kaufman's efficiency ratio over 48 bars, signed: 10 from 0.4 on |
| `calm` | 10 | ATR(14) against its mean of 500 bars: 10 up to 0.75x, 0 from 1.5x on |

When the trends of both higher timeframes and of the bars themselves agree, 20 are added; the sum is
cut at 100. A factor whose inputs are not known counts 0, and so does a higher timeframe that isn't
there: one not longer than the bars, or no multiple of them. The weights are the predecessor's;
whether a factor is worth anything is a question to the data, see `docs/reference/confidence.md`.

`confluence` knows the newest zone of each kind and side only. Its *discount* is the lower half of
the last swing low and high; a *sweep* trades beyond the last unbroken swing low and closes back in
the same bar; its *gap* is left by three bars (`fvg.py`); its *block* is the last opposite candle
between a swing and its break (`order_blocks.py`). Gap and block count when they appear and while
the price is in them, until a bar closes beyond. `divergence` counts for 30 bars after the swing is
known.

Efficiency ratio: Kaufman, Trading Systems and Methods, ch. 17: |net change| / sum of |changes|.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.timeframe import Timeframe
from ftbt.ranges import Choice, Int
from ftbt.smc.aggregate import AGGREGATE, aggregate_step
from ftbt.smc.base import NAN, Concept, Records, SmcLine
from ftbt.smc.baselines import MEAN_STATE, WILDER_STATE, mean_step, wilder_step
from ftbt.smc.ladder import FRAMES
from ftbt.smc.ledger import seen_high, seen_low
from ftbt.smc.structure import STRUCTURE, STRUCTURE_STATE, structure_step
from ftbt.smc.swings import RING

FACTORS = {
    "trend": 15.0,
    "clean": 15.0,
    "pattern": 10.0,
    "confluence": 20.0,
    "spike": 10.0,
    "divergence": 10.0,
    "trending": 10.0,
    "calm": 10.0,
}
AGREEMENT = 20.0

_LABELS = 6  # slow swing labels that are looked at
_EFFICIENCY = 48  # bars of the efficiency ratio
_VOLUME = 20
_ATR = 14
_ATR_MEAN = 500
_DIVERGENCE = 30
_NEVER = -(10**9)
_WORDS = ("", *FRAMES)  # of `fast` and `slow`; "": none
# Compiled code takes plain numbers as constants, but can't look into a dict.
_TREND, _CLEAN, _PATTERN, _CONFLUENCE, _SPIKE, _DIVERGES, _TRENDING, _CALM = FACTORS.values()

# A higher timeframe, built from the bars.
_HIGHER = np.dtype(
    [
        ("aggregate", AGGREGATE),
        ("structure", STRUCTURE_STATE),
        ("out", STRUCTURE.out),
        ("ms", "i8"),  # 0: there is none
        ("origin", "i8"),
        ("label", "f8", (_LABELS,)),
        ("labels", "i8"),
    ],
    align=True,
)
# A gap or block as its side sees it: prices of the short side are negated, see `ledger.py`.
_ZONE = np.dtype([("near", "f8"), ("far", "f8"), ("bar", "i8")], align=True)
_SIDE = np.dtype(
    [
        ("sweep_bar", "i8"),
        ("gap", _ZONE),  # `bar`: the last one at which it appeared or was traded in
        ("block", _ZONE),
        ("candle", _ZONE),  # the last one against this side: the next block
        ("swing", "f8"),  # price of the last swing low (negated: high)
        ("swing_volume", "f8"),
        ("divergence_bar", "i8"),
        ("clean", "f8"),
        *((name, "f8") for name in FACTORS if name != "clean"),
    ],
    align=True,
)
CONFIDENCE_STATE = np.dtype(
    [
        ("base_ms", "i8"),
        ("structure_p", STRUCTURE.pack({}).dtype),
        ("fast", _HIGHER),
        ("slow", _HIGHER),
        ("structure", STRUCTURE_STATE),
        ("out", STRUCTURE.out),
        ("side", _SIDE, (2,)),  # 0 long, 1 short
        ("volume", "f8", (RING,)),
        ("close", "f8", (RING,)),
        ("volume_mean", MEAN_STATE),
        ("volume_before", "f8"),
        ("path_mean", MEAN_STATE),
        ("atr", WILDER_STATE),
        ("atr_mean", MEAN_STATE),
    ],
    align=True,
)

_MEANINGS = {
    "trend": "points for the slow timeframe's trend",
    "clean": "points for clean structure on the slow timeframe",
    "pattern": "points for the bar's close",
    "confluence": "points for discount or premium, sweep, gap and block together",
    "spike": "points for volume",
    "divergence": "points for a swing beyond the last on less volume",
    "trending": "points for an efficient move",
    "calm": "points for low volatility",
}
FIELDS = {
    "long": "confidence in a long, 0 to 100",
    "short": "confidence in a short, 0 to 100",
    "agreement": "+1 all three timeframes' trends are up, -1 all are down, else 0",
    **{f"long_{name}": f"{text}, long" for name, text in _MEANINGS.items()},
    **{f"short_{name}": f"{text}, short" for name, text in _MEANINGS.items()},
}


@compiled
def _init(state, p):  # type: ignore[no-untyped-def]  # noqa: ARG001
    state.volume_before = NAN
    for k in range(2):
        side = state.side[k]
        side.sweep_bar = side.gap.bar = side.block.bar = side.divergence_bar = _NEVER
        side.gap.near = side.block.near = side.swing = NAN
        side.candle.bar = _NEVER


def _prepare(state: Records, parameters: Records) -> None:
    """Start the three structures, and look up the higher timeframes."""
    state["structure_p"] = STRUCTURE.pack({})
    fresh = STRUCTURE.fresh(state["structure_p"])
    state["structure"] = fresh
    for name in ("fast", "slow"):
        word = _WORDS[int(parameters[name][0])]
        state[name]["structure"] = fresh
        if word:
            frame = Timeframe.parse(word)
            state[name]["ms"], state[name]["origin"] = frame.ms, frame.origin_ms


@compiled
def _take_higher(higher, bar, base_ms, p):  # type: ignore[no-untyped-def]
    """Take a bar into a higher timeframe; return 1 when that has a new swing label."""
    if base_ms <= 0 or higher.ms <= base_ms or higher.ms % base_ms != 0:
        return 0
    if aggregate_step(higher.aggregate, bar, base_ms, higher.ms, higher.origin) == 0:
        return 0
    structure_step(higher.structure, higher.aggregate.done, p, higher.out)
    swings = higher.structure.swing_out
    before = higher.labels
    if swings.high_event != 0.0:
        higher.label[higher.labels % _LABELS] = swings.high_label
        higher.labels += 1
    if swings.low_event != 0.0:
        higher.label[higher.labels % _LABELS] = swings.low_label
        higher.labels += 1
    return 1 if higher.labels > before else 0


@compiled
def _ramp(value, zero_at, one_at):  # type: ignore[no-untyped-def]
    """Return 0 at *zero_at* and beyond, 1 at *one_at* and beyond, linear between; NaN gives 0."""
    share = (value - zero_at) / (one_at - zero_at)
    if not share > 0.0:
        return 0.0
    return min(1.0, share)


@compiled
def _cleanness(higher, sign):  # type: ignore[no-untyped-def]
    """Return the points for the share of labels that point to side *sign*."""
    if higher.labels < _LABELS:
        return 0.0
    same = 0.0
    for i in range(_LABELS):
        if higher.label[i] * sign > 0.0:
            same += 1.0
    return _CLEAN * _ramp(same / _LABELS, 0.5, 1.0)


@compiled
def _follow_zone(zone, low, close, now):  # type: ignore[no-untyped-def]
    """Note a bar that trades in *zone*; a close beyond ends it."""
    if low <= zone.near:
        zone.bar = now
        if close < zone.far:
            zone.near = NAN
            zone.bar = _NEVER


@compiled
def _set_zone(zone, near, far, now):  # type: ignore[no-untyped-def]
    zone.near = near
    zone.far = far
    zone.bar = now


@compiled
def _follow_zones(state, side, sign, bar, now):  # type: ignore[no-untyped-def]
    """Take a bar into the gap and block of one side; structure has taken it already."""
    low = seen_low(bar, sign)
    high = seen_high(bar, sign)
    close = sign * bar.close
    _follow_zone(side.gap, low, close, now)
    _follow_zone(side.block, low, close, now)
    if now >= 2:
        swing = state.structure.swing
        place = (now - 2) & (RING - 1)
        before = swing.high[place] if sign > 0 else -swing.low[place]
        if low > before:
            _set_zone(side.gap, low, before, now)
    candle = side.candle
    if (
        state.out.bos + state.out.choch == sign
        and candle.bar > now - state.out.break_origin
        and close >= candle.far
    ):
        _set_zone(side.block, candle.near, candle.far, now)
    if close < sign * bar.open:
        _set_zone(candle, high, low, now)


@compiled
def _follow_swing(side, price, volume, now):  # type: ignore[no-untyped-def]
    """Take a new swing of one side: further out on less volume is a divergence."""
    less = price < side.swing and volume < side.swing_volume
    side.divergence_bar = now if less else _NEVER
    side.swing = price
    side.swing_volume = volume


@compiled
def _follow_swings(state, now):  # type: ignore[no-untyped-def]
    swings = state.structure.swing_out
    if swings.low_event != 0.0:
        volume = state.volume[(now - int(swings.low_origin)) & (RING - 1)]
        _follow_swing(state.side[0], swings.low, volume, now)
    if swings.high_event != 0.0:
        volume = state.volume[(now - int(swings.high_origin)) & (RING - 1)]
        _follow_swing(state.side[1], -swings.high, volume, now)


@compiled
def _efficiency(state, bar, now):  # type: ignore[no-untyped-def]
    """Take a close; return the signed efficiency ratio, 0 while unknown."""
    state.close[now & (RING - 1)] = bar.close
    if now == 0:
        return 0.0
    change = abs(bar.close - state.close[(now - 1) & (RING - 1)])
    path = _EFFICIENCY * mean_step(state.path_mean, change, _EFFICIENCY)
    if not path > 0.0:
        return 0.0
    return (bar.close - state.close[(now - _EFFICIENCY) & (RING - 1)]) / path


@compiled
def _confluence(state, side, sign, bar, now, p):  # type: ignore[no-untyped-def]
    part = _CONFLUENCE / 4.0
    high = state.structure.swing_out.high
    low = state.structure.swing_out.low
    # Halves are compared as sums: no rounding of a middle breaks the mirror.
    discount = high > low and sign * (bar.close - low) < sign * (high - bar.close)
    points = part if discount else 0.0
    for last in (side.sweep_bar, side.gap.bar, side.block.bar):
        if now - last <= p.recent:
            points += part
    return points


@compiled
def _rate(state, k, bar, now, spike, efficiency, calm, p):  # type: ignore[no-untyped-def]
    """Set the points of one side; return their sum and what agreement adds, cut at 100."""
    sign = 1 - 2 * k
    side = state.side[k]
    spread = bar.high - bar.low
    place = bar.close - bar.low if sign > 0 else bar.high - bar.close
    side.trend = _TREND if state.slow.out.trend == sign else 0.0
    side.pattern = _PATTERN * (place / spread) if spread > 0.0 else 0.0
    side.confluence = _confluence(state, side, sign, bar, now, p)
    side.spike = spike
    side.divergence = _DIVERGES if now - side.divergence_bar <= _DIVERGENCE else 0.0
    side.trending = _TRENDING * _ramp(sign * efficiency, 0.0, 0.4)
    side.calm = calm
    total = side.trend + side.clean + side.pattern + side.confluence
    total += side.spike + side.divergence + side.trending + side.calm
    own = state.out.trend
    if own == sign and state.fast.out.trend == own and state.slow.out.trend == own:
        total += AGREEMENT
    return min(100.0, total)


@compiled
def _swept(state, k, sign, bar):  # type: ignore[no-untyped-def]
    """Tell whether *bar* sweeps the last unbroken swing behind side *k*."""
    level = sign * state.structure.side[1 - k].level  # structure has the highs first
    return seen_low(bar, sign) < level and sign * bar.close > level


@compiled
def _show(state, out):  # type: ignore[no-untyped-def]
    long = state.side[0]
    short = state.side[1]
    out.long_trend = long.trend
    out.long_clean = long.clean
    out.long_pattern = long.pattern
    out.long_confluence = long.confluence
    out.long_spike = long.spike
    out.long_divergence = long.divergence
    out.long_trending = long.trending
    out.long_calm = long.calm
    out.short_trend = short.trend
    out.short_clean = short.clean
    out.short_pattern = short.pattern
    out.short_confluence = short.confluence
    out.short_spike = short.spike
    out.short_divergence = short.divergence
    out.short_trending = short.trending
    out.short_calm = short.calm


@compiled
def confidence_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the factors."""
    now = state.structure.swing.count
    _take_higher(state.fast, bar, state.base_ms, state.structure_p)
    if _take_higher(state.slow, bar, state.base_ms, state.structure_p) == 1:
        state.side[0].clean = _cleanness(state.slow, 1.0)
        state.side[1].clean = _cleanness(state.slow, -1.0)
    # The swings to sweep are those known before this bar: structure takes it only afterwards.
    for k in range(2):
        if _swept(state, k, 1 - 2 * k, bar):
            state.side[k].sweep_bar = now
    structure_step(state.structure, bar, state.structure_p, state.out)
    state.volume[now & (RING - 1)] = bar.volume
    _follow_swings(state, now)
    for k in range(2):
        _follow_zones(state, state.side[k], 1 - 2 * k, bar, now)
    # A mean of zero (a dead market) has no ratio.
    before = state.volume_before
    spike = _SPIKE * _ramp(bar.volume / before, 1.0, 2.0) if before > 0.0 else 0.0
    state.volume_before = mean_step(state.volume_mean, bar.volume, _VOLUME)
    efficiency = _efficiency(state, bar, now)
    atr = wilder_step(state.atr, bar, _ATR)
    usual = NAN if np.isnan(atr) else mean_step(state.atr_mean, atr, _ATR_MEAN)
    calm = _CALM * _ramp(atr / usual, 1.5, 0.75)
    out.long = _rate(state, 0, bar, now, spike, efficiency, calm, p)
    out.short = _rate(state, 1, bar, now, spike, efficiency, calm, p)
    own = state.out.trend
    agree = own == state.fast.out.trend and own == state.slow.out.trend
    out.agreement = own if agree else 0.0
    _show(state, out)


@compiled
def _run(state, bars, p, out):  # type: ignore[no-untyped-def]
    for i in range(bars.shape[0]):
        confidence_step(state, bars[i], p, out[i])


CONFIDENCE = Concept(
    name="confidence",
    fields=FIELDS,
    events=(),
    state=CONFIDENCE_STATE,
    init=_init,
    step=confidence_step,
    run=_run,
    defaults={"fast": "1h", "slow": "4h", "recent": 8},
    ranges={
        "fast": Choice(*_WORDS, tune=False),
        "slow": Choice(*_WORDS, tune=False),
        "recent": Int(0, 100, tune=False),
    },
    prepare=_prepare,
)


class Confidence(SmcLine):
    """How many of eight good reasons a long or a short has; see the module docstring."""

    concept = CONFIDENCE
    lines = CONFIDENCE.lines
    params = CONFIDENCE.params
