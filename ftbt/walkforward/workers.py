"""Windows in parallel: the only place that knows joblib.

Each window is a task of its own; which worker runs it, and when, changes nothing. A worker process
that dies (killed for memory, a crash in compiled code) takes the pool with it. The windows that
were not finished are then run again one by one, each alone in a fresh process and from its last
checkpoint, so that the one that kills its process is known: it becomes a failed window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor

from ftbt.walkforward.checkpoint import Outcome, Progress, WindowFolder
from ftbt.walkforward.tasks import WindowTask, run_window

DIED = "its worker process died twice (killed, out of memory, or crashed)"


def run_windows(tasks: Sequence[WindowTask], jobs: int, finished: Callable[[int], None]) -> None:
    """Run *tasks* on *jobs* processes; call *finished* with each window's number as it ends.

    Raises:
        StorageError: when results can't be written.
        KeyboardInterrupt: after the workers were stopped.
    """
    if jobs == 1:
        for task in tasks:
            finished(run_window(task))
        return
    left = {task.window.number: task for task in tasks}
    try:
        for number in _pool(list(left.values()), jobs):
            del left[number]
            finished(number)
    except BrokenProcessPool:
        for task in left.values():
            _run_alone(task)
            finished(task.window.number)


def _pool(tasks: Sequence[WindowTask], jobs: int) -> Iterator[int]:
    """Yield the numbers of windows as they end."""
    parallel = joblib.Parallel(
        n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1
    )
    results: Any = parallel(joblib.delayed(run_window)(task) for task in tasks)
    try:
        yield from results
    except BaseException:
        # Ctrl-C or an error: a worker in the middle of a window must not go on in the background.
        get_reusable_executor(kill_workers=True, reuse=False, max_workers=1).shutdown(
            wait=True, kill_workers=True
        )
        raise


def _run_alone(task: WindowTask) -> None:
    """Run one window in a process of its own; its death is the window's failure."""
    folder = WindowFolder(task.folder)
    if folder.outcome() is not None:
        return
    try:
        for _ in _pool([task], 2):
            pass
    except BrokenProcessPool:
        trials = tuple(record for one in folder.checkpoints() for record in one.records)
        folder.finish(Outcome(task.window.number, DIED, "", trials))
        folder.report(Progress(len(trials), None, done=True, failed=True))
