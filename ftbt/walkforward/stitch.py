"""From the outcomes of all windows to one result: the out-of-sample curve and its figures.

Each test window ran on its own, from the same capital, flat to flat. The stitched curve chains
their returns: window k starts with what window k-1 left. `scale` is the factor from a window's own
money to that of the stitched curve. A failed window stands aside: the curve is flat over it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.attribution import Part
from ftbt.backtest.metrics import Metrics
from ftbt.backtest.result import FILL, Records
from ftbt.backtest.return_metrics import daily_returns
from ftbt.data.market import Market
from ftbt.walkforward.checkpoint import Outcome
from ftbt.walkforward.evaluate import Evaluation, metrics_of
from ftbt.walkforward.evidence import judge
from ftbt.walkforward.pieces import Clock
from ftbt.walkforward.result import Evidence, Summary
from ftbt.walkforward.windows import Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Metrics that the table of windows shows of training and test.
WINDOW_METRICS = (
    "net_profit", "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown",
    "days_under_water", "calmar", "trades", "win_rate", "profit_factor", "payoff_ratio",
    "expectancy_r", "longest_losing_streak", "exposure", "turnover", "fees", "slippage", "funding",
)  # fmt: skip
# Of a trade's and a fill's record: they grow with the account.
MONEY = ("size", "gross", "fees", "funding", "slippage", "net")
FILL_MONEY = ("size", "fee", "slippage")


@dataclass(frozen=True, slots=True, eq=False)
class Stitched:
    """The out-of-sample curve.

    Attributes:
        time: opens of all bars of all test windows, ms UTC, shape (n,).
        window: number of each bar's window, shape (n,).
        equity: at each bar's close, shape (n,).
        hold: buy-and-hold of the same capital, shape (n,).
        scale: of each window, shape (windows,).
        start: equity at each window's start, shape (windows,).
        end: equity at each window's end, shape (windows,).
        metrics: of the whole curve; None when no window succeeded.
        evidence: see there.
    """

    time: Ints
    window: Ints
    equity: Floats
    hold: Floats
    scale: Floats
    start: Floats
    end: Floats
    metrics: Metrics | None
    evidence: Evidence


def stitch(
    windows: Sequence[Window],
    outcomes: Sequence[Outcome],
    markets: Mapping[str, Sequence[Market]],
    clock: Clock,
    capital: float,
) -> Stitched:
    """Return the stitched curve.

    Args:
        windows: in order.
        outcomes: one per window, in the same order.
        markets: segments of each symbol.
        clock: where the windows lie.
        capital: equity before the first bar.
    """
    curves, starts, numbers = [], [], []
    equity = capital
    times = [_times(markets, clock, window) for window in windows]
    for window, outcome, time in zip(windows, outcomes, times, strict=True):
        starts.append(equity)
        curve = _on_clock(outcome.test, time, capital) * (equity / capital)
        curves.append(curve)
        numbers.append(np.full(len(time), window.number, np.int64))
        equity = float(curve[-1]) if len(curve) else equity
    start = np.array(starts)
    time, whole = np.concatenate(times), np.concatenate(curves)
    end = np.append(start[1:], equity)
    scale = start / capital
    trades = stitched_trades(outcomes, scale, time)
    metrics = None
    if any(not outcome.failed for outcome in outcomes):
        fills = np.concatenate([np.zeros(0, FILL), *stitched_fills(outcomes, scale, time)])
        per_year = clock.timeframe.bars_per_year
        metrics = metrics_of(time, whole, trades, fills, per_year, capital)
    evidence = judge(
        daily_returns(time, whole, capital)[1], equity - capital, sum(map(len, trades))
    )
    if metrics is None:
        evidence = replace(evidence, sentence="No evidence of anything: every window failed.")
    return Stitched(
        time,
        np.concatenate(numbers),
        whole,
        _hold(markets, time, capital),
        scale,
        start,
        end,
        metrics,
        evidence,
    )


def _times(markets: Mapping[str, Sequence[Market]], clock: Clock, window: Window) -> Ints:
    """Return the opens of all bars that any symbol has in the window's test."""
    start, stop = clock.open_ms(window.test.first), clock.open_ms(window.test.stop)
    parts = []
    for segments in markets.values():
        for market in segments:
            time = market.candles.time
            parts.append(time[np.searchsorted(time, start) : np.searchsorted(time, stop)])
    return np.unique(np.concatenate(parts))


def _on_clock(test: Evaluation | None, time: Ints, capital: float) -> Floats:
    """Return a window's equity on all its bars; flat before, between and after what it traded."""
    if test is None:
        return np.full(len(time), capital)
    last = np.searchsorted(test.time, time, side="right")
    return np.concatenate(([capital], test.equity))[last]


def _hold(markets: Mapping[str, Sequence[Market]], time: Ints, capital: float) -> Floats:
    share = capital / len(markets)
    total = np.zeros(len(time))
    for segments in markets.values():
        own = np.concatenate([market.candles.bars for market in segments])
        first = int(np.searchsorted(own["time"], time[0])) if len(time) else 0
        bought = own["open"][min(first, len(own) - 1)]
        last = np.searchsorted(own["time"], time, side="right")
        total += share * np.concatenate(([bought], own["close"]))[last] / bought
    return total


def scaled(records: Records, scale: float, names: Sequence[str] = MONEY) -> Records:
    """Return *records* with the fields *names* in the stitched curve's money."""
    money = records.copy()
    for name in names:
        money[name] *= scale
    return money


def stitched_trades(outcomes: Sequence[Outcome], scale: Floats, time: Ints) -> list[Records]:
    """Return the trades of each test in the stitched curve's money, bars counted on its clock."""
    lists = []
    for outcome, factor in zip(outcomes, scale, strict=True):
        if outcome.test is None:
            continue
        trades = scaled(outcome.test.trades, factor)
        for name in ("entry", "exit"):
            trades[f"{name}_bar"] = _bar_of(trades[f"{name}_time"], time)
        lists.append(trades)
    return lists


def stitched_fills(outcomes: Sequence[Outcome], scale: Floats, time: Ints) -> list[Records]:
    """Return the fills of each test in the stitched curve's money, bars counted on its clock."""
    lists = []
    for outcome, factor in zip(outcomes, scale, strict=True):
        if outcome.test is None:
            continue
        fills = scaled(outcome.test.fills, factor, FILL_MONEY)
        fills["bar"] = _bar_of(fills["time"], time)
        lists.append(fills)
    return lists


def _bar_of(moments: Ints, time: Ints) -> Ints:
    """Return the bar that each moment lies in; a fill on detail bars has one of those."""
    return np.maximum(np.searchsorted(time, moments, side="right") - 1, 0)


def summarise_run(
    run_id: str,
    stitched: Stitched,
    outcomes: Sequence[Outcome],
    capital: float,
    bars_per_year: float,
    parts: Sequence[Part] = (),
) -> Summary:
    """Return the figures of the whole run; *parts* say who earned what."""
    done = [outcome for outcome in outcomes if outcome.test is not None]
    tests = [outcome.test for outcome in done if outcome.test is not None]
    refused: Counter[str] = sum((Counter(test.refused) for test in tests), Counter())
    engines = sorted({test.engine for test in tests})
    figures: dict[str, Any] = {} if stitched.metrics is None else stitched.metrics.as_dict()
    hold = float(stitched.hold[-1]) / capital - 1.0 if len(stitched.hold) else None
    return Summary(
        run_id=run_id,
        windows=len(outcomes),
        failed_windows=len(outcomes) - len(done),
        trials=sum(len(outcome.trials) for outcome in outcomes),
        capital=capital,
        out_of_sample={name: _finite(value) for name, value in figures.items()},
        buy_and_hold_return=hold,
        walk_forward_efficiency=efficiency(stitched, outcomes, bars_per_year),
        profitable_windows=sum(float(test.equity[-1]) > capital for test in tests),
        refused=dict(sorted(refused.items())),
        engine=engines[0] if len(engines) == 1 else "mixed" if engines else "none",
        funding_modelled=bool(tests) and all(test.funding_modelled for test in tests),
        notes=_notes(outcomes),
        evidence=stitched.evidence,
        parts=tuple(parts),
        compared_trades=sum(one.parity.trades for one in done if one.parity),
        identical_trades=sum(one.parity.identical for one in done if one.parity),
    )


def _finite(value: float) -> float | int | None:
    return value if math.isfinite(value) else None


def efficiency(
    stitched: Stitched, outcomes: Sequence[Outcome], bars_per_year: float
) -> float | None:
    """Return annual out-of-sample / annual in-sample return; None unless the latter is above 0.

    The in-sample return is that of the chosen parameters, chained over the trainings.
    """
    trains = [outcome.train for outcome in outcomes if outcome.train is not None]
    if stitched.metrics is None or not trains:
        return None
    ends = [float(train.equity[-1]) / train.capital for train in trains]
    years = sum(len(train.time) for train in trains) / bars_per_year
    if min(ends) <= 0.0:
        return None
    annual = math.expm1(sum(map(math.log, ends)) / years)
    return stitched.metrics.cagr / annual if annual > 0.0 else None


def _notes(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the sentences of all windows, each once."""
    found: list[str] = []
    for outcome in outcomes:
        if outcome.failed:
            place = f" ({outcome.where})" if outcome.where else ""
            found.append(f"window {outcome.number} failed: {outcome.reason}{place}")
        failed = [one for one in outcome.trials if one.state == "failed"]
        if failed and not outcome.failed:
            found.append(
                f"window {outcome.number}: {len(failed)} of {len(outcome.trials)} trials failed,"
                f" the first with: {failed[0].error}"
            )
        found.extend(outcome.notes)
        found.extend(() if outcome.test is None else outcome.test.notes)
    return tuple(dict.fromkeys(found))
