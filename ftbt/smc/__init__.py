"""Smart Money Concepts as causal lines: each knows at bar t only what was known at t's close.

Use them in a Backtrader strategy, `smc.Structure(self.data, left=5, timeframe="4h")`, or on arrays,
`STRUCTURE.compute(bars, {"left": 5})`. `base.py` tells what they have in common and how to add one.
"""

from __future__ import annotations

from ftbt.data.feed import base_milliseconds
from ftbt.smc.base import Concept, SmcLine, Stream, compute_line, event_rows
from ftbt.smc.baselines import ATR, VOLUME, AverageTrueRange, Volume
from ftbt.smc.confidence import CONFIDENCE, Confidence
from ftbt.smc.dealing_range import DEALING_RANGE, DealingRange
from ftbt.smc.displacement import DISPLACEMENT, Displacement
from ftbt.smc.fvg import FVG, FairValueGaps
from ftbt.smc.ladder import higher_timeframes
from ftbt.smc.ledger import Zone, zones
from ftbt.smc.liquidity import LIQUIDITY, Liquidity
from ftbt.smc.order_blocks import ORDER_BLOCKS, OrderBlocks
from ftbt.smc.periods import PERIODS, Periods
from ftbt.smc.sessions import SESSIONS, Sessions
from ftbt.smc.structure import STRUCTURE, Structure, internal_structure, swing_structure
from ftbt.smc.sweeps import SWEEPS, Sweeps
from ftbt.smc.swings import SWINGS, Swings
from ftbt.smc.zigzag import ZIGZAG, ZigZag

# Names of the codes of a pool's kind, see `liquidity.py`.
POOL_KINDS = (
    "sweep",
    "sweep of a swing",
    "sweep of equal highs or lows",
    "sweep of the previous day",
    "sweep of the previous week",
    "sweep of the Asia session",
    "sweep of the London session",
    "sweep of the New York session",
)

# The contract test and the speed benchmark run over these: a new line is entered here.
ALL_LINES: tuple[type[SmcLine], ...] = (
    AverageTrueRange,
    Volume,
    Swings,
    ZigZag,
    Structure,
    Displacement,
    DealingRange,
    Sessions,
    Periods,
    Liquidity,
    Sweeps,
    FairValueGaps,
    OrderBlocks,
    Confidence,
)

__all__ = [
    "ALL_LINES",
    "ATR",
    "CONFIDENCE",
    "DEALING_RANGE",
    "DISPLACEMENT",
    "FVG",
    "LIQUIDITY",
    "ORDER_BLOCKS",
    "PERIODS",
    "POOL_KINDS",
    "SESSIONS",
    "STRUCTURE",
    "SWEEPS",
    "SWINGS",
    "VOLUME",
    "ZIGZAG",
    "AverageTrueRange",
    "Concept",
    "Confidence",
    "DealingRange",
    "Displacement",
    "FairValueGaps",
    "Liquidity",
    "OrderBlocks",
    "Periods",
    "Sessions",
    "SmcLine",
    "Stream",
    "Structure",
    "Sweeps",
    "Swings",
    "Volume",
    "ZigZag",
    "Zone",
    "base_milliseconds",
    "compute_line",
    "event_rows",
    "higher_timeframes",
    "internal_structure",
    "swing_structure",
    "zones",
]
