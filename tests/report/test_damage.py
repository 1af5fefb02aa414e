"""The most damaging number of a run that nothing has judged yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_runs import Plot, write_run

from ftbt.report.damage import most_damaging
from ftbt.report.source import Source
from ftbt.walkforward.store import load_run


def source_of(folder: Path, plot: Plot) -> Source:
    """Return an artificial run."""
    return Source(load_run(write_run(folder / "run", plot)))


def changed(source: Source, **summary: object) -> Source:
    """Return the same run with other figures in its summary."""
    run = source.run
    evidence = replace(run.summary.evidence, psr=summary.pop("psr", run.summary.evidence.psr))
    return Source(replace(run, summary=replace(run.summary, evidence=evidence, **summary)))


@pytest.mark.parametrize(
    ("plot", "value", "word"),
    [
        (Plot(failed=(0, 1), windows=2), "0 of 2 windows", "Every window failed"),
        (Plot(trades=0, windows=2), "0 trades", "never traded"),
        (Plot(risk=0.9, drift=-0.9, windows=2), "−100.0\xa0%", "ruined"),
        (Plot(drift=-0.3), "−", "lost money"),
        (Plot(windows=2, drift=0.5, trades=30), "60 trades", "fewer than 100"),
        (Plot(windows=2, drift=0.5, trades=60), "2 windows", "So few test windows"),
        (Plot(failed=(2,), drift=0.5), "1 of 6 windows failed", "holes"),
    ],
)
def test_the_most_damaging_number(tmp_path: Path, plot: Plot, value: str, word: str) -> None:
    """What would stop a careful trader first is named, with its number."""
    found = most_damaging(source_of(tmp_path, plot))

    assert value in found.value
    assert word in found.text


def test_later_checks_apply_when_earlier_ones_pass(tmp_path: Path) -> None:
    """Few good windows, holding instead, efficiency, and at last the number of tries."""
    good = changed(source_of(tmp_path, Plot(drift=0.5)), psr=0.99, walk_forward_efficiency=0.9)

    assert most_damaging(good).value == "1,272 tries"
    assert "true Sharpe ratio" in most_damaging(changed(good, psr=0.94)).text
    assert "Too few days" in most_damaging(changed(good, psr=float("nan"))).text
    assert most_damaging(changed(good, walk_forward_efficiency=0.3)).value == "30\xa0%"
    assert "Buying and holding" in most_damaging(changed(good, buy_and_hold_return=99.0)).text
    assert most_damaging(changed(good, profitable_windows=2)).value == "2 of 6 windows"


def test_costs_are_blamed_only_when_they_ate_a_profit(tmp_path: Path) -> None:
    """A loss that was a profit before costs is told apart from one that never was."""
    source = source_of(tmp_path, Plot(drift=-0.3))
    assert source.costs["before"] < 0
    assert "came before any cost" in most_damaging(source).text
    rich = Source(source.run)
    rich.__dict__["costs"] = {**source.costs, "before": 500.0}
    assert "costs ate all of it" in most_damaging(rich).text
