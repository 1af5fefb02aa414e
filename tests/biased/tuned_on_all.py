"""Look-ahead: a setup strategy that sets its own threshold from all bars before it starts."""

import numpy as np

from ftbt import smc
from ftbt.ranges import Float
from ftbt.strategy import Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, atr, p, setup):
    """Buy a large bar."""
    if bar.close / bar.open - 1.0 > p.large:
        setup.side = 1
        setup.stop = bar.low - atr.atr
        setup.target1 = bar.close + 2.0 * (bar.close - setup.stop)


class TunedOnAll(SetupStrategy):
    """Calls a bar large when it is among the largest there will ever be."""

    params = dict(large=0.0)
    ranges = dict(large=Float(0.0, 1.0))
    warmup_days = 1.0

    def __init__(self):
        bars = self.data.candles.bars
        self.p.large = float(np.quantile(bars["close"] / bars["open"] - 1.0, 0.97))
        super().__init__()
        self.setup = Setup(rule, smc.AverageTrueRange(self.data))
