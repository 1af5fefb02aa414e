"""One POST to the venue: always with a timeout, and every failure put where it belongs.

What matters about a failed request is whether it may have been carried out. A refused connection
or an HTTP 4xx says no. A timeout, a connection that breaks after sending, a 5xx or an unreadable
answer say nothing: for a question that is `NetworkError` (ask again), for an action it is
`OutcomeUnknown` (find out, never send a new one).
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from ftbt.data.retry import retry_after_s, shorten
from ftbt.errors import ExchangeError, FtbtError, NetworkError, OutcomeUnknown, RateLimitError
from ftbt.hyperliquid.budget import Budget, Priority, action_weight, answer_weight, info_weight
from ftbt.hyperliquid.network import Endpoint

_TOO_MANY = 429
_SERVER_FAULT = 500
_CLIENT_FAULT = 400
_GREETING = "exchangeStatus"
_GREETING_S = (2.0, 2.0)


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

    def _session(self) -> requests.Session:
        found: requests.Session | None = getattr(self._threads, "session", None)
        if found is None:
            found = requests.Session()
            found.headers["Content-Type"] = "application/json"
            # A proxy that is set for the internet can't reach this machine's own server.
            if not self.endpoint.is_local:
                # Read once: with each request it would cost half as much as the request itself.
                around = found.merge_environment_settings(self.endpoint.url, {}, None, None, None)
                found.proxies, found.verify = around["proxies"], around["verify"]
            found.trust_env = False
            self._threads.session = found
            with self._lock:
                self._sessions.append(found)
        return found

    def _post(self, path: str, body: bytes, limits: tuple[float, float] | None = None) -> Any:
        where = f"{self.endpoint.network} {path}"
        limits = limits or (self._timeouts.connect, self._timeouts.read)
        try:
            response = self._session().post(
                self.endpoint.url + path, data=body, timeout=limits, allow_redirects=False
            )
        except requests.RequestException as error:
            raise _no_answer(where, error) from error
        if response.status_code == requests.codes.ok:
            return _decoded(where, response)
        raise self._refused(where, response)

    def _refused(self, where: str, response: requests.Response) -> Exception:
        code, said = response.status_code, shorten(response.text)
        if code == _TOO_MANY:
            pause = retry_after_s(response.headers) or 10.0
            self.budget.venue_said_stop(pause)
            return RateLimitError(f"{where}: too many requests (HTTP 429)")
        if code >= _SERVER_FAULT:
            return OutcomeUnknown(f"{where}: the server failed (HTTP {code}: {said})")
        if code >= _CLIENT_FAULT:
            return ExchangeError(f"{where}: refused (HTTP {code}: {said})")
        return OutcomeUnknown(f"{where}: an answer that is none (HTTP {code}: {said})")


def _decoded(where: str, response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        said = shorten(response.text)
        raise OutcomeUnknown(f"{where}: the answer is not JSON: {said!r}") from error


def _no_answer(where: str, error: requests.RequestException) -> Exception:
    if isinstance(error, requests.exceptions.SSLError):
        return NetworkError(f"{where}: the connection is not trusted ({shorten(str(error))})")
    if isinstance(error, requests.ConnectTimeout) or _never_connected(error):
        return NetworkError(f"{where}: no connection ({shorten(str(error))})")
    if isinstance(error, requests.Timeout):
        return OutcomeUnknown(f"{where}: no answer in time")
    return OutcomeUnknown(f"{where}: the connection broke ({shorten(str(error))})")


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether not even a connection was made, so that nothing can have been sent."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    proxy = isinstance(error, requests.exceptions.ProxyError)
    return proxy or isinstance(reason, NewConnectionError)
