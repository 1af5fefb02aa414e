"""What tests of assessments read from them."""

from __future__ import annotations

from dataclasses import replace

from ftbt.robustness.assessment import (
    Assessment,
    Gate,
    State,
)
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.verdict import Outlook, judge


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
