"""What every download of one series has in common: where it goes and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from ftbt.data.exchanges import Exchange, Listing
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import DAY_MS
from ftbt.errors import FtbtError

DEFAULT_SPAN_MS = 365 * DAY_MS
# What a kill -9 may lose at most: writes are whole files, so each page cannot have its own.
BATCH_ROWS = 5_000

# First open (None: as stored, else a year before the end) and last close, ms since 1970 UTC.
Span = tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one series.

    Attributes:
        series: `BTC 15m` or `BTC funding`.
        new: bars or rates that were not in the store before.
        notes: what the exchange could not give, in sentences.
        error: why the series is not complete; None when it is.
    """

    series: str
    new: int
    notes: tuple[str, ...] = ()
    error: FtbtError | None = None


class Listener:
    """Hears how a download goes; override what you want to hear. One unit is one bar or rate."""

    def planned(self, series: str, units: int) -> None:
        """Hear that *series* begins, with so many units missing."""

    def advanced(self, series: str, units: int) -> None:
        """Hear that so many more units were asked for and answered."""

    def stored(self, series: str, new: int) -> None:
        """Hear that *new* bars or rates are safe on disk."""

    def finished(self, outcome: Outcome) -> None:
        """Hear that a series is done."""

    def notice(self, text: str) -> None:
        """Hear of something that is tried again."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the series of one run go: store, folder name, listener."""

    store: CandleStore
    exchange: str
    listener: Listener
    overwrite: bool = False


class Download:
    """One series on its way from an exchange into the store."""

    series: str

    def __init__(self, exchange: Exchange, sink: Sink, listing: Listing, span: Span) -> None:
        self.new = 0
        self._exchange = exchange
        self._sink = sink
        self._listing = listing
        self._span = span

    async def outcome(self) -> Outcome:
        """Download the series; an error of it becomes part of the outcome."""
        error: FtbtError | None = None
        notes: tuple[str, ...] = ()
        try:
            try:
                await self._run()
            finally:
                # Whatever ends the download (an error, Ctrl-C): what has arrived is kept.
                self._flush()
            notes = self._notes()
        except FtbtError as failed:
            error = failed
        return Outcome(self.series, self.new, notes, error)

    async def _run(self) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError

    def _notes(self) -> tuple[str, ...]:
        return ()

    def _stored(self, new: int) -> None:
        self.new += new
        self._sink.listener.stored(self.series, new)
