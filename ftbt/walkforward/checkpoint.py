"""What a window leaves on disk while it runs, so that a kill loses a moment's work at most.

    work/window-003/
        trials-000000-000004.pickle   trials 0 .. 3 and the sampler after them
        trials-000004-000016.pickle
        outcome.pickle                the finished window; those before it are then removed
        progress.json                 for people; may be lost

Each file is written whole or not at all. The files are this program's own, in its own folder, and
never leave the machine; they are pickles because a sampler is.
"""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ftbt.data.files import atomic_write
from ftbt.walkforward.evaluate import Evaluation
from ftbt.walkforward.parity import Parity

_TRIALS = re.compile(r"trials-(\d{6})-(\d{6})\.pickle")

OUTCOME = "outcome.pickle"
PROGRESS = "progress.json"


@dataclass(frozen=True, eq=False)  # no slots: a dict is pickled far faster
class TrialRecord:
    """One trial of a window; see `Run.trials`.

    Attributes:
        number: from 0 in its window.
        parameters: searched values.
        state: complete, few_trades or failed.
        value: objective; NaN when failed.
        error: why it failed, else empty.
        repeats: the trial whose parameters these are again, or -1.
        metrics: of the training by name; empty when failed.
        days: midnights in ms UTC, shape (n,).
        returns: of those days, shape (n,).
        strategy: number of the strategy that was searched.
        refused: why setups or orders were not taken, name -> count.
    """

    number: int
    parameters: Mapping[str, Any]
    state: Literal["complete", "few_trades", "failed"]
    value: float
    error: str = ""
    repeats: int = -1
    metrics: Mapping[str, float] = field(default_factory=dict)
    days: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    returns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    strategy: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A finished window: a result, or the reason why there is none.

    Attributes:
        number: of the window.
        reason: why it failed, else empty.
        where: file:line of the failure, else empty.
        trials: all of them.
        chosen: number of the chosen trial of each strategy, -1 where there is none; empty when
            failed.
        weights: share of the account of each strategy in the test; empty when failed.
        score: what the selection compared, of the first strategy with a choice; NaN when failed.
        train: the chosen parameters in training, None when failed.
        test: the same in the test, None when failed.
        notes: sentences for people.
        parity: how far the engines agree on the test; None when only one ran.
    """

    number: int
    reason: str = ""
    where: str = ""
    trials: tuple[TrialRecord, ...] = ()
    chosen: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    score: float = float("nan")
    train: Evaluation | None = None
    test: Evaluation | None = None
    notes: tuple[str, ...] = ()
    parity: Parity | None = None

    @property
    def failed(self) -> bool:
        """True when there is a reason instead of a result."""
        return bool(self.reason)

    def chosen_trials(self) -> list[TrialRecord]:
        """Return the chosen trials, one for each strategy that has one."""
        return [self.trials[number] for number in self.chosen if number >= 0]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a window is.

    Attributes:
        trials: done so far.
        best: highest value so far, None before the first.
        done: True when the window is finished.
        failed: True when it failed.
    """

    trials: int = 0
    best: float | None = None
    done: bool = False
    failed: bool = False


@dataclass(frozen=True, eq=False)  # no slots: a dict is pickled far faster
class Checkpoint:
    """What one checkpoint holds.

    Attributes:
        records: trials, one or more whole batches.
        frozen: the same as the study knows them.
        sampler: state after them.
    """

    records: tuple[TrialRecord, ...]
    frozen: tuple[Any, ...]
    sampler: bytes


class WindowFolder:
    """The folder of one window while it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, one: Checkpoint) -> None:
        """Write a checkpoint."""
        first = one.records[0].number
        name = f"trials-{first:06d}-{first + len(one.records):06d}.pickle"
        atomic_write(self.path / name, pickle.dumps(one))

    def checkpoints(self) -> list[Checkpoint]:
        """Return the unbroken run of checkpoints from trial 0; a damaged one ends it."""
        found: list[Checkpoint] = []
        expected = 0
        for first, stop, path in self._names():
            one = _unpickle(path)
            if first != expected or not isinstance(one, Checkpoint):
                break
            found.append(one)
            expected = stop
        return found

    def _names(self) -> list[tuple[int, int, Path]]:
        matches = (
            (_TRIALS.fullmatch(path.name), path) for path in self.path.glob("trials-*.pickle")
        )
        return sorted((int(found[1]), int(found[2]), path) for found, path in matches if found)

    def trials(self) -> int:
        """Return how many trials the checkpoints or the outcome hold."""
        outcome = self.outcome()
        if outcome is not None:
            return len(outcome.trials)
        return max((stop for _, stop, _ in self._names()), default=0)

    def made(self) -> int:
        """Return how many trials were made, those that no checkpoint holds yet included."""
        return max(self.trials(), self.progress().trials)

    def forget_progress(self) -> None:
        """Set the progress back to what the checkpoints hold."""
        if self.path.is_dir():
            self.report(Progress(self.trials()))

    def finish(self, outcome: Outcome) -> None:
        """Write the outcome, then drop the checkpoints."""
        atomic_write(self.path / OUTCOME, pickle.dumps(outcome))
        for _, _, path in self._names():
            path.unlink(missing_ok=True)

    def outcome(self) -> Outcome | None:
        """Return the finished window, or None."""
        found = _unpickle(self.path / OUTCOME)
        return found if isinstance(found, Outcome) else None

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def report(self, progress: Progress) -> None:
        """Write how far the window is; a rename without waiting for the disk, losing it is fine."""
        target = self.path / PROGRESS
        temporary = self.path / f".{PROGRESS}.new"
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            temporary.replace(target)

    def progress(self) -> Progress:
        """Return how far the window is."""
        try:
            plain = json.loads((self.path / PROGRESS).read_text(encoding="utf-8"))
            return Progress(**plain)
        except (OSError, ValueError, TypeError):
            return Progress()


def _unpickle(path: Path) -> object | None:
    """Return what is in *path*, or None when it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        found: object = pickle.loads(content)  # noqa: S301 - our own file, see the module
    except Exception:  # noqa: BLE001 - unpickling damaged bytes can raise anything
        return None
    return found
