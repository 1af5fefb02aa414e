"""`ftbt stop`: end a bot."""

from __future__ import annotations

import time

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
    end = time.monotonic() + seconds
    while runs(folder):
        if time.monotonic() > end:
            done(folder, what)
            click.echo(f"{folder}: still running after {seconds:g} s; see ftbt status, ftbt kill")
            return 3
        time.sleep(0.2)
    click.echo(f"{folder}: ended")
    return 0
