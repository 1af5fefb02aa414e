"""The live process through all its lives: killed, frozen, stopped, and started again each time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftbt.errors import ExternalError
from ftbt.live.control import JOURNAL
from ftbt.live.journal import read_journal
from ftbt.rehearsal.sitter import STATUS, Seen, Sitter, begin

FTBT = (sys.executable, "-m", "ftbt")
_COMMAND_S = 90.0
# A process that can't be kept alive is not worth the rest of the days.
_MOST_FALLS = 10


@dataclass(slots=True)
class Life:
    """One process.

    Attributes:
        began: when it was started; `ready` when it heard market and account, `ended` when it was
            over, all by `time.monotonic()`, None as long as it is not so.
        end: how it ended, in a word.
    """

    pid: int
    began: float
    ready: float | None = None
    ended: float | None = None
    end: str = ""


@dataclass(slots=True)
class Absence:
    """A time for which nobody can ask the process to manage anything: it was killed or frozen.

    Attributes:
        began, ended: by `time.monotonic()`; None while it lasts.
        why: in a word.
    """

    began: float
    why: str
    ended: float | None = None

    def overlap(self, begin: float, end: float) -> float:
        """Return how many seconds of *begin* .. *end* lie in it."""
        last = end if self.ended is None else min(end, self.ended)
        return max(0.0, last - max(begin, self.began))


@dataclass(slots=True)
class Log:
    """What the lives have been.

    Attributes:
        lives: in their order.
        absences: forced ones.
        falls: times that a process ended by itself.
    """

    lives: list[Life] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    falls: int = 0


class Ward(Sitter):
    """The live process, whichever it is just now.

    Args:
        words: its whole command line, the same each time.
        state: its state folder.
    """

    def __init__(self, words: Sequence[str], state: Path) -> None:
        self._words = list(words)
        self.log = Log()
        self._offset = 0
        self._down = self._over = False
        super().__init__(self._start(state), state)

    def _start(self, state: Path) -> subprocess.Popen[bytes]:
        self._offset = fills_in(state)
        process = begin(self._words, state)
        self.log.lives.append(Life(process.pid, time.monotonic()))
        return process

    # --- as the pacing sees it --------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it has not ended for good; one that ended by itself is started again."""
        if self._down or self.process.poll() is None:
            return True
        if self.process.returncode == 0 and self._is_over():
            return True
        self.log.falls += 1
        self._ended(f"ended by itself with {self.process.returncode}")
        if self.log.falls > _MOST_FALLS:
            return False
        self.process = self._start(self.state)
        return True

    def _is_over(self) -> bool:
        seen = super().seen()
        return seen is not None and seen.over

    def seen(self) -> Seen | None:
        """Return its newest status; its fills are those of all lives together."""
        found = super().seen()
        if found is None:
            return None
        life = self.log.lives[-1]
        if found.over and not self._over:
            self._over = True
            self._absent("over")
        if life.ready is None and found.connected:
            life.ready = time.monotonic()
            self._present()
        return replace(found, fills=found.fills + self._offset)

    def refusal(self) -> str:
        """Return why it opens nothing just now, empty when it may."""
        try:
            return str(json.loads((self.state / STATUS).read_bytes())["ready"])
        except (OSError, ValueError, KeyError):
            return ""

    # --- what befalls it --------------------------------------------------------------------------

    def kill(self) -> None:
        """End it at once, as by a power cut of its own."""
        self._absent("killed")
        self.process.kill()
        self.process.wait()
        self._down = True
        self._ended("killed")

    def stop_by_command(self) -> None:
        """Ask it to end, as its owner does.

        Raises:
            ExternalError: it does not.
        """
        self._absent("stopped")
        self.command("stop")
        self.process.wait(_COMMAND_S)
        self._down = True
        self._ended("stopped")

    def again(self) -> None:
        """Start it anew."""
        self.process = self._start(self.state)
        self._down = self._over = False

    def freeze(self) -> None:
        """Let it stand still."""
        self._absent("frozen")
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)
        self._present()

    def command(self, name: str, *more: str) -> str:
        """Run a command of ftbt for its state folder and return what it says.

        Raises:
            ExternalError: it does not end well.
        """
        words = [*FTBT, name, str(self.state), *more]
        done = subprocess.run(  # noqa: S603 - this very program
            words, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
        if done.returncode:
            raise ExternalError(f"ftbt {name} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def over(self) -> None:
        """Note that the last life has ended as it was meant to."""
        self._ended("over")

    # --- the log ----------------------------------------------------------------------------------

    def _absent(self, why: str) -> None:
        self.log.absences.append(Absence(time.monotonic(), why))

    def _present(self) -> None:
        for one in self.log.absences:
            one.ended = time.monotonic() if one.ended is None else one.ended

    def _ended(self, how: str) -> None:
        life = self.log.lives[-1]
        life.ended, life.end = time.monotonic(), how


def fills_in(state: Path) -> int:
    """Return how many fills of the account the journal in *state* has."""
    if not (state / JOURNAL).exists():
        return 0
    keys: set[tuple[Any, ...]] = set()
    with read_journal(state / JOURNAL) as reader:
        for event in reader.events(kinds=("fill", "foreign")):
            if event.body["key"] is not None:
                keys.add(tuple(event.body["key"]))
    return len(keys)


@contextmanager
def ward(words: Sequence[str], state: Path) -> Iterator[Ward]:
    """Keep the live process while the block runs; it is ended in any case."""
    found = Ward(words, state)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.send_signal(signal.SIGCONT)
        found.stop()
