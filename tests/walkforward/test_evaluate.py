"""One parameter set over holes and over several symbols, against the engine's own results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.metrics import summarise
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles
from ftbt.data.market import market_of
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.evaluate import evaluate
from ftbt.walkforward.pieces import Piece, SymbolPieces

Walk = Callable[..., Candles]
WARMUP = 24
MONEY = Settings(capital=10_000.0)


@pytest.fixture(scope="module")
def cls(sma_file: Path) -> type[Any]:
    """Return the strategy class."""
    return find_strategy(str(sma_file)).load()


def piece(candles: Candles, first: int, stop: int) -> Piece:
    """Return a piece that trades bars first .. stop-1."""
    return Piece(market_of(candles.slice(first - WARMUP, stop)), WARMUP)


def test_one_piece_is_the_engines_result(cls: type[Any], walk: Walk) -> None:
    """Equity, trades and metrics are those of a single back-test."""
    part = piece(walk("BTC", 300, 1), 50, 300)
    own = run_backtest(cls, part.market, {"fast": 2}, MONEY, trade_from=WARMUP)

    found = evaluate(cls, (SymbolPieces("BTC", (part,)),), {"fast": 2}, MONEY)

    np.testing.assert_array_equal(found.time, own.time)
    np.testing.assert_array_equal(found.equity, own.equity)
    assert len(found.trades[0].trades) == len(own.trades) > 5
    expected = summarise(own)
    for name in ("net_profit", "sharpe", "max_drawdown", "trades", "exposure", "turnover"):
        assert getattr(found.metrics, name) == pytest.approx(getattr(expected, name))
    assert found.hold[-1] == pytest.approx(10_000 * own.close[-1] / part.market.candles.open[24])


def test_equity_is_carried_over_a_hole(cls: type[Any], walk: Walk) -> None:
    """The second piece starts with what the first one left, and no trade spans the two."""
    candles = walk("BTC", 300, 1)
    parts = (piece(candles, 24, 140), piece(candles, 200, 300))
    first = run_backtest(cls, parts[0].market, {}, MONEY, trade_from=WARMUP)
    left = replace(MONEY, capital=float(first.equity[-1]))
    second = run_backtest(cls, parts[1].market, {}, left, trade_from=WARMUP)

    found = evaluate(cls, (SymbolPieces("BTC", parts),), {}, MONEY)

    np.testing.assert_array_equal(found.equity, np.concatenate((first.equity, second.equity)))
    trades = found.trades[0].trades
    assert len(trades) == len(first.trades) + len(second.trades)
    gap = (int(candles.time[140]), int(candles.time[200]))
    assert not np.any((trades["entry_time"] < gap[0]) & (trades["exit_time"] >= gap[1]))
    assert float(trades["net"].sum()) == pytest.approx(float(found.equity[-1]) - 10_000.0)
    bars = found.time[trades["entry_bar"]]
    np.testing.assert_array_equal(bars, trades["entry_time"])


def test_symbols_share_the_capital_and_their_curves_are_summed(cls: type[Any], walk: Walk) -> None:
    """Each has half; where one has no bar yet, it is cash; the clock has all bars of both."""
    btc, eth = walk("BTC", 300, 1), walk("ETH", 300, 2)
    half = replace(MONEY, capital=5_000.0)
    one, two = piece(btc, 50, 300), piece(eth, 100, 280)
    alone = run_backtest(cls, one.market, {}, half, trade_from=WARMUP)
    other = run_backtest(cls, two.market, {}, half, trade_from=WARMUP)

    found = evaluate(cls, (SymbolPieces("BTC", (one,)), SymbolPieces("ETH", (two,))), {}, MONEY)

    np.testing.assert_array_equal(found.time, btc.time[50:300])
    assert found.equity[10] == alone.equity[10] + 5_000.0
    assert found.equity[120] == alone.equity[120] + other.equity[70]
    assert found.equity[-1] == alone.equity[-1] + other.equity[-1]
    assert found.metrics.trades == len(alone.trades) + len(other.trades)
    assert [one.symbol for one in found.trades] == ["BTC", "ETH"]


def test_a_symbol_that_cannot_be_traded_is_cash(cls: type[Any], walk: Walk) -> None:
    """Its share of the capital stays what it is."""
    part = piece(walk("BTC", 300, 1), 50, 300)
    half = replace(MONEY, capital=5_000.0)
    alone = run_backtest(cls, part.market, {}, half, trade_from=WARMUP)

    found = evaluate(cls, (SymbolPieces("BTC", (part,)), SymbolPieces("ETH", ())), {}, MONEY)

    np.testing.assert_array_equal(found.equity, alone.equity + 5_000.0)


def test_daily_returns_chain_to_the_whole_return(cls: type[Any], walk: Walk) -> None:
    """One return per UTC day, from the capital to the last equity."""
    found = evaluate(cls, (SymbolPieces("BTC", (piece(walk("BTC", 300, 1), 50, 300),)),), {}, MONEY)
    days, returns = found.daily_returns()

    assert len(days) == 11
    assert np.prod(1.0 + returns) == pytest.approx(found.equity[-1] / 10_000.0)
