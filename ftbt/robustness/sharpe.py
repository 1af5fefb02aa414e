"""What a Sharpe ratio proves: standard errors, probabilistic Sharpe ratio, track record length.

Units: Sharpe ratio, skewness, kurtosis and the number of observations are all per OBSERVATION
(a day when the returns are daily). Kurtosis is NOT excess: 3 for a normal distribution. Mixing an
annual ratio with a number of days, or an excess kurtosis, gives plausible and wrong results.

Three forms of the ratio's variance are in use, and they differ a lot on skewed records; every
result names its form:

* `"2012"`: variance at the ESTIMATED ratio, divided by T - 1. Bailey and Lopez de Prado, The
  Sharpe Ratio Efficient Frontier, J. Risk 15(2), 2012. What other programs print; the default.
* `"2025"`: variance at the ratio of the NULL hypothesis, divided by T. Lopez de Prado, Lipton and
  Zoonekynd, How to Use the Sharpe Ratio, ADIA Lab research paper 19 (SSRN 5520741), 2025.
* `"2025-ar1"`: the same with the record's serial correlation of first order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri

from ftbt.backtest.return_metrics import kurtosis, skewness
from ftbt.backtest.sharpe_error import chance_above, sharpe_variance
from ftbt.errors import InputError
from ftbt.robustness.checks import (
    Floats,
    as_series,
    in_range,
    one_of,
    varies,
    varying_columns,
    whole,
)
from ftbt.robustness.panel import as_panel

Form = Literal["2012", "2025", "2025-ar1"]
FORMS: tuple[str, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """The figures of a series of returns that its Sharpe ratio's error depends on.

    Attributes:
        observations: T; need not be whole.
        sharpe: mean / standard deviation (ddof 1) per observation, risk-free rate 0.
        skewness: third standardised moment.
        kurtosis: fourth standardised moment, not excess.
        autocorrelation: of first order; used by the form `"2025-ar1"` only.
    """

    observations: float
    sharpe: float
    skewness: float = 0.0
    kurtosis: float = 3.0
    autocorrelation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse figures that no series can have."""
        in_range(self.observations, "number of observations", 1.0, open_high=True)
        in_range(self.sharpe, "Sharpe ratio", open_low=True, open_high=True)
        in_range(self.skewness, "skewness", open_low=True, open_high=True)
        least = self.skewness**2 + 1.0
        if not least * (1.0 - 1e-9) <= self.kurtosis < math.inf:
            raise InputError(
                f"kurtosis must be at least skewness^2 + 1 = {least:g} (3 for a normal "
                f"distribution, not excess), but got {self.kurtosis:g}"
            )
        what = "autocorrelation of first order"
        in_range(self.autocorrelation, what, -1.0, 1.0, open_low=True, open_high=True)

    @classmethod
    def of(cls, returns: Floats) -> TrackRecord:
        """Return the figures of *returns* per observation, shape (n,), n >= 2.

        Skewness and kurtosis are moment figures (biased), the autocorrelation is
        sum(x_t x_t-1) / sum(x_t^2) of the deviations x from the mean.

        Raises:
            InputError: fewer than two returns, one that is not finite, or returns that do not
                vary and so have no Sharpe ratio.
        """
        series = as_series(returns, "returns")
        if not varies(series):
            raise InputError(
                f"returns: all {len(series)} are equal ({series[0]:g}); a series without "
                "variation (a strategy that never traded) has no Sharpe ratio"
            )
        apart = series - series.mean()
        return cls(
            observations=len(series),
            sharpe=float(series.mean() / series.std(ddof=1)),
            skewness=skewness(series),
            kurtosis=kurtosis(series),
            autocorrelation=float(apart[1:] @ apart[:-1] / (apart @ apart)),
        )


def sharpe_ratios(returns: Floats) -> Floats:
    """Return the Sharpe ratio per observation of each column, NaN for one that does not vary.

    Args:
        returns: shape (observations, trials).

    Returns:
        Shape (trials,), mean / standard deviation (ddof 1).

    Raises:
        InputError: not a finite matrix of at least two rows.
    """
    matrix = as_panel(returns)
    spread = np.where(varying_columns(matrix), matrix.std(axis=0, ddof=1), np.nan)
    return np.asarray(matrix.mean(axis=0) / spread)


def standard_error(record: TrackRecord, form: Form = "2012", at: float | None = None) -> float:
    """Return the standard error of the record's Sharpe ratio, per observation.

    With S = *at*: sqrt((1 - g3 S + (g4 - 1)/4 S^2) / (T - 1)) in the form of 2012 (Mertens 2002;
    Bailey and Lopez de Prado 2012); divided by T in the form of 2025, and with serial
    correlation rho sqrt((a - b g3 S + c (g4 - 1)/4 S^2) / T), a = 1 + 2 rho/(1 - rho),
    b = 1 + rho/(1 - rho) + rho^2/(1 - rho^2), c = 1 + 2 rho^2/(1 - rho^2). For normal returns
    the form of 2025 is Lo's (2002, FAJ 58(4)) sqrt((1 + S^2/2) / T).

    Args:
        record: the track record.
        form: see the module.
        at: the ratio at which the variance is taken; the record's own when None.

    Returns:
        0 for moments at the edge of the possible. inf when the form has no answer: one observation
        in the form of 2012, or serial correlation with a skewness so extreme that the sum above
        is not positive; nothing is proved then.

    Raises:
        InputError: unknown form, or *at* not finite.
    """
    one_of(form, "form", FORMS)
    at = in_range(
        record.sharpe if at is None else at, "Sharpe ratio", open_low=True, open_high=True
    )
    rho = record.autocorrelation if form == "2025-ar1" else 0.0
    variance = sharpe_variance(at, record.skewness, record.kurtosis, rho)
    count = record.observations - (1.0 if form == "2012" else 0.0)
    if count <= 0.0 or (rho != 0.0 and variance <= 0.0):
        return math.inf
    # Moments at the edge of the possible make the sum zero up to rounding.
    return math.sqrt(max(0.0, variance) / count)


def probabilistic_sharpe(
    record: TrackRecord,
    benchmark: float = 0.0,
    form: Form = "2012",
    *,
    error_scale: float = 1.0,
) -> float:
    """Return the probability that the true Sharpe ratio exceeds the benchmark.

    PSR(SR*) = Phi((SR - SR*) / error); 1 - PSR is the p-value of the one-sided test of SR <= SR*.
    Source: Bailey and Lopez de Prado 2012, error at the estimate; in the forms of 2025
    the error is taken at SR*.

    Args:
        record: the track record.
        benchmark: SR*, per observation.
        form: see the module.
        error_scale: factor on the standard error; the deflated ratio of 2025 takes the standard
            deviation of the greatest of N normal values.

    Raises:
        InputError: unknown form, benchmark not finite, or a scale that is not positive.
    """
    benchmark = in_range(benchmark, "benchmark Sharpe ratio", open_low=True, open_high=True)
    scale = in_range(error_scale, "factor on the standard error", 0.0, open_low=True)
    at = record.sharpe if form == "2012" else benchmark
    return chance_above(record.sharpe, benchmark, scale * standard_error(record, form, at))


def minimum_track_record(
    record: TrackRecord, benchmark: float = 0.0, confidence: float = 0.95, form: Form = "2012"
) -> float:
    """Return how many observations prove that the true ratio exceeds the benchmark.

    MinTRL = 1 + (1 - g3 SR + (g4 - 1)/4 SR^2) (z / (SR - SR*))^2 (Bailey and Lopez de Prado 2012,
    appendix A.3); in the forms of 2025 with the variance at SR* and without the 1.

    Args:
        record: its ratio and moments are taken as those of a longer record too.
        benchmark: SR*, per observation.
        confidence: at least 0.5, below 1.
        form: see the module.

    Returns:
        Observations, not whole; inf when the record's ratio does not exceed the benchmark: no
        length proves what the estimate denies.

    Raises:
        InputError: unknown form, confidence or benchmark out of range.
    """
    benchmark = in_range(benchmark, "benchmark Sharpe ratio", open_low=True, open_high=True)
    confidence = in_range(confidence, "confidence", 0.5, 1.0, open_high=True)
    one_of(form, "form", FORMS)
    apart = record.sharpe - benchmark
    if apart <= 0.0:
        return math.inf
    shift = 1.0 if form == "2012" else 0.0
    single = TrackRecord(
        1.0 + shift, record.sharpe, record.skewness, record.kurtosis, record.autocorrelation
    )
    error = standard_error(single, form, record.sharpe if form == "2012" else benchmark)
    if math.isinf(error):
        return math.inf
    return shift + (float(ndtri(confidence)) * error / apart) ** 2


def critical_sharpe(
    record: TrackRecord, null: float = 0.0, significance: float = 0.05, form: Form = "2025"
) -> float:
    """Return the ratio above which SR <= null is rejected: null + z error(null).

    Source: Lopez de Prado, Lipton and Zoonekynd 2025. The record's own ratio plays no part.

    Args:
        record: observations and moments.
        null: Sharpe ratio of the null hypothesis, per observation.
        significance: between 0 and 1.
        form: of the error, always taken at *null* here.

    Raises:
        InputError: an argument out of range.
    """
    alpha = in_range(significance, "significance", 0.0, 1.0, open_low=True, open_high=True)
    error = standard_error(record, form, null)
    return null - float(ndtri(alpha)) * error if math.isfinite(error) else math.inf


def sharpe_power(
    record: TrackRecord,
    alternative: float,
    null: float = 0.0,
    significance: float = 0.05,
    form: Form = "2025",
) -> float:
    """Return the probability to detect a true ratio of *alternative*, 1 - beta.

    beta = Phi((SR_c - SR1) / error(SR1)) (Lopez de Prado, Lipton and Zoonekynd 2025).

    Args:
        record: observations and moments.
        alternative: true Sharpe ratio SR1, per observation.
        null: Sharpe ratio of the null hypothesis, per observation.
        significance: between 0 and 1.
        form: of both errors.

    Raises:
        InputError: an argument out of range.
    """
    critical = critical_sharpe(record, null, significance, form)
    error = standard_error(record, form, alternative)
    if error == 0.0:
        return float(alternative > critical)
    if math.isinf(critical):
        return 0.0
    return float(ndtr((alternative - critical) / error))


def planned_false_discovery_rate(prior: float, significance: float, power: float) -> float:
    """Return P(no skill | the test rejects), pFDR = 1 / (1 + power p1 / (alpha (1 - p1))).

    Source: Lopez de Prado, Lipton and Zoonekynd 2025.

    Args:
        prior: p1, share of tested strategies that have skill, between 0 and 1.
        significance: alpha, between 0 and 1.
        power: 1 - beta, 0 to 1.

    Raises:
        InputError: an argument out of range.
    """
    prior = in_range(prior, "prior", 0.0, 1.0, open_low=True, open_high=True)
    alpha = in_range(significance, "significance", 0.0, 1.0, open_low=True, open_high=True)
    power = in_range(power, "power", 0.0, 1.0)
    return 1.0 / (1.0 + power * prior / (alpha * (1.0 - prior)))


def observed_false_discovery_rate(
    record: TrackRecord, alternative: float, prior: float, null: float = 0.0, form: Form = "2025"
) -> float:
    """Return P(no skill | a ratio of at least the observed one), oFDR.

    p0 (1 - p1) / (p0 (1 - p1) + q p1) with p0 and q the chances of such a ratio without and with
    skill (Lopez de Prado, Lipton and Zoonekynd 2025).

    Args:
        record: the track record.
        alternative: Sharpe ratio of a strategy with skill, per observation.
        prior: p1, share of tested strategies that have skill, between 0 and 1.
        null: Sharpe ratio of a strategy without skill, per observation.
        form: `"2025"` or `"2025-ar1"`; the form of 2012 has no error at a hypothesis.

    Raises:
        InputError: an argument out of range.
    """
    one_of(form, "form of the observed false discovery rate", FORMS[1:])
    prior = in_range(prior, "prior", 0.0, 1.0, open_low=True, open_high=True)
    without = (1.0 - probabilistic_sharpe(record, null, form)) * (1.0 - prior)
    with_skill = (1.0 - probabilistic_sharpe(record, alternative, form)) * prior
    both = without + with_skill
    return without / both if both > 0.0 else 0.0


def aggregation_factor(periods: float, autocorrelation: float = 0.0) -> float:
    """Return eta(q), by which a ratio per period becomes one of q periods.

    eta(q) = q / sqrt(q + 2 sum_{k=1}^{q-1} (q - k) rho^k) for serial correlation of first order;
    sqrt(q) without. Source: Lo, The Statistics of Sharpe Ratios, FAJ 58(4), 2002.

    Args:
        periods: q, a whole number of at least 1 (365 for days to a year).
        autocorrelation: rho of first order, between -1 and 1.

    Raises:
        InputError: an argument out of range.
    """
    q = whole(periods, "number of periods", 1)
    what = "autocorrelation of first order"
    rho = in_range(autocorrelation, what, -1.0, 1.0, open_low=True, open_high=True)
    lags = np.arange(1, q)
    return q / math.sqrt(q + 2.0 * float(((q - lags) * rho**lags).sum()))


@dataclass(frozen=True, slots=True)
class SharpeEvidence:
    """What a series of returns proves about its Sharpe ratio, in both forms.

    Attributes:
        record: figures per observation.
        periods: observations in a year.
        benchmark: ratio to exceed, per observation.
        confidence: of the interval (two-sided) and of the minimum track records (one-sided).
        annual_sharpe: sharpe * sqrt(periods), right for independent returns.
        annual_sharpe_autocorrelated: sharpe * eta(periods) with the record's autocorrelation.
        annual_low: lower end of the interval of the annual ratio, form 2012.
        annual_high: upper end.
        psr_2012: probabilistic Sharpe ratio, the first line.
        psr_2025: the same in the form of 2025, the second line.
        psr_2025_ar1: the same with serial correlation.
        min_track_record_2012: observations needed; inf when none suffice.
        min_track_record_2025: the same in the form of 2025.
        min_track_record_2025_ar1: the same with serial correlation.
    """

    record: TrackRecord
    periods: int
    benchmark: float
    confidence: float
    annual_sharpe: float
    annual_sharpe_autocorrelated: float
    annual_low: float
    annual_high: float
    psr_2012: float
    psr_2025: float
    psr_2025_ar1: float
    min_track_record_2012: float
    min_track_record_2025: float
    min_track_record_2025_ar1: float


def sharpe_evidence(
    returns: Floats, periods: int, benchmark: float = 0.0, confidence: float = 0.95
) -> SharpeEvidence:
    """Return all that a series of returns proves about its Sharpe ratio.

    Args:
        returns: per observation, shape (n,), n >= 2.
        periods: observations in a year (365 for days).
        benchmark: ratio to exceed, per observation.
        confidence: at least 0.5, below 1.

    Raises:
        InputError: returns without variation or not finite, or an argument out of range.
    """
    record = TrackRecord.of(returns)
    year = math.sqrt(whole(periods, "number of periods", 1))
    confidence = in_range(confidence, "confidence", 0.5, 1.0, open_high=True)
    margin = float(ndtri(0.5 + confidence / 2.0)) * standard_error(record)
    return SharpeEvidence(
        record=record,
        periods=periods,
        benchmark=benchmark,
        confidence=confidence,
        annual_sharpe=record.sharpe * year,
        annual_sharpe_autocorrelated=record.sharpe
        * aggregation_factor(periods, record.autocorrelation),
        annual_low=(record.sharpe - margin) * year,
        annual_high=(record.sharpe + margin) * year,
        psr_2012=probabilistic_sharpe(record, benchmark, "2012"),
        psr_2025=probabilistic_sharpe(record, benchmark, "2025"),
        psr_2025_ar1=probabilistic_sharpe(record, benchmark, "2025-ar1"),
        min_track_record_2012=minimum_track_record(record, benchmark, confidence, "2012"),
        min_track_record_2025=minimum_track_record(record, benchmark, confidence, "2025"),
        min_track_record_2025_ar1=minimum_track_record(record, benchmark, confidence, "2025-ar1"),
    )
