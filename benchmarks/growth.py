"""How cost grows: ten times the bars, ten times the trials, two workers, memory of a worker."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import inf, nan
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor

from benchmarks._bracketed_market import SETTINGS, YEAR, bars, market, strategy
from benchmarks._stopwatch import Stopwatch, watching
from benchmarks.common import Row, processor_seconds
from benchmarks.walkforward_cost import experiment
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.settings import Settings
from ftbt.compiled import compiled
from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.smc.base import CACHE
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.search import Study
from ftbt.walkforward.tasks import WindowTask, run_window
from ftbt.walkforward.workers import run_windows

TIMES = 10
JOBS = 2
# The walk-forward of `walkforward_cost`. A short one would be about the workers' first windows.
WINDOWS, TRIALS = 12, 200
# Less than this from the machine itself, and the figure would be about something else.
FREE = 1.9


def run() -> list[Row]:
    """Measure; about four minutes."""
    return [*_bars(), *_trials(), *_workers()]


# --- bars --------------------------------------------------------------------------------------


def _bars() -> list[Row]:
    """Measure ten years in one call against each of these years in a call of its own.

    The same bars on both sides. One year called over and over would be another thing: it stays in
    the processor's memory, and the processor learns by heart which way each of its branches goes.
    """
    many = {
        "bracketed cross": market(bars(TIMES * YEAR)),
        "liquidity_sweep": sample_market(["BTC"], days=TIMES * 365)["BTC"],
    }
    rows = []
    for name, whole in many.items():
        own = name == "bracketed cross"
        cls = (strategy() if own else find_strategy(name)).load()
        settings = SETTINGS if own else None
        count = len(whole.candles) // TIMES
        years = [whole.slice(n * count, (n + 1) * count) for n in range(TIMES)]
        took = _least([partial(_call, cls, part, settings) for part in ([whole], years)])
        how = (
            f"{len(whole.candles):,} bars in one call {1e3 * took[0]:.2f} ms, each of their"
            f" {TIMES} parts in one of its own {1e3 * took[1]:.2f} ms together, lines made anew"
        )
        # What a part costs is the tenth of what all of them do.
        rows.append(Row(f"bars x{TIMES}: {name}", TIMES * took[0] / took[1], "x", how, None, 10.5))
    return rows


def _call(cls: type[Any], markets: Sequence[Market], settings: Settings | None) -> None:
    for traded in markets:
        CACHE.clear()
        run_backtest(cls, traded, settings=settings, engine="compiled")


def _least(calls: Sequence[Callable[[], None]], rounds: int = 60) -> list[float]:
    """Return the shortest processor time of each of *calls*, measured in turns."""
    shortest = [inf] * len(calls)
    for call in calls:
        call()
    for _ in range(rounds):
        shortest = [min(s, processor_seconds(c, 1)) for s, c in zip(shortest, calls, strict=True)]
    return shortest


# --- trials ------------------------------------------------------------------------------------


def _trials() -> list[Row]:
    """Measure one window with few trials and with ten times as many, the sampler apart.

    Up to the number whose cost has a target, and beyond it, for information: TPE looks at all
    earlier trials before each new one, so far out its part grows with the square.
    """
    found = _trials_up_to(TRIALS, at_most=11.0)
    return found + _trials_up_to(500, at_most=None)


def _trials_up_to(many: int, at_most: float | None) -> list[Row]:
    few = many // TIMES
    first = _tasks(few)[0]
    _window(replace(first, trials=4))
    took = [_least_of(replace(first, trials=count)) for count in (few, many)]
    whole = [one.total for one in took]
    own = [one.seconds["all but the sampler"] for one in took]
    name = f"trials x{TIMES}, {few} to {many}"
    where = f"one window of three symbols: {whole[0]:.3f} s and {whole[1]:.2f} s"
    apart = f"{own[0]:.3f} s and {own[1]:.2f} s, the rest is TPE"
    return [
        Row(name, whole[1] / whole[0], "x", where, at_most=at_most),
        Row(f"{name}: without the sampler", own[1] / own[0], "x", apart),
    ]


def _least_of(task: WindowTask) -> Stopwatch:
    return min((_window(task) for _ in range(3)), key=lambda watch: watch.total)


def _window(task: WindowTask) -> Stopwatch:
    CACHE.clear()
    watch = Stopwatch()
    with (
        tempfile.TemporaryDirectory() as folder,
        watching(watch, {"sampler": [(Study, "ask"), (Study, "tell")]}),
        watch.label("all but the sampler"),
    ):
        run_window(replace(task, folder=Path(folder)))
    return watch


def _tasks(trials: int) -> list[WindowTask]:
    inputs = experiment(WINDOWS, trials)
    return [inputs.task(window, Path(), os.getpid()) for window in inputs.windows[:WINDOWS]]


# --- workers -----------------------------------------------------------------------------------


def _workers() -> list[Row]:
    tasks = _tasks(TRIALS)
    short = [replace(task, trials=4) for task in tasks[: 2 * JOBS]]
    _timed(short, JOBS)  # the workers start, load compiled code and import
    both, alone = inf, inf
    for _ in range(5):  # in turns: what else the machine does changes slowly
        both = min(both, _timed(tasks, JOBS))
        alone = min(alone, _timed(tasks, 1))
    memory = max(joblib.Parallel(JOBS)(joblib.delayed(_peak)() for _ in range(4 * JOBS)))
    get_reusable_executor().shutdown(kill_workers=True)  # or the end waits until they are tired
    how = (
        f"{len(tasks)} windows x {TRIALS} trials x 3 symbols: {alone:.1f} s and {both:.1f} s, wall"
        " time, workers running"
    )
    free = _machine()
    if free < FREE:
        how = f"not measured: the machine is busy, see the next row; {how}"
    rows = [
        Row(f"{JOBS} workers: times one", alone / both if free >= FREE else nan, "x", how, 1.8),
        Row(
            f"{JOBS} workers: what the machine gives",
            free,
            "x",
            f"a loop of arithmetic alone, in {JOBS} processes instead of one after the other",
        ),
    ]
    if memory:
        how = f"largest resident size of a worker after {len(tasks)} windows"
        rows.append(Row("peak memory of a worker", memory / 2**20, "MB", how))
    return rows


def _timed(tasks: Sequence[WindowTask], jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        own = [replace(task, folder=Path(folder) / str(n)) for n, task in enumerate(tasks)]
        CACHE.clear()
        began = time.perf_counter()
        run_windows(own, jobs, lambda _: None)
        return time.perf_counter() - began


def _peak() -> int:
    """Return the most memory that this process has had, in bytes; 0 where that is not told."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@compiled
def _spin(values):  # type: ignore[no-untyped-def]
    total = 0.0
    for _ in range(400):
        for i in range(values.shape[0]):
            total = total * 0.5 + values[i]
    return total


def _busy(_: int) -> int:
    _spin(np.ones(1_000_000))
    return os.getpid()


def _machine() -> float:
    """Return how much faster two processes are than one where nothing is shared."""
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        list(pool.map(_busy, range(4 * JOBS)))
        began = time.perf_counter()
        list(pool.map(_busy, range(2 * JOBS)))
        both = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(2 * JOBS):
            pool.submit(_busy, 0).result()
        return (time.perf_counter() - began) / both
