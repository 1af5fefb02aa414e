"""Assessments kept beside their rows, so that other gates can be tried on the same evidence.

A gate that is changed needs no new walk-forward: the figures that it reads are in the assessment.
`judged` puts today's gates and thresholds to a kept assessment, by the functions that the report
uses. Kept files are this program's own; nothing else must be read as such.
"""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from calibration.pipeline import Seconds, Task
from ftbt.data.files import atomic_write
from ftbt.robustness.assessment import Assessment
from ftbt.robustness.gates import hard_gates
from ftbt.robustness.gates_soft import soft_gates
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.verdict import Outlook, judge


def keep(folder: Path, task: Task, found: Assessment, seconds: Seconds) -> None:
    """Write *found* below *folder*."""
    data = gzip.compress(pickle.dumps((task, found, seconds)), compresslevel=3, mtime=0)
    atomic_write(folder / f"{task.key}.pickle.gz", data)


def kept(folder: Path) -> Iterator[tuple[Task, Assessment, Seconds]]:
    """Yield what is kept below *folder*, in order of its names."""
    for path in sorted(folder.glob("*/*.pickle.gz")):
        yield pickle.loads(gzip.decompress(path.read_bytes()))  # noqa: S301 - our own files


def judged(found: Assessment) -> Assessment:
    """Return *found* with the gates and the verdict of this program."""
    thresholds = Thresholds()
    before = {one.id: one for one in found.gates}
    gates = [
        *hard_gates(
            found.record, found.selection, found.overfitting, found.snooping, found.audit,
            thresholds,
            costs_modelled=before["H0 costs"].outcome == "pass",
            no_overfitting="" if found.overfitting else before["H3"].reason,
        ),
        *soft_gates(
            found.walk_forward, found.parameters, found.stress, found.snooping, found.path_risk,
            found.trades, thresholds,
        ),
    ]  # fmt: skip
    # What would change the verdict is words; the state does not depend on it.
    record = found.record
    outlook = Outlook(record.days, record.trades, record.annual_sharpe, float("nan"))
    return replace(found, gates=tuple(gates), verdict=judge(gates, outlook, thresholds))
