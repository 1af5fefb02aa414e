"""Room that is kept for the day when the disk is full: stops must still be sent then.

Nothing is sent that was not written before. On a full disk that would forbid even the stop of a
position that was just filled. So a file takes up some room from the start, and gives it back then.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ftbt.live.journal import database

# About two hundred actions with their outcomes.
_BYTES = 4 << 20


class Reserve:
    """The room beside the journal *path*."""

    def __init__(self, path: Path) -> None:
        self._journal = path
        self._file = path.with_name(f"{path.name}.reserve")

    @property
    def there(self) -> bool:
        """Tell whether the room is kept."""
        return self._file.exists()

    def take(self) -> None:
        """Keep the room, if it is not.

        Raises:
            StorageFull: there is not so much. StorageError: the file can't be written.
        """
        if self.there:
            return
        part = self._file.with_name(f".{self._file.name}")
        try:
            with database.storage_errors(self._journal, "keep room for"):
                # Random: some file systems store a file of zeros in no room at all.
                part.write_bytes(os.urandom(_BYTES))
                part.replace(self._file)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def give(self) -> bool:
        """Give the room back; False: it was not kept, or can't be."""
        try:
            self._file.unlink()
        except OSError:
            return False
        return True
