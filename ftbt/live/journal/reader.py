"""Reading a journal, while its bot runs, after it died, or from a backup.

Every read is short and read-only, so the writer never waits for one, and its log never grows
because of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Column, Row, Select, Table, func, select

from ftbt.errors import InputError, StorageDamaged
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import database
from ftbt.live.journal.events import Event, decode
from ftbt.live.journal.migrations import STEPS, Step, newest
from ftbt.live.journal.tables import ABOUT, EVENT, OUTCOME, SENT

_ROWS = 512

_EVENT = EVENT.c[:-1]
_SENT = SENT.c["signer", "account", "nonce", "expires_after", "kind", "cloids", "body", "why"]


@dataclass(frozen=True, slots=True)
class Action:
    """A signed action as it was written down.

    Attributes:
        id: 1, 2, 3, ...
        wall_ms: when, by the clock of this machine.
        sent: what.
    """

    id: int
    wall_ms: int
    sent: Sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action, as far as it was known then.

    Attributes:
        id: 1, 2, 3, ...
        action: id of the `Action`.
        wall_ms: when, by the clock of this machine.
        final: nothing more is to be found out.
        text: in words.
    """

    id: int
    action: int
    wall_ms: int
    final: bool
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A journal at a glance.

    Attributes:
        deployment: whose.
        version: of the tables.
        created_ms: when it was begun; `last_ms` when something was last noted, 0: never.
        events: how many of each kind, by name.
        actions, unanswered: sent to the exchange, and how many of them have no final outcome.
    """

    deployment: str
    version: int
    created_ms: int
    last_ms: int
    events: dict[str, int]
    actions: int
    unanswered: int


class JournalReader:
    """Reads the journal *path*; see `read_journal`. Safe for several threads.

    All methods raise StorageError when the file can't be read, StorageDamaged when it is not what
    was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = database.reading_engine(path)

    def events(self, after: int = 0, kinds: Collection[str] | None = None) -> Iterator[Event]:
        """Yield events in order, what is added meanwhile included.

        Args:
            after: id of the last one that is not wanted.
            kinds: only these; None: all.
        """
        query = select(*_EVENT)
        if kinds is not None:
            query = query.where(EVENT.c.kind.in_(sorted(kinds)))
        for row in self._rows(query, EVENT, after):
            yield self._event(row)

    def latest(self, count: int, kinds: Collection[str] | None = None) -> list[Event]:
        """Return the last *count* events (of *kinds*), the newest first."""
        query = select(*_EVENT).order_by(EVENT.c.id.desc()).limit(count)
        if kinds is not None:
            query = query.where(EVENT.c.kind.in_(sorted(kinds)))
        return [self._event(row) for row in self._all(query)]

    def sent(self, after: int = 0) -> Iterator[Action]:
        """Yield the actions in order, those with an id above *after*."""
        query = select(SENT.c.id, SENT.c.wall_ms, *_SENT)
        for row in self._rows(query, SENT, after):
            yield _action(row)

    def outcomes(self, after: int = 0) -> Iterator[Outcome]:
        """Yield the outcomes in order, those with an id above *after*."""
        columns = OUTCOME.c["id", "sent", "wall_ms", "final", "text"]
        for row in self._rows(select(*columns), OUTCOME, after):
            yield Outcome(row.id, row.sent, row.wall_ms, bool(row.final), row.text)

    def unanswered(self) -> list[Action]:
        """Return the actions that have no final outcome, oldest first."""
        answered = select(OUTCOME.c.sent).where(OUTCOME.c.final == 1)
        query = select(SENT.c.id, SENT.c.wall_ms, *_SENT).where(SENT.c.id.not_in(answered))
        return [_action(row) for row in self._all(query.order_by(SENT.c.id))]

    def summary(self) -> Summary:
        """Return the journal at a glance, all of it at one moment."""
        answered = select(OUTCOME.c.sent).where(OUTCOME.c.final == 1)
        with self._reading(), self._engine.connect() as opened:
            opened.exec_driver_sql("BEGIN")
            about = dict(tuple(row) for row in opened.execute(select(ABOUT)))
            version = opened.exec_driver_sql("PRAGMA user_version").scalar_one()
            kinds = select(EVENT.c.kind, func.count()).group_by(EVENT.c.kind)
            counts = dict(tuple(row) for row in opened.execute(kinds))
            last = [
                opened.execute(select(log.c.wall_ms).order_by(log.c.id.desc()).limit(1)).scalar()
                for log in (EVENT, SENT, OUTCOME)
            ]
            actions = opened.execute(select(func.count()).select_from(SENT)).scalar_one()
            waiting = select(func.count()).select_from(SENT).where(SENT.c.id.not_in(answered))
            unanswered = opened.execute(waiting).scalar_one()
        return Summary(
            about.get("deployment", ""), version, int(about.get("created_ms", 0)),
            max(moment or 0 for moment in last), counts, actions, unanswered,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- rows -----------------------------------------------------------------------------------

    def _rows(self, query: Select[Any], table: Table, after: int) -> Iterator[Row[Any]]:
        """Yield the rows of *query* in order of their ids, a few hundred at a time."""
        number: Column[int] = table.c.id
        while True:
            rows = self._all(query.where(number > after).order_by(number).limit(_ROWS))
            yield from rows
            if len(rows) < _ROWS:
                return
            after = rows[-1][0]

    def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._reading(), self._engine.connect() as opened:
            return opened.execute(query).all()

    def _reading(self) -> Any:
        return database.storage_errors(self.path, "read")

    def _event(self, row: Row[Any]) -> Event:
        try:
            return Event(row.id, row.wall_ms, row.market_ms, row.kind, row.coin, decode(row.body))
        except (TypeError, ValueError) as error:
            raise StorageDamaged(
                f"the journal {self.path} is damaged at event {row[0]}: {error};"
                f" {database.how_back(self.path)}"
            ) from error


def read_journal(path: Path, steps: Sequence[Step] = STEPS) -> JournalReader:
    """Return a reader of *path* that changes nothing and never makes the writer wait.

    Raises:
        InputError: no such file, no journal, or of another version.
        StorageDamaged, StorageError: it can't be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no journal {path}: nothing has traded with this state folder")
    version = database.version_of(path, steps)
    if version != newest(steps):
        raise InputError(
            f"the journal {path} is of version {version}, this ftbt reads version"
            f" {newest(steps)}: it is upgraded when its deployment starts next"
        )
    return JournalReader(path)


def _action(row: Row[Any]) -> Action:
    sent = Sent(
        row.signer, row.account, row.nonce, row.expires_after, row.kind,
        tuple(row.cloids.split()), row.body, row.why,
    )  # fmt: skip
    return Action(row.id, row.wall_ms, sent)
