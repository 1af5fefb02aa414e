"""Fade a stop hunt: enter when price takes a pool of stops and closes back, with the bias.

Long (short mirrored): a pool of lows - equal lows, a single swing low, the previous day's or week's
low - is traded through and reclaimed within `reclaim` bars. Entry at the next open, stop beyond the
furthest price of the hunt, half out at `target_r` times the risk, the rest at the nearest untouched
pool on the other side when that is further away, else at twice the distance.
"""

from __future__ import annotations

import math

from ftbt import smc
from ftbt.ranges import Choice, Float, Int
from ftbt.strategy import Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, sweeps, bias, structure, atr, confidence, p, setup):
    """Set the setup at the close of *bar*."""
    setup.exit_long = structure.choch < 0.0
    setup.exit_short = structure.choch > 0.0
    side = sweeps.sweep
    if side == 0.0 or math.isnan(atr.atr) or sweeps.swept_strength < p.min_touches:
        return
    if p.bias != 0 and bias.trend != side:
        return
    setup.side = int(side)
    setup.stop = sweeps.swept_extreme - side * p.stop_atr * atr.atr
    risk = side * (bar.close - setup.stop)
    setup.target1 = bar.close + side * p.target_r * risk
    pool = sweeps.above if side > 0.0 else sweeps.below
    further = bar.close + side * 2.0 * p.target_r * risk
    setup.target2 = pool if side * (pool - setup.target1) > 0.5 * risk else further
    setup.confidence = confidence.long if side > 0.0 else confidence.short
    setup.reason = int(sweeps.swept_kind)


class LiquiditySweep(SetupStrategy):
    """Enter after a liquidity sweep that is reclaimed; see the module docstring."""

    params = dict(
        swing=5,
        reclaim=2,
        min_touches=1,
        bias="slow",
        stop_atr=0.3,
        target_r=1.5,
        min_confidence=40.0,
    )
    ranges = dict(
        swing=Int(3, 12),
        reclaim=Int(0, 4),
        min_touches=Int(1, 3),
        bias=Choice("none", "fast", "slow"),
        stop_atr=Float(0.0, 1.5, step=0.1),
        target_r=Float(0.75, 4.0, step=0.25),
        min_confidence=Float(0, 80, step=10),
    )
    presets = {
        "5m": dict(stop_atr=0.5, max_bars=72),
        "1h": dict(swing=4, max_bars=72),
        "4h": dict(swing=3, max_bars=42),
    }
    reasons = smc.POOL_KINDS

    def __init__(self):
        super().__init__()
        fast, slow = smc.higher_timeframes(smc.base_milliseconds(self.data))
        swing = dict(left=self.p.swing, right=self.p.swing)
        frame = {"none": "", "fast": fast, "slow": slow}[self.p.bias]
        self.setup = Setup(
            rule,
            smc.Sweeps(self.data, reclaim=self.p.reclaim, **swing),
            smc.Structure(self.data, timeframe=frame),
            smc.Structure(self.data, **swing),
            smc.AverageTrueRange(self.data),
            smc.Confidence(self.data, fast=fast, slow=slow),
        )
