"""Look-ahead: a moving average that is centred, so that half of its window lies ahead."""

import backtrader as bt
import pandas as pd


class CentredWindow(bt.Strategy):
    """Buys below a smooth average that already bends upwards."""

    def __init__(self):
        close = pd.Series(self.data.close.array)
        self.smooth = close.rolling(21, center=True).mean().to_numpy()

    def next(self):
        now = len(self) - 1
        rises = self.smooth[now] > self.smooth[now - 1]
        if not self.position and rises and self.data.close[0] < self.smooth[now]:
            self.buy(size=0.05)
        elif self.position and not rises:
            self.close()
