"""Actions on their way: signed, written down, sent; and if no answer comes, looked up.

The order of steps is the whole point. A nonce is taken, the action is signed, the very bytes go
into the journal and reach the disk, and only then the socket. Whatever ends the process after
that, the next one knows what may be on the exchange.

Actions that are decided on together are signed and written down together (`write_down`): the disk
is waited for once, then they leave side by side (`send`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ftbt.errors import ExchangeError, FtbtError, NetworkError, OutcomeUnknown, StorageError
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


@dataclass(frozen=True, slots=True)
class Action:
    """An action that is to be signed.

    Attributes:
        form: as the venue takes it.
        cloids: of the orders that it places or cancels; an oid for one without a cloid.
        why: what for, for the journal.
        items: requests of the account that it takes.
        priority: PROTECT for stops, exits and cancels.
        expires_ms: how long after it was signed it may be carried out; None: any time.
        cancels: it takes orders back.
    """

    form: dict[str, Any]
    cloids: tuple[str, ...]
    why: str
    items: int = 1
    priority: Priority = Priority.TRADE
    expires_ms: int | None = EXPIRES_MS
    cancels: bool = False


def placing(
    orders: Sequence[OrderRequest], why: str, grouping: Grouping = Grouping.NONE,
    priority: Priority = Priority.TRADE, expires_ms: int | None = EXPIRES_MS,
) -> Action:  # fmt: skip
    """Return the action that places *orders*; see `Sender.place`."""
    cloids = tuple(order.cloid for order in orders)
    return Action(order_action(orders, grouping), cloids, why, len(orders), priority, expires_ms)


def cancelling(orders: Sequence[tuple[Asset, str]], why: str) -> Action:
    """Return the action that cancels *orders* by cloid; see `Sender.cancel`."""
    cloids = tuple(cloid for _, cloid in orders)
    form = cancel_action(orders)
    return Action(form, cloids, why, len(orders), Priority.PROTECT, cancels=True)


class Sender:
    """Sends actions for one account with one key.

    Args:
        transport: to the venue.
        key: signs.
        approval: for whom.
        nonces: of the key.
        journal: where actions are written before they are sent.
        clock: the venue's wall clock, ms; expiries are counted from it.
        doubt: called when the venue judges by another time; the clock is then asked anew.
    """

    def __init__(
        self,
        transport: Transport,
        key: AgentKey,
        approval: Approval,
        nonces: Nonces,
        journal: Journal,
        clock: Callable[[], int] = _wall_ms,
        doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self.transport = transport
        self.account = approval.account
        self.journal = journal
        self.clock = clock
        self._doubt = doubt
        self._key = key
        self._vault = approval.vault
        self._nonces = nonces

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
        return self.carry_out(placing(orders, why, grouping, priority, expires_ms))

    def cancel(self, orders: Sequence[tuple[Asset, str]], why: str) -> tuple[Outcome, ...]:
        """Cancel orders by cloid and return what became of each cancel.

        Raises:
            OutcomeUnknown, NetworkError, StorageError: as `place`; a cancel may be sent again.
        """
        return self.carry_out(cancelling(orders, why))

    def cancel_oids(self, orders: Sequence[tuple[Asset, int]], why: str) -> tuple[Outcome, ...]:
        """Cancel orders by oid, those that have no cloid; outcomes carry the oid as cloid.

        Raises:
            OutcomeUnknown, NetworkError, StorageError: as `cancel`.
        """
        names = tuple(str(oid) for _, oid in orders)
        form = cancel_oid_action(orders)
        return self.carry_out(Action(form, names, why, len(orders), Priority.PROTECT, cancels=True))

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

    def practise(self, action: Action) -> None:
        """Sign *action* and forget it: what is loaded at the first signature is loaded then.

        The venue would not take it from anybody: it expired in 1970.
        """
        self._body(action.form, 1, 1)

    # --- the three steps ------------------------------------------------------------------------

    def write_down(self, actions: Sequence[Action]) -> list[Sent | FtbtError]:
        """Sign *actions* and write them down as one; in the place of one that can't be, why not.

        It waits for the disk, and for nobody else's answer. What is returned is to be sent, each
        once; an error says that its action must not be.
        """
        try:
            nonces = self._nonces.take(len(actions))
        except FtbtError as error:
            return [error] * len(actions)
        found = [self._signed(action, nonce) for action, nonce in zip(actions, nonces, strict=True)]
        signed = [one for one in found if isinstance(one, Sent)]
        try:
            if signed:
                self.journal.before_sending(*signed)
        except StorageError as error:
            return [error if isinstance(one, Sent) else one for one in found]
        return found

    def send(self, action: Action, sent: Sent) -> tuple[Outcome, ...]:
        """Send what *action* has become, which is written down; return what came of each order.

        Raises:
            OutcomeUnknown, NetworkError: as `place`.
        """
        answer = self._send(sent, action.items, action.priority)
        return self._outcomes(sent, answer, cancel=action.cancels)

    def carry_out(self, action: Action) -> tuple[Outcome, ...]:
        """Sign, write down and send *action*.

        Raises:
            OutcomeUnknown, NetworkError, StorageError: as `place`.
        """
        return self.send(action, self._written(action))

    def _written(self, action: Action) -> Sent:
        (found,) = self.write_down([action])
        if isinstance(found, Sent):
            return found
        raise found

    def _signed(self, action: Action, nonce: int) -> Sent | FtbtError:
        try:
            self.transport.budget.act(action.items, action.priority)
        except FtbtError as error:
            return error
        expires = None if action.expires_ms is None else self.clock() + action.expires_ms
        return Sent(
            self._key.address, self.account, nonce, expires, str(action.form["type"]),
            action.cloids, self._body(action.form, nonce, expires), action.why,
        )  # fmt: skip

    def _body(self, action: dict[str, Any], nonce: int, expires: int | None) -> bytes:
        mainnet = self.transport.endpoint.is_mainnet
        signed = self._key.sign(action, nonce, expires, self._vault, mainnet=mainnet)
        return sdk.body(action, signed, self._vault, nonce, expires)

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
        elif found[0].reason in (Reason.EXPIRED, Reason.NONCE):
            self._doubt()

    def _plain(self, action: dict[str, Any], why: str) -> None:
        sent = self._written(Action(action, (), why))
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
