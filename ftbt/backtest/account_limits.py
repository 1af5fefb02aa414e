"""The limits on risk in the reference engine: their memory, and what they see of the books.

The rules themselves are `ftbt/risk/limits.py`, compiled. Calling them from here costs about as much
as a bar does, so that they are only asked when their own watch marks are reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.book import NOBODY, Book
from ftbt.backtest.result import Status
from ftbt.backtest.working import Working
from ftbt.data.timeframe import DAY_MS
from ftbt.risk.correlation import Groups
from ftbt.risk.limits import (
    HOLDING,
    MEMORY,
    ROOM,
    Limits,
    Rule,
    count_trade,
    look,
    mark,
    reset_breaker,
    roll,
    start_risk,
)
from ftbt.strategy.records import Refusal

_NEVER_MS = 10**16
# A hair of tolerance: sizes are cut at prices that are the same but for rounding.
_HAIR = 1.0 + 1e-9
# An order for a symbol that the strategy has already is not one more position.
_OF_NEW_POSITIONS = (Rule.POSITIONS, Rule.TRADES_PER_DAY)

Refused = tuple[Refusal, float, float]


class AccountLimits:
    """Limits of one run.

    Attributes:
        next_day: ms UTC of the next midnight; `roll` is due from it on.
        peak, watch: `mark` is due when the equity is above the one or down to the other.
        halted: a limit on losses is reached; entries that wait are withdrawn.
        off: no limits; a user's own orders meet the account's margin alone.
    """

    def __init__(self, limits: Limits, capital: float, groups: Groups | None = None) -> None:
        self.limits = limits
        self.off = limits == Limits.none()
        self.next_day = 0
        self.peak, self.watch, self.halted = capital, inf, False
        self._groups = groups
        self._risk = start_risk(limits, capital)[0]
        self._room = np.zeros(1, ROOM)[0]
        self._live: Sequence[Book] = ()
        self._holdings: NDArray[np.void] = np.zeros(0, HOLDING)

    def cover(self, books: Iterable[Book], live: Sequence[Book]) -> None:
        """Watch over *books*, all of the run; *live* goes on to say which of them trade now."""
        known = list(books)
        self._live = live
        self._holdings = np.zeros(1 + max(book.symbol for book in known), HOLDING)
        for book in known:
            self._holdings[book.symbol]["leverage"] = book.leverage

    def _read(self) -> None:
        risk = self._risk
        self.next_day, self.halted = int(risk["next_day"]), bool(risk["halted"])
        self.peak, self.watch = float(risk["peak"]), float(risk["watch"])

    def regroup(self, groups: Groups) -> None:
        """Take *groups* of correlated symbols from now on."""
        self._groups = groups

    def state(self) -> dict[str, float]:
        """Return what the limits remember, for `restore`."""
        return {name: self._risk[name].item() for name in MEMORY}

    def restore(self, state: Mapping[str, float]) -> None:
        """Remember what an earlier process did; limits themselves stay as they are."""
        for name in MEMORY:
            self._risk[name] = state[name]
        self._read()

    def hold_breaker(self) -> None:
        """Keep the drawdown breaker open, once it is, until somebody resets it."""
        self._risk["breaker_ms"] = _NEVER_MS

    def reset_breaker(self) -> None:
        """Let entries through again after a drawdown; see `ftbt.risk.limits.reset_breaker`."""
        reset_breaker(self._risk)
        self._read()

    @property
    def fallen(self) -> float:
        """The drawdown that has opened the breaker, 0 while it is closed."""
        return float(self._risk["fallen"])

    def roll(self, time: int, equity: float) -> None:
        """Let a bar begin that opens in a new day; *equity* is that of the last close."""
        self._risk["equity"] = equity
        roll(self._risk, time)
        self._read()

    def mark(self, equity: float, time: int) -> None:
        """Note an equity at the close of the bar that opened at *time*."""
        mark(self._risk, equity, time)
        self._read()

    def count_trade(self) -> None:
        """Count a trade that a fill has opened."""
        count_trade(self._risk)

    def look(
        self, book: Book, sleeve: int, equity: float, room: Any, *, turning: bool = False
    ) -> None:
        """Write into the ROOM record *room* what the limits leave *sleeve* in the book's symbol.

        Args:
            book: of the symbol that is asked for, at the bar that has just closed.
            sleeve: number of the strategy that asks.
            equity: of the account.
            room: to be filled in.
            turning: the position there is given up by the order that is asked for.
        """
        held = self._holdings
        held["size"] = held["waiting"] = 0.0
        if self._groups is not None:
            row = book.bar_time // DAY_MS - self._groups.first_day
            held["group"] = self._groups.groups[min(max(row, 0), len(self._groups.groups) - 1)]
        for one in self._live:
            if one.position.size or one.active or one.held:
                _hold(held[one.symbol], one)
        if turning:
            held[book.symbol]["size"] = 0.0
        taken = int(book.owner not in (NOBODY, sleeve))
        look(self._risk, held, book.symbol, taken, equity, room)

    # --- a user's own orders -------------------------------------------------------------------

    def bind(self, working: Working) -> bool:
        """Tell whether an order has yet to be held against the limits."""
        return not (self.off or working.decided)

    def forbids(self, book: Book, working: Working, equity: float) -> Refused | None:
        """Return why an order may not open what it would open."""
        opens = book.opening_size(working)
        if not opens:
            return None
        room = self._room
        turning = working.side * book.size < 0.0
        self.look(book, working.sleeve, equity, room, turning=turning)
        blocked = int(room["blocked"])
        if blocked and not (book.owner == working.sleeve and blocked in _OF_NEW_POSITIONS):
            return Refusal(blocked), float(room["figure"]), float(room["limit"])
        if opens * working.worst > float(room["notional"]) * _HAIR:
            figure, limit = float(room["narrow_figure"]), float(room["narrow_limit"])
            return Refusal(int(room["narrow"])), figure, limit
        return None

    def too_risky(
        self, book: Book, entry: Working, cost_rate: float, equity: float
    ) -> Refused | None:
        """Return why the stop of an entry is too far for its size."""
        bracket = entry.bracket
        if bracket is None or bracket.entry is not entry:
            return None
        price = entry.worst
        losses = [
            abs(price - stop.price) + cost_rate * (price + stop.price)
            for stop in bracket.children
            if stop.is_stop_kind and stop.status == Status.OPEN
        ]
        risk = book.opening_size(entry) * max(losses, default=0.0)
        limit = self.limits.risk_per_trade
        if risk <= limit * equity * _HAIR:
            return None
        return Refusal.RISK_PER_TRADE, risk / equity if equity > 0.0 else inf, limit

    def no_more_trades(self, working: Working) -> Refused | None:
        """Return why an order may not begin a trade by its fill."""
        if not self.bind(working):
            return None
        today, limit = int(self._risk["trades_today"]), self.limits.trades_per_day
        if today < limit:
            return None
        return Refusal.TRADES_PER_DAY, float(today), float(limit)


def _hold(row: Any, book: Book) -> None:
    """Write into the HOLDING record *row* what *book* ties up."""
    waiting, price = 0.0, 0.0
    for working in book.waiting():
        opens = book.opening_size(working)
        if opens:
            waiting, price = waiting + opens, max(price, working.worst)
    row["size"], row["price"], row["leverage"] = abs(book.size), book.price, book.leverage
    row["waiting"], row["waiting_price"] = waiting, price
