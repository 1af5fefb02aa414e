"""Which bars are rehearsed, and what the back-test does on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ftbt.backtest.engine import run_portfolio
from ftbt.backtest.portfolio import Sleeve, Stretch
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles
from ftbt.data.market import Market, coin_of
from ftbt.data.timeframe import DAY_MS, Timeframe, show_ms, to_ms
from ftbt.errors import DataError, InputError
from ftbt.rehearsal.pacing import Span
from ftbt.risk.allocation import Allocation

# The exchange keeps so many candles; a longer warm-up could not be asked of it.
MOST_WARMUP = 5000
LEAST_BARS = 2
# Less than the exchange's smallest unit of volume is none.
_NO_VOLUME = 0.5e-8


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One rehearsal.

    Attributes:
        sleeves: strategies with their parameters and shares.
        markets: warm-up, the bars to be traded, and one more that proves the last one closed.
        warmup: bars that only warm the lines up.
        settings, allocation: of the account.
    """

    sleeves: tuple[Sleeve, ...]
    markets: tuple[Market, ...]
    warmup: int
    settings: Settings
    allocation: Allocation

    @property
    def timeframe(self) -> Timeframe:
        """Length of a bar."""
        return self.markets[0].candles.timeframe

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded."""
        return tuple(market.symbol for market in self.markets)

    @property
    def first_ms(self) -> int:
        """Open of the first bar of the warm-up."""
        return int(self.markets[0].candles.time[0])

    @property
    def begin_ms(self) -> int:
        """Open of the first bar at whose close is decided."""
        return int(self.markets[0].candles.time[self.warmup])

    @property
    def end_ms(self) -> int:
        """Close of the last bar at whose close is decided, when the session ends."""
        return int(self.markets[0].candles.time[-1])

    @property
    def bars(self) -> int:
        """How many bars are decided on."""
        return len(self.markets[0].candles) - 1 - self.warmup

    @property
    def has_detail(self) -> bool:
        """Whether the path inside every bar is known."""
        return all(market.detail is not None for market in self.markets)

    def span(self) -> Span:
        """Return what the market's drive needs to know."""
        paths = [market.detail or market.candles for market in self.markets]
        return Span(
            self.begin_ms, self.end_ms, self.timeframe.ms,
            min(path.timeframe.ms for path in paths), self._quiet(paths),
        )  # fmt: skip

    def _quiet(self, paths: Sequence[Candles]) -> frozenset[int]:
        """Return the opens at which a coin has no trade."""
        opens = self.markets[0].candles.time[self.warmup :]
        found: set[int] = set()
        for path in paths:
            idle = path.time[path.volume < _NO_VOLUME]
            found.update(np.intersect1d(opens, idle).tolist())
        return frozenset(found)

    def back_test(self, end_ms: int | None = None, begin_ms: int | None = None) -> Result:
        """Return what the strategies do on the bars.

        Args:
            end_ms: close of the last bar; None: of all.
            begin_ms: open of the first bar that is decided on; None: the plan's.

        Raises:
            InputError: fewer than two bars are left.
        """
        end = self.end_ms if end_ms is None else min(end_ms, self.end_ms)
        begin = self.begin_ms if begin_ms is None else begin_ms
        first, stop = (int(x) for x in np.searchsorted(self.markets[0].candles.time, [begin, end]))
        if stop - first < LEAST_BARS:
            raise InputError(f"no bar has closed by {show_ms(end)}: nothing to compare with")
        cut = [Stretch(_slice(market, 0, stop), first) for market in self.markets]
        return run_portfolio(self.sleeves, cut, self.settings, allocation=self.allocation)


def make_plan(
    sleeves: Sequence[Sleeve],
    segments: Sequence[Sequence[Market]],
    warmup: int,
    settings: Settings,
    allocation: Allocation,
    *,
    begin_ms: int | None = None,
    days: float = 7.0,
) -> Plan:
    """Return the rehearsal of *days* from *begin_ms* on, the last ones of the candles by default.

    Args:
        sleeves: strategies with their parameters and shares.
        segments: stretches without holes of each symbol; the longest is taken.
        warmup: bars that the lines need.
        settings: money and costs.
        allocation: how strategies share the account.
        begin_ms: open of the first bar to be traded.
        days: how long.

    Raises:
        InputError, DataError: the candles do not have such a stretch with its warm-up.
    """
    if warmup > MOST_WARMUP:
        raise InputError(
            f"the strategies need {warmup:,} bars to warm up, but an exchange keeps"
            f" {MOST_WARMUP:,}: take a longer --timeframe"
        )
    markets = [max(parts, key=lambda part: len(part.candles)) for parts in segments]
    frame = markets[0].candles.timeframe
    first = max(to_ms(market.candles.start) for market in markets)
    last = min(int(market.candles.time[-1]) for market in markets)
    wanted = max(LEAST_BARS, round(days * DAY_MS / frame.ms))
    begin = last - wanted * frame.ms if begin_ms is None else frame.floor(begin_ms)
    end = min(last, begin + wanted * frame.ms)
    earliest = first + warmup * frame.ms
    if begin < earliest or end - begin < LEAST_BARS * frame.ms:
        raise DataError(
            f"a rehearsal from {show_ms(begin)} needs {warmup:,} bars of {frame} before it and"
            f" {LEAST_BARS} after it; the candles run from {show_ms(first)} to"
            f" {show_ms(last + frame.ms)}: --begin from {show_ms(earliest)} on would do, or"
            " fewer --days"
        )
    return Plan(
        tuple(sleeves),
        tuple(_part(market, begin - warmup * frame.ms, end) for market in markets),
        warmup, settings, allocation,
    )  # fmt: skip


def _part(market: Market, first_ms: int, last_ms: int) -> Market:
    """Return the bars that open in [first_ms, last_ms], under the name that the exchange has."""
    time = market.candles.time
    first, stop = np.searchsorted(time, [first_ms, last_ms + 1])
    part = _slice(market, int(first), int(stop))
    coin = coin_of(market.symbol)
    return Market(
        replace(part.candles, symbol=coin),
        replace(part.instrument, symbol=coin),
        part.funding,
        None if part.detail is None else replace(part.detail, symbol=coin),
    )


def _slice(market: Market, first: int, stop: int) -> Market:
    """Return bars first .. stop-1 with the detail bars inside them, if these are whole."""
    part = market.slice(first, stop)
    if market.detail is None:
        return part
    edges = to_ms(part.candles.start), to_ms(part.candles.end)
    begin, end = np.searchsorted(market.detail.time, edges)
    return replace(part, detail=market.detail.slice(int(begin), int(end)))
