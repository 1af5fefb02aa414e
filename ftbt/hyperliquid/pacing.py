"""When to ask REST about a coin: one question at a time, and less often while it says nothing.

An outage must neither leave a queue of questions to be worked off when it is over, nor use up the
budget of requests that its end will need. Pure: moments are handed in.
"""

from __future__ import annotations

# 24 s with a pause of 1.5 s: ten coins then use 500 of the 1200 weight a minute.
_MOST_DOUBLINGS = 4


class Pacing:
    """Who may be asked about.

    Args:
        pause_s: seconds from an answer to the next question about the same coin; doubled by each
            question in a row that had no usable answer, up to 16-fold.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause = pause_s
        self._pending: set[str] = set()
        self._failed: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def may_ask(self, coin: str, moment: float) -> bool:
        """Tell whether to ask about *coin* at *moment* (s); if so an answer is awaited."""
        if coin in self._pending or moment < self._not_before.get(coin, moment):
            return False
        self._pending.add(coin)
        return True

    def answered(self, coin: str, moment: float, *, usable: bool) -> None:
        """Note that the question about *coin* has come back at *moment* (s)."""
        self._pending.discard(coin)
        failed = self._failed[coin] = 0 if usable else self._failed.get(coin, 0) + 1
        self._not_before[coin] = moment + self._pause * 2.0 ** min(failed, _MOST_DOUBLINGS)

    def lift(self) -> None:
        """End all pauses: something has just shown that the venue can be reached."""
        self._failed.clear()
        self._not_before.clear()
