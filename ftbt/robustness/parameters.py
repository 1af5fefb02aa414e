"""Is the chosen parameter set a plateau or a peak, and what does the whole scan earn?

Everything is read from the trials that were made anyway; nothing is run again. A table has one row
per trial and one column per parameter, as numbers (a choice by its position, true as 1), shape
(trials, parameters), and a metric per trial, higher is better, NaN for a failed trial.

A guided search looks more often where it found something: shares and medians over its trials are
those of its own sample, not of the ranges, and look better than those of an even scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ftbt.errors import InputError
from ftbt.robustness.checks import in_range, whole
from ftbt.robustness.panel import Flags, Floats, Ints

RINGS = (0.10, 0.15, 0.20)
LEAST_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Plateau:
    """How the neighbours of the chosen parameters do.

    Attributes:
        share: share of neighbours that reach *fraction* of the chosen metric; NaN when there are
            fewer than the least number of neighbours, or the chosen metric is not above 0.
        neighbours: row numbers of the neighbours, rising, the chosen one not among them.
        reach: the ring that was used: neighbours differ by at most this fraction of each value.
        fraction: of the chosen metric that counts as holding up.
        chosen: metric of the chosen trial.
        median: of the neighbours' metrics, NaN without any.
        worst: lowest of them, NaN without any.
    """

    share: float
    neighbours: Ints
    reach: float
    fraction: float
    chosen: float
    median: float
    worst: float


@dataclass(frozen=True, slots=True, eq=False)
class PermutedSystem:
    """System parameter permutation: what the scan as a whole earns.

    Attributes:
        median: of all trials; the estimate without selection bias.
        mean: of all trials.
        lower, first_quartile, third_quartile, upper: 5, 25, 75 and 95 % quantiles.
        best: highest of all.
        share_positive: share of trials above 0.
        chosen: metric of the chosen trial.
        percentile: share of trials at or below it, 0 to 1.
        median_to_best: median / best (Ehlers: 0.75 and more is broad); NaN unless best > 0.
        trials: how many have a metric.
        failed: how many have none.
        values: metrics of all trials, rising, shape (trials,).
    """

    median: float
    mean: float
    lower: float
    first_quartile: float
    third_quartile: float
    upper: float
    best: float
    share_positive: float
    chosen: float
    percentile: float
    median_to_best: float
    trials: int
    failed: int
    values: Floats


def plateau_share(
    table: ArrayLike,
    metric: ArrayLike,
    chosen: int,
    *,
    steps: ArrayLike | None = None,
    categorical: Sequence[bool] | None = None,
    rings: Sequence[float] = RINGS,
    fraction: float = 0.8,
    least: int = LEAST_NEIGHBOURS,
) -> Plateau:
    """Return the share of neighbouring trials that do nearly as well as the chosen one.

    A trial is a neighbour when *every* parameter differs from the chosen value by at most a
    fraction of it: the first ring in which there are *least* neighbours is used, the widest one
    when there are never enough. A parameter may always differ by one of its steps (20 % of a swing
    of 3 bars would otherwise be nothing), a categorical one not at all.

    Rules of thumb only, there is no theory: a share of 0.6 and more is called a plateau here.

    Args:
        table: parameters, shape (trials, parameters).
        metric: per trial, NaN for failed ones, shape (trials,).
        chosen: row of the chosen trial.
        steps: smallest step of each parameter, 0 for continuous ones, shape (parameters,).
        categorical: True for parameters whose numbers have no order.
        rings: fractions of the chosen value, rising.
        fraction: of the chosen metric that a neighbour must reach.
        least: fewest neighbours that can be judged.

    Raises:
        InputError: shapes that do not match, or values out of range.
    """
    points, values = _checked(table, metric)
    _check_chosen(chosen, values)
    in_range(fraction, "fraction", 0.0, 1.0)
    whole(least, "least neighbours", 1)
    if not len(rings) or np.any(np.diff(rings) <= 0.0) or rings[0] <= 0.0:
        raise InputError(f"rings must be fractions above 0 in rising order, not {tuple(rings)}")
    width = points.shape[1]
    step = _per_parameter(np.zeros(width) if steps is None else steps, width, "steps")
    fixed = np.zeros(width) if categorical is None else categorical
    words = _per_parameter(fixed, width, "categorical") != 0.0
    reach, near = rings[-1], np.zeros(0, np.int64)
    for reach in rings:
        near = _within(points, chosen, reach, step, words, np.isfinite(values))
        if len(near) >= least:
            break
    return _plateau(values, chosen, near, reach, fraction, least)


def _within(
    points: Floats, chosen: int, reach: float, step: Floats, words: Flags, known: Flags
) -> Ints:
    own = points[chosen]
    # An allowance, so that 0.30 is within 20 % of 0.25 as it is on paper.
    limit = np.maximum(reach * np.abs(own), step) * (1.0 + 1e-9)
    limit[words] = 0.0
    inside = np.all(np.abs(points - own) <= limit, axis=1) & known
    inside[chosen] = False
    return np.flatnonzero(inside)


def _plateau(
    values: Floats, chosen: int, near: Ints, reach: float, fraction: float, least: int
) -> Plateau:
    own, theirs = float(values[chosen]), values[near]
    judged = len(near) >= least and own > 0.0
    return Plateau(
        share=float((theirs >= fraction * own).mean()) if judged else np.nan,
        neighbours=near,
        reach=float(reach),
        fraction=float(fraction),
        chosen=own,
        median=float(np.median(theirs)) if len(near) else np.nan,
        worst=float(theirs.min()) if len(near) else np.nan,
    )


def system_parameter_permutation(metric: ArrayLike, chosen: int) -> PermutedSystem:
    """Return the distribution of the metric over all trials and the chosen one's place in it.

    The best of many trials is biased upwards, the median is not; it is what the *idea* earned over
    the scanned ranges. It depends on ranges that were fixed beforehand.

    Source: Walton, Know Your System! Turning Data Mining from Bias to Benefit through System
    Parameter Permutation (NAAIM Wagner award, 2014).

    Args:
        metric: per trial, NaN for failed ones, shape (trials,).
        chosen: row of the chosen trial.

    Raises:
        InputError: no trial with a metric, or a chosen one without.
    """
    values = np.asarray(metric, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"metric must be one number per trial, not of shape {values.shape}")
    _check_chosen(chosen, values)
    made = np.sort(values[np.isfinite(values)])
    lower, first, median, third, upper = (
        float(q) for q in np.quantile(made, (0.05, 0.25, 0.5, 0.75, 0.95))
    )
    best, own = float(made[-1]), float(values[chosen])
    return PermutedSystem(
        median=median,
        mean=float(made.mean()),
        lower=lower,
        first_quartile=first,
        third_quartile=third,
        upper=upper,
        best=best,
        share_positive=float((made > 0.0).mean()),
        chosen=own,
        percentile=float((made <= own).mean()),
        median_to_best=median / best if best > 0.0 else np.nan,
        trials=len(made),
        failed=len(values) - len(made),
        values=made,
    )


def _checked(table: ArrayLike, metric: ArrayLike) -> tuple[Floats, Floats]:
    points, values = np.asarray(table, np.float64), np.asarray(metric, np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise InputError(f"the table must have the shape (trials, parameters), not {points.shape}")
    if values.shape != (len(points),):
        raise InputError(
            f"{len(points)} trials need one metric each, but the metric has shape {values.shape}"
        )
    if not np.all(np.isfinite(points)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(points))[0])
        raise InputError(f"trial {row}, parameter {column} is {points[row, column]}, not a number")
    return points, values


def _check_chosen(chosen: int, values: Floats) -> None:
    if not 0 <= whole(chosen, "chosen trial", 0) < len(values):
        raise InputError(f"chosen trial must be 0 to {len(values) - 1}, not {chosen}")
    if not np.isfinite(values[chosen]):
        raise InputError(f"the chosen trial {chosen} has no metric ({values[chosen]})")


def _per_parameter(given: ArrayLike, width: int, what: str) -> Floats:
    made = np.asarray(given, dtype=np.float64)
    if made.shape != (width,) or not np.all(made >= 0.0):
        raise InputError(f"{what} must be {width} values of 0 or more, one per parameter")
    return made
