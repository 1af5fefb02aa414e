"""`ftbt report`: make report.html anew from a run folder."""

from __future__ import annotations

from pathlib import Path

import click

from ftbt.cli.options import results_option
from ftbt.errors import InputError, did_you_mean

SHOWN = 5  # newest runs that an error names


@click.command(epilog="Example: ftbt report liquidity_sweep-BTC-15m-2bbfa8ef")
@click.argument("run", metavar="RUN")
@results_option()
def report(run: str, results: Path) -> None:
    """Make the report of a RUN anew and print its path.

    RUN is the name of a folder in results, the beginning of it, or a path. Nothing but that folder
    is read: no candles, no strategy.
    """
    from ftbt.report.render import write_report  # noqa: PLC0415 - help answers without matplotlib

    click.echo(write_report(find_run(run, results)))


def find_run(text: str, results: Path) -> Path:
    """Return the folder of the run meant by *text*.

    Args:
        text: a path, the name of a folder in *results*, or the beginning of one name only.
        results: folder of all runs.

    Raises:
        InputError: nothing of that name, or several; with the nearest name.
    """
    for folder in (results / text, Path(text)):
        if _is_run(folder):
            return folder
    names = run_names(results)
    begun = [name for name in names if text and name.startswith(text)]
    if len(begun) == 1:
        return results / begun[0]
    if begun:
        raise InputError(f"run {text!r} could be any of: {_some(begun)}; write more of the name")
    if not names:
        raise InputError(
            f"no run {text!r}: {results} holds no runs; make one with `ftbt walkforward`, or name"
            " another folder with --results"
        )
    hint = did_you_mean(text, names) or f"; the newest are: {_some(names)}"
    raise InputError(f"no run {text!r} in {results}{hint}")


def run_names(results: Path) -> list[str]:
    """Return the names of all run folders, the newest first."""
    if not results.is_dir():
        return []
    found = [(folder.stat().st_mtime_ns, folder.name) for folder in results.iterdir()
             if _is_run(folder)]  # fmt: skip
    return [name for _, name in sorted(found, reverse=True)]


def _is_run(folder: Path) -> bool:
    from ftbt.walkforward.store import is_started  # noqa: PLC0415 - help answers without pandas

    return is_started(folder)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
