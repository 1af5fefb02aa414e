"""The sections of the report, in the order of the page.

To add one: write a module here with `SECTION = Section(anchor, title, build)` and name it below.
Numbers, contents and links follow by themselves.
"""

from __future__ import annotations

from ftbt.report.blocks import Section
from ftbt.report.sections import (
    equity,
    examples,
    glossary,
    key_figures,
    limits,
    overfitting,
    parameters,
    path_risk,
    portfolio,
    regimes,
    reproduce,
    scorecard,
    selection,
    snooping,
    stress,
    trades,
    verdict,
    windows,
)

SECTIONS: tuple[Section, ...] = (
    verdict.SECTION,
    scorecard.SECTION,
    equity.SECTION,
    selection.SECTION,
    overfitting.SECTION,
    windows.SECTION,
    snooping.SECTION,
    parameters.SECTION,
    path_risk.SECTION,
    stress.SECTION,
    regimes.SECTION,
    portfolio.SECTION,
    trades.SECTION,
    examples.SECTION,
    limits.SECTION,
    key_figures.SECTION,
    reproduce.SECTION,
    glossary.SECTION,
)
