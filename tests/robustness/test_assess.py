"""From a finished run to its assessment: with an edge and without one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from assess_kit import gate_of, state_if_valid, why

from ftbt.backtest.return_metrics import daily_returns
from ftbt.robustness.assess import PHASES, assess
from ftbt.robustness.assessment import (
    Assessment,
    DeflatedAt,
)
from ftbt.robustness.deflated import deflated_sharpe, expected_maximum
from ftbt.robustness.of_run import RunArrays, milliseconds
from ftbt.robustness.pbo import probability_of_backtest_overfitting
from ftbt.robustness.selection import (
    counted_searches,
    selection_bias,
)
from ftbt.robustness.sharpe import TrackRecord
from ftbt.robustness.thresholds import Thresholds
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    """Return the progress of `alone`."""
    return []


@pytest.fixture(scope="module")
def alone(walk: tuple[Inputs, Run], told: list[tuple[str, int, int]]) -> Assessment:
    """Return the assessment of the random walk from its folder alone."""
    return assess(walk[1], None, progress=lambda *step: told.append(step))


def test_a_planted_edge_passes(assessed: Assessment) -> None:
    """A strong edge has a PSR and a DSR near 1, a low PBO, and the verdict PASS."""
    assert assessed.record.psr_2012 > 0.999
    assert assessed.selection.record.high.probability > 0.999
    assert assessed.overfitting is not None
    assert assessed.overfitting.pbo < 0.05
    assert assessed.snooping.tests[0].spa_consistent < 0.01
    assert assessed.snooping.random_entries is not None
    assert assessed.snooping.random_entries.p_value < 0.01
    assert assessed.audit.clean
    assert assessed.verdict.state == "PASS"


def test_a_random_walk_does_not_pass(alone: Assessment) -> None:
    """Without an edge there is no PASS, even if everything of H0 were met."""
    assert state_if_valid(alone) != "PASS"
    assert gate_of(alone, "H1").outcome != "pass"
    assert gate_of(alone, "H4").outcome != "pass"


def test_the_record_agrees_with_the_run(edge: tuple[Inputs, Run], assessed: Assessment) -> None:
    """Days, profit, Sharpe ratio and PSR are those that the walk-forward printed."""
    summary, record = edge[1].summary, assessed.record

    assert record.days == summary.evidence.days == 50
    assert record.net_profit == pytest.approx(summary.out_of_sample["net_profit"])
    assert record.annual_sharpe == pytest.approx(summary.evidence.sharpe_daily * math.sqrt(365))
    assert record.psr_2012 == pytest.approx(summary.evidence.psr)
    assert record.trades == summary.out_of_sample["trades"]
    assert record.mean_low < summary.evidence.mean_daily < record.mean_high
    grown = np.prod([1.0 + one for _, one in record.monthly]) - 1.0
    assert grown == pytest.approx(record.total_return)
    assert [month for month, _ in record.monthly] == [202402, 202403]


def test_each_windows_pbo_is_that_of_its_own_trials(
    edge: tuple[Inputs, Run], assessed: Assessment
) -> None:
    """The panel of a window, as the run keeps it, gives the row of the window; the mean is PBO."""
    run, found = edge[1], assessed.overfitting
    assert found is not None
    own = [
        probability_of_backtest_overfitting(run.returns_of_window(row.window), row.blocks)
        for row in found.windows
    ]

    assert [row.pbo for row in found.windows] == [one.pbo for one in own]
    assert found.pbo == pytest.approx(np.mean([one.pbo for one in own]))
    assert found.probability_of_loss == pytest.approx(
        np.mean([one.probability_of_loss for one in own])
    )
    assert sum(found.logits.counts) == sum(len(one.logits) for one in own)
    assert "guided search" in found.guided


def test_every_trial_is_counted(edge: tuple[Inputs, Run], assessed: Assessment) -> None:
    """Trials of the run, distinct ones in the histogram, the chosen ones marked."""
    run, found = edge[1], assessed.selection

    assert found.trials == len(run.trials) == 30
    assert found.distinct == int((run.trials["repeats"] < 0).sum())
    assert sum(found.sharpes.counts) == found.distinct - found.flat
    np.testing.assert_allclose(found.chosen_sharpes, run.windows["train_sharpe"])
    assert found.earlier_trials == 0
    assert found.record.low == found.record.central == found.record.high
    assert found.needed_years_all == found.needed_years < found.needed_bound


def test_without_earlier_trials_the_record_was_looked_at_once(assessed: Assessment) -> None:
    """Parameters are chosen before the days of the record: N = 1, the hurdle 0, DSR = PSR."""
    band = assessed.selection.record

    assert band.high == DeflatedAt(1.0, 0.0, assessed.record.psr_2012)
    assert assessed.selection.all_trials is not None
    assert assessed.selection.all_trials.high.hurdle > 0.0


def test_earlier_trials_raise_the_hurdle(walk: tuple[Inputs, Run]) -> None:
    """The ledger's trials enter the band, the haircuts and the minimum length, each one way."""
    runs = [
        replace(walk[1], timing=replace(walk[1].timing, earlier_trials=count))
        for count in (0, 50, 5_000)
    ]
    counted = counted_searches(RunArrays(walk[1]).searches)
    found = [selection_bias(RunArrays(run), counted) for run in runs]

    bands = [one.record for one in found]
    assert [one.high.trials for one in bands] == [1, 51, 5_001]
    assert bands[0].high.probability > bands[1].high.probability > bands[2].high.probability
    assert bands[2].low.probability > bands[2].central.probability > bands[2].high.probability
    assert [one.haircuts[0].tests for one in found] == [1, 51, 5_001]
    assert found[2].needed_years_all > found[1].needed_years_all


def test_earlier_trials_are_said(walk: tuple[Inputs, Run]) -> None:
    """The gate's reason and the limits name their number."""
    found = assess(replace(walk[1], timing=replace(walk[1].timing, earlier_trials=5_000)), None)

    assert "5,000 earlier trials" in gate_of(found, "H2").reason
    assert "5,000 earlier trials" in why(found, "earlier trials")


def test_the_deflated_ratio_is_the_papers(walk: tuple[Inputs, Run]) -> None:
    """At the high end: PSR against sqrt(V) E[max], V the pooled variance over the record's days."""
    arrays = RunArrays(replace(walk[1], timing=replace(walk[1].timing, earlier_trials=99)))
    found = selection_bias(arrays, counted_searches(arrays.searches)).record.high
    record = TrackRecord.of(arrays.returns)
    scatter, weight = 0.0, 0
    for one in arrays.searches:
        ratios = one.returns.mean(axis=0) / one.returns.std(axis=0, ddof=1)
        scatter += ratios.var(ddof=1) * len(one.day) * (len(ratios) - 1)
        weight += len(ratios) - 1
    variance = min(1.0, scatter / weight) / len(arrays.returns)

    assert found.hurdle == pytest.approx(
        math.sqrt(variance) * expected_maximum(100.0) * math.sqrt(365)
    )
    assert found.probability == pytest.approx(deflated_sharpe(record, variance, 100.0))


@pytest.mark.usefixtures("alone")
def test_progress_is_told_phase_by_phase(told: list[tuple[str, int, int]]) -> None:
    """Every phase in its order, each from 0 to its end."""
    assert list(dict.fromkeys(phase for phase, _, _ in told)) == list(PHASES)
    for name in PHASES[1:]:
        own = [(done, every) for phase, done, every in told if phase == name]
        assert own[0][0] == 0
        assert own[-1][0] == own[-1][1]


def test_tightened_thresholds_are_applied_and_named(walk: tuple[Inputs, Run]) -> None:
    """A stricter count of trades stands in the gate, in the table and among the tightened ones."""
    strict = Thresholds().tightened(min_trades=5_000)
    found = assess(walk[1], None, thresholds=strict)

    assert gate_of(found, "H0 trades").limit == 5_000
    assert found.tightened == ("min_trades",)
    assert ("min_trades", 5_000.0) in [row[:2] for row in found.thresholds]


def test_regimes_and_parameters_of_the_planted_edge(assessed: Assessment) -> None:
    """Three tables beside the years; all trades in each; the heat map marks what was chosen."""
    names = [one.name for one in assessed.regimes.tables]

    assert [name.split()[0].rstrip(":") for name in names] == ["trend", "volatility", "calendar"]
    for table in assessed.regimes.tables:
        assert sum(line.trades for line in table.rows) == assessed.record.trades
    assert assessed.parameters is not None
    (facts,) = assessed.parameters.strategies
    assert facts.heat_map is not None
    x, y = facts.heat_map.chosen
    assert facts.heat_map.counts[y][x] >= 1
    assert 1 <= sum(map(sum, facts.heat_map.counts)) <= 6
    assert {name for name, _, _ in facts.drift} == {"fast", "slow", "band", "side", "flip"}
    assert [row.name for row in facts.importance] != []
    assert facts.importance[0].total >= facts.importance[-1].total
    assert "variance shares" in facts.evaluator


def test_paths_of_the_planted_edge(assessed: Assessment) -> None:
    """Days, trades drawn again, trades reshuffled: only the last keeps the total in every path."""
    found = assessed.path_risk
    assert found is not None

    assert [row.how for row in found.rows] == [
        "block bootstrap", "resampled trades", "reshuffled trades",
    ]  # fmt: skip
    shuffled = found.rows[2]
    assert shuffled.path_only
    assert shuffled.total_p05 == shuffled.total_p95
    assert found.fan.actual[-1] == pytest.approx(1.0 + assessed.record.total_return)
    assert [row.size for row in found.ruin] == [0.5, 1.0, 2.0]
    assert found.kelly > 1.0


def test_arrays_are_those_of_the_run(edge: tuple[Inputs, Run]) -> None:
    """Daily returns, searches and trades are the run's own, by a second route."""
    run = edge[1]
    arrays = RunArrays(run)
    curve = run.equity.set_index("time")["equity"]
    ends = curve.groupby(curve.index.floor("D")).last().to_numpy()

    np.testing.assert_allclose(arrays.returns, ends / np.concatenate(([10_000.0], ends[:-1])) - 1.0)
    assert arrays.trades.net.sum() == pytest.approx(run.summary.out_of_sample["net_profit"])
    first = arrays.searches[0]
    chosen = run.trials[
        (run.trials["window"] == 0) & (run.trials["trial"] == first.trials[first.chosen])
    ]
    grown = float(np.prod(1.0 + first.returns[:, first.chosen]))
    assert grown == pytest.approx(1.0 + chosen["metric_total_return"].iloc[0])
    assert milliseconds(pd.Series(pd.to_datetime([5], unit="ms", utc=True)))[0] == 5
    assert len(daily_returns(arrays.time, arrays.equity, arrays.capital)[1]) == 50
