"""Look-ahead: a z-score whose mean and deviation are those of the whole history."""

import backtrader as bt
import numpy as np


class WholeSampleScore(bt.Strategy):
    """Buys what is cheap by the measure of all years, those to come included."""

    def __init__(self):
        close = np.array(self.data.close.array)
        self.score = (close - close.mean()) / close.std()

    def next(self):
        score = self.score[len(self) - 1]
        if not self.position and score < -0.5:
            self.buy(size=0.05)
        elif self.position and score > 0.0:
            self.close()
