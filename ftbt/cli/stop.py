"""`ftbt stop`: end a bot."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ftbt.cli.live_state import find_state, state_argument


@click.command(epilog="Example: ftbt stop --flatten")
@state_argument()
@click.option("--flatten", is_flag=True, help="Close the positions first.")
@click.option("--wait", "seconds", type=click.FloatRange(min=0), default=90.0, show_default=True,
              metavar="SECONDS", help="How long to wait for the end.")  # fmt: skip
def stop(state: str | None, flatten: bool, seconds: float) -> int:
    """Ask the bot in STATE to end: waiting entries are withdrawn, positions keep their stops.

    Exit code 3 when it has not ended in time; `ftbt kill` does not ask.
    """
    from ftbt.live.control import Wish, done, runs, wish  # noqa: PLC0415

    folder = find_state(state)
    if not runs(folder):
        click.echo(f"{folder}: no bot runs; `ftbt kill` closes what one has left")
        return 0
    what = Wish.FLATTEN if flatten else Wish.STOP
    wish(folder, what)
    try:
        end = time.monotonic() + seconds
        while runs(folder):
            if time.monotonic() > end:
                said = f"still running after {seconds:g} s; see ftbt status, ftbt kill"
                click.echo(f"{folder}: {said}")
                return 3
            time.sleep(0.2)
    finally:
        # A bot that died before it read the wish must not end at once when it is started again.
        done(folder, what)
    return _ended(folder)


def _ended(folder: Path) -> int:
    """Tell how it ended, by what it said last."""
    from ftbt.live.control import read_status  # noqa: PLC0415

    said = read_status(folder) or {}
    if not said.get("over"):
        click.echo(f"{folder}: ended without a word, as if killed; see ftbt status, ftbt recover")
        return 3
    held = ", ".join(f"{size:+g} {coin}" for coin, size in said["positions"].items())
    click.echo(f"{folder}: ended, {f'{held} stays with its stop' if held else 'flat'}")
    return 0
