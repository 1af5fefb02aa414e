"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

Source: Bailey, Borwein, Lopez de Prado, Zhu, "The Probability of Backtest Overfitting", Journal of
Computational Finance 20(4), 2017 (SSRN 2326253), algorithm 2.3 and section 3.

The T rows are cut into S equal blocks in order of time. Each of the C(S, S/2) ways to put half of
the blocks in-sample and the rest out-of-sample is one combination c:

    n*      = the trial with the best metric in-sample
    w_c     = out-of-sample rank of n* / (N + 1), rank N the best
    logit_c = ln(w_c / (1 - w_c))
    PBO     = share of combinations with logit_c <= 0

Equal metrics share their mean rank. The Sharpe ratio needs only the sum and the sum of squares of
each block, and both add up over blocks; so a combination costs a few operations per trial, whatever
T is. Working memory: some MB for the results and
the block sums, beside the panel.

How to read it: without any skill PBO is about 0.5, not 1, and it scatters widely around that when
the trials are few or alike. `ftbt.robustness.pbo_null` tells how unusual a low value is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ftbt.errors import InputError
from ftbt.robustness.checks import one_of
from ftbt.robustness.panel import (
    CHUNK,
    Floats,
    Ints,
    as_panel,
    first_best,
    rounding,
    sharpe_of_sums,
)

Metric = Literal["sharpe", "mean"]
METRICS: tuple[str, ...] = get_args(Metric)

MOST_BLOCKS = 20  # 184,756 combinations
_BINS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Additive sums of the blocks.

    Attributes:
        rows: rows in each block.
        sums: of returns, shape (blocks, trials).
        squares: of squared returns, shape (blocks, trials).
    """

    rows: int
    sums: Floats
    squares: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Degradation:
    """Regression of the chosen trials' out-of-sample metric on their in-sample metric.

    `out = intercept + slope * in`, by least squares over all combinations (section 3.2). The
    combinations share data, so no standard error is given: it would be far too small.

    Attributes:
        slope: negative where a better past went with a worse future.
        intercept: in units of the metric.
        r_squared: share of the out-of-sample variance explained; NaN where there is none.
    """

    slope: float
    intercept: float
    r_squared: float


@dataclass(frozen=True, slots=True, eq=False)
class Dominance:
    """Does choosing the best beat drawing a trial at random, out of sample (section 3.3)?

    Both distributions are those of the out-of-sample metric over all combinations: of the chosen
    trial, and of all trials.

    Attributes:
        grid: values of the metric, rising, shape (501,).
        chosen: share of chosen trials at or below each grid value.
        every: share of all trials at or below each grid value.
        first_order: `chosen` is nowhere above `every` and somewhere below.
        second_order: the integral of `every - chosen` from the left is nowhere negative and
            somewhere positive: a risk-averse trader would rather choose.
        integral: that integral (the paper's SD2), shape (501,).
    """

    grid: Floats
    chosen: Floats
    every: Floats
    first_order: bool
    second_order: bool
    integral: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pbo:
    """The outcome of CSCV. Arrays run over the combinations in lexicographic order.

    Attributes:
        pbo: probability of backtest overfitting, 0 to 1; about 0.5 without skill.
        probability_of_loss: share of combinations whose chosen trial has a negative metric
            out of sample.
        trials, rows, blocks, metric: what was judged; *rows* were used.
        dropped_rows: oldest rows left out, so that the blocks are equal.
        winners: trial chosen in-sample, shape (combinations,).
        ranks: its rank out of sample, 1 (worst) to N (best), shape (combinations,).
        logits: ln(w / (1 - w)) with w = rank / (N + 1), shape (combinations,).
        in_sample, out_of_sample: its metric per row, shape (combinations,).
        degradation: regression of out-of-sample on in-sample.
        dominance: chosen trials against all trials.
    """

    pbo: float
    probability_of_loss: float
    trials: int
    rows: int
    blocks: int
    metric: Metric
    dropped_rows: int
    winners: Ints
    ranks: Floats
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats
    degradation: Degradation
    dominance: Dominance


def probability_of_backtest_overfitting(
    returns: ArrayLike, blocks: int = 16, metric: Metric = "sharpe", risk_free: float = 0.0
) -> Pbo:
    """Return PBO, logits, degradation, probability of loss and stochastic dominance.

    When the rows are not a multiple of *blocks*, the oldest ones are left out. Rows of a guided
    search are its intermediate steps; the paper (5.2) wants final configurations: what is judged
    here is the rule "take the best of everything that was tried".

    Args:
        returns: simple returns per row, shape (T, N), all trials that were made.
        blocks: S, even, 2 to 20; T must hold at least two rows for each.
        metric: `sharpe` (mean / standard deviation per row, not annual; 0 without variance) or
            `mean`.
        risk_free: return per row that is subtracted first.

    Raises:
        InputError: too few rows or trials, values that are not finite, odd or too many blocks.
    """
    one_of(metric, "metric", METRICS)
    check_blocks(blocks)
    panel = as_panel(returns, rows=2 * blocks, trials=2)
    panel = panel - risk_free if risk_free else panel
    dropped = len(panel) % blocks
    made = sum_blocks(panel[dropped:], blocks)
    halves = half_combinations(blocks)
    winners, ranks, inside, outside = _choose(made, halves, metric)
    trials = panel.shape[1]
    # 2 r <= N + 1 is w <= 1/2 without a rounding error.
    overfit = 2.0 * ranks <= trials + 1
    return Pbo(
        pbo=float(overfit.mean()),
        probability_of_loss=float((outside < 0.0).mean()),
        trials=trials,
        rows=len(panel) - dropped,
        blocks=blocks,
        metric=metric,
        dropped_rows=dropped,
        winners=winners,
        ranks=ranks,
        logits=np.log(ranks / (trials + 1 - ranks)),
        in_sample=inside,
        out_of_sample=outside,
        degradation=_degradation(inside, outside),
        dominance=_dominance(made, halves, metric, outside),
    )


def check_blocks(blocks: int) -> None:
    """Pass when *blocks* is even and 2 to 20.

    Raises:
        InputError: otherwise.
    """
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise InputError(f"blocks must be an even number from 2 to {MOST_BLOCKS}, not {blocks}")


def sum_blocks(panel: Floats, blocks: int) -> Blocks:
    """Return the additive sums of *blocks* equal blocks of *panel*, in order of time."""
    rows = len(panel) // blocks
    parts = panel.reshape(blocks, rows, panel.shape[1])
    return Blocks(rows, parts.sum(axis=1), np.einsum("brn,brn->bn", parts, parts))


def half_combinations(blocks: int) -> Floats:
    """Return the combinations that hold block 0, as rows of 0 and 1, in lexicographic order.

    They are the first half of all; the k-th one from the start has its complement as the k-th
    one from the end. Shape (C(S, S/2) / 2, S).
    """
    count = comb(blocks, blocks // 2) // 2
    member = np.zeros((count, blocks))
    for row, chosen in enumerate(combinations(range(1, blocks), blocks // 2 - 1)):
        member[row, chosen] = 1.0
    member[:, 0] = 1.0
    return member


def metric_pairs(
    made: Blocks, halves: Floats, metric: Metric
) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield (first row, metric of the halves, metric of their complements) chunk by chunk.

    Both metrics have the shape (rows of the chunk, trials).
    """
    step = max(1, CHUNK // made.sums.shape[1])
    for first in range(0, len(halves), step):
        member = halves[first : first + step]
        yield first, _metric(made, member, metric), _metric(made, 1.0 - member, metric)


def _metric(made: Blocks, member: Floats, metric: Metric) -> Floats:
    rows = made.rows * (made.sums.shape[0] // 2)
    sums = member @ made.sums
    return sums / rows if metric == "mean" else sharpe_of_sums(rows, sums, member @ made.squares)


def choose(inside: Floats, outside: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    """Return winners in-sample, their ranks out-of-sample, and both metrics, each shape (c,).

    Args:
        inside: metric in-sample, shape (c, trials).
        outside: metric out-of-sample, same shape.
    """
    winners = first_best(inside)
    rows = np.arange(len(winners))
    reached = outside[rows, winners]
    allowance = rounding(reached)
    below = np.count_nonzero(outside < (reached - allowance)[:, None], axis=1)
    above = np.count_nonzero(outside > (reached + allowance)[:, None], axis=1)
    # Mean rank of all that are equal: (best of them + worst of them) / 2.
    ranks = 0.5 * (below + 1 + outside.shape[1] - above)
    return winners, ranks, inside[rows, winners], reached


def _choose(made: Blocks, halves: Floats, metric: Metric) -> tuple[Ints, Floats, Floats, Floats]:
    count = 2 * len(halves)
    winners = np.zeros(count, np.int64)
    ranks, inside, outside = np.zeros(count), np.zeros(count), np.zeros(count)
    for first, one, other in metric_pairs(made, halves, metric):
        stop = first + len(one)
        front, back = slice(first, stop), slice(count - stop, count - first)
        winners[front], ranks[front], inside[front], outside[front] = choose(one, other)
        mirrored = choose(other[::-1], one[::-1])
        winners[back], ranks[back], inside[back], outside[back] = mirrored
    return winners, ranks, inside, outside


def _degradation(inside: Floats, outside: Floats) -> Degradation:
    x, y = inside - inside.mean(), outside - outside.mean()
    spread, total = float(x @ x), float(y @ y)
    if not spread > 0.0:
        return Degradation(np.nan, np.nan, np.nan)
    slope = float(x @ y) / spread
    intercept = float(outside.mean() - slope * inside.mean())
    return Degradation(slope, intercept, slope**2 * spread / total if total > 0.0 else np.nan)


def _dominance(made: Blocks, halves: Floats, metric: Metric, outside: Floats) -> Dominance:
    low, high = np.inf, -np.inf
    for _, one, other in metric_pairs(made, halves, metric):
        low = min(low, float(one.min()), float(other.min()))
        high = max(high, float(one.max()), float(other.max()))
    grid = np.linspace(low, high, _BINS + 1)
    counts = np.zeros(_BINS + 1, np.int64)
    for _, one, other in metric_pairs(made, halves, metric):
        counts += _at_or_below(one, low, high) + _at_or_below(other, low, high)
    every = np.cumsum(counts) / (2.0 * halves.shape[0] * made.sums.shape[1])
    chosen = np.cumsum(_at_or_below(outside, low, high)) / len(outside)
    ahead = every - chosen
    steps = 0.5 * (ahead[1:] + ahead[:-1]) * np.diff(grid)
    integral = np.concatenate(([0.0], np.cumsum(steps)))
    slack = 1e-12
    return Dominance(
        grid=grid,
        chosen=chosen,
        every=every,
        first_order=bool(ahead.min() >= -slack and ahead.max() > slack),
        second_order=bool(
            integral.min() >= -slack * (high - low) and integral.max() > slack * (high - low)
        ),
        integral=integral,
    )


def _at_or_below(values: Floats, low: float, high: float) -> Ints:
    """Return how many values belong to each grid point: the smallest one not below them."""
    width = (high - low) / _BINS or 1.0
    place = np.ceil((values - low) / width).astype(np.int64).ravel()
    return np.bincount(np.clip(place, 0, _BINS), minlength=_BINS + 1)
