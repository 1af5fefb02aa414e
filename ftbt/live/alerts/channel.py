"""One target, one thread: a mail server that is down delays nobody else."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ftbt.data.retry import Retry
from ftbt.live.alerts.model import Alert, Level
from ftbt.live.alerts.targets import SendFailed, Target

_LOG = logging.getLogger("ftbt.alerts")
PATIENCE = Retry(attempts=4, base_s=2.0, cap_s=30.0)
_MOST_WAITING = 100
# Services answer within their time-outs; one that goes on longer than this hangs.
_STUCK_S = 120.0


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """What one target was sent.

    Attributes:
        name: of the target.
        sent, failed, dropped: alerts that arrived, that did not, that found no room to wait.
        waiting: alerts that are still to be sent.
        trouble: why the newest one did not arrive; empty when it did.
    """

    name: str
    sent: int
    failed: int
    dropped: int
    waiting: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Lost:
    """An alert that did not reach a target, and why."""

    target: str
    title: str
    reason: str


class Channel:
    """Sends alerts to one target, in order, trying a few times.

    Args:
        target: where to.
        lost: called, on the channel's thread, with each alert that did not arrive.
        patience: attempts and waits.
    """

    def __init__(
        self, target: Target, lost: Callable[[Lost], None], patience: Retry = PATIENCE
    ) -> None:
        self._target, self._lost, self._patience = target, lost, patience
        self._waiting: deque[Alert] = deque()
        self._news = threading.Condition()
        self._ending = threading.Event()
        self._sent = self._failed = self._dropped = self._unsaid = 0
        self._trouble = ""
        self._busy_since: float | None = None
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._thread = threading.Thread(target=self._run, name=f"alerts {target.name}", daemon=True)
        self._thread.start()

    def offer(self, alert: Alert) -> None:
        """Take *alert*; when too many wait, the oldest one that is not critical goes."""
        with self._news:
            if len(self._waiting) >= _MOST_WAITING:
                self._drop()
            self._waiting.append(alert)
            self._news.notify_all()

    def figures(self) -> ChannelFigures:
        """Return the figures of now."""
        with self._news:
            since = self._busy_since
            waiting = len(self._waiting) + (since is not None)
            trouble = self._trouble
            if since is not None and time.monotonic() - since > _STUCK_S:
                trouble = f"the service has not finished its answer for {_STUCK_S:.0f} s"
            return ChannelFigures(
                self._target.name, self._sent, self._failed, self._dropped, waiting, trouble
            )

    def close(self, until: float) -> None:
        """Send what waits, without further patience, and end by *until* (monotonic seconds)."""
        self._ending.set()
        with self._news:
            self._news.notify_all()
        self._thread.join(max(0.0, until - time.monotonic()))
        with self._news:
            left, self._waiting = list(self._waiting), deque()
            self._failed += len(left)
        for alert in left:
            self._tell(alert, "the session ended before it could be sent")

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._ending.is_set():
                    self._news.wait()
                if not self._waiting:
                    return
                alert = self._waiting.popleft()
                self._busy_since = time.monotonic()
            reason = self._try(self._with_lost(alert))
            with self._news:
                self._busy_since, self._trouble = None, reason
                self._sent += not reason
                self._failed += bool(reason)
                self._unsaid = self._unsaid + 1 if reason else 0
            if reason:
                self._tell(alert, reason)

    def _try(self, alert: Alert) -> str:
        """Send *alert*; return why it did not arrive, or nothing."""
        reason = ""
        for attempt in range(1, self._patience.attempts + 1):
            try:
                self._target.send(alert)
            except SendFailed as error:
                reason = str(error)
            else:
                return ""
            if attempt == self._patience.attempts or self._ending.is_set():
                break
            with self._news:
                self._trouble, self._busy_since = reason, time.monotonic()
            self._ending.wait(self._patience.wait_s(attempt, self._jitter.random()))
        return reason

    def _with_lost(self, alert: Alert) -> Alert:
        if not self._unsaid:
            return alert
        told = f"({self._unsaid} alerts before this one could not be sent here)"
        return replace(alert, text="\n".join(filter(None, (alert.text, told))))

    def _tell(self, alert: Alert, reason: str) -> None:
        _LOG.warning("alert to %s did not arrive: %s (%s)", self._target.name, alert.title, reason)
        self._lost(Lost(self._target.name, alert.title, reason))

    def _drop(self) -> None:
        least = next((a for a in self._waiting if a.level is not Level.CRITICAL), self._waiting[0])
        self._waiting.remove(least)
        self._dropped += 1
        self._unsaid += 1
