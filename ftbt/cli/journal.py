"""`ftbt journal`: search and export what a bot has done."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.live_state import find_state, state_argument

if TYPE_CHECKING:
    from ftbt.live.journal import Event, JournalReader
    from ftbt.live.search import Search, Wanted, Words

_POLL_S = 0.3
_WIDTH = 150


@click.command(epilog="Example: ftbt journal --kind fill,trade --last 20")
@state_argument()
@click.option("--kind", "kinds", metavar="KIND[,KIND]", help="Only these; ftbt journal --summary"
              " lists them.")  # fmt: skip
@click.option("--coin", metavar="COIN", help="Only this one.")
@click.option("--from", "start", metavar="TIME", help="Not before, UTC.")
@click.option("--to", "end", metavar="TIME", help="Before that, UTC.")
@click.option("--order", type=click.IntRange(min=1), metavar="NUMBER",
              help="What happened to one order, and to its stop and targets.")  # fmt: skip
@click.option("--last", type=click.IntRange(min=1), metavar="COUNT", help="Only the newest.")
@click.option("--json", "form", flag_value="json", help="One JSON object per line.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated, with a heading.")
@click.option("--follow", is_flag=True, help="Go on with what is added; Ctrl-C ends.")
@click.option("--summary", is_flag=True, help="Count the events instead.")
@click.option("--check", is_flag=True, help="Find out whether it is as it was written.")
def journal(
    state: str | None,
    kinds: str | None,
    coin: str | None,
    start: str | None,
    end: str | None,
    order: int | None,
    last: int | None,
    form: str | None,
    follow: bool,
    summary: bool,
    check: bool,
) -> int:
    """Show what the bot in STATE has done, decided and been told, one line per event.

    STATE may also be a journal file, for example a backup. It only reads, and a bot that runs is
    not kept waiting. Of a damaged journal it shows what can be read, and says where that ends
    (exit code 3). Times are the market's; where there is no market, the machine's.
    """
    from ftbt.live.journal import read_journal  # noqa: PLC0415 - help answers without it
    from ftbt.live.search import check_kinds  # noqa: PLC0415

    wanted = _wanted(kinds, coin, start, end, order)
    path = _file(state)
    if check:
        return _check(path)
    with _opened(path, read_journal) as reader:
        if summary:
            return _summarise(reader)
        check_kinds(reader, wanted.kinds)
        return _show(reader, wanted, form, last or 0, follow)


def _wanted(
    kinds: str | None, coin: str | None, start: str | None, end: str | None, order: int | None
) -> Wanted:
    from ftbt.data.timeframe import parse_time, to_ms  # noqa: PLC0415
    from ftbt.live.search import Wanted  # noqa: PLC0415

    named = tuple(one.strip() for one in (kinds or "").split(",") if one.strip())
    first = None if start is None else to_ms(parse_time(start))
    until = None if end is None else to_ms(parse_time(end))
    return Wanted(named, (coin or "").upper(), first, until, order or 0)


def _file(state: str | None) -> Path:
    from ftbt.live.control import JOURNAL  # noqa: PLC0415

    if state is not None and Path(state).is_file():
        return Path(state)
    return find_state(state) / JOURNAL


def _opened(path: Path, read: Callable[[Path], JournalReader]) -> JournalReader:
    """Return a reader; of a file that can't be opened at all, tell where copies are."""
    from ftbt.errors import StorageDamaged  # noqa: PLC0415
    from ftbt.live.journal import backups_of  # noqa: PLC0415

    try:
        return read(path)
    except StorageDamaged as error:
        backups = backups_of(path)
        also = f"; to read its newest backup: ftbt journal {backups[0]}" if backups else ""
        raise StorageDamaged(f"nothing of it can be read: {error}{also}") from error


def _check(path: Path) -> int:
    from ftbt.live.journal import check_file, read_journal  # noqa: PLC0415

    _opened(path, read_journal).close()
    contents = check_file(path)
    for name, one in contents.logs.items():
        click.echo(f"{name}: {one.count} entries, chain {one.sha256}")
    click.echo(f"{path}: sound, all as it was written")
    return 0


def _summarise(reader: JournalReader) -> int:
    from ftbt.data.timeframe import show_ms  # noqa: PLC0415

    found = reader.summary()
    click.echo(f"{reader.path}: {found.deployment}, since {show_ms(found.created_ms)}")
    for kind, count in sorted(found.events.items()):
        click.echo(f"  {kind:10} {count:,}")
    click.echo(f"  {found.actions:,} actions were sent, {found.unanswered:,} have no answer")
    return 0


# --- events ---------------------------------------------------------------------------------------


def _show(reader: JournalReader, wanted: Wanted, form: str | None, last: int, follow: bool) -> int:
    from ftbt.live.search import Search  # noqa: PLC0415

    search, words = Search(reader, wanted), _words(reader)
    if form == "csv":
        click.echo(_csv(["id", "time", "kind", "coin", "text", "body"]))
    shown: Iterable[Event] = search.found()
    if last:
        shown = deque(shown, maxlen=last)
    for event in shown:
        click.echo(_line(event, words, form))
    while follow and search.damage is None:
        time.sleep(_POLL_S)
        for event in search.found():
            click.echo(_line(event, words, form))
    return 0 if search.damage is None else _tell_damage(reader, search)


def _words(reader: JournalReader) -> Words | None:
    from ftbt.errors import StorageDamaged  # noqa: PLC0415
    from ftbt.live.search import Words  # noqa: PLC0415

    try:
        return Words(reader)
    except StorageDamaged:
        return None  # then bodies have to do


def _tell_damage(reader: JournalReader, search: Search) -> int:
    from ftbt.live.journal import backups_of  # noqa: PLC0415

    read = f"up to event {search.last}" if search.last else "nothing"
    click.echo(f"read {read}, what follows is damaged: {search.damage}", err=True)
    for backup in backups_of(reader.path)[:1]:
        click.echo(f"its newest backup: ftbt journal {backup}", err=True)
    return 3


def _line(event: Event, words: Words | None, form: str | None) -> str:
    from ftbt.live.search import as_dict, plain, row  # noqa: PLC0415

    if form == "json":
        return json.dumps(as_dict(event))
    text = plain(event.body) if words is None else words.of(event)
    if form == "csv":
        return _csv(row(event, text))
    number, moment, kind, coin, text, _ = row(event, text)
    line = f"{number:>6}  {moment}  {kind:9} {coin:5} {text}"
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."


def _csv(cells: list[str]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="").writerow(cells)
    return made.getvalue()
