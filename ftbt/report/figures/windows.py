"""Walk-forward windows side by side: in-sample against out-of-sample, and parameter drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ftbt.report.figures.common import key, new_figure, say, small, value_axis, zero_line
from ftbt.report.format import plain
from ftbt.report.theme import INK, MUTED, OUT, RULE, WITHIN, Layout

Floats = NDArray[np.float64]


def pairs(
    layout: Layout,
    labels: Sequence[str],
    within: Floats,
    out: Floats,
    title: str,
    write: Callable[[float], str],
) -> Figure:
    """Draw two bars per window; NaN (a failed window, an undefined figure) is written as n/a."""
    figure = new_figure(layout, 270 if not layout.narrow else 240)
    axes = figure.subplots()
    if not len(labels):
        say(axes, "no windows to show")
        return figure
    place = np.arange(len(labels), dtype=float)
    axes.bar(place - 0.2, np.nan_to_num(within), width=0.36, color=WITHIN, linewidth=0)
    axes.bar(place + 0.2, np.nan_to_num(out), width=0.36, color=OUT, linewidth=0)
    for x, values in ((-0.2, within), (0.2, out)):
        for i in np.flatnonzero(np.isnan(values)):
            axes.text(
                i + x, 0.0, "n/a", rotation=90, ha="center", va="bottom", color=MUTED,
                fontsize=small(),
            )  # fmt: skip
    zero_line(axes)
    value_axis(axes, write, ticks=5)
    every = -(-len(labels) // (8 if layout.narrow else 24))
    axes.set_xticks(place[::every], labels[::every])
    axes.set_xlabel("Window")
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_title(title, color=MUTED, fontweight="normal")
    key(
        axes,
        2,
        [
            Patch(facecolor=WITHIN, linewidth=0, label="In-sample"),
            Patch(facecolor=OUT, linewidth=0, label="Out-of-sample"),
        ],
        right=True,
    )
    return figure


@dataclass(frozen=True, slots=True)
class Track:
    """One parameter over the windows.

    Attributes:
        name: of the parameter.
        values: chosen value per window, None where the window failed.
        low, high: of its range; None for words.
        words: the choices; empty for numbers.
    """

    name: str
    values: Sequence[object]
    low: float | None = None
    high: float | None = None
    words: Sequence[str] = ()


def drift(layout: Layout, labels: Sequence[str], tracks: Sequence[Track]) -> Figure:
    """Draw one strip per parameter: its value in each window, the strip being its whole range."""
    columns = 1 if layout.narrow else 2
    rows = -(-len(tracks) // columns)
    figure = new_figure(layout, 34 + 88 * max(rows, 1))
    if not tracks:
        say(figure.subplots(), "no parameter was searched")
        return figure
    figure.get_layout_engine().set(hspace=0.08, wspace=0.05)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    flat: list[Axes] = [grid[row][column] for row in range(rows) for column in range(columns)]
    for axes, track in zip(flat, tracks, strict=False):
        _strip(axes, labels, track)
    for axes in flat[len(tracks) :]:
        axes.set_axis_off()
    every = -(-len(labels) // 10)
    for axes in grid[-1]:
        axes.set_xticks(range(0, len(labels), every), labels[::every])
        axes.set_xlabel("Window")
    return figure


def _strip(axes: Axes, labels: Sequence[str], track: Track) -> None:
    words = list(track.words)
    numbers = np.array([_height(value, words) for value in track.values])
    place = np.arange(len(labels), dtype=float)
    axes.plot(place, numbers, color=OUT, linewidth=1.1, drawstyle="steps-mid", alpha=0.6)
    axes.plot(place, numbers, "o", color=OUT, markersize=4.5, markeredgewidth=0)
    axes.set_title(track.name, color=INK, fontweight="normal", pad=3)
    if words:
        axes.set_ylim(-0.5, len(words) - 0.5)
        axes.set_yticks(range(len(words)), words)
    else:
        low = track.low if track.low is not None else float(np.nanmin(numbers))
        high = track.high if track.high is not None else float(np.nanmax(numbers))
        pad = (high - low) * 0.08 or 0.5
        axes.set_ylim(low - pad, high + pad)
        axes.set_yticks([low, high], [plain(low), plain(high)])
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xticks([])
    for side in ("bottom", "top"):
        axes.spines[side].set_visible(True)
        axes.spines[side].set_color(RULE)


def _height(value: object, words: Sequence[str]) -> float:
    if words:
        return float(words.index(str(value))) if str(value) in words else np.nan
    return float(value) if isinstance(value, int | float) else np.nan
