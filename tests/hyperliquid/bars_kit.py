"""Live bars over a local exchange that is stepped: what their tests have in common.

Market time stands still between steps, so nothing here depends on how fast the machine is: what
must happen is waited for, and what must not happen is looked for after something else has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest

from ftbt.data.candles import Candles
from ftbt.data.retry import Retry
from ftbt.data.timeframe import Timeframe
from ftbt.hyperliquid.market_data import BarOptions, LiveGroup, MarketData
from ftbt.hyperliquid.sockets import SocketOptions
from ftbt.localnet.process import Localnet

COINS = ("BTC", "ETH")
QUARTER = Timeframe.parse("15m")
WARM_UP = 200
# Only waits for what certainly comes, on a machine however busy; a failure takes this long.
PATIENCE_S = 60.0
SOCKET = SocketOptions(
    connect_s=20.0, acknowledge_s=20.0, ping_s=5.0, silence_s=PATIENCE_S,
    back_off=Retry(base_s=0.05, cap_s=0.1),
)  # fmt: skip
# A step ends with the open of a bar: only the bar before it is new.
STEPPED = BarOptions(fresh_ms=QUARTER.ms // 2, again_s=0.02)
_FOR_EVER_S = 3600.0

DataMaker = Callable[..., MarketData]


def first_open(net: Localnet, warm_up: int) -> int:
    """Return the open of the first of *warm_up* bars of history, ms."""
    return QUARTER.floor(net.market_time()) - warm_up * QUARTER.ms


def last_closed(net: Localnet) -> int:
    """Return the open of the newest bar that is closed, ms."""
    return first_open(net, 1)


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until *is_so*; fail with *what* when it does not become so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {PATIENCE_S:.0f} s: {what}")
        time.sleep(0.005)


def take_all(data: MarketData, count: int) -> list[LiveGroup]:
    """Return the next *count* groups."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[LiveGroup] = []
    while len(found) < count and time.monotonic() < deadline and not data.failure:
        taken = data.take(0.2)
        if taken is not None:
            found.append(taken)
    assert len(found) == count, f"{len(found)} of {count}: {data.health()} {data.failure!r}"
    return found


def must_be_research(groups: list[LiveGroup], research: Mapping[str, Candles]) -> None:
    """Assert that bars are those of the candles, bit for bit, complete and consecutive."""
    for coin in COINS:
        bars = [taken.group.bars[coin] for taken in groups]
        opens = np.array([bar.opened for bar in bars])
        assert opens.tolist() == [taken.group.opened for taken in groups]
        assert (np.diff(opens) == QUARTER.ms).all()
        candles = research[coin].bars
        rows = candles[np.searchsorted(candles["time"], opens)]
        for name in ("open", "high", "low", "close", "volume"):
            assert [getattr(bar, name) for bar in bars] == rows[name].tolist(), (coin, name)


def cut_stream(net: Localnet, data: MarketData) -> None:
    """Cut the socket and let nobody connect until the faults are deleted."""
    net.fault("ws_refuse", lasts=_FOR_EVER_S)
    net.control("/sockets", {"do": "abort"})
    until(lambda: not data.connected, "the loss of the connection is noticed")


def cut_rest(net: Localnet) -> None:
    """Let every question about candles fail until the faults are deleted."""
    net.fault("server_error", match={"type": "candleSnapshot"}, lasts=_FOR_EVER_S)


@contextmanager
def outage(
    net: Localnet, data: MarketData, *, stream: bool = True, rest: bool = True
) -> Iterator[None]:
    """Let *stream* and *rest* be away while the block runs; it ends with the stream back."""
    if rest:
        cut_rest(net)
    if stream:
        cut_stream(net, data)
    yield
    net.control("/faults", method="DELETE")
    until(lambda: data.connected, "the stream is back")


def strikes(net: Localnet, name: str, times: int) -> None:
    """Wait until the waiting fault *name* has struck *times* more times."""
    wanted = _left(net, name) - times
    until(lambda: _left(net, name) <= wanted, f"{times} more of {name}")


def _left(net: Localnet, name: str) -> int:
    return sum(fault["count"] for fault in net.control("/faults")["waiting"]
               if fault["name"] == name)  # fmt: skip
