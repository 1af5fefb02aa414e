"""Sharpe statistics against printed values, identities, and simulated records.

Tags of the expected values: [P] printed in the paper or an official document, [R] computed by an
independent program, [X] exact, [M] a printed value quoted from memory that the formula reproduces.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from classic_series import BACON
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import toeplitz

from ftbt.errors import InputError
from ftbt.robustness.sharpe import (
    FORMS,
    TrackRecord,
    aggregation_factor,
    critical_sharpe,
    minimum_track_record,
    observed_false_discovery_rate,
    planned_false_discovery_rate,
    probabilistic_sharpe,
    sharpe_evidence,
    sharpe_power,
    sharpe_ratios,
    standard_error,
)

YEAR = math.sqrt(12)
HEDGE = TrackRecord(24, 1.585 / YEAR, -2.448, 10.164)  # Bailey and Lopez de Prado 2012
FIG_16_A = TrackRecord(134, 0.7079, -0.2250, 2.9570)
FIG_16_B = TrackRecord(134, 0.8183, -1.4455, 7.0497)
ADIA = TrackRecord(24, 0.036 / 0.079, -2.448, 10.164)  # Lopez de Prado et al. 2025


def normal(sharpe: float, observations: float = 1_000.0) -> TrackRecord:
    """A record of normal returns."""
    return TrackRecord(observations, sharpe)


PRINTED = {
    # form of 2012
    "PSR, 2012 example [P] .913": (probabilistic_sharpe(HEDGE), 0.9132343, 5e-8),
    "PSR, normal moments [M] .982": (
        probabilistic_sharpe(normal(1.585 / YEAR, 24)),
        0.9815912,
        5e-8,
    ),
    "MinTRL, appendix A.3 [P] 4.99 years": (
        minimum_track_record(TrackRecord(24, 2 / YEAR, -0.72, 5.78), 1 / YEAR),
        59.895099,
        5e-7,
    ),
    "MinTRL 2 vs 1, daily, 250 [P] 2.73 years": (
        minimum_track_record(normal(2 / math.sqrt(250)), 1 / math.sqrt(250)) / 250,
        2.7311878,
        5e-8,
    ),
    "MinTRL 2 vs 1, daily, 252 [P] 2.73 years": (
        minimum_track_record(normal(2 / math.sqrt(252)), 1 / math.sqrt(252)) / 252,
        2.7309843,
        5e-8,
    ),
    "MinTRL 2 vs 1, weekly [P]": (
        minimum_track_record(normal(2 / math.sqrt(52)), 1 / math.sqrt(52)) / 52,
        2.8288336,
        5e-8,
    ),
    "MinTRL 2 vs 1, monthly [P]": (
        minimum_track_record(normal(2 / YEAR), 1 / YEAR) / 12,
        3.2398007,
        5e-8,
    ),
    "MinTRL 3 vs 2.5, monthly, figures 8 and 11 [P]": (
        minimum_track_record(TrackRecord(24, 3 / YEAR, -0.72, 5.78), 2.5 / YEAR) / 12,
        27.3529202,
        5e-8,
    ),
    "figure 16 A, standard error [P]": (standard_error(FIG_16_A), 0.1028, 5e-5),
    "figure 16 A, MinTRL(0) [P]": (minimum_track_record(FIG_16_A) / 12, 0.7152, 5e-4),
    "figure 16 A, MinTRL(.5) [P]": (minimum_track_record(FIG_16_A, 0.5 / YEAR) / 12, 1.0804, 5e-4),
    "figure 16 B, standard error [P]": (standard_error(FIG_16_B), 0.1550, 5e-5),
    "figure 16 B, MinTRL(0) [P]": (minimum_track_record(FIG_16_B) / 12, 1.1593, 5e-4),
    "figure 16 B, MinTRL(.5) [P]": (minimum_track_record(FIG_16_B, 0.5 / YEAR) / 12, 1.6695, 5e-4),
    "figure 16 B, PSR(.5) [P]": (probabilistic_sharpe(FIG_16_B, 0.5 / YEAR), 0.99999, 5e-6),
    # form of 2025
    "2025, standard error [P]": (standard_error(ADIA, "2025"), 0.329, 5e-4),
    "2025, standard error, normal [P]": (
        standard_error(normal(ADIA.sharpe, 24), "2025"),
        0.214,
        5e-4,
    ),
    "2025, PSR(0) [P]": (probabilistic_sharpe(ADIA, 0.0, "2025"), 0.987, 5e-4),
    "2025, PSR(.1) [P]": (probabilistic_sharpe(ADIA, 0.1, "2025"), 0.939, 5e-4),
    "2025, MinTRL(0) [P]": (minimum_track_record(ADIA, 0.0, form="2025"), 13.029, 5e-4),
    "2025, MinTRL(.1) [P]": (minimum_track_record(ADIA, 0.1, form="2025"), 27.109, 5e-4),
    "2025, critical ratio [P]": (critical_sharpe(ADIA), 0.3358, 5e-5),
    "2025, beta [P]": (1 - sharpe_power(ADIA, 0.5), 0.315, 5e-4),
    "2025, pFDR [P]": (
        planned_false_discovery_rate(0.05, 0.05, sharpe_power(ADIA, 0.5)),
        0.581,
        5e-4,
    ),
    "2025, oFDR [P]": (observed_false_discovery_rate(ADIA, 0.5, 0.05), 0.306, 5e-4),
    # Bacon's 24 months
    "Bacon, PSR(0) of 2012 [X]": (probabilistic_sharpe(TrackRecord.of(BACON)), 0.8580412, 5e-8),
    "Bacon, PSR(0) of 2025 [X]": (
        probabilistic_sharpe(TrackRecord.of(BACON), 0.0, "2025"),
        0.8675433,
        5e-8,
    ),
    "Bacon, PSR(0) with bias-corrected moments, quantstats [R]": (
        probabilistic_sharpe(
            dataclasses.replace(
                TrackRecord.of(BACON),
                skewness=float(stats.skew(BACON, bias=False)),
                kurtosis=float(stats.kurtosis(BACON, bias=False)) + 3,
            )
        ),
        0.8576534,
        5e-8,
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_published_values(name):
    """Each published or independently computed value is reproduced to its last digit."""
    value, expected, tolerance = PRINTED[name]
    assert value == pytest.approx(expected, abs=tolerance)


# Lo (2002), table 1 [M]: rows are true ratios, columns T = 12, 24, 60, 125, 250, 500.
LO_ERRORS = {
    0.5: (0.306, 0.217, 0.137, 0.095, 0.067, 0.047),
    1.0: (0.354, 0.250, 0.158, 0.110, 0.077, 0.055),
    2.0: (0.500, 0.354, 0.224, 0.155, 0.110, 0.077),
}


@pytest.mark.parametrize("sharpe", LO_ERRORS)
def test_lo_standard_errors(sharpe):
    """For normal returns the form of 2025 is Lo's standard error (table 1 [M])."""
    got = [standard_error(TrackRecord(t, sharpe), "2025") for t in (12, 24, 60, 125, 250, 500)]
    assert [round(one, 3) for one in got] == list(LO_ERRORS[sharpe])


# Lo (2002), table 2 [M], q = 12.
LO_FACTORS = {
    0.9: 1.21, 0.7: 1.65, 0.5: 2.12, 0.3: 2.61, 0.2: 2.88, 0.1: 3.16,
    0.0: 3.46, -0.1: 3.80, -0.2: 4.17, -0.3: 4.60, -0.5: 5.69,
}  # fmt: skip


@pytest.mark.parametrize("rho", LO_FACTORS)
def test_lo_aggregation_factors(rho):
    """Monthly ratios become annual ones by Lo's factor (table 2 [M])."""
    assert round(aggregation_factor(12, rho), 2) == LO_FACTORS[rho]


@given(st.integers(1, 400), st.floats(-0.95, 0.95))
@settings(deadline=None, max_examples=50)
def test_aggregation_factor_by_the_covariance_matrix(q, rho):
    """The factor is q over the standard deviation of a sum of q serially correlated values."""
    covariance = toeplitz(rho ** np.arange(q))
    assert aggregation_factor(q, rho) == pytest.approx(q / math.sqrt(covariance.sum()), rel=1e-9)


def test_the_two_forms_differ_on_the_same_record():
    """On a record of negative skewness the form of 2012 says .913 and that of 2025 .987 [P]."""
    assert round(probabilistic_sharpe(ADIA), 2) == 0.91
    assert round(probabilistic_sharpe(ADIA, form="2025"), 3) == 0.987


@st.composite
def records(draw):
    """Any track record that a series can have."""
    skewness = draw(st.floats(-3.0, 3.0))
    return TrackRecord(
        observations=draw(st.floats(2.0, 5_000.0)),
        sharpe=draw(st.floats(-0.5, 0.5)),
        skewness=skewness,
        kurtosis=skewness**2 + 1.0 + draw(st.floats(0.1, 20.0)),
        autocorrelation=draw(st.floats(-0.6, 0.6)),
    )


@given(records(), st.sampled_from(FORMS))
@settings(deadline=None)
def test_a_record_against_itself_is_a_coin_toss(record, form):
    """PSR at the record's own ratio is one half."""
    assert probabilistic_sharpe(record, record.sharpe, form) == pytest.approx(0.5)


@given(records(), st.sampled_from(FORMS), st.floats(0.55, 0.999), st.floats(0.01, 0.4))
@settings(deadline=None)
def test_the_minimum_track_record_has_the_confidence(record, form, confidence, apart):
    """A record of exactly the minimum length has a PSR of exactly the confidence."""
    benchmark = record.sharpe - apart
    length = minimum_track_record(record, benchmark, confidence, form)
    if 1.0 <= length < math.inf:  # the form with serial correlation may have no answer
        longer = dataclasses.replace(record, observations=length)
        assert probabilistic_sharpe(longer, benchmark, form) == pytest.approx(confidence, abs=1e-7)


@given(records(), st.sampled_from(FORMS), st.floats(0.0, 0.3))
@settings(deadline=None)
def test_no_length_proves_what_the_estimate_denies(record, form, above):
    """A ratio that does not exceed the benchmark has an infinite minimum track record."""
    assert minimum_track_record(record, record.sharpe + above, form=form) == math.inf


@given(records(), st.sampled_from(FORMS), st.floats(-0.5, 0.5), st.floats(0.001, 0.3))
@settings(deadline=None)
def test_the_critical_ratio_has_the_significance(record, form, null, alpha):
    """A record exactly at the critical ratio has 1 - alpha, with the error at the null."""
    assume(math.isfinite(standard_error(record, form, null)))
    critical = critical_sharpe(record, null, alpha, form)
    z = (critical - null) / standard_error(record, form, null)
    assert stats.norm.sf(z) == pytest.approx(alpha)
    assert sharpe_power(record, null, null, alpha, form) == pytest.approx(alpha)


def test_one_observation_proves_nothing():
    """With a single observation PSR is one half, whatever the ratio."""
    assert probabilistic_sharpe(TrackRecord(1, 3.0)) == 0.5


def test_a_form_without_answer_proves_nothing():
    """Where serial correlation and extreme skewness leave no variance, nothing is proved."""
    extreme = TrackRecord(500, 0.9, 2.0, 5.0, -0.5)
    assert standard_error(extreme, "2025-ar1", 0.6) == math.inf
    assert probabilistic_sharpe(extreme, 0.6, "2025-ar1") == 0.5
    assert minimum_track_record(extreme, 0.6, 0.5, "2025-ar1") == math.inf
    assert sharpe_power(extreme, 0.9, 0.6, form="2025-ar1") == 0.0


def test_moments_at_the_edge_of_the_possible():
    """When the error vanishes, PSR is 0, one half or 1 and never a division by zero."""
    certain = TrackRecord(10, 1.0, 2.0, 5.0)
    assert standard_error(certain) == 0.0
    assert [probabilistic_sharpe(certain, b) for b in (0.5, 1.0, 1.5)] == [1.0, 0.5, 0.0]
    assert sharpe_power(certain, 1.0, 0.9) in (0.0, 1.0)


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=60).filter(lambda v: np.std(v) > 1e-3),
)
@settings(deadline=None)
def test_figures_of_a_series_by_scipy(values):
    """Ratio, skewness, kurtosis and autocorrelation agree with scipy's and numpy's."""
    series = np.array(values)
    record = TrackRecord.of(series)
    apart = series - series.mean()
    lagged = np.correlate(apart, apart, "full")
    assert record.observations == len(values)
    assert record.sharpe == pytest.approx(stats.tmean(series) / stats.tstd(series), abs=1e-12)
    assert record.skewness == pytest.approx(stats.skew(series), abs=1e-9)
    assert record.kurtosis == pytest.approx(stats.kurtosis(series, fisher=False), rel=1e-9)
    assert record.autocorrelation == pytest.approx(lagged[len(values)] / lagged[len(values) - 1])


def test_standard_error_of_skewed_returns_by_simulation():
    """The ratios of simulated skewed records scatter by the standard error at the true ratio."""
    rng = np.random.default_rng(1)
    true, shape, days, paths = 0.1, 4.0, 500, 6_000
    returns = true - (rng.gamma(shape, size=(days, paths)) - shape) / math.sqrt(shape)
    record = TrackRecord(days, true, -2 / math.sqrt(shape), 3 + 6 / shape)
    scatter = sharpe_ratios(returns).std()
    assert scatter == pytest.approx(standard_error(record, "2025"), rel=0.04)
    ignorant = standard_error(normal(true, days), "2025")
    assert abs(scatter - ignorant) > 2 * abs(scatter - standard_error(record, "2025"))


@pytest.mark.parametrize("rho", [-0.3, 0.4])
def test_standard_error_of_autocorrelated_returns_by_simulation(rho):
    """The ratios of simulated AR(1) records scatter by the form with serial correlation."""
    rng = np.random.default_rng(2)
    days, paths, true = 600, 4_000, 0.05
    noise = rng.standard_normal((days + 50, paths))
    for day in range(1, len(noise)):
        noise[day] += rho * noise[day - 1]
    returns = noise[50:] * math.sqrt(1 - rho**2) + true
    record = TrackRecord(days, true, autocorrelation=rho)
    scatter = sharpe_ratios(returns).std()
    assert scatter == pytest.approx(standard_error(record, "2025-ar1"), rel=0.05)
    assert scatter != pytest.approx(standard_error(record, "2025"), rel=0.2)


def test_false_discovery_rates_by_simulation():
    """Among simulated strategies the shares without skill are pFDR and oFDR."""
    rng = np.random.default_rng(3)
    record, skilled, prior = TrackRecord(100, 0.25), 0.3, 0.2
    skill = rng.random(400_000) < prior
    spread = np.where(skill, *(standard_error(record, "2025", at) for at in (skilled, 0.0)))
    seen = np.where(skill, skilled, 0.0) + spread * rng.standard_normal(len(skill))

    found = seen > critical_sharpe(record)
    planned = planned_false_discovery_rate(prior, 0.05, sharpe_power(record, skilled))
    assert (~skill[found]).mean() == pytest.approx(planned, abs=0.01)
    as_good = seen > record.sharpe
    observed = observed_false_discovery_rate(record, skilled, prior)
    assert (~skill[as_good]).mean() == pytest.approx(observed, abs=0.01)


def test_ratios_of_columns_and_of_flat_ones():
    """Each column has its own ratio, and one without trades has none."""
    returns = np.random.default_rng(4).normal(0.001, 0.01, (50, 3))
    returns[:, 1] = 0.0
    got = sharpe_ratios(returns)
    assert got[0] == pytest.approx(TrackRecord.of(returns[:, 0]).sharpe)
    assert np.isnan(got).tolist() == [False, True, False]


def test_evidence_is_made_of_the_parts():
    """The summary of a series names both forms and is made of the functions above."""
    returns = np.random.default_rng(5).normal(0.002, 0.01, 400)
    record = TrackRecord.of(returns)
    evidence = sharpe_evidence(returns, 365, 0.01)
    assert evidence.record == record
    assert evidence.annual_sharpe == pytest.approx(record.sharpe * math.sqrt(365))
    factor = aggregation_factor(365, record.autocorrelation)
    assert evidence.annual_sharpe_autocorrelated == pytest.approx(record.sharpe * factor)
    half = (evidence.annual_high - evidence.annual_low) / 2 / math.sqrt(365)
    assert half == pytest.approx(1.959964 * standard_error(record), rel=1e-6)
    for form in FORMS:
        suffix = form.replace("-", "_")
        psr = getattr(evidence, f"psr_{suffix}")
        assert psr == probabilistic_sharpe(record, 0.01, form)
        length = getattr(evidence, f"min_track_record_{suffix}")
        assert length == minimum_track_record(record, 0.01, 0.95, form)


REFUSED = {
    "excess kurtosis of a skewed record": (
        lambda: TrackRecord(100, 0.1, -3.0, 7.0),
        r"kurtosis must be at least skewness\^2 \+ 1 = 10 .*not excess.*got 7",
    ),
    "kurtosis below 1": (lambda: TrackRecord(100, 0.1, 0.0, 0.5), "kurtosis must be at least"),
    "no observation": (lambda: TrackRecord(0, 0.1), r"observations must be in \[1, inf\)"),
    "ratio not finite": (lambda: TrackRecord(10, math.nan), "Sharpe ratio must be in"),
    "unit root": (lambda: TrackRecord(10, 0.1, autocorrelation=1.0), "autocorrelation"),
    "flat series": (lambda: TrackRecord.of(np.full(30, 0.01)), "all 30 are equal"),
    "hole in the series": (
        lambda: TrackRecord.of(np.array([0.1, math.nan, 0.2])),
        "value 1 is nan",
    ),
    "one value": (lambda: TrackRecord.of(np.array([0.1])), "at least 2 values"),
    "matrix as series": (lambda: TrackRecord.of(np.zeros((3, 3))), "one series is needed"),
    "unknown form": (
        lambda: probabilistic_sharpe(ADIA, form="2052"),
        r"form must be one of '2012', '2025', '2025-ar1', but got '2052'",
    ),
    "confidence of 1": (lambda: minimum_track_record(ADIA, 0.0, 1.0), r"\[0.5, 1\)"),
    "confidence below a half": (lambda: minimum_track_record(ADIA, 0.0, 0.4), "confidence"),
    "power above 1": (lambda: planned_false_discovery_rate(0.1, 0.05, 1.5), r"\[0, 1\]"),
    "oFDR in the form of 2012": (
        lambda: observed_false_discovery_rate(ADIA, 0.5, 0.05, form="2012"),
        "one of '2025', '2025-ar1'",
    ),
    "half a period": (lambda: aggregation_factor(1.5), "whole number"),
    "negative scale": (lambda: probabilistic_sharpe(ADIA, error_scale=0.0), "factor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What no series or test can have is refused, with the value and the range."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
