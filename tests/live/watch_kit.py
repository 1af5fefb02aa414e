"""Real servers on loopback that take what a session tells: mail and webhooks, with faults."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ftbt.live.status import Status

DAY_MS = 86_400_000


def status(**changes: Any) -> Status:
    """Return the status of a session that is well, with *changes*."""
    usual: dict[str, Any] = {
        "pid": 1, "wall_ms": 0, "network": "localnet", "deployment": "sweep",
        "market_ms": 20_000 * DAY_MS, "bar_ms": 20_000 * DAY_MS - 900_000, "live": True,
        "ready": "", "connected": True, "fills": 0, "busy": 0, "equity": 10_000.0,
        "account_equity": 9_999.5, "positions": {}, "entries": {}, "prices": {"BTC": 50_000.0},
        "open_orders": 0, "unprotected": {}, "decision": {}, "latency": {}, "weight_left": 0.9,
        "trades": 0, "wins": 0,
    }  # fmt: skip
    return Status(**{**usual, **changes})


def wait_until(true: Any, seconds: float = 10.0) -> None:
    """Pass once *true()* holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# --- webhooks ------------------------------------------------------------------------------------


@dataclass
class Hook:
    """A web service that takes alerts.

    Attributes:
        port: where.
        taken: JSON bodies that it said yes to; `asked` counts all requests.
        refuse: so many requests are answered with 500.
        hang: seconds before it answers.
    """

    port: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    asked: int = 0
    refuse: int = 0
    hang: threading.Event | None = None

    @property
    def url(self) -> str:
        """As Apprise reads it, with secrets in it."""
        login = "robot:Hunter2pass"
        return f"json://{login}@127.0.0.1:{self.port}/hook/T0KENsecret99?rto=2&cto=2"

    @property
    def titles(self) -> list[str]:
        """Titles without deployment and network."""
        return [one["title"].partition(": ")[2] or one["title"] for one in self.taken]


@contextmanager
def webhook() -> Iterator[Hook]:
    """Run a web service on a free port of loopback."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.asked += 1
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.hang is not None:
                hook.hang.wait(30.0)
            code = 200
            if hook.refuse > 0:
                hook.refuse -= 1
                code = 500
            else:
                hook.taken.append(body)
                hook.paths.append(self.path)
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    hook.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hook
    finally:
        if hook.hang is not None:
            hook.hang.set()
        server.shutdown()
        server.server_close()
        thread.join()


# --- mail ----------------------------------------------------------------------------------------


@dataclass
class Mail:
    """A mail server.

    Attributes:
        port: where.
        taken: messages that it accepted, with their senders and recipients.
        logins: names and passwords that were shown to it.
        later: so many messages are put off with 451; `never`: all are refused with 554.
    """

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    later: int = 0
    never: bool = False

    @property
    def url(self) -> str:
        """As Apprise reads it."""
        return (
            f"mailto://robot:Corr3ctHorse@127.0.0.1:{self.port}?smtp=127.0.0.1&mode=insecure"
            "&from=bot@example.com&to=owner@example.com"
        )


class _Smtp(socketserver.StreamRequestHandler):
    """Speaks as much of RFC 5321 and of AUTH (RFC 4954) as mail programs need."""

    timeout = 10.0
    mail: Mail

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def line(self) -> str:
        return self.rfile.readline().decode().strip()

    def handle(self) -> None:
        self.sender, self.recipients = "", []
        self.say("220 mail.test ESMTP")
        while line := self.line():
            word, _, rest = line.partition(" ")
            if word.upper() == "QUIT":
                self.say("221 bye")
                return
            answer = getattr(self, f"do_{word.lower()}", None)
            if answer is None:
                self.say("502 not known")
            else:
                answer(rest)

    def do_ehlo(self, _: str) -> None:
        self.say("250-mail.test")
        self.say("250-AUTH PLAIN LOGIN")
        self.say("250 8BITMIME")

    def do_auth(self, rest: str) -> None:
        kind, _, given = rest.partition(" ")
        if kind.upper() == "PLAIN":
            _, name, word = base64.b64decode(given or self._asked("")).decode().split("\0")
        else:
            name = base64.b64decode(given or self._asked("Username:")).decode()
            word = base64.b64decode(self._asked("Password:")).decode()
        self.mail.logins.append((name, word))
        self.say("235 welcome")

    def _asked(self, what: str) -> str:
        self.say(f"334 {base64.b64encode(what.encode()).decode()}")
        return self.line()

    def do_mail(self, rest: str) -> None:
        self.sender = rest.partition("<")[2].partition(">")[0]
        self.say("250 ok")

    def do_rcpt(self, rest: str) -> None:
        self.recipients.append(rest.partition("<")[2].partition(">")[0])
        self.say("554 nobody by that name" if self.mail.never else "250 ok")

    def do_rset(self, _: str) -> None:
        self.sender, self.recipients = "", []
        self.say("250 ok")

    def do_noop(self, _: str) -> None:
        self.say("250 ok")

    def do_data(self, _: str) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if self.mail.later > 0:
            self.mail.later -= 1
            self.say("451 come again")
            return
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        self.mail.envelopes.append((self.sender, list(self.recipients)))
        self.mail.taken.append(cast(EmailMessage, message))
        self.say("250 taken")


@contextmanager
def mail_server() -> Iterator[Mail]:
    """Run a mail server on a free port of loopback."""
    mail = Mail()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    handler = type("Handler", (_Smtp,), {"mail": mail})
    with Server(("127.0.0.1", 0), handler) as server:
        mail.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield mail
        finally:
            server.shutdown()
            thread.join()
