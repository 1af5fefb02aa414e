"""Block bootstrap, block length, intervals and path risk against published and exact values.

Tags: [P] printed, [R] independent program, [X] exact, [M] from memory, reproduced by the formula.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from classic_series import LYNX, NILE, SUNSPOTS
from hypothesis import given, settings
from hypothesis import strategies as st
from r_random import RStream
from scipy import stats
from scipy.signal import lfilter

from ftbt.errors import InputError
from ftbt.robustness import bootstrap as bs


def generator(seed: int = 1) -> np.random.Generator:
    """A seeded source of randomness."""
    return np.random.default_rng(seed)


# Block length


def arima_series() -> list[np.ndarray]:
    """R: set.seed(123), arima.sim(n = 1e5) with ar = (.5, 0) and then (.5, .4), ma = (0, 0)."""
    stream, made = RStream(123), []
    for burn_in, polynomial in ((13, [1, -0.5]), (87, [1, -0.5, -0.4])):
        noise = stream.rnorm(burn_in + 100_000)
        noise[:2] = 0.0  # R's filter of the moving average leaves its first values empty
        made.append(lfilter([1], polynomial, noise)[burn_in:])
    return made


def np_example() -> list[np.ndarray]:
    """R: the example of `np::b.star`, set.seed(12345), AR(.1) and AR(.9) from one stream."""
    stream, made = RStream(12345), []
    for phi in (0.1, 0.9):
        noise = stream.rnorm(10_000)
        noise[0] /= 1 - phi
        made.append(lfilter([1], [1, -phi], noise))
    return made


def arch_example() -> np.ndarray:
    """The AR(.3) series of arch's unit test."""
    return lfilter([1], [1, -0.3], np.random.RandomState(0).standard_normal(10_100))[100:]


BLOCK_LENGTHS = {
    "AR(.5), R's np [P]": (lambda: arima_series()[0], 50.39272, 57.68526, 2e-5),
    "AR(.5, .4), R's np [P]": (lambda: arima_series()[1], 251.62894, 288.04323, 2e-5),
    "AR(.1), R's np [R]": (lambda: np_example()[0], 6.788852, 7.771296, 2e-6),
    "AR(.9), R's np [R]": (lambda: np_example()[1], 77.92860, 89.20598, 2e-5),
    "AR(.3), arch's unit test [P]": (arch_example, 13.635665, 15.60894, 2e-5),
    "Nile [R]": (lambda: NILE, 12.33349, 14.11833, 1e-5),
    "sunspots [R]": (lambda: SUNSPOTS, 19.00320, 21.75323, 1e-5),
    "lynx [R]": (lambda: LYNX, 2.804072, 3.209861, 1e-6),
}


@pytest.mark.parametrize("name", BLOCK_LENGTHS)
def test_published_block_lengths(name):
    """Block lengths of Politis and White agree with R's np and with arch."""
    series, stationary, circular, tolerance = BLOCK_LENGTHS[name]
    got = bs.block_length(series())
    assert got.stationary == pytest.approx(stationary, abs=tolerance)
    assert got.circular == pytest.approx(circular, abs=tolerance)


AR_THEORY = {  # [X] n = 1000
    0.1: (3.443, 3.941),
    0.3: (7.575, 8.672),
    0.5: (12.114, 13.867),
    0.7: (19.605, 22.442),
    0.9: (44.773, 51.252),
}


@pytest.mark.parametrize("phi", AR_THEORY)
def test_block_lengths_of_a_known_process(phi):
    """With the true autocovariances of an AR(1) the lengths are the theoretical ones [X]."""
    covariance = phi ** np.arange(4_001) / (1 - phi**2)
    got = bs._best_lengths(covariance, 4_000, 1_000)
    assert (round(got.stationary, 3), round(got.circular, 3)) == AR_THEORY[phi]


@pytest.mark.parametrize("series", [NILE, SUNSPOTS, np.diff(np.log(LYNX))])
def test_block_lengths_by_arch(series):
    """Block lengths agree with arch's optimal_block_length [R]."""
    arch = pytest.importorskip("arch.bootstrap")
    expected = arch.optimal_block_length(series).iloc[0]
    got = bs.block_length(series)
    assert got.stationary == pytest.approx(expected["stationary"], rel=1e-6)
    assert got.circular == pytest.approx(expected["circular"], rel=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60))
@settings(deadline=None)
def test_any_series_has_a_usable_length(values):
    """Short, flat and odd series have a length of at least 1 and at most what is allowed."""
    series = np.array(values)
    n = len(values)
    for kind in bs.KINDS:
        length = bs.block_length(series).of(kind)
        assert 1.0 <= length <= max(1.0, math.ceil(min(3 * math.sqrt(n), n / 3)))
    assert bs.block_length(series).of("circular") == int(bs.block_length(series).of("circular"))


# Samplers


def variance_of_mean(series: np.ndarray, kind: str, length: int) -> float:
    """The exact variance of the bootstrapped mean, from circular autocovariances."""
    n = len(series)
    apart = series - series.mean()
    circular = np.array([float(apart @ np.roll(apart, k)) / n for k in range(n)])
    if kind == "stationary":
        k = np.arange(1, n)
        shared = (1 - 1 / length) ** k * (1 - k / n)
        return (circular[0] + 2 * float((shared * circular[1:]).sum())) / n
    blocks = [length] * (n // length) + ([n % length] if n % length else [])
    return (
        sum(
            size * circular[0] + 2 * sum((size - k) * circular[k] for k in range(1, size))
            for size in blocks
        )
        / n**2
    )


NILE_SPREADS = {  # [X] exact standard deviations of the bootstrapped mean of the Nile
    ("stationary", 5): 29.9210,
    ("stationary", 10): 35.2617,
    ("stationary", 20): 37.1069,
    ("circular", 5): 26.7181,
    ("circular", 10): 32.1618,
    ("circular", 20): 39.1198,
}


@pytest.mark.parametrize("case", NILE_SPREADS)
def test_spread_of_the_bootstrapped_mean(case):
    """The sampled means scatter by the exact standard deviation [X], which is derived again."""
    kind, length = case
    exact = NILE_SPREADS[case]
    assert round(math.sqrt(variance_of_mean(NILE, kind, length)), 4) == exact
    drawn = bs.bootstrap_distribution(
        NILE, bs.row_means, 20_000, generator(), kind=kind, length=length
    )
    assert drawn.std() == pytest.approx(exact, rel=0.02)
    assert drawn.mean() == pytest.approx(919.35, abs=4 * exact / math.sqrt(20_000))


@pytest.mark.parametrize("length", [5, 10, 20])
def test_spread_of_archs_samples(length):
    """The samplers of arch scatter by the same exact standard deviations [R]."""
    arch = pytest.importorskip("arch.bootstrap")
    for kind, sampler in (
        ("stationary", arch.StationaryBootstrap),
        ("circular", arch.CircularBlockBootstrap),
    ):
        means = sampler(length, NILE, seed=1).apply(np.mean, 4_000)
        assert means.std() == pytest.approx(NILE_SPREADS[kind, length], rel=0.05)


def test_all_bootstrap_means_of_three_values():
    """The means of resamples of (1, 2, 6) have their exact distribution over 27 draws [X]."""
    exact = {3: 1, 4: 3, 5: 3, 6: 1, 8: 3, 9: 6, 10: 3, 13: 3, 14: 3, 18: 1}  # sums: 3 x mean
    assert exact == Counter(sum(one) for one in itertools.product((1, 2, 6), repeat=3))
    values = np.array([1.0, 2.0, 6.0])
    for kind in bs.KINDS:
        means = bs.bootstrap_distribution(
            values, bs.row_means, 27_000, generator(2), kind=kind, length=1
        )
        counts = Counter(np.rint(3 * means).astype(int).tolist())
        assert set(counts) == set(exact)
        observed = [counts[one] for one in exact]
        assert stats.chisquare(observed, [1_000 * exact[one] for one in exact]).pvalue > 1e-4


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_circular_samples_are_made_of_blocks(n, length, seed):
    """Each circular block runs on by one observation and wraps around the end."""
    drawn = bs.circular_indices(n, length, 5, generator(seed))
    assert drawn.shape == (5, n)
    for row in drawn:
        for start in range(0, n, length):
            block = row[start : start + length]
            assert (block == (block[0] + np.arange(len(block))) % n).all()


@pytest.mark.parametrize("length", [1.0, 2.5, 12.0])
def test_stationary_samples_have_geometric_blocks(length):
    """A stationary sample goes on to the next observation with probability 1 - 1/length."""
    n = 60
    drawn = bs.stationary_indices(n, length, 4_000, generator(3))
    goes_on = (np.diff(drawn, axis=1) % n == 1).mean()
    by_chance = 1 / length / n
    assert goes_on == pytest.approx(1 - 1 / length + by_chance, abs=0.005)
    share = np.bincount(drawn.ravel(), minlength=n) / drawn.size
    assert share == pytest.approx(np.full(n, 1 / n), rel=0.1)


@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_one_block_of_all_is_a_rotation(n, seed):
    """A circular block as long as the series is the series, begun elsewhere."""
    series = np.arange(n, dtype=float)
    for row in bs.circular_indices(n, n, 3, generator(seed)):
        assert (series[row] == np.roll(series, -row[0])).all()


def test_the_same_seed_gives_the_same_samples():
    """Seed and chunks decide the samples; another seed gives others."""
    returns = generator(4).normal(size=200)
    first, again, other = (
        bs.bootstrap_distribution(returns, bs.row_sharpes, 9_000, generator(seed))
        for seed in (5, 5, 6)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.shape == (9_000,)


def test_statistics_of_rows():
    """Row statistics agree with those of single series, and a flat row has the ratio 0."""
    rows = generator(7).normal(size=(6, 30))
    rows[2] = 0.25
    one_by_one = bs.each_row(lambda row: row.mean() / row.std(ddof=1) if np.ptp(row) else 0.0)
    assert bs.row_sharpes(rows) == pytest.approx(one_by_one(rows))
    assert bs.row_means(rows) == pytest.approx(bs.each_row(np.mean)(rows))


# Intervals


def test_percentile_interval_is_made_of_quantiles():
    """The ends are quantiles of the distribution of the same seed."""
    returns = generator(8).normal(0.1, 1.0, 300)
    interval = bs.confidence_interval(
        returns, bs.row_means, 2_000, generator(9), level=0.9, length=4
    )
    drawn = bs.bootstrap_distribution(returns, bs.row_means, 2_000, generator(9), length=4)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(drawn, [0.05, 0.95]))
    assert interval.estimate == pytest.approx(returns.mean())
    assert (interval.method, interval.kind, interval.length) == ("percentile", "stationary", 4.0)


@pytest.mark.parametrize("method", bs.INTERVAL_METHODS)
def test_intervals_by_scipy(method):
    """With blocks of one, both kinds of interval agree with scipy's bootstrap of a skewed ratio."""
    values = generator(10).exponential(1.0, 60) - 0.7
    expected = stats.bootstrap(
        (values,),
        lambda x, axis: x.mean(axis) / x.std(axis, ddof=1),
        n_resamples=40_000,
        method=method,
        rng=generator(11),
        batch=4_000,
    ).confidence_interval
    got = bs.confidence_interval(
        values, bs.row_sharpes, 40_000, generator(12), method=method, length=1
    )
    assert got.low == pytest.approx(expected.low, abs=0.012)
    assert got.high == pytest.approx(expected.high, abs=0.012)


def test_blocks_widen_the_interval_of_dependent_returns():
    """For a trending series the block interval is about as wide as theory says, iid far less."""
    phi, n = 0.6, 2_000
    series = lfilter([1], [1, -phi], generator(13).standard_normal(n + 100))[100:]
    true = 2 * 1.96 / (1 - phi) / math.sqrt(n)
    blocks, single = (
        bs.confidence_interval(series, bs.row_means, 2_000, generator(14), length=length)
        for length in (None, 1)
    )
    assert blocks.high - blocks.low == pytest.approx(true, rel=0.25)
    assert single.high - single.low < 0.65 * true


def test_a_statistic_without_spread_has_a_point_as_interval():
    """When every sample gives the estimate, both ends are the estimate, also for BCa."""
    for method in bs.INTERVAL_METHODS:
        got = bs.confidence_interval(
            np.full(20, 0.01), bs.row_means, 100, generator(), method=method
        )
        assert (got.low, got.high) == pytest.approx((0.01, 0.01))


REFUSED = {
    "block of half a day": (
        lambda: bs.stationary_indices(10, 0.5, 3, generator()),
        r"mean block length must be in \[1, inf\)",
    ),
    "circular block of 2.5": (
        lambda: bs.circular_indices(10, 2.5, 3, generator()),
        "block length must be a whole number",
    ),
    "kind": (
        lambda: bs.bootstrap_distribution(NILE, bs.row_means, 5, generator(), kind="stationry"),
        "did you mean 'stationary'",
    ),
    "method": (
        lambda: bs.confidence_interval(NILE, bs.row_means, 5, generator(), method="bcb"),
        "method must be one of 'percentile', 'bca'",
    ),
    "statistic of another shape": (
        lambda: bs.bootstrap_distribution(NILE, np.mean, 5, generator(), length=1),
        "one number per row, shape .5,., but returned shape",
    ),
    "statistic that is not finite": (
        lambda: bs.confidence_interval(
            NILE, lambda rows: np.full(len(rows), np.nan), 5, generator()
        ),
        "not finite on 5 of 5 samples",
    ),
    "level of 1": (
        lambda: bs.confidence_interval(NILE, bs.row_means, 5, generator(), level=1.0),
        r"confidence level must be in \(0, 1\)",
    ),
    "hole": (lambda: bs.block_length(np.array([1.0, np.nan])), "value 1 is nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What cannot be resampled is refused, with the value and the range."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
