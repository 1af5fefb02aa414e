"""What the commands of `ftbt data` share: the store option and their tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from ftbt.data.store import CandleStore, default_root


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--store PATH`."""
    return click.option(
        "--store",
        "root",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of the store.  [default: $FTBT_STORE or data]",
    )(function)


def open_store(root: Path | None) -> CandleStore:
    """Return the store in *root*, or the default one."""
    return CandleStore(root or default_root())


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    """Print a table: drawn by rich on a terminal, aligned plain text for a file or a pipe.

    A column without any text in its rows is left out.

    Args:
        columns: the heads.
        rows: the cells, each row as long as *columns*.
        right: heads of the columns of numbers.
    """
    used = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    columns = [columns[at] for at in used]
    rows = [[row[at] for at in used] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, rows, right)
        return
    widths = [max(len(line[at]) for line in [columns, *rows]) for at in range(len(columns))]
    for line in [columns, *rows]:
        cells = [
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for at, head in enumerate(columns):
        # Numbers and days stay whole on a narrow terminal; long symbols and sentences fold.
        short = max(len(row[at]) for row in rows) <= 10
        side: Literal["left", "right"] = "right" if head in right else "left"
        table.add_column(head, justify=side, overflow="fold", no_wrap=short)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
