"""From window to window (section 6): how even the profit is, and how many pasts there were.

CPCV is made in every search's training on its own trials: of all ways to train on some groups of
days and test on the others, what would "take the best" have earned? The ratios of all paths of all
searches are shown together. They share days: their spread is no standard error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np

from ftbt.data.timeframe import DAY_MS
from ftbt.robustness.assessment import CpcvData, FanData, WalkForward, WindowRow
from ftbt.robustness.concentration import window_statistics
from ftbt.robustness.cpcv import Cpcv, cpcv_paths
from ftbt.robustness.of_run import YEAR, RunArrays, floats, milliseconds, thinned
from ftbt.robustness.path_risk import equity_paths
from ftbt.robustness.record import histogram

MOST_GROUPS = 10
LEAST_GROUPS = 4
TESTED = 2
ROWS_PER_GROUP = 5
FAN_POINTS = 120

Tick = Callable[[int, int], None]


def walk_forward_section(arrays: RunArrays, tick: Tick | None = None) -> WalkForward:
    """Return section 6.

    Args:
        arrays: of the run.
        tick: told (searches done, all).
    """
    rows = window_rows(arrays)
    spread = window_statistics(np.array([row.net for row in rows]))
    efficiency = arrays.run.summary.walk_forward_efficiency
    return WalkForward(
        windows=rows,
        efficiency=math.nan if efficiency is None else float(efficiency),
        profitable=spread.profitable,
        share_profitable=spread.share_profitable,
        best_window=rows[spread.best_window].window,
        best_share=spread.best_share,
        longest_losing_run=spread.longest_losing_run,
        median_net=spread.median,
        cpcv=cpcv_section(arrays, tick),
    )


def window_rows(arrays: RunArrays) -> tuple[WindowRow, ...]:
    """Return one row per window; a failed one earned nothing."""
    frame = arrays.run.windows
    starts, ends = milliseconds(frame["test_start"]), milliseconds(frame["test_end"])
    rows = []
    for place, row in enumerate(frame.to_dict("records")):
        chosen = json.loads(row["parameters"])
        trades = row["test_trades"]
        rows.append(
            WindowRow(
                window=int(row["window"]),
                state=str(row["state"]),
                test_start_ms=int(starts[place]),
                test_end_ms=int(ends[place]),
                train_sharpe=float(row["train_sharpe"]),
                test_sharpe=float(row["test_sharpe"]),
                train_annual_return=float(row["train_cagr"]),
                test_annual_return=float(row["test_cagr"]),
                net=float(row["end_equity"] - row["start_equity"]),
                trades=int(trades) if math.isfinite(trades) else 0,
                parameters=tuple((name, _text(chosen[name])) for name in sorted(chosen)),
            )
        )
    return tuple(rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def cpcv_section(arrays: RunArrays, tick: Tick | None = None) -> CpcvData | None:
    """Return CPCV of all searches; None when no search had enough trials or days."""
    usable = [one for one in arrays.searches if one.usable and groups_for(len(one.day))]
    if not usable:
        return None
    groups = groups_for(min(len(one.day) for one in usable))
    purge = purge_of(arrays, min(len(one.day) for one in usable) // groups)
    made = []
    for number, one in enumerate(usable):
        made.append(cpcv_paths(one.returns, groups, TESTED, purge=purge))
        if tick is not None:
            tick(number + 1, len(usable))
    ratios = np.concatenate([one.path_sharpe for one in made]) * YEAR
    return CpcvData(
        groups=groups,
        tested=TESTED,
        purge=purge,
        path_sharpes=floats(ratios),
        mean=float(ratios.mean()),
        deviation=float(ratios.std(ddof=1)) if len(ratios) > 1 else math.nan,
        share_negative=float((ratios < 0.0).mean()),
        histogram=histogram(ratios),
        fan=_fan(made[-1]),
    )


def groups_for(rows: int) -> int:
    """Return the number of groups for so many days; 0 when there are too few."""
    found = min(MOST_GROUPS, rows // ROWS_PER_GROUP)
    return found if found >= LEAST_GROUPS else 0


def purge_of(arrays: RunArrays, most: int) -> int:
    """Return the days that a trade reaches forward: the longest holding time, at most *most*."""
    trades = arrays.trades
    if not len(trades):
        return min(1, most)
    longest = int((trades.exit - trades.entry).max())
    return min(most, max(1, -(-longest // DAY_MS)))


def _fan(paths: Cpcv) -> FanData:
    grown = equity_paths(paths.path_returns, compounded=True)
    order = np.argsort(grown[:, -1], kind="stable")
    shown = thinned(grown.shape[1], FAN_POINTS)
    places = (0, len(order) // 2, len(order) - 1)
    return FanData(
        x=tuple(float(one + 1) for one in shown),
        levels=(0.0, 0.5, 1.0),
        curves=tuple(floats(grown[order[place], shown]) for place in places),
    )
