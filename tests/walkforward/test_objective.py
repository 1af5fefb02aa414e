"""What a search maximises."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ftbt.backtest.metrics import Metrics, summarise_arrays
from ftbt.backtest.result import TRADE
from ftbt.errors import ConfigError
from ftbt.walkforward.objective import OBJECTIVES, WORST, objective_named


def metrics(**values: float) -> Metrics:
    """Return the metrics of ten winning trades with some *values* replaced."""
    trades = np.zeros(10, TRADE)
    trades["net"], trades["r"], trades["side"] = 10.0, 1.0, 1
    equity = 1000.0 + 10.0 * np.arange(1, 11)
    found = summarise_arrays(np.diff(equity, prepend=1000.0), equity, trades, 365.0, 1000.0)
    return dataclasses.replace(found, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_every_objective_is_a_finite_metric(name: str) -> None:
    """Whatever a run does, the search is told a number that it can store and compare."""
    for value in (math.nan, math.inf, -math.inf, 0.5, -2.0):
        told = OBJECTIVES[name].value(metrics(**{name: value}), 1)
        if math.isnan(value):
            assert told == WORST
        elif value == math.inf and OBJECTIVES[name].cap < math.inf:
            assert told == OBJECTIVES[name].cap
        elif math.isfinite(value):
            assert told == value


def test_too_few_trades_are_the_worst_value() -> None:
    """The minimum itself is enough, one less is not, whatever was earned."""
    figures = metrics(profit_factor=9.0)

    assert objective_named("profit_factor").value(figures, 10) == 9.0
    assert objective_named("profit_factor").value(figures, 11) == WORST


def test_profit_factor_is_capped() -> None:
    """A run without a loss has a boundless profit factor, and it is no better than ten."""
    assert objective_named("profit_factor").value(metrics(), 1) == 10.0


def test_an_unknown_objective_is_answered_with_the_nearest() -> None:
    """Names are matched before anything is computed."""
    with pytest.raises(ConfigError, match="'sharp' is not known - did you mean 'sharpe'"):
        objective_named("sharp")
    with pytest.raises(ConfigError, match="there are: sharpe, sortino"):
        objective_named("xyz")
