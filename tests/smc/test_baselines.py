"""True range, its averages and the volume baseline against straightforward recomputations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smc_markets import fat_tails, market, names, table, times

from ftbt.data.candles import Bars, make_bars
from ftbt.smc.baselines import ATR, VOLUME


def true_ranges(bars: Bars) -> np.ndarray:
    """The largest of the three distances of Wilder's definition; high - low at the first bar."""
    before = np.concatenate([bars["close"][:1], bars["close"][:-1]])
    distances = np.stack(
        [bars["high"] - bars["low"], abs(bars["high"] - before), abs(bars["low"] - before)]
    )
    first = bars["high"][0] - bars["low"][0]
    return np.concatenate([[first], distances.max(axis=0)[1:]])


def wilder(values: np.ndarray, length: int) -> np.ndarray:
    """Wilder's smoothing, written down as in the book."""
    out = np.full(len(values), np.nan)
    if len(values) >= length:
        out[length - 1] = values[:length].mean()
        for i in range(length, len(values)):
            out[i] = out[i - 1] + (values[i] - out[i - 1]) / length
    return out


@pytest.mark.parametrize("length", [1, 2, 14, 200, 512])
@pytest.mark.parametrize("place", names())
def test_average_true_range_is_wilders(place: str, length: int) -> None:
    """The line is the smoothed true range, NaN until `length` bars are there."""
    bars = market(place)
    out = ATR.compute(bars, {"length": length})
    np.testing.assert_allclose(out["true_range"], true_ranges(bars), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(out["atr"], wilder(true_ranges(bars), length), rtol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 14, 200, 512])
@pytest.mark.parametrize("place", names())
def test_simple_average_true_range_is_a_plain_mean(place: str, length: int) -> None:
    """method="simple" is the mean of the last `length` true ranges, without drift."""
    bars = market(place)
    out = ATR.compute(bars, {"length": length, "method": "simple"})
    expected = pd.Series(true_ranges(bars)).rolling(length).apply(np.mean, raw=True)
    np.testing.assert_allclose(out["atr"], expected, rtol=1e-9, atol=1e-9)


def test_a_gap_between_bars_is_part_of_the_true_range() -> None:
    """A bar wholly above the last close ranges from that close to its high."""
    out = ATR.compute(table([(10, 11, 9, 10), (20, 21, 19, 20), (20, 20, 12, 13)]), {"length": 2})
    assert out["true_range"].tolist() == [2, 11, 8]
    assert out["atr"].tolist()[1:] == [6.5, 7.25]


@settings(deadline=None, max_examples=50)
@given(
    volumes=st.lists(st.integers(0, 1000), min_size=1, max_size=80),
    length=st.integers(1, 30),
    spike=st.floats(1.0, 5.0),
)
def test_volume_is_judged_by_the_bars_before_it(
    volumes: list[int], length: int, spike: float
) -> None:
    """Mean, ratio and spike are those of a table of rolling means; a dead market has no ratio."""
    n = len(volumes)
    flat = np.full(n, 10.0)
    bars = make_bars(times(n), flat, flat, flat, flat, volumes)
    out = VOLUME.compute(bars, {"length": length, "spike": spike})
    mean = np.array(
        [np.mean(volumes[i - length + 1 : i + 1]) if i >= length - 1 else np.nan for i in range(n)]
    )
    before = np.concatenate([[np.nan], mean[:-1]])
    ratio = np.array(
        [v / m if m > 0 else np.nan for v, m in zip(volumes, before, strict=True)], float
    )
    np.testing.assert_allclose(out["mean"], mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(out["ratio"], ratio, rtol=1e-12)
    near = np.isclose(ratio, spike, rtol=1e-9)
    np.testing.assert_array_equal(out["spike"][~near] == 1, (ratio >= spike)[~near])


def test_rounding_errors_do_not_pile_up() -> None:
    """After 100,000 bars of very different sizes the plain mean is still exact to 12 digits."""
    bars = fat_tails(100_000)
    bars["volume"][::977] *= 1e12
    out = VOLUME.compute(bars, {"length": 20})
    tail = bars["volume"][-20:]
    assert out["mean"][-1] == pytest.approx(tail.mean(), rel=1e-12)
