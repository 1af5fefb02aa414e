"""What time it is on the exchange: of the market, by which bars close.

On testnet and mainnet that is the wall clock, as the venue sees it. A local exchange replays the
past at any speed, or stands still; there the time is that of the newest trade.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ftbt.errors import ConfigError, FtbtError
from ftbt.hyperliquid.rest import Rest

_PROBES = 3
# Signatures and expiries tolerate more, but bars would be decided late or, worse, early.
_LARGEST_SKEW_MS = 30_000
# A computer's clock gains or loses a second or two in a day.
_KEPT_S = 600.0
_MOVED_S = 2.0  # of the wall clock against the monotonic one


class MarketClock(Protocol):
    """The market's time, ms UTC. Safe for several threads."""

    def now(self) -> int:
        """Return the time; it never steps back."""
        ...

    def saw(self, time_ms: int) -> None:
        """Note that something on the exchange happened at *time_ms*."""
        ...

    def refresh(self) -> None:
        """Ask the venue again when that was long ago; called now and then.

        Raises:
            ConfigError, NetworkError, ExchangeError: the time goes on as it was.
        """
        ...


class VenueClock:
    """The venue's wall clock, carried on by this machine's monotonic one.

    So a wall clock that is set while a session runs moves neither expiries nor nonces nor bars. A
    machine that slept has a monotonic clock that did not: both are compared, and the venue asked.

    Attributes:
        skew_ms: how far this machine's wall clock is ahead of the venue's.
    """

    def __init__(
        self,
        rest: Rest,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rest = rest
        self._monotonic, self._wall = monotonic, wall
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._base_ms, self._at, self._newest = 0.0, 0.0, 0
        self._apart = 0.0  # of the two clocks of this machine, seconds
        self.skew_ms = 0

    def synchronise(self) -> None:
        """Ask the venue for its time; the quickest of three answers counts.

        Raises:
            ConfigError: when this machine's clock is off by more than half a minute; the venue's
                time is followed all the same.
            NetworkError, ExchangeError: no answer.
        """
        quickest = float("inf")
        for _ in range(_PROBES):
            began = self._monotonic()
            said = self._rest.server_time()
            ended = self._monotonic()
            if ended - began < quickest:
                quickest = ended - began
                wall = self._wall()
                with self._lock:
                    self._base_ms, self._at = said + quickest * 500.0, ended
                    self._apart = wall - ended
                self.skew_ms = round(wall * 1000 - said - quickest * 500.0)
        if abs(self.skew_ms) > _LARGEST_SKEW_MS:
            raise ConfigError(
                f"the clock of this machine is {self.skew_ms / 1000:+.1f} s off the exchange's:"
                " set it right (NTP), then run again"
            )

    def now(self) -> int:
        """Return the venue's time, ms; it never steps back."""
        now = self.wall()
        with self._lock:
            self._newest = max(self._newest, now)
            return self._newest

    def wall(self) -> int:
        """Return the venue's time, ms, for nonces and expiries; it may be set back by the venue."""
        with self._lock:
            return int(self._base_ms + (self._monotonic() - self._at) * 1000.0)

    def saw(self, time_ms: int) -> None:
        """Do nothing: the time goes on without trades."""

    def refresh(self) -> None:
        """Ask again after ten minutes, or when this machine has slept or its clock was set."""
        moved = abs(self._wall() - self._monotonic() - self._apart) > _MOVED_S
        if moved or self._monotonic() - self._at > _KEPT_S:
            self.synchronise()

    def doubt(self) -> None:
        """Ask again because the venue has judged a nonce or an expiry by another time.

        Who comes while another asks waits for the same answer. No answer leaves the time as it was.
        """
        at = self._at
        with self._asking:
            if self._at == at:
                with suppress(FtbtError):
                    self.synchronise()


class ReplayClock:
    """The time of the newest trade that was seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = 0

    def now(self) -> int:
        """Return the market's time, ms; 0 before anything was seen."""
        with self._lock:
            return self._newest

    def saw(self, time_ms: int) -> None:
        """Move on to *time_ms* if that is later."""
        with self._lock:
            self._newest = max(self._newest, time_ms)

    def refresh(self) -> None:
        """Do nothing: a replay has no clock to ask."""
