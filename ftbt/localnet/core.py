"""The state of the venue, and the events that tell what happened to it."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ftbt.localnet.assets import Asset
from ftbt.localnet.book import Depth, SyntheticBook
from ftbt.localnet.ledger import Account
from ftbt.localnet.margin import Margin
from ftbt.localnet.market import CoinMarket
from ftbt.localnet.numbers import ZERO, micro, wire
from ftbt.localnet.orders import Order
from ftbt.localnet.path import Step
from ftbt.localnet.store import OrderStore

MARKET_MAKER = "0x" + "ff" * 20
LIQUIDATOR = "0x" + "fe" * 20
KEPT_TRADES = 500
REPLAYED_TRADES = 30


@dataclass(frozen=True, slots=True)
class Event:
    """Something that subscribers may want to know.

    Attributes:
        kind: trade, step, order, fill, funding, ledger, liquidation, cancel, open.
        key: the coin of trade, step and open; the account of all others.
        data: as the venue sends it.
    """

    kind: str
    key: str
    data: Any


@dataclass(slots=True)
class Behaviour:
    """What is not the same everywhere, or not known for sure.

    Attributes:
        taker, maker: fee rates.
        partial_rest: answer to a GTC order that filled in part and rests: resting or filled.
        keep_triggers: reduce-only triggers outlive their position.
        post_only: the window after a network upgrade, in which only ALO orders are taken.
        path: pessimist (against the accounts) or candle (by its direction).
        scheduled_volume: notional an account must have traded before scheduleCancel works.
    """

    taker: Decimal = Decimal("0.00045")
    maker: Decimal = Decimal("0.00015")
    partial_rest: str = "resting"
    keep_triggers: bool = False
    post_only: bool = False
    path: str = "pessimist"
    scheduled_volume: Decimal = Decimal(1_000_000)
    depth: Depth = field(default_factory=Depth)


class Core:
    """Everything the venue knows, without any rule of matching."""

    def __init__(self, markets: Iterable[CoinMarket], behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.markets: dict[str, CoinMarket] = {m.asset.coin: m for m in markets}
        self.assets: list[Asset] = [m.asset for m in self.markets.values()]
        self.by_coin: Mapping[str, Asset] = {asset.coin: asset for asset in self.assets}
        self.marks: dict[str, Decimal] = {c: m.price for c, m in self.markets.items()}
        self.books = {
            coin: SyntheticBook(m.asset, behaviour.depth) for coin, m in self.markets.items()
        }
        self.margin = Margin(self.by_coin, self.marks)
        self.accounts: dict[str, Account] = {}
        self.orders = OrderStore()
        self.fills: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.fundings: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.ledgers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.trades: dict[str, deque[dict[str, Any]]] = defaultdict(
            lambda: deque(maxlen=KEPT_TRADES)
        )
        self.rates: dict[str, tuple[Decimal, Decimal]] = {}
        self.time = 0
        self.steps = 0
        self.trade_count = 0
        self._hashes = 0
        self._last: dict[str, Decimal] = {}
        self._events: list[Event] = []

    def account(self, address: str) -> Account:
        """Return the account of *address*, new ones are empty."""
        known = self.accounts.get(address)
        if known is None:
            known = self.accounts[address] = Account(address)
        return known

    def fee_rates(self, user: str) -> tuple[Decimal, Decimal]:
        """Return taker and maker rate of *user*."""
        return self.rates.get(user, (self.behaviour.taker, self.behaviour.maker))

    def quote(self, coin: str) -> None:
        """Let the market's side of the book stand around the price that is now."""
        self.books[coin].quote(self.marks[coin], self.markets[coin].spread())

    # --- events ---------------------------------------------------------------------------

    def emit(self, kind: str, key: str, data: Any) -> None:
        """Note that something happened."""
        self._events.append(Event(kind, key, data))

    def drain(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def new_hash(self) -> str:
        """Return the hash of the next transaction."""
        self._hashes += 1
        return "0x" + hashlib.sha256(f"ftbt localnet {self._hashes}".encode()).hexdigest()

    def change(self, order: Order, status: str, *, by_venue: bool = False) -> None:
        """Give *order* a new status, keep the record, tell the account."""
        order.status, order.status_time = status, self.time
        self.orders.record(order)
        entry = {"order": order.basic(), "status": status, "statusTimestamp": self.time}
        self.emit("order", order.user, entry)
        if by_venue:
            self.emit("cancel", order.user, {"coin": order.coin, "oid": order.oid})

    def print_trade(
        self, coin: str, price: Decimal, size: Decimal, buy: bool, users: tuple[str, str],
        tid: int, digest: str,
    ) -> None:  # fmt: skip
        """Publish a trade; *buy*: the aggressor bought; *users*: buyer, seller."""
        trade = {
            "coin": coin,
            "side": "B" if buy else "A",
            "px": wire(price),
            "sz": wire(size),
            "time": self.time,
            "hash": digest,
            "tid": tid,
            "users": list(users),
        }
        self.trades[coin].append(trade)
        self.trade_count += 1
        self.emit("trade", coin, trade)

    def market_trade(self, coin: str, step: Step) -> None:
        """Publish what the market traded among others."""
        buy = step.price >= self._last.get(coin, step.price)
        self._last[coin] = step.price
        trade = {
            "coin": coin,
            "side": "B" if buy else "A",
            "px": wire(step.price),
            "sz": wire(step.volume),
            "time": step.time,
            "hash": self.new_hash(),
            "tid": trade_id(step.time, self.by_coin[coin].index),
            "users": [MARKET_MAKER, MARKET_MAKER],
        }
        self.trades[coin].append(trade)
        self.emit("trade", coin, trade)

    # --- money ----------------------------------------------------------------------------

    def book_fill(
        self, order: Order, price: Decimal, size: Decimal, *, taker: bool, tid: int, digest: str,
        liquidation: dict[str, Any] | None = None, direction: str | None = None,
    ) -> None:  # fmt: skip
        """Book *size* of *order* at *price* on its account and note the fill."""
        account = self.account(order.user)
        signed = size if order.is_buy else -size
        notional = size * price
        taker_rate, maker_rate = self.fee_rates(order.user)
        fee = micro(notional * (taker_rate if taker else maker_rate))
        builder = order.request.builder
        builder_fee = micro(notional * builder[1] / 100_000) if builder else ZERO
        mode = self.margin.mode(account, order.coin)
        booked = account.fill(order.coin, signed, price, fee + builder_fee, mode)
        if builder_fee and builder is not None:
            self.account(builder[0]).deposit(builder_fee)
        if not taker:
            account.maker_volume += notional
        order.filled += size
        order.value += notional
        order.size -= size
        fill: dict[str, Any] = {
            "coin": order.coin,
            "px": wire(price),
            "sz": wire(size),
            "side": order.side,
            "time": self.time,
            "startPosition": wire(booked.start),
            "dir": direction or booked.direction,
            "closedPnl": wire(booked.closed_pnl),
            "hash": digest,
            "oid": order.oid,
            "crossed": taker,
            "fee": wire(fee + builder_fee),
            "tid": tid,
            "feeToken": "USDC",
            "twapId": None,
        }
        if order.request.cloid is not None:
            fill["cloid"] = order.request.cloid
        if builder_fee:
            fill["builderFee"] = wire(builder_fee)
        if liquidation is not None:
            fill["liquidation"] = liquidation
        self.fills[order.user].append(fill)
        self.emit("fill", order.user, fill)

    def note_ledger(self, user: str, delta: dict[str, Any]) -> None:
        """Keep and tell a change of money that is neither a fill nor funding."""
        update = {"time": self.time, "hash": self.new_hash(), "delta": delta}
        self.ledgers[user].append(update)
        self.emit("ledger", user, update)

    def deposit(self, user: str, amount: Decimal) -> None:
        """Pay USDC into the perpetuals account of *user*."""
        amount = micro(amount)
        self.account(user).deposit(amount)
        self.note_ledger(user, {"type": "deposit", "usdc": wire(amount)})


def trade_id(buyer: int, seller: int) -> int:
    """Return the id of a trade: 50 bits that follow from both order numbers."""
    digest = hashlib.sha256(f"{buyer}|{seller}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 14
