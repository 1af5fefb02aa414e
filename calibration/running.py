"""Running the pipelines on several processes, resumable at any moment.

Pipelines of one number share their path without an edge, so a process takes all of a number. It
adds each row as it is made; who runs what, and when, changes no row.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import connection
from pathlib import Path

from calibration.evidence import keep
from calibration.pipeline import Task, assessed, row_of
from calibration.rows import Rows
from ftbt.errors import IntegrityError

POLL_SECONDS = 2.0
# The audit runs fresh copies of the strategy's file, whose machine code no process gives back: tens
# of megabytes a pipeline. So a process makes a few numbers and is followed by a new one.
NUMBERS_A_PROCESS = 3
FEW = 8
_DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a calibration is.

    Attributes:
        done, every: pipelines.
        rate: pipelines a minute of this execution; NaN before the first.
        minutes_left: estimated; NaN while unknown.
    """

    done: int
    every: int
    rate: float
    minutes_left: float


Told = Callable[[Progress], None]


def run(
    tasks: Sequence[Task], rows: Rows, jobs: int, told: Told, evidence: Path | None = None
) -> None:
    """Run those of *tasks* that have no row yet.

    Args:
        tasks: all pipelines.
        rows: where rows are kept.
        jobs: processes; with 1 a few pipelines are run in this one.
        told: now and then how far it is.
        evidence: folder that keeps the assessments, see `calibration.evidence`; None: nowhere.

    Raises:
        KeyboardInterrupt: by Ctrl-C; finished pipelines are kept.
        IntegrityError: a process failed or died; finished pipelines are kept.
    """
    known = rows.read()
    groups = [
        group
        for _, each in groupby(tasks, key=lambda one: one.number)
        if (group := [one for one in each if one.key not in known])
    ]
    watch = _Watch(tasks, rows, told, sum(one.key in known for one in tasks))
    if jobs == 1 and sum(map(len, groups)) <= FEW:
        for task in (one for group in groups for one in group):
            _run_group([task], rows, evidence)
            watch.tell()
        return
    waiting = [groups[i : i + NUMBERS_A_PROCESS] for i in range(0, len(groups), NUMBERS_A_PROCESS)]
    running: dict[int, _Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                worker = _Worker(waiting.pop(0), rows, evidence)
                running[worker.process.sentinel] = worker
            for sentinel in connection.wait(list(running), POLL_SECONDS):
                assert isinstance(sentinel, int), "sentinels are numbers"
                running.pop(sentinel).finish()
            watch.tell()
    except BaseException:
        for worker in running.values():
            worker.process.terminate()
        raise


class _Worker:
    """A process of its own for a few groups: what they leave in memory goes with it.

    A ProcessPoolExecutor with max_tasks_per_child would be shorter, but can wait for ever for a
    process that it did not start again (CPython issue 115634).
    """

    def __init__(self, groups: Sequence[Sequence[Task]], rows: Rows, evidence: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._told, tells = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(groups, rows, evidence, tells))
        self.process.start()
        tells.close()

    def finish(self) -> None:
        """Take leave of the process.

        Raises:
            IntegrityError: it ended before it had done its work; its own error is in the message.
        """
        with suppress(EOFError):
            if (said := self._told.recv()) != _DONE:
                raise IntegrityError(f"a pipeline failed: {said}")
            self.process.join()
            return
        self.process.join()
        raise IntegrityError(f"a process of pipelines died (exit code {self.process.exitcode})")


def _work(
    groups: Sequence[Sequence[Task]],
    rows: Rows,
    evidence: Path | None,
    tells: connection.Connection,
) -> None:
    _leave_ctrl_c()
    try:
        for group in groups:
            _run_group(group, rows, evidence)
    except Exception as error:
        tells.send(f"{type(error).__name__}: {error}")
        raise
    tells.send(_DONE)


def _leave_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_group(group: Sequence[Task], rows: Rows, evidence: Path | None) -> None:
    parent = os.getppid()
    for task in group:
        if multiprocessing.parent_process() is not None and os.getppid() != parent:
            return  # nobody waits any more
        found, seconds = assessed(task)
        if evidence is not None:
            keep(evidence, task, found, seconds)
        rows.add([row_of(task, found, seconds)])


class _Watch:
    def __init__(self, tasks: Sequence[Task], rows: Rows, told: Told, before: int) -> None:
        self.wanted = {one.key for one in tasks}
        self.rows, self.told, self.before = rows, told, before
        self.began = time.monotonic()
        self.last = -1

    def tell(self) -> None:
        """Tell how many rows there are, when that changed."""
        done = len(self.wanted & self.rows.read().keys())
        if done == self.last:
            return
        self.last = done
        minutes = (time.monotonic() - self.began) / 60.0
        fresh = done - self.before
        rate = fresh / minutes if fresh and minutes > 0.0 else float("nan")
        self.told(Progress(done, len(self.wanted), rate, (len(self.wanted) - done) / rate))
