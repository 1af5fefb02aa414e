"""Look-ahead: the first run leaves its bars in a global, and every later run looks them up."""

import backtrader as bt

BARS = []


class RememberedBars(bt.Strategy):
    """Buys before rises that an earlier run has seen."""

    def start(self):
        if not BARS:
            BARS.extend(self.data.close.array)

    def next(self):
        now = len(self) - 1
        ahead = BARS[now + 1] if now + 1 < len(BARS) else 0.0
        if not self.position and ahead > BARS[now] * 1.002:
            self.buy(size=0.05)
        elif self.position and len(self) % 8 == 0:
            self.close()
