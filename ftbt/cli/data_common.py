"""What the commands of `ftbt data` share: the store option and their tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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

    Args:
        columns: the heads.
        rows: the cells, each row as long as *columns*.
        right: heads of the columns of numbers.
    """
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
    table = Table()
    for head in columns:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
