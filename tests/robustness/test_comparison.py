"""Comparing records: what is told apart, what is not, and how often that is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from ftbt.errors import InputError
from ftbt.robustness.comparison import Comparison, compare
from ftbt.robustness.deflated import deflated_sharpe
from ftbt.robustness.sharpe import TrackRecord, probabilistic_sharpe


def noise(days: int, runs: int, seed: int, common: float = 0.0) -> np.ndarray:
    """Return heavy-tailed returns without an edge; *common* is their correlation."""
    random = np.random.default_rng(seed)
    shared, own = random.standard_t(4, (days, 1)), random.standard_t(4, (days, runs))
    return 0.01 * (math.sqrt(common) * shared + math.sqrt(1.0 - common) * own)


@pytest.fixture(scope="module")
def skill() -> Comparison:
    """Return a strong run, one without an edge, a losing one, one that never traded."""
    returns = noise(300, 4, 5)
    returns[:, 0] += 0.005
    returns[:, 2] -= 0.005
    returns[:, 3] = 0.0
    return compare(returns, [1, 50, 1, 1], seed=3)


def test_real_differences_are_found(skill: Comparison) -> None:
    """A strong run is told apart from a losing one, with the right sign, and beats cash."""
    pair = next(one for one in skill.pairs if (one.first, one.second) == (0, 2))

    assert pair.apart
    assert pair.low > 0.0
    assert skill.runs[0].superior
    assert not skill.runs[2].superior
    assert skill.spa < 0.05
    assert skill.runs[0].p_holm < 0.05
    assert len(skill.pairs) == 6


def test_one_run_that_never_traded_is_no_evidence(skill: Comparison) -> None:
    """Its ratio is 0, nothing speaks for it, and nothing about it is a number by accident."""
    flat = skill.runs[3]

    assert (flat.sharpe, flat.p_value, flat.total_return) == (0.0, 1.0, 0.0)
    assert all(math.isnan(one) for one in (flat.psr, flat.low, flat.high, flat.deflated))
    assert not flat.superior
    assert math.isnan(next(one for one in skill.pairs if one.second == 3).correlation)


def test_adjusted_p_values_are_those_of_statsmodels() -> None:
    """Holm's and, but for the largest, Yekutieli's values of 1 - PSR."""
    returns = noise(200, 5, 2) + np.linspace(-0.001, 0.002, 5)
    found = compare(returns, [1] * 5)
    plain = np.array([1.0 - probabilistic_sharpe(TrackRecord.of(one)) for one in returns.T])

    np.testing.assert_allclose([one.p_value for one in found.runs], plain, rtol=1e-12)
    holm = multipletests(plain, method="holm")[1]
    np.testing.assert_allclose([one.p_holm for one in found.runs], holm, rtol=1e-12)
    bhy = multipletests(plain, method="fdr_by")[1]
    assert all(one.p_bhy <= other + 1e-12 for one, other in zip(found.runs, bhy, strict=True))


def test_deflation_takes_the_runs_and_the_ledger() -> None:
    """By as many records as are compared at least, by all known looks at the strict end."""
    returns = noise(200, 3, 4) + 0.001
    found = compare(returns, [1, 400, 2])
    record = TrackRecord.of(returns[:, 1])

    assert [one.looks for one in found.runs] == [3, 400, 3]
    assert found.runs[1].deflated == pytest.approx(deflated_sharpe(record, 1.0 / 200, 3.0))
    assert found.runs[1].deflated_strict == pytest.approx(deflated_sharpe(record, 1.0 / 200, 400.0))
    assert found.runs[1].deflated_strict < found.runs[1].deflated < found.runs[1].psr
    assert found.runs[0].deflated_strict == found.runs[0].deflated


def test_a_twin_is_never_told_apart() -> None:
    """Twice the size is the same Sharpe ratio: difference and interval are 0."""
    returns = noise(120, 1, 6) + 0.002
    pair = compare(np.column_stack([returns, 2.0 * returns]), [1, 1]).pairs[0]

    assert pair.correlation == pytest.approx(1.0)
    assert pair.difference == pytest.approx(0.0, abs=1e-9)
    assert pair.high - pair.low < 1e-6


def test_the_order_of_the_runs_changes_nothing() -> None:
    """Nothing is ranked: the other way round the same figures come out."""
    returns = noise(150, 3, 7, 0.5)
    one, other = compare(returns, [5, 6, 7]), compare(returns[:, ::-1], [7, 6, 5])

    for number in range(3):
        first, second = one.runs[number], other.runs[2 - number]
        assert first.sharpe == pytest.approx(second.sharpe)
        assert first.p_step_m == pytest.approx(second.p_step_m)
    assert one.pairs[0].difference == pytest.approx(-other.pairs[2].difference)
    assert one.pairs[0].low == pytest.approx(-other.pairs[2].high)


def test_equal_runs_are_rarely_told_apart() -> None:
    """Of 60 sets of three runs without any difference hardly more than 5 % claim one."""
    found = [compare(noise(60, 3, seed, 0.3), [1] * 3, seed) for seed in range(60)]

    assert sum(any(pair.apart for pair in one.pairs) for one in found) <= 8
    assert sum(any(run.superior for run in one.runs) for one in found) <= 9


@pytest.mark.slow
def test_false_differences_keep_to_their_level() -> None:
    """Over 300 sets of five equal, serially correlated runs at most 8 % claim a difference."""
    wrong = 0
    for seed in range(300):
        returns = noise(60, 5, seed, 0.6)
        for row in range(1, 60):
            returns[row] += 0.15 * returns[row - 1]
        wrong += any(pair.apart for pair in compare(returns, [1] * 5, seed).pairs)
    assert wrong / 300 <= 0.08


@pytest.mark.parametrize(
    ("shape", "says"),
    [((100, 1), "at least 2 runs"), ((29, 2), "share 29 out-of-sample days")],
)
def test_too_little_is_no_comparison(shape: tuple[int, int], says: str) -> None:
    """One run, or hardly a month in common, is one clear line."""
    with pytest.raises(InputError, match=says):
        compare(noise(*shape, 1), [1] * shape[1])
