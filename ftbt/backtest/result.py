"""What a back-test gives back, the same from every engine: orders, fills, trades, equity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftbt.backtest.settings import Settings
from ftbt.data.timeframe import Timeframe

Records = NDArray[np.void]


class Role(IntEnum):
    """What an order is for."""

    ENTRY = 1
    STOP = 2
    TARGET1 = 3
    TARGET2 = 4
    EXIT = 5  # market order that closes: time, invalidation, the strategy's own


class Kind(IntEnum):
    """How an order executes."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    CLOSE = 5
    TRAIL = 6
    TRAIL_LIMIT = 7


class Status(IntEnum):
    """How an order ended."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    EXPIRED = 3
    MARGIN = 4
    REJECTED = 5


class ExitReason(IntEnum):
    """Why a trade was closed (of its last fill)."""

    STOP = 1
    TARGET1 = 2
    TARGET2 = 3
    TIME = 4
    INVALIDATION = 5
    SIGNAL = 6  # the strategy's own market order
    LIQUIDATION = 7
    END = 8  # forced exit at the last bar of the run
    BREAK_EVEN = 9  # a stop that had been moved to the entry


# `bar` counts from the first bar of the run's candles, warm-up included; times are bar opens in
# ms UTC (of the detail bar where the path was walked on detail bars).
ORDER = np.dtype(
    [
        ("id", "i8"),
        ("parent", "i8"),  # id of the entry that it protects, 0 for none
        ("bar", "i8"),  # decided at the close of this bar
        ("side", "i8"),  # +1 buy, -1 sell
        ("kind", "i8"),
        ("role", "i8"),
        ("size", "f8"),
        ("price", "f8"),  # limit or stop price, NaN for market
        ("limit", "f8"),  # limit of a stop-limit, NaN else
        ("filled", "f8"),
        ("status", "i8"),
        ("end_bar", "i8"),  # bar in which it was filled or ended, -1 while open
    ]
)
FILL = np.dtype(
    [
        ("order", "i8"),
        ("bar", "i8"),
        ("time", "i8"),
        ("side", "i8"),
        ("size", "f8"),
        ("price", "f8"),
        ("fee", "f8"),
        ("slippage", "f8"),  # cost against the unslipped price, quote currency
        ("maker", "i8"),
        ("reason", "i8"),  # ExitReason, 0 for an entry
    ]
)
# A trade is a round trip from flat to flat; prices are size-weighted means.
TRADE = np.dtype(
    [
        ("entry_bar", "i8"),
        ("exit_bar", "i8"),
        ("entry_time", "i8"),
        ("exit_time", "i8"),
        ("side", "i8"),
        ("size", "f8"),  # largest size held
        ("entry_price", "f8"),
        ("exit_price", "f8"),
        ("stop", "f8"),  # initial stop, NaN without one
        ("target1", "f8"),
        ("target2", "f8"),
        ("gross", "f8"),  # profit of prices alone, slippage included
        ("fees", "f8"),
        ("funding", "f8"),  # paid (positive) or received (negative)
        ("slippage", "f8"),  # already inside gross; shown apart
        ("net", "f8"),  # gross - fees - funding
        ("r", "f8"),  # net / initial risk (size x |entry - stop|), NaN without a stop
        ("mae", "f8"),  # worst price against the entry over its bars, fraction of entry, <= 0
        ("mfe", "f8"),  # best price for the entry over its bars, fraction of entry, >= 0
        ("confidence", "f8"),
        ("entry_reason", "i8"),  # index into the strategy's `reasons`
        ("exit_reason", "i8"),
    ]
)


@dataclass(frozen=True, eq=False)
class Result:
    """One finished back-test.

    Attributes:
        strategy: name for people.
        parameters: all parameters with their values.
        symbol, timeframe: what was traded.
        time: open times of the evaluated bars (after warm-up), ms UTC, shape (n,).
        equity: equity at the close of those bars, shape (n,).
        close: closing prices of those bars, for buy-and-hold, shape (n,).
        orders, fills, trades: records of ORDER, FILL, TRADE in order of time.
        reasons: names of the entry reasons.
        refused: why setups or orders were not taken, name -> count.
        settings: money and costs.
        funding_modelled: False when no funding rates were given.
        synthetic: made on a synthetic market.
        notes: sentences that belong beside the numbers.
        engine: "reference" or "compiled".
    """

    strategy: str
    parameters: Mapping[str, Any]
    symbol: str
    timeframe: Timeframe
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    close: NDArray[np.float64]
    orders: Records
    fills: Records
    trades: Records
    reasons: Sequence[str]
    refused: Mapping[str, int]
    settings: Settings
    funding_modelled: bool
    synthetic: bool
    notes: Sequence[str] = ()
    engine: str = "reference"

    @property
    def returns(self) -> NDArray[np.float64]:
        """Simple return per bar; the first bar's against the capital, shape (n,)."""
        before = np.concatenate(([self.settings.capital], self.equity[:-1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            change = self.equity / before - 1.0
        # After ruin (equity 0) nothing can be lost any more.
        return np.where(before > 0.0, change, 0.0)

    def trades_frame(self) -> pd.DataFrame:
        """Return the trades for people: aware times, words for reasons."""
        return trades_frame(self.trades, self.symbol, self.reasons)

    def equity_frame(self) -> pd.DataFrame:
        """Return time, equity and close as a frame."""
        return pd.DataFrame(
            {
                "time": pd.to_datetime(self.time, unit="ms", utc=True).as_unit("ms"),
                "equity": self.equity,
                "close": self.close,
            }
        )


def trades_frame(trades: Records, symbol: str, reasons: Sequence[str]) -> pd.DataFrame:
    """Return TRADE records as a frame with aware times and words instead of codes."""
    frame = pd.DataFrame({name: trades[name] for name in TRADE.names or ()})
    for name in ("entry_time", "exit_time"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True).dt.as_unit("ms")
    frame.insert(0, "symbol", symbol)
    frame["side"] = np.where(trades["side"] > 0, "long", "short")
    frame["entry_reason"] = [reason_name(reasons, int(code)) for code in trades["entry_reason"]]
    frame["exit_reason"] = [exit_name(int(code)) for code in trades["exit_reason"]]
    return frame


def reason_name(reasons: Sequence[str], code: int) -> str:
    """Return the word of an entry reason."""
    return reasons[code] if 0 <= code < len(reasons) else "signal"


def exit_name(code: int) -> str:
    """Return the words of an exit reason, for example `target 2`."""
    names = {1: "stop", 2: "target 1", 3: "target 2", 4: "time", 5: "invalidation", 6: "signal"}
    more = {7: "liquidation", 8: "end of run", 9: "break-even"}
    return {**names, **more}.get(code, "open")
