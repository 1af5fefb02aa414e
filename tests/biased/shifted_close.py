"""Look-ahead: a line shifted the wrong way. `close(1)` is the close of the next bar."""

import backtrader as bt


class ShiftedClose(bt.Strategy):
    """Buys when the next bar closes well above this one."""

    params = dict(hold=8)

    def __init__(self):
        self.change = self.data.close(1) / self.data.close
        self.since = 0

    def next(self):
        if not self.position:
            if self.change[0] > 1.002:
                self.buy(size=0.05)
                self.since = len(self)
        elif len(self) - self.since > self.p.hold:
            self.close()
