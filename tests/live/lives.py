"""Drives a session that may die at any moment through one trade, and starts it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live_kit import COIN, QUARTER, until

from ftbt.backtest.result import TRADE
from ftbt.live.journal import read_journal
from ftbt.localnet.process import Key, Localnet

# Numbers of bars and symbols count within a process.
_COMPARED = [name for name in TRADE.names or () if name not in ("entry_bar", "exit_bar")]


class Nursery:
    """A process that forks sessions: importing everything anew each time would take seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, asked: dict[str, Any]) -> int:
        """Start a session and return the id of its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Yield a nursery; its sessions end with it."""
    command = [sys.executable, str(Path(__file__).with_name("life.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Nursery(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


@dataclass
class Life:
    """A session on an account of its own, in a process, and its life after a death.

    Attributes:
        pid: of the process that lives.
        deaths: how often it was found dead and started again.
    """

    net: Localnet
    nursery: Nursery
    account: tuple[Key, Key]
    state: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    pid: int = 0
    deaths: int = 0
    plan: dict[int, dict[str, float]] = field(default_factory=dict)

    def start(self, kill: int = 0, *, after: bool = False) -> None:
        """Start the process; *kill*: the number of the journal's write at which it dies."""
        user, agent = self.account
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.pid = self.nursery.start({
            "url": self.net.url, "user": user.address, "secret": agent.secret,
            "state": str(self.state), "plan": self.plan, "parameters": self.parameters,
            "warm_from": self.bar_ms - 20 * QUARTER.ms, "kill": kill, "after": after,
        })  # fmt: skip

    @property
    def bar_ms(self) -> int:
        """Open of the bar that is on."""
        return self.net.market_time() // QUARTER.ms * QUARTER.ms

    def alive(self) -> bool:
        """Tell whether the process runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        """Return the status of the process that lives, empty before it has one."""
        found: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            found = json.loads((self.state / "status.json").read_text())
        return found if found.get("pid") == self.pid else {}

    def settle(self) -> None:
        """Wait until all that has happened is dealt with, by a new process if need be."""

        def settled() -> bool:
            if not self.alive():
                self.deaths += 1
                assert self.deaths < 3, "it dies again and again"
                self.start()
            return self._is_quiet()

        until(settled, f"the session is quiet: {self.status()}")

    def _is_quiet(self) -> bool:
        seen = self.status()
        return bool(seen) and not seen["busy"] and seen["connected"] and self._agrees(seen)

    def _agrees(self, seen: dict[str, Any]) -> bool:
        user = self.account[0].address
        state = self.net.state()
        there = float(state["accounts"][user]["positions"].get(COIN, 0))
        orders = len(state["orders"].get(user, []))
        return (
            abs(there - seen["positions"].get(COIN, 0.0)) < 1e-9
            and orders == seen["open_orders"]
            and seen["bar_ms"] >= self.bar_ms - QUARTER.ms
        )

    def bar(self) -> None:
        """Let a bar pass."""
        self.net.step(1)
        self.settle()

    def price(self, price: float) -> None:
        """Let the market jump."""
        self.net.control("/market/price", {"coin": COIN, "price": price})
        self.settle()

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self.alive(), "the process is gone")

    def again(self) -> None:
        """Start a process anew and wait until it has dealt with what it missed."""
        self.start()
        self.settle()

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders that stand on the exchange."""
        found: list[dict[str, Any]] = self.net.state()["orders"].get(self.account[0].address, [])
        return found

    def events(self, *kinds: str) -> list[Any]:
        """Return the journal's events of some kinds."""
        with read_journal(self.state / "journal.db") as journal:
            return list(journal.events(kinds=kinds or None))

    def stop(self) -> None:
        """Ask the process to end, and wait for it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        until(lambda: not self.alive(), "the process ends")

    def trades(self) -> list[dict[str, float]]:
        """Return the trades that the journal has."""
        with read_journal(self.state / "journal.db") as journal:
            rows = [event.body["row"] for event in journal.events(kinds=("trade",))]
        named = [dict(zip(TRADE.names or (), row, strict=True)) for row in rows]
        return [{name: row[name] for name in _COMPARED} for row in named]

    def writes(self) -> int:
        """Return how many writes the first process has made."""
        return int(self.state.with_name("writes").read_text())
