"""The same thing once, and not too many things: what passes to the targets.

What was told is kept in a file beside the journal: a bot that its service manager starts again
every half minute must not tell every half minute that it could not start.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.settings import AlertSettings

ALERTS = "alerts.json"  # in the state folder
_DIGEST_S = 60.0
_MOST_KEYS = 1_000


@dataclass(slots=True)
class _Bucket:
    """So many at once, and so many an hour after that."""

    burst: int
    per_hour: int
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        grown = (now - self.at) * self.per_hour / 3_600.0
        self.tokens, self.at = min(float(self.burst), self.tokens + max(0.0, grown)), now

    def take(self, now: float) -> bool:
        self.fill(now)
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass(slots=True)
class _Told:
    at: float
    repeated: int = 0


class Limiter:
    """Lets alerts pass, or holds them back and counts them.

    Args:
        settings: how often and how many.
        memory: file that remembers over restarts; None: none does.
        clock, wall: seconds; replaced in tests.

    Attributes:
        held, repeated: how many were held back for their number, and because they were told.
    """

    def __init__(
        self,
        settings: AlertSettings,
        memory: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._memory, self._clock, self._wall = settings, memory, clock, wall
        now = clock()
        self._told: dict[str, _Told] = {}
        full = float(settings.burst)
        # What is critical must not wait for what is not, and can't flood either.
        self._usual = _Bucket(settings.burst, settings.per_hour, full, now)
        self._critical = _Bucket(settings.burst, settings.per_hour, full, now)
        self._waiting: Counter[str] = Counter()
        self._held_at = now
        self.held = self.repeated = 0
        self.trouble = ""  # why alerts do not arrive, for readers of the file
        self._load()

    def passes(self, alert: Alert) -> Alert | None:
        """Return *alert* when it may be sent, with what to say of those held back; else None."""
        now = self._clock()
        self._forget(now)
        before = self._told.get(alert.key)
        if before is not None:
            if not alert.lasting:
                before.repeated += 1
                self.repeated += 1
            return None
        bucket = self._critical if alert.level is Level.CRITICAL else self._usual
        if not bucket.take(now):
            self.held += 1
            self._waiting[alert.topic] += 1
            self._held_at = now
            # A state that lasts is not counted with each look at it; others may come again.
            if alert.lasting:
                self._told[alert.key] = _Told(now - self._settings.again_s + _DIGEST_S)
            return None
        self._told[alert.key] = _Told(now)
        made = self._with_held(alert)
        self.save()
        return made

    def digest(self) -> Alert | None:
        """Return what there is to say of alerts held back when no other alert has said it."""
        now = self._clock()
        if not self._waiting or now - self._held_at < _DIGEST_S or not self._usual.take(now):
            return None
        made = Alert(Topic.HELD, Level.WARNING, "held", "too many alerts", self._counted())
        self._waiting.clear()
        return made

    def save(self) -> None:
        """Keep what was told for the next process; a disk that can't is no reason to be silent."""
        if self._memory is None:
            return
        now, wall = self._clock(), self._wall()
        body = {
            "told": {key: wall - (now - one.at) for key, one in self._told.items()},
            "tokens": [self._usual.tokens, self._critical.tokens], "wall": wall,
            "trouble": self.trouble,
        }  # fmt: skip
        temporary = self._memory.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(body), "utf-8")
            temporary.replace(self._memory)
        except OSError:
            return

    # --- the steps ------------------------------------------------------------------------------

    def _with_held(self, alert: Alert) -> Alert:
        if not self._waiting:
            return alert
        text = "\n".join(filter(None, (alert.text, f"({self._counted()})")))
        self._waiting.clear()
        return replace(alert, text=text)

    def _counted(self) -> str:
        parts = ", ".join(f"{count} {topic}" for topic, count in sorted(self._waiting.items()))
        return f"held back before this: {parts}"

    def _forget(self, now: float) -> None:
        """Drop what may be told again."""
        old = [k for k, one in self._told.items() if now - one.at >= self._settings.again_s]
        for key in old:
            del self._told[key]
        while len(self._told) > _MOST_KEYS:
            del self._told[next(iter(self._told))]

    def _load(self) -> None:
        if self._memory is None:
            return
        try:
            body = json.loads(self._memory.read_text("utf-8"))
            told = {str(key): float(at) for key, at in body["told"].items()}
            usual, critical = (float(x) for x in body["tokens"])
            before = float(body["wall"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        now, wall = self._clock(), self._wall()
        # A clock that was set back makes nothing older than it can be, nor younger than now.
        self._told = {key: _Told(now - max(0.0, wall - at)) for key, at in told.items()}
        gone = max(0.0, wall - before)
        for bucket, tokens in ((self._usual, usual), (self._critical, critical)):
            bucket.tokens, bucket.at = min(tokens, float(bucket.burst)), now - gone
        self._forget(now)


def remembered_trouble(memory: Path) -> str:
    """Return why alerts of the bot that keeps *memory* do not arrive, empty when they do."""
    try:
        return str(json.loads(memory.read_text("utf-8")).get("trouble", ""))
    except (OSError, ValueError, AttributeError):
        return ""
