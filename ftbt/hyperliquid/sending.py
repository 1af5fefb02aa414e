"""Actions on their way: signed, written down, sent; and if no answer comes, looked up.

The order of steps is the whole point. A nonce is taken, the action is signed, the very bytes go
into the journal and reach the disk, and only then the socket. Whatever ends the process after
that, the next one knows what may be on the exchange.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ftbt.errors import ExchangeError, NetworkError, OutcomeUnknown
from ftbt.hyperliquid import sdk
from ftbt.hyperliquid.agents import Approval
from ftbt.hyperliquid.answers import Unreadable
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.journal import Journal, Sent
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.nonces import Nonces
from ftbt.hyperliquid.orders import (
    Grouping,
    OrderRequest,
    cancel_action,
    cancel_oid_action,
    dead_man_action,
    leverage_action,
    noop_action,
    order_action,
)
from ftbt.hyperliquid.outcomes import Outcome, Reason, Refusal, State, outcomes_of, statuses_of
from ftbt.hyperliquid.records import Asset
from ftbt.hyperliquid.transport import Transport

# An order that was not carried out by then never will be: it can't strike a market that is gone.
EXPIRES_MS = 15_000


def _wall_ms() -> int:
    return int(time.time() * 1000)


class Sender:
    """Sends actions for one account with one key.

    Args:
        transport: to the venue.
        key: signs.
        approval: for whom.
        nonces: of the key.
        journal: where actions are written before they are sent.
        clock: the venue's wall clock, ms; expiries are counted from it.
    """

    def __init__(
        self,
        transport: Transport,
        key: AgentKey,
        approval: Approval,
        nonces: Nonces,
        journal: Journal,
        clock: Callable[[], int] = _wall_ms,
    ) -> None:
        self.transport = transport
        self.account = approval.account
        self.journal = journal
        self.clock = clock
        self._key = key
        self._vault = approval.vault
        self._nonces = nonces
        self._pen = threading.Lock()

    def place(
        self, orders: Sequence[OrderRequest], why: str, *, grouping: Grouping = Grouping.NONE,
        priority: Priority = Priority.TRADE, expires_ms: int | None = EXPIRES_MS,
    ) -> tuple[Outcome, ...]:  # fmt: skip
        """Place *orders* in one action and return what became of each.

        Args:
            orders: 1 to 200.
            why: what for, for the journal.
            grouping: whether they know each other.
            priority: PROTECT for stops and exits.
            expires_ms: how long from now the action may be carried out; None: any time.

        Raises:
            OutcomeUnknown: it may have been or may yet be carried out; see `resolving`.
            NetworkError: it surely was not carried out.
            StorageError: it could not be written down, so it was not sent.
        """
        cloids = tuple(order.cloid for order in orders)
        action = order_action(orders, grouping)
        sent = self._write_down(action, cloids, why, expires_ms, (len(orders), priority))
        return self._outcomes(sent, self._send(sent, len(orders), priority), cancel=False)

    def cancel(self, orders: Sequence[tuple[Asset, str]], why: str) -> tuple[Outcome, ...]:
        """Cancel orders by cloid and return what became of each cancel.

        Raises:
            OutcomeUnknown, NetworkError, StorageError: as `place`; a cancel may be sent again.
        """
        cloids = tuple(cloid for _, cloid in orders)
        urgent = (len(orders), Priority.PROTECT)
        sent = self._write_down(cancel_action(orders), cloids, why, EXPIRES_MS, urgent)
        answer = self._send(sent, len(orders), Priority.PROTECT)
        return self._outcomes(sent, answer, cancel=True)

    def cancel_oids(self, orders: Sequence[tuple[Asset, int]], why: str) -> tuple[Outcome, ...]:
        """Cancel orders by oid, those that have no cloid; outcomes carry the oid as cloid.

        Raises:
            OutcomeUnknown, NetworkError, StorageError: as `cancel`.
        """
        names = tuple(str(oid) for _, oid in orders)
        urgent = (len(orders), Priority.PROTECT)
        sent = self._write_down(cancel_oid_action(orders), names, why, EXPIRES_MS, urgent)
        answer = self._send(sent, len(orders), Priority.PROTECT)
        return self._outcomes(sent, answer, cancel=True)

    def set_leverage(self, asset: Asset, leverage: int, *, cross: bool) -> None:
        """Set leverage and margin mode of *asset*; setting what is set changes nothing.

        Raises:
            ExchangeError: refused. OutcomeUnknown, NetworkError, StorageError: as `place`.
        """
        action = leverage_action(asset, leverage, cross=cross)
        self._plain(action, f"leverage of {asset.coin}")

    def arm_dead_man(self, time: int | None) -> None:
        """Have all orders cancelled at *time* (ms) unless armed anew; None disarms.

        Raises:
            ExchangeError: refused, for example for too little volume traded.
        """
        self._plain(dead_man_action(time), "dead man's switch")

    def burn(self, sent: Sent) -> bool:
        """Use up the nonce of *sent* by doing nothing with it.

        Returns:
            True: *sent* has not been carried out and never will be.
            False: the venue had used that nonce, so *sent* was admitted.

        Raises:
            OutcomeUnknown, NetworkError, ExchangeError: neither is known.
        """
        action = noop_action()
        body = self._body(action, sent.nonce, None)
        found = statuses_of(self.transport.act(body, 1, Priority.PROTECT))
        if isinstance(found, Refusal):
            if found.reason is Reason.DUPLICATE_NONCE:
                return False
            raise ExchangeError(f"the exchange refused to use up a nonce: {found.text}")
        return True

    # --- the three steps ------------------------------------------------------------------------

    def _sign(
        self, action: dict[str, Any], cloids: tuple[str, ...], why: str, expires_ms: int | None
    ) -> Sent:
        nonce = self._nonces.next()
        expires = None if expires_ms is None else self.clock() + expires_ms
        body = self._body(action, nonce, expires)
        kind = str(action["type"])
        return Sent(self._key.address, self.account, nonce, expires, kind, cloids, body, why)

    def _body(self, action: dict[str, Any], nonce: int, expires: int | None) -> bytes:
        mainnet = self.transport.endpoint.is_mainnet
        signed = self._key.sign(action, nonce, expires, self._vault, mainnet=mainnet)
        return sdk.body(action, signed, self._vault, nonce, expires)

    def _write_down(
        self, action: dict[str, Any], cloids: tuple[str, ...], why: str, expires_ms: int | None,
        spent: tuple[int, Priority],
    ) -> Sent:  # fmt: skip
        """Sign *action* and write it down; *spent*: how many requests of the account it takes."""
        # One after the other: the first of several is on its way while the next is signed.
        with self._pen:
            sent = self._sign(action, cloids, why, expires_ms)
            self.transport.budget.act(*spent)
            self.journal.before_sending(sent)
        return sent

    def _send(self, sent: Sent, items: int, priority: Priority) -> Any:
        """Send *sent* and return the answer; what surely failed is noted."""
        try:
            return self.transport.act(sent.body, items, priority)
        except OutcomeUnknown as error:
            self.journal.after(sent, str(error), final=False)
            raise ActionLost(str(error), sent) from error
        except (NetworkError, ExchangeError) as error:
            self.journal.after(sent, str(error), final=True)
            raise

    def _outcomes(self, sent: Sent, answer: Any, *, cancel: bool) -> tuple[Outcome, ...]:
        try:
            found = outcomes_of(answer, sent.cloids, cancel=cancel)
        except Unreadable as error:
            self.journal.after(sent, str(error), final=False)
            raise ActionLost(str(error), sent) from error
        if found[0].reason is Reason.DUPLICATE_NONCE:
            # The nonce was new: somebody delivered these bytes before, and that one counts.
            self.journal.after(sent, found[0].text, final=False)
            raise ActionLost(f"{sent.why}: {found[0].text}", sent)
        self._note_limits(found)
        text = "; ".join(f"{one.cloid} {one.state} {one.text}".strip() for one in found)
        final = all(one.state is not State.UNKNOWN for one in found)
        self.journal.after(sent, text, final=final)
        return found

    def _note_limits(self, found: Sequence[Outcome]) -> None:
        if found[0].reason is Reason.REQUESTS:
            self.transport.budget.account_is_empty()

    def _plain(self, action: dict[str, Any], why: str) -> None:
        sent = self._write_down(action, (), why, EXPIRES_MS, (1, Priority.TRADE))
        answer = self._send(sent, 1, Priority.TRADE)
        try:
            found = statuses_of(answer)
        except Unreadable as error:
            self.journal.after(sent, str(error), final=False)
            raise ActionLost(str(error), sent) from error
        self.journal.after(sent, found.text if isinstance(found, Refusal) else "ok", final=True)
        if isinstance(found, Refusal):
            raise ExchangeError(f"the exchange refused {sent.why}: {found.text}")


class ActionLost(OutcomeUnknown):
    """An action without an answer that can be relied on.

    Attributes:
        sent: which action; `resolving` finds out what became of it.
    """

    def __init__(self, message: str, sent: Sent) -> None:
        super().__init__(message)
        self.sent = sent
