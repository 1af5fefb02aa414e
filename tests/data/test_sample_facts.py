"""The stylised facts of the synthetic market, and of real ones where there are any."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftbt.data import sample_facts
from ftbt.data.candles import Candles, Funding, make_bars
from ftbt.data.sample import SYMBOLS, default_sample, sample_market
from ftbt.data.sample_minutes import make_minutes
from ftbt.data.sample_path import aggregate
from ftbt.data.sample_profile import profile_of
from ftbt.data.sample_sweep import take_outs
from ftbt.data.timeframe import Timeframe, to_ms

REAL = os.environ.get("FTBT_REAL_DATA")
needs_real_data = pytest.mark.skipif(REAL is None, reason="FTBT_REAL_DATA is not set")
START_MS = to_ms(datetime(2024, 1, 1, tzinfo=UTC))


def _real_columns(folder: str, name: str, *columns: str) -> list[Any]:
    table = pq.read_table(Path(str(REAL)) / folder / f"{name}.parquet")
    stamps = (
        table.column("timestamp").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
    )
    return [stamps, *(table.column(column).to_numpy() for column in columns)]


def _real_candles(symbol: str) -> Candles:
    columns = _real_columns(
        "binance-perp", f"{symbol}USDT-15m", "open", "high", "low", "close", "volume"
    )
    return Candles(symbol, Timeframe.parse("15m"), make_bars(*columns))


def _out_of_range(candles: Candles) -> dict[str, float]:
    values = sample_facts.measure(candles)
    return {name: values[name] for name in sample_facts.outside(values)}


def _assert_funding(funding: Funding) -> None:
    for name, value in sample_facts.measure_funding(funding).items():
        low, high = sample_facts.FUNDING_RANGES[name]
        assert low <= value <= high, f"{name}: {value}"


def _assert_pairs(candles: list[Candles]) -> None:
    for one, other in combinations(candles, 2):
        returns, sizes = sample_facts.measure_pair(one, other)
        assert sample_facts.CORRELATION[0] <= returns <= sample_facts.CORRELATION[1]
        assert sample_facts.SIZE_CORRELATION[0] <= sizes <= sample_facts.SIZE_CORRELATION[1]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_default_market_shows_every_stylised_fact(symbol: str) -> None:
    """Each measured fact of the default market lies in the range stated for real markets."""
    assert _out_of_range(default_sample()[symbol].candles) == {}


@pytest.mark.parametrize("seed", [2, 11])
def test_other_seeds_show_every_stylised_fact(seed: int) -> None:
    """The facts belong to the model and not to one lucky seed."""
    for market in sample_market(seed=seed).values():
        assert _out_of_range(market.candles) == {}
        assert market.funding is not None
        _assert_funding(market.funding)


@needs_real_data
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_real_market_lies_in_the_stated_ranges(symbol: str) -> None:
    """The ranges that the synthetic market must keep are those of real candles."""
    assert _out_of_range(_real_candles(symbol)) == {}


def test_symbols_correlate_as_stated() -> None:
    """Returns and their sizes move together as much as those of real coins."""
    _assert_pairs([market.candles for market in default_sample().values()])


@needs_real_data
def test_real_symbols_correlate_as_stated() -> None:
    """The stated correlations are those of real candles."""
    _assert_pairs([_real_candles(symbol) for symbol in SYMBOLS])


def test_volatility_is_ordered_as_among_real_coins() -> None:
    """SOL swings more than ETH, and ETH more than BTC; BTC by 2 to 3.6 % a day."""
    daily = [sample_facts.daily_volatility(m.candles) for m in default_sample().values()]
    assert daily == sorted(daily)
    assert 0.02 < daily[0] < 0.036


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_funding_is_like_the_venues(symbol: str) -> None:
    """Hourly funding is slightly positive, persistent, bounded and often at its resting rate."""
    funding = default_sample()[symbol].funding
    assert funding is not None
    _assert_funding(funding)


@needs_real_data
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_real_funding_lies_in_the_stated_ranges(symbol: str) -> None:
    """The funding ranges are those of the venue's real rates since 2024."""
    stamps, rates = _real_columns("hyperliquid-perp", f"{symbol}-funding", "funding_rate")
    recent = stamps >= START_MS
    _assert_funding(Funding(symbol, stamps[recent], rates[recent]))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_funding_follows_past_momentum_and_foretells_nothing(symbol: str) -> None:
    """A week's rise goes with higher funding, and the rate says nothing of the next hour."""
    market = default_sample()[symbol]
    assert market.funding is not None
    hourly = np.log(market.candles.close[3::4])
    past = hourly[168:] - hourly[:-168]
    assert np.corrcoef(past, market.funding.rate[168:])[0, 1] > 0.2
    product = market.funding.rate[:-1] * np.diff(hourly)
    assert abs(product.mean()) < 4 * product.std() / np.sqrt(len(product))


def test_stops_are_hunted() -> None:
    """Without the hunt swings are taken out with less range and fewer closes back inside."""

    def closes_back_and_range(hunting: float) -> tuple[float, float]:
        back, size = [], []
        for seed in range(4):
            profile = replace(profile_of("BTC"), hunting=hunting)
            bars = aggregate(make_minutes("BTC", profile, 5, START_MS, 365, seed, 0.0), 15, 1e5)
            candles = Candles("BTC", Timeframe.parse("15m"), bars)
            out, inside = take_outs(candles.high, candles.low, candles.close)
            back.append(inside.sum() / out.sum())
            size.append(sample_facts.take_out_range(candles))
        return float(np.mean(back)), float(np.mean(size))

    quiet, hunted = closes_back_and_range(0.0), closes_back_and_range(1.0)
    assert hunted[0] > quiet[0] + 0.01
    assert hunted[1] > quiet[1] + 0.1
