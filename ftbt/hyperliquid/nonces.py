"""One counter of nonces per key, for all threads and processes of this machine.

The venue keeps the 100 highest nonces of a key, refuses one that was used, and one that is more
than two days old or a day ahead. A clock in milliseconds repeats itself when two orders are sent
in one, and steps back when it is set. So the next nonce is the clock or one more than the last,
whichever is larger, and the last one is kept in a file under a lock.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from ftbt.data.files import atomic_write
from ftbt.data.timeframe import HOUR_MS
from ftbt.errors import ConfigError, StorageError

# The venue takes nonces up to a day ahead of its clock. Ours may be that far ahead only when it
# was once set wrong; well before the limit somebody has to look.
FURTHEST_AHEAD_MS = 12 * HOUR_MS
_LOCK_SECONDS = 10.0
_DIGITS = 16


def _wall_ms() -> int:
    return int(time.time() * 1000)


def state_folder() -> Path:
    """Return where ftbt keeps what must survive a restart, `~/.local/state/ftbt` by default."""
    base = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".local" / "state") / "ftbt"


class Nonces:
    """The nonces of one key on one network.

    Args:
        signer: address of the key.
        network: keys may be used on several, and each counts for itself.
        folder: where the last one is kept; the same for all processes that use the key.
        clock: ms since 1970 UTC.
    """

    def __init__(
        self,
        signer: str,
        network: str,
        folder: Path | None = None,
        clock: Callable[[], int] = _wall_ms,
    ) -> None:
        folder = (state_folder() if folder is None else folder) / "nonces"
        self._path = folder / f"{network}-{signer.lower()}"
        self._clock = clock
        self._threads = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}") from error
        self._processes = FileLock(f"{self._path}.lock", timeout=_LOCK_SECONDS)

    def next(self) -> int:
        """Return a nonce that nobody with this key on this machine has had or will have.

        Raises:
            ConfigError, StorageError: as `take`.
        """
        return self.take(1)[0]

    def take(self, count: int) -> range:
        """Return *count* such nonces, rising; the file is locked and written once for all.

        Raises:
            ConfigError: when the clock is so far behind the last nonce that it must be wrong.
            StorageError: when the file can't be read or written, or its lock is never free.
        """
        with self._threads:
            try:
                with self._processes:
                    return self._advance(count)
            except Timeout:
                raise StorageError(
                    f"another process holds {self._path}.lock for more than {_LOCK_SECONDS:.0f} s;"
                    " end it, or give this process a key of its own"
                ) from None
            except OSError as error:
                raise StorageError(f"cannot use {self._path}: {error.strerror}") from error

    def _advance(self, count: int) -> range:
        last, now = self._last(), self._clock()
        nonce = max(now, last + 1)
        if nonce - now > FURTHEST_AHEAD_MS:
            raise ConfigError(
                f"the clock of this machine is {(nonce - now) / HOUR_MS:.1f} h behind the last"
                f" nonce in {self._path}: set the clock right; if it is right and was wrong before,"
                " approve a new agent wallet, for the venue would refuse this one"
            )
        self._write(nonce + count - 1)
        return range(nonce, nonce + count)

    def _last(self) -> int:
        if not self._path.exists():
            return 0
        text = self._path.read_text(encoding="ascii", errors="replace").strip()
        if not text.isdigit():
            raise StorageError(
                f"{self._path} is damaged: it must hold one number; remove it if no process has"
                " traded with this key in the last two days, else approve a new agent wallet"
            )
        return int(text)

    def _write(self, nonce: int) -> None:
        line = f"{nonce:0{_DIGITS}d}\n".encode()
        if not self._path.exists():
            atomic_write(self._path, line)
            return
        # Always the same length: one write in place, which the end of a process can't split.
        handle = os.open(self._path, os.O_WRONLY)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
