"""How fast the compiled engine is: the shipped strategies on a year of 15m bars.

A call goes from candles and parameters to a `Result`. *New lines*: none of the strategy's lines is
in the cache; *kept lines*: all are, as for most trials of a search. Then the whole sweep of 100
parameter sets on two processes, and the first call of all on a machine: compiling, and what a fresh
process pays once that is done. Single calls are measured in processor time, which other programs on
the machine change least, everything else in wall time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks._split import split
from benchmarks.common import Row, processor_seconds
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.parity import compare
from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.ranges import Bool, Choice, Int
from ftbt.smc.base import CACHE
from ftbt.strategy.loader import find_strategy, strategy_names
from ftbt.strategy.parameters import tunable

SETS = 100
JOBS = 2
TARGET_MS = 5.0
TARGET_COMPILE = 60.0

_FRESH = """
import sys, time
from ftbt.backtest.engine import run_backtest
from ftbt.data.sample import sample_market
from ftbt.strategy.loader import find_strategy
market = sample_market(["BTC"], days=20)["BTC"]
for name in sys.argv[1:]:
    cls = find_strategy(name).load()
    began = time.perf_counter()
    run_backtest(cls, market, engine="compiled")
    print(time.perf_counter() - began)
"""


@cache
def _market() -> Market:
    return sample_market(["BTC"])["BTC"]


def run() -> list[Row]:
    """Measure everything; see the module docstring."""
    market = _market()
    bars = f"{len(market.candles):,} bars of 15m"
    rows = [row for name in strategy_names() for row in _strategy(name, market, bars)]
    return rows + _sweeps(bars) + _first_calls()


def _strategy(name: str, market: Market, bars: str) -> list[Row]:
    cls = find_strategy(name).load()

    def compiled() -> Any:
        return run_backtest(cls, market, engine="compiled")

    def with_new_lines() -> Any:
        CACHE.clear()
        return compiled()

    found = compiled()
    began = time.process_time()
    difference = compare(found, run_backtest(cls, market, engine="reference"))
    reference = time.process_time() - began
    if difference:
        raise AssertionError(f"{name}: the engines disagree: {difference}")
    new = processor_seconds(compiled, 30, before=CACHE.clear)
    kept = processor_seconds(compiled, 30)
    how = f"{bars}, {len(found.trades)} trades"
    return [
        Row(f"{name}: reference engine", reference, "s", f"{how}, one call"),
        Row(f"{name}: new lines", 1e3 * new, "ms", f"{how}, shortest of 30", at_most=TARGET_MS),
        Row(f"{name}: kept lines", 1e3 * kept, "ms", f"{how}, shortest of 30"),
        Row(f"{name}: reference / compiled", reference / kept, "x", "lines kept by both"),
        *split(name, with_new_lines),
    ]


def parameter_sets(cls: type[Any], count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return *count* random sets from the strategy's search space."""
    random = np.random.default_rng(seed)

    def value(limits: Any) -> Any:
        if isinstance(limits, Choice):
            return limits.words[random.integers(len(limits.words))]
        if isinstance(limits, Bool):
            return bool(random.integers(2))
        steps = round((limits.high - limits.low) / (limits.step or (limits.high - limits.low) / 20))
        at = limits.low + (limits.high - limits.low) * random.integers(steps + 1) / steps
        return round(at) if isinstance(limits, Int) else round(float(at), 6)

    space = tunable(cls)
    return [{name: value(limits) for name, limits in space.items()} for _ in range(count)]


def _some(job: tuple[str, int, int]) -> int:
    """Run a share of a sweep; return its trades."""
    name, first, step = job
    cls = find_strategy(name).load()
    market = _market()
    if first < 0:  # a rehearsal: market, compiled code
        return len(run_backtest(cls, market, engine="compiled").trades)
    sets = parameter_sets(cls, SETS)[first::step]
    return sum(len(run_backtest(cls, market, one, engine="compiled").trades) for one in sets)


def _sweeps(bars: str) -> list[Row]:
    rows = []
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        for name in strategy_names():
            list(pool.map(_some, [(name, -1, 0)] * (4 * JOBS)))
            began = time.perf_counter()
            trades = sum(pool.map(_some, [(name, job, JOBS) for job in range(JOBS)]))
            took = time.perf_counter() - began
            how = f"{bars}, {trades:,} trades, lines made by each process"
            rows.append(Row(f"{name}: sweep of {SETS} sets on {JOBS} processes", took, "s", how))
    return rows


def _first_calls() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold, warm = (_fresh_process(environment) for _ in range(2))
    return [
        Row(
            "first calls on a machine",
            sum(cold),
            "s",
            f"{', '.join(strategy_names())} one after the other in a fresh process, nothing"
            f" compiled yet; the first of them {cold[0]:.1f} s",
            at_most=TARGET_COMPILE,
        ),
        Row(
            "first calls of a process",
            sum(warm),
            "s",
            f"the same in the next process, compiled code loaded; the first {warm[0]:.2f} s",
        ),
    ]


def _fresh_process(environment: dict[str, str]) -> list[float]:
    command = [sys.executable, "-c", _FRESH, *strategy_names()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]
