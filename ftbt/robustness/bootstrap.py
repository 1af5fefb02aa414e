"""Bootstrap of serially dependent returns: block indices, block length, confidence intervals.

Returns of neighbouring days depend on each other; drawing single days would break streaks apart
and make every interval too narrow. So blocks of days are drawn. All randomness comes from the
generator that is handed in: the same seed gives the same samples.

Sources: Politis and Romano, The Stationary Bootstrap, JASA 89, 1994; Politis and Romano, A Circular
Block-Resampling Procedure, 1992; Politis and White, Automatic Block-Length Selection, Econometric
Reviews 23(1), 2004, corrected by Patton, Politis and White, 28(4), 2009; Efron, Better Bootstrap
Confidence Intervals, JASA 82, 1987.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ftbt.errors import InputError
from ftbt.robustness.checks import Floats, as_series, in_range, one_of, varies, whole
from ftbt.robustness.kernels import follow_blocks

Ints = NDArray[np.int64]
Statistic = Callable[[Floats], Floats]  # (samples, n) -> (samples,)
Kind = Literal["stationary", "circular"]
KINDS: tuple[str, ...] = get_args(Kind)
IntervalMethod = Literal["percentile", "bca"]
INTERVAL_METHODS: tuple[str, ...] = get_args(IntervalMethod)

# Numbers per chunk of samples: bounds the memory, whatever the number of samples.
_CHUNK = 1 << 20


def stationary_indices(n: int, length: float, samples: int, rng: np.random.Generator) -> Ints:
    """Return indices of stationary bootstrap samples, shape (samples, n).

    Blocks start anywhere, last a geometric number of observations and wrap around the end, so
    that the resampled series is stationary (Politis and Romano 1994).

    Args:
        n: observations.
        length: mean block length >= 1; at 1 single observations are drawn.
        samples: number of samples.
        rng: source of randomness.

    Raises:
        InputError: an argument out of range.
    """
    n, samples = whole(n, "number of observations", 1), whole(samples, "number of samples", 0)
    p = 1.0 / in_range(length, "mean block length", 1.0, open_high=True)
    anywhere = rng.integers(n, size=(samples, n))
    starts = rng.random((samples, n)) < p
    starts[:, 0] = True
    return follow_blocks(anywhere, starts)


def circular_indices(n: int, length: int, samples: int, rng: np.random.Generator) -> Ints:
    """Return indices of circular block bootstrap samples, shape (samples, n).

    Blocks of equal length start anywhere and wrap around the end; the last one is cut off
    (Politis and Romano 1992).

    Args:
        n: observations.
        length: block length, a whole number >= 1.
        samples: number of samples.
        rng: source of randomness.

    Raises:
        InputError: an argument out of range.
    """
    n, samples = whole(n, "number of observations", 1), whole(samples, "number of samples", 0)
    length = whole(length, "block length", 1)
    blocks = -(-n // length)
    starts = rng.integers(n, size=(samples, blocks, 1))
    indices = (starts + np.arange(length)) % n
    return np.asarray(indices.reshape(samples, -1)[:, :n], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class BlockLength:
    """Block lengths that minimise the error of the bootstrapped variance of the mean.

    Attributes:
        stationary: mean block length, observations; not rounded, may be below 1.
        circular: block length, observations; not rounded.
    """

    stationary: float
    circular: float

    def of(self, kind: Kind) -> float:
        """Return a usable length of one kind: at least 1, whole for circular blocks."""
        one_of(kind, "kind of bootstrap", KINDS)
        if kind == "stationary":
            return max(1.0, self.stationary)
        return max(1.0, float(math.ceil(self.circular)))


def block_length(values: Floats) -> BlockLength:
    """Return the block lengths of Politis and White (2004) as corrected in 2009.

    b = (2 G^2 / D)^(1/3) n^(1/3) with G = sum lambda(k/M) |k| R(k), g0 = sum lambda(k/M) R(k),
    D = 2 g0^2 (stationary) or 4/3 g0^2 (circular), lambda flat-top (1 up to a half, then falling
    to 0 at 1), R autocovariances. M = 2 m, m the first lag from which K = max(5, log10 n)
    autocorrelations in a row stay below 2 sqrt(log10(n) / n), counted as in the authors' program
    (the first of the small ones). Never longer than min(3 sqrt(n), n / 3).

    The length fits the MEAN of the values. Volatility is more persistent than returns: for a
    statistic of volatility hand in absolute or squared returns.

    Args:
        values: shape (n,), n >= 2. A series without variation has length 1.

    Raises:
        InputError: fewer than two values, or one that is not finite.
    """
    series = as_series(values, "values")
    n = len(series)
    if not varies(series):
        return BlockLength(1.0, 1.0)
    apart = series - series.mean()
    apart /= np.abs(apart).max()  # the length has no unit, and tiny squares would vanish
    run = max(5, int(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariance = np.array([float(apart[k:] @ apart[: n - k]) / n for k in range(most + 1)])
    width = min(2 * _first_small_lag(covariance, n, run), most)
    return _best_lengths(covariance, width, n)


def _best_lengths(covariance: Floats, width: int, n: int) -> BlockLength:
    """Return the lengths from autocovariances at lags 0 .. *width* and more."""
    lags = np.arange(1, width + 1)
    weight = np.where(2 * lags <= width, 1.0, 2.0 * (1.0 - lags / width))
    slope = 2.0 * float((weight * lags * covariance[1 : width + 1]).sum())
    spectrum = float(covariance[0]) + 2.0 * float((weight * covariance[1 : width + 1]).sum())
    longest = float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    if spectrum == 0.0:
        return BlockLength(longest, longest)
    stationary = (n * (slope / spectrum) ** 2) ** (1.0 / 3.0)
    circular = stationary * 1.5 ** (1.0 / 3.0)
    return BlockLength(min(longest, stationary), min(longest, circular))


def _first_small_lag(covariance: Floats, n: int, run: int) -> int:
    """Return the first lag >= 1 from which *run* autocorrelations are negligible."""
    limit = 2.0 * math.sqrt(math.log10(n) / n)
    small = np.abs(covariance[1:] / covariance[0]) < limit
    for first in range(len(small) - run + 1):
        if small[first : first + run].all():
            return first + 1
    return len(covariance) - 1


def resampled(
    values: Floats,
    samples: int,
    rng: np.random.Generator,
    *,
    kind: Kind = "stationary",
    length: float | None = None,
) -> Iterator[Floats]:
    """Yield bootstrap samples of a series in chunks of shape (some, n), *samples* in all.

    Args:
        values: shape (n,), n >= 2.
        samples: number of samples.
        rng: source of randomness.
        kind: `"stationary"` or `"circular"` blocks.
        length: block length; `block_length(values)` when None.

    Raises:
        InputError: an argument out of range.
    """
    series = as_series(values, "values")
    one_of(kind, "kind of bootstrap", KINDS)
    blocks = block_length(series).of(kind) if length is None else length
    for some in chunks(samples, len(series)):
        if kind == "stationary":
            yield series[stationary_indices(len(series), blocks, some, rng)]
        else:
            yield series[circular_indices(len(series), whole(blocks, "block length", 1), some, rng)]


def chunks(samples: int, width: int) -> Iterator[int]:
    """Yield how many samples of *width* numbers to form at once, *samples* in all.

    Raises:
        InputError: fewer than one sample.
    """
    left = whole(samples, "number of samples", 1)
    most = max(1, _CHUNK // max(1, width))
    while left > 0:
        yield min(left, most)
        left -= most


def bootstrap_distribution(
    values: Floats,
    statistic: Statistic,
    samples: int,
    rng: np.random.Generator,
    *,
    kind: Kind = "stationary",
    length: float | None = None,
) -> Floats:
    """Return the statistic of each bootstrap sample, shape (samples,).

    Args:
        values: shape (n,), n >= 2.
        statistic: takes samples as rows, shape (some, n), and returns shape (some,); wrap a
            function of one series with `each_row`.
        samples: number of samples.
        rng: source of randomness.
        kind: `"stationary"` or `"circular"` blocks.
        length: block length; `block_length(values)` when None.

    Raises:
        InputError: an argument out of range, or a statistic of another shape.
    """
    drawn = resampled(values, samples, rng, kind=kind, length=length)
    return np.concatenate([_applied(statistic, one) for one in drawn])


def _applied(statistic: Statistic, rows: Floats) -> Floats:
    result = np.asarray(statistic(rows), dtype=np.float64)
    if result.shape != (len(rows),):
        raise InputError(
            f"the statistic must return one number per row, shape ({len(rows)},), but returned "
            f"shape {result.shape}; wrap a function of one series with each_row()"
        )
    return result


def each_row(function: Callable[[Floats], float]) -> Statistic:
    """Return a statistic of rows from a function of one series, shape (n,)."""

    def of_rows(rows: Floats) -> Floats:
        return np.array([function(row) for row in rows], dtype=np.float64)

    return of_rows


def row_means(rows: Floats) -> Floats:
    """Return the mean of each row, shape (samples,)."""
    return np.asarray(rows.mean(axis=1))


def row_sharpes(rows: Floats) -> Floats:
    """Return mean / standard deviation (ddof 1) of each row, 0 for a row without variation."""
    spread = rows.std(axis=1, ddof=1)
    mean = rows.mean(axis=1)
    flat = spread <= 1e-13 * np.abs(mean)
    return np.where(flat, 0.0, mean / np.where(flat, 1.0, spread))


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap confidence interval.

    Attributes:
        estimate: the statistic of the series itself.
        low: lower end.
        high: upper end.
        level: two-sided confidence.
        method: `"percentile"` or `"bca"`.
        kind: of the blocks.
        length: of the blocks, observations.
        samples: number of samples.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    kind: str
    length: float
    samples: int


def confidence_interval(
    values: Floats,
    statistic: Statistic,
    samples: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    method: IntervalMethod = "percentile",
    kind: Kind = "stationary",
    length: float | None = None,
) -> Interval:
    """Return a two-sided confidence interval of a statistic.

    `"percentile"`: quantiles (1 -+ level)/2 of the bootstrap distribution. `"bca"` (Efron 1987)
    shifts these quantiles for bias and skewness: Phi(z0 + (z0 + z)/(1 - a (z0 + z))), z0 from the
    share of samples below the estimate, a = sum d^3 / (6 (sum d^2)^1.5) from the deviations d of
    a jackknife that leaves out one block (of the same length) at a time.

    Args:
        values: shape (n,), n >= 2.
        statistic: see `bootstrap_distribution`.
        samples: number of samples.
        rng: source of randomness.
        level: two-sided, between 0 and 1.
        method: `"percentile"` or `"bca"`.
        kind: `"stationary"` or `"circular"` blocks.
        length: block length; `block_length(values)` when None.

    Raises:
        InputError: an argument out of range, or a statistic that is not finite on every sample.
    """
    series = as_series(values, "values")
    level = in_range(level, "confidence level", 0.0, 1.0, open_low=True, open_high=True)
    one_of(method, "method", INTERVAL_METHODS)
    blocks = block_length(series).of(kind) if length is None else float(length)
    drawn = bootstrap_distribution(series, statistic, samples, rng, kind=kind, length=blocks)
    estimate = float(_applied(statistic, series[None, :])[0])
    broken = int((~np.isfinite(drawn)).sum())
    if broken or not math.isfinite(estimate):
        raise InputError(
            f"the statistic is not finite on {broken} of {samples} samples (on the series itself: "
            f"{estimate:g}); choose one that every resampled series has"
        )
    ends = np.array([0.5 - level / 2.0, 0.5 + level / 2.0])
    if method == "bca":
        ends = _bca_levels(drawn, estimate, ends, _jackknife(series, statistic, blocks))
    low, high = (float(one) for one in np.quantile(drawn, ends))
    return Interval(estimate, low, high, level, method, kind, blocks, len(drawn))


def _jackknife(series: Floats, statistic: Statistic, length: float) -> Floats:
    size = min(math.ceil(length), len(series) // 2)
    edges = range(0, len(series) - size + 1, size)
    left_out = [np.delete(series, slice(start, start + size)) for start in edges]
    # Row by row: all of them at once would take n^2 numbers.
    return np.array([float(_applied(statistic, one[None, :])[0]) for one in left_out])


def _bca_levels(drawn: Floats, estimate: float, ends: Floats, jackknife: Floats) -> Floats:
    apart = jackknife.mean() - jackknife
    scale = float((apart**2).sum()) ** 1.5
    acceleration = float((apart**3).sum()) / (6.0 * scale) if scale > 0.0 else 0.0
    below = float((drawn < estimate).mean() + 0.5 * (drawn == estimate).mean())
    # With all samples on one side the true share is unknown, only that it is below 1/samples.
    edge = 0.5 / len(drawn)
    bias = float(ndtri(min(1.0 - edge, max(edge, below))))
    shifted = bias + ndtri(ends)
    return np.asarray(ndtr(bias + shifted / (1.0 - acceleration * shifted)), dtype=np.float64)
