"""Stylised facts of 15m crypto candles: how each is measured, and the range it must lie in.

The ranges hold for a year or more of BTC, ETH and SOL perpetuals of 2023 to 2025 as well as for
the synthetic market; a test measures both. Sources:

* returns without linear autocorrelation, fat tails, slowly decaying autocorrelation of absolute
  returns, volume that moves with volatility: Cont (2001), "Empirical properties of asset returns:
  stylized facts and statistical issues", Quantitative Finance 1;
* tail index: Hill (1975), "A simple general approach to inference about the tail of a
  distribution", Annals of Statistics 3; values near 3 for returns: Cont (2001);
* variance ratio: Lo and MacKinlay (1988), "Stock market prices do not follow random walks";
* range against return volatility: Parkinson (1980), "The extreme value method for estimating the
  variance of the rate of return", Journal of Business 53;
* season of the day: Eross et al. (2019), "The intraday dynamics of bitcoin", Research in
  International Business and Finance 49; of the week: Baur et al. (2019), "Bitcoin time-of-day,
  day-of-week and month-of-year effects", Finance Research Letters 31;
* swings taken out with range and volume: Osler (2003), "Currency orders and exchange rate
  dynamics", Journal of Finance 58: stops cluster just beyond known levels;
* level of volatility, candle bodies, gaps, correlations, funding: measured on those perpetuals,
  the funding since 2024 on a venue that pays every hour.

Kurtosis has a wide range because one crash moves it: the fourth moment of such returns hardly
exists. Nothing in real candles speaks for a reversal after sweeps: the mean move is near zero or
slightly the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import Candles, Floats, Funding
from ftbt.data.sample_sweep import HORIZON, after_sweeps, take_outs
from ftbt.data.timeframe import DAY_MS, HOUR_MS, WEEK_ORIGIN_MS

TAIL_SHARE = 0.01
QUIET_HOURS = (3, 4, 5, 6)  # UTC
AFTER_SWEEP = f"move of {HORIZON} bars after sweeps"
BUSY_HOURS = (13, 14, 15, 16)  # the opening of the American session, summer and winter


@dataclass(frozen=True, slots=True)
class Fact:
    """One measurable property and the range it must lie in.

    Attributes:
        name: what is measured.
        low: least plausible value.
        high: greatest plausible value.
        measure: from a year or more of 15m candles.
    """

    name: str
    low: float
    high: float
    measure: Callable[[Candles], float]


def log_returns(candles: Candles) -> Floats:
    """Return the log returns from close to close, shape (n - 1,)."""
    return np.diff(np.log(candles.close))


def autocorrelation(values: Floats, lag: int) -> float:
    """Return the autocorrelation of *values*, shape (n,), at *lag*."""
    centred = values - values.mean()
    return float(np.mean(centred[lag:] * centred[:-lag]) / np.mean(centred * centred))


def kurtosis(values: Floats) -> float:
    """Return the fourth standardised moment: 3 for a normal distribution."""
    centred = values - values.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2)


def tail_index(values: Floats, share: float = TAIL_SHARE) -> float:
    """Return Hill's estimate of the tail index over the largest *share* of absolute values."""
    largest = np.sort(np.abs(values))[::-1][: int(len(values) * share) + 1]
    return float(1 / np.mean(np.log(largest[:-1] / largest[-1])))


def variance_ratio(candles: Candles, bars: int) -> float:
    """Return the variance of *bars*-bar log returns over *bars* times that of one bar's."""
    price = np.log(candles.close)
    return float(np.var(price[bars:] - price[:-bars]) / bars / np.var(np.diff(price)))


def daily_volatility(candles: Candles) -> float:
    """Return the standard deviation of daily log returns at 00:00 UTC, as a fraction."""
    ends = (candles.time + candles.timeframe.ms) % DAY_MS == 0
    return float(np.std(np.diff(np.log(candles.close[ends]))))


def clustering(lag: int) -> Callable[[Candles], float]:
    """Return the measure of the autocorrelation of absolute returns at *lag*."""
    return lambda candles: autocorrelation(np.abs(log_returns(candles)), lag)


def season(candles: Candles, values: Floats) -> float:
    """Return the mean of *values*, shape (n,), in the busy hours over that in the quiet ones."""
    hour = candles.time // HOUR_MS % 24
    busy = float(np.mean(values[np.isin(hour, BUSY_HOURS)]))
    return busy / float(np.mean(values[np.isin(hour, QUIET_HOURS)]))


def busiest_hour(candles: Candles) -> float:
    """Return the UTC hour with the largest mean absolute return."""
    hour = candles.time[1:] // HOUR_MS % 24
    size = np.abs(log_returns(candles))
    return float(np.argmax([size[hour == one].mean() for one in range(24)]))


def weekend(candles: Candles) -> float:
    """Return the mean range of Saturday and Sunday bars over that of the other days."""
    day = (candles.time - WEEK_ORIGIN_MS) // DAY_MS % 7
    size = _range(candles)
    return float(size[day >= 5].mean() / size[day < 5].mean())


def volume_volatility(candles: Candles) -> float:
    """Return the correlation of log volume with log range, over bars that have both."""
    size = _range(candles)
    both = (size > 0) & (candles.volume > 0)
    return float(np.corrcoef(np.log(size[both]), np.log(candles.volume[both]))[0, 1])


def body_share(candles: Candles) -> float:
    """Return the mean share of the bar's range that lies between open and close."""
    height = candles.high - candles.low
    some = height > 0
    return float(np.mean(np.abs(candles.close - candles.open)[some] / height[some]))


def range_ratio(candles: Candles) -> float:
    """Return Parkinson's volatility (from ranges) over that of returns: 1 for a diffusion."""
    from_ranges = np.sqrt(np.mean(_range(candles) ** 2) / (4 * np.log(2)))
    return float(from_ranges / np.std(log_returns(candles)))


def joined_opens(candles: Candles) -> float:
    """Return the share of bars that open exactly at the last close."""
    return float(np.mean(candles.open[1:] == candles.close[:-1]))


def closes_back(candles: Candles) -> float:
    """Return the share of bars that close back inside after taking out the nearest swing."""
    out, back = _take_outs(candles)
    return float(back.sum()) / max(float(out.sum()), 1.0)


def take_out_rate(candles: Candles) -> float:
    """Return the share of bars that take out the nearest live swing high or low."""
    return float(np.mean(_take_outs(candles)[0]))


def take_out_range(candles: Candles) -> float:
    """Return the median range of bars that take out a swing over that of the 4 bars before."""
    return _against_before(_range(candles), _take_outs(candles)[0])


def take_out_volume(candles: Candles) -> float:
    """Return the same for the volume."""
    return _against_before(candles.volume, _take_outs(candles)[0])


def after_sweep(candles: Candles) -> float:
    """Return the mean move after liquidity sweeps in units of local volatility."""
    return float(after_sweeps(candles.high, candles.low, candles.close).move.mean())


FACTS = (
    Fact("daily volatility %", 1.8, 7.0, lambda candles: 100 * daily_volatility(candles)),
    Fact("kurtosis of returns", 8, 100, lambda candles: kurtosis(log_returns(candles))),
    Fact("tail index (Hill, 1 %)", 2.5, 4.5, lambda candles: tail_index(log_returns(candles))),
    Fact("|return| autocorrelation, lag 1", 0.2, 0.5, clustering(1)),
    Fact("|return| autocorrelation, lag 4", 0.14, 0.35, clustering(4)),
    Fact("|return| autocorrelation, lag 16", 0.08, 0.25, clustering(16)),
    Fact("|return| autocorrelation, lag 96", 0.06, 0.2, clustering(96)),
    Fact("return autocorrelation, lag 1", -0.05, 0.05,
         lambda candles: autocorrelation(log_returns(candles), 1)),
    Fact("variance ratio, 16 bars", 0.85, 1.15, lambda candles: variance_ratio(candles, 16)),
    Fact("busiest UTC hour", 13, 16, busiest_hour),
    Fact("range, US opening / night", 1.3, 2.2, lambda candles: season(candles, _range(candles))),
    Fact("volume, US opening / night", 1.6, 3.5, lambda candles: season(candles, candles.volume)),
    Fact("range, weekend / week", 0.5, 0.85, weekend),
    Fact("log volume - log range corr.", 0.72, 0.92, volume_volatility),
    Fact("body / range", 0.42, 0.5, body_share),
    Fact("range / return volatility", 0.95, 1.12, range_ratio),
    Fact("opens at the last close", 0.35, 0.65, joined_opens),
    Fact("swing taken out, share of bars", 0.07, 0.09, take_out_rate),
    Fact("swing taken out, closes back", 0.46, 0.57, closes_back),
    Fact("range at a take-out / before", 1.35, 1.9, take_out_range),
    Fact("volume at a take-out / before", 1.35, 2.5, take_out_volume),
    Fact(AFTER_SWEEP, -0.25, 0.25, after_sweep),
)  # fmt: skip

# Correlations of two of BTC, ETH and SOL: of 15m returns, and of their absolute values.
CORRELATION = (0.65, 0.88)
SIZE_CORRELATION = (0.5, 0.85)

FUNDING_RANGES = {
    "mean, % per hour": (0.0003, 0.004),
    "standard deviation, % per hour": (0.001, 0.006),
    "autocorrelation, 1 hour": (0.75, 0.97),
    "autocorrelation, 24 hours": (0.3, 0.75),
    "largest, % per hour": (0.005, 0.1),
    "share at the resting rate": (0.35, 0.75),
}
RESTING_RATE = 0.0000125


def measure(candles: Candles) -> dict[str, float]:
    """Return every fact of 15m *candles* by name."""
    return {fact.name: fact.measure(candles) for fact in FACTS}


def measure_pair(one: Candles, other: Candles) -> tuple[float, float]:
    """Return the correlations of returns and of absolute returns over the common bars."""
    _, left, right = np.intersect1d(one.time[1:], other.time[1:], return_indices=True)
    first, second = log_returns(one)[left], log_returns(other)[right]
    return (
        float(np.corrcoef(first, second)[0, 1]),
        float(np.corrcoef(np.abs(first), np.abs(second))[0, 1]),
    )


def measure_funding(funding: Funding) -> dict[str, float]:
    """Return the facts of an hourly funding series, by the names of FUNDING_RANGES."""
    rate = funding.rate
    values = (
        100 * rate.mean(),
        100 * rate.std(),
        autocorrelation(rate, 1),
        autocorrelation(rate, 24),
        100 * np.abs(rate).max(),
        np.mean(np.abs(rate - RESTING_RATE) < 1e-8),
    )
    return dict(zip(FUNDING_RANGES, map(float, values), strict=True))


def outside(values: Mapping[str, float]) -> list[str]:
    """Return the names of the facts whose value is not in its range."""
    return [fact.name for fact in FACTS if not fact.low <= values[fact.name] <= fact.high]


def _range(candles: Candles) -> Floats:
    return np.log(candles.high / candles.low)


def _take_outs(candles: Candles) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return take_outs(candles.high, candles.low, candles.close)


def _against_before(values: Floats, chosen: NDArray[np.bool_]) -> float:
    where = np.flatnonzero(chosen)
    where = where[where >= 4]
    before = np.mean([values[where - k] for k in (1, 2, 3, 4)], axis=0)
    some = before > 0
    return float(np.median(values[where][some] / before[some])) if some.any() else 0.0
