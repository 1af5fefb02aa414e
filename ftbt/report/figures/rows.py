"""One row per thing: a value with its interval, a bar, a cell of a heat map."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ftbt.report.figures.common import new_figure, say, small, value_axis, zero_line
from ftbt.report.format import known
from ftbt.report.theme import GAIN, HOLD, INK, LOSS, MUTED, OUT, RULE, WITHIN, Layout

Write = Callable[[float], str]

ROW = 27.0  # height of a row, CSS pixels


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled value.

    Attributes:
        label: at the left.
        value: NaN: only the label and the text are shown.
        low, high: its interval, NaN without.
        text: beside it.
        faint: drawn in grey.
        line: a second value, marked by a tick across the row; NaN without.
    """

    label: str
    value: float
    low: float = np.nan
    high: float = np.nan
    text: str = ""
    faint: bool = False
    line: float = np.nan


def intervals(
    layout: Layout,
    rows: Sequence[Row],
    label: str,
    write: Write,
    *,
    bound: tuple[str, float] | None = None,
    zero: bool = True,
) -> Figure:
    """Draw each value as a dot on its interval; *bound* is a named threshold."""
    figure, axes = _rows(layout, rows, 30.0 if bound else 12.0)
    if not rows:
        return figure
    for y, row in zip(_places(rows), rows, strict=True):
        colour = MUTED if row.faint else OUT
        if known(row.low) and known(row.high):
            axes.plot([row.low, row.high], [y, y], color=colour, linewidth=5, alpha=0.3,
                      solid_capstyle="butt", zorder=2)  # fmt: skip
        if known(row.line):
            axes.plot([row.line] * 2, [y - 0.25, y + 0.25], color=MUTED, linewidth=1.2, zorder=3)
        if known(row.value):
            face = "none" if row.faint else colour
            axes.plot([row.value], [y], "o", color=colour, markersize=6.5, zorder=4,
                      markerfacecolor=face, markeredgewidth=1.3)  # fmt: skip
    _finish(axes, layout, rows, label, write, bound, zero=zero)
    return figure


def bars(
    layout: Layout,
    rows: Sequence[Row],
    label: str,
    write: Write,
    *,
    bound: tuple[str, float] | None = None,
    signed: bool = True,
) -> Figure:
    """Draw each value as a bar from 0, its interval as a thin line, its text beside it."""
    figure, axes = _rows(layout, rows, 30.0 if bound else 12.0)
    if not rows:
        return figure
    for y, row in zip(_places(rows), rows, strict=True):
        colour = (GAIN if row.value > 0 else LOSS) if signed else OUT
        if known(row.value):
            axes.barh(y, row.value, height=0.6, color=WITHIN if row.faint else colour, linewidth=0)
        if known(row.line):
            axes.barh(y, row.line, height=0.26, color=INK, linewidth=0, alpha=0.75)
        if known(row.low) and known(row.high):
            axes.plot([row.low, row.high], [y, y], color=INK, linewidth=1.1, zorder=3)
    _finish(axes, layout, rows, label, write, bound, zero=True)
    return figure


def _rows(layout: Layout, rows: Sequence[Row], more: float) -> tuple[Figure, Axes]:
    lines = [len(_wrapped(row.label, layout).splitlines()) for row in rows]
    tall = sum(ROW + 13.0 * (count - 1) for count in lines)
    figure = new_figure(layout, 44.0 + more + max(tall, ROW))
    axes = figure.subplots()
    if not rows:
        say(axes, "nothing to show")
    return figure, axes


def _wrapped(label: str, layout: Layout) -> str:
    """Return a label in lines of what fits at the left of a drawing."""
    wide = 18 if layout.narrow else 34
    lines = textwrap.wrap(label, wide, break_long_words=True) or [""]
    if len(lines) > 3:
        lines = [*lines[:2], lines[2][: wide - 1] + "…"]
    return "\n".join(lines)


def _places(rows: Sequence[Row]) -> list[float]:
    return [float(len(rows) - 1 - index) for index in range(len(rows))]


def _finish(
    axes: Axes,
    layout: Layout,
    rows: Sequence[Row],
    label: str,
    write: Write,
    bound: tuple[str, float] | None,
    *,
    zero: bool,
) -> None:
    places = _places(rows)
    axes.set_yticks(places, [_wrapped(row.label, layout) for row in rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    values = [value for row in rows for value in (row.value, row.low, row.high, row.line)
              if known(value)]  # fmt: skip
    values += [0.0] if zero else []
    values += [bound[1]] if bound else []
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    wide = (high - low) or max(abs(high), 1.0)
    # The text stands right of the furthest value: room for the longest one.
    longest = max((len(row.text) for row in rows), default=0)
    room = wide * min(
        1.1, longest * small() * 0.62 / (layout.width * (0.42 if layout.narrow else 0.6))
    )
    axes.set_xlim(low - wide * 0.04, high + wide * 0.04 + room)
    for y, row in zip(places, rows, strict=True):
        if row.text:
            ends = [value for value in (row.value, row.high, row.line, 0.0 if zero else row.value)
                    if known(value)]  # fmt: skip
            axes.annotate(
                row.text, (max(ends, default=low), y), xytext=(8, 0), textcoords="offset points",
                va="center", color=MUTED, fontsize=small(), gid="halo", zorder=6,
            )  # fmt: skip
    value_axis(axes, write, ticks=3 if layout.narrow else 6, axis="x")
    axes.set_xlabel(label)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    if zero:
        zero_line(axes, vertical=True)
    if bound:
        _bound(axes, *bound)


def _bound(axes: Axes, name: str, value: float) -> None:
    low, high = axes.get_xlim()
    left = value < (low + high) / 2
    axes.axvline(value, color=LOSS, linewidth=1.2, linestyle=(0, (5, 2)))
    axes.annotate(
        name, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(3 if left else -3, 2),
        textcoords="offset points", ha="left" if left else "right", va="bottom", color=INK,
        fontsize=small(), annotation_clip=False,
    )  # fmt: skip


def columns(
    layout: Layout, labels: Sequence[str], values: Sequence[float], title: str, write: Write
) -> Figure:
    """Draw one column per label; up is a gain, down is a loss."""
    figure = new_figure(layout, 220 if not layout.narrow else 200)
    axes = figure.subplots()
    if not labels:
        say(axes, "nothing to show")
        return figure
    heights = np.nan_to_num(np.array(values, np.float64))
    place = np.arange(len(labels), dtype=float)
    axes.bar(place, heights, width=0.8, linewidth=0,
             color=[GAIN if value > 0 else LOSS for value in heights])  # fmt: skip
    zero_line(axes)
    value_axis(axes, write, ticks=5)
    every = -(-len(labels) // (6 if layout.narrow else 14))
    axes.set_xticks(place[::every], labels[::every])
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_title(title, color=MUTED, fontweight="normal")
    return figure


@dataclass(frozen=True, slots=True)
class Grid:
    """A heat map: `values[y][x]`, NaN where nobody looked; *chosen* is (column, row)."""

    x_name: str
    y_name: str
    x_labels: Sequence[str]
    y_labels: Sequence[str]
    values: Sequence[Sequence[float]]
    chosen: tuple[int, int] | None = None


def heat(layout: Layout, grid: Grid, write: Write) -> Figure:
    """Draw a heat map: the stronger the colour, the further from 0; the number in each cell."""
    across, down = len(grid.x_labels), len(grid.y_labels)
    tall = 30 if not layout.narrow else 26
    figure = new_figure(layout, 90 + tall * max(down, 1))
    axes = figure.subplots()
    if not across or not down:
        say(axes, "nothing to show")
        return figure
    values = np.array(grid.values, np.float64)
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    room = (layout.width - 70) / across
    for y in range(down):
        for x in range(across):
            _heat_cell(axes, x, y, float(values[y, x]), most or 1.0, write, room, layout)
    if grid.chosen is not None:
        x, y = grid.chosen
        axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, edgecolor=INK,
                                 linewidth=2.4, zorder=4))  # fmt: skip
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(-0.5, down - 0.5)
    every = 1 if max(map(len, grid.x_labels)) * layout.font * 0.6 < room else 2
    axes.set_xticks(range(0, across, every), list(grid.x_labels)[::every])
    if every > 1 and max(map(len, grid.x_labels)) * layout.font * 0.6 > 2 * room:
        axes.tick_params(axis="x", labelrotation=60)
    axes.set_yticks(range(down), [_cut(label, layout) for label in grid.y_labels])
    axes.set_xlabel(grid.x_name)
    axes.set_title(f"{grid.y_name} (up) against {grid.x_name}", color=MUTED, fontweight="normal")
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return figure


def _cut(label: str, layout: Layout) -> str:
    most = 10 if layout.narrow else 20
    return label if len(label) <= most else label[: most - 1] + "…"


def _heat_cell(
    axes: Axes, x: int, y: int, value: float, most: float, write: Write, room: float, layout: Layout
) -> None:
    if not known(value):
        axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor="none",
                                 edgecolor=RULE, linewidth=0.8))  # fmt: skip
        return
    colour = OUT if value > 0 else HOLD
    axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, linewidth=0,
                             alpha=0.06 + 0.5 * min(1.0, abs(value) / most)))  # fmt: skip
    text = write(value)
    if len(text) * small() * 0.6 < room:
        axes.text(x, y, text, ha="center", va="center", color=INK,
                  fontsize=small() - (1 if layout.narrow else 0))  # fmt: skip
