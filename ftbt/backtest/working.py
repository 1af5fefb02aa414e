"""An order as the execution model sees it, beside the Backtrader order that the strategy holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ftbt.backtest.result import Kind, Role, Status

PRICELESS = (Kind.MARKET, Kind.CLOSE)


@dataclass(slots=True, eq=False)
class Bracket:
    """The stop and targets of one entry. Together they never close more than it opened."""

    entry: Working
    children: list[Working] = field(default_factory=list)
    remaining: float = 0.0  # what the entry opened and the children have not closed yet
    entry_price: float = 0.0
    target_hit: bool = False

    def stop(self) -> Working | None:
        """Return the stop that still waits or works, None without one."""
        for child in self.children:
            if child.role == Role.STOP and child.status == Status.OPEN:
                return child
        return None


@dataclass(slots=True, eq=False)
class Working:
    """One order on its way.

    Attributes:
        number: counts the orders of a run; ties are broken by it.
        order: the Backtrader order.
        side: +1 buy, -1 sell.
        price: limit price, or trigger of a stop; NaN for market.
        limit: limit of a stop-limit.
        active: it can trade; a bracket's children wait for their entry.
        rests: it has stood in the book through an open, so its limit fill is a maker's.
        triggered: a stop-limit whose trigger has traded.
        bracket: the bracket it belongs to, as entry or as child.
        reduces: it may only close (children of a bracket).
        asked: last price when it was sent.
        symbol, sleeve: whose it is, by number.
        decided: `decide` has made it, within the limits on risk.
    """

    number: int
    order: Any
    side: int
    kind: Kind
    role: Role
    size: float
    price: float
    limit: float
    bar: int
    remaining: float
    active: bool = True
    rests: bool = True
    triggered: bool = False
    bracket: Bracket | None = None
    reduces: bool = False
    filled: float = 0.0
    status: Status = Status.OPEN
    end_bar: int = -1
    confidence: float = float("nan")
    reason: int = -1
    exit_reason: int = 0
    targets: tuple[float, float] = (float("nan"), float("nan"))
    stop: float = float("nan")  # of an entry: where its stop stood first
    break_even: bool = False
    moved: bool = False  # a stop that stands at the entry by now
    one_cancels: set[int] | None = None
    asked: float = float("nan")
    symbol: int = 0
    sleeve: int = 0
    decided: bool = False

    @property
    def is_stop_kind(self) -> bool:
        """It waits for a price that is worse than the market's."""
        return self.kind in (Kind.STOP, Kind.STOP_LIMIT, Kind.TRAIL, Kind.TRAIL_LIMIT)

    @property
    def worst(self) -> float:
        """The worst price that it is meant to fill at, before slippage and gaps."""
        if self.kind in PRICELESS:
            return self.asked
        return self.limit if self.kind in (Kind.STOP_LIMIT, Kind.TRAIL_LIMIT) else self.price

    def row(self) -> tuple[Any, ...]:
        """Return the order as a row of ORDER."""
        entry = self.bracket.entry if self.bracket is not None else None
        parent = 0 if entry is None or entry is self else entry.number
        price = float("nan") if self.kind in PRICELESS else self.price
        limit = self.limit if self.kind in (Kind.STOP_LIMIT, Kind.TRAIL_LIMIT) else float("nan")
        return (
            self.number, parent, self.bar, self.side, int(self.kind), int(self.role), self.size,
            price, limit, self.filled, int(self.status), self.end_bar, self.symbol, self.sleeve,
        )  # fmt: skip
