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
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

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


# `bar` counts on the run's clock - all opens at which any symbol has a bar, warm-up included; times
# are bar opens in ms UTC (of the detail bar where the path was walked on detail bars). `symbol` and
# `strategy` index the result's `symbols` and `strategies`.
_WHOSE = [("symbol", "i8"), ("strategy", "i8")]
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
        *_WHOSE,
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
        *_WHOSE,
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
        *_WHOSE,
    ]
)
# A setup or order that was not taken.
REFUSED = np.dtype(
    [
        ("bar", "i8"),
        ("time", "i8"),
        ("rule", "i8"),  # strategy.records.Refusal
        ("figure", "f8"),  # what was measured, NaN when the rule measures nothing
        ("limit", "f8"),  # what it should have been within
        *_WHOSE,
    ]
)


@dataclass(frozen=True, eq=False)
class Result:
    """One finished back-test: one or more strategies on one or more symbols, on one account.

    Attributes:
        strategies: names for people.
        parameter_sets: all parameters with their values, of each strategy.
        entry_reasons: names of the entry reasons, of each strategy.
        symbols: what was traded.
        timeframe: of the bars.
        first_bar: number, on the run's clock, of the first evaluated bar.
        time: opens of the evaluated bars (after warm-up), ms UTC, shape (n,).
        equity: equity at the close of those bars, shape (n,).
        closes: closing prices, NaN where a symbol has no bar, shape (n, symbols).
        orders, fills, trades: records of ORDER, FILL, TRADE in order of time.
        refusals: records of REFUSED in order of time.
        settings: money, costs and limits.
        funding_modelled: False when any symbol had no funding rates.
        synthetic: made on a synthetic market.
        notes: sentences that belong beside the numbers.
        engine: "reference" or "compiled".
    """

    strategies: Sequence[str]
    parameter_sets: Sequence[Mapping[str, Any]]
    entry_reasons: Sequence[Sequence[str]]
    symbols: Sequence[str]
    timeframe: Timeframe
    first_bar: int
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    closes: NDArray[np.float64]
    orders: Records
    fills: Records
    trades: Records
    refusals: Records
    settings: Settings
    funding_modelled: bool
    synthetic: bool
    notes: Sequence[str] = ()
    engine: str = "reference"

    @property
    def refused(self) -> dict[str, int]:
        """Why setups or orders were not taken, words -> count."""
        return count_refusals(self.refusals)

    @property
    def strategy(self) -> str:
        """The names of all strategies as one."""
        return "+".join(self.strategies)

    @property
    def symbol(self) -> str:
        """The names of all symbols as one."""
        return "+".join(self.symbols)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the first strategy, which mostly is the only one."""
        return self.parameter_sets[0]

    @property
    def close(self) -> NDArray[np.float64]:
        """Closing prices of the first symbol, shape (n,)."""
        first: NDArray[np.float64] = self.closes[:, 0]
        return first

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
        return trades_frame(self.trades, self.symbols, self.strategies, self.entry_reasons)

    def equity_frame(self) -> pd.DataFrame:
        """Return time, equity and close as a frame."""
        return pd.DataFrame(
            {
                "time": pd.to_datetime(self.time, unit="ms", utc=True).as_unit("ms"),
                "equity": self.equity,
                "close": self.close,
            }
        )


def count_refusals(refusals: Records) -> dict[str, int]:
    """Return how often each rule refused, words -> count, in order of the alphabet."""
    counts = np.bincount(refusals["rule"]).tolist()
    words = {REFUSAL_WORDS[Refusal(rule)]: count for rule, count in enumerate(counts) if count}
    return dict(sorted(words.items()))


def trades_frame(
    trades: Records,
    symbols: Sequence[str],
    strategies: Sequence[str],
    entry_reasons: Sequence[Sequence[str]],
) -> pd.DataFrame:
    """Return TRADE records as a frame with aware times and words instead of codes."""
    frame = pd.DataFrame({name: trades[name] for name in TRADE.names or ()})
    for name in ("entry_time", "exit_time"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True).dt.as_unit("ms")
    frame["side"] = np.where(trades["side"] > 0, "long", "short")
    frame["entry_reason"] = [
        reason_name(entry_reasons[int(row["strategy"])], int(row["entry_reason"])) for row in trades
    ]
    frame["exit_reason"] = [exit_name(int(code)) for code in trades["exit_reason"]]
    del frame["symbol"], frame["strategy"]
    frame.insert(0, "strategy", [strategies[int(code)] for code in trades["strategy"]])
    frame.insert(0, "symbol", [symbols[int(code)] for code in trades["symbol"]])
    return frame


def reason_name(reasons: Sequence[str], code: int) -> str:
    """Return the word of an entry reason."""
    return reasons[code] if 0 <= code < len(reasons) else "signal"


def exit_name(code: int) -> str:
    """Return the words of an exit reason, for example `target 2`."""
    names = {1: "stop", 2: "target 1", 3: "target 2", 4: "time", 5: "invalidation", 6: "signal"}
    more = {7: "liquidation", 8: "end of run", 9: "break-even"}
    return {**names, **more}.get(code, "open")
