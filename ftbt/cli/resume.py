"""`ftbt resume`: let a halted deployment trade again."""

from __future__ import annotations

import click

from ftbt.cli.live_state import find_state, state_argument


@click.command(epilog='Example: ftbt resume --reason "exchange is back, checked the account"')
@state_argument()
@click.option("--reason", required=True, help="Why it may trade again; kept in the journal.")
def resume(state: str | None, reason: str) -> None:
    """Lift the halt of STATE, and close its drawdown breaker; the drawdown is measured anew.

    A bot that runs goes on at once, one that does not with its next start.
    """
    from ftbt.errors import InputError  # noqa: PLC0415
    from ftbt.live.control import JOURNAL, Wish, lift, runs, wish  # noqa: PLC0415
    from ftbt.live.journal import LiveJournal  # noqa: PLC0415
    from ftbt.live.offline import read_place  # noqa: PLC0415

    if not reason.strip():
        raise InputError("--reason must say something: it is what you will read afterwards")
    folder = find_state(state)
    if runs(folder):
        wish(folder, Wish.RESUME, reason=reason)
    else:
        journal = LiveJournal.open(folder / JOURNAL, deployment=read_place(folder).deployment)
        try:
            journal.note("reset", {"reason": reason})
        finally:
            journal.close()
    found = lift(folder)
    said = "there was no halt" if found is None else f"lifted: {found.reason}"
    click.echo(f"{folder}: {said}; the drawdown breaker is closed")
