"""Join a break of structure at its order block.

Long (short mirrored): structure breaks upward and leaves an order block, the last opposite candle
before the move. A limit order waits `depth` of the way into the block (0 its near edge, 1 the far
edge) for `valid_bars` bars. The stop lies beyond the block, half leaves at `target_r` times the
risk, the rest at twice that.
"""

from __future__ import annotations

import math

from ftbt import smc
from ftbt.ranges import Choice, Float, Int
from ftbt.strategy import LIMIT, Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, blocks, bias, structure, atr, confidence, p, setup):
    """Set the setup at the close of *bar*."""
    setup.exit_long = structure.choch < 0.0
    setup.exit_short = structure.choch > 0.0
    side = blocks.created
    if side == 0.0 or math.isnan(atr.atr):
        return
    if p.bias != 0 and bias.trend != side:
        return
    near = blocks.bull_top if side > 0.0 else blocks.bear_bottom
    far = blocks.bull_bottom if side > 0.0 else blocks.bear_top
    setup.side = int(side)
    setup.kind = LIMIT
    setup.entry = near + (far - near) * p.depth
    setup.stop = far - side * p.stop_atr * atr.atr
    risk = side * (setup.entry - setup.stop)
    setup.target1 = setup.entry + side * p.target_r * risk
    setup.target2 = setup.entry + side * 2.0 * p.target_r * risk
    setup.confidence = confidence.long if side > 0.0 else confidence.short


class BosOrderblock(SetupStrategy):
    """Enter at the order block of a break of structure; see the module docstring."""

    params = dict(
        swing=5,
        breaks="bos",
        depth=0.0,
        bias="slow",
        stop_atr=0.3,
        target_r=1.5,
        valid_bars=32,
        min_confidence=40.0,
    )
    ranges = dict(
        swing=Int(3, 12),
        breaks=Choice("bos", "choch", "both"),
        depth=Float(0.0, 1.0, step=0.1),
        bias=Choice("none", "fast", "slow"),
        stop_atr=Float(0.1, 2.0, step=0.1),
        target_r=Float(0.75, 4.0, step=0.25),
        valid_bars=Int(4, 96, step=4),
        min_confidence=Float(0, 80, step=10),
    )
    presets = {"1h": dict(swing=4, max_bars=72), "4h": dict(swing=3, max_bars=42)}
    reasons = ("return to an order block",)

    def __init__(self):
        super().__init__()
        fast, slow = smc.higher_timeframes(smc.base_milliseconds(self.data))
        frame = {"none": "", "fast": fast, "slow": slow}[self.p.bias]
        swing = dict(left=self.p.swing, right=self.p.swing)
        self.setup = Setup(
            rule,
            smc.OrderBlocks(self.data, breaks=self.p.breaks, **swing),
            smc.Structure(self.data, timeframe=frame),
            smc.Structure(self.data, **swing),
            smc.AverageTrueRange(self.data),
            smc.Confidence(self.data, fast=fast, slow=slow),
        )
