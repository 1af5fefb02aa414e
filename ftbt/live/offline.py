"""A deployment without its bot: what it trades, where, and a session to clear it up with."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ftbt.data.files import atomic_write
from ftbt.errors import FtbtError, InputError, StateLocked
from ftbt.hyperliquid.journal import Sent
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.network import (
    MAINNET_WORDS,
    Endpoint,
    Mode,
    Network,
    confirm_mainnet,
    endpoint,
    parse_network,
)
from ftbt.hyperliquid.session import Check, Opening, Session, Wanted
from ftbt.live.control import JOURNAL, PLACE
from ftbt.live.journal import LiveJournal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment trades. Nothing in it is secret.

    Attributes:
        deployment: its name.
        network, url: of the exchange.
        account: address that holds the money.
        coins: what it trades.
    """

    deployment: str
    network: str
    url: str
    account: str
    coins: tuple[str, ...]

    def endpoint(self) -> Endpoint:
        """Return the endpoint; mainnet was confirmed when the deployment was started there."""
        network = parse_network(self.network)
        if network is Network.MAINNET:
            return endpoint(network, Mode.LIVE, confirmation=confirm_mainnet(MAINNET_WORDS))
        local = self.url if network is Network.LOCALNET else None
        return endpoint(network, Mode.PAPER, local_url=local)


def keep_place(state: Path, place: Place) -> None:
    """Write down where the deployment in *state* trades."""
    atomic_write(state / PLACE, json.dumps(asdict(place), indent=2))


def read_place(state: Path) -> Place:
    """Return where the deployment in *state* trades.

    Raises:
        InputError: the file is missing or broken.
    """
    try:
        found = json.loads((state / PLACE).read_text("utf-8"))
        return Place(
            str(found["deployment"]), str(found["network"]), str(found["url"]),
            str(found["account"]), tuple(map(str, found["coins"])),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{state / PLACE} does not say where the bot traded ({error}): close positions on the"
            " exchange's website"
        ) from error


@contextmanager
def offline_session(
    state: Path, key: AgentKey, tell: Callable[[Check], None] = lambda _: None
) -> Iterator[Session]:
    """Yield a session to clear up with while no bot runs in *state*.

    A journal that can't be opened does not stand in the way: what is sent is written into an
    emergency journal, beside it or among the temporary files, or kept in memory only.

    Raises:
        StateLocked: a bot runs there after all.
        FtbtError: the exchange does not answer, or does not take the key.
    """
    place = read_place(state)
    journal = _journal(state, place.deployment, tell)
    # Nonces are kept where the bot keeps them: below its own they would be refused.
    folder = state if place.endpoint().is_local else None
    try:
        opening = Opening(place.endpoint(), key, journal, folder, tell)
        session = opening.open(Wanted(place.account, place.coins, place.deployment))
        try:
            yield session
        finally:
            session.close()
    finally:
        with suppress(FtbtError):
            journal.close()


def _journal(
    state: Path, deployment: str, tell: Callable[[Check], None]
) -> LiveJournal | _InMemory:
    """Return the journal of *state*, or one for the emergency where there is room for it."""
    try:
        return LiveJournal.open(state / JOURNAL, deployment=deployment)
    except StateLocked:
        raise
    except FtbtError as error:
        failed = error
        tell(Check("journal", str(error), passed=False))
    name = f"emergency-{time.time_ns()}"
    for folder in (_itself, _temporary):
        with suppress(FtbtError, OSError):  # a full disk has no folder for temporary files either
            path = folder(state) / name
            path.mkdir(parents=True)
            return LiveJournal.open(path / JOURNAL, deployment=deployment)
    tell(Check("journal", f"{failed}; what is sent now is written nowhere", warning=True))
    return _InMemory()


def _itself(state: Path) -> Path:
    return state


def _temporary(_: Path) -> Path:
    return Path(tempfile.gettempdir()) / "ftbt"


class _InMemory:
    """A journal for a machine that can't write any more: it lasts as long as this process.

    To close a position without a record is better than to leave it open for want of one: the
    exchange has the record as well.
    """

    def __init__(self) -> None:
        self._open: list[Sent] = []
        self._lock = threading.Lock()

    def before_sending(self, *sent: Sent) -> None:
        """See `Journal.before_sending`."""
        with self._lock:
            self._open += sent

    def after(self, sent: Sent, text: str, *, final: bool) -> None:  # noqa: ARG002
        """See `Journal.after`."""
        with self._lock:
            if final and sent in self._open:
                self._open.remove(sent)

    def unanswered(self) -> list[Sent]:
        """See `Journal.unanswered`."""
        with self._lock:
            return list(self._open)

    def close(self) -> None:
        """Forget everything."""
