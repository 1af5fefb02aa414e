"""Two clocks: the wall, by which nonces and expiries are judged, and the market's own time."""

from __future__ import annotations

import time
from dataclasses import dataclass


def _wall_ms() -> float:
    return time.time() * 1000


@dataclass(slots=True)
class WallClock:
    """The venue's idea of now; *offset_ms* sets it wrong on purpose."""

    offset_ms: int = 0

    def now(self) -> int:
        """Return wall time, ms."""
        return int(_wall_ms()) + self.offset_ms


class Pace:
    """How market time follows the wall: at a speed, paused, or held for a moment.

    Market time never jumps when the speed changes; it goes on from where it is.
    """

    def __init__(self, speed: float, hold_ms: float = 0.0, *, paused: bool = False) -> None:
        self.speed = speed
        self.hold_ms = hold_ms
        self.paused = paused
        self._market = 0.0
        self._wall = 0.0
        self._held_until = 0.0

    def start(self, market: int) -> None:
        """Let market time be *market* (ms) now."""
        self._market, self._wall = float(market), time.monotonic() * 1000

    def hold(self, reached: int) -> None:
        """Let the market stand still at *reached* (ms) for `hold_ms` of wall time."""
        self._market = float(reached)
        self._held_until = time.monotonic() * 1000 + self.hold_ms

    def now(self, reached: int) -> int:
        """Return the market time (ms) that should be reached by now.

        *reached*: where the market is. While it stands still, no time is owed to it.
        """
        wall = time.monotonic() * 1000
        elapsed, self._wall = wall - self._wall, wall
        self._market = max(self._market, float(reached)) if not self.paused else float(reached)
        if not self.paused and wall >= self._held_until:
            self._market += elapsed * self.speed
        return int(self._market)
