"""The trades of a result as round trips that carry their fills and orders; open ones as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ftbt.backtest.result import Result, Role, exit_name
from ftbt.data.precision import nearest_size
from ftbt.errors import IntegrityError

NAN = float("nan")
TARGETS = (int(Role.TARGET1), int(Role.TARGET2))


@dataclass(frozen=True, slots=True)
class Part:
    """What one fill opened or closed of a trade; fields as in FILL, bars by their opens."""

    order: int
    bar_ms: int
    time_ms: int
    side: int
    size: float
    price: float
    maker: bool
    role: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One trade from flat to flat, or one that is not finished.

    Attributes:
        number: rank among all trips of the result by entry.
        entry_ms, exit_ms: opens of the bars of the first and the last fill; 0 while open.
        entry_at, exit_at: time of these fills: that of a detail bar, or of the exchange.
        decided_ms: open of the bar at whose close the entry was decided.
        exit_reason: code of `ExitReason`, 0 while open.
        entry, exits: fills that opened and closed it.
        order: ORDER row of the entry, None for an order that is not known.
    """

    number: int
    symbol: str
    strategy: str
    side: int
    entry_ms: int
    exit_ms: int
    entry_at: int
    exit_at: int
    decided_ms: int
    size: float
    entry_price: float
    exit_price: float
    stop: float
    targets: tuple[float, float]
    exit_reason: int
    fees: float
    funding: float
    net: float
    entries: tuple[Part, ...]
    exits: tuple[Part, ...]
    order: Any = field(repr=False, default=None)

    @property
    def finished(self) -> bool:
        """Whether it is flat again."""
        return self.exit_reason != 0

    @property
    def exit_words(self) -> str:
        """Why it ended, in words."""
        return exit_name(self.exit_reason)

    @property
    def traded(self) -> float:
        """Notional of all fills."""
        return sum(part.size * part.price for part in (*self.entries, *self.exits))


def bar_open(result: Result, bar: int) -> int:
    """Return the open, ms UTC, of the bar with that number on the clock of *result*."""
    at = bar - result.first_bar
    if 0 <= at < len(result.time):
        return int(result.time[at])
    edge = 0 if at < 0 else len(result.time) - 1
    return int(result.time[edge]) + (at - edge) * result.timeframe.ms


def trips_of(result: Result, size_decimals: Callable[[str], int]) -> list[Trip]:
    """Return the trades of *result* in order of their entries, unfinished ones included.

    Args:
        result: of a back-test or a session.
        size_decimals: lot rule of each symbol.

    Raises:
        IntegrityError: fills and trades of the result do not belong together.
    """
    orders = {int(row["id"]): row for row in result.orders}
    waiting: dict[int, list[Any]] = defaultdict(list)
    for row in result.trades:
        waiting[int(row["symbol"])].append(row)
    found: list[Trip] = []
    for number, symbol in enumerate(result.symbols):
        fills = [row for row in result.fills if int(row["symbol"]) == number]
        rows = waiting[number]
        for parts in _round_trips(result, orders, fills, size_decimals(symbol)):
            finished = parts.flat and bool(rows)
            if parts.flat and not finished:
                raise IntegrityError(f"{symbol}: fills end a trade that is not in the table")
            row = rows.pop(0) if finished else None
            found.append(_trip(result, symbol, parts, row, orders))
        if rows:
            raise IntegrityError(f"{symbol}: {len(rows)} trades have no fills")
    found.sort(key=lambda one: (one.entry_at, one.symbol))
    return [replace(one, number=rank) for rank, one in enumerate(found)]


@dataclass(slots=True)
class _Parts:
    """Fills of one round trip while they are gathered."""

    side: int
    strategy: int
    held: float = 0.0
    entries: list[Part] = field(default_factory=list)
    exits: list[Part] = field(default_factory=list)
    flat: bool = False


def _round_trips(
    result: Result, orders: dict[int, Any], fills: list[Any], decimals: int
) -> list[_Parts]:
    """Fold fills of one symbol, in their order, into round trips; a reversal ends and begins."""
    found: list[_Parts] = []
    now: _Parts | None = None
    for row in fills:
        side, left = int(row["side"]), float(row["size"])
        if now is not None and side != now.side:
            closed = min(left, now.held)
            now.exits.append(_part(result, orders, row, closed))
            now.held = nearest_size(now.held - closed, decimals)
            left = nearest_size(left - closed, decimals)
            if not now.held:
                now.flat, now = True, None
        if left:
            if now is None:
                now = _Parts(side, int(row["strategy"]))
                found.append(now)
            now.entries.append(_part(result, orders, row, left))
            now.held = nearest_size(now.held + left, decimals)
    return found


def _part(result: Result, orders: dict[int, Any], row: Any, size: float) -> Part:
    order = orders.get(int(row["order"]))
    return Part(
        int(row["order"]), result.timeframe.floor(int(row["time"])), int(row["time"]),
        int(row["side"]), size, float(row["price"]), bool(row["maker"]),
        0 if order is None else int(order["role"]),
    )  # fmt: skip


def _trip(result: Result, symbol: str, parts: _Parts, row: Any, orders: dict[int, Any]) -> Trip:
    first = parts.entries[0]
    order = orders.get(first.order)
    last = parts.exits[-1] if row is not None else None
    # Without its order the bar before the fill is the latest at whose close it was decided.
    decided = (
        first.bar_ms - result.timeframe.ms if order is None else bar_open(result, int(order["bar"]))
    )
    size = sum(part.size for part in parts.entries) if row is None else float(row["size"])
    value = sum(part.size * part.price for part in parts.entries)
    money = (NAN, NAN, NAN) if row is None else tuple(float(row[n]) for n in _MONEY)
    prices = (NAN, NAN, NAN) if row is None else tuple(float(row[n]) for n in _PRICES)
    return Trip(
        number=0,
        symbol=symbol,
        strategy=result.strategies[parts.strategy],
        side=parts.side,
        entry_ms=first.bar_ms,
        exit_ms=0 if last is None else last.bar_ms,
        entry_at=first.time_ms,
        exit_at=0 if last is None else last.time_ms,
        decided_ms=decided,
        size=size,
        entry_price=value / sum(part.size for part in parts.entries),
        exit_price=NAN if row is None else float(row["exit_price"]),
        stop=prices[0],
        targets=(prices[1], prices[2]),
        exit_reason=0 if row is None else int(row["exit_reason"]),
        fees=money[0],
        funding=money[1],
        net=money[2],
        entries=tuple(parts.entries),
        exits=tuple(parts.exits),
        order=order,
    )


_MONEY = ("fees", "funding", "net")
_PRICES = ("stop", "target1", "target2")
