"""Look-ahead: resampled 4h bars, labelled with their open, read before they have closed."""

import backtrader as bt
import pandas as pd


class Unfinished4h(bt.Strategy):
    """Goes with the colour of the 4h bar that is still being made."""

    def __init__(self):
        bars = self.data.candles.bars
        times = pd.to_datetime(bars["time"], unit="ms", utc=True)
        close = pd.Series(bars["close"], index=times)
        slow = close.resample("4h").agg(["first", "last"])
        up = (slow["last"] > slow["first"]).astype(float)
        self.up = up.reindex(times, method="ffill").to_numpy()

    def next(self):
        now = len(self) - 1
        if not self.position and self.up[now] > 0:
            self.buy(size=0.05)
        elif self.position and self.up[now] == 0:
            self.close()
