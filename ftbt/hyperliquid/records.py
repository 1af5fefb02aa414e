"""What the venue says, as frozen records: decimals, ms UTC, lower-case addresses.

Source: the venue's documentation of its info endpoint and WebSocket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ftbt.data.timeframe import MINUTE_MS
from ftbt.errors import InputError, did_you_mean
from ftbt.hyperliquid.answers import Node

ZERO = Decimal(0)


class OrderState(StrEnum):
    """What an order is, by the venue's long and growing list of statuses."""

    LIVE = "live"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def over(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in (OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED)


def order_state(status: str) -> OrderState:
    """Return what a status means; new statuses are known by their ending.

    `iocCancelRejected` is a refusal although it says cancel, so the ending alone decides.
    """
    if status in ("open", "triggered"):
        return OrderState.LIVE
    if status == "filled":
        return OrderState.FILLED
    if status == "rejected" or status.endswith("Rejected"):
        return OrderState.REJECTED
    if status in ("canceled", "scheduledCancel") or status.endswith(("Canceled", "Cancel")):
        return OrderState.CANCELED
    return OrderState.UNKNOWN


@dataclass(frozen=True, slots=True)
class Asset:
    """A perpetual as `meta` lists it.

    Attributes:
        coin: its name.
        index: its number on the wire; differs between networks.
        size_decimals: sizes are multiples of 10**-size_decimals.
        max_leverage: highest leverage.
        only_isolated: takes no cross margin.
        delisted: can't be traded any more; keeps its number.
    """

    coin: str
    index: int
    size_decimals: int
    max_leverage: int
    only_isolated: bool
    delisted: bool


class Universe(Mapping[str, Asset]):
    """The perpetuals of the venue by coin."""

    def __init__(self, assets: tuple[Asset, ...]) -> None:
        self._by_coin = {asset.coin: asset for asset in assets}

    @classmethod
    def read(cls, answer: Node) -> Universe:
        """Return the universe of a `meta` answer."""
        rows = answer.at("universe").items()
        return cls(tuple(_asset(row, index) for index, row in enumerate(rows)))

    def tradable(self, coin: str) -> Asset:
        """Return the asset of *coin*.

        Raises:
            InputError: for one that is not there (with the nearest) or delisted.
        """
        asset = self._by_coin.get(coin)
        if asset is None:
            raise InputError(f"the exchange has no {coin!r}{did_you_mean(coin, self._by_coin)}")
        if asset.delisted:
            raise InputError(f"{coin} is delisted: it can't be traded any more")
        return asset

    def __getitem__(self, coin: str) -> Asset:
        return self._by_coin[coin]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_coin)

    def __len__(self) -> int:
        return len(self._by_coin)


def _asset(row: Node, index: int) -> Asset:
    margin = row.maybe_text("marginMode")
    isolated = row.flag("onlyIsolated", missing=False) or margin in ("strictIsolated", "noCross")
    return Asset(
        row.text("name"), index, row.whole("szDecimals"), row.whole("maxLeverage"), isolated,
        row.flag("isDelisted", missing=False),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    """A position; a coin without one is flat.

    Attributes:
        size: signed, negative is short.
        entry: mean price of it.
        leverage: of the coin, for what is opened next.
        cross: cross margin, else isolated.
        liquidation: price, None when there is none.
    """

    coin: str
    size: Decimal
    entry: Decimal
    unrealized: Decimal
    margin_used: Decimal
    leverage: int
    cross: bool
    liquidation: Decimal | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """The perpetuals account of `clearinghouseState`.

    Attributes:
        value: equity; with a unified account only what is posted (see `ftbt.hyperliquid.rest`).
        margin_used: initial margin that positions tie up.
        withdrawable: what could be taken out.
        positions: by coin.
        time: ms, when the venue said so.
    """

    value: Decimal
    margin_used: Decimal
    withdrawable: Decimal
    positions: Mapping[str, Position]
    time: int

    @classmethod
    def read(cls, answer: Node) -> AccountState:
        """Return the state of a `clearinghouseState` answer."""
        summary = answer.at("marginSummary")
        held = answer.at("assetPositions").each(lambda row: _position(row.at("position")))
        return cls(
            summary.number("accountValue"), summary.number("totalMarginUsed"),
            answer.number("withdrawable"), {p.coin: p for p in held if p.size},
            answer.whole("time"),
        )  # fmt: skip


def _position(row: Node) -> Position:
    leverage = row.at("leverage")
    size = row.number("szi")
    return Position(
        row.text("coin"), size, (row.maybe_number("entryPx") or ZERO) if not size
        else row.number("entryPx"), row.number("unrealizedPnl"), row.number("marginUsed"),
        leverage.whole("value"), leverage.text("type") == "cross",
        row.maybe_number("liquidationPx"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order as the venue shows it.

    Attributes:
        size: what is left of it; while it is live as of its last change of status.
        asked: what was asked for at first.
        trigger: price at which it becomes active, None for an order without one.
        kind: the venue's word, for example `Stop Market`.
        cloid: None for orders that were sent by hand.
    """

    coin: str
    is_buy: bool
    price: Decimal
    size: Decimal
    asked: Decimal
    oid: int
    time: int
    cloid: str | None
    reduce_only: bool
    trigger: Decimal | None
    kind: str
    tif: str | None

    @classmethod
    def read(cls, row: Node) -> OpenOrder:
        """Return the order of a `frontendOpenOrders` row."""
        trigger = row.number("triggerPx") if row.flag("isTrigger") else None
        return cls(
            row.text("coin"), row.side(), row.number("limitPx"), row.number("sz"),
            row.number("origSz"), row.whole("oid"), row.whole("timestamp"), _cloid(row),
            row.flag("reduceOnly"), trigger, row.text("orderType"), row.maybe_text("tif"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order and its status, from `orderStatus` or `orderUpdates`.

    Attributes:
        coin, is_buy, oid, cloid: which order.
        size: what is left; after a cancel what was not filled.
        asked: what was asked for.
        status: the venue's word; `state` is what it means.
        time: ms of the last change.
    """

    coin: str
    is_buy: bool
    oid: int
    cloid: str | None
    size: Decimal
    asked: Decimal
    status: str
    time: int

    @property
    def state(self) -> OrderState:
        """What the status means."""
        return order_state(self.status)

    @classmethod
    def read(cls, row: Node) -> OrderReport:
        """Return the report of `{order, status, statusTimestamp}`."""
        order = row.at("order")
        return cls(
            order.text("coin"), order.side(), order.whole("oid"), _cloid(order),
            order.number("sz"), order.number("origSz"), row.text("status"),
            row.whole("statusTimestamp"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of the account.

    Attributes:
        start: signed position before it.
        fee: negative for a rebate, in *fee_token*.
        taker: took liquidity.
        tid: number of the trade; unique together with time and coin.
        liquidation: the venue closed the position.
    """

    coin: str
    is_buy: bool
    price: Decimal
    size: Decimal
    time: int
    start: Decimal
    closed_pnl: Decimal
    fee: Decimal
    fee_token: str
    taker: bool
    oid: int
    tid: int
    cloid: str | None
    liquidation: bool

    @property
    def key(self) -> tuple[int, str, int]:
        """What tells this fill from all others."""
        return self.time, self.coin, self.tid

    @property
    def end(self) -> Decimal:
        """Signed position after it."""
        return self.start + self.size if self.is_buy else self.start - self.size

    @classmethod
    def read(cls, row: Node) -> Fill:
        """Return the fill of a `userFills` row. `dir` is for display and not read."""
        return cls(
            row.text("coin"), row.side(), row.number("px"), row.number("sz"), row.whole("time"),
            row.number("startPosition"), row.number("closedPnl"), row.number("fee"),
            row.text("feeToken").strip(), row.flag("crossed"), row.whole("oid"), row.whole("tid"),
            _cloid(row), row.has("liquidation"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Funding:
    """A payment of funding.

    Attributes:
        time: ms of the market.
        amount: USDC that the account received; negative when it paid.
    """

    coin: str
    time: int
    amount: Decimal

    @classmethod
    def read(cls, row: Node) -> Funding:
        """Return the payment of a `userFunding` row."""
        delta = row.at("delta")
        return cls(delta.text("coin"), row.whole("time"), delta.number("usdc"))

    @classmethod
    def heard(cls, said: Node) -> Funding:
        """Return the payment of a frame of the channel `user`."""
        return cls(said.text("coin"), said.whole("time"), said.number("usdc"))

    @property
    def key(self) -> tuple[int, str]:
        """What tells this payment from all others, to the minute: who tells it may round."""
        return round(self.time / MINUTE_MS), self.coin


def _cloid(row: Node) -> str | None:
    found = row.maybe_text("cloid")
    return None if found is None else found.lower()


_LATEST_MS = 10**13  # the year 2286
_MOST_TRADES = 10**12


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `candleSnapshot` or a frame of the candle channel.

    Attributes:
        opened: open time, ms.
        closes: last ms of it; a frame carries it long before it is reached.
        open, high, low, close, volume: as the same strings would be read in research.
        trades: how many.
    """

    coin: str
    interval: str
    opened: int
    closes: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int

    @classmethod
    def read(cls, row: Node) -> Row:
        """Return the candle of a row; impossible prices are refused."""
        first, high, low, last, volume = (float(row.number(name)) for name in "ohlcv")
        made = cls(
            row.text("s"), row.text("i"), row.whole("t"), row.whole("T"),
            first, high, low, last, volume, row.whole("n"),
        )  # fmt: skip
        inside = 0.0 < made.low <= min(made.open, made.close)
        if not inside or made.high < max(made.open, made.close) or made.volume < 0:
            raise row.wrong("a candle whose low and high enclose open and close")
        if not (0 < made.opened < made.closes < _LATEST_MS and 0 <= made.trades < _MOST_TRADES):
            raise row.wrong("a candle with times in ms and a count of trades")
        return made
