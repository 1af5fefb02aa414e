"""Profit curves of the parts of a run, marked to market from its fills.

Shapes are (n, strategies, symbols): n evaluated bars, the first of which has the number
*first_bar* in the records.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftbt.data.precision import MAX_DECIMALS

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]


def positions_at_close(fills: Records, first_bar: int, shape: tuple[int, int, int]) -> Floats:
    """Return the signed size that each strategy holds of each symbol at each close."""
    change = np.zeros(shape)
    np.add.at(change, _place(fills, "bar", first_bar), fills["side"] * fills["size"])
    # No lot is finer, so that 0.3 - 0.1 - 0.2 is nothing.
    return np.asarray(np.round(np.cumsum(change, axis=0), MAX_DECIMALS))


def held_in_bar(fills: Records, positions: Floats, first_bar: int) -> Bools:
    """Return where a position was held in the bar, if only for a part of it."""
    held = np.asarray(positions != 0.0)
    # Whatever ends or begins inside a bar does so by a fill.
    held[_place(fills, "bar", first_bar)] = True
    return held


def profit_curves(
    trades: Records, fills: Records, closes: Floats, positions: Floats, first_bar: int
) -> Floats:
    """Return the profit since the start at each close, after fees; funding at its trade's exit.

    Summed up from gains per bar. Cash plus value of the position would be two large numbers that
    nearly cancel; gains leave rounding errors of the size of the profit.

    Args:
        trades: TRADE records.
        fills: FILL records.
        closes: closing prices, NaN where a symbol has no bar, shape (n, symbols).
        positions: of `positions_at_close`.
        first_bar: number of the first evaluated bar.
    """
    marks = _marks(fills, closes, first_bar)
    gains = np.zeros(positions.shape)
    gains[1:] = positions[:-1] * np.diff(marks, axis=0)[:, None, :]
    mark = marks[fills["bar"] - first_bar, fills["symbol"]]
    gained = fills["side"] * fills["size"] * (mark - fills["price"]) - fills["fee"]
    np.add.at(gains, _place(fills, "bar", first_bar), gained)
    np.subtract.at(gains, _place(trades, "exit_bar", first_bar), trades["funding"])
    return np.asarray(np.cumsum(gains, axis=0))


def _place(records: Records, bar: str, first_bar: int) -> tuple[Ints, Ints, Ints]:
    return records[bar] - first_bar, records["strategy"], records["symbol"]


def _marks(fills: Records, closes: Floats, first_bar: int) -> Floats:
    """Return the last known close of each symbol, shape (n, symbols); 0 before anything is known.

    Before a symbol's first close the price of a fill stands in, so that no position lacks a mark.
    """
    marks = np.array(closes, np.float64)
    bar, symbol = fills["bar"] - first_bar, fills["symbol"]
    unknown = _last_known(marks)[bar, symbol] < 0
    marks[bar[unknown], symbol[unknown]] = fills["price"][unknown]
    row = _last_known(marks)
    return np.where(row < 0, 0.0, np.take_along_axis(marks, np.maximum(row, 0), axis=0))


def _last_known(prices: Floats) -> Ints:
    """Return the row of the last known price up to each row, -1 before the first."""
    rows = np.where(np.isnan(prices), -1, np.arange(len(prices))[:, None])
    return np.maximum.accumulate(rows, axis=0)
