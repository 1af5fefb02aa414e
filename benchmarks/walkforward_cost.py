"""What a whole walk-forward costs beside what its sampler alone needs.

Twelve windows of 200 trials on three symbols of 15m bars, from the checked experiment to the
finished run folder, on one process, so that all processor time is seen. After each window its
studies again, parameter set by parameter set, with the values looked up instead of computed: that
is what Optuna alone needs, on the same machine at the same time; of several runs the shortest
counts, on both sides. Where the time goes is measured in a run of its own, since looking at every
part takes time itself; the split gives each second to the innermost of the parts.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _split
from benchmarks._stopwatch import Stopwatch, replaced, watching
from benchmarks.common import Row
from ftbt.config import make_experiment
from ftbt.smc import base
from ftbt.smc.base import CACHE
from ftbt.walkforward import evaluate, tasks, workers
from ftbt.walkforward import run as runner
from ftbt.walkforward.checkpoint import WindowFolder
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.search import Study
from ftbt.walkforward.store import load_run

STRATEGY = "liquidity_sweep"
WINDOWS = 12
TRIALS = 200
TARGET = 1.5
RUNS = 3

PARTS: dict[str, list[tuple[Any, str]]] = {
    "sampler": [(Study, "ask"), (Study, "tell")],
    **_split.PARTS,
    "engine, the rest": [(evaluate, "run_portfolio")],
    "metrics": [(evaluate, "metrics_of"), (evaluate.Evaluation, "daily_returns")],
    "checkpoints": [
        (Study, "finished_trials"),
        (Study, "sampler_state"),
        (WindowFolder, "save"),
        (WindowFolder, "report"),
    ],
    "parity with the reference engine": [(tasks, "checked_on_reference")],
    "files of results": [(runner, "_write")],
}
REST = "everything else"


def experiment(windows: int, trials: int) -> Inputs:
    """Return *windows* windows of *trials* trials on three symbols of the embedded market."""
    found = prepare(
        make_experiment(
            {
                "strategy": {"name": STRATEGY},
                "data": {"symbols": ["BTC", "ETH", "SOL"]},
                "walk_forward": {"test": "20d"},
                "search": {"trials": trials},
            }
        )
    )
    if len(found.windows) < windows:
        raise AssertionError(f"{len(found.windows)} windows, {windows} are wanted")
    return found


@dataclass
class Replay:
    """What was asked and told of one study, in order."""

    start: tuple[Any, ...]
    calls: list[tuple[str, Any, Any]] = field(default_factory=list)

    def again(self) -> None:
        """Do it all again, with nothing between the calls."""
        study = Study.start(*self.start)
        for verb, first, second in self.calls:
            if verb == "tell":
                study.tell(first, second)
            elif [one.values for one in study.ask(first)] != second:
                raise AssertionError("the sampler asked for other parameters than in the run")


@contextmanager
def recorded(replays: dict[int, Replay]) -> Iterator[None]:
    """Write down, under its `id`, what each study is asked and told."""
    start, ask, tell = (vars(Study)[name] for name in ("start", "ask", "tell"))
    alive: list[Study] = []  # an id is one object's as long as it lives

    def starts(cls: type[Study], *given: Any) -> Study:
        study: Study = start.__func__(cls, *given)
        alive.append(study)
        replays[id(study)] = Replay(given)
        return study

    def asks(self: Study, count: int) -> Any:
        found = ask(self, count)
        replays[id(self)].calls.append(("ask", count, [one.values for one in found]))
        return found

    def tells(self: Study, number: int, value: float | None) -> None:
        tell(self, number, value)
        replays[id(self)].calls.append(("tell", number, value))

    with (
        replaced(Study, "start", classmethod(starts)),
        replaced(Study, "ask", asks),
        replaced(Study, "tell", tells),
    ):
        yield


def _bytes(kept: Any) -> int:
    """Return the size of what the cache keeps: an array or a tuple of them."""
    return sum(one.nbytes for one in (kept if isinstance(kept, tuple) else (kept,)))


@dataclass
class Asked:
    """How often lines were asked for, and which ones had to be made."""

    requests: int = 0
    made: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    bytes_made: int = 0
    most_kept: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count for a while."""
        get = base.LineCache.get

        def counted(cache: Any, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
            def noted() -> Any:
                made = make()
                self.made[key] += 1
                self.bytes_made += _bytes(made)
                return made

            self.requests += 1
            before = self.made[key]
            found = get(cache, key, noted)
            if self.made[key] != before:
                kept = sum(map(_bytes, vars(cache)["_kept"].values()))
                self.most_kept = max(self.most_kept, kept)
            return found

        with replaced(base.LineCache, "get", counted):
            yield


def run() -> list[Row]:
    """Measure; see the module docstring."""
    inputs = experiment(WINDOWS, TRIALS)
    _rehearse()
    costs = [_measured(inputs) for _ in range(RUNS)]
    cost = Cost(min(one.whole for one in costs), min(one.alone for one in costs))
    watch, asked = Stopwatch(), Asked()
    CACHE.clear()
    with (
        tempfile.TemporaryDirectory() as folder,
        asked.counting(),
        watching(watch, PARTS),
        watch.label(REST),
    ):
        _finished(inputs, Path(folder))
    windows = len(inputs.windows)
    return [*_rows(cost, watch, windows), *_line_rows(asked, windows)]


@dataclass
class Cost:
    """Processor seconds: of the run, and of Optuna alone."""

    whole: float = 0.0
    alone: float = 0.0


def _finished(inputs: Inputs, folder: Path) -> None:
    found = runner.walk_forward(inputs, folder, jobs=1)
    if (load_run(found.folder).trials["state"] == "failed").any():
        raise AssertionError("trials failed: what they cost is not what a walk-forward costs")


def _measured(inputs: Inputs) -> Cost:
    """Run with nothing watched but what is asked of Optuna; after each window Optuna alone."""
    cost, replays = Cost(), dict[int, Replay]()
    plain = {name: vars(Study)[name] for name in ("start", "ask", "tell")}
    run_window = workers.run_window

    def with_replay(task: tasks.WindowTask) -> int:
        number = run_window(task)
        began = time.process_time()
        gc.freeze()  # as in a window of the run
        with ExitStack() as stack:
            for name, function in plain.items():
                stack.enter_context(replaced(Study, name, function))
            for replay in replays.values():
                replay.again()
        gc.unfreeze()
        replays.clear()
        cost.alone += time.process_time() - began
        return number

    CACHE.clear()
    with (
        tempfile.TemporaryDirectory() as folder,
        recorded(replays),
        replaced(workers, "run_window", with_replay),
    ):
        began = time.process_time()
        _finished(inputs, Path(folder))
        cost.whole = time.process_time() - began - cost.alone
    return cost


def _rehearse() -> None:
    """Compile, and import what is imported late, by a short walk-forward."""
    with tempfile.TemporaryDirectory() as folder:
        runner.walk_forward(experiment(1, 4), Path(folder), jobs=1)


def _rows(cost: Cost, watch: Stopwatch, windows: int) -> list[Row]:
    trials = windows * TRIALS
    name = f"walk-forward, {windows} windows x {TRIALS} trials x 3 symbols"
    how = f"{STRATEGY}, 15m, train 90d, test 20d, one process, processor time, {RUNS} runs"
    rows = [
        Row(f"{name}: in all", cost.whole, "s", how),
        Row(f"{name}: Optuna alone", cost.alone, "s", "the same studies, values looked up"),
        Row(f"{name}: in all / Optuna alone", cost.whole / cost.alone, "x", how, at_most=TARGET),
    ]
    for part, took in watch.seconds.most_common():
        calls = "" if part == REST else f", {watch.calls[part]:,} calls"
        how = f"{took / watch.total:.0%} of all{calls}, {1e3 * took / trials:.2f} ms a trial"
        rows.append(Row(f"  watched: {part}", took, "s", how))
    return rows


def _line_rows(asked: Asked, windows: int) -> list[Row]:
    distinct, made = len(asked.made), sum(asked.made.values())
    limit = CACHE.limit_bytes / 2**20
    how = (
        f"asked for {asked.requests:,} times in {windows} windows, {made:,} times made"
        f" ({asked.requests / made:.1f} uses each), {asked.bytes_made / 2**20:,.0f} MB in all"
    )
    kept = asked.most_kept / 2**20
    return [
        Row("lines: made / different ones", made / distinct, "x", how, at_most=1.0),
        Row("lines: most memory kept", kept, "MB", "at one time, in a process", at_most=limit),
    ]
