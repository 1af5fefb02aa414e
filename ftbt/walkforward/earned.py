"""Who earned what out of sample: by strategy, by symbol and by pair, over all windows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ftbt.backtest.attribution import Attribution, attribute
from ftbt.backtest.result import FILL, TRADE, Records
from ftbt.data.market import Market
from ftbt.walkforward.checkpoint import Outcome
from ftbt.walkforward.evaluate import Evaluation
from ftbt.walkforward.stitch import Floats, Ints, Stitched, stitched_fills, stitched_trades


def earned(
    stitched: Stitched,
    outcomes: Sequence[Outcome],
    markets: Mapping[str, Sequence[Market]],
    strategies: Sequence[str],
    capital: float,
) -> Attribution:
    """Return who earned what in the money of the stitched curve.

    Args:
        stitched: the curve.
        outcomes: one per window, in order.
        markets: segments of each symbol.
        strategies: names of all strategies of the run; not each of them is in every test.
        capital: equity before the first bar.
    """
    tests = [outcome.test for outcome in outcomes if outcome.test is not None]
    trades = stitched_trades(outcomes, stitched.scale, stitched.time)
    fills = stitched_fills(outcomes, stitched.scale, stitched.time)
    symbols = list(markets)
    for test, own_trades, own_fills in zip(tests, trades, fills, strict=True):
        for records in (own_trades, own_fills):
            _rename(records, test, strategies, symbols)
    return attribute(
        np.concatenate([np.zeros(0, TRADE), *trades]),
        np.concatenate([np.zeros(0, FILL), *fills]),
        stitched.time,
        _closes(markets, stitched.time),
        capital,
        strategies,
        symbols,
    )


def _rename(
    records: Records, test: Evaluation, strategies: Sequence[str], symbols: Sequence[str]
) -> None:
    """Let *records* count the names of the run in place of those of one test."""
    for field, own, whole in (
        ("strategy", test.strategies, strategies),
        ("symbol", test.symbols, symbols),
    ):
        numbers = np.array([whole.index(name) for name in own], dtype=np.int64)
        records[field] = numbers[records[field]]


def _closes(markets: Mapping[str, Sequence[Market]], time: Ints) -> Floats:
    """Return closing prices at *time*, NaN where a symbol has no bar, shape (n, symbols)."""
    closes = np.full((len(time), len(markets)), np.nan)
    for column, segments in enumerate(markets.values()):
        for market in segments:
            bars = market.candles.bars
            inside = bars[np.isin(bars["time"], time)]
            closes[np.searchsorted(time, inside["time"]), column] = inside["close"]
    return closes
