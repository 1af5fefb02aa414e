"""Watching a strategy at work: who sent which order, and an end right after the cut.

The strategy runs as a subclass of itself that notes each order and cancellation with the line of
the user's file that asked for it. Nothing is changed in what it does.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from ftbt.robustness.lookahead.fresh import file_of, is_library

_NEVER = 2**62


@dataclass(frozen=True)
class Place:
    """A line of the user's code."""

    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Sent:
    """An order or a cancellation: at the close of which bar, which side (0 for a cancellation)."""

    bar: int
    side: int
    place: Place | None


@dataclass
class Watch:
    """What is seen of one run.

    Attributes:
        files: the user's files that define the strategy.
        stop_after: the last bar at whose close the strategy shall decide.
        on_start, on_stop: called with the strategy object before its first and after its last bar.
        strategy: the object that runs, once started.
        sent: its orders and cancellations.
    """

    files: frozenset[str]
    stop_after: int = _NEVER
    on_start: Callable[[Any], None] | None = None
    on_stop: Callable[[Any], None] | None = None
    strategy: Any = None
    sent: list[Sent] = field(default_factory=list)

    @property
    def bar(self) -> int:
        """The bar that the strategy is at, -1 before the first one."""
        return -1 if self.strategy is None else len(self.strategy) - 1

    def note(self, strategy: Any, side: int, frame: FrameType | None) -> None:
        """Note an order of *side*, or a cancellation, with the user's line that sent it."""
        self.sent.append(Sent(len(strategy) - 1, side, self._place(frame)))

    def _place(self, frame: FrameType | None) -> Place | None:
        # Beyond the engine's own frames it is somebody else's call.
        while frame is not None and not _is_engine(frame):
            file = frame.f_code.co_filename
            if file in self.files:
                code = linecache.getline(file, frame.f_lineno).strip()
                return Place(Path(file).name, frame.f_lineno, code)
            frame = frame.f_back
        return None

    def place_of(self, orders: Any, number: int) -> Place | None:
        """Return the line that sent order *number* of the run's ORDER records."""
        rows = orders[orders["id"] == number]
        if not len(rows):
            return None
        bar, side = int(rows[0]["bar"]), int(rows[0]["side"])
        of_bar = orders[(orders["bar"] == bar) & (orders["side"] == side)]
        at = int((of_bar["id"] < number).sum())
        sent = [one for one in self.sent if one.bar == bar and one.side == side]
        return sent[at].place if at < len(sent) else None

    def cancelled_at(self, bar: int) -> Place | None:
        """Return the line that cancelled an order at the close of *bar*."""
        return next((one.place for one in self.sent if one.bar == bar and one.side == 0), None)


def _is_engine(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("ftbt.backtest.")


def users_files(cls: type[Any]) -> frozenset[str]:
    """Return the files of *cls* and of those of its bases that are the user's own."""
    files = set()
    for base in cls.__mro__:
        file = file_of(sys.modules.get(base.__module__))
        # A strategy file may live anywhere, even among the packages.
        if file and (base.__module__.startswith("ftbt_strategy_") or not is_library(file)):
            files.add(file)
    return frozenset(files)


_ANYTHING: Any = object


class _Watched(_ANYTHING):  # type: ignore[misc]  # what it is mixed in before is the user's
    """Mixed in before a strategy: reports to the last watch in `_ftbt_watching`."""

    _ftbt_watching: ClassVar[list[Watch]]

    @property
    def _watch(self: Any) -> Watch:
        return self._ftbt_watching[-1]  # type: ignore[no-any-return]

    def start(self: Any) -> None:
        self._watch.strategy = self
        super().start()
        if self._watch.on_start is not None:
            self._watch.on_start(self)

    def stop(self: Any) -> None:
        if self._watch.on_stop is not None:
            self._watch.on_stop(self)
        super().stop()

    def next(self: Any) -> None:
        if not self._is_over():
            super().next()

    def _next_catch(self: Any) -> None:
        # What the metaclass of signal strategies puts in place of next().
        if not self._is_over():
            super()._next_catch()

    def _is_over(self: Any) -> bool:
        over: bool = len(self) - 1 > self._watch.stop_after
        if over:
            self.env.runstop()
        return over

    def buy(self: Any, *args: Any, **keywords: Any) -> Any:
        order = super().buy(*args, **keywords)
        if order is not None:
            self._watch.note(self, 1, inspect.currentframe())
        return order

    def sell(self: Any, *args: Any, **keywords: Any) -> Any:
        order = super().sell(*args, **keywords)
        if order is not None:
            self._watch.note(self, -1, inspect.currentframe())
        return order

    def cancel(self: Any, order: Any) -> Any:
        self._watch.note(self, 0, inspect.currentframe())
        return super().cancel(order)


def traced(cls: type[Any], watching: list[Watch]) -> type[Any]:
    """Return the subclass of *cls* that reports to the last watch in *watching*."""
    metaclass: Any = type(cls)
    body = {"__module__": cls.__module__, "_ftbt_watching": watching}
    made: type[Any] = metaclass(cls.__name__, (_Watched, cls), body)
    return made
