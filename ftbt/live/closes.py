"""When the next bar closes: what can wait keeps out of the way of what is decided then."""

from __future__ import annotations

from ftbt.data.timeframe import Timeframe
from ftbt.hyperliquid.clock import MarketClock

_BEFORE_S, _AFTER_S = 10.0, 5.0


class Closes:
    """The closes of one timeframe.

    Args:
        timeframe: of the bars.
        replay: the market's time is not the wall clock's, and says nothing about what is next.

    Attributes:
        clock: of the market, None as long as it is not known.
    """

    def __init__(self, timeframe: Timeframe, *, replay: bool) -> None:
        self._frame, self._replay = timeframe, replay
        self.clock: MarketClock | None = None

    def until_s(self) -> float:
        """Return the seconds to the next close; all of a bar while the time is not known."""
        if self.clock is None:
            return self._frame.ms / 1000.0
        now = self.clock.now()
        return (self._frame.floor(now) + self._frame.ms - now) / 1000.0

    def calm(self) -> bool:
        """Tell whether no close is near, before or behind."""
        if self._replay or self.clock is None:
            return True
        left = self.until_s()
        return _BEFORE_S < left < self._frame.ms / 1000.0 - _AFTER_S
