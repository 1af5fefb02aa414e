"""The plan of the calibration, its rows, and the figures that are made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from calibration.figures import figures, interval, missed, pass_at
from calibration.pipeline import Size, Task
from calibration.plan import ROTATION, SCENARIOS, strength, tasks
from calibration.rows import Rows
from ftbt.errors import InputError


def test_the_plan_has_every_scenario_in_full_and_every_strategy_alike():
    """Counts are those of the scenarios, and strategies take turns."""
    every = tasks()
    counts = Counter(one.scenario for one in every)
    assert counts == {one.name: one.count for one in SCENARIOS}
    assert len({one.key for one in every}) == len(every)
    for one in SCENARIOS:
        own = Counter(task.strategy for task in every if task.scenario == one.name)
        assert set(own.values()) == {one.count // len(ROTATION)}


def test_at_least_300_pipelines_have_no_edge_at_all():
    """What is promised about false alarms is counted on that many."""
    assert sum(one.edge == 0.0 for one in tasks()) >= 300


def test_pipelines_of_one_number_share_path_and_strategy_and_come_together():
    """So the path is made once, and scenarios differ by their edge alone."""
    every = tasks(pipelines=40)
    numbers = [one.number for one in every]
    assert numbers == sorted(numbers)
    for number in set(numbers):
        own = [one for one in every if one.number == number]
        assert len({one.strategy for one in own}) == 1
        assert len({one.seeds() for one in own}) == 1


def test_a_stopped_plan_has_a_part_of_each_scenario():
    """The first third of all pipelines holds about a third of each scenario."""
    every = tasks()
    first = Counter(one.scenario for one in every[: len(every) // 3])
    for one in SCENARIOS:
        assert first[one.name] == pytest.approx(one.count / 3, rel=0.25)


def test_seeds_differ_by_number_and_by_seed():
    """No two pipelines have the same market, and none has its own search's seed."""
    found = [seed for one in tasks(pipelines=40) for seed in one.seeds()]
    other = [seed for one in tasks(seed=1, pipelines=40) for seed in one.seeds()]
    assert len(set(found)) == 2 * len({one.number for one in tasks(pipelines=40)})
    assert not set(found) & set(other)


def test_fewer_pipelines_than_strategies_are_refused():
    """Each strategy needs at least one."""
    with pytest.raises(InputError, match="at least 4, not 3"):
        tasks(pipelines=3)


def test_strengths_rise_with_what_they_are_worth():
    """A stronger drift is aimed at a higher Sharpe ratio; without a target there is none."""
    for one in ROTATION:
        made = [strength(one, target) for target in (None, 0.0, 0.5, 1.0, 1.5, 2.0)]
        assert made[0] == 0.0
        assert made == sorted(set(made))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # R 4.2: binom.test(hits, count)$conf.int
    [(0, 10, 0.0, 0.3084971), (5, 10, 0.1870860, 0.8129140), (10, 10, 0.6915029, 1.0),
     (15, 300, 0.0282584, 0.0811387)],
)  # fmt: skip
def test_intervals_are_clopper_and_pearsons(hits, count, low, high):
    """The exact binomial interval, as other programs print it."""
    assert interval(hits, count) == pytest.approx((low, high), abs=2e-5)


def test_the_pass_rate_at_a_ratio_is_that_of_the_probit_line():
    """Counts of an exact 5 % test over three years give its power between the points, too."""
    ratios = (0.0, 0.5, 1.0, 1.6, 2.1)
    powers = [0.05, 0.218, 0.535, 0.870, 0.977]
    points = [(x, round(4000 * p), 4000) for x, p in zip(ratios, powers, strict=True)]
    found = pass_at(1.5, points)
    assert found is not None
    assert found["rate"] == pytest.approx(0.83, abs=0.01)
    assert 0.0 < found["high"] - found["low"] < 0.03
    wide = pass_at(1.5, [(x, hits // 100, 40) for x, hits, _ in points])
    assert wide is not None
    assert wide["high"] - wide["low"] > 5 * (found["high"] - found["low"])
    assert pass_at(1.5, points[:1]) is None
    assert pass_at(1.5, [(1.0, 0, 9), (2.0, 0, 9)]) is None


def _row(task: Task, state: str, **gates: str) -> dict:
    outcomes = {"H0 trades": "pass", "H1": "pass", "H4": "pass", "S4": "pass", **gates}
    return {
        "key": task.key, "scenario": task.scenario, "strategy": task.strategy, "state": state,
        "gates": {name: [outcome, 0.5] for name, outcome in outcomes.items()},
        "soft_fails": [name for name, outcome in outcomes.items()
                       if name.startswith("S") and outcome == "fail"],
        "annual_sharpe": 1.0, "trades": 200, "psr_2012": 0.9, "psr_2025": 0.9, "spa_p": 0.1,
        "pbo_p": None, "loss_p": 0.2, "entries_p": 0.3,
    }  # fmt: skip


def _task(scenario: str, number: int) -> Task:
    return Task(scenario, number, "sample", ROTATION[number % 4], 0.0, 1)


def test_figures_count_verdicts_gates_and_what_stood_alone_in_the_way():
    """Shares are of all pipelines of a scenario; a soft gate is never alone in the way."""
    rows = [
        _row(_task("edge_1.5", 0), "PASS", S4="fail"),
        _row(_task("edge_1.5", 1), "INCONCLUSIVE", H4="inconclusive"),
        _row(_task("edge_1.5", 2), "FAIL", H1="fail", H4="fail"),
        _row(_task("edge_1.5", 3), "NOT JUDGED", **{"H0 trades": "not judged"}),
    ]
    found = figures(rows, {"done": 4})["scenarios"]["edge_1.5"]
    assert {name: one["hits"] for name, one in found["states"].items()} == {
        "PASS": 1, "INCONCLUSIVE": 1, "FAIL": 1, "NOT JUDGED": 1,
    }  # fmt: skip
    assert found["pass_of_judged"]["rate"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["gates"]["H4"]["fail"]["rate"] == 0.25
    assert {name: one["only"] for name, one in found["gates"].items()} == {
        "H0 trades": 1, "H1": 0, "H4": 1, "S4": 0,
    }  # fmt: skip
    assert found["soft_fails"] == {"1": 1}
    assert found["p_values"]["psr_2012"]["below"]["0.1"]["rate"] == 1.0
    assert found["p_values"]["pbo_p"] == {"count": 0}


def test_missed_targets_are_named():
    """Too many passes without an edge, and too few with one, are both told."""
    rows = [_row(_task("null", n), "PASS") for n in range(4)]
    rows += [_row(_task("edge_1.5", n), "FAIL") for n in range(4)]
    told = missed(figures(rows, {}))
    assert [one.split(":")[0] for one in told] == ["null", "edge_1.5"]
    assert not missed(figures([_row(_task("edge_1.5", n), "PASS") for n in range(4)], {}))
    chance = [_row(_task("zero", n), "PASS" if n == 0 else "FAIL") for n in range(12)]
    assert not missed(figures(chance, {}))
    assert missed(figures([_row(_task("zero", n), "PASS") for n in range(4)], {}))


def test_rows_are_added_and_a_line_that_was_cut_off_is_made_again(tmp_path):
    """A kill in the middle of a line loses that row only, and never the next one."""
    rows = Rows(tmp_path, 1, Size())
    first, second, third = (_row(_task("null", n), "FAIL") for n in range(3))
    rows.add([first, second])
    rows.path.write_bytes(rows.path.read_bytes()[:-20])
    assert list(rows.read()) == [first["key"]]
    rows.add([third])
    assert list(rows.read()) == [first["key"], third["key"]]


def test_rows_of_another_seed_or_size_never_mix(tmp_path):
    """Each has a file of its own."""
    usual = Rows(tmp_path, 1, Size()).path
    assert Rows(tmp_path, 1, Size()).path == usual
    assert Rows(tmp_path, 2, Size()).path != usual
    assert Rows(tmp_path, 1, replace(Size(), trials=8)).path != usual
