"""Where alerts go: URLs of Apprise, which are secrets, and the sending of one alert to one of them.

The only module that knows Apprise.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ftbt.data.retry import shorten
from ftbt.errors import ConfigError, FtbtError
from ftbt.hyperliquid.keys import one_place, read_private
from ftbt.live.alerts.model import Alert, Level
from ftbt.live.secrets import Redactor, url_secrets

if TYPE_CHECKING:
    from apprise.plugins import NotifyBase

ALERTS_VARIABLE = "FTBT_ALERTS"
ALERTS_FILE_VARIABLE = "FTBT_ALERTS_FILE"
_MOST = 20
_TYPES = {
    Level.INFO: "info", Level.GOOD: "success", Level.WARNING: "warning", Level.CRITICAL: "failure",
}  # fmt: skip


class SendFailed(FtbtError):  # noqa: N818 - reads as what happened
    """A target did not take an alert; the text has no secret in it."""


class _Reasons(logging.Handler):
    """Keeps what Apprise says on the thread that made it, while an alert is being sent."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.found.append(record.getMessage())


class Target:
    """One address. `repr` and `str` show its number and service only.

    Args:
        number: from 1, in the order given.
        url: as Apprise reads it.
        where: the place where the URL stands, for messages.
        redactor: is taught the secrets of the URL.

    Raises:
        ConfigError: no URL that Apprise can use.
    """

    __slots__ = ("_plugin", "_redact", "name")

    def __init__(self, number: int, url: str, where: str, redactor: Redactor) -> None:
        redactor.learn(*url_secrets(url))
        self._redact = redactor
        self._plugin = _plugin(url, f"alert target {number} ({where})", redactor)
        service = str(self._plugin.service_name or "").strip()
        self.name = f"{number} {service}".strip()

    def send(self, alert: Alert) -> None:
        """Send *alert*; may take as long as the service does.

        Raises:
            SendFailed: it was not taken.
        """
        reasons = _Reasons()
        log = logging.getLogger("apprise")
        log.addHandler(reasons)
        try:
            sent = self._plugin.notify(
                body=alert.text or alert.title, title=alert.title, notify_type=_TYPES[alert.level],
                body_format="text",
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - a plugin of a hundred may fail in any way
            raise SendFailed(self._why(f"{type(error).__name__}: {error}")) from None
        finally:
            log.removeHandler(reasons)
        if not sent:
            raise SendFailed(self._why("; ".join(reasons.found) or "the service did not take it"))

    def _why(self, text: str) -> str:
        return shorten(self._redact(text))

    def __repr__(self) -> str:
        return f"<alert target {self.name}, hidden>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an alert target can't be pickled or copied: its URL is a secret")


def _plugin(url: str, what: str, redactor: Redactor) -> NotifyBase:
    import apprise  # noqa: PLC0415 - a hundred services are slow to import

    advice = "see https://appriseit.com/services/ for the URL of each service"
    scheme = url.partition("://")[0]
    if "://" not in url:
        raise ConfigError(f"{what} is no URL: expected is service://..., {advice}")
    asset = apprise.AppriseAsset(app_id="ftbt", app_desc="ftbt", app_url="")
    try:
        made = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=False)
    except Exception as error:  # noqa: BLE001 - a plugin of a hundred may fail in any way
        raise ConfigError(
            f"{what} can't be used: {shorten(redactor(str(error)))}; {advice}"
        ) from None
    if made is None:
        raise ConfigError(
            f"{what} is no URL of the service {scheme}://, or there is none; {advice}"
        )
    return made


def load_targets(
    environment: Mapping[str, str], file: Path | None, redactor: Redactor
) -> tuple[Target, ...]:
    """Return the targets that the file or the environment names; none where neither does.

    Args:
        environment: `os.environ`; read are FTBT_ALERTS (URLs with blanks between) and
            FTBT_ALERTS_FILE.
        file: a file named on the command line: a URL a line, `#` begins a comment line. Only its
            owner may read it.
        redactor: is taught the secrets of the URLs.

    Raises:
        ConfigError: both, a file that others can read, a URL that can't be used.
    """
    plain, path = one_place(
        environment, ALERTS_VARIABLE, ALERTS_FILE_VARIABLE, file, "alert targets are"
    )
    urls = enumerate(plain.split(), start=1)
    places = [(url, f"URL {n} of {ALERTS_VARIABLE}") for n, url in urls]
    if path is not None:
        lines = read_private(path, "file of alert targets").splitlines()
        places = [
            (line.strip(), f"{path}:{n}")
            for n, line in enumerate(lines, start=1)
            if line.strip() and not line.strip().startswith("#")
        ]
        if not places:
            raise ConfigError(f"{path} names no alert target: write one URL on a line")
    if len(places) > _MOST:
        raise ConfigError(f"{len(places)} alert targets: at most {_MOST} are taken")
    return tuple(
        Target(number, url, where, redactor) for number, (url, where) in enumerate(places, start=1)
    )


NO_TARGET = (
    f"there is no alert target: set {ALERTS_FILE_VARIABLE} to a file with one URL a line"
    f" (chmod 600), or {ALERTS_VARIABLE} to the URLs"
)
