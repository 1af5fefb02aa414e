"""The sections of the report, in the order of the page.

To add one: write a module here with `SECTION = Section(anchor, title, build)` and name it below.
Numbers, contents and links follow by themselves.
"""

from __future__ import annotations

from ftbt.report.blocks import Section
from ftbt.report.sections import (
    answer,
    equity,
    examples,
    glossary,
    key_figures,
    limits,
    reproduce,
    trades,
    windows,
)

SECTIONS: tuple[Section, ...] = (
    answer.SECTION,
    key_figures.SECTION,
    equity.SECTION,
    windows.SECTION,
    trades.SECTION,
    examples.SECTION,
    limits.SECTION,
    reproduce.SECTION,
    glossary.SECTION,
)
