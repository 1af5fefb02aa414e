"""What the sections of an assessment share: cells of figures, tables of histograms, why one is out.

Every value may be NaN: unknown, undefined or without limit. It is then shown as n/a with a reason,
never as a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ftbt.report.blocks import Block, Cell, Column, How, Notice, Table
from ftbt.report.format import MISSING, known, number, percent, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, Histogram

NOT_ASSESSED = "Not assessed yet: this run has no robustness.json."
FILE = "robustness.json in the run folder"

Write = Callable[[float], str]


def of_sharpe(value: float) -> str:
    """Return an annual Sharpe ratio."""
    return number(value)


def p_value(value: float) -> str:
    """Return a p-value as `0.031`; never 0, which no sample can show."""
    if not known(value):
        return MISSING
    if value < 0.001:
        return "< 0.001"
    return number(value, 3)


def signed_percent(value: float) -> str:
    """Return a fraction with its sign."""
    return percent(value, sign=True)


def interval(low: float, high: float, write: Write = of_sharpe) -> str:
    """Return `0.3 to 2.9`, empty without an interval."""
    return f"{write(low)} to {write(high)}" if known(low) and known(high) else ""


def cell(value: float, write: Write = of_sharpe, why: str = "undefined", detail: str = "") -> Cell:
    """Return *value* as written by *write*, n/a with the footnote *why* when it is not known."""
    if not known(value):
        return Cell(MISSING, "muted", why, detail)
    return Cell(write(value), detail=detail)


def toned(value: float, write: Write, why: str = "undefined") -> Cell:
    """Return a signed figure, coloured beside its sign."""
    if not known(value):
        return Cell(MISSING, "muted", why)
    return Cell(write(value), "gain" if value > 0 else "loss" if value < 0 else "")


def days_and_years(days: float) -> str:
    """Return a number of days, in years beside it when it is long."""
    if not known(days):
        return MISSING
    text = "1 day" if round(days) == 1 else f"{whole(math.ceil(days - 1e-9))} days"
    return f"{text} ({number(days / 365.25, 1)} years)" if days > 500 else text


def sentence(text: str) -> str:
    """Return *text* with a capital and a full stop."""
    text = text.strip()
    return "" if not text else text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def bins_table(caption: str, histogram: Histogram, write: Write, counted: str) -> Table:
    """Return the filled bins of *histogram* as a table."""
    total = sum(histogram.counts)
    rows: list[list[Cell | str]] = [
        [write(low), write(high), whole(count), percent(count / total)]
        for low, high, count in zip(
            histogram.edges, histogram.edges[1:], histogram.counts, strict=False
        )
        if count
    ]
    return Table(caption, [Column("From"), Column("to"), Column(counted), Column("Share")], rows)


def quantity(columns: Sequence[str]) -> list[Column]:
    """Return the first column as words and the others as numbers."""
    return [Column(columns[0], numeric=False), *map(Column, columns[1:])]


def how(formula: str, inputs: str, source: str) -> How:
    """Return how something was computed; the file that holds the values is added."""
    return How(formula, inputs, f"{source} Values: {FILE}.")


def missing(source: Source, *words: str) -> list[Block]:
    """Return one line: why a section or a part of it could not be made.

    Args:
        source: the run.
        words: the limits of the assessment that speak of one of these give the reason.
    """
    found = source.assessment
    return [Notice("Not computed", NOT_ASSESSED if found is None else why_not(found, *words))]


def why_not(assessment: Assessment, *words: str) -> str:
    """Return the first limit that speaks of one of *words*, or where the limits stand."""
    for limit in assessment.limits:
        if any(word in limit.what.lower() for word in words):
            return sentence(f"{limit.what}: {limit.why}")
    return "The data did not allow it; the section on assumptions and limits says what is missing."
