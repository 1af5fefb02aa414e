"""How values are spread: histograms, excursion scatter, counts by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ftbt.report.figures.common import (
    count_tick,
    key,
    new_figure,
    percent_tick,
    say,
    short,
    small,
    value_axis,
    zero_line,
)
from ftbt.report.theme import GAIN, INK, LOSS, MUTED, OUT, WITHIN, Layout

Floats = NDArray[np.float64]

MOST_POINTS = 1500


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """A histogram: *edges*, shape (k + 1,), and *counts*, shape (k,).

    The outermost bins also hold what lies beyond them when *clipped*.
    """

    edges: Floats
    counts: NDArray[np.int64]
    clipped: bool


def bins_of(values: Floats, *, most: int = 40, whole_from: float | None = None) -> Bins:
    """Return a histogram whose edges are round numbers, 0 among them when the values straddle it.

    The step is about half of Freedman and Diaconis' (1981), rounded up. The far tails (beyond
    0.5 % and 99.5 %) are gathered in the outermost bins: one outlier must not flatten the rest.

    Args:
        values: finite, shape (n,), n > 0.
        most: largest number of bins.
        whole_from: least step, for example 1.0 for counts.
    """
    low, high = (float(item) for item in np.quantile(values, (0.005, 0.995)))
    quarter = float(np.subtract(*np.quantile(values, (0.75, 0.25))))
    wanted = 2.0 * quarter / len(values) ** (1 / 3)
    step = _round_step(max(0.5 * wanted, (high - low) / most, whole_from or 0.0, 1e-9))
    first, last = np.floor(low / step), np.floor(high / step) + 1
    edges = np.arange(first, last + 1) * step
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    clipped = bool(values.min() < edges[0] or values.max() > edges[-1])
    return Bins(edges, counts.astype(np.int64), clipped)


def _round_step(step: float) -> float:
    """Return the next larger step of the form 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= step * 0.999))


def histogram(
    layout: Layout,
    bins: Bins | None,
    label: str,
    *,
    mark: tuple[str, float] | None = None,
    signed: bool = True,
    write: Callable[[float], str] = short,
) -> Figure:
    """Draw *bins*; gains and losses differ in colour when *signed*; *mark* is a named value."""
    figure = new_figure(layout, 250 if not layout.narrow else 220)
    axes = figure.subplots()
    if bins is None:
        say(axes, "no trades to show")
        return figure
    middle = (bins.edges[:-1] + bins.edges[1:]) / 2
    width = np.diff(bins.edges)
    colour = [(GAIN if x > 0 else LOSS) if signed else OUT for x in middle]
    axes.bar(middle, bins.counts, width=width * 0.92, color=colour, linewidth=0)
    value_axis(axes, count_tick, ticks=4)
    value_axis(axes, write, ticks=5 if layout.narrow else 9, axis="x")
    axes.set_xlabel(label)
    axes.set_title("Trades", color=MUTED, fontweight="normal")
    axes.set_xlim(bins.edges[0] - width[0] * 0.4, bins.edges[-1] + width[-1] * 0.4)
    if signed and bins.edges[0] < 0 < bins.edges[-1]:
        zero_line(axes, vertical=True)
    if mark is not None:
        _mark(axes, *mark)
    return figure


def _mark(axes: Axes, name: str, value: float) -> None:
    low, high = axes.get_xlim()
    left_half = value < (low + high) / 2
    axes.set_ylim(top=axes.get_ylim()[1] * 1.12)
    axes.axvline(value, color=INK, linewidth=1.1, linestyle=(0, (3, 2)))
    axes.annotate(
        name,
        (value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(5 if left_half else -5, -2),
        textcoords="offset points",
        ha="left" if left_half else "right",
        va="top",
        color=INK,
        fontsize=small(),
        gid="halo",
    )


def excursions(layout: Layout, mae: Floats, mfe: Floats, won: NDArray[np.bool_]) -> Figure:
    """Draw each trade's worst against its best price, winners and losers by shape and colour."""
    figure = new_figure(layout, 360 if not layout.narrow else 320)
    axes = figure.subplots()
    if not len(mae):
        say(axes, "no trades to show")
        return figure
    # Every k-th trade: as deterministic as it is fair over time.
    every = -(-len(mae) // MOST_POINTS)
    mae, mfe, won = mae[::every], mfe[::every], won[::every]
    looks = ((won, "o", GAIN, "winner"), (~won, "x", LOSS, "loser"))
    for chosen, shape, colour, name in looks:
        axes.plot(
            mae[chosen],
            mfe[chosen],
            shape,
            color=colour,
            label=name,
            markersize=5.0 if shape == "x" else 4.6,
            alpha=0.65 if len(mae) > 200 else 0.85,
            markeredgewidth=1.1 if shape == "x" else 0.0,
        )
    axes.set_xlabel("Worst price against the entry")
    axes.set_title("Best price for the entry", color=MUTED, fontweight="normal")
    value_axis(axes, percent_tick, ticks=4 if layout.narrow else 7, axis="x")
    value_axis(axes, percent_tick, ticks=5)
    axes.grid(visible=True, axis="both")
    axes.set_ylim(bottom=0.0)
    axes.set_xlim(right=0.0)
    key(axes, 2, right=True)
    return figure


def counts_by_name(
    layout: Layout, names: Sequence[str], counts: Sequence[int], sums: Sequence[float]
) -> Figure:
    """Draw one bar per name: how many trades; the money beside it in words."""
    figure = new_figure(layout, 52 + 27 * max(len(names), 1))
    axes = figure.subplots()
    if not names:
        say(axes, "no trades to show")
        return figure
    place = np.arange(len(names))[::-1]
    axes.barh(place, counts, height=0.62, color=WITHIN, linewidth=0)
    for y, count, total in zip(place, counts, sums, strict=True):
        colour = GAIN if total > 0 else LOSS if total < 0 else MUTED
        axes.annotate(
            f"{count:,} · net {short(total)}",
            (count, y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=small(),
        )
    axes.set_yticks(place, names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlim(0, max(counts) * (1.45 if layout.narrow else 1.2))
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return figure
