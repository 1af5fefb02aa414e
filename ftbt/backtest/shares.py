"""What every strategy's share of the account is worth, in the reference engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ftbt.backtest.book import Book
from ftbt.risk.allocation import Allocation, drawdown_scale


class Shares:
    """Shares of the strategies; in a drawdown of its own a strategy's may shrink.

    Attributes:
        factor: part of the account's equity that each strategy sizes by.
        shrinks: whether a drawdown changes it.
        peaks: the most that each strategy's share was worth so far, for a session that goes on.
    """

    def __init__(self, shares: Sequence[float], capital: float, allocation: Allocation) -> None:
        self.shrinks = allocation.drawdown_aware
        self.factor = [float(share) for share in shares]
        self._allocation = allocation
        self._shares = list(self.factor)
        self._start = [share * capital for share in self._shares]
        self.peaks = list(self._start)
        self._earned = [0.0] * len(self._shares)

    def earn(self, sleeve: int, amount: float) -> None:
        """Book what a strategy's fills and funding have changed in the account's cash."""
        self._earned[sleeve] += amount

    def mark(self, books: Iterable[Book]) -> None:
        """Let the shares follow the drawdowns, at the last prices of *books*."""
        open_books = [(book.owner, book) for book in books if book.size]
        for sleeve, share in enumerate(self._shares):
            value = self._start[sleeve] + self._earned[sleeve]
            for owner, book in open_books:
                if owner == sleeve:
                    value += book.profit(book.price)
            self.peaks[sleeve] = max(self.peaks[sleeve], value)
            scale = drawdown_scale(
                value, self.peaks[sleeve], self._allocation.cut_at, self._allocation.floor
            )
            self.factor[sleeve] = share * scale
