"""`ftbt data list`: what the store holds."""

from __future__ import annotations

from pathlib import Path

import click

from ftbt.cli.data_common import open_store, show_table, store_option
from ftbt.data.listing import StoredSeries
from ftbt.data.parquet import FUNDING
from ftbt.errors import StorageError

_HEADS = (
    "exchange", "symbol", "timeframe", "bars", "from", "to", "holes", "no volume", "size", "note",
)  # fmt: skip
_NUMBERS = ("bars", "holes", "no volume", "size")


@click.command("list", epilog="Example: ftbt data list --store data")
@store_option
def list_store(root: Path | None) -> None:
    """List the stored series.

    Bars, first and last day (UTC), holes (and the bars missing in them), bars without volume,
    size of the file. `--data`, `--symbol` and `--timeframe` of the other commands take the first
    three columns.
    """
    store = open_store(root)
    listing = store.list()
    if not listing:
        click.echo(f"the store {store.root} is empty; fill it with ftbt data fetch or import")
        return
    rows = [_row(series) for series in listing]
    show_table(_HEADS, rows, _NUMBERS)
    broken = [series for series in listing if series.broken]
    if broken:
        raise StorageError(broken[0].broken)


def _row(series: StoredSeries) -> list[str]:
    head = [series.exchange, series.symbol, series.timeframe]
    if series.start is None or series.end is None:
        return [*head, *["?"] * 5, _size(series.bytes), "cannot be read"]
    holes = f"{series.holes}" + (f" ({series.missing})" if series.holes else "")
    return [
        *head,
        f"{series.bars}",
        f"{series.start:%Y-%m-%d}",
        f"{series.end:%Y-%m-%d}",
        *(["", ""] if series.timeframe == FUNDING else [holes, f"{series.zero_volume}"]),
        _size(series.bytes),
        "synthetic market" if series.synthetic else "",
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
