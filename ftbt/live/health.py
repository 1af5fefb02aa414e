"""Whether the process lives, whether it may trade, and figures for Prometheus, over HTTP.

Read-only, on a thread of its own, and on this machine only unless asked otherwise. It knows the
newest status and when it came; it asks nothing of the session, so it can't disturb it.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from typing import Any

from ftbt.errors import ConfigError, InputError
from ftbt.live.health_metrics import CONTENT_TYPE, Exposition
from ftbt.live.status import Status

_LOG = logging.getLogger("ftbt.health")
_MOST_READERS = 16
_READ_S = 5.0
# Hosts by which a browser page on this machine may not pretend to be us (DNS rebinding).
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """Where to listen, and when the process counts as dead.

    Attributes:
        port: 0 for any free one (tests), else 1024 to 65535.
        host: an address of this machine.
        beyond_loopback: allow a host that others can reach; anybody there sees the account's
            figures, for there is no password.
        heartbeat_s: a loop that says nothing for so long is dead, 1 to 3600.
        start_s: how long the start may take before it counts as hanging, 10 to 86400.
    """

    port: int
    host: str = "127.0.0.1"
    beyond_loopback: bool = False
    heartbeat_s: float = 30.0
    start_s: float = 900.0

    def __post_init__(self) -> None:
        if self.port != 0 and not 1024 <= self.port <= 65_535:
            raise ConfigError(f"the health port must be 1024 to 65535, not {self.port}")
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise ConfigError(
                f"the health address must be an IP address such as 127.0.0.1, not {self.host!r}"
            ) from None
        if not address.is_loopback and not self.beyond_loopback:
            raise ConfigError(
                f"health on {self.host} could be read by other machines, and it has no password:"
                " use 127.0.0.1, or --health-beyond-loopback when something in front guards it"
            )
        for name, low, high in (("heartbeat_s", 1.0, 3_600.0), ("start_s", 10.0, 86_400.0)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must be {low:g} to {high:g}, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered.

    Attributes:
        well: 200, else 503.
        state: in a word.
        why: what is not as it should be.
    """

    well: bool
    state: str
    why: tuple[str, ...] = ()


class Pulse:
    """The newest status and when it came; written by the session, read by the server."""

    def __init__(self, config: HealthConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._began = clock()
        self._newest: tuple[Status, float] | None = None

    def show(self, status: Status) -> None:
        """Take the newest status."""
        self._newest = (status, self._clock())

    @property
    def status(self) -> Status | None:
        """The newest status."""
        return None if self._newest is None else self._newest[0]

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest status; None before the first."""
        return None if self._newest is None else self._clock() - self._newest[1]

    def alive(self) -> Answer:
        """Tell whether process and loop are alive."""
        newest = self._newest
        if newest is None:
            waited = self._clock() - self._began
            late = waited > self._config.start_s
            why = (f"still starting after {waited:.0f} s",) if late else ()
            return Answer(not late, "starting", why)
        if newest[0].over:
            return Answer(False, "ended", ("the session is over",))
        age = self._clock() - newest[1]
        if age > self._config.heartbeat_s:
            return Answer(False, "hangs", (f"the loop has said nothing for {age:.0f} s",))
        return Answer(True, "alive")

    def ready(self) -> Answer:
        """Tell whether positions may be opened, and what stands against it."""
        alive, status = self.alive(), self.status
        why = list(alive.why)
        if status is None:
            why.append("not started yet")
        else:
            why += [] if status.connected else ["not connected"]
            old = "" if status.live else "the market data are old"
            why += [reason] if (reason := status.ready or old) else []
            why += [f"{c} has had no stop for {s:.0f} s" for c, s in status.unprotected.items()]
        return Answer(not why, "ready" if not why else "not ready", tuple(dict.fromkeys(why)))


class HealthServer:
    """Answers on `/healthz`, `/readyz` and `/metrics`.

    Args:
        config: where.
        extra: further figures by name, read at each question for metrics.

    Raises:
        InputError: the port is taken, or the address is not of this machine.
    """

    def __init__(self, config: HealthConfig, extra: Callable[[], dict[str, float]] = dict) -> None:
        self.pulse = Pulse(config)
        self._exposition = Exposition(self.pulse, extra)
        try:
            self._server = _Server(config, self._answer)
        except OSError as error:
            raise InputError(
                f"cannot listen on {config.host} port {config.port}: {error.strerror or error};"
                " give another --health-port"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def show(self, status: Status) -> None:
        """Take the newest status; returns at once."""
        self.pulse.show(status)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for *path*."""
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, self._exposition.text()
        found = {"/healthz": self.pulse.alive, "/readyz": self.pulse.ready}.get(path)
        if found is None:
            body: dict[str, Any] = {"error": "there are /healthz, /readyz and /metrics"}
            return HTTPStatus.NOT_FOUND, "application/json", json.dumps(body).encode()
        answer, age = found(), self.pulse.age_s
        body = {
            "state": answer.state, "why": list(answer.why),
            "heartbeat_age_s": None if age is None or math.isinf(age) else round(age, 3),
        }  # fmt: skip
        code = HTTPStatus.OK if answer.well else HTTPStatus.SERVICE_UNAVAILABLE
        return code, "application/json", json.dumps(body).encode()


class _Server(ThreadingHTTPServer):
    """A thread for each reader, and not too many of them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, config: HealthConfig, answer: Callable[[str], tuple[int, str, bytes]]
    ) -> None:
        if ":" in config.host:
            self.address_family = AF_INET6
        self.answer = answer
        self.names = None if config.beyond_loopback else (*_LOCAL_NAMES, config.host)
        self._places = threading.BoundedSemaphore(_MOST_READERS)
        super().__init__((config.host, config.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve, or hang up when too many are being served."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one reader and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Log what went wrong with a reader; it is no trouble of the session."""
        del request
        _LOG.debug("a reader of health at %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _READ_S
    server: _Server
    server_version, sys_version = "ftbt", ""

    def do_GET(self) -> None:
        """Answer with a body."""
        self._reply(body=True)

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._reply(body=False)

    def _reply(self, *, body: bool) -> None:
        named = self.headers.get("Host", "").rpartition(":")
        host = (named[0] or named[2]).lower()
        names = self.server.names
        if names is not None and host not in names:
            code, kind, text = int(HTTPStatus.FORBIDDEN), "text/plain", b"not by this name\n"
        else:
            code, kind, text = self.server.answer(self.path.partition("?")[0])
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if body:
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: health is asked for every few seconds."""
