"""An account's memory and what its symbols hold, by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.risk.limits import HOLDING, ROOM, Limits, look, mark, roll, start_risk

# Monday 2024-01-01 00:00 UTC.
MONDAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
FREE = 0


def account(capital: float = 1000.0, **limits: Any) -> Any:
    """The memory of an account under limits that never bind, but for those given."""
    return start_risk(Limits(**{**Limits.none().as_dict(), **limits}), capital)[0]


def at(days: float, hours: float = 0.0) -> int:
    """The time so long after Monday 00:00 UTC, ms."""
    return MONDAY + int(days * DAY_MS + hours * HOUR_MS)


def close(risk: Any, time: int, equity: float) -> None:
    """Let the bar that opens at *time* begin, and end with *equity*."""
    roll(risk, time)
    mark(risk, equity, time)


def holdings(*held: dict[str, float], symbols: int = 4) -> Any:
    """What the first symbols hold; unlike the account, all of them at 10x, each its own group."""
    rows = np.zeros(symbols, HOLDING)
    rows["leverage"] = 10.0
    rows["price"] = np.nan
    rows["group"] = np.arange(symbols)
    for row, values in zip(rows, held, strict=False):
        row["price"] = 1.0
        for name, value in values.items():
            row[name] = value
    return rows


def room(
    risk: Any, held: Any = None, mine: int = 3, taken: int = 0, equity: float | None = None
) -> Any:
    """What is left for the symbol number *mine*."""
    found = np.zeros(1, ROOM)[0]
    known = holdings() if held is None else held
    look(risk, known, mine, taken, float(risk["equity"]) if equity is None else equity, found)
    return found


def blocked(risk: Any, **more: Any) -> int:
    """The rule that forbids an entry, 0 for none."""
    return int(room(risk, **more)["blocked"])
