"""The figures of evidence against printed values of the papers, and the sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftbt.walkforward.evidence import judge


def test_psr_of_bacons_returns() -> None:
    """The 24 monthly returns of Bacon (2008): 0.8580412 with moment skewness and kurtosis."""
    returns = np.array(
        [.003, .026, .011, -.010, .015, .025, .016, .067, -.014, .040, -.005, .081, .040, -.037,
         -.061, .017, -.049, -.022, .070, .058, -.065, .024, -.005, -.009]
    )  # fmt: skip
    found = judge(returns, 1.0, 100)

    assert found.psr == pytest.approx(0.8580412, abs=5e-8)
    assert found.sharpe_daily * math.sqrt(12) == pytest.approx(0.78832025, abs=5e-8)
    assert found.t_statistic == pytest.approx(found.sharpe_daily * math.sqrt(24))


def returns_of(sharpe: float, days: int) -> np.ndarray:
    """Return days of exactly this Sharpe ratio per day, without skew."""
    shape = np.tile([1.0, -1.0], days // 2)
    return 0.01 * (shape + sharpe * shape.std(ddof=1))


@pytest.mark.parametrize(
    ("sharpe", "profit", "trades", "verdict", "words"),
    [
        (-0.1, -50.0, 100, "none", "after costs it lost 50.00"),
        (0.02, 50.0, 100, "none", "well within luck"),
        (0.15, 50.0, 100, "weak", "Weak evidence"),
        (0.3, 50.0, 100, "some", "Some evidence of an edge after costs: 50.00"),
        (0.3, 50.0, 12, "none", "12 trades in 100 days out of sample are too few"),
        (0.3, 50.0, 0, "none", "never traded"),
    ],
)
def test_the_sentence_follows_the_figures(
    sharpe: float, profit: float, trades: int, verdict: str, words: str
) -> None:
    """It never says more than they do."""
    found = judge(returns_of(sharpe, 100), profit, trades)

    assert found.verdict == verdict
    assert words in found.sentence


def test_few_days_are_never_evidence() -> None:
    """A perfect week is a week."""
    assert judge(returns_of(2.0, 20), 50.0, 100).verdict == "none"


def test_a_flat_curve_has_no_figures() -> None:
    """No return, no ratio."""
    found = judge(np.zeros(100), 0.0, 5)

    assert math.isnan(found.psr)
    assert found.verdict == "none"


def test_no_edge_is_rarely_called_one() -> None:
    """On 2,000 random curves without an edge at most about 5 % are called `some`."""
    random = np.random.default_rng(1)
    verdicts = []
    for _ in range(2000):
        returns = random.standard_t(4, 250) * 0.01
        verdicts.append(judge(returns, float(returns.sum()), 100).verdict)

    assert verdicts.count("some") / 2000 == pytest.approx(0.05, abs=0.015)
