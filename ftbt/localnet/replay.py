"""Driving the market: at a speed of the wall clock, or step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from ftbt.data.timeframe import DAY_MS
from ftbt.localnet.core import Event
from ftbt.localnet.host import Host
from ftbt.localnet.sockets import Hub

# Longest sleep between two looks at the clock, seconds.
_NAP = 0.02
_YIELD_EVERY = 50
_MOST_BACKLOG = 2000
# What an account is told of, and may want to act on.
_OF_ACCOUNTS = {"order", "fill", "cancel", "liquidation", "funding"}


@dataclass(frozen=True, slots=True)
class Stops:
    """Where a move of the market ends before its time.

    Attributes:
        fill: after a trade of any account.
        bar: once every coin's bar has opened: all of the bar before is known then.
        account: after an order, a fill or a payment of this account.
    """

    fill: bool = False
    bar: bool = False
    account: str = ""

    def told(self, events: Iterable[Event]) -> bool:
        """Tell whether one of *events* concerns the account."""
        if not self.account:
            return False
        return any(one.key == self.account and one.kind in _OF_ACCOUNTS for one in events)


NOWHERE = Stops()


class Replay:
    """The only place where market time moves."""

    def __init__(self, host: Host, hub: Hub) -> None:
        self.host = host
        self.hub = hub
        self._moving = asyncio.Lock()
        # The last bar whose opening is over; kept between moves, for one may end on the way there.
        self._bar = self._number()

    async def run(self) -> None:
        """Follow the wall clock for ever; cancel the task to end it."""
        host = self.host
        host.pace.start(host.venue.time)
        while True:
            await self.move(host.pace.now(host.venue.time), hold=True)
            self.cancel_scheduled()
            await asyncio.sleep(_NAP)

    async def move(self, until: int, stops: Stops = NOWHERE, *, hold: bool = False) -> str:
        """Let the market trade up to *until* (ms); clients are told of each step.

        *hold*: stop early where the pace wants the market to stand still for a moment.
        Returns `time` or `end`, as `Venue.advance`; `fill`, `account` or `bar` where *stops* ended
        it, in this order where several did; or `hold`.
        """
        async with self._moving:
            return await self._move(until, stops, hold=hold)

    async def _move(self, until: int, stops: Stops, *, hold: bool) -> str:
        venue, count = self.host.venue, 0
        fills = venue.core.trade_count
        # A move that ended at an open, for another reason, has not told it.
        if stops.bar and self._opened():
            return "bar"
        while venue.advance_one(until):
            events = venue.drain()
            self.hub.publish(events)
            count += 1
            opened = self._opened()
            traded, fills = venue.core.trade_count > fills, venue.core.trade_count
            if (traded and stops.fill) or stops.told(events):
                self._bar -= int(opened)  # to be told by the next move
                return "fill" if traded and stops.fill else "account"
            if opened and stops.bar:
                return "bar"
            if hold and (traded or opened) and self._hold():
                return "hold"
            if count % _YIELD_EVERY == 0:
                await self._breathe()
        venue.reach(until)
        return "end" if venue.next_time() is None else "time"

    def _number(self) -> int:
        return self.host.venue.time // self.host.venue.decision_ms

    def _opened(self) -> bool:
        """Tell, once, that everything that belongs to the open of a bar has happened."""
        number = self._number()
        if number == self._bar or not self._bar_is_open():
            return False
        self._bar = number
        return True

    def _bar_is_open(self) -> bool:
        """Tell whether everything that belongs to the open of a bar has happened."""
        following = self.host.venue.next_time()
        return following is None or following > self.host.venue.time

    def _hold(self) -> bool:
        if not self.host.pace.hold_ms:
            return False
        self.host.pace.hold(self.host.venue.time)
        return True

    async def _breathe(self) -> None:
        await asyncio.sleep(0)
        if self.hub.backlog > _MOST_BACKLOG:
            await self.hub.flush()

    def cancel_scheduled(self) -> None:
        """Cancel all orders of accounts whose scheduled time has come."""
        host = self.host
        now = host.wall.now()
        for user, due in list(host.scheduled.items()):
            if due > now:
                continue
            del host.scheduled[user]
            day = (user, now // DAY_MS)
            host.fired[day] = host.fired.get(day, 0) + 1
            host.venue.cancel_all(user, "scheduledCancel")
            self.hub.publish(host.venue.drain())
