"""Haircuts and adjusted p-values against published values, definitions and other programs.

Tags: [P] printed, [R] independent program, [X] exact, [M] from memory, reproduced by the formula.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ftbt.errors import InputError
from ftbt.robustness.haircut import (
    METHODS,
    autocorrelation_correction,
    bhy,
    bonferroni,
    haircut_among_trials,
    haircut_for_tests,
    holm,
    profit_hurdle,
    sharpe_p_value,
    sidak,
)
from ftbt.robustness.sharpe import aggregation_factor

# Harvey and Liu (2015), six tests [P]; adjusted values by statsmodels [R].
SIX = np.array([0.005, 0.009, 0.0128, 0.0135, 0.045, 0.06])


def test_six_published_tests():
    """The six p-values of Harvey and Liu are adjusted as statsmodels does, and in their BHY."""
    assert bonferroni(SIX) == pytest.approx([0.03, 0.054, 0.0768, 0.081, 0.27, 0.36])
    assert holm(SIX) == pytest.approx([0.03, 0.045, 0.0512, 0.0512, 0.09, 0.09])
    original = bhy(SIX, scale_largest=True)
    assert original == pytest.approx([0.0496125] * 4 + [0.1323, 0.147])
    assert bhy(SIX) == pytest.approx([0.0496125] * 4 + [0.06, 0.06])


def test_autocorrelation_correction_of_harvey_and_liu():
    """The factors for rho = .1 are those of the published programs [P]."""
    got = [round(autocorrelation_correction(0.1, q), 3) for q in (360, 52, 12, 4, 1)]
    assert got == [0.905, 0.906, 0.912, 0.928, 1.0]


@given(st.floats(-0.9, 0.9), st.integers(1, 400))
@settings(deadline=None)
def test_autocorrelation_correction_is_los_factor(rho, q):
    """The closed form is Lo's aggregation factor over sqrt(q)."""
    expected = aggregation_factor(q, rho) / math.sqrt(q)
    assert autocorrelation_correction(rho, q) == pytest.approx(expected, rel=1e-9)


def test_monthly_example_of_the_published_program():
    """Ten years of months, annual 1, rho .1, 100 tests: p .00465, Bonferroni .465, 74.6 % [P]."""
    corrected = autocorrelation_correction(0.1, 12)
    assert round(corrected, 6) == 0.912245
    table = haircut_for_tests(corrected, 10, 100, degrees_of_freedom=119)
    assert round(table.p_value, 8) == 0.00465123
    left = table.by("bonferroni")
    assert round(left.p_value, 3) == 0.465
    assert round(left.sharpe, 4) == 0.2317
    assert round(left.fraction, 3) == 0.746


def test_example_with_independent_tests():
    """Annual .75 over 240 months and 200 tests: p .0008 becomes .15, ratio .32 [M]."""
    table = haircut_for_tests(0.75, 20, 200)
    assert round(table.p_value, 6) == 0.000796
    left = table.by("sidak")
    assert round(left.p_value, 4) == 0.1473
    assert round(left.sharpe, 3) == 0.324
    assert round(left.fraction, 2) == 0.57


def test_profit_hurdle_of_the_published_program():
    """300 tests, 240 months, 5 %, volatility 10 %: .365 and .702 % per month [P]."""
    hurdle = profit_hurdle(300, 240, 0.10)
    assert round(100 * hurdle.single, 3) == 0.365
    assert round(100 * hurdle.bonferroni, 5) == 0.70153
    assert hurdle.single < hurdle.sidak < hurdle.bonferroni


@given(st.integers(1, 500), st.floats(10, 3_000), st.floats(0.01, 2.0))
@settings(deadline=None)
def test_a_strategy_at_the_hurdle_is_just_significant(tests, months, volatility):
    """A mean return at Bonferroni's hurdle has an adjusted p-value of exactly 5 %."""
    hurdle = profit_hurdle(tests, months, volatility)
    annual = hurdle.bonferroni * 12 / volatility
    assert haircut_for_tests(annual, months / 12, tests).by("bonferroni").p_value == pytest.approx(
        0.05
    )
    independent = hurdle.sidak * 12 / volatility
    table = haircut_for_tests(independent, months / 12, tests)
    assert table.by("sidak").p_value == pytest.approx(0.05)


P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).map(np.array)


@given(P_VALUES)
@settings(deadline=None)
def test_holm_by_its_definition(p):
    """Holm's value of each test is the largest min(1, (M - j + 1) p_(j)) up to its rank."""
    ordered = np.sort(p)
    got = holm(p)
    for value, adjusted in zip(p, got, strict=True):
        rank = int(np.flatnonzero(ordered == value)[-1])
        steps = [min(1.0, (len(p) - j) * ordered[j]) for j in range(rank + 1)]
        # Equal p-values share the largest step before them.
        first = int(np.flatnonzero(ordered == value)[0])
        assert max(steps[: first + 1]) - 1e-12 <= adjusted <= max(steps) + 1e-12


@given(P_VALUES)
@settings(deadline=None)
def test_original_bhy_by_scipy(p):
    """The original form agrees with scipy's false discovery control of Benjamini-Yekutieli."""
    expected = stats.false_discovery_control(p, method="by")
    assert bhy(p, scale_largest=True) == pytest.approx(expected, abs=1e-12)


@given(P_VALUES)
@settings(deadline=None)
def test_bhy_of_harvey_and_liu_by_their_recursion(p):
    """Their form starts with the largest p-value and steps down with c(M) M / k."""
    ordered = np.sort(p)
    count = len(p)
    constant = sum(1 / k for k in range(1, count + 1))
    last, expected = 1.0, []
    for k in range(count, 0, -1):
        value = ordered[-1] if k == count else min(count * constant / k * ordered[k - 1], last)
        expected.insert(0, value)
        last = value
    assert np.sort(bhy(p)) == pytest.approx(np.array(expected), abs=1e-12)


@given(P_VALUES)
@settings(deadline=None)
def test_order_of_the_adjustments(p):
    """Holm and Sidak lie between p and Bonferroni, Harvey-Liu's BHY below the original."""
    slack = 1e-12
    assert (p <= holm(p) + slack).all()
    assert (holm(p) <= bonferroni(p) + slack).all()
    assert (p <= sidak(p) + slack).all()
    assert (sidak(p) <= bonferroni(p) + slack).all()
    assert (bhy(p) <= bhy(p, scale_largest=True) + slack).all()
    for adjusted in (bonferroni(p), sidak(p), holm(p), bhy(p)):
        assert ((adjusted >= 0) & (adjusted <= 1)).all()


def test_sidak_keeps_the_digits_of_small_p_values():
    """A p-value below the resolution of 1 - p is adjusted to M p and not to zero."""
    assert sidak(np.array([1e-20, 1.0])) == pytest.approx([2e-20, 1.0])


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("bonferroni", bonferroni),
        ("sidak", sidak),
        ("holm", holm),
        ("fdr_by", lambda p: bhy(p, scale_largest=True)),
    ],
)
def test_adjustments_by_statsmodels(name, function):
    """All adjustments agree with statsmodels on random p-values [R]."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(1).uniform(size=50) ** 3
    expected = multitest.multipletests(p, method=name)[1]
    assert function(p) == pytest.approx(expected)


def test_p_values_by_scipy():
    """The p-value is two-sided, by the normal or Student's distribution."""
    assert sharpe_p_value(-0.8, 4) == pytest.approx(2 * stats.norm.sf(1.6))
    assert sharpe_p_value(0.8, 4, 47) == pytest.approx(2 * stats.t.sf(1.6, 47))


def test_haircuts_among_the_trials_that_were_made():
    """The chosen trial's haircuts come from the p-values of all trials."""
    ratios = np.array([1.4, 0.9, -0.5, 0.0, 1.1, 0.3])
    table = haircut_among_trials(ratios, 0, 4.0)
    p = 2 * stats.norm.sf(np.abs(ratios) * 2)
    expected = {
        "bonferroni": bonferroni(p)[0],
        "sidak": sidak(p)[0],
        "holm": holm(p)[0],
        "bhy": bhy(p)[0],
    }
    assert table.tests == 6
    assert tuple(one.method for one in table.haircuts) == METHODS
    for one in table.haircuts:
        assert one.p_value == pytest.approx(expected[one.method])
        assert one.sharpe == pytest.approx(stats.norm.isf(one.p_value / 2) / 2)
        assert one.fraction == pytest.approx(1 - one.sharpe / 1.4)


def test_a_losing_trial_is_not_flattered():
    """A ratio of zero or less keeps its value and has no haircut."""
    table = haircut_among_trials(np.array([-0.5, 1.0]), 0, 4.0)
    for one in table.haircuts:
        assert one.sharpe == -0.5
        assert math.isnan(one.fraction)


@given(st.floats(0.01, 5.0), st.floats(0.5, 20.0))
@settings(deadline=None)
def test_a_single_test_is_not_cut(sharpe, years):
    """With one test nothing is cut off, and more tests never leave more."""
    single = haircut_for_tests(sharpe, years, 1)
    many = haircut_for_tests(sharpe, years, 50)
    for method in ("bonferroni", "sidak"):
        assert single.by(method).fraction == pytest.approx(0.0, abs=1e-9)
        assert 0.0 <= many.by(method).sharpe <= single.by(method).sharpe


def test_an_overwhelming_ratio_keeps_its_value():
    """A p-value below the smallest number is not turned into an infinite ratio."""
    one = haircut_for_tests(50.0, 10.0, 1_000).by("bonferroni")
    assert (one.p_value, one.sharpe, one.fraction) == (0.0, 50.0, 0.0)


REFUSED = {
    "p above 1": (lambda: holm(np.array([0.2, 1.2])), r"value 1 is 1.2; it must be in \[0, 1\]"),
    "no p-value": (lambda: bhy(np.array([])), "at least 1"),
    "no years": (lambda: sharpe_p_value(1.0, 0.0), r"years must be in \(0, inf\)"),
    "half a test": (lambda: haircut_for_tests(1.0, 5.0, 1.5), "whole number"),
    "index": (
        lambda: haircut_among_trials(np.array([1.0, 2.0]), 2, 5.0),
        "index of the chosen trial is 2, but there are 2 trials: 0 to 1",
    ),
    "method": (
        lambda: haircut_for_tests(1.0, 5.0, 3).by("bonferoni"),
        "did you mean 'bonferroni'",
    ),
    "method that needs the trials": (
        lambda: haircut_for_tests(1.0, 5.0, 3).by("holm"),
        "method must be one of 'bonferroni', 'sidak'",
    ),
    "unit root": (lambda: autocorrelation_correction(1.0, 12), r"\(-1, 1\)"),
    "significance of 0": (
        lambda: profit_hurdle(3, 24, 0.1, 0.0),
        r"significance must be in \(0, 1\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What no test can have is refused, with the value and the range."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
