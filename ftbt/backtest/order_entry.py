"""Order entry: from what a strategy sends to working orders of the execution model.

Sizes are cut to the lot and prices rounded to the tick here, brackets are held back until they
are whole, and what the venue or the limits on risk would not take is refused and noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backtrader.order import BuyOrder

from ftbt.backtest.book import NAN, NOBODY, Book
from ftbt.backtest.desk import Desk
from ftbt.backtest.order_checks import TRAILING, checked_prices, deadline, kind_of, positive
from ftbt.backtest.result import Kind, Role, Status
from ftbt.backtest.working import PRICELESS, Bracket, Working
from ftbt.data.precision import floor_size, round_price
from ftbt.errors import StrategyBroken
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.records import Refusal

_OWN = ("price", "plimit", "exectype", "valid", "tradeid", "oco", "trailamount", "trailpercent",
        "parent", "transmit", "histnotify", "_checksubmit")  # fmt: skip


class OrderEntry:
    """Takes orders from a strategy and puts them into the books."""

    def __init__(
        self,
        desk: Desk,
        notify: Callable[[Any], None],
        commission: Callable[[Any], Any],
    ) -> None:
        self.desk = desk
        self.notify = notify
        self.commission = commission

    def send(self, make: Any, owner: Any, book: Book, size: float, keywords: dict[str, Any]) -> Any:
        """Build the Backtrader order, let it wait for the next bar; return it.

        An order that comes after the last bar has traded is rejected and not counted.

        Raises:
            StrategyBroken: a size or price that is no positive number, an unknown order type.
        """
        data = book.data
        given = {name: keywords.pop(name, None) for name in _OWN}
        kind = kind_of(given["exectype"])
        size = floor_size(positive("size", size), book.decimals)
        price, limit = checked_prices(kind, given)
        if kind == Kind.TRAIL_LIMIT and price is None:
            price = book.price  # Backtrader itself can't do without
        order = make(
            owner=owner,
            data=data,
            size=size,
            price=_on_tick(book, price),
            pricelimit=_on_tick(book, limit),
            exectype=given["exectype"],
            valid=None,
            tradeid=given["tradeid"] or 0,
            trailamount=given["trailamount"],
            trailpercent=given["trailpercent"],
            parent=given["parent"],
            transmit=given["transmit"] is not False,
            histnotify=bool(given["histnotify"]),
        )
        order.valid = deadline(given["valid"], book.bar_time)
        order.addinfo(**keywords)
        order.addcomminfo(self.commission(data))
        if book.finished:
            order.reject(self)
            return order
        working = self._working(book, order, 1 if make is BuyOrder else -1, kind)
        working.sleeve = getattr(owner, "ftbt_sleeve", 0)
        self._mark(working, keywords)
        parent = self.desk.by_ref.get(order.parent.ref) if order.parent is not None else None
        if parent is not None:
            _join(parent, working, keywords.get("target"))
        elif working.side * book.size < 0.0:
            working.role = Role.EXIT
            # A closing order with a reason is meant to close, whatever happens until it fills.
            working.reduces = bool(working.exit_reason)
        return self._accept(book, working, given["oco"])

    def _working(self, book: Book, order: Any, side: int, kind: Kind) -> Working:
        price = NAN if kind in PRICELESS else float(order.created.price or book.price)
        limit = float(order.created.pricelimit) if order.created.pricelimit else price
        if kind in TRAILING:  # Backtrader has moved the price by the distance
            price, limit = (round_price(p, book.decimals) for p in (price, limit))
        return Working(
            number=len(self.desk.orders) + 1,
            order=order,
            side=side,
            kind=kind,
            role=Role.ENTRY,
            size=abs(float(order.size)),
            price=price,
            limit=limit,
            bar=book.now,
            remaining=abs(float(order.size)),
            rests=kind != Kind.LIMIT,
            asked=float(order.created.pclose),
            symbol=book.symbol,
        )

    @staticmethod
    def _mark(working: Working, more: Mapping[str, Any]) -> None:
        """Carry over what a setup says of its order.

        Any other strategy may use the same words for notes of its own (`reason="breakout"`):
        those stay in the order's info.
        """
        if isinstance(confidence := more.get("confidence"), float):
            working.confidence = confidence
        working.reason = _code(more.get("reason"), working.reason)
        working.exit_reason = _code(more.get("exit_reason"), working.exit_reason)
        targets = more.get("targets")
        if isinstance(targets, tuple) and [type(one) for one in targets] == [float, float]:
            working.targets = targets
        working.break_even = more.get("break_even") is True
        ours = isinstance(working.order.owner, SetupStrategy)
        working.decided = ours and more.get("decided") is True

    def _accept(self, book: Book, working: Working, oco: Any) -> Any:
        """Put *working* into the book, unless refused; a bracket waits until it is whole."""
        order = working.order
        self.desk.enlist(working)
        order.submit(self)
        self.notify(order)
        family = order.parent.ref if order.parent is not None else order.ref
        if self._refused(book, working):
            self.desk.close_order(working, Status.REJECTED, book.now)
            if working.reduces and working.is_stop_kind:
                self._refuse_unprotected(book, family)
        else:
            self._one_cancels_other(working, oco)
            book.held.setdefault(family, []).append(working)
        if order.transmit:
            self._transmit(book, book.held.pop(family, []))
        return order

    def _refused(self, book: Book, working: Working) -> bool:
        """Tell whether an order is not taken, and note why."""
        desk, owner = self.desk, book.owner
        if owner not in (NOBODY, working.sleeve) and working.bracket is None:
            desk.refuse(book, working.sleeve, Refusal.ONE_PER_SYMBOL, 1.0, 1.0)
            return True
        if self._too_small(book, working):
            price = book.price if working.kind in PRICELESS else working.price
            smallest = book.rules.min_notional
            notional = working.size * price
            desk.refuse(book, working.sleeve, Refusal.MIN_NOTIONAL, notional, smallest)
            return True
        return desk.limits.bind(working) and self._beyond_limits(book, working)

    def _beyond_limits(self, book: Book, working: Working) -> bool:
        """Tell whether the limits on risk forbid all of an order, and note it."""
        desk = self.desk
        refused = desk.limits.forbids(book, working, desk.equity())
        if refused is not None:
            desk.refuse(book, working.sleeve, *refused)
            if working.side * book.size >= 0.0:
                return True
            working.reduces = True  # what turns the position may still close it
        elif desk.limits.halted:
            self.only_close(book, working)
        return False

    def only_close(self, book: Book, working: Working) -> None:
        """Keep an order that closes from opening anything, now that no entries are allowed."""
        if working.side * book.size < 0.0 and self.desk.limits.bind(working):
            working.reduces = True

    def withdraw_entries(self, book: Book) -> None:
        """Cancel what waits to open a position; orders of setup strategies are left to `decide`."""
        for working in list(book.waiting()):
            self.only_close(book, working)
            if working.status == Status.OPEN and not (working.reduces or working.decided):
                self.desk.end(book, working, Status.CANCELLED)

    def _transmit(self, book: Book, family: list[Working]) -> None:
        """Let a bracket work that is whole now, unless its stop is too far for its size."""
        desk = self.desk
        rate = desk.settings.taker_fee + desk.settings.half_spread
        for entry in family:
            if entry.status != Status.OPEN or not desk.limits.bind(entry):
                continue
            refused = desk.limits.too_risky(book, entry, rate, desk.equity())
            if refused is not None:
                desk.refuse(book, entry.sleeve, *refused)
                for member in family:
                    if member.status == Status.OPEN:
                        desk.close_order(member, Status.REJECTED, book.now)
        for member in family:
            self._work(book, member)

    def _refuse_unprotected(self, book: Book, family: int) -> None:
        """Withdraw an entry that waits for its bracket: without this stop it may not trade."""
        for member in book.held.pop(family, []):
            if member.status == Status.OPEN:
                self.desk.end(book, member, Status.CANCELLED)

    def _one_cancels_other(self, working: Working, oco: Any) -> None:
        other = None if oco is None else self.desk.by_ref.get(oco.ref)
        if other is None:
            return
        group = other.one_cancels if other.one_cancels is not None else {other.number}
        group.add(working.number)
        other.one_cancels = working.one_cancels = group

    def _work(self, book: Book, working: Working) -> None:
        if working.status != Status.OPEN:  # cancelled while it was held back
            return
        parent = working.bracket.entry if working.bracket and working.reduces else None
        if parent is not None and parent.status not in (Status.OPEN, Status.FILLED):
            self.desk.close_order(working, Status.CANCELLED, book.now)
            return
        working.order.accept(self)
        self.notify(working.order)
        book.active.append(working)

    def _too_small(self, book: Book, working: Working) -> bool:
        if working.size <= 0.0:
            return True
        closes = working.reduces or (
            working.side * book.size < 0.0 and working.size <= abs(book.size) * (1 + 1e-9)
        )
        price = book.price if working.kind in PRICELESS else working.price
        return not closes and working.size * price < book.rules.min_notional

    def cancel(self, order: Any) -> bool:
        """Cancel *order* if it still waits; return whether it did.

        An entry takes its children along; a stop or target takes its brothers along, as in plain
        Backtrader.
        """
        working = self.desk.by_ref.get(order.ref)
        if working is None or working.status != Status.OPEN:
            return False
        book = self.desk.books[order.data]
        self.desk.end(book, working, Status.CANCELLED)
        if working.reduces and working.bracket is not None:
            for child in working.bracket.children:
                if child.status == Status.OPEN:
                    self.desk.end(book, child, Status.CANCELLED)
        return True


def _on_tick(book: Book, price: float | None) -> float | None:
    return None if price is None else round_price(price, book.decimals)


def _code(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _join(parent: Working, child: Working, target: Any) -> None:
    """Make *child* a stop or target of *parent*."""
    bracket = parent.bracket
    if bracket is None:
        bracket = parent.bracket = Bracket(parent)
        if parent.status == Status.FILLED:  # sent after the fill
            bracket.remaining = parent.filled
            bracket.entry_price = float(parent.order.executed.price)
    elif bracket.entry is not parent:
        raise StrategyBroken("the parent of an order must be an entry, not a stop or target")
    child.bracket = bracket
    child.reduces = True
    child.active = parent.status == Status.FILLED
    if child.is_stop_kind:
        child.role = Role.STOP
        parent.stop = child.price
    else:
        child.role = Role.TARGET2 if target == 2 else Role.TARGET1
        if target not in (1, 2):
            parent.targets = (child.price, NAN)
    bracket.children.append(child)
