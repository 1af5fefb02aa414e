"""What the benchmarks have in common: a row of figures with its target, and a stop watch.

A benchmark is a module in this folder with `run() -> list[Row]`; `python -m benchmarks` finds it
by itself. It measures both sides of a ratio in one run, on the same machine and bars, because
absolute times say more about the machine than about the code.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class NotMeasured(Exception):  # noqa: N818 - reads as what happened
    """Something that the benchmark needs is not here; the message says what and how to get it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        name: what it is, for people.
        figure: the measured value; NaN when it could not be measured (`how` says why).
        unit: of the figure, for example `s`, `x` for a ratio, or empty.
        how: on what it was measured, and how, in one sentence.
        at_least, at_most: the target, limits included; None on both sides: shown for information.
    """

    name: str
    figure: float
    unit: str = ""
    how: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words, empty without one."""
        words = []
        if self.at_least is not None:
            words.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            words.append(f"at most {self.at_most:g}")
        return f"{' and '.join(words)} {self.unit}".strip() if words else ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or without a figure."""
        if not self.target or math.isnan(self.figure):
            return None
        above = self.at_least is None or self.figure >= self.at_least
        below = self.at_most is None or self.figure <= self.at_most
        return above and below

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values for `results/bench.json`."""
        figure = self.figure if math.isfinite(self.figure) else None
        return {
            "name": self.name,
            "figure": figure,
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
            "how": self.how,
        }


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest wall time of *repeats* calls, in seconds.

    The shortest, because everything else that runs on the machine can only make it longer. Call
    *function* once before, when it compiles something.
    """
    shortest = math.inf
    for _ in range(repeats):
        gc.collect()
        began = time.perf_counter()
        function()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest


def processor_seconds(
    function: Callable[[], object], repeats: int, before: Callable[[], object] | None = None
) -> float:
    """Return the shortest processor time of *repeats* calls, in seconds.

    For single calls on one core: other programs on the machine change it least. Call *function*
    once before, when it compiles something. What is done *before* each call is not counted.
    """
    shortest = math.inf
    gc.collect()
    for _ in range(repeats):
        if before is not None:
            before()
        began = time.process_time()
        function()
        shortest = min(shortest, time.process_time() - began)
    return shortest
