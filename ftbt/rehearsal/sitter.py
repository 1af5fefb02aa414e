"""The live process of a rehearsal: started, watched by its status file, and always ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ftbt.errors import ExternalError

LIVE = (sys.executable, "-m", "ftbt", "live")
STATUS = "status.json"
LOG = "live.log"
# A clean end may have to wait for the exchange's answers.
_STOP_SECONDS = 20.0
_TOLD_LINES = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """What the status file says that a rehearsal asks for; see `ftbt.live.status.Status`."""

    bar_ms: int
    fills: int
    busy: int
    connected: bool
    over: bool
    trades: int
    equity: float
    stamp_ms: int


class Sitter:
    """One live process.

    Args:
        process: as started.
        state: its state folder.
    """

    def __init__(self, process: subprocess.Popen[bytes], state: Path) -> None:
        self.process, self.state = process, state
        self._file = state / STATUS

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def seen(self) -> Seen | None:
        """Return its newest status, None before the first one of this process."""
        try:
            plain = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return None
        # A file of an earlier process says nothing about this one.
        if plain["pid"] != self.process.pid:
            return None
        return Seen(
            int(plain["bar_ms"]), int(plain["fills"]), int(plain["busy"]),
            bool(plain["connected"]), bool(plain["over"]), int(plain["trades"]),
            float(plain["equity"]), int(plain["wall_ms"]),
        )  # fmt: skip

    def last_words(self) -> str:
        """Return the end of what it has printed."""
        try:
            lines = (self.state / LOG).read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TOLD_LINES:])

    def ask_to_stop(self) -> None:
        """Let it end as by Ctrl-C."""
        if self.running:
            self.process.send_signal(signal.SIGINT)

    def wait(self, seconds: float) -> int | None:
        """Return its exit code, None when it runs on after *seconds*."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it, cleanly if it lets itself."""
        self.ask_to_stop()
        if self.wait(_STOP_SECONDS) is None:
            self.process.kill()
            self.process.wait()


def begin(words: Sequence[str], state: Path) -> subprocess.Popen[bytes]:
    """Start *words*; what they print is added to `live.log` of *state*, which is made."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOG).open("ab") as log:
        # A session of its own: Ctrl-C is ours, and we end it when the exchange can still answer.
        return subprocess.Popen(  # noqa: S603 - this very program
            list(words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


@contextmanager
def live_process(words: Sequence[str], state: Path) -> Iterator[Sitter]:
    """Run the live process with *words* while the block runs.

    What it prints goes into `live.log` of its state folder.

    Args:
        words: the whole command line.
        state: its state folder, which is made.
    """
    sitter = Sitter(begin(words, state), state)
    try:
        yield sitter
    finally:
        sitter.stop()


def until_ready(sitter: Sitter, seconds: float) -> None:
    """Wait until the process hears market and account.

    Raises:
        ExternalError: it ended, or needs longer than *seconds*.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = sitter.seen()
        if found is not None and found.connected and not found.busy:
            return
        if not sitter.running:
            raise ended_early(sitter)
        time.sleep(0.02)
    raise ExternalError(
        f"the live process was not ready after {seconds:g} s; it said:\n{sitter.last_words()}"
    )


def ended_early(sitter: Sitter) -> ExternalError:
    """Return the error of a process that ended by itself."""
    code = sitter.process.returncode
    return ExternalError(f"the live process ended with {code}; it said:\n{sitter.last_words()}")
