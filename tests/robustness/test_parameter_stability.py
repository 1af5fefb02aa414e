"""Plateau share, system parameter permutation and parameter importance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.errors import InputError
from ftbt.robustness.importance import EVALUATOR, first_order, parameter_importance
from ftbt.robustness.parameters import plateau_share, system_parameter_permutation

# Ishigami with a = 7, b = 0.1: Sobol indices in closed form ([P]/[X]).
ISHIGAMI_FIRST = (0.313905, 0.442411, 0.0)
ISHIGAMI_TOTAL = (0.557589, 0.442411, 0.243684)


def ishigami(points):
    """The usual test function of sensitivity analysis, on [-pi, pi]^3."""
    one, two, three = points[:, 0], points[:, 1], points[:, 2]
    return np.sin(one) + 7.0 * np.sin(two) ** 2 + 0.1 * three**4 * np.sin(one)


def grid(*axes):
    """All combinations of the axes, shape (n, axes)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes)).astype(float)


def row_of(table, *values):
    """The row with exactly these parameters."""
    return int(np.flatnonzero(np.all(table == values, axis=1))[0])


def test_plateau_by_hand():
    """Neighbours within 20 % of both parameters are counted, those that hold up are the share."""
    table = grid([8, 9, 10, 11, 12, 15], [80, 100, 120])
    metric = np.where(table[:, 1] == 120, 0.5, 1.0)
    metric[row_of(table, 15, 100)] = 99.0
    chosen = row_of(table, 10, 100)
    made = plateau_share(table, metric, chosen, rings=(0.20,))

    # 8 .. 12 times 80 .. 120, without itself; a third of the 15 points is below 0.8.
    assert len(made.neighbours) == 14
    assert made.share == pytest.approx(9 / 14)
    assert (made.median, made.worst, made.reach) == (1.0, 0.5, 0.20)
    assert chosen not in made.neighbours


def test_nearest_ring_that_is_full_enough_is_used():
    """Ten percent suffice when five trials are that near; else the ring grows to twenty."""
    near = np.array([[100.0], [101], [102], [103], [104], [105], [119]])
    far = np.array([[100.0], [101], [111], [112], [117], [119], [120]])

    assert plateau_share(near, np.ones(7), 0).reach == 0.10
    made = plateau_share(far, np.ones(7), 0)
    assert (made.reach, len(made.neighbours)) == (0.20, 6)


def test_one_step_is_always_a_neighbour_and_a_word_never():
    """A swing of 3 has neighbours at 2 and 4; another word is another strategy."""
    table = grid([2, 3, 4, 5], [0, 1])
    chosen = row_of(table, 3, 0)
    made = plateau_share(
        table, np.ones(8), chosen, steps=[1, 1], categorical=[False, True], least=2
    )
    strict = plateau_share(table, np.ones(8), chosen, categorical=[False, True], least=2)

    assert sorted(table[made.neighbours].tolist()) == [[2.0, 0.0], [4.0, 0.0]]
    assert len(strict.neighbours) == 0
    assert np.isnan(strict.share)


def test_plateau_is_unknown_rather_than_guessed():
    """Too few neighbours, or nothing earned, is NaN; failed trials are no neighbours."""
    table = grid(np.arange(96, 105))
    metric = np.ones(9)
    chosen = row_of(table, 100)
    loser = plateau_share(table, -metric, chosen)
    metric[:5] = np.nan
    metric[chosen] = 1.0
    few = plateau_share(table, metric, chosen)

    assert np.isnan(loser.share)
    assert loser.median == -1.0
    assert np.isnan(few.share)
    assert len(few.neighbours) == 4


def test_peak_and_plateau_are_told_apart():
    """A single lucky point has no plateau; a broad hill has one."""
    table = grid(np.arange(10, 31), np.arange(10, 31))
    chosen = row_of(table, 20, 20)
    hill = 2.0 - np.hypot(table[:, 0] - 20, table[:, 1] - 20) / 20
    peak = np.zeros(len(table))
    peak[chosen] = 2.0

    assert plateau_share(table, hill, chosen).share == 1.0
    assert plateau_share(table, peak, chosen).share == 0.0


def test_spp_by_hand():
    """Median, quartiles, share above 0 and the chosen one's place are those of the table."""
    metric = np.array([-1.0, 0.0, 1.0, 2.0, 4.0, np.nan])
    made = system_parameter_permutation(metric, 3)

    assert (made.median, made.mean, made.best) == (1.0, 1.2, 4.0)
    assert (made.first_quartile, made.third_quartile) == (0.0, 2.0)
    assert made.share_positive == 0.6
    assert (made.chosen, made.percentile) == (2.0, 0.8)
    assert made.median_to_best == 0.25
    assert (made.trials, made.failed) == (5, 1)


def test_spp_median_has_no_selection_bias():
    """Of trials without an edge the best looks good and the median does not."""
    rng = np.random.default_rng(0)
    best, median = [], []
    for _ in range(40):
        metric = rng.standard_normal(200)
        made = system_parameter_permutation(metric, int(np.argmax(metric)))
        best.append(made.best)
        median.append(made.median)
        assert made.percentile == 1.0

    assert np.mean(best) > 2.4
    assert abs(np.mean(median)) < 4 * 1.2533 / np.sqrt(200 * 40)


def test_ishigami_first_and_total():
    """Both estimators find the closed form of the Ishigami function from 3,000 plain trials."""
    points = np.random.default_rng(1).uniform(-np.pi, np.pi, (3000, 3))
    made = parameter_importance(points, ishigami(points), ("x1", "x2", "x3"))

    np.testing.assert_allclose(made.first, ISHIGAMI_FIRST, atol=0.05)
    np.testing.assert_allclose(made.total, ISHIGAMI_TOTAL, atol=0.07)
    assert made.floor < 0.06
    assert (made.names, made.trials, made.evaluator) == (("x1", "x2", "x3"), 3000, EVALUATOR)


@pytest.mark.slow
def test_ishigami_is_unbiased():
    """Over 20 samples of 8,000 the means come within 0.015 of the closed form."""
    rng = np.random.default_rng(2)
    made = []
    for _ in range(20):
        points = rng.uniform(-np.pi, np.pi, (8000, 3))
        made.append(parameter_importance(points, ishigami(points), ("a", "b", "c")))

    np.testing.assert_allclose(np.mean([m.first for m in made], axis=0), ISHIGAMI_FIRST, atol=0.015)
    np.testing.assert_allclose(np.mean([m.total for m in made], axis=0), ISHIGAMI_TOTAL, atol=0.015)


def test_additive_function_by_hand():
    """Y = 2 A + B with whole numbers and a word: shares 0.8, 0.2 and none."""
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.integers(0, 5, (2000, 2)), rng.integers(0, 3, 2000)])
    metric = 2.0 * points[:, 0] + points[:, 1]
    made = parameter_importance(points, metric, ("a", "b", "word"), [False, False, True])

    np.testing.assert_allclose(made.first, [0.8, 0.2, 0.0], atol=0.03)
    np.testing.assert_allclose(made.total, [0.8, 0.2, 0.0], atol=0.06)


def test_words_have_no_order():
    """A hundred words of which every other is good count in full only as words."""
    rng = np.random.default_rng(4)
    word = rng.integers(0, 100, 3000).astype(float)
    metric = (word % 2) + 0.01 * rng.standard_normal(3000)

    assert first_order(word, metric, categorical=True) > 0.99
    assert first_order(word, metric) < 0.5


def test_interaction_shows_in_the_total_only():
    """Y = A B with both around 0: nothing alone, everything together."""
    points = np.random.default_rng(5).uniform(-1.0, 1.0, (3000, 2))
    made = parameter_importance(points, points[:, 0] * points[:, 1], ("a", "b"))

    assert np.all(made.first < 0.03)
    assert np.all(made.total > 0.9)


def test_noise_shows_in_the_floor():
    """Parameters that do nothing explain nothing, and the floor says that all is noise."""
    rng = np.random.default_rng(6)
    made = parameter_importance(rng.uniform(size=(800, 4)), rng.standard_normal(800), tuple("abcd"))

    assert np.all(made.first < 0.05)
    assert made.floor == pytest.approx(1.0, abs=0.15)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    n=st.integers(30, 120),
    values=st.integers(1, 40),
    categorical=st.booleans(),
)
def test_shares_stay_in_their_range(seed, n, values, categorical):
    """Whatever the ties, first orders lie in 0 to 1 and a shift or scale changes nothing."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, values, (n, 2)).astype(float)
    metric = rng.standard_normal(n)
    words = (categorical, False)
    made = parameter_importance(points, metric, ("a", "b"), words)
    moved = parameter_importance(points, 5.0 * metric - 3.0, ("a", "b"), words)

    assert np.all((made.first >= 0.0) & (made.first <= 1.0))
    assert np.all(made.total >= 0.0)
    np.testing.assert_allclose(made.first, moved.first, atol=1e-9)
    np.testing.assert_allclose(made.total, moved.total, atol=1e-9)


def test_failed_trials_are_left_out_of_importance():
    """Trials without a metric change nothing but the count."""
    rng = np.random.default_rng(7)
    points = rng.uniform(size=(100, 2))
    metric = points[:, 0] + 0.1 * points[:, 1]
    more = np.vstack([points, rng.uniform(size=(10, 2))])
    made = parameter_importance(more, np.append(metric, [np.nan] * 10), ("a", "b"))
    plain = parameter_importance(points, metric, ("a", "b"))

    assert made.trials == 100
    np.testing.assert_array_equal(made.first, plain.first)


def test_what_cannot_be_judged_is_refused():
    """Shapes, places and tables without variation are named."""
    table, metric = np.ones((40, 2)), np.arange(40.0)
    with pytest.raises(InputError, match="shape \\(40, 3\\), not \\(40, 2\\)"):
        parameter_importance(table, metric, ("a", "b", "c"))
    with pytest.raises(InputError, match="20 trials with a metric are too few"):
        parameter_importance(table[:20], metric[:20], ("a", "b"))
    with pytest.raises(InputError, match="nothing varies"):
        parameter_importance(table, np.ones(40), ("a", "b"))
    with pytest.raises(InputError, match="categorical must have 2 values"):
        parameter_importance(table, metric, ("a", "b"), [True])
    with pytest.raises(InputError, match="chosen trial must be 0 to 39, not 40"):
        plateau_share(table, metric, 40)
    with pytest.raises(InputError, match="has no metric"):
        system_parameter_permutation(np.array([np.nan, 1.0]), 0)
    with pytest.raises(InputError, match="rings must be"):
        plateau_share(table, metric, 3, rings=(0.2, 0.1))
    with pytest.raises(InputError, match="steps must be 2 values"):
        plateau_share(table, metric, 3, steps=[1.0])
    with pytest.raises(InputError, match="trial 3, parameter 1 is nan"):
        plateau_share(np.where(np.arange(80).reshape(40, 2) == 7, np.nan, 1.0), metric, 3)
