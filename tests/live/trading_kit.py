"""Real live processes beside a local exchange that is stepped, and a strategy that trades often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import show_ms
from ftbt.live.journal import read_journal
from ftbt.localnet.options import Options
from ftbt.localnet.process import Key, Localnet, localnet, named_key

COIN = "BTC"
STEP = 900_000
# Enters at every eighth bar, with a stop and two targets that the next hours reach.
OFTEN = '''
"""Buys every eighth bar."""

from ftbt import smc
from ftbt.strategy import MARKET, Setup, SetupStrategy, setup_rule


@setup_rule
def rule(bar, atr, p, setup):
    """Set the setup at the close of *bar*."""
    if bar.time // 900000 % 8 == 0:
        setup.side, setup.kind = 1, MARKET
        setup.stop = bar.close * 0.994
        setup.target1 = bar.close * 1.003
        setup.target2 = bar.close * 1.009
        setup.confidence = 77.0


class Often(SetupStrategy):
    """Buys every eighth bar."""

    params = dict(min_rr=0.5, max_bars=20)
    reasons = ("the eighth bar",)
    warmup_days = 1.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(rule, smc.AverageTrueRange(self.data))
'''


@cache
def market() -> Market:
    """Return what the local exchange of these tests replays."""
    return sample_market((COIN,), days=8)[COIN]


def begins() -> int:
    """Return when the replay begins: after four days."""
    return int(market().candles.time[4 * 96])


@contextmanager
def exchange() -> Iterator[Localnet]:
    """Yield a local exchange that stands still."""
    begin = show_ms(begins()).replace(" UTC", "+00:00")
    asked = Options(symbols=(COIN,), paused=True, limits=False, begin=begin)
    with localnet(asked, [market()]) as net:
        yield net


def strategy_file(folder: Path) -> Path:
    """Write the strategy of these tests into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "often.py"
    path.write_text(OFTEN)
    return path


class Trader:
    """A live process with an account of its own.

    Args:
        net: where it trades.
        folder: for its state, key and strategy.
        name: of its account.
    """

    def __init__(self, net: Localnet, folder: Path, name: str) -> None:
        self.net, self.folder, self.state = net, folder, folder / "state"
        self.user, self.agent = named_key(name), named_key(f"agent of {name}")
        net.fund(self.user.address)
        net.control("/agent", {"user": self.user.address, "agent": self.agent.address, "name": "a"})
        self.strategy = strategy_file(folder)
        self.key_file = _key_file(folder, self.agent)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "output.txt"
        self.booked = 0  # fills that earlier processes have booked

    def words(self, *more: str) -> list[str]:
        """Return the command line of its process, without the program."""
        return [
            "live", "--mode", "paper", "--network", "localnet", "--url", self.net.url,
            "--strategy", str(self.strategy), "--symbol", COIN, "--state", str(self.state),
            "--key-file", str(self.key_file), "--account", self.user.address,
            "--request-margin", "1000", *more,
        ]  # fmt: skip

    def start(self, *more: str, ready: bool = True, **options: Any) -> None:
        """Start the process, and wait until it trades."""
        self.booked = self.noted("fill")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ftbt", *self.words(*more)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), **options,
            )  # fmt: skip
        if ready:
            self.wait(lambda status: status["connected"] and not status["busy"], 120.0)

    def environment(self) -> dict[str, str]:
        """Return the environment of its process: nothing of the machine's user."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FTBT_")}
        return {**kept, "XDG_STATE_HOME": str(self.folder / "xdg"), "PYTHONUNBUFFERED": "1"}

    def noted(self, kind: str) -> int:
        """Return how many events of *kind* its journal has."""
        path = self.state / "journal.db"
        if not path.exists():
            return 0
        with read_journal(path) as reader:
            return sum(1 for _ in reader.events(kinds=(kind,)))

    def status(self) -> Mapping[str, Any]:
        """Return the newest status of this process, empty before its first."""
        try:
            found = json.loads((self.state / "status.json").read_text())
        except FileNotFoundError:
            return {}
        assert self.process is not None
        return found if found["pid"] == self.process.pid else {}

    def wait(self, condition: Callable[[Mapping[str, Any]], bool], seconds: float = 30.0) -> None:
        """Wait until the status is as wanted."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.status()
            if status and condition(status):
                return
            assert self.process.poll() is None, f"it ended:\n{self.output()}"
            time.sleep(0.01)
        raise AssertionError(f"waited {seconds} s: {self.status()}\n{self.output()}")

    def follows(self, opened: int) -> None:
        """Wait until it has decided on the bar before the one that opens at *opened*."""
        fills = self.net.fills_of(self.user.address) - self.booked
        self.wait(lambda s: s["bar_ms"] >= opened - STEP and not s["busy"] and s["fills"] >= fills)

    def ends(self, number: int = signal.SIGINT, seconds: float = 60.0) -> int:
        """Send a signal, if any, and return the exit code."""
        assert self.process is not None
        if number:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it without warning."""
        self.ends(signal.SIGKILL)

    def gone(self) -> None:
        """Leave no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def output(self) -> str:
        """Return everything it has printed."""
        return self.log.read_text() if self.log.exists() else ""

    def orders(self) -> list[dict[str, Any]]:
        """Return its orders on the exchange."""
        found: list[dict[str, Any]] = self.net.state()["orders"].get(self.user.address, [])
        return found

    def position(self) -> float:
        """Return the size of its position on the exchange."""
        held = self.net.state()["accounts"][self.user.address]["positions"]
        return float(held.get(COIN, 0.0))


def _key_file(folder: Path, key: Key) -> Path:
    path = folder / "agent.key"
    path.touch(mode=0o600)
    path.write_text(key.secret)
    return path


def drive(net: Localnet, traders: list[Trader], until: int) -> int:
    """Let the market trade up to *until* while all *traders* follow; return where it stands."""
    while True:
        moved = net.run_to_event(traders[0].user.address, until)
        opened = moved.market // STEP * STEP
        for trader in traders:
            trader.follows(opened)
        if moved.market >= until or moved.stopped == "end":
            return moved.market
