"""Where processor time goes: functions are watched, and each second belongs to one label only."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


class Stopwatch:
    """Processor seconds by label: those of the innermost watched function that runs.

    Attributes:
        seconds: label -> seconds.
        calls: label -> number of calls.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._running: list[str] = []
        self._since = 0.0

    def _switch(self) -> None:
        """Give the time since the last switch to the label that was running."""
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    @contextmanager
    def label(self, name: str) -> Iterator[None]:
        """Count what happens inside under *name*."""
        self._switch()
        self._running.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return *function*, its time counted under *name*."""

        @functools.wraps(function)
        def timed(*given: Any, **more: Any) -> Any:
            with self.label(name):
                return function(*given, **more)

        return timed

    @property
    def total(self) -> float:
        """All seconds."""
        return sum(self.seconds.values())


@contextmanager
def replaced(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Put *other* in the place of an attribute for a while."""
    own = vars(owner)[name]
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, own)


@contextmanager
def watching(watch: Stopwatch, places: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
    """Watch functions for a while: label -> (module or class, name of the function)."""
    with ExitStack() as stack:
        for label, functions in places.items():
            for owner, name in functions:
                timed = watch.watched(label, vars(owner)[name])
                stack.enter_context(replaced(owner, name, timed))
        yield
