"""`ftbt kill`: out of everything, now."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.live_state import find_state, key_for, state_argument

if TYPE_CHECKING:
    from ftbt.hyperliquid.session import Check
    from ftbt.live.flatten import Left
    from ftbt.live.offline import Place


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
    folder = find_state(state)
    holds = _halt(folder, reason)
    _end_bot(folder, seconds)
    flat = _clear(folder, key_file)
    return 0 if holds and flat else 3


def _halt(folder: Path, reason: str) -> bool:
    """Write the halt down; a full disk must not keep anybody from closing positions."""
    from ftbt.errors import StorageError  # noqa: PLC0415
    from ftbt.live.control import halt  # noqa: PLC0415

    try:
        halt(folder, reason)
    except StorageError as error:
        click.echo(f"NOT HALTED: {error}; going on, but do not start the bot", err=True)
        return False
    click.echo(f"{folder}: halted; nothing is opened any more until ftbt resume")
    return True


def _end_bot(folder: Path, seconds: float) -> None:
    """Let a bot that runs end flat, or end it."""
    from ftbt.errors import StorageError  # noqa: PLC0415
    from ftbt.live.control import Wish, done, runs, wish  # noqa: PLC0415

    if runs(folder):
        with suppress(StorageError):
            wish(folder, Wish.FLATTEN)
            click.echo("the bot is asked to close everything")
            end = time.monotonic() + seconds
            while runs(folder) and time.monotonic() < end:
                time.sleep(0.2)
        if runs(folder):
            _end_process(folder)
    for what in Wish:
        done(folder, what)


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


def _clear(folder: Path, key_file: Path | None) -> bool:
    """Cancel and close what is left; tell whether nothing is any more."""
    from ftbt.live.flatten import Flattening, look  # noqa: PLC0415
    from ftbt.live.offline import offline_session, read_place  # noqa: PLC0415
    from ftbt.live.prospect import reading  # noqa: PLC0415

    place = read_place(folder)
    with reading(place) as rest:  # without a key: the bot may have done it all
        left = look(rest, place)
    if not left.nothing:
        key = key_for(place.network, key_file)
        with offline_session(folder, key, _say_trouble) as session:
            left = Flattening(session, place.coins, lambda text: click.echo(f"  {text}")).run()
    return _told(left, place)


def _say_trouble(check: Check) -> None:
    if check.warning or not check.passed:
        click.echo(f"  {check.name}: {check.text}", err=True)


def _told(left: Left, place: Place) -> bool:
    if left.nothing:
        click.echo(f"{place.account} on {place.network}: flat, no order of this deployment left")
    for coin, size in left.positions.items():
        click.echo(f"LEFT: {coin} {size:+f}", err=True)
    for order in left.orders:
        click.echo(f"LEFT: order {order.oid} in {order.coin}", err=True)
    return left.nothing
