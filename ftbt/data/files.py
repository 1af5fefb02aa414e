"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ftbt.errors import StorageError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of *target*; on success it becomes *target*.

    On any error the temporary file is removed and the old *target* stays as it was.

    Raises:
        StorageError: when the folder or file cannot be written (permission, disk full).
    """
    with _temporary(target) as (handle, temporary):
        yield temporary
        os.fsync(handle)


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[int, Path]]:
    """Yield an open temporary file in the folder of *target*, see `atomic_path`; sync it inside."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error
    temporary = Path(name)
    try:
        try:
            yield handle, temporary
            # mkstemp makes files private; results are meant to be read by others of the machine.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
        finally:
            os.close(handle)
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
        raise


def atomic_write(target: Path, content: str | bytes) -> None:
    """Write *content* to *target*, all or nothing; text becomes UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    with _temporary(target) as (handle, _):
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(handle)


def atomic_with(target: Path, write: Callable[[Path], object]) -> None:
    """Let *write* fill a temporary path, then rename it to *target*."""
    with atomic_path(target) as temporary:
        write(temporary)
