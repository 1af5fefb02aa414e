"""The market of a rehearsal goes as fast as the live process follows, and never faster.

The exchange stands still at each open and after whatever happens to the account, until the status
file says that the process has decided on the bar that closed, booked every fill and has nothing on
its way. So a rehearsal is the same on a busy machine, only slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ftbt.data.timeframe import show_ms
from ftbt.errors import ExternalError
from ftbt.localnet.process import Localnet, Moved
from ftbt.rehearsal.faults import PlannedFault
from ftbt.rehearsal.sitter import Seen, Sitter, ended_early

_POLL_S = 0.0005
# After a fault the process may have missed what would have told it the time; then, as anywhere,
# the market does not wait.
_BLIND_S = 5.0
# Where in a bar of the path the market trades next after its open.
_NEXT_TRADE = 0.3


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a rehearsal is.

    Attributes:
        bars: decided on so far; `of` in all.
        market_ms: the market's time.
        trades, equity: of the live process.
        rate: bars in a second, over the whole time.
    """

    bars: int
    of: int
    market_ms: int
    trades: int
    equity: float
    rate: float

    @property
    def seconds_left(self) -> float:
        """How long the rest takes at this rate."""
        return (self.of - self.bars) / self.rate if self.rate > 0.0 else float("inf")


@dataclass(slots=True)
class Paced:
    """What a drive came to.

    Attributes:
        reached_ms: close of the last bar that was decided on.
        stops: how often the market stood still for the process.
        waited_s: how long in all; `moved_s` what the market itself took.
        quiet: opens at which a coin did not trade, so that the market had to go on a little.
        blind: how often it had to go on after faults, before the process had followed.
        struck: (market ms, name) of injected faults.
    """

    reached_ms: int
    stops: int = 0
    waited_s: float = 0.0
    moved_s: float = 0.0
    quiet: int = 0
    blind: int = 0
    struck: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """What is rehearsed, in ms of the market.

    Attributes:
        begin_ms: open of the first bar to be decided on.
        end_ms: open of the bar with which the rehearsal ends.
        step_ms: length of a bar.
        path_ms: length of the bars that the path is made of.
        quiet: opens of bars at which some coin does not trade.
    """

    begin_ms: int
    end_ms: int
    step_ms: int
    path_ms: int
    quiet: frozenset[int] = frozenset()


class Pacer:
    """Drives the market of *net* for one live process.

    Args:
        net: stands still at the beginning.
        sitter: the live process.
        user: address of the account that it trades for.
        span: what is rehearsed.
        patience_s: how long the process may take for one stop.
        faults: what is to go wrong, by number of the bar.
        tell: called now and then with how far it is.
    """

    def __init__(
        self,
        net: Localnet,
        sitter: Sitter,
        user: str,
        span: Span,
        patience_s: float = 60.0,
        faults: tuple[PlannedFault, ...] = (),
        tell: Callable[[Pace], None] = lambda _: None,
    ) -> None:
        self.net, self.sitter, self.user = net, sitter, user
        self.span = span
        self.begin, self.end, self.step = span.begin_ms, span.end_ms, span.step_ms
        self._patience, self._tell = patience_s, tell
        self._faults = sorted(faults, key=lambda one: one.bar)
        self._began = time.monotonic()
        self.paced = Paced(span.begin_ms)

    def drive(self) -> Paced:
        """Let the market trade up to the end; also what was done before an error is in `paced`.

        Raises:
            ExternalError: the process ended or does not follow; the exchange does not answer.
        """
        while True:
            self.inject()
            moved = self.move(self.end)
            if moved.stopped == "bar" and moved.market in self.span.quiet:
                moved = self._prove(moved)
            moved = self.settle(moved)
            if moved.market >= self.end or moved.stopped == "end":
                return self.paced

    # --- one stop -------------------------------------------------------------------------------

    def move(self, until: int) -> Moved:
        """Let the market trade up to *until* (ms), or until something happens to the account."""
        began = time.monotonic()
        moved = self.net.run_to_event(self.user, until)
        self.paced.moved_s += time.monotonic() - began
        return moved

    def settle(self, moved: Moved) -> Moved:
        """Wait until the process has taken in everything up to now, and return where that is."""
        began = time.monotonic()
        self.paced.stops += 1
        # At the open of a bar the one before it is known; inside it no other one is.
        closed = moved.market // self.step * self.step - self.step
        fills, still = moved.fills, began
        while True:
            seen = self.sitter.seen()
            if self.paced.struck and time.monotonic() - still > _BLIND_S:
                still = time.monotonic()
                moved = self._go_on(moved)
                fills = max(fills, moved.fills)
                closed = moved.market // self.step * self.step - self.step
            if seen is not None and self.followed(seen, closed, fills):
                # Orders sent meanwhile may have filled at once.
                now = self.net.fills_of(self.user)
                if now == seen.fills:
                    break
                fills = now
            if seen is not None and seen.over and closed + self.step >= self.end:
                break  # it ends by itself when it has decided on the last bar
            self._check(began, closed, fills, seen)
            time.sleep(_POLL_S)
        self.paced.waited_s += time.monotonic() - began
        if closed >= self.begin:
            self._note(closed, moved, seen)
        return moved

    def followed(self, seen: Seen, closed: int, fills: int) -> bool:
        """Tell whether the process has decided on *closed*, booked *fills*, and waits for nothing.

        Args:
            seen: what it says of itself.
            closed: open of the newest bar that has closed, ms.
            fills: of the account, since it exists.
        """
        decided = closed < self.begin or seen.bar_ms >= closed
        return decided and seen.fills >= fills and not seen.busy

    def _note(self, closed: int, moved: Moved, seen: Seen) -> None:
        self.paced.reached_ms = closed + self.step
        done = (self.paced.reached_ms - self.begin) // self.step
        rate = done / max(time.monotonic() - self._began, 1e-9)
        of = (self.end - self.begin) // self.step
        self._tell(Pace(done, of, moved.market, seen.trades, seen.equity, rate))

    def _prove(self, moved: Moved) -> Moved:
        """Let the other coins trade once more: time proves the bar of a coin that does not."""
        self.paced.quiet += 1
        return self.move(moved.market + int(self.span.path_ms * _NEXT_TRADE))

    def _go_on(self, moved: Moved) -> Moved:
        """Let the market trade on for a moment although the process has not followed."""
        self.paced.blind += 1
        until = moved.market + int(self.span.path_ms * _NEXT_TRADE)
        return self.move(min(until, self.end))

    def _check(self, began: float, closed: int, fills: int, seen: Seen | None) -> None:
        if not self.sitter.running:
            raise ended_early(self.sitter)
        waited = time.monotonic() - began
        if waited <= self._patience:
            return
        state = "no status at all"
        if seen is not None:
            state = f"bar {show_ms(seen.bar_ms)}, {seen.fills} fills, {seen.busy} on their way"
        raise ExternalError(
            f"the live process did not follow for {waited:.0f} s: wanted bar {show_ms(closed)},"
            f" {fills} fills, nothing on its way; it says {state}; it printed:\n"
            f"{self.sitter.last_words()}"
        )

    # --- faults ---------------------------------------------------------------------------------

    def inject(self) -> None:
        """Queue the faults whose bar opens next."""
        number = (self.paced.reached_ms - self.begin) // self.step
        while self._faults and self._faults[0].bar <= number:
            fault = self._faults.pop(0)
            self.net.control(fault.path, dict(fault.body))
            self.paced.struck += ((self.paced.reached_ms, fault.name),)
