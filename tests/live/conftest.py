"""A journal in a folder of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ftbt.live.journal import LiveJournal

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

from journal_kit import NAME  # noqa: E402


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that is not there yet."""
    return tmp_path / "deep" / "journal.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., LiveJournal]]:
    """Yield a function that opens the journal; all are closed afterwards."""
    journals: list[LiveJournal] = []

    def open_journal(where: Path = path, **more: Any) -> LiveJournal:
        journals.append(LiveJournal.open(where, **{"deployment": NAME, **more}))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()
