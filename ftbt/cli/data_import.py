"""`ftbt data import`: files into the store."""

from __future__ import annotations

from pathlib import Path

import click

from ftbt.cli.data_common import open_store, store_option
from ftbt.data.importer import ImportReport, import_file
from ftbt.data.parquet import FUNDING
from ftbt.data.symbols import symbol_of_name
from ftbt.errors import DataError, FtbtError, InputError

PARTLY_FAILED = 3
# Holes and runs without volume shown of each file.
SHOWN = 5


@click.command("import", epilog="Example: ftbt data import BTCUSDT-15m.csv ETHUSDT-15m.parquet")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--exchange", help="Name in the store.  [default: imported; synthetic for a made-up market]"
)
@click.option("--symbol", help="Symbol.  [default: from the file or its name]")
@click.option("--timeframe", help="Bar length, e.g. 15m.  [default: the commonest step]")
@click.option("--sort", is_flag=True, help="Put rows in order of time instead of refusing them.")
@click.option("--overwrite", is_flag=True, help="Take the file's values where the store differs.")
@store_option
def import_files(
    files: tuple[Path, ...],
    exchange: str | None,
    symbol: str | None,
    timeframe: str | None,
    sort: bool,
    overwrite: bool,
    root: Path | None,
) -> int:
    """Check FILES of candles or funding rates and merge them into the store.

    CSV (also .tsv, .txt, .gz, .zip), Parquet and Feather with any common column names, and kline
    dumps without header. Times are bar OPENS: ISO 8601 or year-first texts (without a time zone
    they are UTC), or seconds, milliseconds, microseconds or nanoseconds since 1970. A file with a
    funding rate and no prices is funding.

    Refused, with file, row, column and value: rows out of order, repeated times, NaN, prices that
    are not above 0, high below low. Rows count from 0; text files name the line as well. Missing
    bars are stored as they are and judged when they are used. A file that is refused changes
    nothing. Exit code 3: some of the files were refused.
    """
    if symbol and len(files) > 1 and not _of_one_symbol(files):
        raise InputError("--symbol names one symbol, the files are of several; import them apart")
    store, failed = open_store(root), 0
    for path in files:
        try:
            report = import_file(path, store, exchange, symbol, timeframe, sort, overwrite)
        except FtbtError as error:
            if len(files) == 1:
                raise
            click.echo(click.style("error: ", fg="red", bold=True) + str(error), err=True)
            failed += 1
        else:
            _show(report)
    if failed == len(files):
        raise DataError(f"none of the {failed} files could be imported")
    return PARTLY_FAILED if failed else 0


def _of_one_symbol(files: tuple[Path, ...]) -> bool:
    return len({name for path in files if (name := symbol_of_name(path))}) <= 1


def _show(report: ImportReport) -> None:
    kind = "synthetic market, " if report.synthetic else ""
    what = "rates" if report.timeframe == FUNDING else "bars"
    click.echo(
        f"{report.path}: {kind}{report.rows} {what}, {report.added} new,"
        f" {report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"
        f" -> {report.exchange} {report.symbol} {report.timeframe}"
    )
    for hole in report.holes[:SHOWN]:
        click.echo(f"  hole: {hole}")
    for run in report.zero_volume[:SHOWN]:
        click.echo(f"  {run}")
    hidden = sum(max(0, len(found) - SHOWN) for found in (report.holes, report.zero_volume))
    if hidden:
        click.echo(f"  and {hidden} more: ftbt data check {report.exchange}")
