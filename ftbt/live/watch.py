"""Everything that watches a session: log, alerts, health, service manager, behind two hooks.

    with Watch(config) as watch:
        run = LiveRun(live, show=watch.show)
        watch.hear(run)
        run.run()

Nothing here can hold up or end the trading: hooks return at once and raise nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ftbt.data.retry import Retry
from ftbt.errors import StateLocked
from ftbt.live.alerts import AlertConfig, Alerts, AlertSettings, Target
from ftbt.live.alerts.channel import PATIENCE
from ftbt.live.alerts.limiter import ALERTS
from ftbt.live.health import HealthConfig, HealthServer
from ftbt.live.heartbeat import Heartbeat
from ftbt.live.logs import LogConfig, StructuredLog
from ftbt.live.runner import LiveRun
from ftbt.live.secrets import Redactor
from ftbt.live.status import Status
from ftbt.live.systemd import ServiceManager

_HURRIED_S = 1.0  # somebody waits at the terminal


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """What is to watch.

    Attributes:
        deployment, network: what is watched; stand in each alert.
        state: folder of journal and status.
        redact: knows the secrets of this process.
        targets, alerts: where alerts go, and when they are due.
        health: where health is told; None: nowhere.
        log: None: no log is written.
        bell: see `AlertConfig`.
        patience: attempts for each alert and target.
        environment: of the service manager.
        heartbeat: a sign of life for something outside; None: nowhere.
    """

    deployment: str
    network: str
    state: Path
    redact: Redactor
    targets: tuple[Target, ...] = ()
    alerts: AlertSettings = field(default_factory=AlertSettings)
    health: HealthConfig | None = None
    log: LogConfig | None = None
    bell: TextIO | None = None
    patience: Retry = PATIENCE
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    heartbeat: Heartbeat | None = None


class Watch:
    """Watches one session.

    Args:
        config: what is to watch.

    Attributes:
        note: writes an event `alert` into the journal; called on the thread that calls `show`,
            with each alert that did not arrive.

    Raises:
        InputError: the port of health is taken.
        StorageError: the log can't be written.
    """

    def __init__(self, config: WatchConfig) -> None:
        self.note: Callable[[Mapping[str, Any]], object] = lambda _: None
        self._closing = ExitStack()
        self._heartbeat = config.heartbeat
        self._log: StructuredLog | None = None
        self.health: HealthServer | None = None
        with ExitStack() as opening:
            if config.log is not None:
                self._log = StructuredLog(config.log, config.redact)
                opening.callback(self._log.close)
            told = AlertConfig(
                config.deployment, config.network, config.targets, config.alerts,
                config.state / ALERTS, config.patience, config.bell, self._heartbeat_trouble,
            )  # fmt: skip
            if config.health is not None:
                self.health = HealthServer(config.health, self.figures)
                opening.callback(self.health.close)
            self._manager = ServiceManager(config.environment)
            opening.callback(self._manager.close)
            if self._heartbeat is not None:
                self._heartbeat.start()
                opening.callback(self._heartbeat.close)
            self.alerts = Alerts(told, config.redact)
            opening.callback(self.alerts.close)
            self._closing = opening.pop_all()

    def hear(self, run: LiveRun) -> None:
        """Hear the events of *run*, and let its journal know of alerts that did not arrive."""
        run.listeners.append(self.listener)
        self.note = lambda body: run.journal.note("alert", body, durable=False)

    # --- hooks ------------------------------------------------------------------------------------

    def listener(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Hear an event of the journal."""
        self.alerts.listener(kind, body, coin)
        if self._log is not None:
            self._log.listener(kind, body, coin)

    def show(self, status: Status) -> None:
        """Hear a status."""
        if self.health is not None:
            self.health.show(status)
        self._manager.show(status)
        if self._heartbeat is not None:
            self._heartbeat.show(status)
        self.alerts.show(status)
        if self._log is not None:
            self._log.show(status)
        for lost in self.alerts.lost():
            self.note({"target": lost.target, "title": lost.title, "reason": lost.reason})

    def failed(self, error: BaseException) -> None:
        """Hear that an error has ended the session."""
        self.alerts.failed(error)
        if self._log is not None:
            self._log.failed(error)

    def _heartbeat_trouble(self) -> str:
        return "" if self._heartbeat is None else self._heartbeat.trouble

    # --- figures and end --------------------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """Return what is to be told of alerts and log, by the names of `health_metrics`."""
        found = self.alerts.figures()
        channels = found.channels
        return {
            "alerts_sent": sum(one.sent for one in channels),
            "alerts_failed": sum(one.failed for one in channels),
            "alerts_dropped": sum(one.dropped for one in channels),
            "alerts_held": found.held, "alerts_repeated": found.repeated,
            "alerts_waiting": sum(one.waiting for one in channels) + found.waiting,
            "alerts_failing": sum(bool(one.trouble) for one in channels),
            "heartbeats": 0 if self._heartbeat is None else self._heartbeat.sent,
            "log_lost": 0 if self._log is None else self._log.lost,
        }  # fmt: skip

    def close(self) -> None:
        """Tell what is left to tell and end; takes at most about twenty seconds."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Refused because another process does the work: nothing has ended.
        if isinstance(error, Exception) and not isinstance(error, StateLocked):
            self.failed(error)
        elif isinstance(error, KeyboardInterrupt):
            self.alerts.close(_HURRIED_S)
        self.close()
