"""Closed bars out of frames that never say "closed". Pure: no thread, no socket, no clock.

The venue sends the forming candle again and again and falls silent about it; most bars get no
frame after their end. So a bar is closed when the first frame of a later one arrives, or when its
time is over, a grace has passed, and REST has been asked. A bar is handed out once, in order,
without gaps, and never changed afterwards: lines are only added to.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ftbt.errors import DataError, IntegrityError
from ftbt.hyperliquid.records import Row

_REMEMBERED = 64


class Source(StrEnum):
    """Where the numbers of a bar come from.

    HISTORY and REST: from `candleSnapshot`. STREAM: the last frame of a connection that held.
    FLAT: nothing traded, and the venue has no row: the last close, no volume.
    """

    HISTORY = "history"
    STREAM = "stream"
    REST = "rest"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed bar.

    Attributes:
        opened: open time, ms; its name in all of ftbt.
        source: where it comes from.
        proven: `time.monotonic()` of the frame or answer that proved it closed.
    """

    coin: str
    opened: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: Source
    proven: float = 0.0


def bar_of(row: Row, source: Source, proven: float = 0.0) -> Bar:
    """Return the bar of a row that is known to be closed."""
    return Bar(
        row.coin, row.opened, row.open, row.high, row.low, row.close, row.volume, source, proven
    )


def flat_bar(coin: str, opened: int, price: float, proven: float = 0.0) -> Bar:
    """Return the bar of an interval in which nothing traded."""
    return Bar(coin, opened, price, price, price, price, 0.0, Source.FLAT, proven)


@dataclass(frozen=True, slots=True)
class Revision:
    """A bar that REST later told otherwise than it was handed out."""

    given: Bar
    now: Row


class BarBuilder:
    """Makes the closed bars of one coin.

    Args:
        coin, interval: what frames and rows must be of.
        step: length of a bar, ms.
        last: the newest bar of the history; the next one handed out follows it.
        looks_until_flat: answers of REST that must lack a row before nothing counts as traded.
            Looks count while the stream stands, and never against a trade that was told.
    """

    def __init__(
        self, coin: str, interval: str, step: int, last: Bar, looks_until_flat: int = 3
    ) -> None:
        self.coin, self.interval, self.step = coin, interval, step
        self.next_open = last.opened + step
        self.late_frames = 0
        self._last_close = last.close
        self._forming: Row | None = None
        self._unbroken = False  # the connection has held since the forming row's last frame
        self._seen_later = 0  # highest open of which anything was seen
        self._missing: defaultdict[int, int] = defaultdict(int)  # looks without a row, by open
        self._traded: set[int] = set()  # opens to come of which a trade was told
        self._looks_until_flat = looks_until_flat
        self._given: OrderedDict[int, Bar] = OrderedDict({last.opened: last})

    # --- what comes in ----------------------------------------------------------------------

    def frame(self, row: Row, received: float) -> list[Bar]:
        """Take a frame of the stream; return the bars that it proves closed."""
        self._check(row)
        if row.opened < self.next_open:
            self.late_frames += 1
            return []
        self._see(row)
        forming = self._forming
        if forming is None or row.opened == forming.opened:
            # Frames may come twice or out of order; trades of a candle only become more.
            if forming is None or row.trades >= forming.trades:
                self._forming = row
            self._unbroken = True
            return []
        if row.opened < forming.opened:
            self.late_frames += 1
            return []
        closed: list[Bar] = []
        follows = row.opened == forming.opened + self.step
        if self._unbroken and follows and forming.opened == self.next_open:
            closed.append(self._give(bar_of(forming, Source.STREAM, received)))
        self._forming, self._unbroken = row, True
        return closed

    def broken(self) -> None:
        """Note that the connection was lost: the forming row may lack its last trades.

        Looks at REST start anew: what made the connection fail may have made them blind.
        """
        self._unbroken = False
        self._missing.clear()

    def rows(
        self, rows: Iterable[Row], asked_at: int, received: float, *, unbroken: bool = True
    ) -> list[Bar]:
        """Take an answer of REST that was asked for at *asked_at* (market time, ms).

        Return the bars that it proves closed. Rows that may still have been forming then are left.
        *unbroken*: the stream stood from the question to the answer; if not, a row that lacks
        proves nothing.
        """
        known = {}
        for row in rows:
            self._check(row)
            self._see(row)
            known[row.opened] = row
        forming = self._forming
        if forming is not None and forming.opened in known:
            # REST may know of a trade that the stream has not told.
            told = known[forming.opened]
            self._forming = told if told.trades > forming.trades else forming
        closed_until = self._closed_until(known, asked_at)
        if unbroken:
            # All at once: a coin that rarely trades has many such bars after an outage.
            for opened in range(self.next_open, closed_until + 1, self.step):
                self._missing[opened] += opened not in known
        made: list[Bar] = []
        while self.next_open <= closed_until:
            found = known.get(self.next_open)
            if found is not None:
                made.append(self._give(bar_of(found, Source.REST, received)))
                continue
            looks = self._missing[self.next_open]
            if looks < self._looks_until_flat or self.next_open in self._traded:
                break
            made.append(self._give(flat_bar(self.coin, self.next_open, self._last_close, received)))
        return made

    def revisions(self, rows: Iterable[Row], asked_at: int) -> list[Revision]:
        """Return bars that were handed out and are told otherwise by *rows*.

        A row that was still forming at *asked_at* says nothing: its bar may have been closed and
        handed out while the answer was on its way.
        """
        known = {row.opened: row for row in rows}
        closed_until = self._closed_until(known, asked_at)
        found = []
        for opened, row in known.items():
            given = self._given.get(opened)
            if given is None or opened > closed_until:
                continue
            if bar_of(row, given.source, given.proven) != given:
                found.append(Revision(given, row))
        return found

    def _closed_until(self, known: Iterable[int], asked_at: int) -> int:
        """Return the latest open of which a row of an answer with opens *known* is closed."""
        return max(asked_at, max(known, default=0)) - self.step

    # --- what is to be done -----------------------------------------------------------------

    def due(self, now: int, grace: int) -> bool:
        """Tell whether REST must be asked at market time *now*.

        Because something later was seen than the stream can account for, or because a bar is over
        for longer than *grace* ms and nothing has proved it closed.
        """
        if self._seen_later > self.next_open:
            return True
        return now >= self.next_open + self.step + grace

    def _see(self, row: Row) -> None:
        self._seen_later = max(self._seen_later, row.opened)
        if row.trades > 0 and row.opened >= self.next_open:
            self._traded.add(row.opened)

    def _check(self, row: Row) -> None:
        if row.coin != self.coin or row.interval != self.interval:
            raise IntegrityError(
                f"a candle of {row.coin} {row.interval} came where {self.coin} {self.interval}"
                " belongs"
            )
        if (row.opened - self.next_open) % self.step:
            raise DataError(
                f"{self.coin} {self.interval}: a candle opens at {row.opened}, off the grid of"
                f" {self.step} ms"
            )

    def _give(self, bar: Bar) -> Bar:
        assert bar.opened == self.next_open
        self.next_open += self.step
        self._last_close = bar.close
        self._missing.pop(bar.opened, None)
        self._traded.discard(bar.opened)
        self._given[bar.opened] = bar
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        if self._forming is not None and self._forming.opened < self.next_open:
            self._forming = None
        return bar
