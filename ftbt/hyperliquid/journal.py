"""What was sent, written down before it is sent, and what came of it.

The journal answers one question after a crash: which actions may have reached the exchange that we
know no outcome of? Entries are only ever added. `ftbt.live.journal` is the one that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed action as it goes to the exchange.

    Attributes:
        signer, account: addresses.
        nonce: of the signer; names the action.
        expires_after: ms; the exchange refuses it later. None: it may be carried out any time.
        kind: order, cancelByCloid, updateLeverage, ...
        cloids: of the orders it places or cancels.
        body: the exact bytes.
        why: what it is for, in words.
    """

    signer: str
    account: str
    nonce: int
    expires_after: int | None
    kind: str
    cloids: tuple[str, ...]
    body: bytes
    why: str


class Journal(Protocol):
    """Where actions are written down. Safe for several threads."""

    def before_sending(self, *sent: Sent) -> None:
        """Write all of *sent* so that they survive the end of process and machine; then return.

        Raises:
            StorageError: they could not be written; none of the actions must be sent.
        """
        ...

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """Write what became of *sent*; *final*: nothing more is to be found out."""
        ...

    def unanswered(self) -> list[Sent]:
        """Return what was written before sending and has no final outcome, oldest first."""
        ...
