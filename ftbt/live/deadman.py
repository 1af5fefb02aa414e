"""The venue's own dead man's switch, where it can only help.

`scheduleCancel` cancels *all* orders of an account at a time, stops among them: armed while a
position is held it would take its protection away. So it is armed only while there is nothing to
protect and an entry waits that could not be sent together with a stop (a stop entry, an order
without a bracket): without a bot such an entry would open a position that nobody guards. It is
renewed while the loop lives, and disarmed as soon as there is anything to protect.

Source: exchange endpoint `scheduleCancel`; refused below a traded volume of $1M, which is then
said once. `docs/decisions/0023-the-venues-dead-mans-switch.md` has the reasons.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ftbt.errors import ExchangeError, FtbtError
from ftbt.hyperliquid.sending import Sender
from ftbt.live.broker import LiveBroker
from ftbt.live.journal import JournalReader, LiveJournal
from ftbt.live.legs import Leg, Stage

LEAD_MS = 60_000
RENEW_S = 20.0
# A venue that refuses (too little volume) may take it later.
_REFUSED_S = 3_600.0
_FAILED_S = 2.0
_SAID = "dead man's switch"
KIND = "deadman"

Note = Callable[[str, Mapping[str, Any]], object]


def is_needed(broker: LiveBroker) -> bool:
    """Tell whether an entry waits unguarded and the switch could take nobody's protection away."""
    if broker.events.strangers or any(book.size for book in broker.coins.values()):
        return False
    legs = list(broker.legs.all_alive())
    if any(leg.kind is not Leg.ENTRY or leg.filled for leg in legs):
        return False
    return any(leg.stage is Stage.LIVE and leg.price for leg in legs)


class DeadMan:
    """Arms, renews and disarms on a thread of its own.

    Args:
        sender: of the session.
        now: the venue's wall clock, ms.
        note: writes an event into the journal, on that thread: kind, body.
        armed: an earlier process may have left it armed; see `left_armed`.
    """

    def __init__(self, sender: Sender, now: Callable[[], int], note: Note, *, armed: bool) -> None:
        self._sender, self._now, self._note = sender, now, note
        self._needed, self._armed = False, armed
        self._due = 0.0
        self._told = ""
        self._news, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="dead man", daemon=True)
        self._thread.start()

    @property
    def armed(self) -> bool:
        """Whether it may be armed at the venue."""
        return self._armed

    def look(self, *, needed: bool) -> None:
        """Hear, once a turn of the loop, whether it is needed; returns at once."""
        if needed != self._needed:
            self._due = 0.0
        self._needed = needed
        if (needed or self._armed) and time.monotonic() >= self._due:
            self._news.set()

    def close(self, patience_s: float) -> None:
        """Disarm, and end: it must not fire into the next session."""
        self._needed, self._ending, self._due = False, True, 0.0
        self._news.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if time.monotonic() >= self._due and (self._needed or self._armed):
                self._due = time.monotonic() + self._act(arm=self._needed)
            if self._ending:
                return

    def _act(self, *, arm: bool) -> float:
        """Arm or disarm; return for how many seconds that is enough."""
        try:
            if arm and not self._armed:
                self._keep(armed=True)  # before it is sent: it may be armed, whatever is answered
            self._sender.arm_dead_man(self._now() + LEAD_MS if arm else None)
        except ExchangeError as error:
            self._keep(armed=False)
            self._say(str(error))
            return _REFUSED_S
        except (FtbtError, OSError, ValueError) as error:
            self._say(f"{_SAID}: {error}")
            return _FAILED_S
        if not arm:
            self._keep(armed=False)
        return RENEW_S

    def _keep(self, *, armed: bool) -> None:
        self._armed = armed
        self._note(KIND, {"armed": armed})

    def _say(self, text: str) -> None:
        plain = text.split(" Traded", maxsplit=1)[0]  # the volume changes, the reason does not
        if plain != self._told:
            self._told = plain
            self._note("note", {"text": text})


def left_armed(journal: LiveJournal | JournalReader) -> bool:
    """Tell whether an earlier process of the deployment may have left the switch armed."""
    armed = False
    for event in journal.events(kinds=(KIND,)):
        armed = bool(event.body["armed"])
    return armed
