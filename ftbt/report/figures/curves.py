"""Equity over time with the drawdown below it, and the profits of parts over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ftbt.report.figures.common import (
    days,
    key,
    log_axis,
    new_figure,
    percent_tick,
    say,
    small,
    thin,
    time_axis,
    value_axis,
)
from ftbt.report.theme import GAIN, HOLD, INK, LOSS, MUTED, OUT, PAGE, POOL, RULE, WITHIN, Layout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOG_FROM = 4.0  # highest / lowest equity from which equal percentages should look equal
RUIN = 0.01  # share of the capital below which a log axis would draw nothing but the end


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One line: times in ms UTC and values, both shape (n,); NaN breaks the line."""

    label: str
    time: Ints
    value: Floats
    role: str  # "out", "within" or "hold"; of parts "all", "rest" or a number below PARTS


@dataclass(frozen=True, slots=True)
class Mark:
    """A test window on the time axis; `failed` ones are shaded."""

    label: str
    start: int
    end: int
    failed: bool = False


_STYLE: dict[str, dict[str, object]] = {
    "out": {"color": OUT, "linewidth": 1.9, "zorder": 4},
    "within": {"color": WITHIN, "linewidth": 1.2, "zorder": 3},
    "before": {"color": OUT, "linewidth": 1.0, "linestyle": (0, (1, 1.4)), "zorder": 3.5},
    # Rings tell the line apart without its colour.
    "hold": {
        "color": HOLD,
        "linewidth": 1.0,
        "marker": "o",
        "markersize": 4.0,
        "markerfacecolor": PAGE,
        "markeredgewidth": 1.0,
        "zorder": 2,
    },
}
RINGS = 9
# Lines of parts differ in their dashes as well as in colour.
_PARTS: tuple[dict[str, object], ...] = (
    {"color": OUT, "linewidth": 1.7},
    {"color": HOLD, "linewidth": 1.7, "linestyle": (0, (6, 1.6))},
    {"color": GAIN, "linewidth": 1.7, "linestyle": (0, (2.2, 1.4))},
    {"color": POOL, "linewidth": 1.7, "linestyle": (0, (6, 1.4, 1.4, 1.4))},
    {"color": LOSS, "linewidth": 1.7, "linestyle": (0, (1.0, 1.2))},
)
PARTS = len(_PARTS)
_STYLE |= {str(number): {**style, "zorder": 3} for number, style in enumerate(_PARTS)}
_STYLE |= {
    "rest": {"color": WITHIN, "linewidth": 1.2, "zorder": 2.5},
    "all": {"color": INK, "linewidth": 1.0, "zorder": 2},
}


def wants_log(curves: Sequence[Curve], capital: float) -> bool:
    """Tell whether the values span so much that a log axis is the honest one."""
    values = [curve.value[~np.isnan(curve.value)] for curve in curves]
    both = np.concatenate(values) if values else np.zeros(0)
    if not len(both) or both.min() <= RUIN * capital:
        return False
    return bool(both.max() / both.min() >= LOG_FROM)


def equity(
    layout: Layout,
    curves: Sequence[Curve],
    drawdowns: Sequence[Curve],
    marks: Sequence[Mark],
    capital: float,
) -> Figure:
    """Draw equity curves above drawdowns (fractions <= 0), test windows as hairlines."""
    figure = new_figure(layout, 430 if not layout.narrow else 380)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.7, 1))
    drawn = [curve for curve in curves if len(curve.time)]
    if not drawn:
        say(top, "no equity to show")
        bottom.set_axis_off()
        return figure
    _lines(top, drawn)
    if wants_log(drawn, capital):
        values = np.concatenate([curve.value for curve in drawn])
        log_axis(top, float(np.nanmin(values)), float(np.nanmax(values)))
    else:
        value_axis(top)
        top.axhline(capital, color=MUTED, linewidth=0.8, zorder=1.5)
    handles, _ = top.get_legend_handles_labels()
    key(top, 2 if layout.narrow and len(handles) > 3 else 4, handles[::-1])
    _lines(bottom, drawdowns, fill="out")
    value_axis(bottom, percent_tick, ticks=3)
    bottom.set_ylim(top=0.0)
    bottom.set_title("Drawdown", color=MUTED, fontweight="normal")
    _windows((top, bottom), marks, label=not layout.narrow)
    start = min(int(curve.time[0]) for curve in drawn)
    end = max(int(curve.time[-1]) for curve in drawn)
    bottom.set_xlim(*days([start, end]))
    bottom.margins(x=0.0)
    time_axis(bottom, layout)
    return figure


def profits(layout: Layout, curves: Sequence[Curve], marks: Sequence[Mark]) -> Figure:
    """Draw profits since the start, one line for each part, test windows as hairlines."""
    figure = new_figure(layout, 300 if not layout.narrow else 270)
    axes = figure.subplots()
    drawn = [curve for curve in curves if len(curve.time)]
    if not drawn:
        say(axes, "no profit to show")
        return figure
    _lines(axes, drawn)
    value_axis(axes)
    axes.axhline(0.0, color=MUTED, linewidth=0.8, zorder=1.5)
    key(axes, 2 if layout.narrow else 4)
    _windows((axes,), marks, label=not layout.narrow)
    axes.set_xlim(*days([int(drawn[0].time[0]), int(drawn[0].time[-1])]))
    time_axis(axes, layout)
    return figure


def _lines(axes: Axes, curves: Sequence[Curve], fill: str = "") -> None:
    for curve in curves:
        kept = thin(curve.value)
        x, y = days(curve.time[kept]), curve.value[kept]
        rings = max(1, len(kept) // RINGS)
        axes.plot(x, y, label=curve.label, markevery=rings, **_STYLE[curve.role])  # type: ignore[arg-type]
        if curve.role == fill:
            axes.fill_between(x, y, 0.0, color=OUT, alpha=0.14, linewidth=0)


def _windows(axes: Sequence[Axes], marks: Sequence[Mark], *, label: bool) -> None:
    for mark in marks:
        start, end = days([mark.start, mark.end])
        for one in axes:
            one.axvline(start, color=RULE, linewidth=0.8, zorder=1)
            if mark.failed:
                one.axvspan(start, end, color=RULE, alpha=0.55, linewidth=0, zorder=0.5)
        if label and len(marks) <= 40:
            every = 1 if len(marks) <= 20 else 2
            if marks.index(mark) % every == 0:
                axes[0].annotate(
                    mark.label + (" failed" if mark.failed else ""),
                    (start, 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(3, -3),
                    textcoords="offset points",
                    va="top",
                    color=MUTED,
                    fontsize=small(),
                )
