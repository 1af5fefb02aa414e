"""How much of the metric's variance each parameter explains, estimated from the trials themselves.

The evaluator is named wherever its figures are shown, because evaluators answer different
questions and contradict each other: this one asks what moves the metric *over everything that was
tried*, not what matters near the top.

* First order, S_i = Var(E[Y | X_i]) / Var(Y): what parameter i explains alone. Trials are sorted
  by X_i into groups (each value its own group when there are few values); the variance between
  groups, corrected for chance, is divided by the whole: 1 - (within / (n - k)) / (all / (n - 1)).
* Total, T_i = E[Var(Y | all but X_i)] / Var(Y): what would be left to chance if all but i were
  fixed, interactions with others included. Each trial is paired with its nearest in all parameters
  but i; half the mean squared difference of the two metrics estimates the variance.

Sources: Sobol, Sensitivity Estimates for Nonlinear Mathematical Models, MMCE 1 (1993); Homma and
Saltelli, Reliability Engineering and System Safety 52 (1996), for the total; Plischke, Borgonovo
and Smith, European J. Operational Research 226 (2013), for estimates from given data; Broto,
Bachoc and Depecker, SIAM/ASA J. Uncertainty Quantification 8 (2020), for nearest neighbours.

Limits. The shares are those of the distribution that the search sampled; a guided search crowds
around good regions and makes its parameters depend on each other, then shares of first order
overlap. With many parameters and few trials the nearest trial is not near: totals are too high for
all of them. `floor` shows how bad it is: what is left between trials that are nearest in *all*
parameters. A total not clearly above the floor means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from ftbt.errors import InputError
from ftbt.robustness.panel import Flags, Floats, Ints

EVALUATOR = "variance shares from given data (binned first order, nearest-neighbour total)"

LEAST_TRIALS = 30
_MOST_GROUPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Shares of the metric's variance.

    Attributes:
        names: of the parameters, in the order of the table.
        first: share that each parameter explains alone, 0 to 1, shape (parameters,).
        total: share with all its interactions, 0 and more, shape (parameters,).
        floor: share left between trials that are nearest in all parameters.
        trials: how many were used.
        evaluator: name of the method, to be printed beside the figures.
    """

    names: tuple[str, ...]
    first: Floats
    total: Floats
    floor: float
    trials: int
    evaluator: str = EVALUATOR


def parameter_importance(
    table: ArrayLike,
    metric: ArrayLike,
    names: Sequence[str],
    categorical: Sequence[bool] | None = None,
) -> Importance:
    """Return the variance shares of all parameters.

    Args:
        table: one row per trial, parameters as numbers, shape (trials, parameters).
        metric: per trial; trials with NaN are left out, shape (trials,).
        names: of the parameters.
        categorical: True for parameters whose numbers have no order.

    Raises:
        InputError: shapes that do not match, fewer than 30 trials with a metric, or a metric that
            is the same everywhere.
    """
    points, values = np.asarray(table, np.float64), np.asarray(metric, np.float64)
    if points.ndim != 2 or points.shape != (len(values), len(names)) or values.ndim != 1:
        raise InputError(
            f"the table must have one row per metric and one column per name, shape"
            f" ({len(values)}, {len(names)}), not {points.shape}"
        )
    known = np.isfinite(values) & np.all(np.isfinite(points), axis=1)
    points, values = points[known], values[known]
    if len(values) < LEAST_TRIALS:
        raise InputError(
            f"importance: {len(values)} trials with a metric are too few; at least"
            f" {LEAST_TRIALS} are needed"
        )
    if not float(np.ptp(values)) > 0.0:
        raise InputError(f"importance: the metric is {values[0]:g} in all trials; nothing varies")
    words = np.zeros(len(names), np.bool_) if categorical is None else np.array(categorical, bool)
    if words.shape != (len(names),):
        raise InputError(f"categorical must have {len(names)} values, not {words.shape}")
    columns = [_coordinates(points[:, i], bool(words[i])) for i in range(len(names))]
    every = range(len(columns))
    total = [
        _unexplained([columns[j] for j in every if j != i], values) if len(columns) > 1 else 1.0
        for i in every
    ]
    return Importance(
        names=tuple(names),
        first=np.array([first_order(points[:, i], values, bool(words[i])) for i in every]),
        total=np.array(total),
        floor=_unexplained(columns, values),
        trials=len(values),
    )


def first_order(parameter: Floats, metric: Floats, categorical: bool = False) -> float:
    """Return the share of the variance of *metric* between groups of *parameter*, 0 to 1.

    Args:
        parameter: its value per trial, shape (n,).
        metric: per trial, not all the same, shape (n,).
        categorical: every value is its own group.
    """
    group = _groups(parameter, categorical)
    size = np.bincount(group)
    n, groups = len(metric), len(size)
    if groups in (1, n):
        return 0.0
    apart = metric - metric.mean()
    between = float((np.bincount(group, apart) ** 2 / size).sum())
    whole = float(apart @ apart)
    left = (whole - between) / (n - groups) / (whole / (n - 1))
    return min(1.0, max(0.0, 1.0 - left))


def _groups(parameter: Floats, categorical: bool) -> Ints:
    """Return the group of each trial, 0 upwards without gaps, shape (n,)."""
    most = max(2, min(_MOST_GROUPS, round(np.sqrt(len(parameter)) / 2)))
    distinct, place = np.unique(parameter, return_inverse=True)
    if categorical or len(distinct) <= most:
        return np.asarray(place, dtype=np.int64)
    # Equal values have equal ranks, hence one group; a group may then be missing.
    rank: Ints = np.asarray(rankdata(parameter, method="min"), dtype=np.int64) - 1
    _, group = np.unique(rank * most // len(parameter), return_inverse=True)
    return np.asarray(group, dtype=np.int64)


def _coordinates(parameter: Floats, categorical: bool) -> Floats:
    """Return the parameter as coordinates: ranks in 0 .. 1, or words a whole range apart."""
    if not categorical:
        rank: Floats = rankdata(parameter).astype(np.float64)
        return ((rank - 0.5) / len(parameter))[:, None]
    member: Flags = parameter[:, None] == np.unique(parameter)
    return np.asarray(member / np.sqrt(2.0), dtype=np.float64)


def _unexplained(columns: Sequence[Floats], metric: Floats) -> float:
    """Return half the mean squared difference of nearest pairs / the variance of *metric*."""
    space = np.hstack(columns)
    # Equally near trials are taken at random, not in the order in which the search made them.
    space = space + np.random.default_rng(0).uniform(0.0, 1e-9, space.shape)
    nearest = np.asarray(cKDTree(space).query(space, k=2)[1], dtype=np.int64)
    apart = metric - metric[nearest[:, 1]]
    return float(0.5 * np.mean(apart * apart) / metric.var(ddof=1))
