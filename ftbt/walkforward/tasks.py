"""One window from search to test: the unit of parallel work.

A task holds everything that it depends on and depends on nothing else, so its outcome is the same
on any worker, after any number of kills. It never raises because of a strategy: a window that
can't be finished is an `Outcome` with a reason.
"""

from __future__ import annotations

import math
import os
import random
import re
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ftbt.backtest.settings import Settings
from ftbt.errors import FtbtError, StorageError
from ftbt.strategy.loader import StrategyRef
from ftbt.walkforward.checkpoint import (
    Batch,
    Outcome,
    Progress,
    TrialRecord,
    WindowFolder,
)
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.objective import WORST, objective_named
from ftbt.walkforward.parity import checked_on_reference
from ftbt.walkforward.pieces import SymbolPieces, too_few
from ftbt.walkforward.plateau import Candidate, Chosen, select_best, select_plateau
from ftbt.walkforward.search import BATCH, Asked, Study, window_seed
from ftbt.walkforward.space import Space
from ftbt.walkforward.windows import Window

# A progress file more often than this helps nobody.
REPORT_SECONDS = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class WindowTask:
    """Everything that one window needs.

    Attributes:
        strategy: which one; loaded where the task runs.
        window: its place on the clock.
        train, test: what can be traded, one entry per symbol.
        space: what is searched.
        settings, engine: of every back-test.
        trials, objective, min_trades, selection, seed: as in `SearchPart`.
        folder: where checkpoints go.
        parent: process that waits for the task; when it is gone, the task stops. None: nobody.
    """

    strategy: StrategyRef
    window: Window
    train: tuple[SymbolPieces, ...]
    test: tuple[SymbolPieces, ...]
    space: Space
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
        finished = _guarded(task, folder)
        folder.finish(finished)
    folder.report(_progress(finished.trials, done=True, failed=finished.failed))
    return task.window.number


def _leave_ctrl_c_to_the_parent(parent: int | None) -> None:
    """A terminal sends Ctrl-C to all processes at once; only the one that waits may answer."""
    in_worker = parent is not None and os.getpid() != parent
    if in_worker and threading.current_thread() is threading.main_thread():
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
    text = text.replace(str(Path(task.strategy.path).parent) + os.sep, "")
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
    strategy = task.strategy.load()
    _search(task, strategy, folder, trials)
    chosen, notes = _select(task, trials)
    if chosen is None:
        return Outcome(number, _why_none(task, trials), "", tuple(trials))
    parameters = {**task.space.fixed, **trials[chosen.trial].parameters}
    train = _evaluate(task, strategy, task.train, parameters, chosen.trial)
    test = _evaluate(task, strategy, task.test, parameters, chosen.trial)
    parity = checked_on_reference(strategy, task.test, parameters, task.settings, test)
    return Outcome(
        number, "", "", tuple(trials), chosen.trial, chosen.score, train, test, tuple(notes), parity
    )


def _search(
    task: WindowTask, strategy: type[Any], folder: WindowFolder, trials: list[TrialRecord]
) -> None:
    """Fill *trials*, from the checkpoints first."""
    study, memory = _resume(task, folder, trials)
    reported = 0.0
    while len(trials) < task.trials:
        batch: list[TrialRecord] = []
        for asked in study.ask(min(BATCH, task.trials - len(trials))):
            _stop_when_orphaned(task.parent)
            record = _try(task, strategy, asked, memory)
            memory.setdefault(_key(asked.values), record)
            batch.append(record)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                folder.report(_progress([*trials, *batch]))
        for record in batch:
            study.tell(record.number, None if record.state == "failed" else record.value)
        frozen = tuple(study.finished_trials(batch[0].number))
        folder.save_batch(Batch(tuple(batch), frozen, study.sampler_state()))
        trials.extend(batch)


def _resume(
    task: WindowTask, folder: WindowFolder, trials: list[TrialRecord]
) -> tuple[Study, dict[tuple[Any, ...], TrialRecord]]:
    """Return the study as the last checkpoint left it, and what was evaluated already."""
    batches = folder.batches()
    trials.extend(record for batch in batches for record in batch.records)
    memory = {_key(one.parameters): one for one in reversed(trials) if one.repeats < 0}
    ranges = task.space.ranges
    if not batches:
        seed = window_seed(task.seed, task.window.number)
        return Study.start(ranges, task.space.first, seed), memory
    frozen = [one for batch in batches for one in batch.frozen]
    return Study.restore(ranges, batches[-1].sampler, frozen), memory


def _key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name] for name in sorted(values))


def _progress(
    trials: Sequence[TrialRecord], *, done: bool = False, failed: bool = False
) -> Progress:
    values = [one.value for one in trials if one.state == "complete" and one.value > WORST]
    return Progress(len(trials), max(values, default=None), done, failed)


def _try(
    task: WindowTask,
    strategy: type[Any],
    asked: Asked,
    memory: Mapping[tuple[Any, ...], TrialRecord],
) -> TrialRecord:
    """Return the trial of one parameter set; a set that was tried before is not run again."""
    known = memory.get(_key(asked.values))
    if known is not None:
        return TrialRecord(
            asked.number,
            asked.values,
            known.state,
            known.value,
            known.error,
            known.number,
            known.metrics,
        )
    parameters = {**task.space.fixed, **asked.values}
    try:
        result = _evaluate(task, strategy, task.train, parameters, asked.number)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - one parameter set that fails is a finding
        place = place_of(error)
        text = _text(error, task) + (f" ({place})" if place else "")
        return TrialRecord(asked.number, asked.values, "failed", math.nan, text)
    return _record(task, asked, result)


def _evaluate(
    task: WindowTask,
    strategy: type[Any],
    symbols: Sequence[SymbolPieces],
    parameters: Mapping[str, Any],
    trial: int,
) -> Evaluation:
    """Run a back-test whose chance, if the strategy throws dice, is the trial's own."""
    sequence = np.random.SeedSequence(task.seed, spawn_key=(task.window.number, trial))
    dice = int(sequence.generate_state(1, np.uint32)[0])
    random.seed(dice)
    np.random.seed(dice)  # noqa: NPY002 - the global generator is the one that strategies use
    return evaluate(strategy, symbols, parameters, task.settings, task.engine)


def _record(task: WindowTask, asked: Asked, result: Evaluation) -> TrialRecord:
    value = objective_named(task.objective).value(result.metrics, task.min_trades)
    days, returns = result.daily_returns()
    enough = result.metrics.trades >= task.min_trades
    return TrialRecord(
        asked.number,
        asked.values,
        "complete" if enough else "few_trades",
        value,
        metrics=result.metrics.as_dict(),
        days=days,
        returns=returns,
    )


def _select(task: WindowTask, trials: list[TrialRecord]) -> tuple[Chosen | None, list[str]]:
    candidates = [
        Candidate(
            one.number, one.parameters, one.value, one.state == "complete" and one.value > WORST
        )
        for one in trials
        if one.state != "failed" and one.repeats < 0
    ]
    if task.selection == "best":
        return select_best(candidates), []
    chosen = select_plateau(candidates, task.space.ranges)
    alone = chosen is not None and not chosen.plateau
    note = f"window {task.window.number}: no plateau among its trials, the best trial was taken"
    return chosen, [note] if alone else []


def _why_none(task: WindowTask, trials: list[TrialRecord]) -> str:
    failed = [one for one in trials if one.state == "failed"]
    if len(failed) == len(trials):
        return f"all {len(trials)} trials failed, the first with: {failed[0].error}"
    most = max(int(one.metrics["trades"]) for one in trials if one.state != "failed")
    if most >= task.min_trades:
        return f"{task.objective} is undefined for every one of {len(trials)} trials"
    return (
        f"none of {len(trials)} trials made {task.min_trades} trades in training (most: {most});"
        " lengthen --train or lower --min-trades"
    )
