"""What the report says of the engines, beside everything else that reproduces a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_runs import Plot, write_run

from ftbt.report.sections.header import facts
from ftbt.report.source import Source
from ftbt.walkforward.store import load_run


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "reference (asked for: auto)"),
        (
            {"engine": "compiled", "compared_trades": 1234, "identical_trades": 1234},
            (
                "compiled (asked for: auto); 1,234 of 1,234 out-of-sample trades are identical on"
                " the reference engine"
            ),
        ),
    ],
)
def test_the_engines_agreement_is_told(
    tmp_path: Path, changes: dict[str, object], text: str
) -> None:
    """A compiled run says how many of its trades the reference engine makes, too."""
    run = load_run(write_run(tmp_path / "run-1", Plot(windows=2)))
    run = replace(run, summary=replace(run.summary, **changes))

    assert dict(facts(Source(run)))["Engine"] == text


def test_a_true_run_tells_how_many_trades_are_identical(true_run: Path) -> None:
    """Every trade of the walk-forward's windows was compared, and is identical."""
    run = load_run(true_run)

    assert run.summary.compared_trades == run.summary.identical_trades == len(run.trades) > 0
    assert "out-of-sample trades are identical" in dict(facts(Source(run)))["Engine"]
