"""Reality Check, SPA and StepM: exact enumeration, closed forms, other programs, calibration."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from classic_series import NILE
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.errors import InputError
from ftbt.robustness.snooping import (
    bootstrap_means,
    long_run_variances,
    reality_check,
    step_m,
    superior_ability,
)

# Four rows, two trials: small enough to enumerate all 4^4 resamples of independent rows.
ENUMERATED = np.array([[1.0, 0.0], [2.0, 1.0], [-1.0, 1.0], [3.0, 0.0]])


def all_resamples(n):
    """How often each row is in each of the n^n samples, shape (n^n, n)."""
    return np.array([np.bincount(drawn, minlength=n) for drawn in product(range(n), repeat=n)])


def test_reality_check_by_exact_enumeration():
    """The statistic is 2.5; 15 of 256 resamples reach it, 5 exceed it, and ties count ([X])."""
    boot = bootstrap_means(ENUMERATED, weights=all_resamples(4))
    made = reality_check(boot)
    drawn = 2.0 * (boot.resampled - boot.means).max(axis=1)

    assert made.statistic == 2.5
    assert (drawn > 2.5).mean() == 0.01953125
    assert made.p_value == 0.05859375 == 15 / 256
    assert (made.best, made.trials, made.resamples) == (0, 2, 256)


def test_unstudentised_tests_agree_where_all_recentre_alike():
    """With positive means only, Reality Check, SPA and the best of StepM are one test."""
    boot = bootstrap_means(ENUMERATED, weights=all_resamples(4))
    spa = superior_ability(boot, studentise="none")

    assert spa.lower == spa.consistent == spa.upper == reality_check(boot).p_value
    assert step_m(boot, studentise="none").p_values[0] == spa.upper


@pytest.mark.parametrize(("block", "printed"), [(5, 29.9210), (10, 35.2617), (20, 37.1069)])
def test_variance_is_that_of_the_stationary_bootstrap(block, printed):
    """The closed form gives the bootstrap sd of the mean of the Nile ([X]), and so do samples."""
    exact = np.sqrt(long_run_variances(NILE[:, None], block)[0] / 100)
    drawn = bootstrap_means(NILE, resamples=4000, block=block, seed=1).resampled[:, 0]

    assert exact == pytest.approx(printed, abs=6e-5)
    assert drawn.mean() == pytest.approx(919.35, abs=4 * printed / np.sqrt(4000))
    assert drawn.std() == pytest.approx(printed, rel=0.05)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(4, 60), block=st.floats(1.0, 30.0), seed=st.integers(0, 999))
def test_variance_by_the_slow_route(n, block, seed):
    """The Fourier route gives the double sum that the formula is."""
    series = np.random.default_rng(seed).standard_normal(n).cumsum()
    apart, keep = series - series.mean(), 1.0 - 1.0 / block
    total = apart @ apart / n
    for i in range(1, n):
        kappa = (1 - i / n) * keep**i + i / n * keep ** (n - i)
        total += 2 * kappa * (apart[i:] @ apart[:-i]) / n

    made = long_run_variances(series[:, None], block)[0]
    assert made == pytest.approx(max(total, 0.0), rel=1e-9, abs=1e-9 * (apart @ apart))


def test_wild_loser_hides_a_good_trial_unless_studentised():
    """A quiet winner (t = 5) beside a wild loser: p is 0 studentised, useless otherwise ([R])."""
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((1000, 2))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0, ddof=1)
    boot = bootstrap_means(noise * [1.0, 20.0] + [0.158, -0.3], block=10, seed=1)
    good, bad = superior_ability(boot), superior_ability(boot, studentise="none")
    assert superior_ability(boot, studentise="pooled").consistent == 0.0

    assert (good.lower, good.consistent, good.upper) == (0.0, 0.0, 0.0)
    assert good.best == 0
    assert bad.lower == pytest.approx(0.237, abs=0.08)
    assert bad.consistent == bad.upper == pytest.approx(0.397, abs=0.08)
    assert reality_check(boot).p_value == bad.upper
    np.testing.assert_array_equal(step_m(boot).superior, [0])
    assert len(step_m(boot, studentise="none").superior) == 0


def test_arch_agrees_unstudentised():
    """On arch's own resamples the un-studentised p-values are arch's to the last digit."""
    bootstrap = pytest.importorskip("arch.bootstrap")
    rng = np.random.default_rng(3)
    returns = rng.standard_normal((250, 12)) * rng.uniform(0.5, 3.0, 12)
    returns += np.linspace(-0.4, 0.15, 12)
    benchmark = 0.1 * rng.standard_normal(250)
    excess = returns - benchmark[:, None]
    # arch takes losses; its own `studentize` changes nothing but the choice of columns.
    theirs = bootstrap.SPA(-benchmark, -returns, block_size=7, reps=400, seed=11)
    theirs.compute()
    sampler = bootstrap.StationaryBootstrap(7, excess, seed=11)
    weights = [
        np.bincount(np.asarray(sampler.index).ravel(), minlength=250)
        for _ in sampler.bootstrap(400)
    ]
    boot = bootstrap_means(returns, benchmark, block=7, weights=np.array(weights))
    made = superior_ability(boot, studentise="none")

    assert made.lower == pytest.approx(theirs.pvalues["lower"], abs=1e-12)
    assert made.consistent == pytest.approx(theirs.pvalues["consistent"], abs=1e-12)
    assert made.upper == pytest.approx(theirs.pvalues["upper"], abs=1e-12)
    assert made.lower < made.consistent < made.upper


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), trials=st.integers(1, 8), shift=st.floats(-0.3, 0.3))
def test_order_of_the_three_p_values(seed, trials, shift):
    """The liberal p-value is never above the consistent one, nor that above the conservative."""
    rng = np.random.default_rng(seed)
    panel = rng.standard_normal((60, trials)) + shift * rng.standard_normal(trials)
    made = superior_ability(bootstrap_means(panel, resamples=100, block=3, seed=seed))

    assert 0.0 <= made.lower <= made.consistent <= made.upper <= 1.0
    assert made.statistic >= 0.0


def test_scale_of_a_trial_does_not_matter_when_studentised():
    """Trading ten times the size neither helps nor hurts a trial against the others."""
    panel = np.random.default_rng(6).standard_normal((200, 5)) + 0.05
    size = np.array([1.0, 10.0, 0.1, 3.0, 1.0])
    first, scaled = (bootstrap_means(one, block=4, seed=2) for one in (panel, panel * size))

    one, other = superior_ability(first), superior_ability(scaled)
    assert one.statistic == pytest.approx(other.statistic)
    assert (one.lower, one.consistent, one.upper) == (other.lower, other.consistent, other.upper)
    np.testing.assert_allclose(step_m(first).p_values, step_m(scaled).p_values)
    pooled = [superior_ability(boot, studentise="pooled") for boot in (first, scaled)]
    assert pooled[0].consistent == pooled[1].consistent
    assert pooled[0].statistic == pytest.approx(pooled[1].statistic)
    assert reality_check(first).p_value != reality_check(scaled).p_value


def test_step_m_by_its_critical_values():
    """Rejecting by the quantile of what is left, round after round, gives the same trials."""
    rng = np.random.default_rng(7)
    panel = rng.standard_normal((300, 30))
    panel[:, :6] += np.linspace(0.35, 0.15, 6)
    boot = bootstrap_means(panel, block=2, resamples=999, seed=3)
    made = step_m(boot, 0.05)
    scale = np.sqrt(300) / boot.deviations
    drawn, left = (boot.resampled - boot.means) * scale, set(range(30))
    while True:
        over = np.sort(drawn[:, sorted(left)].max(axis=1))[::-1]
        # At most 5 % of 999 resamples, 49 of them, may reach a rejected statistic.
        critical = over[49]
        rejected = {k for k in left if boot.means[k] * scale[k] > critical}
        if not rejected:
            break
        left -= rejected

    assert set(made.superior.tolist()) == set(range(30)) - left
    assert len(made.superior) >= 3
    assert made.p_values[made.superior].max() <= 0.05
    assert np.all(np.diff(made.statistics[made.superior]) <= 0)


def test_benchmark_is_subtracted():
    """Trials that only follow the benchmark are superior to cash and not to the benchmark."""
    rng = np.random.default_rng(8)
    market = 0.3 + rng.standard_normal(400)
    trials = market[:, None] + 0.5 * rng.standard_normal((400, 10))

    assert superior_ability(bootstrap_means(trials, block=1, seed=1)).consistent < 0.01
    assert superior_ability(bootstrap_means(trials, market, block=1, seed=1)).consistent > 0.05


def test_trials_that_never_trade_are_not_superior():
    """A trial equal to the benchmark has a statistic of 0 and a p-value of 1."""
    rng = np.random.default_rng(9)
    panel = np.column_stack([rng.standard_normal(100) - 0.5, np.zeros(100)])
    boot = bootstrap_means(panel, block=1)
    spa, steps = superior_ability(boot), step_m(boot)

    assert (spa.statistic, spa.consistent, spa.best) == (0.0, 1.0, 1)
    assert steps.p_values[1] == 1.0
    assert len(steps.superior) == 0
    assert not boot.active[1]


def test_block_length_is_chosen_when_not_given():
    """Persistent returns get longer blocks than independent ones, and wider tests."""
    rng = np.random.default_rng(10)
    shocks = rng.standard_normal(1000)
    slow = np.zeros(1000)
    for i in range(1, 1000):
        slow[i] = 0.8 * slow[i - 1] + shocks[i]
    independent, persistent = bootstrap_means(shocks), bootstrap_means(slow)

    assert independent.block < 4.0 < 10.0 < persistent.block
    # In theory (1.8 / 0.2)^(1/2) = 3 times that of independent returns.
    assert 2.0 < persistent.deviations[0] / slow.std() < 3.5


def test_false_alarms_and_power():
    """Noise passes at 5 % in about one case of twenty, a planted edge nearly always."""
    rng = np.random.default_rng(11)
    alarms = found = 0
    for seed in range(80):
        panel = rng.standard_t(5, (250, 20))
        edge = panel + 0.35 * (np.arange(20) == 3)
        boot = bootstrap_means(panel, block=1, resamples=200, seed=seed)
        alarms += superior_ability(boot).consistent < 0.05
        steps = step_m(bootstrap_means(edge, block=1, resamples=200, seed=seed))
        found += 3 in steps.superior

    assert alarms <= 10
    assert found >= 72


@pytest.mark.slow
def test_size_of_all_tests():
    """On noise each test stays near its 5 %, but Hansen's own scale alarms too often by design."""
    rng = np.random.default_rng(12)
    alarms = np.zeros(5)
    for seed in range(400):
        panel = rng.standard_normal((400, 15)) * np.geomspace(1.0, 30.0, 15)
        boot = bootstrap_means(panel, block=8, resamples=300, seed=seed)
        alarms += [
            reality_check(boot).p_value <= 0.05,
            superior_ability(boot, studentise="pooled").consistent <= 0.05,
            len(step_m(boot, studentise="pooled").superior) > 0,
            superior_ability(boot).consistent <= 0.05,
            len(step_m(boot).superior) > 0,
        ]
    share = alarms / 400

    assert np.all(share[:3] < 0.10)
    assert np.all(share[3:] < 0.15)
    assert np.all(share > 0.02)
    assert share[1] < share[3]


def test_thousands_of_trials_take_a_second():
    """900 days x 2,400 trials with 1,000 resamples: all three tests in under 6 s of processor."""
    panel = np.random.default_rng(0).standard_normal((900, 2400)) * 0.01
    start = time.process_time()
    boot = bootstrap_means(panel)
    made = reality_check(boot), superior_ability(boot), step_m(boot)

    assert made[1].trials == 2400
    assert time.process_time() - start < 6.0


def test_same_seed_same_p_values():
    """The bootstrap is decided by its seed alone."""
    panel = np.random.default_rng(13).standard_normal((120, 4))
    first, again, other = (bootstrap_means(panel, block=5, seed=s) for s in (4, 4, 5))

    np.testing.assert_array_equal(first.resampled, again.resampled)
    assert np.any(first.resampled != other.resampled)


def test_what_no_resample_can_judge():
    """Bad shapes, lengths and constant trials are refused with the reason."""
    panel = np.random.default_rng(14).standard_normal((50, 2))
    with pytest.raises(InputError, match="benchmark has 49 rows"):
        bootstrap_means(panel, np.zeros(49))
    with pytest.raises(InputError, match="trial 1 beats or misses the benchmark by"):
        bootstrap_means(np.column_stack([panel[:, 0], np.full(50, 0.01)]))
    with pytest.raises(InputError, match="mean block length"):
        bootstrap_means(panel, block=0.5)
    with pytest.raises(InputError, match="resamples"):
        bootstrap_means(panel, resamples=10)
    with pytest.raises(InputError, match="weights have 49 columns"):
        bootstrap_means(panel, weights=np.ones((3, 49)))
    with pytest.raises(InputError, match="level"):
        step_m(bootstrap_means(panel), 0.0)
    with pytest.raises(InputError, match="did you mean 'hansen'"):
        superior_ability(bootstrap_means(panel), studentise="hanson")
