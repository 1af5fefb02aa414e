"""Sends what is to be sent, on threads of its own, and hands back what came of it.

What protects and what opens go out on threads of their own, several each, and an action without an
answer is settled on yet another: a stop waits neither for an entry nor for the outcome of one. None
of them depends on the order in which they arrive: what needs another order to stand is only handed
in when it does.

What is handed in together is signed and written down together, by the thread that hands it in, and
only sent by the others. So the disk is waited for once, and no thread has to be waited for before.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from ftbt.errors import FtbtError, OutcomeUnknown
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.journal import Sent
from ftbt.hyperliquid.orders import Grouping, OrderRequest
from ftbt.hyperliquid.outcomes import Outcome, State
from ftbt.hyperliquid.records import Asset, OrderReport
from ftbt.hyperliquid.resolving import Resolver
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sending import Action, ActionLost, Sender, cancelling, placing


@dataclass(frozen=True, slots=True)
class Place:
    """Orders to be placed in one action.

    Attributes:
        cloids: of the orders.
        make: returns the orders; called when they are about to be sent, with the mid prices when
            *fresh* asks for them, so that a bound is of the market as it is then.
        grouping, why, priority: as `Sender.place`.
        fresh: read the mid prices first.
    """

    cloids: tuple[str, ...]
    make: Callable[[dict[str, Decimal] | None], Sequence[OrderRequest]]
    why: str
    grouping: Grouping = Grouping.NONE
    priority: Priority = Priority.TRADE
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Orders to be cancelled: pairs of asset and cloid."""

    orders: tuple[tuple[Asset, str], ...]
    why: str
    priority: Priority = Priority.PROTECT

    @property
    def cloids(self) -> tuple[str, ...]:
        """Return the client ids of the orders."""
        return tuple(cloid for _, cloid in self.orders)


@dataclass(frozen=True, slots=True)
class Look:
    """An order to be asked for."""

    cloid: str
    why: str = "look-up"
    priority: Priority = Priority.PROTECT

    @property
    def cloids(self) -> tuple[str, ...]:
        """Return the client id."""
        return (self.cloid,)


Job = Place | Cancel | Look


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job.

    Attributes:
        job: which.
        outcomes: of its orders, in their order; empty when it failed or was a look-up.
        report: what a look-up found, None when the venue does not know the order.
        error: why nothing came of it: surely not carried out, unless it is an `OutcomeUnknown`.
    """

    job: Job
    outcomes: tuple[Outcome, ...] = ()
    report: OrderReport | None = None
    error: Exception | None = None


class Dispatch(Protocol):
    """Where jobs are handed in. `Dispatcher` sends them, `DryRun` only says so."""

    def submit(self, job: Job) -> None:
        """Take *job*; what comes of it is delivered later."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """Let what the thread of the loop submits within leave when the outermost block ends."""
        ...

    @property
    def busy(self) -> int:
        """Jobs without a result so far."""
        ...

    def close(self, patience_s: float = 20.0) -> None:
        """Finish what was taken, then end."""
        ...


@dataclass(frozen=True, slots=True)
class _Written:
    """A job that is signed and written down, and only has to be sent."""

    job: Place | Cancel
    action: Action
    sent: Sent


_Line = queue.SimpleQueue[Job | _Written | None]

# Before a close, seconds; the venue hangs up on connections that nobody uses.
_GREET_S, _GREET_APART_S = 3.0, 2.5

# How many actions of a kind may wait for their answers at once.
_SENDERS = {"protection": 4, "trades": 4, "look-ups": 1}


class Dispatcher:
    """Sends jobs.

    Args:
        sender, resolver, rest: of the session.
        deliver: called, on a thread of this object, with each result.
        until_close: seconds to the next close of a bar; a little before it the threads see to it
            that their connections stand. None: they don't.
    """

    def __init__(
        self,
        sender: Sender,
        resolver: Resolver,
        rest: Rest,
        deliver: Callable[[Done], None],
        until_close: Callable[[], float] | None = None,
    ) -> None:
        self._sender, self._resolver, self._rest = sender, resolver, rest.once()
        self._deliver, self._until_close = deliver, until_close
        self._lines: dict[str, _Line] = {name: queue.SimpleQueue() for name in _SENDERS}
        self._lock = threading.Lock()
        self._open = 0
        self._gathered: list[Job] | None = None  # jobs that are to leave together
        self._threads = [
            threading.Thread(target=self._run, args=(line, place), name=name, daemon=True)
            for name, line in self._lines.items()
            for place in range(_SENDERS[name])
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> int:
        """Jobs without a result so far."""
        return self._open

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> None:
        """See `Dispatch.submit`."""
        with self._lock:
            self._open += 1
        if self._gathered is None:
            self._lines[_line(job)].put(job)
        else:
            self._gathered.append(job)

    @contextmanager
    def together(self) -> Iterator[None]:
        """See `Dispatch.together`."""
        if self._gathered is not None:
            yield
            return
        self._gathered = []
        try:
            yield
        finally:
            jobs, self._gathered = self._gathered, None
            self._hand_in(jobs)

    def close(self, patience_s: float = 20.0) -> None:
        """See `Dispatch.close`."""
        deadline = time.monotonic() + patience_s
        for name, line in self._lines.items():
            for _ in range(_SENDERS[name]):
                line.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _hand_in(self, jobs: Sequence[Job]) -> None:
        """Sign and write down as one what needs no question first, and let all of it leave."""
        ready: list[tuple[Place | Cancel, Action]] = []
        for job in jobs:
            if isinstance(job, Look) or (isinstance(job, Place) and job.fresh):
                self._lines[_line(job)].put(job)
                continue
            try:
                ready.append((job, action_of(job, None)))
            except (FtbtError, ValueError) as error:
                self._tell(Done(job, error=error))
        written = self._sender.write_down([action for _, action in ready]) if ready else []
        for (job, action), sent in zip(ready, written, strict=True):
            if isinstance(sent, Sent):
                self._lines[_line(job)].put(_Written(job, action, sent))
            else:
                self._tell(Done(job, error=sent))

    def _run(self, line: _Line, place: int) -> None:
        if self._until_close is not None:
            self._sender.transport.greet()
        while (found := self._next(line, place)) is not None:
            job = found.job if isinstance(found, _Written) else found
            try:
                self._tell(self._do(found))
            except ActionLost as lost:
                threading.Thread(
                    target=self._settle, args=(job, lost), name="doubt", daemon=True
                ).start()

    def _next(self, line: _Line, place: int) -> Job | _Written | None:
        """Return the next job, waiting for it; greet the venue shortly before each close."""
        if self._until_close is None:
            return line.get()
        # One after the other: who greets is not there for an order.
        lead = _GREET_S + place * _GREET_APART_S
        while True:
            left = self._until_close()
            early = left > lead
            try:
                return line.get(timeout=left - lead if early else left + _GREET_APART_S)
            except queue.Empty:
                if early:
                    self._sender.transport.greet()

    def _tell(self, done: Done) -> None:
        with self._lock:
            self._open -= 1
        self._deliver(done)

    def _do(self, found: Job | _Written) -> Done:
        """Return what came of a job.

        Raises:
            ActionLost: another thread is to find that out.
        """
        job = found.job if isinstance(found, _Written) else found
        try:
            if isinstance(found, _Written):
                return Done(job, self._sender.send(found.action, found.sent))
            if isinstance(job, Look):
                report = self._rest.order(self._sender.account, job.cloid, Priority.PROTECT)
                return Done(job, report=report)
            mids = self._mids() if isinstance(job, Place) and job.fresh else None
            return Done(job, self._sender.carry_out(action_of(job, mids)))
        except ActionLost:
            raise
        except (FtbtError, OSError, ValueError) as error:
            return Done(job, error=error)

    def _settle(self, job: Job, lost: ActionLost) -> None:
        """Find out what became of an action, however long it takes."""
        try:
            done = Done(job, self._resolver.resolve(lost.sent))
        except (FtbtError, OSError, ValueError) as error:
            done = Done(job, error=error)
        self._tell(done)

    def _mids(self) -> dict[str, Decimal] | None:
        """Return the mid prices; None when they can't be had: an exit can't wait for them."""
        try:
            return self._rest.mids()
        except (FtbtError, OSError, ValueError):
            return None


class DryRun:
    """Sends nothing: every order is answered as refused, with the reason that it is a dry run."""

    def __init__(self, deliver: Callable[[Done], None]) -> None:
        self._deliver = deliver
        self.busy = 0

    def submit(self, job: Job) -> None:
        """See `Dispatch.submit`."""
        state = State.GONE if isinstance(job, Cancel) else State.REFUSED
        self._deliver(Done(job, tuple(Outcome(c, state, text="dry run") for c in job.cloids)))

    def together(self) -> AbstractContextManager[None]:
        """See `Dispatch.together`."""
        return nullcontext()

    def close(self, patience_s: float = 20.0) -> None:
        """Do nothing: there is nothing on its way."""


class Paper:
    """Takes jobs and keeps them; nothing is answered.

    Attributes:
        jobs: in the order in which they were submitted.
    """

    busy = 0

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        """See `Dispatch.submit`."""
        self.jobs.append(job)

    def together(self) -> AbstractContextManager[None]:
        """See `Dispatch.together`."""
        return nullcontext()

    def close(self, patience_s: float = 20.0) -> None:
        """Do nothing."""


def action_of(job: Place | Cancel, mids: dict[str, Decimal] | None) -> Action:
    """Return what *job* asks for.

    Raises:
        InputError: orders that the venue would not take.
    """
    if isinstance(job, Cancel):
        return cancelling(job.orders, job.why)
    return placing(job.make(mids), job.why, job.grouping, job.priority)


def _line(job: Job) -> str:
    if isinstance(job, Look):
        return "look-ups"
    return "protection" if job.priority is Priority.PROTECT else "trades"


def unknown(done: Done) -> bool:
    """Tell whether it is still not known what came of a job."""
    return isinstance(done.error, OutcomeUnknown)
