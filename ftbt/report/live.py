"""The values behind the equity and price charts, for the script that zooms and reads them out.

A chart is plain JSON in an attribute of its figure; the frames say where in each drawing which
values lie, so that the script needs no knowledge of matplotlib. Without the script the drawings
stand as they are.

    chart   {"kind": "lines", "panels": [{"unit": "money" | "percent", "lines": [
                {"name", "role", "t": minutes since 1970, each but the first less the one before,
                 "v": values, null breaks the line}]}]}
            {"kind": "candles", "minutes": length, "bars": [[t, open, high, low, close]],
             "zones": [[role, from, known, bottom, top]], "levels": [[name, role, price, from, to]]}
    frames  per panel [left, right, top, bottom, first ms, last ms, lowest, highest, log]: the first
            four in units of the drawing
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ftbt.data.timeframe import DAY_MS, MINUTE_MS
from ftbt.report.figures.common import thin
from ftbt.report.figures.curves import Curve
from ftbt.report.seen import Example

COLUMNS = 800  # of which each keeps its first, lowest, highest and last value
_DECIMALS = {"money": 2, "percent": 5}


def lines(panels: Sequence[tuple[str, Sequence[Curve]]]) -> Mapping[str, Any]:
    """Return the chart of curves over time.

    Args:
        panels: from top to bottom: unit `money` or `percent` (fractions), and its curves.
    """
    return {
        "kind": "lines",
        "panels": [
            {"unit": unit, "lines": [_line(curve, _DECIMALS[unit]) for curve in curves]}
            for unit, curves in panels
        ],
    }


def _line(curve: Curve, decimals: int) -> dict[str, Any]:
    kept = thin(curve.value, COLUMNS)
    minutes = curve.time[kept] // MINUTE_MS
    values = [None if np.isnan(v) else _short(float(v), decimals) for v in curve.value[kept]]
    return {
        "name": curve.label,
        "role": curve.role,
        "t": np.diff(minutes, prepend=0).tolist(),
        "v": values,
    }


def _short(value: float, decimals: int) -> float | int:
    """Return *value* without digits that nobody sees; whole numbers without a point."""
    rounded = round(value, 0 if decimals == 2 and abs(value) >= 1000 else decimals)
    return int(rounded) if rounded == int(rounded) else rounded


def candles(example: Example) -> Mapping[str, Any]:
    """Return the chart of an example trade."""
    end = max(example.exit_time + example.bar_ms, example.candles[-1][0] + example.candle_ms)
    named = (
        ("Entry", "ink", example.entry_price),
        ("Stop", "loss", example.stop),
        ("Target 1", "gain", example.target1),
        ("Target 2", "gain", example.target2),
        ("Exit", "out", None if example.cut else example.exit_price),
    )
    return {
        "kind": "candles",
        "minutes": example.candle_ms // MINUTE_MS,
        "bars": [[row[0] // MINUTE_MS, *map(_price, row[1:])] for row in example.candles],
        "zones": [
            [
                "pool" if zone.kind == "pool" else "gain" if zone.side > 0 else "loss",
                zone.anchor // MINUTE_MS,
                example.known // MINUTE_MS,
                _price(zone.bottom),
                _price(zone.top),
            ]
            for zone in example.zones
        ],
        "levels": [
            [
                name,
                role,
                _price(value),
                (example.exit_time if name == "Exit" else example.entry_time) // MINUTE_MS,
                end // MINUTE_MS,
            ]
            for name, role, value in named
            if value is not None
        ],
    }


def _price(value: float) -> float:
    return float(f"{value:.8g}")


def frames(figure: Figure) -> list[list[float | bool]]:
    """Return where the panels of a drawn *figure* lie and which values their edges stand for."""
    width, height = (72.0 * side for side in figure.get_size_inches())
    found: list[list[float | bool]] = []
    for axes in figure.axes:
        if not axes.axison:
            continue
        box = axes.get_position()
        first, last = (round(edge * DAY_MS) for edge in axes.get_xlim())
        low, high = (float(edge) for edge in axes.get_ylim())
        edges = (box.x0 * width, box.x1 * width, (1 - box.y1) * height, (1 - box.y0) * height)
        placed = [round(edge, 1) for edge in edges]
        found.append([*placed, first, last, low, high, axes.get_yscale() == "log"])
    return found


def with_frames(svg: str, figure: Figure) -> str:
    """Return the drawing *svg* of *figure* with its frames as an attribute."""
    text = escape(json.dumps(frames(figure), separators=(",", ":")), quote=True)
    return svg.replace("<svg ", f'<svg data-frames="{text}" ', 1)
