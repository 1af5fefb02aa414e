"""Groups of correlated symbols: the right correlations, from the past only."""

from __future__ import annotations

import time as clock_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS
from ftbt.errors import ConfigError, DataError
from ftbt.risk.correlation import MIN_COMMON, Groups, correlation_groups

FIRST_DAY = 19_700
START = FIRST_DAY * DAY_MS


def walk(seed: int, bars: int, mix: np.ndarray | None = None, symbols: int = 3) -> np.ndarray:
    """Closes of random walks; *mix* (symbols, symbols) turns independent moves into common ones."""
    moves = np.random.default_rng(seed).normal(0.0, 0.004, (bars, symbols))
    return 100.0 * np.exp(np.cumsum(moves if mix is None else moves @ mix, axis=0))


def draw(closes: np.ndarray, step_ms: int = HOUR_MS, start: int = START, **changes) -> Groups:
    """The groups for closes on an unbroken clock, with usual settings."""
    usual = dict(window_days=5, threshold=0.7, step_ms=step_ms)
    time = start + np.arange(len(closes)) * step_ms
    return correlation_groups(time, closes, **{**usual, **changes})


def oracle(
    time: np.ndarray, closes: np.ndarray, day: int, window_days: int, step_ms: int
) -> np.ndarray:
    """The same correlations by numpy.corrcoef, bar by bar and pair by pair."""
    symbols = closes.shape[1]
    rows: list[np.ndarray] = []
    for k in range(1, len(time)):
        inside = time[k - 1] >= (day - window_days) * DAY_MS and time[k] + step_ms <= day * DAY_MS
        if inside and time[k] - time[k - 1] == step_ms:
            rows.append(np.log(closes[k]) - np.log(closes[k - 1]))
    returns = np.array(rows).reshape(-1, symbols)
    found = np.full((symbols, symbols), np.nan)
    for i in range(symbols):
        for j in range(symbols):
            both = ~np.isnan(returns[:, i]) & ~np.isnan(returns[:, j])
            enough = both.sum() >= MIN_COMMON
            if enough and both.sum() * 2 >= window_days * DAY_MS / step_ms:
                found[i, j] = np.corrcoef(returns[both, i], returns[both, j])[0, 1]
    return found


def components(correlation: np.ndarray, threshold: float) -> list[int]:
    """Connected components by walking from each symbol, the slow way."""
    symbols = len(correlation)
    names = []
    for start in range(symbols):
        reached, todo = {start}, [start]
        while todo:
            here = todo.pop()
            for other in range(symbols):
                if other not in reached and not correlation[here, other] < threshold:
                    reached.add(other)
                    todo.append(other)
        names.append(min(reached))
    return names


def same(one: Groups, other: Groups, day: int) -> None:
    """Assert that both say the same of *day*, bit for bit."""
    for row, name in ((one.groups, "groups"), (one.correlation, "correlation")):
        assert row[day - one.first_day].tobytes() == (
            getattr(other, name)[day - other.first_day].tobytes()
        ), (name, day)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    hours=st.integers(0, 23),
    window=st.integers(1, 6),
    threshold=st.floats(-0.5, 0.95),
    step=st.sampled_from((HOUR_MS, 4 * HOUR_MS, 5 * HOUR_MS, 25 * MINUTE_MS)),
    missing=st.floats(0.0, 0.4),
)
def test_correlations_are_those_of_numpy(
    seed: int, hours: int, window: int, threshold: float, step: int, missing: float
) -> None:
    """Every day's matrix is numpy's over the bars within the window; groups are its components."""
    random = np.random.default_rng(seed)
    closes = walk(seed, 12 * DAY_MS // step // 2, random.normal(size=(3, 3)))
    closes[random.random(closes.shape) < missing * random.random(3)] = np.nan
    # Bars that no symbol has are not on the clock.
    time = (START + hours * HOUR_MS) // step * step + np.arange(len(closes)) * step
    kept = random.random(len(closes)) < 0.98
    got = correlation_groups(
        time[kept], closes[kept], window_days=window, threshold=threshold, step_ms=step
    )

    for row in range(len(got.groups)):
        want = oracle(time[kept], closes[kept], got.first_day + row, window, step)
        np.testing.assert_allclose(got.correlation[row], want, rtol=0.0, atol=1e-12)
        assert got.groups[row].tolist() == components(got.correlation[row], threshold)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), day=st.integers(1, 9), missing=st.floats(0.0, 0.5))
def test_nothing_from_the_day_on_changes_it(seed: int, day: int, missing: float) -> None:
    """Other prices from a day's midnight on, or none at all, leave that day's row bit-identical."""
    random = np.random.default_rng(seed)
    closes = walk(seed, 240)
    closes[random.random(closes.shape) < missing] = np.nan
    other = closes.copy()
    later = other[day * 24 :]
    later[:] = random.choice([np.nan, 1e-3, 7.0, 1e6], later.shape)
    whole = draw(closes)

    same(whole, draw(other), FIRST_DAY + day)
    same(whole, draw(closes[: day * 24]), FIRST_DAY + day)
    same(whole, draw(closes[: day * 24 + int(random.integers(24))]), FIRST_DAY + day)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    window=st.integers(1, 5),
    earlier=st.integers(0, 40),
    missing=st.floats(0.0, 0.5),
)
def test_live_reads_what_the_back_test_read(
    seed: int, window: int, earlier: int, missing: float
) -> None:
    """A history that begins at the window's first bar, or any time before it, gives the same row.

    That is bit for bit, even where an unseen price leads up to the first bar.
    """
    random = np.random.default_rng(seed)
    closes = walk(seed, 240)
    closes[random.random(closes.shape) < missing] = np.nan
    day = int(random.integers(window, 11))
    first = max(0, (day - window) * 24 - earlier)
    short = draw(closes[first:], start=START + first * HOUR_MS, window_days=window)
    last = draw(closes[first : day * 24], start=START + first * HOUR_MS, window_days=window)
    whole = draw(closes, window_days=window)

    same(whole, short, FIRST_DAY + day)
    same(whole, last, FIRST_DAY + day)
    assert last.first_day + len(last.groups) - 1 == FIRST_DAY + day
    assert np.array_equal(last.groups[-1], last.at(FIRST_DAY + day))


def test_a_new_correlation_shows_when_its_days_are_in_the_window() -> None:
    """Two symbols that begin to move together are linked once the past says so, not before."""
    apart, together = walk(1, 10 * 24, symbols=2), walk(2, 10 * 24, symbols=1)
    closes = np.vstack((apart, apart[-1] * together / together[0]))
    got = draw(closes, window_days=4, threshold=0.9)
    linked = [row.tolist() == [0, 0] for row in got.groups]

    assert not any(linked[5:11])
    assert all(linked[14:])


def test_the_first_days_know_too_little() -> None:
    """Until half of a window has been seen all symbols are one group, and after it they are not."""
    got = draw(walk(3, 8 * 24), window_days=4)

    assert np.isnan(got.correlation[:3]).all()
    assert got.groups[:3].tolist() == [[0, 0, 0]] * 3
    assert got.groups[3:].tolist() == [[0, 1, 2]] * 6


def test_half_of_the_window_is_enough_and_one_less_is_not() -> None:
    """With 60 common returns of 120 bars the correlation is known; with 59 it is not."""
    closes = walk(4, 5 * 24, symbols=2)
    closes[61:, 1] = np.nan
    assert np.isfinite(draw(closes).correlation[-1, 0, 1])

    closes[60:, 1] = np.nan
    got = draw(closes)
    assert np.isnan(got.correlation[-1, 0, 1])
    assert got.correlation[-1, 0, 0] == 1.0
    assert got.groups[-1].tolist() == [0, 0]


def test_a_chain_is_one_group() -> None:
    """A and C that hardly correlate are one group when both go with B."""
    mix = np.array([[1.0, 0.75, 0.0, 0.0], [0.0, 0.75, 1.0, 0.0], [0.0] * 4, [0.0, 0.0, 0.0, 1.0]])
    got = draw(walk(5, 10 * 24, mix, symbols=4), threshold=0.6)
    a, b, c = got.correlation[-1, 0, 1], got.correlation[-1, 1, 2], got.correlation[-1, 0, 2]

    assert a > 0.6
    assert b > 0.6
    assert c < 0.3
    assert got.groups[-1].tolist() == [0, 0, 0, 3]


def test_a_group_is_named_by_its_smallest_symbol() -> None:
    """Links that meet late still give all members the smallest name."""
    base = walk(6, 10 * 24, symbols=2)
    closes = base[:, [0, 1, 1, 0]]

    assert draw(closes).groups[-1].tolist() == [0, 1, 1, 0]


def test_opposite_moves_are_no_link() -> None:
    """A correlation of -1 does not reach a threshold above it."""
    base = walk(7, 10 * 24, symbols=1)
    got = draw(np.hstack((base, 1e4 / base)))

    assert got.correlation[-1, 0, 1] == pytest.approx(-1.0, abs=1e-12)
    assert got.groups[-1].tolist() == [0, 1]


def test_equal_series_reach_a_threshold_of_one() -> None:
    """A correlation of 1 counts as 1 in spite of rounding."""
    base = walk(8, 10 * 24, symbols=1)
    got = draw(np.hstack((base, base * 3.7, base**1.5)), threshold=1.0)

    assert got.groups[-1].tolist() == [0, 0, 0]


def test_a_price_that_does_not_move_is_unknown() -> None:
    """Without variance, exact or up to rounding, there is no correlation, so all are linked."""
    for still in (np.full(240, 42.0), 1e-3 * 1.0000001 ** np.arange(240)):
        got = draw(np.column_stack((walk(9, 240, symbols=2), still)))

        assert np.isnan(got.correlation[-1, :, 2]).all()
        assert got.groups[-1].tolist() == [0, 0, 0]


def test_a_symbol_without_bars_is_linked_to_all() -> None:
    """Nothing is known of it, so the limit on a group holds for all together."""
    closes = walk(10, 240)
    assert draw(closes).groups[-1].tolist() == [0, 1, 2]

    closes[:, 1] = np.nan
    got = draw(closes)
    assert got.groups[-1].tolist() == [0, 0, 0]
    assert np.isfinite(got.correlation[-1, 0, 2])


def test_one_symbol_is_its_own_group() -> None:
    """A single symbol has group 0 on every day, known or not."""
    got = draw(walk(11, 240, symbols=1))

    assert got.groups.tolist() == [[0]] * 11
    assert np.isnan(got.correlation[:2]).all()
    assert (got.correlation[3:] == 1.0).all()


def test_prices_that_are_none_count_as_missing() -> None:
    """Zero, negative and infinite closes give no return, and no warning."""
    closes = walk(12, 240)
    closes[200:205, 0] = [0.0, -1.0, np.inf, np.nan, 0.0]
    missing = closes.copy()
    missing[200:205, 0] = np.nan

    same(draw(closes), draw(missing), FIRST_DAY + 10)


def test_a_hole_of_the_clock_is_no_return() -> None:
    """The jump over bars that no symbol has is left out, so it can't tie symbols together."""
    closes = walk(13, 240, symbols=2)
    closes[150:] *= 5.0  # both jump while nobody looks
    time = START + np.arange(240) * HOUR_MS
    kept = np.ones(240, bool)
    kept[148:150] = False
    got = correlation_groups(
        time[kept], closes[kept], window_days=9, threshold=0.7, step_ms=HOUR_MS
    )

    assert abs(got.correlation[-1, 0, 1]) < 0.3


def test_returns_of_a_tiny_size_are_measured_all_the_same() -> None:
    """A coin at 1e-8 beside one at 1e5 with a strong drift has numpy's correlation."""
    closes = walk(14, 240, np.array([[1.0, 0.8], [0.0, 0.6]]), symbols=2)
    scaled = closes * np.exp(np.arange(240)[:, None] * 0.05) * [1e-8, 1e3]

    plain, drifting = draw(closes).correlation[-1], draw(scaled).correlation[-1]
    np.testing.assert_allclose(plain, drifting, rtol=0.0, atol=1e-10)


def test_bars_of_a_week_know_too_little_to_part() -> None:
    """Bars longer than a day are counted where they lie whole; a few of them prove nothing."""
    got = draw(walk(15, 60), WEEK_MS, start=4 * DAY_MS, window_days=30)
    assert (got.groups == 0).all()

    long = draw(walk(15, 60), WEEK_MS, start=4 * DAY_MS, window_days=365)
    assert long.groups[-1].tolist() == [0, 1, 2]


def test_rows_go_on_to_the_day_that_is_asked_for() -> None:
    """While no bars come in, later days still have a row, in the end of unknown correlations."""
    got = draw(walk(16, 240), last_day=FIRST_DAY + 20)

    assert got.at(FIRST_DAY + 10).tolist() == [0, 1, 2]
    assert got.at(FIRST_DAY + 20).tolist() == [0, 0, 0]
    assert draw(walk(16, 240), last_day=FIRST_DAY).at(FIRST_DAY + 10).tolist() == [0, 1, 2]


def test_no_bars_no_rows() -> None:
    """An empty clock has no days, unless one is asked for: there all is unknown."""
    empty = np.zeros((0, 2))
    assert draw(empty).groups.shape == (0, 2)
    assert draw(empty, last_day=FIRST_DAY).at(FIRST_DAY).tolist() == [0, 0]
    assert draw(walk(17, 1)).groups.tolist() == [[0, 0, 0]]


def test_a_day_outside_is_refused() -> None:
    """Asking for an unknown day says which are known."""
    got = draw(walk(18, 240))
    for day in (FIRST_DAY - 1, FIRST_DAY + 11):
        with pytest.raises(DataError, match="known from 2023-12-09 to 2023-12-19"):
            got.at(day)
    with pytest.raises(DataError, match="none are known"):
        draw(np.zeros((0, 2))).at(FIRST_DAY)


def test_rows_can_not_be_changed() -> None:
    """The drawn groups are for reading."""
    got = draw(walk(19, 240))
    with pytest.raises(ValueError, match="read-only"):
        got.groups[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        got.at(FIRST_DAY)[0] = 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(window_days=0), "window must be a whole number of days from 1, not 0"),
        (dict(window_days=1.5), "not 1.5"),
        (dict(threshold=1.01), "threshold must be from -1 to 1, not 1.01"),
        (dict(threshold=float("nan")), "not nan"),
        (dict(step_ms=0), "length of a bar"),
    ],
)
def test_bad_settings_are_refused(changes: dict, words: str) -> None:
    """A window or threshold out of range is one line with the value."""
    time, closes = START + np.arange(9) * HOUR_MS, walk(20, 9)
    usual = dict(window_days=5, threshold=0.7, step_ms=HOUR_MS)
    with pytest.raises(ConfigError, match=words):
        correlation_groups(time, closes, **{**usual, **changes})


def test_bad_shapes_are_refused() -> None:
    """A table that does not fit its clock, or a clock that stands still, is one line."""
    usual = dict(window_days=5, threshold=0.7, step_ms=HOUR_MS)
    time = START + np.arange(9) * HOUR_MS
    with pytest.raises(DataError, match="do not fit 9 times"):
        correlation_groups(time, walk(21, 8), **usual)
    with pytest.raises(DataError, match="do not fit"):
        correlation_groups(time, walk(21, 9)[:, 0], **usual)
    time[4] = time[3]
    with pytest.raises(DataError, match="do not rise at row 4"):
        correlation_groups(time, walk(21, 9), **usual)


def test_a_year_takes_a_blink() -> None:
    """A year of eight symbols at 15 minutes, windows of 30 days, needs less than a second of CPU.

    That is some thirty times what it takes.
    """
    closes = walk(22, 365 * 96, symbols=8)
    draw(closes[:200], 15 * MINUTE_MS)  # compiles
    before = clock_time.process_time()
    got = draw(closes, 15 * MINUTE_MS, window_days=30)

    assert clock_time.process_time() - before < 1.0
    assert got.groups[-1].tolist() == list(range(8))
