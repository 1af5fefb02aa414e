"""Where the time of one back-test goes on the compiled engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._stopwatch import Stopwatch, watching
from benchmarks.common import Row
from ftbt.backtest import compiled_engine, engine, objects
from ftbt.smc import base
from ftbt.strategy.setup import Setup

# Parts of a call, by the functions that they are.
PARTS: dict[str, list[tuple[Any, str]]] = {
    "lines": [(base, "kept_line")],
    "strategy object": [(objects.OnMarkets, "on")],
    "setup rule": [(Setup, "_call")],
    "compiled loop": [(compiled_engine, "run")],
    "plan": [(engine, "make_plan")],
}
MEANING = {
    "lines": "made anew by their compiled loops",
    "strategy object": "the strategy with its lines, nothing computed yet",
    "setup rule": "the rule at every bar",
    "compiled loop": "decisions, limits, orders, fills, trades, equity",
    "plan": "parameters checked, candles put on one clock",
    "rest": "tables, what depends on the market alone (kept), the Result",
}


def split(name: str, call: Callable[[], object], repeats: int = 40) -> list[Row]:
    """Return a row for each part of *call*: milliseconds, of the shortest of *repeats* calls."""
    call()
    watches = [_watched(call) for _ in range(repeats)]
    best = min(watches, key=lambda watch: watch.total)
    return [
        Row(f"{name}: of this {part}", 1e3 * best.seconds[part], "ms", meaning)
        for part, meaning in MEANING.items()
    ]


def _watched(call: Callable[[], object]) -> Stopwatch:
    watch = Stopwatch()
    with watching(watch, PARTS), watch.label("rest"):
        call()
    return watch
