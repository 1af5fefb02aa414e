"""One window from search to test: the unit of parallel work.

A task holds everything that it depends on and depends on nothing else, so its outcome is the same
on any worker, after any number of kills. It never raises because of a strategy: a window that
can't be finished is an `Outcome` with a reason.
"""

from __future__ import annotations

import gc
import math
import os
import random
import re
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.prepared import Kept
from ftbt.backtest.settings import Settings
from ftbt.errors import FtbtError, StorageError
from ftbt.smc.base import CACHE
from ftbt.walkforward.checkpoint import (
    Checkpoint,
    Outcome,
    Progress,
    TrialRecord,
    WindowFolder,
)
from ftbt.walkforward.ensemble import Ensemble, alone, share_out
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.objective import WORST, objective_named
from ftbt.walkforward.parity import checked_on_reference
from ftbt.walkforward.pieces import SymbolPieces, too_few
from ftbt.walkforward.plateau import Candidate, Chosen, select_best, select_plateau
from ftbt.walkforward.search import BATCH, Asked, Study, window_seed
from ftbt.walkforward.windows import Window

# A progress file more often than this helps nobody.
REPORT_SECONDS = 0.2
# A checkpoint more often than this saves less work than it costs: a disk needs some milliseconds
# until it has one, a quick batch not many more.
CHECKPOINT_SECONDS = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class WindowTask:
    """Everything that one window needs.

    Attributes:
        ensemble: which strategies; loaded where the task runs.
        window: its place on the clock.
        train, test: what can be traded, one entry per symbol.
        settings, engine: of every back-test.
        trials, objective, min_trades, selection, seed: as in `SearchPart`.
        folder: where checkpoints go.
        parent: process that waits for the task; when it is gone, the task stops. None: nobody.
    """

    ensemble: Ensemble
    window: Window
    train: tuple[SymbolPieces, ...]
    test: tuple[SymbolPieces, ...]
    settings: Settings
    engine: str
    trials: int
    objective: str
    min_trades: int
    selection: str
    seed: int
    folder: Path
    parent: int | None = None


def run_window(task: WindowTask) -> int:
    """Run *task*, or what is left of it, write its outcome, return the window's number.

    Raises:
        StorageError: when a checkpoint or the outcome can't be written.
    """
    _leave_ctrl_c_to_the_parent(task.parent)
    folder = WindowFolder(task.folder)
    finished = folder.outcome()
    if finished is None:
        with _nothing_old_to_collect(for_good=_in_worker(task.parent)):
            finished = _guarded(task, folder)
        _forget_the_candles()
        folder.finish(finished)
    folder.report(_progress(finished.trials, done=True, failed=finished.failed))
    return task.window.number


def _forget_the_candles() -> None:
    """Drop lines and costs of these candles: no other window has the same."""
    CACHE.clear()
    Kept.clear_all()


def _in_worker(parent: int | None) -> bool:
    return parent is not None and os.getpid() != parent


@contextmanager
def _nothing_old_to_collect(*, for_good: bool) -> Iterator[None]:
    """Spare the garbage collector what was there before: all modules, a tenth of a search.

    A worker is spared it *for good*: joblib has it collect after each task, another tenth. What
    is garbage by now goes first, or it would stay.
    """
    if for_good:
        gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not for_good:
            gc.unfreeze()


def _leave_ctrl_c_to_the_parent(parent: int | None) -> None:
    """A terminal sends Ctrl-C to all processes at once; only the one that waits may answer."""
    if _in_worker(parent) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop_when_orphaned(parent: int | None) -> None:
    """End this worker when the run was killed: a resumed run is going to do its work."""
    if parent is not None and parent not in (os.getpid(), os.getppid()):
        os._exit(1)


def _guarded(task: WindowTask, folder: WindowFolder) -> Outcome:
    """Return the outcome, whatever happens inside the strategy."""
    trials: list[TrialRecord] = []
    try:
        return _run(task, folder, trials)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - a failed window is a value, not a lost run
        return Outcome(task.window.number, _text(error, task), place_of(error), tuple(trials))


def _text(error: Exception, task: WindowTask) -> str:
    """Return what went wrong, the same on every machine and in every process."""
    text = str(error) if isinstance(error, FtbtError) else f"{type(error).__name__}: {error}"
    for one in task.ensemble.members:
        text = text.replace(str(Path(one.strategy.path).parent) + os.sep, "")
    return re.sub(r"0x[0-9a-fA-F]{4,}", "0x...", text)


def place_of(error: BaseException) -> str:
    """Return `file:line` where *error* (or what caused it) was raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _run(task: WindowTask, folder: WindowFolder, trials: list[TrialRecord]) -> Outcome:
    number = task.window.number
    reason = too_few("training", task.train, task.window.train_bars) or too_few(
        "test", task.test, len(task.window.test)
    )
    if reason:
        return Outcome(number, reason)
    for one in task.ensemble.members:
        one.strategy.load()  # a file that changed is one failed window, not failed trials
    chosen, notes = _search_all(task, folder, trials)
    if not any(chosen):
        return Outcome(number, _why_none(task, trials), "", tuple(trials))
    values = [None if one is None else trials[one.trial].parameters for one in chosen]
    returns = [None if one is None else _returns_of(trials, one.trial) for one in chosen]
    sleeves, weights, more = share_out(task.ensemble, values, returns)
    if not sleeves:
        return Outcome(number, "no strategy has a share of the account", "", tuple(trials))
    first = next(one for one in chosen if one is not None)
    train = _evaluate(task, sleeves, task.train, first.trial)
    test = _evaluate(task, sleeves, task.test, first.trial)
    parity = checked_on_reference(sleeves, task.test, task.settings, test, task.ensemble.allocation)
    return Outcome(
        number,
        trials=tuple(trials),
        chosen=tuple(-1 if one is None else one.trial for one in chosen),
        weights=weights,
        score=first.score,
        train=train,
        test=test,
        notes=(*notes, *(f"window {number}: {note}" for note in more)),
        parity=parity,
    )


def _search_all(
    task: WindowTask, folder: WindowFolder, trials: list[TrialRecord]
) -> tuple[list[Chosen | None], list[str]]:
    """Search every member in turn; return what was chosen of each, and notes.

    Trials are numbered on from one member to the next, so checkpoints are one unbroken row.
    """
    earlier = folder.checkpoints()
    found: list[Chosen | None] = []
    notes: list[str] = []
    for number, count in enumerate(task.ensemble.trials(task.trials)):
        search = _Search(task, number, count, len(trials))
        search.run(folder, trials, earlier)
        own = trials[search.first :]
        chosen, more = _select(task, number, own)
        found.append(chosen)
        notes += more
        if chosen is None and len(task.ensemble.members) > 1:
            name = task.ensemble.members[number].strategy.name
            notes.append(f"window {task.window.number}: {name} stays out: {_why_none(task, own)}")
    return found, notes


def _returns_of(trials: Sequence[TrialRecord], number: int) -> NDArray[np.float64]:
    """Return the daily returns of a trial; one that repeats another has none of its own."""
    one = trials[number]
    return one.returns if one.repeats < 0 else trials[one.repeats].returns


class _Search:
    """The search of one member."""

    def __init__(self, task: WindowTask, member: int, count: int, first: int) -> None:
        self.task = task
        self.number = member
        self.member = task.ensemble.members[member]
        self.count = count
        self.first = first  # number of its first trial in the window

    def run(
        self, folder: WindowFolder, trials: list[TrialRecord], earlier: Sequence[Checkpoint]
    ) -> None:
        """Fill *trials*, from the checkpoints first."""
        task, stop = self.task, self.first + self.count
        study, memory = self._resume(trials, earlier)
        reported = saved = 0.0
        unsaved: list[TrialRecord] = []
        while len(trials) < stop:
            batch: list[TrialRecord] = []
            for asked in study.ask(min(BATCH, stop - len(trials))):
                _stop_when_orphaned(task.parent)
                record = self._try(asked, memory)
                memory.setdefault(_key(asked.values), record)
                batch.append(record)
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    folder.report(_progress([*trials, *batch]))
            for record in batch:
                value = None if record.state == "failed" else record.value
                study.tell(record.number - self.first, value)
            trials.extend(batch)
            unsaved += batch
            if len(trials) == stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
                saved = time.monotonic()
                frozen = tuple(study.finished_trials(unsaved[0].number - self.first))
                folder.save(Checkpoint(tuple(unsaved), frozen, study.sampler_state()))
                unsaved = []

    def _resume(
        self, trials: list[TrialRecord], earlier: Sequence[Checkpoint]
    ) -> tuple[Study, dict[tuple[Any, ...], TrialRecord]]:
        """Return the study as its last checkpoint left it, and what was evaluated already."""
        span = range(self.first, self.first + self.count)
        own = [one for one in earlier if one.records[0].number in span]
        known = [record for one in own for record in one.records]
        trials.extend(known)
        memory = {
            _key(self.member.own(one.parameters)): one for one in reversed(known) if one.repeats < 0
        }
        space = self.member.space
        if not own:
            seed = window_seed(self.task.seed, self.task.window.number, self.number)
            return Study.start(space.ranges, space.first, seed), memory
        frozen = [trial for one in own for trial in one.frozen]
        return Study.restore(space.ranges, own[-1].sampler, frozen), memory

    def _try(self, asked: Asked, memory: Mapping[tuple[Any, ...], TrialRecord]) -> TrialRecord:
        """Return the trial of one parameter set; one that was tried before is not run again."""
        number, values = self.first + asked.number, self.member.named(asked.values)
        known = memory.get(_key(asked.values))
        if known is not None:
            return TrialRecord(
                number,
                values,
                known.state,
                known.value,
                known.error,
                known.number,
                known.metrics,
                strategy=self.number,
            )
        try:
            sleeve = alone(self.member, values)
            result = _evaluate(self.task, [sleeve], self.task.train, number)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - one parameter set that fails is a finding
            place = place_of(error)
            text = _text(error, self.task) + (f" ({place})" if place else "")
            return TrialRecord(number, values, "failed", math.nan, text, strategy=self.number)
        return self._record(number, values, result)

    def _record(self, number: int, values: Mapping[str, Any], result: Evaluation) -> TrialRecord:
        task = self.task
        value = objective_named(task.objective).value(result.metrics, task.min_trades)
        days, returns = result.daily_returns()
        enough = result.metrics.trades >= task.min_trades
        return TrialRecord(
            number,
            values,
            "complete" if enough else "few_trades",
            value,
            metrics=result.metrics.as_dict(),
            days=days,
            returns=returns,
            strategy=self.number,
            refused=result.refused,
        )


def _key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name] for name in sorted(values))


def _progress(
    trials: Sequence[TrialRecord], *, done: bool = False, failed: bool = False
) -> Progress:
    values = [one.value for one in trials if one.state == "complete" and one.value > WORST]
    return Progress(len(trials), max(values, default=None), done, failed)


def _evaluate(
    task: WindowTask, sleeves: Sequence[Sleeve], symbols: Sequence[SymbolPieces], trial: int
) -> Evaluation:
    """Run a back-test whose chance, if the strategy throws dice, is the trial's own."""
    sequence = np.random.SeedSequence(task.seed, spawn_key=(task.window.number, trial))
    dice = int(sequence.generate_state(1, np.uint32)[0])
    random.seed(dice)
    np.random.seed(dice)  # noqa: NPY002 - the global generator is the one that strategies use
    return evaluate(
        sleeves, symbols, task.settings, task.engine, allocation=task.ensemble.allocation
    )


def _select(
    task: WindowTask, member: int, trials: Sequence[TrialRecord]
) -> tuple[Chosen | None, list[str]]:
    own = task.ensemble.members[member]
    candidates = [
        Candidate(
            one.number,
            own.own(one.parameters),
            one.value,
            one.state == "complete" and one.value > WORST,
        )
        for one in trials
        if one.state != "failed" and one.repeats < 0
    ]
    if task.selection == "best":
        return select_best(candidates), []
    chosen = select_plateau(candidates, own.space.ranges)
    alone = chosen is not None and not chosen.plateau
    note = f"window {task.window.number}: no plateau among its trials, the best trial was taken"
    return chosen, [note] if alone else []


def _why_none(task: WindowTask, trials: Sequence[TrialRecord]) -> str:
    failed = [one for one in trials if one.state == "failed"]
    if len(failed) == len(trials):
        return f"all {len(trials)} trials failed, the first with: {failed[0].error}"
    most = max(int(one.metrics["trades"]) for one in trials if one.state != "failed")
    if most >= task.min_trades:
        return f"{task.objective} is undefined for every one of {len(trials)} trials"
    return (
        f"none of {len(trials)} trials made {task.min_trades} trades in training (most: {most});"
        f" lengthen --train or lower --min-trades{_not_taken(trials)}"
    )


def _not_taken(trials: Sequence[TrialRecord]) -> str:
    """Return what kept orders from trading, the commonest reasons; it may be the real cause."""
    counts = sum((Counter(one.refused) for one in trials), Counter[str]())
    words = ", ".join(f"{word} {count:,}" for word, count in counts.most_common(3))
    return f"; setups and orders not taken: {words}" if words else ""
