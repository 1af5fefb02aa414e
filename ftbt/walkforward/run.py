"""One walk-forward from checked inputs to a finished run folder, resumable at any moment.

The folder's name is the hash of what determines the result, so the same question finds the same
folder: finished, and it is reused; half done, and it can be continued. Two processes never work on
one folder at once.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ftbt.errors import FtbtError, InputError, IntegrityError, StorageError
from ftbt.walkforward import store
from ftbt.walkforward.checkpoint import Outcome, WindowFolder
from ftbt.walkforward.earned import earned
from ftbt.walkforward.ensemble import alone
from ftbt.walkforward.evaluate import evaluate
from ftbt.walkforward.frames import (
    all_trades_frame,
    equity_frame,
    in_sample_frame,
    trial_returns_frame,
    trials_frame,
    windows_frame,
)
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.ledger import Counted, Earlier, Ledger
from ftbt.walkforward.pieces import Piece, SymbolPieces
from ftbt.walkforward.progress import Listener, Silent, Watcher, watching
from ftbt.walkforward.result import Manifest, Summary, Timing
from ftbt.walkforward.stitch import stitch, summarise_run
from ftbt.walkforward.tasks import WindowTask
from ftbt.walkforward.workers import run_windows

WORK = "work"
LOCKS = ".locks"
COMPILE_PATIENCE = 1.0
COMPILE_BARS = 300


@dataclass(frozen=True, slots=True)
class Finished:
    """What `walk_forward` leaves.

    Attributes:
        folder: the run folder.
        reused: True when it was complete before.
        earlier: questions that other runs asked of the same data.
    """

    folder: Path
    reused: bool
    earlier: Earlier


def walk_forward(
    inputs: Inputs,
    results: Path,
    *,
    jobs: int = 1,
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
) -> Finished:
    """Run *inputs* and return the finished run folder under *results*.

    Args:
        inputs: see `ftbt.walkforward.inputs.prepare`.
        results: folder of all runs and of the ledger.
        jobs: worker processes; never changes the result.
        resume: continue an unfinished run.
        force: forget an earlier execution of the same run.
        listener: told how it goes.

    Raises:
        InputError: an unfinished run is there, and neither *resume* nor *force* was given.
        StorageError: files that can't be written or read, or another process at work on the run.
        KeyboardInterrupt: by Ctrl-C; finished windows are kept and counted.
    """
    listener = listener or Silent()
    manifest = inputs.manifest
    folder = results / manifest.run_id
    ledger = Ledger(results)
    with _locked(results, manifest.run_id):
        count_unfinished(results, ledger)
        earlier = ledger.earlier(manifest)
        if force:
            _count(folder, manifest, ledger)
            shutil.rmtree(folder, ignore_errors=True)
        if store.is_complete(folder):
            shutil.rmtree(folder / WORK, ignore_errors=True)
            return Finished(folder, reused=True, earlier=earlier)
        _begin(folder, manifest, resume, listener)
        _count(folder, manifest, ledger)
        execution = _Execution(folder / WORK, jobs)
        try:
            _compile(inputs, listener)
            outcomes = _run(inputs, folder / WORK, jobs, ledger, listener, execution)
            _write(inputs, outcomes, folder, execution.timing(earlier))
        finally:
            execution.save()
            _count(folder, manifest, ledger)
        shutil.rmtree(folder / WORK, ignore_errors=True)
    return Finished(folder, reused=False, earlier=earlier)


@contextmanager
def _locked(results: Path, run_id: str) -> Iterator[None]:
    lock = _lock(results, run_id)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(
            f"another process is at work on {results / run_id}: wait for it"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot lock {results / run_id}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _lock(results: Path, run_id: str) -> FileLock:
    try:
        (results / LOCKS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {results}: {error.strerror or error}") from error
    return FileLock(results / LOCKS / f"{run_id}.lock")


def _begin(folder: Path, manifest: Manifest, resume: bool, listener: Listener) -> None:
    """Make the folder of a new run, or accept that of an unfinished one."""
    if not store.is_started(folder):
        if resume:
            listener.say("nothing to resume: the run starts from its beginning")
        store.write_json(folder / store.MANIFEST, manifest)
        return
    if not resume:
        done = sum(one.state != "stopped" for one in searches(folder, manifest))
        raise InputError(
            f"{folder} holds this run unfinished ({done} of {len(manifest.windows)} windows done):"
            " continue it with --resume, or start it over with --force"
        )
    if asdict(store.read_manifest(folder)) != asdict(manifest):
        raise IntegrityError(f"{folder} holds another run of the same name: move it away")


def searches(folder: Path, manifest: Manifest) -> list[Counted]:
    """Return how far the search of each window is, as its files say."""
    found = []
    for window in manifest.windows:
        place = WindowFolder(folder / WORK / f"window-{window.number:03d}")
        outcome = place.outcome()
        state = "stopped" if outcome is None else "failed" if outcome.failed else "done"
        found.append(Counted(window.number, state, place.made()))
    return found


def _count(folder: Path, manifest: Manifest, ledger: Ledger) -> None:
    """Count every trial that was made, finished window or not."""
    if (folder / WORK).is_dir():
        ledger.count(manifest, searches(folder, manifest))


def count_unfinished(results: Path, ledger: Ledger) -> None:
    """Count the trials of runs that were killed: nobody was left to do it.

    Runs that another process is at work on are left to it.
    """
    for path in sorted(results.glob(f"*/{WORK}")):
        folder = path.parent
        lock = _lock(results, folder.name)
        with suppress(Timeout, FtbtError), lock.acquire(timeout=0):
            _count(folder, store.read_manifest(folder), ledger)


class _Execution:
    """The volatile side of a run: when, how long, how often continued."""

    def __init__(self, work: Path, jobs: int) -> None:
        self._path = work / "execution.json"
        self._jobs = jobs
        self._began = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._before = Timing(now, "", 0.0, jobs, -1, 0, 0)
        with suppress(StorageError):
            self._before = store.read_json(self._path, Timing)
        self.save()

    def timing(self, earlier: Earlier) -> Timing:
        """Return the timing up to now."""
        return Timing(
            started=self._before.started,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(self._before.seconds + time.monotonic() - self._began, 3),
            jobs=self._jobs,
            resumed=self._before.resumed + 1,
            earlier_trials=earlier.trials,
            earlier_trials_of_strategy=earlier.of_strategy,
        )

    def save(self) -> None:
        """Remember the time spent, for the execution that resumes this one."""
        store.write_json(self._path, self.timing(Earlier(0, 0, 0)))


def _compile(inputs: Inputs, listener: Listener) -> None:
    """Run the first trial's parameters on a little of the data, so that all code is compiled.

    Workers then load machine code from the cache instead of each making its own.
    """
    late = threading.Timer(COMPILE_PATIENCE, listener.say, ("compiling once ...",))
    late.daemon = True
    late.start()
    task = inputs.task(inputs.windows[0], Path(WORK), None)
    # Whatever is wrong with the strategy is told by the windows, with its place.
    with suppress(Exception):
        first = task.train[0].pieces[0]
        short = first.market.slice(
            0, min(first.trade_from + COMPILE_BARS, len(first.market.candles))
        )
        part = SymbolPieces(task.train[0].symbol, (Piece(short, first.trade_from),))
        for one in task.ensemble.members:
            sleeve = alone(one, one.named(one.space.first))
            evaluate([sleeve], (part,), task.settings, task.engine)
    late.cancel()


def _run(
    inputs: Inputs,
    work: Path,
    jobs: int,
    ledger: Ledger,
    listener: Listener,
    execution: _Execution,
) -> list[Outcome]:
    # Absolute: a worker that is used again may stand in another folder.
    tasks = [inputs.task(window, work.resolve(), os.getpid()) for window in inputs.windows]
    open_tasks = [task for task in tasks if WindowFolder(task.folder).outcome() is None]
    if len(open_tasks) < len(tasks):
        listener.say(f"{len(tasks) - len(open_tasks)} of {len(tasks)} windows are done already")

    for task in open_tasks:
        WindowFolder(task.folder).forget_progress()

    def finished(number: int) -> None:
        _count_one(inputs.manifest, ledger, tasks[number])
        execution.save()

    watcher = Watcher([task.folder for task in tasks], inputs.trials)
    with watching(watcher, listener):
        run_windows(open_tasks, min(jobs, max(1, len(open_tasks))), finished)
    return [_outcome(task) for task in tasks]


def _count_one(manifest: Manifest, ledger: Ledger, task: WindowTask) -> None:
    outcome = _outcome(task)
    state = "failed" if outcome.failed else "done"
    ledger.count(manifest, [Counted(outcome.number, state, len(outcome.trials))])


def _outcome(task: WindowTask) -> Outcome:
    found = WindowFolder(task.folder).outcome()
    if found is None:
        raise IntegrityError(f"{task.folder} lost its outcome; continue with --resume")
    return found


def _write(inputs: Inputs, outcomes: Sequence[Outcome], folder: Path, timing: Timing) -> None:
    """Write the results; the summary comes last, for it says that all the rest is there."""
    capital = inputs.settings.capital
    stitched = stitch(inputs.windows, outcomes, inputs.markets, inputs.clock, capital)
    frames = {
        "windows": windows_frame(inputs.windows, outcomes, inputs.clock, stitched),
        "trials": trials_frame(outcomes, inputs.ensemble.ranges, inputs.manifest.strategy.names),
        "trial_returns": trial_returns_frame(outcomes),
        "equity": equity_frame(stitched),
        "in_sample": in_sample_frame(outcomes),
        "trades": all_trades_frame(outcomes, stitched),
    }
    for name in store.FRAMES:
        store.write_frame(folder / f"{name}.parquet", frames[name])
    per_year = inputs.clock.timeframe.bars_per_year
    run_id = inputs.manifest.run_id
    names = inputs.manifest.strategy.names
    parts = earned(stitched, outcomes, inputs.markets, names, capital).parts
    summary: Summary = summarise_run(run_id, stitched, outcomes, capital, per_year, parts)
    store.write_json(folder / store.TIMING, timing)
    store.write_json(folder / store.SUMMARY, summary)
