"""Strategies over holes and several symbols on one account, against the engine's own results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.metrics import summarise
from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles
from ftbt.data.market import market_of
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.evaluate import evaluate
from ftbt.walkforward.pieces import Piece, SymbolPieces

Walk = Callable[..., Candles]
WARMUP = 24
MONEY = Settings(capital=10_000.0, limits=Limits.none())


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

    found = evaluate([Sleeve(cls, {"fast": 2})], (SymbolPieces("BTC", (part,)),), MONEY)

    np.testing.assert_array_equal(found.time, own.time)
    np.testing.assert_array_equal(found.equity, own.equity)
    assert len(found.trades) == len(own.trades) > 5
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

    found = evaluate([Sleeve(cls)], (SymbolPieces("BTC", parts),), MONEY)

    joined = np.concatenate((first.equity, second.equity))
    np.testing.assert_allclose(found.equity, joined, rtol=1e-12)
    np.testing.assert_array_equal(found.time, np.concatenate((first.time, second.time)))
    trades = found.trades
    assert len(trades) == len(first.trades) + len(second.trades)
    gap = (int(candles.time[140]), int(candles.time[200]))
    assert not np.any((trades["entry_time"] < gap[0]) & (trades["exit_time"] >= gap[1]))
    assert float(trades["net"].sum()) == pytest.approx(float(found.equity[-1]) - 10_000.0)
    bars = found.time[trades["entry_bar"]]
    np.testing.assert_array_equal(bars, trades["entry_time"])
    np.testing.assert_array_equal(found.time[found.fills["bar"]], found.fills["time"])


def test_symbols_share_one_account(cls: type[Any], walk: Walk) -> None:
    """Positions are sized by the whole account's equity; the clock has all bars of both."""
    btc, eth = walk("BTC", 300, 1), walk("ETH", 300, 2)
    parts = (SymbolPieces("BTC", (piece(btc, 50, 300),)),
             SymbolPieces("ETH", (piece(eth, 100, 280),)))  # fmt: skip

    found = evaluate([Sleeve(cls)], parts, MONEY)

    np.testing.assert_array_equal(found.time, btc.time[50:300])
    assert found.symbols == ("BTC", "ETH")
    assert set(found.trades["symbol"]) == {0, 1}
    assert found.equity[-1] == pytest.approx(10_000.0 + found.trades["net"].sum(), rel=1e-12)
    # The strategy buys half of the equity; the price moves a little until the next open.
    before = np.concatenate(([10_000.0], found.equity))[found.trades["entry_bar"]]
    notional = found.trades["size"] * found.trades["entry_price"]
    np.testing.assert_allclose(notional, 0.5 * before, rtol=0.03)
    assert (np.diff(found.trades["exit_bar"]) >= 0).all()
    half = 5_000.0
    hold = half * btc.close[299] / btc.open[50] + half * eth.close[279] / eth.open[100]
    assert found.hold[-1] == pytest.approx(hold)


def test_a_symbol_that_cannot_be_traded_is_cash_in_buy_and_hold(cls: type[Any], walk: Walk) -> None:
    """The account is the other's alone; whoever held equal parts held half in cash."""
    part = piece(walk("BTC", 300, 1), 50, 300)
    alone = run_backtest(cls, part.market, {}, MONEY, trade_from=WARMUP)

    found = evaluate([Sleeve(cls)], (SymbolPieces("BTC", (part,)), SymbolPieces("ETH", ())), MONEY)

    np.testing.assert_array_equal(found.equity, alone.equity)
    assert found.hold[-1] == pytest.approx(
        5_000.0 + 5_000.0 * alone.close[-1] / part.market.candles.open[24]
    )


def test_several_strategies_are_told_apart(cls: type[Any], walk: Walk) -> None:
    """Trades and attribution name the strategy, and the parts add up to the whole."""
    parts = (SymbolPieces("BTC", (piece(walk("BTC", 300, 1), 50, 300),)),
             SymbolPieces("ETH", (piece(walk("ETH", 300, 2), 50, 300),)))  # fmt: skip
    sleeves = [Sleeve(cls, {"side": "long"}, 0.75), Sleeve(cls, {"flip": True}, 0.25)]

    found = evaluate(sleeves, parts, MONEY, attributed=True)

    assert found.strategies == ("SmaCross", "SmaCross#2")
    assert set(found.trades["strategy"]) == {0, 1}
    told = found.attribution
    assert told is not None
    for cut in (told.by_strategy, told.by_symbol, told.by_pair):
        assert sum(one.net for one in cut) == pytest.approx(told.total.net)
        assert sum(one.trades for one in cut) == told.total.trades == len(found.trades)
    assert told.largest_gap(found.equity, 10_000.0) < 1e-6
    assert "SmaCross sizes its own orders: its share of the account is not applied" in found.notes


def test_daily_returns_chain_to_the_whole_return(cls: type[Any], walk: Walk) -> None:
    """One return per UTC day, from the capital to the last equity."""
    part = piece(walk("BTC", 300, 1), 50, 300)
    found = evaluate([Sleeve(cls)], (SymbolPieces("BTC", (part,)),), MONEY)
    days, returns = found.daily_returns()

    assert len(days) == 11
    assert np.prod(1.0 + returns) == pytest.approx(found.equity[-1] / 10_000.0)
