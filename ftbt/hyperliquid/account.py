"""What the account holds, by the stream of its events and by what REST says of it.

The channels of an account tell what happens, without numbers and without what was missed. So they
are hints for speed, and REST is the truth: after each connection, at every reconciliation, and
whenever something came that can't be read. What comes out is a queue of events, each once, in
order, to be taken by the one thread that may change orders and positions.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from ftbt.errors import FtbtError, IntegrityError, NetworkError
from ftbt.hyperliquid.answers import Node, Unreadable
from ftbt.hyperliquid.records import ZERO, AccountState, Fill, Funding, OpenOrder, OrderReport
from ftbt.hyperliquid.rest import Equity, Rest
from ftbt.hyperliquid.sockets import Connected, Disconnected, Frame, Socket, SocketOptions
from ftbt.hyperliquid.streams import FillStream, order_reports
from ftbt.hyperliquid.subscriptions import of_account

_TICK_S = 0.1
_EVERY_DOWN_S = 2.0
# With fewer requests left than this the account is asked again how many: trading gives new ones.
_FEW_REQUESTS = 1_000
_ASK_REQUESTS_S = 10.0
# A fill may be booked with a time just before one that was already read.
_OVERLAP_MS = 60_000


@dataclass(frozen=True, slots=True)
class Truth:
    """What REST said, all of it at one moment.

    Attributes:
        state: positions and margin.
        equity: what the account is worth; unified accounts included.
        orders: all open orders, by hand as well.
        read_at: `time.monotonic()` before the first of the reads.
        heard: the stream stood all the while: what happens from now on is told.
        drift: coins whose position is not the sum of the fills that were told, by how much
            (exchange less ours). Not empty twice in a row means that something was missed.
    """

    state: AccountState
    equity: Equity
    orders: tuple[OpenOrder, ...]
    read_at: float
    heard: bool
    drift: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream is down: what happens now comes with the next `Truth`."""

    reason: str


Event = Fill | Funding | OrderReport | Truth | Broken


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """Figures for the status line.

    Attributes:
        connected: the stream stands.
        truth_age_s: seconds since REST was last read; infinite before.
        fills: told so far.
        gaps: times that the stream broke.
        unreadable: frames of an unknown form.
        drift: coins whose position differed at the last reading.
    """

    connected: bool
    truth_age_s: float
    fills: int
    gaps: int
    unreadable: int
    drift: Mapping[str, Decimal]


class AccountStream:
    """Events of one account.

    Args:
        rest: of the venue.
        user: address of the account, never of its agent: an agent's channels stay silent.
        since: fills before this time (ms of the market) were booked by an earlier process.
        every_s: seconds between two readings of the truth; while the stream is down it is read
            every two seconds.
        socket_options: waits.
        wake: called, on a thread of this stream, when there is something to take.
        paid_since: the same for payments of funding; None is *since*.
    """

    def __init__(
        self,
        rest: Rest,
        user: str,
        since: int,
        every_s: float = 30.0,
        socket_options: SocketOptions | None = None,
        wake: Callable[[], None] = lambda: None,
        paid_since: int | None = None,
    ) -> None:
        self.failure: BaseException | None = None
        self.truth: Truth | None = None
        self._patient = rest
        self._rest, self._user, self._every, self._wake = rest.once(), user, every_s, wake
        self._fills = FillStream(since)
        self._positions: dict[str, Decimal] = {}
        self._held = True
        self._paid_until = since if paid_since is None else paid_since
        self._paid: set[tuple[int, str]] = set()
        self._read_on = 0  # connection on which the truth was read last
        self._mode = ""
        self._socket = Socket(rest.transport.endpoint, of_account(user), socket_options, "account")
        self._events: deque[Event] = deque()
        self._asked = threading.Event()
        self._ending = threading.Event()
        # Frames are taken while REST is slow to answer.
        self._threads = [
            threading.Thread(target=self._run, args=(turn,), name=name, daemon=True)
            for turn, name in ((self._hear_next, "account"), (self._read_when_due, "truth"))
        ]
        self._merging = threading.Lock()
        self._counted_at = 0.0
        self._connected = False
        self._connection = 0
        self._gaps = self._unreadable = 0

    def start(self, patience_s: float = 60.0) -> Truth:
        """Listen and read the truth once; nothing may be sent before this has returned.

        Raises:
            NetworkError, ExchangeError: the venue or its stream does not answer.
        """
        self._mode = self._patient.account_mode(self._user)
        self._socket.start()
        try:
            self._until_connected(patience_s)
            truth = self._read(self._patient)
        except BaseException:
            self._socket.stop()
            raise
        for thread in self._threads:
            thread.start()
        return truth

    def _until_connected(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not self._connected:
            if time.monotonic() > deadline:
                said = self._socket.health().last_error
                raise NetworkError(f"the account's stream does not answer: {said}")
            with suppress(queue.Empty):
                self._take(self._socket.messages.get(timeout=_TICK_S))

    def stop(self) -> None:
        """End thread and connection."""
        self._ending.set()
        self._asked.set()
        self._socket.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order, each once."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._events.popleft())
        return taken

    def waiting(self) -> int:
        """Return how many events can be taken."""
        return len(self._events)

    def reconcile(self) -> None:
        """Have the truth read soon; it comes as an event."""
        self._asked.set()

    def health(self) -> AccountHealth:
        """Return the figures of now."""
        truth = self.truth
        age = float("inf") if truth is None else time.monotonic() - truth.read_at
        return AccountHealth(
            self._connected, age, len(self._fills), self._gaps, self._unreadable,
            {} if truth is None else truth.drift,
        )  # fmt: skip

    # --- the threads ----------------------------------------------------------------------------

    def _run(self, turn: Callable[[], None]) -> None:
        try:
            while not self._ending.is_set():
                turn()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever trades
            self.failure = error
            self._wake()

    def _hear_next(self) -> None:
        if not self._socket.alive:
            raise IntegrityError("the thread of the account's socket has ended")
        with suppress(queue.Empty):
            self._take(self._socket.messages.get(timeout=_TICK_S))

    def _read_when_due(self) -> None:
        self._asked.wait(self._until_old())
        self._asked.clear()
        if self._ending.is_set():
            return
        try:
            self._read(self._rest)
            self._count_requests()
        except FtbtError:
            # A failed read says nothing about the account; it is tried again.
            self._ending.wait(1.0)
            self._asked.set()

    def _count_requests(self) -> None:
        """Ask how many requests the account has left, when that is not plenty."""
        budget = self._rest.transport.budget
        left, now = budget.spent().actions_left, time.monotonic()
        if left is None or left >= _FEW_REQUESTS or now - self._counted_at < _ASK_REQUESTS_S:
            return
        self._counted_at = now
        found = self._rest.request_budget(self._user)
        budget.account_has(found.allowed - found.used)

    def _until_old(self) -> float:
        """Return the seconds until the truth is old."""
        every = self._every if self._connected else min(self._every, _EVERY_DOWN_S)
        age = every if self.truth is None else time.monotonic() - self.truth.read_at
        return max(0.0, every - age)

    def _take(self, message: Frame | Connected | Disconnected) -> None:
        if isinstance(message, Connected):
            self._connected, self._connection = True, message.number
            self._asked.set()
        elif isinstance(message, Disconnected):
            self._gaps += self._connected
            self._connected, self._connection = False, 0
            self._tell(Broken(message.reason))
            self._asked.set()  # from now on REST is all there is
        elif message.channel in ("userFills", "orderUpdates"):
            self._hear(message)
        elif message.channel == "user":
            # Liquidations, funding and cancels by the venue change what the account is worth.
            self._hear_payment(message)
            self._asked.set()

    def _hear_payment(self, frame: Frame) -> None:
        """Tell a payment of funding at once: it belongs before the fills of that hour.

        Not before the truth was read on this connection: REST asks from the newest payment on, and
        one that was missed is older.
        """
        with suppress(Unreadable), self._merging:
            said = Node(frame.data, "user")
            if self._read_on == self._connection and said.has("funding"):
                self._book_funding(Funding.heard(said.at("funding")))

    def _hear(self, frame: Frame) -> None:
        try:
            if frame.channel == "userFills":
                with self._merging:
                    self._book(self._fills.frame(frame.data))
            else:
                for report in order_reports(frame.data):
                    self._tell(report)
        except Unreadable:
            # One entry of an unknown form must not hide the others: REST has them all.
            self._unreadable += 1
            self._asked.set()

    def _book(self, fills: list[Fill]) -> None:
        for fill in fills:
            self._positions[fill.coin] = fill.end
            self._tell(fill)

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    # --- the truth ------------------------------------------------------------------------------

    def _read(self, rest: Rest) -> Truth:
        """Read fills, orders and positions, in this order, and tell them."""
        read_at, connection = time.monotonic(), self._connection
        since = max(0, self._fills.watermark - _OVERLAP_MS)
        fills = rest.fills(self._user, since)
        orders = rest.open_orders(self._user)
        state = rest.account(self._user)
        equity = rest.equity(self._user, self._mode, state)
        paid = self._fundings(rest, state)
        with self._merging:
            self._book(self._fills.take(fills))
            for payment in paid:
                self._paid_until = max(self._paid_until, payment.time)
                self._book_funding(payment)
            self._read_on = connection
            heard = connection == self._connection and self._connected
            self.truth = Truth(state, equity, orders, read_at, heard, self._drift(state))
            self._tell(self.truth)
        return self.truth

    def _fundings(self, rest: Rest, state: AccountState) -> tuple[Funding, ...]:
        """Return the newest payments, while anything is or was held."""
        held = bool(state.positions) or any(self._positions.values())
        if not held and not self._held:
            return ()
        self._held = held
        return tuple(rest.fundings(self._user, self._paid_until))

    def _book_funding(self, paid: Funding) -> None:
        if paid.key not in self._paid:
            self._paid.add(paid.key)
            self._tell(paid)

    def _drift(self, state: AccountState) -> dict[str, Decimal]:
        """Return where the exchange's positions are not what the fills lead to."""
        coins = {*state.positions, *self._positions}
        first = self.truth is None
        found = {}
        for coin in coins:
            held = state.positions.get(coin)
            size = ZERO if held is None else held.size
            if size != self._positions.get(coin, ZERO) and not first:
                found[coin] = size - self._positions.get(coin, ZERO)
            self._positions[coin] = size
        return found
