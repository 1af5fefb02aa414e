"""Driving the market: at a speed of the wall clock, or step by step."""

from __future__ import annotations

import asyncio

from ftbt.data.timeframe import DAY_MS
from ftbt.localnet.host import Host
from ftbt.localnet.sockets import Hub

# Longest sleep between two looks at the clock, seconds.
_NAP = 0.02
_YIELD_EVERY = 50
_MOST_BACKLOG = 2000


class Replay:
    """The only place where market time moves."""

    def __init__(self, host: Host, hub: Hub) -> None:
        self.host = host
        self.hub = hub
        self._moving = asyncio.Lock()

    async def run(self) -> None:
        """Follow the wall clock for ever; cancel the task to end it."""
        host = self.host
        host.pace.start(host.venue.time)
        while True:
            await self.move(host.pace.now(host.venue.time), hold=True)
            self.cancel_scheduled()
            await asyncio.sleep(_NAP)

    async def move(self, until: int, *, stop_on_fill: bool = False, hold: bool = False) -> str:
        """Let the market trade up to *until* (ms); clients are told of each step.

        *hold*: stop early where the pace wants the market to stand still for a moment.
        Returns `time`, `fill` or `end`, as `Venue.advance`, or `hold`.
        """
        async with self._moving:
            return await self._move(until, stop_on_fill=stop_on_fill, hold=hold)

    async def _move(self, until: int, *, stop_on_fill: bool, hold: bool) -> str:
        venue, count = self.host.venue, 0
        fills, bar = venue.core.trade_count, venue.time // venue.decision_ms
        while venue.advance_one(until):
            self.hub.publish(venue.drain())
            count += 1
            if venue.core.trade_count > fills:
                fills = venue.core.trade_count
                if stop_on_fill:
                    return "fill"
                if hold and self._hold():
                    return "hold"
            if hold and venue.time // venue.decision_ms != bar and self._bar_is_open():
                bar = venue.time // venue.decision_ms
                if self._hold():
                    return "hold"
            if count % _YIELD_EVERY == 0:
                await self._breathe()
        venue.reach(until)
        return "end" if venue.next_time() is None else "time"

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
