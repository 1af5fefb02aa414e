"""How many independent trials a set of correlated ones is worth: no single answer, so a band.

A grid of 600 moving averages is not 600 ideas. How many it is depends on the question that is
asked of the correlation matrix, and published estimators differ by a factor of a hundred on the
same trials. So all of them are computed, and a verdict that depends on the choice is none.

Estimators, N trials with mean correlation rho and eigenvalues w of the correlation matrix:

* average correlation: rho + (1 - rho) N. Bailey and Lopez de Prado, The Deflated Sharpe Ratio,
  JPM 40(5), 2014, appendix.
* variance of the mean: N / (1 + (N - 1) rho). Kish, Survey Sampling, 1965 (design effect).
* participation ratio: (sum w)^2 / sum w^2.
* effective rank: exp(entropy of w / sum w). Roy and Vetterli, The Effective Rank, EUSIPCO 2007.
* Nyholt: 1 + (N - 1)(1 - Var(w) / N), variance with ddof 1. Nyholt, Am. J. Hum. Genet. 74, 2004.
* Kaiser: number of w >= 1 (all of them for independent trials). Kaiser, Educ. Psychol. Meas.
  20(1), 1960.
* clusters: number of clusters with the best quality mean / standard deviation of the silhouettes
  on the distances sqrt((1 - correlation) / 2). Lopez de Prado and Lewis, Detection of False
  Investment Strategies Using Unsupervised Learning Methods, Quant. Finance 19(9), 2019; with
  average linkage in place of their k-means, which has a random start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from ftbt.errors import InputError
from ftbt.robustness.checks import Floats, varying_columns, whole
from ftbt.robustness.panel import as_panel

Ints = NDArray[np.int64]

CENTRAL = "effective rank"
# The matrix of distances between all pairs must fit into memory several times.
MOST_CLUSTERED = 4_000
MOST_CLUSTERS = 100
# Below this mean silhouette there is no substantial structure (Kaufman and Rousseeuw 1990), and
# the number of clusters that fits noise best says nothing about the number of trials.
LEAST_SILHOUETTE = 0.25
# Negative eigenvalues up to this share of their sum come from printing with few digits.
ROUNDED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimate of the effective number of trials.

    Attributes:
        name: of the estimator, see the module.
        value: effective number, 1 to the number of trials.
    """

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class EffectiveTrials:
    """The band of effective trial numbers.

    Attributes:
        trials: all trials, flat ones and those of unknown returns included.
        flat: trials without variation (no trades), left out of the estimates.
        mean_correlation: average over all pairs of trials that vary; NaN for a single one.
        estimates: all estimates, lowest first.
        low: lowest estimate.
        central: the estimate named by CENTRAL.
        high: highest estimate.
        low_name: estimator of *low*.
        central_name: estimator of *central*.
        high_name: estimator of *high*.
    """

    trials: int
    flat: int
    mean_correlation: float
    estimates: tuple[Estimate, ...]
    low: float
    central: float
    high: float
    low_name: str
    central_name: str
    high_name: str

    def with_unknown(self, count: int) -> EffectiveTrials:
        """Return the band with *count* further trials whose returns were not kept.

        Worst case for the upper end (each of them independent), in proportion for the centre, and
        the lower end unchanged (all of them copies).

        Raises:
            InputError: a count that is not a whole number of at least 0.
        """
        count = whole(count, "number of further trials", 0)
        known = self.trials - self.flat
        return EffectiveTrials(
            trials=self.trials + count,
            flat=self.flat,
            mean_correlation=self.mean_correlation,
            estimates=self.estimates,
            low=self.low,
            central=self.central * (known + count) / known,
            high=self.high + count,
            low_name=self.low_name,
            central_name=self.central_name,
            high_name=self.high_name,
        )


def effective_trials(returns: Floats) -> EffectiveTrials:
    """Return the band of effective trial numbers from the trials' returns.

    Eigenvalues come from the smaller of the two Gram matrices: 2,400 trials over 900 days take the
    eigenvalues of a 900 x 900 matrix.

    Args:
        returns: one column per trial, same observations, shape (observations, trials).

    Raises:
        InputError: not a finite matrix of at least two rows, or no column varies.
    """
    matrix = as_panel(returns)
    varying = varying_columns(matrix)
    used = int(varying.sum())
    if used == 0:
        raise InputError(
            f"returns: none of the {matrix.shape[1]} trials varies (no trades?); without "
            "variation there is no correlation between trials"
        )
    unit = _unit_columns(matrix[:, varying])
    return _band(_estimates(unit), matrix.shape[1], matrix.shape[1] - used, mean_correlation(unit))


def effective_trials_of_correlation(correlation: Floats) -> EffectiveTrials:
    """Return the band of effective trial numbers from a correlation matrix.

    Args:
        correlation: symmetric, ones on the diagonal, no negative eigenvalue beyond what rounding
            to a digit or two causes (they are dropped), shape (N, N).

    Raises:
        InputError: not such a matrix.
    """
    matrix = as_panel(correlation, rows=1)
    count = matrix.shape[1]
    if matrix.shape[0] != count or not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-9):
        raise InputError(f"correlation matrix: shape {matrix.shape} is not a symmetric matrix")
    if not np.allclose(np.diag(matrix), 1.0, rtol=0.0, atol=1e-9):
        raise InputError("correlation matrix: the diagonal must be 1")
    values = _eigenvalues(matrix)
    if -float(values[values < 0.0].sum()) > ROUNDED_SHARE * count:
        raise InputError(
            f"correlation matrix: eigenvalue {values[0]:g} is negative; no series correlate so"
        )
    mean = (float(matrix.sum()) - count) / (count * (count - 1)) if count > 1 else math.nan
    estimates = [*_closed_forms(count, mean), *_of_eigenvalues(values, count)]
    return _band([*estimates, *_clusters(matrix)], count, 0, mean)


def mean_correlation(unit: Floats) -> float:
    """Return the average correlation over all pairs, without the matrix of pairs.

    Args:
        unit: centred columns of length 1, shape (observations, N).

    Returns:
        (|sum of the columns|^2 - N) / (N (N - 1)); NaN for N = 1.
    """
    count = unit.shape[1]
    total = unit.sum(axis=1)
    return (float(total @ total) - count) / (count * (count - 1)) if count > 1 else math.nan


def _unit_columns(matrix: Floats) -> Floats:
    apart = matrix - matrix.mean(axis=0)
    return np.asarray(apart / np.sqrt((apart * apart).sum(axis=0)))


def _estimates(unit: Floats) -> list[Estimate]:
    rows, count = unit.shape
    values = _eigenvalues(unit @ unit.T if rows < count else unit.T @ unit)
    estimates = [*_closed_forms(count, mean_correlation(unit)), *_of_eigenvalues(values, count)]
    return [*estimates, *_clusters(unit.T @ unit)] if count <= MOST_CLUSTERED else estimates


def _band(estimates: list[Estimate], trials: int, flat: int, mean: float) -> EffectiveTrials:
    top = float(trials - flat)
    bounded = [Estimate(one.name, min(top, max(1.0, one.value))) for one in estimates]
    ordered = sorted(bounded, key=lambda one: one.value)
    central = next(one for one in ordered if one.name == CENTRAL)
    low, high = ordered[0], ordered[-1]
    return EffectiveTrials(
        trials=trials,
        flat=flat,
        mean_correlation=mean,
        estimates=tuple(ordered),
        low=low.value,
        central=central.value,
        high=high.value,
        low_name=low.name,
        central_name=central.name,
        high_name=high.name,
    )


def _closed_forms(count: int, mean: float) -> list[Estimate]:
    # Trials that move against each other are no more than independent.
    rho = max(0.0, mean) if count > 1 else 0.0
    return [
        Estimate("average correlation", rho + (1.0 - rho) * count),
        Estimate("variance of the mean", count / (1.0 + (count - 1) * rho)),
    ]


def _eigenvalues(symmetric: Floats) -> Floats:
    return np.asarray(np.linalg.eigvalsh(symmetric), dtype=np.float64)


def _of_eigenvalues(values: Floats, count: int) -> list[Estimate]:
    """Return the estimates from the non-zero eigenvalues of the (count x count) correlation."""
    positive = values[values > 1e-12 * count]
    squares = float((positive * positive).sum())
    shares = positive / positive.sum()
    # The eigenvalues' mean is 1, so the zero ones need not be listed for the variance.
    variance = (squares - count) / (count - 1) if count > 1 else 0.0
    return [
        Estimate("participation ratio", float(positive.sum()) ** 2 / squares),
        Estimate(CENTRAL, math.exp(-float((shares * np.log(shares)).sum()))),
        Estimate("Nyholt", 1.0 + (count - 1) * (1.0 - variance / count)),
        # Rounding must not push the eigenvalues of independent trials below 1.
        Estimate("Kaiser", float((positive >= 1.0 - 1e-9).sum())),
    ]


def _clusters(correlation: Floats) -> list[Estimate]:
    """Return the number of clusters, or nothing when the trials have no cluster structure."""
    count = len(correlation)
    if count < 4:
        return []
    distance = np.sqrt(np.clip(1.0 - correlation, 0.0, 2.0) / 2.0)
    distance = 0.5 * (distance + distance.T)
    np.fill_diagonal(distance, 0.0)
    merges = linkage(squareform(distance, checks=False), method="average")
    best, best_quality = 0, -math.inf
    for number, silhouettes in _silhouettes(distance, merges, min(count - 1, MOST_CLUSTERS)):
        mean, spread = float(silhouettes.mean()), float(silhouettes.std())
        quality = mean / spread if spread > 0.0 else math.inf
        if mean >= LEAST_SILHOUETTE and quality > best_quality:
            best, best_quality = number, quality
    return [Estimate("clusters", float(best))] if best else []


def _silhouettes(distance: Floats, merges: Floats, most: int) -> list[tuple[int, Floats]]:
    """Return the silhouettes, shape (N,), for 2 .. *most* clusters of one linkage.

    The sums of distances to each cluster are formed once; each merge adds two of their columns.
    """
    count = len(distance)
    labels = np.arange(count)
    for step, (left, right) in enumerate(merges[: count - most, :2].astype(np.int64)):
        labels[(labels == left) | (labels == right)] = count + step
    names, own = np.unique(labels, return_inverse=True)
    place = {int(name): column for column, name in enumerate(names)}
    member = np.zeros((count, most))
    member[np.arange(count), own] = 1.0
    sums, sizes = distance @ member, member.sum(axis=0)
    found = []
    for step in range(count - most, count - 1):
        found.append((count - step, _silhouette(sums, sizes, own)))
        left, right = (place[int(merges[step, side])] for side in (0, 1))
        sums[:, left] += sums[:, right]
        sizes[left] += sizes[right]
        sums[:, right], sizes[right] = math.inf, 1.0
        own[own == right] = left
        place[count + step] = left
    return found


def _silhouette(sums: Floats, sizes: Floats, own: Ints) -> Floats:
    """Return (b - a) / max(a, b) per trial, 0 in a cluster of one (Rousseeuw 1987)."""
    rows = np.arange(len(own))
    size = sizes[own]
    within = sums[rows, own] / np.maximum(1.0, size - 1.0)
    to_others = sums / sizes
    to_others[rows, own] = math.inf
    nearest = to_others.min(axis=1)
    larger = np.maximum(within, nearest)
    # Copies of one trial in two clusters are at distance 0 from both.
    scaled = (nearest - within) / np.where(larger > 0.0, larger, 1.0)
    return np.where(size > 1.0, scaled, 0.0)
