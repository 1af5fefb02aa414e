"""A session that goes on: the journal's events, carried through the same books once more.

Orders, fills and ends are taken in their order by the functions that took them first, so that
positions, brackets, trades and money come out as they were. What the exchange did meanwhile is
told by the account's stream afterwards, as after any gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from backtrader.order import BuyOrder, SellOrder

from ftbt.backtest.result import Kind, Role, Status
from ftbt.backtest.working import Bracket, Working
from ftbt.errors import IntegrityError
from ftbt.hyperliquid.records import Funding
from ftbt.live.book import LiveBook
from ftbt.live.broker import LiveBroker
from ftbt.live.journal import Event, JournalReader, LiveJournal
from ftbt.live.legs import Leg, Placed, Stage
from ftbt.strategy.base import SetupStrategy

KINDS = (
    "order", "fill", "foreign", "end", "withdraw", "funding", "leg", "moved", "equity", "reset",
    "error",
)  # fmt: skip
_NAN = float("nan")
# A fill may be told after one that happened later.
_OVERLAP_MS = 60_000
_SETTLED = 1_000


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier processes of the deployment leave to this one, apart from the books.

    Attributes:
        began: market time at which the first of them began, ms; 0: there was none.
        decided: open of the newest bar that was decided on, or at which the first began, ms.
    """

    began: int = 0
    decided: int = 0

    @classmethod
    def read(cls, journal: LiveJournal | JournalReader) -> Before:
        """Return what *journal* knows."""
        began = decided = 0
        for event in journal.events(kinds=("session", "equity")):
            if event.kind == "session":
                began = began or event.market_ms
                decided = max(decided, int(event.body.get("decided", 0)))
            else:
                decided = max(decided, int(event.body["bar"]))
        return cls(began, decided)

    def since(self, now: int, restoring: Restoring) -> tuple[int, int]:
        """Return from when on fills and payments of funding may be new (ms)."""
        began = self.began or now
        fills = max(began, restoring.newest_fill - _OVERLAP_MS)
        return fills, max(began, restoring.newest_payment)


class Restoring:
    """Rebuilds the books of a broker from events.

    Args:
        broker: at the last bar of its warm-up, nothing in its books.
        strategies: the objects of this process, in the order in which they decide.
    """

    def __init__(self, broker: LiveBroker, strategies: Iterable[Any]) -> None:
        self.broker = broker
        self.owners = {(one.ftbt_sleeve, one.data.coin): one for one in strategies}
        self.filled_at: dict[int, int] = {}  # order -> open of the bar of its first fill
        self.made_at: dict[int, int] = {}  # order -> open of the bar at whose close it was made
        self.newest_fill = self.newest_payment = 0

    def run(self, events: Iterable[Event]) -> int:
        """Carry *events* into the books and return how many there were.

        Raises:
            IntegrityError: events that do not fit together, or of a coin that is not traded now.
        """
        count = 0
        self.broker.events.restoring = True
        try:
            for event in events:
                self._carry(event)
                count += 1
        except (KeyError, IndexError, ValueError, AssertionError) as error:
            raise IntegrityError(
                f"the journal can't be carried on: event {count + 1} does not fit ({error!r});"
                " ftbt recover STATE --begin-from-exchange begins a new journal"
            ) from error
        finally:
            self.broker.events.restoring = False
        self.broker.notifications.clear()
        self._doubt()
        for coin in self.broker.events.foreign:
            self.broker.events.watch_foreign(coin)
        self.broker.carried_on()
        for owner in self.owners.values():
            if isinstance(owner, SetupStrategy):
                self._resume(owner)
        return count

    def _carry(self, event: Event) -> None:
        body: Mapping[str, Any] = event.body
        if event.kind == "order":
            self._order(self._book(event), body)
        elif event.kind == "fill":
            self._fill(self._book(event), body)
        elif event.kind == "end":
            self._end(self._book(event), body)
        elif event.kind == "leg":
            self._leg(self._book(event), body)
        elif event.kind == "foreign":
            self._foreign(event)
        elif event.kind == "withdraw":
            self.broker.sync.withdrawn[int(body["order"])] = Status(int(body["status"]))
        elif event.kind == "moved":
            working = self.broker.desk.orders[int(body["order"]) - 1]
            working.price, working.limit = _number(body["price"]), _number(body["limit"])
            working.triggered = bool(body["triggered"])
        elif event.kind == "funding":
            self.newest_payment = max(self.newest_payment, int(body["time"]))
            paid = Funding(event.coin, int(body["time"]), Decimal(repr(-float(body["paid"]))))
            self.broker.events.funding(paid)
        elif event.kind == "error" and "order" in body:
            self._gone(self._book(event), body)
        elif event.kind == "reset":
            self.broker.limits.reset_breaker()
        elif event.kind == "equity":
            self.broker.remember(float(body["equity"]), body["limits"])
            self.broker.shares.peaks = body["peaks"]

    def _book(self, event: Event) -> LiveBook:
        book = self.broker.coins.get(event.coin)
        if book is None:
            raise IntegrityError(
                f"the journal has orders in {event.coin}, which is not traded now: name the same"
                " symbols as before, or another state folder"
            )
        return book

    # --- orders -----------------------------------------------------------------------------------

    def _order(self, book: LiveBook, body: Mapping[str, Any]) -> None:
        number = int(body["number"])
        desk = self.broker.desk
        if number != len(desk.orders) + 1:
            raise IntegrityError(f"order {number} follows order {len(desk.orders)} in the journal")
        side = int(body["side"])
        owner = self.owners[int(body["sleeve"]), book.coin]
        parent = None if body["parent"] is None else desk.orders[int(body["parent"]) - 1]
        price, limit = _number(body["price"]), _number(body["limit"])
        make: Any = BuyOrder if side > 0 else SellOrder
        order = make(
            owner=owner, data=book.data, size=float(body["size"]),
            price=None if price != price else price, exectype=body["exectype"],
            parent=None if parent is None else parent.order,
        )  # fmt: skip
        order.valid = body["valid"]
        order.addcomminfo(desk.commission(book.data))
        targets = body["targets"]
        working = Working(
            number=number, order=order, side=side, kind=Kind(int(body["kind"])),
            role=Role(int(body["role"])), size=float(body["size"]), price=price, limit=limit,
            bar=book.bar_of(int(body["bar"])), remaining=float(body["size"]),
            rests=bool(body["rests"]), reduces=bool(body["reduces"]),
            confidence=_number(body["confidence"]), reason=int(body["reason"]),
            exit_reason=int(body["exit_reason"]),
            targets=(_number(targets[0]), _number(targets[1])), stop=_number(body["stop"]),
            break_even=bool(body["break_even"]), asked=_number(body["asked"]),
            symbol=book.symbol, sleeve=int(body["sleeve"]), decided=bool(body["decided"]),
        )  # fmt: skip
        self.made_at[number] = int(body["bar"])
        if parent is not None:
            self._join(parent, working)
        desk.orders.append(working)
        desk.by_ref[order.ref] = working
        order.submit(self.broker)
        order.accept(self.broker)
        book.active.append(working)

    @staticmethod
    def _join(parent: Working, child: Working) -> None:
        if parent.bracket is None:
            parent.bracket = Bracket(parent)
        child.bracket, child.active = parent.bracket, parent.filled > 0.0
        parent.bracket.children.append(child)
        if child.role == Role.STOP:
            parent.stop = child.price

    def _fill(self, book: LiveBook, body: Mapping[str, Any]) -> None:
        working = self.broker.desk.orders[int(body["order"]) - 1]
        time = int(body["time"])
        self.filled_at.setdefault(working.number, time // book.step * book.step)
        self.newest_fill = max(self.newest_fill, time)
        book.at(time)
        self.broker.begin_day(time)
        events = self.broker.events
        events.take(
            book, working, float(body["size"]), float(body["price"]), float(body["fee"]),
            maker=bool(body["maker"]),
        )  # fmt: skip
        key = body["key"]
        events.told((int(key[0]), str(key[1]), int(key[2])))
        leg = self.broker.legs.find(body["cloid"], body["oid"])
        if leg is not None:
            leg.filled += Decimal(repr(float(body["size"])))
            self.broker.legs.numbered(leg, body["oid"])
            if leg.size and leg.filled >= leg.size:
                leg.to(Stage.OVER)

    def _gone(self, book: LiveBook, body: Mapping[str, Any]) -> None:
        """Book a part of a position of whose end no fill was told; see `Comparison`."""
        working = self.broker.desk.orders[int(body["order"]) - 1]
        book.at(int(body["time"]))
        size, price = float(body["size"]), float(body["price"])
        self.broker.events.take(book, working, size, price, 0.0, maker=False)

    def _foreign(self, event: Event) -> None:
        self.broker.events.abroad(event.coin, Decimal(event.body["size"]))
        if event.body["key"] is not None:
            time, coin, tid = event.body["key"]
            self.broker.events.told((int(time), str(coin), int(tid)))

    def _end(self, book: LiveBook, body: Mapping[str, Any]) -> None:
        working = self.broker.desk.orders[int(body["order"]) - 1]
        if working.status == Status.OPEN:
            self.broker.desk.end(book, working, Status(int(body["status"])))

    # --- legs -------------------------------------------------------------------------------------

    def _leg(self, book: LiveBook, body: Mapping[str, Any]) -> None:
        working = self.broker.desk.orders[int(body["order"]) - 1]
        kind = Leg(body["leg"])
        self.broker.sync.attempts[working.number, kind] = int(body["attempt"])
        if kind is Leg.ENTRY:
            self.broker.sync.entered[working.number] += 1
            for before in self.broker.legs.of(working, kind):
                before.to(Stage.OVER)  # only then another one is sent
        leg = Placed(
            body["cloid"], kind, working, book.coin, working.side > 0,
            Decimal(body["price"]), Decimal(body["size"]),
        )  # fmt: skip
        # Whether it still stands, the exchange says with its first truth.
        leg.stage, leg.since = Stage.ENDING, 0.0
        self.broker.legs.add(leg)

    def _doubt(self) -> None:
        """Have the orders looked for that something waits for; nobody knows how they ended."""
        for leg in self.broker.legs.all_alive():
            leg.unsure = leg.working.status == Status.OPEN
            # What was sent and not answered is settled by now: one look is enough.
            leg.traceless = _SETTLED

    # --- strategies -------------------------------------------------------------------------------

    def _resume(self, owner: SetupStrategy) -> None:
        """Let a strategy go on with the entry that it waits for or holds."""
        book = self.broker.coins[owner.data.coin]
        entry = _newest(self.broker.desk.orders, book, owner)
        if entry is None:
            return
        leaving = next(
            (w.order for w in book.active if w.role == Role.EXIT and w.status == Status.OPEN), None
        )
        now = len(owner.data)
        asked = now + (self.made_at[entry.number] - book.opened) // book.step
        at = self.filled_at.get(entry.number)
        filled = 0 if at is None else now + (at - book.opened) // book.step
        owner.resume(entry.order, leaving, asked, filled if at is not None else asked)


def _newest(orders: list[Working], book: LiveBook, owner: Any) -> Working | None:
    """Return the entry of *owner* that waits in *book* or holds its position."""
    for working in reversed(orders):
        mine = working.order.owner is owner and working.role == Role.ENTRY
        if mine and working.symbol == book.symbol:
            holds = book.trade is not None and book.trade.entry is working
            return working if working.status == Status.OPEN or holds else None
    return None


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)
