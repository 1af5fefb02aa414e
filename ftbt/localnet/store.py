"""Orders and fills of the venue: found by number, by client id, by account, by coin."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from ftbt.localnet.orders import Order

FIRST_OID = 77_700_000_000
KEPT_RECORDS = 2000


class OrderStore:
    """All orders, live ones indexed by account and coin; records age out by count."""

    def __init__(self) -> None:
        self.kept = KEPT_RECORDS
        self._next = FIRST_OID
        self._by_oid: dict[int, Order] = {}
        self._by_cloid: dict[tuple[str, str], int] = {}
        self._live_user: dict[str, dict[int, Order]] = defaultdict(dict)
        self._live_coin: dict[str, dict[int, Order]] = defaultdict(dict)
        self._order: dict[str, deque[int]] = defaultdict(deque)
        self._records: dict[int, dict[str, Any]] = {}
        self._history: dict[str, deque[dict[str, Any]]] = defaultdict(
            lambda: deque(maxlen=KEPT_RECORDS)
        )

    def new_oid(self) -> int:
        """Return the next order number."""
        self._next += 1
        return self._next

    def add(self, order: Order) -> None:
        """Take a new order in."""
        self._by_oid[order.oid] = order
        if order.request.cloid is not None:
            self._by_cloid[order.user, order.request.cloid] = order.oid
        self._live_user[order.user][order.oid] = order
        self._live_coin[order.coin][order.oid] = order
        self._order[order.user].append(order.oid)

    def record(self, order: Order) -> dict[str, Any]:
        """Write down the state that the order has now, and return the record."""
        record = {
            "order": order.full(self.children(order)),
            "status": order.status,
            "statusTimestamp": order.status_time,
        }
        self._records[order.oid] = record
        self._history[order.user].appendleft(record)
        if not order.is_live:
            self._live_user[order.user].pop(order.oid, None)
            self._live_coin[order.coin].pop(order.oid, None)
            self._forget(order.user)
        return record

    def _forget(self, user: str) -> None:
        known = self._order[user]
        while len(known) > self.kept:
            oldest = known[0]
            if self._by_oid[oldest].is_live:
                break
            known.popleft()
            gone = self._by_oid.pop(oldest)
            self._records.pop(oldest, None)
            cloid = gone.request.cloid
            if cloid is not None and self._by_cloid.get((user, cloid)) == oldest:
                del self._by_cloid[user, cloid]

    def evict(self, user: str, oid: int) -> bool:
        """Drop the record of an order that has ended; tell whether there was one."""
        order = self.find(user, oid)
        if order is None or order.is_live:
            return False
        del self._by_oid[oid]
        self._records.pop(oid, None)
        self._order[user].remove(oid)
        if order.request.cloid is not None:
            self._by_cloid.pop((user, order.request.cloid), None)
        return True

    def children(self, order: Order) -> list[dict[str, Any]]:
        """Return the live children of *order*, as the venue lists them."""
        found = [self._by_oid[oid] for oid in order.children if oid in self._by_oid]
        return [child.full([]) for child in found if child.is_live]

    def get(self, oid: int) -> Order | None:
        """Return the order of that number."""
        return self._by_oid.get(oid)

    def find(self, user: str, key: int | str) -> Order | None:
        """Return the order of *user* by number or client id; the latest of that client id."""
        oid = self._by_cloid.get((user, key)) if isinstance(key, str) else key
        order = self._by_oid.get(oid) if oid is not None else None
        return order if order is not None and order.user == user else None

    def status(self, user: str, key: int | str) -> dict[str, Any] | None:
        """Return the last record of an order of *user*."""
        order = self.find(user, key)
        return None if order is None else self._records.get(order.oid)

    def live(self, user: str) -> list[Order]:
        """Return the live orders of *user*, oldest first."""
        return list(self._live_user[user].values())

    def on(self, coin: str) -> list[Order]:
        """Return the live orders of *coin*, oldest first."""
        return list(self._live_coin[coin].values())

    def any_on(self, coin: str) -> bool:
        """Tell whether any order of *coin* is live."""
        return bool(self._live_coin[coin])

    def known(self, user: str) -> list[dict[str, Any]]:
        """Return the last record of each order of *user* that is not forgotten, oldest first."""
        return [self._records[oid] for oid in self._order[user] if oid in self._records]

    def history(self, user: str) -> list[dict[str, Any]]:
        """Return the records of *user*, newest first."""
        return list(self._history[user])
