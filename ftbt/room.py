"""Room for what compiled loops write and others read at once, the same memory every time.

The system clears memory before it hands it out, page by page. For tables of some megabytes, of
which a run of a search fills a corner, that takes longer than the run.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of glibc's malloc.h, and what they are set to here; 32 MB is the most that the second may be.
_TRIM_THRESHOLD, _KEPT = -1, 256 * 2**20
_MMAP_THRESHOLD, _LARGEST = -3, 32 * 2**20
_LEAST = 1024
_MUCH = 2**16  # bytes


class Room(threading.local):
    """Tables by name, of each thread its own."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, np.dtype[Any]], NDArray[Any]] = {}

    def table(self, name: str, count: int, record: Any) -> NDArray[Any]:
        """Return a table of *count* records that hold anything.

        It is the caller's until the next call with this *name* and type: copy what shall stay.
        """
        kind = np.dtype(record)
        known = self._tables.get((name, kind))
        if known is None or len(known) < count:
            known = np.empty(max(count, _LEAST), kind)
            self._tables[name, kind] = known
        return known[:count]


ROOM = Room()


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 256 MB that it has freed, instead of handing them back at once.

    Each run of a search frees its lines and asks for as much again, and the system clears every
    page of it. Known to glibc alone; elsewhere nothing is changed.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


def copied(records: NDArray[np.void]) -> NDArray[np.void]:
    """Return a copy of records that hold nothing but numbers.

    As plain bytes: numpy copies records field by field, ten times slower.
    """
    if records.nbytes < _MUCH:
        content = bytearray(records.tobytes())
    else:  # nothing between: new memory of that size is cleared by the system first
        content = bytearray(records.view(np.uint8))
    return np.ndarray(records.shape, records.dtype, content)


def chained(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Return such records one after the other, shape (n,); *parts* are of one type, at least one.

    As in `copied`.
    """
    count = sum(map(len, parts))
    whole: Any = map(np.ascontiguousarray, parts)
    content = bytearray().join(whole)
    return np.ndarray((count,), parts[0].dtype, content)
