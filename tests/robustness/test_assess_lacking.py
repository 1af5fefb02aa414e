"""Assessments of several strategies, and of runs of which parts are missing or wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_runs
from assess_kit import gate_of, state_if_valid, why

from ftbt.errors import InputError
from ftbt.robustness import audit_section as audit_module
from ftbt.robustness.assess import assess
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.rerun import Reruns
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Run]:
    """Return two strategies on two symbols whose last window has too few bars: it failed."""
    folder = tmp_path_factory.mktemp("mixed")
    walks = [small_runs.helpers().random_walk(n, 24 * 52, s) for n, s in (("BTC", 7), ("ETH", 8))]
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
