"""One POST to the venue: always with a timeout, and every failure put where it belongs.

What matters about a failed request is whether it may have been carried out. A refused connection
or an HTTP 4xx says no. A timeout, a connection that breaks after sending, a 5xx or an unreadable
answer say nothing: for a question that is `NetworkError` (ask again), for an action it is
`OutcomeUnknown` (find out, never send a new one).

`requests` knows proxies and certificates and makes the connections; requests themselves go straight
to its pool of urllib3, which takes half the time.
"""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.ssl_match_hostname import CertificateError as NotItsName

from ftbt.data.retry import retry_after_s, shorten
from ftbt.errors import ExchangeError, FtbtError, NetworkError, OutcomeUnknown, RateLimitError
from ftbt.hyperliquid.budget import Budget, Priority, action_weight, answer_weight, info_weight
from ftbt.hyperliquid.network import Endpoint

_OK = 200
_TOO_MANY = 429
_SERVER_FAULT = 500
_CLIENT_FAULT = 400
_GREETING = "exchangeStatus"
_GREETING_S = (2.0, 2.0)
# Whether to send again is never decided here.
_ONCE = Retry(0, read=False)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits in seconds.

    Attributes:
        connect: for a connection.
        read: for the next byte of an answer.
        turn: for room in the budget.
    """

    connect: float = 3.0
    read: float = 10.0
    turn: float = 30.0


@dataclass(frozen=True, slots=True)
class _Line:
    """Connections to the venue, with what each request says of itself."""

    pool: HTTPConnectionPool
    headers: dict[str, str]
    base: str


class Transport:
    """POSTs to one endpoint. Each thread has a connection of its own.

    Args:
        endpoint: where.
        budget: counts the weight.
        timeouts: longest waits.
    """

    def __init__(
        self, endpoint: Endpoint, budget: Budget, timeouts: Timeouts | None = None
    ) -> None:
        self.endpoint = endpoint
        self.budget = budget
        self._timeouts = timeouts or Timeouts()
        self._threads = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            while self._sessions:
                self._sessions.pop().close()

    def ask(self, payload: dict[str, Any], priority: Priority) -> Any:
        """Return the answer to an info request.

        Raises:
            NetworkError: no usable answer; the same question may be asked again.
            ExchangeError: the venue does not take this question.
        """
        kind = str(payload["type"])
        self.budget.take(info_weight(kind), priority, self._timeouts.turn)
        try:
            answer = self._post("/info", json.dumps(payload).encode())
        except OutcomeUnknown as error:  # a question changes nothing: not knowing is no answer
            raise NetworkError(str(error)) from error.__cause__
        if isinstance(answer, list):
            self.budget.add(answer_weight(kind, len(answer)))
        return answer

    def act(self, body: bytes, items: int, priority: Priority) -> Any:
        """Return the answer to signed bytes; *items* is how many orders or cancels they hold.

        Raises:
            NetworkError: surely not carried out.
            ExchangeError: refused.
            OutcomeUnknown: it may have been carried out or may yet be.
        """
        self.budget.take(action_weight(items), priority, self._timeouts.turn)
        return self._post("/exchange", body)

    def greet(self) -> None:
        """Have the connection of this thread stand: a handshake takes longer than a request.

        It waits for no turn and not for long, and failing is no harm: a request would connect.
        """
        with suppress(FtbtError):
            self.budget.take(info_weight(_GREETING), Priority.READ, 0.0)
            self._post("/info", json.dumps({"type": _GREETING}).encode(), _GREETING_S)

    def _line(self) -> _Line:
        found: _Line | None = getattr(self._threads, "line", None)
        if found is None:
            session = requests.Session()
            # A proxy that is set for the internet can't reach this machine's own server.
            session.trust_env = not self.endpoint.is_local
            found = self._threads.line = _line_of(session, self.endpoint.url)
            with self._lock:
                self._sessions.append(session)
        return found

    def _post(self, path: str, body: bytes, limits: tuple[float, float] | None = None) -> Any:
        where = f"{self.endpoint.network} {path}"
        connect, read = limits or (self._timeouts.connect, self._timeouts.read)
        line = self._line()
        try:
            response = line.pool.urlopen(
                "POST", line.base + path, body, line.headers, retries=_ONCE, redirect=False,
                assert_same_host=False, timeout=Timeout(connect=connect, read=read),
            )  # fmt: skip
        except (HTTPError, OSError) as error:
            raise _no_answer(where, error) from error
        if response.status == _OK:
            return _decoded(where, response.data)
        raise self._refused(where, response)

    def _refused(self, where: str, response: BaseHTTPResponse) -> Exception:
        code, said = response.status, _text(response.data)
        if code == _TOO_MANY:
            pause = retry_after_s(response.headers) or 10.0
            self.budget.venue_said_stop(pause)
            return RateLimitError(f"{where}: too many requests (HTTP 429)")
        if code >= _SERVER_FAULT:
            return OutcomeUnknown(f"{where}: the server failed (HTTP {code}: {said})")
        if code >= _CLIENT_FAULT:
            return ExchangeError(f"{where}: refused (HTTP {code}: {said})")
        return OutcomeUnknown(f"{where}: an answer that is none (HTTP {code}: {said})")


def _line_of(session: requests.Session, url: str) -> _Line:
    """Return the connections of *session* to *url*.

    Raises:
        OSError: the certificates that the environment names are not there.
    """
    session.headers["Content-Type"] = "application/json"
    around = session.merge_environment_settings(url, {}, None, None, None)
    asked = session.prepare_request(requests.Request("POST", url))
    adapter = session.get_adapter(url)
    assert isinstance(adapter, HTTPAdapter), "a session has no others unless told"
    pool = adapter.get_connection_with_tls_context(asked, around["verify"], around["proxies"])
    adapter.cert_verify(pool, url, around["verify"], None)
    headers = {name: str(value) for name, value in session.headers.items()}
    return _Line(pool, headers, urlsplit(url).path)


def _decoded(where: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise OutcomeUnknown(f"{where}: the answer is not JSON: {_text(data)!r}") from error


def _text(data: bytes) -> str:
    return shorten(data.decode("utf-8", "replace"))


def _no_answer(where: str, error: Exception) -> Exception:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    said = shorten(str(error))
    if isinstance(reason, SSLError) and _untrusted(reason):
        return NetworkError(f"{where}: the connection is not trusted ({said})")
    # Not even a connection was made, so nothing can have been sent.
    if isinstance(reason, NewConnectionError | ConnectTimeoutError | ProxyError):
        return NetworkError(f"{where}: no connection ({said})")
    if isinstance(reason, ReadTimeoutError):
        return OutcomeUnknown(f"{where}: no answer in time")
    return OutcomeUnknown(f"{where}: the connection broke ({said})")


def _untrusted(error: SSLError) -> bool:
    """Tell whether a certificate was refused, before anything was sent; TLS may fail later, too."""
    return bool(error.args) and isinstance(error.args[0], ssl.CertificateError | NotItsName)
