"""One local exchange for all tests of the client, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftbt.localnet.options import Options
from ftbt.localnet.process import Localnet, localnet

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

from client_kit import Client, ClientMaker, make_client, replayed  # noqa: E402


@pytest.fixture(scope="session")
def shared_net() -> Iterator[Localnet]:
    """Yield a local exchange that stands still unless stepped."""
    asked = Options(symbols=("BTC", "ETH"), paused=True, limits=False)
    with localnet(asked, list(replayed().values())) as running:
        yield running


@pytest.fixture
def net(shared_net: Localnet) -> Iterator[Localnet]:
    """Yield the local exchange, without faults of another test."""
    shared_net.control("/faults", method="DELETE")
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
