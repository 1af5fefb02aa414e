"""Confidence: 0 to 100 for a long and for a short, the sum of eight named factors.

| factor | points | what it measures |
|---|---|---|
| `trend` | 15 | the slow timeframe's structure trend points the same way |
| `clean` | 15 | share of the last six slow swing labels (HH, HL ...) that point the same way |
| `pattern` | 10 | where the bar closes in its range: 10 at the favourable end, 0 at the other |
| `confluence` | 20 | 5 each: discount (premium), a sweep, a gap, an order block within `recent` bars |
| `spike` | 10 | volume against the mean of the 20 bars before: 0 up to 1x, 10 from 2x on |
| `divergence` | 10 | the last swing low is lower than the one before, on less volume (mirrored) |
| `trending` | 10 | Kaufman's efficiency ratio over 48 bars, signed: 10 from 0.4 on |
| `calm` | 10 | ATR(14) against its mean of 500 bars: 10 up to 0.75x, 0 from 1.5x on |

When the trends of both higher timeframes and of the bars themselves agree, 20 are added; the sum is
cut at 100. A factor whose inputs are not known yet counts 0. The weights are the predecessor's;
whether a factor is worth anything is a question to the data, see `benchmarks/confidence.py`.

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
from ftbt.smc.dealing_range import DEALING_RANGE, DEALING_RANGE_STATE, dealing_range_step
from ftbt.smc.fvg import FVG, FVG_STATE, fvg_step
from ftbt.smc.order_blocks import ORDER_BLOCK_STATE, ORDER_BLOCKS, order_block_step
from ftbt.smc.structure import STRUCTURE, STRUCTURE_STATE, structure_step
from ftbt.smc.sweeps import SWEEPS, SWEEPS_STATE, sweeps_step

LABELS = 6  # slow swing labels that are looked at
EFFICIENCY = 48  # bars of the efficiency ratio
VOLUME_BARS = 20
ATR_BARS = 14
ATR_MEAN_BARS = 500
DIVERGENCE_BARS = 30  # a divergence counts for so many bars after it is known
_RING = 128  # volumes kept for the swings' own bars

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

# Timeframes that a confidence line can look at, and their lengths.
_FRAMES = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")

_HIGHER = np.dtype(
    [
        ("aggregate", AGGREGATE),
        ("structure", STRUCTURE_STATE),
        ("out", STRUCTURE.out),
        ("ms", "i8"),
        ("origin", "i8"),
        ("trend", "f8"),
        ("label", "f8", (LABELS,)),
        ("labels", "i8"),
    ],
    align=True,
)
_SIDE = np.dtype(
    [
        ("sweep_bar", "i8"),
        ("gap_bar", "i8"),
        ("block_bar", "i8"),
        ("swing", "f8"),  # price of the last swing on this side
        ("swing_volume", "f8"),
        ("divergence_bar", "i8"),
    ],
    align=True,
)
_INNER = {
    "range": (DEALING_RANGE, DEALING_RANGE_STATE),
    "gaps": (FVG, FVG_STATE),
    "blocks": (ORDER_BLOCKS, ORDER_BLOCK_STATE),
    "sweeps": (SWEEPS, SWEEPS_STATE),
}


def _inner_fields() -> list[tuple[str, np.dtype[np.void]]]:
    """Return state, parameters and outputs of each concept that is looked at."""
    fields = []
    for name, (concept, state) in _INNER.items():
        parameters = concept.pack({}).dtype
        fields += [(name, state), (f"{name}_p", parameters), (f"{name}_out", concept.out)]
    return fields


CONFIDENCE_STATE = np.dtype(
    [
        ("count", "i8"),
        ("base_ms", "i8"),  # 0 until two bars have been seen
        ("time", "i8"),
        ("fast", _HIGHER),
        ("slow", _HIGHER),
        ("structure_p", STRUCTURE.pack({}).dtype),
        *_inner_fields(),
        ("side", _SIDE, (2,)),  # 0 long (lows), 1 short (highs)
        ("volume", "f8", (_RING,)),
        ("volume_mean", MEAN_STATE),
        ("volume_before", "f8"),
        ("close", "f8", (EFFICIENCY + 1,)),
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
    for i in range(2):
        side = state.side[i]
        side.sweep_bar = side.gap_bar = side.block_bar = side.divergence_bar = -(10**9)
        side.swing = NAN


def _prepare(state: Records, parameters: Records) -> None:
    """Start the concepts inside, each with its own parameters."""
    state["structure_p"] = STRUCTURE.pack({})
    for name, number in (("fast", parameters["fast"][0]), ("slow", parameters["slow"][0])):
        frame = Timeframe.parse(_FRAMES[number])
        state[name]["ms"], state[name]["origin"] = frame.ms, frame.origin_ms
        state[name]["structure"] = STRUCTURE.fresh(state["structure_p"])
    for name, (concept, _) in _INNER.items():
        packed = concept.pack({})
        state[f"{name}_p"] = packed
        state[name] = concept.fresh(packed)


@compiled
def _higher_step(higher, bar, base_ms, p):  # type: ignore[no-untyped-def]
    """Take a base bar into a higher timeframe; follow its trend and swing labels."""
    if not aggregate_step(higher.aggregate, bar, base_ms, higher.ms, higher.origin):
        return
    structure_step(higher.structure, higher.aggregate.done, p, higher.out)
    higher.trend = higher.out.trend
    swings = higher.structure.swing_out
    if swings.high_event != 0.0:
        higher.label[higher.labels % LABELS] = swings.high_label
        higher.labels += 1
    if swings.low_event != 0.0:
        higher.label[higher.labels % LABELS] = swings.low_label
        higher.labels += 1


@compiled
def _clean(higher, sign):  # type: ignore[no-untyped-def]
    if higher.labels < LABELS:
        return 0.0
    same = 0
    for i in range(LABELS):
        if higher.label[i] * sign > 0.0:
            same += 1
    return same / LABELS


@compiled
def _follow_zones(state, now):  # type: ignore[no-untyped-def]
    """Remember when each side last had a sweep, a gap and a block."""
    for i in range(2):
        sign = 1.0 if i == 0 else -1.0
        side = state.side[i]
        if state.sweeps_out.sweep == sign:
            side.sweep_bar = now
        if state.gaps_out.created == sign or state.gaps_out.touched == sign:
            side.gap_bar = now
        if state.blocks_out.created == sign or state.blocks_out.tested == sign:
            side.block_bar = now


@compiled
def _follow_swing(side, sign, price, volume, now):  # type: ignore[no-untyped-def]
    """Take a new swing of one side: further out on less volume is a divergence."""
    if sign * price < sign * side.swing and volume < side.swing_volume:
        side.divergence_bar = now
    side.swing = price
    side.swing_volume = volume


@compiled
def _efficiency(state):  # type: ignore[no-untyped-def]
    """Return the signed efficiency ratio, 0 while unknown."""
    size = EFFICIENCY + 1
    if state.count < size:
        return 0.0
    newest = (state.count - 1) % size
    path = 0.0
    at = (newest + 1) % size
    first = state.close[at]
    for _ in range(EFFICIENCY):
        after = (at + 1) % size
        path += abs(state.close[after] - state.close[at])
        at = after
    return (state.close[newest] - first) / path if path > 0.0 else 0.0


@compiled
def _ramp(value, zero_at, one_at):  # type: ignore[no-untyped-def]
    """Return 0 at *zero_at* and beyond, 1 at *one_at* and beyond, linear between; NaN gives 0."""
    share = (value - zero_at) / (one_at - zero_at)
    if not share > 0.0:
        return 0.0
    return min(1.0, share)


@compiled
def _confluence(state, side, sign, now, p):  # type: ignore[no-untyped-def]
    points = 5.0 if state.range_out.zone == sign else 0.0
    for bar in (side.sweep_bar, side.gap_bar, side.block_bar):
        if now - bar <= p.recent:
            points += 5.0
    return points


@compiled
def confidence_step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; see the module docstring for the factors."""
    now = state.count
    if now > 0:
        step = bar.time - state.time
        state.base_ms = step if state.base_ms == 0 else min(state.base_ms, step)
    state.time = bar.time
    state.count += 1
    if state.base_ms > 0:
        _higher_step(state.fast, bar, state.base_ms, state.structure_p)
        _higher_step(state.slow, bar, state.base_ms, state.structure_p)
    dealing_range_step(state.range, bar, state.range_p, state.range_out)
    fvg_step(state.gaps, bar, state.gaps_p, state.gaps_out)
    order_block_step(state.blocks, bar, state.blocks_p, state.blocks_out)
    sweeps_step(state.sweeps, bar, state.sweeps_p, state.sweeps_out)
    _follow_zones(state, now)
    state.volume[now % _RING] = bar.volume
    state.close[now % (EFFICIENCY + 1)] = bar.close
    swings = state.range.structure.swing_out
    if swings.low_event != 0.0:
        volume = state.volume[(now - int(swings.low_origin)) % _RING]
        _follow_swing(state.side[0], 1.0, swings.low, volume, now)
    if swings.high_event != 0.0:
        volume = state.volume[(now - int(swings.high_origin)) % _RING]
        _follow_swing(state.side[1], -1.0, swings.high, volume, now)
    spike = 10.0 * _ramp(bar.volume / state.volume_before, 1.0, 2.0)
    state.volume_before = mean_step(state.volume_mean, bar.volume, VOLUME_BARS)
    atr = wilder_step(state.atr, bar, ATR_BARS)
    usual = NAN if np.isnan(atr) else mean_step(state.atr_mean, atr, ATR_MEAN_BARS)
    calm = 10.0 * _ramp(atr / usual, 1.5, 0.75)
    efficiency = _efficiency(state)
    spread = bar.high - bar.low
    place = (bar.close - bar.low) / spread if spread > 0.0 else 0.5
    own = state.range.structure_out.trend

    out.long_trend = 15.0 if state.slow.trend > 0.0 else 0.0
    out.short_trend = 15.0 if state.slow.trend < 0.0 else 0.0
    out.long_clean = 15.0 * _clean(state.slow, 1.0)
    out.short_clean = 15.0 * _clean(state.slow, -1.0)
    out.long_pattern = 10.0 * place
    out.short_pattern = 10.0 * (1.0 - place)
    out.long_confluence = _confluence(state, state.side[0], 1.0, now, p)
    out.short_confluence = _confluence(state, state.side[1], -1.0, now, p)
    out.long_spike = out.short_spike = spike
    fresh = now - DIVERGENCE_BARS
    out.long_divergence = 10.0 if state.side[0].divergence_bar >= fresh else 0.0
    out.short_divergence = 10.0 if state.side[1].divergence_bar >= fresh else 0.0
    out.long_trending = 10.0 * _ramp(efficiency, 0.0, 0.4)
    out.short_trending = 10.0 * _ramp(-efficiency, 0.0, 0.4)
    out.long_calm = out.short_calm = calm
    out.agreement = 0.0
    if own == state.fast.trend and own == state.slow.trend:
        out.agreement = own
    long = out.long_trend + out.long_clean + out.long_pattern + out.long_confluence
    long += out.long_spike + out.long_divergence + out.long_trending + out.long_calm
    short = out.short_trend + out.short_clean + out.short_pattern + out.short_confluence
    short += out.short_spike + out.short_divergence + out.short_trending + out.short_calm
    out.long = min(100.0, long + (AGREEMENT if out.agreement > 0.0 else 0.0))
    out.short = min(100.0, short + (AGREEMENT if out.agreement < 0.0 else 0.0))


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
        "fast": Choice(*_FRAMES, tune=False),
        "slow": Choice(*_FRAMES, tune=False),
        "recent": Int(0, 100, tune=False),
    },
    prepare=_prepare,
)


class Confidence(SmcLine):
    """How many of eight good reasons a long or a short has; see the module docstring."""

    concept = CONFIDENCE
    lines = CONFIDENCE.lines
    params = CONFIDENCE.params
