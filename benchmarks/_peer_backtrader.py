"""The bracketed cross in plain Backtrader, as its users write it.

Run as a program it belongs to the peers' environment; see `_peer_serve.py`.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


class Cross(bt.Strategy):
    """Enter on the cross upward with a bracket, leave on the cross downward."""

    params = (("fast", 20), ("slow", 50), ("stop", 0.02), ("target", 0.04))

    def __init__(self) -> None:
        super().__init__()
        fast, slow = bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)
        self.children: list[Any] = []
        self.entries = 0
        self.reasons = {"stop": 0, "target": 0, "signal": 0}

    def next(self) -> None:
        """Decide at the close."""
        if not self.position:
            if self.cross[0] > 0:
                close = self.data.close[0]
                self.children = self.buy_bracket(
                    size=1,
                    exectype=bt.Order.Market,
                    stopprice=np.floor(close * (1 - self.p.stop) + 0.5),
                    limitprice=np.floor(close * (1 + self.p.target) + 0.5),
                )[1:]
        elif self.cross[0] < 0:
            self.close()
            for order in self.children:
                self.cancel(order)

    def notify_order(self, order: Any) -> None:
        """Count entries, and exits by their reason."""
        if order.status != order.Completed:
            return
        if order.isbuy():
            self.entries += 1
        elif order.exectype == order.Stop:
            self.reasons["stop"] += 1
        elif order.exectype == order.Limit:
            self.reasons["target"] += 1
        else:
            self.reasons["signal"] += 1


def plain(cls: type[Any], bars: Any, values: dict[str, Any], cash: float, fee: float) -> Any:
    """Return *cls* after a run; no observers, which is Backtrader's best usual switch."""
    index = pd.to_datetime(bars["time"], unit="ms")
    frame = pd.DataFrame({name: bars[name] for name in FIELDS}, index=index)
    cerebro = bt.Cerebro(stdstats=False)
    minutes = dict(timeframe=bt.TimeFrame.Minutes, compression=15)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame, **minutes))
    cerebro.broker.setcash(cash)
    cerebro.broker.setcommission(fee)
    cerebro.addstrategy(cls, **values)
    return cerebro.run()[0]


def cross(bars: Any, values: dict[str, Any], cash: float, fee: float) -> dict[str, Any]:
    """Run one parameter set."""
    done = plain(Cross, bars, values, cash, fee)
    found = {"equity": done.broker.getvalue(), "entries": done.entries, **done.reasons}
    return {**found, "open": int(bool(done.position))}


if __name__ == "__main__":
    from _peer_serve import serve

    serve({"cross": cross}, {"backtrader": bt.__version__})
