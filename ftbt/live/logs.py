"""The log of a session: one JSON object a line, rotated by size, without secrets.

The journal is the truth; the log is for people and machines that watch. Whoever logs only puts a
record into a queue: a slow or full disk holds nobody up, and what is lost is counted.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftbt.errors import InputError, StorageError
from ftbt.live.secrets import Redactor
from ftbt.live.status import Status

NAME = "log.jsonl"
_WAITING = 10_000
_SMALLEST, _LARGEST, _MOST_KEPT = 10_000, 10**10, 1_000
# What happens at every bar, or stands in the journal in full, is for those who look for it.
_QUIET = frozenset(
    ("equity", "order", "end", "leg", "moved", "withdraw", "decision", "funding", "alert")
)
_LOUD = frozenset(("alarm", "error", "orphan", "refused", "critical"))
_LOG = logging.getLogger("ftbt.live")


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Where the log is and how large it may become.

    Attributes:
        path: of the newest file; older ones are `path.1`, `path.2`, ...
        max_bytes: size at which a new file begins, 10 kB to 10 GB.
        keep: older files that are kept, 1 to 1000.
        level: DEBUG shows every event of the journal.
    """

    path: Path
    max_bytes: int = 10_000_000
    keep: int = 10
    level: int = logging.INFO

    def __post_init__(self) -> None:
        if not _SMALLEST <= self.max_bytes <= _LARGEST:
            raise InputError(
                f"the log's size must be {_SMALLEST} to {_LARGEST} bytes, not {self.max_bytes}"
            )
        if not 1 <= self.keep <= _MOST_KEPT:
            raise InputError(f"1 to {_MOST_KEPT} older logs are kept, not {self.keep}")


class JsonLines(logging.Formatter):
    """Makes a line of a record; texts pass the redactor before they become JSON."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return one line: time, level, logger, thread, message, fields, error."""
        made = datetime.fromtimestamp(record.created, UTC)
        body: dict[str, Any] = {
            "time": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(), "logger": record.name,
            "thread": record.threadName, "message": record.getMessage(),
        }  # fmt: skip
        fields = getattr(record, "fields", None)
        if fields:
            body["fields"] = fields
        if record.exc_info and record.exc_info[0] is not None:
            body["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(_cleaned(body, self._redact), ensure_ascii=False)


def _cleaned(value: Any, redact: Redactor) -> Any:
    """Return *value* as JSON can hold it, every text without secrets."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _cleaned(part, redact) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(part, redact) for part in value]
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


class _File(logging.handlers.RotatingFileHandler):
    """A file that only its owner reads, and that survives a disk that is full for a while."""

    def __init__(self, config: LogConfig) -> None:
        super().__init__(
            config.path, maxBytes=config.max_bytes, backupCount=config.keep, encoding="utf-8"
        )
        self.lost = 0

    def _open(self) -> Any:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, "a", encoding="utf-8", opener=private)

    def doRollover(self) -> None:  # noqa: N802 - the library's name
        """Begin a new file; when that fails (a reader on Windows), go on with the old one."""
        with suppress(OSError):
            super().doRollover()
        if self.stream is None:
            self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Count what could not be written; the next record may fit again."""
        del record
        self.lost += 1
        stream, self.stream = self.stream, None  # opened again with the next record
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()


class _Waiting(logging.handlers.QueueHandler):
    """Puts records into a queue as they are; formatting is for the thread that writes."""

    def __init__(self, records: queue.Queue[Any]) -> None:
        super().__init__(records)
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record with its message made: its arguments may change later."""
        record.message = record.msg = record.getMessage()
        record.args = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put it there, or count it as lost; never wait."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.lost += 1


class _Writing(logging.handlers.QueueListener):
    """Takes records out of the queue and writes them, in a thread of its own."""

    def __init__(self, records: queue.Queue[Any], file: logging.Handler) -> None:
        super().__init__(records, file)
        self._records = records

    def enqueue_sentinel(self) -> None:
        """Ask the thread to end; where the queue is full, wait until it has made room."""
        self._records.put(None)


class StructuredLog:
    """Writes what this process logs into a file while it is open.

    Args:
        config: where.
        redact: takes secrets out of every text.

    Raises:
        StorageError: the file can't be written.
    """

    def __init__(self, config: LogConfig, redact: Redactor) -> None:
        try:
            config.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _File(config)
        except OSError as error:
            raise StorageError(f"cannot write {config.path}: {error.strerror or error}") from error
        self._file.setFormatter(JsonLines(redact))
        records: queue.Queue[Any] = queue.Queue(_WAITING)
        self._waiting = _Waiting(records)
        self._listener = _Writing(records, self._file)
        self._ours, self._root = logging.getLogger("ftbt"), logging.getLogger()
        self._before = self._ours.level
        self._hook = threading.excepthook
        self._ready: str | None = None
        self._closed = False
        self._ours.setLevel(config.level)
        self._root.addHandler(self._waiting)
        threading.excepthook = self._thread_failed
        self._listener.start()

    @property
    def lost(self) -> int:
        """How many records could not be written."""
        return self._waiting.lost + self._file.lost

    def listener(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Log an event of the journal."""
        level = logging.DEBUG if kind in _QUIET else logging.INFO
        level = logging.WARNING if kind in _LOUD else level
        if _LOG.isEnabledFor(level):
            _LOG.log(level, f"{kind} {coin}".strip(), extra={"fields": {"coin": coin, **body}})

    def show(self, status: Status) -> None:
        """Log a status when what may be done has changed."""
        if status.ready != self._ready:
            self._ready = status.ready
            fields = {"connected": status.connected, "live": status.live, "equity": status.equity}
            text = status.ready or "positions may be opened"
            _LOG.info("ready: %s", text, extra={"fields": fields})

    def failed(self, error: BaseException) -> None:
        """Log the error that has ended the session."""
        _LOG.error("ended by an error: %s", error, exc_info=error)

    def close(self) -> None:
        """Write what waits and let go of the file; closing twice is no harm."""
        if self._closed:
            return
        self._closed = True
        threading.excepthook = self._hook
        self._root.removeHandler(self._waiting)
        self._ours.setLevel(self._before)
        self._listener.stop()
        self._file.close()

    def _thread_failed(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            name = "" if args.thread is None else args.thread.name
            _LOG.error("the thread %s has ended by an error", name, exc_info=args.exc_value)
