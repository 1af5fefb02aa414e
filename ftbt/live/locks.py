"""What only one process of this machine may have: a deployment's journal, a key.

The operating system gives a lock back when its process ends, however it ends.
"""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from ftbt.errors import StateLocked, StorageError
from ftbt.hyperliquid.nonces import state_folder


def hold(path: Path, taken: str, patience_s: float = 0.0) -> FileLock:
    """Take the lock file *path* within *patience_s*, or not at all; `release()` gives it back.

    Args:
        path: of the lock file; it stays when the lock is given back.
        taken: the line that the user reads when another process has it.
        patience_s: seconds to wait for it.

    Raises:
        StateLocked: another process, or another holder of this one, has it.
        StorageError: there can be no such file.
    """
    # Taken by one thread, given back by any: a lock per thread would stay taken.
    lock = FileLock(path, timeout=patience_s, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StateLocked(taken) from None
    except OSError as error:
        raise StorageError(f"cannot lock {path}: {error.strerror or error}") from error
    return lock


def is_held(path: Path) -> bool:
    """Tell whether a process has the lock file *path*; nothing is made or written for it.

    Raises:
        StorageError: it can't be opened.
    """
    if os.name == "nt":
        return path.exists() and _is_taken(path)
    import fcntl  # noqa: PLC0415 - not there on Windows

    try:
        with path.open("rb") as file:  # who may only read the folder may ask as well
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise StorageError(f"cannot look at {path}: {error.strerror or error}") from error
    return False


def _is_taken(path: Path) -> bool:
    try:
        hold(path, "").release()
    except StateLocked:
        return True
    return False


def hold_key(signer: str, network: str, folder: Path | None = None) -> FileLock:
    """Take the key *signer* on *network* for this process; `release()` gives it back.

    Args:
        signer: address of the key.
        network: keys may be used on several, by a process each.
        folder: where all processes of this machine look; None is the usual place.

    Raises:
        StateLocked: another process trades with that key.
        StorageError: the lock file can't be made.
    """
    folder = (state_folder() if folder is None else folder) / "keys"
    name = f"{network}-{signer.lower()}"
    return hold(
        folder / f"{name}.lock",
        f"another process trades on {network} with the key {signer}: end it, or approve an agent"
        " wallet for this one",
    )
