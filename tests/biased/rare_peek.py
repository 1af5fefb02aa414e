"""Look-ahead: four bars ahead, through the feed's own array, and only now and then."""

import backtrader as bt


class RarePeek(bt.Strategy):
    """Honest at nearly all bars, so that a few cuts are likely to miss it."""

    def next(self):
        if self.position:
            if len(self) - self.since >= 10:
                self.close()
            return
        now = len(self) - 1
        up = self.data.close[0] > self.data.close[-1] and len(self) % 13 == 0
        if len(self) % 211 == 0:
            closes = self.data.close.array
            up = closes[min(now + 4, len(closes) - 1)] > closes[now]
        if up:
            self.buy(size=0.05)
            self.since = len(self)
