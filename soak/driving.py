"""The market of a soak, and what is done to the live process on its way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftbt.localnet.faults import KINDS as FAULTS
from ftbt.localnet.process import Localnet, Moved
from ftbt.rehearsal.pacing import Pace, Pacer, Span
from ftbt.rehearsal.sitter import Seen
from soak.accounts import Compared, compare
from soak.catalogue import Call, Deed, faults_of
from soak.plan import Stroke
from soak.ward import Ward

# A restart and whatever the faults before it still hold up.
_PATIENCE_S = 240.0
# Nothing happens to a quiet account for so long: an event is not waited for any more.
_EVENT_BARS = 10
# Before the end nothing is queued any more, and what waits is taken away.
_CALM_BARS = 4
_AGREE_S = 15.0
_DEAF_S = 90.0
_RESUME_BARS = 1
_OUTAGE = "/server/refuse"
# Until those who were cut are back.
_BACK_S = 2.0


@dataclass(slots=True)
class Struck:
    """What came of the strokes.

    Attributes:
        done: numbers of those that have struck.
        waiting: of those that were queued and found nothing to strike.
        outages: times (by `time.monotonic()`) in which the exchange took no connections.
        resumed: times that the owner had to let the session open positions again, and why.
        compared: accounts side by side, after each death and at the end.
    """

    done: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    outages: list[tuple[float, float]] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)


class Driver(Pacer):
    """Drives the market, lets the strokes fall, and compares the accounts after each death.

    Args:
        net: stands still at the beginning.
        ward: the live process.
        user: address of the account.
        span: what is traded.
        strokes: what goes wrong.
        tell: called now and then with how far it is.
    """

    def __init__(
        self, net: Localnet, ward: Ward, user: str, span: Span, strokes: tuple[Stroke, ...],
        tell: Callable[[Pace], None] = lambda _: None,
    ) -> None:  # fmt: skip
        super().__init__(net, ward, user, span, _PATIENCE_S, (), tell)
        self.ward, self.struck = ward, Struck()
        self._left = deque(sorted(strokes, key=lambda one: (one.bar, one.number)))
        self._queued: dict[int, Stroke] = {}
        self._due: list[Stroke] = []  # deeds whose moment has not come
        self._undo: list[tuple[int, Call]] = []
        self._held: list[Stroke] = []  # faults whose place is taken by another one
        self._refused_since: int | None = None
        self._calm = False
        self._deaf_since: float | None = None
        # Faults strike from the first bar on: the market waits for nobody who is blind.
        self.paced.struck += ((self.begin, "soak"),)

    @property
    def number(self) -> int:
        """The bar that opens next, from 0."""
        return (self.paced.reached_ms - self.begin) // self.step

    # --- faults -----------------------------------------------------------------------------------

    def inject(self) -> None:
        """Queue what is due before the next bar opens."""
        number = self.number
        for due, call in [one for one in self._undo if one[0] <= number]:
            self._undo.remove((due, call))
            self._call(call)
        if number >= (self.end - self.begin) // self.step - _CALM_BARS:
            self.calm()
            return
        while self._left and self._left[0].bar <= number:
            stroke = self._left.popleft()
            (self._held if stroke.blow.deed is None else self._due).append(stroke)
        self._queue_what_fits()

    def _queue_what_fits(self) -> None:
        """Queue faults, one at a place: several at once would be no single fault any more."""
        if not self._held:
            return
        taken = {_place(fault) for fault in self.net.control("/faults")["waiting"]}
        for stroke in list(self._held):
            places = {_place(fault) for fault in faults_of(stroke.blow)}
            if places & taken:
                continue
            taken |= places
            self._held.remove(stroke)
            self._queue(stroke)

    def _queue(self, stroke: Stroke) -> None:
        for call in stroke.blow.calls:
            named = {"stroke": stroke.number} if call.path == "/faults" else {}
            self._call(Call(call.path, {**call.body, **named}))
        if stroke.blow.undo is not None:
            bars, call = stroke.blow.undo
            self._undo.append((self.number + bars, call))
        if faults_of(stroke.blow):
            self._queued[stroke.number] = stroke
        else:
            self.struck.done.add(stroke.number)

    def _call(self, call: Call) -> None:
        self.net.control(call.path, dict(call.body))
        if call.path == _OUTAGE:
            now = time.monotonic()
            self.struck.outages.append((now, now + float(call.body["seconds"]) + _BACK_S))

    def calm(self) -> None:
        """Take away what waits, and count what has struck."""
        if self._calm:
            return
        self._calm = True
        waiting = {
            fault["stroke"]: fault["count"] for fault in self.net.control("/faults")["waiting"]
            if "stroke" in fault
        }  # fmt: skip
        for number, stroke in self._queued.items():
            whole = faults_of(stroke.blow)[-1].get("count", 1)
            untouched = waiting.get(number) == whole
            (self.struck.waiting if untouched else self.struck.done).add(number)
        self.struck.waiting |= {one.number for one in [*self._held, *self._due, *self._left]}
        self._held, self._due = [], []
        self._left.clear()
        self.net.control("/faults", method="DELETE")
        for _, call in self._undo:
            self._call(call)
        self._undo = []

    # --- one stop ---------------------------------------------------------------------------------

    def settle(self, moved: Moved) -> Moved:
        """Let what is due befall the process, wait until it has followed, and compare."""
        died = False
        for stroke in self._ripe(moved):
            assert stroke.blow.deed is not None, "only deeds wait for a moment"
            moved, dead = self._do(stroke.blow.deed, moved)
            died |= dead
            self._due.remove(stroke)
            self.struck.done.add(stroke.number)
        moved = super().settle(moved)
        if died:
            self.compare()
        self._look_after()
        return moved

    def followed(self, seen: Seen, closed: int, fills: int) -> bool:
        """Tell whether the market may go on: it waits for streams as well, for a while.

        Seconds in which a stream comes back are seconds of the market, too. At the pace of a soak
        they would be hours in which nothing is opened.
        """
        if not super().followed(seen, closed, fills):
            return False
        if seen.connected or seen.over:
            self._deaf_since = None
            return True
        now = time.monotonic()
        self._deaf_since = now if self._deaf_since is None else self._deaf_since
        return now - self._deaf_since > _DEAF_S

    def _ripe(self, moved: Moved) -> list[Stroke]:
        if self._calm:
            return []
        events = moved.stopped == "account"
        ripe = [
            one for one in self._due
            if (one.blow.moment == "event") == events or self.number > one.bar + _EVENT_BARS
        ]  # fmt: skip
        return ripe[:1]  # one at a time: the next one waits for another stop

    def _do(self, deed: Deed, moved: Moved) -> tuple[Moved, bool]:
        """Do it, and return where the market is afterwards, and whether the process died."""
        time.sleep(deed.after_s)
        if deed.does == "order gone":
            self._take_an_order()
            return moved, False
        if deed.does == "freeze":
            self.ward.freeze()
            moved = self._go(moved, deed.down_ms)
            time.sleep(deed.seconds)
            self.ward.thaw()
            return moved, False
        if deed.does == "kill":
            self.ward.kill()
        else:
            self.ward.stop_by_command()
        moved = self._go(moved, deed.down_ms)
        self.ward.again()
        return moved, True

    def _go(self, moved: Moved, ms: int) -> Moved:
        """Let the market trade on without the process."""
        last = self.end - _CALM_BARS * self.step
        until = min(moved.market + ms, last)
        while moved.market < until and moved.stopped != "end":
            moved = self.move(until)
        return moved

    def _take_an_order(self) -> None:
        """Let the venue end the stop of a position, or another order when there is none."""
        orders = self.net.state()["orders"].get(self.user, [])
        stops = [one for one in orders if one["isTrigger"]]
        for order in (stops or orders)[:1]:
            body = {"user": self.user, "oid": order["oid"], "status": "marginCanceled"}
            self.net.control("/orders/cancel", body)

    # --- what is looked after ---------------------------------------------------------------------

    def compare(self) -> None:
        """Compare the accounts; what is on its way to the journal's file is waited for."""
        end = time.monotonic() + _AGREE_S
        while True:
            found = compare(self.net, self.user, self.ward.state)
            if not found.apart or time.monotonic() > end:
                self.struck.compared.append(found)
                return
            time.sleep(0.25)

    def _look_after(self) -> None:
        """Let it trade again, as its owner would, where it waits for that."""
        why = self.ward.refusal()
        if "ftbt resume" not in why:
            self._refused_since = None
            return
        self._refused_since = self.number if self._refused_since is None else self._refused_since
        if self.number - self._refused_since >= _RESUME_BARS:
            self.ward.command("resume", "--reason", "soak: the faults were meant")
            self.struck.resumed.append(why)
            self._refused_since = None


def _place(fault: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return where a fault strikes: at one place only the oldest does."""
    match = fault.get("match") or {}
    return FAULTS[fault["name"]], *sorted(match.items())
