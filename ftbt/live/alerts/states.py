"""What statuses say, and for how long they have said it."""

from __future__ import annotations

from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.settings import AlertSettings
from ftbt.live.alerts.words import duration
from ftbt.live.status import Status

_HALTED = "halted:"
_ENDING = "the session is ending"


class _Lasting:
    """Something that is told once it has lasted, and again when it is over."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.told = False

    def holds(self, now: float, least_s: float) -> float | None:
        """Return for how long it has been so, None before *least_s*."""
        self.since = now if self.since is None else self.since
        lasted = now - self.since
        if lasted < least_s:
            return None
        self.told = True
        return lasted

    def over(self, now: float) -> float | None:
        """Note that it is over; return how long it was when that is news."""
        since, told = self.since, self.told
        self.since, self.told = None, False
        return now - since if told and since is not None else None


class States:
    """Follows one session's statuses.

    What lasts is returned again and again: the limiter knows what was told.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._heard: float | None = None
        self._status: Status | None = None
        self._away, self._blocked, self._silent = _Lasting(), _Lasting(), _Lasting()
        self._bare: set[str] = set()
        self._halt = ""
        self._over = False

    def status(self, status: Status, now: float) -> list[Alert]:
        """Return what a new status is worth."""
        self._heard, self._status = now, status
        if status.over:
            self._over = True
            return []
        back = self._silent.over(now)
        found = (
            []
            if back is None
            else [_recovered("silence", f"the loop is back after {duration(back)}")]
        )
        return [
            *found,
            *self._lasting(status, now),
            *self._halted(status),
            *self._protected(status),
        ]

    def ended(self) -> None:
        """Note that the session is over: silence is right from now on."""
        self._over = True

    def troubled(self) -> None:
        """Note that trouble was told: its end is news."""
        self._blocked.told = True

    def tick(self, now: float) -> list[Alert]:
        """Return what silence is worth."""
        if self._heard is None or self._over:
            return []
        if now - self._heard < self._settings.silent_s:
            # A thread that hangs is also one that sends no further status.
            return self._lasting(self._status, now) if self._status is not None else []
        self._silent.since = self._heard if self._silent.since is None else self._silent.since
        lasted = self._silent.holds(now, 0.0) or 0.0
        title = f"the loop that trades has said nothing for {duration(lasted)}"
        text = "positions keep their stops on the exchange; ftbt status, and restart it"
        return [Alert(Topic.SILENCE, Level.CRITICAL, "silence", title, text, lasting=True)]

    # --- what lasts -------------------------------------------------------------------------------

    def _lasting(self, status: Status, now: float) -> list[Alert]:
        least = self._settings.disconnected_s
        found = []
        if status.connected:
            back = self._away.over(now)
            if back is not None:
                found.append(_recovered("connection", f"connected again after {duration(back)}"))
        elif (lasted := self._away.holds(now, least)) is not None:
            title = f"disconnected for {duration(lasted)}"
            text = "stops stand on the exchange; nothing is opened until it is back"
            found.append(
                Alert(Topic.DISCONNECT, Level.WARNING, "disconnected", title, text, lasting=True)
            )
        return [*found, *self._ready(status, now)]

    def _ready(self, status: Status, now: float) -> list[Alert]:
        why = status.ready
        if why.startswith(_HALTED) or why == _ENDING:
            return []
        if not why:
            if self._blocked.since is None:
                return []  # trouble that was told may not have reached a status yet
            back = self._blocked.over(now)
            title = f"positions may be opened again after {duration(back or 0.0)}"
            return [] if back is None else [_recovered("ready", title)]
        lasted = self._blocked.holds(now, self._settings.disconnected_s)
        if lasted is None or not status.connected:  # that is told already
            return []
        title = f"nothing can be opened for {duration(lasted)}"
        return [Alert(Topic.TROUBLE, Level.WARNING, "not ready", title, why, lasting=True)]

    def _halted(self, status: Status) -> list[Alert]:
        why = status.ready if status.ready.startswith(_HALTED) else ""
        before, self._halt = self._halt, why
        if why and not before:
            text = "nothing is opened, stops stay; ftbt resume lifts it"
            return [Alert(Topic.HALT, Level.WARNING, f"halt {why}", why, text)]
        if before and not why and status.ready != _ENDING:
            return [_recovered("halt", "the halt is lifted")]
        return []

    def _protected(self, status: Status) -> list[Alert]:
        found = []
        for coin, seconds in status.unprotected.items():
            if seconds >= self._settings.unprotected_s:
                self._bare.add(coin)
                title = f"{coin} has had no working stop for {duration(seconds)}"
                text = f"position {status.positions.get(coin, 0.0):+g}; ftbt kill closes it"
                key = f"unprotected {coin}"
                found.append(
                    Alert(Topic.PROTECTION, Level.CRITICAL, key, title, text, lasting=True)
                )
        for coin in sorted(self._bare - set(status.unprotected)):
            self._bare.discard(coin)
            found.append(_recovered(f"unprotected {coin}", f"{coin}: protected again, or flat"))
        return found


def _recovered(what: str, title: str) -> Alert:
    return Alert(Topic.RECOVERY, Level.GOOD, f"over {what}", title)
