"""`ftbt report`: the report of a run anew, or of a day or week of a live session."""

from __future__ import annotations

from pathlib import Path

import click

from ftbt.cli.live_state import find_state, state_argument
from ftbt.cli.options import results_option
from ftbt.errors import InputError, did_you_mean

SHOWN = 5  # newest runs that an error names


class _Report(click.Group):
    """A group whose first word may also be the name of a run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command for a run."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* begin with; `run` when they begin with a run's name."""
        known = not args or args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["run", *args])


@click.group(
    cls=_Report,
    epilog="Example: ftbt report liquidity_sweep-BTC-15m-2bbfa8ef (or: ftbt report daily)",
)
def report() -> None:
    """Make the report of a RUN anew, or of a day or a week of a live session.

    `ftbt report RUN` is short for `ftbt report run RUN`.
    """


@report.command(name="run", epilog="Example: ftbt report liquidity_sweep-BTC-15m-2bbfa8ef")
@click.argument("run", metavar="RUN")
@results_option()
def run_report(run: str, results: Path) -> None:
    """Make the report of a RUN anew and print its path.

    RUN is the name of a folder in results, the beginning of it, or a path. Nothing but that folder
    is read: no candles, no strategy.
    """
    from ftbt.report.render import write_report  # noqa: PLC0415 - help answers without matplotlib

    click.echo(write_report(find_run(run, results)))


def _period(kind: str, word: str) -> click.Command:
    """Return the command for a day or a week."""

    @click.command(name=kind, epilog=f"Example: ftbt report {kind} --html report.html")
    @state_argument()
    @click.option("--date", metavar="DATE", show_default="the newest",
                  help=f"A date in the {word}, UTC by the market's clock.")  # fmt: skip
    @click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False),
                  metavar="FILE", help="Write it as a page that needs no other file.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
    def command(state: str | None, date: str | None, page: Path | None, as_json: bool) -> int:
        from ftbt.cli.report_live import period_report  # noqa: PLC0415 - help answers without

        return period_report(find_state(state), kind, date, page, as_json=as_json)

    command.help = (
        f"Report a {word} of the bot in STATE: profit, trades, confidence against outcome, costs"
        " and slippage against what was assumed, limits used, refusals, uptime.\n\nAll of it comes"
        " from the journal, while the bot runs as well as after. Costs are compared with the"
        " assumptions of the back-test; trade by trade that is `ftbt parity`."
    )
    return command


report.add_command(_period("daily", "day"))
report.add_command(_period("weekly", "week"))


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
