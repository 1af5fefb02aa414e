"""Market structure on hand-made bars, against a slow second route, and in the mirror."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from smc_markets import fat_tails, market, mirrored, names, on_grid, plateaus, table, trending

from ftbt.data.candles import Bars
from ftbt.smc import Structure, internal_structure, swing_structure
from ftbt.smc.structure import STRUCTURE

ONE = {"left": 1, "right": 1}


def path(*closes: float, wick: float = 0.0) -> Bars:
    """Bars that open at the last close; highs and lows `wick` beyond the body."""
    opened = (closes[0], *closes[:-1])
    return table(
        [(o, max(o, c) + wick, min(o, c) - wick, c) for o, c in zip(opened, closes, strict=True)]
    )


def events(out: Any) -> list[tuple[int, str, int]]:
    """(bar, event, direction) of all breaks."""
    return sorted(
        (int(i), name, int(out[name][i]))
        for name in ("bos", "choch")
        for i in np.flatnonzero(out[name])
    )


#        bar      0   1   2   3   4   5   6   7   8   9  10  11  12  13  14
UP_AND_DOWN = (10, 12, 11, 13, 15, 13, 16, 18, 15, 17, 14, 16, 12, 13, 10)


def test_breaks_come_at_the_bar_that_closes_beyond() -> None:
    """A first break and a continuation are BOS, the break of the pullback low is a CHoCH."""
    out = STRUCTURE.compute(path(*UP_AND_DOWN), ONE)
    # Swing highs 12 (bar 1), 15 (bar 4), 18 (bar 7); swing lows 11 (bar 2), 13 (bar 5),
    # 15 (bar 8), 14 (bar 10), 12 (bar 12). Each is known one bar later.
    assert events(out) == [
        (3, "bos", 1),  # over 12
        (6, "bos", 1),  # over 15
        (10, "choch", -1),  # under 15
        (12, "bos", -1),  # under 14
        (14, "bos", -1),  # under 12
    ]
    assert out["break_level"][[3, 6, 10, 12, 14]].tolist() == [12, 15, 15, 14, 12]
    assert out["break_origin"][[3, 6, 10, 12, 14]].tolist() == [2, 2, 2, 2, 2]
    assert out["trend"].tolist() == [0] * 3 + [1] * 7 + [-1] * 5


def test_strong_and_weak_levels_follow_the_trend() -> None:
    """Up: the low that made the break is strong, the highest high since is weak; down mirrored."""
    out = STRUCTURE.compute(path(*UP_AND_DOWN), ONE)
    assert np.isnan(out["strong"][:3]).all()
    assert out["strong"].tolist()[3:] == [11, 11, 11, 13, 13, 13, 13, 17, 17, 16, 16, 13]
    assert out["weak"].tolist()[3:] == [13, 15, 15, 16, 18, 18, 18, 14, 14, 12, 12, 10]
    assert out["strong_origin"][[3, 6, 10]].tolist() == [1, 1, 1]
    assert out["weak_origin"][[3, 4, 5, 6, 7, 8, 9]].tolist() == [0, 0, 1, 0, 0, 1, 2]


def test_a_swing_is_broken_once() -> None:
    """After a break the level is gone until the next swing is confirmed."""
    out = STRUCTURE.compute(path(10, 12, 11, 13, 14, 15, 16), ONE)
    assert events(out) == [(3, "bos", 1)]
    assert out["high"][2] == 12
    assert np.isnan(out["high"][3:]).all()
    assert np.isnan(out["high_origin"][3:]).all()


def test_a_break_under_the_level_by_a_wick_counts_only_in_wick_mode() -> None:
    """High 12 is exceeded by a wick at bar 3, a close at bar 4, a whole body at bar 5."""
    bars = path(10, 12, 11, 11.5, 12.5, 13)
    bars["high"][3] = 12.25
    for mode, bar in (("wick", 3), ("close", 4), ("body", 5)):
        out = STRUCTURE.compute(bars, {**ONE, "break_mode": mode})
        assert events(out) == [(bar, "bos", 1)], mode


@pytest.mark.parametrize(
    ("values", "bar"),
    [
        ({"penetration": 0.0}, 3),
        ({"penetration": 0.02, "penetration_unit": "price"}, 3),  # 12 + 0.24 < 12.5
        ({"penetration": 0.05, "penetration_unit": "price"}, 4),  # 12 + 0.60 < 14
        # True ranges 0, 2, 1, 1.5, 1.5: ATR(2) is 1.25 at bar 3 and 1.375 at bar 4.
        ({"penetration": 0.3, "atr_length": 2}, 3),
        ({"penetration": 0.5, "atr_length": 2}, 4),
        ({"penetration": 1.5, "atr_length": 2}, None),
        ({"penetration": 0.1, "atr_length": 14}, None),  # the ATR is not known yet
    ],
)
def test_penetration_asks_for_more_than_a_touch(values: dict[str, Any], bar: int | None) -> None:
    """The close must lie beyond the level by ATRs, or by a fraction of the level's price."""
    out = STRUCTURE.compute(path(10, 12, 11, 12.5, 14), {**ONE, **values})
    assert events(out) == ([] if bar is None else [(bar, "bos", 1)])


def test_a_break_with_displacement_waits_for_a_large_body() -> None:
    """The level stays until a bar with a body of enough ATRs in its direction closes beyond."""
    bars = path(10, 12, 11, 12.1, 12.2, 12.15, 15)
    values = {**ONE, "atr_length": 2, "break_displacement": 1.2}
    out = STRUCTURE.compute(bars, values)
    assert events(out) == [(6, "bos", 1)]
    assert out["high"][5] == 12.2  # the newer swing has taken the place of 12
    assert events(STRUCTURE.compute(bars, ONE)) == [(3, "bos", 1), (6, "bos", 1)]


def test_only_the_protected_low_turns_the_trend_when_asked() -> None:
    """With choch_level="protected" minor lows are spent silently, the strong low turns the trend.

    The strong low is 11, below the break of 12 at bar 3. The swing low 14 (bar 6) is lost at bar 8
    without an event; at bar 9 the close is under 11.
    """
    bars = path(10, 12, 11, 13, 16, 15, 14, 15, 13, 10, 9)
    last = STRUCTURE.compute(bars, ONE)
    assert events(last) == [(3, "bos", 1), (8, "choch", -1)]
    out = STRUCTURE.compute(bars, {**ONE, "choch_level": "protected"})
    assert events(out) == [(3, "bos", 1), (9, "choch", -1)]
    assert out["low"][7] == 14
    assert np.isnan(out["low"][8])
    assert (out["break_level"][9], out["break_origin"][9]) == (11, 7)
    assert (out["strong"][9], out["strong_origin"][9]) == (16, 5)  # the old trend's weak high
    assert (out["weak"][9], out["weak"][10]) == (10, 9)


def test_a_bar_beyond_both_sides_counts_for_the_side_of_its_body() -> None:
    """In wick mode an outside bar breaks upward when it closes up, downward when it closes down."""
    rows = [(10, 10, 10, 10), (10, 12, 10, 12), (12, 12, 9, 9), (9, 11, 9, 11), (11, 11, 10, 10.5)]
    for close, expected in ((11.0, 1), (10.0, -1)):
        bars = table([*rows, (10.5, 13.0, 8.0, close)])
        out = STRUCTURE.compute(bars, {**ONE, "break_mode": "wick"})
        assert events(out) == [(5, "bos", expected)]
        other = "low" if expected > 0 else "high"
        assert not np.isnan(out[other][5])  # the level on the other side stays
    doji = STRUCTURE.compute(table([*rows, (10.5, 13, 8, 10.5)]), {**ONE, "break_mode": "wick"})
    assert events(doji) == []


def slow_structure(bars: Bars, left: int, right: int) -> list[tuple[int, int, float, int]]:
    """(bar, direction, level, trend before) by looking back over all bars at every bar."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    trend, found, used = 0, [], set()
    for t in range(len(bars)):
        levels = {}
        for sign, values in ((1, high), (-1, -low)):
            for p in range(t - right, left - 1, -1):
                around = values[p - left : p].max(), values[p + 1 : p + right + 1].max()
                if values[p] > around[0] and values[p] >= around[1]:
                    levels[sign] = (p, values[p])
                    break
        for sign, (p, level) in levels.items():
            if (sign, p) not in used and sign * close[t] > level:
                used.add((sign, p))
                found.append((t, sign, sign * level, trend))
                trend = sign
    return found


@pytest.mark.parametrize(("left", "right"), [(5, 5), (2, 3)])
@pytest.mark.parametrize("place", names())
def test_breaks_are_those_of_a_slow_search(place: str, left: int, right: int) -> None:
    """Searching the last swing anew at every bar finds the same breaks, levels and trend."""
    bars = market(place)[:700]
    out = STRUCTURE.compute(bars, {"left": left, "right": right})
    expected = slow_structure(bars, left, right)
    assert len(expected) > 5
    for bar, sign, level, before in expected:
        name = "choch" if before == -sign else "bos"
        assert out[name][bar] == sign
        assert out["break_level"][bar] == level
    assert len(events(out)) == len(expected)


@pytest.mark.parametrize("bars", [fat_tails(), trending(), plateaus()])
@pytest.mark.parametrize("choch_level", ["last", "protected"])
def test_strong_and_weak_levels_are_extremes_of_the_leg(bars: Bars, choch_level: str) -> None:
    """Strong lies at the far end of the trend's leg, weak is its furthest price since then."""
    out = STRUCTURE.compute(bars, {"choch_level": choch_level})
    for i in np.flatnonzero(out["trend"]):
        up = out["trend"][i] > 0
        strong, weak = i - int(out["strong_origin"][i]), i - int(out["weak_origin"][i])
        ahead, behind = (bars["high"], bars["low"]) if up else (-bars["low"], -bars["high"])
        sign = 1 if up else -1
        assert sign * out["strong"][i] == behind[strong]
        assert sign * out["weak"][i] == ahead[weak] == ahead[strong : i + 1].max()
    broke = np.flatnonzero((out["bos"] != 0) | (out["choch"] != 0))
    for i in broke:
        swing = i - int(out["break_origin"][i])
        up = out["trend"][i] > 0
        behind = bars["low"] if up else -bars["high"]
        if choch_level == "last" or out["bos"][i]:
            assert (1 if up else -1) * out["strong"][i] == behind[swing + 1 : i + 1].min()


@pytest.mark.parametrize("bars", [on_grid(fat_tails()), plateaus()], ids=["fat_tails", "plateaus"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"break_mode": "wick", "choch_level": "protected"},
        {"break_mode": "body", "left": 2, "right": 4, "ties": "strict"},
        {"break_displacement": 0.5, "penetration": 0.25},
    ],
)
def test_the_mirrored_market_breaks_the_other_way(bars: Bars, values: dict[str, Any]) -> None:
    """Upside down, directions change sign and highs and lows change places, to the last bit."""
    centre = 65_536.0
    out = STRUCTURE.compute(bars, values)
    mirror = STRUCTURE.compute(mirrored(bars, centre), values)
    for name in ("bos", "choch", "trend"):
        np.testing.assert_array_equal(out[name], -mirror[name])
    for name in ("break_level", "strong", "weak"):
        np.testing.assert_array_equal(out[name], centre - mirror[name])
    np.testing.assert_array_equal(out["high"], centre - mirror["low"])
    np.testing.assert_array_equal(out["high_label"], -mirror["low_label"])
    for name in ("break_origin", "strong_origin", "weak_origin"):
        np.testing.assert_array_equal(out[name], mirror[name])


def test_internal_and_swing_structure_are_one_machine_with_two_lengths() -> None:
    """The two conveniences are Structure lines of 5 and of 50 bars a side."""
    import backtrader as bt
    from line_contract import candle_feed, line_outputs

    class Both(bt.Strategy):
        def __init__(self) -> None:
            self.internal = internal_structure(self.data)
            self.swing = swing_structure(self.data, break_mode="wick")

    bars = fat_tails()
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(candle_feed(bars))
    cerebro.addstrategy(Both)
    strategy = cerebro.run()[0]
    assert isinstance(strategy.internal, Structure)
    large = {"left": 50, "right": 50, "break_mode": "wick"}
    for line, values in ((strategy.internal, {}), (strategy.swing, large)):
        expected = STRUCTURE.compute(bars, values)
        assert line_outputs(line).tobytes() == expected.tobytes()
    assert np.count_nonzero(expected["bos"]) > 0
