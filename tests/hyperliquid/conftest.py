"""One local exchange for all tests of the client, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftbt.data.candles import Candles
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.clock import ReplayClock
from ftbt.hyperliquid.market_data import MarketData
from ftbt.localnet.options import Options
from ftbt.localnet.process import Localnet, localnet

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

from bars_kit import COINS, QUARTER, SOCKET, STEPPED, WARM_UP, DataMaker, first_open, until  # noqa: E402
from client_kit import UNHURRIED, Client, ClientMaker, make_client, replayed  # noqa: E402


def sockets_of(net: Localnet) -> int:
    """Return how many WebSockets the local exchange has open; they are not disturbed."""
    return int(net.control("/sockets", {"do": "silence", "seconds": 0})["touched"])


@pytest.fixture(scope="session")
def shared_net() -> Iterator[Localnet]:
    """Yield a local exchange that stands still unless stepped."""
    asked = Options(symbols=("BTC", "ETH"), paused=True, limits=False)
    with localnet(asked, list(replayed().values())) as running:
        yield running


@pytest.fixture
def net(shared_net: Localnet) -> Iterator[Localnet]:
    """Yield the local exchange, without faults or connections of another test.

    A connection that is not quite gone would take its part of the faults.
    """
    shared_net.control("/faults", method="DELETE")
    shared_net.control("/sockets", {"do": "abort"})
    until(lambda: sockets_of(shared_net) == 0, "connections of another test are gone")
    yield shared_net
    shared_net.control("/faults", method="DELETE")


@pytest.fixture
def new_client(
    net: Localnet, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[ClientMaker]:
    """Yield a maker of clients; each test has accounts of its own."""
    made: list[Client] = []

    def make(name: str = "", **more: Any) -> Client:
        made.append(make_client(net, tmp_path, f"{request.node.name}{name}", **more))
        return made[-1]

    yield make
    for client in made:
        client.journal.close()
        client.transport.close()


@pytest.fixture
def client(new_client: ClientMaker) -> Client:
    """Return a client for a funded account of this test."""
    return new_client()


@pytest.fixture
def patient(new_client: ClientMaker) -> Client:
    """Return a funded client whose requests only fail by a fault, and are not rationed."""
    return new_client(timeouts=UNHURRIED, budget=Budget(margin=1_000.0))


@pytest.fixture(scope="session")
def research() -> dict[str, Candles]:
    """Return the candles that the local exchange replays."""
    return {coin: market.candles for coin, market in replayed().items()}


@pytest.fixture
def open_data(net: Localnet, patient: Client) -> Iterator[DataMaker]:
    """Yield a function that starts live bars after *warm_up* ones; all are stopped afterwards.

    It starts where a bar has just opened.
    """
    opened: list[MarketData] = []

    def start(warm_up: int = WARM_UP, **more: Any) -> MarketData:
        net.step(1)
        begin = first_open(net, warm_up)
        given = {"options": STEPPED, "socket_options": SOCKET, **more}
        data = MarketData(patient.rest, ReplayClock(), COINS, QUARTER, begin, **given)
        opened.append(data)
        data.start()
        return data

    yield start
    for one in opened:
        one.stop()
