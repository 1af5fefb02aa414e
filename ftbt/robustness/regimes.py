"""Where the profit came from: trends, volatility, funding, calendar years.

Regimes are labels of UTC days, made from candles and funding alone, never from the strategy. What a
day is measured by (trend, volatility, funding) always ends before that day begins. The two cuts
between the thirds are of one of two kinds, and each result says of which:

* in hindsight (`causal=False`): terciles of the whole span. The thirds are equally large; that is
  right for a table of what happened, and nothing that could have been traded.
* causal (`causal=True`): terciles of the days up to and including the labelled one; the first 90
  measured days have no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from ftbt.data.timeframe import DAY_MS
from ftbt.errors import InputError
from ftbt.robustness.checks import in_range, whole
from ftbt.robustness.panel import Floats, Ints

THIRDS = ("lowest third", "middle third", "highest third")
UNKNOWN = "not known"
LEAST_DAYS = 90
LEAST_TRADES = 30


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """A label for each day.

    Attributes:
        name: what the days are told apart by, in words.
        words: meaning of the labels 0, 1, ...
        day: midnight that begins each day, ms UTC, rising, shape (days,).
        label: position in *words*, -1 where unknown, shape (days,).
        measure: what was measured, NaN where unknown, shape (days,).
        cuts: the two values between the thirds; NaN when causal (they move) or not of thirds.
        causal: True when the label was known as the day began.
    """

    name: str
    words: tuple[str, ...]
    day: Ints
    label: Ints
    measure: Floats
    cuts: tuple[float, float]
    causal: bool

    def at(self, time: ArrayLike) -> Ints:
        """Return the label of the day of each instant, -1 where unknown, shape (n,).

        Args:
            time: ms UTC, shape (n,).
        """
        wanted = np.asarray(time, dtype=np.int64) // DAY_MS * DAY_MS
        if not len(self.day):
            return np.full(len(wanted), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.day, wanted), len(self.day) - 1)
        return np.where(self.day[place] == wanted, self.label[place], -1)


@dataclass(frozen=True, slots=True)
class RegimeRow:
    """The trades that were entered in one regime.

    Attributes:
        word: the regime.
        trades: how many.
        net: sum of their net profits.
        win_rate: share with a profit, NaN without trades.
        mean_r: mean profit in units of risk over trades with a stop, NaN without.
        low, high: confidence interval of `mean_r` (Student's t, trades taken as independent); NaN
            for fewer than two.
        enough: at least the least number of trades; else the row is to be shown in grey.
    """

    word: str
    trades: int
    net: float
    win_rate: float
    mean_r: float
    low: float
    high: float
    enough: bool


def daily_closes(time: ArrayLike, close: ArrayLike) -> tuple[Ints, Floats]:
    """Return the midnights of the UTC days with bars and the last close of each.

    Args:
        time: opens of the bars, ms UTC, rising, shape (n,).
        close: closes, above 0, shape (n,).

    Raises:
        InputError: different lengths, times out of order, or a close that is not above 0.
    """
    opens, last = np.asarray(time, np.int64), np.asarray(close, np.float64)
    _check_series(opens, last, "closes")
    if not np.all(last > 0.0):
        raise InputError("closes must be above 0 and finite")
    day = opens // DAY_MS
    ends = np.flatnonzero(np.append(day[1:] != day[:-1], len(day) > 0))
    return day[ends] * DAY_MS, last[ends]


def trend_regimes(
    time: ArrayLike, close: ArrayLike, length: int = 30, *, causal: bool = False
) -> Regimes:
    """Return thirds of days by the return of the *length* days before each.

    Args:
        time: opens of the bars, ms UTC, rising, shape (n,).
        close: closes, shape (n,).
        length: days.
        causal: see the module.
    """
    whole(length, "length", 1)
    day, last = daily_closes(time, close)
    measure = np.full(len(day), np.nan)
    measure[length + 1 :] = last[length:-1] / last[: -length - 1] - 1.0
    return _thirds(f"trend: return of the {length} days before", day, measure, causal)


def volatility_regimes(
    time: ArrayLike, close: ArrayLike, length: int = 30, *, causal: bool = False
) -> Regimes:
    """Return thirds of days by the volatility of the *length* days before each.

    The measure is the standard deviation (n - 1) of daily logarithmic returns, per day.

    Args:
        time: opens of the bars, ms UTC, rising, shape (n,).
        close: closes, shape (n,).
        length: days, at least 2.
        causal: see the module.
    """
    whole(length, "length", 2)
    day, last = daily_closes(time, close)
    measure = np.full(len(day), np.nan)
    if len(day) > length + 1:
        moves = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(last)), length)
        measure[length + 1 :] = moves[:-1].std(axis=1, ddof=1)
    return _thirds(f"volatility of the {length} days before", day, measure, causal)


def funding_regimes(
    time: ArrayLike, rate: ArrayLike, length: int = 7, *, causal: bool = False
) -> Regimes:
    """Return thirds of days by the mean funding rate of the *length* days before each.

    Args:
        time: when each payment fell due, ms UTC, rising, shape (n,).
        rate: fraction of the notional, positive: longs pay, shape (n,).
        length: days.
        causal: see the module.

    Raises:
        InputError: different lengths, times out of order, or a rate that is not finite.
    """
    whole(length, "length", 1)
    due, rates = np.asarray(time, np.int64), np.asarray(rate, np.float64)
    _check_series(due, rates, "funding rates")
    day = np.arange(due[0] // DAY_MS, due[-1] // DAY_MS + 1) * DAY_MS if len(due) else due
    total = np.concatenate(([0.0], np.cumsum(rates)))
    # A payment due at midnight belongs to the time before it, but is only known then: leave it out.
    first = np.searchsorted(due, day - length * DAY_MS)
    stop = np.searchsorted(due, day)
    measure = np.full(len(day), np.nan)
    known = (stop > first) & (np.arange(len(day)) >= length)
    measure[known] = (total[stop] - total[first])[known] / (stop - first)[known]
    return _thirds(f"mean funding rate of the {length} days before", day, measure, causal)


def year_regimes(time: ArrayLike) -> Regimes:
    """Return days by their calendar year (UTC), which is always causal.

    Args:
        time: opens of the bars, ms UTC, rising, shape (n,).
    """
    day = np.unique(np.asarray(time, np.int64) // DAY_MS) * DAY_MS
    years = day.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970
    words, label = np.unique(years, return_inverse=True)
    return Regimes(
        name="calendar year",
        words=tuple(str(year) for year in words),
        day=day,
        label=label.astype(np.int64),
        measure=years.astype(np.float64),
        cuts=(np.nan, np.nan),
        causal=True,
    )


def _check_series(time: Ints, values: Floats, what: str) -> None:
    if time.ndim != 1 or time.shape != values.shape:
        raise InputError(f"{what}: {values.shape} values do not match times of shape {time.shape}")
    if np.any(np.diff(time) <= 0):
        raise InputError(f"{what}: times must rise from one to the next")
    if not np.all(np.isfinite(values)):
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"{what}: value {place} is {values[place]}, not a number")


def _thirds(name: str, day: Ints, measure: Floats, causal: bool) -> Regimes:
    label = np.full(len(day), -1, dtype=np.int64)
    known = np.flatnonzero(np.isfinite(measure))
    cuts = (np.nan, np.nan)
    if causal:
        for count, place in enumerate(known, start=1):
            if count > LEAST_DAYS:
                edges = np.quantile(measure[known[:count]], (1 / 3, 2 / 3))
                label[place] = np.searchsorted(edges, measure[place])
    elif len(known):
        low, high = (float(cut) for cut in np.quantile(measure[known], (1 / 3, 2 / 3)))
        cuts = (low, high)
        label[known] = np.searchsorted(np.array(cuts), measure[known])
    return Regimes(name, THIRDS, day, label, measure, cuts, causal)


def regime_table(
    words: Sequence[str],
    label: ArrayLike,
    net: ArrayLike,
    r: ArrayLike,
    *,
    level: float = 0.95,
    least: int = LEAST_TRADES,
) -> tuple[RegimeRow, ...]:
    """Return one row per regime, and one for trades without a label when there are any.

    Args:
        words: the regimes.
        label: of each trade's entry, -1 for unknown, shape (trades,); see `Regimes.at`.
        net: profit of each trade after costs, shape (trades,).
        r: the same in units of the initial risk, NaN without a stop, shape (trades,).
        level: of the confidence intervals.
        least: trades that a row needs to be shown in full.

    Raises:
        InputError: lengths that differ, or a label that has no word.
    """
    labels, profit, risked = np.asarray(label, np.int64), np.asarray(net), np.asarray(r)
    if not labels.shape == profit.shape == risked.shape or labels.ndim != 1:
        raise InputError(
            f"labels, net and r must have one value per trade, not shapes {labels.shape},"
            f" {profit.shape} and {risked.shape}"
        )
    if len(labels) and not -1 <= int(labels.min()) <= int(labels.max()) < len(words):
        raise InputError(f"labels must be -1 to {len(words) - 1}, one for each of {list(words)}")
    in_range(level, "level", 0.0, 1.0, open_low=True, open_high=True)
    codes = [*range(len(words)), *([-1] if np.any(labels < 0) else [])]
    return tuple(
        _row(
            words[code] if code >= 0 else UNKNOWN,
            profit[labels == code].astype(np.float64),
            risked[labels == code].astype(np.float64),
            level,
            least,
        )
        for code in codes
    )


def _row(word: str, net: Floats, r: Floats, level: float, least: int) -> RegimeRow:
    low, mean, high = mean_interval(r[~np.isnan(r)], level)
    return RegimeRow(
        word=word,
        trades=len(net),
        net=float(net.sum()),
        win_rate=float((net > 0.0).mean()) if len(net) else np.nan,
        mean_r=mean,
        low=low,
        high=high,
        enough=len(net) >= least,
    )


def mean_interval(values: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """Return low end, mean and high end of Student's confidence interval of a mean.

    mean -+ t_(1+level)/2, n-1 * s / sqrt(n). The ends are NaN for fewer than two values.

    Args:
        values: taken as independent, shape (n,).
        level: two-sided.
    """
    n = len(values)
    if n == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if n == 1:
        return np.nan, mean, np.nan
    error = float(values.std(ddof=1)) / float(np.sqrt(n))
    half = float(student.ppf(0.5 + level / 2.0, n - 1)) * error
    return mean - half, mean, mean + half
