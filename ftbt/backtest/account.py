"""The account that all books share: cash, equity, margin, and where it ends."""

from __future__ import annotations

from ftbt.backtest import fills
from ftbt.backtest.book import NAN, Book
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working


class Account:
    """Money of one run, in the quote currency.

    Sums are written out: Python's own `sum` rounds differently from version 3.12 on.

    Attributes:
        settings: capital, leverage and costs.
        cash: capital plus all realised profit, fees and funding.
        live: books that have begun and not finished, in the order in which they move. All others
            are flat.
        several: whether there are other books than the one in question.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cash = settings.capital
        self.live: list[Book] = []
        self.several = False

    def equity(self) -> float:
        """Return the equity at the last prices."""
        profit = 0.0
        for book in self.live:
            if book.position.size:
                profit += book.profit(book.price)
        return self.cash + profit

    def equity_at(self, book: Book, price: float) -> float:
        """Return the equity when *book* trades at *price* and the others at their last."""
        if not self.several:  # asked several times a bar
            return self.cash + book.profit(price)
        others = 0.0
        for other in self.live:
            if other is not book and other.position.size:
                others += other.profit(other.price)
        return self.cash + others + book.profit(price)

    def margin_used(self) -> float:
        """Return the initial margin of all positions."""
        return self._margin_beside(None)

    def _margin_beside(self, book: Book | None) -> float:
        """Return the initial margin of all positions but that of *book*."""
        margin = 0.0
        for other in self.live:
            if other is not book and other.position.size:
                margin += abs(other.size) * other.price / other.leverage
        return margin

    def needed_and_there(
        self, book: Book, working: Working, size: float, price: float
    ) -> tuple[float, float]:
        """Return the initial margin that is needed after a fill, and the equity there is for it.

        What makes a position smaller needs nothing.
        """
        after = book.size + working.side * size
        if after * book.size >= 0.0 and abs(after) <= abs(book.size):
            return 0.0, 0.0
        needed = abs(after) * price / book.leverage + self._margin_beside(book)
        return needed, self.equity_at(book, price)

    def liquidation_price(self, book: Book) -> float:
        """Return the price at which equity falls to the maintenance margin, NaN for none.

        The same equity has to maintain the positions in the other symbols.
        """
        equity = self.equity_at(book, book.price)
        if self.several:
            equity -= self._maintenance_beside(book)
        level = fills.liquidation_price(book.size, book.price, equity, book.maintenance)
        return float(level)

    def _maintenance_beside(self, book: Book) -> float:
        """Return the maintenance margin of all positions but that of *book*."""
        margin = 0.0
        for other in self.live:
            if other is not book and other.position.size:
                margin += abs(other.size) * other.price * other.maintenance
        return margin

    def ruin_price(self, book: Book, working: Working) -> float:
        """Return the price at which an exit and its fee leave nothing, NaN for none or an entry."""
        if working.side * book.size >= 0.0:
            return NAN
        equity = self.equity_at(book, book.price)
        fee = self.settings.taker_fee
        return float(fills.liquidation_price(book.size, book.price, equity, fee))
