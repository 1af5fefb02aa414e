"""The structure of a higher timeframe, followed inside a line: its trend and last swing labels.

A part of `confidence.py`. The higher bars are built from the line's own by `aggregate.py`, so that
only completed ones are seen.
"""

from __future__ import annotations

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.timeframe import Timeframe
from ftbt.smc.aggregate import AGGREGATE, aggregate_step
from ftbt.smc.base import Records
from ftbt.smc.structure import STRUCTURE, STRUCTURE_STATE, structure_step

LABELS = 6  # swing labels (HH, HL ...) that are remembered

HIGHER_STATE = np.dtype(
    [
        ("aggregate", AGGREGATE),
        ("structure", STRUCTURE_STATE),
        ("out", STRUCTURE.out),
        ("ms", "i8"),  # 0: there is none
        ("origin", "i8"),
        ("base_ms", "i8"),  # bars of this length are known to make up the timeframe
        ("label", "f8", (LABELS,)),
        ("labels", "i8"),  # seen so far
    ],
    align=True,
)


def higher_prepare(state: Records, timeframe: str, structure: Records) -> None:
    """Set the timeframe ("": none) and the fresh structure in a zeroed state."""
    state["structure"] = structure
    if timeframe:
        frame = Timeframe.parse(timeframe)
        state["ms"], state["origin"] = frame.ms, frame.origin_ms


@compiled
def higher_step(state, bar, base_ms, p):  # type: ignore[no-untyped-def]
    """Take a bar of *base_ms*; return 1 when the higher timeframe has a new swing label.

    Nothing is known of a timeframe that is not longer than the bars, or no multiple of them.
    """
    if base_ms <= 0 or base_ms != state.base_ms:
        if base_ms <= 0 or state.ms <= base_ms or state.ms % base_ms != 0:
            return 0
        state.base_ms = base_ms
    if aggregate_step(state.aggregate, bar, base_ms, state.ms, state.origin) == 0:
        return 0
    structure_step(state.structure, state.aggregate.done, p, state.out)
    swings = state.structure.swing_out
    before = state.labels
    if swings.high_event != 0.0:
        state.label[state.labels % LABELS] = swings.high_label
        state.labels += 1
    if swings.low_event != 0.0:
        state.label[state.labels % LABELS] = swings.low_label
        state.labels += 1
    return 1 if state.labels > before else 0


@compiled
def share_of_labels(state, sign):  # type: ignore[no-untyped-def]
    """Return the share of the last labels that point to side *sign*, NaN before there are six."""
    if state.labels < LABELS:
        return np.nan
    same = 0.0
    for i in range(LABELS):
        if state.label[i] * sign > 0.0:
            same += 1.0
    return same / LABELS
