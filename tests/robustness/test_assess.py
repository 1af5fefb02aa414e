"""From a finished run to its assessment: with an edge, without one, and with parts missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_runs

from ftbt.backtest.return_metrics import daily_returns
from ftbt.errors import InputError
from ftbt.robustness import audit_section as audit_module
from ftbt.robustness import gates as gates_module
from ftbt.robustness.assess import PHASES, assess
from ftbt.robustness.assessment import (
    Assessment,
    AuditFacts,
    DeflatedAt,
    Gate,
    Overfitting,
    Snooping,
    State,
)
from ftbt.robustness.deflated import deflated_sharpe, expected_maximum
from ftbt.robustness.effective import effective_trials
from ftbt.robustness.of_run import RunArrays, Search, milliseconds
from ftbt.robustness.overfitting import apart, blocks_for, overfitting
from ftbt.robustness.pbo import probability_of_backtest_overfitting
from ftbt.robustness.rerun import Reruns
from ftbt.robustness.selection import (
    counted_searches,
    in_sample_record,
    looks_of,
    selection_bias,
)
from ftbt.robustness.sharpe import TrackRecord
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.verdict import Outlook, judge
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run

DAY = 86_400_000


def gate_of(found: Assessment, name: str) -> Gate:
    """Return the gate called *name*."""
    return next(one for one in found.gates if one.id == name)


def state_if_valid(found: Assessment) -> State:
    """Return the verdict as if everything of H0 were met."""
    valid = [
        replace(one, outcome="pass") if one.id.startswith("H0") else one for one in found.gates
    ]
    outlook = Outlook(found.record.days, found.record.trades, 1.0, 1.0)
    return judge(valid, outlook, Thresholds()).state


def why(found: Assessment, what: str) -> str:
    """Return the reason that the limits give for *what*."""
    return next(one.why for one in found.limits if one.what == what)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Run]:
    """Return a walk-forward on a random walk: there is nothing to find."""
    folder = tmp_path_factory.mktemp("walk")
    candles = small_runs.helpers().random_walk("BTC", 24 * 82, 3)
    inputs = small_runs.ask(folder, [candles], search={"trials": 4})
    return inputs, small_runs.run_of(inputs, folder / "results")


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    """Return the progress of `alone`."""
    return []


@pytest.fixture(scope="module")
def alone(walk: tuple[Inputs, Run], told: list[tuple[str, int, int]]) -> Assessment:
    """Return the assessment of the random walk from its folder alone."""
    return assess(walk[1], None, progress=lambda *step: told.append(step))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Run]:
    """Return two strategies on two symbols whose last window has too few bars: it failed."""
    folder = tmp_path_factory.mktemp("mixed")
    walks = [small_runs.helpers().random_walk(name, 24 * 52, 7) for name in ("BTC", "ETH")]
    holed = [
        replace(one, bars=np.concatenate((one.bars[: 24 * 43], one.bars[24 * 50 :])))
        for one in walks
    ]
    inputs = small_runs.ask(
        folder,
        holed,
        ("first_cross", "second_cross"),
        walk_forward={"train": "20d", "test": "10d"},
        search={"trials": 3},
    )
    return inputs, small_runs.run_of(inputs, folder / "results")


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


def test_without_candles_nothing_is_judged_and_the_limits_say_why(edge: tuple[Inputs, Run]) -> None:
    """Sections that need a re-run are None or empty, each with its reason; no audit, no verdict."""
    found = assess(edge[1], None)

    assert found.verdict.state == "NOT JUDGED"
    assert "no candles were at hand" in found.verdict.sentence
    assert found.stress is None
    assert found.snooping.random_entries is None
    assert found.snooping.permutation is None
    assert [one.benchmark for one in found.snooping.tests] == ["cash", "buy and hold"]
    assert [one.name for one in found.regimes.tables] == ["calendar year"]
    for part in ("look-ahead audit", "stress", "random entries", "own defaults"):
        assert "without its candles" in why(found, part)
    assert gate_of(found, "S4").outcome == gate_of(found, "S5").outcome == "not judged"
    assert state_if_valid(found) == "PASS"


def test_inputs_of_another_run_are_refused(
    edge: tuple[Inputs, Run], walk: tuple[Inputs, Run]
) -> None:
    """Re-runs on other data would be compared with this record: one clear line instead."""
    with pytest.raises(InputError, match="the inputs are those of sma_cross-BTC-1h-"):
        assess(edge[1], walk[0])


def test_a_seed_below_zero_is_refused(edge: tuple[Inputs, Run]) -> None:
    """No random number comes from -1."""
    with pytest.raises(InputError, match="seed must be"):
        assess(edge[1], None, seed=-1)


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


def test_a_run_that_never_trades_is_not_judged(edge: tuple[Inputs, Run]) -> None:
    """No trade, flat curve: no statistic is made up, and the report can say so."""
    run = edge[1]
    flat = replace(
        run, trades=run.trades.iloc[:0], equity=run.equity.assign(equity=run.summary.capital)
    )
    found = assess(flat, None)

    assert found.verdict.state == "NOT JUDGED"
    assert "0 out-of-sample trades" in found.verdict.sentence
    assert math.isnan(found.record.psr_2012)
    assert math.isnan(found.selection.record.high.probability)
    assert found.snooping.tests == ()
    assert found.path_risk is None
    assert found.trades.count == 0
    assert why(found, "statistics of the record") == "it never traded out of sample"
    assert gate_of(found, "H1").outcome == gate_of(found, "H4").outcome == "not judged"
    assert gate_of(found, "S7").outcome == "not judged"


def test_all_windows_failed(tmp_path: Path) -> None:
    """No trial made enough trades: nothing was chosen, nothing is judged, all is said."""
    candles = small_runs.helpers().random_walk("BTC", 24 * 35, 5)
    inputs = small_runs.ask(
        tmp_path,
        [candles],
        walk_forward={"train": "21d", "test": "6d"},
        search={"trials": 2, "min_trades": 10_000},
    )
    run = small_runs.run_of(inputs, tmp_path / "results")
    found = assess(run, inputs)

    assert set(run.windows["state"]) == {"failed"}
    assert found.verdict.state == "NOT JUDGED"
    assert "no window finished" in found.audit.sentence
    assert found.walk_forward.share_profitable == 0.0
    assert "2 of 2 windows failed" in why(found, "windows")
    assert found.parameters is not None
    assert found.parameters.strategies[0].plateaus == ()


def test_a_single_window_and_nothing_to_search(tmp_path: Path) -> None:
    """One fixed parameter set: no selection, so nothing overfits; one window is not spread."""
    fixed = {"fast": 3, "slow": 8, "band": 0.001, "side": "both", "flip": False}
    inputs = small_runs.ask(
        tmp_path,
        [small_runs.trending("BTC", 24 * 50, 2)],
        strategy={"parameters": fixed},
        walk_forward={"train": "20d", "test": "28d"},
    )
    found = assess(small_runs.run_of(inputs, tmp_path / "results"), None)

    assert len(found.walk_forward.windows) == 1
    assert gate_of(found, "S1").outcome == "not judged"
    assert found.overfitting is None
    assert found.parameters is None
    assert found.walk_forward.cpcv is None
    assert gate_of(found, "H3").outcome == "pass"
    assert "nothing was searched" in gate_of(found, "H3").reason
    assert "nothing was searched" in why(found, "PBO and CPCV")
    assert found.selection.all_trials is None


def test_trials_that_never_traded_are_counted_apart(walk: tuple[Inputs, Run]) -> None:
    """Columns of zeros in a search: flat, left out of correlations, and nothing breaks."""
    run = walk[1]
    frame = run.trial_returns
    idle = frame.assign(ret=frame["ret"].where(frame["trial"] != 1, 0.0))
    found = assess(replace(run, trial_returns=idle), None)

    assert found.selection.flat == 5
    assert sum(found.selection.sharpes.counts) == found.selection.distinct - 5
    assert found.overfitting is not None

    only_one = frame.assign(ret=frame["ret"].where(frame["trial"] == 0, 0.0))
    found = assess(replace(run, trial_returns=only_one), None)
    assert found.overfitting is None
    assert gate_of(found, "H3").outcome == "not judged"
    assert "searches had fewer than two trials that traded" in why(found, "searches")


def test_several_strategies_and_symbols_with_a_failed_window(mixed: tuple[Inputs, Run]) -> None:
    """Searches of each strategy, parts tested together, the failed window said."""
    found = assess(mixed[1], None)
    states = [one.state for one in found.walk_forward.windows]

    assert states.count("failed") == 1
    assert found.overfitting is not None
    names = ["first_cross", "second_cross"]
    assert [one.strategy for one in found.overfitting.windows[:2]] == names
    assert found.parameters is not None
    assert [one.strategy for one in found.parameters.strategies] == names
    parts = {one.name for one in found.snooping.components}
    assert {"strategy first_cross", "symbol BTC", "second_cross on ETH"} <= parts
    assert len(parts) == 8
    assert sum(one.trades for one in found.snooping.components) == 3 * found.trades.count
    assert "1 of" in why(found, "windows")
    assert {one.kind for one in found.trades.groups} == {"side", "symbol", "strategy", "exit"}


def test_several_strategies_are_run_again_as_they_were(
    mixed: tuple[Inputs, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two strategies on one account give the stored record again, flat over the failed window."""
    monkeypatch.setattr(audit_module, "PREFIXES", 1)
    monkeypatch.setattr(audit_module, "BARS", 200)
    monkeypatch.setattr(audit_module, "FEW_ORDERS", 0)
    inputs, run = mixed
    arrays = RunArrays(run)
    reruns = Reruns(arrays, inputs)

    np.testing.assert_allclose(reruns.run().equity, arrays.equity, rtol=1e-12)
    found = audit_module.audit_section(reruns, 1)
    assert found.audited == ("first_cross on BTC", "second_cross on BTC")
    assert found.clean


def test_parts_add_up_to_the_record(mixed: tuple[Inputs, Run]) -> None:
    """Every way to group the trades has the same trades and the same profit."""
    found = assess(mixed[1], None)
    for kind in ("side", "symbol", "strategy", "exit"):
        own = [one for one in found.trades.groups if one.kind == kind]

        assert sum(one.trades for one in own) == found.record.trades
        assert sum(one.net for one in own) == pytest.approx(found.record.net_profit)
    (years,) = found.regimes.tables
    assert sum(line.net for line in years.rows) == pytest.approx(found.record.net_profit)


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


# The parts, by themselves.


def searches(
    seed: int, windows: int, edge: float, trials: int = 12, step: int = 60, train: int = 120
) -> tuple[list[Search], dict[int, tuple[int, int]]]:
    """Return searches of a walk-forward over one history of alike trials with an annual ratio."""
    rng = np.random.default_rng(seed)
    days = train + step * windows
    noise = 0.8 * rng.normal(size=(days, 1)) + 0.6 * rng.normal(size=(days, trials))
    returns = 0.01 * (noise + edge / math.sqrt(365))
    made, spans = [], {}
    for window in range(windows):
        first = window * step
        part = np.ascontiguousarray(returns[first : first + train])
        chosen = int(np.argmax(part.mean(axis=0) / part.std(axis=0)))
        day = np.arange(first, first + train) * DAY
        made.append(Search(window, "x", day, part, np.arange(trials), chosen))
        spans[window] = (first * DAY, (first + train) * DAY)
    return made, spans


def test_the_in_sample_record_has_each_day_once() -> None:
    """All days of the first training, then the new days of each next one; luck as promised."""
    made, _ = searches(1, 4, 0.0)
    counted = counted_searches(made)
    returns, luck = in_sample_record(counted)

    assert len(returns) == 120 + 3 * 60
    np.testing.assert_array_equal(returns[:120], made[0].returns[:, made[0].chosen])
    np.testing.assert_array_equal(returns[-60:], made[3].returns[-60:, made[3].chosen])
    promised = []
    for one, days in zip(counted, (120, 60, 60, 60), strict=True):
        own = one.search.returns[:, one.search.chosen]
        ratios = one.search.returns.mean(axis=0) / one.search.returns.std(axis=0, ddof=1)
        high = effective_trials(one.search.returns).high
        promised += [ratios.std(ddof=1) * expected_maximum(high) * own.std(ddof=1)] * days
    assert luck == pytest.approx(np.mean(promised))


def test_variance_beyond_sampling_is_no_luck() -> None:
    """Trials that truly differ don't raise the hurdle above that of independent lucky ones."""
    (one,), _ = searches(2, 1, 0.0)
    spread = np.linspace(-0.02, 0.02, one.returns.shape[1])
    (wide,) = counted_searches([replace_returns(one, one.returns + spread)])

    assert wide.scatter > 10.0
    assert wide.luck == pytest.approx(expected_maximum(wide.effective.high) / math.sqrt(120))


def replace_returns(one: Search, returns: Any) -> Search:
    """Return a search with other returns."""
    return Search(one.window, one.strategy, one.day, returns, one.trials, one.chosen)


def test_looks_between_one_and_all() -> None:
    """One record; earlier trials in proportion; each of them on its own."""
    made, _ = searches(3, 2, 0.0)
    counted = counted_searches(made)
    worth = sum(one.effective.central for one in counted) / 24

    assert looks_of(0, counted) == (1.0, 1.0, 1.0)
    assert looks_of(1_000, counted) == (1.0, pytest.approx(1.0 + 1_000 * worth), 1_001.0)
    assert looks_of(10, []) == (1.0, 11.0, 11.0)


def test_trainings_apart_do_not_share_a_day() -> None:
    """Greedy by the end of the training: 120 days every 60 leaves every second window."""
    _, spans = searches(4, 6, 0.0)

    assert apart(spans, range(6)) == [0, 2, 4]
    assert apart({0: (0, 5), 1: (0, 9), 2: (0, 12)}, [0, 1, 2]) == [0]


@pytest.mark.parametrize(("rows", "blocks"), [(19, 0), (20, 4), (29, 4), (30, 6), (500, 12)])
def test_blocks_hold_five_days_at_least(rows: int, blocks: int) -> None:
    """An even number of blocks, none shorter than five days, twelve at most."""
    assert blocks_for(rows) == blocks


def test_alike_trials_with_an_edge_pass_the_search_gate() -> None:
    """PBO is a coin toss where parameters hardly matter; what was chosen still earned elsewhere."""
    found = overfitting(*searches(5, 5, 3.0), 1)
    assert found is not None

    assert found.pbo > 0.3
    assert found.loss_p_value <= 0.05
    assert gates_module._overfit_outcome(found, Thresholds()) == "pass"


def test_alike_trials_without_an_edge_rarely_pass_the_search_gate() -> None:
    """At most about one history in five passes H3 without skill, as its threshold says."""
    passed = 0
    for seed in range(9):
        found = overfitting(*searches(100 + seed, 2, 0.0, trials=6), seed)
        assert found is not None
        passed += gates_module._overfit_outcome(found, Thresholds()) == "pass"

    assert passed <= 5  # P(more) = 0.3 % for 9 draws at 20 %


AUDITED = AuditFacts(True, True, "no order changed", ("x on BTC",), 40, ())


def gates_with(assessed: Assessment, **changes: Any) -> dict[str, str]:
    """Return the outcomes of the hard gates with fields of sections changed."""
    assert assessed.overfitting is not None
    parts: dict[str, Any] = {
        "record": assessed.record,
        "selection": assessed.selection,
        "overfitting": assessed.overfitting,
        "snooping": assessed.snooping,
        "audit": AUDITED,
        "costs_modelled": True,
        "no_overfitting": "",
    }
    parts |= changes
    found = gates_module.hard_gates(thresholds=Thresholds(), **parts)
    return {one.id: one.outcome for one in found}


@pytest.mark.parametrize(
    ("psr", "profit", "outcome"),
    [
        (0.95, 1.0, "pass"),
        (0.9499, 1.0, "inconclusive"),
        (0.5, 1.0, "inconclusive"),
        (0.4999, 1.0, "fail"),
        (0.99, 0.0, "fail"),
        (math.nan, 0.0, "not judged"),
    ],
)
def test_gate_h1(assessed: Assessment, psr: float, profit: float, outcome: str) -> None:
    """0.95 passes, below 0.5 or without a profit fails, in between is too short."""
    record = replace(assessed.record, psr_2012=psr, net_profit=profit)

    assert gates_with(assessed, record=record)["H1"] == outcome


@pytest.mark.parametrize(
    ("band", "outcome"),
    [
        ((0.99, 0.97, 0.95), "pass"),
        ((0.99, 0.97, 0.90), "inconclusive"),
        ((0.90, 0.70, 0.30), "inconclusive"),
        ((0.90, 0.49, 0.10), "fail"),
        ((math.nan, math.nan, math.nan), "not judged"),
    ],
)
def test_gate_h2(assessed: Assessment, band: Sequence[float], outcome: str) -> None:
    """The whole band must reach 0.95; flipping inside is inconclusive; central below 0.5 fails."""
    low, central, high = (DeflatedAt(1.0, 0.0, one) for one in band)
    made = replace(assessed.selection.record, low=low, central=central, high=high)
    selection = replace(assessed.selection, record=made)

    assert gates_with(assessed, selection=selection)["H2"] == outcome


@pytest.mark.parametrize(
    ("figures", "outcome"),
    [
        ({"pbo": 0.10, "loss_p_value": 0.9, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.45, "loss_p_value": 0.20, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.60, "loss_p_value": 0.05, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.45, "loss_p_value": 0.21, "probability_of_loss": 0.4}, "inconclusive"),
        ({"pbo": 0.60, "loss_p_value": 0.40, "probability_of_loss": 0.49}, "inconclusive"),
        ({"pbo": 0.50, "loss_p_value": 0.60, "probability_of_loss": 0.50}, "fail"),
        ({"pbo": 0.05, "loss_p_value": 0.60, "probability_of_loss": 0.55}, "inconclusive"),
    ],
)
def test_gate_h3(assessed: Assessment, figures: Mapping[str, float], outcome: str) -> None:
    """A low PBO or rare losses pass; a coin toss that loses fails; the rest cannot be told."""
    found: Overfitting = replace(assessed.overfitting, **figures)  # type: ignore[type-var]

    assert gates_with(assessed, overfitting=found)["H3"] == outcome


@pytest.mark.parametrize(
    ("p", "outcome"),
    [(0.099, "pass"), (0.10, "inconclusive"), (0.20, "inconclusive"), (0.201, "fail")],
)
def test_gate_h4(assessed: Assessment, p: float, outcome: str) -> None:
    """Below 0.10 passes, above 0.20 fails."""
    cash = replace(assessed.snooping.tests[0], spa_consistent=p)
    snooping: Snooping = replace(assessed.snooping, tests=(cash,))

    assert gates_with(assessed, snooping=snooping)["H4"] == outcome


def test_gate_h0(assessed: Assessment) -> None:
    """A run that looks ahead, has no costs or too few trades is not valid."""
    guilty = replace(AUDITED, clean=False)
    few = replace(assessed.record, trades=99)

    assert gates_with(assessed)["H0 audit"] == "pass"
    assert gates_with(assessed, audit=guilty)["H0 audit"] == "fail"
    assert gates_with(assessed, costs_modelled=False)["H0 costs"] == "fail"
    assert gates_with(assessed, record=few)["H0 trades"] == "not judged"


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
