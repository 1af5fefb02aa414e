"""Ctrl-C and SIGTERM: a session ends cleanly, and at once when asked twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ftbt.live.runner import LiveRun

# Windows has Ctrl-Break in the place of SIGTERM.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


@contextmanager
def interrupts(run: LiveRun, told: Callable[[int], None] = lambda _: None) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop *run* cleanly while the block runs; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, _: Any) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        told(number)
        run.stop()

    before = {one: signal.signal(one, handle) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
