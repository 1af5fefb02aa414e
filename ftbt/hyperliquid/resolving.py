"""Finding out what became of an action whose answer was lost. It is never simply sent again.

1. Look: `orderStatus` by client order id, open orders and fills. A trace settles it.
2. No trace proves nothing: the action may be on its way, and a fresh order may be unknown for a
   second. So burn its nonce with an action that does nothing. If that is carried out, the lost one
   never will be. If the venue calls the nonce used, the lost one was admitted: look on.
3. If even that is not answered, wait: after its expiry the lost one can't be carried out any more.
   Only looks after that count as proof that there is no order.

Steps 2 and 3 rest on the venue's rules for nonces and `expiresAfter`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from ftbt.errors import ExchangeError, NetworkError, OutcomeUnknown
from ftbt.hyperliquid.answers import Unreadable
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.journal import Sent
from ftbt.hyperliquid.outcomes import Outcome, State
from ftbt.hyperliquid.records import ZERO, Fill, OpenOrder, OrderReport, OrderState
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sending import Sender

_CANCELS = ("cancel", "cancelByCloid")
_STATES = {
    OrderState.LIVE: State.RESTING,
    OrderState.FILLED: State.FILLED,
    OrderState.CANCELED: State.CANCELED,
    OrderState.REJECTED: State.REFUSED,
    OrderState.UNKNOWN: State.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often is looked.

    Attributes:
        poll_s: seconds between two looks.
        grace_s: seconds that an admitted or expired action may stay without a trace before it
            counts as refused; lags of about a second were measured.
        least_looks: looks that must agree that there is nothing.
        longest_s: seconds after which the question goes back to a person.
    """

    poll_s: float = 1.0
    grace_s: float = 10.0
    least_looks: int = 3
    longest_s: float = 120.0


class Resolver:
    """Settles actions of one sender.

    Args:
        sender: sent them, and burns their nonces.
        rest: looks.
        patience: how long.
        clock: monotonic seconds; *sleep* waits; replaced in tests.
    """

    def __init__(
        self,
        sender: Sender,
        rest: Rest,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sender, self._rest = sender, rest
        self._patience = patience or Patience()
        self._clock, self._sleep = clock, sleep

    def recover(self) -> list[tuple[Sent, tuple[Outcome, ...]]]:
        """Settle all that the journal knows no outcome of, oldest first: the start of a process.

        Raises:
            OutcomeUnknown: one of them can't be settled; nothing must be traded before it is.
        """
        return [(sent, self.resolve(sent)) for sent in self._sender.journal.unanswered()]

    def resolve(self, sent: Sent) -> tuple[Outcome, ...]:
        """Return what became of each order of *sent*.

        A cancel that was not carried out leaves RESTING: cancel again. Actions without orders
        return nothing, and are known to be either done or impossible.

        Raises:
            OutcomeUnknown: not settled within the longest patience.
        """
        if sent.kind in _CANCELS:
            found = self._settle(sent, self._look_at_cancelled)
        elif sent.cloids:
            found = self._settle(sent, self._look_at_placed)
        else:
            found = self._settle(sent, lambda _: ())
        text = "; ".join(f"{one.cloid} {one.state} {one.text}".strip() for one in found)
        self._sender.journal.after(sent, f"resolved: {text or 'nothing open'}", final=True)
        return found

    # --- the steps --------------------------------------------------------------------------

    def _settle(
        self, sent: Sent, look: Callable[[Sent], tuple[Outcome, ...]]
    ) -> tuple[Outcome, ...]:
        began, looks = self._clock(), 0
        burnt: bool | None = None  # True: never carried out; False: admitted; None: not known
        settled_at = None
        while True:
            try:
                found = look(sent)
                looks += 1
                open_ones = [one for one in found if one.state is State.UNKNOWN]
                if found and not open_ones:
                    return found
                if burnt is None:
                    burnt = self._burn(sent)
                    if burnt is not None:
                        # Looks from before the burn prove nothing about what it found.
                        looks, settled_at = 0, self._clock()
                        continue
                if settled_at is None and self._expired(sent):
                    looks, settled_at = 0, self._clock()
                    continue
                if settled_at is not None and self._nothing_came(burnt, looks, settled_at):
                    return tuple(_without_trace(one, burnt) for one in found)
            except (NetworkError, Unreadable):
                pass  # no look: the outage says nothing about the order
            if self._clock() - began > self._patience.longest_s:
                raise OutcomeUnknown(
                    f"after {self._patience.longest_s:.0f} s it is still not known whether the"
                    f" exchange carried out: {sent.why} ({sent.kind}, nonce {sent.nonce})"
                )
            self._sleep(self._patience.poll_s)

    def _nothing_came(self, burnt: bool | None, looks: int, since: float) -> bool:
        if burnt:
            return looks >= 1
        enough = looks >= self._patience.least_looks
        return enough and self._clock() - since >= self._patience.grace_s

    def _expired(self, sent: Sent) -> bool:
        return sent.expires_after is not None and self._sender.clock() > sent.expires_after

    def _burn(self, sent: Sent) -> bool | None:
        """Return whether the nonce could be used up; None when that is not known."""
        try:
            return self._sender.burn(sent)
        except (OutcomeUnknown, NetworkError):
            return None
        except ExchangeError:
            return None  # for example the agent was revoked: only expiry can settle it

    # --- looking ----------------------------------------------------------------------------

    def _look_at_placed(self, sent: Sent) -> tuple[Outcome, ...]:
        reports = {cloid: self._report(cloid) for cloid in sent.cloids}
        needed = [cloid for cloid, report in reports.items() if _needs_more(report)]
        if not needed:
            return tuple(_reported(cloid, reports[cloid], (), ()) for cloid in sent.cloids)
        user, urgent = self._sender.account, Priority.PROTECT
        fills = self._rest.recent_fills(user, urgent)
        orders = self._rest.open_orders(user, urgent)
        return tuple(_reported(cloid, reports[cloid], fills, orders) for cloid in sent.cloids)

    def _look_at_cancelled(self, sent: Sent) -> tuple[Outcome, ...]:
        found = []
        for cloid in sent.cloids:
            report = self._report(cloid)
            live = report is not None and not report.state.over
            state = State.UNKNOWN if live else State.GONE
            found.append(Outcome(cloid, state, None if report is None else report.oid))
        return tuple(found)

    def _report(self, cloid: str) -> OrderReport | None:
        which = cloid if cloid.startswith("0x") else int(cloid)
        return self._rest.order(self._sender.account, which, Priority.PROTECT)


def _needs_more(report: OrderReport | None) -> bool:
    """Tell whether fills or open orders must be asked: unknown, or with something traded."""
    return report is None or report.state.over


def _reported(
    cloid: str, report: OrderReport | None, fills: Iterable[Fill], orders: Iterable[OpenOrder]
) -> Outcome:
    own = [fill for fill in fills if fill.cloid == cloid]
    if report is not None:
        own = own or [fill for fill in fills if fill.oid == report.oid]
        size, average = _traded(own)
        state = _STATES[report.state]
        text = report.status if state in (State.REFUSED, State.CANCELED, State.UNKNOWN) else ""
        return Outcome(cloid, state, report.oid, size, average, text)
    waiting = next((order for order in orders if order.cloid == cloid), None)
    size, average = _traded(own)
    if waiting is not None:
        return Outcome(cloid, State.RESTING, waiting.oid, size, average)
    if own:  # the order is forgotten, its fills are not
        return Outcome(cloid, State.FILLED, own[0].oid, size, average)
    return Outcome(cloid, State.UNKNOWN)


def _traded(fills: list[Fill]) -> tuple[Decimal, Decimal | None]:
    size = sum((fill.size for fill in fills), ZERO)
    worth = sum((fill.size * fill.price for fill in fills), ZERO)
    return size, worth / size if size else None


def _without_trace(one: Outcome, burnt: bool | None) -> Outcome:
    """Return what an order without any trace is, now that none can appear any more."""
    if one.state is not State.UNKNOWN:
        return one
    if one.oid is not None or one.text:  # a cancel that did not happen, or a status not known
        state = State.UNKNOWN if one.text else State.RESTING
        return Outcome(one.cloid, state, one.oid, one.filled, one.average, one.text)
    why = "never reached the exchange" if burnt else "admitted or expired without a trace"
    return Outcome(one.cloid, State.REFUSED, text=why)
