"""Enter a fair value gap when price comes back to it, in the direction of the gap.

Long (short mirrored): a bullish gap of at least `min_size_atr` ATRs opens, left by a strong move. A
limit order waits inside the gap, `depth` of the way down (0 the near edge, 1 the far edge), for
`valid_bars` bars. The stop lies beyond the far edge, half leaves at `target_r` times the risk, the
rest at twice that.
"""

from __future__ import annotations

import math

from ftbt import smc
from ftbt.ranges import Choice, Float, Int
from ftbt.strategy import LIMIT, Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, gaps, bias, structure, atr, confidence, p, setup):
    """Set the setup at the close of *bar*."""
    setup.exit_long = structure.choch < 0.0
    setup.exit_short = structure.choch > 0.0
    side = gaps.created
    if side == 0.0 or math.isnan(atr.atr):
        return
    if p.bias != 0 and bias.trend != side:
        return
    near = gaps.bull_top if side > 0.0 else gaps.bear_bottom
    far = gaps.bull_bottom if side > 0.0 else gaps.bear_top
    setup.side = int(side)
    setup.kind = LIMIT
    setup.entry = near + (far - near) * p.depth
    setup.stop = far - side * p.stop_atr * atr.atr
    risk = side * (setup.entry - setup.stop)
    setup.target1 = setup.entry + side * p.target_r * risk
    setup.target2 = setup.entry + side * 2.0 * p.target_r * risk
    setup.confidence = confidence.long if side > 0.0 else confidence.short


class FvgFill(SetupStrategy):
    """Buy or sell the return into a fair value gap; see the module docstring."""

    params = dict(
        min_size_atr=0.5,
        depth=0.5,
        bias="slow",
        stop_atr=0.5,
        target_r=1.5,
        valid_bars=24,
        min_confidence=40.0,
    )
    ranges = dict(
        min_size_atr=Float(0.0, 2.0, step=0.1),
        depth=Float(0.0, 1.0, step=0.1),
        bias=Choice("none", "fast", "slow"),
        stop_atr=Float(0.1, 2.0, step=0.1),
        target_r=Float(0.75, 4.0, step=0.25),
        valid_bars=Int(4, 96, step=4),
        min_confidence=Float(0, 80, step=10),
    )
    presets = {"1h": dict(valid_bars=16, max_bars=72), "4h": dict(valid_bars=12, max_bars=42)}
    reasons = ("return into a gap",)

    def __init__(self):
        super().__init__()
        fast, slow = smc.higher_timeframes(smc.base_milliseconds(self.data))
        frame = {"none": "", "fast": fast, "slow": slow}[self.p.bias]
        self.setup = Setup(
            rule,
            smc.FairValueGaps(self.data, min_size_atr=self.p.min_size_atr),
            smc.Structure(self.data, timeframe=frame),
            smc.Structure(self.data),
            smc.AverageTrueRange(self.data),
            smc.Confidence(self.data, fast=fast, slow=slow),
        )
