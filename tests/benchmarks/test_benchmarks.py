"""The frame of the benchmarks: rows with targets, the program that runs them, its exit code."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as program
from benchmarks.common import NotMeasured, Row, seconds


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder: `results` is made there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _benchmark(monkeypatch: pytest.MonkeyPatch, name: str, run) -> None:
    module = ModuleType(f"benchmarks.{name}")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"benchmarks.{name}", module)
    known = program.names()
    monkeypatch.setattr(program, "names", lambda: [*known, name])


@pytest.mark.parametrize(
    ("figure", "at_least", "at_most", "target", "met"),
    [
        (0.1, None, 0.2, "at most 0.2 s", True),
        (0.2, None, 0.2, "at most 0.2 s", True),
        (0.3, None, 0.2, "at most 0.2 s", False),
        (120.0, 100.0, None, "at least 100 s", True),
        (1.0, 0.9, 1.1, "at least 0.9 and at most 1.1 s", True),
        (1.2, 0.9, 1.1, "at least 0.9 and at most 1.1 s", False),
        (5.0, None, None, "", None),
        (math.nan, None, 0.2, "at most 0.2 s", None),
    ],
)
def test_a_row_knows_whether_its_target_is_met(figure, at_least, at_most, target, met):
    """Limits belong to the target; without a figure or a target nothing is met or missed."""
    row = Row("time", figure, "s", "how", at_least, at_most)
    assert (row.target, row.met) == (target, met)
    assert row.as_dict()["figure"] == (None if math.isnan(figure) else figure)


def test_seconds_is_the_shortest_of_several_calls():
    """The function is called as often as asked, and the shortest time counts."""
    calls: list[int] = []
    took = seconds(lambda: calls.append(sum(range(1000))), repeats=4)
    assert len(calls) == 4
    assert 0 <= took < 1


def test_every_benchmark_has_a_run():
    """What `python -m benchmarks` finds are modules with `run`, and the helpers are not."""
    found = program.names()
    assert not {"common", "__init__", "__main__"} & set(found)
    for name in found:
        text = (Path(program.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        assert "\ndef run() -> list[Row]:\n" in text, name


def test_every_benchmark_is_in_the_documentation():
    """Whoever runs one by its name finds there what it measures."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "run-the-benchmarks.md"

    assert [name for name in program.names() if f"`{name}`" not in page.read_text()] == []


def test_a_met_target_is_exit_code_0_and_is_kept(monkeypatch, capsys, folder):
    """Rows are shown and written to results/bench.json."""
    _benchmark(monkeypatch, "quick", lambda: [Row("ratio", 3.5, "x", "both at once", 2.0)])
    assert program.main(["quick"]) == 0
    assert "ratio: 3.5 x  (target: at least 2 x: met)" in capsys.readouterr().out
    kept = json.loads((folder / "results" / "bench.json").read_text())
    row = kept["benchmarks"]["quick"]["rows"][0]
    assert row["figure"] == 3.5
    assert row["met"] is True
    assert kept["machine"]["cores"] >= 1


def test_a_missed_target_is_exit_code_1(monkeypatch, capsys):
    """One missed target is enough."""
    rows = [Row("a", 1.0, "", "", None, 2.0), Row("b", 3.0, "", "", None, 2.0)]
    _benchmark(monkeypatch, "slow", lambda: rows)
    assert program.main(["slow"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_a_broken_benchmark_does_not_hide_the_others(monkeypatch, capsys):
    """An error is shown, the next benchmark runs, the exit code is 1."""

    def broken() -> list[Row]:
        raise ZeroDivisionError("by nothing")

    _benchmark(monkeypatch, "broken", broken)
    _benchmark(monkeypatch, "fine", lambda: [Row("b", 1.0)])
    assert program.main(["broken", "fine"]) == 1
    shown = capsys.readouterr()
    assert "by nothing" in shown.err
    assert "b: 1" in shown.out


def test_what_cannot_be_measured_here_is_said_and_is_no_failure(monkeypatch, capsys):
    """A benchmark that lacks something says what; no target is missed by that."""

    def absent() -> list[Row]:
        raise NotMeasured("smartmoneyconcepts is not installed")

    _benchmark(monkeypatch, "absent", absent)
    assert program.main(["absent"]) == 0
    assert "not measured: smartmoneyconcepts is not installed" in capsys.readouterr().out


def test_a_wrong_name_gets_the_nearest_one(monkeypatch, capsys):
    """Exit code 2, and nothing is run."""
    _benchmark(monkeypatch, "lines_of_speed", lambda: pytest.fail("it ran"))
    assert program.main(["lines_of_sped"]) == 2
    assert "did you mean 'lines_of_speed'?" in capsys.readouterr().err
