"""Confidence: each factor by a slower second route, its sum, its mirror, its spread."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from smc_markets import BASE_MS, fat_tails, market, mirrored, on_grid, plateaus, trending
from zone_kit import CENTRE, walks

from ftbt.data.candles import BAR, Bars
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS
from ftbt.errors import ParameterError
from ftbt.ranges import pack
from ftbt.smc import (
    ATR,
    CONFIDENCE,
    STRUCTURE,
    SWINGS,
    VOLUME,
    compute_line,
    higher_timeframes,
)
from ftbt.smc.base import Records
from ftbt.smc.confidence import AGREEMENT, FACTORS
from ftbt.strategy import SetupStrategy
from ftbt.strategy.decide import clear_setup, decide
from ftbt.strategy.parameters import ranges_of, resolve
from ftbt.strategy.records import ENTER, INTENT, RULES, SETUP, VIEW, Refusal

MARKETS = ("fat_tails", "trending", "plateaus")
SIDES = (("long", 1), ("short", -1))


@cache
def sample() -> Bars:
    """120 days of the synthetic market without an edge."""
    return sample_market(["BTC"], days=120)["BTC"].candles.bars


@cache
def bars_of(name: str) -> Bars:
    """A market by name, the sample among them."""
    return sample() if name == "sample" else market(name)


def confidence(bars: Bars, base_ms: int = BASE_MS, **values: Any) -> Records:
    """The line at every bar."""
    return compute_line(CONFIDENCE, bars, base_ms, values)


def structure(bars: Bars, timeframe: str) -> Records:
    """The structure line that the factors speak of."""
    return compute_line(STRUCTURE, bars, BASE_MS, {}, timeframe)


# --- the sum ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MARKETS, "sample"])
def test_confidence_is_the_sum_of_its_factors_and_agreement_cut_at_100(name: str) -> None:
    """What is shown factor by factor adds up to what is decided on, to the last bit."""
    out = confidence(bars_of(name))
    for word, sign in SIDES:
        total = sum(out[f"{word}_{factor}"] for factor in FACTORS)
        total = total + AGREEMENT * (out["agreement"] == sign)
        np.testing.assert_array_equal(out[word], np.minimum(100.0, total))


@pytest.mark.parametrize("name", [*MARKETS, "sample"])
def test_every_factor_stays_within_its_points_and_is_never_unknown(name: str) -> None:
    """No output is NaN, no factor gives less than nothing or more than its weight."""
    out = confidence(bars_of(name))
    for word, _ in SIDES:
        for factor, most in FACTORS.items():
            points = out[f"{word}_{factor}"]
            assert not np.isnan(points).any(), factor
            assert points.min() >= 0.0, factor
            assert points.max() <= most, factor
        assert ((out[word] >= 0.0) & (out[word] <= 100.0)).all()
    assert set(np.unique(out["agreement"])) <= {-1.0, 0.0, 1.0}
    assert sum(FACTORS.values()) == 100.0
    assert len(FACTORS) == 8


def test_the_sum_is_cut_at_100() -> None:
    """Full agreement on top of many points does not give more than 100."""
    out = confidence(sample())
    totals = [
        sum(out[f"{word}_{factor}"] for factor in FACTORS) + AGREEMENT * (out["agreement"] == sign)
        for word, sign in SIDES
    ]
    assert np.max(totals) > 100.0
    assert max(out["long"].max(), out["short"].max()) == 100.0


def test_what_is_not_known_yet_counts_nothing() -> None:
    """At the first bar only the close within the bar is known; a flat first bar gives 0."""
    out = confidence(fat_tails())[0]
    place = (fat_tails()["close"][0] - fat_tails()["low"][0]) / (
        fat_tails()["high"][0] - fat_tails()["low"][0]
    )
    assert out["long"] == out["long_pattern"] == pytest.approx(10.0 * place)
    assert out["short"] == out["short_pattern"]
    flat = np.zeros(50, BAR)
    flat["time"] = BASE_MS * np.arange(50)
    for name in ("open", "high", "low", "close"):
        flat[name] = 100.0
    dead = confidence(flat)
    assert not dead["long"].any()
    assert not dead["short"].any()


# --- each factor by a second route -----------------------------------------------------------


@pytest.mark.parametrize("name", [*MARKETS, "sample"])
def test_trend_and_agreement_are_those_of_the_structure_lines(name: str) -> None:
    """The higher timeframes inside are the higher-timeframe versions of the structure line."""
    bars = bars_of(name)
    out = confidence(bars, fast="1h", slow="4h")
    own, fast, slow = (structure(bars, frame)["trend"] for frame in ("", "1h", "4h"))
    np.testing.assert_array_equal(out["long_trend"], 15.0 * (slow == 1))
    np.testing.assert_array_equal(out["short_trend"], 15.0 * (slow == -1))
    agreed = np.where((own == fast) & (own == slow), own, 0.0)
    np.testing.assert_array_equal(out["agreement"], agreed)


def test_bars_missing_at_the_start_do_not_shift_the_higher_timeframes() -> None:
    """The length of a bar is told, not guessed from the first two, between which one is missing."""
    bars = np.delete(sample()[:3000], [1, 2, 5])
    out = confidence(bars)
    slow = structure(bars, "4h")["trend"]
    np.testing.assert_array_equal(out["long_trend"], 15.0 * (slow == 1))
    assert (slow == 1).any()


@pytest.mark.parametrize("name", ["trending", "sample"])
def test_clean_counts_the_last_six_labels_of_the_slow_timeframe(name: str) -> None:
    """4, 5 and 6 labels of six that point the same way give 5, 10 and 15 points."""
    bars = bars_of(name)
    swings = compute_line(SWINGS, bars, BASE_MS, {}, "1h")
    labels: list[float] = []
    expected = np.zeros((len(bars), 2))
    for i, row in enumerate(swings):
        labels += [float(row[f"{kind}_label"]) for kind in ("high", "low") if row[f"{kind}_event"]]
        if len(labels) >= 6:
            for k, (_, sign) in enumerate(SIDES):
                same = sum(label == sign for label in labels[-6:])
                expected[i, k] = max(0, 5 * (same - 3))
    out = confidence(bars, fast="30m", slow="1h")
    for k, (word, _) in enumerate(SIDES):
        np.testing.assert_allclose(out[f"{word}_clean"], expected[:, k], atol=1e-12)
    assert len(np.unique(expected)) >= 3


def test_pattern_is_where_the_bar_closes() -> None:
    """A close at the high gives a long 10 and a short 0; between them it is shared."""
    bars = sample()
    out = confidence(bars)
    place = (bars["close"] - bars["low"]) / (bars["high"] - bars["low"])
    np.testing.assert_allclose(out["long_pattern"], 10.0 * place)
    np.testing.assert_allclose(out["long_pattern"] + out["short_pattern"], 10.0)


@pytest.mark.parametrize("name", [*MARKETS, "sample"])
def test_spike_is_the_volume_line(name: str) -> None:
    """Volume up to its mean gives nothing, twice its mean 10; a dead market gives nothing."""
    bars = bars_of(name)
    ratio = VOLUME.compute(bars)["ratio"]
    expected = 10.0 * np.clip(np.nan_to_num(ratio) - 1.0, 0.0, 1.0)
    out = confidence(bars)
    np.testing.assert_allclose(out["long_spike"], expected, atol=1e-9)
    np.testing.assert_array_equal(out["long_spike"], out["short_spike"])


def test_calm_is_the_range_against_its_mean() -> None:
    """ATR(14) at 0.75 of its mean of 500 bars or less gives 10, at 1.5 or more nothing."""
    bars = sample()
    atr = ATR.compute(bars, {"length": 14})["atr"]
    usual = np.full(len(bars), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(atr[13:], 500)
    usual[13 + 499 :] = windows.mean(axis=1)
    expected = 10.0 * np.clip((1.5 - atr / usual) / 0.75, 0.0, 1.0)
    out = confidence(bars)
    np.testing.assert_allclose(out["long_calm"], np.nan_to_num(expected), atol=1e-9)
    np.testing.assert_array_equal(out["long_calm"], out["short_calm"])


def test_trending_is_the_efficiency_ratio() -> None:
    """The net change of 48 bars over the sum of their changes: 0.4 gives 10 on its side."""
    close = sample()["close"]
    net = close[48:] - close[:-48]
    path = np.lib.stride_tricks.sliding_window_view(np.abs(np.diff(close)), 48).sum(axis=1)
    out = confidence(sample())
    assert not out["long_trending"][:48].any()
    for word, sign in SIDES:
        expected = 10.0 * np.clip(sign * net / path / 0.4, 0.0, 1.0)
        np.testing.assert_allclose(out[f"{word}_trending"][48:], expected, atol=1e-9)


@pytest.mark.parametrize("name", [*MARKETS, "sample"])
def test_divergence_is_a_further_swing_on_less_volume(name: str) -> None:
    """The last swing low is lower than the one before on less volume, for 30 bars; mirrored."""
    bars = bars_of(name)
    swings = SWINGS.compute(bars)
    expected = {word: np.zeros(len(bars)) for word, _ in SIDES}
    for (word, sign), kind in zip(SIDES, ("low", "high"), strict=True):
        known = np.flatnonzero(swings[f"{kind}_event"])
        places = known - 5
        for number in range(1, len(known)):
            now, before = places[number], places[number - 1]
            further = sign * bars[kind][now] < sign * bars[kind][before]
            if further and bars["volume"][now] < bars["volume"][before]:
                end = known[number] + 31
                if number + 1 < len(known):
                    end = min(end, known[number + 1])
                expected[word][known[number] : end] = 10.0
    out = confidence(bars)
    for word, _ in SIDES:
        np.testing.assert_array_equal(out[f"{word}_divergence"], expected[word])
        assert expected[word].any()


# --- higher timeframes that are not there ----------------------------------------------------


@pytest.mark.parametrize("values", [{"fast": "1h", "slow": "4h"}, {"fast": "", "slow": ""}])
def test_a_timeframe_no_longer_than_the_bars_is_not_there(values: dict[str, str]) -> None:
    """On 4h bars with 1h and 4h nothing is known of either: no trend, no labels, no agreement."""
    bars = sample()[:2000].copy()
    bars["time"] = 4 * HOUR_MS * np.arange(len(bars))
    out = confidence(bars, 4 * HOUR_MS, **values)
    for word, _ in SIDES:
        assert not out[f"{word}_trend"].any()
        assert not out[f"{word}_clean"].any()
        assert 40.0 < out[word].max() <= 70.0
    assert not out["agreement"].any()


def test_a_timeframe_that_is_no_multiple_of_the_bars_is_not_there() -> None:
    """45-minute bars have no 1h bars; the slow timeframe is followed even so."""
    bars = sample()[:2000].copy()
    bars["time"] = 45 * MINUTE_MS * np.arange(len(bars))
    out = confidence(bars, 45 * MINUTE_MS, fast="1h", slow="6h")
    assert out["long_trend"].any()
    assert not out["agreement"].any()


def test_a_timeframe_that_cannot_be_chosen_is_an_error_that_names_the_others() -> None:
    """`slow="3h"` is refused with the list of words."""
    with pytest.raises(ParameterError, match=r"confidence: slow must be one of .*'4h'"):
        CONFIDENCE.pack({"slow": "3h"})


def test_weekly_bars_are_possible() -> None:
    """A chart above all timeframes has a confidence of its own bars only."""
    bars = sample()[:400].copy()
    bars["time"] = 4 * DAY_MS + 7 * DAY_MS * np.arange(len(bars))
    fast, slow = higher_timeframes(7 * DAY_MS)
    out = confidence(bars, 7 * DAY_MS, fast=fast, slow=slow)
    assert out["long"].max() > 30.0


# --- the mirror ------------------------------------------------------------------------------


def _same_in_the_mirror(bars: Bars, centre: float, **values: Any) -> None:
    out, mirror = confidence(bars, **values), confidence(mirrored(bars, centre), **values)
    np.testing.assert_array_equal(out["agreement"], -mirror["agreement"])
    for name in ("", *(f"_{factor}" for factor in FACTORS)):
        np.testing.assert_array_equal(out[f"long{name}"], mirror[f"short{name}"], err_msg=name)
        np.testing.assert_array_equal(out[f"short{name}"], mirror[f"long{name}"], err_msg=name)


@pytest.mark.parametrize(
    "bars", [on_grid(fat_tails()), on_grid(trending()), plateaus()], ids=MARKETS
)
def test_the_mirrored_market_has_the_confidence_of_the_other_side(bars: Bars) -> None:
    """Upside down, a long has exactly what a short had, factor by factor."""
    _same_in_the_mirror(bars, 65_536.0, fast="30m", slow="1h")


@settings(deadline=None, max_examples=60)
@given(walks())
def test_any_small_market_adds_up_and_mirrors(bars: Bars) -> None:
    """Gaps, plateaus and sharp turns: nothing unknown, nothing out of range, both sides alike."""
    out = confidence(bars, fast="30m", slow="1h")
    for word, _ in SIDES:
        for factor, most in FACTORS.items():
            assert ((out[f"{word}_{factor}"] >= 0) & (out[f"{word}_{factor}"] <= most)).all()
    _same_in_the_mirror(bars, CENTRE, fast="30m", slow="1h")


# --- it says something -----------------------------------------------------------------------


def test_the_scores_are_spread() -> None:
    """In a year a twentieth of all scores is below 30, one above 65; every factor takes part."""
    out = confidence(sample_market(["BTC"])["BTC"].candles.bars)[3000:]
    scores = np.concatenate([out["long"], out["short"]])
    low, high = np.percentile(scores, [5, 95])
    assert low < 30.0
    assert high > 65.0
    assert 0.3 < (scores < 40.0).mean() < 0.8  # the usual least confidence refuses many of them
    for word, _ in SIDES:
        for factor, most in FACTORS.items():
            points = out[f"{word}_{factor}"]
            assert points.min() <= 0.05 * most, factor
            assert points.max() >= 0.95 * most, factor


def _decided(score: float) -> Any:
    """The intent of one and the same setup with this confidence."""
    setup, view, rules = np.zeros(1, SETUP), np.zeros(1, VIEW), np.zeros(1, RULES)
    clear_setup(setup[0])
    wanted = dict(side=1, stop=98.0, target1=103.0, target2=106.0, confidence=score)
    for name, value in wanted.items():
        setup[name] = value
    view["equity"] = 10_000.0
    view["room"]["notional"], view["room"]["risk_per_trade"] = 1e9, 1.0
    usual = dict(size_decimals=3, min_notional=10.0, leverage=10.0)
    for name, value in usual.items():
        rules[name] = value
    bar = np.zeros(1, BAR)
    for name in ("open", "high", "low", "close"):
        bar[name] = 100.0
    packed = pack(ranges_of(SetupStrategy), resolve(SetupStrategy, {"min_confidence": 40.0}))
    intent = np.zeros(1, INTENT)
    decide(view[0], setup[0], bar[0], packed[0], rules[0], intent[0])
    return intent[0]


def test_setups_of_different_quality_get_different_sizes() -> None:
    """Scores met on one market: a poor one is refused, a fair one is smaller than a good one."""
    scores = confidence(sample())["long"][3000:]
    poor, fair, good = (_decided(float(np.percentile(scores, q))) for q in (10, 75, 99))
    assert (poor["action"], poor["refusal"]) != (ENTER, 0)
    assert poor["refusal"] == Refusal.LOW_CONFIDENCE
    assert fair["action"] == good["action"] == ENTER
    assert good["size"] > 1.1 * fair["size"] > 0.0
