"""Windows against the published tables of scikit-learn and skfolio, and the rules of the page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.config import Duration, WalkForwardPart
from ftbt.data.timeframe import Timeframe
from ftbt.errors import ConfigError, DataError
from ftbt.walkforward.windows import (
    Plan,
    Span,
    Window,
    exclude,
    guarded,
    lay_windows,
    plan_of,
    require_windows,
)


def folds(windows: list[Window]) -> list[tuple[list[int], list[int]]]:
    """Return the windows as lists of indices."""
    return [(indices(w.train), indices((w.test,))) for w in windows]


def indices(spans: tuple[Span, ...]) -> list[int]:
    """Return all bars of *spans*."""
    return [i for span in spans for i in range(span.first, span.stop)]


def test_anchored_with_gap_is_sklearns_time_series_split() -> None:
    """TimeSeriesSplit(n_splits=3, test_size=2, gap=2) on 12 samples, as its manual prints it."""
    plan = Plan(train=4, test=2, step=2, purge=2, anchored=True)

    assert folds(lay_windows(12, plan)) == [
        ([0, 1, 2, 3], [6, 7]),
        ([0, 1, 2, 3, 4, 5], [8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7], [10, 11]),
    ]


def test_anchored_by_one_is_sklearns_default() -> None:
    """TimeSeriesSplit() on 6 samples: trainings of 1 to 5 samples, tests of one."""
    found = folds(lay_windows(6, Plan(train=1, test=1, step=1, anchored=True)))

    assert found == [(list(range(k)), [k]) for k in range(1, 6)]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (
            Plan(train=2, test=1, step=1),
            [([0, 1], [2]), ([1, 2], [3]), ([2, 3], [4]), ([3, 4], [5])],
        ),
        (
            Plan(train=2, test=1, step=1, purge=1),
            [([0, 1], [3]), ([1, 2], [4]), ([2, 3], [5])],
        ),
        (
            Plan(train=3, test=2, step=2, short_last=True),
            [([0, 1, 2], [3, 4]), ([2, 3, 4], [5])],
        ),
        (
            Plan(train=2, test=1, step=1, anchored=True),
            [([0, 1], [2]), ([0, 1, 2], [3]), ([0, 1, 2, 3], [4]), ([0, 1, 2, 3, 4], [5])],
        ),
    ],
)
def test_rolling_windows_are_skfolios(
    plan: Plan, expected: list[tuple[list[int], list[int]]]
) -> None:
    """WalkForward of skfolio 1.12 on 6 samples: plain, purged, reduce_test, expand_train."""
    assert folds(lay_windows(6, plan)) == expected


@pytest.mark.parametrize(
    ("bars", "test", "purge", "embargo", "expected"),
    [
        (12, Span(4, 8), 1, 1, [0, 1, 2, 10, 11]),
        (20, Span(8, 12), 2, 2, [*range(6), *range(16, 20)]),
        (12, Span(0, 8), 1, 1, [10, 11]),
    ],
)
def test_purge_and_embargo_around_a_test_are_lopez_de_prados(
    bars: int, test: Span, purge: int, embargo: int, expected: list[int]
) -> None:
    """Purge drops labels that reach into the test, the embargo bars after it (AFML 7.4)."""
    left = exclude(Span(0, bars), [guarded(test, purge, embargo)])

    assert indices(left) == expected


def test_two_tests_leave_what_skfolio_leaves() -> None:
    """Three folds of 12 samples, two tested, purged 1, embargo 1: 6 alone, then 0, 1, 2."""
    first, middle, last = Span(0, 4), Span(4, 8), Span(8, 12)

    def left(*tests: Span) -> list[int]:
        return indices(exclude(Span(0, 12), [guarded(test, 1, 1) for test in tests]))

    assert left(first, last) == [6]
    assert left(middle, last) == [0, 1, 2]
    assert left(first, middle) == [10, 11]


def test_embargo_thins_later_trainings_only() -> None:
    """After each earlier test its embargo is missing from an anchored training; tests are not."""
    windows = lay_windows(12, Plan(train=4, test=2, step=2, embargo=1, anchored=True))

    assert folds(windows) == [
        ([0, 1, 2, 3], [4, 5]),
        ([0, 1, 2, 3, 4, 5], [6, 7]),
        ([0, 1, 2, 3, 4, 5, 7], [8, 9]),
        ([0, 1, 2, 3, 4, 5, 7, 9], [10, 11]),
    ]


def test_rolling_training_reaching_over_a_test_has_its_embargo() -> None:
    """With train > step the embargo matters for rolling windows too."""
    windows = lay_windows(10, Plan(train=4, test=2, step=2, embargo=1))

    assert folds(windows)[2] == ([4, 5, 7], [8, 9])


def test_first_window_starts_after_the_warmup() -> None:
    """No training bar lies in the warm-up, whether rolling or anchored."""
    for anchored in (False, True):
        windows = lay_windows(20, Plan(train=4, test=2, step=2, warmup=5, anchored=anchored))

        assert windows[0].train == (Span(5, 9),)
        assert min(indices(windows[-1].train)) >= 5


@settings(deadline=None)
@given(
    bars=st.integers(0, 300),
    train=st.integers(1, 60),
    test=st.integers(1, 30),
    more=st.integers(0, 20),
    purge=st.integers(0, 10),
    embargo=st.integers(0, 10),
    warmup=st.integers(0, 40),
    anchored=st.booleans(),
    short_last=st.booleans(),
)
def test_no_window_trains_on_its_future(
    bars: int,
    train: int,
    test: int,
    more: int,
    purge: int,
    embargo: int,
    warmup: int,
    anchored: bool,
    short_last: bool,
) -> None:
    """Trainings end a purge before their test; tests never overlap; all lies inside the data."""
    plan = Plan(train, test, test + more, purge, embargo, anchored, short_last, warmup)
    windows = lay_windows(bars, plan)

    for window in windows:
        inside = indices(window.train)
        assert all(warmup <= i < window.test.first - purge for i in inside)
        assert window.test.stop <= bars
        assert len(inside) <= (window.test.first if anchored else train)
    tests = [i for window in windows for i in indices((window.test,))]
    assert len(tests) == len(set(tests))
    assert bool(windows) == (bars >= plan.needed)


def test_overlapping_tests_are_refused() -> None:
    """A step shorter than the test would count out-of-sample bars twice."""
    with pytest.raises(ConfigError, match=r"step \(1 bars\) must not be shorter than test \(2"):
        Plan(train=4, test=2, step=1)


@pytest.mark.parametrize("name", ["train", "test", "step"])
def test_empty_spans_are_refused(name: str) -> None:
    """A training, test or step of no bars is no walk-forward."""
    with pytest.raises(ConfigError, match=f"{name} must be at least one bar"):
        Plan(**({"train": 4, "test": 1, "step": 1} | {name: 0}))


def test_durations_become_bars_of_the_timeframe() -> None:
    """Calendar time and numbers of bars may be mixed; the step follows the test."""
    part = WalkForwardPart(
        train=Duration(2, "d"), test=Duration(12, "h"), purge=Duration(3, "bars")
    )

    assert plan_of(part, Timeframe.parse("1h"), 7) == Plan(48, 12, 12, purge=3, warmup=7)


def test_a_duration_that_is_no_whole_number_of_bars_is_refused() -> None:
    """Half a bar can't be tested."""
    part = WalkForwardPart(train=Duration(90, "m"))

    with pytest.raises(ConfigError, match="train is 90m, which is not a whole number of 60-minute"):
        plan_of(part, Timeframe.parse("1h"), 0)


def test_too_little_data_says_what_is_needed_and_what_is_there() -> None:
    """One line with both numbers and the way out."""
    plan = Plan(train=240, test=48, step=48, purge=24, warmup=24)

    with pytest.raises(DataError) as caught:
        require_windows(lay_windows(300, plan), 300, plan, Timeframe.parse("1h"))

    assert str(caught.value) == (
        "too little data for one window: needed are 336 bars (14 d) (warm-up 24 bars (1 d) +"
        " train 240 bars (10 d) + purge 24 bars (1 d) + test 48 bars (2 d)), there are 300 bars"
        " (12.5 d): take more data or shorter windows (--train, --test)"
    )
