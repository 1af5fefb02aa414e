"""What a window leaves on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ftbt.walkforward.checkpoint import Checkpoint, Outcome, Progress, TrialRecord, WindowFolder


def checkpoint(first: int, count: int = 4) -> Checkpoint:
    """Return a checkpoint of *count* trials."""
    records = tuple(TrialRecord(first + k, {"x": k}, "complete", float(k)) for k in range(count))
    return Checkpoint(records, ("frozen",) * count, b"sampler")


def test_checkpoints_come_back_in_order(tmp_path: Path) -> None:
    """From trial 0 on, whatever order the file system lists them in."""
    folder = WindowFolder(tmp_path / "w")
    for first in (8, 0, 4):
        folder.save(checkpoint(first))

    assert [one.records[0].number for one in folder.checkpoints()] == [0, 4, 8]
    assert folder.trials() == 12


def test_a_damaged_or_missing_checkpoint_ends_the_row(tmp_path: Path) -> None:
    """The search goes on from the last whole one before it."""
    folder = WindowFolder(tmp_path / "w")
    for first in (0, 4, 8, 12):
        folder.save(checkpoint(first))
    (tmp_path / "w" / "trials-000008-000012.pickle").write_bytes(b"half a pick")

    assert [one.records[0].number for one in folder.checkpoints()] == [0, 4]

    (tmp_path / "w" / "trials-000000-000004.pickle").unlink()
    assert folder.checkpoints() == []


def test_an_outcome_replaces_the_checkpoints(tmp_path: Path) -> None:
    """They are removed only after it is written."""
    folder = WindowFolder(tmp_path / "w")
    folder.save(checkpoint(0))
    record = TrialRecord(0, {}, "failed", float("nan"), "why", days=np.arange(3))
    folder.finish(Outcome(2, "reason", "a.py:3", (record,)))

    found = folder.outcome()
    assert found is not None
    assert found.failed
    assert (found.number, found.reason, found.trials[0].error) == (2, "reason", "why")
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["outcome.pickle"]
    assert folder.trials() == 1


def test_progress_may_be_lost(tmp_path: Path) -> None:
    """A missing or damaged progress file is no progress, never an error."""
    folder = WindowFolder(tmp_path / "w")
    assert folder.progress() == Progress()

    folder.report(Progress(3, 1.5))
    assert folder.progress() == Progress(3, 1.5)
    assert folder.made() == 3

    (tmp_path / "w" / "progress.json").write_text("{")
    assert folder.progress() == Progress()


def test_a_resumed_window_starts_from_its_checkpoints(tmp_path: Path) -> None:
    """Trials of a batch that was cut are made again: they are no progress."""
    folder = WindowFolder(tmp_path / "w")
    folder.save(checkpoint(0))
    folder.report(Progress(6, 1.5))

    folder.forget_progress()

    assert folder.progress().trials == 4
