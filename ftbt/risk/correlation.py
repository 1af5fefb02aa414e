"""Which symbols move together: groups by the correlation of their returns, drawn anew each day.

Returns are the logarithm of close / close before, between two bars that follow each other on the
clock. The groups of a UTC day come from the bars that opened and closed within the full days
before its midnight, and from nothing else: they are known when the day begins. A back-test draws
all days at once; a live bot hands over the last days and reads the last row, bit for bit the same.

Two symbols are linked when their correlation reaches the threshold, and also when it is not known:
too few common returns, or a price that does not move. A group is everything that is connected by
links, so A and C are one group when both are linked to B. It follows that a symbol without enough
history, which is linked to all, makes one group of all. That is the careful reading: the limit on
a group's exposure then holds for the account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.data.timeframe import DAY_MS, from_ms
from ftbt.errors import ConfigError, DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Fewer common returns than these are not a measurement, however short the window is: the standard
# error of a correlation near zero is 1 / sqrt(n - 1).
MIN_COMMON = 10
# Below this standard deviation returns are rounding errors: a close has 16 digits.
NO_MOVEMENT = 1e-12
# Two equal series have a correlation of 1 but for rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of correlated symbols, one row per UTC day.

    Attributes:
        first_day: day of the first row, counted from 1970-01-01.
        groups: group of each symbol, named by the smallest symbol in it, shape (days, symbols).
        correlation: of each pair, NaN where it is not known, shape (days, symbols, symbols).
            On the diagonal 1, or NaN for a symbol that nothing is known of.
    """

    first_day: int
    groups: Ints
    correlation: Floats

    def at(self, day: int) -> Ints:
        """Return the group of each symbol on *day* (counted from 1970-01-01), shape (symbols,).

        Raises:
            DataError: for a day without a row.
        """
        row = int(day) - self.first_day
        if not 0 <= row < len(self.groups):
            known = "none are known"
            if len(self.groups):
                last = self.first_day + len(self.groups) - 1
                known = f"they are known from {_date(self.first_day)} to {_date(last)}"
            raise DataError(f"no correlation groups for {_date(int(day))}: {known}")
        found: Ints = self.groups[row]
        return found


def _date(day: int) -> str:
    return from_ms(day * DAY_MS).strftime("%Y-%m-%d")


def correlation_groups(
    time: Ints,
    closes: Floats,
    *,
    window_days: int,
    threshold: float,
    step_ms: int,
    last_day: int | None = None,
) -> Groups:
    """Return the groups of every day from the first bar's to the one in which the last bar closes.

    Args:
        time: opens on the clock of all symbols, ms UTC, rising, shape (n,).
        closes: closing prices, NaN where a symbol has no bar, shape (n, symbols).
        window_days: full UTC days before the day that are measured, from 1.
        threshold: correlation from which two symbols are linked, -1 to 1.
        step_ms: length of a bar, ms.
        last_day: go on to this day (counted from 1970-01-01) when the data end before it, as they
            do while an exchange is out of reach; what is out of date counts as unknown.

    Raises:
        ConfigError: window or threshold out of range.
        DataError: shapes that do not fit, or times that do not rise.
    """
    _check(time, closes, window_days, threshold, step_ms)
    symbols = closes.shape[1]
    first, last = _days(time, step_ms, last_day)
    days = np.arange(first, last + 1)
    returns, opened, closed = _returns(time, closes, step_ms)
    bounds, block_opened, block_closed = _blocks(opened, closed)
    correlation = np.full((len(days), symbols, symbols), np.nan)
    _correlate(
        returns,
        bounds,
        np.searchsorted(block_opened, days - window_days, side="left"),
        np.searchsorted(block_closed, days - 1, side="right"),
        max(MIN_COMMON, math.ceil(window_days * DAY_MS / step_ms / 2)),
        correlation,
    )
    groups = np.empty((len(days), symbols), np.int64)
    _connect(correlation, float(threshold), groups)
    groups.flags.writeable = correlation.flags.writeable = False
    return Groups(first, groups, correlation)


def _check(time: Ints, closes: Floats, window_days: int, threshold: float, step_ms: int) -> None:
    if window_days < 1 or window_days != int(window_days):
        raise ConfigError(
            f"the correlation window must be a whole number of days from 1, not {window_days!r}"
        )
    if not -1.0 <= threshold <= 1.0:  # also refuses NaN
        raise ConfigError(f"the correlation threshold must be from -1 to 1, not {threshold!r}")
    if step_ms < 1:
        raise ConfigError(f"the length of a bar must be from 1 ms, not {step_ms!r}")
    if closes.ndim != 2 or time.shape != closes.shape[:1]:
        raise DataError(
            f"closes of shape {closes.shape} do not fit {len(time)} times: one row per time, one"
            " column per symbol"
        )
    if np.any(time[1:] <= time[:-1]):
        row = int(np.argmax(time[1:] <= time[:-1])) + 1
        raise DataError(f"the times of the clock do not rise at row {row}")


def _days(time: Ints, step_ms: int, last_day: int | None) -> tuple[int, int]:
    """Return the first and the last day that get a row."""
    if not len(time):
        return (0, -1) if last_day is None else (int(last_day), int(last_day))
    # A bar that closes at midnight is the last that the day which begins there may know.
    last = (int(time[-1]) + step_ms) // DAY_MS
    return int(time[0]) // DAY_MS, last if last_day is None else max(last, int(last_day))


def _returns(time: Ints, closes: Floats, step_ms: int) -> tuple[Floats, Ints, Ints]:
    """Return log returns (symbols, n - 1), NaN where there is none, and the days they lie in.

    Those are the days in which the earlier bar opened and the later bar closed.
    """
    before, after = closes[:-1], closes[1:]
    real = (before > 0.0) & (after > 0.0) & (before < math.inf) & (after < math.inf)
    # Across a hole of the clock it would be the return of several bars.
    real &= (np.diff(time) == step_ms)[:, None]
    returns = np.full(before.shape, np.nan)
    returns[real] = np.log(after[real] / before[real])
    # A bar lies in the day that its last millisecond is in.
    return np.ascontiguousarray(returns.T), time[:-1] // DAY_MS, (time[1:] + step_ms - 1) // DAY_MS


def _blocks(opened: Ints, closed: Ints) -> tuple[Ints, Ints, Ints]:
    """Cut the returns where the day changes.

    Every window begins and ends at a cut, so each block is summed up once and for itself: what a
    window finds doesn't depend on how much history came before. A return across midnight is a
    block of its own, because it belongs to no window that begins or ends at that midnight.

    Returns:
        The blocks' bounds, shape (blocks + 1,), and the days in which they open and close.
    """
    if not len(opened):
        return np.zeros(1, np.int64), opened, closed
    change = (np.diff(opened) != 0) | (np.diff(closed) != 0)
    bounds = np.concatenate(([0], np.flatnonzero(change) + 1, [len(opened)]))
    return bounds.astype(np.int64), opened[bounds[:-1]], closed[bounds[:-1]]


@compiled
def _moments(returns: Floats, i: int, j: int, bounds: Ints, moments: Floats) -> None:
    """Write count, two means and the sums of centred products of the common returns, per block.

    Two passes: the mean first, then products of distances to it (Chan, Golub, LeVeque 1983).
    """
    for block in range(bounds.shape[0] - 1):
        count, mean_a, mean_b = 0, 0.0, 0.0
        for k in range(bounds[block], bounds[block + 1]):
            if not (math.isnan(returns[i, k]) or math.isnan(returns[j, k])):
                count += 1
                mean_a += returns[i, k]
                mean_b += returns[j, k]
        aa, bb, ab = 0.0, 0.0, 0.0
        if count > 0:
            mean_a /= count
            mean_b /= count
            for k in range(bounds[block], bounds[block + 1]):
                if not (math.isnan(returns[i, k]) or math.isnan(returns[j, k])):
                    apart_a, apart_b = returns[i, k] - mean_a, returns[j, k] - mean_b
                    aa += apart_a * apart_a
                    bb += apart_b * apart_b
                    ab += apart_a * apart_b
        moments[block, 0], moments[block, 1], moments[block, 2] = count, mean_a, mean_b
        moments[block, 3], moments[block, 4], moments[block, 5] = aa, bb, ab


@compiled
def _correlation(moments: Floats, low: int, high: int, needed: int) -> float:
    """Return the correlation over the blocks low <= block < high, NaN when it is not known.

    Blocks are joined by the pairwise update of Chan, Golub and LeVeque (American Statistician
    37(3), 1983), which takes no difference of large numbers.
    """
    count, mean_a, mean_b, aa, bb, ab = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(low, high):
        more = moments[k, 0]
        if more > 0.0:
            both = count + more
            apart_a, apart_b = moments[k, 1] - mean_a, moments[k, 2] - mean_b
            weight = count * more / both
            aa += moments[k, 3] + apart_a * apart_a * weight
            bb += moments[k, 4] + apart_b * apart_b * weight
            ab += moments[k, 5] + apart_a * apart_b * weight
            mean_a += apart_a * more / both
            mean_b += apart_b * more / both
            count = both
    still = count * NO_MOVEMENT * NO_MOVEMENT
    if count < needed or aa <= still or bb <= still:
        return math.nan
    return max(-1.0, min(1.0, ab / (math.sqrt(aa) * math.sqrt(bb))))


@compiled
def _correlate(
    returns: Floats, bounds: Ints, low: Ints, high: Ints, needed: int, out: Floats
) -> None:
    """Write the correlation of every pair on every day, out (days, symbols, symbols)."""
    symbols = returns.shape[0]
    moments = np.empty((bounds.shape[0] - 1, 6))
    for i in range(symbols):
        for j in range(i, symbols):
            _moments(returns, i, j, bounds, moments)
            for day in range(out.shape[0]):
                found = _correlation(moments, low[day], high[day], needed)
                if i == j and not math.isnan(found):
                    found = 1.0
                out[day, i, j] = found
                out[day, j, i] = found


@compiled
def _connect(correlation: Floats, threshold: float, groups: Ints) -> None:
    """Write the connected components, each named by its smallest symbol, groups (days, symbols)."""
    symbols = groups.shape[1]
    for day in range(groups.shape[0]):
        for i in range(symbols):
            groups[day, i] = i
        for i in range(symbols):
            for j in range(i + 1, symbols):
                # Not "below the threshold": what is unknown is linked.
                if not correlation[day, i, j] < threshold - ROUNDING:
                    one, other = groups[day, i], groups[day, j]
                    small, large = min(one, other), max(one, other)
                    for k in range(symbols):
                        if groups[day, k] == large:
                            groups[day, k] = small
