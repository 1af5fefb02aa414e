"""Look-ahead: only the strongest signals of the whole history are taken."""

import backtrader as bt
import numpy as np

BEST = 60


class RankedSignals(bt.Strategy):
    """Buys the largest falls; which ones are large is known when all are over."""

    def start(self):
        close = np.array(self.data.close.array)
        fall = np.zeros(len(close))
        fall[1:] = close[:-1] / close[1:] - 1.0
        self.taken = np.zeros(len(close))
        self.taken[np.argsort(-fall, kind="stable")[:BEST]] = 1.0

    def next(self):
        if not self.position and self.taken[len(self) - 1]:
            self.buy(size=0.05)
        elif self.position and len(self) % 12 == 0:
            self.close()
