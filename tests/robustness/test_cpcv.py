"""Combinatorial purged cross-validation: splits, paths, purging, and what paths tell."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.errors import InputError
from ftbt.robustness.cpcv import (
    combinatorial_splits,
    cpcv_paths,
    group_edges,
    path_matrix,
    purged_training,
)

# AFML figure 12.1: path of both tested groups of S1 .. S15.
FIGURE_12_1 = [
    *([0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [1, 1], [2, 1], [3, 1], [4, 1]),
    *([2, 2], [3, 2], [4, 2], [3, 3], [4, 3], [4, 4]),
]


@pytest.mark.parametrize(
    ("groups", "tested", "splits", "paths"),
    [
        *((6, 2, 15, 5), (10, 2, 45, 9), (10, 8, 45, 36)),
        *((5, 2, 10, 4), (3, 2, 3, 2), (12, 4, 495, 165)),
    ],
)
def test_number_of_splits_and_paths(groups, tested, splits, paths):
    """C(N, k) splits make k/N C(N, k) paths ([P] AFML, [R] skfolio)."""
    made = combinatorial_splits(groups, tested)

    assert made.shape == (splits, tested)
    assert path_matrix(made).max() + 1 == paths == comb(groups - 1, tested - 1)


def test_path_matrix_of_the_book():
    """Six groups, two tested: the paths of figure 12.1 ([P] AFML, [R] skfolio)."""
    assert path_matrix(combinatorial_splits(6, 2)).tolist() == FIGURE_12_1


@pytest.mark.parametrize(
    ("groups", "tested", "purge", "embargo"),
    [(6, 2, 0, 0), (3, 2, 1, 1), (5, 2, 2, 3), (8, 3, 1, 0)],
)
def test_skfolio_agrees(groups, tested, purge, embargo):
    """The splitter of skfolio numbers the paths alike and trains on the same rows."""
    model_selection = pytest.importorskip("skfolio.model_selection")
    theirs = model_selection.CombinatorialPurgedCV(
        n_folds=groups, n_test_folds=tested, purged_size=purge, embargo_size=embargo
    )
    rows = 12 * groups
    place = np.arange(rows)
    splits = combinatorial_splits(groups, tested)

    np.testing.assert_array_equal(path_matrix(splits), theirs.get_path_ids())
    for ours, (train, _) in zip(splits, theirs.split(np.zeros((rows, 1))), strict=True):
        kept = purged_training(place, place + purge, np.isin(place // 12, ours), embargo)
        np.testing.assert_array_equal(kept, train)


@settings(deadline=None, max_examples=30)
@given(groups=st.integers(2, 9), data=st.data())
def test_every_path_is_a_whole_history(groups, data):
    """Each path takes every group exactly once, each from another split or together."""
    tested = data.draw(st.integers(1, groups - 1))
    splits = combinatorial_splits(groups, tested)
    paths = path_matrix(splits)

    for path in range(int(paths.max()) + 1):
        assert sorted(splits[paths == path]) == list(range(groups))


def test_groups_are_equal_but_for_the_rest():
    """The first groups take the rows that are over; fewer rows than groups are refused."""
    assert group_edges(14, 4).tolist() == [0, 4, 8, 11, 14]
    with pytest.raises(InputError, match="3 rows cannot be cut into 4 groups"):
        group_edges(3, 4)


@pytest.mark.parametrize(
    ("rows", "tested", "horizon", "embargo", "left"),
    [
        (12, range(4, 8), 1, 1, [0, 1, 2, 10, 11]),
        (20, range(8, 12), 2, 2, [0, 1, 2, 3, 4, 5, 16, 17, 18, 19]),
        (12, range(8), 1, 1, [10, 11]),
        (12, [0, 1, 2, 3, 8, 9, 10, 11], 1, 1, [6]),
        (12, range(4, 12), 1, 1, [0, 1, 2]),
        (12, range(4, 8), 0, 0, [0, 1, 2, 3, 8, 9, 10, 11]),
        (12, range(8, 12), 3, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_purge_and_embargo_golden_sets(rows, tested, horizon, embargo, left):
    """Training sets counted by hand ([X]) and those of skfolio with three folds ([R])."""
    place = np.arange(rows)
    kept = purged_training(place, place + horizon, np.isin(place, list(tested)), embargo)

    assert kept.tolist() == left


def test_long_labels_reach_over_a_whole_block():
    """A label that begins before and ends after a test block is purged, whatever its row."""
    start, end = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 9, 2, 3, 4, 5])
    tested = np.array([False, False, False, True, False, False])

    assert purged_training(start, end, tested).tolist() == [0, 2, 4, 5]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_purged_training_by_brute_force(data):
    """No kept label touches a tested one, and everything else outside the embargo is kept."""
    n = data.draw(st.integers(2, 25))
    start = np.sort(data.draw(st.lists(st.integers(0, 30), min_size=n, max_size=n)))
    length = data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    tested = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    end = start + np.array(length)
    kept = set(purged_training(start, end, tested).tolist())

    # A block's span reaches from its first beginning to its last end.
    blocks, i = [], 0
    while i < n:
        if tested[i]:
            j = i
            while j < n and tested[j]:
                j += 1
            blocks.append((start[i], end[i:j].max()))
            i = j
        else:
            i += 1
    for i in range(n):
        touches = any(start[i] <= last and end[i] >= first for first, last in blocks)
        assert (i in kept) == (not tested[i] and not touches)


def test_paths_are_the_chosen_trials_own_returns():
    """Each piece of each path is the return of the trial that its split chose, nothing else."""
    rng = np.random.default_rng(0)
    panel = rng.standard_normal((120, 7)) * 0.01
    made = cpcv_paths(panel, 6, 2, purge=2, embargo=1)
    place, edges = np.arange(120), group_edges(120, 6)
    group = np.searchsorted(edges, place, side="right") - 1

    for row, tested in enumerate(made.splits):
        kept = purged_training(place, place + 2, np.isin(group, tested), 1)
        train = panel[kept]
        ratio = train.mean(axis=0) / train.std(axis=0, ddof=1)
        assert made.chosen[row] == np.argmax(ratio)
        assert made.train_sharpe[row] == pytest.approx(ratio.max())
        assert made.train_rows[row] == len(kept)
        for which, path in zip(tested, made.path_of[row], strict=True):
            inside = group == which
            np.testing.assert_array_equal(
                made.path_returns[path, inside], panel[inside, made.chosen[row]]
            )
    np.testing.assert_allclose(
        made.path_sharpe, made.path_returns.mean(axis=1) / made.path_returns.std(axis=1, ddof=1)
    )


def test_paths_of_skill_and_of_luck():
    """A planted edge survives on every path; of noise a good part of the paths loses."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((900, 50))
    edge = noise.copy()
    edge[:, 17] += 0.2
    lucky, skilled = cpcv_paths(noise), cpcv_paths(edge)

    assert skilled.path_sharpe.shape == (9,)
    assert set(skilled.chosen) == {17}
    assert skilled.distinct == 1
    assert skilled.path_sharpe.min() > 0.1
    np.testing.assert_allclose(skilled.path_sharpe, skilled.path_sharpe[0])
    assert lucky.distinct > 1
    assert lucky.mean < 0.05
    # The choice was made in training: there it looks good even for noise.
    assert lucky.train_sharpe.mean() > lucky.mean + 0.05


def test_one_path_when_one_group_is_tested():
    """One tested group is ordinary cross-validation: a single path and no spread."""
    made = cpcv_paths(np.random.default_rng(2).standard_normal((60, 3)), 5, 1)

    assert made.path_returns.shape == (1, 60)
    assert np.isnan(made.deviation)


def test_what_cpcv_refuses():
    """Impossible groups, purges that leave nothing and bad labels are refused with a reason."""
    panel = np.random.default_rng(3).standard_normal((40, 3))
    with pytest.raises(InputError, match="fewer than the 5 groups"):
        cpcv_paths(panel, 5, 5)
    with pytest.raises(InputError, match="leaves 0 rows to train"):
        cpcv_paths(panel, 4, 3, purge=20)
    with pytest.raises(InputError, match="at least 20 rows"):
        cpcv_paths(panel[:12], 10, 2)
    with pytest.raises(InputError, match="splits; the most is"):
        combinatorial_splits(40, 20)
    with pytest.raises(InputError, match="no earlier than they begin"):
        purged_training([1, 2], [0, 3], [True, False])
    with pytest.raises(InputError, match="equal length"):
        purged_training([1, 2], [2, 3], [True])
