"""How deep it could have gone (section 9).

The block bootstrap draws stretches of days again: other histories of the same daily returns. Trades
drawn again vary the edge itself. Trades reshuffled are the same trades in another order: only the
path varies, and the report must say so.

Ruin and Kelly take each trade's result as a fraction of the equity before it; `size` 1 is what was
traded. So they hold for strategies without stops as well.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest.return_metrics import longest_run
from ftbt.robustness.assessment import FanData, PathRisk, PathRow, RuinRow
from ftbt.robustness.of_run import PERIODS, RunArrays, floats, thinned
from ftbt.robustness.panel import Floats
from ftbt.robustness.path_risk import (
    PathDistribution,
    equity_fan,
    equity_paths,
    resampled_returns,
    resampled_trades,
    reshuffled_trades,
)
from ftbt.robustness.record import finite, histogram
from ftbt.robustness.ruin import kelly_empirical, losing_streak_probability, risk_of_ruin

PATHS = 1000
FAN_POINTS = 120
LEVEL = 0.5  # falling to half of the start counts as ruin
SIZES = (0.5, 1.0, 2.0)
LEAST_TRADES = 2
NO_LIMIT = 1.0


def path_section(arrays: RunArrays, limit: float, seed: int) -> PathRisk | None:
    """Return section 9; None without a record that varies or without two trades.

    Args:
        arrays: of the run.
        limit: the user's limit on drawdown, fraction; 1: none.
        seed: of all samples.
    """
    if not arrays.moves or len(arrays.trades) < LEAST_TRADES:
        return None
    rng = np.random.default_rng(seed)
    returns, trades = arrays.returns, arrays.trades.fraction
    days = resampled_returns(returns, PATHS, rng)
    rows = (
        _row(days, "days", path_only=False),
        _row(resampled_trades(trades, PATHS, rng, compounded=True), "trades", path_only=False),
        _row(reshuffled_trades(trades, PATHS, rng, compounded=True), "trades", path_only=True),
    )
    streak = longest_run(trades <= 0.0)
    return PathRisk(
        fan=_fan(returns, rng),
        rows=rows,
        limit=limit,
        chance_of_limit=days.chance_of_depth(limit) if limit < NO_LIMIT else math.nan,
        ruin=tuple(_ruin(arrays, size, rng) for size in SIZES),
        risk_per_trade=_median(arrays.trades.risk),
        kelly=finite(kelly_empirical(trades).fraction),
        losing_streak=streak,
        losing_streak_chance=_streak_chance(trades, streak),
    )


def _streak_chance(trades: Floats, streak: int) -> float:
    if streak < 1:
        return 1.0
    return losing_streak_probability(float((trades <= 0.0).mean()), len(trades), streak)


def _row(found: PathDistribution, unit: str, *, path_only: bool) -> PathRow:
    return PathRow(
        how=found.how,
        path_only=path_only,
        samples=found.samples,
        total_p05=found.total.p05,
        total_median=found.total.median,
        total_p95=found.total.p95,
        depth_p05=found.depth.p05,
        depth_median=found.depth.median,
        depth_p95=found.depth.p95,
        depth_p99=found.depth.p99,
        water_median=found.water.median,
        water_p95=found.water.p95,
        unit=unit,
        actual_depth=found.actual_depth,
        actual_water=found.actual_under_water,
        share_of_losses=found.share_of_losses,
        share_deeper=found.share_deeper,
        depths=histogram(found.depths),
    )


def _fan(returns: Floats, rng: np.random.Generator) -> FanData:
    fan = equity_fan(returns, PATHS, rng)
    shown = thinned(len(returns), FAN_POINTS)
    real = equity_paths(returns[None, :], compounded=True)[0]
    return FanData(
        x=tuple(float(one + 1) for one in shown),
        levels=fan.levels,
        curves=tuple(floats(curve[shown]) for curve in fan.curves),
        actual=floats(real[shown]),
    )


def _ruin(arrays: RunArrays, size: float, rng: np.random.Generator) -> RuinRow:
    """Return the risk within a year of trades at the record's pace."""
    count = len(arrays.trades)
    year = max(1, round(count / len(arrays.returns) * PERIODS))
    found = risk_of_ruin(arrays.trades.fraction, size, LEVEL, PATHS, rng, trades=year)
    return RuinRow(size, LEVEL, year, found.probability, found.standard_error)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan
