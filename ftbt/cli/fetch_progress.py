"""How `ftbt data fetch` shows what it does: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ftbt.data.download import Listener, Outcome

SECONDS_BETWEEN_LINES = 5.0


class Tally(Listener):
    """Counts what is planned, answered and stored; the way of showing it is a subclass's."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.planned_units = 0
        self.answered_units = 0
        self.running = 0
        self._started = time.monotonic()

    def planned(self, series: str, units: int) -> None:
        """Count the missing units of *series*."""
        del series
        self.planned_units += units
        self.running += 1

    def advanced(self, series: str, units: int) -> None:
        """Count answered units."""
        del series
        self.answered_units += units

    def stored(self, series: str, new: int) -> None:
        """Count stored rows."""
        self.kept[series] = self.kept.get(series, 0) + new

    def finished(self, outcome: Outcome) -> None:
        """Count the series as done."""
        del outcome
        self.running -= 1

    def close(self) -> None:
        """Leave the terminal as it was."""

    def seconds_left(self) -> float | None:
        """Return the time to go at the pace so far, None while there is no pace."""
        if not self.answered_units:
            return None
        pace = self.answered_units / max(1e-9, time.monotonic() - self._started)
        return (self.planned_units - self.answered_units) / pace


class Lines(Tally):
    """Plain lines on the error stream, at most one every few seconds."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        super().__init__()
        self._seconds = seconds
        self._said_at = time.monotonic()

    def advanced(self, series: str, units: int) -> None:
        """Say how far it is, now and then."""
        super().advanced(series, units)
        now = time.monotonic()
        if now - self._said_at < self._seconds:
            return
        self._said_at = now
        done = 100 * self.answered_units // max(1, self.planned_units)
        left = self.seconds_left()
        soon = f", about {show_seconds(left)} left" if left is not None else ""
        click.echo(
            f"fetching {self.running} series: {self.answered_units:,} of {self.planned_units:,}"
            f" rows, {done} %{soon}",
            err=True,
        )

    def notice(self, text: str) -> None:
        """Say it."""
        click.echo(text, err=True)


class Bars(Tally):
    """One bar per series with the time left, redrawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._rows: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._progress.start()

    def planned(self, series: str, units: int) -> None:
        """Open a row."""
        super().planned(series, units)
        self._rows[series] = self._progress.add_task(escape(series), total=units)

    def advanced(self, series: str, units: int) -> None:
        """Fill it."""
        super().advanced(series, units)
        self._progress.advance(self._rows[series], units)

    def finished(self, outcome: Outcome) -> None:
        """Stop its clock."""
        super().finished(outcome)
        if outcome.series in self._rows:
            self._progress.stop_task(self._rows[outcome.series])

    def notice(self, text: str) -> None:
        """Print it above the rows."""
        self._progress.console.print(escape(text))

    def close(self) -> None:
        """Leave the rows as they are and give the terminal back."""
        self._progress.stop()


def show_seconds(seconds: float) -> str:
    """Return *seconds* as `40 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress() -> Iterator[Tally]:
    """Yield the listener that suits the error stream; it is closed whatever happens."""
    listener: Tally = Bars(Console(stderr=True)) if sys.stderr.isatty() else Lines()
    try:
        yield listener
    finally:
        listener.close()
