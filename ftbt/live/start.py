"""What a session holds for itself before it asks the exchange: its key and its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.network import Endpoint
from ftbt.hyperliquid.session import Check, told
from ftbt.live import control
from ftbt.live.broker import SHORT
from ftbt.live.earlier import Earlier, last_session, require_same
from ftbt.live.journal import LiveJournal
from ftbt.live.locks import hold_key

if TYPE_CHECKING:
    from ftbt.live.config import LiveConfig

Tell = Callable[[Check], None]


@contextmanager
def key_held(key: AgentKey, endpoint: Endpoint, tell: Tell) -> Iterator[None]:
    """Have *key* for this process alone: two that trade with it would not know of each other.

    Raises:
        StateLocked: another process has it.
    """
    network = str(endpoint.network)
    if endpoint.is_local:  # each local exchange is a network of its own
        network += "-" + endpoint.url.rpartition(":")[2]
    with told(tell, "key") as found:
        lock = hold_key(key.address, network)
        found.append(f"no other process of this machine trades with {key.address}")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def journal_open(
    config: LiveConfig, tell: Tell, description: Mapping[str, Any]
) -> Iterator[tuple[LiveJournal, Earlier | None]]:
    """Yield the journal and the session before this one.

    Args:
        config: of this session.
        tell: called with the check.
        description: of this session, as its `session` event has it.

    Raises:
        FtbtError: as `LiveJournal.open`; or the journal is of a session that is not this one.
    """
    path = config.state / control.JOURNAL
    with told(tell, "journal") as found:
        journal = LiveJournal.open(path, deployment=config.deployment)
        try:
            earlier = last_session(journal)
            if earlier is not None:
                require_same(earlier, description, config.state)
        except BaseException:
            journal.close()
            raise
        found.append(f"this session {'begins' if earlier is None else 'goes on with'} {path}")
    try:
        yield journal, earlier
    finally:
        journal.close()


def capital_check(ours: float, there: float) -> Check:
    """Return what sizes are taken of: our books' equity, with *there* in the account."""
    if there < (1.0 - SHORT) * ours:
        text = f"${ours:,.2f} in our books, ${there:,.2f} in the account: sizes follow the account"
        return Check("capital", text, warning=True)
    return Check("capital", f"sizes are taken of ${ours:,.2f} and what is earned with it")
