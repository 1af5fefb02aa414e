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
from ftbt.hyperliquid.answers import Unreadable
from ftbt.hyperliquid.records import ZERO, AccountState, Fill, Funding, OpenOrder, OrderReport
from ftbt.hyperliquid.rest import Equity, Rest
from ftbt.hyperliquid.sockets import Connected, Disconnected, Frame, Socket, SocketOptions
from ftbt.hyperliquid.streams import FillStream, order_reports
from ftbt.hyperliquid.subscriptions import of_account

_TICK_S = 0.1
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
        drift: coins whose position is not the sum of the fills that were told, by how much
            (exchange less ours). Not empty twice in a row means that something was missed.
    """

    state: AccountState
    equity: Equity
    orders: tuple[OpenOrder, ...]
    read_at: float
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
        every_s: seconds between two readings of the truth.
        socket_options: waits.
        wake: called, on this stream's thread, when there is something to take.
    """

    def __init__(
        self,
        rest: Rest,
        user: str,
        since: int,
        every_s: float = 30.0,
        socket_options: SocketOptions | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.failure: BaseException | None = None
        self.truth: Truth | None = None
        self._rest, self._user, self._every, self._wake = rest, user, every_s, wake
        self._fills = FillStream(since)
        self._positions: dict[str, Decimal] = {}
        self._held = True
        self._paid_until = since
        self._paid: set[tuple[int, str]] = set()
        self._mode = ""
        self._socket = Socket(rest.transport.endpoint, of_account(user), socket_options, "account")
        self._events: deque[Event] = deque()
        self._asked = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="account events", daemon=True)
        self._connected = False
        self._gaps = self._unreadable = 0

    def start(self, patience_s: float = 60.0) -> Truth:
        """Listen and read the truth once; nothing may be sent before this has returned.

        Raises:
            NetworkError, ExchangeError: the venue or its stream does not answer.
        """
        self._mode = self._rest.account_mode(self._user)
        self._socket.start()
        try:
            self._until_connected(patience_s)
            truth = self._read()
        except BaseException:
            self._socket.stop()
            raise
        self._thread.start()
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
        self._socket.stop()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order, each once."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._events.popleft())
        return taken

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

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._turn()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever trades
            self.failure = error
            self._wake()

    def _turn(self) -> None:
        if not self._socket.alive:
            raise IntegrityError("the thread of the account's socket has ended")
        with suppress(queue.Empty):
            self._take(self._socket.messages.get(timeout=_TICK_S))
        if self._asked.is_set() or self._old():
            self._asked.clear()
            self._try_to_read()

    def _old(self) -> bool:
        return self.truth is None or time.monotonic() - self.truth.read_at > self._every

    def _take(self, message: Frame | Connected | Disconnected) -> None:
        if isinstance(message, Connected):
            self._connected = True
            self._asked.set()
        elif isinstance(message, Disconnected):
            self._gaps += self._connected
            self._connected = False
            self._tell(Broken(message.reason))
        elif message.channel in ("userFills", "orderUpdates"):
            self._hear(message)
        elif message.channel == "user":
            # Liquidations, funding and cancels by the venue change what the account is worth.
            self._asked.set()

    def _hear(self, frame: Frame) -> None:
        try:
            if frame.channel == "userFills":
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

    def _try_to_read(self) -> None:
        try:
            self._read()
        except FtbtError:
            # A failed read says nothing about the account; it is tried again with the next turn.
            self._ending.wait(1.0)
            self._asked.set()

    def _read(self) -> Truth:
        """Read fills, orders and positions, in this order, and tell them."""
        read_at = time.monotonic()
        since = max(0, self._fills.watermark - _OVERLAP_MS)
        fills = self._rest.fills(self._user, since)
        orders = self._rest.open_orders(self._user)
        state = self._rest.account(self._user)
        equity = self._rest.equity(self._user, self._mode, state)
        self._book(self._fills.take(fills))
        self._book_funding(state)
        self.truth = Truth(state, equity, orders, read_at, self._drift(state))
        self._tell(self.truth)
        return self.truth

    def _book_funding(self, state: AccountState) -> None:
        """Tell payments that were not told, while anything is or was held."""
        held = bool(state.positions) or any(self._positions.values())
        if not held and not self._held:
            return
        self._held = held
        for paid in self._rest.fundings(self._user, self._paid_until):
            if (paid.time, paid.coin) not in self._paid:
                self._paid.add((paid.time, paid.coin))
                self._paid_until = max(self._paid_until, paid.time)
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
