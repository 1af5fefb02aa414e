"""Look-ahead: the day's final close, known since the day's open."""

import backtrader as bt
import numpy as np

DAY_MS = 86_400_000


class DaysFinalClose(bt.Strategy):
    """Goes with the direction that the day will have had."""

    def start(self):
        bars = self.data.candles.bars
        days = bars["time"] // DAY_MS
        last = np.searchsorted(days, days, side="right") - 1
        self.final = bars["close"][last]

    def next(self):
        now = len(self) - 1
        if not self.position and self.final[now] > self.data.close[0] * 1.01:
            self.buy(size=0.05)
        elif self.position and self.final[now] <= self.data.close[0]:
            self.close()
