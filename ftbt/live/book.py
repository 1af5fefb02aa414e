"""The live state of one symbol: as in a back-test, but its bars come one at a time."""

from __future__ import annotations

import sys
from collections.abc import Container
from typing import Any

from backtrader.position import Position

from ftbt.backtest.book import NAN, Book, OpenTrade
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.market import Instrument


class LiveBook(Book):
    """Orders, position and trade of one coin on an exchange.

    Attributes:
        coin: the venue's name of the symbol.
        step: length of a bar, ms.
        opened: open of the newest closed bar, ms.
    """

    def __init__(
        self, data: Any, instrument: Instrument, settings: Settings, symbol: int, step: int
    ) -> None:
        # Not the back-test's: there are no candles to lay out in advance.
        self.coin, self.step = instrument.symbol, step
        self.number = self.symbol = symbol
        self.start = self.trade_from = 0
        self.last_bar = sys.maxsize
        self.data = data
        self.stamps = data.lines.datetime
        self.rules = instrument
        self.decimals = instrument.size_decimals
        self.leverage = min(settings.leverage, instrument.max_leverage)
        self.maintenance = 1.0 / (2.0 * instrument.max_leverage)
        self.active: list[Working] = []
        self.held: dict[int, list[Working]] = {}
        self.position = Position()
        self.trade: OpenTrade | None = None
        self._told: dict[Any, float] = {}
        self.bar = -1
        self.finished = self.opening = False
        self.time = self.opened = 0
        self.price = NAN
        self._ahead = 0
        self._low, self._high = NAN, NAN
        self.taken_back: Container[int] = ()  # numbers of orders, kept by `Sync`

    @property
    def now(self) -> int:
        """Number of the bar in which what happens now happens."""
        return self.bar + self._ahead

    @property
    def bar_time(self) -> int:
        """Open of the newest closed bar, ms UTC."""
        return self.opened

    def waiting(self) -> list[Working]:
        """Return all orders that have not ended, but for those that are being taken back.

        A back-test's limits have their room at once. What takes it here is sent when the exchange
        has confirmed that they are gone; see `Sync.in_the_way`.
        """
        return [one for one in super().waiting() if one.number not in self.taken_back]

    def bar_of(self, opened: int) -> int:
        """Return the number of the bar that opens at *opened* (ms), below 0 before the first."""
        return self.bar + (opened - self.opened) // self.step

    def take_bar(self, opened: int, low: float, high: float, close: float) -> None:
        """Note a bar that has closed."""
        self.bar += 1
        self.opened, self.price, self._ahead = opened, close, 0
        self.time = opened + self.step
        self._reach(low, high)

    def at(self, time: int) -> None:
        """Let what follows happen at *time*, ms of the market."""
        self.time = time
        self._ahead = (time - self.opened) // self.step if self.bar >= 0 else 0

    def move(self, signed: float, price: float) -> tuple[float, float]:
        """See `Book.move`; the price counts among those of the trade."""
        if not self.size:
            self._low = self._high = price
        self._reach(price, price)
        return super().move(signed, price)

    def _reach(self, low: float, high: float) -> None:
        self._low, self._high = min(self._low, low), max(self._high, high)

    def _excursions(self, trade: OpenTrade, entry_price: float) -> tuple[float, float]:
        worst, best = (self._low, self._high) if trade.side > 0 else (self._high, self._low)
        against = trade.side * (worst / entry_price - 1.0)
        favour = trade.side * (best / entry_price - 1.0)
        return min(0.0, against), max(0.0, favour)
