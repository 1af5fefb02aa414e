"""What a strategy may ask of the broker: one clear line for what can't be meant."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from backtrader.order import Order

from ftbt.backtest.result import Kind
from ftbt.backtest.working import PRICELESS
from ftbt.data.feed import to_bt_time
from ftbt.data.timeframe import DAY_MS, to_ms
from ftbt.errors import StrategyBroken

KINDS = {
    Order.Market: Kind.MARKET,
    Order.Close: Kind.CLOSE,
    Order.Limit: Kind.LIMIT,
    Order.Stop: Kind.STOP,
    Order.StopLimit: Kind.STOP_LIMIT,
    Order.StopTrail: Kind.TRAIL,
    Order.StopTrailLimit: Kind.TRAIL_LIMIT,
}
TRAILING = (Kind.TRAIL, Kind.TRAIL_LIMIT)


def kind_of(exectype: Any) -> Kind:
    """Return the kind of order that Backtrader's *exectype* means (None: market)."""
    kind = KINDS.get(Order.Market if exectype is None else exectype)
    if kind is None:
        names = ", ".join(f"bt.Order.{Order.ExecTypes[code]}" for code in KINDS)
        raise StrategyBroken(f"exectype must be one of {names}, not {exectype!r}")
    return kind


def positive(name: str, value: Any, *, below: float = math.inf) -> float:
    """Return *value* as a float above zero and below *below*."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        raise StrategyBroken(f"{name} must be a number above 0{limit}, not {value!r}")
    return number


def checked_prices(kind: Kind, given: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return price and limit of an order as Backtrader gave them, after checking what it needs.

    Raises:
        StrategyBroken: a price that is NaN, zero or negative, a trailing stop without a distance.
    """
    if kind in PRICELESS:
        return None, None
    price, limit = given["price"], given["plimit"]
    price = None if price is None else positive("price", price)
    limit = None if limit is None else positive("plimit", limit)
    if kind in TRAILING:
        amount, percent = given["trailamount"], given["trailpercent"]
        if not amount and not percent:  # zero means none, as in Backtrader
            raise StrategyBroken("a trailing stop needs trailamount (price) or trailpercent (0.05)")
        if amount:
            positive("trailamount", amount)
        if percent:
            positive("trailpercent", percent, below=1.0)
    if kind == Kind.TRAIL_LIMIT and limit is None:
        raise StrategyBroken("bt.Order.StopTrailLimit needs plimit, the limit at today's price")
    return price, limit


def deadline(valid: Any, now: int) -> float | None:
    """Return what Backtrader accepts as `valid` as a date number, None for no end.

    A datetime is an instant (UTC), a date its first moment; a timedelta or a number (days) counts
    from *now*, the open of the current bar in ms; 0 means until the end of the UTC day.
    """
    if valid is None:
        return None
    if isinstance(valid, timedelta):
        span = int(valid.total_seconds() * 1000)
        return to_bt_time(now + span) if span else _end_of_day(now)
    if isinstance(valid, date):  # a datetime is a date, too
        instant = valid if isinstance(valid, datetime) else datetime.combine(valid, time())
        return to_bt_time(to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC)))
    if isinstance(valid, int | float) and math.isfinite(valid):
        return to_bt_time(now + int(float(valid) * DAY_MS)) if valid else _end_of_day(now)
    raise StrategyBroken(f"valid must be a datetime, date, timedelta or days, not {valid!r}")


def _end_of_day(now: int) -> float:
    return to_bt_time(now // DAY_MS * DAY_MS + DAY_MS - 1)
