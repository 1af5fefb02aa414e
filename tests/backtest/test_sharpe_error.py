"""The variance of a Sharpe ratio and the chance that follows from it, by printed values."""

from __future__ import annotations

import math

import pytest

from ftbt.backtest.sharpe_error import chance_above, sharpe_variance


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "printed"), [(-2.448, 10.164, 0.9132343), (0.0, 3.0, 0.9815912)]
)
def test_the_printed_example(skewness: float, kurtosis: float, printed: float) -> None:
    """The Sharpe Ratio Efficient Frontier (2012): 0.913 with the sample's moments, 24 months."""
    monthly = 1.585 / math.sqrt(12)
    error = math.sqrt(sharpe_variance(monthly, skewness, kurtosis) / 23)

    assert chance_above(monthly, 0.0, error) == pytest.approx(printed, abs=5e-8)


def test_serial_correlation_of_the_2025_paper() -> None:
    """Without correlation the three coefficients are 1; with it they are those of the paper."""
    assert sharpe_variance(0.5, -1.0, 6.0, 0.0) == pytest.approx(1.0 + 0.5 + 1.25 * 0.25)
    a, b, c = 1.0 + 0.4 / 0.8, 1.0 + 0.2 / 0.8 + 0.04 / 0.96, 1.0 + 0.08 / 0.96
    assert sharpe_variance(0.5, -1.0, 6.0, 0.2) == pytest.approx(a + b * 0.5 + c * 1.25 * 0.25)


@pytest.mark.parametrize(
    ("sharpe", "error", "chance"),
    [(0.2, 0.1, 0.5), (0.2 + 1.959963984540054, 1.0, 0.975), (0.2, 0.0, 0.5), (0.3, 0.0, 1.0),
     (0.1, 0.0, 0.0)],
)  # fmt: skip
def test_chance_to_exceed_a_benchmark_of_a_fifth(
    sharpe: float, error: float, chance: float
) -> None:
    """A half at the benchmark itself; without an error it is certain either way."""
    assert chance_above(sharpe, 0.2, error) == pytest.approx(chance, abs=1e-15)
