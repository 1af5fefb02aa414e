"""The clock that several stretches of candles share, made once for all runs of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.prepared import Kept
from ftbt.data.market import Market
from ftbt.errors import InputError
from ftbt.risk.correlation import Groups, correlation_groups
from ftbt.risk.limits import Limits

Ints = NDArray[np.int64]
LIMIT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Candles of several stretches on one clock.

    Attributes:
        clock: opens of all bars that any stretch has, ms UTC, shape (n,).
        start: number on the clock of each stretch's first bar, shape (stretches,). All further
            bars of a stretch follow without a gap.
        closes: closing prices, NaN where a symbol has no bar, shape (n, symbols).
        groups: which symbols move together; None for a single symbol.
    """

    clock: Ints
    start: Ints
    closes: NDArray[np.float64]
    groups: Groups | None


_ALIGNED = Kept(LIMIT_BYTES)


def aligned(
    markets: Sequence[Market], first: Sequence[int], symbol_of: Sequence[int], limits: Limits
) -> Aligned:
    """Return the joint clock of *markets*; kept for the next call with the same candles.

    Args:
        markets: one per stretch, those of a symbol in order of time.
        first: bars of each one that only warm the lines up; they may lie in the stretch before.
        symbol_of: number of each one's symbol.
        limits: say how correlation is measured.

    Raises:
        InputError: two stretches of a symbol overlap.
    """
    key = (
        tuple(market.candles.fingerprint for market in markets),
        tuple(first),
        tuple(symbol_of),
        limits.correlation,
        limits.correlation_days,
    )
    found: Aligned | None = _ALIGNED.get(key)
    if found is None:
        found = _align(markets, first, symbol_of, limits)
        size = found.clock.nbytes + found.closes.nbytes
        _ALIGNED.put(key, found, size, ())
    return found


def _align(
    markets: Sequence[Market], first: Sequence[int], symbol_of: Sequence[int], limits: Limits
) -> Aligned:
    times = [market.candles.time for market in markets]
    for n in range(1, len(markets)):
        if symbol_of[n] == symbol_of[n - 1] and times[n][first[n]] <= times[n - 1][-1]:
            raise InputError(f"{markets[n].symbol}: two stretches of candles overlap")
    clock = times[0] if len(times) == 1 else np.unique(np.concatenate(times))
    start = np.array([int(np.searchsorted(clock, time[0])) for time in times])
    for market, time, at in zip(markets, times, start, strict=True):
        if clock[at + len(time) - 1] != time[-1]:
            raise InputError(
                f"{market.symbol}: its bars do not open at the same times as those of the others"
            )
    symbols = max(symbol_of) + 1
    closes = np.full((len(clock), symbols), np.nan)
    for number, market in enumerate(markets):
        close = market.candles.close
        closes[start[number] : start[number] + len(close), symbol_of[number]] = close
    groups = None
    if symbols > 1:
        groups = correlation_groups(
            clock,
            closes,
            window_days=limits.correlation_days,
            threshold=limits.correlation,
            step_ms=markets[0].candles.timeframe.ms,
        )
    closes.flags.writeable = False
    return Aligned(clock, start, closes, groups)
