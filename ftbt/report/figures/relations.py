"""One quantity against another: curves over a count, fans over time, scatters, shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from ftbt.report.figures.common import (
    key,
    new_figure,
    percent_tick,
    plain_tick,
    say,
    short,
    small,
    value_axis,
    zero_line,
)
from ftbt.report.format import number
from ftbt.report.theme import HOLD, INK, LOSS, MUTED, OUT, PAGE, RULE, Layout
from ftbt.robustness.assessment import FanData

Floats = NDArray[np.float64]
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Point:
    """A named point on a curve."""

    name: str
    x: float
    y: float


def over_count(
    layout: Layout,
    x: Sequence[float],
    y: Sequence[float],
    label: str,
    title: str,
    points: Sequence[Point],
    bound: tuple[str, float],
) -> Figure:
    """Draw probabilities over a count from 1 on (log axis), with named points and a threshold."""
    figure = new_figure(layout, 280 if not layout.narrow else 250)
    axes = figure.subplots()
    if not len(x):
        say(axes, "nothing to show")
        return figure
    axes.plot(x, y, color=OUT, linewidth=1.9, zorder=3)
    axes.set_xscale("log")
    highest = max([*x, *(point.x for point in points), 2.0])
    axes.set_xlim(0.9, highest * 1.15)
    axes.set_ylim(-0.02, 1.04)
    ticks = [step * 10**power for power in range(13) for step in (1, 2, 5)]
    if highest > (40 if layout.narrow else 400):
        ticks = [10**power for power in range(13)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= highest * 1.15]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    value_axis(axes, percent_tick, ticks=5)
    axes.set_xlabel(label)
    axes.set_title(title, color=MUTED, fontweight="normal")
    _horizontal(axes, *bound)
    for row, point in enumerate(sorted(points, key=lambda one: one.x)):
        axes.plot([point.x], [point.y], "o", color=INK, markersize=6, zorder=5,
                  markeredgecolor=PAGE, markeredgewidth=1)  # fmt: skip
        # Below the point and below each other: near points' names must not collide.
        up = point.y < 0.45
        axes.annotate(
            point.name, (point.x, point.y), xytext=(7, (14 if up else -14) * (row + 1)),
            textcoords="offset points", ha="left", va="center", color=INK, fontsize=small(),
            gid="halo", arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7},
        )  # fmt: skip
    return figure


def _horizontal(axes: Axes, name: str, value: float) -> None:
    axes.axhline(value, color=LOSS, linewidth=1.2, linestyle=(0, (5, 2)), zorder=2)
    axes.annotate(
        name, (1.0, value), xycoords=("axes fraction", "data"), xytext=(-2, -3), ha="right",
        textcoords="offset points", va="top", color=INK, fontsize=small(), gid="halo",
    )  # fmt: skip


def fan(layout: Layout, data: FanData, label: str, actual: str) -> Figure:
    """Draw quantile bands of growth with the median and, where given, the real curve."""
    figure = new_figure(layout, 300 if not layout.narrow else 270)
    axes = figure.subplots()
    if not data.x or not data.curves:
        say(axes, "nothing to show")
        return figure
    x = np.array(data.x)
    curves = np.array(data.curves, np.float64) - 1.0
    last = len(curves) - 1
    for i in range(len(curves) // 2):
        low, high = data.levels[i], data.levels[last - i]
        name = f"{number(100 * low, 0)} to {number(100 * high, 0)} %"
        if (low, high) == (0.0, 1.0):
            name = "lowest to highest"
        shade = 0.14 + 0.16 * i
        axes.fill_between(x, curves[i], curves[last - i], color=HOLD, alpha=shade, linewidth=0,
                          label=name)  # fmt: skip
    if len(curves) % 2:
        axes.plot(x, curves[last // 2], color=HOLD, linewidth=1.3, linestyle=(0, (4, 2)),
                  label="median")  # fmt: skip
    if data.actual:
        axes.plot(x, np.array(data.actual) - 1.0, color=OUT, linewidth=1.9, label=actual)
    zero_line(axes)
    value_axis(axes, percent_tick, ticks=6)
    value_axis(axes, short, ticks=4 if layout.narrow else 8, axis="x")
    axes.set_xlabel(label)
    axes.margins(x=0.0)
    handles, _ = axes.get_legend_handles_labels()
    key(axes, 2 if layout.narrow else 4, handles)
    return figure


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line y = intercept + slope x; NaN leaves it out."""

    slope: float
    intercept: float
    name: str


def scatter(
    layout: Layout, points: Sequence[tuple[float, float]], line: Line, labels: tuple[str, str]
) -> Figure:
    """Draw points with the line through them."""
    figure = new_figure(layout, 320 if not layout.narrow else 280)
    axes = figure.subplots()
    if not points:
        say(axes, "nothing to show")
        return figure
    x, y = np.array(points, np.float64).T
    axes.plot(x, y, "o", color=OUT, markersize=3.6, markeredgewidth=0, label="one combination",
              alpha=0.35 if len(x) > 200 else 0.7)  # fmt: skip
    zero_line(axes)
    if np.isfinite(line.slope) and np.isfinite(line.intercept):
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, line.intercept + line.slope * ends, color=INK, linewidth=1.5,
                  linestyle=(0, (5, 2)), label=line.name)  # fmt: skip
    value_axis(axes, plain_tick, ticks=4 if layout.narrow else 7, axis="x")
    value_axis(axes, plain_tick, ticks=6)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    key(axes, 2)
    return figure


def shares(
    layout: Layout, x: Sequence[float], solid: Sequence[float], dashed: Sequence[float],
    names: tuple[str, str], label: str,
) -> Figure:  # fmt: skip
    """Draw two distribution functions: the share at or below each value."""
    figure = new_figure(layout, 260 if not layout.narrow else 240)
    axes = figure.subplots()
    if not len(x):
        say(axes, "nothing to show")
        return figure
    axes.plot(x, solid, color=OUT, linewidth=1.9, label=names[0])
    axes.plot(x, dashed, color=HOLD, linewidth=1.5, linestyle=(0, (4, 2)), label=names[1])
    axes.axvline(0.0, color=RULE, linewidth=0.9)
    value_axis(axes, percent_tick, ticks=5)
    value_axis(axes, plain_tick, ticks=4 if layout.narrow else 8, axis="x")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(label)
    axes.margins(x=0.0)
    key(axes, 2)
    return figure


def over_multiple(
    layout: Layout, x: Sequence[float], y: Sequence[float], label: str, title: str,
    marks: Sequence[tuple[str, float]],
) -> Figure:  # fmt: skip
    """Draw a result over a multiple of something, with named multiples as vertical lines."""
    figure = new_figure(layout, 250 if not layout.narrow else 230)
    axes = figure.subplots()
    if not len(x):
        say(axes, "nothing to show")
        return figure
    axes.plot(x, y, "o-", color=OUT, linewidth=1.7, markersize=5, markeredgewidth=0, zorder=3)
    zero_line(axes)
    value_axis(axes, percent_tick, ticks=5)
    value_axis(axes, lambda value: f"×{number(value, 1).removesuffix('.0')}", ticks=6, axis="x")
    axes.set_xlabel(label)
    axes.set_title(title, color=MUTED, fontweight="normal")
    low, high = axes.get_xlim()
    for row, (name, value) in enumerate(marks):
        if not np.isfinite(value) or not low <= value <= high:
            continue
        left = value < (low + high) / 2
        axes.axvline(value, color=INK, linewidth=1.1, linestyle=(0, (3, 2)))
        axes.annotate(
            name, (value, 1.0), xycoords=("data", "axes fraction"),
            xytext=(5 if left else -5, -2 - 14 * row), textcoords="offset points",
            ha="left" if left else "right", va="top", color=INK, fontsize=small(), gid="halo",
        )  # fmt: skip
    return figure
