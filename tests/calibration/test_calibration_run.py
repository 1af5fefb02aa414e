"""Whole pipelines end to end, small: rows, resuming, judging kept evidence, what is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration import __main__ as program
from calibration.evidence import judged, kept
from calibration.figures import figures
from calibration.page import CURVE, DATA, PAGE, page, publish
from calibration.pipeline import Size, Task, assessed, row_of
from calibration.plan import SCENARIOS, tasks
from calibration.rows import Rows
from calibration.running import Progress, run

TINY = Size(windows=2, train=60, test=30, trials=4)
ABOUT = {
    "seed": 3, "size": {"windows": 2, "train": 60, "test": 30, "trials": 4}, "done": 2,
    "planned": 9, "ftbt": "0", "versions": {"optuna": "0"},
}  # fmt: skip


def _few(count: int) -> list[Task]:
    own = [one for one in tasks(3, 4, TINY) if one.scenario in ("null_garch", "zero")]
    quick = [one for one in own if one.strategy == "shock"]
    return [Task(one.scenario, one.number, "garch", "shock", one.edge, 3, TINY)
            for one in quick[:count]]  # fmt: skip


def _without_time(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "cpu_seconds"}


def test_pipelines_run_resume_and_are_judged_again(tmp_path: Path):
    """Rows come from the real walk-forward, once each; kept evidence gives them again."""
    few = _few(2)
    rows = Rows(tmp_path, 3, TINY)
    told: list[Progress] = []
    run(few[:1], rows, 1, told.append, tmp_path / "evidence")
    first = rows.path.read_bytes()
    run(few, rows, 1, told.append, tmp_path / "evidence")
    assert rows.path.read_bytes().startswith(first)
    found = rows.read()
    assert list(found) == [one.key for one in few]
    assert [one.done for one in told] == [1, 2]
    for row in found.values():
        assert row["state"] == "NOT JUDGED"  # too few trades in two months
        assert row["gates"]["H0 audit"][0] == "pass"
        assert set(row["gates"]) >= {"H1", "H2", "H3", "H4", "S1", "S4", "S5", "S7"}
    again = [row_of(task, judged(one), seconds)
             for task, one, seconds in kept(tmp_path / "evidence")]  # fmt: skip
    assert json.loads(json.dumps(again)) == list(found.values())
    task = few[0]
    made = row_of(task, *assessed(task))
    assert _without_time(json.loads(json.dumps(made))) == _without_time(found[task.key])


def test_what_is_published_is_the_same_each_time_and_says_what_is_missing(tmp_path: Path):
    """JSON, curve and page follow from the rows alone; an unfinished run is called that."""
    rows = [
        {
            "scenario": one.name, "strategy": "shock", "state": state, "soft_fails": [],
            "gates": {"H1": ["pass", 0.97], "S4": ["pass", 3.0]}, "annual_sharpe": 0.7 + number,
            "trades": 150, "psr_2012": 0.97, "psr_2025": 0.96, "spa_p": 0.04, "pbo_p": 0.4,
            "loss_p": 0.1, "entries_p": None,
        }
        for one in SCENARIOS
        for number, state in enumerate(("PASS", "INCONCLUSIVE"))
    ]  # fmt: skip
    found = figures(rows, ABOUT)
    once = [path.read_bytes() for path in publish(found, tmp_path / "one")]
    twice = [path.read_bytes() for path in publish(found, tmp_path / "two")]
    assert once == twice
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted((DATA, CURVE, PAGE))
    text = page(json.loads(once[0]))
    assert text.encode() == once[2]
    assert "**Not complete:** 2 of 9 pipelines" in text
    assert "50.0% (1.3% to 98.7%)" in text
    assert b"<svg" in once[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--seed", "-1"], "--seed at least 0"),
        (["--pipelines", "2"], "pipelines must be at least 4, not 2"),
        (["judge"], "judge needs --evidence FOLDER"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(words, told, tmp_path, monkeypatch, capsys):
    """Nothing is computed, nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert program.main(words) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_change_no_row(tmp_path: Path):
    """Two processes give the rows of one."""
    few = [one for one in tasks(4, 4, TINY) if one.scenario in ("null_garch", "null")]
    made = []
    for jobs in (1, 2):
        rows = Rows(tmp_path / str(jobs), 4, TINY)
        run(few, rows, jobs, lambda _: None)
        made.append({key: _without_time(row) for key, row in rows.read().items()})
    assert made[0] == made[1]
    assert len(made[0]) == len(few)


@pytest.mark.slow
def test_no_whole_pipeline_passes_without_an_edge(tmp_path: Path):
    """Eight pipelines of the published size on markets without an edge: none passes."""
    few = [one for one in tasks(5, 8) if one.scenario == "null"]
    rows = Rows(tmp_path, 5, Size())
    run(few, rows, 1, lambda _: None)
    states = [row["state"] for row in rows.read().values()]
    assert len(states) == 8
    assert "PASS" not in states
