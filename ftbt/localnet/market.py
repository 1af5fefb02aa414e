"""The replay of one coin: its price now, its next step, its candles so far."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from ftbt.backtest.costs import slippage_fraction
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Floats
from ftbt.data.market import Market
from ftbt.data.timeframe import DAY_MS, MINUTE_MS
from ftbt.errors import DataError
from ftbt.localnet.assets import Asset
from ftbt.localnet.candles import INTERVALS, MAX_ROWS, STEPS, Row, expand, open_of, rows_of
from ftbt.localnet.numbers import ZERO, from_float, lot
from ftbt.localnet.path import Bar, Step, walk

_VOLUME_DECIMALS = 8
_LARGEST = 4e18


class CoinMarket:
    """One coin's candles, walked bar by bar.

    Attributes:
        asset: what is traded.
        base: bars that are walked (the detail bars when there are any), BAR array.
        base_ms: their length.
        decision_ms: length of the candles that strategies decide on.
        walked_from: open of the first bar that can be walked; before it there is history only.
        price: last traded price; mark and oracle price as well.
        time: when it traded, ms.
    """

    def __init__(self, asset: Asset, market: Market, settings: Settings) -> None:
        self.asset = asset
        candles = market.candles
        self.decision_ms = candles.timeframe.ms
        walked = candles if market.detail is None else market.detail
        if len(walked) == 0:
            raise DataError(f"{asset.coin}: no bars to replay")
        self.walked_from = int(walked.bars["time"][0])
        self.base, self.base_ms = candles.bars, walked.timeframe.ms
        if market.detail is not None:
            self.base = _with_history(market)
        self._candles = candles.bars
        self._spread: Floats = slippage_fraction(candles.bars, settings)
        self._spread_of = (-1, ZERO)
        self._low_first = self.base["close"] >= self.base["open"]
        self._next = 0
        self._steps: list[Step] = []
        self._current: Row | None = None
        self._partial: dict[str, tuple[int, Row | None]] = {}
        self._lot = lot(asset.size_decimals)
        self._decimals = self._volume_decimals()
        self._rates, self._due = _funding(market)
        self._paid = 0
        self.price = from_float(float(self.base["open"][0]))
        self.time = int(self.base["time"][0])

    def _volume_decimals(self) -> int:
        decimals, total = _VOLUME_DECIMALS, float(self.base["volume"].sum())
        while decimals > 0 and total * 10.0**decimals > _LARGEST:
            decimals -= 1
        return decimals

    # --- the replay -----------------------------------------------------------------------

    def start_at(self, time: int) -> None:
        """Make everything before *time* (ms, a base bar's open) history.

        Raises:
            DataError: when no bar is left to replay, or none would be history.
        """
        first = int(np.searchsorted(self.base["time"], time))
        if not 0 < first < len(self.base):
            raise DataError(
                f"{self.asset.coin}: the replay needs at least one bar before its start and one"
                " after it"
            )
        self._next, self._steps, self._current, self._partial = first, [], None, {}
        self._paid = int(np.searchsorted(self._due, time))
        self.price = from_float(float(self.base["close"][first - 1]))
        self.time = int(self.base["time"][first - 1]) + self.base_ms - 1

    @property
    def next_time(self) -> int | None:
        """When the next step comes; None at the end of the candles."""
        if self._steps:
            return self._steps[0].time
        return int(self.base["time"][self._next]) if self._next < len(self.base) else None

    @property
    def opens_bar(self) -> bool:
        """Tell whether the next step begins a bar, whose path can still be chosen."""
        return not self._steps

    def choose_path(self, low_first: bool) -> None:
        """Set which extreme the next bar visits first."""
        self._low_first[self._next] = low_first

    def step(self) -> Step | None:
        """Take the next step and return it; None for a bar in which nothing traded."""
        if not self._steps:
            bar = self._bar(self._next)
            self._next += 1
            self._current = None
            self._steps = walk(bar, bool(self._low_first[self._next - 1]), self._lot)
            if not self._steps:
                self.time = bar.time
                return None
        step = self._steps.pop(0)
        self.price, self.time = step.price, step.time
        if self._current is None:
            opened = int(self.base["time"][self._next - 1])
            self._current = Row(opened, step.price, step.price, step.price, step.price, ZERO, 0)
        self._current.add(step.price, step.price, step.price, step.volume, 1)
        return step

    def _bar(self, index: int) -> Bar:
        row = self.base[index]
        first, high, low, last = (from_float(row[n]) for n in ("open", "high", "low", "close"))
        units = Decimal(int(np.rint(row["volume"] * 10.0**self._decimals)))
        volume = units.scaleb(-self._decimals)
        return Bar(int(row["time"]), self.base_ms, first, high, low, last, volume)

    # --- what is known of the coin --------------------------------------------------------

    def spread(self) -> Decimal:
        """Return the half spread as a fraction: what a back-test charges as slippage now."""
        opened = self.time // self.decision_ms
        if opened != self._spread_of[0]:
            index = int(np.searchsorted(self._candles["time"], self.time, side="right")) - 1
            self._spread_of = opened, from_float(float(self._spread[max(index, 0)]))
        return self._spread_of[1]

    def trades_in_bar(self) -> int:
        """Return how many trades of the current base bar have happened."""
        return 0 if self._current is None else self._current.trades

    def day_ago(self) -> tuple[Decimal, Decimal, Decimal]:
        """Return the price 24 hours ago, and base and quote volume since."""
        done = self._next
        first = int(np.searchsorted(self.base["time"], self.time - DAY_MS))
        part = self.base[first:done]
        if len(part) == 0:
            return self.price, ZERO, ZERO
        base = from_float(round(float(part["volume"].sum()), 2))
        quote = from_float(round(float((part["volume"] * part["close"]).sum()), 2))
        return from_float(float(part["open"][0])), base, quote

    def funding_due(self) -> int | None:
        """Return when the next funding payment is due (ms), None when there is none."""
        return int(self._due[self._paid]) if self._paid < len(self._due) else None

    def funding_rate(self) -> Decimal:
        """Return the rate of the next payment; 0 when the data have none."""
        if self._paid >= len(self._rates):
            return ZERO
        return from_float(float(self._rates[self._paid]))

    def take_funding(self) -> Decimal:
        """Return the rate that is due now and move on to the next."""
        rate = self.funding_rate()
        self._paid += 1
        return rate

    def funding_history(self, start: int, end: int) -> list[tuple[int, Decimal]]:
        """Return the payments that have been due between *start* and *end* (ms, inclusive)."""
        first = int(np.searchsorted(self._due, start))
        stop = min(int(np.searchsorted(self._due, end, side="right")), self._paid)
        return [(int(self._due[k]), from_float(float(self._rates[k]))) for k in range(first, stop)]

    # --- candles --------------------------------------------------------------------------

    def forming(self, interval: str) -> Row | None:
        """Return the candle of *interval* that is forming, from trades of its own time only."""
        if self._current is None:
            return None
        if 0 < INTERVALS[interval] < self.base_ms:
            return self._short_forming(interval)
        opened = open_of(self._current.opened, interval)
        row = self._closed_part(interval, opened)
        if row is None:
            row = self._current.copy()
            row.opened = opened
            return row
        row = row.copy()
        now = self._current
        row.add(now.high, now.low, now.close, now.volume, now.trades)
        return row

    def _closed_part(self, interval: str, opened: int) -> Row | None:
        """Return what the finished base bars put into the candle that opens at *opened*."""
        done = self._next - 1
        known, row = self._partial.get(interval, (-1, None))
        if known != done or (row is not None and row.opened != opened):
            first = int(np.searchsorted(self.base["time"], opened))
            rows = rows_of(self.base[first:done], interval, STEPS, self._decimals)
            row = rows[-1] if rows else None
            self._partial[interval] = (done, row)
        return row

    def _short_forming(self, interval: str) -> Row | None:
        opened = open_of(self.time, interval)
        rows = self._short_rows(self._next - 1, self._next, interval)
        return next((row for row in rows if row.opened == opened), None)

    def _short_rows(self, first: int, stop: int, interval: str) -> list[Row]:
        """Return candles shorter than the bars, made of the steps through bars first..stop-1."""
        fine = expand(self.base[first:stop], self.base_ms, self._low_first[first:stop])
        return rows_of(fine[fine["time"] <= self.time], interval, 1, self._decimals)

    def snapshot(self, interval: str, start: int, end: int) -> list[dict[str, Any]]:
        """Return the candles of *interval* that overlap [start, end] (ms), the forming one last."""
        length = INTERVALS[interval] or 31 * DAY_MS
        short = length < self.base_ms
        done = self._next - 1 if self._current is not None else self._next
        oldest = max(start - length, self.time - (MAX_ROWS + 1) * length)
        first = int(np.searchsorted(self.base["time"], oldest - self.base_ms))
        if short:
            rows = self._short_rows(first, self._next, interval)
        else:
            rows = self._closed_rows(first, done, interval)
            forming = self.forming(interval)
            if forming is not None:
                if rows and rows[-1].opened == forming.opened:
                    rows.pop()
                rows.append(forming)
        rows = rows[-MAX_ROWS:]
        wanted = [row for row in rows if row.opened <= end and row.opened + length > start]
        return [row.describe(self.asset.coin, interval) for row in wanted]

    def _closed_rows(self, first: int, done: int, interval: str) -> list[Row]:
        # The first candle must be whole: begin where one opens.
        opened = open_of(int(self.base["time"][min(first, len(self.base) - 1)]), interval)
        begin = int(np.searchsorted(self.base["time"], opened))
        if INTERVALS[interval] == self.decision_ms and self.base_ms != self.decision_ms:
            return self._decision_rows(opened, done, interval)
        return rows_of(self.base[begin:done], interval, STEPS, self._decimals)

    def _decision_rows(self, opened: int, done: int, interval: str) -> list[Row]:
        """Return the strategy's own candles where they are closed: what research has seen."""
        bars: Bars = self._candles
        last = int(self.base["time"][done]) if done < len(self.base) else self.time + 1
        first = int(np.searchsorted(bars["time"], opened))
        stop = int(np.searchsorted(bars["time"], last - self.decision_ms, side="right"))
        closed = rows_of(
            bars[first:stop], interval, STEPS * self.decision_ms // self.base_ms, self._decimals
        )
        rest_from = int(bars["time"][stop - 1]) + self.decision_ms if stop > first else opened
        begin = int(np.searchsorted(self.base["time"], rest_from))
        return closed + rows_of(self.base[begin:done], interval, STEPS, self._decimals)


def _with_history(market: Market) -> Bars:
    """Return the detail bars, and the candles that closed before them as history.

    Detail bars are often kept for the newest time only, and lines need a longer past.
    """
    assert market.detail is not None, "asked for with detail bars"
    candles, fine = market.candles, market.detail.bars
    closed = candles.bars["time"] + candles.timeframe.ms <= fine["time"][0]
    return np.concatenate([candles.bars[closed], fine]) if closed.any() else fine


def _funding(market: Market) -> tuple[Floats, Any]:
    if market.funding is None:
        return np.zeros(0), np.zeros(0, np.int64)
    known = np.isfinite(market.funding.rate)
    # The venue stamps a payment some milliseconds after the hour that it belongs to.
    due = market.funding.time[known] // MINUTE_MS * MINUTE_MS
    return market.funding.rate[known], due
