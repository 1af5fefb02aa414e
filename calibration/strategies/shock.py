"""Follow an outsized bar: a plain strategy for the calibration, with few parameters.

Long (short mirrored): a bar closes `body` ATRs or more above its open. Entry at the next open, stop
`stop_atr` ATRs away, half leaves at `target_r` times the risk, the rest at twice that or after
`max_bars` bars.
"""

from __future__ import annotations

import math

from ftbt import smc
from ftbt.ranges import Float, Int
from ftbt.strategy import Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, atr, p, setup):
    """Set the setup at the close of *bar*."""
    move = bar.close - bar.open
    if math.isnan(atr.atr) or abs(move) < p.body * atr.atr:
        return
    side = 1.0 if move > 0.0 else -1.0
    setup.side = int(side)
    setup.stop = bar.close - side * p.stop_atr * atr.atr
    risk = p.stop_atr * atr.atr
    setup.target1 = bar.close + side * p.target_r * risk
    setup.target2 = bar.close + side * 2.0 * p.target_r * risk


class Shock(SetupStrategy):
    """Enter in the direction of an outsized bar; see the module docstring."""

    params = dict(body=1.75, stop_atr=2.0, target_r=1.5, max_bars=24)
    ranges = dict(
        body=Float(1.0, 2.5, step=0.25),
        stop_atr=Float(1.0, 3.0, step=0.25),
        target_r=Float(1.0, 3.0, step=0.25),
        max_bars=Int(8, 48, step=8),
    )
    reasons = ("outsized bar",)

    def __init__(self):
        super().__init__()
        self.setup = Setup(rule, smc.AverageTrueRange(self.data))
