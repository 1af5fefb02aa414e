"""A run as the sections read it: the stored frames, and what several sections derive from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftbt.backtest import return_metrics as rm
from ftbt.backtest.attribution import Part
from ftbt.backtest.settings import Settings
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.report.seen import Examples
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.robustness.assessment import Assessment
from ftbt.robustness.matrix import Matrix
from ftbt.walkforward.result import Run

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def milliseconds(column: pd.Series[Any]) -> Ints:
    """Return an aware time column as int64 ms since 1970 UTC."""
    return np.asarray(column.dt.as_unit("ms").astype("int64"), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Equity at the close of bars: open times in ms UTC and money, both shape (n,)."""

    time: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Source:
    """What a section is built from.

    Attributes:
        run: the stored run.
        examples: the example trades, None when none were written.
        assessment: the verdict with its evidence, None when the run was not assessed.
        matrix: the walk-forward matrix that the run is a cell of, None when there is none.
    """

    run: Run
    examples: Examples | None = None
    assessment: Assessment | None = None
    matrix: Matrix | None = None

    @property
    def capital(self) -> float:
        """Equity at the start of the stitched curve."""
        return self.run.summary.capital

    @cached_property
    def bar_ms(self) -> int:
        """Length of a bar."""
        return Timeframe.parse(self.run.manifest.data[0].timeframe).ms

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in the order in which they decide."""
        return self.run.manifest.strategy.names

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols."""
        return tuple(one.symbol for one in self.run.manifest.data)

    @property
    def is_portfolio(self) -> bool:
        """True when several strategies or symbols share the account."""
        return len(self.strategies) * len(self.symbols) > 1

    @cached_property
    def settings(self) -> Settings:
        """Money, costs and limits of the run."""
        plain = dict(self.run.manifest.settings)
        return Settings(**{**plain, "limits": Limits(**plain["limits"])})

    @cached_property
    def allocation(self) -> Allocation:
        """How the strategies share the account."""
        plain = dict(self.run.manifest.allocation)
        return Allocation(**{**plain, "weights": tuple(plain["weights"])})

    def parts(self, level: str) -> list[Part]:
        """Return who earned what, of *level* `all`, `strategy`, `symbol` or `pair`."""
        wanted = {
            "all": (False, False), "strategy": (True, False), "symbol": (False, True),
            "pair": (True, True),
        }[level]  # fmt: skip
        return [
            one
            for one in self.run.summary.parts
            if (one.strategy is not None, one.symbol is not None) == wanted
        ]

    @cached_property
    def windows(self) -> pd.DataFrame:
        """The windows, with their parameters, chosen trials and weights read from JSON."""
        frame = self.run.windows.copy()
        for name in ("parameters", "chosen_trials", "weights"):
            frame[name] = [json.loads(text) for text in frame[name]]
        return frame

    @property
    def done(self) -> pd.DataFrame:
        """The windows that finished."""
        return self.windows[self.windows["state"] == "done"]

    @property
    def failed(self) -> pd.DataFrame:
        """The windows that did not."""
        return self.windows[self.windows["state"] != "done"]

    @cached_property
    def equity(self) -> Series:
        """The stitched out-of-sample curve."""
        frame = self.run.equity
        return Series(milliseconds(frame["time"]), frame["equity"].to_numpy(np.float64))

    @cached_property
    def hold(self) -> Series:
        """Buy and hold over the same bars."""
        frame = self.run.equity
        return Series(milliseconds(frame["time"]), frame["buy_and_hold"].to_numpy(np.float64))

    @cached_property
    def before_costs(self) -> Series:
        """The stitched curve with the costs of all closed trades added back, not reinvested."""
        trades = self.trades
        paid = sum(trades[f"paid_{name}"] for name in ("fees", "funding", "slippage"))
        order = np.argsort(milliseconds(trades["exit_time"]), kind="stable")
        ends = milliseconds(trades["exit_time"])[order]
        total = np.concatenate(([0.0], np.cumsum(np.asarray(paid, np.float64)[order])))
        closed = np.searchsorted(ends, self.equity.time, side="right")
        return Series(self.equity.time, self.equity.value + total[closed])

    @cached_property
    def ruined(self) -> bool:
        """True when the stitched equity fell below one unit of money."""
        return bool(len(self.equity) and self.equity.value.min() < 1.0)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """All out-of-sample trades; `money`, `paid_*` are on the stitched curve."""
        frame = self.run.trades.copy()
        frame["money"] = frame["net"] * frame["scale"]
        for name in ("gross", "fees", "funding", "slippage"):
            frame[f"paid_{name}"] = frame[name] * frame["scale"]
        frame["duration"] = milliseconds(frame["exit_time"]) - milliseconds(frame["entry_time"])
        return frame

    @cached_property
    def within(self) -> Series:
        """In-sample equity on the calendar: each training's last stretch, linked.

        Trainings overlap, so a curve of all of them would count most days several times. Of each
        window the last part of its training is taken, as long as the way to the next window, and
        the parts are linked by their growth.
        """
        frame = self.run.in_sample
        starts = milliseconds(self.windows["train_end"])
        numbers = self.windows["window"].to_numpy()
        times: list[Ints] = []
        values: list[Floats] = []
        level = self.capital
        for i, number in enumerate(numbers):
            part = frame[frame["window"] == number]
            if not len(part):
                continue
            time, equity = milliseconds(part["time"]), part["equity"].to_numpy(np.float64)
            first = int(np.searchsorted(time, starts[i] - self._step(i, starts)))
            before = float(equity[first - 1]) if first else self.capital
            if first >= len(time) or before <= 0.0:
                continue
            if times and time[first] - times[-1][-1] > 2 * self.bar_ms:
                # A window between failed: the line must not pretend to know the way.
                times.append(times[-1][-1:] + self.bar_ms)
                values.append(np.array([np.nan]))
            times.append(time[first:])
            values.append(level * equity[first:] / before)
            level = float(values[-1][-1])
        if not times:
            return Series(np.zeros(0, np.int64), np.zeros(0))
        return Series(np.concatenate(times), np.concatenate(values))

    def _step(self, i: int, ends: Ints) -> int:
        """Return the way from training i to the next; the last window's is that before it."""
        if len(ends) > 1:
            return int(ends[i + 1] - ends[i]) if i + 1 < len(ends) else int(ends[i] - ends[i - 1])
        row = self.windows.iloc[i]
        return int((row["test_end"] - row["test_start"]).total_seconds() * 1000)

    def within_median(self, metric: str) -> float:
        """Return the median over finished windows of an in-sample metric, NaN without any.

        *metric* is one of `ftbt.walkforward.stitch.WINDOW_METRICS`.
        """
        column = self.done[f"train_{metric}"].astype(float)
        known = column[np.isfinite(column)]
        return float(known.median()) if len(known) else math.nan

    def out(self, metric: str) -> float:
        """Return a metric of the stitched result, NaN when it is undefined."""
        value = self.run.summary.out_of_sample.get(metric)
        return math.nan if value is None else float(value)

    @cached_property
    def held(self) -> Mapping[str, float]:
        """Metrics of buy and hold, by the names of `Metrics` as far as they make sense."""
        if not len(self.hold):
            return {}
        value, capital = self.hold.value, self.capital
        per_year = 365 * DAY_MS / self.bar_ms
        years = len(value) / per_year
        periods = min(365.0, per_year)
        _, returns = rm.daily_returns(self.hold.time, value, capital)
        drawdown = rm.drawdowns(value, capital)
        growth, deepest = rm.cagr(value, capital, years), rm.max_drawdown(drawdown)
        return {
            "net_profit": float(value[-1]) - capital,
            "total_return": rm.total_return(value, capital),
            "cagr": growth,
            "volatility": rm.volatility(returns) * math.sqrt(periods),
            "sharpe": rm.sharpe(returns, periods),
            "sortino": rm.sortino(returns, periods),
            "max_drawdown": deepest,
            "days_under_water": rm.longest_under_water(drawdown) * 365.0 / per_year,
            "calmar": rm.calmar(growth, deepest),
            "exposure": 1.0,
        }

    @cached_property
    def costs(self) -> Mapping[str, float]:
        """Fees, funding, slippage and their sum, and profit before them; money of the curve."""
        trades = self.trades
        paid = {
            name: float(trades[f"paid_{name}"].sum()) for name in ("fees", "funding", "slippage")
        }
        total = sum(paid.values())
        # Slippage is inside the prices, so it is added back to see what it took away.
        before = float(trades["paid_gross"].sum()) + paid["slippage"]
        return {**paid, "total": total, "before": before}

    def why_missing(self, metric: str) -> str:
        """Return why an out-of-sample *metric* is n/a."""
        trades = len(self.run.trades)
        if not len(self.done):
            return "no window finished"
        if metric in _OF_TRADES and not trades:
            return "no trade was made"
        if metric in ("profit_factor", "long_profit_factor", "short_profit_factor"):
            return "no losing trade: the ratio has no limit" if trades else "no trade was made"
        if metric == "payoff_ratio":
            return "needs winning and losing trades"
        if metric == "expectancy_r":
            return "the trades have no stop, so no initial risk"
        if metric in ("calmar", "martin"):
            return "there was no drawdown"
        if metric in ("sharpe", "sortino", "omega", "volatility"):
            return "daily returns do not vary, or there are too few days"
        return "undefined for these data"


_OF_TRADES = frozenset(
    {
        "profit_factor", "win_rate", "payoff_ratio", "expectancy", "expectancy_r", "average_bars",
        "sharpe", "sortino", "omega", "calmar", "martin", "turnover",
    }
)  # fmt: skip
