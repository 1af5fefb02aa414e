"""Deflated Sharpe ratio, effective trials and minimum backtest length against published values.

Tags: [P] printed, [R] independent program, [X] exact, [M] from memory, reproduced by the formula.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ftbt.errors import InputError
from ftbt.robustness.deflated import (
    deflate,
    deflated_sharpe,
    deflated_sharpe_band,
    exact_maximum,
    expected_maximum,
    minimum_backtest_length,
    tolerated_trials,
    trial_variance,
)
from ftbt.robustness.effective import (
    EffectiveTrials,
    effective_trials,
    effective_trials_of_correlation,
)
from ftbt.robustness.sharpe import FORMS, TrackRecord, probabilistic_sharpe, sharpe_ratios

# Bailey and Lopez de Prado (2014): annual 2.5, 250 days, T = 1250, annual variance 1/2.
PAPER = TrackRecord(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
PAPER_NORMAL = TrackRecord(1250, 2.5 / math.sqrt(250))
VARIANCE = 0.5 / 250
ADIA = TrackRecord(24, 0.036 / 0.079, -2.448, 10.164)

PRINTED = {
    "SR0 for N = 100 [P]": (math.sqrt(VARIANCE) * expected_maximum(100), 0.1131720, 5e-8),
    "annual SR0 for N = 100 [P] 1.789": (math.sqrt(0.5) * expected_maximum(100), 1.789, 5e-4),
    "DSR for N = 100 [P] 90 %": (deflated_sharpe(PAPER, VARIANCE, 100), 0.90039683, 5e-9),
    "DSR for N = 46 [P] .9505": (deflated_sharpe(PAPER, VARIANCE, 46), 0.95050171, 5e-9),
    "DSR, normal returns, N = 88 [P] .95": (
        deflated_sharpe(PAPER_NORMAL, VARIANCE, 88),
        0.95049082,
        5e-9,
    ),
    "largest N with .95 [P] 46": (tolerated_trials(PAPER, VARIANCE), 46, 0),
    "largest N with .95, normal returns [P] 88": (tolerated_trials(PAPER_NORMAL, VARIANCE), 88, 0),
    "SR0 for N = 46, implied by .9505 [X]": (
        math.sqrt(VARIANCE) * expected_maximum(46),
        0.1003624,
        5e-8,
    ),
    "2025: E[max] for K = 10, V = .1 [P]": (math.sqrt(0.1) * expected_maximum(10), 0.498, 5e-4),
    "2025: DSR [P]": (deflated_sharpe(ADIA, 0.1, 10, "2025"), 0.416, 5e-4),
    "2025: DSR to more digits [X]": (deflated_sharpe(ADIA, 0.1, 10, "2025"), 0.41636, 5e-6),
    "2025: DSR without the factor [X]": (
        deflated_sharpe(ADIA, 0.1, 10, "2025", scale_error=False),
        0.4507,
        5e-5,
    ),
    "2012: DSR of the same [X]": (deflated_sharpe(ADIA, 0.1, 10), 0.4499, 5e-5),
    "E[max] of 10 [P] 1.57": (expected_maximum(10), 1.5745983, 5e-8),
    "E[max] of 45 [P]": (expected_maximum(45), 2.2356402, 5e-8),
    "E[max] of 100 [P]": (expected_maximum(100), 2.5306029, 5e-8),
    "E[max] of 1000 [P]": (expected_maximum(1000), 3.2551215, 5e-8),
    "exact E[max] of 10 [X]": (exact_maximum(10).mean, 1.5387527, 5e-8),
    "exact E[max] of 100 [X]": (exact_maximum(100).mean, 2.5075936, 5e-8),
    "exact E[max] of 1000 [X]": (exact_maximum(1000).mean, 3.2414358, 5e-8),
    "exact E[max] of 2 = 1/sqrt(pi) [X]": (exact_maximum(2).mean, 1 / math.sqrt(math.pi), 1e-12),
    "sd of the maximum of 1 [X]": (exact_maximum(1).sd, 1.0, 1e-12),
    "sd of the maximum of 2 [P]": (exact_maximum(2).sd, 0.82565, 5e-6),
    "sd of the maximum of 3 [P]": (exact_maximum(3).sd, 0.74798, 5e-6),
    "sd of the maximum of 4 [P]": (exact_maximum(4).sd, 0.70122, 5e-6),
    "sd of the maximum of 5 [P]": (exact_maximum(5).sd, 0.66898, 5e-6),
    "sd of the maximum of 10 [P]": (exact_maximum(10).sd, 0.58681, 5e-6),
    "sd of the maximum of 20 [X]": (exact_maximum(20).sd, 0.52507, 5e-6),
    "sd of the maximum of 50 [X]": (exact_maximum(50).sd, 0.46445, 5e-6),
    "sd of the maximum of 100 [P]": (exact_maximum(100).sd, 0.42942, 5e-6),
    "MinBTL, 45 trials [P] 5 years": (minimum_backtest_length(45).years, 4.9980870, 5e-8),
    "MinBTL, 5 trials [X]": (minimum_backtest_length(5).years, 1.422, 5e-4),
    "MinBTL, 7 trials [X]": (minimum_backtest_length(7).years, 1.923, 5e-4),
    "MinBTL, 10 trials [X]": (minimum_backtest_length(10).years, 2.479, 5e-4),
    "MinBTL, 50 trials [X]": (minimum_backtest_length(50).years, 5.182, 5e-4),
    "MinBTL, 100 trials [X]": (minimum_backtest_length(100).years, 6.404, 5e-4),
    "MinBTL, 1000 trials [X]": (minimum_backtest_length(1000).years, 10.596, 5e-4),
    "MinBTL bound, 5 trials [X]": (minimum_backtest_length(5).bound, 3.219, 5e-4),
    "MinBTL bound, 7 trials [X]": (minimum_backtest_length(7).bound, 3.892, 5e-4),
    "MinBTL bound, 10 trials [X]": (minimum_backtest_length(10).bound, 4.605, 5e-4),
    "MinBTL bound, 50 trials [X]": (minimum_backtest_length(50).bound, 7.824, 5e-4),
    "MinBTL bound, 100 trials [X]": (minimum_backtest_length(100).bound, 9.210, 5e-4),
    "MinBTL bound, 1000 trials [X]": (minimum_backtest_length(1000).bound, 13.816, 5e-4),
}


@pytest.mark.parametrize("name", PRINTED)
def test_published_values(name):
    """Each published or exact value is reproduced to its last digit."""
    value, expected, tolerance = PRINTED[name]
    assert value == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("trials", [2, 3.7, 20, 1e4, 1e9])
def test_exact_maximum_by_adaptive_quadrature(trials):
    """Mean and standard deviation of the maximum agree with scipy's adaptive quadrature."""

    def moment(power):
        def density(z):
            return (
                z**power
                * trials
                * stats.norm.pdf(z)
                * math.exp((trials - 1) * stats.norm.logcdf(z))
            )

        peak = stats.norm.isf(1 / trials)
        return integrate.quad(density, -8, 14, points=[peak], epsabs=1e-12, limit=200)[0]

    got = exact_maximum(float(trials))
    assert got.mean == pytest.approx(moment(1), abs=1e-8)
    assert got.sd == pytest.approx(math.sqrt(moment(2) - moment(1) ** 2), abs=1e-6)


@given(st.floats(5.0, 1e9))
@settings(deadline=None)
def test_the_approximation_errs_on_the_strict_side(trials):
    """From five trials on the approximation is above the exact expectation, by less than 0.04."""
    assert 0.0 <= expected_maximum(trials) - exact_maximum(trials).mean < 0.04


@given(st.floats(1.0, 1e12), st.floats(1.0, 3.0))
@settings(deadline=None)
def test_more_trials_never_lower_the_bar(trials, factor):
    """The expected maximum starts at 0 for a single trial and never falls with more of them."""
    assert 0.0 <= expected_maximum(trials) <= expected_maximum(trials * factor)
    assert expected_maximum(1.0) == 0.0


@given(st.floats(1.1, 1e6), st.floats(0.3, 3.0))
@settings(deadline=None)
def test_minimum_length_makes_the_target_the_expected_best(trials, target):
    """After the minimum length the best of N trials is expected to show exactly the target."""
    length = minimum_backtest_length(trials, target)
    if length.years > 0.0:
        assert expected_maximum(trials) / math.sqrt(length.years) == pytest.approx(target)
    assert length.years <= length.bound


@pytest.mark.parametrize("form", FORMS)
def test_one_trial_is_not_deflated(form):
    """With a single trial the deflated ratio is the probabilistic one against the null mean."""
    assert deflated_sharpe(ADIA, 0.1, 1, form) == pytest.approx(
        probabilistic_sharpe(ADIA, 0.0, form)
    )
    shifted = deflated_sharpe(ADIA, 0.1, 1, form, null_mean=0.2)
    assert shifted == pytest.approx(probabilistic_sharpe(ADIA, 0.2, form))


def test_the_trap_of_annual_units():
    """An annual ratio with daily T would give certainty (.99999994); per day it is .90."""
    annual = dataclasses.replace(PAPER, sharpe=2.5)
    assert round(deflated_sharpe(annual, 0.5, 100), 2) != 0.90
    assert round(deflated_sharpe(PAPER, VARIANCE, 100), 2) == 0.90


@pytest.mark.parametrize("form", FORMS)
def test_tolerated_trials_by_counting(form):
    """The largest tolerated number of trials is that of a plain count upwards."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        record = TrackRecord(800, float(rng.uniform(0.05, 0.14)), -0.5, 6.0)
        variance = float(rng.uniform(1e-4, 3e-3))
        counted = [n for n in range(1, 400) if deflated_sharpe(record, variance, n, form) >= 0.95]
        expected = float(max(counted, default=0))
        if expected < 399:
            assert tolerated_trials(record, variance, 0.95, form) == expected


def test_tolerated_trials_at_the_ends():
    """A weak record tolerates no trial at all, a strong one any number."""
    assert tolerated_trials(TrackRecord(100, 0.01), 0.01) == 0.0
    assert tolerated_trials(TrackRecord(5_000, 0.5), 1e-6) == math.inf


def values_of(band: EffectiveTrials) -> dict[str, float]:
    """The estimates by name."""
    return {one.name: one.value for one in band.estimates}


NAMES = (
    "average correlation",
    "variance of the mean",
    "participation ratio",
    "effective rank",
    "Nyholt",
)
EQUICORRELATED = {  # [X]; the last of M = 10 was not listed
    (100, 0.5): (50.5, 1.980, 3.883, 19.447, 75.25),
    (640, 0.62): (243.8, 1.611, 2.595, 22.53, 394.4),
    (10, 0.9): (1.9, 1.099, 1.206, 1.649, None),
}


@pytest.mark.parametrize("case", EQUICORRELATED)
def test_effective_trials_of_equal_correlation(case):
    """Every estimator has its closed-form value for equally correlated trials [X]."""
    count, rho = case
    band = effective_trials_of_correlation(np.full((count, count), rho) + (1 - rho) * np.eye(count))
    got = values_of(band)
    for name, expected in zip(NAMES, EQUICORRELATED[case], strict=True):
        if expected is not None:
            digits = 1 if expected > 100 else 2 if expected > 20 else 3
            assert round(got[name], digits) == round(expected, digits), name
    assert got["Kaiser"] == 1.0
    assert band.low == 1.0
    assert band.high == max(got.values())
    assert band.central == got["effective rank"]


def test_independent_trials_all_count():
    """For exactly uncorrelated trials every estimator gives their number [X]."""
    band = effective_trials_of_correlation(np.eye(12))
    assert [one.value for one in band.estimates] == pytest.approx([12.0] * 6)


def test_printed_effective_ranks():
    """The effective ranks printed for three small matrices are reproduced [P]."""
    matrix = np.array([[10, 1, 7], [1, 10, 8], [7, 8, 10]]) / 10
    ranks = [
        effective_trials_of_correlation(one).central for one in (matrix, matrix[:2, :2], np.eye(3))
    ]
    assert ranks == pytest.approx([1.84020, 1.99001, 3.0], abs=5e-6)


@pytest.mark.parametrize("shape", [(300, 40), (60, 200)])
def test_estimates_from_returns_by_the_correlation_matrix(shape):
    """Returns and their correlation matrix give the same estimates, whichever side is longer."""
    rng = np.random.default_rng(9)
    common = rng.standard_normal((shape[0], 3))
    returns = common @ rng.normal(size=(3, shape[1])) + rng.standard_normal(shape)
    direct = effective_trials(returns)
    through = effective_trials_of_correlation(np.corrcoef(returns.T))
    assert direct.mean_correlation == pytest.approx(through.mean_correlation)
    expected = values_of(through)
    assert values_of(direct) == pytest.approx(expected)


def test_copies_count_once():
    """Exact copies of one trial are one trial for every estimator."""
    one = np.random.default_rng(10).standard_normal((100, 1))
    band = effective_trials(np.tile(one, (1, 25)) * np.arange(1, 26))
    assert band.low == pytest.approx(1.0, abs=1e-6)
    assert band.high == pytest.approx(1.0, abs=1e-6)


def test_clusters_are_counted_and_noise_is_not():
    """Seven groups of near copies are seven clusters; trials of pure noise have no cluster."""
    rng = np.random.default_rng(11)
    ideas = rng.standard_normal((400, 7))
    trials = np.repeat(ideas, 12, axis=1) + 0.3 * rng.standard_normal((400, 84))
    assert values_of(effective_trials(trials))["clusters"] == 7.0
    assert "clusters" not in values_of(effective_trials(rng.standard_normal((400, 84))))


def test_silhouettes_by_their_definition():
    """The number of clusters is the best of all cuts, with silhouettes formed pair by pair."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    rng = np.random.default_rng(12)
    sizes = (3, 5, 4, 6, 2)
    ideas = rng.standard_normal((300, 5))
    trials = np.repeat(ideas, sizes, axis=1) + 0.5 * rng.standard_normal((300, 20))
    distance = np.sqrt(np.clip((1 - np.corrcoef(trials.T)) / 2, 0, None))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")

    def quality(number):
        labels = fcluster(tree, number, "maxclust")
        scores = []
        for i, label in enumerate(labels):
            same = [distance[i, j] for j in range(20) if labels[j] == label and j != i]
            if not same:
                scores.append(0.0)
                continue
            others = [distance[i, labels == k].mean() for k in set(labels) - {label}]
            a, b = np.mean(same), min(others)
            scores.append((b - a) / max(a, b))
        return np.mean(scores) / np.std(scores)

    best = max(range(2, 20), key=quality)
    assert values_of(effective_trials(trials))["clusters"] == best


def test_trials_without_trades_are_left_out():
    """Columns that never vary are counted as trials and named flat, and change no estimate."""
    rng = np.random.default_rng(13)
    trials = rng.standard_normal((200, 30)) + rng.standard_normal((200, 1))
    with_flat = np.column_stack([np.zeros(200), trials, np.full(200, 0.1)])
    band, expected = effective_trials(with_flat), effective_trials(trials)
    assert (band.trials, band.flat) == (32, 2)
    assert band.estimates == expected.estimates
    assert trial_variance(with_flat) == pytest.approx(trial_variance(trials))


@given(st.integers(1, 12), st.integers(2, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_the_band_is_in_order_and_within_the_trials(count, rows, seed):
    """For any trials the band is ordered and lies between 1 and their number."""
    returns = np.random.default_rng(seed).standard_normal((rows, count))
    band = effective_trials(returns)
    assert 1.0 <= band.low <= band.central <= band.high <= count
    assert [one.value for one in band.estimates] == sorted(one.value for one in band.estimates)
    names = {band.low_name, band.central_name, band.high_name}
    assert names <= {one.name for one in band.estimates}


def test_unknown_trials_widen_the_band():
    """Trials without kept returns raise the upper end one by one and leave the lower end."""
    band = effective_trials(np.random.default_rng(14).standard_normal((100, 20)))
    wider = band.with_unknown(30)
    assert (wider.trials, wider.low, wider.high) == (50, band.low, band.high + 30)
    assert wider.central == pytest.approx(band.central * 2.5)
    assert band.with_unknown(0) == band


def test_the_band_holds_its_points():
    """Ends, centre, curve and largest tolerated number all come from the same function."""
    rng = np.random.default_rng(15)
    trials = 0.6 * rng.standard_normal((500, 1)) + rng.standard_normal((500, 40))
    best = int(np.argmax(sharpe_ratios(trials)))
    result = deflate(trials[:, best], trials, further_trials=60)
    assert result.effective == effective_trials(trials).with_unknown(60)
    assert result.variance == pytest.approx(float(np.var(sharpe_ratios(trials), ddof=1)))
    for point in (result.low, result.central, result.high, result.raw, *result.curve):
        again = deflated_sharpe(result.record, result.variance, point.trials)
        assert point.probability == again
        expected = math.sqrt(result.variance) * expected_maximum(point.trials)
        assert point.benchmark == pytest.approx(expected)
    assert result.raw.trials == 100.0
    assert result.low.probability >= result.central.probability >= result.high.probability
    assert result.curve[0].trials == 1.0
    assert result.curve[-1].trials == pytest.approx(100.0)


def test_a_verdict_that_depends_on_the_estimator_is_named():
    """A ratio that passes for few effective trials and fails for many flips, and says so."""
    matrix = np.full((200, 200), 0.62) + 0.38 * np.eye(200)
    effective = effective_trials_of_correlation(matrix)
    edge, variance = TrackRecord(1000, 0.11), 0.0008
    assert deflated_sharpe(edge, variance, effective.low) > 0.95
    result = deflated_sharpe_band(edge, variance, effective)
    assert (result.passes, result.flips) == (False, True)
    strong = deflated_sharpe_band(TrackRecord(1000, 0.3), variance, effective)
    assert (strong.passes, strong.flips) == (True, False)
    weak = deflated_sharpe_band(TrackRecord(1000, 0.02), variance, effective)
    assert (weak.passes, weak.flips) == (False, False)


def test_noise_does_not_survive():
    """The best of 100 trials of noise looks significant almost always and is deflated away."""
    rng = np.random.default_rng(16)
    sims, days, count = 120, 500, 100
    naive = deflated = 0
    for _ in range(sims):
        trials = rng.standard_normal((days, count))
        ratios = sharpe_ratios(trials)
        record = TrackRecord.of(trials[:, int(np.argmax(ratios))])
        naive += probabilistic_sharpe(record) > 0.95
        deflated += deflated_sharpe(record, float(ratios.var(ddof=1)), count) > 0.95
    # Calibration with 400 noise markets: naive 99 %, deflated 0.0 %.
    assert naive / sims > 0.95
    assert deflated / sims < 0.02


REFUSED = {
    "no trial": (lambda: expected_maximum(0.5), r"number of trials must be in \[1, inf\)"),
    "NaN trials": (lambda: exact_maximum(math.nan), "number of trials"),
    "negative variance": (lambda: deflated_sharpe(PAPER, -0.1, 5), "variance of Sharpe ratios"),
    "target of 0": (lambda: minimum_backtest_length(5, 0.0), r"target Sharpe ratio must be in \(0"),
    "all flat": (lambda: effective_trials(np.zeros((30, 4))), "none of the 4 trials varies"),
    "one that varies": (
        lambda: trial_variance(np.column_stack([np.arange(5.0), np.zeros(5)])),
        "1 of 2 trials vary",
    ),
    "hole": (lambda: effective_trials(np.array([[1.0, math.nan], [2.0, 1.0]])), "nan"),
    "other days": (
        lambda: deflate(np.arange(10.0), np.random.default_rng(0).normal(size=(20, 3))),
        "10 returns, the trials have 20",
    ),
    "not symmetric": (
        lambda: effective_trials_of_correlation(np.array([[1.0, 0.5], [0.2, 1.0]])),
        "not a symmetric matrix",
    ),
    "covariance": (lambda: effective_trials_of_correlation(2 * np.eye(3)), "diagonal must be 1"),
    "impossible correlations": (
        lambda: effective_trials_of_correlation(
            np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
        ),
        "eigenvalue .* is negative",
    ),
    "unknown trials": (
        lambda: effective_trials(np.eye(3)).with_unknown(-1),
        "whole number|further trials must be in",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What cannot be deflated is refused, with the value and what to do."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
