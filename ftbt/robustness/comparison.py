"""Several runs side by side: which differences between them are more than luck?

Who makes ten runs and shows the best has looked ten times. So nothing here is ranked. The daily
out-of-sample returns of all runs are taken on the days that all of them have, and

* `snooping`: is ANY of them better than cash, all of them allowed for (Reality Check, SPA)?
* `p_holm`, `p_bhy`, `p_step_m`: which ones are, by their probabilistic Sharpe ratios (Holm 1979;
  Benjamini and Yekutieli 2001) and by bootstrap (Romano and Wolf 2005)?
* `deflated`: the record against the best of as many records without skill (Bailey and Lopez de
  Prado 2014), for the compared runs alone and for every trial the ledger knows of these data. The
  variance across records is that of records without skill, 1 / days: that of a handful of runs
  would be too noisy to deflate by.
* `pairs`: the difference of two annual Sharpe ratios with an interval wide enough for all pairs at
  once (Bonferroni): difference +- t x its standard deviation over samples of blocks of days, which
  are drawn for all runs together; t of Student's distribution with days / block length - 1 degrees
  of freedom. An interval that holds 0 means: these two can't be told apart. Measured on runs
  without any difference, 60 days, 2 to 5 runs: some pair is told apart in 2 % to 6 %; with plain
  quantiles of the samples it would be up to 15 %.

Ratios are annual, days are UTC days, p-values of single runs are one-sided (1 - PSR).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ftbt.errors import InputError
from ftbt.robustness.bootstrap import block_length
from ftbt.robustness.checks import varies
from ftbt.robustness.deflated import deflated_sharpe
from ftbt.robustness.haircut import bhy, holm
from ftbt.robustness.of_run import YEAR
from ftbt.robustness.panel import Floats, sharpe_of, sharpe_of_sums
from ftbt.robustness.sharpe import TrackRecord, probabilistic_sharpe, standard_error
from ftbt.robustness.snooping import (
    bootstrap_means,
    drawn_counts,
    reality_check,
    step_m,
    superior_ability,
)
from ftbt.robustness.snooping_section import studentise_for

LEVEL = 0.05
RESAMPLES = 2_000
LEAST_DAYS = 30
NAN = math.nan
# A 95 % interval of a normal figure.
WIDE = 1.959963984540054


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run on the common days.

    Attributes:
        sharpe: annual; 0 when it never traded on them.
        low, high: 95 % interval of it; NaN when it does not vary.
        total_return: compounded, fraction.
        psr: probabilistic Sharpe ratio against 0, NaN when undefined.
        p_value: 1 - psr; 1 when it does not vary: nothing speaks for it.
        p_holm, p_bhy: adjusted for the number of runs.
        p_step_m: of StepM against cash.
        superior: True when StepM finds it better than cash at 5 % familywise.
        looks: number of records and trials that it is deflated by at the strict end.
        deflated: deflated Sharpe ratio by the compared runs alone, NaN when undefined.
        deflated_strict: by *looks*.
    """

    sharpe: float
    low: float
    high: float
    total_return: float
    psr: float
    p_value: float
    p_holm: float
    p_bhy: float
    p_step_m: float
    superior: bool
    looks: int
    deflated: float
    deflated_strict: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs by number.

    Attributes:
        first, second: places in the comparison.
        correlation: of their daily returns, NaN when one does not vary.
        difference: annual Sharpe ratio of the first minus that of the second.
        low, high: interval at *level* 1 - 0.05 / pairs.
        apart: True when the interval leaves 0 out: more than luck explains.
    """

    first: int
    second: int
    correlation: float
    difference: float
    low: float
    high: float
    apart: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs on their common days.

    Attributes:
        days: how many.
        runs: in the order in which they were given.
        pairs: each two of them.
        pair_level: two-sided confidence of each pair's interval.
        spa: Hansen's consistent p-value of "no run beats cash".
        reality_check: White's p-value of the same.
        block: mean block length of the bootstrap, days.
        resamples: bootstrap samples.
    """

    days: int
    runs: tuple[RunFigures, ...]
    pairs: tuple[Pair, ...]
    pair_level: float
    spa: float
    reality_check: float
    block: float
    resamples: int


def compare(returns: Floats, looks: Sequence[int], seed: int = 1) -> Comparison:
    """Return the comparison of several records.

    Args:
        returns: daily, one column per run, shape (days, runs), at least 30 days and 2 runs.
        looks: for each run, how many records and trials competed with it at the strict end; taken
            as at least the number of runs.
        seed: of the bootstrap.

    Raises:
        InputError: fewer days or runs, or a run that gains the same on every day.
    """
    days, count = returns.shape
    if count < 2:
        raise InputError(f"a comparison needs at least 2 runs, but got {count}")
    if days < LEAST_DAYS:
        raise InputError(
            f"the runs share {days} out-of-sample days; a comparison needs at least {LEAST_DAYS}"
        )
    block = _block(returns)
    pairs = count * (count - 1) // 2
    tail = LEVEL / pairs / 2.0
    # The same days are drawn for all runs: what they have in common stays in common.
    counts = drawn_counts(days, block, RESAMPLES, seed)
    boot = bootstrap_means(returns, block=block, weights=counts)
    drawn = sharpe_of_sums(days, counts @ returns, counts @ (returns * returns)) * YEAR
    studentise = studentise_for(block)
    ability = superior_ability(boot, studentise=studentise)
    step = step_m(boot, LEVEL, studentise=studentise)
    return Comparison(
        days=days,
        runs=_figures(returns, looks, step.p_values, set(step.superior.tolist())),
        pairs=_pairs(returns, drawn, _quantile(tail, days / block - 1.0)),
        pair_level=1.0 - 2.0 * tail,
        spa=ability.consistent,
        reality_check=reality_check(boot).p_value,
        block=boot.block,
        resamples=RESAMPLES,
    )


def _block(returns: Floats) -> float:
    """Return the longest block that any run asks for: too long is safe, too short is not."""
    lengths = [block_length(one).of("stationary") for one in returns.T if varies(one)]
    return max(lengths, default=1.0)


def _figures(
    returns: Floats, looks: Sequence[int], step_p: Floats, superior: set[int]
) -> tuple[RunFigures, ...]:
    count = returns.shape[1]
    records = [TrackRecord.of(one) if varies(one) else None for one in returns.T]
    chances = [NAN if one is None else probabilistic_sharpe(one) for one in records]
    p_values = np.array([1.0 if math.isnan(one) else 1.0 - one for one in chances])
    by_holm, by_bhy = holm(p_values), bhy(p_values)
    sharpes = sharpe_of(returns) * YEAR
    made = []
    for number, record in enumerate(records):
        margin = NAN if record is None else WIDE * standard_error(record) * YEAR
        most = max(count, looks[number])
        made.append(
            RunFigures(
                sharpe=float(sharpes[number]),
                low=float(sharpes[number]) - margin,
                high=float(sharpes[number]) + margin,
                total_return=float(np.prod(1.0 + returns[:, number])) - 1.0,
                psr=chances[number],
                p_value=float(p_values[number]),
                p_holm=float(by_holm[number]),
                p_bhy=float(by_bhy[number]),
                p_step_m=float(step_p[number]),
                superior=number in superior,
                looks=most,
                deflated=_deflated(record, count),
                deflated_strict=_deflated(record, most),
            )
        )
    return tuple(made)


def _deflated(record: TrackRecord | None, trials: int) -> float:
    if record is None:
        return NAN
    return deflated_sharpe(record, 1.0 / record.observations, float(trials))


def _quantile(tail: float, freedom: float) -> float:
    """Return Student's quantile; a few long blocks are few independent pieces of evidence."""
    return float(stdtrit(max(2.0, freedom), 1.0 - tail))


def _pairs(returns: Floats, drawn: Floats, quantile: float) -> tuple[Pair, ...]:
    sharpes = sharpe_of(returns) * YEAR
    made = []
    for first in range(returns.shape[1]):
        for second in range(first + 1, returns.shape[1]):
            difference = float(sharpes[first] - sharpes[second])
            reach = quantile * float((drawn[:, first] - drawn[:, second]).std(ddof=1))
            low, high = difference - reach, difference + reach
            made.append(
                Pair(
                    first=first,
                    second=second,
                    correlation=_correlation(returns[:, first], returns[:, second]),
                    difference=difference,
                    low=low,
                    high=high,
                    apart=low > 0.0 or high < 0.0,
                )
            )
    return tuple(made)


def _correlation(first: Floats, second: Floats) -> float:
    if not (varies(first) and varies(second)):
        return NAN
    return float(np.corrcoef(first, second)[0, 1])
