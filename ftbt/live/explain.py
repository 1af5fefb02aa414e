"""Which cause a difference has: rules in order, each with the evidence that it asks for.

A rule returns a cause with what speaks for it, or None. The first that knows something wins; where
none does the difference is unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftbt.live.case import Case, Found
from ftbt.live.causes import Cause

Rule = Callable[[Case], Found]


def explain(case: Case, rules: Sequence[Rule]) -> tuple[Cause, str]:
    """Return the cause that the first of *rules* finds."""
    for rule in rules:
        found = rule(case)
        if found is not None:
            return found
    return Cause.UNEXPLAINED, ""
