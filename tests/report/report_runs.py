"""Run folders for the tests of the report: seeded, artificial, written by the real store.

The columns are those that `ftbt.walkforward.result.Run` documents. Every number follows from the
trades: equity moves at each trade's exit by its net result.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ftbt.backtest.attribution import Part, attribute
from ftbt.backtest.metrics import Metrics, summarise_arrays
from ftbt.backtest.result import FILL, TRADE
from ftbt.backtest.return_metrics import daily_returns
from ftbt.backtest.settings import Settings
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.risk.allocation import EQUAL, EQUAL_RISK, Allocation
from ftbt.walkforward.evidence import judge
from ftbt.walkforward.frames import TRADE_COLUMNS, moments
from ftbt.walkforward.result import (
    FORMAT,
    Manifest,
    PlanFacts,
    SearchFacts,
    StrategyFacts,
    Summary,
    SymbolFacts,
    Timing,
    WindowFacts,
)
from ftbt.walkforward.stitch import WINDOW_METRICS
from ftbt.walkforward.store import write_frame, write_json

START = 1_735_689_600_000  # 2025-01-01
SPACE = {
    "swing": {"kind": "int", "low": 3, "high": 12, "step": 1},
    "stop_atr": {"kind": "float", "low": 0.0, "high": 1.5, "step": 0.1, "log": False},
    "bias": {"kind": "choice", "words": ["none", "fast", "slow"]},
    "break_even": {"kind": "bool"},
}
EXITS = ("stop", "target 1", "target 2", "time", "break-even", "end of run")


@dataclass(frozen=True)
class Plot:
    """What kind of run to write.

    Attributes:
        windows, trades: how many windows, and trades in each.
        drift: mean result of a trade, R.
        failed: numbers of windows that failed.
        symbols, strategies: what was traded, and by whom; each trade by the next of them.
        weights: share of each strategy in each window; None: equal parts.
        refused: why setups were not taken, word -> count.
        synthetic: a made-up market.
        risk: share of the equity at risk per trade.
        funding: whether rates were given.
        stops: whether trades have a stop.
        train, test: days.
        title, reason: texts that a user or an error may have written.
        seed: of the random numbers.
    """

    windows: int = 6
    trades: int = 40
    drift: float = 0.05
    failed: tuple[int, ...] = ()
    symbols: tuple[str, ...] = ("BTC",)
    strategies: tuple[str, ...] = ("liquidity_sweep",)
    weights: tuple[tuple[float, ...], ...] | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    synthetic: bool = True
    risk: float = 0.01
    funding: bool = True
    stops: bool = True
    train: int = 90
    test: int = 30
    title: str = ""
    reason: str = "only 12 of 2,880 test bars can be traded"
    timeframe: str = "15m"
    trials: int = 12
    seed: int = 3
    notes: tuple[str, ...] = field(default_factory=tuple)


def write_run(folder: Path, plot: Plot | None = None) -> Path:
    """Write a whole run folder and return it."""
    return _Writer(folder, plot or Plot()).write()


class _Writer:
    def __init__(self, folder: Path, plot: Plot) -> None:
        self.folder, self.plot = folder, plot
        self.random = np.random.default_rng(plot.seed)
        self.frame = Timeframe.parse(plot.timeframe)
        self.capital = 10_000.0
        self.test_start = START + plot.train * DAY_MS
        self.bars = plot.test * DAY_MS // self.frame.ms
        self.price = self._prices()

    def _prices(self) -> np.ndarray:
        total = self.bars * self.plot.windows
        return 60_000 * np.exp(np.cumsum(self.random.standard_t(4, total) * 0.0015))

    def write(self) -> Path:
        plot = self.plot
        rows, equities, holds, times, numbers, trades = [], [], [], [], [], []
        equity, samples, trials = self.capital, [], []
        for number in range(plot.windows):
            failed = number in plot.failed
            start = equity
            time, curve, made = self._window(number, failed)
            curve = curve * start / self.capital
            equity = float(curve[-1])
            trades.append(self._trades_frame(made, number, start / self.capital))
            tried = self._trials(number)
            trials.append(tried)
            if not failed:
                samples.append(self._in_sample(number))
            rows.append(self._row(number, failed, curve, made, start, tried))
            equities.append(curve)
            times.append(time)
            numbers.append(np.full(len(time), number))
            holds.append(self.capital * self._close(number) / self.price[0])
        frames = {
            "windows": pd.DataFrame(rows),
            "trials": pd.concat(trials, ignore_index=True),
            "trial_returns": self._trial_returns(),
            "equity": pd.DataFrame(
                {
                    "time": moments(np.concatenate(times)),
                    "window": np.concatenate(numbers),
                    "equity": np.concatenate(equities),
                    "buy_and_hold": np.concatenate(holds),
                }
            ),
            "in_sample": pd.concat(samples, ignore_index=True) if samples else _no_sample(),
            "trades": pd.concat(trades, ignore_index=True)[list(TRADE_COLUMNS)],
        }
        for name in ("state", "reason", "where", "parameters", "chosen_trials", "weights"):
            frames["windows"][name] = frames["windows"][name].astype("str")
        for name, frame in frames.items():
            write_frame(self.folder / f"{name}.parquet", frame)
        write_json(self.folder / "manifest.json", self._manifest())
        write_json(self.folder / "timing.json", self._timing())
        write_json(self.folder / "summary.json", self._summary(frames))
        return self.folder

    def _close(self, number: int) -> np.ndarray:
        return self.price[number * self.bars : (number + 1) * self.bars]

    def _window(self, number: int, failed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return bar opens, the window's equity from the capital on, and its TRADE records."""
        first = self.test_start + number * self.plot.test * DAY_MS
        time = first + np.arange(self.bars) * self.frame.ms
        count = 0 if failed else self.plot.trades
        trades = np.zeros(count, TRADE)
        close = self._close(number)
        entry = np.sort(self.random.choice(self.bars - 60, count, replace=False))
        length = self.random.integers(1, 50, count)
        for i in range(count):
            trades[i] = self._trade(time, close, int(entry[i]), int(entry[i] + length[i]))
            trades[i]["symbol"] = i % len(self.plot.symbols)
            trades[i]["strategy"] = i // len(self.plot.symbols) % len(self.plot.strategies)
        curve = np.full(self.bars, self.capital)
        money = self.capital
        for trade in trades:
            # Ruin is ruin: what is lost can't be lost again.
            trade["net"] = max(-money, money * self.plot.risk * trade["r"])
            trade["fees"] = abs(trade["net"]) * 0.05
            trade["slippage"] = abs(trade["net"]) * 0.02
            trade["funding"] = trade["net"] * 0.01 if self.plot.funding else 0.0
            trade["gross"] = trade["net"] + trade["fees"] + trade["funding"]
            moved = trade["side"] * (trade["exit_price"] - trade["entry_price"])
            trade["size"] = abs(trade["gross"] / moved)
            money += float(trade["net"])
            curve[trade["exit_bar"] :] = money
        if not self.plot.stops:
            trades["r"] = trades["stop"] = np.nan
        return time, curve, trades

    def _trade(self, time: np.ndarray, close: np.ndarray, entry: int, exit_: int) -> np.void:
        trade = np.zeros(1, TRADE)[0]
        side = 1 if self.random.random() < 0.5 else -1
        r = float(max(-1.1, self.random.standard_t(3) * 0.9 + self.plot.drift))
        price = close[entry]
        risk = price * 0.006
        trade["entry_bar"], trade["exit_bar"] = entry, exit_
        trade["entry_time"], trade["exit_time"] = time[entry], time[exit_]
        trade["side"], trade["size"] = side, 0.02
        trade["entry_price"], trade["exit_price"] = price, price + side * r * risk
        trade["stop"] = price - side * risk
        trade["target1"], trade["target2"] = price + side * 1.5 * risk, price + side * 3 * risk
        trade["r"] = r
        trade["mae"] = -abs(self.random.normal(0, 0.004))
        trade["mfe"] = abs(self.random.normal(0, 0.005))
        trade["confidence"] = float(self.random.integers(40, 95))
        trade["exit_reason"] = 1 if r < -0.9 else 3 if r > 2 else 2 if r > 1 else 4
        return trade

    def _trades_frame(self, trades: np.ndarray, number: int, scale: float) -> pd.DataFrame:
        frame = pd.DataFrame({name: trades[name] for name in TRADE.names})
        words = {1: "stop", 2: "target 1", 3: "target 2", 4: "time"}
        frame["entry_time"] = moments(trades["entry_time"])
        frame["exit_time"] = moments(trades["exit_time"])
        frame["side"] = pd.Series(np.where(trades["side"] > 0, "long", "short"), dtype="str")
        frame["exit_reason"] = pd.Series([words[c] for c in trades["exit_reason"]], dtype="str")
        for name, known in (("symbol", self.plot.symbols), ("strategy", self.plot.strategies)):
            words_ = [known[int(i)] for i in trades[name]]
            frame[name] = pd.Series(words_, dtype="str")
        frame["entry_reason"] = pd.Series(["equal lows"] * len(trades), dtype="str")
        frame["bars"] = trades["exit_bar"] - trades["entry_bar"]
        frame["window"], frame["scale"] = number, scale
        return frame

    def _metrics(self, time: np.ndarray, curve: np.ndarray, trades: np.ndarray) -> Metrics:
        returns = np.diff(curve, prepend=self.capital) / self.capital
        per_year = self.frame.bars_per_year
        return summarise_arrays(returns, curve, trades, per_year, self.capital, time=time)

    @property
    def prefixes(self) -> list[str]:
        """What stands before the parameters of each strategy."""
        names = self.plot.strategies
        return [f"{name}." if len(names) > 1 else "" for name in names]

    def _trials(self, number: int) -> pd.DataFrame:
        """Return the trials of all strategies, one search after another."""
        parts = [self._search(number, place) for place in range(len(self.plot.strategies))]
        return pd.concat(parts, ignore_index=True)

    def _search(self, number: int, place: int) -> pd.DataFrame:
        count = self.plot.trials
        values = np.sort(self.random.normal(1.0, 0.8, count))
        param = f"param_{self.prefixes[place]}"
        columns: dict[str, Any] = {
            "window": np.full(count, number),
            "trial": np.arange(count) + place * count,
            "strategy": pd.Series([self.plot.strategies[place]] * count, dtype="str"),
            "state": pd.Series(["complete"] * count, dtype="str"),
            "repeats": np.full(count, -1),
            "value": values,
            "error": pd.Series([""] * count, dtype="str"),
            f"{param}swing": self.random.integers(3, 13, count),
            f"{param}stop_atr": self.random.integers(0, 16, count) / 10,
            f"{param}bias": pd.Series(
                self.random.choice(["none", "fast", "slow"], count), dtype="str"
            ),
            f"{param}break_even": self.random.random(count) < 0.5,
        }
        for item in fields(Metrics):
            columns[f"metric_{item.name}"] = self.random.normal(1.0, 0.4, count)
        columns["metric_sharpe"] = values
        columns["metric_max_drawdown"] = -np.abs(columns["metric_max_drawdown"]) * 0.1
        columns["metric_total_return"] = columns["metric_total_return"] * 0.2
        return pd.DataFrame(columns)

    def _in_sample(self, number: int) -> pd.DataFrame:
        first = START + number * self.plot.test * DAY_MS
        count = self.plot.train * DAY_MS // self.frame.ms
        steps = self.random.normal(0.00003, 0.0012, count)
        return pd.DataFrame(
            {
                "window": np.full(count, number),
                "time": moments(first + np.arange(count) * self.frame.ms),
                "equity": self.capital * np.exp(np.cumsum(steps)),
            }
        )

    def _row(
        self, number: int, failed: bool, curve: np.ndarray, trades: np.ndarray, start: float,
        tried: pd.DataFrame,
    ) -> dict[str, Any]:  # fmt: skip
        weights = [] if failed else self._weights(number)
        last = self.plot.trials * np.arange(1, len(self.prefixes) + 1) - 1
        trials = [int(one) if weight else -1 for one, weight in zip(last, weights, strict=False)]
        chosen = {
            f"{prefix}{name}": _typed(name, tried.iloc[trial][f"param_{prefix}{name}"])
            for prefix, trial in zip(self.prefixes, trials, strict=False)
            for name in SPACE
            if trial >= 0
        }
        best = tried.iloc[next((trial for trial in trials if trial >= 0), -1)]
        first = START + number * self.plot.test * DAY_MS
        middle = first + self.plot.train * DAY_MS
        time = middle + np.arange(self.bars) * self.frame.ms
        out = self._metrics(time, curve * self.capital / start, trades)
        row: dict[str, Any] = {
            "window": number,
            "state": "failed" if failed else "done",
            "reason": self.plot.reason if failed else "",
            "where": "liquidity_sweep.py:41" if failed else "",
            "train_start": moments([first])[0],
            "train_end": moments([middle])[0],
            "test_start": moments([middle])[0],
            "test_end": moments([middle + self.plot.test * DAY_MS])[0],
            "train_bars": 0 if failed else self.plot.train * 96,
            "test_bars": 0 if failed else self.bars,
            "trials": len(tried),
            "failed_trials": 0,
            "repeated_trials": 0,
            "chosen_trial": -1 if failed else int(best["trial"]),
            "chosen_trials": json.dumps(trials),
            "weights": json.dumps(weights),
            "score": math.nan if failed else float(best["value"]),
            "parameters": "{}" if failed else json.dumps(chosen, sort_keys=True),
            "train_value": math.nan if failed else float(best["value"]),
        }
        for name in WINDOW_METRICS:
            row[f"train_{name}"] = math.nan if failed else float(best[f"metric_{name}"])
            row[f"test_{name}"] = math.nan if failed else float(getattr(out, name))
        close = self._close(number)
        row["buy_and_hold"] = math.nan if failed else float(close[-1] / close[0] - 1)
        row["scale"] = start / self.capital
        row["start_equity"], row["end_equity"] = start, float(curve[-1])
        return row

    def _weights(self, number: int) -> list[float]:
        """Return the share of each strategy in a window."""
        if self.plot.weights is not None:
            return list(self.plot.weights[number % len(self.plot.weights)])
        return [1.0 / len(self.plot.strategies)] * len(self.plot.strategies)

    def _trial_returns(self) -> pd.DataFrame:
        days = np.arange(self.plot.train) * DAY_MS + START
        return pd.DataFrame(
            {
                "window": np.zeros(len(days), np.int64),
                "trial": np.zeros(len(days), np.int64),
                "day": moments(days),
                "ret": self.random.normal(0, 0.01, len(days)),
            }
        )

    def _manifest(self) -> Manifest:
        plot = self.plot
        settings = Settings()
        stop = self.test_start + plot.windows * plot.test * DAY_MS
        data = tuple(
            SymbolFacts(
                symbol=symbol,
                timeframe=plot.timeframe,
                source="sample seed 7" if plot.synthetic else "binance",
                synthetic=plot.synthetic,
                start_ms=START,
                end_ms=stop,
                bars=(stop - START) // self.frame.ms,
                segments=1,
                missing_bars=0,
                fingerprint=f"{i + 1}" * 64,
                funding="f" * 64 if plot.funding else None,
                detail_timeframe=None,
                detail=None,
                size_decimals=5,
                max_leverage=40.0,
                min_notional=10.0,
            )
            for i, symbol in enumerate(plot.symbols)
        )
        names, prefixes = plot.strategies, self.prefixes
        defaults = {
            "direction": "both", "swing": 5, "stop_atr": 0.3, "bias": "slow",
            "break_even": True, "risk_per_trade": plot.risk,
        }  # fmt: skip
        return Manifest(
            format=FORMAT,
            run_id=self.folder.name,
            title=plot.title,
            hypothesis="Stop hunts at equal lows revert.",
            synthetic=plot.synthetic,
            strategy=StrategyFacts(
                name="+".join(names),
                names=names,
                class_name="+".join(name.title().replace("_", "") for name in names),
                file="+".join(f"{name}.py" for name in names),
                sha256="+".join(f"{digit}b" * 32 for digit in "acdef"[: len(names)]),
                description="Enter after a liquidity sweep that is reclaimed.",
                fixed={f"{prefix}direction": "both" for prefix in prefixes},
                defaults={f"{p}{name}": one for p in prefixes for name, one in defaults.items()},
                space={f"{p}{name}": one for p in prefixes for name, one in SPACE.items()},
            ),
            data=data,
            plan=PlanFacts(
                f"{plot.train}d", f"{plot.test}d", f"{plot.test}d", "0 bars", "0 bars",
                anchored=False, short_last=False, warmup_bars=2880, untested_bars=96,
            ),
            windows=tuple(self._facts(number) for number in range(plot.windows)),
            search=SearchFacts(
                plot.trials * len(names), "sharpe",
                "annual Sharpe ratio of daily returns, at most 100", 20, "plateau", 42,
                "TPESampler(multivariate=True)",
            ),
            settings=settings.as_dict(),
            settings_text=settings.describe(),
            allocation={
                **Allocation(EQUAL if plot.weights is None else EQUAL_RISK).as_dict(),
                "weights": [],
            },
            engine="auto",
            versions={"ftbt": "0.1", "python": "3.11.7", "optuna": "5.0.0", "numpy": "2.4.6"},
            code="cd" * 32,
            command="ftbt walkforward --strategy liquidity_sweep --seed 42",
        )  # fmt: skip

    def _facts(self, number: int) -> WindowFacts:
        first = START + number * self.plot.test * DAY_MS
        middle = first + self.plot.train * DAY_MS
        return WindowFacts(number, ((first, middle),), (middle, middle + self.plot.test * DAY_MS))

    def _timing(self) -> Timing:
        return Timing(
            "2026-01-05T10:00:00+00:00", "2026-01-05T10:03:10+00:00", 190.0, 2, 0, 1200, 300
        )

    def _summary(self, frames: dict[str, pd.DataFrame]) -> Summary:
        plot, equity = self.plot, frames["equity"]["equity"].to_numpy()
        time = frames["equity"]["time"].dt.as_unit("ms").astype("int64").to_numpy()
        every = len(plot.failed) == plot.windows
        trades = self._records(frames["trades"], time)
        metrics = self._metrics(time, equity, trades).as_dict()
        profit = float(equity[-1]) - self.capital
        _, returns = daily_returns(time, equity, self.capital)
        windows = frames["windows"]
        return Summary(
            run_id=self.folder.name,
            windows=plot.windows,
            failed_windows=len(plot.failed),
            trials=plot.windows * plot.trials * len(plot.strategies),
            capital=self.capital,
            out_of_sample={} if every else metrics,
            buy_and_hold_return=float(frames["equity"]["buy_and_hold"].iloc[-1]) / self.capital - 1,
            walk_forward_efficiency=None if profit <= 0 else 0.4,
            profitable_windows=int((windows["end_equity"] > windows["start_equity"]).sum()),
            refused=plot.refused or self._refused(),
            engine="reference",
            funding_modelled=plot.funding,
            notes=plot.notes,
            evidence=judge(returns, profit, len(trades)),
            parts=self._parts(trades, time),
        )

    def _refused(self) -> dict[str, int]:
        return {} if self.plot.trades else {"too small to be an order": 3, "risk too small": 1}

    def _parts(self, trades: np.ndarray, time: np.ndarray) -> tuple[Part, ...]:
        """Return who earned what, of the fills that the trades were made of."""
        fills = np.zeros(2 * len(trades), FILL)
        for first, name, sign in ((0, "entry", 1), (1, "exit", -1)):
            own = fills[first::2]
            for key in ("symbol", "strategy", "size"):
                own[key] = trades[key]
            own["bar"], own["time"] = trades[f"{name}_bar"], trades[f"{name}_time"]
            own["price"], own["side"] = trades[f"{name}_price"], sign * trades["side"]
            own["fee"] = trades["fees"] / 2
        fills = fills[np.argsort(fills["bar"], kind="stable")]
        closes = np.repeat(self.price[:, None], len(self.plot.symbols), axis=1)
        strategies, symbols = self.plot.strategies, self.plot.symbols
        return attribute(trades, fills, time, closes, self.capital, strategies, symbols).parts

    def _records(self, frame: pd.DataFrame, time: np.ndarray) -> np.ndarray:
        """Return the stitched curve's trades as TRADE records."""
        trades = np.zeros(len(frame), TRADE)
        for name in ("gross", "fees", "funding", "slippage", "net", "size"):
            trades[name] = frame[name] * frame["scale"]
        for name in ("entry", "exit"):
            stamps = frame[f"{name}_time"].dt.as_unit("ms").astype("int64").to_numpy()
            trades[f"{name}_time"] = stamps
            trades[f"{name}_bar"] = np.searchsorted(time, stamps)
            trades[f"{name}_price"] = frame[f"{name}_price"]
        trades["side"] = np.where(frame["side"] == "long", 1, -1)
        trades["r"], trades["stop"] = frame["r"], frame["stop"]
        for name, known in (("symbol", self.plot.symbols), ("strategy", self.plot.strategies)):
            trades[name] = [known.index(one) for one in frame[name]]
        return trades


def _typed(name: str, value: Any) -> Any:
    """Return a parameter as its range has it: beside another strategy's, numbers are floats."""
    kinds: dict[str, Any] = {"int": int, "float": float, "choice": str, "bool": bool}
    return kinds[str(SPACE[name]["kind"])](value)


def _no_sample() -> pd.DataFrame:
    return pd.DataFrame(
        {"window": np.zeros(0, np.int64), "time": moments([]), "equity": np.zeros(0)}
    )
