"""The tables of a run folder, made from outcomes; their columns are explained in `result.Run`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftbt.backtest.metrics import Metrics
from ftbt.backtest.result import trades_frame
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.walkforward.checkpoint import Outcome
from ftbt.walkforward.evaluate import Evaluation
from ftbt.walkforward.pieces import Clock
from ftbt.walkforward.stitch import WINDOW_METRICS, Stitched
from ftbt.walkforward.windows import Window

METRIC_NAMES = tuple(item.name for item in fields(Metrics))

TRADE_COLUMNS = (
    "window", "symbol", "strategy", "entry_time", "exit_time", "side", "size", "entry_price",
    "exit_price", "stop", "target1", "target2", "gross", "fees", "funding", "slippage", "net", "r",
    "mae", "mfe", "confidence", "bars", "entry_reason", "exit_reason", "scale",
)  # fmt: skip
WORDS = ("symbol", "strategy", "side", "entry_reason", "exit_reason")


def moments(time_ms: Any) -> pd.DatetimeIndex:
    """Return ms UTC as aware times of millisecond unit."""
    values = np.asarray(time_ms, dtype=np.int64).astype("datetime64[ms]")
    return pd.DatetimeIndex(values).tz_localize("UTC")


def _words(values: Sequence[str]) -> pd.Series[str]:
    # Without a type an empty column of words would be written as a column of nothing.
    return pd.Series(list(values), dtype="str")


def windows_frame(
    windows: Sequence[Window], outcomes: Sequence[Outcome], clock: Clock, stitched: Stitched
) -> pd.DataFrame:
    """Return one row per window."""
    columns: dict[str, Any] = {
        "window": [window.number for window in windows],
        "state": _words(["failed" if one.failed else "done" for one in outcomes]),
        "reason": _words([one.reason for one in outcomes]),
        "where": _words([one.where for one in outcomes]),
        "train_start": moments([clock.open_ms(w.train_span.first) for w in windows]),
        "train_end": moments([clock.open_ms(w.train_span.stop) for w in windows]),
        "test_start": moments([clock.open_ms(w.test.first) for w in windows]),
        "test_end": moments([clock.open_ms(w.test.stop) for w in windows]),
        "train_bars": [_bars(one.train) for one in outcomes],
        "test_bars": [_bars(one.test) for one in outcomes],
        "trials": [len(one.trials) for one in outcomes],
        "failed_trials": [sum(t.state == "failed" for t in one.trials) for one in outcomes],
        "repeated_trials": [sum(t.repeats >= 0 for t in one.trials) for one in outcomes],
        "chosen_trial": [_first_chosen(one) for one in outcomes],
        "chosen_trials": _words([json.dumps(list(one.chosen)) for one in outcomes]),
        "weights": _words([json.dumps(list(one.weights)) for one in outcomes]),
        "score": [one.score for one in outcomes],
        "parameters": _words([_parameters(one) for one in outcomes]),
        "train_value": [_value(one) for one in outcomes],
    }
    for part in ("train", "test"):
        for name in WINDOW_METRICS:
            figures = [_metric(getattr(one, part), name) for one in outcomes]
            columns[f"{part}_{name}"] = np.array(figures, dtype=np.float64)
    columns["buy_and_hold"] = [_hold(one.test) for one in outcomes]
    columns["scale"] = stitched.scale
    columns["start_equity"], columns["end_equity"] = stitched.start, stitched.end
    return pd.DataFrame(columns)


def _bars(evaluation: Evaluation | None) -> int:
    return 0 if evaluation is None else len(evaluation.time)


def _parameters(outcome: Outcome) -> str:
    values: dict[str, Any] = {}
    for one in outcome.chosen_trials():
        values |= one.parameters
    return json.dumps(values, sort_keys=True)


def _first_chosen(outcome: Outcome) -> int:
    return next((number for number in outcome.chosen if number >= 0), -1)


def _value(outcome: Outcome) -> float:
    first = _first_chosen(outcome)
    return math.nan if first < 0 else outcome.trials[first].value


def _metric(evaluation: Evaluation | None, name: str) -> float:
    return math.nan if evaluation is None else float(getattr(evaluation.metrics, name))


def _hold(evaluation: Evaluation | None) -> float:
    return math.nan if evaluation is None else float(evaluation.hold[-1]) / evaluation.capital - 1.0


def trials_frame(
    outcomes: Sequence[Outcome], ranges: Mapping[str, Range], strategies: Sequence[str]
) -> pd.DataFrame:
    """Return one row per trial."""
    rows = [(one.number, trial) for one in outcomes for trial in one.trials]
    columns: dict[str, Any] = {
        "window": np.array([window for window, _ in rows], dtype=np.int64),
        "trial": np.array([trial.number for _, trial in rows], dtype=np.int64),
        "strategy": _words([strategies[trial.strategy] for _, trial in rows]),
        "state": _words([trial.state for _, trial in rows]),
        "repeats": np.array([trial.repeats for _, trial in rows], dtype=np.int64),
        "value": np.array([trial.value for _, trial in rows], dtype=np.float64),
        "error": _words([trial.error for _, trial in rows]),
    }
    for name, limits in ranges.items():
        columns[f"param_{name}"] = _column(
            limits, [trial.parameters.get(name) for _, trial in rows]
        )
    for name in METRIC_NAMES:
        figures = [float(trial.metrics.get(name, math.nan)) for _, trial in rows]
        columns[f"metric_{name}"] = np.array(figures, dtype=np.float64)
    return pd.DataFrame(columns)


def _column(limits: Range, values: Sequence[Any]) -> Any:
    missing = None in values  # a parameter of another strategy
    if isinstance(limits, Choice):
        return _words(["" if value is None else value for value in values])
    if missing:
        return np.array([math.nan if value is None else value for value in values], np.float64)
    kinds: dict[type, type] = {Int: np.int64, Float: np.float64, Bool: np.bool_}
    return np.array(values, dtype=kinds[type(limits)])


def trial_returns_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the daily training returns of every distinct trial that did not fail."""
    told = [
        (one.number, trial)
        for one in outcomes
        for trial in one.trials
        if trial.state != "failed" and trial.repeats < 0
    ]
    counts = [len(trial.days) for _, trial in told]
    return pd.DataFrame(
        {
            "window": np.repeat(_ints([window for window, _ in told]), counts),
            "trial": np.repeat(_ints([trial.number for _, trial in told]), counts),
            "day": moments(_joined([trial.days for _, trial in told], np.int64)),
            "ret": _joined([trial.returns for _, trial in told], np.float64),
        }
    )


def _ints(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _joined(parts: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts])


def equity_frame(stitched: Stitched) -> pd.DataFrame:
    """Return the stitched out-of-sample curve."""
    return pd.DataFrame(
        {
            "time": moments(stitched.time),
            "window": stitched.window,
            "equity": stitched.equity,
            "buy_and_hold": stitched.hold,
        }
    )


def in_sample_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the training curves of the chosen parameters."""
    found = [(one.number, one.train) for one in outcomes if one.train is not None]
    return pd.DataFrame(
        {
            "window": np.repeat(_ints([w for w, _ in found]), [len(e.time) for _, e in found]),
            "time": moments(_joined([train.time for _, train in found], np.int64)),
            "equity": _joined([train.equity for _, train in found], np.float64),
        }
    )


def all_trades_frame(outcomes: Sequence[Outcome], stitched: Stitched) -> pd.DataFrame:
    """Return all out-of-sample trades, by window and exit."""
    parts = []
    for outcome, scale in zip(outcomes, stitched.scale, strict=True):
        test = outcome.test
        if test is None:
            continue
        part = trades_frame(test.trades, test.symbols, test.strategies, test.entry_reasons)
        part["bars"] = test.trades["exit_bar"] - test.trades["entry_bar"]
        part["window"], part["scale"] = outcome.number, float(scale)
        parts.append(part)
    if not parts:
        return _no_trades()
    whole = pd.concat(parts, ignore_index=True)
    whole = whole.sort_values(["window", "exit_time", "symbol", "entry_time"], kind="stable")
    for name in WORDS:
        whole[name] = whole[name].astype("str")
    return whole[list(TRADE_COLUMNS)].reset_index(drop=True)


def _no_trades() -> pd.DataFrame:
    times = {"entry_time", "exit_time"}
    columns: dict[str, Any] = {}
    for name in TRADE_COLUMNS:
        if name in times:
            columns[name] = moments([])
        elif name in WORDS:
            columns[name] = _words([])
        else:
            kind = np.int64 if name in ("window", "bars") else np.float64
            columns[name] = np.zeros(0, kind)
    return pd.DataFrame(columns)
