"""The state of one stretch of a symbol: its orders, its position, the trade in progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from backtrader.position import Position

from ftbt.backtest.costs import funding_schedule, slippage_fraction
from ftbt.backtest.result import ExitReason, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.market import Market
from ftbt.data.precision import nearest_size

NAN = float("nan")
NOBODY = -1


@dataclass(slots=True)
class OpenTrade:
    """A round trip that is not finished."""

    entry_bar: int
    entry_time: int
    side: int
    entry: Working
    bought: float = 0.0  # size opened so far
    bought_value: float = 0.0
    sold: float = 0.0
    sold_value: float = 0.0
    largest: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    slippage: float = 0.0


@dataclass(eq=False)
class Path:
    """The (sub)bars that a symbol's orders walk along, as plain lists: scalar reads are hot."""

    time: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    funding_open: list[float]
    funding_inside: list[float]


def _path(market: Market, detail: bool) -> Path:
    candles = market.detail if detail and market.detail is not None else market.candles
    bars = candles.bars
    at_open, inside = funding_schedule(bars, candles.timeframe.ms, market.funding)
    return Path(
        time=bars["time"].tolist(),
        open=bars["open"].tolist(),
        high=bars["high"].tolist(),
        low=bars["low"].tolist(),
        close=bars["close"].tolist(),
        funding_open=at_open.tolist(),
        funding_inside=inside.tolist(),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch stands in a run.

    Attributes:
        number: of the stretch; at one time the books move in this order.
        symbol: number of its symbol.
        start: number on the run's clock of its first bar.
        trade_from: bars at its front that only warm the lines up.
    """

    number: int = 0
    symbol: int = 0
    start: int = 0
    trade_from: int = 0


class Book:
    """Orders, position and trade of one stretch of candles.

    Attributes:
        active: working orders, in the order they were sent.
        held: entry's reference -> orders that were sent and are not transmitted yet.
        position: Backtrader's position object, signed size and mean price.
        bar: row of the bar in progress, -1 before the first one.
        price: last price seen, for marking.
        finished: its last bar is over; nothing can be traded here any more.
        detail_rows: bar -> (first, stop) rows of the detail path that tile it, or (0, 0).
    """

    def __init__(
        self, data: Any, market: Market, settings: Settings, place: Place | None = None
    ) -> None:
        place = place or Place()
        self.number, self.symbol = place.number, place.symbol
        self.start, self.trade_from = place.start, place.trade_from
        self.last_bar = len(market.candles) - 1
        self.data = data
        self.stamps = data.lines.datetime  # how long it is says which bar is on
        self.market = market
        self.rules = market.instrument
        self.decimals = market.instrument.size_decimals
        self.leverage = min(settings.leverage, market.instrument.max_leverage)
        self.maintenance = 1.0 / (2.0 * market.instrument.max_leverage)
        self.active: list[Working] = []
        self.held: dict[int, list[Working]] = {}
        self.position = Position()
        self.trade: OpenTrade | None = None
        self.coarse = _path(market, detail=False)
        self.closes = self.coarse.close
        self.slip = slippage_fraction(market.candles.bars, settings).tolist()
        self.detail: Path | None = None
        self.detail_rows: list[tuple[int, int]] = []
        self._told: dict[Any, float] = {}  # tradeid -> size of the trade that Backtrader adds up
        self.bar = -1
        self.finished = False
        self.opening = False  # inside the open of a bar
        self.time = 0
        self.price = NAN
        if market.detail is not None:
            self.detail = _path(market, detail=True)
            self.detail_rows = detail_rows(market)

    @property
    def size(self) -> float:
        """Signed size of the position."""
        return float(self.position.size)

    @property
    def now(self) -> int:
        """Number on the run's clock of the bar in progress."""
        return self.start + self.bar

    @property
    def bar_time(self) -> int:
        """Open of the bar in progress, ms UTC; `time` may be that of a detail bar."""
        return self.coarse.time[self.bar]

    @property
    def owner(self) -> int:
        """Sleeve that has the position or an order here, NOBODY when it is free."""
        if self.trade is not None:
            return self.trade.entry.sleeve
        return next((working.sleeve for working in self.waiting()), NOBODY)

    def waiting(self) -> list[Working]:
        """Return all orders that have not ended, those that are not transmitted yet included."""
        if not self.held:
            return self.active
        kept = [member for family in self.held.values() for member in family]
        return self.active + [member for member in kept if member.status == Status.OPEN]

    def opening_size(self, working: Working) -> float:
        """Return the part of an order that would open or enlarge a position, 0 for none."""
        if working.reduces:
            return 0.0
        if working.side * self.size >= 0.0:
            return working.remaining
        return max(0.0, nearest_size(working.remaining - abs(self.size), self.decimals))

    def move(self, signed: float, price: float) -> tuple[float, float]:
        """Change the position by *signed* at *price*; return the unsigned (opened, closed) parts.

        Sizes are sums of lots: they are rounded to the lot, so that 0.3 - 0.1 - 0.2 is flat.
        """
        old, position = self.size, self.position
        new = nearest_size(old + signed, self.decimals)
        closed = min(abs(old), abs(signed)) if old * signed < 0.0 else 0.0
        opened = abs(new) if new * old < 0.0 or not old else max(0.0, abs(new) - abs(old))
        if not new:
            position.price = 0.0
        elif opened and not closed and old:
            position.price = (position.price * abs(old) + price * opened) / abs(new)
        elif opened:
            position.price = price
        position.size = new
        return opened, closed

    def told(self, tradeid: Any, closed: float, opened: float) -> tuple[float, float]:
        """Return the signed parts of a fill as Backtrader's trades shall add them up.

        It sums sizes as they come: 0.3 - 0.1 - 0.2 is not zero in binary, and the trade that
        `notify_trade` shows would never be closed. The last part is made to fit.
        """
        held = self._told.get(tradeid, 0.0)
        if closed and abs(held + closed) < 0.5 * 10.0**-self.decimals:
            closed = -held
        self._told[tradeid] = held + closed + opened
        return closed, opened

    def profit(self, price: float) -> float:
        """Return the open profit at *price*."""
        return float(self.position.size * (price - self.position.price))

    def children(self) -> list[Working]:
        """Return the working orders that may only close."""
        return [w for w in self.active if w.reduces and w.active]

    def record(self, working: Working, opened: float, closed: float, price: float) -> None:
        """Carry a fill into the trade in progress; *opened* and *closed* are unsigned sizes."""
        if opened:
            if self.trade is None:
                self.trade = OpenTrade(self.now, self.time, working.side, working)
            self.trade.bought += opened
            self.trade.bought_value += opened * price
            self.trade.largest = max(self.trade.largest, self.trade.bought - self.trade.sold)
        elif closed and self.trade is not None:
            self.trade.sold += closed
            self.trade.sold_value += closed * price

    def finish_trade(self, exit_reason: int) -> tuple[Any, ...]:
        """End the trade in progress; return it as a row of TRADE."""
        trade, self.trade = self.trade, None
        assert trade is not None, "a position always has a trade"
        entry_price = trade.bought_value / trade.bought
        exit_price = trade.sold_value / trade.sold
        gross = trade.side * (trade.sold_value - trade.bought_value)
        net = gross - trade.fees - trade.funding
        stop = trade.entry.stop
        risk = trade.largest * abs(entry_price - stop)
        mae, mfe = self._excursions(trade, entry_price)
        return (
            trade.entry_bar, self.now, trade.entry_time, self.time, trade.side, trade.largest,
            entry_price, exit_price, stop, *trade.entry.targets, gross, trade.fees, trade.funding,
            trade.slippage, net, net / risk if risk > 0 else NAN, mae, mfe,
            trade.entry.confidence, trade.entry.reason, exit_reason,
            self.symbol, trade.entry.sleeve,
        )  # fmt: skip

    def _excursions(self, trade: OpenTrade, entry_price: float) -> tuple[float, float]:
        bars = self.market.candles.bars[trade.entry_bar - self.start : self.bar + 1]
        low, high = float(bars["low"].min()), float(bars["high"].max())
        worst, best = (low, high) if trade.side > 0 else (high, low)
        against = trade.side * (worst / entry_price - 1.0)
        favour = trade.side * (best / entry_price - 1.0)
        return min(0.0, against), max(0.0, favour)


def detail_rows(market: Market) -> list[tuple[int, int]]:
    """Return for each bar the rows of the detail candles that tile it; (0, 0) when any is missing.

    A bar that is covered only in part is walked as a whole: half a path is no path.
    """
    if market.detail is None:
        return []
    ratio = market.candles.timeframe.ms // market.detail.timeframe.ms
    opens = market.candles.time
    first = np.searchsorted(market.detail.time, opens)
    stop = np.searchsorted(market.detail.time, opens + market.candles.timeframe.ms)
    whole = stop - first == ratio
    return list(zip((first * whole).tolist(), (stop * whole).tolist(), strict=True))


CLOSED_BY = {
    Role.STOP: ExitReason.STOP,
    Role.TARGET1: ExitReason.TARGET1,
    Role.TARGET2: ExitReason.TARGET2,
}
