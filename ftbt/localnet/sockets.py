"""WebSocket connections: requests in, frames out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from ftbt.localnet import channels
from ftbt.localnet.channels import Frame, Subscription, UnknownCoin
from ftbt.localnet.core import Event
from ftbt.localnet.host import Host
from ftbt.localnet.limits import SocketLimits
from ftbt.localnet.publisher import Publisher
from ftbt.localnet.shapes import SHAPES
from ftbt.localnet.wireform import Unreadable

IDLE_SECONDS = 60.0
_MOST_MESSAGES = 2000
_MINUTE = 60.0

Post = Callable[[str, Any, str], Awaitable[dict[str, Any]]]


def dumps(value: Any) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


class Connection:
    """One client."""

    def __init__(self, socket: web.WebSocketResponse, ip: str) -> None:
        self.socket = socket
        self.ip = ip
        self.subscriptions: dict[tuple[tuple[str, Any], ...], Subscription] = {}
        self.last_sent = time.monotonic()
        self.silent_until = 0.0
        self.received: list[float] = []
        self.held: list[Frame] = []
        self.pushed: dict[Any, Any] = {}
        self._queue: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self.writer = asyncio.create_task(self._write())

    @property
    def is_silent(self) -> bool:
        """Half open: it takes nothing and gives nothing."""
        return time.monotonic() < self.silent_until

    @property
    def waiting(self) -> int:
        """Frames that are not written yet."""
        return 0 if self.socket.closed else self._queue.qsize()

    def send(self, frame: Frame | None, channel: str = "", drip: float = 0.0) -> None:
        """Queue a frame; *drip* seconds pass before it and hold up what comes after it."""
        if self.is_silent:
            return
        body = {"channel": channel} if frame is None else {"channel": frame.channel,
                                                           "data": frame.data}  # fmt: skip
        self._queue.put_nowait((dumps(body), drip))

    async def _write(self) -> None:
        while not self.socket.closed:
            body, drip = await self._queue.get()
            if drip:
                await asyncio.sleep(drip)
            with suppress(ConnectionError, RuntimeError):
                await self.socket.send_str(body)
            self.last_sent = time.monotonic()

    def silence(self, seconds: float) -> None:
        """Take nothing and give nothing for *seconds*, with the line open."""
        self.silent_until = time.monotonic() + seconds

    def abort(self) -> None:
        """Cut the line without a close frame."""
        transport = self.socket._req.transport if self.socket._req else None  # noqa: SLF001
        if transport is not None:
            transport.abort()

    @property
    def users(self) -> set[str]:
        """The accounts that it follows."""
        return {sub["user"] for sub in self.subscriptions.values() if "user" in sub}


class Hub:
    """All connections, and what they are told."""

    def __init__(self, host: Host, post: Post) -> None:
        self.host = host
        self.connections: list[Connection] = []
        self.limits: dict[str, SocketLimits] = {}
        self.idle_seconds = IDLE_SECONDS
        self._post = post
        self._publisher = Publisher(host)
        self._later: set[asyncio.Task[None]] = set()

    # --- connections ------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it leaves."""
        ip = request.remote or ""
        limits = self.limits.setdefault(ip, SocketLimits())
        if self.host.faults.take("connect", ip=ip) is not None:
            return web.Response(status=503, text="refused")
        mine = sum(1 for one in self.connections if one.ip == ip)
        if not limits.may_open(mine, time.monotonic() * 1000) and self.host.ip.enabled:
            return web.Response(status=429, text="null", content_type="application/json")
        socket = web.WebSocketResponse(autoping=True, max_msg_size=2**22)
        await socket.prepare(request)
        connection = Connection(socket, ip)
        self.connections.append(connection)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT and not connection.is_silent:
                    await self._message(connection, message.data)
        finally:
            connection.writer.cancel()
            self.connections.remove(connection)
        return socket

    async def close_idle(self) -> None:
        """Close connections to which nothing was sent for too long."""
        now = time.monotonic()
        for one in list(self.connections):
            if now - one.last_sent > self.idle_seconds and not one.is_silent:
                await one.socket.close(code=1000, message=b"Inactive")

    async def flush(self, seconds: float = 5.0) -> None:
        """Wait until every frame is on its way, at most *seconds*."""
        end = time.monotonic() + seconds
        while any(one.waiting for one in self.connections) and time.monotonic() < end:
            await asyncio.sleep(0.001)

    @property
    def backlog(self) -> int:
        """The longest queue of frames."""
        return max((one.waiting for one in self.connections), default=0)

    # --- requests ---------------------------------------------------------------------------------

    async def _message(self, one: Connection, text: str) -> None:
        if self._too_many(one):
            self._error(one, "Too many messages.")
            return
        try:
            message = json.loads(text)
            method = message["method"]
        except (ValueError, TypeError, KeyError):
            self._error(one, f"Error parsing JSON into valid websocket request: {text}")
            return
        if method == "ping":
            self._pong(one)
        elif method == "post":
            await self._answer_post(one, message)
        elif method in ("subscribe", "unsubscribe"):
            await self._subscribing(one, method, message.get("subscription"), text)
        else:
            self._error(one, f"Error parsing JSON into valid websocket request: {text}")

    def _too_many(self, one: Connection) -> bool:
        now = time.monotonic()
        one.received = [moment for moment in one.received if moment > now - _MINUTE]
        one.received.append(now)
        return self.host.ip.enabled and len(one.received) > _MOST_MESSAGES

    def _pong(self, one: Connection) -> None:
        fault = self.host.faults.take("pong", ip=one.ip)
        one.send(None, "pong", drip=0.0 if fault is None else fault.seconds)

    def _error(self, one: Connection, text: str) -> None:
        one.send(Frame("error", text))

    async def _answer_post(self, one: Connection, message: dict[str, Any]) -> None:
        request = message.get("request")
        number = message.get("id")
        if not isinstance(request, dict) or not isinstance(number, int):
            self._error(one, f"Error parsing JSON into valid websocket request: {dumps(message)}")
            return
        response = await self._post(str(request.get("type")), request.get("payload"), one.ip)
        one.send(Frame("post", {"id": number, "response": response}))

    async def _subscribing(self, one: Connection, method: str, value: Any, text: str) -> None:
        try:
            subscription = channels.read(self.host, value)
        except UnknownCoin:
            one.abort()
            return
        except Unreadable:
            self._error(one, f"Error parsing JSON into valid websocket request: {text}")
            return
        key = channels.key(subscription)
        if (key in one.subscriptions) == (method == "subscribe"):
            self._error(one, f"Already {method}d: {dumps(subscription)}")
            return
        refusal = self._limit(one, subscription) if method == "subscribe" else None
        if refusal is not None:
            self._error(one, refusal)
            return
        if method == "unsubscribe":
            del one.subscriptions[key]
            self._acknowledge(one, method, subscription)
            return
        fault = self.host.faults.take("subscribe", type=subscription["type"], ip=one.ip)
        if fault is not None and fault.name == "ws_error_frame":
            self._error(one, str(fault.detail.get("text", "Invalid subscription")))
            return
        one.subscriptions[key] = subscription
        if fault is None:
            self._acknowledge(one, method, subscription)
            snapshot = channels.SNAPSHOTS.get(subscription["type"])
            if snapshot is not None:
                self._send(one, snapshot(self.host, subscription), subscription)

    def _acknowledge(self, one: Connection, method: str, subscription: Subscription) -> None:
        data = {"method": method, "subscription": subscription}
        one.send(Frame("subscriptionResponse", data))

    def _limit(self, one: Connection, subscription: Subscription) -> str | None:
        if not self.host.ip.enabled:
            return None
        limits = self.limits[one.ip]
        mine = [other for other in self.connections if other.ip == one.ip]
        if sum(len(other.subscriptions) for other in mine) >= limits.subscriptions:
            return f"Cannot have more than {limits.subscriptions} subscriptions."
        users = set().union(*(other.users for other in mine))
        if "user" in subscription and len(users | {subscription["user"]}) > limits.users:
            return f"Cannot track more than {limits.users} total users."
        return None

    # --- frames -----------------------------------------------------------------------------------

    def publish(self, events: Iterable[Event]) -> None:
        """Tell every connection what happened."""
        if not self.connections:
            return
        batch = self._publisher.batch(events)
        for one in self.connections:
            for subscription in list(one.subscriptions.values()):
                for frame in self._publisher.frames(batch, subscription, one.pushed):
                    self._send(one, frame, subscription)

    def _send(self, one: Connection, frame: Frame, subscription: Subscription) -> None:
        attributes = {
            "channel": frame.channel, "user": subscription.get("user"),
            "coin": subscription.get("coin"),
        }  # fmt: skip
        fault = self.host.faults.take("frame", **attributes)
        if fault is None:
            one.send(frame)
        elif fault.name in ("ws_drop", "candle_silence"):
            return
        elif fault.name in ("ws_duplicate", "candle_repeat"):
            one.send(frame)
            one.send(frame)
        elif fault.name == "ws_late":
            self._delay(one, frame, fault.seconds)
        elif fault.name == "ws_hold":
            one.held.append(frame)
            return
        elif fault.name == "ws_drip":
            one.send(frame, drip=fault.seconds)
        else:
            one.send(Frame(frame.channel, SHAPES[fault.name](frame.data, fault.detail)))
        while one.held:
            one.send(one.held.pop(0))

    def _delay(self, one: Connection, frame: Frame, seconds: float) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            one.send(frame)

        task = asyncio.create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)
