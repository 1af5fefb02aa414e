"""Sends what is to be sent, on threads of its own, and hands back what came of it.

Actions go out one after the other, protection first. One without an answer is settled on another
thread, so that a stop never waits for the outcome of an entry.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from ftbt.errors import FtbtError, OutcomeUnknown
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.orders import Grouping, OrderRequest
from ftbt.hyperliquid.outcomes import Outcome, State
from ftbt.hyperliquid.records import Asset, OrderReport
from ftbt.hyperliquid.resolving import Resolver
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sending import ActionLost, Sender

_END = 9


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

    @property
    def busy(self) -> int:
        """Jobs without a result so far."""
        ...

    def close(self, patience_s: float = 20.0) -> None:
        """Finish what was taken, then end."""
        ...


@dataclass(order=True, slots=True)
class _Item:
    rank: int
    number: int
    job: Job | ActionLost | None = field(compare=False)
    owner: Job | None = field(compare=False, default=None)


class Dispatcher:
    """Sends jobs.

    Args:
        sender, resolver, rest: of the session.
        deliver: called, on a thread of this object, with each result.
    """

    def __init__(
        self, sender: Sender, resolver: Resolver, rest: Rest, deliver: Callable[[Done], None]
    ) -> None:
        self._sender, self._resolver, self._rest = sender, resolver, rest
        self._deliver = deliver
        self._numbers = itertools.count()
        self._actions: queue.PriorityQueue[_Item] = queue.PriorityQueue()
        self._doubts: queue.PriorityQueue[_Item] = queue.PriorityQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._threads = [
            threading.Thread(target=self._run, args=(line,), name=name, daemon=True)
            for line, name in ((self._actions, "actions"), (self._doubts, "doubts"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> int:
        """Jobs without a result so far."""
        return self._open

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> None:
        """See `Dispatch.submit`."""
        with self._lock:
            self._open += 1
        line = self._doubts if isinstance(job, Look) else self._actions
        line.put(_Item(_rank(job), next(self._numbers), job))

    def close(self, patience_s: float = 20.0) -> None:
        """See `Dispatch.close`."""
        for line in (self._actions, self._doubts):
            line.put(_Item(_END, next(self._numbers), None))
        for thread in self._threads:
            thread.join(patience_s)

    def _run(self, line: queue.PriorityQueue[_Item]) -> None:
        while (item := line.get()).job is not None:
            owner = item.owner or item.job
            assert isinstance(owner, Place | Cancel | Look)
            done = self._do(item, owner)
            if done is not None:
                with self._lock:
                    self._open -= 1
                self._deliver(done)

    def _do(self, item: _Item, owner: Job) -> Done | None:
        """Return what came of *item*; None when another thread is to find that out."""
        try:
            if isinstance(item.job, ActionLost):
                return Done(owner, self._resolver.resolve(item.job.sent))
            if isinstance(item.job, Look):
                found = self._rest.order(self._sender.account, item.job.cloid, Priority.PROTECT)
                return Done(owner, report=found)
            return Done(owner, self._act(owner))
        except ActionLost as lost:
            self._doubts.put(_Item(0, next(self._numbers), lost, owner))
            return None
        except (FtbtError, OSError, ValueError) as error:
            return Done(owner, error=error)

    def _act(self, job: Job) -> tuple[Outcome, ...]:
        if isinstance(job, Cancel):
            return self._sender.cancel(job.orders, job.why)
        assert isinstance(job, Place)
        orders = job.make(self._rest.mids() if job.fresh else None)
        return self._sender.place(orders, job.why, grouping=job.grouping, priority=job.priority)


class DryRun:
    """Sends nothing: every order is answered as refused, with the reason that it is a dry run."""

    def __init__(self, deliver: Callable[[Done], None]) -> None:
        self._deliver = deliver
        self.busy = 0

    def submit(self, job: Job) -> None:
        """See `Dispatch.submit`."""
        state = State.GONE if isinstance(job, Cancel) else State.REFUSED
        self._deliver(Done(job, tuple(Outcome(c, state, text="dry run") for c in job.cloids)))

    def close(self, patience_s: float = 20.0) -> None:
        """Do nothing: there is nothing on its way."""


def _rank(job: Job) -> int:
    return 0 if job.priority is Priority.PROTECT else 1


def unknown(done: Done) -> bool:
    """Tell whether it is still not known what came of a job."""
    return isinstance(done.error, OutcomeUnknown)
