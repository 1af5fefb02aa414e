"""`ftbt recover`: back from a damaged or lost journal, and what the next start will find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.live_state import find_state, state_argument
from ftbt.cli.options import symbol_option
from ftbt.errors import InputError

if TYPE_CHECKING:
    from ftbt.live.journal import JournalReader
    from ftbt.live.offline import Place

NEEDS_A_PERSON = 3


@click.command(epilog="Example: ftbt recover results/live/localnet-liquidity_sweep-BTC-15m")
@state_argument()
@click.option("--begin-from-exchange", "anew", is_flag=True,
              help="Begin a new journal, when nothing of the old one can be used.")  # fmt: skip
@click.option("--name", metavar="NAME",
              help="With --begin-from-exchange: what ftbt live called it.")  # fmt: skip
@click.option("--network", metavar="NAME", help="The same: localnet, testnet or mainnet.")
@click.option("--url", metavar="URL", help="The same: of a local exchange.")
@click.option("--account", metavar="ADDRESS", help="The same: whose money is traded.")
@symbol_option(several=True)
def recover(
    state: str | None,
    anew: bool,
    name: str | None,
    network: str | None,
    url: str | None,
    account: str | None,
    symbols: tuple[str, ...],
) -> int:
    """Make the journal of STATE sound again, and tell what the next start will find and do.

    A damaged or lost journal is rebuilt from its newest sound backup and from what the damaged
    file still gives; the old file is kept beside it. Then the journal is folded, the exchange is
    read (no key is needed), and each difference is told with its class and with what the next
    start does about it. With a sound journal it only tells.

    Without a backup, --begin-from-exchange begins a new journal: only what the exchange has is
    known then. Where session.json is gone as well, name the deployment with --name, --network,
    --account and --symbol.

    Exit code 3 when a person has to look at something.
    """
    from ftbt.errors import StateLocked  # noqa: PLC0415 - help answers without these
    from ftbt.live.control import runs  # noqa: PLC0415

    asked = (name, network, url, account, symbols)
    folder = _folder(state, anew)
    if runs(folder):
        raise StateLocked(
            f"a bot runs in {folder}: ftbt status shows what it does; to recover, end it first"
            " with ftbt stop or ftbt kill"
        )
    if anew:
        return _begin_anew(folder, asked)
    _make_sound(folder)
    return _tell(folder)


def _folder(state: str | None, anew: bool) -> Path:
    """Return the state folder; a new journal may begin in one that nobody has used."""
    try:
        return find_state(state)
    except InputError:
        if anew and state is not None:
            return Path(state)
        raise


def _say(text: str) -> None:
    click.echo(f"  {text}")


# --- from a backup --------------------------------------------------------------------------------


def _make_sound(folder: Path) -> None:
    """Leave a sound journal in *folder*.

    Raises:
        StorageDamaged: there is no sound backup.
    """
    from ftbt.errors import StorageDamaged  # noqa: PLC0415
    from ftbt.live.control import JOURNAL  # noqa: PLC0415
    from ftbt.live.journal import (  # noqa: PLC0415
        backups_of,
        check_file,
        newest_sound,
        read_journal,
        recover_from_backup,
    )

    path = folder / JOURNAL
    click.echo(f"journal {path}")
    if not path.exists() and not backups_of(path):
        raise InputError(
            f"{folder} has neither a journal nor a backup: copy one into {path.parent / 'backups'},"
            " or begin anew with --begin-from-exchange"
        )
    try:
        read_journal(path).close()
        _say(f"sound: {check_file(path).entries} entries, all as they were written")
    except (StorageDamaged, InputError) as error:
        _say(str(error) if path.exists() else "gone")
        backup = newest_sound(path)
        if backup is None:
            raise StorageDamaged(
                f"nothing to rebuild {path} from: none of its {len(backups_of(path))} backups is"
                " sound; copy one from elsewhere, or begin anew with --begin-from-exchange"
            ) from error
        with read_journal(backup) as reader:
            deployment = reader.summary().deployment
        recover_from_backup(path, deployment=deployment, tell=_say)
    with read_journal(path) as reader:
        _restore_place(folder, reader)


def _restore_place(folder: Path, reader: JournalReader) -> None:
    """Write session.json again when it is gone: the journal knows what it says."""
    from ftbt.live.fold import place_of  # noqa: PLC0415
    from ftbt.live.offline import keep_place, read_place  # noqa: PLC0415

    try:
        read_place(folder)
    except InputError:
        place = place_of(reader)
        if place is not None:
            keep_place(folder, place)
            _say("session.json was gone: written again from the journal")


# --- what there is --------------------------------------------------------------------------------


def _tell(folder: Path) -> int:
    """Tell what journal and exchange say; return the exit code."""
    from ftbt.cli.recover_text import difference_lines, journal_lines, there_lines  # noqa: PLC0415
    from ftbt.live.control import JOURNAL  # noqa: PLC0415
    from ftbt.live.fold import fold, last_description  # noqa: PLC0415
    from ftbt.live.journal import read_journal  # noqa: PLC0415
    from ftbt.live.offline import read_place  # noqa: PLC0415
    from ftbt.live.prospect import prospect, reading  # noqa: PLC0415

    place = read_place(folder)
    with read_journal(folder / JOURNAL) as reader:
        if last_description(reader) is None:
            click.echo("no session has traded with this journal: the next one begins")
            return 0
        click.echo("\n".join(journal_lines(fold(reader), reader)))
        with reading(place) as rest:
            _, found = prospect(reader, place, rest)
    click.echo("\n".join([*there_lines(found.there, place), *difference_lines(found)]))
    return NEEDS_A_PERSON if any(one.escalated for one in found.differences) else 0


# --- from nothing ---------------------------------------------------------------------------------


def _begin_anew(
    folder: Path,
    asked: tuple[str | None, str | None, str | None, str | None, tuple[str, ...]],
) -> int:
    from ftbt.cli.recover_text import begun_lines, there_lines  # noqa: PLC0415
    from ftbt.live.control import JOURNAL, halt  # noqa: PLC0415
    from ftbt.live.journal import begin_anew  # noqa: PLC0415
    from ftbt.live.offline import keep_place  # noqa: PLC0415
    from ftbt.live.prospect import look, reading  # noqa: PLC0415

    path = folder / JOURNAL
    why = _hopeless(path)
    place = _place(folder, asked)
    with reading(place) as rest:
        there = look(rest, place)
    halt(folder, "begun anew from the exchange: look at the account first")
    click.echo(f"journal {path}")
    _say(why)
    begin_anew(path, deployment=place.deployment, why=why, tell=_say)
    keep_place(folder, place)
    click.echo("\n".join([*there_lines(there, place), *begun_lines(there, place, folder)]))
    return NEEDS_A_PERSON if there.positions or there.orders else 0


def _hopeless(path: Path) -> str:
    """Return why nothing can be gone on with.

    Raises:
        InputError: something can.
    """
    from ftbt.errors import FtbtError, IntegrityError, StorageError  # noqa: PLC0415
    from ftbt.live.fold import fold, last_description  # noqa: PLC0415
    from ftbt.live.journal import check_file, newest_sound, read_journal  # noqa: PLC0415

    backup = newest_sound(path)
    if path.exists():
        try:
            check_file(path)
            with read_journal(path) as reader:
                if last_description(reader) is not None:
                    fold(reader)
        except IntegrityError as error:
            return str(error)  # backups are the beginning of it: they would not help
        except FtbtError as error:
            if not isinstance(error, StorageError | InputError):
                raise
            why = str(error)
        else:
            raise InputError(
                f"{path} is sound: ftbt live goes on with it, --begin-from-exchange would forget"
                " what it knows"
            )
    else:
        why = "there is no journal"
    if backup is not None:
        raise InputError(f"{backup} is sound: ftbt recover {path.parent} goes on from there")
    return why


def _place(
    folder: Path,
    asked: tuple[str | None, str | None, str | None, str | None, tuple[str, ...]],
) -> Place:
    """Return where the deployment trades: as its folder says, else as the options do."""
    from ftbt.errors import ConfigError  # noqa: PLC0415
    from ftbt.hyperliquid.keys import parse_address  # noqa: PLC0415
    from ftbt.hyperliquid.network import Mode, Network, endpoint, parse_network  # noqa: PLC0415
    from ftbt.live.offline import Place, read_place  # noqa: PLC0415

    name, network, url, account, symbols = asked
    try:
        return read_place(folder)
    except InputError:
        if not (name and network and account and symbols):
            raise ConfigError(
                f"{folder} does not say where the bot traded: name it with --name, --network,"
                " --account and --symbol, as ftbt live was called"
            ) from None
    where = parse_network(network)
    if where is Network.LOCALNET:  # the address is checked there
        url = endpoint(where, Mode.PAPER, local_url=url or "http://127.0.0.1:3001").url
    place = Place(name, str(where), url or "", parse_address(account), symbols)
    place.endpoint()
    return place
