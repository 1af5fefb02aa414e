"""What the drawings share: thinning, time axes, number axes, bars of an even width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ftbt.data.timeframe import DAY_MS, from_ms, to_ms
from ftbt.report.format import number, percent
from ftbt.report.theme import MUTED, RULE, Layout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = 500  # a line is thinned to the extremes of this many columns: about one per 2 pixels


def new_figure(layout: Layout, height: float) -> Figure:
    """Return an empty figure as wide as *layout* and *height* units high; a unit is a CSS pixel."""
    figure = Figure(figsize=(layout.width / 72.0, height / 72.0), dpi=72, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.0, h_pad=0.03)  # type: ignore[union-attr, call-arg]
    return figure


def thin(values: Floats, columns: int = COLUMNS) -> Ints:
    """Return the indices that keep a line's shape: each column's first, lowest, highest, last.

    A peak or a trough is never dropped, whatever the length of *values*, shape (n,).
    """
    n = len(values)
    if n <= 4 * columns:
        return np.arange(n)
    edges = np.linspace(0, n, columns + 1).astype(np.int64)
    kept: list[int] = []
    for first, stop in pairwise(edges.tolist()):
        part = values[first:stop]
        known = ~np.isnan(part)
        if known.any():
            low, high = np.nanargmin(part), np.nanargmax(part)
            kept.extend((first, first + low, first + high, stop - 1))
            kept.extend((first + np.flatnonzero(~known)[:1]).tolist())  # a break stays a break
        else:
            kept.append(first)
    return np.unique(np.array(kept, np.int64))


def days(time_ms: NDArray[np.int64] | Sequence[int] | int) -> Floats:
    """Return times in ms UTC as matplotlib's date numbers (days since 1970)."""
    return np.asarray(time_ms, np.float64) / DAY_MS


# Steps between ticks: minutes up to a day, days up to half a month, then months.
_MINUTES = (15, 30, 60, 120, 180, 360, 720)
_DAYS = (1, 2, 5, 10, 15)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)


def time_ticks(start: int, end: int, most: int) -> list[tuple[int, str]]:
    """Return at most *most* even ticks in [start, end]: ms UTC and label.

    The finest step that fits is taken. A label says only what changes: the hour, at midnight the
    day; the day; the month, in January the year.
    """
    for step in _MINUTES:
        found = list(range(-(-start // (step * 60_000)) * step * 60_000, end + 1, step * 60_000))
        if len(found) <= most:
            return [(at, f"{from_ms(at):{'%H:%M' if at % DAY_MS else '%b %d'}}") for at in found]
    for step in _DAYS:
        found = [at for at in _month_days(start, end, step) if start <= at <= end]
        if len(found) <= most:
            return [(at, f"{from_ms(at):%b %d}") for at in found]
    for step in _MONTHS:
        found = [at for at in _months(start, end, step) if start <= at <= end]
        if len(found) <= most:
            break
    return [(at, f"{from_ms(at):{'%Y' if from_ms(at).month == 1 else '%b'}}") for at in found]


def _months(start: int, end: int, step: int) -> list[int]:
    """Return the starts of every *step*-th month, from before *start* to *end*."""
    first, last = from_ms(start), from_ms(end)
    begin = (first.year * 12 + first.month - 1) // step * step
    numbers = range(begin, last.year * 12 + last.month, step)
    return [to_ms(datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC)) for n in numbers]


def _month_days(start: int, end: int, step: int) -> list[int]:
    """Return every *step*-th day of each month; none nearer than a step to the next month."""
    found = []
    for month in _months(start, end, 1):
        days_in = range(0, 31 - step // 2 if step > 1 else 31, step)
        within = [month + day * DAY_MS for day in days_in]
        found += [at for at in within if from_ms(at).month == from_ms(month).month]
    return found


def time_axis(axes: Axes, layout: Layout) -> None:
    """Label the x axis, in date numbers, with UTC dates; its limits must be set."""
    start, end = (round(value * DAY_MS) for value in axes.get_xlim())
    ticks = time_ticks(start, end, 5 if layout.narrow else 10)
    axes.set_xticks(days([at for at, _ in ticks]), [label for _, label in ticks])


def short(value: float) -> str:
    """Return a tick's amount: `950`, `12.5k`, `1.2M`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * limit or (letter != "k" and abs(value) >= limit):
            return number(value / limit, 1).removesuffix(".0") + letter
    decimals = 0 if abs(value) >= 10 or value == int(value) else 2
    return number(value, decimals)


def plain_tick(value: float) -> str:
    """Return a tick of a ratio without trailing zeros: `1`, `0.5`, `0.25`."""
    if 0 < abs(value) < 0.001:
        return number(value, 1 - math.floor(math.log10(abs(value))))
    text = number(value, 3)
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_axis(
    axes: Axes, write: Callable[[float], str] = short, *, ticks: int = 5, axis: str = "y"
) -> None:
    """Label an axis with *write*; at most *ticks* steps."""
    chosen = axes.yaxis if axis == "y" else axes.xaxis
    chosen.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    chosen.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Make the y axis logarithmic with plain amounts as labels."""
    axes.set_yscale("log")
    axes.set_ylim(low / 1.1, high * 1.1)
    decades = math.log10(high / low)
    subs: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    if decades > 1.2:
        subs = (1.0, 2.0, 5.0) if decades <= 3 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def percent_tick(value: float) -> str:
    """Return a fraction as a tick: `-20 %`."""
    decimals = 0 if abs(value) >= 0.1 or abs(100 * value - round(100 * value)) < 1e-6 else 1
    return percent(value, decimals)


def count_tick(value: float) -> str:
    """Return a whole count; ticks between counts stay empty."""
    return number(value, 0) if abs(value - round(value)) < 1e-9 else ""


def small() -> float:
    """Return the font size of notes inside a drawing."""
    return float(mpl.rcParams["font.size"]) - 1.0


def key(
    axes: Axes, columns: int, handles: Sequence[object] | None = None, *, right: bool = False
) -> None:
    """Put a legend in one row above the axes, flush left or (beside a title) right."""
    more = {} if handles is None else {"handles": list(handles)}
    axes.legend(
        loc="lower right" if right else "lower left",
        bbox_to_anchor=(1.0 if right else 0.0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        borderpad=0.0,
        columnspacing=1.4,
        handlelength=1.4,
        handletextpad=0.5,
        **more,
    )


def zero_line(axes: Axes, *, vertical: bool = False) -> None:
    """Draw the line at 0."""
    draw = axes.axvline if vertical else axes.axhline
    draw(0.0, color=MUTED, linewidth=0.9)


def bare(axes: Axes) -> None:
    """Remove the grid of an axes that needs none."""
    axes.grid(visible=False)
    axes.spines["bottom"].set_color(RULE)


def say(axes: Axes, text: str) -> None:
    """Write *text* in the middle of an axes that has nothing to draw."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, wrap=True
    )
