"""Small markets, accounts and clients for the tests of the local exchange."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import websocket
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, Funding, make_bars
from ftbt.data.market import Market, instrument_for
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS, Timeframe, from_ms
from ftbt.localnet.core import Behaviour
from ftbt.localnet.options import Options, build
from ftbt.localnet.orders import Request, Trigger
from ftbt.localnet.process import Key, Localnet, localnet, named_key
from ftbt.localnet.venue import Venue

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
FRAME = 15 * MINUTE_MS
FLAT = Settings(half_spread=0.0001, slippage_atr=0.0)

Row = tuple[float, float, float, float]


def market(
    coin: str,
    rows: list[Row],
    *,
    volume: float = 1000.0,
    rate: float | None = None,
    timeframe: str = "15m",
    detail: list[Row] | None = None,
) -> Market:
    """Return a market of open, high, low, close rows; *rate* is due every hour."""
    frame = Timeframe.parse(timeframe)
    funding = None
    if rate is not None:
        due = START + HOUR_MS * np.arange(1, 1 + len(rows) * frame.ms // HOUR_MS, dtype=np.int64)
        funding = Funding(coin, due, np.full(len(due), rate))
    fine = None
    if detail is not None:
        minute = Timeframe.parse("1m")
        fine = Candles(coin, minute, _bars(detail, minute.ms, volume / 15))
    candles = Candles(coin, frame, _bars(rows, frame.ms, volume))
    return Market(candles, instrument_for(coin), funding, fine)


def _bars(rows: list[Row], length: int, volume: float) -> Any:
    columns = np.array(rows, float).T
    time = START + length * np.arange(len(rows), dtype=np.int64)
    return make_bars(time, *columns, np.full(len(rows), volume))


def wave(coin: str, price: float, bars: int, step: float = 0.002, seed: int = 3) -> Market:
    """Return a market that wanders around *price*, on its tick."""
    rng = np.random.default_rng(seed)
    closes = price * np.exp(np.cumsum(rng.normal(0.0, step, bars + 1)))
    rows = []
    for before, after in pairwise(closes):
        high, low = max(before, after) * (1 + step / 2), min(before, after) * (1 - step / 2)
        rows.append(tuple(float(f"{x:.4g}") for x in (before, high, low, after)))
    fixed = [(o, max(o, h, c), min(o, lo, c), c) for o, h, lo, c in rows]
    return market(coin, fixed, rate=0.0000125)


HISTORY: list[Row] = [(100.0, 100.5, 99.5, 100.0)] * 4


def venue_of(*markets: Market, history: int = 4, behaviour: dict[str, Any] | None = None) -> Venue:
    """Return a venue whose replay begins after *history* bars."""
    options = Options(begin=_text(START + history * FRAME), settings=FLAT)
    venue = build(markets, options)
    for name, value in (behaviour or {}).items():
        assert hasattr(Behaviour(), name)
        setattr(venue.core.behaviour, name, value)
    return venue


def _text(time: int) -> str:
    return from_ms(time).isoformat()


def one_coin(*rows: Row, coin: str = "SOL", **more: Any) -> Venue:
    """Return a venue with one coin that stood at 100 and then trades *rows*."""
    return venue_of(market(coin, [*HISTORY, *rows], **more))


def funded(venue: Venue, name: str = "a", usd: int = 10_000) -> str:
    """Return a funded account of *venue*."""
    user = named_key(name).address
    venue.core.deposit(user, Decimal(usd))
    venue.drain()
    return user


def order(
    is_buy: bool,
    size: Any,
    price: Any,
    *,
    tif: str | None = "Gtc",
    reduce_only: bool = False,
    stop: Any = None,
    target: Any = None,
    is_market: bool = True,
    coin: str = "SOL",
    cloid: str | None = None,
) -> Request:
    """Return a request; with *stop* or *target* a trigger order."""
    trigger = None
    if stop is not None or target is not None:
        level = stop if stop is not None else target
        trigger, tif = Trigger(Decimal(str(level)), is_market, stop is not None), None
    return Request(
        coin, is_buy, Decimal(str(price)), Decimal(str(size)), reduce_only, tif, trigger, cloid
    )


def place(venue: Venue, user: str, *requests: Request, grouping: str = "na") -> list[Any]:
    """Place the orders of one action."""
    return venue.placing.place(user, requests, grouping)


def fills(venue: Venue, user: str) -> list[tuple[str, Decimal, Decimal]]:
    """Return (side, size, price) of every fill of *user*, oldest first."""
    return [(one["side"], Decimal(one["sz"]), Decimal(one["px"])) for one in venue.core.fills[user]]


def statuses(venue: Venue, user: str) -> list[str]:
    """Return the statuses of the order updates of *user* since the last drain."""
    return [e.data["status"] for e in venue.drain() if e.kind == "order" and e.key == user]


# --- clients ----------------------------------------------------------------------------------


@contextmanager
def running(*markets: Market, **options: Any) -> Iterator[Localnet]:
    """Run a local exchange over *markets*, standing still unless *options* say otherwise."""
    asked = {"paused": True, "settings": FLAT, "begin": _text(START + 40 * FRAME), **options}
    with localnet(Options(**asked), markets or [wave("BTC", 40_000, 400)]) as net:
        try:
            yield net
        finally:
            while _clients:
                _clients.pop().session.close()


_clients: list[Any] = []


def info_of(net: Localnet, *, socket: bool = False, timeout: float = 10) -> Info:
    """Return the SDK's Info."""
    one = Info(net.url, skip_ws=not socket, timeout=timeout)
    _clients.append(one)
    return one


def exchange_of(net: Localnet, key: Key, timeout: float = 10, **more: Any) -> Exchange:
    """Return the SDK's Exchange for *key*."""
    one = Exchange(Account.from_key(key.secret), net.url, timeout=timeout, **more)
    _clients.extend([one, one.info])
    return one


def new_user(net: Localnet, name: str, usd: int = 10_000) -> Key:
    """Return a funded account."""
    key = named_key(name)
    net.fund(key.address, usd)
    return key


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what *condition* returns once it is true.

    Raises:
        AssertionError: it never was.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


class Socket:
    """A bare WebSocket client that keeps every frame it gets."""

    def __init__(self, net: Localnet) -> None:
        self._socket = websocket.WebSocket()
        try:
            self._socket.connect(net.ws_url, timeout=5)
        except Exception:
            self._socket.shutdown()
            raise
        self.frames: list[dict[str, Any]] = []
        self.closed: str | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self._socket.settimeout(None)
        line = self._socket.sock
        while self.closed is None:
            try:
                opcode, data = self._socket.recv_data()
            except (OSError, websocket.WebSocketException) as error:
                if line is not None:
                    line.close()
                self.closed = self.closed or f"cut: {error}"
                return
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                code = int.from_bytes(data[:2], "big")
                self.closed = f"{code} {data[2:].decode()}"
                return
            self.frames.append(json.loads(data))

    def send(self, message: Any) -> None:
        """Send a message as JSON."""
        self._socket.send(json.dumps(message))

    def subscribe(self, kind: str, **more: Any) -> dict[str, Any]:
        """Subscribe and return the acknowledgement."""
        self.send({"method": "subscribe", "subscription": {"type": kind, **more}})
        return until(
            lambda: next(
                (
                    f for f in self.of("subscriptionResponse")
                    if f["data"]["subscription"]["type"] == kind
                ),
                None,
            )
        )  # fmt: skip

    def of(self, channel: str) -> list[dict[str, Any]]:
        """Return the frames of *channel* so far."""
        return [frame for frame in list(self.frames) if frame["channel"] == channel]

    def wait(self, channel: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the frames of *channel* once there are at least *count*."""
        return until(lambda: self.of(channel) if len(self.of(channel)) >= count else None)

    def settle(self) -> None:
        """Wait until everything that was sent before has arrived."""
        before = len(self.of("pong"))
        self.send({"method": "ping"})
        self.wait("pong", before + 1)

    def close(self) -> None:
        """Leave."""
        self.closed = self.closed or "left"
        line = self._socket.sock
        self._socket.close()
        if line is not None:
            line.close()
