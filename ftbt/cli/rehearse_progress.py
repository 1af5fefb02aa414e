"""How `ftbt rehearse` shows how far it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ftbt.cli.fetch_progress import show_seconds
from ftbt.data.timeframe import show_ms
from ftbt.rehearsal.pacing import Pace

SECONDS_BETWEEN_LINES = 5.0


def describe(pace: Pace) -> str:
    """Return the state in one line.

    Example: `bar 120/672, 2024-02-24 06:00 UTC, 7 trades, equity 10,134.63, 18 bars/s, 31 s left`.
    """
    parts = [
        f"bar {pace.bars:,}/{pace.of:,}", show_ms(pace.market_ms), f"{pace.trades:,} trades",
        f"equity {pace.equity:,.2f}", f"{pace.rate:.1f} bars/s",
    ]  # fmt: skip
    if pace.bars < pace.of:
        parts.append(f"{show_seconds(pace.seconds_left)} left")
    return ", ".join(parts)


@contextmanager
def progress(clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Pace], None]]:
    """Yield what is to be told how far it is; it is closed whatever happens."""
    if sys.stderr.isatty():
        with Progress(
            BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True)
        ) as shown:
            task = shown.add_task("starting the exchange and the live process", total=None)

            def redraw(pace: Pace) -> None:
                text = describe(pace)
                shown.update(task, total=pace.of, completed=pace.bars, description=text)

            yield redraw
        return
    said = [clock() - SECONDS_BETWEEN_LINES]

    def say(pace: Pace) -> None:
        if clock() - said[0] >= SECONDS_BETWEEN_LINES or pace.bars == pace.of:
            said[0] = clock()
            click.echo(describe(pace), err=True)

    yield say
