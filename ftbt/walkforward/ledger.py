"""`results/ledger.csv`: every trial that was ever made, one row per search.

Each question asked of the same data makes the next good answer more likely to be luck. The ledger
is the memory of that: rows are only ever appended, under a lock, by every run, finished or not.
`trials` of a row are those that no earlier row of the same run and window counted, so the sum of
the column is the number of trials, whatever was killed, resumed or repeated.

Columns: see `docs/reference/ledger.md`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ftbt.data.market import coin_of
from ftbt.data.timeframe import from_ms
from ftbt.errors import StorageError
from ftbt.walkforward.result import Manifest

LEDGER = "ledger.csv"
LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One search of one window; all columns as text, as they stand in the file.

    Attributes:
        time_utc: when the row was written, ISO 8601.
        run_id: folder of the run.
        window: number of the window.
        state: done, failed, or stopped (unfinished when the row was written).
        trials: made and not counted by an earlier row of this run and window.
        strategy: name; several joined by `+`.
        strategy_sha256: of its file; several joined by `+`.
        data_fingerprint: of all candles, symbols joined by `+`.
        symbols: joined by `+`.
        timeframe: bar length.
        source: where the candles came from.
        synthetic: true or false.
        data_from: first open, UTC.
        data_to: last close, UTC.
        train_from: start of the window's training, UTC.
        train_to: its end.
        objective: what was maximised.
        seed: of the run.
        ftbt: version of the program.
    """

    time_utc: str
    run_id: str
    window: str
    state: str
    trials: str
    strategy: str
    strategy_sha256: str
    data_fingerprint: str
    symbols: str
    timeframe: str
    source: str
    synthetic: str
    data_from: str
    data_to: str
    train_from: str
    train_to: str
    objective: str
    seed: str
    ftbt: str


COLUMNS = tuple(item.name for item in fields(Row))


@dataclass(frozen=True, slots=True)
class Counted:
    """How far one window's search is.

    Attributes:
        window: its number.
        state: done, failed or stopped.
        trials: made so far, from the first on.
    """

    window: int
    state: str
    trials: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """Trials of other runs that asked the same or overlapping data.

    Attributes:
        trials: all of them.
        of_strategy: those of a strategy of the same name, alone or beside others.
        runs: how many runs they belong to.
    """

    trials: int
    of_strategy: int
    runs: int


class Ledger:
    """The ledger of one results folder, safe for several processes at once."""

    def __init__(self, results: Path) -> None:
        self.path = results / LEDGER

    def rows(self) -> list[Row]:
        """Return all rows, oldest first.

        Raises:
            StorageError: when a line is not a row of a ledger.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        # A line without its end was cut by a kill while it was written: it does not count.
        whole = text[: text.rfind("\n") + 1]
        lines = list(csv.reader(io.StringIO(whole)))
        if lines and tuple(lines[0]) != COLUMNS:
            raise StorageError(
                f"{self.path} is not a ledger of this version: its columns should be"
                f" {', '.join(COLUMNS)}; move it away"
            )
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(COLUMNS) or not line[COLUMNS.index("trials")].isdigit():
                raise StorageError(
                    f"{self.path} line {number} is not a row of the ledger; mend or remove it"
                )
        return [Row(*line) for line in lines[1:]]

    def count(self, manifest: Manifest, searches: Iterable[Counted]) -> int:
        """Append what no row counted yet; return the number of newly counted trials.

        A search that made no new trials gets no row.
        """
        with self._locked():
            known = self.counted(manifest.run_id)
            new = [
                _row(manifest, one, fresh)
                for one in searches
                if (fresh := one.trials - known.get(one.window, 0)) > 0
            ]
            if new:
                self._append(new)
        return sum(int(row.trials) for row in new)

    def counted(self, run_id: str) -> dict[int, int]:
        """Return the trials that are counted of each window of a run."""
        found: dict[int, int] = {}
        for row in self.rows():
            if row.run_id == run_id:
                found[int(row.window)] = found.get(int(row.window), 0) + int(row.trials)
        return found

    def earlier(self, manifest: Manifest) -> Earlier:
        """Return how often the data of *manifest* were asked by other runs.

        The same data: candles of the same fingerprint, or of a shared coin over an overlapping
        time (for made-up markets: and of the same source).
        """
        mine = _row(manifest, Counted(0, "", 0), 0)
        others = [
            row for row in self.rows() if row.run_id != manifest.run_id and _same_data(row, mine)
        ]
        names = set(mine.strategy.split("+"))
        of_strategy = [row for row in others if names & set(row.strategy.split("+"))]
        return Earlier(_sum(others), _sum(of_strategy), len({row.run_id for row in others}))

    def _append(self, rows: Sequence[Row]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerows(asdict(row).values() for row in rows)
        with self.path.open("a+b") as file:
            _drop_torn_line(file.fileno())
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_name(f".{LEDGER}.lock"), timeout=LOCK_SECONDS)
            lock.acquire()
        except Timeout:
            raise StorageError(
                f"{self.path} has been locked by another process for {LOCK_SECONDS:g} s; try again"
            ) from None
        except OSError as error:
            raise StorageError(f"cannot lock {self.path}: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()


def share_data(first: Manifest, second: Manifest) -> bool:
    """Return whether two runs asked the same data; see `Ledger.earlier` for what that means."""
    rows = [_row(one, Counted(0, "", 0), 0) for one in (first, second)]
    return _same_data(rows[0], rows[1])


def _drop_torn_line(descriptor: int) -> None:
    """Cut off a last line without an end, which a kill left half written."""
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    content = os.read(descriptor, size) if size else b""
    whole = content.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)


def _sum(rows: Iterable[Row]) -> int:
    return sum(int(row.trials) for row in rows)


def _same_data(row: Row, mine: Row) -> bool:
    if row.data_fingerprint == mine.data_fingerprint:
        return True
    if row.synthetic != mine.synthetic:
        return False
    if row.synthetic == "true" and _market(row.source) != _market(mine.source):
        return False
    coins = {coin_of(symbol) for symbol in row.symbols.split("+")}
    shared = coins & {coin_of(symbol) for symbol in mine.symbols.split("+")}
    return bool(shared) and row.data_from < mine.data_to and mine.data_from < row.data_to


def _market(source: str) -> str:
    """Return a made-up market's name: other bar lengths of it are the same prices."""
    return source.partition(", resampled")[0]


def _row(manifest: Manifest, search: Counted, fresh: int) -> Row:
    first = manifest.data[0]
    window = manifest.windows[search.window]
    train = window.train or ((window.test[0], window.test[0]),)
    return Row(
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        run_id=manifest.run_id,
        window=str(search.window),
        state=search.state,
        trials=str(fresh),
        strategy=manifest.strategy.name,
        strategy_sha256=manifest.strategy.sha256,
        data_fingerprint="+".join(one.fingerprint for one in manifest.data),
        symbols="+".join(one.symbol for one in manifest.data),
        timeframe=first.timeframe,
        source="+".join(dict.fromkeys(one.source for one in manifest.data)),
        synthetic=str(manifest.synthetic).lower(),
        data_from=_iso(min(one.start_ms for one in manifest.data)),
        data_to=_iso(max(one.end_ms for one in manifest.data)),
        train_from=_iso(train[0][0]),
        train_to=_iso(train[-1][1]),
        objective=manifest.search.objective,
        seed=str(manifest.search.seed),
        ftbt=manifest.versions["ftbt"],
    )


def _iso(time_ms: int) -> str:
    return from_ms(time_ms).isoformat(timespec="seconds")
