"""What keeps the interpreter itself from being late at a close.

Python's garbage collector starts when so many objects were made, which is just when bars have come
and orders are made; looking at all that a warm session holds takes a tenth of a second. So it looks
at that once, before, and at what is new in the pauses between two closes.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG_S = 1.0
_ALL_S = 60.0
_YOUNG = 1

_lock = threading.Lock()
_users = 0


@contextmanager
def collecting_in_pauses() -> Iterator[Pauses]:
    """Let the collector of this process run in pauses only while the block runs.

    Sessions of one process may overlap: it runs by itself again when the last one has ended.
    """
    global _users  # noqa: PLW0603 - the collector is one for the process as well
    with _lock:
        _users += 1
        gc.disable()
    try:
        yield Pauses()
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.unfreeze()
                gc.enable()


class Pauses:
    """Collects when it is told that nothing is urgent."""

    def __init__(self) -> None:
        self._young = self._all = time.monotonic()

    def settle(self) -> None:
        """Take what there is now as what stays: it is not looked at any more."""
        gc.collect(_YOUNG)
        gc.freeze()

    def pause(self) -> None:
        """Collect, if that is due: what is new each second, all since `settle` each minute."""
        now = time.monotonic()
        if now - self._all >= _ALL_S:
            self._all = self._young = now
            gc.collect()
        elif now - self._young >= _YOUNG_S:
            self._young = now
            gc.collect(_YOUNG)
