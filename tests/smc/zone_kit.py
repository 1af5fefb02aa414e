"""What the tests of zones share: small exact markets, stories of zones, the mirror."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from smc_markets import mirrored, table

from ftbt.data.candles import Bars
from ftbt.data.timeframe import HOUR_MS, parse_time, to_ms
from ftbt.smc.base import Concept, Records, event_rows
from ftbt.smc.ledger import KIND_NAMES, zones

CENTRE = 2000.0
Row = tuple[float, float, float, float]


def side_of(rows: list[Row], side: int) -> Bars:
    """The hand-made bars as they are, or upside down."""
    bars = table(rows)
    return bars if side > 0 else mirrored(bars, CENTRE)


def flipped_price(price: float, side: int) -> float:
    """What a price of the hand-made bars has become in `side_of`."""
    return price if side > 0 else CENTRE - price


def told(concept: Concept, bars: Bars, values: Mapping[str, Any]) -> list[str]:
    """Each zone's story as one line, such as `3 created, 5 touched`."""
    return [
        ", ".join(f"{bar} {name}" for bar, name in zone.story)
        for zone in zones(concept, bars, values)
    ]


def ledger(concept: Concept, bars: Bars, values: Mapping[str, Any]) -> Records:
    """All events of a concept."""
    return event_rows(concept, bars, values)


def names_of(rows: Records) -> list[str]:
    """The kinds of events as words."""
    return [KIND_NAMES[kind] for kind in rows["kind"]]


def lows(*prices: float, close: float = 1010) -> list[Row]:
    """Bars that differ in their lows only, so that no high among them is a swing."""
    return [(close, close + 2, price, close) for price in prices]


def hours(rows: list[Row], start: str) -> Bars:
    """Hand-made bars of one hour from an instant on."""
    bars = table(rows)
    bars["time"] = to_ms(parse_time(start)) + HOUR_MS * np.arange(len(rows))
    return bars


@st.composite
def walks(draw: st.DrawFn, longest: int = 120) -> Bars:
    """Bars on a grid of quarters around 1000, with gaps, wicks, plateaus and sharp turns."""
    moves = draw(
        st.lists(
            st.tuples(st.integers(-3, 3), st.integers(-6, 6), st.integers(0, 4), st.integers(0, 4)),
            min_size=3,
            max_size=longest,
        )
    )
    rows, close = [], 4000
    for gap, body, above, below in moves:
        opened = close + (gap if abs(gap) == 3 else 0)
        close = opened + body
        top, bottom = max(opened, close) + above, min(opened, close) - below
        rows.append((opened / 4, top / 4, bottom / 4, close / 4))
    return table(rows)


def seeded_walk(seed: int, n: int) -> Bars:
    """A longer walk on the same grid, with clustered volatility."""
    rng = np.random.default_rng(seed)
    size = np.repeat(rng.choice([2.0, 5.0, 12.0], n // 20 + 1), 20)[:n]
    close = 4000 + np.cumsum(np.round(size * rng.standard_normal(n)))
    opened = np.concatenate([[4000.0], close[:-1]]) + np.where(
        rng.random(n) < 0.1, rng.integers(-9, 10, n), 0
    )
    high = np.maximum(opened, close) + rng.integers(0, 6, n)
    low = np.minimum(opened, close) - rng.integers(0, 6, n)
    return table([tuple(row) for row in np.column_stack([opened, high, low, close]) / 4])


_TWINS = (("bull", "bear"), ("above", "below"), ("top", "bottom"))
_PRICES = ("_top", "_bottom", "_mid", "_level", "_extreme")


def _twin(name: str) -> str:
    for one, other in _TWINS:
        if one in name:
            name = name.replace(one, other)
        elif other in name:
            name = name.replace(other, one)
    if name.startswith("low_"):
        return "high_" + name.removeprefix("low_")
    return "low_" + name.removeprefix("high_") if name.startswith("high_") else name


def in_the_mirror(concept: Concept, out: Records) -> dict[str, np.ndarray]:
    """What the lines of the mirrored market must be, from those of the market itself."""
    expected = {}
    for name in concept.lines:
        values = out[_twin(name)]
        if name.endswith(_PRICES) or name in ("above", "below"):
            values = CENTRE - values
        elif name in concept.events and not name.startswith(("low_", "high_")):
            values = -values
        expected[name] = values
    return expected


def must_mirror(concept: Concept, bars: Bars, values: Mapping[str, Any]) -> None:
    """Every line of the mirrored market is the mirror image of that line."""
    expected = in_the_mirror(concept, concept.compute(bars, values))
    got = concept.compute(mirrored(bars, CENTRE), values)
    for name, column in expected.items():
        np.testing.assert_array_equal(got[name], column, err_msg=name)
