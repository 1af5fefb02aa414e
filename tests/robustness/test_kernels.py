"""The compiled loops give what their plain definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from ftbt.robustness.benchmarks import _combinations, _without_overlap
from ftbt.robustness.kernels import count_rows, follow_blocks, overfit_and_lost
from ftbt.robustness.panel import NO_VARIANCE
from ftbt.robustness.pbo import half_combinations, probability_of_backtest_overfitting, sum_blocks


def test_blocks_run_on_and_wrap_around() -> None:
    """Each start takes the next drawn place, and after the last observation comes the first."""
    anywhere = np.array([[3, 0, 4, 9, 9]])
    starts = np.array([[True, False, True, False, True]])
    assert follow_blocks(anywhere, starts).tolist() == [[3, 4, 0, 1, 4]]
    assert follow_blocks(np.array([[4, 1]]), np.array([[True, False]])).tolist() == [[4, 0]]


def test_counts_are_those_of_each_row() -> None:
    """How often each number is in each row."""
    drawn = np.random.default_rng(1).integers(0, 6, (4, 6))
    wanted = [np.bincount(row, minlength=6).tolist() for row in drawn]
    assert count_rows(drawn).tolist() == wanted


@pytest.mark.parametrize("seed", range(4))
def test_shares_of_the_null_are_the_pbo_of_the_same_panel(seed: int) -> None:
    """The compiled count agrees with CSCV, with equal, flat and idle trials among the others."""
    random = np.random.default_rng(seed)
    panel = random.normal(0.0, 0.01, (96, 9))
    panel[:, 3] = panel[:, 1]
    panel[:, 4] = 0.0
    panel[:48, 5] = 0.0
    panel[:, 6] = np.round(panel[:, 6], 3)
    made = sum_blocks(panel, 8)
    member = half_combinations(8)
    overfit, lost = overfit_and_lost(member, made.sums, made.squares, made.rows * 4, NO_VARIANCE)
    found = probability_of_backtest_overfitting(panel, 8)
    splits = 2 * len(member)
    assert overfit / splits == pytest.approx(found.pbo, abs=1e-12)
    assert lost / splits == pytest.approx(found.probability_of_loss, abs=1e-12)


@pytest.mark.parametrize(("among", "count"), [(7, 2), (7, 5), (5, 5)])
def test_all_choices_are_alike(among: int, count: int) -> None:
    """Sparse or dense, each set of numbers is drawn equally often, and in rising order."""
    rows = 40_000
    drawn = _combinations(among, count, rows, np.random.default_rng(2))
    assert np.all(np.diff(drawn, axis=1) > 0)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = rows / len(counts)
    assert len(counts) == {(7, 2): 21, (7, 5): 21, (5, 5): 1}[among, count]
    assert ((counts - expected) ** 2 / expected).sum() <= 45.3  # chi-squared of 20, 0.1 %


def test_random_trades_lie_apart_and_inside() -> None:
    """Placed spans keep their order, never overlap and end by the last bar."""
    random = np.random.default_rng(3)
    spans = random.permuted(np.tile([3, 1, 7, 2], (500, 1)), axis=1)
    start = _without_overlap(spans, 20, random)
    ends = start + spans
    assert np.all(start[:, 0] >= 0)
    assert np.all(ends[:, -1] <= 20)
    assert np.all(start[:, 1:] >= ends[:, :-1])
    assert start[:, 0].min() == 0
    assert ends[:, -1].max() == 20
