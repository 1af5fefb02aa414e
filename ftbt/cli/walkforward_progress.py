"""How `ftbt walkforward` shows how far it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from ftbt.cli.fetch_progress import show_seconds
from ftbt.walkforward.progress import Listener, Snapshot

SECONDS_BETWEEN_LINES = 5.0


def show_value(value: float) -> str:
    """Return an objective's value for people."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"


def describe(state: Snapshot) -> str:
    """Return the state in one line.

    Example: `windows 3/8, trials 75/192, best 2.31, 4.1 trials/s, 30 s left`.
    """
    parts = [f"windows {state.windows_done}/{state.windows}"]
    if state.windows_failed:
        parts[0] += f" ({state.windows_failed} failed)"
    parts.append(f"trials {state.trials_done:,}/{state.trials:,}")
    if state.best is not None:
        parts.append(f"best {show_value(state.best)}")
    if state.rate is not None:
        parts.append(f"{state.rate:.1f} trials/s")
    if state.seconds_left is not None:
        parts.append(f"{show_seconds(state.seconds_left)} left")
    return ", ".join(parts)


class Lines:
    """Plain lines on the error stream, at most one every few seconds, and none twice."""

    def __init__(
        self,
        seconds: float = SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._said_at = clock()
        self._said = (-1, -1)

    def say(self, text: str) -> None:
        """Print a sentence at once."""
        click.echo(text, err=True)

    def update(self, snapshot: Snapshot) -> None:
        """Print the state when it is time, and when all is done."""
        state = (snapshot.windows_done, snapshot.trials_done)
        ended = snapshot.windows_done == snapshot.windows
        due = self._clock() - self._said_at >= self._seconds
        if state == self._said or not (due or ended):
            return
        self._said, self._said_at = state, self._clock()
        click.echo(describe(snapshot), err=True)

    def close(self) -> None:
        """Nothing to give back."""


class Bar:
    """One bar of trials, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(BarColumn(), TextColumn("{task.description}"), console=console)
        self._task: TaskID | None = None
        self._progress.start()

    def say(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._progress.console.print(escape(text), highlight=False)

    def update(self, snapshot: Snapshot) -> None:
        """Redraw."""
        if self._task is None:
            self._task = self._progress.add_task("", total=snapshot.trials)
        self._progress.update(
            self._task,
            total=snapshot.trials,
            completed=snapshot.trials_done,
            description=escape(describe(snapshot)),
        )

    def close(self) -> None:
        """Leave the last state and give the terminal back."""
        self._progress.stop()


@contextmanager
def progress() -> Iterator[Listener]:
    """Yield the listener that suits the error stream; it is closed whatever happens."""
    listener = Bar(Console(stderr=True)) if sys.stderr.isatty() else Lines()
    try:
        yield listener
    finally:
        listener.close()
