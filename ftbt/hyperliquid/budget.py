"""How often the venue may be asked: weight per minute and address, requests per account.

Limits (section "Rate limits" of the venue's documentation): 1200 weight a minute per IP address;
per account 10,000 requests and one more per USDC traded, counted for actions only. We stay below
both with a margin. What protects a position goes first: it may use all that is left, entries and
reads only a part.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from ftbt.errors import RateLimitError

WEIGHT_PER_MINUTE = 1200
# Other programs behind the same address ask as well, and our count may run ahead of the venue's.
MARGIN = 0.85
# The venue lets one action through in ten seconds once the account's requests are used up.
_REFUSED_PAUSE_S = 10.0
_MINUTE_S = 60.0


class Priority(IntEnum):
    """Who may use what is left when little is left. Lower is more urgent."""

    PROTECT = 0
    TRADE = 1
    READ = 2


# Part of the weight that stays for more urgent requests.
_RESERVED = {Priority.TRADE: 0.15, Priority.READ: 0.35}
# Actions of the account that stay for cancels and stops, whatever is traded.
_KEPT_ACTIONS = {Priority.PROTECT: 0, Priority.TRADE: 500, Priority.READ: 500}

_LIGHT = frozenset(
    ("l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState",
     "exchangeStatus")
)  # fmt: skip
_COUNTED_BY_20 = frozenset(
    ("recentTrades", "historicalOrders", "userFills", "userFillsByTime", "fundingHistory",
     "userFunding", "userNonFundingLedgerUpdates")
)  # fmt: skip


def info_weight(kind: str) -> int:
    """Return the weight of an info request of type *kind*, before the length of its answer."""
    if kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def answer_weight(kind: str, rows: int) -> int:
    """Return what *rows* rows of the answer add to the weight."""
    if kind == "candleSnapshot":
        return rows // 60
    return rows // 20 if kind in _COUNTED_BY_20 else 0


def action_weight(items: int) -> int:
    """Return the weight of an action with *items* orders or cancels."""
    return 1 + items // 40


@dataclass(frozen=True, slots=True)
class Spent:
    """The budgets as figures, for the status line.

    Attributes:
        weight: weight of the last minute, of *weight_limit* (the venue's limit less our margin).
        actions_left: requests that the account has left; None while it was not asked.
        waited_s: seconds that requests waited for their turn, in all.
        refused: requests that were not made because there was no room in time.
        limited: times that the venue itself said no.
    """

    weight: float
    weight_limit: float
    actions_left: int | None
    waited_s: float
    refused: int
    limited: int


class Budget:
    """Weight of one IP address and requests of one account. Safe for several threads.

    Args:
        margin: part of the venue's weight that we use, 0 to 1.
        clock, sleep: seconds; replaced in tests.
    """

    def __init__(
        self,
        margin: float = MARGIN,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = WEIGHT_PER_MINUTE * margin
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        # When weight was or will be used, in order of time, and how much. The venue does not say
        # how its minute runs; no minute of ours, wherever it begins, uses more than the limit.
        self._uses: list[tuple[float, float]] = []
        self._used = 0.0
        self._closed_until = 0.0
        self._actions_left: int | None = None
        self._waited, self._refused, self._limited = 0.0, 0, 0

    def spent(self) -> Spent:
        """Return the figures of now."""
        with self._lock:
            self._forget()
            return Spent(
                self._used, self._limit, self._actions_left,
                self._waited, self._refused, self._limited,
            )  # fmt: skip

    def take(self, weight: float, priority: Priority, patience_s: float) -> None:
        """Wait until *weight* may be used and use it.

        Raises:
            RateLimitError: when that would take longer than *patience_s*; nothing is used then.
        """
        with self._lock:
            self._forget()
            wait = self._wait(weight, priority)
            if wait > patience_s:
                self._refused += 1
                raise RateLimitError(
                    f"too many requests from this machine: weight {self._used:.0f} of"
                    f" {self._limit:.0f} a minute is used, the next {priority.name.lower()} request"
                    f" has to wait {wait:.0f} s"
                )
            # Taken now, waited for below: who comes later waits for us as well.
            self._use(weight, wait)
            self._waited += wait
        if wait > 0:
            self._sleep(wait)

    def add(self, weight: float) -> None:
        """Count *weight* that is only known from the answer; it may exceed the limit."""
        with self._lock:
            self._use(weight, 0.0)

    def venue_said_stop(self, pause_s: float = 10.0) -> None:
        """Note that the venue refused for its rate limit: only protection goes for *pause_s*."""
        with self._lock:
            self._limited += 1
            self._closed_until = max(self._closed_until, self._clock() + pause_s)

    # --- requests of the account ------------------------------------------------------------

    def account_has(self, left: int) -> None:
        """Note how many requests the account has left, from `userRateLimit`."""
        with self._lock:
            self._actions_left = left

    def act(self, items: int, priority: Priority) -> None:
        """Count *items* orders or cancels against the account's requests.

        Raises:
            RateLimitError: when only those are left that are kept for more urgent actions.
        """
        with self._lock:
            left = self._actions_left
            if left is None:
                return
            if priority is not Priority.PROTECT and left - items < _KEPT_ACTIONS[priority]:
                self._refused += 1
                raise RateLimitError(
                    f"the account has {left} requests left on the exchange, and"
                    f" {_KEPT_ACTIONS[priority]} are kept for cancels and stops: each USDC traded"
                    " gives one more, or buy some (reserveRequestWeight, with the master wallet)"
                )
            self._actions_left = left - items

    def account_is_empty(self) -> float:
        """Note that the venue refused for the account's requests; return seconds to wait."""
        with self._lock:
            self._limited += 1
            self._actions_left = min(0, self._actions_left or 0)
        return _REFUSED_PAUSE_S

    # --- the last minute --------------------------------------------------------------------

    def _use(self, weight: float, wait: float) -> None:
        if weight:
            insort(self._uses, (self._clock() + wait, weight))
            self._used += weight

    def _forget(self) -> None:
        """Drop what was used more than a minute ago."""
        past = bisect_right(self._uses, (self._clock() - _MINUTE_S, float("inf")))
        if past:
            del self._uses[:past]
            self._used = sum(weight for _, weight in self._uses)

    def _wait(self, weight: float, priority: Priority) -> float:
        """Return the seconds until a minute has room for *weight*."""
        # A protective request goes out although our margin is used up: the margin is for it.
        urgent = priority is Priority.PROTECT
        whole = max(WEIGHT_PER_MINUTE, self._limit)
        allowed = whole if urgent else self._limit * (1.0 - _RESERVED[priority])
        excess = self._used + min(weight, allowed) - allowed
        now = self._clock()
        closed = 0.0 if urgent else max(0.0, self._closed_until - now)
        for used_at, used in self._uses:
            if excess <= 0:
                break
            excess -= used
            closed = max(closed, used_at + _MINUTE_S - now)
        return closed
