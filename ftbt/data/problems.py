"""Everything that can be wrong with candles, found in whole columns at once.

A sentence is only written for the problems that are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import FIELDS, PRICE_FIELDS, Bars, Floats, Ints
from ftbt.data.timeframe import Timeframe, show_ms

# Opens outside of 1970 .. 2100 are a wrong unit or a damaged cell, never a candle.
LAST_TIME_MS = 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with candles.

    Attributes:
        kind: empty, time, unsorted, duplicate, misaligned, hole, not finite, non-positive,
            high below low, outside high-low, negative volume, or unreadable (a cell of a file).
        row: counted from 0 in the data; -1 when there is no row.
        column: the field with the bad value.
        value: that value; for a hole the number of missing bars.
        time_ms: open of the bar, for a hole the first missing open; None when unknown.
        message: the sentence for the user, with row and time.
    """

    kind: str
    row: int
    column: str
    value: float | str | None
    time_ms: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Missing bars before *row*: opens first_ms .. last_ms (both missing), *bars* of them."""

    row: int
    first_ms: int
    last_ms: int
    bars: int

    def __str__(self) -> str:
        span = show_ms(self.first_ms)
        if self.bars > 1:
            span += f" .. {show_ms(self.last_ms)}"
        return f"{self.bars} bar{'s' * (self.bars > 1)} missing, opens {span}"


@dataclass(frozen=True, slots=True)
class ZeroVolumeRun:
    """Consecutive bars without trades: *bars* of them from *row*, opens first_ms .. last_ms.

    *flat* is True when no price moved in any of them, as exchanges fill an outage.
    """

    row: int
    bars: int
    first_ms: int
    last_ms: int
    flat: bool

    def __str__(self) -> str:
        span = show_ms(self.first_ms)
        if self.bars > 1:
            span += f" .. {show_ms(self.last_ms)}"
        flat = ", prices flat" if self.flat else ""
        return f"{self.bars} bar{'s' * (self.bars > 1)} without volume{flat}, opens {span}"


@dataclass(frozen=True, slots=True)
class _Fault:
    """All rows with one kind of problem in one column; *tell* writes the sentence of a row."""

    kind: str
    column: str
    rows: NDArray[np.intp]
    tell: Callable[[int], str]
    hole: Callable[[int], Hole] | None = None


def find_problems(bars: Bars, timeframe: Timeframe) -> list[Problem]:
    """Return everything wrong with *bars* (BAR array, shape (n,)), by row; empty when sound."""
    return _build(bars, _faults(bars, timeframe), None)


def count_problems(
    bars: Bars, timeframe: Timeframe, limit: int, holes: bool = True
) -> tuple[list[Problem], int]:
    """Return the first *limit* problems by row and the number of all, without *holes* if False."""
    faults = [fault for fault in _faults(bars, timeframe) if holes or fault.hole is None]
    return _build(bars, faults, limit), sum(len(fault.rows) for fault in faults)


def find_holes(bars: Bars, timeframe: Timeframe) -> list[Hole]:
    """Return the holes of sorted, aligned bars, in order of time."""
    time = bars["time"]
    rows = np.flatnonzero(np.diff(time) > timeframe.ms) + 1
    return [_hole(time, int(row), timeframe.ms) for row in rows]


def _hole(time: Ints, row: int, step: int) -> Hole:
    before, after = int(time[row - 1]), int(time[row])
    return Hole(row, before + step, after - step, (after - before) // step - 1)


def zero_volume_runs(bars: Bars) -> list[ZeroVolumeRun]:
    """Return each run of consecutive bars with zero volume. Reported, never refused."""
    zero = np.concatenate(([False], bars["volume"] == 0.0, [False]))
    edges = np.flatnonzero(zero[1:] != zero[:-1])
    runs = []
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        run = bars[first:stop]
        flat = all(bool((run[name] == run["open"][0]).all()) for name in PRICE_FIELDS)
        opens = int(run["time"][0]), int(run["time"][-1])
        runs.append(ZeroVolumeRun(first, stop - first, *opens, flat))
    return runs


def _faults(bars: Bars, timeframe: Timeframe) -> list[_Fault]:
    if len(bars) == 0:
        return [_Fault("empty", "", np.array([-1]), lambda _row: "there are no bars")]
    found = [*_time_faults(bars["time"], timeframe), *_price_faults(bars), *_volume_faults(bars)]
    return [fault for fault in found if len(fault.rows)]


def _time_faults(time: Ints, timeframe: Timeframe) -> list[_Fault]:
    step = timeframe.ms
    likely = (time >= 0) & (time < LAST_TIME_MS)
    aligned = likely & ((time - timeframe.origin_ms) % step == 0)
    gaps = np.where(likely[1:] & likely[:-1], np.diff(time), step)

    def order(row: int) -> str:
        return f"opens before the row above it ({show_ms(time[row - 1])})"

    def hole(row: int) -> Hole:
        return _hole(time, row, step)

    def missing(row: int) -> str:
        return str(hole(row))

    # Off the grid, a distance is not a number of bars.
    whole = aligned[1:] & aligned[:-1]
    return [
        _rows("time", "time", ~likely, lambda row: f"open time {time[row]} is not in 1970..2100"),
        _rows("misaligned", "time", likely & ~aligned, lambda _: f"is not a {timeframe} open"),
        _Fault("unsorted", "time", np.flatnonzero(gaps < 0) + 1, order),
        _Fault("duplicate", "time", np.flatnonzero(gaps == 0) + 1, lambda _: "time is repeated"),
        _Fault("hole", "time", np.flatnonzero((gaps > step) & whole) + 1, missing, hole),
    ]


def _rows(kind: str, column: str, wrong: NDArray[np.bool_], tell: Callable[[int], str]) -> _Fault:
    return _Fault(kind, column, np.flatnonzero(wrong), tell)


def _price_faults(bars: Bars) -> list[_Fault]:
    found = [_not_finite(bars, name) for name in FIELDS]
    found += [
        _rows("non-positive", name, _at_most_zero(bars[name]), _says(bars, name, "is not above 0"))
        for name in PRICE_FIELDS
    ]
    sound = np.ones(len(bars), dtype=bool)
    for name in PRICE_FIELDS:
        sound &= np.isfinite(bars[name]) & (bars[name] > 0.0)
    crossed = sound & (bars["high"] < bars["low"])
    found.append(_rows("high below low", "high", crossed, _against(bars, "high", "below", "low")))
    sound &= ~crossed
    for name in ("open", "close"):
        above = sound & (bars[name] > bars["high"])
        below = sound & (bars[name] < bars["low"])
        found += [
            _rows("outside high-low", name, above, _against(bars, name, "above", "high")),
            _rows("outside high-low", name, below, _against(bars, name, "below", "low")),
        ]
    return found


def _at_most_zero(values: Floats) -> NDArray[np.bool_]:
    return np.isfinite(values) & (values <= 0.0)


def _volume_faults(bars: Bars) -> list[_Fault]:
    negative = (bars["volume"] < 0.0) & np.isfinite(bars["volume"])
    return [_rows("negative volume", "volume", negative, _says(bars, "volume", "is below 0"))]


def _not_finite(bars: Bars, name: str) -> _Fault:
    return _rows("not finite", name, ~np.isfinite(bars[name]), _says(bars, name, "is not a number"))


def _says(bars: Bars, name: str, what: str) -> Callable[[int], str]:
    return lambda row: f"{name} {bars[name][row]:.10g} {what}"


def _against(bars: Bars, name: str, what: str, other: str) -> Callable[[int], str]:
    return lambda row: f"{name} {bars[name][row]:.10g} is {what} {other} {bars[other][row]:.10g}"


def _build(bars: Bars, faults: list[_Fault], limit: int | None) -> list[Problem]:
    marks = sorted(
        (int(row), number)
        for number, fault in enumerate(faults)
        for row in fault.rows[:limit].tolist()
    )
    return [_problem(bars, row, faults[number]) for row, number in marks[:limit]]


def _problem(bars: Bars, row: int, fault: _Fault) -> Problem:
    if row < 0:
        return Problem(fault.kind, row, fault.column, None, None, fault.tell(row))
    opened = int(bars["time"][row])
    known = 0 <= opened < LAST_TIME_MS
    shown = f" ({show_ms(opened)})" if known else ""
    message = f"row {row}{shown}: {fault.tell(row)}"
    if fault.hole is not None:
        hole = fault.hole(row)
        return Problem(fault.kind, row, fault.column, hole.bars, hole.first_ms, message)
    value: float = bars[fault.column][row].item()
    return Problem(fault.kind, row, fault.column, value, opened if known else None, message)
