"""What the next start will find and do: the start itself, up to the point where it would send.

The journal is folded, the exchange is read, and both go through the very functions of a start
(`ftbt.live.events`, `ftbt.live.sync`); what these would note is classified, what they would send is
told and not sent. It needs no key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ftbt.backtest.result import Status
from ftbt.errors import ConfigError
from ftbt.hyperliquid.account import Truth
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.hyperliquid.records import Asset, OpenOrder
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.transport import Transport
from ftbt.live.broker import LiveBroker
from ftbt.live.dispatch import Cancel, Done, Look, Paper, Place
from ftbt.live.fold import Folded, fold, order_words
from ftbt.live.journal import JournalReader
from ftbt.live.legs import Placed, Stage
from ftbt.live.offline import Place as Where
from ftbt.live.truth import ASTRAY_S
from ftbt.live.words import event_text


class Class(StrEnum):
    """What kind of a difference it is."""

    MISSED = "fill missed while down"
    GONE = "order gone"
    UNSENT = "order never sent"
    MOVED = "order at another price"
    UNWANTED = "order not wanted any more"
    STRANGER = "foreign order"
    BY_HAND = "position changed by hand"
    FOREIGN = "foreign position"
    FUNDING = "funding missed"
    ENDED = "order ended"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the journal and the exchange do not agree on.

    Attributes:
        kind: its class; coin: where; "" for the whole account.
        text: what is different.
        then: what the next start does about it.
        escalated: a person has to look.
    """

    kind: Class
    coin: str
    text: str
    then: str
    escalated: bool = False


@dataclass(frozen=True, slots=True)
class There:
    """What the exchange has.

    Attributes:
        market_ms: time of the market.
        equity: of the account.
        positions: signed size and mean price by coin, all coins.
        orders: all open ones.
    """

    market_ms: int
    equity: Decimal
    positions: Mapping[str, tuple[Decimal, Decimal]]
    orders: tuple[OpenOrder, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prospect:
    """Journal against exchange.

    Attributes:
        there: what the exchange has.
        differences: in the order in which the start meets them.
    """

    there: There
    differences: tuple[Difference, ...]


@contextmanager
def reading(place: Where) -> Iterator[Rest]:
    """Yield reads of the exchange of *place*; what an account holds is public, no key is needed."""
    transport = Transport(place.endpoint(), Budget())
    try:
        yield Rest(transport)
    finally:
        transport.close()


class _Read:
    """All that is asked of the exchange, at one moment."""

    def __init__(self, rest: Rest, place: Where) -> None:
        self.mode = rest.account_mode(place.account)
        self.universe = rest.universe()
        self.orders = rest.open_orders(place.account)
        self.state = rest.account(place.account)
        self.equity = rest.equity(place.account, self.mode, self.state)
        self.mids = rest.mids()
        self.now = rest.book_time(place.coins[0])

    @property
    def there(self) -> There:
        held = {coin: (one.size, one.entry) for coin, one in self.state.positions.items()}
        return There(self.now, self.equity.value, held, self.orders)

    def truth(self) -> Truth:
        # Nothing is on its way: it is as true of each order as it gets.
        return Truth(
            state=self.state, equity=self.equity, orders=self.orders, read_at=float("inf"),
            heard=False, drift={},
        )  # fmt: skip


def look(rest: Rest, place: Where) -> There:
    """Return what the exchange has, without a journal.

    Raises:
        NetworkError, ExchangeError: it does not answer.
    """
    return _Read(rest, place).there


class _Told(Paper):
    """Hears what a start would note, and takes the jobs that it would send."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[str, Mapping[str, Any], str]] = []

    def note(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        self.notes.append((kind, body, coin))


def prospect(reader: JournalReader, place: Where, rest: Rest) -> tuple[Folded, Prospect]:
    """Return what the journal says, and what the next start will find and do.

    Raises:
        InputError, IntegrityError: as `fold`.
        NetworkError, ExchangeError: the exchange does not answer.
    """
    read, told = _Read(rest, place), _Told()
    prices = {coin: float(read.mids[coin]) for coin in place.coins if coin in read.mids}
    assets: dict[str, Asset] = {coin: read.universe[coin] for coin in place.coins}
    # Twice: what is looked at shall stay as the journal says it is.
    known = fold(reader, prices, assets, read.now)
    changed = fold(reader, prices, assets, read.now, told.note)
    if known.session["dry_run"]:
        raise ConfigError(f"{reader.path} is of a dry run: nothing of it is on the exchange")
    broker = changed.broker
    _catch_up(changed, read, place, rest)
    if _apart(broker, read):
        time.sleep(ASTRAY_S)  # a fill may be on its way: only what is said again counts
        read = _Read(rest, place)
        broker.events.truth(read.truth())
    broker.connect(told)
    broker.events.truth(read.truth())
    found = [
        *_noted(told, broker), *_foreign(broker), *_funding(told), *_planned(told, broker),
        *_strangers(read, place),
    ]  # fmt: skip
    return known, Prospect(read.there, tuple(found))


def _catch_up(changed: Folded, read: _Read, place: Where, rest: Rest) -> None:
    """Carry in what happened while nobody was here, and what became of each order."""
    events, legs = changed.broker.events, changed.broker.legs
    fills, payments = changed.since
    for fill in rest.fills(place.account, fills):
        events.fill(fill)
    for paid in rest.fundings(place.account, payments):
        events.funding(paid)
    events.truth(read.truth())
    standing = {order.cloid for order in read.orders}
    for leg in list(legs.all_alive()):
        if leg.cloid not in standing:
            report = rest.order(place.account, leg.cloid)
            events.done(Done(Look(leg.cloid), report=report))
    events.truth(read.truth())


def _apart(broker: LiveBroker, read: _Read) -> bool:
    """Tell whether a position is not what the fills lead to."""
    for coin, book in broker.coins.items():
        held = read.state.positions.get(coin)
        ours = book.size + float(broker.events.foreign.get(coin, 0))
        if abs((0.0 if held is None else float(held.size)) - ours) > 0.5 * 10.0**-book.decimals:
            return True
    return False


def _noted(told: _Told, broker: LiveBroker) -> Iterator[Difference]:
    for kind, body, coin in told.notes:
        if kind == "fill":
            yield _fill(body, coin)
        elif kind == "error":
            yield Difference(
                Class.BY_HAND, coin, str(body["what"]), "it is booked as an exit", True
            )
        elif kind == "end":
            working = broker.desk.orders[int(body["order"]) - 1]
            word = Status(int(body["status"])).name.lower()
            text = f"{order_words(working, coin)}, is not there and has not filled"
            yield Difference(Class.ENDED, coin, text, f"it is {word}")


def _foreign(broker: LiveBroker) -> Iterator[Difference]:
    for coin, size in broker.events.foreign.items():
        if size:
            then = "nothing is opened in it until it is gone; it gets no stop and is not closed"
            yield Difference(Class.FOREIGN, coin, f"{size:+f} {coin} are not ours", then, True)


def _funding(told: _Told) -> Iterator[Difference]:
    paid: dict[str, list[float]] = {}
    for kind, body, coin in told.notes:
        if kind == "funding":
            paid.setdefault(coin, []).append(float(body["paid"]))
    for coin, each in paid.items():
        text = f"{coin} paid {sum(each):+,.4f} in {len(each)} payments"
        yield Difference(Class.FUNDING, coin, text, "it is booked")


def _fill(body: Mapping[str, Any], coin: str) -> Difference:
    text = event_text("fill", body, coin) or ""
    if body["leg"] is None:
        return Difference(Class.BY_HAND, coin, text, "it is booked as an exit")
    return Difference(Class.MISSED, coin, f"{text}, of order {body['order']}", "it is booked")


def _planned(told: _Told, broker: LiveBroker) -> Iterator[Difference]:
    orphans = {body["cloid"] for kind, body, _ in told.notes if kind == "orphan"}
    for job in told.jobs:
        if isinstance(job, Look):
            continue
        for cloid in job.cloids:
            leg = broker.legs.find(cloid)
            if isinstance(job, Place):
                assert leg is not None, "a start sends legs"
                yield _to_send(leg, broker)
            else:
                coin = _coin_of(job, cloid)
                text = f"an order of this deployment in {coin} ({cloid})"
                why = " that the journal does not know" if cloid in orphans else ""
                yield Difference(Class.UNWANTED, coin, text + why, "it is cancelled")


def _to_send(leg: Placed, broker: LiveBroker) -> Difference:
    words = order_words(leg.working, leg.coin)
    others = [one for one in broker.legs.of(leg.working) if one is not leg]
    if any(one.stage is Stage.LIVE for one in others):
        text = f"{words}, stands at {others[0].price:f}"
        return Difference(Class.MOVED, leg.coin, text, "it is sent, then the old one is cancelled")
    sent = broker.sync.attempts.items()
    if sum(count for (number, _), count in sent if number == leg.working.number) > 1:
        return Difference(Class.GONE, leg.coin, f"{words}, is not there", "it is sent again")
    return Difference(Class.UNSENT, leg.coin, words, "it is sent")


def _coin_of(job: Cancel, cloid: str) -> str:
    return next(asset.coin for asset, one in job.orders if one == cloid)


def _strangers(read: _Read, place: Where) -> Iterator[Difference]:
    cloids = CloidMaker(place.deployment)
    for order in read.orders:
        if not cloids.owns(order.cloid):
            yield Difference(
                Class.STRANGER, order.coin, open_words(order), "it stays as it is: not ours"
            )
    for coin, one in read.state.positions.items():
        if coin not in place.coins:
            text = f"{one.size:+f} {coin}, which is not traded here"
            yield Difference(Class.FOREIGN, coin, text, "it is not touched, but uses margin")


def open_words(order: OpenOrder) -> str:
    """Return an order of the exchange in words."""
    side = "buys" if order.is_buy else "sells"
    size = f"{order.size:f}" if order.size else "all"
    at = order.price if order.trigger is None else order.trigger
    return f"order {order.oid}: {order.kind.lower()}, {side} {size} {order.coin} at {at:f}"
