"""What PBO looks like without any skill, and how unusual an observed value is.

PBO is not a p-value. Where no trial has an edge it scatters around 0.5: the one that was best by
luck in one half is anywhere in the other. How widely it scatters depends on how many *different*
trials there are, so the same PBO of 0.10 is a p-value of 0.03 for five trials and next to 0 for a
hundred. Two null hypotheses are simulated:

* `independent_null`: N trials with independent normal returns. The blocks' sums are drawn directly
  (a normal sum and a chi-squared sum of squares), so the cost does not depend on T.
* `resampled_null`: the observed panel with each trial's mean taken out, rows drawn with
  replacement. Trials of one strategy resemble each other and have fat tails and idle days; all of
  that stays, only the differences in skill go. This is the one to judge a search by: it is wider,
  therefore stricter, wherever the trials are alike. Rows are drawn one by one, so what serial
  correlation the returns have is lost.

(Merely subtracting the means from the observed panel would not do: with means of exactly zero a
good half forces a bad other half, and PBO is 1 by arithmetic.)

Cost: at most about `ELEMENTS` evaluations of a metric, 3 seconds; beyond that each simulation
draws a random part of the combinations. That adds noise to the simulated values, never to the
observed one: the null gets slightly wider, the p-value slightly larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ftbt.robustness.checks import in_range, whole
from ftbt.robustness.kernels import overfit_and_lost
from ftbt.robustness.panel import NO_VARIANCE, Floats, as_panel
from ftbt.robustness.pbo import (
    Blocks,
    Metric,
    check_blocks,
    choose,
    half_combinations,
    metric_pairs,
)

ELEMENTS = 200_000_000
_LEAST_HALVES = 50
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class PboNull:
    """The distribution of PBO without skill, and the place of the observed value in it.

    Attributes:
        observed: the PBO that is judged.
        p_value: (1 + number of simulated values <= observed) / (1 + simulations).
        mean: of the simulated values; about 0.5.
        deviation: their standard deviation.
        lower, median, upper: their 5 %, 50 % and 95 % quantiles.
        kind: `independent` or `resampled`.
        combinations: how many each simulation evaluated.
        values: simulated PBOs, rising, shape (simulations,).
        losses: simulated probabilities of loss, rising, shape (simulations,).
    """

    observed: float
    p_value: float
    mean: float
    deviation: float
    lower: float
    median: float
    upper: float
    kind: Literal["independent", "resampled"]
    combinations: int
    values: Floats
    losses: Floats


def independent_null(
    observed: float,
    trials: int,
    rows: int,
    blocks: int = 16,
    *,
    simulations: int = 300,
    seed: int = 0,
) -> PboNull:
    """Return the null of PBO (Sharpe ratio) for *trials* independent trials.

    Args:
        observed: PBO to be judged, 0 to 1.
        trials: N, at least 2.
        rows: T, at least two per block; the remainder is left out.
        blocks: S as in the observed PBO.
        simulations: how many.
        seed: of the random numbers.

    Raises:
        InputError: a value out of its range.
    """
    _check(observed, blocks, simulations)
    whole(trials, "trials", 2)
    whole(rows, "rows", 2 * blocks)
    rng = np.random.default_rng(seed)
    each = rows // blocks

    def draw() -> Blocks:
        sums = rng.standard_normal((blocks, trials)) * np.sqrt(each)
        apart = rng.chisquare(each - 1, (blocks, trials))
        return Blocks(each, sums, apart + sums * sums / each)

    halves = _halves_within(blocks, trials, simulations)
    members = half_combinations(blocks)
    values = [_shares(draw(), members, halves, "sharpe", rng) for _ in range(simulations)]
    return _judge(observed, values, "independent", 2 * halves)


def resampled_null(
    observed: float,
    returns: ArrayLike,
    blocks: int = 16,
    metric: Metric = "sharpe",
    *,
    simulations: int = 200,
    seed: int = 0,
) -> PboNull:
    """Return the null of PBO for trials as alike as the observed ones.

    Args:
        observed: PBO of *returns*, 0 to 1.
        returns: simple returns per row, shape (T, N), as given for the observed PBO.
        blocks: S as in the observed PBO.
        metric: as in the observed PBO.
        simulations: how many.
        seed: of the random numbers.

    Raises:
        InputError: a value out of its range, or returns that are not finite.
    """
    _check(observed, blocks, simulations)
    panel = as_panel(returns, rows=2 * blocks, trials=2)
    panel = panel - panel.mean(axis=0)
    rng = np.random.default_rng(seed)
    rows, trials = panel.shape
    each = rows // blocks
    squared = panel * panel
    halves = _halves_within(blocks, trials, simulations)
    members = half_combinations(blocks)
    values: list[tuple[float, float]] = []
    while len(values) < simulations:
        size = min(_BATCH, simulations - len(values))
        drawn = _row_counts(rng, size * blocks, each, rows)
        shape = (size, blocks, trials)
        sums, squares = (drawn @ panel).reshape(shape), (drawn @ squared).reshape(shape)
        for one, other in zip(sums, squares, strict=True):
            values.append(_shares(Blocks(each, one, other), members, halves, metric, rng))
    return _judge(observed, values, "resampled", 2 * halves)


def _check(observed: float, blocks: int, simulations: int) -> None:
    in_range(observed, "observed PBO", 0.0, 1.0)
    check_blocks(blocks)
    whole(simulations, "simulations", 20)


def _halves_within(blocks: int, trials: int, simulations: int) -> int:
    every = comb(blocks, blocks // 2) // 2
    paid = ELEMENTS // (2 * trials * simulations)
    return min(every, max(_LEAST_HALVES, paid))


def _row_counts(rng: np.random.Generator, draws: int, each: int, rows: int) -> Floats:
    """Return how often each row is in each sample of *each* rows, shape (draws, rows)."""
    drawn = rng.integers(0, rows, (draws, each)) + rows * np.arange(draws)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=draws * rows)
    return counts.reshape(draws, rows).astype(np.float64)


def _shares(
    made: Blocks, members: Floats, halves: int, metric: Metric, rng: np.random.Generator
) -> tuple[float, float]:
    """Return PBO and the probability of loss."""
    if halves < len(members):
        members = members[np.sort(rng.choice(len(members), halves, replace=False))]
    trials = made.sums.shape[1]
    overfit = lost = 0
    if metric == "sharpe":
        rows = made.rows * (len(made.sums) // 2)
        overfit, lost = overfit_and_lost(members, made.sums, made.squares, rows, NO_VARIANCE)
        return overfit / (2 * len(members)), lost / (2 * len(members))
    for _, one, other in metric_pairs(made, members, metric):
        for inside, outside in ((one, other), (other, one)):
            _, ranks, _, reached = choose(inside, outside)
            overfit += int(np.count_nonzero(2.0 * ranks <= trials + 1))
            lost += int(np.count_nonzero(reached < 0.0))
    return overfit / (2 * len(members)), lost / (2 * len(members))


def _judge(
    observed: float,
    values: list[tuple[float, float]],
    kind: Literal["independent", "resampled"],
    evaluated: int,
) -> PboNull:
    made = np.sort(np.array([overfit for overfit, _ in values]))
    lower, median, upper = (float(q) for q in np.quantile(made, (0.05, 0.5, 0.95)))
    # The values are multiples of 1 / combinations: an allowance, so that equal counts as equal.
    reached = int(np.count_nonzero(made <= observed + 1e-12))
    return PboNull(
        observed=float(observed),
        p_value=(1 + reached) / (1 + len(made)),
        mean=float(made.mean()),
        deviation=float(made.std(ddof=1)),
        lower=lower,
        median=median,
        upper=upper,
        kind=kind,
        combinations=evaluated,
        values=made,
        losses=np.sort(np.array([lost for _, lost in values])),
    )
