"""Combinatorial purged cross-validation: not one out-of-sample history but a family of them.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7 (purging, embargo)
and chapter 12 (CPCV, figure 12.1).

The rows are cut into N groups in order of time. Each of the C(N, k) splits tests on k groups and
trains on the rest, less what is purged or under embargo. Every group is tested in C(N-1, k-1)
splits; taking one forecast of each group makes one path, a whole out-of-sample history. There are

    paths = k / N * C(N, k) = C(N-1, k-1)

For a search, "training" is the choice of the best trial. The spread of the paths' Sharpe ratios
shows how much one walk-forward result owes to its particular order of windows. Paths share data:
their spread is no standard error, and training groups may lie after the test. A walk-forward
has neither weakness; CPCV stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from ftbt.errors import InputError
from ftbt.robustness.checks import whole
from ftbt.robustness.panel import (
    Floats,
    Ints,
    as_panel,
    columns_per_chunk,
    first_best,
    sharpe_of,
    sharpe_of_sums,
)

MOST_SPLITS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Cpcv:
    """The stitched paths of a search under CPCV. Ratios are per row, not annual.

    Attributes:
        path_sharpe: Sharpe ratio of each path, shape (paths,).
        path_returns: returns of each path in order of time, shape (paths, rows).
        splits: tested groups of each split, shape (splits, k).
        path_of: path that each tested group of each split belongs to, shape (splits, k).
        chosen: trial chosen in each split, shape (splits,).
        train_sharpe: its ratio in training, shape (splits,).
        train_rows: rows left for training, shape (splits,).
        mean, deviation: of `path_sharpe`; the deviation is NaN for a single path.
        share_negative: share of paths with a negative ratio.
        distinct: how many different trials were chosen.
    """

    path_sharpe: Floats
    path_returns: Floats
    splits: Ints
    path_of: Ints
    chosen: Ints
    train_sharpe: Floats
    train_rows: Ints
    mean: float
    deviation: float
    share_negative: float
    distinct: int


def combinatorial_splits(groups: int, tested: int) -> Ints:
    """Return the tested groups of every split in lexicographic order, shape (C(N, k), k).

    Raises:
        InputError: *tested* not in 1 .. groups - 1, or more than 20,000 splits.
    """
    whole(groups, "groups", 2)
    if whole(tested, "tested groups", 1) >= groups:
        raise InputError(f"tested groups must be fewer than the {groups} groups, not {tested}")
    if comb(groups, tested) > MOST_SPLITS:
        raise InputError(
            f"{tested} of {groups} groups make {comb(groups, tested):,} splits; the most is"
            f" {MOST_SPLITS:,}: take fewer groups"
        )
    return np.array(list(combinations(range(groups), tested)), dtype=np.int64)


def path_matrix(splits: Ints) -> Ints:
    """Return which path each tested group of each split belongs to, shape (splits, k).

    The j-th split that tests a group gives it to path j (AFML figure 12.1).

    Args:
        splits: tested groups of each split, shape (splits, k).
    """
    seen = np.zeros(int(splits.max()) + 1, dtype=np.int64)
    path = np.zeros_like(splits)
    for row, tested in enumerate(splits):
        path[row] = seen[tested]
        seen[tested] += 1
    return path


def group_edges(rows: int, groups: int) -> Ints:
    """Return where groups begin and end, shape (groups + 1,); the first ones take what is over.

    Raises:
        InputError: fewer rows than groups.
    """
    if rows < groups:
        raise InputError(f"{rows} rows cannot be cut into {groups} groups")
    sizes = np.full(groups, rows // groups, dtype=np.int64)
    sizes[: rows % groups] += 1
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))


def purged_training(start: ArrayLike, end: ArrayLike, tested: ArrayLike, embargo: int = 0) -> Ints:
    """Return the observations that may be trained on, rising.

    Dropped are the tested observations; those whose label span touches that of a test block (both
    ends count); and, of the observations that begin after a block's last label has ended, the
    first *embargo* ones. A test block is an unbroken run of tested observations.

    Args:
        start: when each label begins (bar number or ms UTC), not falling, shape (n,).
        end: when each label is settled, not before its start, shape (n,).
        tested: True for observations of the test set, shape (n,).
        embargo: observations, h in AFML 7.4.2 (there about 1 % of n).

    Raises:
        InputError: shapes that differ, a label that ends before it begins, times out of order.
    """
    begins, ends = np.asarray(start, dtype=np.int64), np.asarray(end, dtype=np.int64)
    test = np.asarray(tested, dtype=np.bool_)
    if not begins.shape == ends.shape == test.shape or begins.ndim != 1:
        raise InputError(
            f"start, end and tested must be series of equal length, not of shapes {begins.shape},"
            f" {ends.shape} and {test.shape}"
        )
    whole(embargo, "embargo", 0)
    if len(begins) and (np.any(ends < begins) or np.any(np.diff(begins) < 0)):
        raise InputError("labels must begin in order of time and end no earlier than they begin")
    keep = ~test
    for first, stop in _runs(test):
        settled = int(ends[first:stop].max())
        keep &= (ends < begins[first]) | (begins > settled)
        after = int(np.searchsorted(begins, settled, side="right"))
        keep[after : after + embargo] = False
    return np.flatnonzero(keep)


def _runs(flags: ArrayLike) -> list[tuple[int, int]]:
    """Return (first, stop) of each unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(flags, np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def cpcv_paths(
    returns: ArrayLike, groups: int = 10, tested: int = 2, *, purge: int = 1, embargo: int = 0
) -> Cpcv:
    """Return the paths of "take the trial with the best training Sharpe ratio".

    For each split the trial with the highest Sharpe ratio over the purged training rows is chosen
    (the first of equal ones; 0 without variance) and its returns in the tested groups are kept.

    Args:
        returns: simple returns per row of all trials, shape (rows, trials).
        groups: N; each needs at least two rows.
        tested: k groups per split.
        purge: rows that the outcome of a row reaches forward: the longest holding time in rows,
            rounded up. Row t is taken as a label over [t, t + purge].
        embargo: further rows dropped after each test block.

    Raises:
        InputError: values out of range, returns that are not finite, or a split without at least
            two training rows.
    """
    splits = combinatorial_splits(groups, tested)
    panel = as_panel(returns, rows=2 * groups)
    whole(purge, "purge", 0)
    edges = group_edges(len(panel), groups)
    training = _training(splits, edges, purge, embargo)
    chosen, ratios = _choose(panel, training)
    path_of = path_matrix(splits)
    paths = _stitch(panel, splits, path_of, chosen, edges)
    sharpe = sharpe_of(np.ascontiguousarray(paths.T))
    return Cpcv(
        path_sharpe=sharpe,
        path_returns=paths,
        splits=splits,
        path_of=path_of,
        chosen=chosen,
        train_sharpe=ratios,
        train_rows=training.sum(axis=1).astype(np.int64),
        mean=float(sharpe.mean()),
        deviation=float(sharpe.std(ddof=1)) if len(sharpe) > 1 else np.nan,
        share_negative=float((sharpe < 0.0).mean()),
        distinct=len(np.unique(chosen)),
    )


def _training(splits: Ints, edges: Ints, purge: int, embargo: int) -> Floats:
    """Return 1 for every training row of every split, shape (splits, rows)."""
    rows = int(edges[-1])
    place = np.arange(rows)
    group = np.searchsorted(edges, place, side="right") - 1
    member = np.zeros((len(splits), rows))
    for row, tested in enumerate(splits):
        kept = purged_training(place, place + purge, np.isin(group, tested), embargo)
        if len(kept) < 2:
            raise InputError(
                f"testing groups {', '.join(map(str, tested))} leaves {len(kept)} rows to train"
                f" on with purge={purge} and embargo={embargo}: take smaller ones or fewer groups"
            )
        member[row, kept] = 1.0
    return member


def _choose(panel: Floats, training: Floats) -> tuple[Ints, Floats]:
    """Return the best trial of each split and its ratio, each shape (splits,)."""
    count = training.sum(axis=1)[:, None]
    ratios = np.empty((len(training), panel.shape[1]))
    step = columns_per_chunk(len(panel))
    for first in range(0, panel.shape[1], step):
        part = panel[:, first : first + step]
        sums, squares = training @ part, training @ (part * part)
        ratios[:, first : first + step] = sharpe_of_sums(count, sums, squares)
    chosen = first_best(ratios)
    return chosen, ratios[np.arange(len(chosen)), chosen]


def _stitch(panel: Floats, splits: Ints, path_of: Ints, chosen: Ints, edges: Ints) -> Floats:
    paths = np.empty((int(path_of.max()) + 1, len(panel)))
    for tested, ids, trial in zip(splits, path_of, chosen, strict=True):
        for group, path in zip(tested, ids, strict=True):
            span = slice(int(edges[group]), int(edges[group + 1]))
            paths[path, span] = panel[span, trial]
    return paths
