"""Alerts of a session: hears events and statuses, and never lets the trading wait.

The trading thread puts an event into a queue and goes on. One thread decides what is worth an
alert, one per target sends it.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from ftbt.data.retry import Retry
from ftbt.live.alerts.channel import PATIENCE, Channel, ChannelFigures, Lost
from ftbt.live.alerts.limiter import Limiter
from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.rules import Rules
from ftbt.live.alerts.settings import AlertSettings
from ftbt.live.alerts.targets import Target
from ftbt.live.secrets import Redactor
from ftbt.live.status import Status

_LOG = logging.getLogger("ftbt.alerts")
_TICK_S = 0.5
_MOST_EVENTS = 5_000
_LEVELS = {
    Level.INFO: logging.INFO, Level.GOOD: logging.INFO, Level.WARNING: logging.WARNING,
    Level.CRITICAL: logging.ERROR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """What alerts are about and where they go.

    Attributes:
        deployment, network: stand in front of each title.
        targets: where to; none: alerts go into the log only, and the bell rings.
        settings: thresholds.
        memory: file that remembers what was told over restarts.
        patience: attempts for each target.
        bell: the terminal whose bell rings; None: the one of this process, if there is one.
        beside: why something else that tells the owner may fail; empty: it does not.
    """

    deployment: str
    network: str
    targets: Sequence[Target] = ()
    settings: AlertSettings = field(default_factory=AlertSettings)
    memory: Path | None = None
    patience: Retry = PATIENCE
    bell: TextIO | None = None
    beside: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of alerts so far.

    Attributes:
        channels: one for each target.
        held, repeated: held back because there were too many; told already.
        overflow: events that found no room and were not looked at.
        waiting: events to be looked at.
        beside: see `AlertConfig`.
    """

    channels: tuple[ChannelFigures, ...]
    held: int
    repeated: int
    overflow: int
    waiting: int
    beside: str = ""

    @property
    def trouble(self) -> str:
        """Why the owner may not have been told something; empty when all is well."""
        told = [f"alerts to {one.name} fail: {one.trouble}" for one in self.channels if one.trouble]
        if self.overflow:
            told.append(f"{self.overflow} events came too fast for alerts")
        return "; ".join([*told, self.beside] if self.beside else told)


_Event = tuple[str, Mapping[str, Any], str, float]


class Alerts:
    """Tells the owner. Made and closed by the thread that trades; all calls return at once.

    Args:
        config: what and where.
        redact: takes secrets out of all texts.
    """

    def __init__(self, config: AlertConfig, redact: Redactor) -> None:
        self._config, self._redact = config, redact
        self._rules = Rules(config.settings)
        self._limiter = Limiter(config.settings, config.memory)
        self._lost: deque[Lost] = deque(maxlen=1_000)
        self._channels = [
            Channel(target, self._lost.append, config.patience) for target in config.targets
        ]
        self._events: queue.Queue[_Event | Alert | None] = queue.Queue(_MOST_EVENTS)
        self._status: tuple[Status, float] | None = None
        self._overflow = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    # --- for the thread that trades ---------------------------------------------------------------

    def listener(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Hear an event of the journal."""
        self._put((kind, body, coin, time.monotonic()))

    def show(self, status: Status) -> None:
        """Hear a status; only the newest counts."""
        self._status = (status, time.monotonic())

    def failed(self, error: BaseException) -> None:
        """Hear that an error has ended the session."""
        self._put(("", {"error": f"{type(error).__name__}: {error}"}, "", 0.0))

    def tell(self, alert: Alert) -> None:
        """Tell something that is neither an event nor a status."""
        self._put(alert)

    def figures(self) -> Figures:
        """Return the figures of now."""
        limiter = self._limiter
        return Figures(
            tuple(channel.figures() for channel in self._channels), limiter.held,
            limiter.repeated, self._overflow, self._events.qsize(),
            self._config.beside(),
        )  # fmt: skip

    def lost(self) -> list[Lost]:
        """Return the alerts that did not arrive since the last call."""
        found = []
        while self._lost:
            found.append(self._lost.popleft())
        return found

    def close(self, patience_s: float = 20.0) -> None:
        """Tell what is left to tell, and end, within *patience_s*; closing twice is no harm."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + patience_s
        with suppress(queue.Full):
            self._events.put(None, timeout=patience_s)
        self._thread.join(max(0.0, until - time.monotonic()))
        for channel in self._channels:
            channel.close(until)

    def _put(self, what: _Event | Alert) -> None:
        try:
            self._events.put_nowait(what)
        except queue.Full:
            self._overflow += 1

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        ending = False
        while not ending:
            try:
                ending = self._turn()
            except Exception:  # noqa: BLE001 - logged; see below
                # An event of an unknown form must not silence all that follow it.
                _LOG.exception("an alert could not be made")

    def _turn(self) -> bool:
        """Handle what has arrived; tell whether it was the end."""
        try:
            taken = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            self._look()
            return False
        if taken is None:
            self._look()
            self._send(self._rules.rest(time.monotonic()))
            return True
        if isinstance(taken, Alert):
            self._send([taken])
            return False
        kind, body, coin, at = taken
        if not kind:
            self._send([self._rules.failed(str(body["error"]))])
            return False
        self._send(self._rules.event(kind, body, coin, at))
        if self._events.empty():
            self._look()
        return False

    def _look(self) -> None:
        """Look at the newest status, and at what time has made of the one before."""
        newest, self._status = self._status, None
        if newest is not None:
            self._send(self._rules.status(*newest))
        self._send(self._rules.tick(time.monotonic()))
        digest = self._limiter.digest()
        if digest is not None:
            self._hand_out(digest)
        trouble = self.figures().trouble
        if trouble != self._limiter.trouble:
            self._limiter.trouble = trouble
            self._limiter.save()

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            if alert.topic in self._config.settings.mute:
                continue
            passed = self._limiter.passes(alert)
            if passed is not None:
                self._hand_out(passed)

    def _hand_out(self, alert: Alert) -> None:
        title = f"[{self._config.network}] {self._config.deployment}: {alert.title}"
        told = replace(alert, title=self._redact(title), text=self._redact(alert.text))
        _LOG.log(
            _LEVELS[told.level], told.title,
            extra={"fields": {"topic": told.topic, "text": told.text}},
        )  # fmt: skip
        if alert.topic is Topic.SETUP:
            self._ring()
        for channel in self._channels:
            channel.offer(told)

    def _ring(self) -> None:
        stream = self._config.bell or sys.stderr
        if self._config.settings.bell and stream.isatty():
            stream.write("\a")
            stream.flush()
