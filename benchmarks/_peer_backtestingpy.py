"""The bracketed cross in backtesting.py. Runs in the peers' environment."""

from __future__ import annotations

import warnings
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover


def mean(values: Any, length: int) -> Any:
    """Return the simple moving average."""
    return pd.Series(values).rolling(length).mean()


class Cross(Strategy):
    """Enter on the cross upward with a bracket, leave on the cross downward."""

    fast, slow, stop, target = 20, 50, 0.02, 0.04

    def init(self) -> None:
        """Make the averages."""
        self.fast_mean = self.I(mean, self.data.Close, self.fast)
        self.slow_mean = self.I(mean, self.data.Close, self.slow)

    def next(self) -> None:
        """Decide at the close."""
        if not self.position:
            if crossover(self.fast_mean, self.slow_mean):
                close = self.data.Close[-1]
                stop = np.floor(close * (1 - self.stop) + 0.5)
                self.buy(size=1, sl=stop, tp=np.floor(close * (1 + self.target) + 0.5))
        elif crossover(self.slow_mean, self.fast_mean):
            self.position.close()


def _backtest(bars: Any, cash: float, fee: float) -> Backtest:
    names = ("open", "high", "low", "close", "volume")
    index = pd.to_datetime(bars["time"], unit="ms")
    frame = pd.DataFrame({name.title(): bars[name] for name in names}, index=index)
    return Backtest(frame, Cross, cash=cash, commission=fee)


def cross(bars: Any, values: dict[str, Any], cash: float, fee: float) -> dict[str, Any]:
    """Run one parameter set; backtesting.py always makes its statistics, too."""
    stats = _backtest(bars, cash, fee).run(**values)
    trades = stats["_trades"]
    stop, target = trades["ExitPrice"] == trades["SL"], trades["ExitPrice"] == trades["TP"]
    still = len(stats["_strategy"].trades)
    return {
        "equity": float(stats["Equity Final [$]"]),
        "entries": len(trades) + still,
        "stop": int(stop.sum()),
        "target": int(target.sum()),
        "signal": int((~stop & ~target).sum()),
        "open": still,
    }


def sweep(bars: Any, sets: list[dict[str, Any]], cash: float, fee: float) -> dict[str, Any]:
    """Run all *sets*, a full grid, by `optimize`, which uses all processors."""
    grid = {name: sorted({values[name] for values in sets}) for name in sets[0]}
    _, heatmap = _backtest(bars, cash, fee).optimize(
        maximize="Equity Final [$]", return_heatmap=True, **grid
    )
    return {"sum": float(heatmap.sum()), "best": float(heatmap.max()), "columns": len(heatmap)}


if __name__ == "__main__":
    from _peer_serve import serve

    warnings.simplefilter("ignore")
    serve({"cross": cross, "sweep": sweep}, {"backtesting.py": backtesting.__version__})
