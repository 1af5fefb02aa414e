"""The limits on risk: one set of functions for both engines and the live bot.

A setup that passes its own rules still needs room in the account. `look` says what room there is:
which limit forbids any entry, and how large an entry may be. `roll`, `mark` and `count_trade` keep
what the limits remember: the day's start, the highest equity, the trades of the day. How the
limits combine, and why exposure is measured as margin: `docs/decisions/0013-risk-limits.md`.

Exits are never limited.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.data.timeframe import DAY_MS
from ftbt.errors import ConfigError

# Exposure is margin over equity. This value of a limit on it is none: many entries that wait may
# well add up to more, and only those that fill meet the account's own margin.
UNLIMITED_EXPOSURE = 10.0

_RANGES: dict[str, tuple[float, float]] = {
    "risk_per_trade": (0.0005, 1.0),
    "total_exposure": (0.01, UNLIMITED_EXPOSURE),
    "group_exposure": (0.01, UNLIMITED_EXPOSURE),
    "correlation": (0.0, 1.0),
    "correlation_days": (2, 365),
    "positions": (1, 1_000),
    "trades_per_day": (1, 1_000_000),
    "daily_loss": (0.001, 1.0),
    "weekly_loss": (0.001, 1.0),
    "drawdown": (0.01, 1.0),
    "breaker_days": (1, 3_650),
    "smallest_share": (0.0, 1.0),
}


class Rule(IntEnum):
    """The limits by number; `ftbt.strategy.records.Refusal` continues from the same numbers."""

    DRAWDOWN = 9
    WEEKLY_LOSS = 10
    DAILY_LOSS = 11
    TRADES_PER_DAY = 12
    POSITIONS = 13
    ONE_PER_SYMBOL = 14
    TOTAL_EXPOSURE = 15
    GROUP_EXPOSURE = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may risk. Fractions are of the account's equity.

    Attributes:
        risk_per_trade: most that one stopped trade may lose, costs included.
        total_exposure: most initial margin of all positions and waiting entries.
        group_exposure: the same for symbols that move together.
        correlation: symbols whose returns correlate at least so much are one group.
        correlation_days: full UTC days of returns that the correlation is measured on.
        positions: most positions and waiting entries at a time; one per symbol in any case.
        trades_per_day: most trades opened in a UTC day; what was refused does not count.
        daily_loss: equity lost since the UTC day began: no entries until the next day.
        weekly_loss: the same since Monday 00:00 UTC: no entries until the next Monday.
        drawdown: equity lost since its highest close: the breaker stops entries.
        breaker_days: how long the breaker stops them in a back-test, until a midnight; live it
            holds until a human resets it.
        smallest_share: an entry is made smaller to fit the exposure; one that would be cut below
            this share of its size is refused.
    """

    risk_per_trade: float = 0.02
    total_exposure: float = 0.20
    group_exposure: float = 0.30
    correlation: float = 0.7
    correlation_days: int = 30
    positions: int = 3
    trades_per_day: int = 50
    daily_loss: float = 0.05
    weekly_loss: float = 0.10
    drawdown: float = 0.20
    breaker_days: int = 30
    smallest_share: float = 0.10

    def __post_init__(self) -> None:
        for item in fields(self):
            value, (low, high) = getattr(self, item.name), _RANGES[item.name]
            whole = item.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"limit {item.name} must be {kind}, not {value!r}")
            if not low <= value <= high:  # also refuses NaN
                raise ConfigError(f"limit {item.name} must be from {low} to {high}, not {value!r}")

    @classmethod
    def none(cls) -> Limits:
        """Return limits that never bind before the account's own margin does."""
        return cls(
            risk_per_trade=1.0,
            total_exposure=UNLIMITED_EXPOSURE,
            group_exposure=UNLIMITED_EXPOSURE,
            correlation=1.0,
            positions=1_000,
            trades_per_day=1_000_000,
            daily_loss=1.0,
            weekly_loss=1.0,
            drawdown=1.0,
            smallest_share=0.0,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the limits as plain values."""
        return asdict(self)

    def describe(self) -> str:
        """Return one line for people."""
        if self == Limits.none():
            return "no risk limits"
        return (
            f"risk {percent(self.risk_per_trade)} a trade, exposure {percent(self.total_exposure)}"
            f" (group {percent(self.group_exposure)}), {self.positions} positions,"
            f" {self.trades_per_day} trades a day, loss {percent(self.daily_loss)} a day"
            f" {percent(self.weekly_loss)} a week, breaker at {percent(self.drawdown)}"
            f" for {self.breaker_days} d"
        )


def percent(fraction: float) -> str:
    """Return *fraction* as `2%` or `0.05%`: a setting is never rounded to another one."""
    return f"{fraction * 100:.10g}%"


def limit_names() -> list[str]:
    """Return the names of all limits."""
    return list(_RANGES)


def limit_range(name: str) -> tuple[float, float]:
    """Return the smallest and largest value of a limit."""
    return _RANGES[name]


# The limits as numbers, and what they remember.
RISK = np.dtype(
    [
        ("risk_per_trade", "f8"),
        ("total_exposure", "f8"),
        ("group_exposure", "f8"),
        ("positions", "i8"),
        ("trades_per_day", "i8"),
        ("daily_loss", "f8"),
        ("weekly_loss", "f8"),
        ("drawdown", "f8"),
        ("breaker_ms", "i8"),
        ("smallest_share", "f8"),
        # memory
        ("next_day", "i8"),  # ms UTC of the next midnight
        ("week", "i8"),
        ("equity", "f8"),  # at the last close
        ("day_start", "f8"),
        ("week_start", "f8"),
        ("peak", "f8"),
        ("watch", "f8"),  # equity at which the next limit is reached
        ("day_lost", "f8"),  # what was lost when the limit was reached, 0 while it is not
        ("week_lost", "f8"),
        ("fallen", "f8"),
        ("resume", "i8"),  # ms UTC at which the breaker closes again
        ("halted", "i8"),  # 1: entries that wait are withdrawn, too
        ("trades_today", "i8"),
    ],
    align=True,
)

_NAMES = RISK.names or ()
# The fields of RISK that change; all others follow from the limits.
MEMORY = _NAMES[_NAMES.index("next_day") :]

# What a symbol ties up: a position, or an entry that waits.
HOLDING = np.dtype(
    [
        ("size", "f8"),  # unsigned
        ("price", "f8"),  # last price
        ("waiting", "f8"),  # size of the entry that waits
        ("waiting_price", "f8"),  # the worst it may fill at
        ("leverage", "f8"),
        ("group", "i8"),
    ],
    align=True,
)

# What the limits leave for one symbol; part of what `decide` is told.
ROOM = np.dtype(
    [
        ("blocked", "i8"),  # Rule that forbids any entry, 0 for none
        ("figure", "f8"),
        ("limit", "f8"),
        ("notional", "f8"),  # largest entry, quote currency
        ("narrow", "i8"),  # Rule that sets `notional`
        ("narrow_figure", "f8"),
        ("narrow_limit", "f8"),
        ("risk_per_trade", "f8"),
        ("smallest_share", "f8"),
        ("halted", "i8"),
    ],
    align=True,
)

# Plain integers: compiled code takes them as constants.
_DRAWDOWN = int(Rule.DRAWDOWN)
_WEEKLY = int(Rule.WEEKLY_LOSS)
_DAILY = int(Rule.DAILY_LOSS)
_TRADES = int(Rule.TRADES_PER_DAY)
_POSITIONS = int(Rule.POSITIONS)
_ONE = int(Rule.ONE_PER_SYMBOL)
_TOTAL = int(Rule.TOTAL_EXPOSURE)
_GROUP = int(Rule.GROUP_EXPOSURE)
_DAY = DAY_MS
# 1970-01-01 was a Thursday: so weeks begin on Mondays.
_TO_MONDAY = 3


def start_risk(limits: Limits, capital: float) -> NDArray[np.void]:
    """Return the RISK record (shape (1,)) of an account that starts with *capital*."""
    risk = np.zeros(1, RISK)
    for name in ("risk_per_trade", "total_exposure", "group_exposure", "positions",
                 "trades_per_day", "daily_loss", "weekly_loss", "drawdown",
                 "smallest_share"):  # fmt: skip
        risk[name] = getattr(limits, name)
    for name in ("total_exposure", "group_exposure"):
        if risk[name] >= UNLIMITED_EXPOSURE:
            risk[name] = np.inf
    risk["breaker_ms"] = limits.breaker_days * DAY_MS
    for name in ("equity", "day_start", "week_start", "peak"):
        risk[name] = capital
    return risk


@compiled
def _set_watch(risk):  # type: ignore[no-untyped-def]
    watch = 0.0
    if risk.day_lost == 0.0:
        watch = max(watch, risk.day_start * (1.0 - risk.daily_loss))
    if risk.week_lost == 0.0:
        watch = max(watch, risk.week_start * (1.0 - risk.weekly_loss))
    if risk.fallen == 0.0:
        watch = max(watch, risk.peak * (1.0 - risk.drawdown))
    risk.watch = watch


@compiled
def roll(risk, time):  # type: ignore[no-untyped-def]
    """Let the bar that opens at *time* begin: a new day, a new week, the breaker's end."""
    if time < risk.next_day:
        return
    day = time // _DAY
    week = (day + _TO_MONDAY) // 7
    risk.next_day = (day + 1) * _DAY
    risk.trades_today = 0
    risk.day_start = risk.equity
    risk.day_lost = 0.0
    if week != risk.week:
        risk.week = week
        risk.week_start = risk.equity
        risk.week_lost = 0.0
    # Not *time*: bars at which nothing is held may have been left out since midnight.
    if risk.fallen > 0.0 and day * _DAY >= risk.resume:
        reset_breaker(risk)
    _halt(risk)
    _set_watch(risk)


@compiled
def reset_breaker(risk):  # type: ignore[no-untyped-def]
    """Let entries through again; the drawdown is measured from the present equity."""
    risk.fallen = 0.0
    risk.peak = risk.equity
    _halt(risk)
    _set_watch(risk)


@compiled
def _halt(risk):  # type: ignore[no-untyped-def]
    lost = risk.day_lost > 0.0 or risk.week_lost > 0.0 or risk.fallen > 0.0
    risk.halted = 1 if lost else 0


@compiled
def mark(risk, equity, time):  # type: ignore[no-untyped-def]
    """Note the equity at the close of the bar that opened at *time*."""
    risk.equity = equity
    if equity > risk.peak:
        risk.peak = equity
        _set_watch(risk)
    elif equity <= risk.watch:
        _reach(risk, equity, time)


@compiled
def _lost(equity, start):  # type: ignore[no-untyped-def]
    return 1.0 - equity / start if start > 0.0 else 1.0


@compiled
def _reach(risk, equity, time):  # type: ignore[no-untyped-def]
    """Note which limits on losses are reached."""
    if risk.day_lost == 0.0 and equity <= risk.day_start * (1.0 - risk.daily_loss):
        risk.day_lost = _lost(equity, risk.day_start)
    if risk.week_lost == 0.0 and equity <= risk.week_start * (1.0 - risk.weekly_loss):
        risk.week_lost = _lost(equity, risk.week_start)
    if risk.fallen == 0.0 and equity <= risk.peak * (1.0 - risk.drawdown):
        risk.fallen = _lost(equity, risk.peak)
        risk.resume = time + risk.breaker_ms
    _halt(risk)
    _set_watch(risk)


@compiled
def count_trade(risk):  # type: ignore[no-untyped-def]
    """Count a trade that has just been opened by a fill."""
    risk.trades_today += 1


@compiled
def _margin(holding):  # type: ignore[no-untyped-def]
    held = holding.size * holding.price + holding.waiting * holding.waiting_price
    return held / holding.leverage


@compiled
def _block(room, rule, figure, limit):  # type: ignore[no-untyped-def]
    room.blocked = rule
    room.figure = figure
    room.limit = limit


@compiled
def look(risk, holdings, mine, taken, equity, room):  # type: ignore[no-untyped-def]
    """Write into *room* what the limits leave for an entry in the symbol number *mine*.

    Args:
        risk: RISK record.
        holdings: HOLDING records, one per symbol.
        mine: the symbol's number.
        taken: 1 when another strategy holds the symbol or waits to.
        equity: of the account, at the last prices.
        room: ROOM record, or anything with its fields.
    """
    in_use = 0.0
    in_group = 0.0
    count = 0
    waiting = 0
    for k in range(holdings.shape[0]):
        one = holdings[k]
        if one.size == 0.0 and one.waiting == 0.0:
            continue
        margin = _margin(one)
        in_use += margin
        count += 1
        if one.waiting > 0.0:
            waiting += 1
        if one.group == holdings[mine].group:
            in_group += margin
    _block(room, 0, 0.0, 0.0)
    room.halted = risk.halted
    room.risk_per_trade = risk.risk_per_trade
    room.smallest_share = risk.smallest_share
    safe = max(equity, 1e-9)
    total = in_use / safe
    group = in_group / safe
    room.narrow = _TOTAL
    room.narrow_figure = total
    room.narrow_limit = risk.total_exposure
    if risk.group_exposure - group < risk.total_exposure - total:
        room.narrow = _GROUP
        room.narrow_figure = group
        room.narrow_limit = risk.group_exposure
    free = room.narrow_limit - room.narrow_figure
    room.notional = max(0.0, free) * safe * holdings[mine].leverage
    if taken == 1:
        _block(room, _ONE, 1.0, 1.0)
    elif risk.fallen > 0.0:
        _block(room, _DRAWDOWN, risk.fallen, risk.drawdown)
    elif risk.week_lost > 0.0:
        _block(room, _WEEKLY, risk.week_lost, risk.weekly_loss)
    elif risk.day_lost > 0.0:
        _block(room, _DAILY, risk.day_lost, risk.daily_loss)
    elif risk.trades_today + waiting >= risk.trades_per_day:
        _block(room, _TRADES, risk.trades_today + waiting, risk.trades_per_day)
    elif count >= risk.positions:
        _block(room, _POSITIONS, count, risk.positions)
    elif free <= 0.0:
        _block(room, room.narrow, room.narrow_figure, room.narrow_limit)
