"""The drawings: nothing is lost by thinning, nothing collides, colours follow the page."""

from __future__ import annotations

import re
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ftbt.report.figures import curves, distributions, windows
from ftbt.report.figures.candles import push_apart
from ftbt.report.figures.common import thin, time_ticks
from ftbt.report.figures.curves import Curve, Mark
from ftbt.report.figures.distributions import bins_of
from ftbt.report.figures.windows import Track
from ftbt.report.svg import styled, to_svg
from ftbt.report.theme import LAYOUTS, PALETTE, WIDE, Layout

FLOATS = st.floats(-1e6, 1e6, allow_nan=False)


def svg_of(draw: object, layout: Layout = WIDE, prefix: str = "x") -> str:
    """Return what a drawing becomes in the page."""
    with mpl.rc_context(styled(layout)):
        figure = draw(layout)  # type: ignore[operator]
    return to_svg(figure, prefix, layout, 'a "title" <b>')


def line(count: int = 3000) -> Curve:
    """Return a random walk of equity."""
    steps = np.random.default_rng(1).normal(0, 0.003, count)
    time = 1_700_000_000_000 + 900_000 * np.arange(count)
    return Curve("Out-of-sample", time, 10_000 * np.exp(np.cumsum(steps)), "out")


def equity(layout: Layout) -> object:
    """Draw an equity curve with two windows."""
    curve = line()
    middle = int(curve.time[1500])
    marks = [Mark("0", int(curve.time[0]), middle), Mark("1", middle, int(curve.time[-1]), True)]
    return curves.equity(layout, [curve], [curve], marks, 10_000.0)


@given(arrays(np.float64, st.integers(1, 4000), elements=FLOATS), st.integers(2, 60))
@settings(deadline=None, max_examples=60)
def test_thinning_keeps_every_extreme(values: np.ndarray, columns: int) -> None:
    """First, last, highest and lowest value survive; the rest keeps its order."""
    kept = thin(values, columns)

    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(4 * columns + 1, 4 * columns)


def test_thinning_keeps_a_break() -> None:
    """A NaN in the middle of many values still breaks the line."""
    values = np.ones(10_000)
    values[5_000] = np.nan

    assert np.isnan(values[thin(values, 100)]).sum() == 1


@given(arrays(np.float64, st.integers(1, 300), elements=FLOATS))
@settings(deadline=None, max_examples=80)
def test_a_histogram_counts_each_value_once(values: np.ndarray) -> None:
    """All values are in a bin, bins are even, and zero is an edge when values straddle it."""
    bins = bins_of(values)

    assert bins.counts.sum() == len(values)
    assert len(bins.counts) <= 45
    assert np.allclose(np.diff(bins.edges), bins.edges[1] - bins.edges[0])
    if bins.edges[0] < 0 < bins.edges[-1]:
        assert np.abs(bins.edges).min() == 0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5), st.floats(0.5, 15), st.floats(0.5, 40))
@settings(deadline=None)
def test_names_beside_prices_never_overlap(values: list[float], least: float, more: float) -> None:
    """Pushed apart, they keep their order and a line's distance, inside of the drawing."""
    limits = (0.0, max(100.0, least * len(values)) + more)
    places = push_apart(sorted(values), least, limits)

    assert all(b - a >= least * 0.999 for a, b in pairwise(places))
    assert places[0] >= limits[0] - 1e-6
    assert places[-1] <= limits[1] + 1e-6


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_drawing_becomes_clean_inline_svg(layout: Layout) -> None:
    """No document head, no style for the whole page, no address, no fixed colour or size."""
    text = svg_of(equity, layout)

    assert text.startswith(f'<svg class="chart {layout.name}" viewBox="0 0 {layout.width:g} ')
    assert text.endswith("</svg>")
    assert 'aria-label="a &quot;title&quot; &lt;b&gt;"' in text
    for unwanted in ("<?xml", "<!DOCTYPE", "<metadata", "<style", "http", "xlink", "DejaVu"):
        assert unwanted not in text
    colours = {colour.lower() for colour in re.findall(r"#[0-9a-fA-F]{6}\b", text)}
    assert colours == set(), "every colour is a variable of the page"
    assert "var(--out)" in text


def test_two_drawings_share_no_id() -> None:
    """Clip paths of one figure can't cut another; every reference is answered inside."""
    first, second = svg_of(equity, prefix="one"), svg_of(equity, prefix="two")

    for text, prefix in ((first, "one"), (second, "two")):
        ids = re.findall(r' id="([^"]*)"', text)
        used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)
        assert ids
        assert len(ids) == len(set(ids))
        assert all(name.startswith(f"{prefix}-") for name in ids)
        assert {a or b for a, b in used} == set(ids)


def test_a_drawing_is_the_same_each_time() -> None:
    """No date, no random id: equal input gives equal text."""
    assert svg_of(equity) == svg_of(equity)


def test_every_colour_differs_from_every_other() -> None:
    """A light colour is the key to its variable, so none may occur twice."""
    light = [shade.light for shade in PALETTE.values()]
    assert len(set(light)) == len(light)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("name", ["ink", "muted", "out", "hold", "gain", "loss", "pool"])
@pytest.mark.parametrize("ground", ["page", "panel"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_colours_are_readable(name: str, ground: str, theme: str) -> None:
    """Contrast of text on its ground is at least 4.5 to 1 (WCAG 2.1 AA), light and dark."""
    one, other = (_luminance(getattr(PALETTE[item], theme)) for item in (name, ground))
    assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5


def test_equity_is_drawn_on_a_log_axis_when_it_multiplies_only() -> None:
    """Four times and more is logarithmic; ruin and small changes are not."""
    time = np.arange(3)
    rising = Curve("a", time, np.array([10.0, 20.0, 50.0]), "out")
    flat = Curve("a", time, np.array([10.0, 11.0, 12.0]), "out")
    ruin = Curve("a", time, np.array([10.0, 5.0, 0.0]), "out")

    assert curves.wants_log([rising], 10.0)
    assert not curves.wants_log([flat], 10.0)
    assert not curves.wants_log([ruin], 10.0)
    assert not curves.wants_log([], 10.0)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_empty_drawings_say_so(layout: Layout) -> None:
    """Nothing to draw is written in words, not an empty frame or an error."""
    none = np.zeros(0)
    drawings = (
        lambda one: curves.equity(one, [], [], [], 1.0),
        lambda one: distributions.histogram(one, None, "R"),
        lambda one: distributions.excursions(one, none, none, none.astype(bool)),
        lambda one: distributions.counts_by_name(one, [], [], []),
        lambda one: windows.pairs(one, [], none, none, "x", str),
        lambda one: windows.drift(one, [], []),
    )
    for draw in drawings:
        assert re.search(r">no \w+", svg_of(draw, layout))


def test_drift_of_words_and_failed_windows() -> None:
    """Words are steps of their own; a window without a choice leaves a gap."""
    tracks = [
        Track("bias", ["slow", None, "none"], words=("none", "fast", "slow")),
        Track("swing", [5, None, 7], 3.0, 12.0),
        Track("off", [None, None, None], 0.0, 1.0),
    ]
    text = svg_of(lambda layout: windows.drift(layout, ["0", "1", "2"], tracks))

    for word in ("none", "fast", "slow", "swing", "12"):
        assert f">{word}<" in text
    assert "nan" not in text.lower()


@given(
    st.integers(0, 4 * 10**12), st.integers(3_600_000, 12 * 365 * 86_400_000), st.integers(4, 12)
)
@settings(deadline=None, max_examples=150)
def test_times_are_ticked_evenly(start: int, length: int, most: int) -> None:
    """Ticks rise inside of the span, are neither too many nor too few, and are named apart."""
    ticks = time_ticks(start, start + length, most)
    times = [at for at, _ in ticks]

    assert 1 <= len(times) <= most
    assert times == sorted(set(times))
    assert start <= times[0]
    assert times[-1] <= start + length
    if len(times) > 2:
        gaps = np.diff(times)
        assert gaps.max() <= 2.2 * gaps.min()


def test_ticks_say_what_changes() -> None:
    """Hours within a day, days within a month, months within a year."""
    day, year = 86_400_000, 1_704_067_200_000  # 2024-01-01

    assert [label for _, label in time_ticks(year, year + day, 5)] == [
        "Jan 01", "06:00", "12:00", "18:00", "Jan 02",
    ]  # fmt: skip
    assert [label for _, label in time_ticks(year, year + 28 * day, 6)] == [
        "Jan 01", "Jan 06", "Jan 11", "Jan 16", "Jan 21", "Jan 26",
    ]  # fmt: skip
    assert [label for _, label in time_ticks(year, year + 366 * day, 5)] == [
        "2024", "Apr", "Jul", "Oct", "2025",
    ]  # fmt: skip
