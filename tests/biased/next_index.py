"""Look-ahead: a positive index. `close[1]` is the bar after the current one; the end is guarded."""

import backtrader as bt


class NextIndex(bt.Strategy):
    """Shorts before a bar that falls."""

    def next(self):
        try:
            tomorrow = self.data.close[1]
        except IndexError:
            return
        if not self.position and tomorrow < self.data.close[0] * 0.997:
            self.sell(size=0.05)
        elif self.position and len(self) % 6 == 0:
            self.close()
