"""A journal in a folder of the test's own, and sessions over one local exchange."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ftbt.live.journal import LiveJournal
from ftbt.localnet.process import Localnet

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

from journal_kit import NAME  # noqa: E402
from live_kit import DEPTH, Scene, flat_net, new_account, until  # noqa: E402
from lives import Life, Nursery, nursery  # noqa: E402
from planned import Planned  # noqa: E402


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that is not there yet."""
    return tmp_path / "deep" / "journal.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., LiveJournal]]:
    """Yield a function that opens the journal; all are closed afterwards."""
    journals: list[LiveJournal] = []

    def open_journal(where: Path = path, **more: Any) -> LiveJournal:
        journals.append(LiveJournal.open(where, **{"deployment": NAME, **more}))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


@pytest.fixture(scope="session")
def flat() -> Iterator[Localnet]:
    """Yield a local exchange over the flat market, which stands still unless stepped."""
    with flat_net() as running:
        yield running


@pytest.fixture
def net(flat: Localnet) -> Iterator[Localnet]:
    """Yield that exchange as it should be: no faults, no connections, all its depth."""
    flat.control("/faults", method="DELETE")
    flat.control("/sockets", {"do": "abort"})
    silence = {"do": "silence", "seconds": 0}
    until(lambda: flat.control("/sockets", silence)["touched"] == 0, "connections are gone")
    flat.control("/market/depth", {"notional": DEPTH})
    flat.step(1)
    yield flat
    flat.control("/faults", method="DELETE")


@pytest.fixture
def scene(
    net: Localnet, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Scene]]:
    """Yield a maker of sessions that run; each has an account of its own."""
    made: list[Scene] = []

    def make(strategy: type[Any] = Planned, **more: Any) -> Scene:
        name = f"{request.node.name} {len(made)}"
        parameters = more.pop("parameters", {})
        account = new_account(net, name, more.pop("usd", 10_000))
        made.append(Scene(net, tmp_path / str(len(made)), account, strategy, parameters, more))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def births() -> Iterator[Nursery]:
    """Yield a process that forks sessions."""
    with nursery() as found:
        yield found


@pytest.fixture
def life(
    net: Localnet, births: Nursery, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Life]]:
    """Yield a maker of sessions in processes of their own; what still runs is ended."""
    made: list[Life] = []

    def make(**parameters: Any) -> Life:
        name = f"{request.node.name} {len(made)}"
        folder = tmp_path / str(len(made)) / "state"
        made.append(Life(net, births, new_account(net, name), folder, parameters))
        return made[-1]

    yield make
    for one in made:
        if one.pid:
            one.kill()
