"""How far a run is, read from the small files that windows leave: nothing to lose, nothing to hang.

Workers write `progress.json` in their window's folder; a thread of the parent reads them all now
and then. A killed worker leaves an old number, no broken pipe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftbt.walkforward.checkpoint import WindowFolder

POLL_SECONDS = 0.5
# A pace measured over less time than this is a guess.
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment.

    Attributes:
        windows, windows_done, windows_failed: how many.
        trials, trials_done: of all windows.
        best: highest objective so far, None before the first.
        rate: trials per second of this execution, None before the first.
        seconds_left: estimated, None while unknown.
    """

    windows: int
    windows_done: int
    windows_failed: int
    trials: int
    trials_done: int
    best: float | None
    rate: float | None
    seconds_left: float | None


class Listener(Protocol):
    """Who is told how a run goes. Called from more than one thread, never at the same time."""

    def say(self, text: str) -> None:
        """Tell one sentence."""

    def update(self, snapshot: Snapshot) -> None:
        """Tell how far it is."""


class Silent:
    """Tells nobody."""

    def say(self, text: str) -> None:
        """Ignore the sentence."""

    def update(self, snapshot: Snapshot) -> None:
        """Ignore the state."""


class Watcher:
    """Reads the windows' progress files."""

    def __init__(
        self,
        folders: Sequence[Path],
        trials_each: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = [WindowFolder(folder) for folder in folders]
        self._each = trials_each
        self._clock = clock
        # The pace is measured from the first trial that this execution finished: what an earlier
        # one did must not flatter it, nor the start of the workers spoil it.
        self._before = sum(folder.trials() for folder in self._folders)
        self._first: tuple[float, int] | None = None

    def snapshot(self) -> Snapshot:
        """Return the state now."""
        states = [folder.progress() for folder in self._folders]
        # A window that failed early has fewer trials than planned, and none left to do.
        planned = sum(one.trials if one.done else self._each for one in states)
        done = sum(one.trials for one in states)
        bests = [one.best for one in states if one.best is not None]
        rate = self._rate(done)
        return Snapshot(
            windows=len(states),
            windows_done=sum(one.done for one in states),
            windows_failed=sum(one.failed for one in states),
            trials=planned,
            trials_done=done,
            best=max(bests, default=None),
            rate=rate,
            seconds_left=None if rate is None else (planned - done) / rate,
        )

    def _rate(self, done: int) -> float | None:
        now = self._clock()
        if self._first is None:
            self._first = (now, done) if done > self._before else None
            return None
        elapsed, fresh = now - self._first[0], done - self._first[1]
        return fresh / elapsed if fresh > 0 and elapsed >= LEAST_SECONDS else None


@contextmanager
def watching(watcher: Watcher, listener: Listener) -> Iterator[None]:
    """Tell *listener* now and then, from a thread, until the block ends; and once at its end."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(POLL_SECONDS):
            listener.update(watcher.snapshot())

    thread = threading.Thread(target=loop, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        listener.update(watcher.snapshot())
