"""`ftbt kill`: out of everything, now."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import click

from ftbt.cli.live_state import find_state, key_for, state_argument


@click.command(epilog='Example: ftbt kill --reason "the market makes no sense"')
@state_argument()
@click.option("--reason", default="ftbt kill", show_default=True, help="Kept with the halt.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False),
              help="The agent's key, when the bot is dead.")  # fmt: skip
@click.option("--wait", "seconds", type=click.FloatRange(min=0), default=30.0, show_default=True,
              metavar="SECONDS", help="How long a running bot may take.")  # fmt: skip
def kill(state: str | None, reason: str, key_file: Path | None, seconds: float) -> int:
    """Halt STATE for good, cancel its orders, close its positions, and look whether it is so.

    A bot that runs is asked to do it; one that is dead or does not answer is ended, and this
    command does it itself. Nothing is opened any more, not after a restart either, until
    `ftbt resume`. Exit code 3 when something is left: the lines say what.
    """
    from ftbt.live.control import Wish, halt, runs, wish  # noqa: PLC0415

    folder = find_state(state)
    halt(folder, reason)
    click.echo(f"{folder}: halted; nothing is opened any more until ftbt resume")
    if runs(folder):
        wish(folder, Wish.FLATTEN)
        click.echo("the bot is asked to close everything")
        end = time.monotonic() + seconds
        while runs(folder) and time.monotonic() < end:
            time.sleep(0.2)
        if runs(folder):
            _end_process(folder)
    return _clear(folder, key_file)


def _end_process(folder: Path) -> None:
    """End a bot that does not answer."""
    from ftbt.live.control import read_status, runs  # noqa: PLC0415

    pid = (read_status(folder) or {}).get("pid")
    click.echo(f"the bot does not answer: ending process {pid}")
    if isinstance(pid, int) and pid > 1:
        with suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    end = time.monotonic() + 10.0
    while runs(folder) and time.monotonic() < end:
        time.sleep(0.1)


def _clear(folder: Path, key_file: Path | None) -> int:
    """Cancel and close what is left; return the exit code."""
    from ftbt.live.control import Wish, done  # noqa: PLC0415
    from ftbt.live.flatten import Flattening  # noqa: PLC0415
    from ftbt.live.offline import offline_session, read_place  # noqa: PLC0415

    for what in Wish:
        done(folder, what)
    place = read_place(folder)
    key = key_for(place.network, key_file)
    with offline_session(folder, key) as session:
        left = Flattening(session, place.coins, lambda text: click.echo(f"  {text}")).run()
    if left.nothing:
        click.echo(f"{place.account} on {place.network}: flat, no order of this deployment left")
        return 0
    for coin, size in left.positions.items():
        click.echo(f"LEFT: {coin} {size:+f}", err=True)
    for order in left.orders:
        click.echo(f"LEFT: order {order.oid} in {order.coin}", err=True)
    return 3
