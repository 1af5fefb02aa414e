"""The API server: `/info`, `/exchange` and `/ws` on one loopback port, control on another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from ftbt.localnet import info, rules
from ftbt.localnet.exchange import Exchange, failed
from ftbt.localnet.faults import ACTION_TEXTS, HTTP_ANSWERS, Fault
from ftbt.localnet.host import Host
from ftbt.localnet.limits import action_weight, extra_weight, info_weight
from ftbt.localnet.replay import Replay
from ftbt.localnet.sockets import Hub, dumps
from ftbt.localnet.wireform import Unreadable

HOST = "127.0.0.1"
_FOREVER = 3600.0
_NOT_JSON = "Failed to parse the request body as JSON"
_NOT_READABLE = "Failed to deserialize the JSON body into the target type"
_NOT_TYPED = "Expected request with `Content-Type: application/json`"


class Server:
    """One API server around a host."""

    def __init__(self, host: Host, note: Callable[[str], None] = lambda _: None) -> None:
        self.host = host
        self.exchange = Exchange(host, note)
        self.hub = Hub(host, self._post)
        self.replay = Replay(host, self.hub)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    # --- running ----------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Listen on *port* of the loopback interface (0: any free one) and start the market."""
        app = web.Application(client_max_size=2**22)
        app.router.add_post("/info", self._info)
        app.router.add_post("/exchange", self._exchange)
        app.router.add_get("/ws", self.hub.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        self.port = port
        await self._listen()
        self._tasks = [
            asyncio.create_task(self.replay.run()),
            asyncio.create_task(self._watch_idle()),
        ]

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, HOST, self.port)
        await self._site.start()
        self.port = port_of(self._site)

    async def _watch_idle(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.hub.close_idle()

    async def refuse(self, seconds: float) -> None:
        """Refuse new connections, and cut the open ones, for *seconds*."""
        assert self._runner is not None
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for protocol in list(self._runner.server.connections if self._runner.server else []):
            if protocol.transport is not None:
                protocol.transport.abort()

        async def again() -> None:
            await asyncio.sleep(seconds)
            await self._listen()

        self._tasks.append(asyncio.create_task(again()))

    async def stop(self) -> None:
        """Stop listening and end all tasks."""
        for task in self._tasks:
            task.cancel()
        for connection in self.hub.connections:
            connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    def publish(self) -> None:
        """Tell the clients what has happened since the last time."""
        self.hub.publish(self.host.venue.drain())

    # --- requests ---------------------------------------------------------------------------------

    async def _info(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request, "info")

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request, "exchange")

    async def _handle(self, request: web.Request, path: str) -> web.StreamResponse:
        try:
            raw = await request.read()
        except ConnectionResetError:
            return _cut(request)  # whoever asked is gone, perhaps killed
        kind = request.content_type
        if not (
            kind == "application/json" or (kind.startswith("application/") and "+json" in kind)
        ):
            return web.Response(status=415, text=_NOT_TYPED)
        try:
            body = _parse(raw)
        except Unreadable:
            return web.Response(status=422, text=_NOT_READABLE)
        except ValueError:
            return web.Response(status=400, text=_NOT_JSON)
        fault = self.host.faults.take("http", **_attributes(path, body))
        if fault is not None:
            return await self._disturbed(request, path, body, fault)
        status, answer = self.answer(path, body, request.remote or "")
        return _response(status, answer)

    def answer(self, path: str, body: Any, ip: str) -> tuple[int, Any]:
        """Return HTTP status and answer; a text is plain text, all else is JSON."""
        weight = info_weight(_type_of(body)) if path == "info" else action_weight(_items(body))
        if not self.host.ip.spend(ip, weight):
            return 429, None
        try:
            if path == "info":
                kind, answer = info.answer(self.host, body)
                self.host.ip.spend(ip, extra_weight(kind, answer), must=True)
            else:
                answer = self._act(body)
        except Unreadable:
            return 422, _NOT_READABLE
        except info.Failed:
            return 500, None
        return 200, Json(self.host.faults.shape("body", answer, path=path, type=_type_of(body)))

    def _act(self, body: Any) -> dict[str, Any]:
        fault = self.host.faults.take("action", **_attributes("exchange", body))
        if fault is not None:
            return _refusal(fault, body)
        answer = self.exchange.handle(body)
        self.publish()
        if _has_statuses(answer):
            shaped: dict[str, Any] = self.host.faults.shape(
                "answer", answer, **_attributes("exchange", body)
            )
            return shaped
        return answer

    async def _post(self, kind: str, payload: Any, ip: str) -> dict[str, Any]:
        """Answer a request that came over a WebSocket."""
        path = "exchange" if kind == "action" else "info"
        status, answer = self.answer(path, payload, ip)
        if status != 200 or not isinstance(answer, Json):
            return {"type": "error", "payload": f"{status}: {answer or 'null'}"}
        if kind == "info":
            return {"type": "info", "payload": {"type": _type_of(payload), "data": answer.value}}
        return {"type": "action", "payload": answer.value}

    # --- faults -----------------------------------------------------------------------------------

    async def _disturbed(
        self, request: web.Request, path: str, body: Any, fault: Fault
    ) -> web.StreamResponse:
        ip = request.remote or ""
        if fault.name in HTTP_ANSWERS:
            status, text = HTTP_ANSWERS[fault.name]
            return _raw(int(fault.detail.get("status", status)), fault.detail.get("body", text))
        if fault.name == "hang":
            await asyncio.sleep(fault.seconds or _FOREVER)
            return _cut(request)
        if fault.name == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.name == "reset":
            return _cut(request)
        status, answer = self.answer(path, body, ip)
        if fault.name == "duplicate_delivery":
            self.answer(path, body, ip)
        elif fault.name == "commit_then_hang":
            await asyncio.sleep(fault.seconds or _FOREVER)
            return _cut(request)
        elif fault.name == "commit_then_drop":
            return _cut(request)
        elif fault.name == "commit_then_bad_gateway":
            return _raw(*HTTP_ANSWERS["bad_gateway"])
        elif fault.name == "close_after":
            return await _close_after(request, _response(status, answer))
        elif fault.name in ("partial_body", "wrong_length"):
            return await _broken(request, answer, fault.name)
        return _response(status, answer)


def port_of(site: web.TCPSite) -> int:
    """Return the port that *site* listens on: the way to learn which one was free."""
    server = site._server  # noqa: SLF001 - aiohttp tells it in no other way
    assert isinstance(server, asyncio.Server)
    return int(server.sockets[0].getsockname()[1])


class Json:
    """An answer that is JSON, also when it is a text."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _response(status: int, answer: Any) -> web.Response:
    if isinstance(answer, str):
        return web.Response(status=status, text=answer)
    value = answer.value if isinstance(answer, Json) else answer
    return web.Response(status=status, text=dumps(value), content_type="application/json")


def _raw(status: int, text: str) -> web.Response:
    kind = "text/html" if text.startswith("<") else "text/plain"
    return web.Response(status=status, text=text, content_type=kind)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _close_after(request: web.Request, response: web.Response) -> web.Response:
    """Answer, then close the connection that the client means to keep."""
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        request.transport.close()
    return response


async def _broken(request: web.Request, answer: Any, name: str) -> web.StreamResponse:
    """Send a body that ends too early: half of it, or less than its length says."""
    text = dumps(answer.value if isinstance(answer, Json) else answer).encode()
    promised = len(text) + (64 if name == "wrong_length" else 0)
    sent = text if name == "wrong_length" else text[: len(text) // 2]
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = promised
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(sent)
        await asyncio.sleep(0.05)
    _cut(request)
    return response


def _refusal(fault: Fault, body: Any) -> dict[str, Any]:
    """Return the answer of an action that a fault refuses before it is carried out."""
    if fault.name in ACTION_TEXTS:
        return failed(str(fault.detail.get("text", ACTION_TEXTS[fault.name])))
    text = str(fault.detail.get("text", rules.MARGIN.text))
    count = 1 if fault.name == "batch_error" else _items(body)
    statuses = [{"error": text} for _ in range(count)]
    kind = "cancel" if _type_of(body).startswith("cancel") else "order"
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}


def _parse(raw: bytes) -> Any:
    """Return the first JSON value of *raw*; what follows it is ignored, as the venue does.

    Raises:
        ValueError: no JSON. Unreadable: a field is there twice.
    """
    value, _ = json.JSONDecoder(object_pairs_hook=_once).raw_decode(raw.decode().lstrip())
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a field is there twice")
    return found


def _action(body: Any) -> dict[str, Any]:
    action = body.get("action") if isinstance(body, dict) else None
    return action if isinstance(action, dict) else {}


def _type_of(body: Any) -> str:
    source = _action(body) or body
    return str(source.get("type", "")) if isinstance(source, dict) else ""


def _items(body: Any) -> int:
    action = _action(body)
    lists = [action.get(name) for name in ("orders", "cancels", "modifies")]
    return next((len(one) for one in lists if isinstance(one, list)), 1)


def _has_statuses(answer: dict[str, Any]) -> bool:
    response = answer.get("response")
    return isinstance(response, dict) and bool(response.get("data", {}))


def _attributes(path: str, body: Any) -> dict[str, Any]:
    """Return what a fault may ask of a request."""
    found: dict[str, Any] = {"path": path, "type": _type_of(body)}
    action = _action(body)
    first = next((action[n][0] for n in ("orders", "cancels", "modifies") if action.get(n)), action)
    if isinstance(first, dict):
        order = first.get("order", first)
        cloid = order.get("c", order.get("cloid")) if isinstance(order, dict) else None
        found["cloid"] = cloid
        found["reduceOnly"] = order.get("r") if isinstance(order, dict) else None
        found["grouping"] = action.get("grouping")
    if path == "info" and isinstance(body, dict):
        found["user"] = body.get("user")
    return found
