"""The structure of a higher timeframe, followed inside a line: its trend and last swing labels.

A part of `confidence.py`. The higher bars are built from the line's own by `aggregate.py`, so that
only completed ones are seen.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled, inlined, looped
from ftbt.data.timeframe import Timeframe
from ftbt.smc.aggregate import AGGREGATE, aggregate_step
from ftbt.smc.base import Concept, Inner, Records
from ftbt.smc.rows import blank, keep
from ftbt.smc.structure import BREAKS, STRUCTURE, STRUCTURE_STATE, structure_step
from ftbt.smc.swings import SWINGS

LABELS = 6  # swing labels (HH, HL ...) that are remembered

_STATE = np.dtype(
    [
        ("structure_p", STRUCTURE.pack({}).dtype),
        ("structure", STRUCTURE_STATE),
        ("structure_out", STRUCTURE.out),
        ("label", "f8", (LABELS,)),
        ("labels", "i8"),  # seen so far
        ("up", "f8"),  # share of them that point up
        ("down", "f8"),
    ],
    align=True,
)


@compiled
def _init(state, p):  # type: ignore[no-untyped-def]
    """Prepare a zeroed state; `_prepare` does."""


def _prepare(state: Records, parameters: Records) -> None:
    """Start the structure; *parameters* has nothing to say."""
    del parameters
    state["structure_p"] = STRUCTURE.pack({})
    state["structure"] = STRUCTURE.fresh(state["structure_p"])
    state["up"] = state["down"] = np.nan


@compiled
def _share_of_labels(state, sign):  # type: ignore[no-untyped-def]
    """Return the share of the last labels that point to side *sign*, NaN before there are six."""
    if state.labels < LABELS:
        return np.nan
    same = 0.0
    for i in range(LABELS):
        if state.label[i] * sign > 0.0:
            same += 1.0
    return same / LABELS


@compiled
def _remember(state, label):  # type: ignore[no-untyped-def]
    """Take a new swing label."""
    state.label[state.labels % LABELS] = label
    state.labels += 1
    state.up = _share_of_labels(state, 1)
    state.down = _share_of_labels(state, -1)


@inlined
def _follow(state, swing, structure, out):  # type: ignore[no-untyped-def]
    """Take one closed bar with its structure."""
    if swing.high_event != 0.0:
        _remember(state, swing.high_label)
    if swing.low_event != 0.0:
        _remember(state, swing.low_label)
    out.trend = structure.trend
    out.up_labels = state.up
    out.down_labels = state.down


@inlined
def _step(state, bar, p, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Take one closed bar."""
    structure_step(state.structure, bar, state.structure_p, state.structure_out)
    _follow(state, state.structure.swing_out, state.structure_out, out)


@looped
def _run(states, bars, swings, structures, p, wide, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
    state = states[0]
    row = blank(wide)
    for i in range(bars.shape[0]):
        _follow(state, swings[i], structures[i], row)
        keep(row, out[i])


TREND_AND_LABELS = Concept(
    name="trend_and_labels",
    fields={
        "trend": "+1 structure points up, -1 down, 0 before the first break",
        "up_labels": "share of the last six swing labels that are HH or HL, NaN before six",
        "down_labels": "share of the last six swing labels that are LH or LL, NaN before six",
    },
    inner=(Inner(SWINGS), Inner(STRUCTURE, fields=BREAKS)),
    events=(),
    state=_STATE,
    init=_init,
    step=_step,
    run=_run,
    narrows=True,
    defaults={},
    ranges={},
    prepare=_prepare,
)

HIGHER_STATE = np.dtype(
    [
        ("aggregate", AGGREGATE),
        ("structure", TREND_AND_LABELS.state),
        ("out", TREND_AND_LABELS.out),
        ("ms", "i8"),  # 0: there is none
        ("origin", "i8"),
        ("base_ms", "i8"),  # bars of this length are known to make up the timeframe
    ],
    align=True,
)


def higher_prepare(state: Records, timeframe: str) -> None:
    """Set the timeframe ("": none) in a zeroed state."""
    state["structure"] = TREND_AND_LABELS.fresh(TREND_AND_LABELS.pack({}))
    for name in TREND_AND_LABELS.lines:
        state["out"][name] = np.nan
    if timeframe:
        frame = Timeframe.parse(timeframe)
        state["ms"], state["origin"] = frame.ms, frame.origin_ms


@compiled
def higher_step(state, bar, base_ms):  # type: ignore[no-untyped-def]
    """Take a bar of *base_ms*; `state.out` then holds what is known of the higher timeframe.

    Nothing is known of a timeframe that is not longer than the bars, or no multiple of them.
    """
    if base_ms <= 0 or base_ms != state.base_ms:
        if base_ms <= 0 or state.ms <= base_ms or state.ms % base_ms != 0:
            return
        state.base_ms = base_ms
    if aggregate_step(state.aggregate, bar, base_ms, state.ms, state.origin) == 1:
        _step(state.structure, state.aggregate.done, base_ms, state.out)
