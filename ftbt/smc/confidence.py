"""Confidence: 0 to 100 for a long and for a short, the sum of eight named factors.

| factor | points | what it measures |
|---|---|---|
| `trend` | 15 | the slow timeframe's structure trend points the same way |
| `clean` | 15 | of its last six swing labels (HH, HL ...) 4, 5 or 6 do: 5, 10, 15 points |
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

The reasons of `confluence` are told in `confluence.py`. A `divergence` counts for 30 bars after its
swing is known.

Efficiency ratio: Kaufman, Trading Systems and Methods, ch. 17: |net change| / sum of |changes|.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.ranges import Choice, Int
from ftbt.smc.base import NAN, Concept, Inner, Records, SmcLine
from ftbt.smc.baselines import MEAN_STATE, WILDER_STATE, mean_step, wilder_step
from ftbt.smc.confluence import (
    CANDLES,
    CONFLUENCE_STATE,
    NEVER,
    REASONS,
    confluence_init,
    find_sweep,
    follow_zones,
    reasons,
    take_candle,
)
from ftbt.smc.higher_structure import (
    HIGHER_STATE,
    TREND_AND_LABELS,
    higher_prepare,
    higher_step,
)
from ftbt.smc.ladder import FRAMES
from ftbt.smc.rows import blank, keep, own
from ftbt.smc.structure import BREAKS, STRUCTURE, STRUCTURE_STATE, structure_step
from ftbt.smc.swings import RING, SWINGS

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

_EFFICIENCY = 48  # bars of the efficiency ratio
_EFFICIENT = 0.4
_VOLUME = 20
_ATR = 14
_ATR_MEAN = 500
_DIVERGENCE = 30
_WORDS = ("", *FRAMES)  # of `fast` and `slow`; "": none
# Compiled code takes plain numbers as constants, but can't look into a dict.
_TREND, _CLEAN, _PATTERN, _CONFLUENCE, _SPIKE, _DIVERGES, _TRENDING, _CALM = FACTORS.values()

_SIDE = np.dtype(
    [
        ("confluent", CONFLUENCE_STATE),
        ("swing", "f8"),  # price of the last swing low (negated: high)
        ("swing_volume", "f8"),
        ("divergence_bar", "i8"),
    ],
    align=True,
)
CONFIDENCE_STATE = np.dtype(
    [
        ("base_ms", "i8"),
        ("structure_p", STRUCTURE.pack({}).dtype),
        ("fast", HIGHER_STATE),
        ("slow", HIGHER_STATE),
        ("structure", STRUCTURE_STATE),
        ("out", STRUCTURE.out),
        ("count", "i8"),  # bars seen
        ("side", _SIDE, (2,)),  # 0 long, 1 short
        ("candle", *CANDLES),
        ("unbroken_high", "f8"),  # swings before this bar
        ("unbroken_low", "f8"),
        ("high", "f8", (2,)),  # of the bars t-1 and t-2
        ("low", "f8", (2,)),
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
    for k in range(3):
        state.candle[k].bar = NEVER
    state.unbroken_high = NAN
    state.unbroken_low = NAN
    for k in range(2):
        state.high[k] = NAN
        state.low[k] = NAN
        side = state.side[k]
        confluence_init(side.confluent)
        side.swing = NAN
        side.divergence_bar = NEVER


def _prepare(state: Records, parameters: Records) -> None:
    """Start the three structures, and look up the higher timeframes."""
    state["structure_p"] = STRUCTURE.pack({})
    state["structure"] = STRUCTURE.fresh(state["structure_p"])
    for name in ("fast", "slow"):
        higher_prepare(state[name], _WORDS[int(parameters[name][0])])


@inlined
def _ramp(value, zero_at, one_at):  # type: ignore[no-untyped-def]
    """Return 0 at *zero_at* and beyond, 1 at *one_at* and beyond, linear between; NaN gives 0."""
    return _capped((value - zero_at) / (one_at - zero_at))


@inlined
def _capped(share):  # type: ignore[no-untyped-def]
    """Return *share* between 0 and 1; NaN gives 0."""
    return min(1.0, share if share > 0.0 else 0.0)


@inlined
def _follow_swing(side, price, volume, now):  # type: ignore[no-untyped-def]
    """Take a new swing of one side: further out on less volume is a divergence."""
    less = (price < side.swing) & (volume < side.swing_volume)
    side.divergence_bar = now if less else NEVER
    side.swing = price
    side.swing_volume = volume


@inlined
def _follow_swings(state, long, short, swings, now):  # type: ignore[no-untyped-def]
    if swings.low_event != 0.0:
        volume = state.volume[(now - int(swings.low_origin)) & (RING - 1)]
        _follow_swing(long, swings.low, volume, now)
    if swings.high_event != 0.0:
        volume = state.volume[(now - int(swings.high_origin)) & (RING - 1)]
        _follow_swing(short, -swings.high, volume, now)


@inlined
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


@inlined
def _rate(side, sign, bar, swing, trends, labels, now, common, p):  # type: ignore[no-untyped-def]
    """Return the sum of one side with what agreement adds, cut at 100, and its points."""
    slow, agreement = trends
    spike, trending, calm = common
    spread = bar.high - bar.low
    place = bar.close - bar.low if sign > 0 else bar.high - bar.close
    trend = _TREND * (slow == sign)
    clean = _CLEAN * _ramp(labels, 0.5, 1.0)
    pattern = _PATTERN * (place / spread) if spread > 0.0 else 0.0
    behind = reasons(side.confluent, swing, sign, bar, now, p.recent)
    confluence = _CONFLUENCE / REASONS * behind
    divergence = _DIVERGES * (now - side.divergence_bar <= _DIVERGENCE)
    trending = _TRENDING * _capped(sign * trending)
    total = trend + clean + pattern + confluence + spike
    total = total + divergence + trending + calm
    total = total + AGREEMENT * (agreement == sign)
    return min(100.0, total), trend, clean, pattern, confluence, divergence, trending


@inlined
def _follow(state, long, short, bar, swing, structure, fast, slow, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its structure; see the module docstring for the factors."""
    now = state.count
    state.count = now + 1
    find_sweep(long.confluent, state.unbroken_low, 1, bar, now)
    find_sweep(short.confluent, -state.unbroken_high, -1, bar, now)
    state.unbroken_high = structure.high
    state.unbroken_low = structure.low
    state.volume[now & (RING - 1)] = bar.volume
    _follow_swings(state, long, short, swing, now)
    follow_zones(long.confluent, state.candle, state.high[1], structure, 1, bar, now)
    follow_zones(short.confluent, state.candle, -state.low[1], structure, -1, bar, now)
    take_candle(state.candle, bar, now)
    state.high[1] = state.high[0]
    state.low[1] = state.low[0]
    state.high[0] = bar.high
    state.low[0] = bar.low
    # A mean of zero (a dead market) has no ratio.
    before = state.volume_before
    spike = _SPIKE * _ramp(bar.volume / before, 1.0, 2.0) if before > 0.0 else 0.0
    state.volume_before = mean_step(state.volume_mean, bar.volume, _VOLUME)
    efficiency = _efficiency(state, bar, now)
    atr = wilder_step(state.atr, bar, _ATR)
    usual = NAN if np.isnan(atr) else mean_step(state.atr_mean, atr, _ATR_MEAN)
    calm = _CALM * _ramp(atr / usual, 1.5, 0.75)
    own = structure.trend
    agree = (own == fast.trend) & (own == slow.trend)
    agreement = own if agree else 0.0
    trends = (slow.trend, agreement)
    common = (spike, efficiency / _EFFICIENT, calm)
    total, trend, clean, pattern, confluence, divergence, trending = _rate(
        long, 1, bar, swing, trends, slow.up_labels, now, common, p
    )
    out.long = total
    out.long_trend = trend
    out.long_clean = clean
    out.long_pattern = pattern
    out.long_confluence = confluence
    out.long_spike = spike
    out.long_divergence = divergence
    out.long_trending = trending
    out.long_calm = calm
    total, trend, clean, pattern, confluence, divergence, trending = _rate(
        short, -1, bar, swing, trends, slow.down_labels, now, common, p
    )
    out.short = total
    out.short_trend = trend
    out.short_clean = clean
    out.short_pattern = pattern
    out.short_confluence = confluence
    out.short_spike = spike
    out.short_divergence = divergence
    out.short_trending = trending
    out.short_calm = calm
    out.agreement = agreement


@compiled
def confidence_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar."""
    structure_step(state.structure, bar, state.structure_p, state.out)
    higher_step(state.fast, bar, state.base_ms)
    higher_step(state.slow, bar, state.base_ms)
    swing = state.structure.swing_out
    long, short = state.side[0], state.side[1]
    fast, slow = state.fast.out, state.slow.out
    _follow(state, long, short, bar, swing, state.out, fast, slow, p, out)


@looped
def _run(states, bars, swings, structures, fasts, fast_at, slows, slow_at, p, wide, out):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    long = own(state.side[0])
    short = own(state.side[1])
    for i in range(bars.shape[0]):
        fast = fasts[fast_at[i]]
        slow = slows[slow_at[i]]
        _follow(state, long, short, bars[i], swings[i], structures[i], fast, slow, p, row)
        keep(row, out[i])


CONFIDENCE = Concept(
    name="confidence",
    fields=FIELDS,
    inner=(
        Inner(SWINGS),
        Inner(STRUCTURE, fields=BREAKS),
        Inner(TREND_AND_LABELS, "fast"),
        Inner(TREND_AND_LABELS, "slow"),
    ),
    events=(),
    state=CONFIDENCE_STATE,
    init=_init,
    step=confidence_step,
    run=_run,
    narrows=True,
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
