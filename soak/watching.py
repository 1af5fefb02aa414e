"""The exchange and the live process as an outsider sees them, ten times a second."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ftbt.errors import FtbtError
from ftbt.localnet.process import Localnet
from soak.ward import Ward

EVERY_S = 0.1
_HEALTH_EVERY = 2  # looks at the exchange for each look at the process
_ANSWER_S = 5.0
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(slots=True)
class Bare:
    """A time for which a position had no working stop on the exchange.

    Attributes:
        began, ended: by `time.monotonic()`.
        market_began, market_ended: of the market, ms.
    """

    coin: str
    began: float
    ended: float
    market_began: int
    market_ended: int


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the process.

    Attributes:
        at: by `time.monotonic()`, when it was begun; `took_s` how long the answer took.
        market_ms: the market's time.
        beat_s: age of the loop's last sign of life; None without an answer.
        rss: memory of the process, bytes, None when it can't be told.
        life: number of the process, from 0.
    """

    at: float
    took_s: float
    market_ms: int
    beat_s: float | None
    rss: int | None
    life: int


class Watcher:
    """Looks at exchange and process until it is stopped; what it saw is in its lists.

    Args:
        net: the exchange.
        ward: the live process.
        user: address of the account.
        health: URL of the process's health.
    """

    def __init__(self, net: Localnet, ward: Ward, user: str, health: str) -> None:
        self._net, self._ward, self._user, self._health = net, ward, user, health
        self.bare: list[Bare] = []
        self.looks: list[Look] = []
        self.most_positions = 0
        self.most_leverage = 0.0
        self.blind = 0  # looks at the exchange that failed
        self._open: dict[str, Bare] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is bare now ends here. A second time does nothing."""
        self._end.set()
        self._thread.join(10.0)
        self.bare += self._open.values()
        self._open.clear()

    def _run(self) -> None:
        number = 0
        while not self._end.wait(EVERY_S):
            try:
                state = self._net.state()
            except FtbtError:
                self.blind += 1
                continue
            self._see(state, time.monotonic())
            if number % _HEALTH_EVERY == 0:
                self.looks.append(self._look(int(state["time"])))
            number += 1

    # --- the exchange -----------------------------------------------------------------------------

    def _see(self, state: Mapping[str, Any], now: float) -> None:
        account = state["accounts"].get(self._user, {"positions": {}, "equity": "0"})
        positions = {coin: Decimal(size) for coin, size in account["positions"].items()}
        orders = state["orders"].get(self._user, [])
        self.most_positions = max(self.most_positions, len(positions))
        worth = sum(abs(size) * Decimal(state["marks"][c]) for c, size in positions.items())
        if positions:
            self.most_leverage = max(self.most_leverage, float(worth / Decimal(account["equity"])))
        for coin in set(positions) | set(self._open):
            size = positions.get(coin, Decimal(0))
            self._note(coin, bool(size) and not protected(coin, size, orders), now, state["time"])

    def _note(self, coin: str, is_bare: bool, now: float, market_ms: int) -> None:
        known = self._open.get(coin)
        if is_bare and known is None:
            self._open[coin] = Bare(coin, now, now, market_ms, market_ms)
        elif known is not None:
            known.ended, known.market_ended = now, market_ms
            if not is_bare:
                self.bare.append(self._open.pop(coin))

    # --- the process ------------------------------------------------------------------------------

    def _look(self, market_ms: int) -> Look:
        life, pid = len(self._ward.log.lives) - 1, self._ward.process.pid
        began = time.monotonic()
        beat = heartbeat(self._health)
        return Look(began, time.monotonic() - began, market_ms, beat, memory(pid), life)


def protected(coin: str, size: Decimal, orders: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether stops that work now close all of a position of *size*."""
    asleep = {child["oid"] for order in orders for child in order["children"]}
    stops = (
        Decimal(order["sz"])
        for order in orders
        if order["coin"] == coin and order["isTrigger"] and order["reduceOnly"]
        and order["orderType"].startswith("Stop") and order["oid"] not in asleep
        and (order["side"] == "A") == (size > 0)
    )  # fmt: skip
    return sum(stops, Decimal(0)) >= abs(size)


def heartbeat(url: str) -> float | None:
    """Return how old the loop's last sign of life is, seconds; None when nobody answers so."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=_ANSWER_S) as answer:  # noqa: S310
            age = json.loads(answer.read())["heartbeat_age_s"]
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return None
    return None if age is None else float(age)


def memory(pid: int) -> int | None:
    """Return the resident memory of a process, bytes; None where the system does not tell it."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


@contextmanager
def watching(net: Localnet, ward: Ward, user: str, health: str) -> Iterator[Watcher]:
    """Look while the block runs."""
    watcher = Watcher(net, ward, user, health)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()
