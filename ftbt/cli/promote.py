"""`ftbt promote`: write the deployment file of a judged run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.options import results_option
from ftbt.cli.report import find_run

if TYPE_CHECKING:
    from ftbt.deployment.model import Deployment


@click.command(epilog="Example: ftbt promote liquidity_sweep-BTC-15m-2bbfa8ef")
@click.argument("run", metavar="RUN")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    show_default="deployment.json in the run's folder",
    help="The file to write.",
)
@click.option(
    "--strategies",
    "places",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    show_default="strategies/, then the current folder",
    help="Folder that holds the strategy's file. Repeat for more.",
)
@results_option()
def promote(run: str, out: Path | None, places: tuple[Path, ...], results: Path) -> None:
    """Write the deployment file of a RUN: what would be traded next, and what was found about it.

    The file holds the parameters of the newest window, hashes of strategy and data, costs, limits,
    shares, when the parameters are due to be searched again, and the verdict. It is read as it
    is: a change by hand is refused.

    Any verdict can be promoted and traded on paper. Real money asks for a PASS, or for the user's
    own words. A run that is unfinished, without a verdict, or whose newest window failed is
    refused; so is a strategy that changed since.
    """
    from ftbt.deployment.files import write_deployment  # noqa: PLC0415 - help answers without it
    from ftbt.deployment.promote import DEPLOYMENT  # noqa: PLC0415
    from ftbt.deployment.promote import promote as made_from  # noqa: PLC0415

    folder = find_run(run, results)
    deployment = made_from(folder, list(places) or None)
    path = write_deployment(out or folder / DEPLOYMENT, deployment)
    for line in _told(deployment):
        click.echo(line)
    click.echo(path)


def _told(deployment: Deployment) -> list[str]:
    from ftbt.deployment.permission import changed_code, may_trade  # noqa: PLC0415

    schedule, symbols = deployment.schedule, deployment.symbols
    names = ", ".join(f"{one.name} ({one.share:.0%})" for one in deployment.strategies)
    traded = f"{', '.join(one.symbol for one in symbols)} {deployment.timeframe}"
    searched = f"{_day(schedule.searched_from_ms)} to {_day(schedule.searched_to_ms)}"
    lines = [
        f"{names} on {traded}, window {schedule.window}, searched on {searched}",
        f"due to be searched again on {_day(schedule.due_ms)}",
    ]
    if deployment.overdue(max(one.end_ms for one in symbols)):
        lines.append(
            "note: the data already reach that day: with --short-last the walk-forward has a newer"
            " window, whose test the data cut short"
        )
    lines += [f"note: {note}" for note in [changed_code(deployment)] if note]
    permission = may_trade(deployment, "mainnet")
    lines.append(f"verdict: {deployment.verdict.headline}")
    lines.append(permission.reason if not permission.allowed else "mainnet: allowed")
    return lines


def _day(time_ms: int) -> str:
    from ftbt.data.timeframe import from_ms  # noqa: PLC0415

    return f"{from_ms(time_ms):%Y-%m-%d}"
