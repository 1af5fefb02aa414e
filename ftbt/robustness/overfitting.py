"""PBO over all windows (section 5): was a window's choice worth anything on days it had not seen?

Every window searched its own trials on its own days, so there is no one matrix of all trials over
all days. CSCV is made in each search's training; the figures are means over the searches, the
histogram and the scatter hold the combinations of all of them.

Null of the means: each search's panel without its trials' means, rows resampled
(`pbo_null.resampled_null`). Trainings that overlap share days, and their nulls are not independent;
so the null of the mean is that of as many windows as fit without overlap, greedily from the first,
drawn independently. A mean over more, overlapping windows scatters less than that: the p-values are
on the safe side. Strategies of one window share its days: their nulls are taken as moving together.

PBO compares a choice with the median trial. Where all trials are nearly the same strategy, good or
bad, that is a coin toss; the probability of loss (section 3.2 of the paper), calibrated by the
same null, says whether what was chosen on one half earned money on the other. Gate H3 reads both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ftbt.robustness.assessment import DominanceData, Overfitting, WindowOverfitting
from ftbt.robustness.of_run import YEAR, Search, floats, thinned
from ftbt.robustness.panel import Floats
from ftbt.robustness.pbo import Pbo, probability_of_backtest_overfitting
from ftbt.robustness.pbo_null import PboNull, resampled_null
from ftbt.robustness.record import histogram

LEAST_ROWS = 5  # rows in a block
LEAST_BLOCKS = 4
MOST_BLOCKS = 12  # 924 combinations
SIMULATIONS = 100
SCATTER = 400
GRID = 101
GUIDED = (
    "The trials are the steps of a guided search (Tree-structured Parzen Estimator), not a plain"
    " grid: later ones crowd where earlier ones did well, so they resemble each other more, and"
    ' what is judged is the rule "take the best of everything that was tried".'
)

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """CSCV of one search with its null."""

    search: Search
    pbo: Pbo
    null: PboNull


def blocks_for(rows: int) -> int:
    """Return the even number of blocks for so many rows; 0 when there are too few.

    A block keeps at least LEAST_ROWS rows; 20 rows are the least.
    """
    found = min(MOST_BLOCKS, rows // LEAST_ROWS // 2 * 2)
    return found if found >= LEAST_BLOCKS else 0


def why_not(searches: Sequence[Search]) -> str:
    """Return why no search can be judged, or an empty string."""
    if any(_can(one) for one in searches):
        return ""
    if all(one.returns.shape[1] < 2 for one in searches):
        return "nothing was searched: every window had a single parameter set"
    days = max((len(one.day) for one in searches), default=0)
    return (
        f"no search had two trials that traded over at least {LEAST_BLOCKS * LEAST_ROWS} days of"
        f" training (longest training: {days} days)"
    )


def _can(search: Search) -> bool:
    return search.usable and blocks_for(len(search.day)) > 0


def overfitting(
    searches: Sequence[Search],
    spans: Mapping[int, tuple[int, int]],
    seed: int,
    tick: Tick | None = None,
) -> Overfitting | None:
    """Return section 5; None when no search can be judged, see `why_not`.

    Args:
        searches: all of the run.
        spans: training of each window, ms UTC.
        seed: of the nulls.
        tick: told (searches done, all).
    """
    wanted = [one for one in searches if _can(one)]
    judged = []
    for number, one in enumerate(wanted):
        judged.append(_judge(one, seed + number))
        if tick is not None:
            tick(number + 1, len(wanted))
    return _pooled(judged, spans, seed) if judged else None


def _judge(search: Search, seed: int) -> Judged:
    blocks = blocks_for(len(search.day))
    pbo = probability_of_backtest_overfitting(search.returns, blocks)
    null = resampled_null(pbo.pbo, search.returns, blocks, simulations=SIMULATIONS, seed=seed)
    return Judged(search, pbo, null)


def _pooled(
    judged: Sequence[Judged], spans: Mapping[int, tuple[int, int]], seed: int
) -> Overfitting:
    pbo = float(np.mean([one.pbo.pbo for one in judged]))
    loss = float(np.mean([one.pbo.probability_of_loss for one in judged]))
    null, losses = _mean_nulls(judged, spans, seed)
    inside = np.concatenate([one.pbo.in_sample for one in judged]) * YEAR
    outside = np.concatenate([one.pbo.out_of_sample for one in judged]) * YEAR
    slope, intercept, r_squared = _regression(inside, outside)
    shown = thinned(len(inside), SCATTER)
    return Overfitting(
        pbo=pbo,
        null_lower=float(np.quantile(null, 0.05)),
        null_median=float(np.median(null)),
        null_upper=float(np.quantile(null, 0.95)),
        p_value=_p_value(null, pbo),
        probability_of_loss=loss,
        loss_null_lower=float(np.quantile(losses, 0.05)),
        loss_null_median=float(np.median(losses)),
        loss_p_value=_p_value(losses, loss),
        logits=histogram(np.concatenate([one.pbo.logits for one in judged])),
        scatter=tuple(zip(floats(inside[shown]), floats(outside[shown]), strict=True)),
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        dominance=_dominance(judged),
        windows=tuple(_row(one) for one in judged),
        guided=GUIDED,
    )


def _row(one: Judged) -> WindowOverfitting:
    return WindowOverfitting(
        window=one.search.window,
        strategy=one.search.strategy,
        trials=one.pbo.trials,
        days=one.pbo.rows,
        blocks=one.pbo.blocks,
        pbo=one.pbo.pbo,
        null_lower=one.null.lower,
        null_median=one.null.median,
        p_value=one.null.p_value,
        probability_of_loss=one.pbo.probability_of_loss,
    )


def apart(spans: Mapping[int, tuple[int, int]], windows: Sequence[int]) -> list[int]:
    """Return as many of *windows* as fit without overlapping trainings, greedily by their end."""
    chosen: list[int] = []
    for number in sorted(windows, key=lambda one: spans[one][1]):
        if not chosen or spans[number][0] >= spans[chosen[-1]][1]:
            chosen.append(number)
    return chosen


def _mean_nulls(
    judged: Sequence[Judged], spans: Mapping[int, tuple[int, int]], seed: int
) -> tuple[Floats, Floats]:
    """Return simulated means of PBO and of the probability of loss, each shape (simulations,)."""
    rng = np.random.default_rng([seed, 1])
    windows = apart(spans, sorted({one.search.window for one in judged}))
    values, losses = np.zeros(SIMULATIONS), np.zeros(SIMULATIONS)
    for window in windows:
        own = [one.null for one in judged if one.search.window == window]
        values += rng.permutation(np.mean([one.values for one in own], axis=0))
        losses += rng.permutation(np.mean([one.losses for one in own], axis=0))
    return values / len(windows), losses / len(windows)


def _p_value(null: Floats, observed: float) -> float:
    return float(1 + np.count_nonzero(null <= observed + 1e-12)) / (1 + len(null))


def _regression(inside: Floats, outside: Floats) -> tuple[float, float, float]:
    x, y = inside - inside.mean(), outside - outside.mean()
    spread, total = float(x @ x), float(y @ y)
    if not spread > 0.0:
        return math.nan, math.nan, math.nan
    slope = float(x @ y) / spread
    explained = slope**2 * spread / total if total > 0.0 else math.nan
    return slope, float(outside.mean() - slope * inside.mean()), explained


def _dominance(judged: Sequence[Judged]) -> DominanceData:
    """Return the means of the searches' distribution functions on one grid."""
    tables = [one.pbo.dominance for one in judged]
    low = min(float(one.grid[0]) for one in tables)
    high = max(float(one.grid[-1]) for one in tables)
    grid = np.linspace(low, high, GRID)
    chosen = np.mean([_at(one.grid, one.chosen, grid) for one in tables], axis=0)
    every = np.mean([_at(one.grid, one.every, grid) for one in tables], axis=0)
    ahead = every - chosen
    integral = np.concatenate(([0.0], np.cumsum(0.5 * (ahead[1:] + ahead[:-1]) * np.diff(grid))))
    slack = 1e-12
    width = max(high - low, slack)
    return DominanceData(
        grid=floats(grid * YEAR),
        chosen=floats(chosen),
        every=floats(every),
        first_order=bool(ahead.min() >= -slack and ahead.max() > slack),
        second_order=bool(integral.min() >= -slack * width and integral.max() > slack * width),
    )


def _at(own: Floats, shares: Floats, grid: Floats) -> Floats:
    return np.asarray(np.interp(grid, own, shares, left=0.0, right=1.0))
