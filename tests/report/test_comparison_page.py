"""Runs side by side: what they share is said, nothing is ranked, errors are one line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from report_runs import Plot, write_run

from ftbt.cli.main import run as program
from ftbt.errors import InputError
from ftbt.report.comparison import render_comparison
from ftbt.robustness.compare_runs import RunComparison, compare_runs
from ftbt.walkforward.ledger import Counted, Ledger
from ftbt.walkforward.result import Run
from ftbt.walkforward.store import load_run

NAMES = ("fvg_fill-BTC-15m-aaaa0001", "liquidity_sweep-BTC-15m-bbbb0002", "fvg_fill-BTC-15m-cc03")
PLOTS = (
    Plot(windows=3, drift=0.5, seed=1, trials=3),
    Plot(windows=3, drift=-0.3, seed=2, trials=3),
    Plot(windows=4, drift=0.0, seed=3, trials=3, train=75, test=20),
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder with three runs, counted one after another."""
    place = tmp_path_factory.mktemp("compared")
    ledger = Ledger(place)
    for number, (name, plot) in enumerate(zip(NAMES, PLOTS, strict=True)):
        run = load_run(write_run(place / name, plot))
        ledger.count(run.manifest, [Counted(n, "done", 3) for n in range(plot.windows)])
        text = ledger.path.read_text()
        # The clock of the tests: each run an hour after the one before.
        stamp = f"2026-01-0{number + 1}T10:00:00+00:00"
        text = re.sub(rf"(?m)^[^,\n]+(,{name},)", rf"{stamp}\1", text)
        ledger.path.write_text(text)
        timing = json.loads((place / name / "timing.json").read_text())
        timing |= {"started": stamp, "finished": stamp}
        (place / name / "timing.json").write_text(json.dumps(timing))
    return place


@pytest.fixture(scope="module")
def runs(results: Path) -> list[Run]:
    """Return the three runs."""
    return [load_run(results / name) for name in NAMES]


@pytest.fixture(scope="module")
def found(runs: list[Run], results: Path) -> RunComparison:
    """Return their comparison."""
    return compare_runs(runs, Ledger(results))


def test_the_common_days_are_those_of_all(runs: list[Run], found: RunComparison) -> None:
    """Days that one run lacks count for nobody, and the figures are of these days."""
    days = [set(one.equity["time"].dt.normalize()) for one in runs]
    common = set.intersection(*days)

    assert found.result.days == len(common)
    assert found.start_ms == min(common).timestamp() * 1000
    close = runs[0].equity.set_index("time")["equity"].resample("1D").last()
    returns = close.pct_change().fillna(close.iloc[0] / 10_000.0 - 1.0)
    own = returns[sorted(common)].to_numpy()
    assert found.result.runs[0].sharpe == pytest.approx(own.mean() / own.std(ddof=1) * np.sqrt(365))
    assert found.growth[0][-1] == pytest.approx(np.prod(1.0 + own))


def test_what_runs_share_is_said(found: RunComparison) -> None:
    """The same data, the same windows, other windows, and who was made after whom."""
    told = " ".join(found.warnings)

    assert "Shared data: all runs were tested on the same market" in told
    assert "Shared windows: the tests of A and B lie on the same days" in told
    assert "Different windows: A and C; B and C" in told
    assert "Made after looking: B after A; C after A and B." in told
    assert "made up" in told


def test_the_ledger_is_read(found: RunComparison) -> None:
    """Strict looks are 1 and the trials of all other runs on these data."""
    assert [one.looks for one in found.result.runs] == [1 + 9 + 12, 1 + 9 + 12, 1 + 9 + 9]


def test_runs_on_other_data_share_nothing(results: Path, tmp_path: Path, runs: list[Run]) -> None:
    """Another coin at another exchange: no warning of shared data, no looks added."""
    other = load_run(write_run(tmp_path / "x-ETH-15m-1", Plot(windows=3, symbols=("ETH",))))
    data = tuple(replace(one, fingerprint="9" * 64) for one in other.manifest.data)
    other = replace(other, manifest=replace(other.manifest, data=data))
    found = compare_runs([runs[0], other], Ledger(results))

    assert not any("Shared" in one or "after" in one for one in found.warnings)
    assert found.result.runs[1].looks == 2


def test_nothing_is_ranked(runs: list[Run], results: Path, found: RunComparison) -> None:
    """The order is the one asked for, and no sentence calls a run best."""
    back = compare_runs(runs[::-1], Ledger(results))

    assert [one.run_id for one in back.sides] == [one.run_id for one in found.sides][::-1]
    text = render_comparison(found)
    assert "winner" not in text.lower()
    assert re.search(r"told apart", text)
    for one in found.result.pairs:
        if not one.apart:
            assert "Not to be told apart" in " ".join(found.conclusions) or "No two" in " ".join(
                found.conclusions
            )


def test_the_page_is_self_contained(found: RunComparison) -> None:
    """No external address, the strict policy of the report, every p-value in it."""
    text = render_comparison(found)

    assert text == render_comparison(found)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in unescape(text)
    assert not re.search(r"https?:|<(?:link|img|iframe|object|embed|base)\b", text)
    assert len(text) < 500_000
    for figure in re.findall(r"<figure.*?</figure>", text, re.DOTALL):
        assert figure.count("<table") == 1
        assert figure.count("How computed") == 1


def test_the_command_writes_both_files(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two calls give the same bytes; the terminal says what can't be told apart."""
    where = ["--results", str(results), "--out"]
    for place in ("one", "two"):
        assert program(["compare", *NAMES[:2], *where, str(tmp_path / place)]) == 0
    told = capsys.readouterr().out

    for name in ("comparison.json", "comparison.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    plain = json.loads((tmp_path / "one" / "comparison.json").read_text())
    assert [one["run_id"] for one in plain["sides"]] == list(NAMES[:2])
    assert "no ranking" in told
    assert "A - B" in told
    assert "warning: Shared data: both runs" in told


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([NAMES[0]], "name at least two runs"),
        ([NAMES[0], NAMES[0]], "is given twice"),
        ([NAMES[0], "liquidity_sweep-BTC-15m-bbbb0001"], "did you mean 'liquidity_sweep-BTC-15m-b"),
        ([NAMES[0], "fvg_fill"], "could be any of"),
        ([NAMES[0], NAMES[1], "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_questions_are_one_line(
    results: Path, capsys: pytest.CaptureFixture[str], names: list[str], says: str
) -> None:
    """Too few, twice the same, unknown or ambiguous: exit code 2 and what to do."""
    assert program(["compare", *names, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_runs_without_common_days_are_refused(tmp_path: Path) -> None:
    """The line names the days of each."""
    early = load_run(write_run(tmp_path / "a-BTC-15m-1", Plot(windows=1, train=30, test=30)))
    late = load_run(write_run(tmp_path / "b-BTC-15m-2", Plot(windows=1, train=90, test=30)))

    with pytest.raises(InputError, match=r"share 0 out-of-sample days, a comparison needs 30: a-"):
        compare_runs([early, late], Ledger(tmp_path))
