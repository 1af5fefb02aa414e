"""Other orders and other draws of the same results: how deep the path could have gone.

Four questions, which must not be mixed up; `PathDistribution.how` names the one that was asked:

* "block bootstrap": other histories of the same daily returns, streaks kept.
* "resampled trades": trades drawn with replacement. Answers for the edge itself: the total varies.
* "reshuffled trades": the same trades in another order. The total, mean, profit factor and the
  Sharpe ratio of trades are the same in every sample; ONLY the path varies.
* "missed trades": a share of the trades left out, the others in their order.

Results are either added (R multiples, or money at a constant size: depth in the same unit) or
compounded (fractions of the equity: depth as a fraction of the highest equity before). Depths are
POSITIVE: 0.2 is a fall of 20 % below an earlier peak; the start counts as the first peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ftbt.robustness.bootstrap import Kind, block_length, chunks, resampled
from ftbt.robustness.checks import Floats, as_series, in_range, whole

FAN_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of one figure over all samples.

    Attributes:
        p01: 1 % of the samples are below.
        p05: 5 %.
        median: half.
        p95: 95 %.
        p99: 99 %.
    """

    p01: float
    p05: float
    median: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Return the quantiles of *values*, shape (samples,)."""
        return cls(*(float(one) for one in np.quantile(values, (0.01, 0.05, 0.5, 0.95, 0.99))))


@dataclass(frozen=True, slots=True, eq=False)
class PathDistribution:
    """Totals, depths and times under water of many paths, and of the real one.

    Attributes:
        how: which question was asked, see the module.
        compounded: results are fractions of the equity.
        samples: number of paths.
        totals: gain of each path (unit of the results, or fraction), shape (samples,).
        depths: deepest fall of each path >= 0, shape (samples,).
        under_water: longest time of each path below an earlier peak, results, shape (samples,).
        total: quantiles of *totals*.
        depth: quantiles of *depths*.
        water: quantiles of *under_water*.
        actual_total: of the real path.
        actual_depth: of the real path.
        actual_under_water: of the real path.
        share_of_losses: share of paths with a total below zero.
        share_deeper: share of paths that fall at least as deep as the real one.
    """

    how: str
    compounded: bool
    samples: int
    totals: Floats
    depths: Floats
    under_water: Floats
    total: Spread
    depth: Spread
    water: Spread
    actual_total: float
    actual_depth: float
    actual_under_water: float
    share_of_losses: float
    share_deeper: float

    def chance_of_depth(self, limit: float) -> float:
        """Return the share of paths that fall by *limit* or more.

        Raises:
            InputError: a limit below 0.
        """
        limit = in_range(limit, "limit of the depth", 0.0)
        return float((self.depths >= limit).mean())


def equity_paths(results: Floats, *, compounded: bool) -> Floats:
    """Return the running gain or equity after each result, same shape as *results*.

    Added results start from 0, compounded ones from 1; equity that reached 0 stays there.

    Args:
        results: paths as rows, shape (samples, n).
        compounded: results are fractions of the equity.
    """
    if compounded:
        return np.asarray(np.cumprod(np.maximum(0.0, 1.0 + results), axis=1))
    return np.asarray(np.cumsum(results, axis=1))


def depths_of(equity: Floats, *, compounded: bool) -> Floats:
    """Return the deepest fall of each path below an earlier peak, >= 0, shape (samples,).

    Args:
        equity: as `equity_paths` returns it, shape (samples, n).
        compounded: the depth is a fraction of the peak, otherwise in the unit of the equity.
    """
    start = 1.0 if compounded else 0.0
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), start)
    fall = 1.0 - equity / peak if compounded else peak - equity
    return np.asarray(fall.max(axis=1))


def longest_under_water(equity: Floats, *, compounded: bool) -> Floats:
    """Return the most results in a row below an earlier peak, shape (samples,).

    The last stretch may be unfinished.

    Args:
        equity: as `equity_paths` returns it, shape (samples, n).
        compounded: equity starts from 1, otherwise from 0.
    """
    start = 1.0 if compounded else 0.0
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), start)
    at_peak = equity >= peak
    count = np.arange(1, equity.shape[1] + 1)
    since = count - np.maximum.accumulate(np.where(at_peak, count, 0), axis=1)
    return np.asarray(since.max(axis=1), dtype=np.float64)


def _distribution(
    how: str, actual: Floats, paths: Iterator[Floats], *, compounded: bool, same_total: bool = False
) -> PathDistribution:
    parts = [_figures(rows, compounded=compounded) for rows in paths]
    totals, depths, water = (np.concatenate(one) for one in zip(*parts, strict=True))
    (total,), (depth,), (under,) = _figures(actual[None, :], compounded=compounded)
    if same_total:
        # Another order adds up to the same but for rounding, and rounding is no distribution.
        totals = np.full(len(totals), total)
    return PathDistribution(
        how=how,
        compounded=compounded,
        samples=len(totals),
        totals=totals,
        depths=depths,
        under_water=water,
        total=Spread.of(totals),
        depth=Spread.of(depths),
        water=Spread.of(water),
        actual_total=float(total),
        actual_depth=float(depth),
        actual_under_water=float(under),
        share_of_losses=float((totals < 0.0).mean()),
        share_deeper=float((depths >= depth * (1.0 - 1e-12)).mean()),
    )


def _figures(rows: Floats, *, compounded: bool) -> tuple[Floats, Floats, Floats]:
    equity = equity_paths(rows, compounded=compounded)
    totals = equity[:, -1] - (1.0 if compounded else 0.0)
    depths = depths_of(equity, compounded=compounded)
    return totals, depths, longest_under_water(equity, compounded=compounded)


def resampled_returns(
    returns: Floats,
    samples: int,
    rng: np.random.Generator,
    *,
    kind: Kind = "stationary",
    length: float | None = None,
    compounded: bool = True,
) -> PathDistribution:
    """Return the paths of block-bootstrapped returns (Politis and Romano 1994).

    Args:
        returns: per day, shape (n,), n >= 2.
        samples: number of paths.
        rng: source of randomness.
        kind: `"stationary"` or `"circular"` blocks.
        length: block length; by Politis and White when None.
        compounded: returns are fractions of the equity.

    Raises:
        InputError: an argument out of range.
    """
    series = as_series(returns, "returns")
    paths = resampled(series, samples, rng, kind=kind, length=length)
    return _distribution("block bootstrap", series, paths, compounded=compounded)


def resampled_trades(
    results: Floats, samples: int, rng: np.random.Generator, *, compounded: bool = False
) -> PathDistribution:
    """Return the paths of trades drawn with replacement: a range for the edge itself.

    Args:
        results: of the trades in their order, shape (n,), n >= 1.
        samples: number of paths.
        rng: source of randomness.
        compounded: results are fractions of the equity.

    Raises:
        InputError: an argument out of range.
    """
    trades = as_series(results, "results of the trades", least=1)

    def paths() -> Iterator[Floats]:
        for some in chunks(samples, len(trades)):
            yield trades[rng.integers(len(trades), size=(some, len(trades)))]

    return _distribution("resampled trades", trades, paths(), compounded=compounded)


def reshuffled_trades(
    results: Floats, samples: int, rng: np.random.Generator, *, compounded: bool = False
) -> PathDistribution:
    """Return the paths of the same trades in other orders: the path only, never the edge.

    Args:
        results: of the trades, shape (n,), n >= 1.
        samples: number of paths.
        rng: source of randomness.
        compounded: results are fractions of the equity.

    Raises:
        InputError: an argument out of range.
    """
    trades = as_series(results, "results of the trades", least=1)

    def paths() -> Iterator[Floats]:
        for some in chunks(samples, len(trades)):
            yield rng.permuted(np.tile(trades, (some, 1)), axis=1)

    how = "reshuffled trades"
    return _distribution(how, trades, paths(), compounded=compounded, same_total=True)


def missed_trades(
    results: Floats,
    share: float,
    samples: int,
    rng: np.random.Generator,
    *,
    compounded: bool = False,
) -> PathDistribution:
    """Return the paths when a random share of the trades was not filled.

    Exactly round(share * n) trades are left out of each path; the others keep their order.

    Args:
        results: of the trades in their order, shape (n,), n >= 1.
        share: of trades that are missed, 0 to 1.
        samples: number of paths.
        rng: source of randomness.
        compounded: results are fractions of the equity.

    Raises:
        InputError: an argument out of range.
    """
    trades = as_series(results, "results of the trades", least=1)
    share = in_range(share, "share of missed trades", 0.0, 1.0)
    missed = np.zeros(len(trades), dtype=np.bool_)
    missed[: round(share * len(trades))] = True

    def paths() -> Iterator[Floats]:
        for some in chunks(samples, len(trades)):
            out = rng.permuted(np.tile(missed, (some, 1)), axis=1)
            yield np.where(out, 0.0, trades)

    return _distribution("missed trades", trades, paths(), compounded=compounded)


@dataclass(frozen=True, slots=True, eq=False)
class Fan:
    """Quantiles of the equity over time, for the figure of possible paths.

    Attributes:
        levels: of the quantiles, rising.
        curves: equity (compounded, from 1) at each level after each return, shape (levels, n).
        length: mean block length, observations.
        samples: number of paths.
    """

    levels: tuple[float, ...]
    curves: Floats
    length: float
    samples: int


def equity_fan(
    returns: Floats,
    samples: int,
    rng: np.random.Generator,
    *,
    length: float | None = None,
    levels: tuple[float, ...] = FAN_LEVELS,
) -> Fan:
    """Return the fan of stationary-bootstrapped equity curves.

    All paths are held at once (samples x n numbers) for the quantiles of each day.

    Args:
        returns: per day, fractions, shape (n,), n >= 2.
        samples: number of paths.
        rng: source of randomness.
        length: mean block length; by Politis and White when None.
        levels: of the quantiles, 0 to 1, rising.

    Raises:
        InputError: an argument out of range.
    """
    series = as_series(returns, "returns")
    count = whole(samples, "number of samples", 1)
    for level in levels:
        in_range(level, "level of a quantile", 0.0, 1.0)
    blocks = block_length(series).of("stationary") if length is None else length
    drawn = resampled(series, count, rng, length=blocks)
    equity = np.concatenate([equity_paths(rows, compounded=True) for rows in drawn])
    return Fan(levels, np.asarray(np.quantile(equity, levels, axis=0)), float(blocks), count)
