"""How an account is shared between strategies: by in-sample returns only, never by the test's.

A weight is the share of the account's equity that a strategy sizes its positions by. Weights are
not negative and add up to 1. Each method takes the daily returns of every strategy over the
training span, run for itself on the whole capital; why, and what happens to a strategy that did
not trade there: `docs/decisions/0014-allocation.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.errors import ConfigError, DataError, did_you_mean

Floats = NDArray[np.float64]

EQUAL = "equal"
INVERSE_VOLATILITY = "inverse-volatility"
EQUAL_RISK = "equal-risk"
FIXED = "fixed"
METHODS = (EQUAL, INVERSE_VOLATILITY, EQUAL_RISK, FIXED)

# Largest relative difference between the risk contributions of two strategies.
TOLERANCE = 1e-10
# Newton's method needs some ten steps; near a perfect hedge a few dozen.
MAX_STEPS = 200
# With fewer moving days the weights are still given, and a note says on how little they rest.
FEW_DAYS = 20
LARGEST_WEIGHT = 1e6

_RANGES = {"cut_at": (0.01, 1.0), "floor": (0.0, 1.0)}


@compiled
def drawdown_scale(value: float, peak: float, cut_at: float, floor: float) -> float:
    """Return the part of its weight that a strategy trades with in a drawdown, *floor* to 1.

    1 at the peak, less in a straight line down to *floor* at a drawdown of *cut_at*, and *floor*
    beyond. A value that is not known, or a peak that is not above zero, gives the floor.

    Args:
        value: equity now.
        peak: highest equity so far, the same unit.
        cut_at: drawdown at which the floor is reached, fraction of the peak, above 0.
        floor: 0 to 1.
    """
    if value >= peak > 0.0:
        return 1.0
    drawdown = 1.0 - value / peak if peak > 0.0 else 1.0
    if not drawdown < cut_at:
        return floor
    return max(floor, 1.0 - (1.0 - floor) * drawdown / cut_at)


def fixed(weights: Sequence[float]) -> Floats:
    """Return *weights* as shares of their sum, shape (strategies,).

    Raises:
        ConfigError: none at all, one out of 0 to `LARGEST_WEIGHT`, or all zero.
    """
    for number, value in enumerate(weights):
        if not (_is_number(value) and 0.0 <= value <= LARGEST_WEIGHT):  # also refuses NaN
            raise ConfigError(
                f"allocation weight {number + 1} must be a number from 0 to {LARGEST_WEIGHT:,.0f},"
                f" not {value!r}"
            )
    total = math.fsum(weights)
    if not total > 0.0:
        raise ConfigError(
            "allocation weights must have a sum above 0: give one weight per strategy, for example"
            " 0.5, 0.3, 0.2"
        )
    return np.asarray(weights, np.float64) / total


def equal(n: int) -> Floats:
    """Return the same share for each of *n* strategies.

    Raises:
        ConfigError: when *n* is below 1.
    """
    if n < 1:
        raise ConfigError(f"an account is shared by at least 1 strategy, not {n!r}")
    return np.full(n, 1.0 / n)


def inverse_volatility(returns: Floats) -> Floats:
    """Return weights in proportion to 1 / standard deviation, shape (strategies,).

    Args:
        returns: simple returns per day of the training span, shape (days, strategies). A strategy
            whose returns don't move gets 0; when none moves, all get the same.

    Raises:
        DataError: not two days, or a return that is not finite.
    """
    volatility, moving = _risk(returns)
    return _by_volatility(np.ones(int(moving.sum())), volatility, moving)


def equal_risk(returns: Floats) -> Floats:
    """Return the weights with which every strategy adds the same to the portfolio's variance.

    Maillard, Roncalli, Teiletche, The Properties of Equally Weighted Risk Contribution Portfolios,
    J. Portfolio Management 36(4), 2010: long only, w_i (C w)_i the same for all i. The minimum of
    y'Cy / 2 - sum(log y) over y > 0 has that property, and w = y / sum(y) (Spinu, An Algorithm for
    Computing Risk Parity Weights, 2013). The function is self-concordant, so Newton's method with
    damped steps finds the minimum from anywhere (Boyd and Vandenberghe, Convex Optimization, 9.6).

    C is the plain sample covariance. It is not shrunk: that cures matrices with more columns than
    days can measure, and here a handful of strategies meets at least weeks of days, while any
    shrinkage moves the result away from the risk that was measured. The result does not depend on
    the scale of the returns, nor on the order of the strategies.

    Args:
        returns: simple returns per day of the training span, shape (days, strategies). A strategy
            whose returns don't move gets 0; when none moves, all get the same.

    Raises:
        DataError: not two days, or a return that is not finite.
        ConfigError: no weights within `TOLERANCE` were found, as when strategies hedge each other
            so well that a mixture of them has no risk.
    """
    volatility, moving = _risk(returns)
    chosen = np.asarray(returns, np.float64)[:, moving]
    standard = (chosen - chosen.mean(axis=0)) / volatility[moving]
    correlation = standard.T @ standard / (len(standard) - 1)
    return _by_volatility(_equal_contributions(correlation), volatility, moving)


def _by_volatility(exposure: Floats, volatility: Floats, moving: NDArray[np.bool_]) -> Floats:
    """Return weights in proportion to exposure / volatility of those that move, equal if none."""
    if not moving.any():
        return equal(len(volatility))
    weights = np.zeros(len(volatility))
    # In units of the smallest one: no volatility is too small for its inverse.
    weights[moving] = exposure * (volatility[moving].min() / volatility[moving])
    return np.asarray(weights / weights.sum())


def _equal_contributions(correlation: Floats) -> Floats:
    """Return y > 0 with y_i (C y)_i = 1 for all i."""
    n = len(correlation)
    total = float(correlation.sum())
    # The solution when all correlations are the same.
    y = np.full(n, math.sqrt(n / total) if total > 1e-6 * n else 1.0)
    apart = math.inf
    with np.errstate(all="ignore"):  # without a minimum y grows beyond all numbers
        for _ in range(MAX_STEPS):
            slope = correlation @ y
            apart = float(np.abs(y * slope - 1.0).max(initial=0.0))
            if apart <= TOLERANCE / 2.0:  # two contributions may be off to both sides
                return y
            step, decrement = _newton(correlation, y, slope)
            y = y + step / (1.0 + decrement if decrement > 0.25 else 1.0)
            if not (np.all(np.isfinite(y)) and np.all(y > 0.0)):
                break
    raise ConfigError(
        f"no equal-risk weights for these {n} strategies: risk contributions differ by {apart:.2g}"
        f" after {MAX_STEPS} steps at most, and {TOLERANCE:g} is allowed. In training some of them"
        " hedge each other nearly without risk; choose inverse-volatility or fixed"
    )


def _newton(correlation: Floats, y: Floats, slope: Floats) -> tuple[Floats, float]:
    """Return Newton's step and its decrement; NaN when the equations have no solution."""
    gradient = slope - 1.0 / y
    try:
        step = np.asarray(
            np.linalg.solve(correlation + np.diag(1.0 / (y * y)), -gradient), np.float64
        )
    except np.linalg.LinAlgError:
        return np.full(len(y), np.nan), math.nan
    return step, math.sqrt(max(0.0, -float(gradient @ step)))


def _risk(returns: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the standard deviation of each strategy, and which ones moved at all."""
    checked = np.asarray(returns, np.float64)
    if checked.ndim != 2 or len(checked) < 2 or not checked.shape[1]:
        raise DataError(
            f"in-sample returns must have at least 2 days and 1 strategy, not shape {checked.shape}"
        )
    bad = np.argwhere(~np.isfinite(checked))
    if len(bad):
        day, strategy = bad[0]
        raise DataError(
            f"in-sample return of strategy {strategy + 1} on day {day + 1} is"
            f" {checked[day, strategy]}, which is no number"
        )
    volatility = np.asarray(checked.std(axis=0, ddof=1))
    # Equal returns have a spread of rounding errors only.
    return volatility, volatility > 1e-12 * np.abs(checked).max(axis=0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How strategies share an account.

    Attributes:
        method: `equal`, `inverse-volatility`, `equal-risk` or `fixed`.
        weights: of `fixed`, one per strategy; only their proportions count.
        drawdown_aware: a strategy in a drawdown of its own trades with less than its weight; see
            `drawdown_scale`.
        cut_at: drawdown at which it trades with the least, 0.01 to 1.
        floor: that least part of its weight, 0 to 1.
    """

    method: str = EQUAL
    weights: tuple[float, ...] = ()
    drawdown_aware: bool = False
    cut_at: float = 0.2
    floor: float = 0.25

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(
                f"allocation method must be one of {', '.join(METHODS)}, not {self.method!r}"
                + did_you_mean(str(self.method), METHODS)
            )
        if self.weights and self.method != FIXED:
            raise ConfigError(
                f"allocation weights are for the method fixed; {self.method} makes its own"
            )
        if self.method == FIXED:
            fixed(self.weights)
        if not isinstance(self.drawdown_aware, bool):
            raise ConfigError(
                f"allocation drawdown_aware must be true or false, not {self.drawdown_aware!r}"
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (_is_number(value) and low <= value <= high):  # also refuses NaN
                raise ConfigError(
                    f"allocation {name} must be from {low:g} to {high:g}, not {value!r}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    def describe(self) -> str:
        """Return one line for people."""
        shares = " " + " : ".join(f"{one:g}" for one in self.weights) if self.weights else ""
        aware = (
            f", down to {self.floor:.0%} of it at a drawdown of {self.cut_at:.0%}"
            if self.drawdown_aware
            else ""
        )
        return f"allocation {self.method}{shares}{aware}"

    def weights_from(
        self, returns: Floats | None, n: int, names: Sequence[str] = ()
    ) -> tuple[Floats, tuple[str, ...]]:
        """Return the weights of *n* strategies, shape (n,), and notes for the result.

        Args:
            returns: simple returns per day of the training span, shape (days, n); None when there
                was no training: methods that measure risk then give equal shares, and a note says
                so.
            n: strategies.
            names: of the strategies, for the notes; numbers from 1 by default.

        Raises:
            ConfigError: another number of weights than of strategies; no equal-risk weights.
            DataError: returns of another shape, or not finite.
        """
        called = tuple(names) or tuple(f"strategy {k + 1}" for k in range(n))
        if self.method == FIXED:
            return self._fixed(n)
        if self.method == EQUAL or n == 1:
            return equal(n), ()
        if returns is None or len(returns) < 2:
            note = f"allocation {self.method}: no in-sample returns to measure risk by, so equal"
            return equal(n), (f"{note} shares",)
        if returns.ndim != 2 or returns.shape[1] != n:
            raise DataError(f"in-sample returns of shape {returns.shape} do not fit {n} strategies")
        measure = inverse_volatility if self.method == INVERSE_VOLATILITY else equal_risk
        return measure(returns), self._notes(returns, called)

    def _fixed(self, n: int) -> tuple[Floats, tuple[str, ...]]:
        if len(self.weights) != n:
            raise ConfigError(
                f"allocation fixed has {len(self.weights)} weights for {n} strategies:"
                " give one for each"
            )
        weights, total = fixed(self.weights), math.fsum(self.weights)
        if abs(total - 1.0) <= 1e-9:
            return weights, ()
        shares = ", ".join(f"{one:.1%}" for one in weights)
        return weights, (f"allocation fixed: weights add up to {total:g}; used as {shares}",)

    def _notes(self, returns: Floats, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a reader of the weights should know of the returns behind them."""
        _, moving = _risk(returns)
        if not moving.any():
            return (f"allocation {self.method}: no strategy traded in-sample, so equal shares",)
        days = np.count_nonzero(returns, axis=0)
        notes = []
        for name, moved, active in zip(names, moving.tolist(), days.tolist(), strict=True):
            start = f"allocation {self.method}: {name}"
            if not moved:
                notes.append(f"{start} did not trade in-sample: no measured risk, weight 0")
            elif active < FEW_DAYS:
                notes.append(
                    f"{start} moved on {active} of {len(returns)} in-sample days: its risk, and so"
                    " its weight, is poorly measured"
                )
        return tuple(notes)
