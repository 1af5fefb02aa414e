"""One whole pipeline: a market, a real walk-forward, the real assessment, one row of what came out.

Nothing is taken short: the trials are Optuna's, costs are the defaults, every window is checked on
the reference engine, the look-ahead audit is made, and the verdict is that of the report. Only the
size is small: hourly bars, 9 windows of 240 days of training and 122 of test (three years out of
sample), 20 trials each.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration.markets import STRATEGIES, SYMBOL, TIMEFRAME, market
from ftbt.config import make_experiment
from ftbt.errors import InputError
from ftbt.robustness.assess import assess
from ftbt.robustness.assessment import Assessment
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run

WARMUP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Size:
    """How big a pipeline is; days and counts.

    Attributes:
        windows: tests, one after the other.
        train, test: days of each.
        trials: of each window.
    """

    windows: int = 9
    train: int = 240
    test: int = 122
    trials: int = 20

    @property
    def days(self) -> int:
        """Length of the market."""
        return WARMUP_DAYS + self.train + self.windows * self.test


@dataclass(frozen=True, slots=True)
class Task:
    """One pipeline.

    Attributes:
        scenario: which question it belongs to.
        number: from 0; markets of one number and generator share their path without an edge.
        generator, strategy, edge: see `calibration.markets`.
        seed: of the whole calibration.
        size: see `Size`.
    """

    scenario: str
    number: int
    generator: str
    strategy: str
    edge: float
    seed: int
    size: Size = field(default_factory=Size)

    @property
    def key(self) -> str:
        """Name of the row."""
        return f"{self.scenario}/{self.number:04d}"

    def seeds(self) -> tuple[int, int]:
        """Return the seeds of the market and of the search, independent of each other."""
        found = np.random.SeedSequence([self.seed, self.number]).generate_state(2, np.uint32)
        return int(found[0]), int(found[1])


def inputs_of(task: Task) -> Inputs:
    """Return the inputs of the walk-forward of *task*, its market among them.

    Raises:
        InputError: a market of another length than the windows need.
    """
    market_seed, search_seed = task.seeds()
    place = market(task.generator, market_seed, task.size.days, task.strategy, task.edge)
    experiment = make_experiment(
        {
            "title": task.key,
            "strategy": {"name": str(STRATEGIES[task.strategy])},
            "data": {"symbols": [SYMBOL], "timeframe": TIMEFRAME},
            "walk_forward": {"train": f"{task.size.train}d", "test": f"{task.size.test}d"},
            "search": {"trials": task.size.trials, "seed": search_seed},
        }
    )
    inputs = prepare(experiment, markets={SYMBOL: [place]})
    if len(inputs.windows) != task.size.windows:
        raise InputError(
            f"{task.key}: {len(inputs.windows)} windows fit instead of {task.size.windows}"
        )
    return inputs


Seconds = tuple[float, float]


def assessed(task: Task) -> tuple[Assessment, Seconds]:
    """Return the assessment of *task*, and CPU seconds of the walk-forward and of itself."""
    began = time.process_time()
    inputs = inputs_of(task)
    with tempfile.TemporaryDirectory(prefix="ftbt-calibration-") as folder:
        run = load_run(walk_forward(inputs, Path(folder), jobs=1).folder)
        searched = time.process_time()
        found = assess(run, inputs)
    return found, (round(searched - began, 2), round(time.process_time() - searched, 2))


def row_of(task: Task, found: Assessment, seconds: Seconds) -> dict[str, Any]:
    """Return the row of a pipeline as plain values; `docs/reference/calibration.md` names them."""
    return {**asdict(task), "key": task.key, **_figures(found), "cpu_seconds": list(seconds)}


def out_of_sample_sharpe(task: Task) -> tuple[float, int]:
    """Return the annual Sharpe ratio and the trades of a walk-forward, without its assessment."""
    inputs = inputs_of(task)
    with tempfile.TemporaryDirectory(prefix="ftbt-calibration-") as folder:
        run = load_run(walk_forward(inputs, Path(folder), jobs=1).folder)
    figures = run.summary.out_of_sample
    return run.summary.evidence.sharpe_daily * np.sqrt(365.0), int(figures["trades"] or 0)


def _figures(found: Assessment) -> dict[str, Any]:
    record, pbo = found.record, found.overfitting
    cash = [one for one in found.snooping.tests if one.benchmark == "cash"]
    entries = found.snooping.random_entries
    return {
        "state": found.verdict.state,
        "soft_fails": list(found.verdict.soft_fails),
        "gates": {one.id: [one.outcome, _number(one.value)] for one in found.gates},
        "trades": record.trades,
        "days": record.days,
        "annual_sharpe": _number(record.annual_sharpe),
        "psr_2012": _number(record.psr_2012),
        "psr_2025": _number(record.psr_2025),
        "dsr": _number(found.selection.record.high.probability),
        "pbo": None if pbo is None else _number(pbo.pbo),
        "pbo_p": None if pbo is None else _number(pbo.p_value),
        "loss": None if pbo is None else _number(pbo.probability_of_loss),
        "loss_p": None if pbo is None else _number(pbo.loss_p_value),
        "spa_p": _number(cash[0].spa_consistent) if cash else None,
        "entries_p": None if entries is None else _number(entries.p_value),
    }


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def outcomes(row: Mapping[str, Any]) -> dict[str, str]:
    """Return gate -> outcome of a row."""
    return {name: str(outcome) for name, (outcome, _) in row["gates"].items()}
