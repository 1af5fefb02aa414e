"""The synthetic market: like a market, deterministic, consistent in itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Bars
from ftbt.data.market import Market, instrument_for
from ftbt.data.precision import round_price, tick_size
from ftbt.data.sample import SYMBOLS, default_sample, sample_market
from ftbt.data.sample_path import bridge
from ftbt.data.sample_volatility import Multifractal, minute_of_week, scales, week_profile
from ftbt.data.timeframe import Timeframe, to_ms
from ftbt.data.validate import check_bars
from ftbt.errors import InputError

START_MS = to_ms(datetime(2024, 1, 1, tzinfo=UTC))
CLOSES = [42_061.0, 42_029.0, 42_626.0, 55_290.0]


def _prints(markets: dict[str, Market]) -> list[str]:
    funding = [m.funding.fingerprint for m in markets.values() if m.funding is not None]
    return [m.candles.fingerprint for m in markets.values()] + funding


def test_same_seed_same_bytes_in_another_process() -> None:
    """A second process with other hash randomisation makes the same market to the last byte."""
    code = (
        "from ftbt.data.sample import sample_market\n"
        "for m in sample_market(('BTC', 'SOL'), days=5, seed=3).values():\n"
        "    print(m.candles.fingerprint, m.funding.fingerprint)\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "4242"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    mine = sample_market(("BTC", "SOL"), days=5, seed=3)
    assert sorted(result.stdout.split()) == sorted(_prints(mine))


def test_default_market_is_the_one_that_results_were_published_on() -> None:
    """Chosen bars of the default market stay what they were, on every machine."""
    bars = default_sample()["BTC"].candles.bars
    assert [bars[i]["close"] for i in (0, 1, 96, 35_039)] == CLOSES


def test_other_symbols_change_nothing() -> None:
    """A symbol's series is the same alone, in company and in any order."""
    alone = sample_market(("ETH",), days=10)["ETH"]
    company = sample_market(("XRP", "ETH", "BTC"), days=10)["ETH"]
    assert _prints({"ETH": alone}) == _prints({"ETH": company})


@settings(max_examples=12, deadline=None)
@given(
    short=st.integers(1, 4), more=st.integers(1, 4), seed=st.integers(0, 2**64),
    edge=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
def test_longer_market_begins_with_the_shorter(
    short: int, more: int, seed: int, edge: float
) -> None:
    """More days append bars and funding and change none of the earlier ones."""
    first = sample_market(("BTC",), days=short, seed=seed, edge=edge, detail=True)["BTC"]
    longer = sample_market(("BTC",), days=short + more, seed=seed, edge=edge, detail=True)["BTC"]
    assert first.funding is not None
    assert longer.funding is not None
    assert first.detail is not None
    assert longer.detail is not None
    assert (longer.candles.bars[: len(first.candles)] == first.candles.bars).all()
    assert (longer.detail.bars[: len(first.detail)] == first.detail.bars).all()
    assert (longer.funding.rate[: len(first.funding)] == first.funding.rate).all()


def test_seed_and_symbol_make_different_markets() -> None:
    """Neither two seeds nor two coins of the same kind share a path."""
    prints = _prints(sample_market(("BTC", "ADA", "XRP"), days=2, seed=1))
    prints += _prints(sample_market(("BTC", "ADA", "XRP"), days=2, seed=2))
    assert len(set(prints)) == len(prints)


def _joined(minutes: Bars, per_bar: int) -> list[Any]:
    rows = minutes[: len(minutes) // per_bar * per_bar].reshape(-1, per_bar)
    return [
        rows["time"][:, 0], rows["open"][:, 0], rows["high"].max(axis=1), rows["low"].min(axis=1),
        rows["close"][:, -1],
    ]  # fmt: skip


@pytest.mark.parametrize(("timeframe", "minutes"), [("15m", 15), ("7m", 7), ("4h", 240)])
def test_detail_bars_make_up_the_candles(timeframe: str, minutes: int) -> None:
    """First open, highest high, lowest low, last close and summed volume of the 1m bars."""
    # A day that is a multiple of seven minutes since 1970, so that 7m bars open on it.
    start = datetime(2024, 1, 4, tzinfo=UTC)
    market = sample_market(("ETH",), timeframe, days=3, start=start, detail=True)["ETH"]
    assert market.detail is not None
    assert market.detail.timeframe == Timeframe.parse("1m")
    bars = market.candles.bars
    names = ("time", "open", "high", "low", "close")
    for name, expected in zip(names, _joined(market.detail.bars, minutes), strict=True):
        assert (bars[name] == expected).all(), name
    volume = market.detail.volume[: len(bars) * minutes].reshape(-1, minutes).sum(axis=1)
    assert (bars["volume"] == np.round(volume, market.instrument.size_decimals)).all()


def test_detail_comes_only_when_asked() -> None:
    """The candles are the same with and without detail, which is None by default."""
    plain = sample_market(("SOL",), days=2)["SOL"]
    detailed = sample_market(("SOL",), days=2, detail=True)["SOL"]
    assert plain.detail is None
    assert detailed.detail is not None
    assert plain.candles.fingerprint == detailed.candles.fingerprint


@pytest.mark.parametrize("symbol", [*SYMBOLS, "DOGE", "kPEPE"])
def test_prices_keep_the_tick_and_volumes_the_lot(symbol: str) -> None:
    """Every price and volume is one that the venue allows, in sound candles."""
    market = sample_market((symbol,), "1m", days=3)[symbol]
    bars, decimals = market.candles.bars, instrument_for(symbol).size_decimals
    check_bars(bars, market.candles.timeframe, symbol)
    for name in ("open", "high", "low", "close"):
        assert [round_price(price, decimals) for price in bars[name]] == bars[name].tolist()
    assert (np.round(bars["volume"], decimals) == bars["volume"]).all()


def test_minutes_open_at_the_last_close_or_one_tick_beside() -> None:
    """The gap between two minutes is one tick or none, none about half of the time."""
    market = sample_market(("BTC",), "1m", days=5)["BTC"]
    before, opens = market.candles.close[:-1], market.candles.open[1:]
    ticks = [tick_size(price, market.instrument.size_decimals) for price in before]
    # The path itself lies up to half a tick from the printed close.
    assert (np.abs(opens - before) <= np.array(ticks) * 1.001).all()
    assert 0.45 < np.mean(opens == before) < 0.55


def test_everything_says_synthetic() -> None:
    """Candles, detail and funding name the seed and the planted edge."""
    market = sample_market(("BTC",), days=1, seed=9, edge=0.25, detail=True)["BTC"]
    assert market.detail is not None
    assert market.funding is not None
    for series in (market.candles, market.detail):
        assert series.synthetic
        assert series.source == "synthetic market (seed 9, edge 0.25)"
    assert market.funding.source == market.candles.source
    assert default_sample()["BTC"].candles.source == "synthetic market (seed 7, no edge)"


def test_default_market_is_made_once() -> None:
    """Two calls give the same objects, and emptying the dict of one does not harm the other."""
    first = default_sample()
    market = first.pop("BTC")
    assert default_sample()["BTC"] is market


def test_default_market_takes_less_than_two_seconds() -> None:
    """A year of three symbols costs less than 2 s of processor time once compiled."""
    sample_market(days=1)
    began = time.process_time()
    sample_market()
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ()}, "at least one name"),
        ({"symbols": "BTC"}, "must be a list"),
        ({"symbols": ("BTC", "BTC")}, "BTC is named twice"),
        ({"symbols": ("B C",)}, "'B C'"),
        ({"days": 0}, "from 1 to 3650, not 0"),
        ({"days": 4000}, "not 4000"),
        ({"seed": -1}, "0 or more, not -1"),
        ({"edge": float("nan")}, "from -2 to 2"),
        ({"edge": 2.5}, "not 2.5"),
        ({"start": datetime(2024, 1, 1, 5, tzinfo=UTC)}, "midnight UTC"),
        ({"start": datetime(2024, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"start": datetime(2024, 1, 2, tzinfo=UTC), "timeframe": "1w"}, "not the open of a 1w"),
        ({"timeframe": "1w", "days": 3}, "give more days"),
        ({"timeframe": "15 minutes"}, "15 minutes"),
        ({"timeframe": "1m", "detail": True}, "longer timeframe"),
    ],
)
def test_wrong_values_are_named(changes: dict[str, Any], message: str) -> None:
    """Each impossible value is refused with what it was and what it may be."""
    with pytest.raises(InputError, match=message):
        sample_market(**{"days": 30, **changes})


@given(
    start=st.floats(10, 1000), move=st.floats(-5, 5), deviation=st.floats(0.01, 5),
    draw=st.floats(1e-6, 30),
)  # fmt: skip
@settings(deadline=None)
def test_bridge_inverts_the_law_of_its_extreme(
    start: float, move: float, deviation: float, draw: float
) -> None:
    """P(maximum > m) = exp(-2 (m - a)(m - b) / s^2) for a bridge from a to b, mirrored below."""
    end = start + move
    highest = bridge(start, end, deviation, draw)
    lowest = bridge(start, end, -deviation, draw)
    assert highest >= max(start, end)
    assert lowest <= min(start, end)
    for extreme in (highest, lowest):
        exponent = 2 * (extreme - start) * (extreme - end) / deviation**2
        assert exponent == pytest.approx(draw, rel=1e-3, abs=1e-6)


def test_multipliers_have_mean_one_and_the_stated_chance() -> None:
    """Multipliers neither add nor take variance, and bursts are as frequent as stated."""
    rows = scales((6.0, 40.0), high=4.0, chance=0.1)
    assert rows[:, 1] * rows[:, 2] + (1 - rows[:, 1]) * rows[:, 3] == pytest.approx(1.0)
    variance = Multifractal(np.random.SeedSequence(1), rows).next(400_000)
    assert variance.mean() == pytest.approx(1.0, abs=0.06)
    assert np.mean(variance > 10) == pytest.approx(0.01, abs=0.003)


def test_week_season_adds_no_variance() -> None:
    """The season has mean square 1, is quieter on Sunday and counts the week from Monday."""
    profile = week_profile()
    assert np.mean(profile**2) == pytest.approx(1.0)
    assert profile[-1440:].mean() < 0.8 * profile[:1440].mean()
    monday = np.array([START_MS])  # 2024-01-01 was one
    assert minute_of_week(monday)[0] == 0
