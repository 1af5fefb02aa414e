"""Histograms that come counted, with named values marked in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ftbt.report.figures.common import (
    count_tick,
    new_figure,
    plain_tick,
    say,
    small,
    value_axis,
)
from ftbt.report.theme import HOLD, INK, LOSS, MUTED, OUT, WITHIN, Layout
from ftbt.robustness.assessment import Histogram

# Looks of a marked value: line style beside colour, so that neither is needed alone.
_LOOKS: dict[str, tuple[str, object]] = {
    "own": (OUT, "solid"),
    "bound": (LOSS, (0, (5, 2))),
    "quantile": (MUTED, (0, (1, 1.5))),
    "middle": (INK, (0, (3, 2))),
    "chance": (HOLD, (0, (5, 2))),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A named value on the axis of a histogram.

    Attributes:
        name: written beside its line.
        value: NaN leaves it out.
        look: `own` the record's, `bound` a threshold, `quantile`, `middle`, or `chance`.
    """

    name: str
    value: float
    look: Literal["own", "bound", "quantile", "middle", "chance"] = "middle"


def counted(
    layout: Layout,
    histogram: Histogram,
    label: str,
    counts_of: str,
    named: Sequence[Named] = (),
    *,
    chosen: Sequence[float] = (),
    write: Callable[[float], str] = plain_tick,
) -> Figure:
    """Draw *histogram*; *named* values as lines, *chosen* ones as triangles on the axis."""
    rows = sum(bool(np.isfinite(item.value)) for item in named)
    height = (210 if not layout.narrow else 190) + 14 * rows
    figure = new_figure(layout, height)
    _counted(
        figure.subplots(), layout, histogram, label, counts_of, named, write, chosen, height - 60
    )
    return figure


def panels(
    layout: Layout,
    titled: Sequence[tuple[str, Histogram, Sequence[Named]]],
    label: str,
    *,
    write: Callable[[float], str] = plain_tick,
) -> Figure:
    """Draw several histograms below each other on one axis, each under its title."""
    tall = 150 if not layout.narrow else 140
    figure = new_figure(layout, 20 + tall * max(len(titled), 1))
    if not titled:
        say(figure.subplots(), "nothing to show")
        return figure
    grid = figure.subplots(len(titled), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, histogram, named) in zip(grid, titled, strict=True):
        last = axes is grid[-1]
        _counted(axes, layout, histogram, label if last else "", title, named, write, (), tall - 45)
    edges = [edge for _, histogram, _ in titled for edge in histogram.edges]
    if edges:
        grid[-1].set_xlim(min(edges), max(edges))
    return figure


def _counted(
    axes: Axes,
    layout: Layout,
    histogram: Histogram,
    label: str,
    title: str,
    named: Sequence[Named],
    write: Callable[[float], str],
    chosen: Sequence[float],
    height: float,
) -> None:
    if not sum(histogram.counts):
        say(axes, "nothing was counted")
        return
    edges, counts = np.array(histogram.edges), np.array(histogram.counts)
    width = np.diff(edges)
    axes.bar(edges[:-1] + width / 2, counts, width=width * 0.92, color=WITHIN, linewidth=0)
    marks = [item for item in named if np.isfinite(item.value)]
    places = [*edges[[0, -1]], *(item.value for item in marks), *chosen]
    pad = (max(places) - min(places)) * 0.02 or 0.5
    axes.set_xlim(min(places) - pad, max(places) + pad)
    value_axis(axes, count_tick, ticks=3)
    value_axis(axes, write, ticks=5 if layout.narrow else 9, axis="x")
    axes.set_xlabel(label)
    axes.set_title(title, color=MUTED, fontweight="normal")
    # Room above the bars: one line of text for each marked value, so that no two collide.
    share = min(0.75, 14.0 * len(marks) / height)
    axes.set_ylim(top=float(counts.max()) * 1.06 / (1.0 - share))
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= counts.max() * 1.06])
    if chosen:
        axes.plot(chosen, np.zeros(len(chosen)), "^", color=OUT, markersize=6, clip_on=False,
                  markeredgewidth=0, zorder=5, alpha=0.8)  # fmt: skip
    for row, item in enumerate(sorted(marks, key=lambda mark: mark.value)):
        _mark(axes, layout, item, row, [mark.value for mark in marks])


def _mark(axes: Axes, layout: Layout, item: Named, row: int, lines: Sequence[float]) -> None:
    right = _is_freer_right(axes, layout, item, lines)
    colour, style = _LOOKS[item.look]
    axes.axvline(item.value, color=colour, linewidth=1.4, linestyle=style)
    axes.annotate(
        item.name,
        (item.value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, -1 - 14 * row),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=INK,
        fontsize=small(),
        gid="halo",
    )


def _is_freer_right(axes: Axes, layout: Layout, item: Named, lines: Sequence[float]) -> bool:
    """Tell whether the name fits better right of its line: inside, and across fewer other lines."""
    low, high = axes.get_xlim()
    wide = (len(item.name) * small() * 0.58 + 8) * (high - low) / (layout.width - 50)

    def cost(start: float, end: float) -> float:
        crossed = sum(start < line < end for line in lines if line != item.value)
        return crossed + 10.0 * (start < low or end > high)

    right, left = cost(item.value, item.value + wide), cost(item.value - wide, item.value)
    return right < left or (right == left and item.value < (low + high) / 2)
