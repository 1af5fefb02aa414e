"""Swings against a naive second route, on ties, in the mirror and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smc_markets import fat_tails, market, mirrored, names, on_grid, plateaus, table

from ftbt.data.candles import Bars
from ftbt.errors import ParameterError
from ftbt.smc.swings import SWINGS


def naive_swings(values: np.ndarray, left: int, right: int, ties: str) -> list[int]:
    """Positions of all swing highs, straight from the definition."""
    found = []
    for p in range(left, len(values) - right):
        before, after = values[p - left : p], values[p + 1 : p + 1 + right]
        below = max(before.max(), after.max()) > values[p]
        tie_before, tie_after = before.max() == values[p], after.max() == values[p]
        refused = {"first": tie_before, "strict": tie_before or tie_after, "all": False}
        if not below and not refused[ties]:
            found.append(p)
    return found


@pytest.mark.parametrize("ties", ["first", "strict", "all"])
@pytest.mark.parametrize(("left", "right"), [(5, 5), (1, 1), (3, 8), (8, 2), (50, 50), (60, 60)])
@pytest.mark.parametrize("place", names())
def test_swings_are_those_of_the_definition(place: str, left: int, right: int, ties: str) -> None:
    """Every swing high and low of the definition is known exactly `right` bars after its bar."""
    bars = market(place)
    out = SWINGS.compute(bars, {"left": left, "right": right, "ties": ties})
    for side, values in (("high", bars["high"]), ("low", -bars["low"])):
        known = np.flatnonzero(out[f"{side}_event"])
        expected = naive_swings(values, left, right, ties)
        np.testing.assert_array_equal(known - right, expected)
        np.testing.assert_array_equal(out[f"{side}_origin"][known], right)
        np.testing.assert_array_equal(out[side][known], bars[side][known - right])


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.sampled_from([-2, -1, 0, 0, 1, 2]), min_size=1, max_size=120),
    left=st.integers(1, 7),
    right=st.integers(1, 7),
    ties=st.sampled_from(["first", "strict", "all"]),
)
def test_swings_of_any_series_with_ties(steps: list[int], left: int, right: int, ties: str) -> None:
    """On short series full of equal prices the swings are those of the definition."""
    close = 100.0 + np.cumsum(steps)
    bars = table([(c, c + 0.5, c - 0.5, c) for c in close])
    out = SWINGS.compute(bars, {"left": left, "right": right, "ties": ties})
    for side, values in (("high", bars["high"]), ("low", -bars["low"])):
        known = np.flatnonzero(out[f"{side}_event"])
        np.testing.assert_array_equal(known - right, naive_swings(values, left, right, ties))


def _line(*highs: float) -> Bars:
    return table([(h - 0.5, h, h - 1.0, h - 0.5) for h in highs])


def test_the_first_bar_of_a_plateau_is_the_swing() -> None:
    """With ties="first" equal highs make one swing, at the first; "strict" none, "all" each."""
    bars = _line(1, 2, 5, 5, 5, 2, 1, 0)
    first = SWINGS.compute(bars, {"left": 2, "right": 2})
    assert np.flatnonzero(first["high_event"]).tolist() == [4]
    assert first["high_origin"].tolist()[4:] == [2, 3, 4, 5]
    strict = SWINGS.compute(bars, {"left": 2, "right": 2, "ties": "strict"})
    assert not strict["high_event"].any()
    every = SWINGS.compute(bars, {"left": 2, "right": 2, "ties": "all"})
    assert np.flatnonzero(every["high_event"]).tolist() == [4, 5, 6]


def test_labels_compare_with_the_swing_before() -> None:
    """A higher, a lower and an equal swing high are labelled +1, -1 and 0; the first is 0."""
    bars = _line(1, 5, 1, 6, 1, 4, 1, 4, 1)
    out = SWINGS.compute(bars, {"left": 1, "right": 1})
    at = np.flatnonzero(out["high_event"])
    assert out["high"][at].tolist() == [5, 6, 4, 4]
    assert out["high_label"][at].tolist() == [0, 1, -1, 0]
    assert out["low_label"][np.flatnonzero(out["low_event"])].tolist() == [0, 0, 0]


def test_nothing_is_known_before_the_first_swing() -> None:
    """Prices and origins are NaN and events 0 until a swing has its bars on both sides."""
    out = SWINGS.compute(fat_tails(10), {"left": 5, "right": 5})
    for name in ("high", "low", "high_origin", "low_origin"):
        assert np.isnan(out[name]).all()
    assert not out["high_event"].any()
    assert not out["low_event"].any()


@pytest.mark.parametrize("bars", [on_grid(fat_tails()), plateaus()], ids=["fat_tails", "plateaus"])
def test_the_mirrored_market_has_mirrored_swings(bars: Bars) -> None:
    """Upside down, highs and lows change places and labels change sign."""
    centre = 65_536.0
    out, mirror = SWINGS.compute(bars), SWINGS.compute(mirrored(bars, centre))
    for name in ("event", "origin"):
        np.testing.assert_array_equal(out[f"high_{name}"], mirror[f"low_{name}"])
        np.testing.assert_array_equal(out[f"low_{name}"], mirror[f"high_{name}"])
    np.testing.assert_array_equal(out["high"], centre - mirror["low"])
    np.testing.assert_array_equal(out["high_label"], -mirror["low_label"])
    np.testing.assert_array_equal(out["low_label"], -mirror["high_label"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"left": 0}, "swings: left must be a whole number from 1 to 60, not 0"),
        ({"rigth": 3}, "swings has no parameter 'rigth' - did you mean 'right'?"),
        ({"ties": "last"}, "swings: ties must be one of 'first', 'strict', 'all', not 'last'"),
    ],
)
def test_wrong_parameters_are_one_clear_line(values: dict[str, object], message: str) -> None:
    """A value out of range, an unknown name and an unknown word each say what to do."""
    with pytest.raises(ParameterError) as caught:
        SWINGS.compute(fat_tails(20), values)
    assert str(caught.value).startswith(message)
