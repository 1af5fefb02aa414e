"""Liquidity pools and sweeps after their definition, with plain objects and whole histories.

Swings, sessions and the average true range come from their own lines, which have their own tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftbt.data.candles import Bars
from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.smc.baselines import ATR
from ftbt.smc.sessions import SESSIONS
from ftbt.smc.swings import SWINGS

SWING, EQUAL, DAY, WEEK, SESSION = 1, 2, 3, 4, 5
THURSDAY_TO_MONDAY = 4 * DAY_MS  # 1970-01-01 was a Thursday, the first Monday the 5th


@dataclass
class Pool:
    """One pool; `life` holds (bar, what, kind, touches, level, extreme)."""

    side: int
    level: float
    kind: int
    touches: int
    first: int
    last: int
    since: int
    life: list[tuple[Any, ...]] = field(default_factory=list)
    ended: float = np.inf

    def tell(self, bar: int, what: str, extreme: float = np.nan) -> None:
        """Write down an event with what the pool is at that bar."""
        self.life.append((bar, what, self.kind, self.touches, self.level, extreme))


@dataclass
class Touches:
    """A row of swings: (bar, price) of each."""

    members: list[tuple[int, float]]
    pool: Pool | None = None

    @property
    def prices(self) -> list[float]:
        return [price for _, price in self.members]


class PoolBook:
    """All pools of a market, bar by bar, and the judgement of those taken."""

    def __init__(self, bars: Bars, p: dict[str, Any]) -> None:
        self.bars, self.p = bars, p
        self.atr = ATR.compute(bars, {"length": p["baseline_length"]})["atr"]
        self.swings = SWINGS.compute(bars, {name: p[name] for name in SWINGS.defaults})
        self.pools: list[Pool] = []
        self.rows: dict[int, list[Touches]] = {1: [], -1: []}
        self.alive_after: list[list[tuple[Any, ...]]] = []
        sessions = self._sessions()
        for t in range(len(bars)):
            for side in (1, -1):
                for kind, start, stop in self._completed_periods(t):
                    self._replace(t, side, kind, start, stop)
            for side in (1, -1):
                self._end_pools(t, side)
                self._end_rows(t, side)
            for kind, out in sessions:
                if out["done"][t]:
                    for side in (1, -1):
                        self._replace_session(t, side, kind, out)
            if self.swings["low_event"][t]:
                self._touch(t, 1, self.swings["low"][t])
            if self.swings["high_event"][t]:
                self._touch(t, -1, self.swings["high"][t])
            self.alive_after.append(
                [(q.side, q.level, q.touches, q.kind, q.first) for q in self._alive()]
            )

    def _alive(self, side: int = 0) -> list[Pool]:
        return [q for q in self.pools if q.ended == np.inf and side in (0, q.side)]

    def _new(self, *values: Any) -> Pool:
        pool = Pool(*values)
        pool.tell(pool.since, "created")
        self.pools.append(pool)
        return pool

    # --- levels of periods

    def _completed_periods(self, t: int) -> list[tuple[int, int, int]]:
        """The (kind, first bar, bar after the last) of periods that end before bar t."""
        time = self.bars["time"]
        found = []
        offset = self.p["day_start"] * HOUR_MS
        for kind, length, origin in ((DAY, DAY_MS, 0), (WEEK, 7 * DAY_MS, THURSDAY_TO_MONDAY)):
            wanted = self.p["day_levels"] if kind == DAY else self.p["week_levels"]
            number = (time[: t + 1] - origin - offset) // length
            if not wanted or t == 0 or number[t] == number[t - 1]:
                continue
            start = int(np.flatnonzero(number == number[t - 1])[0])
            if start > 0 or (time[0] - origin - offset) % length == 0:
                found.append((kind, start, t))
        return found

    def _replace(self, t: int, side: int, kind: int, start: int, stop: int) -> None:
        part = self.bars[start:stop]
        place = int(np.argmin(part["low"])) if side > 0 else int(np.argmax(part["high"]))
        level = part["low"][place] if side > 0 else part["high"][place]
        self._put(t, side, kind, level, start + place)

    def _put(self, t: int, side: int, kind: int, level: float, bar: int) -> None:
        for pool in self._alive(side):
            if pool.kind == kind:
                pool.tell(t, "expired")
                pool.ended = t
        self._new(side, level, kind, 1, bar, bar, t)

    def _sessions(self) -> list[tuple[int, Any]]:
        names = ("asia", "london", "new_york")
        return [
            (
                SESSION + k,
                SESSIONS.compute(self.bars, {"session": name, "zone": self.p["zone"]}),
            )
            for k, name in enumerate(names)
            if self.p["session_levels"] in (name, "all")
        ]

    def _replace_session(self, t: int, side: int, kind: int, out: Any) -> None:
        name = "low" if side > 0 else "high"
        bar = t - int(out[f"final_{name}_origin"][t])
        self._put(t, side, kind, out[f"final_{name}"][t], bar)

    # --- what a bar does to the pools and rows that it meets

    def _distance(self, t: int, what: str, price: float) -> float:
        scale = self.atr[t] if self.p[f"{what}_unit"] == "atr" else price
        return self.p[what] * scale

    def _beyond(self, t: int, side: int, level: float, margin: float) -> bool:
        """Whether bar t trades more than *margin* beyond a level."""
        if side > 0:
            return bool(self.bars["low"][t] < level - margin)
        return bool(self.bars["high"][t] > level + margin)

    def _end_pools(self, t: int, side: int) -> None:
        for pool in self._alive(side):
            margin = self._distance(t, "penetration", pool.level) if self.p["penetration"] else 0
            if pool.kind in (SWING, EQUAL) and t - pool.since > self.p["max_age"]:
                pool.tell(t, "expired")
                pool.ended = t
            elif self._beyond(t, side, pool.level, margin):
                pool.tell(t, "taken")
                pool.ended = t
                self._judge(t, pool)

    def _end_rows(self, t: int, side: int) -> None:
        pick = min if side > 0 else max
        kept = []
        for row in self.rows[side]:
            extreme = pick(row.prices)
            if not self._beyond(t, side, extreme, self._distance(t, "tolerance", extreme)):
                kept.append(row)
        self.rows[side] = kept

    def _touch(self, t: int, side: int, price: float) -> None:
        bar = t - self.p["right"]
        row = self._row_at(t, side, price)
        if row is None:
            row = Touches([])
            self.rows[side] = [*self.rows[side], row][-32:]
        row.members.append((bar, price))
        level = self._level(side, row.prices)
        touches = len(row.members)
        kind = EQUAL if touches >= self.p["min_touches"] else SWING
        pool = row.pool
        if pool is not None and pool.ended == np.inf:
            pool.level, pool.kind, pool.touches, pool.last, pool.since = (
                level,
                kind,
                touches,
                bar,
                t,
            )
            pool.tell(t, "grown")
        elif kind == EQUAL or self.p["singles"]:
            row.pool = self._new(side, level, kind, touches, row.members[0][0], bar, t)

    def _level(self, side: int, prices: list[float]) -> float:
        if self.p["level"] == "mean":
            return sum(prices) / len(prices)
        return min(prices) if side > 0 else max(prices)

    def _row_at(self, t: int, side: int, price: float) -> Touches | None:
        best, nearest = None, np.inf
        for row in self.rows[side]:
            prices = [*row.prices, price]
            last = row.members[-1][0]
            between = self.bars[last + 1 : t + 1]
            intact = (
                between["low"].min() >= min(prices)
                if side > 0
                else between["high"].max() <= max(prices)
            )
            close = max(prices) - min(prices) <= self._distance(t, "tolerance", price)
            distance = abs(price - self._level(side, row.prices))
            if intact and close and t - last <= self.p["max_age"] and distance <= nearest:
                best, nearest = row, distance
        return best

    # --- sweep or run

    def _judge(self, t: int, pool: Pool) -> None:
        """Look at the bars from the break on until one of them decides."""
        for i in range(t, min(t + self.p["reclaim"] + 1, len(self.bars))):
            part = self.bars[t : i + 1]
            close = part["close"][-1]
            extreme = part["low"].min() if pool.side > 0 else part["high"].max()
            if pool.side * (close - pool.level) > 0:
                body = sorted((part["open"][0], close))
                wick = body[0] - extreme if pool.side > 0 else extreme - body[1]
                good = wick >= self.p["min_wick"] * (body[1] - body[0])
                pool.tell(i, "swept" if good else "spent", extreme)
                return
            if i == t + self.p["reclaim"]:
                pool.tell(i, "run", extreme)
