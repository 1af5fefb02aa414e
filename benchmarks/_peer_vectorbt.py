"""The bracketed cross in vectorbt. Runs in the peers' environment.

A signal at a close trades at the next open, so signals are shifted by one bar and the price is the
open. All parameter sets are columns of one call.
"""

from __future__ import annotations

from importlib.metadata import version
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from vectorbt.portfolio.enums import StopEntryPrice, TradeStatus

FIELDS = ("open", "high", "low", "close")


def cross(
    bars: Any, sets: list[dict[str, Any]], cash: float, fee: float, engine: str
) -> dict[str, Any]:
    """Run all *sets* by broadcasting, on vectorbt's *engine* `numba` or `rust`."""
    price = _prices(bars)
    entries, exits = _signals(price, sets, engine)
    began = process_time()
    portfolio = _portfolio(price, entries, exits, sets, cash, fee, engine)
    signals = process_time() - began
    final = np.atleast_1d(portfolio.final_value())
    found = {"from_signals": signals, "equity": float(final[0]), "sum": float(final.sum())}
    found.update(best=float(final.max()), columns=len(final))
    return found


def _prices(bars: Any) -> dict[str, Any]:
    index = pd.to_datetime(bars["time"], unit="ms")
    return {name: pd.Series(bars[name], index=index) for name in FIELDS}


def _signals(price: dict[str, Any], sets: list[dict[str, Any]], engine: str) -> tuple[Any, Any]:
    """Return entries and exits at the bars in whose open they trade."""
    fast, slow = (
        vbt.MA.run(
            price["close"], [values[name] for values in sets], short_name=name, engine=engine
        )
        for name in ("fast", "slow")
    )
    crosses = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    entries, exits = (signals.vbt.signals.fshift(1) for signals in crosses)
    return entries, exits


def _portfolio(
    price: dict[str, Any],
    entries: Any,
    exits: Any,
    sets: list[dict[str, Any]],
    cash: float,
    fee: float,
    engine: str,
) -> Any:
    return vbt.Portfolio.from_signals(
        price["close"],
        entries,
        exits,
        price=price["open"],
        size=1.0,
        open=price["open"],
        high=price["high"],
        low=price["low"],
        sl_stop=np.array([values["stop"] for values in sets]),
        tp_stop=np.array([values["target"] for values in sets]),
        stop_entry_price=StopEntryPrice.Price,
        fees=fee,
        init_cash=cash,
        freq="15min",
        engine=engine,
    )


def trades(bars: Any, values: dict[str, Any], cash: float, fee: float) -> dict[str, Any]:
    """Return what became of the trades of one set.

    vectorbt does not tell why it closed a trade; the price does. An exit is wrong when it is at the
    stop or the target inside of a bar at whose open the position was to be closed by its signal.
    """
    price = _prices(bars)
    entries, exits = _signals(price, [values], "numba")
    portfolio = _portfolio(price, entries, exits, [values], cash, fee, "numba")
    every = portfolio.trades.records
    closed = every[every["status"] == TradeStatus.Closed]
    at = closed["exit_idx"].to_numpy()
    paid, opened = closed["exit_price"].to_numpy(), bars["open"][at]
    entry = closed["entry_price"].to_numpy()
    stop = np.isclose(paid, entry * (1 - values["stop"]), rtol=1e-9)
    target = np.isclose(paid, entry * (1 + values["target"]), rtol=1e-9)
    wrong = np.asarray(exits).ravel()[at] & (stop | target) & (paid != opened)
    return {
        "equity": float(portfolio.final_value()),
        "entries": len(every),
        "stop": int(stop.sum()),
        "target": int(target.sum()),
        "signal": int((~stop & ~target).sum()),
        "open": len(every) - len(closed),
        "wrong": int(wrong.sum()),
        "wrong_cost": float((opened - paid)[wrong].sum()),
    }


if __name__ == "__main__":
    from _peer_serve import serve

    serve({"cross": cross, "trades": trades}, {"vectorbt": version("vectorbt")})
