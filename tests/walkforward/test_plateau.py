"""The choice of a trial."""

from __future__ import annotations

import numpy as np
import pytest

from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.walkforward.plateau import (
    RADIUS,
    Candidate,
    Chosen,
    distances,
    select_best,
    select_plateau,
)

LINE: dict[str, Range] = {"x": Int(0, 100)}


def on_line(values: dict[int, float], **more: bool) -> list[Candidate]:
    """Return candidates at whole numbers of one parameter, numbered in order."""
    return [Candidate(i, {"x": x}, value, **more) for i, (x, value) in enumerate(values.items())]


def test_best_is_the_highest_value() -> None:
    """And the earliest of equal ones."""
    assert select_best(on_line({1: 1.0, 2: 3.0, 3: 3.0})) == Chosen(1, 3.0, plateau=False)


def test_a_lonely_peak_loses_to_a_plateau() -> None:
    """The peak at 90 stands among low neighbours; the middle of the plateau is taken."""
    peak = {86: 0.0, 88: 0.0, 90: 9.0, 92: 0.0, 94: 0.0}
    plateau = {6: 2.0, 8: 2.1, 10: 2.2, 12: 2.1, 14: 2.0}
    chosen = select_plateau(on_line(peak | plateau), LINE)

    assert select_best(on_line(peak | plateau)) == Chosen(2, 9.0, plateau=False)
    assert chosen is not None
    assert chosen.plateau
    # The medians of 8, 10 and 12 are equal or lower than that of 10; ties go to the higher value.
    assert chosen == Chosen(7, 2.1, plateau=True)


def test_a_median_is_that_of_the_nearest_within_the_radius() -> None:
    """Four neighbours at most, none beyond a quarter of the range."""
    near = {50: 5.0, 51: 1.0, 52: 2.0, 53: 3.0, 54: 4.0, 55: -9.0, 76: -9.0}
    chosen = select_plateau(on_line(near), LINE)

    # Around 50: 51, 52, 53, 54 and itself: median 3. Nobody has a higher one.
    assert chosen == Chosen(0, 3.0, plateau=True)


def test_without_neighbours_the_best_is_taken_and_it_says_so() -> None:
    """One neighbour is no plateau: a median of two would be an average of luck."""
    assert select_plateau(on_line({0: 1.0, 20: 2.0, 60: 3.0}), LINE) == Chosen(
        2, 3.0, plateau=False
    )


def test_nothing_eligible_is_nothing_chosen() -> None:
    """Trials with too few trades are neighbours, but never the choice."""
    candidates = on_line({1: 1.0, 2: 2.0, 3: 3.0}, eligible=False)

    assert select_best(candidates) is None
    assert select_plateau(candidates, LINE) is None


def test_trials_with_too_few_trades_pull_a_plateau_down() -> None:
    """A good value at the edge of nothing is no plateau."""
    worst = [Candidate(10 + i, {"x": 90 + i}, -1e15, eligible=False) for i in range(4)]
    edge = [Candidate(0, {"x": 89}, 9.0)]
    flat = on_line({10: 1.0, 11: 1.0, 12: 1.0})

    chosen = select_plateau([*worst, *edge, *flat], LINE)

    assert chosen is not None
    assert chosen.score == 1.0


def test_the_order_of_candidates_does_not_matter() -> None:
    """Every tie is broken by the trials themselves."""
    random = np.random.default_rng(1)
    candidates = [
        Candidate(i, {"x": int(random.integers(0, 40))}, float(random.integers(0, 4)))
        for i in range(40)
    ]
    distinct = list({one.values["x"]: one for one in candidates}.values())
    first = select_plateau(distinct, LINE)

    for _ in range(20):
        shuffled = [distinct[i] for i in random.permutation(len(distinct))]
        assert select_plateau(shuffled, LINE) == first
        assert select_best(shuffled) == select_best(distinct)


def test_distances_are_between_0_and_1_in_any_dimension() -> None:
    """Opposite corners are 1 apart, different words a whole range, a log range by its log."""
    ranges: dict[str, Range] = {
        "a": Int(0, 10),
        "b": Float(0.01, 1.0, log=True),
        "c": Choice("x", "y", "z"),
        "d": Bool(),
    }
    low = {"a": 0, "b": 0.01, "c": "x", "d": False}
    high = {"a": 10, "b": 1.0, "c": "z", "d": True}
    middle = {"a": 5, "b": 0.1, "c": "x", "d": False}

    found = distances([low, high, middle], ranges)

    assert found[0, 1] == pytest.approx(1.0)
    assert found[0, 2] == pytest.approx(np.sqrt((0.25 + 0.25) / 4))
    assert found[0, 0] == 0.0
    np.testing.assert_array_equal(found, found.T)
    assert RADIUS < 1.0
