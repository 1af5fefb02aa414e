"""Memory that is used again and again."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from ftbt.backtest.result import TRADE
from ftbt.room import Room, chained, copied


def test_a_table_is_the_same_memory_until_it_is_too_small() -> None:
    """The next call of that name and type gets it again, another name or type does not."""
    room = Room()
    first = room.table("a", 2_000, np.int64)
    assert np.shares_memory(first, room.table("a", 1_500, np.int64))
    assert not np.shares_memory(first, room.table("b", 1_500, np.int64))
    assert not np.shares_memory(first, room.table("a", 1_500, np.float64))
    assert len(room.table("a", 5_000, np.int64)) == 5_000


def test_threads_have_tables_of_their_own() -> None:
    """A back-test in another thread writes elsewhere."""
    room = Room()
    found = []
    own = room.table("a", 10, np.int64)
    other = threading.Thread(target=lambda: found.append(room.table("a", 10, np.int64)))
    other.start()
    other.join()
    assert not np.shares_memory(own, found[0])


@pytest.mark.parametrize("count", [7, 7_000])
def test_copied_records_are_the_same_bytes_elsewhere(count: int) -> None:
    """Whatever the fields, of a few and of many, and also of a part of a table."""
    table = np.zeros(count, TRADE)
    table["net"], table["side"] = np.arange(float(count)), -1
    part = copied(table[2 : count - 2])
    assert part.tobytes() == table[2 : count - 2].tobytes()
    assert part.flags.writeable
    assert not np.shares_memory(part, table)


def test_chained_records_are_the_parts_one_after_the_other() -> None:
    """No byte is lost or moved, also when some of the parts are empty."""
    table = np.zeros(7, TRADE)
    table["net"] = np.arange(7.0)
    parts = [table[:3], table[3:3], table[3:]]
    whole = chained(parts)
    assert whole.dtype == table.dtype
    assert whole.tobytes() == table.tobytes()
    assert whole.flags.writeable
    assert whole.flags.aligned
    assert len(chained([table[:0]])) == 0


_FREE_AND_ASK = """
import resource, numpy as np
from ftbt.room import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        held = [np.ones(1_250_000) for _ in range(12)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="known to glibc alone")
def test_freed_memory_is_not_handed_back_and_cleared_again() -> None:
    """120 MB, freed and asked for again, are cleared by the system once, not each time."""
    command = [sys.executable, "-c", _FREE_AND_ASK]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first, later = map(int, told.split())
    assert later < 100 < first
