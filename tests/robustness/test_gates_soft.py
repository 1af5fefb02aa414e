"""The soft gates: what they read, and which of them decide."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from ftbt.robustness.assessment import Assessment, Gate
from ftbt.robustness.gates_soft import soft_gates
from ftbt.robustness.thresholds import Thresholds

PARTS = ("walk_forward", "parameters", "stress", "snooping", "path_risk", "trades")


def gates(
    found: Assessment, thresholds: Thresholds | None = None, **changed: Any
) -> dict[str, Gate]:
    """Return the soft gates of *found* with some of its sections changed."""
    every = {**{name: getattr(found, name) for name in PARTS}, **changed}
    return {one.id: one for one in soft_gates(*every.values(), thresholds or Thresholds())}


def test_a_deep_drawdown_is_told_and_decides_only_where_the_user_asked(
    assessed: Assessment,
) -> None:
    """The account's own limit is information; a tightened threshold makes the gate soft."""
    risk = assessed.path_risk
    assert risk is not None
    deep = replace(risk, limit=0.2, rows=(replace(risk.rows[0], depth_p95=0.35), *risk.rows[1:]))
    own = gates(assessed, path_risk=deep)["S6"]
    assert (own.outcome, own.weight, own.limit) == ("fail", "information", 0.2)
    assert "information only" in own.threshold
    asked = gates(assessed, Thresholds().tightened(drawdown=0.3), path_risk=deep)["S6"]
    assert (asked.outcome, asked.weight, asked.limit) == ("fail", "soft", 0.2)
    met = gates(assessed, Thresholds().tightened(drawdown=0.4), path_risk=replace(deep, limit=1.0))
    assert (met["S6"].outcome, met["S6"].limit) == ("pass", 0.4)


@pytest.mark.parametrize(
    ("median", "share", "outcome", "outcome_tightened"),
    [
        (0.4, 0.2, "pass", "fail"),
        (0.4, 0.8, "pass", "pass"),
        (0.4, math.nan, "pass", "not judged"),
        (-0.1, 0.8, "fail", "fail"),
        (0.0, 0.8, "fail", "fail"),
        (math.nan, math.nan, "not judged", "not judged"),
    ],
)
def test_the_median_trial_decides_and_neighbours_only_where_the_user_asked(
    assessed: Assessment, median: float, share: float, outcome: str, outcome_tightened: str
) -> None:
    """A peak is a search whose typical trial earns nothing, however few neighbours there are."""
    parameters = assessed.parameters
    assert parameters is not None
    own = replace(parameters.strategies[0], permutation_median=median, plateau_share=share)
    changed = replace(parameters, strategies=(own,))
    assert gates(assessed, parameters=changed)["S3"].outcome == outcome
    strict = Thresholds().tightened(plateau=0.7)
    assert gates(assessed, strict, parameters=changed)["S3"].outcome == outcome_tightened


def test_the_worst_strategy_of_several_decides_about_the_plateau(assessed: Assessment) -> None:
    """One strategy whose median trial loses is enough."""
    parameters = assessed.parameters
    assert parameters is not None
    good = replace(parameters.strategies[0], permutation_median=1.0)
    bad = replace(good, permutation_median=-0.2)
    made = gates(assessed, parameters=replace(parameters, strategies=(good, bad)))["S3"]
    assert (made.outcome, made.value) == ("fail", -0.2)


@pytest.mark.parametrize(
    ("profitable", "best", "outcome"),
    [(0.5, 0.74, "pass"), (0.5, 0.75, "fail"), (0.49, 0.3, "fail"), (0.6, math.nan, "fail")],
)
def test_profit_is_spread_unless_one_window_has_three_quarters(
    assessed: Assessment, profitable: float, best: float, outcome: str
) -> None:
    """Half of the windows must be profitable, and none may have nearly all of the profit."""
    changed = replace(assessed.walk_forward, share_profitable=profitable, best_share=best)
    assert gates(assessed, walk_forward=changed)["S1"].outcome == outcome


@pytest.mark.parametrize(
    ("share", "outcome"), [(0.99, "pass"), (1.0, "fail"), (2.0, "fail"), (math.nan, "fail")]
)
def test_without_the_best_trades_something_must_be_left(
    assessed: Assessment, share: float, outcome: str
) -> None:
    """Five trades that made all of the profit are a weak point; so is no profit."""
    assert (
        gates(assessed, trades=replace(assessed.trades, top_share=share))["S7"].outcome == outcome
    )


@pytest.mark.parametrize(("p", "outcome"), [(0.19, "pass"), (0.2, "fail"), (0.9, "fail")])
def test_random_entries_must_mostly_do_worse(assessed: Assessment, p: float, outcome: str) -> None:
    """A record that one in five random timings reaches rode the market."""
    entries = assessed.snooping.random_entries
    assert entries is not None
    changed = replace(assessed.snooping, random_entries=replace(entries, p_value=p))
    assert gates(assessed, snooping=changed)["S5"].outcome == outcome
