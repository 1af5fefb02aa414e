"""Budgets: weight per IP, requests per address, connections and subscriptions."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

WEIGHT_PER_MINUTE = 1200
FREE_REQUESTS = 10_000
THROTTLED_MS = 10_000
_MINUTE_MS = 60_000

_LIGHT = {
    "l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState",
    "exchangeStatus",
}  # fmt: skip
_PER_20 = {
    "recentTrades", "historicalOrders", "userFills", "userFillsByTime", "fundingHistory",
    "userFunding", "userNonFundingLedgerUpdates",
}  # fmt: skip


def info_weight(kind: str) -> int:
    """Return the weight of an info request before its answer is known."""
    if kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def extra_weight(kind: str, answer: Any) -> int:
    """Return what the length of the answer adds."""
    if not isinstance(answer, list):
        return 0
    if kind == "candleSnapshot":
        return len(answer) // 60
    return len(answer) // 20 if kind in _PER_20 else 0


def action_weight(items: int) -> int:
    """Return the weight of an action with *items* orders or cancels."""
    return 1 + items // 40


@dataclass(slots=True)
class Bucket:
    """Weight that refills evenly over a minute."""

    left: float = float(WEIGHT_PER_MINUTE)
    seen: float = 0.0


class IpLimits:
    """Weight per IP address.

    A market that runs faster than the wall lets the budget run as fast: a client that polls once
    a minute of the market is as polite as it would be on the venue.
    """

    def __init__(self, wall_ms: Callable[[], float], market_ms: Callable[[], float]) -> None:
        self.enabled = True
        self._wall, self._market = wall_ms, market_ms
        self._last = (wall_ms(), market_ms())
        self._now = 0.0
        self._buckets: dict[str, Bucket] = defaultdict(Bucket)

    def _elapsed(self) -> float:
        wall, market = self._wall(), self._market()
        self._now += max(0.0, wall - self._last[0], market - self._last[1])
        self._last = (wall, market)
        return self._now

    def spend(self, ip: str, weight: int, *, must: bool = False) -> bool:
        """Take *weight* from the budget; False when it is not there (then nothing is taken)."""
        if not self.enabled:
            return True
        now, bucket = self._elapsed(), self._buckets[ip]
        refill = (now - bucket.seen) * WEIGHT_PER_MINUTE / _MINUTE_MS
        bucket.left = min(float(WEIGHT_PER_MINUTE), bucket.left + refill)
        bucket.seen = now
        if bucket.left < weight and not must:
            return False
        bucket.left -= weight
        return True

    def left(self, ip: str) -> float:
        """Return the weight that is left."""
        self.spend(ip, 0)
        return self._buckets[ip].left


@dataclass(slots=True)
class Used:
    """Requests of one address."""

    count: int = 0
    reserved: int = 0
    last_pass: int = -THROTTLED_MS
    expired: int = 0


class AddressLimits:
    """One request per USDC traded, and some to begin with."""

    def __init__(self) -> None:
        self.enabled = True
        self.free = FREE_REQUESTS
        self._used: dict[str, Used] = defaultdict(Used)

    def cap(self, volume: Decimal) -> int:
        """Return how many requests an address with that traded volume has."""
        return self.free + int(volume)

    def admit(
        self, user: str, items: int, volume: Decimal, now: int, *, cancels: bool
    ) -> str | None:
        """Count *items* requests at wall time *now* (ms); return the refusal, None when taken."""
        used, cap = self._used[user], self.cap(volume)
        allowed = min(cap + 100_000, 2 * cap) if cancels else cap
        if self.enabled and used.count + items > allowed + used.reserved:
            if now - used.last_pass < THROTTLED_MS:
                return (
                    f"Too many cumulative requests sent ({used.count + items} > {cap}) for"
                    f" cumulative volume traded ${volume:.2f}. Place taker orders to free up 1"
                    " request per USDC traded."
                )
            used.last_pass = now
        used.count += items
        return None

    def charge(self, user: str, items: int) -> None:
        """Count requests that are refused later all the same."""
        self._used[user].count += items

    def reserve(self, user: str, weight: int) -> None:
        """Add bought requests."""
        self._used[user].reserved += weight

    def exhaust(self, user: str, volume: Decimal, now: int) -> None:
        """Use the budget up, with one request just passed."""
        self._used[user].count = 2 * self.cap(volume) + 100_000
        self._used[user].last_pass = now

    def describe(self, user: str, volume: Decimal) -> dict[str, Any]:
        """Return the answer to `userRateLimit`."""
        used, cap = self._used[user], self.cap(volume)
        return {
            "cumVlm": f"{volume:f}" if "." in f"{volume:f}" else f"{volume:f}.0",
            "nRequestsUsed": used.count,
            "nRequestsCap": cap,
            "nRequestsSurplus": max(0, used.reserved - max(0, used.count - cap)),
        }


@dataclass(slots=True)
class SocketLimits:
    """What one IP address may do over WebSockets."""

    connections: int = 10
    per_minute: int = 30
    subscriptions: int = 1000
    users: int = 10
    messages: int = 2000
    opened: deque[float] = field(default_factory=deque)

    def may_open(self, open_now: int, now_ms: float) -> bool:
        """Count a new connection at *now_ms*; False when there are too many."""
        while self.opened and self.opened[0] <= now_ms - _MINUTE_MS:
            self.opened.popleft()
        if open_now >= self.connections or len(self.opened) >= self.per_minute:
            return False
        self.opened.append(now_ms)
        return True
