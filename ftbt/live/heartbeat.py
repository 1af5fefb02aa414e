"""A sign of life for something outside, which alarms when it stays away: a dead man's switch.

A machine that is gone sends no alert. A monitor elsewhere (Healthchecks, Uptime Kuma, a cron
service of one's own) that expects a request every minute tells its owner when none has come. The
request goes out as long as the loop that trades says something: one that hangs is silent as well.

The venue's own switch is another thing and helps in few cases only; see `ftbt.live.deadman`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests

from ftbt.data.retry import shorten
from ftbt.errors import ConfigError
from ftbt.hyperliquid.keys import one_place, read_private
from ftbt.live.secrets import Redactor, url_secrets

HEARTBEAT_VARIABLE = "FTBT_HEARTBEAT"
HEARTBEAT_FILE_VARIABLE = "FTBT_HEARTBEAT_FILE"
EVERY_S = 60.0
_SILENT_S = 30.0  # a loop that has said nothing for so long is not alive
_TIMEOUT_S = 10.0
# A request may be lost; the monitor has its own patience as well.
_MOST_MISSED = 3


class Heartbeat:
    """Asks for a URL every minute while the loop lives. `repr` hides the URL, which is a secret.

    Args:
        url: `https://...`, or `http://...` of a monitor of one's own.
        where: the place where the URL stands, for messages.
        redact: is taught the secrets of the URL.
        every_s: between two requests.

    Raises:
        ConfigError: no such URL.
    """

    def __init__(self, url: str, where: str, redact: Redactor, *, every_s: float = EVERY_S) -> None:
        redact.learn(*url_secrets(url))
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"the heartbeat's URL ({where}) must be https://HOST/PATH")
        self._url, self._redact, self._every = url, redact, every_s
        self._alive = 0.0
        self.sent, self._missed, self._why = 0, 0, ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def show(self, _: Any) -> None:
        """Hear that the loop lives."""
        self._alive = time.monotonic()

    @property
    def trouble(self) -> str:
        """Why the monitor may think that nobody lives; empty when all is well."""
        return f"the heartbeat does not arrive: {self._why}" if self._missed >= _MOST_MISSED else ""

    def close(self) -> None:
        """End; what is on its way is not waited for."""
        self._ending.set()

    def _run(self) -> None:
        # Nothing is kept between requests: a minute apart, a connection would be dead anyway.
        while not self._ending.is_set():
            if time.monotonic() - self._alive < _SILENT_S:
                self._why = self._ask()
                self._missed = self._missed + 1 if self._why else 0
                self.sent += not self._why
                self._ending.wait(self._every)
            else:
                self._ending.wait(min(1.0, self._every))

    def _ask(self) -> str:
        """Ask for the URL; return why it was not answered, or nothing."""
        try:
            # A monitor that sends elsewhere is not the one that was named.
            answer = requests.get(self._url, timeout=_TIMEOUT_S, allow_redirects=False)
        except (requests.RequestException, OSError, ValueError) as error:
            return shorten(self._redact(f"{type(error).__name__}: {error}"))
        return "" if answer.ok and answer.status_code < 300 else f"status {answer.status_code}"

    def __repr__(self) -> str:
        return "<heartbeat, hidden>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a heartbeat can't be pickled or copied: its URL is a secret")


def load_heartbeat(
    environment: Mapping[str, str], file: Path | None, redact: Redactor
) -> Heartbeat | None:
    """Return the heartbeat that the file or the environment names; None where neither does.

    Args:
        environment: `os.environ`; read are FTBT_HEARTBEAT (a URL) and FTBT_HEARTBEAT_FILE.
        file: a file named on the command line, with the URL; only its owner may read it.
        redact: is taught the secrets of the URL.

    Raises:
        ConfigError: both, a file that others can read, no URL.
    """
    plain, path = one_place(
        environment, HEARTBEAT_VARIABLE, HEARTBEAT_FILE_VARIABLE, file, "the heartbeat's URL is"
    )
    if path is not None:
        return Heartbeat(read_private(path, "file of the heartbeat").strip(), str(path), redact)
    return Heartbeat(plain, HEARTBEAT_VARIABLE, redact) if plain else None
