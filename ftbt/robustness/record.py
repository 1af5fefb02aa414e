"""The stitched out-of-sample record in figures: sections 1, 2 and 4 of the report."""

from __future__ import annotations

import math

import numpy as np

from ftbt.data.timeframe import DAY_MS
from ftbt.robustness.assessment import Histogram, RecordFigures
from ftbt.robustness.bootstrap import confidence_interval, row_means
from ftbt.robustness.of_run import PERIODS, RunArrays
from ftbt.robustness.panel import Floats, Ints
from ftbt.robustness.sharpe import SharpeEvidence, sharpe_evidence

SAMPLES = 1000
NAN = math.nan


def record_figures(arrays: RunArrays, seed: int) -> RecordFigures:
    """Return the figures of the record.

    Args:
        arrays: of the run.
        seed: of the bootstrap.
    """
    day, returns = arrays.daily
    proof = sharpe_evidence(returns, PERIODS) if arrays.moves else None
    low, high, block = _mean_interval(arrays, seed)
    end = float(arrays.equity[-1]) if len(arrays.equity) else arrays.capital
    figures = _of_sharpe(proof)
    return RecordFigures(
        days=len(returns),
        start_ms=int(day[0]) if len(day) else 0,
        end_ms=int(day[-1]) + DAY_MS if len(day) else 0,
        trades=len(arrays.trades),
        net_profit=end - arrays.capital,
        capital=arrays.capital,
        total_return=end / arrays.capital - 1.0,
        max_drawdown=arrays.max_drawdown,
        mean_low=low,
        mean_high=high,
        block=block,
        monthly=monthly(day, returns),
        **figures,
    )


_NO_SHARPE = dict.fromkeys(
    (
        "annual_sharpe", "annual_low", "annual_high", "annual_sharpe_autocorrelated", "psr_2012",
        "psr_2025", "psr_2025_ar1", "min_days_2012", "min_days_2025", "min_days_2025_ar1",
        "skewness", "kurtosis", "autocorrelation",
    ),
    NAN,
)  # fmt: skip


def _of_sharpe(proof: SharpeEvidence | None) -> dict[str, float]:
    if proof is None:
        return dict(_NO_SHARPE)
    return {
        "annual_sharpe": proof.annual_sharpe,
        "annual_low": proof.annual_low,
        "annual_high": proof.annual_high,
        "annual_sharpe_autocorrelated": proof.annual_sharpe_autocorrelated,
        "psr_2012": proof.psr_2012,
        "psr_2025": proof.psr_2025,
        "psr_2025_ar1": proof.psr_2025_ar1,
        "min_days_2012": finite(proof.min_track_record_2012),
        "min_days_2025": finite(proof.min_track_record_2025),
        "min_days_2025_ar1": finite(proof.min_track_record_2025_ar1),
        "skewness": proof.record.skewness,
        "kurtosis": proof.record.kurtosis,
        "autocorrelation": proof.record.autocorrelation,
    }


def _mean_interval(arrays: RunArrays, seed: int) -> tuple[float, float, float]:
    if not arrays.moves:
        return NAN, NAN, NAN
    rng = np.random.default_rng(seed)
    found = confidence_interval(arrays.returns, row_means, SAMPLES, rng)
    return found.low, found.high, found.length


def monthly(day: Ints, returns: Floats) -> tuple[tuple[int, float], ...]:
    """Return (year * 100 + month, compounded return) of each calendar month (UTC) with a day."""
    months = day.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    made = []
    for month in np.unique(months):
        grown = float(np.prod(1.0 + returns[months == month])) - 1.0
        made.append((int(1970 + month // 12) * 100 + int(month % 12) + 1, grown))
    return tuple(made)


def finite(value: float) -> float:
    """Return *value*, NaN instead of an infinite one."""
    return float(value) if math.isfinite(value) else NAN


def histogram(values: Floats, bins: int = 40) -> Histogram:
    """Return the counts of the finite *values* in even bins; empty without any."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Histogram((), ())
    low, high = float(known.min()), float(known.max())
    if not high > low:
        # One value: a bin around it, as wide as its size allows numbers to differ.
        half = max(1e-9, 1e-6 * abs(low))
        return Histogram((low - half, high + half), (len(known),))
    counts, edges = np.histogram(known, bins, (low, high))
    return Histogram(tuple(float(one) for one in edges), tuple(int(one) for one in counts))
