"""Parts of the assessment by themselves: the in-sample record, luck, looks, blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ftbt.robustness import gates as gates_module
from ftbt.robustness.deflated import expected_maximum
from ftbt.robustness.effective import effective_trials
from ftbt.robustness.of_run import Search
from ftbt.robustness.overfitting import apart, blocks_for, overfitting
from ftbt.robustness.selection import (
    counted_searches,
    in_sample_record,
    looks_of,
)
from ftbt.robustness.thresholds import Thresholds

DAY = 86_400_000


# The parts, by themselves.


def searches(
    seed: int, windows: int, edge: float, trials: int = 12, step: int = 60, train: int = 120
) -> tuple[list[Search], dict[int, tuple[int, int]]]:
    """Return searches of a walk-forward over one history of alike trials with an annual ratio."""
    rng = np.random.default_rng(seed)
    days = train + step * windows
    noise = 0.8 * rng.normal(size=(days, 1)) + 0.6 * rng.normal(size=(days, trials))
    returns = 0.01 * (noise + edge / math.sqrt(365))
    made, spans = [], {}
    for window in range(windows):
        first = window * step
        part = np.ascontiguousarray(returns[first : first + train])
        chosen = int(np.argmax(part.mean(axis=0) / part.std(axis=0)))
        day = np.arange(first, first + train) * DAY
        made.append(Search(window, "x", day, part, np.arange(trials), chosen))
        spans[window] = (first * DAY, (first + train) * DAY)
    return made, spans


def test_the_in_sample_record_has_each_day_once() -> None:
    """All days of the first training, then the new days of each next one; luck as promised."""
    made, _ = searches(1, 4, 0.0)
    counted = counted_searches(made)
    returns, luck = in_sample_record(counted)

    assert len(returns) == 120 + 3 * 60
    np.testing.assert_array_equal(returns[:120], made[0].returns[:, made[0].chosen])
    np.testing.assert_array_equal(returns[-60:], made[3].returns[-60:, made[3].chosen])
    promised = []
    for one, days in zip(counted, (120, 60, 60, 60), strict=True):
        own = one.search.returns[:, one.search.chosen]
        ratios = one.search.returns.mean(axis=0) / one.search.returns.std(axis=0, ddof=1)
        high = effective_trials(one.search.returns).high
        promised += [ratios.std(ddof=1) * expected_maximum(high) * own.std(ddof=1)] * days
    assert luck == pytest.approx(np.mean(promised))


def test_variance_beyond_sampling_is_no_luck() -> None:
    """Trials that truly differ don't raise the hurdle above that of independent lucky ones."""
    (one,), _ = searches(2, 1, 0.0)
    spread = np.linspace(-0.02, 0.02, one.returns.shape[1])
    (wide,) = counted_searches([replace_returns(one, one.returns + spread)])

    assert wide.scatter > 10.0
    assert wide.luck == pytest.approx(expected_maximum(wide.effective.high) / math.sqrt(120))


def replace_returns(one: Search, returns: Any) -> Search:
    """Return a search with other returns."""
    return Search(one.window, one.strategy, one.day, returns, one.trials, one.chosen)


def test_looks_between_one_and_all() -> None:
    """One record; earlier trials in proportion; each of them on its own."""
    made, _ = searches(3, 2, 0.0)
    counted = counted_searches(made)
    worth = sum(one.effective.central for one in counted) / 24

    assert looks_of(0, counted) == (1.0, 1.0, 1.0)
    assert looks_of(1_000, counted) == (1.0, pytest.approx(1.0 + 1_000 * worth), 1_001.0)
    assert looks_of(10, []) == (1.0, 11.0, 11.0)


def test_trainings_apart_do_not_share_a_day() -> None:
    """Greedy by the end of the training: 120 days every 60 leaves every second window."""
    _, spans = searches(4, 6, 0.0)

    assert apart(spans, range(6)) == [0, 2, 4]
    assert apart({0: (0, 5), 1: (0, 9), 2: (0, 12)}, [0, 1, 2]) == [0]


@pytest.mark.parametrize(("rows", "blocks"), [(19, 0), (20, 4), (29, 4), (30, 6), (500, 12)])
def test_blocks_hold_five_days_at_least(rows: int, blocks: int) -> None:
    """An even number of blocks, none shorter than five days, twelve at most."""
    assert blocks_for(rows) == blocks


def test_alike_trials_with_an_edge_pass_the_search_gate() -> None:
    """PBO is a coin toss where parameters hardly matter; what was chosen still earned elsewhere."""
    found = overfitting(*searches(5, 5, 3.0), 1)
    assert found is not None

    assert found.pbo > 0.3
    assert found.loss_p_value <= 0.05
    assert gates_module._overfit_outcome(found, Thresholds()) == "pass"


def test_alike_trials_without_an_edge_rarely_pass_the_search_gate() -> None:
    """At most about one history in five passes H3 without skill, as its threshold says."""
    passed = 0
    for seed in range(9):
        found = overfitting(*searches(100 + seed, 2, 0.0, trials=6), seed)
        assert found is not None
        passed += gates_module._overfit_outcome(found, Thresholds()) == "pass"

    assert passed <= 5  # P(more) = 0.3 % for 9 draws at 20 %
