"""Smart Money Concepts as causal lines: each knows at bar t only what was known at t's close.

Use them in a Backtrader strategy, `smc.Structure(self.data, left=5, timeframe="4h")`, or on arrays,
`STRUCTURE.compute(bars, {"left": 5})`. `base.py` tells what they have in common and how to add one.
"""

from __future__ import annotations

from ftbt.smc.base import Concept, SmcLine, Stream, compute_line, event_rows
from ftbt.smc.baselines import ATR, VOLUME, AverageTrueRange, Volume
from ftbt.smc.dealing_range import DEALING_RANGE, DealingRange
from ftbt.smc.displacement import DISPLACEMENT, Displacement
from ftbt.smc.fvg import FVG, FairValueGaps
from ftbt.smc.order_blocks import ORDER_BLOCKS, OrderBlocks
from ftbt.smc.sessions import SESSIONS, Sessions
from ftbt.smc.structure import STRUCTURE, Structure, internal_structure, swing_structure
from ftbt.smc.swings import SWINGS, Swings

# The contract test and the speed benchmark run over these: a new line is entered here.
ALL_LINES: tuple[type[SmcLine], ...] = (
    AverageTrueRange,
    Volume,
    Swings,
    Structure,
    Displacement,
    DealingRange,
    Sessions,
    FairValueGaps,
    OrderBlocks,
)

__all__ = [
    "ALL_LINES",
    "ATR",
    "DEALING_RANGE",
    "DISPLACEMENT",
    "FVG",
    "ORDER_BLOCKS",
    "SESSIONS",
    "STRUCTURE",
    "SWINGS",
    "VOLUME",
    "AverageTrueRange",
    "Concept",
    "DealingRange",
    "Displacement",
    "FairValueGaps",
    "OrderBlocks",
    "Sessions",
    "SmcLine",
    "Stream",
    "Structure",
    "Swings",
    "Volume",
    "compute_line",
    "event_rows",
    "internal_structure",
    "swing_structure",
]
