"""A finished run as the arrays that the statistics work on; nothing is computed again here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ftbt.backtest.return_metrics import daily_returns, drawdowns
from ftbt.data.timeframe import DAY_MS
from ftbt.robustness.checks import varies, varying_columns
from ftbt.robustness.panel import Flags, Floats, Ints
from ftbt.walkforward.result import Run

PERIODS = 365
YEAR = math.sqrt(PERIODS)


def milliseconds(column: Any) -> Ints:
    """Return an aware time column as int64 ms since 1970 UTC, shape (n,)."""
    return np.asarray(column.dt.as_unit("ms").astype("int64"), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """One strategy's search in one window: the daily training returns of its distinct trials.

    Attributes:
        window: number.
        strategy: name.
        day: midnights, ms UTC, shape (days,).
        returns: shape (days, trials); 0 where a trial stood aside.
        trials: their numbers in the window, shape (trials,).
        chosen: column of the trial that went into the test, -1 for none.
    """

    window: int
    strategy: str
    day: Ints
    returns: Floats
    trials: Ints
    chosen: int

    @property
    def varying(self) -> Flags:
        """Trials that traded at all, shape (trials,)."""
        return varying_columns(self.returns)

    @property
    def usable(self) -> bool:
        """At least two trials that traded, over at least four days."""
        return self.returns.shape[0] >= 4 and int(self.varying.sum()) >= 2


@dataclass(frozen=True, slots=True, eq=False)
class TradeArrays:
    """All out-of-sample trades by exit time; all arrays have the shape (trades,).

    Attributes:
        window, side, bars: numbers; side +1 long, -1 short; bars from entry to exit.
        symbol, strategy, exit_reason: words.
        entry, exit: times, ms UTC.
        entry_price, exit_price, stop: as filled; stop NaN without one.
        net: profit after costs, money of the stitched curve.
        notional: size x entry price, the same money.
        size: largest size held, the same money.
        cost: fees, slippage and funding / notional.
        fraction: net / stitched equity before the entry.
        r: net / initial risk, NaN without a stop.
        risk: initial risk / stitched equity before the entry, NaN without a stop.
        mae, mfe: fractions of the entry price.
    """

    window: Ints
    side: Ints
    bars: Ints
    symbol: Any
    strategy: Any
    exit_reason: Any
    entry: Ints
    exit: Ints
    entry_price: Floats
    exit_price: Floats
    stop: Floats
    net: Floats
    notional: Floats
    size: Floats
    cost: Floats
    fraction: Floats
    r: Floats
    risk: Floats
    mae: Floats
    mfe: Floats

    def __len__(self) -> int:
        return len(self.net)


@dataclass(frozen=True)
class RunArrays:
    """What `assess` reads of a run.

    Attributes:
        run: the run.
    """

    run: Run

    @property
    def capital(self) -> float:
        """Equity before the first bar."""
        return self.run.summary.capital

    @cached_property
    def time(self) -> Ints:
        """Opens of the bars of the stitched curve, ms UTC, shape (bars,)."""
        return milliseconds(self.run.equity["time"])

    @cached_property
    def equity(self) -> Floats:
        """Stitched equity at their closes, shape (bars,)."""
        return np.array(self.run.equity["equity"], np.float64)

    @cached_property
    def daily(self) -> tuple[Ints, Floats]:
        """Midnights and returns of the stitched record, both shape (days,)."""
        return daily_returns(self.time, self.equity, self.capital)

    @property
    def returns(self) -> Floats:
        """Daily returns of the stitched record, shape (days,)."""
        return self.daily[1]

    @cached_property
    def hold(self) -> Floats:
        """Daily returns of buy and hold over the same days, shape (days,)."""
        held = np.array(self.run.equity["buy_and_hold"], np.float64)
        return daily_returns(self.time, held, self.capital)[1]

    @property
    def moves(self) -> bool:
        """True when the record varies, so that it has a Sharpe ratio."""
        return len(self.returns) >= 4 and varies(self.returns)

    @cached_property
    def max_drawdown(self) -> float:
        """Deepest fall of the stitched equity, >= 0, fraction."""
        return deepest(self.equity, self.capital)

    @cached_property
    def searches(self) -> tuple[Search, ...]:
        """All searches that kept returns, by window and strategy."""
        names = self.run.manifest.strategy.names
        owner = self.run.trials.set_index(["window", "trial"])["strategy"]
        found = []
        for row in self.run.windows.to_dict("records"):
            window = int(row["window"])
            table = self.run.returns_of_window(window)
            if table.empty:
                continue
            chosen = json.loads(row["chosen_trials"])
            whose = owner.loc[window].reindex(table.columns).to_numpy()
            for number, name in enumerate(names):
                own = table.loc[:, whose == name]
                if own.shape[1]:
                    trial = chosen[number] if number < len(chosen) else -1
                    found.append(_search(window, name, own, trial, self._repeats))
        return tuple(found)

    @cached_property
    def _repeats(self) -> Mapping[tuple[int, int], int]:
        """Original of each trial that repeats another's parameters."""
        trials = self.run.trials[self.run.trials["repeats"] >= 0]
        keys = zip(trials["window"].tolist(), trials["trial"].tolist(), strict=True)
        return dict(zip(keys, trials["repeats"].tolist(), strict=True))

    @cached_property
    def spans(self) -> Mapping[int, tuple[int, int]]:
        """Training of each window from its first to its last day, ms UTC."""
        frame = self.run.windows
        starts, ends = milliseconds(frame["train_start"]), milliseconds(frame["train_end"])
        numbers = frame["window"].tolist()
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        return dict(zip(numbers, pairs, strict=True))

    @cached_property
    def trades(self) -> TradeArrays:
        """All trades."""
        frame = self.run.trades.sort_values(["exit_time", "entry_time", "symbol"], kind="stable")
        scale = frame["scale"].to_numpy(np.float64)
        entry = milliseconds(frame["entry_time"])
        net = frame["net"].to_numpy(np.float64) * scale
        size = frame["size"].to_numpy(np.float64) * scale
        price = frame["entry_price"].to_numpy(np.float64)
        notional = size * price
        paid = sum(frame[name].to_numpy(np.float64) for name in ("fees", "slippage", "funding"))
        before = self.equity_before(entry)
        stop = frame["stop"].to_numpy(np.float64)
        return TradeArrays(
            window=frame["window"].to_numpy(np.int64),
            side=np.where(frame["side"].to_numpy() == "long", 1, -1).astype(np.int64),
            bars=frame["bars"].to_numpy(np.int64),
            symbol=frame["symbol"].to_numpy(object),
            strategy=frame["strategy"].to_numpy(object),
            exit_reason=frame["exit_reason"].to_numpy(object),
            entry=entry,
            exit=milliseconds(frame["exit_time"]),
            entry_price=price,
            exit_price=frame["exit_price"].to_numpy(np.float64),
            stop=stop,
            net=net,
            notional=notional,
            size=size,
            cost=_ratio(paid * scale, notional),
            fraction=_ratio(net, before),
            r=frame["r"].to_numpy(np.float64),
            risk=_ratio(size * np.abs(price - stop), before),
            mae=frame["mae"].to_numpy(np.float64),
            mfe=frame["mfe"].to_numpy(np.float64),
        )

    def equity_before(self, time: Ints) -> Floats:
        """Return the stitched equity at the last close before the bar of each instant."""
        if not len(self.time):
            return np.full(len(time), self.capital)
        bar = np.searchsorted(self.time, time, side="right") - 1
        known: Floats = np.concatenate(([self.capital], self.equity))[np.maximum(bar, 0)]
        return known

    def figures_of_trials(self) -> pd.DataFrame:
        """Return window, trial, strategy, Sharpe ratio in training of all distinct trials.

        A trial that never traded has a ratio of 0, a failed one NaN.
        """
        frame = self.run.trials[self.run.trials["repeats"] < 0]
        sharpe = frame["metric_sharpe"].to_numpy(np.float64, copy=True)
        sharpe[~np.isfinite(sharpe) & (frame["state"] != "failed").to_numpy()] = 0.0
        made = frame[["window", "trial", "strategy"]].copy()
        made["sharpe"] = sharpe
        return made


def _search(
    window: int,
    name: str,
    table: pd.DataFrame,
    trial: int,
    repeats: Mapping[tuple[int, int], int],
) -> Search:
    numbers = table.columns.to_numpy(np.int64)
    wanted = repeats.get((window, trial), trial)
    place = np.flatnonzero(numbers == wanted)
    return Search(
        window=window,
        strategy=name,
        day=np.asarray(pd.DatetimeIndex(table.index).as_unit("ms").asi8, np.int64),
        returns=np.nan_to_num(np.ascontiguousarray(table.to_numpy(np.float64, copy=True))),
        trials=numbers,
        chosen=int(place[0]) if len(place) else -1,
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    known = whole > 0.0
    return np.where(known, part / np.where(known, whole, 1.0), 0.0)


def deepest(equity: Floats, capital: float) -> float:
    """Return the deepest fall of an equity curve, >= 0, fraction of its highest value before."""
    return float(-np.min(drawdowns(equity, capital), initial=0.0)) if len(equity) else 0.0


def years_of(run: Run) -> float:
    """Return the years from the first training to the last test."""
    frame = run.windows
    if frame.empty:
        return 0.0
    start, end = milliseconds(frame["train_start"])[0], milliseconds(frame["test_end"])[-1]
    return float(end - start) / (PERIODS * DAY_MS)


def thinned(count: int, most: int) -> Ints:
    """Return places of at most *most* of *count* values, evenly, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def floats(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Return plain floats."""
    return tuple(float(one) for one in values)
