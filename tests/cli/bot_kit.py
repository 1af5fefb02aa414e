"""A bot in a process of its own against a stepped local exchange, until it holds a position.

It trades the synthetic market from just before its first setup, so that a few bars are enough.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbt.cli.main import run
from ftbt.data.sample import sample_market
from ftbt.localnet.options import Options
from ftbt.localnet.process import Localnet, localnet, named_key

BAR_MS = 900_000
BEGIN = "2024-01-31T14:15+00:00"
WARM_FROM = "2024-01-25"
PATIENCE_S = 90.0
USER = named_key("user").address
_PAGE = 4096


def until(is_so: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return what *is_so* returns once it is true; fail with *what* when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Bot:
    """One deployment.

    Attributes:
        net: its exchange; state: its folder; process: the newest one.
    """

    net: Localnet
    state: Path
    process: subprocess.Popen[bytes] | None = None

    # --- the process ------------------------------------------------------------------------------

    def start(self, *more: str) -> None:
        """Start it, and wait until it may trade."""
        words = [
            "live", "--mode", "paper", "--network", "localnet", "--url", self.net.url,
            "--strategy", "liquidity_sweep", "--symbol", "BTC", "--state", str(self.state),
            "--warmup-from", WARM_FROM, "--json", "--request-margin", "1000", *more,
        ]  # fmt: skip
        log = self.state.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ftbt", *words], stdout=log, stderr=log,
            env={**os.environ, "XDG_STATE_HOME": str(self.state.parent / "xdg")},
        )  # fmt: skip
        log.close()
        until(self._began, "the bot begins")

    def _began(self) -> bool:
        process = self.process
        assert process is not None
        text = self.state.with_suffix(".log").read_text()
        assert process.poll() is None, f"the bot ended with {process.poll()}:\n{text}"
        return bool(self.status().get("pid") == process.pid)

    def kill(self) -> None:
        """End it without warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def status(self) -> dict[str, Any]:
        """Return its newest status, empty before the first."""
        try:
            return dict(json.loads((self.state / "status.json").read_text()))
        except (OSError, ValueError):
            return {}

    # --- the market -------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one bar pass, and the bot decide on it."""
        self.net.step()
        opened = self.net.market_time() // BAR_MS * BAR_MS - BAR_MS

        def decided() -> bool:
            said = self.status()
            return bool(said["bar_ms"] >= opened and not said["busy"])

        until(decided, "the bot decides on the bar")

    def enter(self) -> dict[str, Any]:
        """Let bars pass until it holds a position with its stop and targets; return the status."""
        for _ in range(8):
            if self.position():
                return dict(until(self._protected, "stop and targets stand"))
            self.step()
        raise AssertionError("the market has no setup any more")

    def _protected(self) -> dict[str, Any]:
        said = self.status()
        return said if said["positions"] and said["open_orders"] == 3 else {}

    def position(self) -> float:
        """Return the size that the exchange has."""
        held = self.net.state()["accounts"][USER]["positions"]
        return float(held.get("BTC", 0.0))

    # --- the files --------------------------------------------------------------------------------

    @property
    def elsewhere(self) -> Path:
        """A folder for other states: below results/live is only this bot's."""
        return self.state.parents[2] / "elsewhere"

    def copy(self, name: str) -> Path:
        """Return a copy of the state folder of a dead bot."""
        target = self.elsewhere / name
        shutil.copytree(self.state, target)
        return target


def wreck(state: Path) -> None:
    """Overwrite the middle of the journal in *state*, as a failing disk does."""
    path = state / "journal.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = opened.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'event'"
        ).fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * _PAGE : page * _PAGE] = b"x" * _PAGE
    path.write_bytes(data)


@contextmanager
def new_bot(folder: Path) -> Iterator[Bot]:
    """Yield a bot that holds a position, with an exchange of its own."""
    options = Options(symbols=("BTC",), paused=True, limits=False, begin=BEGIN)
    (folder / "results" / "live").mkdir(parents=True)
    with localnet(options, list(sample_market(("BTC",), days=33).values())) as net:
        bot = Bot(net, folder / "results" / "live" / "bot")
        try:
            bot.start()
            bot.enter()
            yield bot
        finally:
            if bot.alive:
                bot.kill()


def typed(capsys: Any, *words: object) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command line *words*."""
    capsys.readouterr()
    code = run([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err
