"""The hard gates at their thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ftbt.robustness import gates as gates_module
from ftbt.robustness.assessment import (
    Assessment,
    AuditFacts,
    DeflatedAt,
    Overfitting,
    Snooping,
)
from ftbt.robustness.thresholds import Thresholds

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
        (0.91, 1.0, "pass"),
        (0.9099, 1.0, "inconclusive"),
        (0.5, 1.0, "inconclusive"),
        (0.4999, 1.0, "fail"),
        (0.99, 0.0, "fail"),
        (math.nan, 0.0, "not judged"),
    ],
)
def test_gate_h1(assessed: Assessment, psr: float, profit: float, outcome: str) -> None:
    """0.91 passes, below 0.5 or without a profit fails, in between is too short."""
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
    """The whole band must reach 0.91; flipping inside is inconclusive; central below 0.5 fails."""
    low, central, high = (DeflatedAt(1.0, 0.0, one) for one in band)
    made = replace(assessed.selection.record, low=low, central=central, high=high)
    selection = replace(assessed.selection, record=made)

    assert gates_with(assessed, selection=selection)["H2"] == outcome


@pytest.mark.parametrize(
    ("figures", "outcome"),
    [
        ({"pbo": 0.10, "loss_p_value": 0.9, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.45, "loss_p_value": 0.25, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.60, "loss_p_value": 0.05, "probability_of_loss": 0.3}, "pass"),
        ({"pbo": 0.45, "loss_p_value": 0.26, "probability_of_loss": 0.4}, "inconclusive"),
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
