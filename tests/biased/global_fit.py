"""Look-ahead: a model that is fitted in start() to all returns, and trades the same returns."""

import backtrader as bt
import numpy as np

LAGS = 5


class GlobalFit(bt.Strategy):
    """Trades the forecast of an autoregression that has seen everything."""

    def start(self):
        returns = np.diff(np.log(np.array(self.data.close.array)))
        rows = np.lib.stride_tricks.sliding_window_view(returns, LAGS + 1)
        self.weights = np.linalg.lstsq(rows[:, :LAGS], rows[:, LAGS], rcond=None)[0]

    def next(self):
        if len(self) < LAGS + 2:
            return
        close = np.array(self.data.close.get(size=LAGS + 1))
        forecast = float(np.diff(np.log(close)) @ self.weights)
        if not self.position and forecast > 0.0003:
            self.buy(size=0.05)
        elif self.position and forecast < 0.0:
            self.close()
