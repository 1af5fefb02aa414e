"""The Backtrader feed of live bars: closed ones only, stamped with their open as in research.

All feeds of a run read from one `MarketData`. The first of them takes a group from it and lays the
bars out for all, so that one turn of Backtrader's loop sees a timestamp of every coin or of none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import backtrader as bt

from ftbt.data.feed import bt_timeframe, to_bt_time
from ftbt.hyperliquid.bars import Bar
from ftbt.hyperliquid.market_data import LiveGroup, MarketData

# Backtrader would spin with its default of 0; it waits at most this long per turn.
QCHECK_S = 0.25


class FeedGroup:
    """What the feeds of one run share.

    Attributes:
        source: where groups come from.
        feeds: by coin, in the order in which they were made.
        turn_over: called before a new turn of the loop waits for bars.
    """

    def __init__(self, source: MarketData, turn_over: Callable[[], None] = lambda: None) -> None:
        self.source, self.turn_over = source, turn_over
        self.feeds: dict[str, LiveFeed] = {}

    def make_feeds(self) -> list[LiveFeed]:
        """Return one feed for each coin of the source, to be added to Cerebro in this order."""
        return [LiveFeed(group=self, coin=coin) for coin in self.source.coins]

    def advance(self, wait_s: float) -> bool:
        """Lay out the next group when the last one is used up; return whether there was one."""
        if any(feed.waiting for feed in self.feeds.values()):
            return False
        taken = self.source.take(wait_s)
        if taken is None:
            return False
        for coin, bar in taken.group.bars.items():
            self.feeds[coin].waiting.append((bar, taken))
        return True


class LiveFeed(bt.feed.DataBase):
    """Bars of one coin of a `FeedGroup`.

    Attributes:
        live: the newest bar is new enough to trade on. False in the warm-up, in what was missed
            while the connection was down, and while it is down.
        bar: the newest bar, with the moment that proved it closed.
    """

    params = (("group", None), ("coin", ""), ("qcheck", QCHECK_S))

    def __init__(self, **_: Any) -> None:  # Backtrader has taken the params out by now
        super().__init__()
        group: FeedGroup = self.p.group
        self.group, self.coin = group, str(self.p.coin)
        code, compression = bt_timeframe(group.source.timeframe)
        self._timeframe = self.p.timeframe = code
        self._compression = self.p.compression = compression
        self.waiting: deque[tuple[Bar, LiveGroup]] = deque()
        self.live = False
        self.bar: Bar | None = None
        self._first = not group.feeds
        self._retry = False
        group.feeds[self.coin] = self

    def islive(self) -> bool:
        """Return True: Backtrader must not preload."""
        return True

    def haslivedata(self) -> bool:
        """Tell whether a bar can be had without waiting."""
        return bool(self.waiting) or (self._first and self.group.source.ready())

    def start(self) -> None:
        """Begin; the history comes first."""
        super().start()
        self.put_notification(self.DELAYED)

    def next(self, datamaster: Any = None, ticks: bool = True) -> Any:
        """Deliver a bar if there is one.

        Backtrader asks a second time in the same turn those that had none; the next group must
        not begin there, or its bars would come a turn before the others'.
        """
        self._retry = datamaster is not None
        return super().next(datamaster=datamaster, ticks=ticks)

    def _load(self) -> bool | None:
        if not self.waiting and self._first and not self._retry:
            self.group.turn_over()
            self._tell_connection()
            self.group.advance(self._qcheck)
        if not self.waiting:
            source = self.group.source
            if source.over and not source.ready():
                self._set_live(self.DISCONNECTED)
                return False
            return None
        bar, taken = self.waiting.popleft()
        self._set_live(self.LIVE if taken.live else self.DELAYED)
        self.bar = bar
        self._write(bar)
        return True

    def _set_live(self, status: int) -> None:
        self.live = status == self.LIVE
        self.put_notification(status)

    def _tell_connection(self) -> None:
        """Let all feeds say that the connection is down; the next bar says that it is back."""
        source = self.group.source
        if not source.connected and not source.ready():
            for feed in self.group.feeds.values():
                feed.live = False
                feed.put_notification(feed.CONNBROKEN)

    def _write(self, bar: Bar) -> None:
        lines = self.lines
        lines.datetime[0] = to_bt_time(bar.opened)
        lines.open[0], lines.high[0] = bar.open, bar.high
        lines.low[0], lines.close[0] = bar.low, bar.close
        lines.volume[0] = bar.volume
        lines.openinterest[0] = 0.0

    def _tick_nullify(self) -> None:
        """Do nothing: there are no ticks inside a closed bar."""

    def _tick_fill(self, force: bool = False) -> None:
        """Do nothing: there are no ticks inside a closed bar."""
