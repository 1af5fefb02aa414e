"""A WebSocket that comes back by itself and says when it was away.

One thread reads; what it reads goes into a bounded queue in order, together with the news that the
connection was made or lost. The venue numbers no frames and repeats none, so after each gap the
truth has to be read by REST: `Connected` is the moment to do so, since all subscriptions are
acknowledged by then and nothing can be missed between the read and the stream.
"""

from __future__ import annotations

import json
import queue
import random
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import websocket

from ftbt.data.retry import Retry, shorten
from ftbt.hyperliquid.network import Endpoint
from ftbt.hyperliquid.subscriptions import Subscription

_BACK_OFF = Retry(base_s=1.0, cap_s=30.0)
_PING = json.dumps({"method": "ping"})


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """Waits in seconds and sizes.

    Attributes:
        connect_s: longest wait for a connection.
        acknowledge_s: longest wait for all acknowledgements.
        ping_s: a ping goes out this often; the venue ends what is silent for 60 s.
        silence_s: no frame at all, not even a pong, for so long: the connection is dead.
        back_off: waits between attempts.
        steady_s: a connection that held for so long starts the waits anew.
        queue_size: frames that may wait; one more is a consumer that is too slow.
    """

    connect_s: float = 10.0
    acknowledge_s: float = 10.0
    ping_s: float = 20.0
    silence_s: float = 45.0
    back_off: Retry = _BACK_OFF
    steady_s: float = 60.0
    queue_size: int = 20_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of the venue.

    Attributes:
        channel: what it belongs to.
        data: its content.
        received: `time.monotonic()` when it was read.
    """

    channel: str
    data: Any
    received: float


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection stands and every subscription is acknowledged. *number* counts them."""

    number: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; frames may be missed from here to the next `Connected`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """Figures of a socket for the status line."""

    connected: bool
    connections: int
    silent_s: float
    frames: int
    errors: int
    last_error: str


Message = Frame | Connected | Disconnected


class _Lost(Exception):  # noqa: N818 - reads as what happened
    """This connection is over; the text says why."""


class Socket:
    """Keeps subscriptions alive on one endpoint.

    Args:
        endpoint: where.
        subscriptions: what to listen to. Coins must exist: the venue closes the socket without
            a word for one that does not.
        options: waits.
        name: of the thread.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        subscriptions: Iterable[Subscription],
        options: SocketOptions | None = None,
        name: str = "socket",
    ) -> None:
        self._url = endpoint.socket_url
        self._local = endpoint.is_local
        self._wanted = tuple(dict.fromkeys(subscriptions))
        self._options = options or SocketOptions()
        self.messages: queue.Queue[Message] = queue.Queue(self._options.queue_size)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._socket: websocket.WebSocket | None = None
        self._connected = False
        self._connections = self._frames = self._errors = 0
        self._last_error = ""
        self._heard = self._pinged = time.monotonic()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """End the connection and the thread."""
        self._ending.set()
        self.reconnect()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs; a dead one must end the trading, not go unnoticed."""
        return self._thread.is_alive()

    def health(self) -> Health:
        """Return the figures of now."""
        silent = time.monotonic() - self._heard
        return Health(
            self._connected, self._connections, silent, self._frames, self._errors,
            self._last_error,
        )  # fmt: skip

    def reconnect(self) -> None:
        """Drop the connection, for example when its frames make no sense; a new one is made."""
        current: Any = self._socket
        if current is not None:
            with suppress(OSError, AttributeError, websocket.WebSocketException):
                # Only the socket: closing the library's object here would race with the reader.
                current.sock.shutdown(socket.SHUT_RDWR)

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                self._connect()
                self._listen()
            except _Lost as lost:
                reason = str(lost)
            except (OSError, websocket.WebSocketException) as error:
                reason = shorten(f"{type(error).__name__} {error}")
            finally:
                self._close()
            if self._ending.is_set():
                return
            self._connected = False
            self._errors, self._last_error = self._errors + 1, reason
            self._tell(Disconnected(reason))
            failures = 1 if time.monotonic() - began > self._options.steady_s else failures + 1
            self._ending.wait(self._options.back_off.wait_s(failures, self._jitter.random()))

    def _connect(self) -> None:
        """Connect, subscribe, and pass when everything is acknowledged."""
        proxy: dict[str, Any] = {"http_no_proxy": ["*"]} if self._local else {}
        self._socket = websocket.create_connection(
            self._url, timeout=self._options.connect_s, enable_multithread=True, **proxy
        )
        self._heard = self._pinged = time.monotonic()
        for one in self._wanted:
            request = {"method": "subscribe", "subscription": one.message()}
            self._socket.send(json.dumps(request))
        deadline = time.monotonic() + self._options.acknowledge_s
        missing = list(self._wanted)
        early: list[Frame] = []
        while missing:
            if time.monotonic() > deadline:
                raise _Lost(f"no acknowledgement of {missing[0].message()}")
            frame = self._receive(deadline)
            if frame is None:
                continue
            if frame.channel == "subscriptionResponse":
                missing = [one for one in missing if not _is_ack(one, frame.data)]
            elif frame.channel == "error":
                missing = _after_error(missing, frame.data)
            else:
                early.append(frame)
        self._connections += 1
        self._connected = True
        # Snapshots arrive with the acknowledgements; whoever is told "connected" gets them after.
        self._tell(Connected(self._connections))
        for frame in early:
            self._tell(frame)

    def _listen(self) -> None:
        while not self._ending.is_set():
            frame = self._receive(self._pinged + self._options.ping_s)
            now = time.monotonic()
            if now - self._heard > self._options.silence_s:
                raise _Lost(f"silent for {now - self._heard:.0f} s")
            if now - self._pinged >= self._options.ping_s:
                self._ping(now)
            if frame is None or frame.channel in ("pong", "subscriptionResponse"):
                continue
            if frame.channel == "error":
                self._errors, self._last_error = self._errors + 1, str(frame.data)[:200]
                continue
            self._tell(frame)

    def _ping(self, now: float) -> None:
        assert self._socket is not None
        self._socket.send(_PING)
        self._pinged = now

    def _receive(self, until: float) -> Frame | None:
        """Return the next frame; None when none came until *until* (monotonic)."""
        assert self._socket is not None
        # A frame that was cut by the timeout is kept by the library and goes on later.
        self._socket.settimeout(min(1.0, max(0.01, until - time.monotonic())))
        try:
            raw = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            return None
        received = self._heard = time.monotonic()
        if not raw:
            raise _Lost("the exchange closed the connection")
        self._frames += 1
        return self._read(raw, received)

    def _read(self, raw: str | bytes, received: float) -> Frame | None:
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            return None  # a greeting in plain text
        if not isinstance(message, dict) or not isinstance(message.get("channel"), str):
            self._errors, self._last_error = self._errors + 1, "a frame without a channel"
            return None
        return Frame(message["channel"], message.get("data"), received)

    def _tell(self, message: Message) -> None:
        try:
            self.messages.put_nowait(message)
        except queue.Full:
            if isinstance(message, Frame):
                # Dropping one frame would be a gap that nobody knows of: end the connection.
                raise _Lost(
                    f"{self.messages.maxsize} frames wait: whoever reads them is too slow"
                ) from None
            self._make_room()
            self.messages.put_nowait(message)

    def _make_room(self) -> None:
        """Drop what waits: a gap is being announced, and the truth will be read anew."""
        with suppress(queue.Empty):
            while True:
                self.messages.get_nowait()

    def _close(self) -> None:
        current: Any = self._socket
        self._socket = None
        if current is not None:
            with suppress(OSError, websocket.WebSocketException):
                current.close(timeout=1)
            # After a close frame the library counts as closed but keeps its socket open.
            current.shutdown()


def _is_ack(one: Subscription, data: Any) -> bool:
    asked = isinstance(data, dict) and data.get("method") == "subscribe"
    return asked and one.is_acknowledged_by(data.get("subscription"))


def _after_error(missing: list[Subscription], said: Any) -> list[Subscription]:
    """Return what is still missing: "already subscribed" is as good as an acknowledgement."""
    text = str(said)
    if text.lower().startswith("already subscribed"):
        with suppress(ValueError):
            echo = json.loads(text.partition(":")[2])
            return [one for one in missing if not one.is_acknowledged_by(echo)]
    raise _Lost(f"the exchange refuses a subscription: {shorten(text)}")
