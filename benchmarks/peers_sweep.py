"""A hundred parameter sets of the bracketed cross: ftbt on two processes beside its peers.

Each set is a strategy object of its own and a whole `Result`. What is timed begins with the sets
and ends with the final equities; the workers are there and the code is compiled, as for vectorbt,
but no line is kept. Wall time, the shortest of several turns. Last, the same in a fresh process:
imports, loading of compiled code, everything. vectorbt takes all sets in one call by broadcasting,
on one core, which is how it works; backtesting.py has `optimize`, on all cores. Backtrader is timed
on a few sets and multiplied, as if a loop over two processes lost nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._bare_loop import bare
from benchmarks._bracketed_market import CASH, FEE, SETTINGS, SWEEP, bars, market, strategy
from benchmarks._peers import Peer, Peers, bars_file, in_turns, peers, peers_python
from benchmarks.common import NotMeasured, Row
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason, Result
from ftbt.data.candles import Bars
from ftbt.data.market import Market
from ftbt.smc.base import CACHE

JOBS = 2
TURNS = 5
FRESH_TURNS = 3
BACKTRADER_SETS = 3
QUESTION: dict[str, Any] = dict(sets=SWEEP, cash=CASH, fee=FEE)
ENGINES = ("numba", "rust")


@cache
def _traded() -> Market:
    return market(bars())


def _some(sets: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Run a share of the sweep on empty caches: final equities, with and without forced exits."""
    CACHE.clear()
    cls = strategy().load()
    runs = (run_backtest(cls, _traded(), one, SETTINGS, engine="compiled") for one in sets)
    return [(float(run.equity[-1]), float(run.equity[-1]) + _forced_fee(run)) for run in runs]


def _forced_fee(run: Result) -> float:
    """Return the fee of the exit at the end of the data, which peers do not make."""
    last = run.trades[-1:]
    return float(run.fills["fee"][-1]) if (last["exit_reason"] == ExitReason.END).any() else 0.0


def run() -> list[Row]:
    """Measure; see the module docstring."""
    data = bars()
    _some(SWEEP[:1])  # compiles once; the workers load what is compiled
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        list(pool.map(_some, [SWEEP[:2]] * (4 * JOBS)))  # a rehearsal
        shares = [SWEEP[part::JOBS] for part in range(JOBS)]

        def ours() -> list[tuple[float, float]]:
            return [pair for part in pool.map(_some, shares) for pair in part]

        with peers(data) as others:
            rows = _warm_rows(data, others, ours)
    return rows + _fresh_rows(data)


def _timed(function: Any) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


# --- after compiling ---------------------------------------------------------------------------


def _warm_rows(data: Bars, others: Peers, ours: Any) -> list[Row]:
    places = [place for part in range(JOBS) for place in range(len(SWEEP))[part::JOBS]]
    found = dict(zip(places, ours(), strict=True))
    vectorbt, why = vectorbt_engines(others)
    works = {"ftbt": lambda: _timed(ours)}
    for engine, peer in vectorbt.items():
        works[engine] = lambda e=engine, p=peer: float(_broadcast(p, e)["wall"])
    took = in_turns(works, TURNS)
    how = f"{len(data):,} bars, a strategy object and a Result each; {_told(found.values())}"
    rows = [
        Row(f"sweep of {len(SWEEP)} sets: ftbt on {JOBS} processes", took["ftbt"], "s", how),
        _apart(data, [found[i] for i in range(len(SWEEP))]),
    ]
    for engine in ENGINES:
        title = f"sweep of {len(SWEEP)} sets: vectorbt's time ({engine}) / ftbt's"
        if engine not in vectorbt:
            rows.append(_absent(title, why[engine], 2.0))
            continue
        said = _broadcast(vectorbt[engine], engine)
        how = f"{vectorbt[engine].name}, one broadcast call, compiled before; {_total(said)}"
        rows.append(Row(f"sweep: vectorbt ({engine})", took[engine], "s", how))
        rows.append(Row(title, took[engine] / took["ftbt"], "x", "", at_least=2.0))
    return [*rows, *slow_rows(others, took["ftbt"])]


def _broadcast(peer: Peer, engine: str) -> dict[str, Any]:
    return peer.ask("cross", engine=engine, **QUESTION)


def vectorbt_engines(others: Peers) -> tuple[dict[str, Peer], dict[str, str]]:
    """Return vectorbt by the engines that work, after compiling, and why others do not."""
    here, why = {}, {}
    for engine in ENGINES:
        try:
            peer = others["vectorbt"]
            _broadcast(peer, engine)
            here[engine] = peer
        except NotMeasured as error:
            why[engine] = str(error)
    return here, why


def _absent(title: str, why: str, target: float) -> Row:
    return Row(title, np.nan, "x", f"not measured: {why}", at_least=target)


def _told(pairs: Any) -> str:
    final = [pair[1] for pair in pairs]
    return _total({"sum": sum(final), "best": max(final)})


def _total(said: dict[str, Any]) -> str:
    best, total = said["best"] / 100, said["sum"] / 100
    return f"final equity: sum {total:,.2f}, best {best:,.2f}"


def _apart(data: Bars, pairs: Sequence[tuple[float, float]]) -> Row:
    floor = [float(bare(data, values, FEE, CASH)[2][-1]) for values in SWEEP]
    apart = max(abs(pair[1] - other) for pair, other in zip(pairs, floor, strict=True)) / 100
    how = (
        f"largest of {len(SWEEP)}; the bare loop: {_total({'sum': sum(floor), 'best': max(floor)})}"
    )
    return Row("sweep: equity apart from the bare loop's", apart, "USD", how, at_most=0.01)


def slow_rows(others: Peers, took: float) -> list[Row]:
    """Return the rows of the peers that need seconds or minutes: one turn each."""
    rows = []
    title = f"sweep of {len(SWEEP)} sets: Backtrader's time / ftbt's"
    if "Backtrader" in others.here:
        peer = others.here["Backtrader"]
        some = SWEEP[:: len(SWEEP) // BACKTRADER_SETS][:BACKTRADER_SETS]
        each = [peer.ask("cross", values=one, cash=CASH, fee=FEE)["processor"] for one in some]
        theirs = float(np.mean(each)) * len(SWEEP) / JOBS
        how = (
            f"{peer.name}; {len(some)} sets measured, {np.mean(each):.2f} s each, times"
            f" {len(SWEEP)}, shared by {JOBS} processes without any loss"
        )
        rows.append(Row("sweep: Backtrader (scaled up)", theirs, "s", how))
        rows.append(Row(title, theirs / took, "x", "", at_least=500.0))
    else:
        rows.append(_absent(title, others.missing["Backtrader"], 500.0))
    title = f"sweep of {len(SWEEP)} sets: backtesting.py's time / ftbt's"
    if "backtesting.py" in others.here:
        peer = others.here["backtesting.py"]
        said = peer.ask("sweep", **QUESTION)
        rows.append(
            Row(
                "sweep: backtesting.py", said["wall"], "s", f"{peer.name}, optimize; {_total(said)}"
            )
        )
        rows.append(Row(title, said["wall"] / took, "x", "", at_least=50.0))
    else:
        rows.append(_absent(title, others.missing["backtesting.py"], 50.0))
    return rows


# --- in a fresh process ------------------------------------------------------------------------


def _fresh_rows(data: Bars) -> list[Row]:
    """Measure from the start of a process to its answer, bars read from a file."""
    title = f"sweep of {len(SWEEP)} sets, fresh process: vectorbt's time"
    with bars_file(data) as file:

        def ours() -> float:
            return _timed(lambda: _fresh(file))

        def theirs(engine: str) -> float:
            began = time.perf_counter()
            peer = Peer("vectorbt", peers_python(), file)
            try:
                _broadcast(peer, engine)
                return time.perf_counter() - began
            finally:
                peer.close()

        ours()  # compiled code is on the disk afterwards, and the files are in memory
        works, why = {"ftbt": ours}, {}
        for engine in ENGINES:
            try:
                theirs(engine)
                works[engine] = lambda e=engine: theirs(e)
            except NotMeasured as error:
                why[engine] = str(error)
        took = in_turns(works, FRESH_TURNS)
    how = "imports, cached compilation and all, one process, one core"
    rows = [Row(f"sweep of {len(SWEEP)} sets, fresh process: ftbt", took["ftbt"], "s", how)]
    for engine in ENGINES:
        name = f"{title} ({engine}) / ftbt's"
        if engine in took:
            how = f"vectorbt {took[engine]:.2f} s, its imports included"
            rows.append(Row(name, took[engine] / took["ftbt"], "x", how, at_least=1.0))
        else:
            rows.append(_absent(name, why[engine], 1.0))
    return rows


def _fresh(file: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._fresh_sweep", str(file)],
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))
