"""What a search maximises in training: a short list of named figures.

Each is a field of `ftbt.backtest.metrics.Metrics` (definitions and sources there), made finite:
an undefined figure counts as the worst value, a boundless one is capped. A parameter set that
made fewer trades than the minimum has the worst value too, whatever it earned: a figure of three
trades is noise, and searches find noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

from ftbt.backtest.metrics import Metrics
from ftbt.errors import ConfigError, did_you_mean

# Below anything that a run can lose (capital is at most 1e12), and finite: it is stored as JSON.
WORST = -1e15


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing to maximise.

    Attributes:
        name: as the user writes it; also the field of `Metrics`.
        text: what it is, for people.
        cap: largest value; more counts as this.
    """

    name: str
    text: str
    cap: float = math.inf

    def value(self, metrics: Metrics, min_trades: int) -> float:
        """Return the figure, or WORST when there were too few trades or it is undefined."""
        figure = float(getattr(metrics, self.name))
        if metrics.trades < min_trades or math.isnan(figure):
            return WORST
        return min(figure, self.cap)


_ALL = (
    Objective("sharpe", "annual Sharpe ratio of daily returns, at most 100", 100.0),
    Objective("sortino", "annual Sortino ratio of daily returns, at most 100", 100.0),
    Objective("adjusted_sharpe", "Sharpe ratio adjusted for skew and kurtosis, at most 100", 100.0),
    Objective("calmar", "annual growth / deepest drawdown, at most 1000", 1000.0),
    Objective("martin", "annual growth / ulcer index, at most 1000", 1000.0),
    Objective("omega", "gains / losses of daily returns, at most 10", 10.0),
    Objective("profit_factor", "gains / losses of trades after costs, at most 10", 10.0),
    Objective("net_profit", "profit after costs, quote currency"),
    Objective("cagr", "growth per year, at most 1e6", 1e6),
    Objective("expectancy", "mean profit per trade, quote currency"),
    Objective("expectancy_r", "mean profit per trade in units of its initial risk"),
    Objective("win_rate", "share of trades with a profit"),
)
OBJECTIVES = MappingProxyType({objective.name: objective for objective in _ALL})


def objective_named(name: str) -> Objective:
    """Return the objective called *name*.

    Raises:
        ConfigError: with the nearest name, or all of them.
    """
    if name not in OBJECTIVES:
        hint = did_you_mean(name, OBJECTIVES) or f"; there are: {', '.join(OBJECTIVES)}"
        raise ConfigError(f"objective {name!r} is not known{hint}")
    return OBJECTIVES[name]
