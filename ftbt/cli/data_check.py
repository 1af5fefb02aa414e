"""`ftbt data check`: every problem of a file or of stored series."""

from __future__ import annotations

from pathlib import Path

import click

from ftbt.cli.data_common import open_store, show_table, store_option
from ftbt.data.inspection import Inspection, inspect_file, inspect_store
from ftbt.data.tables import looks_like_file
from ftbt.data.validate import HOLE_POLICIES, located
from ftbt.errors import DataError


@click.command(epilog="Example: ftbt data check binance --symbol BTC --timeframe 15m")
@click.argument("target")
@click.option("--symbol", help="Only this symbol of the exchange.")
@click.option("--timeframe", help="Only this bar length; of a file: its bar length.")
@click.option(
    "--holes",
    type=click.Choice(HOLE_POLICIES),
    default="refuse",
    show_default=True,
    help="refuse counts missing bars as problems; split lists them and lets them pass.",
)
@click.option("--sort", is_flag=True, help="Check the rows of a file in order of time.")
@store_option
def check(
    target: str,
    symbol: str | None,
    timeframe: str | None,
    holes: str,
    sort: bool,
    root: Path | None,
) -> None:
    """List every problem of TARGET: a file, or an exchange of the store.

    Also lists runs of bars without volume, which are never refused. Exit code 2: problems found.
    """
    if looks_like_file(target):
        found = [inspect_file(Path(target), timeframe, sort)]
    else:
        found = inspect_store(open_store(root), target, symbol, timeframe)
    for series in found:
        _show(series)
    problems = [problem for series in found for problem in series.problems]
    refused = [one for one in problems if one.kind != "hole" or holes == "refuse"]
    if refused:
        has_hole = any(problem.kind == "hole" for problem in refused)
        hint = "; --holes split lets missing bars pass" if has_hole else ""
        count = f"{len(refused)} problem{'s' * (len(refused) > 1)}"
        raise DataError(f"{target}: {count}, listed above{hint}")
    click.echo("sound")


def _show(series: Inspection) -> None:
    click.echo(series.title)
    rows = [[one.kind, located(one, series.first_line)] for one in series.problems]
    rows += [["no volume", f"row {run.row}: {run}"] for run in series.zero_volume]
    if rows:
        show_table(("kind", "where and what"), rows, ())
