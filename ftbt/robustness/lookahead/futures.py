"""The same market up to a bar, and another future after it.

One kind of future is not enough: a strategy that waits for the next bar to rise is only shown by
one that falls, and a threshold taken from the whole history only by one with other swings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import Bars, Candles
from ftbt.data.market import Market

Floats = NDArray[np.float64]

NO_FUTURE = "no bars after it"
RISING = "rising bars after it"
FALLING = "falling bars after it"
MIRRORED = "its later bars upside down"
SHUFFLED = "its later bars in another order, twice as wild"
QUIET = "hardly moving bars after it"

# How far the bars of a rising or falling future go, and for how many of them.
DRIFT_BARS = 200
_RECENT = 96  # bars whose moves tell how large a bar is usually
_LEAST_MOVE = 1e-4  # in a market that stands still


def with_future(
    market: Market, cut: int, future: str, rng: np.random.Generator, length: int | None = None
) -> Market:
    """Return the market up to and including bar *cut* with nothing, or with other bars, after it.

    Args:
        market: candles and all that belongs to them.
        cut: last bar to keep.
        future: one of the names above.
        rng: where other futures come from.
        length: number of bars after the cut; None: as many as there are.

    Prices stay positive, and every bar's high and low hold its open and close.
    """
    count = len(market.candles) - cut - 1
    if future == NO_FUTURE:
        count = 0
    elif length is not None:
        count = min(length, count)
    # A copy: through a view the bars that were cut off could still be reached.
    bars = market.candles.bars[: cut + 1 + count].copy()
    if count:
        _FUTURES[future](bars, cut, rng)
    return replace(
        market, candles=replace_bars(market.candles, bars), detail=_known_detail(market, cut)
    )


def replace_bars(candles: Candles, bars: Bars) -> Candles:
    """Return the same candles with other bars."""
    return Candles(candles.symbol, candles.timeframe, bars, candles.source, candles.synthetic)


def _known_detail(market: Market, cut: int) -> Candles | None:
    """Return the detail bars up to *cut*: later ones would show the future as it was."""
    detail, candles = market.detail, market.candles
    if detail is None:
        return None
    rows = int(np.searchsorted(detail.time, candles.time[cut] + candles.timeframe.ms))
    return detail.slice(0, rows) if rows else None


def usual_move(bars: Bars, cut: int) -> float:
    """Return the usual size of a bar's move before *cut*, as a difference of logarithms."""
    close = bars["close"][max(0, cut - _RECENT) : cut + 1]
    move = float(np.abs(np.diff(np.log(close))).mean()) if len(close) > 1 else 0.0
    return max(move, _LEAST_MOVE)


def _walk(bars: Bars, cut: int, moves: Floats, reach: float, rng: np.random.Generator) -> None:
    """Write bars whose closes move by *moves* (logarithms) and whose wicks are about *reach*."""
    rest = bars[cut + 1 :]
    close = bars["close"][cut] * np.exp(np.cumsum(moves))
    opened = np.concatenate([bars["close"][cut : cut + 1], close[:-1]])[: len(rest)]
    opened = opened * np.exp(0.1 * moves)  # gaps, in the direction of the move
    wicks = np.exp(reach * rng.random((2, len(rest))))
    rest["open"], rest["close"] = opened, close
    rest["high"] = np.maximum(opened, close) * wicks[0]
    rest["low"] = np.minimum(opened, close) / wicks[1]


def _drift(bars: Bars, cut: int, rng: np.random.Generator, sign: int) -> None:
    count, move = len(bars) - cut - 1, usual_move(bars, cut)
    moves = 2.0 * move * rng.standard_normal(count)
    ahead = min(count, DRIFT_BARS)
    moves[:ahead] = sign * move * (1.0 + 3.0 * rng.random(ahead))
    _walk(bars, cut, moves, 2.0 * move, rng)
    bars["volume"][cut + 1 :] *= (3.0 if sign > 0 else 0.3) * rng.lognormal(size=count)


def _rising(bars: Bars, cut: int, rng: np.random.Generator) -> None:
    _drift(bars, cut, rng, 1)


def _falling(bars: Bars, cut: int, rng: np.random.Generator) -> None:
    _drift(bars, cut, rng, -1)


def _quiet(bars: Bars, cut: int, rng: np.random.Generator) -> None:
    count, move = len(bars) - cut - 1, usual_move(bars, cut)
    _walk(bars, cut, 0.02 * move * rng.standard_normal(count), 0.02 * move, rng)
    bars["volume"][cut + 1 :] *= 0.1


def _mirrored(bars: Bars, cut: int, rng: np.random.Generator) -> None:
    """Reflect every later price at the close of the cut, as a ratio: a rise by 2 is a fall to 1/2.

    Volumes change places with those at the other end.
    """
    del rng
    rest, level = bars[cut + 1 :], bars["close"][cut]
    was = rest.copy()
    for name, source in (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")):
        rest[name] = level * (level / was[source])
    rest["volume"] = was["volume"][::-1]


def _shuffled(bars: Bars, cut: int, rng: np.random.Generator) -> None:
    """Chain the later bars, each as it was against the close before it, squared, in any order."""
    rest, level = bars[cut + 1 :], bars["close"][cut]
    before = bars["close"][cut:-1].copy()
    order = rng.permutation(len(rest))
    shape = {name: (rest[name] / before)[order] for name in ("open", "high", "low", "close")}
    # The walk of a long future is kept near the price: its drift is taken out.
    moves = 2.0 * np.log(shape["close"])
    moves -= moves.mean() if len(moves) else 0.0
    start = level * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))[: len(rest)]
    close = start * np.exp(moves)
    opened = start * shape["open"] ** 2
    rest["volume"] = rest["volume"][order]
    rest["open"], rest["close"] = opened, close
    rest["high"] = np.maximum(start * shape["high"] ** 2, np.maximum(opened, close))
    rest["low"] = np.minimum(start * shape["low"] ** 2, np.minimum(opened, close))


_FUTURES = {
    RISING: _rising,
    FALLING: _falling,
    MIRRORED: _mirrored,
    SHUFFLED: _shuffled,
    QUIET: _quiet,
}
FUTURES = tuple(_FUTURES)
