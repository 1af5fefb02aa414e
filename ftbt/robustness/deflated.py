"""The Sharpe ratio of the best of many trials: what luck alone would have given.

The best of N trials without skill has an expected Sharpe ratio well above zero. The deflated
Sharpe ratio is the probability that the true ratio exceeds that expectation; minimum backtest
length is the time that keeps the expectation below a target.

Units as in `sharpe`: ratios, their variance and the record are per observation. The variance
across trials must be that of ratios measured over as many observations as the record has: a ratio
of 100 days scatters three times as wide as one of 900.

Sources: Bailey and Lopez de Prado, The Deflated Sharpe Ratio, JPM 40(5), 2014; Bailey, Borwein,
Lopez de Prado and Zhu, Pseudo-Mathematics and Financial Charlatanism, Notices AMS 61(5), 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtri

from ftbt.errors import InputError
from ftbt.robustness.checks import Floats, in_range, varying_columns
from ftbt.robustness.effective import EffectiveTrials, effective_trials
from ftbt.robustness.panel import as_panel
from ftbt.robustness.sharpe import Form, TrackRecord, probabilistic_sharpe, sharpe_ratios

__all__ = [
    "DeflatedPoint",
    "DeflatedSharpe",
    "EffectiveTrials",
    "Maximum",
    "MinimumBacktest",
    "deflate",
    "deflated_sharpe",
    "deflated_sharpe_band",
    "effective_trials",
    "exact_maximum",
    "expected_maximum",
    "minimum_backtest_length",
    "tolerated_trials",
    "trial_variance",
]

GAMMA = 0.5772156649015329  # Euler and Mascheroni
MOST_TRIALS = 10**12
CURVE_POINTS = 60


def expected_maximum(trials: float) -> float:
    """Return the expected greatest of N standard normal values, the papers' approximation.

    (1 - gamma) Z^-1[1 - 1/N] + gamma Z^-1[1 - 1/(N e)], Z^-1 the normal quantile (False Strategy
    theorem). A little above the exact expectation for N >= 5, so it errs on the strict side.

    Args:
        trials: N >= 1, need not be whole. The approximation runs to -inf towards 1, where the
            true value is 0; it is cut off there.

    Raises:
        InputError: fewer than one trial.
    """
    count = in_range(trials, "number of trials", 1.0, open_high=True)
    if count == 1.0:
        return 0.0
    # 1 - 1/N loses its digits for great N; the quantile's symmetry keeps them.
    first, second = -float(ndtri(1.0 / count)), -float(ndtri(1.0 / (count * math.e)))
    return max(0.0, (1.0 - GAMMA) * first + GAMMA * second)


@dataclass(frozen=True, slots=True)
class Maximum:
    """Moments of the greatest of N independent standard normal values.

    Attributes:
        mean: expectation.
        sd: standard deviation.
    """

    mean: float
    sd: float


@lru_cache(maxsize=4096)
def exact_maximum(trials: float) -> Maximum:
    """Return expectation and standard deviation of the greatest of N standard normal values.

    Quadrature of the density N phi(z) Phi(z)^(N - 1). The trapezoidal rule is exact to rounding
    for a smooth density that vanishes at both ends.

    Args:
        trials: N >= 1, need not be whole.

    Raises:
        InputError: fewer than one trial, or more than MOST_TRIALS.
    """
    count = in_range(trials, "number of trials", 1.0, MOST_TRIALS)
    z = np.linspace(-14.0, 14.0, 5601)
    log_density = math.log(count) - 0.5 * z * z + (count - 1.0) * log_ndtr(z)
    weight = np.exp(log_density) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    mean = float(weight @ z)
    return Maximum(mean, math.sqrt(float(weight @ (z - mean) ** 2)))


def trial_variance(returns: Floats) -> float:
    """Return the variance across trials of their Sharpe ratios per observation, ddof 1.

    Trials without variation (no trades) have no ratio and are left out.

    Args:
        returns: one column per trial, shape (observations, trials).

    Raises:
        InputError: not a finite matrix, or fewer than two trials that vary.
    """
    matrix = as_panel(returns)
    varying = varying_columns(matrix)
    if varying.sum() < 2:
        raise InputError(
            f"returns: {int(varying.sum())} of {matrix.shape[1]} trials vary; the variance of "
            "Sharpe ratios across trials needs at least 2"
        )
    return float(sharpe_ratios(matrix[:, varying]).var(ddof=1))


def deflated_sharpe(
    record: TrackRecord,
    variance: float,
    trials: float,
    form: Form = "2012",
    *,
    null_mean: float = 0.0,
    scale_error: bool = True,
) -> float:
    """Return the probability that the true ratio exceeds the best of N trials without skill.

    DSR = PSR(SR0), SR0 = null_mean + sqrt(variance) E[max_N] (Bailey and Lopez de Prado 2014). In
    the forms of 2025 the error is also multiplied with the standard deviation of the greatest of N
    normal values (Lopez de Prado, Lipton and Zoonekynd 2025).

    Args:
        record: of the selected trial, per observation.
        variance: across trials, of Sharpe ratios per observation, over as many observations.
        trials: effective number of independent trials N >= 1; at 1 SR0 is *null_mean*.
        form: of the probabilistic Sharpe ratio.
        null_mean: expected ratio of a trial without skill.
        scale_error: False: leave that factor of the forms of 2025 out.

    Raises:
        InputError: an argument out of range.
    """
    benchmark = null_mean + _hurdle(variance, trials)
    scaled = scale_error and form != "2012"
    scale = exact_maximum(float(trials)).sd if scaled else 1.0
    return probabilistic_sharpe(record, benchmark, form, error_scale=scale)


def _hurdle(variance: float, trials: float) -> float:
    what = "variance of Sharpe ratios across trials"
    return math.sqrt(in_range(variance, what, 0.0, open_high=True)) * expected_maximum(trials)


def tolerated_trials(
    record: TrackRecord, variance: float, confidence: float = 0.95, form: Form = "2012"
) -> float:
    """Return the largest whole number of independent trials with DSR >= confidence.

    Args:
        record: of the selected trial, per observation.
        variance: across trials, of Sharpe ratios per observation.
        confidence: between 0 and 1.
        form: of the probabilistic Sharpe ratio.

    Returns:
        0 when no number of trials reaches it, inf when MOST_TRIALS do.

    Raises:
        InputError: an argument out of range.
    """
    level = in_range(confidence, "confidence", 0.0, 1.0, open_low=True, open_high=True)

    def reached(count: int) -> bool:
        return deflated_sharpe(record, variance, count, form) >= level

    # In the forms of 2025 the error shrinks with N, so DSR may rise at first: look from above.
    grid = np.unique(np.geomspace(1, MOST_TRIALS, 200).astype(np.int64))
    place = next((i for i in range(len(grid) - 1, -1, -1) if reached(int(grid[i]))), -1)
    if place in (-1, len(grid) - 1):
        return 0.0 if place == -1 else math.inf
    low, high = int(grid[place]), int(grid[place + 1])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reached(middle) else (low, middle)
    return float(low)


@dataclass(frozen=True, slots=True)
class DeflatedPoint:
    """The deflated Sharpe ratio at one number of trials.

    Attributes:
        trials: effective number of independent trials.
        benchmark: expected ratio of the best of them without skill, per observation.
        probability: deflated Sharpe ratio, 0 to 1.
    """

    trials: float
    benchmark: float
    probability: float


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """The deflated Sharpe ratio over the whole band of effective trial numbers.

    Attributes:
        form: of the probabilistic Sharpe ratio.
        confidence: level that the probability must reach.
        record: figures of the selected trial, per observation.
        variance: of Sharpe ratios across trials, per observation.
        effective: the band and its estimators.
        low: at the lowest estimate.
        central: at the central estimate.
        high: at the highest estimate.
        raw: at the number of all trials, as if they were independent.
        curve: from 1 to the number of all trials, evenly in log N, for the figure.
        tolerated: largest number of independent trials with probability >= confidence.
    """

    form: str
    confidence: float
    record: TrackRecord
    variance: float
    effective: EffectiveTrials
    low: DeflatedPoint
    central: DeflatedPoint
    high: DeflatedPoint
    raw: DeflatedPoint
    curve: tuple[DeflatedPoint, ...]
    tolerated: float

    @property
    def passes(self) -> bool:
        """True when the confidence is reached at both ends and at the centre of the band."""
        points = (self.low, self.central, self.high)
        return all(one.probability >= self.confidence for one in points)

    @property
    def flips(self) -> bool:
        """True when the confidence is reached in one part of the band and not in another."""
        points = (self.low, self.central, self.high)
        return not self.passes and any(one.probability >= self.confidence for one in points)


def deflated_sharpe_band(
    record: TrackRecord,
    variance: float,
    effective: EffectiveTrials,
    form: Form = "2012",
    confidence: float = 0.95,
) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio at both ends, in the middle and over the whole band.

    Args:
        record: of the selected trial, per observation.
        variance: across trials, of Sharpe ratios per observation, over as many observations.
        effective: the band.
        form: of the probabilistic Sharpe ratio.
        confidence: between 0 and 1.

    Raises:
        InputError: an argument out of range.
    """

    def at(count: float) -> DeflatedPoint:
        probability = deflated_sharpe(record, variance, count, form)
        return DeflatedPoint(count, _hurdle(variance, count), probability)

    last = max(2.0, float(effective.trials), effective.high)
    return DeflatedSharpe(
        form=form,
        confidence=confidence,
        record=record,
        variance=variance,
        effective=effective,
        low=at(effective.low),
        central=at(effective.central),
        high=at(effective.high),
        raw=at(float(effective.trials)),
        curve=tuple(at(float(n)) for n in np.geomspace(1.0, last, CURVE_POINTS)),
        tolerated=tolerated_trials(record, variance, confidence, form),
    )


def deflate(
    selected: Floats,
    trials: Floats,
    *,
    further_trials: int = 0,
    form: Form = "2012",
    confidence: float = 0.95,
) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of the selected trial's returns over the band.

    Args:
        selected: returns of the selected trial, shape (observations,).
        trials: returns of all trials over as many observations, shape (observations, trials).
        further_trials: trials ever made whose returns were not kept.
        form: of the probabilistic Sharpe ratio.
        confidence: between 0 and 1.

    Raises:
        InputError: different numbers of observations, a selected trial without variation, fewer
            than two trials that vary, or an argument out of range.
    """
    matrix = as_panel(trials)
    record = TrackRecord.of(selected)
    if record.observations != len(matrix):
        raise InputError(
            f"the selected trial has {record.observations} returns, the trials have {len(matrix)}: "
            "their Sharpe ratios scatter differently; give both over the same days"
        )
    effective = effective_trials(matrix).with_unknown(further_trials)
    return deflated_sharpe_band(record, trial_variance(matrix), effective, form, confidence)


@dataclass(frozen=True, slots=True)
class MinimumBacktest:
    """The time below which N trials without skill are expected to show the target.

    Attributes:
        years: minimum backtest length.
        bound: upper bound 2 ln N / target^2, years.
    """

    years: float
    bound: float


def minimum_backtest_length(trials: float, target: float = 1.0) -> MinimumBacktest:
    """Return how many years N trials need before their best is not expected to be luck.

    MinBTL = (E[max_N] / target)^2 < 2 ln N / target^2 (Bailey, Borwein, Lopez de Prado and Zhu
    2014).

    Args:
        trials: number of independent trials N >= 1.
        target: annual Sharpe ratio of the best trial, above 0.

    Raises:
        InputError: an argument out of range.
    """
    target = in_range(target, "target Sharpe ratio", 0.0, open_low=True, open_high=True)
    years = (expected_maximum(trials) / target) ** 2
    return MinimumBacktest(years, 2.0 * math.log(trials) / target**2)
