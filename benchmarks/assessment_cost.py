"""What all statistics and the report cost: 12 windows of 200 trials on two and a half years of 15m.

From the finished run folder to `report.html`: look-ahead audit, re-runs, nulls and bootstraps, and
the page. Processor time, on one process, after one run that compiles and fills the caches of code.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.common import Row
from ftbt.config import make_experiment
from ftbt.data.sample import sample_market
from ftbt.report.render import write_report
from ftbt.robustness.assess import assess
from ftbt.robustness.assessment_files import write_assessment
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run

STRATEGY = "liquidity_sweep"
DAYS = 931
WINDOWS = 12
TRIALS = 200
TARGET = 60.0


def asked(days: int, trials: int) -> Inputs:
    """Return windows of 180 days of training and 60 of test on *days* days of BTC."""
    experiment = make_experiment(
        {
            "strategy": {"name": STRATEGY},
            "data": {"symbols": ["BTC"]},
            "walk_forward": {"train": "180d", "test": "60d"},
            "search": {"trials": trials},
        }
    )
    markets = {name: [one] for name, one in sample_market(("BTC",), days=days, seed=3).items()}
    return prepare(experiment, markets=markets)


def measured(inputs: Inputs, folder: Path) -> tuple[float, float]:
    """Return processor seconds of the assessment and of the report."""
    run_folder = walk_forward(inputs, folder, jobs=2).folder
    began = time.process_time()
    found = assess(load_run(run_folder), inputs)
    write_assessment(run_folder, found)
    judged = time.process_time()
    write_report(run_folder)
    return judged - began, time.process_time() - judged


def run() -> list[Row]:
    """Return the rows of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="ftbt-benchmark-") as place:
        measured(asked(280, 4), Path(place))
        inputs = asked(DAYS, TRIALS)
        assert len(inputs.windows) == WINDOWS
        statistics, report = measured(inputs, Path(place))
    how = (
        f"{WINDOWS} windows x {TRIALS} trials of {STRATEGY}, {DAYS} days of 15m bars, processor"
        " time of one process"
    )
    return [
        Row("all statistics and the report", statistics + report, "s", how, at_most=TARGET),
        Row("the statistics alone", statistics, "s", how),
        Row("the report alone", report, "s", how),
    ]
