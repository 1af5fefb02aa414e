"""A price chart of one trade: candles, what was known at the close, the trade itself."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from ftbt.report.figures.common import days, new_figure, small, time_axis, value_axis
from ftbt.report.format import number, price
from ftbt.report.seen import Example, Factor, Zone
from ftbt.report.theme import GAIN, INK, LOSS, MUTED, OUT, PAGE, POOL, Layout

Floats = NDArray[np.float64]

ZONE_NAMES = {"gap": "fair value gap", "block": "order block", "pool": "liquidity pool"}
CLOSE_BEFORE, CLOSE_AFTER = 42, 8  # candles on a small screen
SHORT_NAMES = {"gap": "FVG", "block": "OB", "pool": "liquidity"}


def chart(layout: Layout, example: Example) -> Figure:
    """Draw one example trade.

    Zones begin at their anchor and are drawn strong up to the close at which the order was
    decided, faint after it. Rising candles are hollow, falling ones filled.
    """
    if layout.narrow:
        example = _closer(example)
    figure = new_figure(layout, 400 if not layout.narrow else 330)
    axes = figure.subplots()
    candles = np.array(example.candles, np.float64)
    start, end = candles[0, 0], candles[-1, 0] + example.candle_ms
    low, high = price_range(example)
    names = _names(example, low, high, layout)
    # The names of the levels stand right of the last candle.
    wide = max(len(text) for text, _, _ in names) * (layout.font - 1) * 0.6 + 8
    room = (end - start) * wide / (layout.width - 56 - wide)
    axes.set_xlim(*days([int(start), int(end + room)]))
    axes.set_ylim(low, high)
    time_axis(axes, layout)
    value_axis(axes, price)
    spread = Spread(figure, axes, layout)
    for zone in example.zones:
        _zone(axes, zone, example, end)
    _swings(axes, example, start, spread)
    _candles(axes, candles, example.candle_ms)
    _decision(axes, example, layout, high)
    _trade(axes, example, end)
    _names_at_right(axes, names, end, spread)
    _zone_names(axes, example, start, spread)
    return figure


def _closer(example: Example) -> Example:
    """Return the example with fewer candles around the trade, for a small screen."""
    times = [row[0] for row in example.candles]
    first = max(0, bisect_right(times, example.entry_time) - 1 - CLOSE_BEFORE)
    last = bisect_right(times, example.exit_time) + CLOSE_AFTER
    return replace(example, candles=example.candles[first:last])


def price_range(example: Example) -> tuple[float, float]:
    """Return the drawn prices: candles, stop and targets; far away targets do not squeeze it."""
    low, high = min(row[3] for row in example.candles), max(row[2] for row in example.candles)
    tall = high - low or high * 0.01
    for value in (example.stop, example.target1, example.target2):
        if value is not None and low - tall * 0.6 <= value <= high + tall * 0.6:
            low, high = min(low, value), max(high, value)
    pad = (high - low) * 0.06 or high * 0.01
    return low - pad, high + pad


def _candles(axes: Axes, candles: Floats, candle_ms: int) -> None:
    """Draw all candles as two paths: wicks with bodies of falling and of rising candles."""
    left = days(candles[:, 0].astype(np.int64))
    width = candle_ms / 86_400_000
    middle, half = left + width / 2, width * 0.34
    rising = candles[:, 4] >= candles[:, 1]
    for chosen, face in ((rising, PAGE), (~rising, MUTED)):
        points: list[tuple[float, float]] = []
        codes: list[np.uint8] = []
        for x, (_, opened, top, bottom, closed) in zip(
            middle[chosen], candles[chosen], strict=True
        ):
            upper, lower = max(opened, closed), min(opened, closed)
            points += [(x, upper), (x, top), (x, lower), (x, bottom)]
            codes += [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO]
            corners = [(x - half, lower), (x + half, lower), (x + half, upper), (x - half, upper)]
            points += [*corners, corners[0]]
            codes += [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
        if points:
            shape = Path(np.array(points), codes)
            axes.add_patch(
                PathPatch(shape, facecolor=face, edgecolor=MUTED, linewidth=0.8, zorder=3)
            )


def _zone(axes: Axes, zone: Zone, example: Example, end: float) -> None:
    """Draw a zone from its anchor to the decision, and faintly on to the end."""
    first, known, last = days([max(zone.anchor, example.candles[0][0]), example.known, int(end)])
    if zone.kind == "pool":
        look = {"color": POOL, "linewidth": 1.5 if zone.swept else 1.0, "zorder": 2.5}
        axes.plot([first, known], [zone.top] * 2, linestyle=(0, (2, 1.5)), **look)  # type: ignore[arg-type]
        return
    colour = GAIN if zone.side > 0 else LOSS
    height = zone.top - zone.bottom
    for x, width, alpha in ((first, known - first, 0.20), (known, last - known, 0.07)):
        axes.add_patch(
            Rectangle(
                (x, zone.bottom),
                width,
                height,
                facecolor=colour,
                alpha=alpha,
                linewidth=0,
                zorder=2,
            )
        )
    for level in (zone.bottom, zone.top):
        line = (0, (1, 1.5)) if zone.kind == "gap" else "solid"
        axes.plot(
            [first, known], [level] * 2, color=colour, linewidth=0.8, linestyle=line, zorder=2
        )


class Spread:
    """Remembers where text stands, in figure units, so that no label covers another."""

    def __init__(self, figure: Figure, axes: Axes, layout: Layout) -> None:
        figure.draw_without_rendering()  # places the axes
        figure.set_layout_engine("none")  # once is enough
        self.axes, self.font = axes, layout.font * 0.86
        self.taken: list[tuple[float, float, float, float]] = []

    def free(self, x: float, y: float, text: str, *, right: bool = False) -> bool:
        """Tell whether *text* fits at data point (x, y); if so, the place is taken."""
        left, middle = self.axes.transData.transform((x, y))
        width = self.font * 0.72 * len(text)
        left -= width if right else 0.0
        box = (left, middle - self.font * 0.7, left + width, middle + self.font * 0.7)
        for other in self.taken:
            if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]:
                return False
        self.taken.append(box)
        return True

    def row(self) -> float:
        """Return the height of a line of text in price."""
        inverse = self.axes.transData.inverted()
        return float(inverse.transform((0, self.font * 1.45))[1] - inverse.transform((0, 0))[1])


def _swings(axes: Axes, example: Example, start: float, spread: Spread) -> None:
    gap = spread.row() * 0.35
    for high, shape in ((True, "v"), (False, "^")):
        chosen = [item for item in example.swings if item.high is high and item.time >= start]
        x = days([item.time + example.bar_ms // 2 for item in chosen])
        y = [item.price + (gap if high else -gap) for item in chosen]
        axes.plot(x, y, shape, color=MUTED, markersize=5.0, markeredgewidth=0, zorder=3.5)


def _decision(axes: Axes, example: Example, layout: Layout, top: float) -> None:
    known = days(example.known)
    axes.axvline(float(known), color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    axes.annotate(
        "known" if layout.narrow else "known at this close",
        (float(known), top),
        xytext=(-4, -2),
        textcoords="offset points",
        ha="right",
        va="top",
        color=MUTED,
        fontsize=small(),
    )


def _levels(example: Example, low: float, high: float) -> list[tuple[str, float, str]]:
    """Return name, price and colour of the trade's levels that lie inside the drawing."""
    found = [("Stop", example.stop, LOSS), ("Target 1", example.target1, GAIN)]
    found += [("Target 2", example.target2, GAIN), ("Entry", example.entry_price, INK)]
    return [(name, value, colour) for name, value, colour in found
            if value is not None and low <= value <= high]  # fmt: skip


def _names(
    example: Example, low: float, high: float, layout: Layout
) -> list[tuple[str, float, str]]:
    """Return what stands at the right-hand side: text, price, colour."""
    names = _levels(example, low, high)
    if not example.cut:
        names.append(("Exit", example.exit_price, OUT))
    if layout.narrow:
        names = [(name.replace("Target ", "T"), value, colour) for name, value, colour in names]
    return [(f"{name} {price(value)}", value, colour) for name, value, colour in names]


def _trade(axes: Axes, example: Example, end: float) -> None:
    """Draw entry, stop, targets and exit."""
    begin = float(days(example.entry_time))
    over = float(days(int(min(example.exit_time + example.bar_ms, end))))
    for _, value, colour in _levels(example, *axes.get_ylim()):
        axes.plot([begin, over], [value] * 2, color=colour, linewidth=1.4, zorder=4)
    look = {"markeredgecolor": PAGE, "markeredgewidth": 0.8, "zorder": 6}
    if not example.cut:
        axes.plot([over], [example.exit_price], "D", color=OUT, markersize=6, **look)  # type: ignore[arg-type]
    shape = "^" if example.side == "long" else "v"
    axes.plot([begin], [example.entry_price], shape, color=INK, markersize=8, **look)  # type: ignore[arg-type]


def _names_at_right(
    axes: Axes, names: list[tuple[str, float, str]], end: float, spread: Spread
) -> None:
    """Write names beside their prices, pushed apart where they would overlap."""
    names = sorted(names, key=lambda item: item[1])
    row = spread.row()
    places = push_apart([value for _, value, _ in names], row, axes.get_ylim())
    x = float(days(int(end)))
    for (text, _, colour), y in zip(names, places, strict=True):
        axes.annotate(
            text,
            (x, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=small(),
        )


def push_apart(values: list[float], least: float, limits: tuple[float, float]) -> list[float]:
    """Return rising *values* at least *least* apart, as near as possible to where they were."""
    places = list(values)
    for _ in range(50):
        moved = False
        for i in range(len(places) - 1):
            lack = least - (places[i + 1] - places[i])
            if lack > least * 1e-6:
                places[i] -= lack / 2
                places[i + 1] += lack / 2
                moved = True
        if not moved:
            break
    low, high = limits[0] + least / 2, limits[1] - least / 2
    for i, place in enumerate(places):
        places[i] = max(place, low if i == 0 else places[i - 1] + least)
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], high if i == len(places) - 1 else places[i + 1] - least)
    return places


def _zone_names(axes: Axes, example: Example, start: float, spread: Spread) -> None:
    """Write each zone's short name at its left end, where there is room."""
    low, high = axes.get_ylim()
    for zone in example.zones:
        x = float(days(int(max(zone.anchor, start))))
        name = SHORT_NAMES[zone.kind] + (" swept" if zone.swept else "")
        colour = POOL if zone.kind == "pool" else GAIN if zone.side > 0 else LOSS
        y = zone.top + spread.row() * 0.45
        if low < y < high and spread.free(x, y, name):
            axes.text(x, y, name, color=colour, fontsize=small(), va="center", zorder=5, gid="halo")


def confidence(layout: Layout, factors: tuple[Factor, ...]) -> Figure:
    """Draw what each factor gave, in points, within the most it can give."""
    figure = new_figure(layout, 26 + 21 * max(len(factors), 1))
    axes = figure.subplots()
    place = np.arange(len(factors))[::-1]
    axes.barh(place, [item.most for item in factors], height=0.56, facecolor="none",
              edgecolor=MUTED, linewidth=0.7)  # fmt: skip
    axes.barh(place, [item.points for item in factors], height=0.56, color=OUT, linewidth=0)
    for y, item in zip(place, factors, strict=True):
        text = f"{number(item.points, 1).removesuffix('.0')} of {number(item.most, 0)}"
        axes.annotate(
            text,
            (max(item.most, item.points), y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=small(),
        )
    axes.set_yticks(place, [item.name for item in factors])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlim(0, max((item.most for item in factors), default=1.0) * 1.35)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return figure
