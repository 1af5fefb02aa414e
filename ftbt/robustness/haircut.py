"""What is left of a Sharpe ratio after as many tests: adjusted p-values and haircuts.

The t-statistic of an annual Sharpe ratio over some years is SR sqrt(years). Its two-sided p-value
is adjusted for the number of tests, and the haircut ratio is the one that would have had the
adjusted p-value in a single test. Source: Harvey and Liu, Backtesting, JPM 42(1), 2015.

Harvey and Liu draw the other tests' p-values from a model of published equity factors. Here they
are those of the trials that were really made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from ftbt.errors import InputError
from ftbt.robustness.checks import Floats, as_series, in_range, one_of, whole

Method = Literal["bonferroni", "sidak", "holm", "bhy"]
METHODS: tuple[str, ...] = get_args(Method)


def bonferroni(p_values: Floats) -> Floats:
    """Return min(1, M p), shape (M,): the chance of ANY false discovery stays below p.

    Args:
        p_values: of all M tests, shape (M,).

    Raises:
        InputError: not p-values.
    """
    p = _checked(p_values)
    return np.asarray(np.minimum(1.0, len(p) * p))


def sidak(p_values: Floats) -> Floats:
    """Return 1 - (1 - p)^M, shape (M,): as Bonferroni, exact for independent tests.

    Source: Sidak, J. Am. Stat. Assoc. 62, 1967.

    Args:
        p_values: of all M tests, shape (M,).

    Raises:
        InputError: not p-values.
    """
    p = _checked(p_values)
    return _sidak(p, len(p))


def _sidak(p: Floats, tests: int) -> Floats:
    # By logarithms: 1 - p would lose the digits of small p-values.
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(tests * np.log1p(-p)))


def holm(p_values: Floats) -> Floats:
    """Return Holm's step-down p-values max_{j <= i} min(1, (M - j + 1) p_(j)), shape (M,).

    Never larger than Bonferroni's, with the same guarantee. Source: Holm, Scand. J. Stat. 6, 1979;
    Harvey and Liu 2015.

    Args:
        p_values: of all M tests, shape (M,), any order; results are in the same order.

    Raises:
        InputError: not p-values.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.arange(len(p), 0, -1) * p[order])
    return _back(np.maximum.accumulate(stepped), order)


def bhy(p_values: Floats, *, scale_largest: bool = False) -> Floats:
    """Return the step-up p-values of Benjamini, Hochberg and Yekutieli, shape (M,).

    min_{j >= i} p_(j) M c(M) / j with c(M) = sum_{1..M} 1/j: they hold the expected SHARE of false
    discoveries, under any dependence. Sources: Benjamini and Yekutieli, Ann. Stat. 29(4), 2001;
    Harvey and Liu 2015, whose recursion starts with the largest p-value as it is. The original,
    and with it statsmodels and R, multiplies that one by c(M) too; the other values are the
    smaller for it only when the largest p-value caps them.

    Args:
        p_values: of all M tests, shape (M,), any order; results are in the same order.
        scale_largest: True: the original form instead of Harvey and Liu's.

    Raises:
        InputError: not p-values.
    """
    p = _checked(p_values)
    count = len(p)
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, count + 1)
    stepped = p[order] * count * float((1.0 / ranks).sum()) / ranks
    if not scale_largest:
        stepped[-1] = p[order[-1]]
    upwards = np.minimum.accumulate(stepped[::-1])[::-1]
    return _back(np.minimum(1.0, upwards), order)


def _checked(p_values: Floats) -> Floats:
    p = as_series(p_values, "p-values", least=1)
    if p.min() < 0.0 or p.max() > 1.0:
        wrong = int(np.flatnonzero((p < 0.0) | (p > 1.0))[0])
        raise InputError(f"p-values: value {wrong} is {p[wrong]:g}; it must be in [0, 1]")
    return p


def _back(ordered: Floats, order: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def sharpe_p_value(sharpe: float, years: float, degrees_of_freedom: float = math.inf) -> float:
    """Return the two-sided p-value of an annual Sharpe ratio, t = |SR| sqrt(years).

    Args:
        sharpe: annual.
        years: length of the record.
        degrees_of_freedom: of Student's distribution; inf for the normal one. Harvey and Liu take
            the number of months - 1.

    Raises:
        InputError: an argument out of range.
    """
    t = abs(in_range(sharpe, "Sharpe ratio", open_low=True, open_high=True)) * math.sqrt(
        in_range(years, "years", 0.0, open_low=True, open_high=True)
    )
    freedom = in_range(degrees_of_freedom, "degrees of freedom", 1.0)
    return 2.0 * float(ndtr(-t) if math.isinf(freedom) else stdtr(freedom, -t))


def _t_of(p_value: float, freedom: float) -> float:
    half = p_value / 2.0
    return -float(ndtri(half) if math.isinf(freedom) else stdtrit(freedom, half))


@dataclass(frozen=True, slots=True)
class Haircut:
    """One adjustment of a Sharpe ratio.

    Attributes:
        method: `"bonferroni"`, `"sidak"`, `"holm"` or `"bhy"`.
        p_value: adjusted, two-sided.
        sharpe: annual ratio that is left.
        fraction: share that is cut off, 0 to 1; NaN when there was nothing above zero to cut.
    """

    method: str
    p_value: float
    sharpe: float
    fraction: float


@dataclass(frozen=True, slots=True)
class HaircutTable:
    """A Sharpe ratio and what is left of it after all adjustments.

    Attributes:
        sharpe: annual, before.
        years: length of the record.
        tests: number of tests that are allowed for.
        p_value: two-sided, of a single test.
        haircuts: one per method.
    """

    sharpe: float
    years: float
    tests: int
    p_value: float
    haircuts: tuple[Haircut, ...]

    def by(self, method: Method) -> Haircut:
        """Return the haircut of one method.

        Raises:
            InputError: a method that was not computed.
        """
        one_of(method, "method", tuple(one.method for one in self.haircuts))
        return next(one for one in self.haircuts if one.method == method)


def haircut_for_tests(
    sharpe: float, years: float, tests: int, degrees_of_freedom: float = math.inf
) -> HaircutTable:
    """Return the haircuts that need only the NUMBER of tests: Bonferroni and Sidak.

    Args:
        sharpe: annual.
        years: length of the record.
        tests: number of tests M >= 1, the one at hand included.
        degrees_of_freedom: see `sharpe_p_value`.

    Raises:
        InputError: an argument out of range.
    """
    count = whole(tests, "number of tests", 1)
    p = sharpe_p_value(sharpe, years, degrees_of_freedom)
    adjusted = {
        "bonferroni": min(1.0, count * p),
        "sidak": float(_sidak(np.array([p]), count)[0]),
    }
    return _table(sharpe, years, count, p, adjusted, degrees_of_freedom)


def haircut_among_trials(
    sharpes: Floats, chosen: int, years: float, degrees_of_freedom: float = math.inf
) -> HaircutTable:
    """Return all four haircuts of one trial among those that were really made.

    Args:
        sharpes: annual ratios of all M trials over the same years, shape (M,); 0 for a trial that
            never traded.
        chosen: index of the trial.
        years: length of the record.
        degrees_of_freedom: see `sharpe_p_value`.

    Raises:
        InputError: an argument out of range.
    """
    ratios = as_series(sharpes, "Sharpe ratios", least=1)
    place = whole(chosen, "index of the chosen trial", 0)
    if place >= len(ratios):
        raise InputError(
            f"index of the chosen trial is {place}, but there are {len(ratios)} trials: "
            f"0 to {len(ratios) - 1}"
        )
    p = np.array([sharpe_p_value(float(one), years, degrees_of_freedom) for one in ratios])
    adjusted = {
        "bonferroni": float(bonferroni(p)[place]),
        "sidak": float(sidak(p)[place]),
        "holm": float(holm(p)[place]),
        "bhy": float(bhy(p)[place]),
    }
    sharpe = float(ratios[place])
    return _table(sharpe, years, len(p), float(p[place]), adjusted, degrees_of_freedom)


def _table(
    sharpe: float, years: float, tests: int, p: float, adjusted: dict[str, float], freedom: float
) -> HaircutTable:
    haircuts = tuple(_haircut(sharpe, years, m, one, freedom) for m, one in adjusted.items())
    return HaircutTable(sharpe, years, tests, p, haircuts)


def _haircut(sharpe: float, years: float, method: str, p_value: float, freedom: float) -> Haircut:
    # A ratio of zero or less has nothing to lose; moving it towards zero would flatter it.
    if sharpe <= 0.0:
        return Haircut(method, p_value, sharpe, math.nan)
    if p_value == 0.0:  # below the smallest number: no test count changes anything
        return Haircut(method, p_value, sharpe, 0.0)
    left = min(sharpe, _t_of(p_value, freedom) / math.sqrt(years))
    return Haircut(method, p_value, left, 1.0 - left / sharpe)


def autocorrelation_correction(autocorrelation: float, periods: float) -> float:
    """Return the factor on an annual Sharpe ratio for serial correlation of first order.

    (1 + 2r/(1-r) (1 - (1-r^q) / (q (1-r))))^(-1/2) with q periods in a year (Harvey and Liu 2015,
    after Lo 2002): `sharpe.aggregation_factor(q, r)` / sqrt(q) in closed form.

    Args:
        autocorrelation: r of first order, between -1 and 1.
        periods: q >= 1.

    Raises:
        InputError: an argument out of range.
    """
    what = "autocorrelation of first order"
    r = in_range(autocorrelation, what, -1.0, 1.0, open_low=True, open_high=True)
    q = whole(periods, "number of periods", 1)
    inflation = 1.0 + 2.0 * r / (1.0 - r) * (1.0 - (1.0 - r**q) / (q * (1.0 - r)))
    return 1.0 / math.sqrt(inflation)


@dataclass(frozen=True, slots=True)
class ProfitHurdle:
    """Mean returns per period that a strategy must exceed to be significant.

    Attributes:
        single: for a single test.
        bonferroni: after Bonferroni's adjustment.
        sidak: after Sidak's.
    """

    single: float
    bonferroni: float
    sidak: float


def profit_hurdle(
    tests: int,
    observations: float,
    volatility: float,
    significance: float = 0.05,
    periods: float = 12.0,
) -> ProfitHurdle:
    """Return the mean return per period at which a strategy is significant, two-sided.

    z volatility / sqrt(periods) / sqrt(observations) (Harvey and Liu 2015, profit hurdle).

    Args:
        tests: number of tests M >= 1.
        observations: periods in the record.
        volatility: annual, fraction.
        significance: between 0 and 1.
        periods: per year: 12 for months, 365 for days.

    Raises:
        InputError: an argument out of range.
    """
    count = whole(tests, "number of tests", 1)
    alpha = in_range(significance, "significance", 0.0, 1.0, open_low=True, open_high=True)
    error = in_range(volatility, "volatility", 0.0, open_high=True) / math.sqrt(
        in_range(periods, "periods per year", 0.0, open_low=True, open_high=True)
        * in_range(observations, "number of observations", 0.0, open_low=True, open_high=True)
    )
    independent = -math.expm1(math.log1p(-alpha) / count)
    return ProfitHurdle(
        single=_t_of(alpha, math.inf) * error,
        bonferroni=_t_of(alpha / count, math.inf) * error,
        sidak=_t_of(independent, math.inf) * error,
    )
