"""From what happened to what each subscription is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ftbt.localnet import channels, state
from ftbt.localnet.channels import Frame, Subscription
from ftbt.localnet.core import Event
from ftbt.localnet.host import Host
from ftbt.localnet.info import aggregate

# Market time between two frames of a channel that shows a state, ms.
_EVERY_MS = {
    "l2Book": 500, "allMids": 1000, "activeAssetCtx": 1000, "webData2": 5000, "webData3": 5000,
    "allDexsAssetCtxs": 5000,
}  # fmt: skip
_ACCOUNT_STATES = {
    "clearinghouseState", "openOrders", "spotState", "activeAssetData", "webData2", "webData3",
    "allDexsClearinghouseState",
}  # fmt: skip


@dataclass(slots=True)
class Batch:
    """Events of one moment, by what they concern."""

    moved: set[str] = field(default_factory=set)
    traded: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    by_user: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def of(self, user: str, kind: str) -> list[Any]:
        """Return the events of one kind that concern *user*."""
        return self.by_user.get(user, {}).get(kind, [])


class Publisher:
    """Makes frames; keeps no connection."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def batch(self, events: Iterable[Event]) -> Batch:
        """Sort *events*."""
        batch = Batch()
        for event in events:
            if event.kind == "step":
                batch.moved.add(event.key)
            elif event.kind == "trade":
                batch.traded[event.key].append(event.data)
            else:
                kinds = batch.by_user.setdefault(event.key, defaultdict(list))
                kinds[event.kind].append(event.data)
        return batch

    def frames(self, batch: Batch, sub: Subscription, pushed: dict[Any, Any]) -> Iterator[Frame]:
        """Yield what *sub* is sent; *pushed* remembers what its connection was sent before."""
        kind = sub["type"]
        if "user" in sub:
            yield from self._of_user(batch, sub, pushed)
        elif kind == "trades":
            if batch.traded[sub["coin"]]:
                yield Frame("trades", batch.traded[sub["coin"]])
        elif kind == "candle":
            if sub["coin"] in batch.moved:
                yield from self._candle(sub)
        elif kind == "bbo":
            yield from self._bbo(batch, sub, pushed)
        elif self._touches(batch, sub) and self._is_time(sub, pushed):
            yield channels.SNAPSHOTS[kind](self.host, sub)

    def _touches(self, batch: Batch, sub: Subscription) -> bool:
        if "coin" not in sub:
            return bool(batch.moved or batch.traded)
        return (
            sub["coin"] in batch.moved
            or bool(batch.traded[sub["coin"]])
            or any(
                entry["order"]["coin"] == sub["coin"]
                for kinds in batch.by_user.values()
                for entry in kinds["order"]
            )
        )

    def _is_time(self, sub: Subscription, pushed: dict[Any, Any]) -> bool:
        key, now = channels.key(sub), self.host.venue.time
        if now - pushed.get(key, -(2**62)) < _EVERY_MS.get(sub["type"], 0):
            return False
        pushed[key] = now
        return True

    def _candle(self, sub: Subscription) -> Iterator[Frame]:
        row = self.host.venue.core.markets[sub["coin"]].forming(sub["interval"])
        if row is not None:
            yield Frame("candle", row.describe(sub["coin"], sub["interval"]))

    def _bbo(self, batch: Batch, sub: Subscription, pushed: dict[Any, Any]) -> Iterator[Frame]:
        if not self._touches(batch, sub):
            return
        top = state.top(self.host.venue, sub["coin"])
        key = channels.key(sub)
        if pushed.get(key) != top["bbo"]:
            pushed[key] = top["bbo"]
            yield Frame("bbo", top)

    def _of_user(self, batch: Batch, sub: Subscription, pushed: dict[Any, Any]) -> Iterator[Frame]:
        user, kind = sub["user"], sub["type"]
        touched = user in batch.by_user
        if kind == "orderUpdates" and batch.of(user, "order"):
            yield Frame("orderUpdates", batch.of(user, "order"))
        elif kind == "userEvents":
            yield from self._events(batch, user)
        elif kind == "userFills" and batch.of(user, "fill"):
            fills = batch.of(user, "fill")
            shown = aggregate(fills) if sub["aggregateByTime"] else fills
            yield Frame("userFills", {"user": user, "fills": shown})
        elif kind == "userFundings" and batch.of(user, "funding"):
            yield Frame("userFundings", {"user": user, "fundings": batch.of(user, "funding")})
        elif kind == "userNonFundingLedgerUpdates" and batch.of(user, "ledger"):
            data = {"user": user, "nonFundingLedgerUpdates": batch.of(user, "ledger")}
            yield Frame(kind, data)
        elif kind in _ACCOUNT_STATES and (
            touched or (batch.moved and kind in _EVERY_MS and self._is_time(sub, pushed))
        ):
            yield channels.SNAPSHOTS[kind](self.host, sub)

    def _events(self, batch: Batch, user: str) -> Iterator[Frame]:
        if batch.of(user, "fill"):
            yield Frame("user", {"fills": batch.of(user, "fill")})
        for kind in ("funding", "liquidation"):
            for data in batch.of(user, kind):
                yield Frame("user", {kind: data})
        if batch.of(user, "cancel"):
            yield Frame("user", {"nonUserCancel": batch.of(user, "cancel")})
