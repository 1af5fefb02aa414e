"""From a finished walk-forward to a verdict with evidence.

What the statistics rest on, and why, is decision record 0015. Everything is deterministic from the
seed; how many re-runs are made depends on the amount of work, never on the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ftbt.robustness.assessment import (
    FORMAT,
    Assessment,
    AuditFacts,
    Limit,
    Overfitting,
    Parameters,
    PathRisk,
    RecordFigures,
    SelectionBias,
    Snooping,
    Stress,
    WalkForward,
)
from ftbt.robustness.audit_section import audit_section
from ftbt.robustness.chance_section import permuted_returns_test, random_entry_test
from ftbt.robustness.checks import whole
from ftbt.robustness.deflated import expected_maximum
from ftbt.robustness.gates import hard_gates
from ftbt.robustness.gates_soft import soft_gates
from ftbt.robustness.limits_section import limits_section
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.overfitting import overfitting, why_not
from ftbt.robustness.panel import Floats
from ftbt.robustness.parameters_section import parameters_section
from ftbt.robustness.path_section import path_section
from ftbt.robustness.record import record_figures
from ftbt.robustness.rerun import Reruns
from ftbt.robustness.selection import (
    counted_searches,
    looks_of,
    record_variance,
    selection_bias,
)
from ftbt.robustness.sharpe import TrackRecord, minimum_track_record, standard_error
from ftbt.robustness.snooping_section import component_tests, record_tests, search_tests
from ftbt.robustness.stress import stress_section
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.trades_section import regimes_section, trades_section
from ftbt.robustness.verdict import Outlook, judge
from ftbt.robustness.windows_section import walk_forward_section
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run

# Phase in words, steps done, steps in all.
Progress = Callable[[str, int, int], None]

PHASES = (
    "look-ahead audit",
    "selection bias",
    "overfitting",
    "windows",
    "stress",
    "data snooping",
    "parameters",
    "paths",
)
FORMS = ("2012 (Bailey and Lopez de Prado)", "2025 (Lopez de Prado, Lipton and Zoonekynd)")


def assess(
    run: Run,
    inputs: Inputs | None,
    *,
    seed: int | None = None,
    progress: Progress | None = None,
    thresholds: Thresholds | None = None,
) -> Assessment:
    """Return the assessment of a finished run.

    Args:
        run: as `ftbt.walkforward.store.load_run` reads it.
        inputs: what it was made from, with its candles; None: everything that needs a re-run is
            left out with a reason, and without the look-ahead audit nothing is judged.
        seed: of all random numbers; None: that of the run's search.
        progress: told (phase, steps done, steps in all).
        thresholds: stricter ones than the defaults.

    Raises:
        InputError: inputs of another run, or a seed below 0.
    """
    return _Assessor(run, inputs, seed, progress, thresholds or Thresholds()).assess()


@dataclass(frozen=True, slots=True)
class _Parts:
    """The sections that gates read."""

    record: RecordFigures
    selection: SelectionBias
    overfitting: Overfitting | None
    walk_forward: WalkForward
    snooping: Snooping
    parameters: Parameters | None
    path_risk: PathRisk | None
    stress: Stress | None
    audit: AuditFacts


class _Assessor:
    def __init__(
        self,
        run: Run,
        inputs: Inputs | None,
        seed: int | None,
        progress: Progress | None,
        thresholds: Thresholds,
    ) -> None:
        self.run = run
        self.inputs = inputs
        self.arrays = RunArrays(run)
        self.seed = run.manifest.search.seed if seed is None else whole(seed, "seed", 0)
        self.progress = progress
        self.thresholds = thresholds
        self.counted = counted_searches(())
        self.limits: list[Limit] = []

    def assess(self) -> Assessment:
        """Make all sections, then judge them."""
        arrays, thresholds = self.arrays, self.thresholds
        parts = self._parts()
        trades = trades_section(arrays)
        settings = self.run.manifest.settings
        charged = ("taker_fee", "half_spread", "slippage_atr")
        gates = [
            *hard_gates(
                parts.record,
                parts.selection,
                parts.overfitting,
                parts.snooping,
                parts.audit,
                thresholds,
                costs_modelled=any(float(settings[name]) > 0.0 for name in charged),
                no_overfitting=why_not(arrays.searches),
            ),
            *soft_gates(
                parts.walk_forward,
                parts.parameters,
                parts.stress,
                parts.snooping,
                parts.path_risk,
                trades,
                thresholds,
            ),
        ]
        return Assessment(
            format=FORMAT,
            run_id=self.run.manifest.run_id,
            seed=self.seed,
            forms=FORMS,
            thresholds=thresholds.rows(),
            tightened=thresholds.tightened_names,
            verdict=judge(gates, self._outlook(parts), thresholds),
            gates=tuple(gates),
            record=parts.record,
            selection=parts.selection,
            overfitting=parts.overfitting,
            walk_forward=parts.walk_forward,
            snooping=parts.snooping,
            parameters=parts.parameters,
            path_risk=parts.path_risk,
            stress=parts.stress,
            regimes=regimes_section(arrays, None if self.inputs is None else self.inputs.markets),
            trades=trades,
            audit=parts.audit,
            limits=tuple(self.limits) + limits_section(arrays, self.inputs, parts.overfitting),
        )

    def _parts(self) -> _Parts:
        arrays = self.arrays
        reruns = None if self.inputs is None else Reruns(arrays, self.inputs)
        audit = audit_section(reruns, self._seed(0), self._tick(0))
        self.counted = counted_searches(arrays.searches, self._tick(1))
        record = record_figures(arrays, self._seed(1))
        selection = selection_bias(arrays, self.counted)
        pbo = overfitting(arrays.searches, arrays.spans, self._seed(2), self._tick(2))
        windows = walk_forward_section(arrays, self._tick(3))
        stress, defaults = self._stress(reruns)
        snooping = self._snooping(reruns, defaults)
        self._say(6, 0)
        parameters = parameters_section(arrays)
        self._say(6, 1)
        limit = float(self.run.manifest.settings["limits"]["drawdown"])
        self._say(7, 0)
        path = path_section(arrays, limit, self._seed(7))
        self._say(7, 1)
        return _Parts(record, selection, pbo, windows, snooping, parameters, path, stress, audit)

    def _stress(self, reruns: Reruns | None) -> tuple[Stress | None, Floats | None]:
        if reruns is None or not reruns.tests:
            self._say(4, 0)
            self._say(4, 1)
            return None, None
        stress, defaults, limits = stress_section(self.arrays, reruns, self._seed(4), self._tick(4))
        self.limits += limits
        if not stress.reproduced:
            self.limits.append(
                Limit("stress", "the tests, run again unchanged, are not the stored record")
            )
        return stress, defaults

    def _snooping(self, reruns: Reruns | None, defaults: Floats | None) -> Snooping:
        arrays, seed = self.arrays, self._seed(5)
        searches = search_tests(arrays.searches, seed, self._tick(5))
        entries = None if reruns is None else random_entry_test(arrays, reruns, seed)
        permuted = None if reruns is None else permuted_returns_test(arrays, reruns, seed)
        return Snooping(
            tests=record_tests(arrays, seed, defaults),
            components=component_tests(arrays, seed),
            searches=searches,
            random_entries=entries,
            permutation=permuted,
        )

    def _outlook(self, parts: _Parts) -> Outlook:
        return Outlook(
            days=parts.record.days,
            trades=parts.record.trades,
            annual_sharpe=parts.record.annual_sharpe,
            needed_days=self._needed_days(parts),
        )

    def _needed_days(self, parts: _Parts) -> float:
        """Return the days at which H1, H2 and H4 would be passed at this record's figures."""
        if not self.arrays.moves:
            return math.nan
        record = TrackRecord.of(self.arrays.returns)
        if not record.sharpe > 0.0:
            return math.nan
        days = record.observations
        needed = minimum_track_record(record, 0.0, self.thresholds["psr"])
        # Both the error and the hurdle shrink with the root of the length.
        error = standard_error(record) * math.sqrt(days - 1)
        hurdle = math.sqrt(record_variance(self.arrays, self.counted) * days)
        most = looks_of(self.run.timing.earlier_trials, self.counted)[2]
        z = float(ndtri(self.thresholds["dsr"]))
        needed = max(
            needed, ((z * error + hurdle * expected_maximum(most)) / record.sharpe) ** 2 + 1.0
        )
        cash = next((one for one in parts.snooping.tests if one.benchmark == "cash"), None)
        if cash is not None and cash.spa_consistent >= self.thresholds["spa"]:
            reached = float(ndtri(1.0 - min(cash.spa_consistent, 1.0)))
            wanted = float(ndtri(1.0 - self.thresholds["spa"]))
            needed = max(needed, days * (wanted / reached) ** 2) if reached > 0.0 else math.nan
        return needed if math.isfinite(needed) else math.nan

    def _seed(self, phase: int) -> int:
        return int(np.random.SeedSequence([self.seed, phase]).generate_state(1, np.uint32)[0])

    def _tick(self, phase: int) -> Callable[[int, int], None]:
        self._say(phase, 0)

        def tick(done: int, every: int) -> None:
            if self.progress is not None:
                self.progress(PHASES[phase], done, every)

        return tick

    def _say(self, phase: int, done: int) -> None:
        if self.progress is not None:
            self.progress(PHASES[phase], done, 1)
